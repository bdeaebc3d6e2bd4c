//! The kernel's checkers and its taint, before and after a test: the test that switched lockdep off is named.

use super::parts::Parts;

/// Flags of `/proc/sys/kernel/tainted`, bit by bit: letter and meaning (Documentation/admin-guide/tainted-kernels.rst).
const TAINT: &[(char, &str)] = &[
    ('P', "proprietary module was loaded"),
    ('F', "module was force loaded"),
    ('S', "kernel running on an out of specification system"),
    ('R', "module was force unloaded"),
    ('M', "machine check exception"),
    ('B', "bad page"),
    ('U', "user space asked for it"),
    ('D', "kernel died"),
    ('A', "ACPI table overridden"),
    ('W', "kernel issued a warning"),
    ('C', "staging driver was loaded"),
    ('I', "workaround for a bug in firmware"),
    ('O', "out-of-tree module was loaded"),
    ('E', "unsigned module was loaded"),
    ('L', "soft lockup"),
    ('K', "live patched"),
    ('X', "auxiliary, by the distribution"),
    ('T', "built with structure randomization"),
    ('N', "in-kernel test was run"),
    ('J', "fwctl debug write"),
];

/// Flags after which nothing that the kernel does is worth a verdict: it died, a page is bad, a processor hung or is broken.
const FATAL: &[char] = &['M', 'B', 'D', 'L'];

/// Those flags, as bits of the taint.
pub(super) fn fatal_bits() -> u64 {
    let bits = TAINT.iter().enumerate();
    bits.filter(|(_, (letter, _))| FATAL.contains(letter))
        .map(|(bit, _)| 1 << bit)
        .sum()
}

/// The state of the checkers at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkers {
    /// `debug_locks` of `/proc/lockdep_stats`; none where there is no lockdep.
    pub lockdep: Option<bool>,
    /// `/proc/sys/kernel/tainted`.
    pub taint: Option<u64>,
}

impl Checkers {
    /// As the script has it under `<when>-…`.
    pub(super) fn of(parts: &Parts, when: &str) -> Self {
        let fact = |key: &str| parts.fact(&format!("{when}-{key}"));
        Checkers {
            lockdep: fact("debug_locks").map(|value| value.trim() == "1"),
            taint: fact("taint").and_then(|value| value.trim().parse().ok()),
        }
    }

    /// Reads lines of the form `debug_locks=1`, `taint=0`.
    pub fn read(text: &str) -> Self {
        let of = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        Checkers {
            lockdep: of("debug_locks")
                .filter(|value| !value.is_empty())
                .map(|value| value == "1"),
            taint: of("taint").and_then(|value| value.parse().ok()),
        }
    }
}

/// Shell that prints what [`Checkers::read`] reads.
pub const ASK: &str = "echo \"taint=$(cat /proc/sys/kernel/tainted)\"\n\
    echo \"debug_locks=$(sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats 2>/dev/null)\"\n";

/// What changed from one instant to the next, during `what`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Lockdep died, or was dead before already.
    pub dead: Option<String>,
    /// A taint that no verdict survives.
    pub fatal: Option<String>,
    /// New flags of the taint, in words.
    pub taint: Vec<String>,
}

/// Compares two instants. A lockdep that was dead before `what` is told once, where it is first seen: `known_dead` says that it was.
pub fn compare(what: &str, before: Checkers, after: Checkers, known_dead: KnownDead) -> Change {
    let dead = match (before.lockdep, after.lockdep) {
        (Some(false), _) if known_dead == KnownDead::No => Some(format!(
            "lockdep was switched off before {what}, by an earlier splat: nothing that follows is checked"
        )),
        (Some(true), Some(false)) => Some(format!(
            "{what} switched lockdep off: nothing after it is checked"
        )),
        _ => None,
    };
    let new = match (before.taint, after.taint) {
        (Some(before), Some(after)) => after & !before,
        _ => 0,
    };
    let flags: Vec<(char, &str)> = flags(new);
    let fatal = flags
        .iter()
        .find(|(letter, _)| FATAL.contains(letter))
        .map(|(letter, meaning)| format!("{what} tainted the kernel: {letter} ({meaning})"));
    Change {
        dead,
        fatal,
        taint: flags
            .iter()
            .map(|(letter, meaning)| format!("taint {letter} since {what}: {meaning}"))
            .collect(),
    }
}

/// Whether it was told already that lockdep is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownDead {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// The flags of a taint.
pub fn flags(taint: u64) -> Vec<(char, &'static str)> {
    TAINT
        .iter()
        .enumerate()
        .filter(|(bit, _)| taint >> bit & 1 == 1)
        .map(|(_, flag)| *flag)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(lockdep: bool, taint: u64) -> Checkers {
        Checkers {
            lockdep: Some(lockdep),
            taint: Some(taint),
        }
    }

    #[test]
    fn the_test_that_switched_lockdep_off_is_named() {
        let change = compare(
            "smoke test a",
            state(true, 0),
            state(false, 1 << 9),
            KnownDead::No,
        );
        assert_eq!(
            change.dead.unwrap(),
            "smoke test a switched lockdep off: nothing after it is checked"
        );
        assert_eq!(
            change.taint,
            ["taint W since smoke test a: kernel issued a warning"]
        );
        assert_eq!(
            change.fatal, None,
            "a warning is judged by its finding, against the baseline"
        );
    }

    #[test]
    fn a_lockdep_that_was_dead_before_is_told_once() {
        let dead = state(false, 0);
        let first = compare("smoke test a", dead, dead, KnownDead::No);
        assert!(
            first
                .dead
                .unwrap()
                .contains("before smoke test a, by an earlier splat")
        );
        assert_eq!(compare("smoke test b", dead, dead, KnownDead::Yes).dead, None);
    }

    #[test]
    fn a_kernel_that_died_is_fatal_and_one_without_lockdep_is_not() {
        let none = Checkers {
            lockdep: None,
            taint: Some(0),
        };
        let died = Checkers {
            lockdep: None,
            taint: Some(1 << 7),
        };
        let change = compare("the soak", none, died, KnownDead::No);
        assert_eq!(change.dead, None);
        assert_eq!(
            change.fatal.unwrap(),
            "the soak tainted the kernel: D (kernel died)"
        );
    }

    #[test]
    fn the_letters_are_those_of_the_kernel_s_document() {
        let letters: String = flags((1 << 20) - 1).iter().map(|(letter, _)| letter).collect();
        assert_eq!(letters, "PFSRMBUDAWCIOELKXTNJ");
        let fatal: String = flags(fatal_bits()).iter().map(|(letter, _)| letter).collect();
        assert_eq!(fatal, "MBDL");
    }
}
