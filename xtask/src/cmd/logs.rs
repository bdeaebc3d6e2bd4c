//! `cargo xtask logs`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask logs`.
#[derive(Debug, clap::Args)]
pub struct Logs {}

impl Logs {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask logs` is not there yet")
    }
}
