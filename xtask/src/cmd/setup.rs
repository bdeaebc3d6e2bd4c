//! `cargo xtask setup`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask setup`.
#[derive(Debug, clap::Args)]
pub struct Setup {}

impl Setup {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask setup` is not there yet")
    }
}
