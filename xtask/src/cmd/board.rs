//! `cargo xtask board`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask board`.
#[derive(Debug, clap::Args)]
pub struct Board {}

impl Board {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask board` is not there yet")
    }
}
