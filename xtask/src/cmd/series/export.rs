//! `cargo xtask series export`.

use super::Context;
use crate::cmd::open_tree::Where;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::place::BRANCH;
use crate::kernel::tree::{Stack, short};
use crate::ui;
use anyhow::Result;
use std::path::PathBuf;

/// Arguments of `cargo xtask series export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is applied, in its order, as files that `git am` takes and that `git send-email` sends: with the author, date and message of each \
commit, full ids, and binary content.

Example:
  cargo xtask series export /tmp/v4 --kernel ~/src/linux-rockchip"
)]
pub struct Export {
    /// A new or empty folder
    folder: PathBuf,
    #[command(flatten)]
    which: Where,
}

impl Export {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let place = self.which.place(context)?;
        let stack = Stack::peek(&place.repository, BRANCH)?;
        let folder = std::path::absolute(&self.folder)?;
        if context.global.dry_run {
            let commits = stack.commits()?;
            for (commit, subject) in &commits {
                context.ui.line(&format!("write {} {subject}", short(commit)));
            }
            context
                .ui
                .json(&json!({ "dry_run": true, "folder": ui::path_name(&folder), "commits": commits }))?;
            return Ok(Outcome::Success);
        }
        let names = stack.export(&folder)?;
        for name in &names {
            context.ui.line(&folder.join(name).display().to_string());
        }
        context
            .ui
            .json(&json!({ "folder": ui::path_name(&folder), "patches": ui::path_names(&names) }))?;
        context
            .ui
            .say(&format!("{} written", ui::count(names.len(), "patch file")));
        context.ui.say(&format!(
            "next: cargo xtask series check --series {}",
            folder.display()
        ));
        Ok(Outcome::Success)
    }
}
