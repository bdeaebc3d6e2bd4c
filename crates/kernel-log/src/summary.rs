//! From the lines of a report to a finding: title, culprit, process, CPU.

mod culprit;
mod title;

use super::finding::Finding;
use super::frames::{self, Frame};
use super::headers::{Blame, Body};
use super::kind::{Kind, Severity};
use super::locks;
use super::machinery;
use super::record::Record;
use super::splat::{Class, Line, Splat};
use super::wall::Wall;
use culprit::culprit;
use regex::{Regex, RegexSet};
use std::sync::LazyLock;
use title::title;

pub use title::scrub;

/// Makes the finding of a report that has ended.
pub fn summarise(splat: &Splat, source: &str) -> Finding {
    let kind = refine(splat);
    let locks = kind.is_about_locks().then(|| locks::read(splat)).flatten();
    let found = culprit(splat, kind, locks.as_ref());
    let culprit = found.frame();
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
            found.told().filter(|frame| machinery::is_culprit(frame, kind)),
        ),
        lockdep_off: kind.switches_lockdep_off()
            || splat.header.kind.switches_lockdep_off()
            || says_lockdep_off(splat),
        function,
        process: who.process,
        pid: who.pid,
        cpu: who.cpu,
        time: splat.time,
        wall: splat.wall.map(Wall::of_board),
        boot: splat.boot,
        source: source.to_string(),
        line: first.map_or(0, |line| line.number),
        offset: first.map_or(0, |line| line.offset),
        times: 1,
        excerpt: splat.lines.iter().map(|line| line.text.clone()).collect(),
        panicked: splat.panicked || says_panic(splat),
        locks,
        suspect: None,
    }
}

/// The part of a line that is kept: the kernel's own are shorter (kernel/printk/internal.h: `PRINTKRB_RECORD_MAX` is 1024).
pub fn clip(text: &str) -> &str {
    const KEPT: usize = 2048;
    if text.len() <= KEPT {
        return text;
    }
    // A letter has at most four bytes.
    (0..=KEPT)
        .rev()
        .take(4)
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
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
        wall: record.wall.map(Wall::of_board),
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
        suspect: None,
    }
}

/// The kind that the lines around the first one tell.
fn refine(splat: &Splat) -> Kind {
    let near = |words: &str| {
        let until = splat.header_at.saturating_add(2);
        splat
            .lines
            .iter()
            .take(until)
            .any(|line| line.text.contains(words))
    };
    match splat.header.kind {
        Kind::Warning if is_remark(splat) => Kind::Message,
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

/// Whether a `WARN()` names its file and line: `WARNING: a.c:1 at f` (kernel/panic.c, `__warn()` of
/// 7.3). Without kallsyms or behind decode_stacktrace.sh that is all that its first line has.
fn names_line(title: &str) -> bool {
    let place = title
        .split_once("WARNING: ")
        .and_then(|(_, rest)| rest.split_once(" at "));
    place
        .and_then(|(place, _)| place.rsplit_once(':'))
        .is_some_and(|(file, line)| {
            !file.contains(' ') && !line.is_empty() && line.bytes().all(|digit| digit.is_ascii_digit())
        })
}

/// Whether a line is only called a warning: a `WARN()` names its place and prints its stack, and no
/// script that writes to `/dev/kmsg` does.
fn is_remark(splat: &Splat) -> bool {
    let title = splat.title_line();
    let names_place = title.contains("+0x") || title.contains("WARNING: at ") || names_line(title);
    let has_stack = splat
        .body()
        .iter()
        .any(|line| matches!(line.class, Class::Frame | Class::Counter | Class::StackStart));
    splat.header.mark == "WARNING: " && !names_place && !has_stack
}

/// A warning of dma-fence or dma-resv themselves, not one that only has them in its trace.
fn is_of_fences(title: &str, near: impl Fn(&str) -> bool) -> bool {
    let own = ["drivers/dma-buf/", "dma_fence_", "dma_resv_"];
    own.iter().any(|words| title.contains(words)) || near("released with pending signals")
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
    let blames =
        !matches!(splat.header.blame, Blame::Nobody) && kind != Kind::Panic && !culprit::in_user_space(splat);
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

/// How reports name task and CPU, the best first.
const WHO: &[&str] = &[
    r"INFO: task (?P<comm>.+):(?P<pid>\d+) ",
    r"CPU#(?P<cpu>\d+) stuck for \d+s! \[(?P<comm>.+):(?P<pid>\d+)\]",
    r"CPU#(?P<cpu>\d+): (?P<comm>.+)/(?P<pid>\d+)$",
    r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.+?) (?:Kdump: loaded )?(?:Not t|T)ainted",
    r"LOCKUP on cpu (?P<cpu>\d+)",
    r"by task (?P<comm>.+)/(?P<pid>\d+)",
    r#"comm "(?P<comm>[^"]+)", pid (?P<pid>\d+)"#,
    r"^(?P<comm>\S.*)/(?P<pid>\d+)(?:\[[^\]]*\])? (?:\[HC|is trying|is freeing|is leaving|is exiting|just changed)",
    r"CPU: (?P<cpu>\d+) ",
];

fn who(splat: &Splat) -> Who {
    static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let pattern = |pattern: &&str| Regex::new(pattern).expect("the patterns are constants");
        WHO.iter().map(pattern).collect()
    });
    // Nearly no line has any of them: one look says so.
    static ANY: LazyLock<RegexSet> =
        LazyLock::new(|| RegexSet::new(WHO).expect("the patterns are constants"));
    let lines: Vec<&Line> = splat
        .body()
        .iter()
        .take(200)
        .filter(|line| ANY.is_match(&line.text))
        .collect();
    let mut who = Who {
        process: None,
        pid: None,
        cpu: None,
    };
    for pattern in PATTERNS.iter() {
        let Some(found) = lines.iter().find_map(|line| pattern.captures(&line.text)) else {
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
