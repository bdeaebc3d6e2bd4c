//! The tables of first lines. Order matters: the first header whose mark is in the line wins, so the special stand before the general.

use crate::kind::Kind;

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
    /// The innermost function of a driver in the stack of a CPU that is stuck, else like [`Blame::Entry`].
    Stuck,
    /// `in-flight: 88:function`.
    InFlight,
    /// Where the stalled stack was entered: its innermost frame is a matter of chance.
    Entry,
    /// The function that calls itself, else like [`Blame::Entry`], else like [`Blame::Counter`]: where the stack ended is a matter of chance.
    Recursion,
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

impl Header {
    /// Whether the line may also be the words of a `WARN()`, which are not a report of their own.
    pub fn may_be_words_of_warning(&self) -> bool {
        self.kind.may_be_words_of_warning() || self.mark == "BUG: "
    }
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
    "BUG: soft lockup", SoftLockup, "soft lockup", Stuck, Stack;
    "Watchdog detected hard LOCKUP", HardLockup, "hard lockup", Stuck, Stack;
    "self-detected hard LOCKUP", HardLockup, "hard lockup", Stuck, Stack;
    "detected hard LOCKUP on other CPUs", HardLockup, "hard lockup", Stuck, Stack;
    "self-detected stall on CPU", RcuStall, "RCU stall", Entry, Stack;
    "detected stalls on CPUs/tasks", RcuStall, "RCU stall", Entry, Stack;
    "detected expedited stalls on CPUs/tasks", RcuStall, "RCU stall", Entry, Stack;
    "detected stalls on tasks", RcuStall, "RCU stall", Entry, Stack;
    "detected expedited stalls", RcuStall, "RCU stall", Entry, MaybeStack;
    "detected stall on CPU", RcuStall, "RCU stall", Entry, Stack;
    "BUG: workqueue lockup", WorkqueueLockup, "workqueue lockup", InFlight, MaybeStack;
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
    "Slab corruption", SlabCorruption, "slab corruption", Trace, MaybeStack;
    "slab error in ", SlabCorruption, "slab error", Trace, MaybeStack;
    "INFO: Allocated in ", SlabCorruption, "slab object", Header, Stack;
    "INFO: Freed in ", SlabCorruption, "slab object", Header, Stack;
    "page allocation failure", AllocationFailure, "page allocation failure", Trace, MaybeStack;
    "invoked oom-killer: ", OutOfMemory, "out of memory", Nobody, MaybeStack;
    "Out of memory: Kill", OutOfMemory, "out of memory", Nobody, Line;
    "Memory cgroup out of memory: Kill", OutOfMemory, "memory cgroup out of memory", Nobody, Line;
    "DMA-API: ", DmaApi, "DMA-API", Trace, MaybeStack;
};

/// Oopses: arch/arm64/mm/fault.c, arch/arm64/kernel/traps.c, arch/x86/mm/fault.c, arch/x86/kernel/traps.c,
/// arch/x86/kernel/dumpstack.c, arch/arm/kernel/traps.c, arch/arm/mm/fault.c, arch/riscv/mm/fault.c, and
/// kernel/panic.c, lib/bug.c.
const OOPSES: &[Header] = headers! {
    "stack guard page was hit", StackOverflow, "stack overflow", Recursion, Stack;
    "Insufficient stack space to handle exception", StackOverflow, "stack overflow", Recursion, Stack;
    "kernel stack overflow", StackOverflow, "stack overflow", Recursion, Stack;
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
    "int3: ", Oops, "breakpoint", Counter, Stack;
    "invalid opcode: ", Oops, "invalid opcode", Counter, Stack;
    "Internal error: ", Oops, "internal error", Counter, Stack;
    "Bad mode in ", Oops, "bad mode", Counter, Stack;
    "SError Interrupt on CPU", Serror, "SError interrupt", Counter, Stack;
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
    "WARNING: kernel stack ", Warning, "WARNING", Header, MaybeStack;
    "WARNING: CPU: ", Warning, "WARNING", Header, Stack;
    "WARNING: at ", Warning, "WARNING", Header, Stack;
};

/// Drivers, boards and what no word of the field begins: drivers/base/dd.c, drivers/watchdog/watchdog_pretimeout.c, drivers/dma-buf/, fs/sysfs/dir.c,
/// lib/kobject.c, drivers/acpi/apei/, drivers/pci/pcie/aer.c, drivers/iommu/, drivers/base/power/runtime.c, fs/*/super.c, drivers/mmc/host/sdhci.c,
/// net/sched/sch_generic.c, fs/open.c.
const BOARDS: &[Header] = headers! {
    "pretimeout event", Watchdog, "watchdog pretimeout", Nobody, Line;
    "watchdog did not stop!", Watchdog, "watchdog did not stop", Nobody, Line;
    " failed with error -", ProbeFailure, "driver probe failed", Nobody, Line;
    "probe with driver ", ProbeFailure, "driver probe failed", Nobody, Line;
    "deferred probe pending", ProbeFailure, "driver probe failed", Nobody, Line;
    ": nobody cared (try booting", OtherBug, "interrupt that nobody handles", Nobody, MaybeStack;
    "sysfs: cannot create duplicate filename", DuplicateName, "duplicate name in sysfs", Trace, MaybeStack;
    "kobject_add_internal failed for ", DuplicateName, "kobject was not added", Trace, MaybeStack;
    "[Hardware Error]: ", HardwareError, "hardware error", Nobody, MaybeStack;
    "PCIe Bus Error: severity=Uncorrect", HardwareError, "PCIe bus error", Nobody, MaybeStack;
    "Unhandled context fault: fsr=", IommuFault, "IOMMU fault", Nobody, Line;
    "[IO_PAGE_FAULT ", IommuFault, "IOMMU fault", Nobody, Line;
    "DMAR: [DMA ", IommuFault, "IOMMU fault", Nobody, Line;
    ": Page fault at ", IommuFault, "IOMMU fault", Nobody, MaybeStack;
    " event 0x10 received:", IommuFault, "IOMMU fault", Nobody, MaybeStack;
    "event: F_TRANSLATION ", IommuFault, "IOMMU fault", Nobody, Line;
    "event: F_PERMISSION ", IommuFault, "IOMMU fault", Nobody, Line;
    "Unbalanced pm_runtime_", RuntimePm, "runtime PM out of balance", Nobody, Line;
    "Runtime PM usage count underflow", RuntimePm, "runtime PM out of balance", Nobody, Line;
    "EXT4-fs error (", FilesystemError, "file system error", Nobody, Line;
    "BTRFS critical (device ", FilesystemError, "file system error", Nobody, Line;
    "BTRFS error (device ", FilesystemError, "file system error", Nobody, Line;
    "SQUASHFS error: ", FilesystemError, "file system error", Nobody, Line;
    "UBIFS error (", FilesystemError, "file system error", Nobody, Line;
    ": Timeout waiting for hardware ", DeviceTimeout, "device timeout", Nobody, MaybeStack;
    "NETDEV WATCHDOG: ", DeviceTimeout, "transmit queue timed out", Nobody, Line;
    "VFS: Close: file count is 0", OtherBug, "file closed twice", Trace, MaybeStack;
    "unregister_netdevice: waiting for ", OtherBug, "network device is not released", Nobody, Line;
};

/// What is left of the field's three words.
const GENERAL: &[Header] = headers! {
    "BUG ", SlabCorruption, "slab corruption", Trace, Stack;
    "BUG: ", OtherBug, "BUG", Trace, MaybeStack;
    "WARNING: ", Warning, "WARNING", Header, MaybeStack;
};

/// Whether nothing but one of the field's three words makes a report of the line.
pub(super) fn is_general(header: &Header) -> bool {
    GENERAL.contains(header) || header.kind == Kind::ProbeFailure
}

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

/// Words that begin an answer: a SysRq key's name (drivers/tty/sysrq.c: `__handle_sysrq()`; before 4.18 `SysRq : `), and the tables of
/// memory (mm/show_mem.c: `__show_mem()`).
pub const ANSWERS: [&str; 3] = ["sysrq: ", "SysRq : ", "Mem-Info:"];

/// Words with which a boot and a stack begin.
pub const BEGINNINGS: [&str; 5] = [
    "Booting Linux on physical CPU",
    "Linux version ",
    "Call trace:",
    "Call Trace:",
    " Comm: ",
];

/// Last words of a kernel that goes down as it was asked to: kernel/reboot.c, kernel/kexec_core.c.
pub const DOWN: [&str; 6] = [
    "reboot: Restarting system",
    "reboot: Power down",
    "reboot: System halted",
    "kexec_core: Starting new kernel",
    "reboot: Restarting",
    "Bye!",
];

/// Words from which on lockdep proves nothing: kernel/locking/lockdep.c, kernel/panic.c.
pub const LOCKDEP_OFF: [&str; 4] = [
    "INFO: lockdep is turned off",
    "turning off the locking correctness validator",
    "Disabling lock debugging due to kernel taint",
    "debug_locks = 0",
];
