//! Collects reports from a stream of records. Memory is bounded: so many open reports of so many lines, and so many findings; of the
//! same finding in one boot only the first ones are kept, and the rest is counted.

mod answers;
mod consequence;
mod messages;
mod open;
mod preambles;
mod reports;
mod resets;

use super::finding::Finding;
use super::firmware::{self, Complaint, FirmwareError};
use super::headers::{self, Blame, Body, Header, Opening};
use super::kind::Kind;
use super::prefix::Caller;
use super::record::{Log, Origin, Record};
use super::splat::{Class, classify};
use super::summary;
use answers::Answers;
use messages::Quiet;
use open::{Open, same_context};
use preambles::Preambles;
use reports::Ended;
use resets::Resets;
use std::collections::HashMap;

/// So many reports are open at once, at most: one for each CPU or task that prints.
const MOST_OPEN: usize = 64;
/// So many of the same finding in one boot are told one by one.
const SAME: usize = 100;
/// So many findings of one log are told.
const MOST: usize = 20_000;
/// When all excerpts together have so many bytes, later ones are their first line.
const EXCERPTS: usize = 64 << 20;
/// The taint that a report sets, or the stack of a message, is told so many records after it, at most.
const RIGHT_BEHIND: usize = 6;
/// So many errors of firmware are kept.
const MOST_FIRMWARE: usize = 100;

/// What was found in a log.
#[derive(Debug, Default)]
pub struct Found {
    /// Findings in the order in which they began.
    pub findings: Vec<Finding>,
    /// Findings beyond the bound, which are only counted.
    pub untold: usize,
    /// Errors that firmware reported before a kernel ran.
    pub firmware: Vec<FirmwareError>,
    /// Stacks that belong to no report or message that was recognised.
    pub unexplained: usize,
}

/// Turns records into findings.
#[derive(Debug)]
pub struct Finder {
    source: String,
    /// What was told, by boot and (for messages) a rough hash of the text or (for reports) one of kind and title.
    told: HashMap<(u32, u64), Told>,
    /// Findings beyond [`MOST`].
    untold: usize,
    /// Bytes of all excerpts.
    kept: usize,
    /// Records seen.
    seen: usize,
    resets: Resets,
    firmware: Vec<FirmwareError>,
    unexplained: usize,
    /// The last line of the kernel that no report took, where lines have no level: a stack right behind it is its own.
    quiet: Quiet,
    /// A line was seen that stands in no report: what comes before it may be the end of one.
    begun: bool,
    answers: Answers,
    preambles: Preambles,
    open: Vec<Open>,
    /// What has ended, with the number of the record with which it began.
    done: Vec<(usize, Finding)>,
    /// The last error.
    last_error: Option<Ended>,
    /// Number of the record of the last message, who printed it, and its index in `done`.
    last_message: Option<(usize, Option<Caller>, usize)>,
}

/// How often the same finding was told, and where the last one stands.
#[derive(Debug, Clone, Copy)]
struct Told {
    times: usize,
    index: usize,
}

impl Finder {
    /// A finder for one log, named `source` in its findings.
    pub fn new(source: &str) -> Self {
        Finder {
            source: source.to_string(),
            told: HashMap::new(),
            untold: 0,
            kept: 0,
            seen: 0,
            resets: Resets::default(),
            firmware: Vec::new(),
            unexplained: 0,
            quiet: Quiet::default(),
            begun: false,
            answers: Answers::default(),
            preambles: Preambles::default(),
            open: Vec::new(),
            done: Vec::new(),
            last_error: None,
            last_message: None,
        }
    }

    /// Takes the next record.
    pub fn push(&mut self, record: &Record) {
        self.take(record, headers::interesting(&record.text));
    }

    /// Takes the next record, of which it is known whether it is [`headers::interesting`].
    pub(super) fn take(&mut self, record: &Record, interesting: bool) {
        self.seen = self.seen.saturating_add(1);
        if self.resets.take(record, interesting) {
            self.alone(&SILENT_RESET, record);
        }
        if record.origin == Origin::Firmware {
            return self.firmware(record);
        }
        let loud = record.level.is_some_and(|level| level <= 4) && record.facility == 0;
        let begun = self.begin_log(record);
        if !interesting && !loud && self.open.is_empty() && !self.answers.are_open() {
            return self.remember_quiet(record);
        }
        let early = self.preambles.expire(self.seen);
        self.tell_messages(early);
        let foreign_program = record.origin == Origin::Program || record.facility != 0;
        if !foreign_program && (interesting || self.answers.are_open()) {
            self.answers.listen(record);
        }
        let opening = interesting
            .then(|| headers::recognise(&record.text))
            .flatten()
            .filter(|opening| !foreign_program || headers::is_kernels_alone(opening))
            .filter(|_| !self.names_itself_inside(record));
        match opening {
            // Right behind a cut stand the words of a warning; its first line follows.
            Some(Opening::Header(header))
                if header.may_be_words_of_warning() && self.preambles.announce(record.caller) =>
            {
                self.preambles.remember(record, self.seen, true);
            }
            Some(Opening::Header(header)) => return self.begin(header, record),
            // A function in a stack may be called like one of their words.
            Some(Opening::Preamble) if !is_stack(&record.text) => {
                let alone = loud
                    && !self
                        .open
                        .iter()
                        .any(|open| same_context(&open.splat, record.caller));
                self.preambles.remember(record, self.seen, alone);
            }
            Some(Opening::Preamble) | None => {}
        }
        let taken = self.extend(record, foreign_program);
        let tainted = interesting && !taken && self.belongs_to_last_error(record);
        if taken || tainted || opening.is_some() || foreign_program {
            return;
        }
        if loud {
            self.message(record, begun);
        } else if record.level.is_none() {
            self.without_level(record, begun);
        }
    }

    /// A line of firmware: none of the kernel's, but its own errors are kept, and a crash is a finding.
    fn firmware(&mut self, record: &Record) {
        match firmware::complaint(&record.text) {
            Some(Complaint::Crash) => self.alone(&FIRMWARE_CRASH, record),
            Some(Complaint::Error) if self.firmware.len() < MOST_FIRMWARE => {
                self.firmware.push(FirmwareError {
                    text: summary::clip(record.text.trim()).to_string(),
                    line: record.line,
                    boot: record.boot,
                })
            }
            // No loader prints a kernel's stack: a program that imitates a loader's first line does not make a kernel's report
            // its own.
            None if classify(&record.text) == Class::StackStart => {
                self.unexplained = self.unexplained.saturating_add(1);
            }
            Some(Complaint::Error) | None => {}
        }
    }

    /// Whether the log has had a line that stands in no report.
    fn begin_log(&mut self, record: &Record) -> bool {
        if !self.begun && record.has_prefix() {
            let class = classify(&record.text);
            self.begun = !answers::is_part(class) && class != Class::Blank;
        }
        self.begun
    }

    /// Sanitizers close their report, then set the taint that switches lockdep off (mm/kasan/report.c: `end_report()`).
    fn belongs_to_last_error(&mut self, record: &Record) -> bool {
        let taints = record
            .text
            .contains("Disabling lock debugging due to kernel taint");
        let Some(last) = self.last_error.filter(|_| taints) else {
            return false;
        };
        let Some((_, finding)) = self.done.get_mut(last.index) else {
            return false;
        };
        let right_behind = self.seen.saturating_sub(last.seen) <= RIGHT_BEHIND && finding.boot == record.boot;
        if right_behind {
            finding.lockdep_off = true;
            finding.excerpt.push(record.text.to_string());
        }
        right_behind
    }

    /// Ends every open report and gives what was found.
    pub fn finish(mut self) -> Found {
        while let Some(open) = self.open.pop() {
            self.close(open);
        }
        let waited = self.preambles.finish();
        self.tell_messages(waited);
        self.done.sort_by_key(|(began, _)| *began);
        Found {
            findings: self.done.into_iter().map(|(_, finding)| finding).collect(),
            untold: self.untold,
            firmware: self.firmware,
            unexplained: self.unexplained,
        }
    }

    /// Keeps a finding, or counts it where the same one was told often enough; gives where it stands.
    fn tell(&mut self, began: usize, mut finding: Finding, key: u64) -> Option<usize> {
        let place = (finding.boot, key);
        if let Some(index) = self.count(place) {
            return Some(index);
        }
        if self.done.len() >= MOST {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        if self.kept > EXCERPTS {
            finding.excerpt.truncate(1);
        }
        let length: usize = finding.excerpt.iter().map(String::len).sum();
        self.kept = self.kept.saturating_add(length);
        let index = self.done.len();
        let times = self
            .told
            .get(&place)
            .map_or(1, |told| told.times.saturating_add(1));
        self.told.insert(place, Told { times, index });
        self.done.push((began, finding));
        Some(index)
    }

    /// Counts one more of what was told often enough.
    fn count(&mut self, place: (u32, u64)) -> Option<usize> {
        let told = self.told.get(&place).filter(|told| told.times >= SAME)?;
        let (_, finding) = self.done.get_mut(told.index)?;
        finding.times = finding.times.saturating_add(1);
        Some(told.index)
    }

    /// Report lines that hold another report's mark by nature: SLUB's `INFO: Allocated in` and the blocker that a hung
    /// task's report names.
    fn names_itself_inside(&self, record: &Record) -> bool {
        let inside = |open: &Open| same_context(&open.splat, record.caller);
        let text = record.text.as_ref();
        self.open.iter().any(|open| {
            inside(open)
                && match open.splat.header.kind {
                    Kind::SlabCorruption => text.contains("INFO: "),
                    Kind::Kasan => {
                        text.contains("INFO: Allocated")
                            || text.contains("INFO: Freed")
                            || text.contains("BUG ")
                    }
                    Kind::HungTask => text.contains("blocked on"),
                    Kind::MemoryLeak => text.starts_with("unreferenced") && open.splat.body().len() < 2,
                    Kind::OutOfMemory => text.contains("ut of memory: Kill"),
                    _ => false,
                }
        })
    }
}

/// What is left of a report whose first line is not in the log, or a stack that nothing explains.
static FRAGMENT: Header = Header {
    mark: "",
    kind: Kind::Message,
    stem: "report without its first line",
    blame: Blame::Trace,
    body: Body::MaybeStack,
};

/// A board that is reset again and again without a word.
static SILENT_RESET: Header = Header {
    mark: "",
    kind: Kind::SilentReset,
    stem: "silent reset loop",
    blame: Blame::Nobody,
    body: Body::Line,
};

/// An exception of firmware.
static FIRMWARE_CRASH: Header = Header {
    mark: "",
    kind: Kind::FirmwareCrash,
    stem: "firmware crashed",
    blame: Blame::Nobody,
    body: Body::Line,
};

fn elapsed(then: Option<u64>, now: Option<u64>) -> Option<u64> {
    Some(now?.saturating_sub(then?))
}

fn is_stack(text: &str) -> bool {
    matches!(classify(text), Class::Frame | Class::Counter | Class::StackStart)
}

/// All findings of a log, in the order in which they began. `source` names the log in each.
pub fn find(log: &Log, source: &str) -> Vec<Finding> {
    let mut finder = Finder::new(source);
    for record in &log.records {
        finder.push(record);
    }
    finder.finish().findings
}

#[cfg(test)]
mod tests;
