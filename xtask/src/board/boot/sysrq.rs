//! Asking a kernel by its SysRq keys: over ssh while that lives, by BREAK on the serial line when it does not.
//!
//! Source of the keys: Documentation/admin-guide/sysrq.rst. `/proc/sysrq-trigger` takes every key whatever `kernel.sysrq` says; a key on
//! the line needs it (our append has `sysrq_always_enabled`).

use super::serial::Phase;
use super::serial_log::SerialLog;
use crate::board::{Board, SerialLine, script};
use anyhow::{Result, bail, ensure};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How a key reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// `/proc/sysrq-trigger`, over ssh.
    Trigger,
    /// BREAK and the key, on the serial line.
    Break,
}

impl Way {
    /// In print.
    pub fn name(self) -> &'static str {
        match self {
            Way::Trigger => "/proc/sysrq-trigger",
            Way::Break => "BREAK on the serial line",
        }
    }
}

/// Keys that end the running system.
pub const ENDING: &[char] = &['b', 'c', 'o'];

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Asked {
    /// The way that was taken.
    pub way: Way,
    /// Where the answer begins in the serial log, bytes; 0 without a line.
    pub from: u64,
    /// Bytes that came over the line; none without a line.
    pub bytes: Option<u64>,
}

/// An answer has ended when nothing came for so long.
const QUIET: Duration = Duration::from_millis(1500);
/// Longest answer: back traces of many tasks at 115200 baud.
const LONGEST: Duration = Duration::from_secs(60);
/// Longest wait for the first byte.
const FIRST: Duration = Duration::from_secs(5);

/// What the serial line of a board showed last.
pub fn last_phase(line: &dyn SerialLine) -> Result<Phase> {
    let (_, watch) = SerialLog::with_tail(&line.log())?;
    Ok(watch.phase())
}

/// Sends one key and waits for the end of what the line shows of it. Errors: the way is not there, or invariant 8 forbids it: a BREAK goes
/// only to a line that showed a running kernel last.
pub fn ask(board: &dyn Board, key: char, way: Way) -> Result<Asked> {
    board.may_change()?;
    ensure!(
        key.is_ascii_alphanumeric(),
        "`{}` is no SysRq key: a letter or a digit",
        key.escape_debug()
    );
    let line = board.serial();
    let from = line.map_or(0, length);
    match way {
        Way::Trigger => {
            // In the background, so that the answer comes before the connection goes.
            let pause = if ENDING.contains(&key) { "sleep 1; " } else { "" };
            let typed = format!("({pause}echo {key} >/proc/sysrq-trigger) >/dev/null 2>&1 &\n");
            script::ask(board, "asking the kernel by SysRq", &typed, script::LOOK)?;
        }
        Way::Break => by_break(board, key)?,
    }
    Ok(Asked {
        way,
        from,
        bytes: line.map(|line| answer_length(line, from)),
    })
}

/// BREAK and a key. The kernel takes the key within five seconds (drivers/tty/serial: `SYSRQ_TIMEOUT`).
pub(super) fn by_break(board: &dyn Board, key: char) -> Result<()> {
    let Some(line) = board.serial() else {
        bail!("board `{}` has no serial line", board.description().name)
    };
    let phase = last_phase(line)?;
    ensure!(
        phase.is_running_kernel(),
        "no BREAK is sent: the serial line showed `{}` last, and not a running kernel",
        phase.name()
    );
    line.send_break()?;
    let mut byte = [0; 4];
    line.write(key.encode_utf8(&mut byte).as_bytes())
}

fn length(line: &dyn SerialLine) -> u64 {
    std::fs::metadata(line.log()).map_or(0, |data| data.len())
}

fn answer_length(line: &dyn SerialLine, from: u64) -> u64 {
    let started = Instant::now();
    let (mut last, mut since) = (length(line), Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = length(line);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let patience = if last > from { QUIET } else { FIRST };
        if since.elapsed() > patience || started.elapsed() > LONGEST {
            return last.saturating_sub(from);
        }
    }
}
