//! `cargo xtask doctor`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask doctor`.
#[derive(Debug, clap::Args)]
pub struct Doctor {}

impl Doctor {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask doctor` is not there yet")
    }
}
