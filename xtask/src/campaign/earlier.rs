//! What an earlier run showed of the debug kernel alone serves a later one while all that it depends on is the same: the rule that says when.
//! [`shelf`] reads the runs that are there.

pub mod shelf;

use super::inputs;
use super::journal::Input;
use super::journal::past::{Kept, Past, PastRow, Way};
use super::record::{RowRecord, TakenFrom};
use super::verdict::Verdict;
use crate::document::Format;
use crate::host::json::json;
use jiff::{SignedDuration, Timestamp};
use kernel_log::finding::Finding;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of [`BootedBaseline`]. 1 is the first.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the file in a run's folder with the boot of its baseline: what later runs read.
pub const BOOTED: &str = "kept/baseline-boot.json";

/// A baseline holds for a day. All that Lockstep knows of is compared by hash; what it does not know of (firmware, packages of the board's user
/// space, what is plugged in) changes, too, and this bounds for how long that can go unseen.
pub const HOLDS: SignedDuration = SignedDuration::from_hours(24);

/// One boot of the debug kernel alone, as it is kept for later runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootedBaseline {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// When it was booted, RFC 3339.
    pub when: String,
    /// All that the result depends on.
    pub inputs: Vec<Input>,
    /// What was captured: names below the run's folder.
    pub evidence: Vec<Kept>,
    /// What the kernel said.
    pub findings: Vec<Finding>,
}

impl BootedBaseline {
    /// One from the bytes of its file. Errors: it is damaged, or of another version.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        const FORMAT: Format = Format {
            what: "the boot of a baseline",
            oldest: SCHEMA_VERSION,
            newest: SCHEMA_VERSION,
        };
        FORMAT.read(bytes)
    }
}

/// A baseline of an earlier run, as far as a later one may ask.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Name of the run: its folder.
    pub run: String,
    /// When its row began, RFC 3339.
    pub since: String,
    /// What it came to.
    pub said: Said,
}

/// What the baseline of an earlier run came to.
#[derive(Debug, Clone)]
pub enum Said {
    /// The debug kernel itself was at fault: why.
    Failed(String),
    /// It passed, and what it left cannot be read or is not what its journal says.
    Unreadable(String),
    /// It passed.
    Passed(Box<Passed>),
}

/// A baseline that passed.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Its boot.
    pub booted: BootedBaseline,
    /// Its row.
    pub row: RowRecord,
}

/// A baseline that a run takes and does not boot.
#[derive(Debug, Clone)]
pub struct Taken {
    /// From where.
    pub from: TakenFrom,
    /// The row of the newest of these boots: its tests.
    pub row: RowRecord,
    /// What all of these boots said.
    pub findings: Vec<Finding>,
    /// Facts for the report.
    pub facts: Vec<String>,
}

/// What was found for a run.
#[derive(Debug, Clone)]
pub enum Found {
    /// A baseline that holds.
    Taken(Box<Taken>),
    /// None, and why: it is booted.
    Boot(String),
}

impl Found {
    /// For the journal.
    pub fn told(&self) -> Value {
        match self {
            Found::Taken(taken) => json!({ "taken-from": taken.from }),
            Found::Boot(why) => json!({ "booted-because": why }),
        }
    }
}

/// What a row of an earlier run is to later ones; none where it was not booted there (it was taken itself, or was cut off), or where only a
/// person's word let it pass, which counts for that run alone.
pub fn offered(known: &PastRow) -> Option<Offered> {
    let judged = known.judged.as_ref()?;
    let ended = known.ended.as_ref();
    if judged.verdict != Verdict::Pass {
        return Some(Offered::Failed(format!(
            "its verdict was: {}",
            judged.verdict.text()
        )));
    }
    if ended.is_some_and(|ended| ended.way == Way::Lost) {
        return Some(Offered::Failed("the board did not come back from it".into()));
    }
    let ended = ended.filter(|ended| ended.way == Way::Go && ended.record.taken_from.is_none())?;
    let kept = ended.kept.iter().find(|kept| kept.name == BOOTED)?;
    Some(Offered::Passed(kept.clone(), Box::new(ended.record.clone())))
}

/// See [`offered`].
#[derive(Debug, Clone)]
pub enum Offered {
    /// The debug kernel was at fault.
    Failed(String),
    /// It passed: the file with its boot, and its row.
    Passed(Kept, Box<RowRecord>),
}

/// What the journal of an earlier run offers for this row of a board.
pub fn of_past(past: &Past, board: &str, row: &str) -> Option<(String, Offered)> {
    past.begin.as_ref().filter(|begin| begin.board == board)?;
    let known = past.row(row)?;
    Some((known.since.clone(), offered(known)?))
}

/// Which of these baselines serve a run with these inputs at this time, by their place; the newest comes first in `earlier` and in the answer.
/// Errors: none does, and why. A fault of the debug kernel ends the search: what passed before it proves nothing any more.
pub fn choose(earlier: &[Earlier], inputs: &[Input], now: Timestamp) -> Result<Vec<usize>, String> {
    let mut chosen = Vec::new();
    let mut newest = None;
    for (at, one) in earlier.iter().enumerate() {
        let refused = match &one.said {
            Said::Failed(why) => {
                newest.get_or_insert(format!("the debug kernel failed in run {}, {why}", one.run));
                break;
            }
            Said::Unreadable(why) => Some(why.clone()),
            Said::Passed(passed) => against(&passed.booted, inputs, now),
        };
        match refused {
            None => chosen.push(at),
            Some(why) => drop(newest.get_or_insert(format!("that of run {} does not count: {why}", one.run))),
        }
    }
    if chosen.is_empty() {
        return Err(newest.unwrap_or_else(|| "no earlier run of this campaign has one for this board".into()));
    }
    Ok(chosen)
}

/// Why a boot does not count under these inputs at this time.
pub fn against(booted: &BootedBaseline, inputs: &[Input], now: Timestamp) -> Option<String> {
    let mut why = inputs::changed(&booted.inputs, inputs);
    why.extend(out_of_date(booted, now));
    if booted.evidence.is_empty() {
        why.push("nothing was captured of it".into());
    }
    (!why.is_empty()).then(|| why.join("; "))
}

fn out_of_date(booted: &BootedBaseline, now: Timestamp) -> Option<String> {
    let Ok(when) = booted.when.parse::<Timestamp>() else {
        return Some(format!("{:?} is no time", booted.when));
    };
    let age = now.duration_since(when);
    if age.is_negative() {
        return Some("its time has not come yet: this machine's clock was changed".into());
    }
    (age > HOLDS).then(|| {
        format!(
            "it is {} h old, and one holds for {} h",
            age.as_hours(),
            HOLDS.as_hours()
        )
    })
}

/// What several boots said, as one baseline: each boot is counted on its own, so that how often something came is that of the loudest.
pub fn joined<'a>(boots: impl Iterator<Item = &'a BootedBaseline>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut first = 0u32;
    for booted in boots {
        let next = booted
            .findings
            .iter()
            .map(|finding| finding.boot.saturating_add(1))
            .max();
        all.extend(booted.findings.iter().map(|finding| Finding {
            boot: first.saturating_add(finding.boot),
            ..finding.clone()
        }));
        first = first.saturating_add(next.unwrap_or(0));
    }
    all
}

/// What a plan can say before tree, compiler and board are looked at: the run whose baseline would be taken, or why none would. `known` are the
/// inputs that are known already; the others are compared when the row is executed.
pub fn likely(earlier: &[Earlier], known: &[Input], now: Timestamp) -> Result<String, String> {
    let is_known = |input: &&Input| known.iter().any(|other| other.name == input.name);
    let mut partly = earlier.to_vec();
    for one in &mut partly {
        if let Said::Passed(passed) = &mut one.said {
            passed.booted.inputs = passed.booted.inputs.iter().filter(is_known).cloned().collect();
        }
    }
    let chosen = choose(&partly, known, now)?;
    let newest = chosen.first().and_then(|newest| partly.get(*newest));
    let newest = newest.ok_or("no earlier run has one")?;
    Ok(format!("run {} of {}", newest.run, minute(&newest.since)))
}

/// Date and time to the minute.
pub fn minute(time: &str) -> &str {
    time.get(..16).unwrap_or(time)
}

#[cfg(test)]
mod tests;
