//! `cargo xtask preflight`.

use super::Context;
use super::open_board::{BoardFlags, backups_of};
use crate::board::Board;
use crate::board::backup::{self, Made, Modules, Verified};
use crate::board::boot::{Capture, ConsentGiven, Permit, Reset};
use crate::board::preflight::{self, Backup, Check, Needed, ProvenCapture, Report, Status};
use crate::board::protected::Protected;
use crate::board::{autologin, awake, rescue_card, second_host, way_back};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::json::json;
use crate::kernel::place::Place;
use crate::kernel::stage;
use crate::manifest::{self, Manifest};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `cargo xtask preflight`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask preflight --board virtual --campaign iter6 --yes\n\nIt backs vanilla up, on the board and \
                  on this host, reads both back, looks at everything else without changing it, and resets vanilla once by each path \
                  that brings it back. Exit code 3: a check failed, and no campaign may start."
)]
pub struct Preflight {
    #[command(flatten)]
    board: BoardFlags,
    /// Free space that the boot folder needs, in MB [default: measured on the last build, else 67]
    #[arg(long, value_name = "MB")]
    boot_space: Option<u64>,
    /// Put right what can be: switch automatic log-ins off (a rollback switches them on again), hold the board awake until the rollback
    #[arg(long)]
    fix: bool,
    /// Do not try the ways back to vanilla: a campaign tries those that are missing itself
    #[arg(long)]
    no_reboots: bool,
    /// Back up only these folders of vanilla's modules (`kernel/drivers/media`); all of them without it
    #[arg(long, value_name = "FOLDER")]
    modules: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Answer<'a> {
    board: &'a str,
    may_start: bool,
    vanilla_release: &'a str,
    backup: Option<BackupAnswer>,
    report: &'a Report,
}

#[derive(Serialize)]
struct BackupAnswer {
    made: Made,
    #[serde(serialize_with = "crate::host::json::named")]
    on_board: PathBuf,
    #[serde(serialize_with = "crate::host::json::named")]
    on_host: PathBuf,
    files: usize,
}

/// The debug kernel that was built last, if there is one. Errors: its manifest cannot be read.
fn last_build(context: &Context) -> Result<Option<Manifest>> {
    // No kernel source was imported yet.
    let Ok(place) = Place::of(&context.folders.cache, None) else {
        return Ok(None);
    };
    stage::read_manifest_if_there(&place.staging.join("lockdep"))
}

/// What its final `.config` says of its lease. Errors: it cannot be read.
fn lease_of(build: &Manifest) -> Result<Check> {
    let config = bounded::read_text_if_there(&build.root.join(manifest::CONFIG), bounded::WRITTEN)?;
    Ok(preflight::built(config.as_deref()))
}

impl Preflight {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        // A label that the backup was not made for is refused before the board is opened.
        let known = self.board.known(context)?;
        let mut held = self.board.hold(context)?;
        let board = held.open(context)?;
        let board = board.as_ref();
        let known_before = known.is_some();
        let protected = match known {
            Some(protected) => protected,
            None => Protected::compute(board, &self.board.label)?,
        };
        if context.global.dry_run {
            return self.dry_run(context, board, &protected);
        }
        if known_before {
            protected.check(board)?;
        }
        let verified = self.back_up(context, board, &protected)?;
        self.push_on(context, board, &verified)?;
        if self.fix {
            self.put_right(context, board, &protected)?;
        }
        let task = context.ui.task("looking at the board", None);
        let build = last_build(context)?;
        let mut report = preflight::run(
            board,
            &protected,
            Backup::Verified(&verified),
            self.needed(build.as_ref(), &protected),
        )?;
        report.checks.extend(build.as_ref().map(lease_of).transpose()?);
        task.done(&format!("{} checks", report.checks.len()));
        let (path, card) = rescue_card::save(board, &verified)?;
        card.lines().for_each(|line| context.ui.line(line));
        context.ui.line("");
        context.ui.line(&format!(
            "This rescue card is saved in {}: print it, or keep it on another machine.",
            path.display()
        ));
        context.ui.line("");
        let outcome = self.tell(context, &protected, &verified, &report)?;
        match report.capture {
            Some(capture) if report.may_start() && !self.no_reboots => {
                self.way_back(context, board, &protected, &verified, capture)?;
            }
            _ => {}
        }
        if outcome == Outcome::Success {
            context
                .ui
                .line(&format!("next: `cargo xtask deploy{}`", self.board.typed()));
        }
        Ok(outcome)
    }

    /// Tries each path back to vanilla that was not tried with this vanilla yet (invariant 3).
    fn way_back(
        &self,
        context: &Context,
        board: &dyn Board,
        protected: &Protected,
        verified: &Verified,
        capture: ProvenCapture,
    ) -> Result<()> {
        let folder = backups_of(context, &self.board.board);
        let known = way_back::known(&folder, protected)?;
        for proven in &known {
            context.ui.line(&proven.sentence());
        }
        let missing: Vec<Reset> = way_back::needed(board)?
            .into_iter()
            .filter(|reset| !known.iter().any(|proven| proven.reset == *reset))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|reset| reset.name()).collect();
        context.ui.confirm(
            context.global.consent(),
            &format!(
                "Reset board `{}` {} times to see vanilla come back (by {})? `--no-reboots` leaves it out",
                self.board.board,
                missing.len(),
                names.join(", ")
            ),
        )?;
        let permit = Permit {
            backup: verified,
            capture: Capture::Proven(capture),
            consent: ConsentGiven::after_asking(),
        };
        for reset in missing {
            let task = context
                .ui
                .task(&format!("the way back by {}", reset.name()), None);
            let proven = way_back::prove(board, protected, reset, &permit, &folder, &mut |_| {})?;
            task.done("");
            context.ui.line(&proven.sentence());
        }
        Ok(())
    }

    fn dry_run(&self, context: &Context, board: &dyn Board, protected: &Protected) -> Result<Outcome> {
        let bytes = protected.inventory.bytes();
        let steps = [
            format!(
                "back up {} files of vanilla {} ({:.1} MB) on the board in {}",
                protected.inventory.len(),
                protected.release,
                bytes as f64 / 1e6,
                backup::board_folder(board, &self.board.campaign)?.display()
            ),
            format!(
                "and on this host in {}",
                self.board.backup_folder(context).display()
            ),
            "read both back; verify them instead when they exist".to_string(),
            "write one line to the kernel log and one to /dev/pmsg0, and look whether the capture has it"
                .to_string(),
            "reset vanilla once by each path that was not tried with it yet: reboot, panic, forced reset, watchdog".to_string(),
        ];
        steps.iter().for_each(|step| context.ui.line(step));
        context.ui.json(&json!({ "dry_run": true, "plan": steps }))?;
        Ok(Outcome::Success)
    }

    fn back_up(&self, context: &Context, board: &dyn Board, protected: &Protected) -> Result<Verified> {
        let folder = backup::board_folder(board, &self.board.campaign)?;
        context.ui.confirm(
            context.global.consent(),
            &format!(
                "Back up vanilla {} of board `{}` in {} and in {} (or verify what is there)?",
                protected.release,
                self.board.board,
                folder.display(),
                self.board.backup_folder(context).display()
            ),
        )?;
        let modules = if self.modules.is_empty() {
            Modules::All
        } else {
            Modules::Folders(self.modules.clone())
        };
        let task = context.ui.task("backing vanilla up", None);
        let verified = backup::make(
            board,
            protected,
            &self.board.campaign,
            &modules,
            &self.board.backup_folder(context),
        )?;
        task.done(match verified.made() {
            Made::New => "on the board and on this host, both read back",
            Made::Archive => "the archive on this host is new; both read back",
            Made::BoardCopy => "the copy on the board is new; both read back",
            Made::Nothing => "both copies were there; read back, and whole",
        });
        Ok(verified)
    }

    /// Measured on what was built last, where something was.
    fn needed(&self, build: Option<&Manifest>, protected: &Protected) -> Needed {
        let mut needed = build.map_or(Needed::GUESS, |build| Needed::of(build, protected));
        if let Some(megabytes) = self.boot_space {
            needed.boot = megabytes.saturating_mul(1_000_000);
        }
        needed
    }

    /// Plan 0.1, and a board that sleeps looks dead. Each is asked for.
    fn put_right(&self, context: &Context, board: &dyn Board, protected: &Protected) -> Result<()> {
        let found = autologin::active(board)?;
        if !found.is_empty() {
            let files: Vec<String> = found.iter().map(|one| one.file.display().to_string()).collect();
            let question = format!("Switch automatic log-ins off by renaming {}?", files.join(", "));
            context.ui.confirm(context.global.consent(), &question)?;
            for file in autologin::disable(board, protected, &self.board.campaign, &found)? {
                context.ui.line(&format!("renamed to {}", file.display()));
            }
        }
        if let Err(error) = awake::hold(board) {
            context
                .ui
                .warn(&format!("the board cannot be held awake: {error:#}"));
        }
        Ok(())
    }

    /// To the second host, where the board's file names one.
    fn push_on(&self, context: &Context, board: &dyn Board, verified: &Verified) -> Result<()> {
        let Some(second) = &board.description().second_host else {
            return Ok(());
        };
        let task = context
            .ui
            .task(&format!("pushing the backup on to {}", second.host), None);
        second_host::push(
            second,
            &self.board.board,
            &self.board.campaign,
            verified.on_host(),
        )
        .with_context(|| {
            format!(
                "the backup on {} (`second-host` in the board's file)",
                second.host
            )
        })?;
        second_host::verify(
            second,
            &self.board.board,
            &self.board.campaign,
            verified.on_host(),
        )?;
        task.done("hashed there");
        Ok(())
    }

    fn tell(
        &self,
        context: &Context,
        protected: &Protected,
        verified: &Verified,
        report: &Report,
    ) -> Result<Outcome> {
        report
            .checks
            .iter()
            .flat_map(shown)
            .for_each(|line| context.ui.line(&line));
        for user in &report.logged_in {
            context.ui.line(&format!("logged in: {user}"));
        }
        context.ui.json(&Answer {
            board: &self.board.board,
            may_start: report.may_start(),
            vanilla_release: &protected.release,
            backup: Some(BackupAnswer {
                made: verified.made(),
                on_board: verified.on_board().to_path_buf(),
                on_host: verified.on_host().to_path_buf(),
                files: verified.manifest().inventory.len(),
            }),
            report,
        })?;
        if report.may_start() {
            return Ok(Outcome::Success);
        }
        context.ui.line(&format!(
            "no campaign on this board yet: do what the failed checks say, then `cargo xtask preflight{}`",
            self.board.typed()
        ));
        Ok(Outcome::CheckFailed)
    }
}

fn shown(check: &Check) -> Vec<String> {
    let status = match check.status {
        Status::Pass => "pass",
        Status::Warning => "WARNING",
        Status::Fail => "FAIL",
    };
    let mut lines = vec![format!(
        "{status:<8}{:<10}{}: {}",
        check.id, check.title, check.reason
    )];
    if !check.fix.is_empty() {
        lines.push(format!("{:<18}fix: {}", "", check.fix));
    }
    lines
}
