//! What a person reads the next morning. Each format is a function from a run's record, with what was captured beside it, to text;
//! [`gather`] reads, [`write_all`] writes, nothing else here touches a file.

pub mod bundle;
pub mod closing;
pub mod ends;
pub mod gather;
pub mod html;
pub mod issue;
pub mod junit;
pub mod log;
pub mod markdown;
pub mod mask;
mod old_records;
pub mod owner;
pub mod printed;
pub mod svg;
pub mod timeline;
pub mod trace;
mod words;

use super::record::{End, RowRecord, RunRecord};
use super::search;
use super::verdict::Verdict;
use crate::host::files;
use anyhow::Result;
pub use ends::{failed, stopped_at};
use gather::Material;
use std::path::{Path, PathBuf};
use words::{bytes, md, md_block, md_cell, minutes, one_line, spent};

/// The report as a web page, in the run's folder.
pub const HTML: &str = "report.html";
/// The report in Markdown, in the run's folder.
pub const MARKDOWN: &str = "report.md";
/// The report for CI, in the run's folder.
pub const JUNIT: &str = "junit.xml";

/// Writes every report of a run into its folder: after each row, so that whoever looks while it runs sees how far it is, and the
/// closing document and the text of an issue once it has ended. Each file is whole or as it was before.
pub fn write_all(folder: &Path, record: &RunRecord) -> Result<()> {
    let material = Material::of(record.clone(), folder);
    for (name, text) in all(&material) {
        files::write_atomic(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Every report of a run: name of its file, and its text.
fn all(material: &Material) -> Vec<(String, String)> {
    let mut reports = vec![
        (MARKDOWN.to_string(), markdown::page(&material.record)),
        (HTML.to_string(), html::page(material)),
        (JUNIT.to_string(), junit::suite(&material.record)),
    ];
    if material.record.end.is_some() {
        reports.push((closing::file_name(material), closing::page(material)));
        reports.extend(issue::text(material).map(|text| (issue::FILE.to_string(), text)));
    }
    reports
}

/// Where the page of the run in `folder` is.
pub fn html_path(folder: &Path) -> PathBuf {
    folder.join(HTML)
}

/// The run in a few lines, for the end of a command.
pub fn summary(run: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    let width = run.rows.iter().map(|row| row.id.len()).max().unwrap_or(0).max(4);
    for row in &run.rows {
        lines.push(format!(
            "{:<width$} {:<18} {:>6}  {}",
            row.id,
            outcome(row).text,
            minutes(row.took_s),
            one_line(&row.title)
        ));
        lines.extend(
            row.taken_from
                .iter()
                .map(|from| format!("     {}", from.sentence())),
        );
        lines.extend(
            row.reasons
                .iter()
                .filter(|_| !row.as_declared)
                .map(|reason| format!("     {reason}")),
        );
        lines.extend(printed::told(row).iter().map(|line| format!("     {line}")));
    }
    let missed = not_reached(run);
    if run.end.is_some() && !missed.is_empty() {
        lines.push(format!("Not reached: {}.", ids(&missed)));
    }
    lines.push(format!("Campaign {}: {}.", run.campaign, end_text(run)));
    lines
}

/// How a row came out, for print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowOutcome {
    /// In words.
    pub text: &'static str,
    /// How it is shown.
    pub tone: Tone,
}

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Proven.
    Good,
    /// What stopped the campaign.
    Bad,
    /// Neither a pass nor a fault.
    Doubt,
    /// Nothing was judged.
    Plain,
}

impl Tone {
    /// Name of its CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Doubt => "doubt",
            Tone::Plain => "plain",
        }
    }
}

/// How a row came out. "Not exercised" is never shown as a pass, declared or not.
pub fn outcome(row: &RowRecord) -> RowOutcome {
    let (text, tone) = match row.verdict {
        None if row.reasons.is_empty() => ("done", Tone::Plain),
        None => ("not finished", Tone::Bad),
        Some(Verdict::Pass) if row.taken_from.is_some() => ("pass (taken over)", Tone::Good),
        Some(Verdict::Pass) => (Verdict::Pass.text(), Tone::Good),
        Some(verdict) if row.as_declared || counts_as_pass(row) => (verdict.text(), Tone::Doubt),
        Some(verdict) => (verdict.text(), Tone::Bad),
    };
    RowOutcome { text, tone }
}

/// Whether a person said that the verdict counts as a pass. What is shown is the original all the same, with that person's words.
fn counts_as_pass(row: &RowRecord) -> bool {
    row.overruled
        .as_ref()
        .is_some_and(|word| word.verdict == Verdict::Pass)
}

/// A person's word on a verdict, in print.
fn overruled(row: &RowRecord) -> Option<String> {
    let word = row.overruled.as_ref()?;
    Some(format!(
        "overruled: counts as {}, says {} ({}): {}",
        word.verdict.text(),
        word.by,
        word.time,
        word.why
    ))
}

/// How the whole run came out.
fn end_tone(run: &RunRecord) -> Tone {
    match run.end {
        Some(End::Success) => Tone::Good,
        Some(End::PartialSuccess) => Tone::Doubt,
        Some(End::Failure | End::PersonNeeded) => Tone::Bad,
        Some(End::Aborted) | None => Tone::Plain,
    }
}

/// The end in words.
fn end_text(run: &RunRecord) -> &'static str {
    run.end.map_or("unfinished", End::text)
}

/// Rows of the plan that were not reached: number and title. A search judges no step: it boots the first so many patches, in rows of its own.
fn not_reached(run: &RunRecord) -> Vec<(&str, &str)> {
    if run.rows.iter().any(|row| search::first_of(&row.id).is_some()) {
        return Vec::new();
    }
    let reached = |id: &str| run.rows.iter().any(|row| row.id == id);
    run.planned
        .iter()
        .filter(|row| !reached(&row.id))
        .map(|row| (row.id.as_str(), row.title.as_str()))
        .collect()
}

fn ids(rows: &[(&str, &str)]) -> String {
    let ids: Vec<&str> = rows.iter().map(|(id, _)| *id).collect();
    ids.join(", ")
}

/// Phases of the whole run with their sums, the longest first.
fn phases(run: &RunRecord) -> Vec<(String, f64)> {
    let mut phases: Vec<(String, f64)> = Vec::new();
    for (name, seconds) in run.rows.iter().flat_map(|row| &row.phases) {
        match phases.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += seconds,
            None => phases.push((name.clone(), *seconds)),
        }
    }
    phases.sort_by(|a, b| b.1.total_cmp(&a.1));
    phases
}

#[cfg(test)]
pub(crate) mod tests;
