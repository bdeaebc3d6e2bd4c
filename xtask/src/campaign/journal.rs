//! The journal of a run: append-only, one JSON object a line, flushed. Intent before, outcome after (invariant 11).

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The version of the format.
pub const SCHEMA_VERSION: u32 = 1;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    time: String,
    event: Event,
    /// Step of the plan: `1.3`, `2.1`.
    step: &'a str,
    action: &'a str,
    detail: Value,
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Event {
    Intent,
    Done,
    Failed,
    Verdict,
}

impl Journal {
    /// Opens the journal at `path`, new or at its end.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = || format!("opening the journal {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(doing)?;
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(doing)?;
        Ok(Journal {
            path: path.to_path_buf(),
            file,
        })
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

    /// Records a verdict.
    pub fn verdict(&mut self, step: &str, detail: Value) -> Result<()> {
        self.write(Event::Verdict, step, "judge", detail)
    }

    fn write(&mut self, event: Event, step: &str, action: &str, detail: Value) -> Result<()> {
        let time = jiff::Timestamp::now().to_string();
        let line = Line {
            schema_version: SCHEMA_VERSION,
            time,
            event,
            step,
            action,
            detail,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let doing = || format!("writing the journal {}", self.path.display());
        self.file.write_all(&bytes).with_context(doing)?;
        self.file.sync_data().with_context(doing)
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
        let text = std::fs::read_to_string(&path).unwrap();
        let events: Vec<String> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["event"]
                    .as_str()
                    .unwrap()
                    .to_string()
            })
            .collect();
        assert_eq!(events, ["intent", "done", "intent", "failed"]);
    }
}
