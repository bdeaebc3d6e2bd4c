//! `cargo xtask verdict`: the verdict of a step, and a person's word on it.

use super::hold_board::hold;
use super::{Context, runs_of};
use crate::campaign::journal::past::{Past, PastRow};
use crate::campaign::journal::{self, Event, Journal};
use crate::campaign::overrule;
use crate::campaign::record::{Overruled, RunRecord};
use crate::campaign::report;
use crate::campaign::verdict::Verdict as Judged;
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// Arguments of `cargo xtask verdict`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The original verdict stays in the record, with the name, the reason and the time beside it. `resume` then applies the patch again and goes on \
                  behind it. What switched lockdep off cannot be overruled.\n\nExample:\n  cargo xtask verdict 2.2\n  cargo xtask verdict 2.2 --overrule pass \
                  --by \"Ann Other\" --why \"this warning is of another driver, reported as such\""
)]
pub struct Verdict {
    /// The step, by its number
    step: String,
    /// What it counts as from now on
    #[arg(long, value_name = "VERDICT", requires_all = ["by", "why"])]
    overrule: Option<Word>,
    /// Who says so
    #[arg(long, value_name = "NAME", requires = "overrule")]
    by: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "overrule")]
    why: Option<String>,
    /// Campaign [default: that of the newest run]
    #[arg(long)]
    campaign: Option<String>,
}

/// What a verdict may be overruled to.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Word {
    /// The step counts as passed
    Pass,
}

impl Verdict {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let run = runs_of::newest(context, self.campaign.as_deref())?;
        if let Some(unsaid) = run.unsaid {
            bail!("the newest run ({}): {unsaid}", run.folder.display());
        }
        let past = run.past?;
        let row = find(&past, &self.step)?;
        let Some(Word::Pass) = self.overrule else {
            return tell(context, row);
        };
        let (by, why) = (text(&self.by, "--by")?, text(&self.why, "--why")?);
        overrule::may_pass(row)?;
        let begin = past.begin.as_ref().context("the run does not say its board")?;
        let _held = hold(context, &begin.board, Some(&begin.campaign))?;
        if context.global.dry_run {
            context
                .ui
                .line(&format!("would let step {} count as passed", row.id));
            return Ok(Outcome::Success);
        }
        let word = Overruled {
            verdict: Judged::Pass,
            by,
            why,
            time: jiff::Timestamp::now().to_string(),
        };
        let mut journal = Journal::open(&run.folder.join(journal::FILE))?;
        journal.note(Event::Overruled, &row.id, &word)?;
        into_record(&run.folder, &row.id, &word)?;
        let original = row.judged.as_ref().map_or("", |judged| judged.verdict.text());
        context
            .ui
            .json(&json!({ "step": row.id, "original": original, "overruled": word }))?;
        context.ui.line(&format!(
            "step {} counts as passed, by the word of {}; its verdict stays in the record: {original}",
            row.id, word.by
        ));
        context.ui.line("next: cargo xtask resume");
        Ok(Outcome::Success)
    }
}

fn find<'a>(past: &'a Past, step: &str) -> Result<&'a PastRow> {
    past.row(step).with_context(|| {
        let there: Vec<&str> = past.rows.iter().map(|row| row.id.as_str()).collect();
        format!(
            "the newest run has no step `{}`; it has: {}",
            step.escape_debug(),
            there.join(", ")
        )
    })
}

fn text(given: &Option<String>, flag: &str) -> Result<String> {
    match given.as_deref().map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text.to_string()),
        _ => bail!("overruling a verdict needs {flag} with words in it: it stays in the record"),
    }
}

fn tell(context: &Context, row: &PastRow) -> Result<Outcome> {
    context.ui.json(&json!({
        "step": row.id, "verdict": row.judged.as_ref().map(|judged| judged.verdict),
        "reasons": row.judged.as_ref().map(|judged| &judged.reasons), "overruled": row.overruled
    }))?;
    let verdict = row
        .judged
        .as_ref()
        .map_or("no verdict", |judged| judged.verdict.text());
    context.ui.line(&format!("{} {}: {verdict}", row.id, row.title));
    for reason in row.judged.iter().flat_map(|judged| &judged.reasons) {
        context.ui.line(&format!("    {reason}"));
    }
    if let Some(word) = &row.overruled {
        context.ui.line(&format!(
            "    counts as {} by the word of {}, {}: {}",
            word.verdict.text(),
            word.by,
            word.time,
            word.why
        ));
    }
    Ok(Outcome::Success)
}

/// The report tells the word, too.
fn into_record(folder: &Path, step: &str, word: &Overruled) -> Result<()> {
    let Some(mut record) = RunRecord::load_if_there(folder)
        .context("the word stands in the journal, and the report does not have it: it is made again by `cargo xtask resume`")?
    else {
        return Ok(());
    };
    if let Some(row) = record.rows.iter_mut().find(|row| row.id == step) {
        row.overruled = Some(word.clone());
    }
    record.save(folder)?;
    report::write_all(folder, &record)
}
