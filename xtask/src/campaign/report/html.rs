//! The report as one web page: no network, no script, no font of its own; to be read on a phone, in the dark and on paper.
//!
//! Whatever somebody else wrote goes through [`t`] or [`log`], and the template escapes it once more as HTML.

mod finding;
mod lanes;

use super::gather::{Captured, CapturedFile, Material};
use super::owner;
use super::{
    Tone, bytes, end_text, end_tone, ends, log, minutes, not_reached, one_line, outcome, overruled, phases,
    spent, svg, timeline,
};
use crate::campaign::record::{PatchRecord, RowRecord, RunRecord};
use crate::kernel::kconfig::{self, Difference};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::path::Path;

const STYLE: &str = include_str!("style.css");

/// Lines of one configuration's difference that are shown.
const DIFFERENCES: usize = 200;

/// The whole page.
pub fn page(material: &Material) -> String {
    let run = &material.record;
    let title = format!("{}: {}", one_line(&run.campaign), end_text(run));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing that is ever in this page may load or run anything.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(material))
                main {
                    (conclusion(run))
                    section { h2 { "Timeline" } (lanes::timeline(run, &timeline::of(run))) }
                    (steps(run))
                    @for (at, row) in run.rows.iter().enumerate() {
                        (details(material, at, row))
                    }
                    (times(run))
                }
                (footer())
            }
        }
    };
    page.into_string()
}

/// Data on one line.
fn t(text: &str) -> String {
    one_line(text)
}

fn header(material: &Material) -> Markup {
    let run = &material.record;
    let took: f64 = run.rows.iter().map(|row| row.took_s).sum();
    let facts = [
        ("Board", t(&run.board)),
        ("Tree", t(&run.tree)),
        ("Debug kernel", t(&run.release)),
        ("Started", t(started(run))),
        ("Took", minutes(took)),
        ("Run", format!("no. {} of this campaign here", material.attempt)),
    ];
    html! {
        header.(end_tone(run).class()) {
            p.kind { "Lockstep campaign" }
            h1 { (t(&run.campaign)) " " span.badge.(end_tone(run).class()) { (end_text(run)) } }
            p.goal { (t(&run.goal)) }
            dl.facts {
                @for (name, value) in &facts {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

/// Without fractions of a second, which nobody reads.
fn started(run: &RunRecord) -> &str {
    run.started.split_once('.').map_or(&run.started, |(head, _)| head)
}

fn conclusion(run: &RunRecord) -> Markup {
    let (what, next) = (ends::meaning(run), ends::next(run));
    let missed = not_reached(run);
    let declared: Vec<&RowRecord> = run.rows.iter().filter(|row| row.as_declared).collect();
    html! {
        section.conclusion {
            h2 { "What came of it" }
            p { (what) }
            @for row in ends::failed(run) {
                p.stopped {
                    "Step " a href=(anchor(row)) { (t(&row.id)) " " (t(&row.title)) } " " (ends::came_of(run, row)) ": "
                    strong { (outcome(row).text) } "."
                }
                ul { @for reason in &row.reasons { li { (code_in(reason)) } } }
            }
            @if !declared.is_empty() {
                p {
                    "Not exercised, as the campaign declares: "
                    @for (at, row) in declared.iter().enumerate() {
                        @if at > 0 { ", " } (t(&row.id))
                    }
                    ". Built, booted and loaded, but nothing on this board runs their code. That is no pass."
                }
            }
            @if run.end.is_some() && !missed.is_empty() {
                p { "Not reached: " (t(&super::ids(&missed))) "." }
            }
            @if !next.is_empty() {
                h3 { "What comes next" }
                ul { @for line in &next { li { (code_in(&line.to_string())) } } }
            }
        }
    }
}

/// Words with `commands` in them set as code.
fn code_in(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (t(part)) } } @else { (t(part)) }
        }
    }
}

fn anchor(row: &RowRecord) -> String {
    format!("#step-{}", slug(&row.id))
}

/// A step's number as an identifier.
fn slug(id: &str) -> String {
    id.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

fn steps(run: &RunRecord) -> Markup {
    let seconds = run.rows.iter().flat_map(|row| [row.took_s, row.estimated_s]);
    let longest = seconds.fold(1.0, f64::max);
    let sum = |of: fn(&RowRecord) -> f64| minutes(run.rows.iter().map(of).sum());
    html! {
        section {
            h2 { "Steps and verdicts" }
            table.steps {
                thead { tr {
                    th { "Step" } th { "What" } th { "Verdict" } th.number { "Measured" } th.number { "Estimated" }
                    th.bar { "" }
                } }
                tbody {
                    @for row in &run.rows {
                        tr {
                            td { a href=(anchor(row)) { (t(&row.id)) } }
                            td.what { (t(&row.title)) }
                            td { span.badge.(outcome(row).tone.class()) { (outcome(row).text) } }
                            td.number { (minutes(row.took_s)) }
                            td.number.estimated title=(row.estimated_from.text()) { (minutes(row.estimated_s)) }
                            td.bar { (svg::measured(row, longest)) }
                        }
                    }
                    @for (id, title) in not_reached(run) {
                        tr.missed {
                            td { (t(id)) } td.what { (t(title)) }
                            td { span.badge.plain { "not reached" } } td {} td {} td.bar {}
                        }
                    }
                }
                tfoot { tr {
                    td {} td.what { "all" } td {} td.number { (sum(|row| row.took_s)) }
                    td.number.estimated { (sum(|row| row.estimated_s)) } td.bar {}
                } }
            }
            p.note { (sources(run)) span.of-bars { " The mark in each bar is the estimate." } }
        }
    }
}

/// Where the estimates are from.
fn sources(run: &RunRecord) -> String {
    let mut known: Vec<String> = Vec::new();
    for row in &run.rows {
        let text = row.estimated_from.text();
        if !known.contains(&text) {
            known.push(text);
        }
    }
    format!("Estimates are {}.", known.join(" or "))
}

fn details(material: &Material, at: usize, row: &RowRecord) -> Markup {
    let nothing = Captured::default();
    let captured = material.captured.get(at).unwrap_or(&nothing);
    let patches = owner::patches(&material.record, at);
    let outcome = outcome(row);
    html! {
        section.step id=(format!("step-{}", slug(&row.id))) {
            h2 { (t(&row.id)) " " (t(&row.title)) " " span.badge.(outcome.tone.class()) { (outcome.text) } }
            @if let Some(word) = overruled(row) { p.stopped { (t(&word)) } }
            @if !row.reasons.is_empty() {
                ul.reasons { @for reason in &row.reasons { li { (code_in(reason)) } } }
            }
            @for (index, finding) in row.findings.iter().enumerate() {
                (finding::block(finding, &patches, captured.graphs.get(index).and_then(Option::as_deref)))
            }
            @if let Some(patch) = &row.patch { (patch_facts(patch)) }
            @if !row.facts.is_empty() {
                // What went well is there, but not in the way.
                details.facts open[outcome.tone == Tone::Bad] {
                    summary { "Facts: " (row.facts.len()) }
                    ul { @for fact in &row.facts { li { (code_in(&t(fact))) } } }
                }
            }
            @if !row.exercised.is_empty() {
                p { "Ran: "
                    @for (index, (function, count)) in row.exercised.iter().enumerate() {
                        @if index > 0 { ", " } code { (t(function)) } " " (count) " times"
                    }
                }
            }
            (tests(row))
            (config(material, at))
            (phase_list(row))
            (log_block(captured))
            (files(captured))
        }
    }
}

fn patch_facts(patch: &PatchRecord) -> Markup {
    html! {
        p.patch {
            "Patch " strong { (t(&patch.name)) } ", " (t(&patch.subject)) ", as commit "
            code { (t(patch.commit.get(..12).unwrap_or(&patch.commit))) } ", in "
            @for (at, file) in patch.files.iter().enumerate() {
                @if at > 0 { ", " } code { (t(file)) }
            }
            "."
        }
    }
}

fn tests(row: &RowRecord) -> Markup {
    html! {
        @if !row.tests.is_empty() {
            div.scroll { table {
                thead { tr { th { "Smoke test" } th.number { "Exit" } th { "Output" } th { "Result" } } }
                tbody {
                    @for test in &row.tests {
                        tr {
                            td { (t(&test.name)) }
                            td.number { (test.exit) }
                            td { @match &test.output {
                                Some((size, hash)) => { (bytes(*size)) ", " code title=(t(hash)) { (short(hash)) } }
                                None => { "none" }
                            } }
                            td { @match &test.failure {
                                Some(why) => { span.badge.bad { "failed" } " " (t(why)) }
                                None => { "as expected" }
                            } }
                        }
                    }
                }
            } }
            @for test in row.tests.iter().filter(|test| !test.printed.trim().is_empty()) {
                details open[test.failure.is_some()] {
                    summary { "What " (t(&test.name)) " printed" } pre { (log::shown(&test.printed)) }
                }
            }
        }
    }
}

/// The beginning of a hash: enough to see that two differ.
fn short(hash: &str) -> String {
    let text = t(hash);
    match text.char_indices().nth(12) {
        Some(_) => format!("{text:.12}…"),
        None => text,
    }
}

/// What this row's configuration has that the one before did not.
fn config(material: &Material, at: usize) -> Markup {
    let of = |at: usize| {
        material
            .captured
            .get(at)
            .and_then(|captured| captured.config.as_deref())
    };
    let before = (0..at)
        .rev()
        .find_map(|earlier| of(earlier).map(|text| (earlier, text)));
    let (Some(now), Some((earlier, before))) = (of(at), before) else {
        return html! {};
    };
    let differences: Vec<Difference> = kconfig::diff(before, now);
    let earlier = material
        .record
        .rows
        .get(earlier)
        .map_or(String::new(), |row| t(&row.id));
    html! {
        @if differences.is_empty() {
            p.note { "The configuration is that of step " (earlier) "." }
        } @else {
            details {
                summary { "Configuration: " (crate::ui::count(differences.len(), "symbol")) " differ from step " (earlier) }
                pre {
                    @for difference in differences.iter().take(DIFFERENCES) {
                        (t(&difference.to_string())) "\n"
                    }
                    @if differences.len() > DIFFERENCES {
                        (format!("… and {} more", differences.len().saturating_sub(DIFFERENCES)))
                    }
                }
            }
        }
    }
}

fn phase_list(row: &RowRecord) -> Markup {
    html! {
        @if !row.phases.is_empty() {
            p.note { "Time: "
                @for (index, (phase, seconds)) in row.phases.iter().enumerate() {
                    @if index > 0 { ", " } (t(phase)) " " (spent(*seconds))
                }
            }
        }
        @if !row.ahead.is_empty() {
            p.note { "Done before it began, while the board tested the row before (no time of this one): "
                @for (index, (phase, seconds)) in row.ahead.iter().enumerate() {
                    @if index > 0 { ", " } (t(phase)) " " (spent(*seconds))
                }
            }
        }
    }
}

fn log_block(captured: &Captured) -> Markup {
    let Some(excerpt) = &captured.log else {
        return html! {};
    };
    html! {
        details.log {
            summary { "Log: " (name(&excerpt.path)) ", " (bytes(excerpt.size)) }
            p.note { a href=(href(&excerpt.path)) { "The whole file" } }
            @for section in &excerpt.sections {
                details open {
                    summary { (section.title) ", " (crate::ui::count(section.text.lines().count(), "line")) }
                    pre { (section.text) }
                }
            }
        }
    }
}

fn name(path: &str) -> String {
    t(Path::new(path)
        .file_name()
        .map_or(path, |name| name.to_str().unwrap_or(path)))
}

/// A path below the run's folder as a relative address: nothing in it can be read as a scheme (RFC 3986, section 4.2).
fn href(path: &str) -> String {
    let mut address = String::from("./");
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => address.push(byte.into()),
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address
}

fn files(captured: &Captured) -> Markup {
    html! {
        @if !captured.files.is_empty() {
            details {
                summary { "Captured: " (crate::ui::count(captured.files.len(), "file")) }
                div.scroll { table.files {
                    thead { tr { th { "File" } th.number { "Size" } th { "SHA-256" } } }
                    tbody { @for file in &captured.files { (file_row(file)) } }
                } }
            }
        }
        @for unread in &captured.unread { p.note { "Not read: " (t(unread)) } }
    }
}

fn file_row(file: &CapturedFile) -> Markup {
    html! {
        tr {
            td { a href=(href(&file.path)) { (t(&file.path)) } }
            td.number { (bytes(file.size)) }
            td { code { (t(&file.sha256)) } }
        }
    }
}

fn times(run: &RunRecord) -> Markup {
    let phases = phases(run);
    let longest = phases.first().map_or(1.0, |(_, seconds)| *seconds);
    html! {
        @if !phases.is_empty() {
            section {
                h2 { "Where the time went" }
                table.phases { tbody {
                    @for (name, seconds) in &phases {
                        tr {
                            td { (t(name)) } td.number { (spent(*seconds)) }
                            td.bar { progress max=(format!("{longest:.1}")) value=(format!("{seconds:.1}")) {} }
                        }
                    }
                } }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            "Beside this page: " a href=(href(super::MARKDOWN)) { "report.md" } ", " a href="./run.json" { "run.json" } ", "
            a href="./journal.jsonl" { "journal.jsonl" } ", " a href=(href(super::JUNIT)) { "junit.xml" }
            ". Made by lockstep " (env!("CARGO_PKG_VERSION")) "."
        }
    }
}

#[cfg(test)]
mod tests;
