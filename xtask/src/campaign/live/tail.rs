//! The last lines of the serial log, of the boot that runs and of none before it.

use crate::ui;
use kernel_log::serial::{self, Phase};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Bytes of the serial log that the last lines are looked for in.
const TAIL: u64 = 8 << 10;
/// Lines of the serial log that are shown at most.
const LINES: usize = 6;

/// The end of a serial log.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    log: Option<PathBuf>,
    /// Bytes of the log that are of boots before.
    from: u64,
    /// A restart was asked for, and the board has not answered yet.
    restarts: bool,
}

impl Tail {
    /// Of the file that the serial line is captured in.
    pub fn of(log: Option<PathBuf>) -> Self {
        Tail {
            log,
            ..Tail::default()
        }
    }

    /// What is there now is of boots before.
    pub fn begin(&mut self) {
        let metadata = self.log.as_ref().and_then(|log| log.metadata().ok());
        self.from = metadata.map_or(0, |metadata| metadata.len());
        self.restarts = false;
    }

    /// A restart is asked for now: what is shown begins with the boot loader, or with the kernel's
    /// first line.
    pub fn begin_boot(&mut self) {
        self.begin();
        self.restarts = true;
    }

    /// The board has answered.
    pub fn is_up(&mut self) {
        self.restarts = false;
    }

    /// The lines, made safe; none where the log cannot be read.
    pub fn last_lines(&self) -> Vec<String> {
        let read = || -> std::io::Result<(Vec<u8>, bool)> {
            let Some(log) = &self.log else {
                return Ok((Vec::new(), true));
            };
            let mut file = File::open(log)?;
            let size = file.metadata()?.len();
            // A log that is shorter than it was is another one.
            let from = if self.from > size { 0 } else { self.from };
            let start = size.saturating_sub(TAIL).max(from);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok((bytes, start == from))
        };
        let (bytes, is_all) = read().unwrap_or_default();
        let bytes = of_last_boot(&bytes, is_all && self.restarts);
        let text = ui::plain(&String::from_utf8_lossy(bytes));
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(LINES))
            .map(|line| line.replace('\t', "    "))
            .collect()
    }
}

/// What the last boot in these bytes wrote. Without a mark of a boot it is all of them; nothing
/// where they begin with the way down of the boot before.
fn of_last_boot(bytes: &[u8], begin_before_it: bool) -> &[u8] {
    let marks = serial::phases(bytes);
    let last = |phase: Phase| marks.iter().rev().find(|mark| mark.phase == phase);
    let begins = match last(Phase::BootLoader) {
        Some(mark) => Some(mark.offset),
        // A boot loader that says nothing, or that is out of sight already.
        None => {
            let down = marks.iter().rev().find(|mark| mark.phase == Phase::Down);
            let kernel = last(Phase::Kernel).map(|mark| mark.offset);
            kernel.filter(|kernel| begin_before_it || down.is_some_and(|down| down.offset < *kernel))
        }
    };
    match begins {
        Some(offset) => bytes.get(offset..).unwrap_or_default(),
        None if begin_before_it => &[],
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_lines_of_the_log_are_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("serial.log");
        let noise = "x".repeat(20_000);
        std::fs::write(
            &log,
            format!("{noise}\n\x1b[2J\x1b[0;31mred\x1b[0m\r\n\0\u{202e}evil\t.\n"),
        )
        .unwrap();
        let lines = Tail::of(Some(log)).last_lines();
        assert_eq!(lines[lines.len() - 2], "red");
        assert_eq!(lines[lines.len() - 1], "\\u{0}\\u{202e}evil    .");
        assert!(Tail::of(Some("/does/not/exist".into())).last_lines().is_empty());
        assert!(Tail::default().last_lines().is_empty());
    }

    #[test]
    fn no_line_of_the_boot_before_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("serial.log");
        let mut line = File::create(&log).unwrap();
        writeln!(line, "[    9.0] the boot before").unwrap();
        let mut tail = Tail::of(Some(log.clone()));
        assert_eq!(tail.last_lines(), ["[    9.0] the boot before"]);
        tail.begin_boot();
        assert!(tail.last_lines().is_empty());
        writeln!(
            line,
            "[   10.0] systemd: Stopping everything\n[   11.0] reboot: Restarting system"
        )
        .unwrap();
        assert!(tail.last_lines().is_empty(), "its way down");
        writeln!(line, "U-Boot 2023.01\nEnter choice: 2").unwrap();
        assert_eq!(tail.last_lines(), ["U-Boot 2023.01", "Enter choice: 2"]);
        writeln!(line, "[    0.0] Linux version 7.3.4-lockdep").unwrap();
        assert_eq!(tail.last_lines().len(), 3);
        tail.is_up();
        assert_eq!(tail.last_lines()[0], "U-Boot 2023.01");
        for number in 0..500 {
            writeln!(line, "[    1.0] line {number:020}").unwrap();
        }
        assert_eq!(tail.last_lines().len(), LINES, "the beginning is out of sight");
        // A panic resets it in the middle of the tests.
        writeln!(line, "Kernel panic - not syncing: x\nU-Boot 2023.01").unwrap();
        assert_eq!(tail.last_lines(), ["U-Boot 2023.01"]);
        std::fs::write(&log, "a new log\n").unwrap();
        assert_eq!(tail.last_lines(), ["a new log"]);
    }

    #[test]
    fn a_boot_loader_that_says_nothing_leaves_the_kernel_s_first_line() {
        let bytes = b"[   11.0] reboot: Restarting system\n[    0.0] Linux version 7\n";
        assert_eq!(of_last_boot(bytes, true), b"[    0.0] Linux version 7\n");
        assert_eq!(of_last_boot(bytes, false), b"[    0.0] Linux version 7\n");
        assert_eq!(
            of_last_boot(b"[    5.0] vim2m: loaded\n", false),
            b"[    5.0] vim2m: loaded\n"
        );
    }
}
