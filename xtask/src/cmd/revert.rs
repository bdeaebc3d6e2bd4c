//! `cargo xtask revert`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask revert`.
#[derive(Debug, clap::Args)]
pub struct Revert {}

impl Revert {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask revert` is not there yet")
    }
}
