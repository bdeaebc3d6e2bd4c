//! `cargo xtask rehearse`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask rehearse`.
#[derive(Debug, clap::Args)]
pub struct Rehearse {}

impl Rehearse {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask rehearse` is not there yet")
    }
}
