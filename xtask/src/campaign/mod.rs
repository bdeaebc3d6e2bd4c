//! The campaign: its file, the plan as a value, the journal, the engine that runs a plan, the report.
//! *Architecture invariant:* the only room that joins `kernel`, `board` and `evidence`.

pub mod abort;
pub mod action;
pub mod ahead;
pub mod attempt;
pub mod base_config;
pub mod boot_step;
pub mod build;
pub mod capture_gate;
pub mod decode;
pub mod earlier;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a step is of the plan, which is made of the same steps"
)]
pub mod engine;
pub mod escalation;
pub mod estimates;
pub mod exercise;
pub mod file;
pub mod foresight;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a step is of the plan, which is made of the same steps"
)]
pub mod gates;
pub mod harvest;
pub mod harvest_board;
pub mod harvest_netconsole;
pub mod harvest_records;
pub mod harvest_running;
pub mod hints;
pub mod inputs;
pub mod job;
pub mod journal;
pub mod journal_ahead;
pub mod known;
pub mod left_out;
pub mod live;
pub mod notify;
pub mod ours;
pub mod outline;
pub mod overrule;
pub mod pace;
pub mod phase;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a step is of the plan, which is made of the same steps"
)]
pub mod plan;
pub mod preflight;
pub mod record;
pub mod reload;
pub mod report;
pub mod resume;
pub mod rig;
pub mod run_step;
pub mod runs;
pub mod said;
pub mod screen;
pub mod search;
pub mod smoke;
pub mod soak;
pub mod status;
pub mod stop_asked;
pub mod stopwatch;
pub mod verdict;
pub mod walk;
pub mod wall_time;
pub mod way_home;
pub mod wedge;
