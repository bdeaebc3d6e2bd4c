//! How long the parts of a boot may take.

use super::ANSWER_LIMIT;
use crate::board::Board;
use std::time::Duration;

/// Limits of the parts of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the request to U-Boot's first line (or the new kernel's, for a boot without it).
    pub down: Duration,
    /// From U-Boot's first line to the kernel's.
    pub bootloader: Duration,
    /// From the kernel's first line to an answer over ssh.
    pub kernel: Duration,
}

impl Limits {
    /// Limits for a board whose description says how long a boot takes at most.
    pub fn of(board: &dyn Board) -> Self {
        Self::for_boots_of(board.description().boot_limit)
    }

    fn for_boots_of(whole: Duration) -> Self {
        // systemd's own limit for stopping a unit is 90 s (DefaultTimeoutStopSec).
        Limits {
            down: Duration::from_secs(120),
            bootloader: Duration::from_secs(120).min(whole),
            kernel: whole,
        }
    }

    /// All of them: what comes later than that comes no more.
    pub fn whole(&self) -> Duration {
        self.down
            .saturating_add(self.bootloader)
            .saturating_add(self.kernel)
    }
}

/// How long a watchdog is waited for whose time nobody knows: longer than what systemd's manual gives as an example (20 s).
pub(super) const WATCHDOG: u32 = 60;
/// Longest time that a boot behind the watchdog is waited for before somebody pulls the reset.
pub(super) const BEHIND_WATCHDOG: Duration = Duration::from_secs(120);

/// From a panic to U-Boot's first line: `panic=10`, and some for the words before it on a slow line.
pub(super) const PANIC: Duration = Duration::from_secs(45);

/// How long an answer may take that is asked for the so manieth time since a kernel was seen to run. A connection that comes before the board's
/// network may hang for as long as it is given, though the board is there a moment later; a slow board needs the whole time for its greeting.
pub(super) fn patience(asked: u32) -> Duration {
    Duration::from_secs(1 << (asked / 2).min(2)).min(ANSWER_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_came_too_early_is_given_up_soon_and_a_slow_board_gets_its_time() {
        let seconds: Vec<u64> = (0..6).map(|asked| patience(asked).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 2, 4, 4]);
        assert_eq!(patience(u32::MAX), ANSWER_LIMIT);
    }

    #[test]
    fn a_slow_board_has_the_time_that_its_file_gives_it() {
        for seconds in [10, 90, 300, 3600] {
            let whole = Duration::from_secs(seconds);
            let limits = Limits::for_boots_of(whole);
            assert_eq!(limits.kernel, whole);
            // The way down and U-Boot have their own time: a boot that takes all of its limit is not cut short by them.
            assert!(limits.whole() >= whole + limits.down + limits.bootloader);
            assert!(limits.down > Duration::from_secs(90), "systemd's own limit");
        }
    }
}
