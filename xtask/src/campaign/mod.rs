//! The campaign: its file, the plan as a value, the journal, the engine that runs a plan, the report.
//! *Architecture invariant:* the only room that joins `kernel`, `board` and `evidence`.

pub mod abort;
pub mod base_config;
pub mod boot_step;
pub mod build;
pub mod capture_gate;
pub mod engine;
pub mod estimates;
pub mod exercise;
pub mod file;
pub mod gates;
pub mod harvest;
pub mod harvest_board;
pub mod harvest_records;
pub mod inputs;
pub mod journal;
pub mod live;
pub mod notify;
pub mod ours;
pub mod overrule;
pub mod plan;
pub mod preflight;
pub mod record;
pub mod report;
pub mod resume;
pub mod runs;
pub mod screen;
pub mod search;
pub mod smoke;
pub mod soak;
pub mod status;
pub mod stopwatch;
pub mod verdict;
pub mod walk;
pub mod way_home;
pub mod wedge;
