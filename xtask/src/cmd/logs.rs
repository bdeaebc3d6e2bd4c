//! `cargo xtask logs`: what the kernel complained about in logs of any source.

use super::Context;
use crate::campaign::{hints, wall_time};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::kernel::patch::Patch;
use crate::kernel::symbolise::touched::Touched;
use crate::ui::Ui;
use anyhow::{Context as _, Result, bail};
use kernel_log::baseline::{self, Comparison, Signature};
use kernel_log::baseline_file;
use kernel_log::completeness::{Completeness, Lockdep};
use kernel_log::finding::Finding;
use kernel_log::firmware::FirmwareError;
use kernel_log::kind::Severity;
use kernel_log::record::{self, Loss};
use kernel_log::scan::{Scan, Scanned};
use kernel_log::suspect::Hints;
use kernel_log::understood::Understood;
use kernel_log::unpack::{self, Packed};
use kernel_log::wall;
use serde::{Deserialize, Serialize};
use std::io::Read;
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
  cargo xtask logs --patch 0005-fences.patch --symbols build/Module.symvers serial.log

Formats are recognised: serial captures, dmesg in all its forms, /dev/kmsg, netconsole, journalctl -k in all its forms, syslog (RFC 3164 and
5424), logcat, LAVA, pstore records; with the time stamps of terminals and CI systems, quoted in a mail, copied out of a page. gz, xz, zst, bz2,
zlib, zip and tar are unpacked; a folder means its files; `-` is standard input. Beside the time since boot a finding has its wall time
where the log has it with its zone, or where FILE.index (a recorder's) or FILE.began (a harvest's) lies beside it.

Exit code 0: no finding of severity error (with --baseline: nothing new and nothing much more frequent).
Exit code 3: there is one. Exit code 4: no kernel records were recognised in an input, or call traces without a report: silence there proves
nothing. Exit code 1: a file cannot be read.")]
pub struct Logs {
    /// Kernel logs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Show only what this log, or this output of `logs --json`, does not have
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Look first at the functions that this patch touches; may be repeated
    #[arg(long, value_name = "PATCH")]
    patch: Vec<PathBuf>,
    /// The kernel's Module.symvers or System.map: whoever called an exported helper is looked at before it
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,
    /// Print only the line that names each finding, without its excerpt
    #[arg(short, long)]
    quiet: bool,
}

/// What one file gave.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    file: String,
    format: record::Format,
    /// Whether a kernel's log was recognised.
    understood: Understood,
    completeness: Completeness,
    lockdep: Lockdep,
    findings: Vec<Finding>,
    /// Errors of firmware before a kernel ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    firmware: Vec<FirmwareError>,
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
        let baseline = self.baseline.as_deref().map(read_baseline).transpose()?;
        let hints = self.hints()?;
        let mut reports = Vec::new();
        for file in &self.files {
            reports.extend(examine(file, baseline.as_deref(), &hints)?);
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
        let understood = reports.iter().all(|report| report.understood == Understood::Yes);
        Ok(match (failed, understood) {
            (true, _) => Outcome::CheckFailed,
            (false, false) => Outcome::NotUnderstood,
            (false, true) => Outcome::Success,
        })
    }
}

impl Logs {
    /// What is known besides the logs. Errors: a patch or the symbols cannot be read.
    fn hints(&self) -> Result<Hints> {
        let mut touched = Touched::default();
        for patch in &self.patch {
            touched.add(&Patch::read(patch)?.files);
        }
        let mut hints = hints::of_patches(&touched);
        if let Some(symbols) = &self.symbols {
            hints::add_symbols(&mut hints, symbols)?;
        }
        Ok(hints)
    }
}

/// A log, its name and what was found in it.
struct Examined {
    name: String,
    packed: Packed,
    scanned: Scanned,
}

/// Reads each log of a file, of an archive or of a folder, block by block, and gives it to `take`.
fn each(input: &Path, take: &mut dyn FnMut(Examined) -> Result<()>) -> Result<()> {
    let mut visit = |name: &str, packed: Packed, source: &mut dyn Read| {
        let scanned = scan(name, source).with_context(|| format!("reading {name}"))?;
        let name = name.to_string();
        take(Examined {
            name,
            packed,
            scanned,
        })
    };
    if input == Path::new("-") {
        return unpack::stream("-", &mut std::io::stdin().lock(), &mut visit);
    }
    for path in files(input)? {
        let name = path.display().to_string();
        let mut file = bounded::open(&path).map_err(|error| {
            match path.metadata().is_ok_and(|found| !found.is_file()) {
                true => error.context("`-` reads standard input, which may be a pipe"),
                false => error,
            }
        })?;
        unpack::file(&name, &mut file, &mut visit)?;
    }
    Ok(())
}

/// A file itself; of a folder all files but those that lie beside a log and say when it was written.
fn files(input: &Path) -> Result<Vec<PathBuf>> {
    if !input.is_dir() {
        return Ok(vec![input.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(input).sort_by_file_name() {
        let entry = entry.with_context(|| format!("listing {}", input.display()))?;
        let path = entry.path();
        let aside = path
            .extension()
            .is_some_and(|end| end == "index" || end == "began")
            && path.with_extension("").exists();
        if entry.file_type().is_file() && !aside {
            files.push(path.to_path_buf());
        }
    }
    if files.is_empty() {
        bail!("{}: there are no files in this folder", input.display());
    }
    Ok(files)
}

/// Reads a log of any length, block by block.
fn scan(name: &str, source: &mut dyn Read) -> std::io::Result<Scanned> {
    let mut scan = Scan::new(name);
    let mut block = vec![0; BLOCK];
    loop {
        match source.read(&mut block) {
            Ok(0) => return Ok(scan.finish()),
            Ok(length) => scan.push(block.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The findings of a file, of an archive or of a folder. Errors: it cannot be read, or is not a kernel's log.
pub fn findings(input: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    each(input, &mut |examined| {
        if let Some(problem) = examined.scanned.understood.problem() {
            bail!("{}: {problem}", examined.name);
        }
        findings.extend(examined.scanned.findings);
        Ok(())
    })?;
    Ok(findings)
}

fn examine(input: &Path, baseline: Option<&[Finding]>, hints: &Hints) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    each(input, &mut |Examined {
                          name,
                          packed,
                          mut scanned,
                      }| {
        if packed == Packed::No && name != "-" {
            wall_time::date(&mut scanned.findings, Path::new(&name))?;
        }
        for finding in &mut scanned.findings {
            finding.suspect = hints.suspect(finding);
        }
        reports.push(Report {
            file: name,
            format: scanned.format,
            understood: scanned.understood,
            completeness: scanned.completeness,
            lockdep: scanned.lockdep,
            comparison: baseline.map(|baseline| baseline::compare(baseline, &scanned.findings)),
            findings: scanned.findings,
            firmware: scanned.firmware,
            untold: scanned.untold,
        });
        Ok(())
    })?;
    if reports.is_empty() {
        bail!("{}: there is no file in this archive", input.display());
    }
    Ok(reports)
}

/// Findings of a baseline: a log, or the JSON that this command printed for one or more.
fn read_baseline(file: &Path) -> Result<Vec<Finding>> {
    let Some(object) = saved(file)? else {
        return findings(file);
    };
    let version = object.get("schema_version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(crate::ui::SCHEMA_VERSION)) {
        bail!(
            "{}: schema_version is {}, this program reads {}: write the baseline again with `cargo xtask --json logs FILE`",
            file.display(),
            object.get("schema_version").unwrap_or(&serde_json::Value::Null),
            crate::ui::SCHEMA_VERSION
        );
    }
    let saved: Saved = serde_json::from_value(object).with_context(|| {
        format!(
            "{}: this is not output of `cargo xtask --json logs FILE`",
            file.display()
        )
    })?;
    Ok(saved.files.into_iter().flat_map(|file| file.findings).collect())
}

/// The object, if the file holds one with a schema version.
fn saved(file: &Path) -> Result<Option<serde_json::Value>> {
    if file == Path::new("-") || file.is_dir() {
        return Ok(None);
    }
    let doing = || format!("reading {}", file.display());
    let mut first = [0];
    let length = std::fs::File::open(file)
        .and_then(|mut file| file.read(&mut first))
        .with_context(doing)?;
    if length == 0 || first != *b"{" {
        return Ok(None);
    }
    let bytes = std::fs::read(file).with_context(doing)?;
    let object = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
    Ok(object.filter(|object| object.get("schema_version").is_some()))
}

fn print(ui: &Ui, report: &Report, detail: Detail) {
    ui.line(&format!("{}: {}", report.file, headline(report)));
    if !report.firmware.is_empty() {
        ui.line(&format!(
            "  {} errors of firmware, before a kernel ran:",
            report.firmware.len()
        ));
    }
    for error in &report.firmware {
        ui.line(&format!("    line {}: {}", error.line, error.text));
    }
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
    let warnings = report.findings.len().saturating_sub(errors);
    let boots = report.completeness.boots;
    let several = if boots > 1 {
        format!(", {boots} boots")
    } else {
        String::new()
    };
    // "0 errors" is what was read, and nothing else.
    if let Some(problem) = report.understood.problem() {
        return match warnings {
            0 => format!("not understood: {problem}"),
            _ => format!("not understood: {problem}; {warnings} warnings{several}"),
        };
    }
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
        format!(", {} times more", finding.times.saturating_sub(1))
    } else {
        String::new()
    };
    ui.line(&format!(
        "{severity}: {} [{}] {}{times}",
        finding.title,
        finding.kind.name(),
        baseline_file::id(&Signature::of(finding))
    ));
    if let Some(suspect) = &finding.suspect {
        ui.line(&format!("  look first at {suspect}"));
    }
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
