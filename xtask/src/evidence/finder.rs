//! Collects reports from a stream of records. Memory is bounded: so many open reports of so many lines, and so many findings; of the
//! same finding in one boot only the first ones are kept, and the rest is counted.

mod open;

use super::finding::{Finding, Kind, Severity};
use super::headers::{self, Body, Header, Opening};
use super::prefix::Caller;
use super::record::Record;
use super::splat::{Class, Line, Splat, classify};
use super::summary;
use open::{Open, continues, line, same_context};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

/// A preamble is part of a report that begins at most so many records later.
const NEAR: usize = 12;
/// A panic so many records after a report is the report's consequence.
const CONSEQUENCE: usize = 400;

/// So many reports are open at once, at most: one for each CPU or task that prints.
const MOST_OPEN: usize = 64;
/// So many of the same finding in one boot are told one by one.
const SAME: usize = 100;
/// So many findings of one log are told.
const MOST: usize = 20_000;
/// When all excerpts together have so many bytes, later ones are their first line.
const EXCERPTS: usize = 64 << 20;
/// The taint that a report sets is told so many records after it, at most.
const RIGHT_BEHIND: usize = 6;

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
    timed: bool,
    preambles: VecDeque<Preamble>,
    open: Vec<Open>,
    /// What has ended, with the number of the record with which it began.
    done: Vec<(usize, Finding)>,
    /// Number of the record that ended the last error, and its index in `done`.
    last_error: Option<(usize, usize)>,
}

/// How often the same finding was told, and where the last one stands.
#[derive(Debug, Clone, Copy)]
struct Told {
    times: usize,
    index: usize,
}

#[derive(Debug)]
struct Preamble {
    seen: usize,
    caller: Option<Caller>,
    line: Line,
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
            timed: false,
            preambles: VecDeque::new(),
            open: Vec::new(),
            done: Vec::new(),
            last_error: None,
        }
    }

    /// Takes the next record.
    pub fn push(&mut self, record: &Record) {
        self.take(record, headers::interesting(&record.text));
    }

    /// Takes the next record, of which it is known whether it is [`headers::interesting`].
    pub(super) fn take(&mut self, record: &Record, interesting: bool) {
        self.seen += 1;
        self.timed |= record.time.is_some();
        let loud = record.level.is_some_and(|level| level <= 4) && record.facility == 0;
        if !interesting && !loud && self.open.is_empty() {
            return;
        }
        let foreign_program = (self.timed && !record.has_prefix()) || record.facility != 0;
        let opening = headers::recognise(&record.text)
            .filter(|_| interesting)
            .filter(|opening| !foreign_program || specific(opening))
            .filter(|_| !self.names_itself_inside(record));
        match opening {
            Some(Opening::Header(header)) => return self.begin(header, record),
            Some(Opening::Preamble) => self.remember(record),
            None => {}
        }
        if !self.open.is_empty() {
            self.extend(record, foreign_program);
        }
        if opening.is_none() && !(interesting && self.belongs_to_last_error(record)) && loud {
            self.message(record);
        }
    }

    /// Sanitizers close their report, then set the taint that switches lockdep off (mm/kasan/report.c: `end_report()`).
    fn belongs_to_last_error(&mut self, record: &Record) -> bool {
        let taints = record
            .text
            .contains("Disabling lock debugging due to kernel taint");
        let within = self.open.iter().any(|open| open.last_own.0 == self.seen);
        let Some((ended, index)) = self.last_error.filter(|_| taints && !within) else {
            return false;
        };
        let Some((_, finding)) = self.done.get_mut(index) else {
            return false;
        };
        let right_behind = self.seen - ended <= RIGHT_BEHIND && finding.boot == record.boot;
        if right_behind {
            finding.lockdep_off = true;
            finding.excerpt.push(record.text.to_string());
        }
        right_behind
    }

    /// Ends every open report; gives all findings in the order in which they began, and how many there were beyond the bound.
    pub fn finish(mut self) -> (Vec<Finding>, usize) {
        while let Some(open) = self.open.pop() {
            self.close(open);
        }
        self.done.sort_by_key(|(began, _)| *began);
        (
            self.done.into_iter().map(|(_, finding)| finding).collect(),
            self.untold,
        )
    }

    /// Keeps a finding, or counts it where the same one was told often enough; gives where it stands.
    fn tell(&mut self, began: usize, mut finding: Finding, key: u64) -> Option<usize> {
        let place = (finding.boot, key);
        if let Some(index) = self.count(place) {
            return Some(index);
        }
        if self.done.len() >= MOST {
            self.untold += 1;
            return None;
        }
        if self.kept > EXCERPTS {
            finding.excerpt.truncate(1);
        }
        self.kept += finding.excerpt.iter().map(String::len).sum::<usize>();
        let index = self.done.len();
        let times = self.told.get(&place).map_or(0, |told| told.times) + 1;
        self.told.insert(place, Told { times, index });
        self.done.push((began, finding));
        Some(index)
    }

    /// Counts one more of what was told often enough.
    fn count(&mut self, place: (u32, u64)) -> Option<usize> {
        let told = self.told.get(&place).filter(|told| told.times >= SAME)?;
        let (_, finding) = self.done.get_mut(told.index)?;
        finding.times += 1;
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

    fn begin(&mut self, header: &'static Header, record: &Record) {
        let kind = header.kind;
        if let Some(at) = self
            .open
            .iter()
            .position(|open| same_context(&open.splat, record.caller))
        {
            if continues(&self.open[at].splat, kind) {
                self.open[at].take(record, self.seen, Class::Detail);
                self.open[at].splat.panicked |= kind == Kind::Panic;
                return;
            }
            if kind == Kind::Panic && severity(&self.open[at].splat) == Severity::Error {
                self.open[at].splat.panicked = true;
                self.open[at].take(record, self.seen, Class::Detail);
                return;
            }
            if header.body == Body::Line {
                return self.alone(header, record);
            }
            let mut open = self.open.swap_remove(at);
            open.splat.cut |= open.interrupted();
            self.close(open);
        }
        if kind == Kind::Panic && self.explains_panic(record) {
            return;
        }
        if header.body == Body::Line {
            return self.alone(header, record);
        }
        let open = self.opened(header, record);
        if self.open.len() >= MOST_OPEN {
            let oldest = self.open.remove(0);
            self.close(oldest);
        }
        self.open.push(open);
    }

    /// A report of one line ends none that is open: where nobody says who prints, it may be another's.
    fn alone(&mut self, header: &'static Header, record: &Record) {
        let open = Open::new(header, record, self.seen, Vec::new());
        self.close(open);
    }

    fn opened(&mut self, header: &'static Header, record: &Record) -> Open {
        let seen = self.seen;
        let mut lines: Vec<Line> = Vec::new();
        for preamble in self.preambles.drain(..) {
            if seen - preamble.seen <= NEAR && preamble.caller == record.caller {
                lines.push(preamble.line);
            }
        }
        // Only the last rule or cut belongs to this report; what stands before it belonged to another.
        if let Some(at) = lines
            .iter()
            .rposition(|line| line.class == Class::Rule || line.text.contains("cut here"))
        {
            let from = at.saturating_sub(usize::from(at > 0 && !opens(&lines[at - 1])));
            lines.drain(..from);
        }
        Open::new(header, record, seen, lines)
    }

    /// A panic whose cause was reported just before is no finding of its own.
    fn explains_panic(&mut self, record: &Record) -> bool {
        let Some((ended, index)) = self.last_error else {
            return false;
        };
        let Some((_, finding)) = self.done.get_mut(index) else {
            return false;
        };
        let explained = self.seen - ended <= CONSEQUENCE && finding.boot == record.boot;
        if explained && !finding.panicked {
            finding.panicked = true;
            finding.excerpt.push(record.text.to_string());
        }
        explained
    }

    fn remember(&mut self, record: &Record) {
        if self.preambles.len() >= NEAR {
            self.preambles.pop_front();
        }
        self.preambles.push_back(Preamble {
            seen: self.seen,
            caller: record.caller,
            line: line(record, classify(&record.text)),
        });
    }

    fn extend(&mut self, record: &Record, foreign_program: bool) {
        let mut at = 0;
        while at < self.open.len() {
            let open = &mut self.open[at];
            let ended = if same_context(&open.splat, record.caller) && !foreign_program {
                open.add(record, self.seen)
            } else {
                open.is_over(record, self.seen)
            };
            if ended {
                let open = self.open.swap_remove(at);
                self.close(open);
            } else {
                at += 1;
            }
        }
    }

    fn close(&mut self, mut open: Open) {
        open.splat.lines.truncate(open.last_own.1);
        let finding = summary::summarise(&open.splat, &self.source);
        let error = finding.severity == Severity::Error;
        let key = hash(&(finding.kind, &finding.title));
        let index = self.tell(open.began, finding, key);
        if error && let Some(index) = index {
            self.last_error = Some((open.last_own.0, index));
        }
    }

    /// A line of level warning or above that no report explains is a finding of its own (plan: no new warnings).
    fn message(&mut self, record: &Record) {
        let within = self.open.iter().any(|open| open.last_own.0 == self.seen);
        if within || record.text.trim().is_empty() {
            return;
        }
        let key = rough_hash(&record.text);
        if self.count((record.boot, key)).is_none() {
            self.tell(self.seen, summary::message(record, &self.source), key);
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A hash of a line without its numbers and addresses.
fn rough_hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut within = false;
    for byte in summary::clip(text).bytes() {
        let digit = byte.is_ascii_digit() || within && byte.is_ascii_hexdigit();
        if !digit {
            hasher.write_u8(byte);
        } else if !within {
            hasher.write_u8(b'0');
        }
        within = digit;
    }
    hasher.finish()
}

fn severity(splat: &Splat) -> Severity {
    splat.header.kind.severity()
}

/// Marks that nobody but the kernel writes, so that they count on a line without a time, too.
fn specific(opening: &Opening) -> bool {
    match opening {
        Opening::Header(header) => !matches!(
            header.mark,
            "WARNING: " | "BUG: " | "BUG " | "UBSAN: " | "panicked at "
        ),
        Opening::Preamble => false,
    }
}

fn opens(line: &Line) -> bool {
    line.class == Class::Rule || line.text.contains("cut here")
}
