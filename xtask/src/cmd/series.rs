//! `cargo xtask series`.

mod check;
mod export;
mod import;
mod overview;
mod refresh;
mod show;

use super::Context;
use super::open_tree::Where;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::tree::{Stack, short};
use crate::ui;
use anyhow::Result;
use overview::Overview;

/// Arguments of `cargo xtask series`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The table: number, whether it is applied and by which commit, what it makes make build anew (as far as the Makefiles \
tell), review, subject. `--long` and `series show` tell all of it.

Examples:
  cargo xtask series
  cargo xtask series --long --series patches/rehearsal --kernel ~/src/linux-rockchip
  cargo xtask series show 0004
  cargo xtask series import ~/v3_20261101_fences.mbx"
)]
pub struct Series {
    #[command(flatten)]
    which: Where,
    /// Everything that is known of each patch
    #[arg(long)]
    long: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What can be done with a series.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Everything that is known of one patch
    Show(show::Show),
    /// Make a series of a mailbox, as `b4 am` writes it
    Import(import::Import),
    /// Write what is applied as patches, as `git format-patch` does
    Export(export::Export),
    /// Take edits of the work tree into the patch that they belong to, and write its file anew
    Refresh(refresh::Refresh),
    /// Run the tree's own checkpatch.pl on each patch
    Check(check::Check),
}

impl Series {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match &self.verb {
            None => self.list(context),
            Some(Verb::Show(verb)) => verb.run(context),
            Some(Verb::Import(verb)) => verb.run(context),
            Some(Verb::Export(verb)) => verb.run(context),
            Some(Verb::Refresh(verb)) => verb.run(context),
            Some(Verb::Check(verb)) => verb.run(context),
        }
    }

    /// Lists the patches. Reads only.
    fn list(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let stack = self.which.stack(context)?;
        let rows = overview::of(&series, stack.as_ref())?;
        if self.long {
            for row in &rows {
                row.tell(context);
            }
        } else {
            table(context, &rows);
        }
        let tree = stack.as_ref().map(Stack::repository);
        context
            .ui
            .json(&json!({ "series": ui::path_name(&series.folder), "tree": tree, "patches": rows }))?;
        if let Ok(place) = self.which.place(context) {
            context.ui.say(&format!("the tree: {}", place.told()));
        }
        match (stack, rows.iter().find(|row| row.applied.is_none())) {
            (None, _) => context.ui.say("no kernel tree yet; next: cargo xtask setup"),
            (Some(_), Some(row)) => {
                let command = format!("cargo xtask apply {}{}", row.short, self.which.flags());
                context.ui.say(&format!("next: {command}"));
            }
            (Some(_), None) => context
                .ui
                .say("all are applied; next: cargo xtask build-debug-kernel"),
        }
        Ok(Outcome::Success)
    }
}

/// Columns of the table: with the subject, a hundred.
const COLUMNS: usize = 100;

fn table(context: &Context, rows: &[Overview]) {
    let width = |of: fn(&Overview) -> String, least: usize, most: usize| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .max()
            .unwrap_or(0)
            .clamp(least, most)
    };
    let rebuilds = width(|row| row.scope.short(), 8, 22);
    let review = width(|row| row.review.short(), 6, 22);
    let head = format!(
        "{:<5} {:<12}  {:<rebuilds$}  {:<review$}  subject",
        "patch", "applied", "rebuilds", "review"
    );
    context.ui.line(&head);
    for row in rows {
        let applied = row.applied.as_deref().map_or("-", |commit| short(commit));
        let front = format!(
            "{:<5} {applied:<12}  {:<rebuilds$}  {:<review$}  ",
            row.short,
            cut(&row.scope.short(), rebuilds),
            cut(&row.review.short(), review)
        );
        let left = COLUMNS.saturating_sub(front.chars().count()).max(20);
        context.ui.line(&format!("{front}{}", cut(&row.subject, left)));
    }
}

/// A text of at most `width` characters, its end marked where some are left out.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
