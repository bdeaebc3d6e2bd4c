//! The record of a run: what each row of the plan came to. Written to `run.json` after every row; the report is made from it.

use super::file::{Campaign, Ends, Risk};
use super::harvest;
use super::plan::{Planned, Source};
use super::smoke::SmokeResult;
use super::stopwatch::Span;
use super::verdict::Verdict;
use crate::document::Format;
use crate::host::files;
use crate::kernel::symbolise::touched::Mark;
use anyhow::{Context, Result};
use kernel_log::suspect::Suspect;
use kernel_log::wall::{self, Wall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the `.config` beside the other evidence of a row.
pub const KEPT_CONFIG: &str = ".config";

/// The version of the format.
pub const SCHEMA_VERSION: u32 = 2;

/// Name of the record in a run's folder.
pub const FILE: &str = "run.json";

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Campaign.
    pub campaign: String,
    /// Its goal.
    pub goal: String,
    /// Board.
    pub board: String,
    /// Kernel tree: version and base commit.
    pub tree: String,
    /// Release of the debug kernel.
    pub release: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// How it ended; none while it runs.
    pub end: Option<End>,
    /// Rows in the order in which they were executed.
    pub rows: Vec<RowRecord>,
    /// Every row of the plan in order: those that are not in `rows` were not reached. Empty in records of earlier versions.
    #[serde(default)]
    pub planned: Vec<PlannedRow>,
    /// What the campaign says about its closing document.
    #[serde(default)]
    pub closing: Closing,
}

/// What the reports need of the campaign file. Empty in records of earlier versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Its file name in the run's folder.
    pub file: String,
    /// What each end means.
    pub ends: Ends,
    /// What could have gone wrong.
    pub risks: Vec<Risk>,
    /// Programs of the smoke tests, with the folders of their sources.
    #[serde(default)]
    pub programs: BTreeMap<String, PathBuf>,
    /// The campaign file, as it was typed.
    #[serde(default)]
    pub campaign_file: PathBuf,
}

impl Closing {
    /// As the campaign has it, which was read from `file`.
    pub fn of(campaign: &Campaign, file: &Path) -> Self {
        Closing {
            file: campaign.closing.clone(),
            ends: campaign.ends.clone(),
            risks: campaign.risks.clone(),
            programs: campaign.programs.clone(),
            campaign_file: file.to_path_buf(),
        }
    }
}

/// A row of the plan, as the record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRow {
    /// Number in the plan.
    pub id: String,
    /// Title.
    pub title: String,
}

/// How a run ended (plan.md, "Ends").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every step has the verdict that the campaign asks of it.
    Success,
    /// Some patches passed, a later one did not and was taken back.
    PartialSuccess,
    /// The first patch, or the debug kernel itself, did not pass.
    Failure,
    /// The board or the tree needs a person.
    PersonNeeded,
    /// A person gave it up: everything was taken back.
    Aborted,
}

/// One row of the plan, executed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowRecord {
    /// Number in the plan.
    pub id: String,
    /// Title.
    pub title: String,
    /// Verdict of a boot; none for rows without one.
    pub verdict: Option<Verdict>,
    /// Why, where the verdict is not a pass.
    pub reasons: Vec<String>,
    /// Whether the campaign asked for no more than this verdict.
    pub as_declared: bool,
    /// When it began, RFC 3339; empty in records of earlier versions.
    #[serde(default)]
    pub started: String,
    /// Seconds that it was thought to take.
    pub estimated_s: f64,
    /// Where that estimate is from.
    #[serde(default)]
    pub estimated_from: Source,
    /// Seconds that it took.
    pub took_s: f64,
    /// Where the time went: phase and seconds.
    pub phases: Vec<(String, f64)>,
    /// Every stretch of a phase, in the order in which they ended, for the timeline.
    #[serde(default)]
    pub spans: Vec<Span>,
    /// What was built for this row while the board tested the row before it, by phase: no time of this row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<(String, f64)>,
    /// The patch that was applied for the row.
    #[serde(default)]
    pub patch: Option<PatchRecord>,
    /// The patch that the row is about, as the campaign names it, also where it was not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_patch: Option<String>,
    /// The row failed, and the run went on without its patch, as the step asks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub left_out: bool,
    /// Modules that were loaded for it.
    #[serde(default)]
    pub load: Vec<String>,
    /// Facts worth telling, one a line.
    pub facts: Vec<String>,
    /// Smoke tests.
    pub tests: Vec<SmokeResult>,
    /// Functions of the patch and how often they ran.
    pub exercised: Vec<(String, u64)>,
    /// Findings that the baseline lacks.
    pub findings: Vec<FindingRecord>,
    /// Folder with everything that was captured.
    pub evidence: Option<PathBuf>,
    /// Where the result is from, where this run did not make it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_from: Option<TakenFrom>,
    /// A person's word on the verdict, beside the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Overruled>,
}

/// Most records lack what is seldom true.
fn is_false(value: &bool) -> bool {
    !value
}

/// Earlier runs whose boots of the same build on the same board with the same tests stand for a boot of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenFrom {
    /// The boots, the newest first. The verdict and the evidence are that one's; what any of them said is known.
    pub boots: Vec<EarlierBoot>,
}

/// A boot of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierBoot {
    /// Name of the run: its folder.
    pub run: String,
    /// When, RFC 3339.
    pub when: String,
}

impl TakenFrom {
    /// In words.
    pub fn sentence(&self) -> String {
        let Some((newest, others)) = self.boots.split_first() else {
            return String::new();
        };
        let others = match others.len() {
            0 => String::new(),
            n => format!("; what {n} earlier boots of the same said is known, too"),
        };
        format!(
            "taken from run {} of {}: same build, same board, same tests; it was not booted in this run{others}",
            newest.run,
            newest.when.get(..16).unwrap_or(&newest.when)
        )
    }
}

/// A person's word on a verdict. The original stays (invariant 17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overruled {
    /// What it counts as from now on.
    pub verdict: Verdict,
    /// Who says so.
    pub by: String,
    /// Why.
    pub why: String,
    /// When, RFC 3339.
    pub time: String,
}

/// The patch of a row: what it was, and what in a trace is its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchRecord {
    /// As the campaign names it: `0005`.
    pub name: String,
    /// Subject of its commit.
    pub subject: String,
    /// The commit that it became in the tree, full hex.
    pub commit: String,
    /// SHA-256 of the patch file.
    pub sha256: String,
    /// Who wrote it, `Name <address>`; empty in records of version 1.
    #[serde(default)]
    pub author: String,
    /// Files of the tree that it changes.
    pub files: Vec<String>,
    /// Functions that it changes or adds.
    pub functions: Vec<String>,
    /// Modules that it changed by content.
    pub modules: Vec<String>,
}

/// A finding, as the record keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingRecord {
    /// Stable title.
    pub title: String,
    /// Severity in print.
    pub severity: String,
    /// Where it was seen: serial, journal, pstore.
    pub source: String,
    /// Microseconds since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
    /// Wall time, where the source has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Wall>,
    /// Exact lines.
    pub excerpt: String,
    /// Where frames of these lines are in the source of the build that ran.
    #[serde(default)]
    pub decoded: Vec<DecodedFrame>,
    /// The function to look at first, by what the patch touches and what the kernel exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Suspect>,
}

impl FindingRecord {
    /// Where and when it was seen: `serial, 12.345678 s, 2026-11-23T05:46:00.123Z by the host's clock`.
    pub fn seen(&self) -> String {
        let when = wall::times(self.time, self.wall);
        std::iter::once(harvest::shown(&self.source))
            .chain(when)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// A frame and where it is in the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodedFrame {
    /// Line of the excerpt, from 0.
    pub line: usize,
    /// The frame as that line has it, `f+0x1c/0x90`; empty in records of version 1.
    #[serde(default)]
    pub frame: String,
    /// The innermost inlined function first, the one that the frame names last; or why there is no place.
    pub places: Vec<DecodedPlace>,
}

/// What is known of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DecodedPlace {
    /// Where it is.
    Source(SourcePlace),
    /// Why there is none, or what else is to be said. In records of version 1 places, too.
    Note(String),
}

/// A place in the source of the build that ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePlace {
    /// Relative to the tree.
    pub file: String,
    /// Line; none without debug information.
    pub line: Option<u32>,
    /// Function.
    pub function: String,
    /// Whether the compiler put it into the function behind it.
    pub inlined: bool,
    /// How near it is to the patch under test.
    pub mark: Option<Mark>,
    /// The line itself, as the commit under test has it, without its indentation.
    pub code: Option<String>,
}

impl RunRecord {
    /// Reads `run.json` of a run's folder. Errors: it is not there, not a record, or written by a newer version.
    pub fn load(folder: &Path) -> Result<Self> {
        Self::load_if_there(folder)?.with_context(|| {
            let path = folder.join(FILE);
            format!("reading the record of a run, {}: it is not there", path.display())
        })
    }

    /// The same; `None` where there is no such file.
    pub fn load_if_there(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let bytes = files::read_kept(&path)?;
        bytes
            .map(|bytes| Self::parse(&bytes).with_context(|| format!("reading {}", path.display())))
            .transpose()
    }

    /// The record from the bytes of its file. Errors: it is not one, or was written by a newer version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const FORMAT: Format = Format {
            what: "the record of a run",
            oldest: 1,
            newest: SCHEMA_VERSION,
        };
        FORMAT.read(bytes)
    }

    /// Puts a row in its place: where a row of this number was, or at the end.
    pub fn put(&mut self, row: RowRecord) {
        match self.rows.iter_mut().find(|known| known.id == row.id) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
    }

    /// Writes `run.json` into the run's folder, whole or not at all.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        files::set_remains_aside(&folder.join(FILE))?;
        files::write_atomic(&folder.join(FILE), &bytes)
    }
}

/// The plan, as the record keeps it.
pub fn planned(plan: &[Planned]) -> Vec<PlannedRow> {
    let row = |row: &Planned| PlannedRow {
        id: row.id.clone(),
        title: row.title.clone(),
    };
    plan.iter().map(row).collect()
}

impl End {
    /// In print.
    pub fn text(self) -> &'static str {
        match self {
            End::Success => "success",
            End::PartialSuccess => "partial success",
            End::Failure => "failure",
            End::PersonNeeded => "a person is needed",
            End::Aborted => "aborted",
        }
    }
}
