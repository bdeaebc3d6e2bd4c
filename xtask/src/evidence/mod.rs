//! What the kernel said: capture, kernel-log records, findings, pstore records, baseline.
//! *Architecture invariant:* knows nothing of boards, trees or campaigns. Everything here takes bytes and gives values: no
//! files, no processes, no clocks.
//!
//! The way of the data: bytes of any source → [`reader::read`] → [`finder::find`] → [`baseline::compare`];
//! beside it [`completeness`] says what the log can prove at all. [`scan`] does both for a log of any length.

pub mod baseline;
pub mod baseline_file;
pub mod boot_id;
pub mod completeness;
pub mod contradicted;
pub mod finder;
pub mod finding;
pub mod frames;
pub mod graph;
pub mod headers;
pub mod journal;
pub mod kind;
pub mod kmsg;
pub mod lock_chain;
pub mod locks;
pub mod machinery;
pub mod netconsole;
pub mod prefix;
pub mod pstore;
pub mod reader;
pub mod record;
pub mod scan;
pub mod score;
pub mod serial;
pub mod splat;
pub mod summary;
pub mod wall;
