//! `cargo xtask bisect-apply`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask bisect-apply`.
#[derive(Debug, clap::Args)]
pub struct BisectApply {}

impl BisectApply {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask bisect-apply` is not there yet")
    }
}
