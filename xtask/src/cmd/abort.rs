//! `cargo xtask abort`.

use super::hold_board::hold;
use super::open_board::backup_folder;
use super::{Context, runs_of};
use crate::board::backup;
use crate::board::boot::ConsentGiven;
use crate::campaign::abort::{self, Abort as Aborting, Reach};
use crate::campaign::file::Campaign;
use crate::campaign::journal::past::{Left, Past};
use crate::campaign::journal::{self, Journal};
use crate::campaign::record::RunRecord;
use crate::campaign::resume::Decision;
use crate::campaign::runs::Run;
use crate::campaign::way_home::Home;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::place::Place;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `cargo xtask abort`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The end is a safe one: vanilla runs and is the default, our label is gone, the tree has none of our patches. A kernel tree that was deleted or \
                  moved is left alone, and what this run had applied there is printed. A run whose journal a power cut has taken is given up by what the board \
                  and the tree look like. Backups, evidence, the slot's files \
                  and the journal stay (`cargo xtask rollback` takes the slot's files away, too). Safe to run twice.\n\nExit codes: 0 done; 20 a person has to do \
                  something first, which is said.\n\nExample:\n  cargo xtask abort --dry-run\n  cargo xtask abort"
)]
pub struct Abort {
    /// Campaign [default: that of the newest run]
    campaign: Option<String>,
    /// Where the kernel tree of the run is now, if it was moved
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
    /// Its board, for a run that was cut off before its journal said so [default: of its record or its campaign file]
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
}

/// How long a board may take to answer before it counts as silent.
const ANSWER: Duration = Duration::from_secs(20);

/// The run that is given up, as far as it is known.
struct GivenUp {
    board: String,
    campaign: String,
    kernel: Option<PathBuf>,
    past: Past,
}

impl Abort {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let run = runs_of::newest(context, self.campaign.as_deref())?;
        let folder = run.folder.clone();
        let run = self.given_up(context, run)?;
        let mut held = hold(context, &run.board, Some(&run.campaign))?;
        held.is_for_run(&folder)?;
        let board = held.power_on(context, ANSWER)?;
        let backups = backup_folder(context, &run.board.parse()?, &run.campaign.parse()?);
        let kernel = self.kernel.as_deref().or(run.kernel.as_deref());
        let mut open;
        // One that was named now has to be there.
        let gone = match &self.kernel {
            Some(_) => None,
            None => Place::gone(&context.folders.cache, kernel)?,
        };
        let tree = match gone {
            Some(why) => Reach::Gone(why),
            None => {
                open = Place::of(&context.folders.cache, kernel)?.open()?;
                Reach::Open(&mut open)
            }
        };
        let mut aborting = Aborting {
            home: Home {
                board: board.as_ref(),
                campaign: &run.campaign,
                backups: &backups,
            },
            protected: backup::host_manifest(&backups)?.map(|known| known.protected),
            tree,
        };
        let plan = match aborting.plan(&run.past, ANSWER)? {
            Ok(plan) => plan,
            Err(decision) => return person(context, &decision),
        };
        for line in plan.lines(&run.board) {
            context.ui.line(&format!("  - {line}"));
        }
        if context.global.dry_run {
            context.ui.json(&json!({ "dry_run": true, "plan": plan }))?;
            return Ok(Outcome::Success);
        }
        context
            .ui
            .confirm(context.global.consent(), "Do this, and give the run up?")?;
        let consent = ConsentGiven::after_asking();
        let mut journal = Journal::open(&folder.join(journal::FILE))?;
        let facts = aborting.execute(&plan, consent, &mut journal)?;
        abort::end(&folder, &run.past, &mut journal)?;
        context
            .ui
            .json(&json!({ "run": folder, "plan": plan, "facts": facts }))?;
        facts.iter().for_each(|fact| context.ui.line(fact));
        context.ui.line("next: `cargo xtask history`");
        Ok(Outcome::Success)
    }

    /// What the journal says of the run. Where it was cut off before it said so: the board of its record or of its campaign file, which may run our label.
    fn given_up(&self, context: &Context, run: Run) -> Result<GivenUp> {
        let past = run.past?;
        if let (None, Some(begin)) = (run.unsaid, &past.begin) {
            return Ok(GivenUp {
                board: begin.board.clone(),
                campaign: begin.campaign.clone(),
                kernel: begin.kernel.clone(),
                past,
            });
        }
        let folder = run.folder.display();
        let why = run.unsaid.map(|unsaid| unsaid.to_string()).unwrap_or_default();
        if run.unsaid.is_none_or(|unsaid| !unsaid.is_cut_off()) {
            bail!(
                "the run in {folder}: {why}. `cargo xtask rollback --board NAME` takes away all that is ours"
            );
        }
        let board = match (&self.board, RunRecord::load(&run.folder)) {
            (Some(board), _) => board.clone(),
            (None, Ok(record)) => record.board,
            (None, Err(_)) => of_campaign_file(context, &run.campaign).with_context(|| {
                format!("the run in {folder}: {why}. Neither its record nor a campaign file says its board: name it with --board")
            })?,
        };
        context.ui.warn(&format!(
            "the run in {folder}: {why}. Board `{board}` and the tree are looked at instead"
        ));
        Ok(GivenUp {
            board,
            campaign: run.campaign,
            kernel: None,
            past: Past {
                left: Left::MaybeOurs,
                ..past
            },
        })
    }
}

/// The board of `campaigns/<name>.toml`.
fn of_campaign_file(context: &Context, campaign: &str) -> Result<String> {
    let path = context
        .folders
        .project
        .join("campaigns")
        .join(format!("{campaign}.toml"));
    Ok(Campaign::load(&path)?.board)
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
