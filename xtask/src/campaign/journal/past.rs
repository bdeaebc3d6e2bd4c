//! What a run has come to, folded from its journal: a rule, without files, clocks, board or tree.

use super::{Event, Line};
use crate::campaign::journal::Input;
use crate::campaign::record::{End, Overruled, RowRecord};
use crate::campaign::verdict::Verdict;
use crate::campaign::walk::Options;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// The action of the verdict of a row.
pub const JUDGE: &str = "judge";
/// The action of the verdict of one of several boots of a row.
pub const ATTEMPT: &str = "attempt";
/// The action that restarts a board into our label.
pub const BOOT_ONCE: &str = "boot-once";
/// The action that restarts a board into vanilla.
pub const BOOT_VANILLA: &str = "boot-vanilla";

/// The action that tries a step's modules in the kernel of the step before it; the boot and the way back within it are actions of their own.
pub const RELOAD: &str = "reload";

/// The action that applies the patch of the next row while the board tests this one.
pub const APPLY_AHEAD: &str = "apply-ahead";
/// The action that builds it. Its outcome is written when its row takes it.
pub const BUILD_AHEAD: &str = "build-ahead";
/// The action that takes both back.
pub const DROP_AHEAD: &str = "drop-ahead";

/// How a run was started: enough to go on with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Campaign.
    pub campaign: String,
    /// Its file, relative to the project where it was given so.
    pub file: PathBuf,
    /// Board.
    pub board: String,
    /// The tool that started it.
    pub tool: String,
    /// Which part of the campaign, and how.
    pub options: Options,
    /// The broken variant that stands in for a patch.
    pub break_with: Option<String>,
    /// The kernel tree that was named.
    pub kernel: Option<PathBuf>,
    /// Rows of the plan: number and title.
    pub rows: Vec<(String, String)>,
}

/// The beginning of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowBegun {
    /// Title.
    pub title: String,
    /// What its result depends on.
    pub inputs: Vec<Input>,
    /// HEAD of the tree before anything of this row was done, full hex.
    pub head: String,
}

/// What a row left in the run's folder for a process that goes on with the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Name below the run's folder.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The run goes on.
    Go,
    /// The run goes on without this row's patch, which failed and was taken back.
    Without,
    /// The run stops here; the board runs vanilla.
    Stop,
    /// The run stops here, and the board did not come back to vanilla.
    Lost,
    /// It could not be finished: something with the board or this machine is not as it has to be.
    Error,
}

/// The end of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowEnded {
    /// What it came to.
    pub record: RowRecord,
    /// What follows.
    pub way: Way,
    /// How the run ends, where it stops.
    pub end: Option<End>,
    /// HEAD of the tree after it, full hex.
    pub head: String,
    /// What it left for a resume.
    pub kept: Vec<Kept>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// How.
    pub end: End,
    /// What a person has to do, and why, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// An action whose intent stands alone: its writer died, or is at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Open {
    /// Row.
    pub step: String,
    /// Action.
    pub action: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// What a boot was judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// It is what the campaign asks of this step at best.
    #[serde(default)]
    pub as_declared: bool,
    /// What the kernel said that switched lockdep off: such a verdict cannot be overruled (invariant 15).
    #[serde(default)]
    pub lockdep_off: Vec<String>,
    /// The row as far as it was then: for the report, should the row not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<RowRecord>>,
    /// What the boot itself showed, for whoever reads the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Value>,
}

/// A row, as far as it came.
#[derive(Debug, Clone, Default)]
pub struct PastRow {
    /// Number in the plan.
    pub id: String,
    /// Title.
    pub title: String,
    /// When it began, RFC 3339.
    pub since: String,
    /// What its result depended on.
    pub inputs: Vec<Input>,
    /// HEAD before it.
    pub head: String,
    /// Verdicts of single boots of a row with several.
    pub attempts: Vec<Judged>,
    /// Its verdict, which may have been given before the row was over.
    pub judged: Option<Judged>,
    /// Its end.
    pub ended: Option<RowEnded>,
    /// A person's word on the verdict.
    pub overruled: Option<Overruled>,
}

impl PastRow {
    /// Whether it was cut off or broken off: what was judged of it until then counts, and the rest
    /// is done again.
    pub fn is_unfinished(&self) -> bool {
        self.ended.as_ref().is_none_or(|ended| ended.way == Way::Error)
    }

    /// Whether the run may go on behind it: it went well, or a person said so.
    pub fn counts_as_done(&self) -> bool {
        self.overruled.is_some()
            || self.ended.as_ref().is_some_and(|ended| ended.way == Way::Go)
            || self.is_left_out()
    }

    /// Whether the run went on without its patch.
    pub fn is_left_out(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.way == Way::Without)
    }

    /// A verdict that no other boot may replace: the kernel was seen to be bad. (A pass whose row did not come to its end is
    /// asked for again, since what it left behind may not be whole.)
    pub fn standing_failure(&self) -> Option<&Judged> {
        let judged = self.judged.as_ref()?;
        let stands = !judged.as_declared && judged.verdict.is_a_failure();
        (stands && self.overruled.is_none()).then_some(judged)
    }

    /// The record for the report, with the person's word beside the original verdict.
    pub fn record(&self) -> Option<RowRecord> {
        let of_its_verdict = || self.judged.as_ref()?.record.as_deref();
        let of_its_end = self.ended.as_ref().map(|ended| &ended.record);
        let mut record = of_its_end.or_else(of_its_verdict)?.clone();
        record.overruled = self.overruled.clone();
        Some(record)
    }
}

/// Where the run left the board, by its own words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// On vanilla.
    #[default]
    OnVanilla,
    /// It may run our label.
    MaybeOurs,
}

/// A run, as its journal tells it.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// How it was started; none in a journal of the first format.
    pub begin: Option<Begin>,
    /// Time of its first line.
    pub started: String,
    /// Time of its last line.
    pub last: String,
    /// Rows, in the order in which each first began.
    pub rows: Vec<PastRow>,
    /// The row that has begun and is not over.
    pub current: Option<String>,
    /// The action whose intent stands alone.
    pub open: Option<Open>,
    /// The step whose patch may be in the tree though its row has not begun.
    pub ahead: Option<String>,
    /// Where the board was left.
    pub left: Left,
    /// How it ended; none while it runs, or when it was killed.
    pub end: Option<Ended>,
    /// How often another process went on with it.
    pub resumed: usize,
}

impl Past {
    /// The row of this number.
    pub fn row(&self, id: &str) -> Option<&PastRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// Takes the next line, which is number `at`, from 0, of those that count. Errors: its detail is not what its event promises, with that number.
    pub fn take(&mut self, at: usize, line: &Line) -> Result<()> {
        if at == 0 {
            self.started.clone_from(&line.time);
        }
        self.last.clone_from(&line.time);
        add(self, line).with_context(|| format!("in entry {} ({:?})", at.saturating_add(1), line.event))
    }

    /// The rows that are over, or at least judged, for the report.
    pub fn records(&self) -> Vec<RowRecord> {
        self.rows.iter().filter_map(PastRow::record).collect()
    }
}

/// Folds the lines of a journal. Errors: [`Past::take`]'s.
pub fn fold(lines: &[Line]) -> Result<Past> {
    let mut past = Past::default();
    for (at, line) in lines.iter().enumerate() {
        past.take(at, line)?;
    }
    Ok(past)
}

fn add(past: &mut Past, line: &Line) -> Result<()> {
    match line.event {
        Event::Begin => past.begin = Some(detail(line)?),
        Event::Resumed => {
            past.resumed = past.resumed.saturating_add(1);
            past.end = None;
            past.open = None;
            past.current = None;
        }
        Event::RowBegun => row_begun(past, line)?,
        // They go on beside what else is done, and none of them touches the board.
        Event::Intent | Event::Done | Event::Failed if is_ahead(line) => {
            if line.event == Event::Intent {
                past.ahead = Some(line.step.clone());
            }
        }
        Event::Intent => {
            if line.action == BOOT_ONCE {
                past.left = Left::MaybeOurs;
            }
            past.open = Some(Open {
                step: line.step.clone(),
                action: line.action.clone(),
                since: line.time.clone(),
            });
        }
        Event::Done => {
            past.open = None;
            if line.action == DROP_AHEAD {
                past.ahead = None;
            }
            if came_to_vanilla(line) {
                past.left = Left::OnVanilla;
            }
        }
        Event::Failed => past.open = None,
        Event::Verdict => {
            let judged: Judged = detail(line)?;
            if let Some(row) = past.rows.iter_mut().find(|row| row.id == line.step) {
                match line.action.as_str() {
                    ATTEMPT => row.attempts.push(judged),
                    _ => row.judged = Some(judged),
                }
            }
        }
        Event::RowEnded => {
            let ended: RowEnded = detail(line)?;
            past.current = None;
            past.open = None;
            if let Some(row) = past.rows.iter_mut().find(|row| row.id == line.step) {
                row.ended = Some(ended);
            }
        }
        Event::Overruled => {
            let word: Overruled = detail(line)?;
            if let Some(row) = past.rows.iter_mut().find(|row| row.id == line.step) {
                row.overruled = Some(word);
            }
        }
        Event::End => past.end = Some(detail(line)?),
        Event::Torn => {}
    }
    Ok(())
}

/// A row that begins again begins with nothing, but for single boots that were judged under the same inputs: they count.
fn row_begun(past: &mut Past, line: &Line) -> Result<()> {
    let begun: RowBegun = detail(line)?;
    past.current = Some(line.step.clone());
    past.ahead.take_if(|ahead| *ahead == line.step);
    let old = past.rows.iter().position(|row| row.id == line.step);
    let attempts = old
        .and_then(|at| past.rows.get(at))
        .filter(|row| row.inputs == begun.inputs && row.is_unfinished())
        .map(|row| row.attempts.clone());
    let row = PastRow {
        id: line.step.clone(),
        title: begun.title,
        since: line.time.clone(),
        inputs: begun.inputs,
        head: begun.head,
        attempts: attempts.unwrap_or_default(),
        ..PastRow::default()
    };
    match old.and_then(|at| past.rows.get_mut(at)) {
        Some(old) => *old = row,
        None => past.rows.push(row),
    }
    Ok(())
}

fn is_ahead(line: &Line) -> bool {
    [APPLY_AHEAD, BUILD_AHEAD].contains(&line.action.as_str())
}

/// Whether the outcome of an action says that vanilla runs.
fn came_to_vanilla(line: &Line) -> bool {
    let Some(outcome) = line.detail.get("outcome") else {
        return false;
    };
    match line.action.as_str() {
        BOOT_ONCE => outcome.get("fell-back-to-vanilla").is_some(),
        BOOT_VANILLA => outcome.get("booted").is_some(),
        _ => false,
    }
}

fn detail<T: serde::de::DeserializeOwned>(line: &Line) -> Result<T> {
    // What is missing from a journal of the first format is Null there.
    let value: &Value = &line.detail;
    T::deserialize(value).with_context(|| format!("reading what it says of step `{}`", line.step))
}

#[cfg(test)]
mod tests;
