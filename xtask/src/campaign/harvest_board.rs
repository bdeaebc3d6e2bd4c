//! Everything that a board keeps of what its kernels said, now: the running kernel's log, the journal of this boot and of the boots before,
//! pstore, the serial line, netconsole. Each source stands alone: one that cannot be read costs nothing of the others.

use super::harvest::{Harvest, Source};
use super::harvest_netconsole;
use super::harvest_records::{self, Records};
use super::harvest_running::{self, AlreadyRead};
use super::wall_time;
use crate::board::{Board, quote};
use crate::capture::index;
use crate::host::bounded::{self, LOG};
use crate::host::files;
use crate::host::process::{BreakOff, Input};
use crate::ui::count;
use anyhow::{Context, Result};
use kernel_log::finding::Finding;
use kernel_log::journal::{self, Boot, Boots, LoopRule};
use kernel_log::scan::scan;
use kernel_log::serial::{self, Counts};
use serde::Serialize;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// Reading the journal of an emulated board takes seconds for each boot.
const LIMIT: Duration = Duration::from_secs(300);
/// Most bytes of one file of a harvest: a log is an answer of the board, which has a bound of its own.
const MOST_OF_FILE: u64 = LOG;
/// How much of the end of the serial log, and of netconsole's, is taken, bytes: some ten boots.
const SERIAL: u64 = 8 << 20;

/// Most bytes of the answer to [`BOOTS`]: 20 entries.
const MOST_OF_BOOTS: u64 = 4 << 20;

/// The last entry of each boot; ids only, since the rest of `--list-boots` is written for people and differs between versions.
const BOOTS: &str = r#"export LC_ALL=C
for id in $(journalctl --list-boots --no-pager 2>/dev/null | grep -oE '[0-9a-f]{32}' | tail -n 20); do
    echo "boot $id"
    journalctl -b "$id" -n 1 -o json --no-pager 2>/dev/null
done
true
"#;

/// The boots before, where no journal has them: the last 4 MiB of what a syslog daemon wrote, the older part first (rsyslog: `.1`; busybox:
/// `.0`).
const SYSLOG: &str = r#"cd /var/log 2>/dev/null || exit 0
for log in kern.log messages syslog; do
    [ -s $log ] || continue
    for part in $log.1 $log.0 $log; do
        [ ! -f $part ] || cat $part
    done | tail -c 4194304
    break
done
true
"#;

/// What was taken.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Taken {
    /// Files in the folder, by name, with their hashes.
    pub files: Vec<Kept>,
    /// What the kernels complained about; the source of each is its file.
    pub findings: Vec<Finding>,
    /// Boots that the journal remembers, oldest first; the last one runs.
    pub boots: Vec<Boot>,
    /// Short boots in a row before this one, where they are a loop.
    pub reset_loop: Option<usize>,
    /// What the serial capture shows.
    pub serial: Option<Counts>,
    /// Sources that could not be read, and why.
    pub problems: Vec<String>,
    /// For [`harvest_records::clear`].
    #[serde(skip)]
    pub records: Records,
}

/// A file that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    /// Its path below the folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
}

/// Takes everything into `folder`, `earlier` boots of the journal among it, and writes `SHA256SUMS` last. Nothing on the board changes.
/// Errors: the folder cannot be written. Dies half-way: what was taken so far is in the folder.
pub fn take(board: &dyn Board, folder: &Path, earlier: usize) -> Result<Taken> {
    let mut taken = Taken::default();
    let mut harvest = Harvest::default();
    let running = harvest_running::take(board, &mut harvest, folder, &AlreadyRead::default());
    let missing = taken.note(running).unwrap_or_default();
    taken.problems.extend(missing);
    let boots = boots(board);
    let Boots { boots, dropped } = taken.note(boots).unwrap_or_default();
    taken.boots = boots;
    if dropped > 0 {
        taken.problems.push(format!(
            "{}: what the board calls them is not a boot id, or names one twice",
            count(dropped, "boot")
        ));
    }
    taken.reset_loop = journal::reset_loop(&taken.boots, LoopRule::USUAL);
    if taken.boots.is_empty() && earlier > 0 {
        let log = board_log(board, "syslog", SYSLOG, folder);
        taken.note(log);
    }
    let before = taken.boots.len().saturating_sub(1);
    for boot in taken.boots.clone().iter().take(before).rev().take(earlier) {
        let name = format!("journal-{}", boot.id);
        let script = format!(
            "journalctl -k -b {} -o json --no-pager 2>/dev/null; true",
            quote(boot.id.as_str())
        );
        taken.note(board_log(board, &name, &script, folder));
    }
    if let Some(wire) = board.netconsole() {
        let packets = harvest_netconsole::take_end(&wire.recorder(), SERIAL, folder);
        taken.note(packets);
    }
    let records = harvest_records::take(board, folder);
    taken.records = taken.note(records).unwrap_or_default();
    let serial = take_serial(board, folder);
    taken.serial = taken.note(serial).flatten();
    list(folder, &mut taken)?;
    Ok(taken)
}

impl Taken {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| self.problems.push(format!("{error:#}")))
            .ok()
    }
}

fn board_log(board: &dyn Board, name: &str, script: &str, folder: &Path) -> Result<()> {
    let log = board
        .run(script, LIMIT)
        .with_context(|| format!("harvesting {name}"))?
        .stdout;
    if log.is_empty() {
        return Ok(());
    }
    files::write_atomic(&folder.join(format!("{name}.log")), &log)
}

fn boots(board: &dyn Board) -> Result<Boots> {
    let few = BreakOff::default().up_to(MOST_OF_BOOTS);
    let said = board
        .run_unless(BOOTS, Input::NOTHING, LIMIT, &few)
        .context("asking the journal for its boots")?;
    Ok(journal::boots(&said.text()))
}

/// The end of the serial log, and the times beside it.
fn take_serial(board: &dyn Board, folder: &Path) -> Result<Option<Counts>> {
    let Some(line) = board.serial() else {
        return Ok(None);
    };
    let path = line.log();
    let doing = || format!("reading the serial log {}", path.display());
    let mut log = bounded::open(&path)?;
    let length = log.seek(SeekFrom::End(0)).with_context(doing)?;
    let from = length.saturating_sub(SERIAL);
    log.seek(SeekFrom::Start(from)).with_context(doing)?;
    let mut bytes = Vec::new();
    log.take(SERIAL).read_to_end(&mut bytes).with_context(doing)?;
    files::write_atomic(&folder.join("serial.log"), &bytes)?;
    let stamps = index::part_of(&path, from, length)?;
    if !stamps.is_empty() {
        files::write_atomic(&folder.join("serial.log.index"), stamps.as_bytes())?;
    }
    Ok(Some(serial::count(&serial::phases(&bytes))))
}

/// Hashes and reads what is in the folder now.
fn list(folder: &Path, taken: &mut Taken) -> Result<()> {
    let mut sums = String::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let name = name.to_string_lossy().into_owned();
        if !entry.file_type().is_file() || name == "SHA256SUMS" {
            continue;
        }
        let bytes = bounded::read(entry.path(), MOST_OF_FILE)?;
        let sha256 = files::sha256(&bytes);
        sums.push_str(&format!("{sha256}  {name}\n"));
        if name.ends_with(".log") {
            let scanned = scan(&bytes, &name);
            if scanned.untold > 0 {
                let more = count(scanned.untold, "finding");
                taken
                    .problems
                    .push(format!("{name}: {more} more are only counted"));
            }
            let mut found = scanned.findings;
            let dated = wall_time::date(&mut found, entry.path());
            taken.note(dated);
            taken.findings.extend(found);
        }
        taken.files.push(Kept {
            name,
            bytes: bytes.len() as u64,
            sha256,
        });
    }
    for dump in &taken.records.dumps {
        let name = format!("{} {}", Source::Pstore.name(), dump.files.join(" "));
        taken.findings.extend(scan(&dump.content, &name).findings);
    }
    files::write_atomic(&folder.join("SHA256SUMS"), sums.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::InFront;
    use crate::board::bare_board::BareBoard;
    use crate::host::process::Finished;
    use std::os::unix::process::ExitStatusExt;
    use std::sync::Mutex;

    /// A board that answers what it likes when it is asked for its boots.
    struct Hostile {
        bare: BareBoard,
        boots: String,
        asked: Mutex<Vec<String>>,
    }

    impl InFront for Hostile {
        fn behind(&self) -> &dyn Board {
            &self.bare
        }

        fn pass_on(&self, script: &str, _: Input, _: Duration, _: &BreakOff) -> Result<Finished> {
            self.asked.lock().unwrap().push(script.to_string());
            let answer = match script {
                BOOTS => self.boots.as_str(),
                script if script.contains("journalctl -k -b '") || script.contains("journalctl -k -b 0") => {
                    "{\"MESSAGE\":\"x\"}\n"
                }
                _ => "",
            };
            Ok(Finished {
                status: std::process::ExitStatus::from_raw(0),
                stdout: answer.into(),
                stderr: Vec::new(),
            })
        }
    }

    #[test]
    fn what_a_board_calls_its_boots_is_neither_a_path_nor_a_command() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("a/b");
        let (old, now) = ("0".repeat(32), "f".repeat(32));
        let board = Hostile {
            bare: BareBoard::ampere(),
            boots: format!(
                "boot ../../escaped\nboot $(reboot)\nboot /tmp/x\nboot {old}\nboot {old}\nboot {now}\n"
            ),
            asked: Mutex::default(),
        };
        let taken = take(&board, &folder, 10).unwrap();
        let ids: Vec<&str> = taken.boots.iter().map(|boot| boot.id.as_str()).collect();
        assert_eq!(ids, [old.as_str(), now.as_str()]);
        assert!(
            taken
                .problems
                .iter()
                .any(|problem| problem.starts_with("4 boots: ")),
            "{:?}",
            taken.problems
        );
        let files: Vec<&str> = taken.files.iter().map(|file| file.name.as_str()).collect();
        assert!(
            files.contains(&format!("journal-{old}.log").as_str()),
            "{files:?}"
        );
        let outside = walkdir::WalkDir::new(top.path()).into_iter().flatten();
        let outside: Vec<_> = outside
            .filter(|entry| entry.file_type().is_file() && !entry.path().starts_with(&folder))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
        let asked = board.asked.lock().unwrap().join("\n");
        assert!(
            !asked.contains("reboot)") && !asked.contains("escaped"),
            "{asked}"
        );
    }
}
