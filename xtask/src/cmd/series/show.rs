//! `cargo xtask series show`.

use super::{Context, overview};
use crate::cmd::open_tree::Where;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::tree::Stack;
use crate::ui;
use anyhow::Result;

/// Arguments of `cargo xtask series show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask series show 0004 --series patches/rehearsal")]
pub struct Show {
    /// The patch, by number, file name or subject
    patch: String,
    #[command(flatten)]
    which: Where,
}

impl Show {
    /// Runs the verb. Reads only.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let at = series.find(&self.patch)?;
        let stack = self.which.stack(context)?;
        let row = &overview::of(&series, stack.as_ref())?[at];
        row.tell(context);
        let body = &series.patches[at].body;
        if !body.is_empty() {
            context.ui.text(&format!("\n{body}"));
        }
        let tree = stack.as_ref().map(Stack::repository);
        context.ui.json(
            &json!({ "series": ui::path_name(&series.folder), "tree": tree, "patch": row, "message": body }),
        )?;
        let next = match (row.review.is_open(), &row.applied) {
            (false, _) => format!("review {} --approve --by NAME --note TEXT", row.short),
            (true, None) => format!("apply {}", row.short),
            (true, Some(_)) => "build-debug-kernel".into(),
        };
        context
            .ui
            .say(&format!("next: cargo xtask {next}{}", self.which.flags()));
        Ok(Outcome::Success)
    }
}
