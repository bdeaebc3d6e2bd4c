//! A report while its lines come in: which of them are its own, and where it ends.

use super::preambles::Waited;
use crate::evidence::headers::{Body, Header};
use crate::evidence::kind::Kind;
use crate::evidence::prefix::Caller;
use crate::evidence::record::Record;
use crate::evidence::splat::{Class, Line, Splat, classify, intrudes};
use crate::evidence::summary;

/// Longest report that is kept, in lines; the rest of a longer one is passed over.
const LONGEST: usize = 1500;
/// A report ends after so many lines of its own context that look like somebody else's.
const FOREIGN: usize = 15;
/// … or after so many records of any context since its last own line.
const FAR: usize = 3000;
/// … or after so long without an own line (µs). A slow console needs a second for some lines.
const LONG: u64 = 30_000_000;
/// Between two lines of a report that is printed in one go (µs): a slow console needs a tenth of it for a line.
const ONE_GO: u64 = 1_000_000;

/// A report that has begun and has not ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) splat: Splat,
    pub(super) began: usize,
    /// Number of the record of its last own line, and its length up to that line.
    pub(super) last_own: (usize, usize),
    last_time: Option<u64>,
    foreign: usize,
    /// Messages among its lines. Where a line of its own follows, they belonged to it: one context says one thing at a time.
    held: Vec<Waited>,
    /// It is the stack of the message that stands there.
    pub(super) behind: Option<usize>,
}

impl Open {
    /// A report that begins with this record, after these preambles.
    pub(super) fn new(header: &'static Header, record: &Record, seen: usize, mut lines: Vec<Line>) -> Self {
        let header_at = lines.len();
        lines.push(line(record, Class::Detail));
        Open {
            last_own: (seen, lines.len()),
            last_time: record.time,
            foreign: 0,
            held: Vec::new(),
            behind: None,
            began: seen,
            splat: Splat {
                header,
                header_at,
                lines,
                caller: record.caller,
                time: record.time,
                wall: record.wall,
                boot: record.boot,
                cut: false,
                panicked: false,
            },
        }
    }

    /// Takes an own line.
    pub(super) fn take(&mut self, record: &Record, seen: usize, class: Class) {
        if self.splat.lines.len() < LONGEST {
            self.splat.lines.push(line(record, class));
        }
        self.last_own = (seen, self.splat.lines.len());
        self.last_time = record.time.or(self.last_time);
        self.foreign = 0;
        self.held.clear();
    }

    /// Whether a line of its caller may stand in it. Where nobody says who prints, another's may only by chance fall between two lines of a
    /// report that is printed in one go.
    pub(super) fn is_right_before(&self, record: &Record) -> bool {
        let near = match (record.time, self.last_time) {
            (Some(now), Some(then)) => now.saturating_sub(then) <= ONE_GO,
            _ => false,
        };
        record.caller.is_some() || near
    }

    /// Keeps a line of its own caller until it is known whether the report goes on behind it.
    pub(super) fn hold(&mut self, record: &Record, seen: usize) {
        self.held.push((seen, record.clone().into_owned()));
    }

    /// Messages that stood behind its end.
    pub(super) fn take_held(&mut self) -> Vec<Waited> {
        std::mem::take(&mut self.held)
    }

    /// Takes a line of the report's context; true when the report has ended before or with it.
    pub(super) fn add(&mut self, record: &Record, seen: usize) -> bool {
        if self.is_over(record, seen) {
            return true;
        }
        self.splat.cut |= record.lost || (record.caller.is_none() && intrudes(&record.text));
        let class = classify(&record.text);
        match class {
            Class::Blank => {
                if self.splat.lines.len() < LONGEST {
                    self.splat.lines.push(line(record, class));
                }
                false
            }
            // A dying kernel says nothing but what belongs to its death (kernel/panic.c: `vpanic()`, and the notifiers that it calls).
            Class::Other
                if self.splat.header.kind == Kind::Panic && record.level.is_some_and(|level| level <= 4) =>
            {
                self.take(record, seen, Class::Detail);
                false
            }
            Class::Other => {
                self.foreign += 1;
                if self.splat.lines.len() < LONGEST {
                    self.splat.lines.push(line(record, class));
                }
                self.foreign > FOREIGN
            }
            Class::End => {
                self.take(record, seen, class);
                true
            }
            Class::Rule if self.closes_with_rule() => {
                self.take(record, seen, class);
                true
            }
            Class::Rule => self.splat.body().len() > 4,
            _ => {
                self.take(record, seen, class);
                false
            }
        }
    }

    /// Too long ago, or another boot.
    pub(super) fn is_over(&self, record: &Record, seen: usize) -> bool {
        let late = match (record.time, self.last_time) {
            (Some(now), Some(then)) => now.saturating_sub(then) > LONG,
            _ => false,
        };
        late || seen - self.last_own.0 > FAR || record.boot != self.splat.boot
    }

    fn closes_with_rule(&self) -> bool {
        let sanitizer = matches!(
            self.splat.header.kind,
            Kind::Kasan | Kind::Kmsan | Kind::Kcsan | Kind::Kfence | Kind::Ubsan | Kind::SlabCorruption
        );
        sanitizer && self.splat.body().len() > 2
    }

    /// Whether it ends where such a report should not end.
    pub(super) fn interrupted(&self) -> bool {
        if matches!(
            self.splat.header.kind,
            Kind::Kasan | Kind::Kmsan | Kind::Kcsan | Kind::Kfence
        ) {
            return true;
        }
        self.splat.header.body == Body::Stack
            && !self.splat.body().iter().any(|line| line.class == Class::Frame)
    }
}

/// A record as a line of a report.
pub(super) fn line(record: &Record, class: Class) -> Line {
    Line {
        text: summary::clip(&record.text).to_string(),
        class,
        number: record.line,
        offset: record.offset,
    }
}

/// Whether a record was printed by the context that prints the report. Stalls are printed by several CPUs together.
pub(super) fn same_context(splat: &Splat, caller: Option<Caller>) -> bool {
    let many = matches!(
        splat.header.kind,
        Kind::RcuStall | Kind::SoftLockup | Kind::HardLockup | Kind::WorkqueueLockup
    );
    splat.caller == caller || (many && matches!(caller, Some(Caller::Cpu(_))))
}

/// Whether a header of `kind` is the next part of the open report.
pub(super) fn continues(open: &Splat, kind: Kind) -> bool {
    use Kind::*;
    let fault = |kind: Kind| {
        matches!(
            kind,
            NullDereference
                | PagingRequest
                | GeneralProtection
                | DivideError
                | Oops
                | KernelBug
                | StackOverflow
        )
    };
    let young = !open.body().iter().any(|line| line.class == Class::Frame);
    match (open.header.kind, kind) {
        (KernelBug | Usercopy | ListCorruption, Oops) => true,
        (one, Oops) if fault(one) => young,
        (one, other) if fault(one) && fault(other) => young,
        (RcuStall, RcuStall) => true,
        // The code that prints a stall may itself trip over a warning.
        (RcuStall, Warning) => young,
        (OutOfMemory, OutOfMemory) => true,
        (OtherBug | DmaApi, Warning) => young,
        // The words of a `WARN()` stand before its first line or behind it (kernel/panic.c: `__warn()`).
        (Warning, DmaApi) => open.body().len() < 3,
        (SlabCorruption, SlabCorruption) => true,
        (HardLockup | SoftLockup, HardLockup | SoftLockup) => young,
        _ => false,
    }
}
