//! Gives a run up: the board on vanilla without our label, the tree without our patches.

use super::journal::past::{BOOT_VANILLA, Ended, Past};
use super::journal::{Event, Journal};
use super::preflight;
use super::record::{End, RunRecord};
use super::report;
use super::resume::{BoardSeen, Decision, to_vanilla};
use super::way_home::{self, Home};
use crate::board::boot::{self, ConsentGiven, Outcome, Reset};
use crate::board::protected::Protected;
use crate::host::json::json;
use crate::kernel::tree::Tree;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// What giving up will do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// How the board is brought to vanilla, where it does not run it.
    pub vanilla: Option<Reset>,
    /// Our label is taken out.
    pub label: bool,
    /// What is done with the kernel tree.
    pub tree: TreePlan,
}

/// What giving up does with the kernel tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TreePlan {
    /// So many patches are taken back.
    TakeBack(usize),
    /// It is not there, so that nothing can be taken back.
    OutOfReach {
        /// Why.
        why: String,
        /// Patches that this run had applied, and did not take back, as far as its journal has them: name and commit.
        applied: Vec<String>,
    },
}

impl Plan {
    /// In words.
    pub fn lines(&self, board: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(reset) = self.vanilla {
            lines.push(format!(
                "bring board `{board}` back to vanilla by {}",
                reset.name()
            ));
        }
        if self.label {
            lines.push(format!(
                "take our label out of extlinux.conf on board `{board}`, if it is there"
            ));
        }
        match &self.tree {
            TreePlan::TakeBack(0) => {}
            TreePlan::TakeBack(patches) => {
                lines.push(format!("take {patches} patches back from the kernel tree"));
            }
            TreePlan::OutOfReach { .. } => lines.extend(self.tree.not_taken_back()),
        }
        lines.push("look that vanilla runs, is the default, and is what it was".into());
        lines
    }
}

impl TreePlan {
    /// What stays in a tree that is out of reach, and what to do about it.
    fn not_taken_back(&self) -> Option<String> {
        let TreePlan::OutOfReach { why, applied } = self else {
            return None;
        };
        let applied = match applied.is_empty() {
            true => "the journal names no patch that this run left in it".to_string(),
            false => format!("this run had applied {} there", applied.join(", ")),
        };
        Some(format!(
            "leave the kernel tree alone: {why}; {applied}. If it was moved, `cargo xtask abort --kernel PATH` takes its patches back"
        ))
    }
}

/// The kernel tree of a run.
pub enum Reach<'a> {
    /// It is open.
    Open(&'a mut Tree),
    /// It is not there: deleted, or moved; why.
    Gone(String),
}

/// What is given up.
pub struct Abort<'a> {
    /// The board and its backup.
    pub home: Home<'a>,
    /// What must survive; none where no pre-flight was made, so that nothing of ours is on the board.
    pub protected: Option<Protected>,
    /// The kernel tree.
    pub tree: Reach<'a>,
}

impl Abort<'_> {
    /// Looks and says what would be done; the inner error is what a person has to do first. Changes nothing.
    pub fn plan(&self, past: &Past, answer: Duration) -> Result<std::result::Result<Plan, Decision>> {
        let tree = match &self.tree {
            Reach::Open(tree) => TreePlan::TakeBack(tree.commits()?.len()),
            Reach::Gone(why) => TreePlan::OutOfReach {
                why: why.clone(),
                applied: applied(past),
            },
        };
        let Some(protected) = &self.protected else {
            return Ok(Ok(Plan {
                vanilla: None,
                label: false,
                tree,
            }));
        };
        let board = way_home::see(self.home.board, Some(protected), answer);
        let vanilla = match to_vanilla(past, &board) {
            Ok(vanilla) => vanilla,
            Err(decision) => return Ok(Err(decision)),
        };
        let label = match board {
            BoardSeen::Silent { .. } => true,
            _ => boot::offers_our_label(self.home.board, protected)?,
        };
        Ok(Ok(Plan { vanilla, label, tree }))
    }

    /// Does it; gives facts about vanilla. Dying at any instant it can be done again.
    pub fn execute(
        &mut self,
        plan: &Plan,
        consent: ConsentGiven,
        journal: &mut Journal,
    ) -> Result<Vec<String>> {
        let home = &self.home;
        let mut facts = Vec::new();
        if let Some(protected) = &self.protected {
            if let Some(reset) = plan.vanilla {
                let come = || home.come(protected, reset, consent);
                let inputs = json!({ "reset": reset });
                let booted = journal.act("abort", BOOT_VANILLA, inputs, come, |boot| json!(boot))?;
                if !matches!(booted.outcome, Outcome::Booted(_)) {
                    bail!(
                        "the board did not come back to vanilla: {}",
                        booted.outcome.text()
                    );
                }
            }
            let withdraw = || home.withdraw(protected);
            journal.act("abort", "withdraw-label", json!({}), withdraw, |()| {
                json!("it is gone")
            })?;
            let look = || preflight::vanilla_stands(home.board, protected);
            facts = journal.act("abort", "close", json!({}), look, |facts| json!(facts))?;
        }
        match &mut self.tree {
            Reach::Open(tree) => {
                let patches = tree.commits()?.len();
                let base = tree.base()?;
                let back = || tree.move_to(&base);
                journal.act("abort", "reset-tree", json!({ "to": base }), back, |files| {
                    json!(files.len())
                })?;
                facts.push(format!("{patches} patches were taken back from the tree"));
            }
            Reach::Gone(_) => {
                let left = plan.tree.not_taken_back().unwrap_or_default();
                let nothing = || Ok(());
                journal.act("abort", "leave-tree", json!(plan.tree), nothing, |()| json!(left))?;
                facts.push(format!("not taken back: {left}"));
            }
        }
        Ok(facts)
    }
}

/// Patches that a run had applied and did not take back, as far as its journal has them.
fn applied(past: &Past) -> Vec<String> {
    let records = past.rows.iter().filter(|row| !row.is_left_out());
    let patches = records.filter_map(|row| row.record()?.patch);
    patches
        .map(|patch| match patch.commit.get(..12) {
            Some(commit) => format!("{} ({commit})", patch.name),
            None => patch.name,
        })
        .collect()
}

/// Writes the end into journal, record and report of a run that had none.
pub fn end(folder: &Path, past: &Past, journal: &mut Journal) -> Result<()> {
    let over = past
        .end
        .as_ref()
        .is_some_and(|ended| ended.end != End::PersonNeeded);
    if over {
        return Ok(());
    }
    let ended = Ended {
        end: End::Aborted,
        person: None,
    };
    journal.note(Event::End, "", &ended)?;
    let Some(mut record) = RunRecord::load_if_there(folder)
        .context("the run is given up, and its journal says so; its report cannot be made")?
    else {
        return Ok(());
    };
    record.end = Some(End::Aborted);
    record.save(folder)?;
    report::write_all(folder, &record)
}
