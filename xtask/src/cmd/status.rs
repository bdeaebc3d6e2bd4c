//! `cargo xtask status`.

use super::Context;
use super::{hold_board, runs_of};
use crate::campaign::runs::{Run, Unsaid};
use crate::campaign::status::{AtWork, Standing, Status as Where, status};
use crate::exit::Outcome;
use crate::host::json::json;
use crate::host::lock;
use anyhow::{Result, bail};

/// Arguments of `cargo xtask status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It reads the journal of the run and the lock of its board; nothing is asked of the board. Exit code 20 if a person is needed, else 0.\n\n\
                  Example:\n  cargo xtask status\n  cargo xtask status rehearsal --json"
)]
pub struct Status {
    /// Campaign [default: that of the newest run]
    campaign: Option<String>,
}

impl Status {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let run = runs_of::newest(context, self.campaign.as_deref())?;
        if let Some(unsaid) = run.unsaid {
            return cut_off(context, run, unsaid);
        }
        let past = run.past?;
        let Some(begin) = &past.begin else {
            bail!(
                "the journal in {} does not say how its run was started",
                run.folder.display()
            );
        };
        let lock = hold_board::state(context, &begin.board);
        let now = jiff::Timestamp::now().to_string();
        let Some(found) = status(&past, AtWork::of(&lock, &run.folder), &now) else {
            bail!("the journal in {} says nothing", run.folder.display());
        };
        context
            .ui
            .json(&json!({ "run": run.folder, "status": found, "lock": lock, "torn_lines": run.torn }))?;
        tell(context, &found);
        if let Some(line) = of_lock(&lock, found.standing) {
            context.ui.line(&line);
        }
        for line in &run.torn {
            context.ui.line(&format!(
                "Line {line} of the journal was cut off when its writer died; it does not count."
            ));
        }
        context.ui.line(&format!("Kept in {}", run.folder.display()));
        context.ui.line(&format!("next: {}", found.command_next));
        Ok(match found.person {
            Some(_) => Outcome::PersonNeeded,
            None => Outcome::Success,
        })
    }
}

/// A run whose journal does not say how it was started. What is left of it stays where it is.
fn cut_off(context: &Context, run: Run, unsaid: Unsaid) -> Result<Outcome> {
    let folder = run.folder.display();
    if !unsaid.is_cut_off() {
        bail!("the newest run ({folder}): {unsaid}; its report.md has all that there is");
    }
    let end = run.past?.end;
    context.ui.json(&json!({
        "run": run.folder, "status": (), "campaign": run.campaign, "cut_off": unsaid, "end": end.as_ref().map(|ended| ended.end)
    }))?;
    context.ui.line(&format!("Campaign {}: {unsaid}.", run.campaign));
    context.ui.line(&format!("Kept in {folder}"));
    if let Some(ended) = end {
        context.ui.line(&format!("It has ended: {}", ended.end.text()));
        context.ui.line("next: `cargo xtask history`");
        return Ok(Outcome::Success);
    }
    context.ui.line(
        "A person is needed: what this run did is not known. `cargo xtask abort` looks at the board and the tree and takes back what is ours;          `cargo xtask bisect-apply` begins anew",
    );
    context
        .ui
        .line(&format!("next: cargo xtask abort {}", run.campaign));
    Ok(Outcome::PersonNeeded)
}

/// What the lock of the board has to say that the standing does not.
fn of_lock(lock: &lock::State, standing: Standing) -> Option<String> {
    match lock {
        lock::State::Stale { holder } => Some(format!(
            "The board was held by {}; that process has ended without giving it back.",
            holder.sentence()
        )),
        lock::State::Held { holder: Some(holder) } if standing != Standing::Running => {
            Some(format!("The board is in use: {}.", holder.sentence()))
        }
        lock::State::Held { holder: None } => {
            Some("The board is in use by a process that left no note.".into())
        }
        lock::State::Unknown { why } => Some(format!("Whether the board is in use is not known: {why}")),
        lock::State::Held { .. } | lock::State::Free => None,
    }
}

fn tell(context: &Context, found: &Where) {
    let line = |text: &str| context.ui.line(text);
    let standing = match found.standing {
        Standing::Running => "running".to_string(),
        Standing::CutOff => "cut off, and nothing is at work on it".to_string(),
        Standing::Unknown => "not ended; whether a process is at work on it is not known".to_string(),
        Standing::Ended(end) => format!("ended: {}", end.text()),
    };
    line(&format!(
        "Campaign {} on board `{}`: {standing}",
        found.campaign, found.board
    ));
    line(&format!("  `{}`, begun {}", found.command, found.started));
    if found.resumed > 0 {
        line(&format!("  continued {} times", found.resumed));
    }
    for row in &found.rows {
        line(&format!("  {:<7} {:<20} {}", row.id, row.what, row.title));
    }
    if let Some(current) = &found.current {
        let doing = current.action.as_deref().unwrap_or("between two actions");
        let seconds = current.seconds.unwrap_or_default().max(0.0);
        line(&format!(
            "  {:<7} {doing} since {} ({})  {}",
            current.row,
            current.since,
            crate::ui::short(std::time::Duration::from_secs_f64(seconds)),
            current.title
        ));
    }
    if let Some((id, title)) = &found.next {
        line(&format!("  then {id} {title}"));
    }
    if let Some(person) = &found.person {
        line(&format!("A person is needed: {person}"));
    }
}
