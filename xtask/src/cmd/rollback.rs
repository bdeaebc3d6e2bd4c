//! `cargo xtask rollback`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask rollback`.
#[derive(Debug, clap::Args)]
pub struct Rollback {}

impl Rollback {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask rollback` is not there yet")
    }
}
