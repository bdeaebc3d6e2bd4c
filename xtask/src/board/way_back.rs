//! The way back, proven before it is needed (invariant 3): vanilla is reset once by each path that a campaign relies on, and has to come back as
//! the files on the disk, by the label that we think. On the way a word in `/dev/pmsg0` has to survive.

use super::boot::{self, Outcome, Permit, Progress, Reset};
use super::extlinux::CommandLine;
use super::protected::Protected;
use super::{Board, nonce::Nonce, script};
use crate::host::bounded;
use crate::host::files::{set_remains_aside, sha256, write_atomic};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Version of [`Record`] that this code writes.
const SCHEMA_VERSION: u32 = 1;
/// Name of the record beside a board's backups.
pub const RECORD: &str = "way-back.json";

/// What was proven of a board, kept on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA_VERSION`] of the writer.
    schema_version: u32,
    /// What vanilla was: another one has to be proven anew.
    vanilla: String,
    /// The paths.
    pub paths: Vec<Proven>,
}

/// A path that brought vanilla back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Proven {
    /// The reset.
    pub reset: Reset,
    /// When (RFC 3339).
    pub when: String,
    /// From the request to an answer, seconds.
    pub seconds: f64,
    /// A word that was written to `/dev/pmsg0` before was there after it; not known where the board has none.
    pub pmsg: Option<bool>,
}

impl Proven {
    /// In words.
    pub fn sentence(&self) -> String {
        format!(
            "way back by {}: vanilla answered after {:.0} s{} (tried {})",
            self.reset.name(),
            self.seconds,
            match self.pmsg {
                Some(true) => ", and a word in /dev/pmsg0 survived",
                Some(false) => ", and a word in /dev/pmsg0 did not survive",
                None => "",
            },
            self.when.get(..16).unwrap_or(&self.when)
        )
    }
}

/// The paths that a campaign relies on with this board as it is: the orderly one, a panic, and a forced reset and the watchdog where there
/// are such.
pub fn needed(board: &dyn Board) -> Result<Vec<Reset>> {
    let mut paths = vec![Reset::Orderly, Reset::Crash];
    if board.description().has_reset {
        paths.push(Reset::Hard);
    }
    let looking = "[ -c /dev/watchdog0 ] && echo watchdog=1; true";
    if script::ask(board, "looking for a watchdog", looking, script::LOOK)?
        .text()
        .contains("watchdog=1")
    {
        paths.push(Reset::Watchdog);
    }
    Ok(paths)
}

/// What was proven of this vanilla already, from the folder of the board's backups. Errors: the
/// record cannot be read.
pub fn known(folder: &Path, protected: &Protected) -> Result<Vec<Proven>> {
    let Some(bytes) = bounded::read_if_there(&folder.join(RECORD), bounded::RECORD)? else {
        return Ok(Vec::new());
    };
    Ok(match serde_json::from_slice::<Record>(&bytes) {
        Ok(record) if record.schema_version == SCHEMA_VERSION && record.vanilla == key(protected) => {
            record.paths
        }
        // Made by another version, or for another vanilla: proven anew.
        _ => Vec::new(),
    })
}

/// What vanilla is, for the record.
fn key(protected: &Protected) -> String {
    let inventory = serde_json::to_vec(&(&protected.inventory, &protected.append)).unwrap_or_default();
    sha256(&inventory)
}

/// Resets vanilla by one path and proves that it came back: new boot id, its release, its command line, its files by hash. Keeps it in the
/// record. Errors: it did not come back so, or came back only by force. Dying half-way it leaves a board that boots vanilla.
pub fn prove(
    board: &dyn Board,
    protected: &Protected,
    reset: Reset,
    permit: &Permit,
    folder: &Path,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Proven> {
    let doing = || format!("trying the way back by {}", reset.name());
    let word = format!("lockstep-way-back-{}", Nonce::fresh()?.as_str());
    let writing = format!("[ -c /dev/pmsg0 ] && echo {word} >/dev/pmsg0 && echo pmsg=1; true");
    let has_pmsg = script::ask(board, "writing to /dev/pmsg0", &writing, script::LOOK)?
        .text()
        .contains("pmsg=1");
    let boot = boot::boot_vanilla(board, protected, reset, permit, on_progress).with_context(doing)?;
    let Outcome::Booted(answer) = boot.outcome else {
        bail!("{}: vanilla did not come back: {}", doing(), boot.outcome.text())
    };
    ensure!(
        !boot.seen.forced,
        "{}: the board did not restart by itself and was reset by force: this path cannot be relied on",
        doing()
    );
    let mut missing = CommandLine::of(&protected.append).known_words();
    missing.retain(|word| !answer.cmdline.split_whitespace().any(|other| other == word));
    ensure!(
        missing.is_empty(),
        "{}: what came up lacks `{}` of vanilla's command line: U-Boot reads another extlinux.conf than {}",
        doing(),
        missing.join(" "),
        protected.extlinux.display()
    );
    protected.check(board).with_context(doing)?;
    let proven = Proven {
        reset,
        when: jiff::Timestamp::now().to_string(),
        seconds: answer.seconds,
        pmsg: match has_pmsg {
            true => Some(survived(board, &word)?),
            false => None,
        },
    };
    keep(folder, protected, &proven)?;
    Ok(proven)
}

/// Whether the word is in a pmsg record. systemd-pstore moves records at boot, some time after sshd answers.
fn survived(board: &dyn Board, word: &str) -> Result<bool> {
    let looking = format!("grep -rlaF {word} /sys/fs/pstore /var/lib/systemd/pstore 2>/dev/null | head -n1");
    for _ in 0..5 {
        if !script::ask(board, "looking for the pmsg record", &looking, script::LOOK)?
            .text()
            .is_empty()
        {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(false)
}

fn keep(folder: &Path, protected: &Protected, proven: &Proven) -> Result<()> {
    let mut paths = known(folder, protected)?;
    paths.retain(|other| other.reset != proven.reset);
    paths.push(proven.clone());
    let record = Record {
        schema_version: SCHEMA_VERSION,
        vanilla: key(protected),
        paths,
    };
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    set_remains_aside(&folder.join(RECORD))?;
    write_atomic(&folder.join(RECORD), &serde_json::to_vec_pretty(&record)?)
}
