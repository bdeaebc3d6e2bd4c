//! `cargo xtask logs`: what the kernel complained about in logs of any source.

use super::Context;
use crate::campaign::wall_time;
use crate::evidence::baseline::{self, Comparison, Signature};
use crate::evidence::baseline_file;
use crate::evidence::completeness::{Completeness, Lockdep};
use crate::evidence::finder;
use crate::evidence::finding::Finding;
use crate::evidence::kind::Severity;
use crate::evidence::reader;
use crate::evidence::record::{self, Loss};
use crate::evidence::scan::{Scan, Scanned};
use crate::evidence::score::{self, Mark, Score};
use crate::evidence::wall;
use crate::exit::Outcome;
use crate::host::bounded;
use crate::ui::Ui;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// So many bytes of a log are read at once.
const BLOCK: usize = 1 << 20;

/// Arguments of `cargo xtask logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask logs serial.log console-ramoops-0
  cargo xtask --json logs vanilla.log > baseline.json
  cargo xtask logs --baseline baseline.json after-0005.log

Formats are recognised: a serial capture, dmesg, dmesg --raw, /dev/kmsg, journalctl -k -o json or short-monotonic,
pstore records; `-` is standard input. Beside the time since boot a finding has its wall time where the log says it with its zone,
or where FILE.index (a recorder's) or FILE.began (a harvest's) lies beside it.

Exit code 0: no finding of severity error (with --baseline: nothing new and nothing much more frequent).
Exit code 3: there is one. Exit code 1: a file cannot be read.")]
pub struct Logs {
    /// Kernel logs
    #[arg(value_name = "FILE", required_unless_present = "score")]
    files: Vec<PathBuf>,
    /// Tell only what this log, or this output of `logs --json`, does not have
    #[arg(long, value_name = "FILE", conflicts_with = "score")]
    baseline: Option<PathBuf>,
    /// Print only the line that names each finding, without its excerpt
    #[arg(short, long)]
    quiet: bool,
    /// Measure how well findings are named, on a folder of logs with their expected answers
    #[arg(long, value_name = "FOLDER", conflicts_with = "files")]
    score: Option<PathBuf>,
}

/// What one file gave.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    file: String,
    format: record::Format,
    completeness: Completeness,
    lockdep: Lockdep,
    findings: Vec<Finding>,
    /// Findings beyond what is kept of one log.
    untold: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    files: &'a [Report],
}

/// A baseline as `logs --json` printed it.
#[derive(Debug, Deserialize)]
struct Saved {
    files: Vec<SavedFile>,
}

#[derive(Debug, Deserialize)]
struct SavedFile {
    findings: Vec<Finding>,
}

/// How much of a finding is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Title,
    Excerpt,
}

impl Logs {
    /// Runs the verb. Reads the files and nothing else.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        if let Some(folder) = &self.score {
            return run_score(context.ui, folder);
        }
        let baseline = self.baseline.as_deref().map(read_baseline).transpose()?;
        let mut reports = Vec::new();
        for file in &self.files {
            reports.push(examine(file, baseline.as_deref())?);
        }
        let detail = if self.quiet {
            Detail::Title
        } else {
            Detail::Excerpt
        };
        for report in &reports {
            print(context.ui, report, detail);
        }
        context.ui.json(&Answer { files: &reports })?;
        let failed = reports.iter().any(|report| match &report.comparison {
            Some(comparison) => !comparison.is_clean(),
            None => report
                .findings
                .iter()
                .any(|finding| finding.severity == Severity::Error),
        });
        Ok(if failed {
            Outcome::CheckFailed
        } else {
            Outcome::Success
        })
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        return bounded::take(std::io::stdin(), "standard input", bounded::LOG);
    }
    bounded::read(file, bounded::LOG)
}

/// Reads a log of any length, block by block.
pub fn scan(file: &Path) -> Result<Scanned> {
    let mut source: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(bounded::open(file).context("`-` reads standard input, which may be a pipe")?)
    };
    let mut scan = Scan::new(&file.display().to_string());
    let mut block = vec![0; BLOCK];
    loop {
        match source.read(&mut block) {
            Ok(0) => return Ok(scan.finish()),
            Ok(length) => scan.push(&block[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }
}

fn examine(file: &Path, baseline: Option<&[Finding]>) -> Result<Report> {
    let mut scanned = scan(file)?;
    if file != Path::new("-") {
        wall_time::date(&mut scanned.findings, file)?;
    }
    Ok(Report {
        file: file.display().to_string(),
        format: scanned.format,
        completeness: scanned.completeness,
        lockdep: scanned.lockdep,
        comparison: baseline.map(|baseline| baseline::compare(baseline, &scanned.findings)),
        findings: scanned.findings,
        untold: scanned.untold,
    })
}

/// Findings of a baseline: a log, or the JSON that this command printed for one or more.
fn read_baseline(file: &Path) -> Result<Vec<Finding>> {
    let bytes = read(file)?;
    let object = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
    let Some(object) = object.filter(|object| object.get("schema_version").is_some()) else {
        return Ok(finder::find(&reader::read(&bytes), &file.display().to_string()));
    };
    let version = object["schema_version"].as_u64();
    if version != Some(u64::from(crate::ui::SCHEMA_VERSION)) {
        bail!(
            "{}: schema_version is {}, this program reads {}: write the baseline again with `cargo xtask --json logs FILE`",
            file.display(),
            object["schema_version"],
            crate::ui::SCHEMA_VERSION
        );
    }
    let saved: Saved = serde_json::from_value(object).with_context(|| {
        format!(
            "{}: this is no output of `cargo xtask --json logs FILE`",
            file.display()
        )
    })?;
    Ok(saved.files.into_iter().flat_map(|file| file.findings).collect())
}

fn print(ui: &Ui, report: &Report, detail: Detail) {
    ui.line(&format!("{}: {}", report.file, headline(report)));
    if report.untold > 0 {
        ui.line(&format!(
            "  {} more findings are counted and not kept",
            report.untold
        ));
    }
    for loss in &report.completeness.losses {
        ui.line(&match loss {
            Loss::Gap { from, to, line } => format!("  line {line}: records {from} to {to} are missing"),
            Loss::Dropped { count, line } => {
                format!("  line {line}: {count} messages were dropped by a slow console")
            }
        });
    }
    if let Lockdep::Off { why, .. } = &report.lockdep {
        ui.line(&format!(
            "  lockdep was switched off; its silence after this proves nothing: {why}"
        ));
    }
    match &report.comparison {
        None => report
            .findings
            .iter()
            .for_each(|finding| print_finding(ui, finding, detail)),
        Some(comparison) => print_comparison(ui, comparison, detail),
    }
}

fn headline(report: &Report) -> String {
    let errors = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    let warnings = report.findings.len() - errors;
    let boots = report.completeness.boots;
    let several = if boots > 1 {
        format!(", {boots} boots")
    } else {
        String::new()
    };
    let Some(comparison) = &report.comparison else {
        return format!("{errors} errors, {warnings} warnings{several}");
    };
    format!(
        "{} new, {} more frequent, {} known, {} gone{several}",
        comparison.new.len(),
        comparison.more_frequent.len(),
        comparison.known.len(),
        comparison.gone.len()
    )
}

fn print_comparison(ui: &Ui, comparison: &Comparison, detail: Detail) {
    comparison
        .new
        .iter()
        .for_each(|finding| print_finding(ui, finding, detail));
    let name = |signature: &Signature| format!("{} [{}]", signature.title, signature.kind.name());
    for change in &comparison.more_frequent {
        ui.line(&format!(
            "more frequent ({} → {}): {}",
            change.before,
            change.now,
            name(&change.signature)
        ));
    }
    for change in &comparison.known {
        ui.line(&format!("known: {}", name(&change.signature)));
    }
    for signature in &comparison.gone {
        ui.line(&format!("gone: {}", name(signature)));
    }
}

fn print_finding(ui: &Ui, finding: &Finding, detail: Detail) {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let times = if finding.times > 1 {
        format!(", {} times more", finding.times - 1)
    } else {
        String::new()
    };
    ui.line(&format!(
        "{severity}: {} [{}] {}{times}",
        finding.title,
        finding.kind.name(),
        baseline_file::id(&Signature::of(finding))
    ));
    if detail == Detail::Title {
        return;
    }
    ui.line(&format!(
        "  at {}:{}{}",
        finding.source,
        finding.line,
        place(finding)
    ));
    if let Some(locks) = &finding.locks {
        for (words, lock) in [("wanted", &locks.wanted), ("held", &locks.held)] {
            if let Some(lock) = lock {
                let taker = lock
                    .at
                    .as_ref()
                    .map_or(String::new(), |at| format!(", taken in {at}"));
                ui.line(&format!("  {words}: {}{taker}", lock.name));
            }
        }
    }
    for line in &finding.excerpt {
        ui.line(&format!("    {line}"));
    }
    ui.line("");
}

fn place(finding: &Finding) -> String {
    let mut words = Vec::new();
    words.extend(wall::times(finding.time, finding.wall));
    words.extend(finding.function.as_ref().map(|function| match &finding.module {
        Some(module) => format!("in {function} [{module}]"),
        None => format!("in {function}"),
    }));
    words.extend(finding.process.as_ref().map(|process| match finding.pid {
        Some(pid) => format!("task {process}/{pid}"),
        None => format!("task {process}"),
    }));
    words.extend(finding.cpu.map(|cpu| format!("CPU {cpu}")));
    words.extend(finding.damaged.then(|| "damaged".to_string()));
    words.extend(finding.panicked.then(|| "the kernel panicked".to_string()));
    words.extend(
        finding
            .lockdep_off
            .then(|| "lockdep is off from here on".to_string()),
    );
    words.iter().map(|word| format!(", {word}")).collect()
}

#[derive(Debug, Serialize)]
struct ScoreAnswer {
    score: Score,
    wrong: Vec<Mark>,
}

/// Judges every file of the folder whose name is a number.
fn run_score(ui: &Ui, folder: &Path) -> Result<Outcome> {
    let mut marks = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_file() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            marks.extend(score::judge(&name, &read(entry.path())?));
        }
    }
    if marks.is_empty() {
        bail!(
            "{}: no logs with expected answers here (their names are numbers)",
            folder.display()
        );
    }
    let score = score::total(&marks);
    let wrong: Vec<Mark> = marks
        .into_iter()
        .filter(|mark| !wrong_answers(mark).is_empty())
        .collect();
    for mark in &wrong {
        ui.line(&format!(
            "{}: wrong {}: {}",
            mark.name,
            wrong_answers(mark).join(", "),
            mark.shown
        ));
    }
    for (words, (right, all)) in [
        ("found where something is wrong", score.positives),
        ("nothing found where nothing is", score.negatives),
        ("kind", score.kinds),
        ("guilty function", score.functions),
        ("damaged or not", score.damaged),
    ] {
        ui.line(&format!(
            "{words}: {right} of {all} ({:.1} %)",
            100.0 * right as f64 / all.max(1) as f64
        ));
    }
    ui.json(&ScoreAnswer { score, wrong })?;
    Ok(Outcome::Success)
}

fn wrong_answers(mark: &Mark) -> Vec<&'static str> {
    let answers = [
        ("found", Some(mark.found)),
        ("kind", mark.kind),
        ("function", mark.function),
        ("damaged", mark.damaged),
    ];
    answers
        .into_iter()
        .filter(|(_, right)| *right == Some(false))
        .map(|(words, _)| words)
        .collect()
}
