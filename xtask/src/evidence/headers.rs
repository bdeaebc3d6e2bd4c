//! The first lines of reports: what each kind begins with, and how the rest of it is to be read.
//!
//! Order matters: the first header whose mark is in the line wins, so the special stand before the general.

use super::finding::Kind;
use super::{completeness, finder};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
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
    /// `last function: f`.
    LastFunction,
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

/// Rows of the tables: mark, kind, stem of the title, where the function is told, what follows.
macro_rules! headers {
    ($($mark:literal, $kind:ident, $stem:literal, $blame:ident, $body:ident;)*) => {
        &[$(Header {
            mark: $mark,
            kind: Kind::$kind,
            stem: $stem,
            blame: Blame::$blame,
            body: Body::$body,
        },)*]
    };
}

/// lockdep and its neighbours: kernel/locking/lockdep.c, kernel/locking/spinlock_debug.c, include/linux/rcupdate.h.
/// Kernels before 4.15 wrote `[ INFO: … ]` or `[ BUG: … ]` where newer ones write `WARNING: …`.
const LOCKING: &[Header] = headers! {
    "possible circular locking dependency detected", CircularLocking, "possible circular locking dependency", Lock, Stack;
    "possible recursive locking detected", RecursiveLocking, "possible recursive locking", Lock, Stack;
    "inconsistent lock state", InconsistentLockState, "inconsistent lock state", Lock, Stack;
    "possible irq lock inversion dependency detected", IrqLockInversion, "possible irq lock inversion", Lock, Stack;
    "-unsafe lock order detected", IrqLockInversion, "irq-safe to irq-unsafe lock order", Lock, Stack;
    "[ BUG: Invalid wait context ]", InvalidWaitContext, "invalid wait context", Lock, Stack;
    "bad unlock balance detected", BadUnlockBalance, "bad unlock balance", Lock, Stack;
    "bad contention detected", LockingBug, "bad lock contention", Lock, Stack;
    "Nested lock was not taken", LockingBug, "nested lock was not taken", Lock, Stack;
    "chain_key collision", LockingBug, "lockdep chain key collision", Trace, Stack;
    "held lock freed", HeldLockFreed, "held lock freed", Lock, Stack;
    "still has locks held", LockHeldAtReturn, "task still has locks held", Lock, Stack;
    "lock held when returning to user space", LockHeldAtReturn, "lock held when returning to user space", Lock, MaybeStack;
    "BUG: workqueue leaked", LockHeldAtReturn, "workqueue leaked lock or atomic", LastFunction, MaybeStack;
    "suspicious RCU usage", SuspiciousRcu, "suspicious RCU usage", Trace, Stack;
    "suspicious rcu_dereference_check() usage", SuspiciousRcu, "suspicious RCU usage", Trace, Stack;
    "INFO: trying to register non-static key", LockdepOff, "lock class without a static key", Trace, Stack;
    "MAX_STACK_TRACE_ENTRIES too low", LockdepOff, "lockdep limit reached: MAX_STACK_TRACE_ENTRIES", Nobody, MaybeStack;
    "MAX_LOCKDEP_ENTRIES too low", LockdepOff, "lockdep limit reached: MAX_LOCKDEP_ENTRIES", Nobody, MaybeStack;
    "MAX_LOCKDEP_KEYS too low", LockdepOff, "lockdep limit reached: MAX_LOCKDEP_KEYS", Nobody, MaybeStack;
    "MAX_LOCKDEP_CHAINS too low", LockdepOff, "lockdep limit reached: MAX_LOCKDEP_CHAINS", Nobody, MaybeStack;
    "MAX_LOCKDEP_CHAIN_HLOCKS too low", LockdepOff, "lockdep limit reached: MAX_LOCKDEP_CHAIN_HLOCKS", Nobody, MaybeStack;
    "MAX_LOCK_DEPTH too low", LockdepOff, "lockdep limit reached: MAX_LOCK_DEPTH", Nobody, MaybeStack;
    "BUG: looking up invalid subclass", LockdepOff, "lock subclass out of range", Trace, MaybeStack;
    "BUG: key ", LockingBug, "lock class key was not registered", Trace, MaybeStack;
    "BUG: spinlock ", SpinlockBug, "spinlock", Trace, Stack;
    "BUG: rwlock ", SpinlockBug, "rwlock", Trace, Stack;
    "BUG: rwlock-", SpinlockBug, "rwlock", Trace, Stack;
};

/// kernel/sched/core.c, lib/smp_processor_id.c, kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/tree_stall.h,
/// kernel/rcu/tasks.h, kernel/workqueue.c.
const SCHEDULING: &[Header] = headers! {
    "BUG: sleeping function called from invalid context", SleepInAtomic, "sleeping function called from invalid context", Trace, Stack;
    "BUG: assuming atomic context", SleepInAtomic, "atomic context was assumed", Trace, Stack;
    "BUG: scheduling while atomic", SchedulingWhileAtomic, "scheduling while atomic", Trace, Stack;
    "BUG: scheduling in a non-blocking section", SchedulingWhileAtomic, "scheduling in a non-blocking section", Trace, Stack;
    "BUG: using ", PreemptibleCpuUse, "CPU-local use in preemptible code", Trace, Stack;
    "INFO: task ", HungTask, "task hung", Trace, Stack;
    "BUG: soft lockup", SoftLockup, "soft lockup", Entry, Stack;
    "Watchdog detected hard LOCKUP", HardLockup, "hard lockup", Entry, Stack;
    "self-detected hard LOCKUP", HardLockup, "hard lockup", Entry, Stack;
    "detected hard LOCKUP on other CPUs", HardLockup, "hard lockup", Entry, Stack;
    "self-detected stall on CPU", RcuStall, "RCU stall", Entry, Stack;
    "detected stalls on CPUs/tasks", RcuStall, "RCU stall", Entry, Stack;
    "detected expedited stalls on CPUs/tasks", RcuStall, "RCU stall", Entry, Stack;
    "detected stalls on tasks", RcuStall, "RCU stall", Entry, Stack;
    "detected expedited stalls", RcuStall, "RCU stall", Entry, MaybeStack;
    "detected stall on CPU", RcuStall, "RCU stall", Entry, Stack;
    "BUG: workqueue lockup", WorkqueueLockup, "workqueue lockup", Nobody, MaybeStack;
};

/// Sanitizers and memory debugging: mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c,
/// lib/ubsan.c, lib/refcount.c, lib/list_debug.c, lib/debugobjects.c, mm/kmemleak.c, mm/page_alloc.c, mm/memory.c, mm/slub.c,
/// mm/usercopy.c, mm/oom_kill.c, kernel/dma/debug.c.
const MEMORY: &[Header] = headers! {
    "BUG: KASAN: ", Kasan, "KASAN", Trace, Stack;
    "BUG: KMSAN: ", Kmsan, "KMSAN", Trace, Stack;
    "BUG: KCSAN: ", Kcsan, "KCSAN", Trace, Stack;
    "BUG: KFENCE: ", Kfence, "KFENCE", Trace, Stack;
    "UBSAN: ", Ubsan, "UBSAN", Trace, Stack;
    "BUG: memory leak", MemoryLeak, "memory leak", Trace, Stack;
    "unreferenced object 0x", MemoryLeak, "memory leak", Trace, Stack;
    "BUG: Bad page ", BadPage, "bad page", Trace, Stack;
    "new suspected memory leaks", MemoryLeak, "memory leaks", Nobody, Line;
    "BUG: Bad rss-counter", BadPage, "bad rss counter", Nobody, Line;
    "BUG: non-zero pgtables_bytes", BadPage, "page tables left over", Nobody, Line;
    "BUG: Dentry ", OtherBug, "dentry still in use at unmount", Nobody, MaybeStack;
    "VFS: Busy inodes after unmount", OtherBug, "busy inodes after unmount", Nobody, Line;
    "INFO: Allocated in ", SlabCorruption, "slab object", Header, Stack;
    "INFO: Freed in ", SlabCorruption, "slab object", Header, Stack;
    "invoked oom-killer: ", OutOfMemory, "out of memory", Nobody, MaybeStack;
    "Out of memory: Kill", OutOfMemory, "out of memory", Nobody, Line;
    "Memory cgroup out of memory: Kill", OutOfMemory, "memory cgroup out of memory", Nobody, Line;
    "DMA-API: ", DmaApi, "DMA-API", Trace, MaybeStack;
};

/// Oopses: arch/arm64/mm/fault.c, arch/arm64/kernel/traps.c, arch/x86/mm/fault.c, arch/x86/kernel/traps.c,
/// arch/x86/kernel/dumpstack.c, arch/arm/kernel/traps.c, arch/arm/mm/fault.c, arch/riscv/mm/fault.c, and
/// kernel/panic.c, lib/bug.c.
const OOPSES: &[Header] = headers! {
    "stack guard page was hit", StackOverflow, "stack overflow", Entry, Stack;
    "Insufficient stack space to handle exception", StackOverflow, "stack overflow", Counter, Stack;
    "kernel stack overflow", StackOverflow, "stack overflow", Counter, Stack;
    "BUG: unable to handle kernel NULL pointer dereference", NullDereference, "NULL pointer dereference", Counter, Stack;
    "BUG: Kernel NULL pointer dereference", NullDereference, "NULL pointer dereference", Counter, Stack;
    "BUG: kernel NULL pointer dereference", NullDereference, "NULL pointer dereference", Counter, Stack;
    "Unable to handle kernel NULL pointer dereference", NullDereference, "NULL pointer dereference", Counter, Stack;
    "BUG: unable to handle ", PagingRequest, "bad paging request", Counter, Stack;
    "Unable to handle kernel ", PagingRequest, "bad paging request", Counter, Stack;
    "Unable to handle NULL pointer dereference", NullDereference, "NULL pointer dereference", Counter, Stack;
    "Unable to handle paging request", PagingRequest, "bad paging request", Counter, Stack;
    "Unable to handle access to user memory", PagingRequest, "bad paging request", Counter, Stack;
    "Unhandled fault", Oops, "unhandled fault", Counter, Stack;
    "Unhandled prefetch abort", Oops, "unhandled prefetch abort", Counter, Stack;
    "Alignment trap: not handling", Oops, "alignment trap", Counter, Stack;
    "general protection fault", GeneralProtection, "general protection fault", Counter, Stack;
    "stack segment: ", Oops, "stack segment fault", Counter, Stack;
    "divide_error: ", DivideError, "divide error", Counter, Stack;
    "divide error: ", DivideError, "divide error", Counter, Stack;
    "kernel BUG at ", KernelBug, "kernel BUG", Counter, Stack;
    "Kernel BUG at ", KernelBug, "kernel BUG", Counter, Stack;
    "invalid opcode: ", Oops, "invalid opcode", Counter, Stack;
    "Internal error: ", Oops, "internal error", Counter, Stack;
    "Bad mode in ", Oops, "bad mode", Counter, Stack;
    "SError Interrupt on CPU", Oops, "SError interrupt", Counter, Stack;
    "Oops: ", Oops, "oops", Counter, Stack;
    "Oops - ", Oops, "oops", Counter, Stack;
    "PANIC: double fault", Oops, "double fault", Counter, Stack;
    "PANIC: early exception", Oops, "early exception", Counter, Stack;
    "Unhandled 64-bit el1", Oops, "unhandled exception", Counter, Stack;
    "Kernel bug detected", KernelBug, "kernel BUG", Counter, Stack;
    "Unhandled kernel unaligned access[#", Oops, "unaligned access", Counter, Stack;
    "Reserved instruction in kernel code[#", Oops, "reserved instruction", Counter, Stack;
    "Oops [#", Oops, "oops", Counter, Stack;
    "CFI failure at ", Oops, "control flow violated", Counter, Stack;
    "Bad kernel stack pointer", StackOverflow, "bad stack pointer", Counter, Stack;
    "stack-protector: Kernel stack is corrupted in: ", StackOverflow, "kernel stack is corrupted", Header, MaybeStack;
    "Kernel panic - not syncing: corrupted stack end", StackOverflow, "stack end is corrupted", Entry, Stack;
    "Kernel panic - not syncing", Panic, "panic", Trace, Stack;
    "panicked at ", KernelBug, "Rust panic", Counter, Stack;
    "panic: ASSERT FAILED", Panic, "assertion failed", Nobody, MaybeStack;
    "ASSERT FAILED", Panic, "assertion failed", Nobody, MaybeStack;
    ": 0000 [#", Oops, "exception", Counter, Stack;
    "WARNING: CPU: ", Warning, "WARNING", Header, Stack;
};

/// Drivers and boards: drivers/base/dd.c, drivers/watchdog/watchdog_pretimeout.c, drivers/dma-buf/.
const BOARDS: &[Header] = headers! {
    "pretimeout event", Watchdog, "watchdog pretimeout", Nobody, Line;
    "watchdog did not stop!", Watchdog, "watchdog did not stop", Nobody, Line;
    " failed with error -", ProbeFailure, "driver probe failed", Nobody, Line;
    "probe with driver ", ProbeFailure, "driver probe failed", Nobody, Line;
    "deferred probe pending", ProbeFailure, "driver probe failed", Nobody, Line;
    ": nobody cared (try booting", OtherBug, "interrupt that nobody handles", Nobody, MaybeStack;
    "unregister_netdevice: waiting for ", OtherBug, "network device is not released", Nobody, Line;
};

/// What is left of the field's three words.
const GENERAL: &[Header] = headers! {
    "BUG ", SlabCorruption, "slab corruption", Nobody, Stack;
    "BUG: ", OtherBug, "BUG", Trace, MaybeStack;
    "WARNING: ", Warning, "WARNING", Header, MaybeStack;
};

/// Every header, in the order in which they are tried.
pub fn all() -> impl Iterator<Item = &'static Header> {
    [LOCKING, SCHEDULING, MEMORY, OOPSES, BOARDS, GENERAL]
        .into_iter()
        .flatten()
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

/// One pass over a line says whether it can mean anything at all: a first line, a preamble, a way down, lockdep's end, a question.
static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = all()
        .map(|header| header.mark)
        .chain(PREAMBLES.iter().copied())
        .chain(completeness::DOWN)
        .chain(completeness::LOCKDEP_WORDS)
        .chain(finder::ANSWERS);
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("the words are constants and few")
});

/// Whether a line has any of the words in it on which something depends. Nearly none has.
pub fn interesting(text: &str) -> bool {
    WORDS.is_match(text)
}

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
        "online intersect > possible intersect",
    ];
    Regex::new(&format!("(?i){}", WORDS.join("|"))).expect("the words are constants")
});

/// What may stand before a mark that begins a line: tags of subsystems, a frame, a date.
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(\W*|(\[ )|(\w[\w/.()-]*( \w[\w/.-]*){0,2}: ){1,3}|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |CPU \d+ )$",
    )
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
    if !interesting(text) {
        return None;
    }
    // The last line of a report repeats the first.
    if text.contains("---[ end ") {
        return None;
    }
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
        Kind::SlabCorruption if header.mark == "BUG " => {
            LEAD.is_match(lead) && rest.contains("): ") && !rest.contains("kasan: ")
        }
        Kind::MemoryLeak if header.body == Body::Line => lead.starts_with("kmemleak: "),
        Kind::MemoryLeak if header.mark.starts_with("unref") => {
            lead.trim_start() == "" || lead == "kmemleak: "
        }
        Kind::Oops if header.mark == "Oops: " => LEAD.is_match(lead) && rest.contains("[#"),
        Kind::Oops | Kind::GeneralProtection | Kind::DivideError
            if rest.trim().is_empty() && !lead.is_empty() =>
        {
            false
        }
        // Old kernels glue it to the hint of the line before; a program's own fault has an `ip:` and no `[#1]`.
        Kind::GeneralProtection => rest.contains("[#") || (LEAD.is_match(lead) && rest.starts_with(", ")),
        Kind::Oops if header.mark.starts_with(": 0000") => true,
        Kind::OtherBug if header.mark.ends_with("(try booting") => true,
        Kind::LockingBug if header.mark == "BUG: key " => {
            rest.contains("registered") || rest.contains("not in .data")
        }
        Kind::OtherBug if header.mark == "BUG: " => LEAD.is_match(lead) && rest.len() > 3,
        Kind::Warning => LEAD.is_match(lead) && !rest.trim().is_empty(),
        Kind::InconsistentLockState | Kind::HeldLockFreed | Kind::LockHeldAtReturn
            if !header.mark.starts_with("BUG") =>
        {
            lead.contains("WARNING: ") || lead.contains("BUG: ") || lead.contains("INFO: ")
        }
        Kind::CircularLocking
        | Kind::RecursiveLocking
        | Kind::IrqLockInversion
        | Kind::SuspiciousRcu
        | Kind::BadUnlockBalance
        | Kind::LockingBug => lead.contains("WARNING: ") || lead.contains("BUG: ") || lead.contains("INFO: "),
        Kind::OutOfMemory | Kind::HardLockup | Kind::Watchdog | Kind::Panic | Kind::StackOverflow => true,
        _ => LEAD.is_match(lead),
    }
}

/// drivers/base/dd.c: `X: deferred probe pending: reason`, `probe of X failed with error -N`, since 6.10 `probe with driver D failed with error -N`.
fn probe_failed(text: &str) -> bool {
    let failed = (text.contains("probe of ") || text.contains("probe with driver "))
        && text.contains(" failed with error -");
    failed || text.contains(": deferred probe pending")
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
        check(
            "WARNING: possible circular locking dependency detected",
            Some(Kind::CircularLocking),
        );
        check(
            "[ INFO: possible circular locking dependency detected ]",
            Some(Kind::CircularLocking),
        );
        check("[ BUG: Invalid wait context ]", Some(Kind::InvalidWaitContext));
        check(
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:12]",
            Some(Kind::SoftLockup),
        );
        check(
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            Some(Kind::RcuStall),
        );
        check(
            "INFO: task v4l2-ctl:12 blocked for more than 120 seconds.",
            Some(Kind::HungTask),
        );
        check(
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000020",
            Some(Kind::NullDereference),
        );
        check(
            "Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP",
            Some(Kind::Oops),
        );
        check(
            "Kernel panic - not syncing: sysrq triggered crash",
            Some(Kind::Panic),
        );
        check(
            "WARNING: CPU: 0 PID: 1 at drivers/x.c:1 f+0x1/0x2",
            Some(Kind::Warning),
        );
        check(
            "platform x: probe with driver y failed with error -22",
            Some(Kind::ProbeFailure),
        );
    }

    #[test]
    fn first_lines_of_other_architectures_and_ages() {
        use Kind::*;
        for (text, kind) in [
            (
                "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
                NullDereference,
            ),
            (
                "BUG: kernel NULL pointer dereference, address: 0000000000000008",
                NullDereference,
            ),
            (
                "BUG: Kernel NULL pointer dereference on read at 0x00000010",
                NullDereference,
            ),
            (
                "BUG: unable to handle page fault for address: ffffed1000000001",
                PagingRequest,
            ),
            (
                "BUG: Unable to handle kernel data access on write at 0xc000000000000000",
                PagingRequest,
            ),
            (
                "Unable to handle kernel access to user memory without uaccess routines at virtual address 0000000000000020",
                PagingRequest,
            ),
            (
                "Unable to handle kernel write to read-only memory at virtual address ffff800010001000",
                PagingRequest,
            ),
            (
                "Unable to handle kernel pointer dereference in virtual kernel address space",
                PagingRequest,
            ),
            (
                "CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == 80100000, ra == 80100008",
                PagingRequest,
            ),
            (
                "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1] PREEMPT SMP KASAN",
                GeneralProtection,
            ),
            ("general protection fault: 0000 [#1] SMP", GeneralProtection),
            ("Oops: divide error: 0000 [#1] SMP", DivideError),
            ("Oops: invalid opcode: 0000 [#1] SMP", Oops),
            ("int3: 0000 [#1] SMP", Oops),
            (
                "Internal error: Oops - undefined instruction: 0 [#1] SMP ARM",
                Oops,
            ),
            (
                "Unhandled fault: imprecise external abort (0x1406) at 0x00000000",
                Oops,
            ),
            ("Oops - load access fault [#1]", Oops),
            ("Oops [#1]", Oops),
            (
                "Unhandled 64-bit el1h sync exception on CPU0, ESR 0x0000000002000000 -- Unknown/Uncategorized",
                Oops,
            ),
            ("Kernel bug detected[#1]:", KernelBug),
            ("traps: PANIC: double fault, error_code: 0x0", Oops),
            (
                "BUG: TASK stack guard page was hit at ffffc90003a7fff8 (stack is ffffc90003a80000..ffffc90003a88000)",
                StackOverflow,
            ),
            ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 1", HardLockup),
            (
                "watchdog: CPU 1 self-detected hard LOCKUP @ queued_spin_lock_slowpath+0x154/0x2d0",
                HardLockup,
            ),
            (
                "NMI watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [swapper/0:1]",
                SoftLockup,
            ),
            (
                "INFO: rcu_sched self-detected stall on CPU { 1}  (t=5250 jiffies g=10 c=9 q=1)",
                RcuStall,
            ),
            (
                "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21 jiffies s: 369 root: 0x2/.",
                RcuStall,
            ),
            ("INFO: rcu_tasks detected stalls on tasks:", RcuStall),
            (
                "INFO: task kworker/1:2:88 blocked in I/O wait for more than 120 seconds.",
                HungTask,
            ),
            (
                "[ INFO: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected ]",
                IrqLockInversion,
            ),
            ("[ INFO: inconsistent lock state ]", InconsistentLockState),
            ("[ BUG: bad unlock balance detected! ]", BadUnlockBalance),
            ("[ BUG: held lock freed! ]", HeldLockFreed),
            ("[ INFO: suspicious RCU usage. ]", SuspiciousRcu),
            (
                "BUG: rwlock bad magic on CPU#0, x/1, ffff0000c5512018",
                SpinlockBug,
            ),
            (
                "BUG: Bad page map in process x  pte:00000000 pmd:00000000",
                BadPage,
            ),
            (
                "BUG: Bad rss-counter state mm:00000000 type:MM_ANONPAGES val:1 Comm:x Pid:1",
                BadPage,
            ),
            ("UBSAN: Undefined behaviour in fs/x.c:3:4", Ubsan),
            (
                "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
                Panic,
            ),
            ("mmc0: probe of mmc0:0001 failed with error -110", ProbeFailure),
        ] {
            check(text, Some(kind));
        }
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
            "---[ end Kernel panic - not syncing: Fatal exception ]---",
            "WARNING: sysfs attribute x is deprecated and will be removed.",
            "usb 1-1: device has not been registered!",
            "driver x: 3 new suspected memory leaks",
            "INFO: Stall ended before state dump start",
            "EXT4-fs (vda1): INFO: recovery required on readonly filesystem",
        ] {
            check(text, None);
        }
    }
}
