//! The capture's gate: a debug kernel is crashed on purpose, and its words have to be back by the very way that a failure will take: debug
//! slot, panic, default label, harvest. Done once for a vanilla and a debug kernel, and kept beside the backups.

use super::gates;
use super::harvest_netconsole;
use super::harvest_records::{self, Records};
use super::rig::Rig;
use crate::board::boot::{self, Outcome, Reset};
use crate::board::nonce::Nonce;
use crate::board::protected::Protected;
use crate::board::script;
use crate::campaign::said::Said;
use crate::capture::client::Recorder;
use crate::host::bounded;
use crate::host::files::{set_remains_aside, sha256, write_atomic};
use anyhow::{Context, Result, bail, ensure};
use kernel_log::pstore::Type;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Version of [`Record`] that this code writes.
const SCHEMA_VERSION: u32 = 1;
/// Name of the record beside a board's backups.
pub const RECORD: &str = "capture-gate.json";
/// What SysRq c says when it crashes (drivers/tty/sysrq.c: `sysrq_handle_crash()`).
const CRASH: &str = "sysrq triggered crash";

/// What was proven, kept on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Record {
    schema_version: u32,
    proven: Vec<Proven>,
}

/// What came back of one deliberate crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Proven {
    /// What vanilla was.
    vanilla: String,
    /// Release of the debug kernel that was crashed.
    pub release: String,
    /// When (RFC 3339).
    pub when: String,
    /// The crash, with a word of this very boot before it, was in a dmesg record of pstore.
    pub pstore: bool,
    /// A word that user space wrote to `/dev/pmsg0` was in a pmsg record.
    pub pmsg: bool,
    /// The crash was on the serial line.
    pub serial: bool,
    /// A word of this very boot, right before the crash, came over netconsole. A panic's own words do not, where the panic reboots
    /// ([`crate::board::netconsole`]).
    #[serde(default)]
    pub netconsole: bool,
}

impl Proven {
    /// In words.
    pub fn sentence(&self) -> String {
        let by = |yes: bool, name: &'static str| if yes { Some(name) } else { None };
        let came = [
            by(self.pstore, "its oops was in pstore"),
            by(self.pmsg, "a word in /dev/pmsg0 survived"),
            by(self.serial, "its oops was on the serial line"),
            by(self.netconsole, "its words before that came over netconsole"),
        ];
        let came: Vec<&str> = came.into_iter().flatten().collect();
        format!(
            "capture: {} was crashed on purpose, and {} (tried {})",
            self.release,
            came.join(", "),
            self.when.get(..16).unwrap_or(&self.when)
        )
    }

    /// Errors: a failure of this kernel would go unnamed.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.pstore || self.serial || self.netconsole,
            "{} was crashed on purpose, and nothing of it came back: neither pstore nor the serial line had its last words, nor netconsole those before them, \
             so a failure would have no name. Connect a serial cable, or reserve a ramoops region that vanilla's device tree has too (`cargo xtask \
             board ramoops`)",
            self.release
        );
        Ok(())
    }
}

/// What was proven already of this vanilla and the debug kernel of this release, from the folder of the board's backups.
/// Errors: the record cannot be read.
pub fn known(backups: &Path, protected: &Protected, release: &str) -> Result<Option<Proven>> {
    let vanilla = key(protected);
    let is_ours = |proven: &Proven| proven.vanilla == vanilla && proven.release == release;
    Ok(read(backups)?.into_iter().find(is_ours))
}

/// What vanilla is, for the record.
fn key(protected: &Protected) -> String {
    sha256(&serde_json::to_vec(&(&protected.inventory, &protected.append)).unwrap_or_default())
}

/// Which vanilla and which debug kernel a proof is for.
pub struct Subject<'a> {
    /// The board with all that a reboot asks for; it runs vanilla, and the slot is deployed.
    pub rig: &'a Rig<'a>,
    /// Release of the debug kernel in the slot.
    pub release: &'a str,
    /// Folder of the board's backups on this host.
    pub backups: &'a Path,
}

impl Subject<'_> {
    /// [`known`], or proves it now: boots the slot once, writes a word to `/dev/pmsg0` and one to the kernel log, crashes it, and
    /// looks on vanilla for both, with everything in `evidence`. Keeps what came back. Errors: the slot does not come up, vanilla does
    /// not come back, or nothing came back. Dying half-way it leaves a board that boots vanilla at its next reset.
    pub fn pass(&self, evidence: &Path, say: &mut dyn FnMut(Said)) -> Result<Passed> {
        if let Some(proven) = known(self.backups, self.rig.protected, self.release)? {
            proven.check()?;
            return Ok(Passed {
                proven,
                records: None,
            });
        }
        let doing = || format!("crashing {} on purpose, to see what comes back", self.release);
        say(Said::Line(&doing()));
        let (proven, records) = self.crash(evidence, say).with_context(doing)?;
        say(Said::Line(&proven.sentence()));
        proven.check()?;
        keep(self.backups, proven.clone())?;
        Ok(Passed {
            proven,
            records: Some(records.names()),
        })
    }

    fn crash(&self, evidence: &Path, say: &mut dyn FnMut(Said)) -> Result<(Proven, Records)> {
        let Rig {
            board,
            protected,
            permit,
            method,
            ..
        } = *self.rig;
        let before = harvest_records::take(board, &evidence.join("before"))?.names();
        let quiet = &mut |_: &boot::Progress| {};
        let person = &mut |progress: &boot::Progress| gates::tell_person(progress, say);
        let up = boot::boot_once(board, protected, method, Reset::Orderly, &permit, person)?;
        let Outcome::Booted(answer) = &up.outcome else {
            bail!("the debug kernel did not come up: {}", up.outcome.text())
        };
        ensure!(
            answer.release == self.release,
            "{} came up, and not {}",
            answer.release,
            self.release
        );
        let netconsole = harvest_netconsole::arm(board, &mut Vec::new());
        let word = format!("lockstep-capture-{}", Nonce::fresh()?.as_str());
        // A kernel without PSTORE_PMSG has no pmsg0: then that part is not proven.
        let writing = format!("echo {word} >/dev/kmsg; [ ! -c /dev/pmsg0 ] || echo {word} >/dev/pmsg0");
        script::ask(board, "writing a word before the crash", &writing, script::LOOK)?;
        let down = boot::boot_vanilla(board, protected, Reset::Crash, &permit, quiet)?;
        let Outcome::Booted(_) = &down.outcome else {
            bail!(
                "vanilla did not come back after the crash: {}",
                down.outcome.text()
            )
        };
        ensure!(
            !down.seen.forced,
            "the crash did not reset the board, and it was reset by force: a panic would not bring vanilla back"
        );
        let records = settled(self.rig, evidence, &before, &word)?;
        let serial = board.serial().is_some_and(|line| {
            let log = Recorder::read(&line.log(), down.seen.log_from).unwrap_or_default();
            String::from_utf8_lossy(&log).contains(CRASH)
        });
        let netconsole = netconsole.is_some_and(|armed| {
            let packets = armed.recorder.since(armed.from).unwrap_or_default();
            String::from_utf8_lossy(&packets).contains(&word)
        });
        let proven = Proven {
            vanilla: key(self.rig.protected),
            release: self.release.to_string(),
            when: jiff::Timestamp::now().to_string(),
            pstore: has_crash(&records, &before, &word),
            pmsg: records.pmsg_has(&word),
            serial,
            netconsole,
        };
        Ok((proven, records))
    }
}

/// A gate that was passed.
pub struct Passed {
    /// What came back.
    pub proven: Proven,
    /// pstore's records after a crash that was made just now: none of them is news to the next boot.
    pub records: Option<BTreeSet<String>>,
}

/// systemd-pstore moves the records some time after sshd answers.
fn settled(rig: &Rig, evidence: &Path, before: &BTreeSet<String>, word: &str) -> Result<Records> {
    let mut records = Records::default();
    for _ in 0..5 {
        records = harvest_records::take(rig.board, evidence)?;
        if has_crash(&records, before, word) {
            break;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(records)
}

/// Whether a new dump holds the word of this very boot, and the crash behind it.
fn has_crash(records: &Records, before: &BTreeSet<String>, word: &str) -> bool {
    records.new_since(before).iter().any(|dump| {
        let text = String::from_utf8_lossy(&dump.content);
        dump.kind == Type::Dmesg
            && text
                .split_once(word)
                .is_some_and(|(_, behind)| behind.contains(CRASH))
    })
}

fn read(folder: &Path) -> Result<Vec<Proven>> {
    let Some(bytes) = bounded::read_if_there(&folder.join(RECORD), bounded::RECORD)? else {
        return Ok(Vec::new());
    };
    Ok(match serde_json::from_slice::<Record>(&bytes) {
        Ok(record) if record.schema_version == SCHEMA_VERSION => record.proven,
        // Made by another version: proven anew.
        _ => Vec::new(),
    })
}

fn keep(folder: &Path, proven: Proven) -> Result<()> {
    let mut all = read(folder)?;
    all.retain(|other| (&other.vanilla, &other.release) != (&proven.vanilla, &proven.release));
    all.push(proven);
    let record = Record {
        schema_version: SCHEMA_VERSION,
        proven: all,
    };
    set_remains_aside(&folder.join(RECORD))?;
    write_atomic(&folder.join(RECORD), &serde_json::to_vec_pretty(&record)?)
}

#[cfg(test)]
mod tests {
    use super::super::harvest_records::File;
    use super::*;
    use kernel_log::pstore;

    fn proven(release: &str, pstore: bool, serial: bool) -> Proven {
        Proven {
            vanilla: "v".into(),
            release: release.into(),
            when: "2026-01-01T00:00:00Z".into(),
            pstore,
            pmsg: true,
            serial,
            netconsole: false,
        }
    }

    #[test]
    fn a_word_that_survived_names_no_failure() {
        assert!(proven("r", false, false).check().is_err());
        assert!(proven("r", true, false).check().is_ok());
        assert!(proven("r", false, true).check().is_ok());
        let over_the_network = Proven {
            netconsole: true,
            ..proven("r", false, false)
        };
        assert!(over_the_network.check().is_ok());
        let sentence = proven("r", true, false).sentence();
        assert_eq!(
            sentence,
            "capture: r was crashed on purpose, and its oops was in pstore, a word in /dev/pmsg0 survived (tried 2026-01-01T00:00)"
        );
    }

    #[test]
    fn proofs_of_several_kernels_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_empty());
        keep(folder.path(), proven("a", true, false)).unwrap();
        keep(folder.path(), proven("b", true, false)).unwrap();
        keep(folder.path(), proven("a", true, true)).unwrap();
        assert_eq!(
            read(folder.path()).unwrap(),
            [proven("b", true, false), proven("a", true, true)]
        );
        std::fs::write(folder.path().join(RECORD), "{").unwrap();
        assert!(read(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn only_this_boots_crash_counts() {
        let check = |text: &str, expect: bool| {
            let path = "/var/lib/systemd/pstore/dmesg-ramoops-0";
            let records = Records {
                files: vec![File {
                    path: path.into(),
                    sha256: "s".into(),
                    bytes: Vec::new(),
                }],
                dumps: pstore::join(&[(path, text.as_bytes())]),
            };
            assert_eq!(has_crash(&records, &BTreeSet::new(), "word"), expect, "{text}");
            assert!(
                !has_crash(&records, &records.names(), "word"),
                "an old record is none"
            );
        };
        check(
            "Panic#1 Part1\n<6>word\n<0>Kernel panic - not syncing: sysrq triggered crash\n",
            true,
        );
        check(
            "Panic#1 Part1\n<0>Kernel panic - not syncing: sysrq triggered crash\n",
            false,
        );
        check(
            "Panic#1 Part1\n<6>word\n<0>Kernel panic - not syncing: x\n",
            false,
        );
    }
}
