//! What the kernel said: capture, kernel-log records, findings, pstore records, baseline.
//! *Architecture invariant:* knows nothing of boards, trees or campaigns. Everything here takes bytes and gives values: no
//! files, no processes, no clocks.
//!
//! The way of the data: bytes of any source → [`reader::read`] → [`finder::find`] → [`baseline::compare`];
//! beside it [`completeness`] says what the log can prove at all. [`scan`] does both for a log of any length.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::string_slice
    )
)]

pub mod baseline;
pub mod baseline_file;
pub mod boot_id;
pub mod completeness;
pub mod contradicted;
mod cursor;
mod entities;
mod fields;
pub mod finder;
pub mod finding;
pub mod firmware;
pub mod frames;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "it lays out what `lock_chain` has read and bounded: at most two hundred locks"
)]
pub mod graph;
pub mod headers;
pub mod journal;
pub mod kind;
pub mod kmsg;
pub mod layout;
pub mod lock_chain;
pub mod locks;
pub mod machinery;
pub mod netconsole;
mod objects;
pub mod prefix;
pub mod pstore;
pub mod reader;
pub mod record;
pub mod scan;
pub mod serial;
pub mod splat;
pub mod stamp;
pub mod summary;
pub mod suspect;
pub mod suspicion;
mod terminal;
mod text_lines;
pub mod understood;
pub mod unpack;
pub mod wall;
