//! `man`: manual pages.

use crate::cli;
use crate::exit::Outcome;
use crate::front_door;
use crate::host::files;
use crate::host::json::json;
use crate::ui::{Ui, path_names};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask man | man -l -\n  cargo xtask man --to ~/.local/share/man/man1"
)]
pub struct Man {
    /// Write `lockstep.1` and a page for each verb (`lockstep-board-up.1`) into this folder, which is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Man {
    /// Runs the verb.
    pub fn run(&self, ui: &Ui) -> Result<Outcome> {
        let mut command = cli::command(front_door::PROGRAM);
        command.build();
        let Some(folder) = &self.to else {
            let page = String::from_utf8(page(&command)?)?;
            ui.text(page.trim_end());
            ui.json(&json!({ "page": page }))?;
            return Ok(Outcome::Success);
        };
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut written = Vec::new();
        for (name, page) in pages(&command, front_door::PROGRAM)? {
            let path = folder.join(format!("{name}.1"));
            files::write_atomic(&path, &page)?;
            written.push(path);
        }
        ui.line(&format!("{} pages in {}", written.len(), folder.display()));
        ui.json(&json!({ "written": path_names(&written) }))?;
        Ok(Outcome::Success)
    }
}

/// The pages of a command and of the visible ones below it, each with its name.
fn pages(command: &clap::Command, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = vec![(name.to_string(), page(command)?)];
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        if verb.get_name() != "help" {
            all.extend(pages(verb, &format!("{name}-{}", verb.get_name()))?);
        }
    }
    Ok(all)
}

fn page(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .context("writing a manual page")?;
    Ok(page)
}
