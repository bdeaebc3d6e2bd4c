//! A report while its lines come in: which of them are its own, and where it ends.

use super::consequence::Distance;
use super::elapsed;
use super::preambles::Waited;
use crate::headers::{Body, Header};
use crate::kind::Kind;
use crate::prefix::Caller;
use crate::record::Record;
use crate::splat::{Class, Line, Splat, classify, intrudes};
use crate::summary;

/// Longest report that is kept, in lines; the rest of a longer one is passed over.
const LONGEST: usize = 1500;
/// A report ends after so many lines of its own context that look like another's.
const FOREIGN: usize = 15;
/// … while its stack is still to come: a slow console is shared with whatever else is printed.
const FOREIGN_BEFORE_STACK: usize = 300;
/// … or after so many records of any context since its last own line.
const FAR: usize = 3000;
/// … or after so long without an own line (µs). A slow console needs a second for some lines.
const LONG: u64 = 30_000_000;
/// Between two lines of a report that is printed in one go (µs): a slow console needs a tenth of it for a line.
const ONE_GO: u64 = 1_000_000;
/// … in records, where the source has no times.
const FEW: usize = 6;

/// A report that has begun and has not ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) splat: Splat,
    pub(super) began: usize,
    /// Number of the record of its last own line, and its length up to that line.
    pub(super) last_own: (usize, usize),
    pub(super) last_time: Option<u64>,
    foreign: usize,
    /// Messages among its lines. Where a line of its own follows, they belonged to it: one context says one thing at a time.
    held: Vec<Waited>,
    /// Its end was said before its stack, which comes right behind then or not at all (arm64
    /// before 4.10: `__warn()`).
    said_end: bool,
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
            said_end: false,
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

    /// Whether a line of its caller may stand in it. Where the log does not tell who prints, another's may only by chance fall between two
    /// lines of a report that is printed in one go.
    pub(super) fn is_right_before(&self, record: &Record, seen: usize) -> bool {
        let near = match (record.time, self.last_time) {
            (Some(now), Some(then)) => now.saturating_sub(then) <= ONE_GO,
            (None, None) => seen.saturating_sub(self.last_own.0) <= FEW,
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
        if self.said_end && matches!(class, Class::Other | Class::Rule | Class::End) {
            return true;
        }
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
                self.foreign = self.foreign.saturating_add(1);
                if self.splat.lines.len() < LONGEST {
                    self.splat.lines.push(line(record, class));
                }
                let most = if self.awaits_stack() {
                    FOREIGN_BEFORE_STACK
                } else {
                    FOREIGN
                };
                self.foreign > most
            }
            Class::End => {
                self.said_end = self.awaits_stack() && record.text.contains("[ end trace");
                self.take(record, seen, class);
                !self.said_end
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
        late || seen.saturating_sub(self.last_own.0) > FAR || record.boot != self.splat.boot
    }

    fn awaits_stack(&self) -> bool {
        let body = self.splat.body();
        let end = body
            .iter()
            .rev()
            .find(|line| !matches!(line.class, Class::Other | Class::Blank));
        let begun = end.is_some_and(|line| line.class == Class::StackStart);
        let none = !body.iter().any(|line| line.class == Class::Frame);
        begun || (self.splat.header.body == Body::Stack && none)
    }

    /// Whether nothing followed a first line that also announces a fault of user space: `do_DataAbort()` prints it for both, and a kernel's
    /// own fault goes on with `Internal error:` (arch/arm/mm/fault.c).
    pub(super) fn is_nothing(&self) -> bool {
        let either = matches!(
            self.splat.header.mark,
            "Unhandled fault" | "Unhandled prefetch abort" | "Alignment trap: not handling"
        );
        let more = |line: &Line| {
            let words = line.text.trim_start();
            matches!(
                line.class,
                Class::Frame | Class::Counter | Class::StackStart | Class::End
            ) || words.starts_with("Internal error")
                || words.starts_with("CPU: ")
        };
        either && !self.splat.body().iter().any(more)
    }

    /// What stands between its last own line and a record.
    pub(super) fn distance(&self, record: &Record, seen: usize) -> Distance {
        Distance {
            records: seen.saturating_sub(self.last_own.0),
            elapsed: elapsed(self.last_time, record.time),
            callers: (self.splat.caller, record.caller),
        }
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

/// What a first line is to an open report of the same context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// Its next part.
    NextPart,
    /// It names the report better than its own first line.
    SaysWhich,
    /// Another report.
    Anew,
}

/// What this first line is to the open report.
pub(super) fn follows(open: &Open, header: &Header) -> Follows {
    let (splat, kind) = (&open.splat, header.kind);
    // A fault of user space that is over.
    if header.mark == splat.header.mark && open.is_nothing() {
        return Follows::SaysWhich;
    }
    // A symbolizer repeats the first line for each function that is inlined in the one it names.
    if kind == splat.header.kind && splat.title_line().contains("[inline]") && splat.body().len() < 6 {
        return Follows::SaysWhich;
    }
    let young = splat.body().len() < 4 && !splat.body().iter().any(|line| line.class == Class::Frame);
    // `kobject: … failed` stands before the warning that it leads to.
    if kind == Kind::Warning && young && splat.header.kind == Kind::DuplicateName {
        return Follows::SaysWhich;
    }
    if splat.header.kind == Kind::Warning && young {
        if matches!(kind, Kind::HardLockup | Kind::SoftLockup) {
            return Follows::SaysWhich;
        }
        // The words of a `WARN()` stand before its first line or behind it (kernel/panic.c: `__warn()`).
        if kind.may_be_words_of_warning() {
            return Follows::NextPart;
        }
    }
    // `kernel BUG at` says more than the trap that stops the CPU, in whatever order they come.
    if kind == Kind::KernelBug && splat.header.kind == Kind::Oops && continues(splat, kind) {
        return Follows::SaysWhich;
    }
    if continues(splat, kind) {
        Follows::NextPart
    } else {
        Follows::Anew
    }
}

/// Whether a header of `kind` is the next part of the open report.
fn continues(open: &Splat, kind: Kind) -> bool {
    use Kind::*;
    let fault = |kind: Kind| {
        matches!(
            kind,
            NullDereference
                | PagingRequest
                | GeneralProtection
                | DivideError
                | Oops
                | Serror
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
        (DuplicateName, DuplicateName) | (HardwareError, HardwareError) | (IommuFault, IommuFault) => true,
        (SlabCorruption, SlabCorruption) => true,
        (HardLockup | SoftLockup, HardLockup | SoftLockup) => young,
        _ => false,
    }
}
