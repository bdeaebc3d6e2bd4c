//! `cargo xtask harvest`: everything that a board's kernels said, on this host, and what they complained about.

use super::Context;
use super::hold_board::hold;
use super::open_board::{board_file, look};
use crate::board::Board;
use crate::campaign::harvest;
use crate::campaign::harvest_board::{self, Taken};
use crate::campaign::harvest_records;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::ui::Ui;
use anyhow::{Result, bail};
use kernel_log::finding::Finding;
use kernel_log::kind::{Kind, Severity};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a board may take to say which machine it is.
const ANSWER: Duration = Duration::from_secs(20);
/// How many places of a finding are shown.
const PLACES: usize = 3;

/// Arguments of `cargo xtask harvest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask harvest
  cargo xtask harvest --board ampere --boots 10 --to /tmp/after-the-loop

Takes /dev/kmsg (or dmesg), the journal of this boot and of the boots before (or what a syslog daemon wrote), pstore (also where systemd
moved it), the serial log and what netconsole sent. A board that does not answer still gives the last two. Nothing on the board changes without --clear.

Exit code 0: no finding of severity error. Exit code 3: there is one. Exit code 1: nothing could be taken.")]
pub struct Harvest {
    /// Board to use: a file of boards/, without .toml
    #[arg(long, value_name = "NAME", default_value = "virtual")]
    board: String,
    /// Folder for it [default: .lockstep/harvest/BOARD/TIME]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// How many of the boots before this one
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    boots: usize,
    /// Remove pstore's records from the board once they are here, each only if its hash is the same
    #[arg(long)]
    clear: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(serialize_with = "crate::host::json::named")]
    folder: &'a Path,
    #[serde(flatten)]
    taken: &'a Taken,
    cleared: usize,
}

impl Harvest {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        board_file(context, &self.board)?;
        let folder = match &self.to {
            Some(folder) => folder.clone(),
            None => {
                let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
                unused(&context.folders.state.join("harvest").join(&self.board), &now)
            }
        };
        if context.global.dry_run {
            return self.plan(context, &folder);
        }
        if folder
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
        {
            bail!(
                "{} is not empty, and what was captured is never overwritten: name another folder (--to)",
                folder.display()
            );
        }
        // Only what removes something from the board needs it alone.
        let mut held = match self.clear {
            true => Some(hold(context, &self.board, None)?),
            false => None,
        };
        let board: Box<dyn Board> = match &mut held {
            Some(held) => held.open_silent(context, ANSWER)?,
            None => Box::new(look(context, &self.board)?),
        };
        let task = context.ui.task("taking what the kernels said", None);
        let taken = harvest_board::take(board.as_ref(), &folder, self.boots)?;
        task.done(&format!("{} files in {}", taken.files.len(), folder.display()));
        if taken.files.is_empty() || taken.files.iter().all(|file| file.bytes == 0) {
            bail!(
                "nothing could be taken from board `{}`: {}",
                self.board,
                taken.problems.join("; ")
            );
        }
        let cleared = match self.clear {
            true => harvest_records::clear(board.as_ref(), &taken.records)?,
            false => 0,
        };
        tell(context, &taken);
        if self.clear {
            context.ui.line(&format!(
                "{cleared} of pstore's records were removed from the board"
            ));
        }
        context.ui.line(&format!(
            "next: `cargo xtask logs {}/*.log` shows each finding with its lines",
            folder.display()
        ));
        context.ui.json(&Answer {
            folder: &folder,
            taken: &taken,
            cleared,
        })?;
        let failed = taken
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        Ok(if failed {
            Outcome::CheckFailed
        } else {
            Outcome::Success
        })
    }

    fn plan(&self, context: &Context, folder: &Path) -> Result<Outcome> {
        let mut steps = vec![
            format!("read /dev/kmsg and the journal of board `{}`", self.board),
            format!("read the journal of up to {} boots before", self.boots),
            "read pstore's records, also where systemd-pstore moved them".to_string(),
            "copy the end of the serial log, and of what netconsole sent".to_string(),
            format!("write it all to {}", folder.display()),
        ];
        if self.clear {
            steps.push("remove pstore's records from the board, each only if its hash is the same".into());
        }
        steps.iter().for_each(|step| context.ui.line(step));
        context.ui.json(&json!({ "dry_run": true, "plan": steps }))?;
        Ok(Outcome::Success)
    }
}

/// The first of `name`, `name-2`, `name-3` … that is not in a folder yet: the one of this second may be another harvest's, or one's that was
/// cut off.
fn unused(folder: &Path, name: &str) -> PathBuf {
    let others = (2_u64..).map(|number| folder.join(format!("{name}-{number}")));
    // A link that leads nowhere is there, too.
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    let first = std::iter::once(folder.join(name));
    first.chain(others).find(is_free).expect("numbers do not run out")
}

/// `serial.log:12 (2026-11-23T05:46:00.123Z by the host's clock)`
fn place(finding: &Finding) -> String {
    let place = format!("{}:{}", harvest::shown(&finding.source), finding.line);
    match &finding.wall {
        Some(wall) => format!("{place} ({})", wall.text()),
        None => place,
    }
}

fn tell(context: &Context, taken: &Taken) {
    let ui = context.ui;
    for problem in &taken.problems {
        ui.line(&format!("not taken: {problem}"));
    }
    if !taken.boots.is_empty() {
        let cut = taken
            .boots
            .iter()
            .rev()
            .skip(1)
            .filter(|boot| !boot.orderly)
            .count();
        ui.line(&format!(
            "{} boots in the journal; {cut} before this one ended without an orderly shutdown",
            taken.boots.len()
        ));
    }
    if let Some(boots) = taken.reset_loop {
        ui.line(&format!(
            "RESET LOOP: the last {boots} boots before this one were short and ended without a shutdown"
        ));
    }
    if let Some(counts) = taken.serial {
        ui.line(&format!(
            "serial log: {} boots, {} panics, {} resets that nobody announced",
            counts.boots, counts.panics, counts.silent_resets
        ));
    }
    for dump in &taken.records.dumps {
        let reason = dump
            .reason
            .as_deref()
            .map_or(String::new(), |reason| format!(", {reason}"));
        ui.line(&format!(
            "pstore: {}/{} ({} bytes{reason})",
            dump.folder,
            dump.files.join(", "),
            dump.content.len()
        ));
    }
    tell_findings(ui, &taken.findings);
}

/// The same thing in several logs is told once, with where it is.
fn tell_findings(ui: &Ui, findings: &[Finding]) {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (complaints, words): (Vec<&Finding>, Vec<&Finding>) = findings
        .iter()
        .partition(|finding| finding.severity == Severity::Error || finding.kind != Kind::Message);
    for finding in complaints {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        told.entry(format!("{severity}: {} [{}]", finding.title, finding.kind.name()))
            .or_default()
            .push(place(finding));
    }
    for (name, places) in &told {
        let more = match places.len().saturating_sub(PLACES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = places.get(..PLACES).unwrap_or(places).join(", ");
        ui.line(&format!("{name} in {shown}{more}"));
    }
    if !words.is_empty() {
        ui.line(&format!(
            "{} lines of level warning or worse without a splat",
            words.len()
        ));
    }
    if told.is_empty() {
        ui.line("the kernels complained about nothing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harvest_of_the_same_second_has_a_folder_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let path = unused(folder.path(), "20260101-000000");
            assert_eq!(path, folder.path().join(name));
            std::fs::create_dir(path).unwrap();
        };
        made("20260101-000000");
        made("20260101-000000-2");
        std::os::unix::fs::symlink("nowhere", folder.path().join("20260101-000000-3")).unwrap();
        made("20260101-000000-4");
    }
}
