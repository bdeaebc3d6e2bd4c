//! What the kernel prints because it was asked, and its last words: lines of level warning and above that complain of nothing.

use crate::prefix::Caller;
use crate::record::Record;
use crate::splat::{Class, classify};
use std::collections::VecDeque;

/// An answer is over when nothing of it came for so long (µs): a slow console needs a tenth of a second for a line.
const SILENCE: u64 = 1_000_000;
/// … or so long after the question (µs): where nobody says who prints, everything looks like the answer.
const LONGEST: u64 = 60_000_000;
/// … in records, where the source has no times.
const RECORDS: usize = 60;
/// So many questions are remembered for what is answered later.
const QUESTIONS: usize = 8;

/// Follows the questions, their answers, and a panic.
#[derive(Debug, Default)]
pub(super) struct Answers {
    boot: u32,
    /// The kernel has panicked, at this time if it tells any.
    panicked: Option<Option<u64>>,
    /// Names of the last questions.
    asked: VecDeque<String>,
    open: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    caller: Option<Caller>,
    /// When it began and when its last line came; none where the source has no times.
    times: Option<(u64, u64)>,
    records: usize,
}

impl Answers {
    /// Whether an answer may go on with the next record.
    pub(super) fn are_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a record of the kernel: each one while an answer is open, else each one that has one of the [`ANSWERS`] or a panic in it.
    pub(super) fn listen(&mut self, record: &Record) {
        if record.boot != self.boot {
            *self = Answers::default();
            self.boot = record.boot;
        }
        if let Some(name) = question(&record.text) {
            if self.asked.len() >= QUESTIONS {
                self.asked.pop_front();
            }
            self.asked.push_back(name.to_string());
        }
        if question(&record.text).is_some() || record.text.starts_with("Mem-Info:") {
            self.open = Some(Answer {
                caller: record.caller,
                times: record.time.map(|now| (now, now)),
                records: 0,
            });
        } else if let Some(answer) = &mut self.open
            && !answer.goes_on(record)
        {
            self.open = None;
        }
        if record.text.contains("Kernel panic - not syncing") {
            self.panicked = Some(record.time);
        }
    }

    /// Whether a line belongs to an answer, or to what the kernel does while it dies. [`Answers::listen`] took it before.
    pub(super) fn hold(&self, record: &Record, class: Class) -> bool {
        let answers = |answer: &Answer| answer.caller == record.caller || is_part(class);
        self.is_dying(record) || self.open.as_ref().is_some_and(answers) || self.says_done(&record.text)
    }

    /// Whether this panic is what was asked for: `sysrq: Trigger a crash`.
    pub(super) fn were_to_crash(&self, record: &Record) -> bool {
        let asker = |answer: &Answer| answer.caller == record.caller;
        let crash = |name: &String| name.to_ascii_lowercase().contains("crash");
        self.open.as_ref().is_some_and(asker) && self.asked.back().is_some_and(crash)
    }

    /// From its panic on a kernel says only what `panic()` does and why (kernel/panic.c: `vpanic()` stops the other CPUs, then calls
    /// the notifiers). A time before that is another boot's.
    fn is_dying(&self, record: &Record) -> bool {
        self.boot == record.boot
            && match (self.panicked, record.time) {
                (Some(Some(then)), Some(now)) => now.saturating_add(SILENCE) >= then,
                (Some(None), None) => true,
                _ => false,
            }
    }

    /// `Emergency Sync complete`: a worker says it, whenever it is done (fs/sync.c, fs/super.c).
    fn says_done(&self, text: &str) -> bool {
        let done = text.trim_end().strip_suffix(" complete");
        done.is_some_and(|name| !name.is_empty() && self.asked.iter().any(|asked| asked.starts_with(name)))
    }
}

impl Answer {
    /// Whether the answer is not over with this record. Stacks of other CPUs are printed by these themselves.
    fn goes_on(&mut self, record: &Record) -> bool {
        self.records = self.records.saturating_add(1);
        let (Some(now), Some((began, last))) = (record.time, self.times) else {
            return record.time.is_none() && self.times.is_none() && self.records <= RECORDS;
        };
        if now.saturating_sub(last) > SILENCE || now.saturating_sub(began) > LONGEST {
            return false;
        }
        if self.caller == record.caller || is_part(classify(&record.text)) {
            self.times = Some((began, last.max(now)));
        }
        true
    }
}

/// Whether a line of this class is never a message by itself.
pub(super) fn is_part(class: Class) -> bool {
    !matches!(class, Class::Other | Class::Blank)
}

/// Name of the SysRq key that a line says was pressed. What SysRq says about itself begins with a small letter.
fn question(text: &str) -> Option<&str> {
    let name = text
        .strip_prefix("sysrq: ")
        .or_else(|| text.strip_prefix("SysRq : "))?;
    name.starts_with(|c: char| c.is_ascii_uppercase())
        .then_some(name.trim_end())
}
