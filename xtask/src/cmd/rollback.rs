//! `cargo xtask rollback`.

use super::Context;
use super::open_board::{BoardFlags, board_file, typed};
use crate::board::awake;
use crate::board::boot;
use crate::board::nonce;
use crate::board::offline::Offline;
use crate::board::ours;
use crate::board::rollback::{self, Plan, RolledBack};
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask rollback --dry-run\n  cargo xtask rollback --board virtual --campaign iter6\n  cargo xtask rollback --board ampere --campaign iter6 --offline /dev/sdb\n\nSafe to run twice. It \
                  works with whatever kernel runs (not on a root that is thrown away), and takes the archive on this host when the copy on the board is \
                  damaged. Labels, slots, modules and what tests left go; the backups stay, and it says \
                  where and how to remove them (`cargo xtask backup list --on-board` names each). With --offline the kernel's ext4 and vfat read \
                  the disk, in a mount that is in no folder and ends with this program; no link on the disk is followed."
)]
pub struct Rollback {
    #[command(flatten)]
    board: BoardFlags,
    /// The board does not boot: its disk or card is in this host, as a block device or an image, which are mounted for this (needs root; a plan
    /// mounts read-only), or the folder where it is mounted
    #[arg(long, value_name = "DISK-OR-MOUNTPOINT")]
    offline: Option<PathBuf>,
}

impl Rollback {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let mut held = self.board.hold(context)?;
        if let Some(target) = &self.offline {
            return self.run_offline(context, target);
        }
        let board = held.open(context)?;
        let board = board.as_ref();
        let folder = self.board.backup_folder(context);
        let task = context.ui.task("comparing the board with its backup", None);
        let plan = rollback::plan(board, &self.board.campaign, &folder)?;
        task.done("");
        let question = format!("Do this on board `{}`?", self.board.board);
        if self.agreed(context, &plan, &question)? == Agreed::NothingToDo {
            return Ok(Outcome::Success);
        }
        self.roll_back(context, &plan, || rollback::execute(board, &plan, &folder))?;
        // Pre-flight may have held it awake; a board without systemd never was.
        drop(awake::release(board));
        self.say_what_runs(context, board)?;
        Ok(Outcome::Success)
    }

    fn run_offline(&self, context: &Context, target: &Path) -> Result<Outcome> {
        let folder = self.board.backup_folder(context);
        let task = context.ui.task("comparing the disk with the archive", None);
        let description = board_file(context, &self.board.board)?.description;
        let offline = Offline::open(target, &self.board.board, &self.board.campaign, &folder)?
            .with_backups(description.backup_folder);
        let plan = offline.plan()?;
        task.done("");
        let question = format!("Do this on {}?", offline.shown());
        if self.agreed(context, &plan, &question)? == Agreed::NothingToDo {
            return Ok(Outcome::Success);
        }
        self.roll_back(context, &plan, || offline.execute(&plan))?;
        context
            .ui
            .line("next: put the disk back into the board and switch it on");
        Ok(Outcome::Success)
    }

    /// Shows the plan and asks. Errors: somebody said no, or nobody could be asked.
    fn agreed(&self, context: &Context, plan: &Plan, question: &str) -> Result<Agreed> {
        plan.lines().iter().for_each(|line| context.ui.line(line));
        if context.global.dry_run {
            context.ui.json(&json!({ "dry_run": true, "plan": plan }))?;
            return Ok(Agreed::NothingToDo);
        }
        if plan.is_empty() {
            context
                .ui
                .json(&json!({ "restored": 0, "removed": 0, "kept": plan.kept }))?;
            said_of_the_end(plan, &self.board.board)
                .iter()
                .for_each(|line| context.ui.line(line));
            return Ok(Agreed::NothingToDo);
        }
        context.ui.confirm(context.global.consent(), question)?;
        Ok(Agreed::Yes)
    }

    fn roll_back(
        &self,
        context: &Context,
        plan: &Plan,
        execute: impl FnOnce() -> Result<RolledBack>,
    ) -> Result<()> {
        let task = context.ui.task("rolling back", None);
        let done = execute()?;
        task.done(&format!(
            "{} files restored, {} removed",
            done.restored, done.removed
        ));
        context.ui.json(&done)?;
        said_of_the_end(plan, &self.board.board)
            .iter()
            .for_each(|line| context.ui.line(line));
        Ok(())
    }

    fn say_what_runs(&self, context: &Context, board: &dyn crate::board::Board) -> Result<()> {
        let running = boot::look(board)?;
        if nonce::is_of_ours(&running.cmdline) {
            context.ui.warn(&format!(
                "the board still runs {}, whose files are gone now: reboot it; vanilla is the default",
                running.release
            ));
        }
        Ok(())
    }
}

/// What became of the question.
#[derive(PartialEq, Eq)]
enum Agreed {
    /// Somebody said yes.
    Yes,
    /// Only the plan was wanted, or it is empty; both were said.
    NothingToDo,
}

/// How vanilla stands now, and what of ours is still somewhere.
fn said_of_the_end(plan: &Plan, board: &str) -> Vec<String> {
    let mut lines = vec![
        "vanilla is as the backup has it, and what booted or tested our kernels is gone: labels, slots, modules, files of smoke tests"
            .to_string(),
    ];
    let list = format!("cargo xtask backup list --on-board{}", typed(board, "rehearsal"));
    let kept = ours::lines(&plan.kept, &plan.campaign, &list).into_iter();
    lines.extend(kept.map(|line| format!("  {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::ours::Kept;
    use crate::board::rollback::{Copy, ExtlinuxChange};

    #[test]
    fn the_last_words_claim_no_more_than_is_so() {
        let plan = Plan {
            campaign: "iter6".into(),
            copy: Copy::OnBoard("/var/lib/lockstep/backups/iter6".into()),
            extlinux: ExtlinuxChange::None,
            restore: vec![],
            reshape: vec![],
            strangers: vec![],
            remove: vec![],
            boot_once: vec![],
            rename: vec![],
            by_hand: vec![],
            kept: vec![Kept {
                what: "a backup stays on the board".into(),
                place: "/var/lib/lockstep/backups/iter6".into(),
                remove: "there: `rm -r /var/lib/lockstep/backups/iter6`".into(),
                backup: None,
            }],
            unclean: vec![],
        };
        assert!(plan.is_empty(), "what stays on purpose is nothing to do");
        let said = said_of_the_end(&plan, "ampere");
        assert!(!said[0].contains("nothing of ours"), "{said:?}");
        assert_eq!(
            said[1..],
            [
                "  a backup stays on the board: /var/lib/lockstep/backups/iter6; there: `rm -r /var/lib/lockstep/backups/iter6`"
            ]
        );
    }
}
