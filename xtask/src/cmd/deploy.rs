//! `cargo xtask deploy`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask deploy`.
#[derive(Debug, clap::Args)]
pub struct Deploy {}

impl Deploy {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask deploy` is not there yet")
    }
}
