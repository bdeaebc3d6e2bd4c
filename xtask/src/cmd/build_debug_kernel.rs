//! `cargo xtask build-debug-kernel`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask build-debug-kernel`.
#[derive(Debug, clap::Args)]
pub struct BuildDebugKernel {}

impl BuildDebugKernel {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask build-debug-kernel` is not there yet")
    }
}
