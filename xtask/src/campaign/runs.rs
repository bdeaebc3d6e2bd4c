//! The runs of a checkout: `.lockstep/runs/<campaign>/<time>`, each with its journal.

use super::journal::past::{Begin, Past};
use super::journal::{self, read};
use super::record::{End, RunRecord};
use super::verdict::Verdict;
use crate::host::bounded;
use crate::host::files;
use crate::host::files::Remains;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One run.
#[derive(Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Campaign, by the name of the folder that it is in.
    pub campaign: String,
    /// What its journal says; an error where it cannot be read.
    pub past: Result<Past>,
    /// Why its journal does not say how it was started, where it does not.
    pub unsaid: Option<Unsaid>,
    /// Lines of the journal that were cut off when their writer died, from 1.
    pub torn: Vec<usize>,
}

/// Why a journal does not say how its run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "journal")]
pub enum Unsaid {
    /// It has the first format, which had no line for it.
    OlderFormat,
    /// It was cut off before it was made.
    NotMade,
    /// It was cut off before its first line was on the disk.
    Nothing(Remains),
    /// Its first line was cut off; what stands behind that was written later.
    FirstLine,
}

impl Unsaid {
    /// `version` is the format of its first whole line.
    fn of(past: &Past, bytes: Option<&[u8]>, version: Option<u32>) -> Option<Self> {
        let Some(bytes) = bytes else {
            return Some(Unsaid::NotMade);
        };
        match (&past.begin, version) {
            (Some(_), _) => None,
            (None, Some(1)) => Some(Unsaid::OlderFormat),
            (None, _) => Some(Remains::of(bytes).map_or(Unsaid::FirstLine, Unsaid::Nothing)),
        }
    }

    /// Whether the run was cut off; if not, it has an older format.
    pub fn is_cut_off(self) -> bool {
        self != Unsaid::OlderFormat
    }
}

impl std::fmt::Display for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Unsaid::OlderFormat => {
                write!(
                    f,
                    "its journal has an older format, which does not say how it was started"
                )
            }
            Unsaid::NotMade => write!(f, "it was cut off before its journal was made"),
            Unsaid::Nothing(remains) => write!(f, "it was cut off, and its journal is lost: {remains}"),
            Unsaid::FirstLine => write!(
                f,
                "it was cut off, and the first line of its journal, which says how it was started, is lost"
            ),
        }
    }
}

/// Every run below `.lockstep/runs`, the oldest first. Errors: a folder cannot be read. A journal that cannot be read is in the run's `past`.
pub fn list(state: &Path) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for campaign in folders(&state.join("runs"))? {
        for folder in folders(&campaign)? {
            let campaign = campaign
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            runs.push(open(folder, campaign));
        }
    }
    runs.sort_by_key(|run| run.folder.file_name().map(std::ffi::OsStr::to_owned));
    Ok(runs)
}

/// One run by its folder.
pub fn open(folder: PathBuf, campaign: String) -> Run {
    let path = folder.join(journal::FILE);
    let bytes = bounded::read_if_there(&path, bounded::RECORD)
        .with_context(|| format!("reading the journal {}", path.display()));
    let said = bytes.and_then(|bytes| {
        let (mut past, mut version, mut count) = (Past::default(), None, 0);
        let (name, text) = (path.display().to_string(), bytes.as_deref().unwrap_or_default());
        let torn = read::each(&name, text, |line| {
            version.get_or_insert(line.schema_version);
            let taken = past.take(count, &line);
            count = usize::saturating_add(count, 1);
            taken.with_context(|| format!("in the journal {name}"))
        })?;
        let unsaid = Unsaid::of(&past, bytes.as_deref(), version);
        Ok((past, unsaid, torn))
    });
    let (past, unsaid, torn) = match said {
        Ok((past, unsaid, torn)) => (Ok(past), unsaid, torn),
        Err(error) => (Err(error), None, Vec::new()),
    };
    Run {
        folder,
        campaign,
        past,
        unsaid,
        torn,
    }
}

/// The newest run of a campaign on a board; of any where none is named. Runs of the first format, which do not say their board, count for
/// every board.
pub fn newest(runs: Vec<Run>, campaign: Option<&str>, board: Option<&str>) -> Option<Run> {
    let is_of_board = |run: &Run| {
        let begin = run.past.as_ref().ok().and_then(|past| past.begin.as_ref());
        begin.is_none_or(|begin| board.is_none_or(|board| begin.board == board))
    };
    runs.into_iter()
        .rev()
        .find(|run| campaign.is_none_or(|campaign| run.campaign == campaign) && is_of_board(run))
}

/// Whether running the same command again goes on with this run; if not, why, where that is worth saying.
pub fn continues(past: &Past, now: &Begin) -> Result<(), Option<String>> {
    let Some(then) = &past.begin else { return Err(None) };
    match past.end.as_ref().map(|ended| ended.end) {
        None | Some(End::PersonNeeded) => {}
        Some(_) => return Err(None),
    }
    let same = then.file == now.file
        && then.board == now.board
        && then.options.do_the_same(&now.options)
        && then.break_with == now.break_with
        && then.kernel == now.kernel;
    if same {
        return Ok(());
    }
    Err(Some(format!(
        "a run that began at {} is not finished; it was started with other options ({}), so this one begins anew (`cargo xtask resume` would have \
         gone on with it)",
        past.started,
        shown(then)
    )))
}

/// How a run was started, as it is typed.
pub fn shown(begin: &Begin) -> String {
    let mut text = format!("bisect-apply {}", begin.file.display());
    if let Some(name) = &begin.break_with {
        text.push_str(&format!(" --break {name}"));
    }
    if let Some(kernel) = &begin.kernel {
        text.push_str(&format!(" --kernel {}", kernel.display()));
    }
    text + &begin.options.flags()
}

/// A run in a line of the history.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// When it began, RFC 3339.
    pub started: String,
    /// Campaign.
    pub campaign: String,
    /// Board, where the run says.
    pub board: Option<String>,
    /// How it ended: `success`, `unfinished`, or why it cannot be read.
    pub end: String,
    /// Seconds from its first line to its last one.
    pub seconds: Option<f64>,
    /// How often each verdict was given.
    pub verdicts: BTreeMap<String, usize>,
    /// Its folder.
    #[serde(serialize_with = "crate::host::json::named")]
    pub folder: PathBuf,
}

/// A run for the history. One of the first format has its end and verdicts in its record only.
pub fn summary(run: &Run) -> Summary {
    let mut summary = Summary {
        started: String::new(),
        campaign: run.campaign.clone(),
        board: None,
        end: "unfinished".into(),
        seconds: None,
        verdicts: BTreeMap::new(),
        folder: run.folder.clone(),
    };
    let past = match &run.past {
        Ok(past) => past,
        Err(error) => {
            summary.end = format!("{error:#}");
            return summary;
        }
    };
    if let Some(unsaid) = run.unsaid.filter(|unsaid| unsaid.is_cut_off()) {
        summary.end = match &past.end {
            Some(ended) => ended.end.text().to_string(),
            None => unsaid.to_string(),
        };
        summary.started.clone_from(&past.started);
        summary.board = RunRecord::load(&run.folder).ok().map(|record| record.board);
        return summary;
    }
    summary.started.clone_from(&past.started);
    summary.seconds = seconds_between(&past.started, &past.last);
    let record = RunRecord::load(&run.folder).ok();
    let rows = match (&past.begin, record) {
        (Some(begin), _) => {
            summary.board = Some(begin.board.clone());
            if let Some(ended) = &past.end {
                summary.end = ended.end.text().to_string();
            }
            past.records()
        }
        (None, Some(record)) => {
            summary.board = Some(record.board);
            if let Some(end) = record.end {
                summary.end = end.text().to_string();
            }
            record.rows
        }
        (None, None) => Vec::new(),
    };
    for verdict in rows.iter().filter_map(|row| row.verdict) {
        let count = summary.verdicts.entry(Verdict::text(verdict).into()).or_default();
        *count = count.saturating_add(1);
    }
    summary
}

/// Seconds between two RFC 3339 times.
pub fn seconds_between(from: &str, to: &str) -> Option<f64> {
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok();
    Some(parse(to)?.duration_since(parse(from)?).as_secs_f64())
}

/// The folders in a folder, in the order of their names; none where it is not there.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("reading {}", path.display());
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(doing)?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.with_context(doing)?.path();
        if files::is_folder(&path)? {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::journal::past::Ended;
    use crate::campaign::journal::{Event, Journal};

    fn begin(break_with: Option<&str>) -> Begin {
        Begin {
            campaign: "c".into(),
            file: "campaigns/c.toml".into(),
            board: "virtual".into(),
            tool: "t".into(),
            options: Default::default(),
            break_with: break_with.map(String::from),
            kernel: None,
            rows: Vec::new(),
        }
    }

    fn run(state: &Path, time: &str, break_with: Option<&str>, end: Option<End>) {
        let path = state.join("runs/c").join(time).join(journal::FILE);
        let mut journal = Journal::open(&path).unwrap();
        journal.note(Event::Begin, "", &begin(break_with)).unwrap();
        if let Some(end) = end {
            journal
                .note(Event::End, "", &Ended { end, person: None })
                .unwrap();
        }
    }

    #[test]
    fn the_newest_run_is_continued_where_it_is_not_over_and_was_started_alike() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), "20260101T000000", None, Some(End::Success));
        run(folder.path(), "20260102T000000", Some("x"), None);
        let runs = list(folder.path()).unwrap();
        assert_eq!(runs.len(), 2);
        let newest = newest(runs, Some("c"), Some("virtual")).unwrap();
        let past = newest.past.unwrap();
        assert!(continues(&past, &begin(Some("x"))).is_ok());
        let why = continues(&past, &begin(None)).unwrap_err().unwrap();
        assert!(why.contains("bisect-apply campaigns/c.toml --break x"), "{why}");
    }

    #[test]
    fn a_run_that_ended_is_not_continued_unless_a_person_was_needed() {
        let folder = tempfile::tempdir().unwrap();
        for (time, end, expected) in [
            ("1", End::Success, false),
            ("2", End::Failure, false),
            ("3", End::PersonNeeded, true),
            ("4", End::Aborted, false),
        ] {
            run(folder.path(), time, None, Some(end));
            let newest = newest(list(folder.path()).unwrap(), None, None).unwrap();
            assert_eq!(
                continues(&newest.past.unwrap(), &begin(None)).is_ok(),
                expected,
                "{end:?}"
            );
        }
    }

    #[test]
    fn history_survives_a_journal_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), "1", None, Some(End::Failure));
        run(folder.path(), "2", None, None);
        let broken = folder.path().join("runs/c/2").join(journal::FILE);
        std::fs::write(&broken, "no\nmore\n").unwrap();
        let lines: Vec<String> = list(folder.path())
            .unwrap()
            .iter()
            .map(|run| summary(run).end)
            .collect();
        assert_eq!(lines[0], "failure");
        assert!(lines[1].contains("journal.jsonl:1"), "{lines:?}");
        assert!(list(&folder.path().join("none")).unwrap().is_empty());
    }
}
