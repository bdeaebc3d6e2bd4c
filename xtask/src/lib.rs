//! Lockstep applies a kernel patch series to a real board one patch at a time, with one boot and one
//! verdict for each, and never loses the board. `ARCHITECTURE.md` shows the rooms and who knows whom.

// What is parsed comes from boards, disks, patches, logs and files: no slice of it by an index and no arithmetic on its numbers
// without a check. An exception is a stated invariant.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::string_slice
    )
)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod board;
pub mod campaign;
pub mod capture;
pub mod cli;
#[allow(
    clippy::disallowed_methods,
    reason = "asks what is only shown, or read by whoever says more of an error"
)]
pub mod cmd;
pub mod document;
pub mod exit;
pub mod front_door;
pub mod host;
#[allow(
    clippy::disallowed_methods,
    reason = "asks after files of a build, which is done again where one is not there"
)]
pub mod kernel;
pub mod manifest;
pub mod ui;

// The board of the unit tests is that of `tests/`, which knows this crate by its name.
#[cfg(test)]
extern crate self as xtask;
