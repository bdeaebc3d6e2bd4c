//! `cargo xtask history`.

use super::Context;
use crate::campaign::runs::{self, Summary};
use crate::exit::Outcome;
use crate::host::json::json;
use crate::ui;
use anyhow::Result;
use std::time::Duration;

/// Arguments of `cargo xtask history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask history\n  cargo xtask history rehearsal --json")]
pub struct History {
    /// Campaign [default: all]
    campaign: Option<String>,
}

impl History {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let runs = runs::list(&context.folders.state)?;
        let wanted = |run: &&runs::Run| self.campaign.as_ref().is_none_or(|name| *name == run.campaign);
        let summaries: Vec<Summary> = runs.iter().filter(wanted).map(runs::summary).collect();
        context.ui.json(&json!({ "runs": summaries }))?;
        for run in &summaries {
            context.ui.line(&line(run));
            context.ui.line(&format!("    {}", run.folder.display()));
        }
        if summaries.is_empty() {
            context.ui.line("No run yet.");
        }
        context.ui.line("next: `cargo xtask status`");
        Ok(Outcome::Success)
    }
}

fn line(run: &Summary) -> String {
    let started: String = run.started.chars().take(19).collect();
    let took = run.seconds.map_or("?".into(), |seconds| {
        ui::short(Duration::from_secs_f64(seconds.max(0.0)))
    });
    let verdicts: Vec<String> = run
        .verdicts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    format!(
        "{started:<19}  {:<16} {:<12} {:<20} {took:<10} {}",
        run.campaign,
        run.board.as_deref().unwrap_or("?"),
        run.end,
        verdicts.join(", ")
    )
}
