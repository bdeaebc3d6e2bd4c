//! `cargo xtask revert`.

use super::Context;
use super::apply::{kernel_flag, names, open};
use super::series::Where;
use crate::exit::Outcome;
use crate::kernel::place::BRANCH;
use crate::kernel::series::standing_on;
use crate::kernel::tree::Stack;
use crate::ui;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask revert`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exactly this patch is taken back. Later ones stay: they are made anew without it, and where one cannot \
stand without it, nothing is changed and that one is named.

Examples:
  cargo xtask revert 0005
  cargo xtask revert 0005 --series patches/rehearsal --kernel ~/src/linux-rockchip"
)]
pub struct Revert {
    /// The patch, by number, file name or subject
    patch: String,
    #[command(flatten)]
    which: Where,
}

impl Revert {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let at = series.find(&self.patch)?;
        let patch = &series.patches[at];
        let place = self.which.place(context)?;
        let commits = Stack::peek(&place.repository, BRANCH)?.applied(&series)?;
        let Some(commit) = &commits[at] else {
            bail!(
                "{} ({}) is not applied, so there is nothing to take back; `cargo xtask series{}` lists what is",
                patch.short_name(),
                patch.subject,
                self.which.flags()
            );
        };
        let applied: Vec<bool> = commits.iter().map(Option::is_some).collect();
        let later = standing_on(&applied, at);
        if !later.is_empty() {
            let later = names(later.iter().map(|at| &series.patches[*at]));
            context.ui.say(&format!(
                "{later} came later, and will be made anew without {}",
                patch.short_name()
            ));
        }
        if context.global.dry_run {
            context.ui.line(&format!(
                "revert {} ({}) in {}",
                patch.name,
                &commit[..12],
                place.worktree.display()
            ));
            context.ui.json(&serde_json::json!({
                "dry_run": true, "tree": place.worktree, "revert": patch.name, "commit": commit
            }))?;
            return Ok(Outcome::Success);
        }
        let mut tree = open(context, &place)?;
        let reverted = tree.revert(patch)?;
        context.ui.line(&format!(
            "{} {} is taken back: {}; HEAD is {}",
            patch.short_name(),
            &reverted.commit[..12],
            ui::count(reverted.files.len(), "file"),
            &reverted.head[..12]
        ));
        context.ui.json(&serde_json::json!({
            "tree": tree.path(), "branch": tree.branch(), "patch": patch.name, "commit": reverted.commit,
            "head": reverted.head, "reapplied": reverted.reapplied, "files": reverted.files
        }))?;
        context.ui.say(&format!(
            "next: cargo xtask build-debug-kernel{}",
            kernel_flag(&self.which)
        ));
        Ok(Outcome::Success)
    }
}
