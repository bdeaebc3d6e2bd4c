//! Which function of a report is to be looked at first.

use crate::evidence::frames::{self, Frame, Trust};
use crate::evidence::headers::Blame;
use crate::evidence::kind::Kind;
use crate::evidence::locks::LockReport;
use crate::evidence::machinery;
use crate::evidence::splat::{Class, Splat};

/// The function to look at first, as the report's kind tells it.
pub(super) fn culprit<'a>(splat: &'a Splat, kind: Kind, locks: Option<&'a LockReport>) -> Option<Frame<'a>> {
    let guilty = |frame: &Frame| machinery::is_culprit(frame, kind);
    let from_stack = || {
        caller_of_leaf(splat)
            .filter(guilty)
            .or_else(|| splat.frames().into_iter().find(guilty))
    };
    // When all of it is machinery, the place where it happened is better than nothing.
    let anywhere = || Some(frames_of_header(splat).next().or(splat.frames().first().copied()))?;
    match splat.header.blame {
        Blame::Nobody => None,
        Blame::Trace => first_stack(splat, kind).or_else(|| frames_of_header(splat).find(guilty)),
        Blame::Header => frames_of_header(splat)
            .find(guilty)
            .or_else(from_stack)
            .or_else(anywhere),
        Blame::Counter => from_stack().or_else(anywhere),
        Blame::Entry => entry(splat, kind),
        Blame::LastFunction => splat.body().iter().find_map(|line| {
            let (_, function) = ["last function: ", "workfn="]
                .iter()
                .find_map(|mark| line.text.split_once(mark))?;
            Some(Frame {
                function: function.trim(),
                module: None,
                trust: Trust::Sure,
            })
        }),
        Blame::Lock => irq_safe_taker(splat, kind)
            .or_else(|| locks.and_then(|report| taker(report).find(guilty)))
            .or_else(|| last_stack(splat, kind)),
    }
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
    let caller = frames::link(&body.get(at + 1)?.text)?;
    let is_known = frames.iter().any(|frame| frame.function == caller.function);
    (!is_known).then_some(caller)
}

/// Who took the two locks of a report.
fn taker(report: &LockReport) -> impl Iterator<Item = Frame<'_>> {
    [&report.wanted, &report.held]
        .into_iter()
        .flatten()
        .filter_map(|lock| {
            let function = lock.at.as_deref()?;
            let module = lock.module.as_deref();
            Some(Frame {
                function,
                module,
                trust: Trust::Sure,
            })
        })
}

/// Of an irq-safe to irq-unsafe order: who takes the irq-safe lock in the interrupt.
fn irq_safe_taker(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let body = splat.body();
    let from = body.iter().position(|line| line.text.contains("-irq-safe at:"))?;
    body[from..]
        .iter()
        .filter_map(|line| frames::frame(&line.text))
        .find(|frame| machinery::is_culprit(frame, kind))
}

/// The report's own stack; sanitizers print it right after the first line, lockdep at the end.
fn first_stack(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    if is_about_locks(kind) {
        return last_stack(splat, kind);
    }
    splat
        .frames()
        .into_iter()
        .find(|frame| machinery::is_culprit(frame, kind))
}

/// lockdep's `stack backtrace:` is the last one; the ones before tell the past.
fn last_stack(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let body = splat.body();
    let start = body.iter().rposition(|line| line.class == Class::StackStart)?;
    body[start..]
        .iter()
        .filter_map(|line| frames::frame(&line.text))
        .find(|frame| machinery::is_culprit(frame, kind))
}

/// Functions that the first line names, each with its module if that stands behind it.
fn frames_of_header(splat: &Splat) -> impl Iterator<Item = Frame<'_>> {
    let line = splat.title_line();
    line.char_indices()
        .filter(|&(at, c)| at == 0 || c == ' ')
        .filter_map(|(at, _)| frames::symbol(line[at..].trim_start()))
}

/// Of the stalled context's stacks: the function that the innermost dispatcher called.
fn entry(splat: &Splat, kind: Kind) -> Option<Frame<'_>> {
    let mut stack: Vec<Frame> = Vec::new();
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
            found = found.or_else(|| entry_of(&stack, kind));
            stack.clear();
        }
        stack.extend(frame.filter(|frame| frame.trust == Trust::Sure));
    }
    found.or_else(|| entry_of(&stack, kind))
}

fn entry_of<'a>(stack: &[Frame<'a>], kind: Kind) -> Option<Frame<'a>> {
    // The thread that waits for the stalled one is not the stalled one.
    if stack.iter().any(|frame| frame.function == "rcu_gp_kthread") {
        return None;
    }
    let mut before = None;
    for frame in stack {
        if machinery::dispatcher(frame.function) {
            if before.is_some() {
                return before;
            }
        } else if before.is_some_and(|inner: Frame| is_compat_shim(frame.function, inner.function)) {
            // The entry for 32-bit callers hands over to the real one.
        } else if frame.function.starts_with("smp_call_function") {
            return Some(*frame);
        } else if machinery::is_culprit(frame, kind) {
            before = Some(*frame);
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
