//! `cargo xtask preflight`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask preflight`.
#[derive(Debug, clap::Args)]
pub struct Preflight {}

impl Preflight {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask preflight` is not there yet")
    }
}
