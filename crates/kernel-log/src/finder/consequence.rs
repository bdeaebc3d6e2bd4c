//! Whether a panic is the consequence of an error that was reported before it.

use crate::prefix::Caller;

/// A panic so many records after a report may be its consequence.
const RECORDS: usize = 400;
/// … so long after it (µs), where the panic says that there was an error.
const LONG: u64 = 30_000_000;
/// … where the same task or CPU prints both.
const SAME: u64 = 10_000_000;
/// … where the log does not tell who prints.
const SHORT: u64 = 2_000_000;
/// … in records, where it does not tell times either.
const FEW: usize = 60;

/// Reasons that a panic gives where something was reported before (kernel/panic.c: `check_panic_on_warn()`; `die()` of the architectures;
/// kernel/watchdog.c, kernel/hung_task.c, kernel/rcu/tree_stall.h).
const REASONS: [&str; 10] = [
    "Fatal exception",
    "panic_on_",
    "Aiee, killing interrupt handler",
    "softlockup: hung tasks",
    "hung_task: blocked tasks",
    "RCU Stall",
    "Hard LOCKUP",
    "Oops",
    "kernel BUG",
    "SError",
];

/// What stands between a report and a panic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distance {
    /// Records.
    pub records: usize,
    /// Microseconds, where both have a time.
    pub elapsed: Option<u64>,
    /// Who printed either.
    pub callers: (Option<Caller>, Option<Caller>),
}

/// Whether the panic on this line is a consequence.
pub(super) fn is_consequence(line: &str, distance: Distance) -> bool {
    let within = |most: u64| distance.elapsed.is_none_or(|elapsed| elapsed <= most);
    if distance.records > RECORDS {
        return false;
    }
    if REASONS.iter().any(|reason| line.contains(reason)) {
        return within(LONG);
    }
    match distance.callers {
        (Some(one), Some(other)) => one == other && within(SAME),
        _ if distance.elapsed.is_some() => within(SHORT),
        _ => distance.records <= FEW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_follows_from() {
        let far = |elapsed, other| Distance {
            records: 100,
            elapsed: Some(elapsed),
            callers: (Some(Caller::Task(1)), Some(Caller::Task(other))),
        };
        let fatal = "Kernel panic - not syncing: Fatal exception in interrupt";
        let init = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b";
        assert!(is_consequence(fatal, far(5_000_000, 2)));
        assert!(!is_consequence(fatal, far(60_000_000, 1)), "long after");
        assert!(is_consequence(init, far(5_000_000, 1)));
        assert!(!is_consequence(init, far(5_000_000, 2)), "another task");
        let unknown = Distance {
            callers: (None, None),
            ..far(20_000_000, 1)
        };
        assert!(!is_consequence(init, unknown));
        assert!(is_consequence(
            init,
            Distance {
                elapsed: Some(5),
                ..unknown
            }
        ));
    }
}
