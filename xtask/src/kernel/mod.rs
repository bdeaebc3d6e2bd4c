//! The kernel side: tree and series (git2), patches, Kconfig fragments and verdicts, toolchain, make, staging.
//! *Architecture invariant:* knows nothing of boards, evidence or campaigns.

pub mod arch;
pub mod build;
pub mod built;
pub mod changes;
pub mod cmdfiles;
pub mod debug_files;
pub mod diff;
pub mod dtb;
mod git;
pub mod image;
pub mod kconfig;
pub mod module;
pub mod patch;
pub mod place;
pub mod profile;
pub mod pulled;
pub mod review;
pub mod series;
pub mod ships;
pub mod source;
pub mod stage;
pub mod symbolise;
pub mod symbols;
pub mod toolchain;
pub mod tree;

use std::time::Duration;

/// What a long piece of work tells whoever waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something begins that nobody knows the size of: a line for a person.
    Step(String),
    /// Something begins whose size is known about.
    Work {
        /// A line for a person.
        title: String,
        /// Expected in the end; an estimate that may be passed.
        total: u64,
    },
    /// How far the [`Event::Work`] or the [`Event::Step`] is.
    Estimate {
        /// Of the total of the work; 0 for a step, whose size nobody knows.
        done: u64,
        /// Time left, where something can be said about it.
        left: Option<Duration>,
        /// Pieces of work done.
        pieces: usize,
        /// The last of them, as make names it: `CC drivers/media/v4l2-core/v4l2-dev.o`. Foreign
        /// text.
        piece: String,
    },
    /// Something that a person should read: a compiler warning, a trap in the configuration.
    Warning(String),
}

/// Where events go.
pub type Report<'a> = &'a mut dyn FnMut(Event);
