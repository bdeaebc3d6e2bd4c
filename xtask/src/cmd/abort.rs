//! `cargo xtask abort`.

use super::open_board::{backup_folder, lock, power_on};
use super::{Context, runs_of};
use crate::board::backup;
use crate::board::boot::ConsentGiven;
use crate::campaign::abort::{self, Abort as Aborting};
use crate::campaign::journal::{self, Journal};
use crate::campaign::resume::Decision;
use crate::campaign::way_home::Home;
use crate::exit::Outcome;
use crate::kernel::place::Place;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// Arguments of `cargo xtask abort`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The end is a safe one: vanilla runs and is the default, our label is gone, the tree has none of our patches. Backups, evidence, the slot's files \
                  and the journal stay (`cargo xtask rollback` takes the slot's files away, too). Safe to run twice.\n\nExit codes: 0 done; 20 a person has to do \
                  something first, which is said.\n\nExample:\n  cargo xtask abort --dry-run\n  cargo xtask abort"
)]
pub struct Abort {
    /// Campaign [default: that of the newest run]
    campaign: Option<String>,
}

/// How long a board may take to answer before it counts as silent.
const ANSWER: Duration = Duration::from_secs(20);

impl Abort {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let run = runs_of::newest(context, self.campaign.as_deref())?;
        let past = run.past?;
        let begin = past.begin.as_ref().with_context(|| {
            format!(
                "the run in {} has an older format and does not say its board: `cargo xtask rollback --board NAME` takes away all that is ours",
                run.folder.display()
            )
        })?;
        let _lock = lock(context, &begin.board)?;
        let board = power_on(context, &begin.board)?;
        let backups = backup_folder(context, &begin.board.parse()?, &begin.campaign.parse()?);
        let mut tree = Place::of(&context.folders.cache, begin.kernel.as_deref())?.open()?;
        let mut aborting = Aborting {
            home: Home {
                board: board.as_ref(),
                campaign: &begin.campaign,
                backups: &backups,
            },
            protected: backup::host_manifest(&backups)?.map(|known| known.protected),
            tree: &mut tree,
        };
        let plan = match aborting.plan(&past, ANSWER)? {
            Ok(plan) => plan,
            Err(decision) => return person(context, &decision),
        };
        for line in plan.lines(&begin.board) {
            context.ui.line(&format!("  - {line}"));
        }
        if context.global.dry_run {
            context
                .ui
                .json(&serde_json::json!({ "dry_run": true, "plan": plan }))?;
            return Ok(Outcome::Success);
        }
        context
            .ui
            .confirm(context.global.consent(), "Do this, and give the run up?")?;
        let consent = ConsentGiven::after_asking();
        let mut journal = Journal::open(&run.folder.join(journal::FILE))?;
        let facts = aborting.execute(&plan, consent, &mut journal)?;
        abort::end(&run.folder, &past, &mut journal)?;
        context
            .ui
            .json(&serde_json::json!({ "run": run.folder, "plan": plan, "facts": facts }))?;
        facts.iter().for_each(|fact| context.ui.line(fact));
        context.ui.line("next: `cargo xtask history`");
        Ok(Outcome::Success)
    }
}

fn person(context: &Context, decision: &Decision) -> Result<Outcome> {
    context.ui.json(decision)?;
    if let Decision::Person { what, why } = decision {
        context.ui.line(&format!("A person is needed: {what}."));
        context.ui.line(&format!("Why: {why}."));
        context.ui.line("next: then `cargo xtask abort` again");
    }
    Ok(Outcome::PersonNeeded)
}
