//! A finding: something that the kernel complained about, in the field's terms.

use super::finder::Finder;
use super::locks::LockReport;
use super::record::Log;
use super::wall::Wall;
use serde::{Deserialize, Serialize};

/// What kind of complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// lockdep: a cycle in the order of locks.
    CircularLocking,
    /// lockdep: a lock class taken again by its holder.
    RecursiveLocking,
    /// lockdep: a lock used both inside an interrupt and with that interrupt enabled.
    InconsistentLockState,
    /// lockdep: an irq-safe lock depends on an irq-unsafe one, or the two in inverted order.
    IrqLockInversion,
    /// lockdep: a sleeping lock where only spinning ones are allowed.
    InvalidWaitContext,
    /// lockdep: released what is not held.
    BadUnlockBalance,
    /// lockdep: memory with a held lock in it was freed.
    HeldLockFreed,
    /// lockdep: still held at exit, at the return to user space, or at the end of a work item.
    LockHeldAtReturn,
    /// RCU dereference without protection.
    SuspiciousRcu,
    /// lockdep switched itself off: a lock class without a key, or a limit reached.
    LockdepOff,
    /// Any other complaint of lockdep about itself or about a lock.
    LockingBug,
    /// Spinlock or rwlock debugging: bad magic, recursion, wrong owner, lockup suspected.
    SpinlockBug,
    /// A function that may sleep was called in atomic context.
    SleepInAtomic,
    /// `schedule()` was called in atomic context.
    SchedulingWhileAtomic,
    /// Per-CPU access where the task may move to another CPU.
    PreemptibleCpuUse,
    /// A task has been blocked for too long.
    HungTask,
    /// A CPU does not schedule.
    SoftLockup,
    /// A CPU does not even take interrupts.
    HardLockup,
    /// A grace period does not end.
    RcuStall,
    /// A worker pool makes no progress.
    WorkqueueLockup,
    /// Oops: NULL pointer dereference.
    NullDereference,
    /// Oops: any other address that is not mapped or not allowed.
    PagingRequest,
    /// Oops: x86 general protection fault.
    GeneralProtection,
    /// Oops: division by zero.
    DivideError,
    /// Oops: any other cause.
    Oops,
    /// The kernel's stack ran over.
    StackOverflow,
    /// `BUG()`.
    KernelBug,
    /// `WARN()`, and other lines that begin with `WARNING:`.
    Warning,
    /// A complaint that begins with `BUG:` and is none of the others.
    OtherBug,
    /// Panic that no other finding explains.
    Panic,
    /// Kernel address sanitizer.
    Kasan,
    /// Kernel memory sanitizer: uninitialised memory.
    Kmsan,
    /// Kernel concurrency sanitizer: data race.
    Kcsan,
    /// Sampling memory-error detector.
    Kfence,
    /// Undefined-behaviour sanitizer.
    Ubsan,
    /// Reference counter saturated or used after it reached 0.
    Refcount,
    /// Linked list corrupted.
    ListCorruption,
    /// Debug objects: an active object freed or initialised.
    DebugObjects,
    /// kmemleak.
    MemoryLeak,
    /// A page in a state that it must not be in.
    BadPage,
    /// SLUB debugging: an object written to beyond its end or after its life.
    SlabCorruption,
    /// Copy between kernel and user memory beyond an object.
    Usercopy,
    /// Out of memory.
    OutOfMemory,
    /// dma-fence and dma-resv rules broken.
    DmaFence,
    /// DMA API debugging.
    DmaApi,
    /// A hardware watchdog spoke.
    Watchdog,
    /// A driver's probe failed.
    ProbeFailure,
    /// Any other line of level warning or above.
    Message,
}

impl Kind {
    /// Whether it is a report of lockdep or of spinlock debugging about locks.
    pub const fn is_about_locks(self) -> bool {
        use Kind::*;
        matches!(
            self,
            CircularLocking
                | RecursiveLocking
                | InconsistentLockState
                | IrqLockInversion
                | InvalidWaitContext
                | BadUnlockBalance
                | HeldLockFreed
                | LockHeldAtReturn
                | LockdepOff
                | LockingBug
                | SpinlockBug
        )
    }

    /// Whether a report of this kind switches lockdep off: all about locks do, except the RCU one
    /// (kernel/locking/lockdep.c: `debug_locks_off()`), and every oops does without a word about it (kernel/panic.c:
    /// `oops_enter()`). Sanitizers do it through their taint, which is seen in the text.
    pub const fn switches_lockdep_off(self) -> bool {
        use Kind::*;
        self.is_about_locks()
            || matches!(
                self,
                NullDereference
                    | PagingRequest
                    | GeneralProtection
                    | DivideError
                    | Oops
                    | StackOverflow
                    | KernelBug
                    | Panic
            )
    }

    /// How bad it is, whatever the campaign thinks of it.
    pub const fn severity(self) -> Severity {
        match self {
            Kind::ProbeFailure | Kind::Message => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The name in JSON and in print: `circular-locking`.
    pub fn name(self) -> String {
        let debug = format!("{self:?}");
        let mut name = String::new();
        for c in debug.chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A line of level warning or a failed probe: counted against the baseline, no fault by itself.
    Warning,
    /// The kernel found a fault in itself.
    Error,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// Same fault, same title in another run: no addresses, ids, times, offsets, CPU numbers.
    pub title: String,
    /// What kind of complaint.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// The function to look at first: the first one in the report that is not the kernel's own machinery for reporting,
    /// locking, allocating or sleeping.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<String>,
    /// The module of that function.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
    /// Name of the task.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub process: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// CPU that it ran on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<u32>,
    /// Microseconds since boot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<u64>,
    /// Wall time, where the source has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wall: Option<Wall>,
    /// Which boot of the log, from 0.
    pub boot: u32,
    /// Where the log came from, as the caller named it.
    pub source: String,
    /// First line of the excerpt in the source, from 1.
    pub line: usize,
    /// Offset of that line in the source, in bytes.
    pub offset: usize,
    /// How often it came: more than 1 only where the same one came so often that the later ones are not told one by one.
    #[serde(skip_serializing_if = "is_once", default = "once")]
    pub times: usize,
    /// The report's own lines, without their prefixes.
    pub excerpt: Vec<String>,
    /// The report is cut, mixed with another, or lacks what such a report always has.
    pub damaged: bool,
    /// The kernel went on to panic because of it.
    pub panicked: bool,
    /// Nothing that lockdep did not say after this proves anything.
    pub lockdep_off: bool,
    /// The locks of a lockdep report.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub locks: Option<LockReport>,
}

fn once() -> usize {
    1
}

fn is_once(times: &usize) -> bool {
    *times == 1
}

/// All findings of a log, in the order in which they began. `source` names the log in each.
pub fn find(log: &Log, source: &str) -> Vec<Finding> {
    let mut finder = Finder::new(source);
    for record in &log.records {
        finder.push(record);
    }
    finder.finish().0
}
