//! `cargo xtask back-to-vanilla`: what a campaign becomes behind the second Ctrl-C. It brings the
//! board of a run to vanilla, as `resume` would, and nothing else; it is not meant to be typed.

use super::Context;
use super::hold_board::hold;
use super::open_board::backup_folder;
use crate::board::backup;
use crate::board::boot::{ConsentGiven, Limits, Outcome as Booted};
use crate::campaign::journal::past::BOOT_VANILLA;
use crate::campaign::journal::{self, Journal};
use crate::campaign::resume::{self, Decision};
use crate::campaign::runs;
use crate::campaign::way_home::{self, Home};
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How long a board may take to answer before it counts as silent.
const ANSWER: Duration = Duration::from_secs(20);

/// Arguments of `cargo xtask back-to-vanilla`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run that was stopped by two Ctrl-C becomes this. The exit code is 130 whatever came of it: the campaign was stopped.\n\nExample:\n  \
                  cargo xtask back-to-vanilla .lockstep/runs/rehearsal/20260101T120000"
)]
pub struct BackToVanilla {
    /// Folder of the run
    #[arg(value_name = "FOLDER")]
    run: PathBuf,
}

impl BackToVanilla {
    /// Brings it there, and says what came of it; then the run was interrupted, as before.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let came = self.come(context);
        match &came {
            Ok(said) => context.ui.say(said),
            Err(error) => context.ui.warn(&format!(
                "bringing the board to vanilla: {error:#}. Vanilla is the default of the board's menu, and a kernel under test resets itself \
                 when its lease ends; `cargo xtask resume` looks at both"
            )),
        }
        Ok(Outcome::Interrupted)
    }

    /// By the journal, and by what runs on the board now (invariant 11). Consent to these reboots
    /// was given when the run began.
    fn come(&self, context: &Context) -> Result<String> {
        let campaign = self.run.parent().and_then(|folder| folder.file_name());
        let campaign = campaign.context("a run lies in the folder of its campaign")?;
        let run = runs::open(self.run.clone(), campaign.to_string_lossy().into_owned());
        let past = run.past?;
        let begin = past
            .begin
            .as_ref()
            .context("the journal does not say how the run was started")?;
        let mut held = hold(context, &begin.board, Some(&begin.campaign))?;
        held.is_for_run(&self.run)?;
        let board = held.power_on(context, ANSWER)?;
        let backups = backup_folder(context, &begin.board.parse()?, &begin.campaign.parse()?);
        let known = backup::host_manifest(&backups)?.map(|known| known.protected);
        // One that cannot be reset from here comes back by itself, by its watchdog or its lease.
        let limit = match board.description().has_reset {
            true => ANSWER,
            false => Limits::of(board.as_ref()).whole(),
        };
        let seen = way_home::see(board.as_ref(), known.as_ref(), limit);
        let reset = match resume::to_vanilla(&past, &seen) {
            Ok(Some(reset)) => reset,
            Ok(None) => return Ok("the board runs vanilla already".into()),
            Err(Decision::Person { what, why }) => return Ok(format!("a person is needed: {what} ({why})")),
            Err(_) => anyhow::bail!("what this run left at the board tells no way to vanilla"),
        };
        if context.global.dry_run {
            return Ok(format!(
                "the board would be brought to vanilla by {}",
                reset.name()
            ));
        }
        let protected = known.context("the board was not prepared: there is no backup of it")?;
        let home = Home {
            board: board.as_ref(),
            campaign: &begin.campaign,
            backups: &backups,
        };
        let mut journal = Journal::open(&self.run.join(journal::FILE))?;
        let step = past.current.as_deref().unwrap_or_default();
        let booted = journal.act(
            step,
            BOOT_VANILLA,
            json!({ "reset": reset }),
            || home.come(&protected, reset, ConsentGiven::after_asking()),
            |boot| json!(boot),
        )?;
        match booted.outcome {
            Booted::Booted(answer) => Ok(format!(
                "the board is back on vanilla: {} answers after {:.0} s",
                answer.release, answer.seconds
            )),
            other => anyhow::bail!("the board did not come back to vanilla: {}", other.text()),
        }
    }
}
