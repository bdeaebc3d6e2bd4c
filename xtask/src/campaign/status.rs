//! Where a run stands, for a person: a rule over its journal and the lock of its board.

use super::journal::past::{Past, PastRow, Way};
use super::record::End;
use super::runs::seconds_between;
use crate::host::lock;
use serde::Serialize;
use std::path::Path;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Campaign.
    pub campaign: String,
    /// Board.
    pub board: String,
    /// How it was started, as it is typed.
    pub command: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How often another process went on with it.
    pub resumed: usize,
    /// Whether it goes on.
    pub standing: Standing,
    /// Rows that are over.
    pub rows: Vec<Over>,
    /// What is being done, or was when it was cut off.
    pub current: Option<Current>,
    /// Number and title of the row that comes next.
    pub next: Option<(String, String)>,
    /// What a person must do; none where nobody is needed.
    pub person: Option<String>,
    /// The next sensible command.
    pub command_next: String,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A process is at it.
    Running,
    /// No process is at it, and it did not come to its end.
    CutOff,
    /// It did not come to its end, and whether a process is at it cannot be seen.
    Unknown,
    /// It came to its end.
    Ended(End),
}

/// A row that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Over {
    /// Number.
    pub id: String,
    /// Title.
    pub title: String,
    /// What it came to: `pass`, `done`, `regression, overruled by Ann: pass`.
    pub what: String,
}

/// What is being done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Current {
    /// Row.
    pub row: String,
    /// Title.
    pub title: String,
    /// Action, where one was begun and is not over.
    pub action: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
    /// Seconds since then.
    pub seconds: Option<f64>,
}

/// Who is at work on the board of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtWork {
    /// A process that goes on with this run.
    ThisRun,
    /// A process that does something else.
    Other,
    /// No process.
    None,
    /// The lock cannot be looked at.
    Unknown,
}

impl AtWork {
    /// By the lock of the board. `run` is the run's folder.
    pub fn of(lock: &lock::State, run: &Path) -> Self {
        let is_this = |named: &Path| std::path::absolute(run).is_ok_and(|run| run == named);
        match lock {
            lock::State::Free | lock::State::Stale { .. } => AtWork::None,
            lock::State::Unknown { .. } | lock::State::Held { holder: None } => AtWork::Unknown,
            lock::State::Held { holder: Some(holder) } => match &holder.purpose.run {
                Some(named) if is_this(named) => AtWork::ThisRun,
                _ => AtWork::Other,
            },
        }
    }
}

/// The rule. `now` is RFC 3339; none for a journal that does not say how its run was started.
pub fn status(past: &Past, at_work: AtWork, now: &str) -> Option<Status> {
    let begin = past.begin.as_ref()?;
    let standing = match (&past.end, at_work) {
        (Some(ended), _) => Standing::Ended(ended.end),
        (None, AtWork::ThisRun) => Standing::Running,
        (None, AtWork::Other | AtWork::None) => Standing::CutOff,
        (None, AtWork::Unknown) => Standing::Unknown,
    };
    let current = current(past, now).filter(|_| past.end.is_none());
    let ended = matches!(standing, Standing::Ended(end) if end != End::PersonNeeded);
    let is_left = |row: &&(String, String)| {
        !past.row(&row.0).is_some_and(PastRow::counts_as_done)
            && current.as_ref().is_none_or(|current| current.row != row.0)
    };
    Some(Status {
        campaign: begin.campaign.clone(),
        board: begin.board.clone(),
        command: super::runs::shown(begin),
        started: past.started.clone(),
        resumed: past.resumed,
        rows: past.rows.iter().filter_map(over).collect(),
        next: begin.rows.iter().find(|row| !ended && is_left(row)).cloned(),
        person: person(past, standing),
        command_next: match standing {
            Standing::Running | Standing::Unknown => "cargo xtask status",
            Standing::CutOff | Standing::Ended(End::PersonNeeded) => "cargo xtask resume",
            Standing::Ended(_) => "cargo xtask history",
        }
        .into(),
        current,
        standing,
    })
}

fn current(past: &Past, now: &str) -> Option<Current> {
    let row = past.row(past.current.as_ref()?)?;
    let open = past.open.as_ref().filter(|open| open.step == row.id);
    let since = open.map_or(&row.since, |open| &open.since);
    Some(Current {
        row: row.id.clone(),
        title: row.title.clone(),
        action: open.map(|open| open.action.clone()),
        since: since.clone(),
        seconds: seconds_between(since, now),
    })
}

fn person(past: &Past, standing: Standing) -> Option<String> {
    match standing {
        Standing::Running | Standing::Unknown => None,
        Standing::CutOff => Some(
            "nothing is at work on it any more: `cargo xtask resume` goes on, `cargo xtask abort` gives it up".into(),
        ),
        Standing::Ended(End::PersonNeeded) => {
            let why = past.end.as_ref().and_then(|ended| ended.person.clone());
            Some(why.unwrap_or_else(|| "look at the report".into()))
        }
        Standing::Ended(_) => None,
    }
}

fn over(row: &PastRow) -> Option<Over> {
    let ended = row.ended.as_ref()?;
    let mut what = match (ended.record.verdict, ended.way) {
        (_, Way::Error) => "could not be finished".to_string(),
        (Some(verdict), _) => verdict.text().to_string(),
        (None, _) => "done".to_string(),
    };
    if let Some(word) = &row.overruled {
        what.push_str(&format!(", overruled by {}: {}", word.by, word.verdict.text()));
    }
    Some(Over {
        id: row.id.clone(),
        title: row.title.clone(),
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::journal::past::{Begin, Ended, RowBegun, fold};
    use crate::campaign::journal::{Event, Line};
    use serde_json::{Value, json};

    fn line(second: u32, event: Event, step: &str, action: &str, detail: Value) -> Line {
        Line {
            schema_version: 2,
            time: format!("2026-11-22T10:00:{second:02}Z"),
            event,
            step: step.into(),
            action: action.into(),
            detail,
        }
    }

    fn begun() -> Vec<Line> {
        let begin = Begin {
            campaign: "c".into(),
            file: "campaigns/c.toml".into(),
            board: "virtual".into(),
            tool: "t".into(),
            options: Default::default(),
            break_with: Some("x".into()),
            kernel: None,
            rows: vec![("2.1".into(), "one".into()), ("2.2".into(), "two".into())],
        };
        let row = RowBegun {
            title: "one".into(),
            inputs: Vec::new(),
            head: "h".into(),
        };
        vec![
            line(0, Event::Begin, "", "", json!(begin)),
            line(1, Event::RowBegun, "2.1", "", json!(row)),
            line(2, Event::Intent, "2.1", "deploy", Value::Null),
        ]
    }

    #[test]
    fn it_says_what_is_done_since_when_and_what_comes_next() {
        let past = fold(&begun()).unwrap();
        let running = status(&past, AtWork::ThisRun, "2026-11-22T10:01:02Z").unwrap();
        assert_eq!(running.standing, Standing::Running);
        assert_eq!(running.person, None);
        let current = running.current.unwrap();
        assert_eq!(
            (current.action.as_deref(), current.seconds),
            (Some("deploy"), Some(60.0))
        );
        assert_eq!(running.next.unwrap().0, "2.2");
        assert_eq!(running.command, "bisect-apply campaigns/c.toml --break x");
    }

    #[test]
    fn a_run_goes_on_only_if_the_board_is_held_for_this_very_run() {
        let held = |run: Option<&str>| lock::State::Held {
            holder: Some(lock::Holder {
                process: None,
                user: "ann".into(),
                since: String::new(),
                purpose: lock::Purpose {
                    run: run.map(Into::into),
                    ..lock::Purpose::default()
                },
            }),
        };
        let at = |lock: &lock::State| AtWork::of(lock, Path::new("/runs/1"));
        assert_eq!(at(&held(Some("/runs/1"))), AtWork::ThisRun);
        assert_eq!(
            at(&held(Some("/other/runs/1"))),
            AtWork::Other,
            "another checkout's"
        );
        assert_eq!(at(&held(None)), AtWork::Other, "a deploy, say");
        assert_eq!(at(&lock::State::Held { holder: None }), AtWork::Unknown);
        assert_eq!(at(&lock::State::Free), AtWork::None);
        let unknown = status(&fold(&begun()).unwrap(), AtWork::Unknown, "2026-11-22T10:01:02Z").unwrap();
        assert_eq!((unknown.standing, unknown.person), (Standing::Unknown, None));
    }

    #[test]
    fn a_run_that_was_cut_off_and_one_that_needs_a_person_say_what_to_do() {
        let mut lines = begun();
        let cut = status(&fold(&lines).unwrap(), AtWork::None, "2026-11-22T10:01:02Z").unwrap();
        assert_eq!(cut.standing, Standing::CutOff);
        assert!(cut.person.unwrap().contains("cargo xtask resume"));
        let ended = Ended {
            end: End::PersonNeeded,
            person: Some("step 2.1: no review".into()),
        };
        lines.push(line(5, Event::End, "", "", json!(ended)));
        let needs = status(&fold(&lines).unwrap(), AtWork::None, "2026-11-22T10:01:02Z").unwrap();
        assert_eq!(needs.person.as_deref(), Some("step 2.1: no review"));
        assert_eq!(needs.command_next, "cargo xtask resume");
        assert!(status(&fold(&[]).unwrap(), AtWork::None, "").is_none());
    }
}
