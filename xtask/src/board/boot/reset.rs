//! Ways in which a board is made to restart, and what each does to it.

use super::serial::Phase;
use crate::board::{Board, SerialLine};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the board is made to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// `systemctl reboot` (or what the boot method has instead); when no restart is seen within [`Limits::down`], by force.
    Orderly,
    /// The reset line, the power, or the kernel's own reset over the serial line, at once: nothing is flushed.
    Hard,
    /// A crash on purpose (`sysrq c`) with a `panic` timeout: the way of a kernel that panics.
    Crash,
    /// Nobody feeds the watchdog any more: the way of a kernel that hangs.
    Watchdog,
    /// A crash on purpose by BREAK on the serial line, for a board that does not answer: pstore has its last words then. Where no
    /// restart comes of it, by force.
    BreakCrash,
}

impl Reset {
    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Reset::Orderly => "an orderly reboot",
            Reset::Hard => "a forced reset",
            Reset::Crash => "a panic",
            Reset::Watchdog => "the watchdog",
            Reset::BreakCrash => "a crash over the serial line",
        }
    }
}

/// Everything is on the disk and read-only before the crash: what is tried is the way back, not the file system.
pub(super) const CRASH: &str = "echo 1 >/proc/sys/kernel/panic
sync
(sleep 1; echo s >/proc/sysrq-trigger; echo u >/proc/sysrq-trigger; sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &
";

/// Where systemd feeds the watchdog it is frozen (cgroup v2 freezer: Documentation/admin-guide/cgroup-v2.rst), with a timeout of 10 s before
/// (org.freedesktop.systemd1, RuntimeWatchdogUSec). Elsewhere somebody holds the watchdog open and never feeds it
/// (Documentation/watchdog/watchdog-api.rst).
pub(super) const STARVE: &str = "sync
busctl set-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager RuntimeWatchdogUSec t 10000000 2>/dev/null
(
    sleep 1; echo s >/proc/sysrq-trigger; echo u >/proc/sysrq-trigger
    if [ -w /sys/fs/cgroup/init.scope/cgroup.freeze ]; then
        echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze
    else
        exec 3>/dev/watchdog0 && echo . >&3
    fi
    sleep 600
) >/dev/null 2>&1 &
";

/// Resets a board that is out of reach: its reset and power commands, then the kernel's own reset over the serial line (BREAK and `b`), which is
/// only tried where a kernel was seen last (invariant 8). Errors: there is none, or none obeyed; a person is needed then.
pub(super) fn by_force(board: &dyn Board, phase: Phase) -> Result<()> {
    let Err(error) = board.hard_reset() else {
        return Ok(());
    };
    let out_of_reach = "the board is out of reach: press its reset button, or take its power for ten seconds";
    let line = board
        .serial()
        .filter(|_| phase >= Phase::Kernel && phase != Phase::Panicked);
    let Some(line) = line else {
        return Err(error).context(out_of_reach);
    };
    by_keys(line).map_err(|keys| {
        error.context(format!(
            "{out_of_reach} (its kernel cannot be told to reset over the serial line: {keys:#})"
        ))
    })
}

/// Sync, unmount, reset: the kernel's own.
fn by_keys(line: &dyn SerialLine) -> Result<()> {
    for key in [b"s", b"u", b"b"] {
        line.send_break()?;
        line.write(key)?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
