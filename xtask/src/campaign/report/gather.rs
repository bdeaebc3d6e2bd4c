//! What lies in a run's folder beside its record: what was captured, as far as a report shows it.

use super::log::Excerpt;
use super::trace;
use crate::campaign::record::KEPT_CONFIG;
use crate::campaign::record::{FindingRecord, RowRecord, RunRecord};
use crate::host::bounded;
use crate::host::files;
use anyhow::Result;
use kernel_log::lock_chain::LockChain;
use kernel_log::{finder, graph, reader};
use serde::Serialize;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// Everything that a report is made from.
#[derive(Debug, Clone)]
pub struct Material {
    /// The run's record.
    pub record: RunRecord,
    /// Which run of its campaign this is, from 1.
    pub attempt: usize,
    /// What was captured, row by row as in the record.
    pub captured: Vec<Captured>,
}

/// What was captured in one row.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// Every file.
    pub files: Vec<CapturedFile>,
    /// The serial log; where there is none, what `/dev/kmsg` gave, or netconsole.
    pub log: Option<Excerpt>,
    /// The `.config` that was built.
    pub config: Option<String>,
    /// The first line that the kernel under test said of itself.
    pub version: Option<String>,
    /// Its command line, as it says it.
    pub command_line: Option<String>,
    /// What machine it says that it runs on.
    pub machine: Option<String>,
    /// The distribution, as its first process names itself on the console.
    pub distribution: Option<String>,
    /// A graph of the locks of each finding, as SVG.
    pub graphs: Vec<Option<String>>,
    /// What could not be read.
    pub unread: Vec<String>,
}

/// A file that was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapturedFile {
    /// Below the run's folder, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// Bytes of a log that are shown from its beginning.
const HEAD: u64 = 64 << 10;
/// Bytes of a log that are shown from its end: a failure stands there.
const TAIL: u64 = 192 << 10;
/// No `.config` is larger.
const CONFIG_LIMIT: u64 = 4 << 20;

impl Material {
    /// Reads the run in `folder`. Errors: it has no record, or one of a newer version.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Material::of(RunRecord::load(folder)?, folder))
    }

    /// With a record that is known already. What cannot be read is named where it would have been shown: a report is written all the
    /// same.
    pub fn of(record: RunRecord, folder: &Path) -> Self {
        let captured = record
            .rows
            .iter()
            .map(|row| captured(row, &record.release, folder))
            .collect();
        Material {
            attempt: attempt(folder),
            captured,
            record,
        }
    }
}

/// Runs are named by their time: this one's place among those of its campaign that left a record, or that are there because they
/// run.
fn attempt(folder: &Path) -> usize {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return 1;
    };
    let earlier = std::fs::read_dir(parent).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| {
                entry.file_name().as_os_str() < name
                    && matches!(files::is_file(&entry.path().join("run.json")), Ok(true))
            })
            .count()
    });
    earlier.saturating_add(1)
}

fn captured(row: &RowRecord, release: &str, folder: &Path) -> Captured {
    let mut captured = Captured {
        graphs: row.findings.iter().map(lock_graph).collect(),
        ..Captured::default()
    };
    // The number is a file name, whatever a record says.
    let mut parts = Path::new(&row.id).components();
    let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
        return captured;
    };
    let evidence = folder.join("evidence").join(name);
    let entries = walkdir::WalkDir::new(&evidence).sort_by_file_name();
    for entry in entries.into_iter().filter_map(std::result::Result::ok) {
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path();
        let below = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let size = entry.metadata().map_or(0, |metadata| metadata.len());
        match files::sha256_file(path) {
            Ok(sha256) => captured.files.push(CapturedFile {
                path: below,
                size,
                sha256,
            }),
            Err(error) => captured.unread.push(format!("{error:#}")),
        }
    }
    captured.log = ["serial.log", "kmsg.log", "netconsole.log"]
        .iter()
        .find_map(|name| {
            // What lies deeper is of another boot than the one that was judged: a try by reloading, the capture gate.
            let path = captured
                .files
                .iter()
                .filter(|file| file.path.ends_with(&format!("/{name}")))
                .min_by_key(|file| file.path.matches('/').count())?;
            excerpt(&folder.join(&path.path), path).ok()
        });
    // With several boots of one build each has its own folder, and the same configuration.
    let config = captured
        .files
        .iter()
        .find(|file| file.path.ends_with(&format!("/{KEPT_CONFIG}")));
    captured.config = config.and_then(|file| head_of(&folder.join(&file.path), CONFIG_LIMIT).ok());
    let banner = format!("Linux version {release}");
    if let Some(log) = captured.log.as_ref().filter(|_| !release.is_empty()) {
        let version = log.line_with(&banner);
        captured.version = version.and_then(|line| Some(line.get(line.find(&banner)?..)?.to_string()));
        // Vanilla's own words stand before and behind those of the kernel under test.
        let after = |words: &str| behind(&log.line_after(&banner, words)?, words);
        captured.command_line = after("Kernel command line: ");
        captured.machine = after("Machine model: ");
        captured.distribution = after("Welcome to ").map(|name| name.trim_end_matches('!').to_string());
    }
    captured
}

/// What a line says behind these words.
fn behind(line: &str, words: &str) -> Option<String> {
    Some(line.split_once(words)?.1.trim().to_string())
}

/// The locks of a finding about their order, drawn.
fn lock_graph(finding: &FindingRecord) -> Option<String> {
    let log = reader::read(finding.excerpt.as_bytes());
    let found = finder::find(&log, &finding.source);
    let mut chain = found.iter().find_map(LockChain::of)?;
    chain.locate(&|frame| {
        let name = frame.split(' ').next()?;
        let decoded = finding.decoded.iter().find(|decoded| decoded.frame == name)?;
        trace::place(decoded)
    });
    Some(graph::svg(&chain))
}

fn head_of(path: &Path, limit: u64) -> Result<String> {
    let mut bytes = Vec::new();
    bounded::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Beginning and end of a log, however large it is.
fn excerpt(path: &Path, file: &CapturedFile) -> Result<Excerpt> {
    let mut log = bounded::open(path)?;
    let mut head = Vec::new();
    let mut tail = Vec::new();
    if file.size <= HEAD + TAIL {
        log.take(HEAD + TAIL).read_to_end(&mut head)?;
    } else {
        log.by_ref().take(HEAD).read_to_end(&mut head)?;
        log.seek(SeekFrom::Start(file.size.saturating_sub(TAIL)))?;
        log.take(TAIL).read_to_end(&mut tail)?;
    }
    Ok(Excerpt::new(file.path.clone(), file.size, &head, &tail))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{regression, run};
    use super::*;

    #[test]
    fn what_was_captured_is_listed_with_its_hash_and_a_large_log_is_cut() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("20260102T000000");
        let evidence = folder.join("evidence/2.2");
        std::fs::create_dir_all(&evidence).unwrap();
        std::fs::create_dir_all(parent.path().join("20260101T000000")).unwrap();
        std::fs::write(parent.path().join("20260101T000000/run.json"), "{}").unwrap();
        let line = "[    1.000000] x\r\n".repeat(1 << 20);
        let log = format!("[    0.000000] Linux version 7.3.4-lockdep (a@b) #1\r\n{line}the end\r\n");
        std::fs::write(evidence.join("serial.log"), &log).unwrap();
        let of_a_try = evidence.join("reload");
        std::fs::create_dir_all(&of_a_try).unwrap();
        std::fs::write(of_a_try.join("serial.log"), "another boot").unwrap();
        std::fs::write(evidence.join(KEPT_CONFIG), "CONFIG_A=y\n").unwrap();
        let material = Material::of(run(vec![regression()]), &folder);
        assert_eq!(material.attempt, 2);
        let captured = &material.captured[0];
        let names: Vec<&str> = captured.files.iter().map(|file| file.path.as_str()).collect();
        let all = [
            "evidence/2.2/.config",
            "evidence/2.2/reload/serial.log",
            "evidence/2.2/serial.log",
        ];
        assert_eq!(names, all);
        assert_eq!(captured.files[2].sha256, files::sha256(log.as_bytes()));
        assert_eq!(captured.config.as_deref(), Some("CONFIG_A=y\n"));
        assert!(
            captured
                .version
                .as_ref()
                .unwrap()
                .contains("Linux version 7.3.4-lockdep (a@b)")
        );
        let shown: usize = captured
            .log
            .as_ref()
            .unwrap()
            .sections
            .iter()
            .map(|section| section.text.len())
            .sum();
        assert!(shown < (HEAD + TAIL) as usize + 1000, "{shown}");
    }

    #[test]
    fn a_number_that_is_a_path_reads_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("evidence")).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        let mut row = regression();
        row.id = "..".into();
        let material = Material::of(run(vec![row]), folder.path());
        assert!(material.captured[0].files.is_empty());
    }
}
