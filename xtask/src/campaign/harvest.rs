//! Harvest: everything that the kernel said during one boot, copied off the board before anything judges it.

use super::wall_time;
use crate::board::SerialLine;
use crate::capture::index;
use crate::host::bounded;
use crate::host::files;
use crate::host::one_line::one_line;
use anyhow::{Context, Result};
use kernel_log::baseline::{self, Comparison, Signature};
use kernel_log::completeness::{Completeness, End};
use kernel_log::finding::Finding;
use kernel_log::pstore::{Dump, Type};
use kernel_log::reader;
use kernel_log::scan::scan;
use kernel_log::serial::{self, Phase};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The serial line, from U-Boot to U-Boot: the way down is in it.
    Serial,
    /// `/dev/kmsg`, with sequence numbers.
    Kmsg,
    /// The board's journal.
    Journal,
    /// What dmesg printed, without sequence numbers: where `/dev/kmsg` gives nothing.
    Dmesg,
    /// What came over the network, with sequence numbers: from its set-up in the booted kernel to that kernel's end.
    Netconsole,
    /// A dump that pstore kept across the reset: the last words of a kernel that died.
    Pstore,
}

impl Source {
    /// In print, and the name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Source::Serial => "serial",
            Source::Kmsg => "kmsg",
            Source::Journal => "journal",
            Source::Dmesg => "dmesg",
            Source::Netconsole => "netconsole",
            Source::Pstore => "pstore",
        }
    }
}

/// So much of a serial line's boot is taken, bytes: three hours at 115,200 baud.
const MOST_OF_LINE: u64 = 128 << 20;
/// So many lines are given by [`Harvest::lines_with`].
const MOST_LINES: usize = 1_000;

/// A source in print, with what it is worth: whoever shares the network can send in the board's name over netconsole.
pub fn shown(source: &str) -> String {
    let netconsole = Source::Netconsole.name();
    let is_netconsole = source
        .strip_prefix(netconsole)
        .is_some_and(|rest| rest.is_empty() || rest == ".log");
    match is_netconsole {
        true => format!("{source} (not authenticated)"),
        false => source.to_string(),
    }
}

/// So many losses of a log are named.
const NAMED_LOSSES: usize = 4;

/// The logs of one boot.
#[derive(Debug, Clone, Default)]
pub struct Harvest {
    logs: Vec<(Source, Vec<u8>)>,
    /// Their files; dumps of pstore have none of their own.
    kept: Vec<(Source, PathBuf)>,
}

impl Harvest {
    /// Adds what the serial line showed of this boot: from the first boot loader after `from` (an offset in the capture, in bytes) to the
    /// next one. The times of its bytes lie beside it, where a recorder wrote them.
    pub fn take_serial(&mut self, line: &dyn SerialLine, from: u64, folder: &Path) -> Result<()> {
        let path = line.log();
        let doing = || format!("reading the serial capture {}", path.display());
        let mut file = bounded::open(&path)?;
        file.seek(SeekFrom::Start(from)).with_context(doing)?;
        let mut capture = Vec::new();
        // Of a line that does not stop its beginning is taken: the way down is missing then, and proves nothing.
        file.take(MOST_OF_LINE)
            .read_to_end(&mut capture)
            .with_context(doing)?;
        let boot = one_boot(&capture);
        let (begin, end) = (
            from.saturating_add(boot.start as u64),
            from.saturating_add(boot.end as u64),
        );
        let stamps = index::part_of(&path, begin, end)?;
        if !stamps.is_empty() {
            files::write_atomic(&folder.join("serial.log.index"), stamps.as_bytes())?;
        }
        capture.truncate(boot.end);
        capture.drain(..boot.start);
        self.keep(Source::Serial, capture, folder)
    }

    /// Adds one log.
    pub fn keep(&mut self, source: Source, bytes: Vec<u8>, folder: &Path) -> Result<()> {
        let file = folder.join(format!("{}.log", source.name()));
        files::write_atomic(&file, &bytes)?;
        self.logs.push((source, bytes));
        self.kept.push((source, file));
        Ok(())
    }

    /// What was kept of a source.
    pub fn log(&self, source: Source) -> Option<&[u8]> {
        let log = self.logs.iter().find(|(known, _)| *known == source);
        log.map(|(_, bytes)| bytes.as_slice())
    }

    /// Adds a kernel's last words from pstore. Other records (console, pmsg, ftrace) repeat what other sources have, or are no log.
    pub fn keep_dump(&mut self, dump: &Dump) {
        if dump.kind == Type::Dmesg {
            self.logs.push((Source::Pstore, dump.content.clone()));
        }
    }

    /// Why the logs prove nothing (invariant 16), in words for a person: `/dev/kmsg` has a gap or does not begin with the boot, or the
    /// serial line, where there is one, does not show the way down.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        for (source, bytes) in &self.logs {
            let scanned = scan(bytes, source.name());
            let complete = scanned.completeness;
            // Silence of what was not understood is no silence of the kernel's. What is empty is missing, and judged as such.
            if let Some(problem) = scanned.understood.problem().filter(|_| !bytes.is_empty()) {
                gaps.push(format!("{}: {problem}", source.name()));
            }
            match source {
                Source::Kmsg if !complete.has_no_gap() => {
                    gaps.push(gap("/dev/kmsg", &complete));
                }
                // The kernel's buffer loses its oldest words first: one that begins with the boot is whole.
                Source::Dmesg if !complete.has_no_gap() => {
                    gaps.push(gap("dmesg", &complete));
                }
                Source::Serial if complete.end != End::Orderly => {
                    gaps.push(format!("serial: the way down is not in it ({:?})", complete.end));
                }
                _ => {}
            }
        }
        let of_kernel = |(source, _): &(Source, Vec<u8>)| matches!(source, Source::Kmsg | Source::Dmesg);
        if !self.logs.iter().any(of_kernel) {
            gaps.push("/dev/kmsg was not read".into());
        }
        gaps
    }

    /// What the kernel complained about.
    pub fn findings(&self) -> Vec<Finding> {
        let of = |(source, bytes): &(Source, Vec<u8>)| {
            let mut found = scan(bytes, source.name()).findings;
            if let Some((_, file)) = self.kept.iter().find(|(known, _)| known == source) {
                // A time that cannot be read costs no finding.
                let _ = wall_time::date(&mut found, file);
            }
            found
        };
        self.logs.iter().flat_map(of).collect()
    }

    /// The findings of a board that was lost, and apart from them what the kernel said behind the first question: answers to what was asked of it, by
    /// the wedge ladder or by the lease, and the crash that they end with. Such a board has failed whatever is among them, so nothing becomes a pass
    /// by this.
    pub fn findings_and_answers(&self) -> (Vec<Finding>, Vec<Finding>) {
        let asked = self.asked();
        self.findings().into_iter().partition(|finding| {
            let time = finding.time.filter(|_| finding.boot == 0);
            !asked.answers(&finding.source, finding.offset, time)
        })
    }

    /// Where the first question was asked, if one was.
    fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        for (source, bytes) in &self.logs {
            let mut question: Option<(usize, Option<u64>)> = None;
            reader::each(bytes, &mut |record| {
                if question.is_none() && is_question(&record.text) {
                    question = Some((record.offset, record.time));
                }
            });
            if let Some((offset, time)) = question {
                asked.time = asked.time.into_iter().chain(time).min();
                asked.places.push((source.name(), offset));
            }
        }
        asked
    }

    /// Lines that hold one of `words`, with their source, the first thousand of them; of a board that was `lost`, without what it said when it was asked.
    pub fn lines_with(&self, words: &[String], lost: bool) -> Vec<String> {
        let asked = if lost { self.asked() } else { Asked::default() };
        let mut lines = Vec::new();
        for (source, bytes) in &self.logs {
            reader::each(bytes, &mut |record| {
                let held = words.iter().any(|word| record.text.contains(word.as_str()));
                if held
                    && lines.len() < MOST_LINES
                    && !asked.answers(source.name(), record.offset, record.time)
                {
                    lines.push(format!("{}: {}", source.name(), one_line(record.text.trim())));
                }
            });
        }
        lines
    }
}

/// What is missing of a log of the kernel's own buffer; the first losses of many.
fn gap(log: &str, complete: &Completeness) -> String {
    let (first, more) = complete.losses.split_at(complete.losses.len().min(NAMED_LOSSES));
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{log}: {first:?}{more}, begins {:?}", complete.start)
}

/// What is new against the baseline: compared source by source, since each tells the same thing once; told once.
pub fn new_findings(baseline: &[Finding], now: &[Finding]) -> Vec<Finding> {
    let mut new: Vec<Finding> = Vec::new();
    for source in [
        Source::Serial,
        Source::Kmsg,
        Source::Journal,
        Source::Dmesg,
        Source::Netconsole,
        Source::Pstore,
    ] {
        let of = |findings: &[Finding]| -> Vec<Finding> {
            findings
                .iter()
                .filter(|finding| finding.source == source.name())
                .cloned()
                .collect()
        };
        // A baseline has no crash: what its kernels said while they lived is what a dump repeats. And its boots may have been without
        // netconsole or dmesg, which say nothing that no other source has.
        let before = match source {
            Source::Pstore | Source::Netconsole | Source::Dmesg => baseline.to_vec(),
            _ => of(baseline),
        };
        let Comparison {
            new: found,
            more_frequent,
            ..
        } = baseline::compare(&before, &of(now));
        let frequent = now.iter().filter(|finding| {
            finding.source == source.name()
                && more_frequent
                    .iter()
                    .any(|change| change.signature.matches(&Signature::of(finding)))
        });
        for finding in found.iter().chain(frequent) {
            if !new
                .iter()
                .any(|known| known.title == finding.title && known.kind == finding.kind)
            {
                new.push(finding.clone());
            }
        }
    }
    new
}

/// The question that came first, as the logs show it.
#[derive(Debug, Default)]
struct Asked {
    /// Its time in the kernel's own clock, where a log gives one.
    time: Option<u64>,
    /// The log and the offset of its line in it.
    places: Vec<(&'static str, usize)>,
}

impl Asked {
    /// Whether what stands there was said behind the question. The time tells, since several records of pstore have offsets of their own; where
    /// there is none, the place does.
    fn answers(&self, source: &str, offset: usize, time: Option<u64>) -> bool {
        match self.time.zip(time) {
            Some((asked, said)) => said >= asked,
            None => self
                .places
                .iter()
                .any(|place| place.0 == source && offset >= place.1),
        }
    }
}

/// Whether a kernel says by this line that it does what the ladder or the lease asked: `sysrq: ` and the key's `action_msg` (drivers/tty/sysrq.c).
/// Other lines begin so as well: "sysrq: sysrq always enabled." is said at each boot.
fn is_question(line: &str) -> bool {
    const ACTIONS: [&str; 8] = [
        "Show Blocked State",
        "Show Locks Held",
        "Show backtrace of all active CPUs",
        "Show Memory",
        "Trigger a crash",
        "Emergency Sync",
        "Emergency Remount R/O",
        "Resetting",
    ];
    line.strip_prefix("sysrq: ")
        .is_some_and(|action| ACTIONS.contains(&action.trim_end()))
}

/// From the first boot loader (or the first kernel, where kexec jumped into it) to the next boot loader; all of it where nothing of these is
/// seen.
fn one_boot(capture: &[u8]) -> Range<usize> {
    let marks = serial::phases(capture);
    let begins = |phase| matches!(phase, Phase::BootLoader | Phase::Kernel);
    let from = marks.iter().find(|mark| begins(mark.phase));
    let from = from.map_or(0, |mark| mark.offset);
    let next = marks
        .iter()
        .find(|mark| mark.phase == Phase::BootLoader && mark.offset > from);
    from..next.map_or(capture.len(), |mark| mark.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lost_board_answers_is_no_finding_of_its_own() {
        let before: &[u8] = b"[    0.000000] sysrq: sysrq always enabled.\n\
                              [    2.000000] WARNING: CPU: 0 PID: 1 at drivers/y.c:34 worse+0x10/0x20\n\
                              [    2.100000] ---[ end trace 0000000000000000 ]---\n";
        let asked: &[u8] = b"[   90.000000] sysrq: Show Locks Held\n";
        let crash: &[u8] = b"[   95.000000] Kernel panic - not syncing: sysrq triggered crash\n";
        let harvest = Harvest {
            logs: vec![
                (Source::Serial, [before, asked, crash].concat()),
                // A record that begins behind the question.
                (Source::Pstore, crash.to_vec()),
            ],
            ..Harvest::default()
        };
        let (own, answers) = harvest.findings_and_answers();
        assert_eq!(own.len(), 1, "{own:?}");
        assert!(own[0].title.contains("worse"));
        let told: Vec<(&str, &str)> = answers
            .iter()
            .map(|answer| (answer.source.as_str(), answer.title.as_str()))
            .collect();
        let crash_of = |source: Source| (source.name(), "panic: sysrq triggered crash");
        assert_eq!(told, [crash_of(Source::Serial), crash_of(Source::Pstore)]);
        let words = ["WARNING:".to_string(), "Kernel panic".to_string()];
        assert_eq!(harvest.lines_with(&words, true).len(), 1);
        assert_eq!(harvest.lines_with(&words, false).len(), 3);
        let unasked = Harvest {
            logs: vec![(Source::Serial, [before, crash].concat())],
            ..Harvest::default()
        };
        assert_eq!(unasked.findings_and_answers().0, unasked.findings());
    }

    #[test]
    fn one_boot_is_from_boot_loader_to_boot_loader() {
        let capture = b"old kernel's way down\nU-Boot 2023.01\n[    0.000000] Linux version 7\n\
                        [    9.000000] reboot: Restarting system\nU-Boot 2023.01\nvanilla";
        let boot = String::from_utf8_lossy(&capture[one_boot(capture)]);
        assert!(
            boot.starts_with("U-Boot") && boot.ends_with("Restarting system\n"),
            "{boot}"
        );
    }

    #[test]
    fn a_kernel_that_kexec_started_has_no_boot_loader_before_it() {
        let capture = b"[   99.000000] kexec_core: Starting new kernel\n[    0.000000] Linux version 7-lockdep\n\
                        [    9.000000] WARNING: ours\n[   20.000000] reboot: Restarting system\nU-Boot 2023.01\n\
                        [    0.000000] Linux version 7-vanilla\n";
        let boot = String::from_utf8_lossy(&capture[one_boot(capture)]);
        assert!(
            boot.contains("7-lockdep") && boot.ends_with("Restarting system\n"),
            "{boot}"
        );
    }

    #[test]
    fn a_boot_without_its_way_down_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut harvest = Harvest::default();
        harvest
            .keep(
                Source::Serial,
                b"U-Boot\n[    0.0] Linux version 7\n".to_vec(),
                folder.path(),
            )
            .unwrap();
        let gaps = harvest.gaps().join("\n");
        assert!(
            gaps.contains("the way down is not in it") && gaps.contains("/dev/kmsg was not read"),
            "{gaps}"
        );
    }

    #[test]
    fn a_log_that_was_not_understood_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut harvest = Harvest::default();
        let kmsg = b"6,0,0,-;Booting Linux on physical CPU 0x0\n6,1,0,-;Linux version 7\n".to_vec();
        harvest.keep(Source::Kmsg, kmsg, folder.path()).unwrap();
        assert_eq!(harvest.gaps(), Vec::<String>::new());
        let page = b"<html>the journal is not available</html>\n".to_vec();
        harvest.keep(Source::Journal, page, folder.path()).unwrap();
        assert_eq!(harvest.gaps(), ["journal: no kernel records recognised"]);
    }

    #[test]
    fn the_same_finding_of_two_sources_is_told_once() {
        let log = b"[    1.000000] WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";
        let folder = tempfile::tempdir().unwrap();
        let mut harvest = Harvest::default();
        harvest.keep(Source::Serial, log.to_vec(), folder.path()).unwrap();
        harvest
            .keep(Source::Journal, log.to_vec(), folder.path())
            .unwrap();
        let findings = harvest.findings();
        assert_eq!(findings.len(), 2);
        assert_eq!(new_findings(&[], &findings).len(), 1);
        let died: Vec<Finding> = findings
            .iter()
            .map(|finding| Finding {
                source: Source::Pstore.name().into(),
                ..finding.clone()
            })
            .collect();
        assert!(
            new_findings(&findings, &died).is_empty(),
            "a dump repeats what the baseline knows"
        );
        assert_eq!(new_findings(&[], &died).len(), 1);
        assert!(new_findings(&findings, &findings).is_empty());
    }
}
