//! The journal of a run: append-only, one JSON object a line, flushed. Intent before, outcome after (invariant 11).
//!
//! This file writes it; [`read`] parses it; [`past`] folds it to what a run has come to.

mod input;
pub mod past;
pub mod read;

pub use input::Input;

use crate::host::bounded;
use crate::host::json::json;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The version of the format. 2: runs and rows have a beginning and an end of their own, so that a run can be continued.
pub const SCHEMA_VERSION: u32 = 2;

/// Name of the journal in a run's folder.
pub const FILE: &str = "journal.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// RFC 3339, UTC.
    pub time: String,
    /// What happened.
    pub event: Event,
    /// Row of the plan: `1.2`, `2.1`; empty for what is about the whole run.
    pub step: String,
    /// What is done: `apply`, `boot-once`; empty where the event says it all.
    pub action: String,
    /// Inputs of an intent, result of an outcome.
    pub detail: Value,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A run begins; the detail is a [`past::Begin`].
    Begin,
    /// A process goes on with a run that another one left; the detail says why and with what.
    Resumed,
    /// A row begins; the detail is a [`past::RowBegun`].
    RowBegun,
    /// An action is about to start.
    Intent,
    /// It came to its end.
    Done,
    /// It ended with an error.
    Failed,
    /// The verdict of a boot (`judge`), or of one of several boots of a row (`attempt`).
    Verdict,
    /// A row is over; the detail is a [`past::RowEnded`].
    RowEnded,
    /// A person's word on the verdict of a row.
    Overruled,
    /// The line before was cut off when its writer died: it does not count.
    Torn,
    /// The run is over; the detail is a [`past::Ended`].
    End,
}

/// Where lines go.
pub trait Sink {
    /// Appends the bytes of one line and returns when they will survive a power cut.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
}

/// An open journal.
pub struct Journal {
    sink: Box<dyn Sink>,
}

struct FileSink {
    path: PathBuf,
    file: File,
}

impl Sink for FileSink {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let doing = || format!("writing the journal {}", self.path.display());
        self.file.write_all(bytes).with_context(doing)?;
        self.file.sync_data().with_context(doing)
    }
}

impl Journal {
    /// Opens the journal at `path`, new or at its end. A last line that was cut off stays, closed and marked as such.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = || format!("opening the journal {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(doing)?;
        }
        let file = bounded::append(path)?;
        if let Some(folder) = path.parent() {
            // The name of a new file is flushed with its folder.
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(doing)?;
        }
        let bytes = bounded::read(path, bounded::RECORD).with_context(doing)?;
        let sink = FileSink {
            path: path.to_path_buf(),
            file,
        };
        Journal::on(Box::new(sink), &bytes)
    }

    /// A journal on any sink that holds `bytes` so far.
    pub fn on(sink: Box<dyn Sink>, bytes: &[u8]) -> Result<Self> {
        let mut journal = Journal { sink };
        if bytes.last().is_some_and(|last| *last != b'\n') {
            let torn = bytes.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
            journal.sink.append(b"\n")?;
            journal.write(Event::Torn, "", "", json!({ "bytes": torn }))?;
        }
        Ok(journal)
    }

    /// Does `action` between its intent and its outcome. `inputs` goes into the intent; what the outcome carries
    /// is what `result` makes of the action's value. If the process dies in between, the intent stands
    /// alone, and the next run looks at the board and the tree.
    pub fn act<T>(
        &mut self,
        step: &str,
        action: &str,
        inputs: Value,
        act: impl FnOnce() -> Result<T>,
        result: impl FnOnce(&T) -> Value,
    ) -> Result<T> {
        self.write(Event::Intent, step, action, inputs)?;
        match act() {
            Ok(value) => {
                self.write(Event::Done, step, action, result(&value))?;
                Ok(value)
            }
            Err(error) => {
                self.write(Event::Failed, step, action, Value::String(format!("{error:#}")))?;
                Err(error)
            }
        }
    }

    /// Records the verdict of a row.
    pub fn verdict(&mut self, step: &str, detail: Value) -> Result<()> {
        self.write(Event::Verdict, step, past::JUDGE, detail)
    }

    /// Records what is no action.
    pub fn note(&mut self, event: Event, step: &str, detail: &impl Serialize) -> Result<()> {
        self.write(event, step, "", serde_json::to_value(detail)?)
    }

    /// Appends one line.
    pub fn write(&mut self, event: Event, step: &str, action: &str, detail: Value) -> Result<()> {
        let line = Line {
            schema_version: SCHEMA_VERSION,
            time: jiff::Timestamp::now().to_string(),
            event,
            step: step.to_string(),
            action: action.to_string(),
            detail,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        self.sink.append(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn an_action_stands_between_its_intent_and_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        let lines_inside = journal
            .act(
                "2.1",
                "apply",
                "0004".into(),
                || Ok(std::fs::read_to_string(&path)?.lines().count()),
                |n| (*n).into(),
            )
            .unwrap();
        assert_eq!(
            lines_inside, 1,
            "the intent is on the disk before the action starts"
        );
        let failed: Result<()> = journal.act("2.1", "boot", Value::Null, || bail!("gone"), |()| Value::Null);
        assert!(failed.is_err());
        let read = read::parse("journal.jsonl", &std::fs::read(&path).unwrap()).unwrap();
        let events: Vec<Event> = read.lines.iter().map(|line| line.event).collect();
        assert_eq!(events, [Event::Intent, Event::Done, Event::Intent, Event::Failed]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_kept_and_marked_when_the_journal_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.write(Event::Intent, "2.1", "apply", Value::Null).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [1, 20, whole.len() - 1] {
            std::fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            journal.write(Event::Done, "2.1", "apply", Value::Null).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                bytes.starts_with(&[&whole[..], &whole[..cut]].concat()),
                "nothing is deleted"
            );
            let read = read::parse("journal.jsonl", &bytes).unwrap();
            let events: Vec<Event> = read.lines.iter().map(|line| line.event).collect();
            assert_eq!(events, [Event::Intent, Event::Done]);
            assert_eq!(read.torn, [2]);
        }
    }
}
