//! `cargo xtask apply`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask apply`.
#[derive(Debug, clap::Args)]
pub struct Apply {}

impl Apply {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask apply` is not there yet")
    }
}
