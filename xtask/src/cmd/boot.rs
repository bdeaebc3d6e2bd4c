//! `cargo xtask boot`.

use super::Context;
use super::open_board::BoardFlags;
use crate::board::boot::{
    self, Boot as Booting, Capture, ConsentGiven, Method, Named, Outcome as Ended, Permit, Progress, Reset,
};
use crate::board::protected::Protected;
use crate::board::{Board, backup, lease, preflight, slot};
use crate::campaign::harvest_netconsole;
use crate::campaign::said::Said;
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::time::Duration;

/// How long a board that may be silent may take to say which machine it is.
const MAYBE_SILENT: Duration = Duration::from_secs(5);

/// Arguments of `cargo xtask boot`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask boot arch_devices_lockdep --stay 30\n  cargo xtask boot vanilla\n  cargo xtask boot \
                  arch_devices_lockdep --method kexec --dry-run\n\nOur label gets one attempt: vanilla stays what boots \
                  unattended. On a board whose file has [netconsole] it is set up in the booted kernel, where that can. Exit code 10: vanilla came up instead; 20: nothing answers, and a person is needed."
)]
pub struct Boot {
    /// Our label, or `vanilla`
    #[arg(value_name = "LABEL")]
    target: String,
    #[command(flatten)]
    board: BoardFlags,
    /// Boot method [default: the best one that the board allows and that needs nobody at it]
    #[arg(long)]
    method: Option<Method>,
    /// How long our label may run before its lease ends it, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 30)]
    stay: u64,
    /// How vanilla is restarted: by force when it does not answer any more
    #[arg(long)]
    force: bool,
}

/// How a boot of ours went, and what came of netconsole where the board's file asks for it.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    booted: &'a Booting,
    #[serde(skip_serializing_if = "Option::is_none")]
    netconsole: Option<serde_json::Value>,
}

impl Boot {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        // What can be known without the board is known before it is opened.
        let protected = self.board.protected(context)?;
        let named = boot::named(&protected, &self.target)?;
        let mut held = self.board.hold(context)?;
        let board = match self.force {
            true => held.open_silent(context, MAYBE_SILENT)?,
            false => held.open(context)?,
        };
        match named {
            Named::Ours => self.ours(context, board.as_ref(), &protected),
            Named::Vanilla => self.vanilla(context, board.as_ref(), &protected),
        }
    }

    fn ours(&self, context: &Context, board: &dyn Board, protected: &Protected) -> Result<Outcome> {
        let method = boot::choose_for(board, protected, self.method)?;
        let record = slot::verify(board, protected)?;
        context.ui.line(&format!(
            "label `{}` boots {} (build id {}) by the method {}",
            record.label,
            record.release,
            record.build_id,
            method.name()
        ));
        let guarantee = method.guarantee();
        for line in guarantee.promises {
            context.ui.line(&format!("  + {line}"));
        }
        for line in guarantee.leaves_open {
            context.ui.line(&format!("  - {line}"));
        }
        let root = preflight::root_at_risk(board.description().root);
        context.ui.line(&format!("  its root: {}", root.reason));
        if context.global.dry_run {
            if board.description().netconsole {
                context
                    .ui
                    .line("  netconsole is set up in it then, where its kernel can");
            }
            context.ui.json(&json!({
                "dry_run": true, "method": method, "guarantee": guarantee, "release": record.release
            }))?;
            return Ok(Outcome::Success);
        }
        let question = format!("Reboot board `{}` into `{}`?", self.board.board, record.label);
        let (backup, capture, consent) = self.permit(context, board, protected, &question)?;
        let permit = Permit {
            backup: &backup,
            capture,
            consent,
        };
        let booted = watched(context, |progress| {
            boot::boot_once(board, protected, method, Reset::Orderly, &permit, progress)
        })?;
        let outcome = self.tell(context, &booted);
        let mut netconsole = None;
        if matches!(booted.outcome, Ended::Booted(_)) {
            match lease::renew(board, Duration::from_secs(self.stay.saturating_mul(60))) {
                Ok(held) => context.ui.line(&format!(
                    "its lease ends in {} minutes: then it resets itself into vanilla; {held}",
                    self.stay
                )),
                Err(error) => context.ui.warn(&format!("{error:#}")),
            }
            netconsole = self.netconsole(context, board);
            context
                .ui
                .line(&format!("next: `cargo xtask boot vanilla{}`", self.board.typed()));
        }
        context.ui.json(&Answer {
            booted: &booted,
            netconsole,
        })?;
        Ok(outcome)
    }

    /// Sets netconsole up in the kernel that runs, where the board's file asks for it, and tells where its log is. A kernel that cannot has
    /// booted all the same.
    fn netconsole(&self, context: &Context, board: &dyn Board) -> Option<serde_json::Value> {
        let mut problems = Vec::new();
        let Some(armed) = harvest_netconsole::arm(board, &mut problems) else {
            problems.iter().for_each(|problem| context.ui.warn(problem));
            return problems.pop().map(|problem| json!({ "problem": problem }));
        };
        let log = armed.recorder.log();
        context.ui.line(&format!(
            "netconsole works over {} until the next reboot: its packets are in {}, and `cargo xtask harvest --board {}` makes a log of them",
            armed.path.device,
            log.display(),
            self.board.board
        ));
        Some(json!({ "path": armed.path, "way": armed.way, "log": log, "from": armed.from }))
    }

    fn vanilla(&self, context: &Context, board: &dyn Board, protected: &Protected) -> Result<Outcome> {
        let reset = if self.force { Reset::Hard } else { Reset::Orderly };
        if context.global.dry_run {
            let step = format!(
                "restart board `{}` into vanilla by {}",
                self.board.board,
                reset.name()
            );
            context.ui.line(&step);
            context.ui.json(&json!({ "dry_run": true, "plan": [step] }))?;
            return Ok(Outcome::Success);
        }
        let question = format!(
            "Restart board `{}` into vanilla by {}?",
            self.board.board,
            reset.name()
        );
        let (backup, capture, consent) = self.permit(context, board, protected, &question)?;
        let permit = Permit {
            backup: &backup,
            capture,
            consent,
        };
        let booted = watched(context, |progress| {
            boot::boot_vanilla(board, protected, reset, &permit, progress)
        })?;
        context.ui.json(&booted)?;
        Ok(self.tell(context, &booted))
    }

    /// What a reboot needs (invariant 9): the backup read back, a capture that works, and a yes that knows who is logged in.
    fn permit(
        &self,
        context: &Context,
        board: &dyn Board,
        protected: &Protected,
        question: &str,
    ) -> Result<(backup::Verified, Capture, ConsentGiven)> {
        let folder = self.board.backup_folder(context);
        if self.force && !board.answers(Duration::from_secs(5)) {
            context.ui.confirm(context.global.consent(), question)?;
            let verified = backup::verify_archive(board, &self.board.campaign, &folder)?;
            return Ok((verified, Capture::OutOfReach, ConsentGiven::after_asking()));
        }
        let task = context.ui.task("reading the backups back", None);
        let verified = backup::make(
            board,
            protected,
            &self.board.campaign,
            &backup::Modules::All,
            &folder,
        )?;
        task.done("");
        let report = preflight::run(
            board,
            protected,
            preflight::Backup::Verified(&verified),
            preflight::Needed { boot: 0, root: 0 },
        )?;
        let capture = report
            .capture
            .context("no capture works on this board (`cargo xtask preflight` says why): a silent reset would teach nothing")?;
        for user in &report.logged_in {
            context.ui.line(&format!("logged in: {user}"));
        }
        context.ui.confirm(context.global.consent(), question)?;
        Ok((verified, Capture::Proven(capture), ConsentGiven::after_asking()))
    }

    fn tell(&self, context: &Context, booted: &Booting) -> Outcome {
        let (line, outcome) = match &booted.outcome {
            Ended::Booted(answer) => (
                format!("{} answers after {:.1} s", answer.release, answer.seconds),
                Outcome::Success,
            ),
            Ended::FellBackToVanilla { why, answer } => (
                format!("vanilla {} came up instead: {}", answer.release, why.text()),
                Outcome::RolledBack,
            ),
            Ended::OtherKernel(answer) => (
                format!(
                    "{} answers, which is neither our slot nor vanilla",
                    answer.release
                ),
                Outcome::PersonNeeded,
            ),
            Ended::Wedged { phase, panic } => (
                format!(
                    "nothing answers; last seen on the serial line: {}, {}",
                    phase.name(),
                    panic.as_deref().unwrap_or("no panic")
                ),
                Outcome::PersonNeeded,
            ),
        };
        context.ui.line(&line);
        if outcome == Outcome::PersonNeeded {
            context.ui.line(&format!(
                "next: `cargo xtask boot vanilla --force{}`",
                self.board.typed()
            ));
        }
        outcome
    }
}

/// Runs a boot with a line of progress.
pub fn watched(
    context: &Context,
    boot: impl FnOnce(&mut dyn FnMut(&Progress)) -> Result<Booting>,
) -> Result<Booting> {
    let task = context.ui.task("rebooting", None);
    let booted = boot(&mut |progress| match progress {
        Progress::Asked => task.detail("going down"),
        Progress::PullingReset => task.detail("it does not go down: resetting by force"),
        Progress::Answered(number) => task.detail(&format!("answered the menu with {number}")),
        Progress::Person(what) => context.ui.warn(&Said::PersonNeeded(what).to_string()),
        Progress::Line(event) => task.detail(&format!("{event:?}")),
    })?;
    task.done("");
    Ok(booted)
}
