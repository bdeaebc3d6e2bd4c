//! `cargo xtask status`.

use super::Context;
use super::open_board::lock_path;
use super::runs_of;
use crate::campaign::status::{Standing, Status as Where, status};
use crate::exit::Outcome;
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
        let past = run.past?;
        let Some(begin) = &past.begin else {
            bail!(
                "the newest run ({}) has an older format, which does not say enough: its report.md has all that there is",
                run.folder.display()
            );
        };
        let lock = lock::look(&lock_path(context, &begin.board));
        let now = jiff::Timestamp::now().to_string();
        let Some(found) = status(&past, &lock, &now) else {
            bail!("the journal in {} says nothing", run.folder.display());
        };
        context.ui.json(
            &serde_json::json!({ "run": run.folder, "status": found, "lock": lock, "torn_lines": run.torn }),
        )?;
        tell(context, &found);
        if let lock::State::Stale(holder) = &lock {
            context.ui.line(&format!(
                "The lock of the board is stale: {} is gone.",
                holder.sentence()
            ));
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

fn tell(context: &Context, found: &Where) {
    let line = |text: &str| context.ui.line(text);
    let standing = match found.standing {
        Standing::Running => "running".to_string(),
        Standing::CutOff => "cut off, and nothing is at work on it".to_string(),
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
