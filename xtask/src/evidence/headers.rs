//! The first lines of reports: what each kind begins with, and how the rest of it is to be read.
//!
//! Order matters: the first header whose mark is in the line wins, so the special stand before the general.

use super::finding::Kind;
use regex::Regex;
use std::sync::LazyLock;

/// Where the guilty function is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// In the first line, else like [`Blame::Trace`].
    Header,
    /// Where the program counter was, else like [`Blame::Trace`].
    Counter,
    /// The first frame of the first stack that is no machinery.
    Trace,
    /// `… at: function` of the first lock, else like [`Blame::Trace`].
    Lock,
    /// Where the stalled stack was entered: its innermost frame is a matter of chance.
    Entry,
    /// It does not tell.
    Nobody,
}

/// What follows the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// A report with a stack; without one it is damaged.
    Stack,
    /// A report that may have a stack.
    MaybeStack,
    /// Nothing that belongs to it for sure.
    Line,
}

/// How a report's first line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Words that the line holds.
    pub mark: &'static str,
    /// The kind that they mean.
    pub kind: Kind,
    /// How the title begins.
    pub stem: &'static str,
    /// Where the function is told.
    pub blame: Blame,
    /// What follows.
    pub body: Body,
}

const fn header(mark: &'static str, kind: Kind, stem: &'static str, blame: Blame, body: Body) -> Header {
    Header { mark, kind, stem, blame, body }
}

use Blame::{Counter, Entry, Header as First, Lock, Nobody, Trace};
use Body::{Line, MaybeStack, Stack};

/// lockdep and its neighbours: kernel/locking/lockdep.c, kernel/locking/spinlock_debug.c, include/linux/rcupdate.h.
/// Kernels before 4.15 wrote `[ INFO: … ]` or `[ BUG: … ]` where newer ones write `WARNING: …`.
const LOCKING: &[Header] = &[
    header("possible circular locking dependency detected", Kind::CircularLocking, "possible circular locking dependency", Lock, Stack),
    header("possible recursive locking detected", Kind::RecursiveLocking, "possible recursive locking", Lock, Stack),
    header("inconsistent lock state", Kind::InconsistentLockState, "inconsistent lock state", Lock, Stack),
    header("possible irq lock inversion dependency detected", Kind::IrqLockInversion, "possible irq lock inversion", Lock, Stack),
    header("-unsafe lock order detected", Kind::IrqLockInversion, "irq-safe to irq-unsafe lock order", Lock, Stack),
    header("[ BUG: Invalid wait context ]", Kind::InvalidWaitContext, "invalid wait context", Lock, Stack),
    header("bad unlock balance detected", Kind::BadUnlockBalance, "bad unlock balance", Lock, Stack),
    header("bad contention detected", Kind::LockingBug, "bad lock contention", Lock, Stack),
    header("Nested lock was not taken", Kind::LockingBug, "nested lock was not taken", Lock, Stack),
    header("chain_key collision", Kind::LockingBug, "lockdep chain key collision", Trace, Stack),
    header("held lock freed", Kind::HeldLockFreed, "held lock freed", Trace, Stack),
    header("still has locks held", Kind::LockHeldAtReturn, "task still has locks held", Lock, Stack),
    header("lock held when returning to user space", Kind::LockHeldAtReturn, "lock held when returning to user space", Lock, MaybeStack),
    header("BUG: workqueue leaked", Kind::LockHeldAtReturn, "workqueue leaked lock or atomic", First, Stack),
    header("suspicious RCU usage", Kind::SuspiciousRcu, "suspicious RCU usage", Trace, Stack),
    header("suspicious rcu_dereference_check() usage", Kind::SuspiciousRcu, "suspicious RCU usage", Trace, Stack),
    header("INFO: trying to register non-static key", Kind::LockdepOff, "lock class without a static key", Trace, Stack),
    header("MAX_STACK_TRACE_ENTRIES too low", Kind::LockdepOff, "lockdep limit reached: MAX_STACK_TRACE_ENTRIES", Nobody, MaybeStack),
    header("MAX_LOCKDEP_ENTRIES too low", Kind::LockdepOff, "lockdep limit reached: MAX_LOCKDEP_ENTRIES", Nobody, MaybeStack),
    header("MAX_LOCKDEP_KEYS too low", Kind::LockdepOff, "lockdep limit reached: MAX_LOCKDEP_KEYS", Nobody, MaybeStack),
    header("MAX_LOCKDEP_CHAINS too low", Kind::LockdepOff, "lockdep limit reached: MAX_LOCKDEP_CHAINS", Nobody, MaybeStack),
    header("MAX_LOCKDEP_CHAIN_HLOCKS too low", Kind::LockdepOff, "lockdep limit reached: MAX_LOCKDEP_CHAIN_HLOCKS", Nobody, MaybeStack),
    header("MAX_LOCK_DEPTH too low", Kind::LockdepOff, "lockdep limit reached: MAX_LOCK_DEPTH", Nobody, MaybeStack),
    header("BUG: spinlock ", Kind::SpinlockBug, "spinlock", Trace, Stack),
    header("BUG: rwlock ", Kind::SpinlockBug, "rwlock", Trace, Stack),
    header("BUG: rwlock-", Kind::SpinlockBug, "rwlock", Trace, Stack),
];

/// kernel/sched/core.c, lib/smp_processor_id.c, kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/tree_stall.h,
/// kernel/rcu/tasks.h, kernel/workqueue.c.
const SCHEDULING: &[Header] = &[
    header("BUG: sleeping function called from invalid context", Kind::SleepInAtomic, "sleeping function called from invalid context", Trace, Stack),
    header("BUG: assuming atomic context", Kind::SleepInAtomic, "atomic context was assumed", Trace, Stack),
    header("BUG: scheduling while atomic", Kind::SchedulingWhileAtomic, "scheduling while atomic", Trace, Stack),
    header("BUG: scheduling in a non-blocking section", Kind::SchedulingWhileAtomic, "scheduling in a non-blocking section", Trace, Stack),
    header("BUG: using ", Kind::PreemptibleCpuUse, "CPU-local use in preemptible code", Trace, Stack),
    header("INFO: task ", Kind::HungTask, "task hung", Trace, Stack),
    header("BUG: soft lockup", Kind::SoftLockup, "soft lockup", Entry, Stack),
    header("Watchdog detected hard LOCKUP", Kind::HardLockup, "hard lockup", Entry, Stack),
    header("self-detected stall on CPU", Kind::RcuStall, "RCU stall", Entry, Stack),
    header("detected stalls on CPUs/tasks", Kind::RcuStall, "RCU stall", Entry, Stack),
    header("detected expedited stalls on CPUs/tasks", Kind::RcuStall, "RCU stall", Entry, Stack),
    header("detected stalls on tasks", Kind::RcuStall, "RCU stall", Entry, Stack),
    header("detected expedited stalls", Kind::RcuStall, "RCU stall", Entry, MaybeStack),
    header("detected stall on CPU", Kind::RcuStall, "RCU stall", Entry, Stack),
    header("BUG: workqueue lockup", Kind::WorkqueueLockup, "workqueue lockup", Nobody, MaybeStack),
];

/// Sanitizers and memory debugging: mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c,
/// lib/ubsan.c, lib/refcount.c, lib/list_debug.c, lib/debugobjects.c, mm/kmemleak.c, mm/page_alloc.c, mm/memory.c, mm/slub.c,
/// mm/usercopy.c, mm/oom_kill.c, kernel/dma/debug.c.
const MEMORY: &[Header] = &[
    header("BUG: KASAN: ", Kind::Kasan, "KASAN", Trace, Stack),
    header("BUG: KMSAN: ", Kind::Kmsan, "KMSAN", Trace, Stack),
    header("BUG: KCSAN: ", Kind::Kcsan, "KCSAN", Trace, Stack),
    header("BUG: KFENCE: ", Kind::Kfence, "KFENCE", Trace, Stack),
    header("UBSAN: ", Kind::Ubsan, "UBSAN", Trace, Stack),
    header("BUG: memory leak", Kind::MemoryLeak, "memory leak", Trace, Stack),
    header("unreferenced object 0x", Kind::MemoryLeak, "memory leak", Trace, Stack),
    header("BUG: Bad page ", Kind::BadPage, "bad page", Trace, Stack),
    header("BUG: Bad rss-counter", Kind::BadPage, "bad rss counter", Nobody, Line),
    header("BUG: non-zero pgtables_bytes", Kind::BadPage, "page tables left over", Nobody, Line),
    header("BUG: Dentry ", Kind::OtherBug, "dentry still in use at unmount", Nobody, MaybeStack),
    header("VFS: Busy inodes after unmount", Kind::OtherBug, "busy inodes after unmount", Nobody, Line),
    header("INFO: Allocated in ", Kind::SlabCorruption, "slab object", First, Stack),
    header("INFO: Freed in ", Kind::SlabCorruption, "slab object", First, Stack),
    header("invoked oom-killer: ", Kind::OutOfMemory, "out of memory", Nobody, MaybeStack),
    header("Out of memory: Kill", Kind::OutOfMemory, "out of memory", Nobody, Line),
    header("Memory cgroup out of memory: Kill", Kind::OutOfMemory, "memory cgroup out of memory", Nobody, Line),
    header("DMA-API: ", Kind::DmaApi, "DMA-API", Nobody, MaybeStack),
];

/// Oopses: arch/arm64/mm/fault.c, arch/arm64/kernel/traps.c, arch/x86/mm/fault.c, arch/x86/kernel/traps.c,
/// arch/x86/kernel/dumpstack.c, arch/arm/kernel/traps.c, arch/arm/mm/fault.c, arch/riscv/mm/fault.c, and
/// kernel/panic.c, lib/bug.c.
const OOPSES: &[Header] = &[
    header("BUG: stack guard page was hit", Kind::StackOverflow, "stack overflow", Entry, Stack),
    header("Insufficient stack space to handle exception", Kind::StackOverflow, "stack overflow", Counter, Stack),
    header("kernel stack overflow", Kind::StackOverflow, "stack overflow", Counter, Stack),
    header("BUG: unable to handle kernel NULL pointer dereference", Kind::NullDereference, "NULL pointer dereference", Counter, Stack),
    header("BUG: kernel NULL pointer dereference", Kind::NullDereference, "NULL pointer dereference", Counter, Stack),
    header("Unable to handle kernel NULL pointer dereference", Kind::NullDereference, "NULL pointer dereference", Counter, Stack),
    header("BUG: unable to handle ", Kind::PagingRequest, "bad paging request", Counter, Stack),
    header("Unable to handle kernel ", Kind::PagingRequest, "bad paging request", Counter, Stack),
    header("Unable to handle NULL pointer dereference", Kind::NullDereference, "NULL pointer dereference", Counter, Stack),
    header("Unable to handle paging request", Kind::PagingRequest, "bad paging request", Counter, Stack),
    header("Unable to handle access to user memory", Kind::PagingRequest, "bad paging request", Counter, Stack),
    header("Unhandled fault", Kind::Oops, "unhandled fault", Counter, Stack),
    header("Unhandled prefetch abort", Kind::Oops, "unhandled prefetch abort", Counter, Stack),
    header("Alignment trap: not handling", Kind::Oops, "alignment trap", Counter, Stack),
    header("general protection fault", Kind::GeneralProtection, "general protection fault", Counter, Stack),
    header("stack segment: ", Kind::Oops, "stack segment fault", Counter, Stack),
    header("divide error: ", Kind::DivideError, "divide error", Counter, Stack),
    header("kernel BUG at ", Kind::KernelBug, "kernel BUG", Counter, Stack),
    header("Kernel BUG at ", Kind::KernelBug, "kernel BUG", Counter, Stack),
    header("invalid opcode: ", Kind::Oops, "invalid opcode", Counter, Stack),
    header("Internal error: ", Kind::Oops, "internal error", Counter, Stack),
    header("Bad mode in ", Kind::Oops, "bad mode", Counter, Stack),
    header("SError Interrupt on CPU", Kind::Oops, "SError interrupt", Counter, Stack),
    header("Oops: ", Kind::Oops, "oops", Counter, Stack),
    header("Oops - ", Kind::Oops, "oops", Counter, Stack),
    header("Kernel panic - not syncing", Kind::Panic, "panic", Trace, Stack),
    header("panicked at ", Kind::Panic, "Rust panic", Counter, Stack),
    header("panic: ASSERT FAILED", Kind::Panic, "assertion failed", Nobody, MaybeStack),
    header("ASSERT FAILED", Kind::Panic, "assertion failed", Nobody, MaybeStack),
    header("WARNING: CPU: ", Kind::Warning, "WARNING", First, Stack),
];

/// Drivers and boards: drivers/base/dd.c, drivers/watchdog/watchdog_pretimeout.c, drivers/dma-buf/.
const BOARDS: &[Header] = &[
    header("watchdog pretimeout event", Kind::Watchdog, "watchdog pretimeout", Nobody, Line),
    header("watchdog did not stop!", Kind::Watchdog, "watchdog did not stop", Nobody, Line),
    header(" failed with error -", Kind::ProbeFailure, "driver probe failed", Nobody, Line),
    header("probe with driver ", Kind::ProbeFailure, "driver probe failed", Nobody, Line),
];

/// What is left of the field's three words.
const GENERAL: &[Header] = &[
    header("BUG ", Kind::SlabCorruption, "slab corruption", Nobody, Stack),
    header("BUG: ", Kind::OtherBug, "BUG", Trace, MaybeStack),
    header("WARNING: ", Kind::Warning, "WARNING", First, MaybeStack),
];

/// Every header, in the order in which they are tried.
pub fn all() -> impl Iterator<Item = &'static Header> {
    [LOCKING, SCHEDULING, MEMORY, OOPSES, BOARDS, GENERAL].into_iter().flatten()
}

/// Lines that open a report before its first line does; they are looked at again when that comes.
pub const PREAMBLES: &[&str] = &[
    "[ cut here ]",
    "8<--- cut here",
    "refcount_t: ",
    "list_add",
    "list_del",
    "slist_add",
    "ODEBUG: ",
    "usercopy: ",
    "kobject: ",
    "kobject (",
    "kasan: ",
    "=====",
    "DEBUG_LOCKS_WARN_ON",
    "dma_fence",
    "released with pending signals",
];

/// One pass over a line says whether it can be a first line or a preamble at all.
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    let marks: Vec<String> = all()
        .map(|header| header.mark)
        .chain(PREAMBLES.iter().copied())
        .map(regex::escape)
        .collect();
    Regex::new(&marks.join("|")).expect("the marks are constants, escaped")
});

/// Lines that look like a report's beginning and are none: notices of deprecation, of untested hardware, of measured
/// delays. Each is told by its own words, whoever prints it.
static HARMLESS: LazyLock<Regex> = LazyLock::new(|| {
    const WORDS: &[&str] = &[
        "mand mount option",
        "deprecated",
        "uses wireless extensions",
        "missed to adjust virtual screen size",
        "using fixed modulus",
        "experimental mount option",
        "not compiled with CPU_SRSO",
        "hw-vuln",
        "took too long to run",
        "lockdep is turned off",
        "trace_printk",
        "unprivileged eBPF",
        "Stall ended before state dump start",
        r"^(WARNING|BUG): (\S+ )?/(etc|dev|proc|sys|usr|var|run)/",
        r"^WARNING: `",
        "systemd-tmpfiles",
    ];
    Regex::new(&format!("(?i){}", WORDS.join("|"))).expect("the words are constants")
});

/// What may stand before a mark that begins a line: tags of subsystems, a frame, a date.
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(\W*|(\[ )|(\w[\w/.()-]*( \w[\w/.-]*){0,2}: ){1,3}|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )$")
        .expect("the pattern is a constant")
});

/// What a line means to the finder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It begins a report.
    Header(&'static Header),
    /// A report may follow.
    Preamble,
}

/// Whether a line begins a report, or announces one.
pub fn recognise(text: &str) -> Option<Opening> {
    MARKS.find(text)?;
    if let Some(header) = all().find(|header| fits(header, text)) {
        return Some(Opening::Header(header));
    }
    PREAMBLES
        .iter()
        .any(|words| text.contains(words))
        .then_some(Opening::Preamble)
}

fn fits(header: &Header, text: &str) -> bool {
    let Some(at) = text.find(header.mark) else {
        return false;
    };
    let (lead, rest) = (&text[..at], &text[at + header.mark.len()..]);
    if HARMLESS.is_match(text) {
        return false;
    }
    match header.kind {
        Kind::HungTask => LEAD.is_match(lead) && (rest.contains("blocked") || rest.contains("can't die")),
        Kind::RcuStall => lead.contains("INFO: ") || lead.contains("rcu"),
        Kind::ProbeFailure => probe_failed(text),
        Kind::SlabCorruption if header.mark == "BUG " => LEAD.is_match(lead) && rest.contains("): "),
        Kind::MemoryLeak if header.mark.starts_with("unref") => lead.trim_start() == "" || lead == "kmemleak: ",
        Kind::Oops if header.mark == "Oops: " => LEAD.is_match(lead) && rest.contains("[#"),
        Kind::Oops | Kind::GeneralProtection | Kind::DivideError if rest.trim().is_empty() && !lead.is_empty() => false,
        Kind::GeneralProtection => (lead.is_empty() || LEAD.is_match(lead)) && !rest.contains(" ip:"),
        Kind::OtherBug if header.mark == "BUG: " => LEAD.is_match(lead) && rest.len() > 3,
        Kind::Warning => LEAD.is_match(lead) && !rest.trim().is_empty(),
        Kind::InconsistentLockState | Kind::HeldLockFreed | Kind::LockHeldAtReturn if !header.mark.starts_with("BUG") => {
            lead.contains("WARNING: ") || lead.contains("BUG: ") || lead.contains("INFO: ")
        }
        Kind::CircularLocking | Kind::RecursiveLocking | Kind::IrqLockInversion | Kind::SuspiciousRcu
        | Kind::BadUnlockBalance | Kind::LockingBug => {
            lead.contains("WARNING: ") || lead.contains("BUG: ") || lead.contains("INFO: ")
        }
        Kind::OutOfMemory | Kind::HardLockup | Kind::Watchdog | Kind::Panic => true,
        _ => LEAD.is_match(lead),
    }
}

/// drivers/base/dd.c: `probe of X failed with error -N`, since 6.10 `probe with driver D failed with error -N`.
fn probe_failed(text: &str) -> bool {
    (text.contains("probe of ") || text.contains("probe with driver ")) && text.contains(" failed with error -")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, kind: Option<Kind>) {
        let found = match recognise(text) {
            Some(Opening::Header(header)) => Some(header.kind),
            _ => None,
        };
        assert_eq!(found, kind, "{text}");
    }

    #[test]
    fn first_lines() {
        check("WARNING: possible circular locking dependency detected", Some(Kind::CircularLocking));
        check("[ INFO: possible circular locking dependency detected ]", Some(Kind::CircularLocking));
        check("[ BUG: Invalid wait context ]", Some(Kind::InvalidWaitContext));
        check("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:12]", Some(Kind::SoftLockup));
        check("rcu: INFO: rcu_preempt self-detected stall on CPU", Some(Kind::RcuStall));
        check("INFO: task v4l2-ctl:12 blocked for more than 120 seconds.", Some(Kind::HungTask));
        check("Unable to handle kernel NULL pointer dereference at virtual address 0000000000000020", Some(Kind::NullDereference));
        check("Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP", Some(Kind::Oops));
        check("Kernel panic - not syncing: sysrq triggered crash", Some(Kind::Panic));
        check("WARNING: CPU: 0 PID: 1 at drivers/x.c:1 f+0x1/0x2", Some(Kind::Warning));
        check("platform x: probe with driver y failed with error -22", Some(Kind::ProbeFailure));
    }

    #[test]
    fn lines_that_only_look_like_it() {
        for text in [
            "",
            "INFO: lockdep is turned off.",
            "INFO: task x created",
            "ODEBUG: Out of memory. ODEBUG disabled",
            "traps: x[1] general protection fault ip:7f sp:7f error:0",
            "NET: Registered protocol family",
            "DEBUG: #15 pc 00",
            "Spectre: WARNING:",
        ] {
            check(text, None);
        }
    }
}
