//! Which function of a report is to be looked at first.

use crate::frames::{self, Elsewhere, Frame, Trust};
use crate::headers::Blame;
use crate::kind::Kind;
use crate::locks::{Lock, LockReport};
use crate::machinery::{self, Rank};
use crate::splat::{Class, Splat};

/// The function to look at first, and how it was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Culprit<'a> {
    /// As reports of the kind tell it.
    Told(Frame<'a>),
    /// By what else is in the report: better than none.
    Guessed(Frame<'a>),
    /// By nothing.
    Unknown,
}

impl<'a> Culprit<'a> {
    /// The frame, however it was found.
    pub fn frame(self) -> Option<Frame<'a>> {
        match self {
            Culprit::Told(frame) | Culprit::Guessed(frame) => Some(frame),
            Culprit::Unknown => None,
        }
    }

    /// The frame, if the report tells it as it should.
    pub fn told(self) -> Option<Frame<'a>> {
        match self {
            Culprit::Told(frame) => Some(frame),
            Culprit::Guessed(_) | Culprit::Unknown => None,
        }
    }
}

/// The function to look at first, as the report's kind tells it; else by what there is.
pub(super) fn culprit<'a>(splat: &'a Splat, kind: Kind, locks: Option<&'a LockReport>) -> Culprit<'a> {
    if let Some(frame) = told(splat, kind, locks) {
        return Culprit::Told(frame);
    }
    if splat.header.blame == Blame::Nobody || in_user_space(splat) {
        return Culprit::Unknown;
    }
    // A warning's first line names a place; where a program counter was may be anywhere.
    let named = || {
        (splat.header.blame == Blame::Header)
            .then(|| anywhere(splat))
            .flatten()
    };
    machinery::first_suspect(splat.frames(), kind)
        .or_else(named)
        .or_else(|| work_function(splat))
        .or_else(|| anywhere(splat))
        .map_or(Culprit::Unknown, Culprit::Guessed)
}

fn told<'a>(splat: &'a Splat, kind: Kind, locks: Option<&'a LockReport>) -> Option<Frame<'a>> {
    let guilty = |frame: &Frame| machinery::is_culprit(frame, kind);
    let from_stack = || {
        caller_of_leaf(splat)
            .filter(guilty)
            .or_else(|| machinery::first_suspect(splat.frames(), kind))
    };
    let in_header = || machinery::first_suspect(frames_of_header(splat), kind);
    match splat.header.blame {
        Blame::Nobody => None,
        Blame::Trace => first_stack(splat, kind)
            .or_else(in_header)
            .or_else(|| named_caller(splat)),
        Blame::Header => header_or_caller(splat, kind).or_else(from_stack),
        Blame::Counter => match elsewhere(splat) {
            Some(Elsewhere::User) => None,
            Some(Elsewhere::Wild) => link(splat).filter(guilty).or_else(from_stack),
            None => interrupted(splat).or_else(from_stack),
        },
        Blame::Stuck => stuck(splat, kind).or_else(|| entry(splat, kind)),
        Blame::Entry => entry(splat, kind),
        Blame::Recursion => recursion(splat, kind)
            .or_else(|| entry(splat, kind))
            .or_else(from_stack),
        Blame::LastFunction => splat.body().iter().find_map(|line| {
            let (_, function) = ["last function: ", "workfn="]
                .iter()
                .find_map(|mark| line.text.split_once(mark))?;
            Some(named(function.trim()))
        }),
        Blame::InFlight => splat.body().iter().find_map(|line| {
            let (_, running) = line.text.split_once("in-flight: ")?;
            let (_, function) = running.split(',').next()?.split_once(':')?;
            is_plain(function.trim()).then(|| named(function.trim()))
        }),
        Blame::Lock => irq_safe_taker(splat, kind)
            .or_else(|| locks.and_then(|report| taker(report.wanted.as_ref(), kind)))
            .or_else(|| locks.and_then(|report| taker(report.held.as_ref(), kind)))
            .or_else(|| last_stack(splat, kind)),
    }
}

fn named(function: &str) -> Frame<'_> {
    Frame {
        function,
        module: None,
        file: None,
        trust: Trust::Sure,
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// When all of it is machinery, the place where it happened is better than nothing; an entry point is not.
fn anywhere(splat: &Splat) -> Option<Frame<'_>> {
    let happened = |frame: &Frame| machinery::rank(frame, splat.header.kind) != Rank::Never;
    let places = matches!(splat.header.blame, Blame::Header | Blame::Counter);
    frames_of_header(splat)
        .chain(splat.frames())
        .find(|frame| places && happened(frame))
}

/// The function that the first line of a warning names; where that is a core's, whoever called it.
fn header_or_caller<'a>(splat: &'a Splat, kind: Kind) -> Option<Frame<'a>> {
    let named = frames_of_header(splat).find(|frame| machinery::is_culprit(frame, kind))?;
    if machinery::rank(&named, kind) == Rank::Suspect {
        return Some(named);
    }
    machinery::first_suspect(splat.frames(), kind)
        .filter(|caller| machinery::rank(caller, kind) == Rank::Suspect)
        .or(Some(named))
}

/// Whether the program counter was in no function of the kernel when it happened: the first line about it counts.
fn elsewhere(splat: &Splat) -> Option<Elsewhere> {
    let lines = splat.body().iter();
    lines
        .take_while(|line| !matches!(line.class, Class::Counter | Class::Frame))
        .find_map(|line| frames::elsewhere(&line.text))
}

/// Whether a fault happened in user space: no function of the kernel is to blame.
pub(super) fn in_user_space(splat: &Splat) -> bool {
    splat.header.blame == Blame::Counter && elsewhere(splat) == Some(Elsewhere::User)
}

/// Who called what the program counter is in.
fn link(splat: &Splat) -> Option<Frame<'_>> {
    splat.body().iter().find_map(|line| frames::link(&line.text))
}

/// The entry of an interrupt or fault that the program counter was in: it has no caller.
fn interrupted(splat: &Splat) -> Option<Frame<'_>> {
    let first = splat.frames().into_iter().next()?;
    machinery::enters_from_hardware(&first).then_some(first)
}

/// `caller is f+0x1/0x2` (lib/smp_processor_id.c: `check_preemption_disabled()`).
fn named_caller(splat: &Splat) -> Option<Frame<'_>> {
    let mut lines = splat.body().iter();
    lines.find_map(|line| frames::frame(line.text.trim_start().strip_prefix("caller is ")?))
}

/// The innermost function of a driver's module in the stack of a CPU that is stuck: it spins there, or calls what spins.
fn stuck(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    splat
        .frames()
        .into_iter()
        .find(|frame| frame.module.is_some() && machinery::rank(frame, kind) == Rank::Suspect)
}

/// `Workqueue: events my_work_fn [mod]` (kernel/workqueue.c: `print_worker_info()`).
fn work_function(splat: &Splat) -> Option<Frame<'_>> {
    let line = splat
        .body()
        .iter()
        .find_map(|line| line.text.trim_start().strip_prefix("Workqueue: "))?;
    let mut words = line.split_whitespace().skip(1);
    let function = words.next().filter(|word| is_plain(word))?;
    let module = words
        .next()
        .and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
    Some(Frame {
        module,
        ..named(function)
    })
}

/// On arm64: who called the leaf that the program counter is in, where the trace lacks it.
fn caller_of_leaf(splat: &Splat) -> Option<Frame<'_>> {
    let frames = splat.frames();
    let leaf = frames
        .first()
        .filter(|first| machinery::is_leaf(first.function))?;
    let body = splat.body();
    let at = body.iter().position(|line| {
        frames::counter(&line.text).is_some_and(|counter| counter.function == leaf.function)
    })?;
    let caller = frames::link(&body.get(at.saturating_add(1))?.text)?;
    let is_known = frames.iter().any(|frame| frame.function == caller.function);
    (!is_known).then_some(caller)
}

/// Who takes a lock of a report, unless that is machinery.
fn taker(lock: Option<&Lock>, kind: Kind) -> Option<Frame<'_>> {
    let lock = lock?;
    let frame = Frame {
        module: lock.module.as_deref(),
        ..named(lock.at.as_deref()?)
    };
    machinery::is_culprit(&frame, kind).then_some(frame)
}

/// Of an irq-safe to irq-unsafe order: who takes the irq-safe lock in the interrupt.
fn irq_safe_taker(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let body = splat.body();
    let from = body.iter().position(|line| line.text.contains("-irq-safe at:"))?;
    let stack = body
        .iter()
        .skip(from)
        .filter_map(|line| frames::frame(&line.text));
    machinery::first_suspect(stack, kind)
}

/// The report's own stack; sanitizers print it right after the first line, lockdep at the end.
fn first_stack(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    if is_about_locks(kind) {
        return last_stack(splat, kind);
    }
    machinery::first_suspect(splat.frames(), kind)
}

/// lockdep's `stack backtrace:` is the last one; the ones before tell the past.
fn last_stack(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let body = splat.body();
    // The first link of a chain was closed by the same stack.
    let start = body
        .iter()
        .rposition(|line| line.class == Class::StackStart)
        .or_else(|| body.iter().position(|line| line.text.contains("-> #0 ")))?;
    let stack = body
        .iter()
        .skip(start)
        .filter_map(|line| frames::frame(&line.text));
    machinery::first_suspect(stack, kind)
}

/// Functions that the first line names, each with its module if that stands behind it.
fn frames_of_header(splat: &Splat) -> impl Iterator<Item = Frame<'_>> {
    let line = splat.title_line();
    line.char_indices()
        .filter(|&(at, c)| at == 0 || c == ' ')
        .filter_map(|(at, _)| frames::frame(line.get(at..)?.trim_start()))
}

/// The function that calls itself.
fn recursion(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let frames = splat.frames();
    let calls_itself = |window: &&[Frame]| {
        window
            .windows(2)
            .all(|pair| matches!(pair, [one, other] if one.function == other.function))
    };
    let deepest = frames.windows(3).find(calls_itself)?.first()?;
    machinery::is_culprit(deepest, kind).then_some(*deepest)
}

/// Of the stalled context's stacks: the function that the innermost dispatcher called.
fn entry(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let mut stack: Vec<Frame> = Vec::new();
    let mut outermost = None;
    let mut found = None;
    for line in splat.body() {
        let frame = match line.class {
            Class::Frame => frames::frame(&line.text),
            Class::Counter => frames::counter(&line.text),
            _ => None,
        };
        let starts_anew =
            line.text.contains("NMI backtrace for") || line.class == Class::StackStart && stack.len() > 3;
        if starts_anew {
            stack.extend(outermost.take());
            found = found.or_else(|| entry_of(&stack, kind));
            stack.clear();
        }
        if line.class == Class::Frame {
            outermost = frames::arm_caller(&line.text);
        }
        stack.extend(frame.filter(|frame| frame.trust == Trust::Sure));
    }
    stack.extend(outermost);
    found.or_else(|| entry_of(&stack, kind))
}

fn entry_of<'a>(stack: &[Frame<'a>], kind: Kind) -> Option<Frame<'a>> {
    // The thread that waits for the stalled one is not the stalled one.
    if stack.iter().any(|frame| frame.function == "rcu_gp_kthread") {
        return None;
    }
    let (mut before, mut handler) = (None, None);
    for frame in stack {
        if machinery::dispatcher(frame.function) {
            if before.is_some() || handler.is_some() {
                return before.or(handler);
            }
            // It works for itself while nothing else is in it.
            handler = Some(*frame).filter(|frame| machinery::handler(frame.function));
        } else if before.is_some_and(|inner: Frame| is_compat_shim(frame.function, inner.function)) {
            // The entry for 32-bit callers hands over to the real one.
        } else if frame.function.starts_with("smp_call_function") {
            return Some(*frame);
        } else if machinery::is_culprit(frame, kind) {
            before = Some(*frame);
        } else if machinery::calls_nobody(frame) {
            before = before.filter(|inner: &Frame| inner.module.is_some());
        }
    }
    None
}

/// `lo_compat_ioctl` of `lo_ioctl`.
fn is_compat_shim(outer: &str, inner: &str) -> bool {
    outer.contains("compat") && outer.replace("_compat", "").replace("compat_", "") == inner
}

fn is_about_locks(kind: Kind) -> bool {
    kind.is_about_locks() || kind == Kind::SuspiciousRcu
}
