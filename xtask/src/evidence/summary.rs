//! From the lines of a report to a finding: title, culprit, process, CPU.

use super::finding::{Finding, Kind, Severity};
use super::frames::{self, Frame, Trust};
use super::headers::{Blame, Body};
use super::locks::{self, LockReport};
use super::machinery;
use super::record::Record;
use super::splat::{Class, Line, Splat};
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Makes the finding of a report that has ended.
pub fn summarise(splat: &Splat, source: &str) -> Finding {
    let kind = refine(splat);
    let locks = kind.is_about_locks().then(|| locks::read(splat)).flatten();
    let culprit = culprit(splat, kind, locks.as_ref());
    let function = culprit.map(|frame| frames::readable(frame.function).into_owned());
    let who = who(splat);
    let first = splat.lines.first();
    let severity = kind.severity();
    Finding {
        title: title(splat, kind, function.as_deref(), locks.as_ref()),
        kind,
        severity,
        module: culprit.and_then(|frame| frame.module.map(String::from)),
        damaged: damaged(
            splat,
            kind,
            culprit.filter(|frame| machinery::is_culprit(frame, kind)),
        ),
        lockdep_off: kind.switches_lockdep_off()
            || splat.header.kind.switches_lockdep_off()
            || says_lockdep_off(splat),
        function,
        process: who.process,
        pid: who.pid,
        cpu: who.cpu,
        time: splat.time,
        boot: splat.boot,
        source: source.to_string(),
        line: first.map_or(0, |line| line.number),
        offset: first.map_or(0, |line| line.offset),
        times: 1,
        excerpt: splat.lines.iter().map(|line| line.text.clone()).collect(),
        panicked: splat.panicked || says_panic(splat),
        locks,
    }
}

/// The part of a line that is kept: the kernel's own are shorter (kernel/printk/internal.h: `PRINTKRB_RECORD_MAX` is 1024).
pub fn clip(text: &str) -> &str {
    const KEPT: usize = 2048;
    let mut end = text.len().min(KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Makes the finding of a line of level warning or above.
pub fn message(record: &Record, source: &str) -> Finding {
    Finding {
        title: scrub(clip(record.text.trim())).into_owned(),
        kind: Kind::Message,
        severity: Severity::Warning,
        function: None,
        module: None,
        process: None,
        pid: None,
        cpu: None,
        time: record.time,
        boot: record.boot,
        source: source.to_string(),
        line: record.line,
        offset: record.offset,
        times: 1,
        excerpt: vec![clip(&record.text).to_string()],
        damaged: false,
        panicked: false,
        lockdep_off: false,
        locks: None,
    }
}

/// The kind that the lines around the first one tell.
fn refine(splat: &Splat) -> Kind {
    let near = |words: &str| {
        let until = (splat.header_at + 2).min(splat.lines.len());
        splat.lines[..until].iter().any(|line| line.text.contains(words))
    };
    match splat.header.kind {
        Kind::Warning | Kind::KernelBug => {
            let title = splat.title_line();
            if near("refcount_t: ") || title.contains("lib/refcount.c") {
                Kind::Refcount
            } else if near("list_add") || near("list_del") || title.contains("lib/list_debug.c") {
                Kind::ListCorruption
            } else if near("ODEBUG: ") {
                Kind::DebugObjects
            } else if near("usercopy: ") || title.contains("mm/usercopy.c") {
                Kind::Usercopy
            } else if splat.header.kind == Kind::Warning && is_of_fences(title, near) {
                Kind::DmaFence
            } else if near("DMA-API: ") {
                Kind::DmaApi
            } else if title.contains("kernel/locking/lockdep.c") || near("DEBUG_LOCKS_WARN_ON") {
                Kind::LockingBug
            } else {
                splat.header.kind
            }
        }
        // The address is that of KASAN's shadow of a small one (mm/kasan/report.c: `kasan_non_canonical_hook()`).
        Kind::PagingRequest if near("KASAN: null-ptr-deref in range") => Kind::NullDereference,
        Kind::Panic if splat.title_line().contains("Out of memory") => Kind::OutOfMemory,
        kind => kind,
    }
}

/// A warning of dma-fence or dma-resv themselves, not one that only has them in its trace.
fn is_of_fences(title: &str, near: impl Fn(&str) -> bool) -> bool {
    let own = ["drivers/dma-buf/", "dma_fence_", "dma_resv_"];
    own.iter().any(|words| title.contains(words)) || near("released with pending signals")
}

fn is_about_locks(kind: Kind) -> bool {
    kind.is_about_locks() || kind == Kind::SuspiciousRcu
}

/// `add_taint(…, LOCKDEP_NOW_UNRELIABLE)` (kernel/panic.c) and lockdep's own words.
fn says_lockdep_off(splat: &Splat) -> bool {
    splat.lines.iter().any(|line| {
        line.text.contains("Disabling lock debugging due to kernel taint")
            || line
                .text
                .contains("turning off the locking correctness validator")
    })
}

fn says_panic(splat: &Splat) -> bool {
    let says = |line: &Line| line.text.contains("Kernel panic - not syncing");
    splat.lines.iter().any(says)
}

fn culprit<'a>(splat: &'a Splat, kind: Kind, locks: Option<&'a LockReport>) -> Option<Frame<'a>> {
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

fn damaged(splat: &Splat, kind: Kind, culprit: Option<Frame>) -> bool {
    if splat.cut {
        return true;
    }
    // These name an oops or a warning that should stand before them: `die()`, kernel/panic.c: `check_panic_on_warn()`.
    let title = splat.title_line();
    if kind == Kind::Panic && (title.contains("Fatal exception") || title.contains("panic_on_warn")) {
        return true;
    }
    // A kernel without CONFIG_DEBUG_BUGVERBOSE panics without a stack (kernel/panic.c: `vpanic()`).
    let goes_on =
        splat.lines.last().is_some_and(|line| line.class == Class::End) || dies_without_stack(splat);
    let says_no_more = matches!(kind, Kind::Panic | Kind::StackOverflow)
        && goes_on
        && !splat
            .body()
            .iter()
            .any(|line| matches!(line.class, Class::Frame | Class::StackStart));
    if says_no_more {
        return false;
    }
    let blames = splat.header.blame != Blame::Nobody;
    if splat.header.body == Body::Stack && kind != Kind::OutOfMemory {
        let unwound = splat
            .frames()
            .iter()
            .any(|frame| frame.module.is_some() || !machinery::machinery(frame.function, kind));
        return !splat.stacks_are_whole() || (blames && !(culprit.is_some() && unwound));
    }
    let started = splat.body().iter().any(|line| line.class == Class::StackStart);
    started && !splat.stacks_are_whole() && splat.header.blame != Blame::Header
}

/// Whether something else stands where a panic's stack would: a dump is written before the panic's last line.
fn dies_without_stack(splat: &Splat) -> bool {
    splat
        .body()
        .get(1)
        .is_some_and(|line| line.class == Class::Detail && !line.text.starts_with("CPU: "))
}

struct Who {
    process: Option<String>,
    pid: Option<u32>,
    cpu: Option<u32>,
}

fn who(splat: &Splat) -> Who {
    static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r"INFO: task (?P<comm>.+):(?P<pid>\d+) ",
            r"CPU#(?P<cpu>\d+) stuck for \d+s! \[(?P<comm>.+):(?P<pid>\d+)\]",
            r"CPU#(?P<cpu>\d+): (?P<comm>.+)/(?P<pid>\d+)$",
            r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.+?) (?:Not t|T)ainted",
            r"LOCKUP on cpu (?P<cpu>\d+)",
            r"by task (?P<comm>.+)/(?P<pid>\d+)",
            r#"comm "(?P<comm>[^"]+)", pid (?P<pid>\d+)"#,
            r"^(?P<comm>\S.*)/(?P<pid>\d+)(?:\[[^\]]*\])? (?:\[HC|is trying|is freeing|is leaving|is exiting|just changed)",
            r"CPU: (?P<cpu>\d+) ",
        ]
        .iter()
        .map(|pattern| Regex::new(pattern).expect("the patterns are constants"))
        .collect()
    });
    let mut who = Who {
        process: None,
        pid: None,
        cpu: None,
    };
    for pattern in PATTERNS.iter() {
        let Some(found) = splat
            .body()
            .iter()
            .take(200)
            .find_map(|line| pattern.captures(&line.text))
        else {
            continue;
        };
        let text = |name: &str| found.name(name).map(|found| found.as_str());
        if who.process.is_none() {
            who.process = text("comm").map(String::from);
            who.pid = text("pid").and_then(|pid| pid.parse().ok());
        }
        who.cpu = who.cpu.or_else(|| text("cpu").and_then(|cpu| cpu.parse().ok()));
    }
    who
}

fn title(splat: &Splat, kind: Kind, function: Option<&str>, locks: Option<&LockReport>) -> String {
    let line = splat.title_line();
    let stem = match kind {
        Kind::Kasan | Kind::Kmsan | Kind::Kfence | Kind::Kcsan | Kind::Ubsan => {
            return sanitizer(splat, kind, function);
        }
        Kind::SpinlockBug => Cow::Owned(format!("{} {}", splat.header.stem, spin_problem(line))),
        Kind::PreemptibleCpuUse => Cow::Owned(
            between(line, "BUG: ", " in preemptible").map_or(splat.header.stem.into(), |words| {
                format!("{words} in preemptible code")
            }),
        ),
        Kind::DmaApi => {
            let words = splat.lines.iter().find_map(|line| {
                let at = line.text.find("DMA-API: ")?;
                Some(scrub(line.text[at..].trim()).into_owned())
            });
            Cow::Owned(words.unwrap_or_else(|| splat.header.stem.into()))
        }
        Kind::MemoryLeak if splat.header.body == Body::Line => return scrub(line.trim()).into_owned(),
        Kind::OtherBug => Cow::Owned(scrub(line.trim()).into_owned()),
        Kind::ProbeFailure | Kind::OutOfMemory => return scrub(line.trim()).into_owned(),
        Kind::Watchdog => return without_number_of_watchdog(&scrub(line.trim())),
        Kind::BadPage => Cow::Owned(
            between(line, "BUG: ", " in process")
                .map_or(scrub(line.trim()).into_owned(), |words| words.to_lowercase()),
        ),
        Kind::SlabCorruption => Cow::Owned(scrub(line.trim()).into_owned()),
        Kind::Panic => {
            let reason = line
                .split_once("not syncing: ")
                .map_or(line, |(_, reason)| reason);
            Cow::Owned(format!("panic: {}", scrub(reason.trim())))
        }
        Kind::Refcount => Cow::Owned(format!("refcount bug: {}", problem(splat, "refcount_t: "))),
        Kind::ListCorruption => "list corruption".into(),
        Kind::DebugObjects => "ODEBUG: active object misused".into(),
        Kind::Usercopy => "bad usercopy".into(),
        Kind::LockingBug if splat.header.kind == Kind::Warning => "lockdep WARNING".into(),
        Kind::DmaFence => "dma-fence WARNING".into(),
        Kind::NullDereference => "NULL pointer dereference".into(),
        Kind::Warning if function.is_none() => Cow::Owned(scrub(line.trim()).into_owned()),
        _ => splat.header.stem.into(),
    };
    let names = locks.map(LockReport::names).unwrap_or_default();
    match (names.as_slice(), function) {
        ([], Some(function)) => format!("{stem} in {function}"),
        ([], None) => stem.into_owned(),
        (names, _) if kind == Kind::CircularLocking => format!("{stem}: {}", names.join(" vs ")),
        (names, Some(function)) => format!("{stem}: {} in {function}", names.join(" vs ")),
        (names, None) => format!("{stem}: {}", names.join(" vs ")),
    }
}

/// Which of several watchdogs it is depends on the order of probing.
fn without_number_of_watchdog(text: &str) -> String {
    static NUMBERED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bwatchdog\d+").expect("the pattern is a constant"));
    NUMBERED.replace_all(text, "watchdogN").into_owned()
}

/// `KASAN: slab-use-after-free Read in f`.
fn sanitizer(splat: &Splat, kind: Kind, function: Option<&str>) -> String {
    let line = splat.title_line();
    let stem = splat.header.stem;
    let rest = line.split_once(splat.header.mark).map_or("", |(_, rest)| rest);
    let what = match kind {
        Kind::Ubsan => rest,
        _ => rest.split(" in ").next().unwrap_or(rest),
    };
    let what = what.split(" on ").next().unwrap_or(what);
    let what = what.split(" at ").next().unwrap_or(what);
    let what = what.split(" in ").next().unwrap_or(what).trim().to_lowercase();
    if kind == Kind::Kcsan {
        let both = rest.split_once(" in ").map_or("", |(_, both)| both);
        let names: Vec<&str> = both
            .split(" / ")
            .map(|one| one.split(" [").next().unwrap_or(one))
            .filter_map(|one| {
                frames::symbol(one.trim())
                    .map(|f| f.function)
                    .or(Some(one.trim()).filter(|one| !one.is_empty()))
            })
            .collect();
        if names.len() == 2 && names[0] != names[1] {
            return format!("{stem}: {what} in {} / {}", names[0], names[1]);
        }
    }
    let access = match kind {
        Kind::Kasan => splat.body().iter().find_map(|line| match line.text.trim_start() {
            text if text.starts_with("Read ") => Some(" Read"),
            text if text.starts_with("Write ") => Some(" Write"),
            _ => None,
        }),
        _ => None,
    };
    let access = access.unwrap_or_default();
    match function {
        Some(function) => format!("{stem}: {what}{access} in {function}"),
        None => format!("{stem}: {what}{access}"),
    }
}

/// `bad magic`, `recursion`, `lockup suspected`, `wrong owner`, …
fn spin_problem(line: &str) -> &str {
    between(line, "lock ", " on CPU")
        .or_else(|| between(line, "lock-", " on CPU"))
        .unwrap_or("bug")
}

fn problem<'a>(splat: &'a Splat, mark: &str) -> &'a str {
    splat
        .lines
        .iter()
        .find_map(|line| line.text.split_once(mark))
        .map_or("saturated", |(_, rest)| rest.trim().trim_end_matches('.'))
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    rest.split_once(end).map(|(words, _)| words)
}

/// A line without what differs from run to run: addresses and numbers become `ADDR` and `N`, a task's name and id vanish.
pub fn scrub(text: &str) -> Cow<'_, str> {
    static CHANGING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?P<addr>\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8,16}\b)|(?P<offset>\+0x[0-9a-f]+/0x[0-9a-f]+)|(?P<task>\b[\w.:/-]+(?:/|\[|:)\d+\]?(?:$| ))|(?P<number>\b\d+(?:\.\d+)?(?P<unit>[smk%]?)\b)")
            .expect("the pattern is a constant")
    });
    CHANGING.replace_all(text, |found: &regex::Captures| {
        let whole = &found[0];
        if found.name("offset").is_some() {
            String::new()
        } else if found.name("addr").is_some() {
            "ADDR".to_string()
        } else if found.name("task").is_some()
            && whole.starts_with(|c: char| c.is_ascii_alphabetic())
            && !whole.contains("error")
        {
            let name = whole
                .trim_end()
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == ']');
            format!("{name}N{}", if whole.ends_with(' ') { " " } else { "" })
        } else {
            format!("N{}", found.name("unit").map_or("", |unit| unit.as_str()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_what_changes() {
        let check = |text: &str, expect: &str| assert_eq!(scrub(text), expect);
        check("x at ffff0000c1234567 y", "x at ADDR y");
        check("x 0x20 took 12.5 ms", "x ADDR took N ms");
        check("f+0x1/0x20 failed", "f failed");
        check("stuck for 22s!", "stuck for Ns!");
        check("nothing changes", "nothing changes");
    }
}
