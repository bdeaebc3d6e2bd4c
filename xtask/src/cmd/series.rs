//! `cargo xtask series`.

use super::Context;
use crate::exit::Outcome;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask series`.
#[derive(Debug, clap::Args)]
pub struct Series {}

impl Series {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Outcome> {
        bail!("`cargo xtask series` is not there yet")
    }
}
