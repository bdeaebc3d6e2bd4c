//! The campaign: its file, the plan as a value, the journal, the engine that runs a plan, the report.
//! *Architecture invariant:* the only room that joins `kernel`, `board` and `evidence`.

pub mod boot_step;
pub mod build;
pub mod capture_gate;
pub mod engine;
pub mod exercise;
pub mod file;
pub mod harvest;
pub mod harvest_board;
pub mod harvest_records;
pub mod journal;
pub mod plan;
pub mod preflight;
pub mod record;
pub mod report;
pub mod screen;
pub mod smoke;
pub mod stopwatch;
pub mod verdict;
pub mod wedge;
