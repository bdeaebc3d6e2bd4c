//! What a board keeps of the words of the kernel that runs: `/dev/kmsg`, the journal, and `dmesg` where neither is to be had. Boards need not
//! have systemd, nor GNU's programs.

use super::harvest::{Harvest, Source};
use super::journal_ahead::{self, JournalAhead};
use super::wall_time;
use crate::board::Board;
use anyhow::{Context, Result};
use kernel_log::journal;
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// `/dev/kmsg` gives one record for each read(2) and EAGAIN at the end (Documentation/ABI/testing/dev-kmsg): the only
/// source with sequence numbers.
pub const KMSG: &str = "dd if=/dev/kmsg iflag=nonblock bs=16384 2>/dev/null; true";
/// The same where dd cannot read without waiting (busybox): everything that is there comes at once, then nobody waits for more.
const KMSG_WAITING: &str = "timeout 3 cat /dev/kmsg 2>/dev/null; true";
/// With levels, where this dmesg can (util-linux and busybox: `-r`).
const DMESG: &str = "dmesg -r 2>/dev/null || dmesg 2>/dev/null; true";

/// Where no journal has both times of anything: the board's clock now, and seconds since its boot. busybox has no fraction (`%N`) to give.
const CLOCK: &str = "date +%s.%N 2>/dev/null && cat /proc/uptime 2>/dev/null; true";

/// What was read already, behind everything that the kernel was asked to do; what is not there is read by [`take`].
#[derive(Default)]
pub struct AlreadyRead {
    /// The journal, which is read while the tests run.
    pub journal: Cell<Option<JournalAhead>>,
    /// The answer to [`KMSG`].
    pub kmsg: Cell<Option<Vec<u8>>>,
}

/// Adds what the running kernel keeps, each source as a file in `folder` before anything reads it; a source that gives nothing leaves no file.
/// Gives what is not there and what was taken instead, in words for the report. Errors: the connection.
pub fn take(
    board: &dyn Board,
    harvest: &mut Harvest,
    folder: &Path,
    read: &AlreadyRead,
) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let ask = |what: &str, script: &str| -> Result<Vec<u8>> {
        let doing = || format!("harvesting {what}");
        Ok(board.run(script, LIMIT).with_context(doing)?.stdout)
    };
    let kmsg = read.kmsg.take().map_or_else(|| ask("kmsg", KMSG), Ok);
    let kmsg = kmsg.and_then(|kmsg| match kmsg.is_empty() {
        true => ask("kmsg", KMSG_WAITING),
        false => Ok(kmsg),
    });
    // A board that does not answer any more does not go on with its journal.
    let mut taken = vec![(Source::Kmsg, kmsg?)];
    let journal = read.journal.take().and_then(JournalAhead::end);
    let journal = journal.map_or_else(|| ask("the journal", journal_ahead::READ), Ok)?;
    if journal.is_empty() {
        missing
            .push("no journal has this boot (a board without systemd?): its log is the kernel's own".into());
    }
    let began = match journal::began(&journal) {
        None => since(&String::from_utf8_lossy(&ask("the clock", CLOCK)?)),
        began => began,
    };
    taken.push((Source::Journal, journal));
    if taken
        .iter()
        .any(|(source, bytes)| *source == Source::Kmsg && bytes.is_empty())
    {
        missing.push("/dev/kmsg gives nothing: dmesg was taken, which has no sequence numbers".into());
        taken.push((Source::Dmesg, ask("dmesg", DMESG)?));
    }
    for (source, bytes) in taken {
        if bytes.is_empty() {
            continue;
        }
        if let Some(began) = began.filter(|_| source != Source::Journal) {
            wall_time::keep_began(&folder.join(format!("{}.log", source.name())), began)?;
        }
        harvest.keep(source, bytes, folder)?;
    }
    Ok(missing)
}

/// When the kernel began, in microseconds since 1970, by the answer to [`CLOCK`]: the time now, and how long the board has been up.
fn since(said: &str) -> Option<u64> {
    let (now, up) = said.split_once('\n')?;
    let (seconds, fraction) = now.split_once('.').unwrap_or((now, ""));
    let now = seconds.trim().parse::<u64>().ok()?.checked_mul(1_000_000)?;
    let nanoseconds: u64 = fraction.trim().parse().unwrap_or(0);
    let up: f64 = up.split_whitespace().next()?.parse().ok()?;
    now.checked_add(nanoseconds / 1000)?
        .checked_sub((up * 1e6) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::InFront;
    use crate::board::bare_board::BareBoard;
    use crate::host::process::{self, BreakOff, Finished, Input};
    use std::path::PathBuf;
    use xshell::{Shell, cmd};

    /// A board whose scripts run here, with no programs but stand-ins.
    struct Small {
        programs: tempfile::TempDir,
        bare: BareBoard,
    }

    impl Small {
        fn with(programs: &[(&str, &str)]) -> Self {
            let small = Small {
                programs: tempfile::tempdir().unwrap(),
                bare: BareBoard::ampere(),
            };
            for (name, text) in programs {
                let path: PathBuf = small.programs.path().join(name);
                std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
                let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&path, runs).unwrap();
            }
            small
        }
    }

    impl InFront for Small {
        fn behind(&self) -> &dyn Board {
            &self.bare
        }

        fn pass_on(&self, script: &str, _: Input, limit: Duration, _: &BreakOff) -> Result<Finished> {
            let sh = Shell::new()?;
            let command = cmd!(sh, "/bin/sh -c {script}").env("PATH", self.programs.path());
            process::finish(command, limit)
        }
    }

    const BUSYBOX_DD: (&str, &str) = (
        "dd",
        "echo \"dd: invalid argument 'nonblock' to 'iflag'\" >&2; exit 1",
    );
    const FIRST: &str = "Booting Linux on physical CPU 0x0000000000 [0x414fd0b1]";

    fn check(programs: &[(&str, &str)], files: &[&str], missing: usize, gaps: usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut harvest = Harvest::default();
        let told = take(
            &Small::with(programs),
            &mut harvest,
            folder.path(),
            &AlreadyRead::default(),
        )
        .unwrap();
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, files);
        assert_eq!(told.len(), missing, "{told:?}");
        assert_eq!(harvest.gaps().len(), gaps, "{:?}", harvest.gaps());
    }

    #[test]
    fn a_board_with_all_of_it() {
        let kmsg = format!("echo '6,0,0,-;{FIRST}'");
        let journal = ("journalctl", "echo '{\"MESSAGE\":\"x\"}'");
        check(&[("dd", &kmsg), journal], &["journal.log", "kmsg.log"], 0, 0);
    }

    #[test]
    fn what_was_read_already_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let read = AlreadyRead::default();
        read.kmsg.set(Some(format!("6,0,0,-;{FIRST}\n").into_bytes()));
        let board = Small::with(&[("dd", "echo 'asked once more' >&2; exit 1")]);
        let mut harvest = Harvest::default();
        take(&board, &mut harvest, folder.path(), &read).unwrap();
        let kept = std::fs::read_to_string(folder.path().join("kmsg.log")).unwrap();
        assert_eq!(kept, format!("6,0,0,-;{FIRST}\n"));
    }

    #[test]
    fn the_kernels_log_is_dated_by_the_journal_or_by_the_clock() {
        let check = |programs: &[(&str, &str)], dated: bool| {
            let kmsg = format!("echo '6,0,0,-;{FIRST}'; echo '4,1,2500000,-;of level warning'");
            let folder = tempfile::tempdir().unwrap();
            let mut harvest = Harvest::default();
            let board = Small::with(&[&[("dd", kmsg.as_str())], programs].concat());
            take(&board, &mut harvest, folder.path(), &AlreadyRead::default()).unwrap();
            let walls: Vec<bool> = harvest
                .findings()
                .iter()
                .map(|finding| finding.wall.is_some())
                .collect();
            assert_eq!(walls, [dated]);
        };
        let entry =
            r#"{"MESSAGE":"x","__MONOTONIC_TIMESTAMP":"3000000","__REALTIME_TIMESTAMP":"1795412760000000"}"#;
        check(&[("journalctl", &format!("echo '{entry}'"))], true);
        let clock = ("date", "echo 1795412760.5");
        let uptime = ("cat", "echo '100.25 90.00'");
        check(&[clock, uptime], true);
        check(&[], false);
        assert_eq!(
            since("1795412760.500000000\n100.25 90.00\n"),
            Some(1_795_412_660_250_000)
        );
        assert_eq!(
            since("1795412760.%N\n100.25 90.00\n"),
            Some(1_795_412_659_750_000)
        );
        assert_eq!(since(""), None);
    }

    #[test]
    fn without_systemd_and_gnu_the_log_is_the_kernels_own() {
        let timeout = format!("[ \"$1 $2 $3\" = '3 cat /dev/kmsg' ] && echo '6,0,0,-;{FIRST}'");
        check(&[BUSYBOX_DD, ("timeout", &timeout)], &["kmsg.log"], 1, 0);
    }

    #[test]
    fn dmesg_proves_something_only_from_the_first_word_on() {
        let dmesg = |line: &str| format!("[ \"$1\" = -r ] && echo '<6>[    0.000000] {line}'");
        let (whole, cut) = (dmesg(FIRST), dmesg("later"));
        check(&[BUSYBOX_DD, ("dmesg", &whole)], &["dmesg.log"], 2, 0);
        check(&[BUSYBOX_DD, ("dmesg", &cut)], &["dmesg.log"], 2, 1);
        check(&[], &[], 2, 1);
    }
}
