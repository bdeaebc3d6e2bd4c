//! `completions`: completion scripts for shells.

use crate::cli;
use crate::exit::Outcome;
use crate::front_door;
use crate::host::json::json;
use crate::ui::Ui;
use anyhow::Result;
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It completes the program `lockstep` (`cargo install --path xtask`); cargo completes nothing behind an alias.\n\n\
                  Example:\n  cargo xtask completions bash > ~/.local/share/bash-completion/completions/lockstep"
)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs the verb.
    pub fn run(&self, ui: &Ui) -> Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut cli::command(front_door::PROGRAM),
            front_door::PROGRAM,
            &mut script,
        );
        let script = String::from_utf8(script)?;
        ui.text(script.trim_end());
        ui.json(&json!({ "shell": self.shell.to_string(), "script": script }))?;
        Ok(Outcome::Success)
    }
}
