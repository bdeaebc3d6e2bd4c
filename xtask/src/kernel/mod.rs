//! The kernel side: tree and series (git2), patches, Kconfig fragments and verdicts, toolchain, make, staging.
//! *Architecture invariant:* knows nothing of boards, evidence or campaigns.

pub mod diff;
pub mod kconfig;
pub mod patch;
pub mod series;
pub mod tree;
