//! The kernel side: tree and series (git2), patches, Kconfig fragments and verdicts, toolchain, make, staging.
//! *Architecture invariant:* knows nothing of boards, evidence or campaigns.

pub mod changes;
pub mod diff;
pub mod kconfig;
pub mod module;
pub mod patch;
pub mod series;
pub mod toolchain;
pub mod tree;

/// What a long piece of work tells whoever waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something begins: a line for a person.
    Step(String),
    /// How far the step is, in its own unit; `total` is an estimate and may be passed.
    Count {
        /// Done so far.
        done: u64,
        /// Expected in the end.
        total: u64,
    },
    /// Something that a person should read: a compiler warning, a trap in the configuration.
    Warning(String),
}

/// Where events go.
pub type Report<'a> = &'a mut dyn FnMut(Event);
