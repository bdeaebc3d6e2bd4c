//! `cargo xtask revert`.

use super::Context;
use super::open_tree::{Where, open};
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::patch::Patch;
use crate::kernel::place::BRANCH;
use crate::kernel::series::{Series, standing_on};
use crate::kernel::tree::{Blocked, Later, Reverted, Stack, Tree, short};
use crate::ui;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask revert`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exactly this patch is taken back. Later ones stay: they are made anew without it. Where one cannot stand without it, or uses what it \
adds (a function, a Kconfig symbol), nothing is changed and that one is named; `--with-later` takes them all back together. More than was named is never \
taken back without it, not even with `--yes`.

Examples:
  cargo xtask revert 0005
  cargo xtask revert 0004 --with-later
  cargo xtask revert 0005 --series patches/rehearsal --kernel ~/src/linux-rockchip"
)]
pub struct Revert {
    /// The patch, by number, file name or subject
    patch: String,
    /// Take back all that was applied after it as well
    #[arg(long)]
    with_later: bool,
    /// Take back this one even though later ones use what it adds: the tree will hardly build
    #[arg(long, conflicts_with = "with_later")]
    alone: bool,
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
        let together = format!(
            "`cargo xtask revert {} --with-later{}`",
            patch.short_name(),
            self.which.flags()
        );
        if !self.with_later && !self.alone {
            refuse_users(&series, at, &applied, &together)?;
        }
        let later = standing_on(&applied, at);
        if !later.is_empty() {
            let with = match self.with_later {
                true => "taken back with",
                false => "made anew without",
            };
            let later = names(later.iter().map(|at| &series.patches[*at]));
            context.ui.say(&format!(
                "{later} came later, and will be {with} {}",
                patch.short_name()
            ));
        }
        if context.global.dry_run {
            context.ui.line(&format!(
                "revert {} ({}) in {}",
                patch.name,
                short(commit),
                place.worktree.display()
            ));
            context.ui.json(&json!({
                "dry_run": true, "tree": ui::path_name(&place.worktree), "revert": patch.name, "commit": commit, "with_later": self.with_later
            }))?;
            return Ok(Outcome::Success);
        }
        let mut tree = open(context, &place)?;
        let rule = if self.with_later {
            Later::GoToo
        } else {
            Later::Stay
        };
        let reverted = tree
            .take_back(patch, rule)
            .map_err(|error| match error.is::<Blocked>() {
                true => error.context(format!("{together} takes all of them back together")),
                false => error,
            })?;
        self.tell(context, &tree, patch, &reverted)?;
        Ok(Outcome::Success)
    }

    fn tell(&self, context: &Context, tree: &Tree, patch: &Patch, reverted: &Reverted) -> Result<()> {
        for subject in reverted.taken_along.iter().rev() {
            context.ui.line(&format!("taken back, too: {subject}"));
        }
        context.ui.line(&format!(
            "{} {} is taken back: {}; HEAD is {}",
            patch.short_name(),
            short(&reverted.commit),
            ui::count(reverted.files.len(), "file"),
            short(&reverted.head)
        ));
        for subject in &reverted.reapplied {
            context.ui.line(&format!("applied again without it: {subject}"));
        }
        context.ui.json(&json!({
            "tree": ui::path_name(tree.path()), "branch": tree.branch(), "patch": patch.name, "commit": reverted.commit,
            "head": reverted.head, "reapplied": reverted.reapplied, "taken_along": reverted.taken_along, "files": ui::path_names(&reverted.files)
        }))?;
        context.ui.say(&format!(
            "next: cargo xtask build-debug-kernel{}",
            self.which.kernel_flag()
        ));
        Ok(())
    }
}

/// Errors where an applied later patch uses what this one adds: text may stand without it, and the build would fail.
fn refuse_users(series: &Series, at: usize, applied: &[bool], together: &str) -> Result<()> {
    let users = series.users_of(at, applied);
    if users.is_empty() {
        return Ok(());
    }
    let short = |at: usize| series.patches[at].short_name();
    let said: Vec<String> = users
        .iter()
        .map(|(later, what)| format!("{} uses {what}", short(*later)))
        .collect();
    bail!(
        "{} is what later patches stand on: {}; nothing was changed. {together} takes all of them back together; `--alone` takes only this one, and \
         the tree will hardly build",
        short(at),
        said.join("; ")
    )
}

/// Names for a sentence.
fn names<'a>(patches: impl Iterator<Item = &'a Patch>) -> String {
    patches.map(Patch::short_name).collect::<Vec<_>>().join(", ")
}
