//! A finding: something that the kernel complained about, in the field's terms.

use super::kind::{Kind, Severity};
use super::locks::LockReport;
use super::suspicion::Suspect;
use super::wall::Wall;
use serde::{Deserialize, Serialize};

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Finding {
    /// Same fault, same title in another run: no addresses, ids, times, offsets, CPU numbers.
    pub title: String,
    /// What kind of complaint.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// The function to look at first: the first one in the report that is not the kernel's own machinery for reporting,
    /// locking, allocating or sleeping.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<String>,
    /// The module of that function.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
    /// Name of the task.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub process: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// CPU that it ran on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<u32>,
    /// Microseconds since boot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<u64>,
    /// Wall time, where the source has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wall: Option<Wall>,
    /// Which boot of the log, from 0.
    pub boot: u32,
    /// Where the log came from, as the caller named it.
    pub source: String,
    /// First line of the excerpt in the source, from 1.
    pub line: usize,
    /// Offset of that line in the source, in bytes.
    pub offset: usize,
    /// How often it came: more than 1 only where the same one came so often that the later ones are not told one by one.
    #[serde(skip_serializing_if = "is_once", default = "once")]
    pub times: usize,
    /// The report's own lines, without their prefixes.
    pub excerpt: Vec<String>,
    /// The report is cut, mixed with another, or lacks what such a report always has.
    pub damaged: bool,
    /// The kernel went on to panic because of it.
    pub panicked: bool,
    /// Nothing that lockdep did not say after this proves anything.
    pub lockdep_off: bool,
    /// The locks of a lockdep report.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub locks: Option<LockReport>,
    /// The function to look at first by what is known besides the log; no part of what makes two findings the same one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suspect: Option<Suspect>,
}

fn once() -> usize {
    1
}

fn is_once(times: &usize) -> bool {
    *times == 1
}

/// Gives the findings of a log of one boot, whose kernel began at `began` (microseconds since 1970 by the board's clock), their wall time by
/// their time since boot. A suspended board's clock went on while the kernel's stood still: the time is early then.
pub fn since_boot(findings: &mut [Finding], began: u64) {
    for finding in findings.iter_mut().filter(|finding| finding.boot == 0) {
        let time = finding.time.and_then(|time| began.checked_add(time));
        finding.wall = finding.wall.or(time.map(Wall::of_board));
    }
}
