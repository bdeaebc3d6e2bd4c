//! `cargo xtask review`.

use super::Context;
use super::open_tree::Where;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::review::{self, Decision, State};
use crate::kernel::series::Series;
use crate::ui;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask review`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A review stands in reviews.toml beside the patch, to be committed with it. It is bound to the content (hash of the whole file, and patch \
id): an edited patch has lost its approval, and it is told whether the diff or only the message changed. The last word of each reviewer counts, and one \
rejection outweighs every approval. `Reviewed-by:` trailers are shown and do not count.

Examples:
  cargo xtask review
  cargo xtask review 0007 --approve --by \"Ann Other\" --note \"all seven run functions, tested on rk3588\"
  cargo xtask review 0007 --reject --by \"Ann Other\" --note \"one hook in device_run is the wrong place\""
)]
pub struct Review {
    /// The patch, by number, file name or subject; none to list the reviews of all
    patch: Option<String>,
    /// It may be applied
    #[arg(long, requires = "patch", conflicts_with = "reject")]
    approve: bool,
    /// It may not be applied
    #[arg(long, requires = "patch")]
    reject: bool,
    /// Who reviewed it
    #[arg(long, value_name = "NAME", requires = "patch")]
    by: Option<String>,
    /// Why; a rejection needs it
    #[arg(long, value_name = "TEXT", requires = "patch", default_value = "")]
    note: String,
    #[command(flatten)]
    which: Where,
}

impl Review {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let decision = match (self.approve, self.reject) {
            (true, _) => Decision::Approve,
            (_, true) => Decision::Reject,
            _ => return self.list(context, &series),
        };
        let at = series.find(self.patch.as_deref().unwrap_or_default())?;
        let (patch, file) = (&series.patches[at], &series.paths[at]);
        let Some(by) = self.by.as_deref().map(str::trim).filter(|by| !by.is_empty()) else {
            bail!("reviewing {}: a review needs a name: `--by NAME`", patch.name);
        };
        if decision == Decision::Reject && self.note.trim().is_empty() {
            bail!(
                "reviewing {}: a rejection needs a reason, so that somebody can act on it: `--note TEXT`",
                patch.name
            );
        }
        let entry = review::Review {
            patch: patch.name.clone(),
            decision,
            by: by.to_string(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            note: self.note.trim().to_string(),
            patch_id: patch.patch_id(),
            sha256: patch.sha256.clone(),
        };
        let mut reviews = review::read(file)?;
        reviews.push(entry.clone());
        let state = review::state(patch, &reviews);
        if !context.global.dry_run {
            review::add(file, &entry)?;
        }
        let verb = if context.global.dry_run {
            "would add to"
        } else {
            "added to"
        };
        context.ui.line(&format!(
            "{} {}: {}",
            patch.short_name(),
            patch.subject,
            state.sentence()
        ));
        context.ui.json(&json!({
            "dry_run": context.global.dry_run, "file": ui::path_name(&review::file_of(file)), "review": entry, "state": state
        }))?;
        context
            .ui
            .say(&format!("{verb} {}", review::file_of(file).display()));
        let next = match state {
            State::Approved(_) => format!("cargo xtask apply {}{}", patch.short_name(), self.which.flags()),
            _ => format!("cargo xtask review{}", self.which.flags()),
        };
        context.ui.say(&format!("commit it with the patch; next: {next}"));
        Ok(Outcome::Success)
    }

    fn list(&self, context: &Context, series: &Series) -> Result<Outcome> {
        let only = self.patch.as_deref().map(|name| series.find(name)).transpose()?;
        if self.by.is_some() || !self.note.is_empty() {
            bail!("a review is an approval or a rejection: add `--approve` or `--reject`");
        }
        let mut rows = Vec::new();
        for (at, patch) in series
            .patches
            .iter()
            .enumerate()
            .filter(|(at, _)| only.is_none_or(|only| only == *at))
        {
            let state = review::state(patch, &review::read(&series.paths[at])?);
            context
                .ui
                .line(&format!("{:<6} {}", patch.short_name(), patch.subject));
            context.ui.line(&format!("       {}", state.sentence()));
            let trailers = patch.trailers("Reviewed-by");
            for name in &trailers {
                context.ui.line(&format!(
                    "       Reviewed-by: {name} (in the message; opens no gate)"
                ));
            }
            rows.push(json!({ "patch": patch.name, "review": state, "reviewed_by": trailers }));
        }
        context
            .ui
            .json(&json!({ "series": ui::path_name(&series.folder), "patches": rows }))?;
        context.ui.say(&format!(
            "next: cargo xtask review PATCH --approve --by NAME --note TEXT{}",
            self.which.flags()
        ));
        Ok(Outcome::Success)
    }
}
