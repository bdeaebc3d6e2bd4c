//! What a finding can be, in the field's terms.

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
    /// arm64: an asynchronous abort of the memory system.
    Serror,
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
    /// Memory was asked for and not there: pages, or a range of addresses.
    AllocationFailure,
    /// A name was given twice in sysfs.
    DuplicateName,
    /// The hardware reported an error: machine check, GHES, PCIe.
    HardwareError,
    /// A device accessed memory that its IOMMU does not map for it.
    IommuFault,
    /// Runtime power management was used out of balance.
    RuntimePm,
    /// A file system found itself damaged.
    FilesystemError,
    /// A device did not answer in time.
    DeviceTimeout,
    /// dma-fence and dma-resv rules broken.
    DmaFence,
    /// DMA API debugging.
    DmaApi,
    /// A hardware watchdog spoke.
    Watchdog,
    /// Several boots in a row ended without a word.
    SilentReset,
    /// Firmware crashed, before a kernel ran.
    FirmwareCrash,
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

    /// Whether the CPU refused to go on: the place is where wrong data was used, not where it was made.
    pub const fn is_fault(self) -> bool {
        use Kind::*;
        matches!(
            self,
            NullDereference | PagingRequest | GeneralProtection | DivideError | Oops | Serror | StackOverflow
        )
    }

    /// Whether the kernel's words name what it is about, where no function does: a device, a task, a condition.
    pub const fn is_told_by_its_words(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Message
                | ProbeFailure
                | Watchdog
                | OutOfMemory
                | OtherBug
                | DmaApi
                | IommuFault
                | HardwareError
                | RuntimePm
                | FilesystemError
                | DeviceTimeout
                | DuplicateName
        )
    }

    /// Whether its first line may also be the words of a `WARN()`, which are not a report of their own.
    pub const fn may_be_words_of_warning(self) -> bool {
        use Kind::*;
        matches!(
            self,
            AllocationFailure
                | DuplicateName
                | HardwareError
                | IommuFault
                | RuntimePm
                | FilesystemError
                | DeviceTimeout
                | DmaApi
                | HardLockup
                | SoftLockup
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
                    | Serror
                    | StackOverflow
                    | KernelBug
                    | Panic
            )
    }

    /// How bad it is, whatever the campaign thinks of it.
    pub const fn severity(self) -> Severity {
        match self {
            Kind::ProbeFailure
            | Kind::Message
            | Kind::DuplicateName
            | Kind::RuntimePm
            | Kind::FilesystemError
            | Kind::DeviceTimeout => Severity::Warning,
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
