//! What a log can prove: whether anything is missing from it (invariant 16), and whether lockdep was alive to the end
//! (invariant 15).

use super::headers::{self, DOWN, LOCKDEP_OFF};
use super::record::{Log, Loss, Origin, Record};
use serde::Serialize;

/// Whether a log is complete, and from where to where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Completeness {
    /// What is known to be missing.
    pub losses: Vec<Loss>,
    /// It holds the first record of its first boot.
    pub start: Start,
    /// How its last boot ends.
    pub end: End,
    /// Boots in it.
    pub boots: u32,
}

/// Where a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With the kernel's first words.
    Boot,
    /// Later: what was said before is not in it.
    Later,
}

/// How a boot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The kernel said that it restarts, powers off or hands over to another kernel: the way down is in the log.
    Orderly,
    /// It panicked.
    Panic,
    /// It just stops: either the log was taken while the kernel ran, or the board was reset without a word.
    Open,
}

impl Completeness {
    /// Whether silence in this log proves something: it begins with the boot and has no gap. The way down is judged apart, by
    /// [`Completeness::end`]: a log of a running kernel is never `Orderly`.
    pub fn has_no_gap(&self) -> bool {
        self.losses.is_empty() && self.start == Start::Boot
    }
}

/// Judges a log record by record.
#[derive(Debug, Default)]
pub struct Judge {
    start: Option<Start>,
    boot: u32,
    end: Option<End>,
    off: Option<(Option<u64>, String)>,
    words: usize,
}

impl Judge {
    /// Takes the next record.
    pub fn push(&mut self, record: &Record) {
        if headers::interesting(&record.text) {
            self.interesting(record);
        }
        self.any(record);
    }

    /// Takes a record that has some words in it which [`headers::interesting`] knows. [`Judge::any`] is called after it.
    pub(super) fn interesting(&mut self, record: &Record) {
        if record.origin == Origin::Firmware {
            return;
        }
        self.begin_boot(record);
        self.words = self
            .words
            .saturating_add(usize::from(begins_boot(record) || ending(&record.text).is_some()));
        self.end = ending(&record.text).or(self.end);
        if self.off.is_none() && switches_off(&record.text) {
            self.off = Some((record.time, record.text.trim().to_string()));
        }
    }

    /// Takes any record.
    pub(super) fn any(&mut self, record: &Record) {
        if record.origin == Origin::Firmware {
            return;
        }
        self.begin_boot(record);
        if self.start.is_none() && record.time.is_some() {
            self.start = Some(if begins_boot(record) {
                Start::Boot
            } else {
                Start::Later
            });
        }
    }

    /// How many lines had words that only a kernel prints.
    pub(super) fn kernel_words(&self) -> usize {
        self.words
    }

    /// What an earlier boot said does not count.
    fn begin_boot(&mut self, record: &Record) {
        if record.boot != self.boot {
            self.boot = record.boot;
            self.end = None;
            self.off = None;
        }
    }

    /// The verdict; what is known to be missing comes from the reader.
    pub fn finish(self, losses: Vec<Loss>, boots: u32) -> (Completeness, Lockdep) {
        let completeness = Completeness {
            losses,
            start: self.start.unwrap_or(Start::Later),
            end: self.end.unwrap_or(End::Open),
            boots,
        };
        let lockdep = self
            .off
            .map_or(Lockdep::NotSeenOff, |(time, why)| Lockdep::Off { time, why });
        (completeness, lockdep)
    }
}

fn judged(log: &Log) -> (Completeness, Lockdep) {
    let mut judge = Judge::default();
    for record in &log.records {
        judge.push(record);
    }
    judge.finish(log.losses.clone(), log.boots)
}

/// Judges how complete a log is.
pub fn judge(log: &Log) -> Completeness {
    judged(log).0
}

/// Looks in the last boot of a log for the line that switched lockdep off, or that says it is off.
pub fn lockdep(log: &Log) -> Lockdep {
    judged(log).1
}

/// Sequence number 0, or the first words: `Booting Linux on physical CPU` (arm64: arch/arm64/kernel/setup.c), `Linux version`
/// (init/main.c).
fn begins_boot(record: &Record) -> bool {
    record.seq == Some(0)
        || record.text.starts_with("Booting Linux on physical CPU")
        || record.text.starts_with("Linux version ")
}

/// How a boot ends with this line, if it does.
fn ending(text: &str) -> Option<End> {
    if DOWN.iter().any(|words| text.contains(words)) {
        return Some(End::Orderly);
    }
    text.contains("Kernel panic - not syncing").then_some(End::Panic)
}

/// What a log, or `/proc/lockdep_stats`, says about lockdep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Lockdep {
    /// Nothing says that it was switched off. A log cannot say more: ask `/proc/lockdep_stats`.
    NotSeenOff,
    /// Switched off.
    Off {
        /// Microseconds since boot, from a log.
        time: Option<u64>,
        /// The line that says so, or implies it.
        why: String,
    },
}

/// kernel/locking/lockdep.c (every caller of `debug_locks_off()`), kernel/panic.c: `add_taint()`.
fn switches_off(text: &str) -> bool {
    use super::headers::{Opening, recognise};
    LOCKDEP_OFF.iter().any(|words| text.contains(words))
        || matches!(recognise(text), Some(Opening::Header(header)) if header.kind.switches_lockdep_off())
}

/// Reads `/proc/lockdep_stats` (kernel/locking/lockdep_proc.c: `lockdep_stats_show()`): whether `debug_locks` is 1. `None`: it does not
/// say, so this kernel has no lockdep, or the file is cut.
pub fn debug_locks(lockdep_stats: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(lockdep_stats);
    let line = text
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("debug_locks:"))?;
    match line.split(':').nth(1)?.trim() {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader;
    use super::*;

    const BOOT: &str = "[    0.000000] Booting Linux on physical CPU 0x0\n[    0.000000] Linux version 7\n";

    fn check(input: &str, start: Start, end: End, gapless: bool) {
        let found = judge(&reader::read(input.as_bytes()));
        assert_eq!(
            (found.start, found.end, found.has_no_gap()),
            (start, end, gapless),
            "{input}"
        );
    }

    #[test]
    fn complete_and_not() {
        check(
            &format!("{BOOT}[    9.000000] reboot: Restarting system\n"),
            Start::Boot,
            End::Orderly,
            true,
        );
        check(
            &format!("U-Boot 2024\n{BOOT}[    9.000000] x\n"),
            Start::Boot,
            End::Open,
            true,
        );
        check(
            &format!("{BOOT}[    9.000000] Kernel panic - not syncing: x\n"),
            Start::Boot,
            End::Panic,
            true,
        );
        check("[    9.000000] x\n", Start::Later, End::Open, false);
        check(
            &format!("{BOOT}** 3 printk messages dropped **\n"),
            Start::Boot,
            End::Open,
            false,
        );
        check("6,0,0,-;a\n6,2,0,-;b\n", Start::Boot, End::Open, false);
        check("", Start::Later, End::Open, false);
    }

    #[test]
    fn lockdep_in_a_log() {
        let check = |line: &str, off: bool| {
            let log = format!("{BOOT}[    1.000000] {line}\n");
            assert_eq!(
                matches!(lockdep(&reader::read(log.as_bytes())), Lockdep::Off { .. }),
                off,
                "{line}"
            );
        };
        check("WARNING: possible circular locking dependency detected", true);
        check("Disabling lock debugging due to kernel taint", true);
        check("INFO: lockdep is turned off.", true);
        check("WARNING: suspicious RCU usage", false);
        check("rcu_scheduler_active = 2, debug_locks = 1", false);
    }

    #[test]
    fn an_earlier_boot_does_not_count() {
        let log = format!(
            "{BOOT}[    1.000000] INFO: lockdep is turned off.\n[    2.000000] x\n[    3.000000] y\n[    3.000000] z\n{BOOT}[    1.000000] x\n"
        );
        assert_eq!(lockdep(&reader::read(log.as_bytes())), Lockdep::NotSeenOff);
    }

    #[test]
    fn proc_lockdep_stats() {
        assert_eq!(
            debug_locks(b" lock-classes:   1\n debug_locks:                             1\n"),
            Some(true)
        );
        assert_eq!(
            debug_locks(b" debug_locks:                             0\n"),
            Some(false)
        );
        assert_eq!(debug_locks(b""), None);
    }
}
