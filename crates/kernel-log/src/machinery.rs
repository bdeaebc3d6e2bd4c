//! Which functions of a stack are machinery, which are culprits, and which call somebody's entry point.

mod entries;
mod names;
mod words;

use super::frames::{Frame, Trust};
use super::kind::Kind;
use entries::{CIPHERS, CORE_NAMES, CORES, ENTRANCES, HANDLERS, NEVER, RECLAIM, SERVING};
use names::{
    ALLOCATING, ALLOCATORS, CHECKING, DEBUGGING, DMA, FAULTS, FENCES, LEAVES, LIBRARY, LOCKS, REPORTING,
    SERVICES, TICK, TRACING, WAITING,
};
use std::sync::LazyLock;
use words::Words;

/// What a frame is to whoever looks for the guilty function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// To be looked at first.
    Suspect,
    /// A subsystem's core or a library: where no one else is in the stack.
    Core,
    /// Reports, locks, allocates for others.
    Machinery,
    /// An entry point.
    Never,
}

/// What a frame is, in a report of this kind.
pub fn rank(frame: &Frame, kind: Kind) -> Rank {
    static ENTRIES: LazyLock<Words> = LazyLock::new(|| Words::new(NEVER));
    static CORE: LazyLock<Words> = LazyLock::new(|| Words::new(&[CORE_NAMES, CIPHERS].concat()));
    if frame.trust != Trust::Sure || ENTRIES.has(frame.function) {
        return Rank::Never;
    }
    let inlined = frame.file.is_some_and(|file| file.starts_with("include/"));
    if let Some(module) = frame.module.filter(|_| !inlined) {
        return if is_core_module(module) {
            Rank::Core
        } else {
            Rank::Suspect
        };
    }
    if machinery(frame.function, kind) {
        return Rank::Machinery;
    }
    if frame.file.is_some_and(serves) || CORE.has(frame.function) {
        Rank::Core
    } else {
        Rank::Suspect
    }
}

/// Whether a file of the source tree serves whoever calls it: by its folder, or as the core of a
/// subsystem. A file system that stands among the memory management serves no one.
fn serves(file: &str) -> bool {
    if file == "mm/shmem.c" {
        return false;
    }
    let of_architecture = |rest: &str| {
        let folder = rest.split_once('/').map_or("", |(_, below)| below);
        folder.starts_with("mm/") || folder.starts_with("lib/") || folder.starts_with("include/")
    };
    SERVING.iter().any(|folder| file.starts_with(folder))
        || file.strip_prefix("arch/").is_some_and(of_architecture)
}

fn is_core_module(module: &str) -> bool {
    let ends = ["core", "_common", "_helper", "_helpers"];
    CORES.contains(&module) || module.starts_with("videobuf2") || ends.iter().any(|end| module.ends_with(end))
}

/// The function to look at first in a stack, innermost first: the first suspect, else the first of
/// a core. What a library calls is the library's: a suspect inside of one is none, unless an
/// interrupt, a fault or an entry point stands between the two. Behind the function that called an
/// entry point no one is looked for while there is anyone.
pub fn first_suspect<'a>(stack: impl IntoIterator<Item = Frame<'a>>, kind: Kind) -> Option<Frame<'a>> {
    first_suspect_beyond(stack, kind, |_| false)
}

/// The same, where `serves` says which frames are known to serve whoever calls them.
pub fn first_suspect_beyond<'a>(
    stack: impl IntoIterator<Item = Frame<'a>>,
    kind: Kind,
    serves: impl Fn(&Frame) -> bool,
) -> Option<Frame<'a>> {
    let (mut suspect, mut core) = (None, None);
    // Memory that somebody else ruined faults wherever it is used next: that place is all that is known.
    let kind_tells = !kind.is_fault();
    let by_library = |found: Option<Frame>| found.is_some_and(|frame: Frame| frame.module.is_none());
    for (at, frame) in stack.into_iter().enumerate() {
        let sure = frame.trust == Trust::Sure;
        let enters = sure && dispatcher(frame.function);
        let rank = match rank(&frame, kind) {
            Rank::Suspect if serves(&frame) => Rank::Core,
            // Where it happened in an entrance itself, that is where the stack begins.
            Rank::Suspect if at > 0 && kind_tells && enters_for_others(&frame) => Rank::Machinery,
            rank => rank,
        };
        if suspect.is_some() && (enters || rank == Rank::Never && sure || breaks(&frame)) {
            return suspect;
        }
        if enters && core.is_some() {
            return core;
        }
        match rank {
            Rank::Suspect => suspect = suspect.or(Some(frame)),
            Rank::Core | Rank::Machinery if kind_tells && calls_nobody(&frame) => {
                suspect = suspect.filter(|_| !by_library(suspect));
                core = core.filter(|_| !by_library(core));
                core = core.or((rank == Rank::Core).then_some(frame));
            }
            Rank::Core => core = core.or(Some(frame)),
            Rank::Never if core.is_some() && sure => return core,
            Rank::Machinery | Rank::Never => {}
        }
    }
    suspect.or(core)
}

/// Whether a function is of a library that never calls back whoever uses it.
pub fn calls_nobody(frame: &Frame) -> bool {
    static CLOSED: LazyLock<Words> =
        LazyLock::new(|| Words::new(&[CHECKING, DEBUGGING, LOCKS, ALLOCATORS, LIBRARY, CIPHERS].concat()));
    frame.trust == Trust::Sure && frame.module.is_none() && CLOSED.has(frame.function)
}

/// Whether what stands in a stack before this frame was not called by what stands behind it: an
/// interrupt, a fault, a switch to another task, reclaim on behalf of an allocation, or the
/// beginning of another stack.
fn breaks(frame: &Frame) -> bool {
    static BREAKS: LazyLock<Words> =
        LazyLock::new(|| Words::new(&[REPORTING, FAULTS, TICK, WAITING, RECLAIM].concat()));
    frame.trust == Trust::Sure && frame.module.is_none() && BREAKS.has(frame.function)
}

/// Whether a function is what an interrupt or a fault of the CPU enters.
pub fn enters_from_hardware(frame: &Frame) -> bool {
    static ENTERED: LazyLock<Words> = LazyLock::new(|| Words::new(FAULTS));
    frame.trust == Trust::Sure && frame.module.is_none() && ENTERED.has(frame.function)
}

/// Whether a frame may be the culprit of a report of this kind: a suspect, or a core's. What is in
/// a module is never machinery, whatever its name begins with.
pub fn is_culprit(frame: &Frame, kind: Kind) -> bool {
    matches!(rank(frame, kind), Rank::Suspect | Rank::Core)
}

/// Whether a function has no frame of its own, so that its caller is missing from an arm64 trace.
pub fn is_leaf(function: &str) -> bool {
    static ALL: LazyLock<Words> = LazyLock::new(|| Words::new(LEAVES));
    ALL.has(function)
}

/// Whether a function is machinery for a report of this kind.
pub fn machinery(function: &str, kind: Kind) -> bool {
    static ALWAYS: LazyLock<Words> = LazyLock::new(|| {
        let all = [
            REPORTING, CHECKING, DEBUGGING, TRACING, FAULTS, TICK, LOCKS, ALLOCATORS, LIBRARY, SERVICES,
        ];
        Words::new(&all.concat())
    });
    static FOR_SLEEPERS: LazyLock<Words> = LazyLock::new(|| Words::new(WAITING));
    static FOR_LEAKS: LazyLock<Words> = LazyLock::new(|| Words::new(ALLOCATING));
    static FOR_FENCES: LazyLock<Words> = LazyLock::new(|| Words::new(FENCES));
    static FOR_DMA: LazyLock<Words> = LazyLock::new(|| Words::new(DMA));
    if ALWAYS.has(function) || takes_lock_of_subsystem(function) {
        return true;
    }
    match kind {
        Kind::SleepInAtomic => FOR_SLEEPERS.has(function) && function != "console_lock",
        Kind::HungTask | Kind::SchedulingWhileAtomic | Kind::RcuStall | Kind::StackOverflow | Kind::Panic => {
            FOR_SLEEPERS.has(function)
        }
        Kind::MemoryLeak => FOR_LEAKS.has(function),
        Kind::DmaFence => FOR_FENCES.has(function),
        Kind::DmaApi => FOR_DMA.has(function),
        _ => false,
    }
}

/// Wrappers that subsystems have around their locks: `reiserfs_write_lock`.
fn takes_lock_of_subsystem(function: &str) -> bool {
    ["_write_lock", "_write_unlock", "_read_lock", "_read_unlock"]
        .iter()
        .any(|end| function.ends_with(end))
}

/// Whether a function of files, sockets or packets hands over to somebody's entry point, and does
/// its own work besides.
pub fn handler(function: &str) -> bool {
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(HANDLERS));
    WORDS.has(function)
}

/// Whether a function does nothing but hand over to an entry point of a system call, an
/// interrupt or a thread.
fn enters_for_others(frame: &Frame) -> bool {
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(ENTRANCES));
    frame.module.is_none() && WORDS.has(frame.function)
}

/// Whether a function hands over to somebody's entry point.
pub fn dispatcher(function: &str) -> bool {
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(&[ENTRANCES, HANDLERS, NEVER].concat()));
    WORDS.has(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machinery_and_culprits() {
        for name in [
            "mutex_lock_nested",
            "_raw_spin_lock",
            "kasan_report",
            "__might_sleep",
            "memcpy",
        ] {
            assert!(machinery(name, Kind::Kasan), "{name}");
        }
        for name in [
            "vim2m_job_run",
            "dma_fence_signal",
            "rtnl_lock",
            "vb2_buffer_done",
            "v4l2_m2m_buf_done",
        ] {
            assert!(!machinery(name, Kind::HungTask), "{name}");
        }
    }

    #[test]
    fn a_module_is_never_machinery() {
        let mut frame = Frame {
            function: "mutex_games",
            module: None,
            file: None,
            trust: Trust::Sure,
        };
        assert!(!is_culprit(&frame, Kind::Warning));
        frame.module = Some("games");
        assert!(is_culprit(&frame, Kind::Warning));
        frame.trust = Trust::Leftover;
        assert!(!is_culprit(&frame, Kind::Warning));
    }

    #[test]
    fn cores_and_libraries_stand_back_for_drivers() {
        let frame = |function, module, file| Frame {
            function,
            module,
            file,
            trust: Trust::Sure,
        };
        let foo = frame("foo_start", Some("foo"), None);
        for core in [
            frame("usb_submit_urb", Some("usbcore"), None),
            frame("vb2_core_qbuf", None, None),
            frame("some_walk", None, Some("mm/pagewalk.c")),
        ] {
            assert_eq!(first_suspect([core, foo], Kind::Kasan), Some(foo));
            assert_eq!(first_suspect([core], Kind::Kasan), Some(core));
            let entry = frame("v4l2_ioctl", Some("videodev"), None);
            assert_eq!(
                first_suspect([core, entry, foo], Kind::Kasan),
                Some(core),
                "what called the entry point is not to blame"
            );
        }
        assert_eq!(
            first_suspect([frame("__arm64_sys_ioctl", None, None)], Kind::Kasan),
            None
        );
    }

    #[test]
    fn the_kind_decides() {
        assert!(machinery("schedule_timeout", Kind::HungTask));
        assert!(!machinery("schedule_timeout", Kind::Kasan));
        assert!(machinery("sk_alloc", Kind::MemoryLeak));
        assert!(!machinery("sk_alloc", Kind::Warning));
    }

    #[test]
    fn dispatchers() {
        assert!(
            dispatcher("process_one_work") && dispatcher("do_syscall_64") && dispatcher("invoke_syscall")
        );
        assert!(dispatcher("v4l2_ioctl") && !dispatcher("vim2m_ioctl"));
    }
}
