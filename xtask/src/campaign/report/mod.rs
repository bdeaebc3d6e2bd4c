//! What a person reads the next morning. Each format is a function from a run's record, with what was captured beside it, to text;
//! [`gather`] reads, [`write_all`] writes, nothing else here touches a file.

pub mod bundle;
pub mod closing;
pub mod gather;
pub mod html;
pub mod issue;
pub mod junit;
pub mod log;
pub mod markdown;
pub mod mask;
pub mod owner;
pub mod svg;
pub mod timeline;
pub mod trace;

use super::escalation;
use super::record::{End, RowRecord, RunRecord};
use super::verdict::Verdict;
use crate::host::files;
use crate::ui;
use anyhow::Result;
use gather::Material;
use std::fmt::Write;
use std::path::{Path, PathBuf};

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
    for row in &run.rows {
        let title: String = one_line(&row.title).chars().take(64).collect();
        lines.push(format!(
            "{:<4} {:<18} {:>6}  {title}",
            row.id,
            outcome(row).text,
            minutes(row.took_s)
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
    }
    let missed = not_reached(run);
    if run.end.is_some() && !missed.is_empty() {
        lines.push(format!("Not reached: {}.", ids(&missed)));
    }
    lines.extend(escalation::offer(run));
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

/// The row that stopped the campaign.
pub fn stopped_at(run: &RunRecord) -> Option<&RowRecord> {
    run.rows.iter().find(|row| outcome(row).tone == Tone::Bad)
}

/// Rows of the plan that were not reached: number and title.
fn not_reached(run: &RunRecord) -> Vec<(&str, &str)> {
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

/// What the end means for the person who reads it, and what comes next (plan.md, "Ends").
fn meaning(run: &RunRecord) -> (String, Vec<String>) {
    let (mut what, mut next) = meaning_of_end(run);
    for sentence in escalation::told(run) {
        what.push(' ');
        what.push_str(&one_line(&sentence));
    }
    next.extend(escalation::offer(run));
    (what, next)
}

fn meaning_of_end(run: &RunRecord) -> (String, Vec<String>) {
    let stopped = stopped_at(run).map_or(String::new(), |row| {
        let patch = row.patch.as_ref().map_or(row.title.as_str(), |patch| &patch.name);
        format!("step {} ({})", row.id, one_line(patch))
    });
    match run.end {
        Some(End::Success) => (
            "Every step has the verdict that the campaign asks of it. Vanilla runs and is the default.".into(),
            vec!["The next investigation may start: the debug kernel with the whole series stays in the tree.".into()],
        ),
        Some(End::PartialSuccess) => (
            format!("The patches before {stopped} passed; that one was taken back, and only that one. Vanilla runs and is the default."),
            vec![
                "Mend the patch, or leave it out and keep the earlier ones as a control.".into(),
                "The text of an issue is ready: `cargo xtask report --format issue`.".into(),
            ],
        ),
        Some(End::Failure) => (
            format!("The campaign failed at {stopped}: no patch has passed. Vanilla runs and is the default."),
            vec!["The text of an issue is ready: `cargo xtask report --format issue`.".into()],
        ),
        Some(End::PersonNeeded) => (
            "The board or the tree is not in a state that is known to be safe. Nothing more was tried.".into(),
            vec![
                "Look at the board. What to do when it does not come back is on its rescue card, which pre-flight names below.".into(),
            ],
        ),
        Some(End::Aborted) => (
            "A person gave it up. Every patch was taken back; vanilla runs and is the default.".into(),
            Vec::new(),
        ),
        None => ("The run has not ended, or was killed before it could say so.".into(), Vec::new()),
    }
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

/// `1:05` for 65 s, `2:03:00` from an hour on.
fn minutes(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds % 3600 / 60,
            seconds % 60
        ),
    }
}

/// How long a phase took: `5.2 s`, from a minute on `1:05`.
fn spent(seconds: f64) -> String {
    if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        minutes(seconds)
    }
}

/// `12.5 kB` for 12 500 bytes.
fn bytes(size: u64) -> String {
    match size {
        0..1000 => format!("{size} bytes"),
        1000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        _ => format!("{:.1} MB", size as f64 / 1e6),
    }
}

/// Data on one line, harmless on a terminal.
fn one_line(text: &str) -> String {
    ui::visible(text).replace(['\n', '\t'], " ")
}

/// Data on one line of Markdown: nothing in it begins a tag, a link, an image or code. What stays is as readable as it was.
fn md(text: &str) -> String {
    let mut escaped = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '<' | '[' | '`' | '*') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Data in one cell of a Markdown table.
fn md_cell(text: &str) -> String {
    md(text).replace('|', "\\|")
}

/// Lines of a log as a block of code in Markdown: indented, not fenced, so that nothing in them can end it.
fn md_block(text: &str) -> String {
    let mut block = String::new();
    for line in ui::plain(text).lines() {
        let _ = writeln!(block, "    {line}");
    }
    block
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::campaign::record::{
        Closing, DecodedFrame, DecodedPlace, FindingRecord, PatchRecord, PlannedRow, SCHEMA_VERSION,
        SourcePlace,
    };
    use crate::campaign::smoke::SmokeResult;
    use crate::campaign::stopwatch::Span;
    use crate::kernel::symbolise::touched::Mark;

    /// A run of these rows.
    pub fn run(rows: Vec<RowRecord>) -> RunRecord {
        RunRecord {
            schema_version: SCHEMA_VERSION,
            campaign: "small".into(),
            goal: "Find out.".into(),
            board: "virtual".into(),
            tree: "7.3.4 at 8e39453d8690".into(),
            release: "7.3.4-lockdep".into(),
            started: "2026-01-01T00:00:00Z".into(),
            end: Some(End::PartialSuccess),
            rows,
            closing: Closing {
                file: "small_close.md".into(),
                ..Closing::default()
            },
            planned: vec![PlannedRow {
                id: "2.3".into(),
                title: "0009 never reached".into(),
            }],
        }
    }

    /// A step that stopped the campaign with a lock-order inversion in its own function.
    pub fn regression() -> RowRecord {
        RowRecord {
            id: "2.2".into(),
            title: "0008 a | b".into(),
            verdict: Some(Verdict::Regression),
            reasons: vec!["lock_a against lock_b".into()],
            started: "2026-01-01T00:01:00Z".into(),
            took_s: 65.0,
            estimated_s: 120.0,
            phases: vec![("build".into(), 20.0), ("boot the debug kernel".into(), 40.0)],
            spans: vec![
                Span {
                    phase: "build".into(),
                    from_s: 1.0,
                    to_s: 21.0,
                },
                Span {
                    phase: "boot the debug kernel".into(),
                    from_s: 22.0,
                    to_s: 62.0,
                },
            ],
            patch: Some(PatchRecord {
                name: "0008".into(),
                subject: "media: vim2m: take b".into(),
                commit: "c7cbfd157255405a133bf3ae08b61eaa8ae30ca4".into(),
                sha256: "352c1c".into(),
                author: "A B <a@b.example>".into(),
                files: vec!["drivers/media/test-drivers/vim2m.c".into()],
                functions: vec!["take_b".into()],
                modules: vec!["vim2m".into()],
            }),
            tests: vec![SmokeResult {
                name: "stream".into(),
                run: "set -e\nv4l2-ctl --stream-mmap".into(),
                exit: 0,
                printed: "ok".into(),
                output: Some((12, "ab".repeat(32))),
                failure: None,
            }],
            findings: vec![FindingRecord {
                title: "possible circular locking dependency".into(),
                severity: "error".into(),
                source: "serial".into(),
                excerpt: "WARNING: possible circular\n```\nlock_a\nCall trace:\n take_b+0x10/0x20 [vim2m] (P)\n other+0x1/0x2 [vim2m]\n device_run+0x1/0x2".into(),
                decoded: vec![DecodedFrame {
                    line: 4,
                    frame: "take_b+0x10/0x20".into(),
                    places: vec![DecodedPlace::Source(SourcePlace {
                        file: "drivers/media/test-drivers/vim2m.c".into(),
                        line: Some(612),
                        function: "take_b".into(),
                        mark: Some(Mark::Line),
                        code: Some("spin_lock(&ctx->b);".into()),
                        ..SourcePlace::default()
                    })],
                }],
            }],
            ..RowRecord::default()
        }
    }

    /// Text that tries to get out of every format.
    pub const HOSTILE: &str =
        "</pre><script>alert(1)</script>\x1b[2J\x1b]0;t\x07\u{202e}]]>&\"'`|![x](http://x)\0\u{ffff}<!--";

    /// A run in which every text that somebody else wrote is hostile.
    pub fn hostile() -> RunRecord {
        let bad = || HOSTILE.to_string();
        let mut row = regression();
        row.title = bad();
        row.reasons = vec![bad()];
        row.facts = vec![bad()];
        row.exercised = vec![(bad(), 1)];
        row.evidence = Some(HOSTILE.into());
        row.phases.push((bad(), 1.0));
        row.spans[0].phase = bad();
        row.tests[0].name = bad();
        row.tests[0].run = bad();
        row.load = vec![bad()];
        row.tests[0].printed = bad();
        row.tests[0].failure = Some(bad());
        row.tests[0].output = Some((1, bad()));
        row.findings[0].title = bad();
        row.findings[0].source = bad();
        row.findings[0].excerpt = format!("{HOSTILE}\n take_b+0x10/0x20 {HOSTILE}\n```\n# x");
        row.findings[0].decoded = vec![DecodedFrame {
            line: 1,
            frame: "take_b+0x10/0x20".into(),
            places: vec![
                DecodedPlace::Source(SourcePlace {
                    file: bad(),
                    function: bad(),
                    code: Some(bad()),
                    mark: Some(Mark::Line),
                    ..SourcePlace::default()
                }),
                DecodedPlace::Note(bad()),
            ],
        }];
        let patch = row.patch.as_mut().unwrap();
        (patch.name, patch.subject, patch.commit, patch.author) = (bad(), bad(), bad(), bad());
        patch.files = vec![bad()];
        patch.modules = vec![bad()];
        let mut run = run(vec![row]);
        (run.campaign, run.goal, run.board) = (bad(), bad(), bad());
        (run.tree, run.release, run.started) = (bad(), bad(), bad());
        run.planned[0].title = bad();
        run
    }

    /// No character that a terminal, a browser or an editor obeys instead of showing it.
    pub fn check_characters(text: &str) {
        for c in text.chars() {
            let harmless = c == '\n' || c == '\t' || !c.is_control();
            assert!(harmless && !ui::is_invisible(c), "{c:?} in\n{text}");
        }
    }

    #[test]
    fn times_and_sizes_are_as_a_person_says_them() {
        assert_eq!(minutes(65.4), "1:05");
        assert_eq!(minutes(3725.0), "1:02:05");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(12_500), "12.5 kB");
    }

    #[test]
    fn not_exercised_is_no_pass_even_where_it_is_declared() {
        let mut row = RowRecord {
            verdict: Some(Verdict::NotExercised),
            as_declared: true,
            ..RowRecord::default()
        };
        assert_eq!(outcome(&row).tone, Tone::Doubt);
        row.as_declared = false;
        assert_eq!(outcome(&row).tone, Tone::Bad);
    }

    #[test]
    fn a_person_s_word_stands_beside_the_original_verdict() {
        let mut row = regression();
        row.overruled = Some(crate::campaign::record::Overruled {
            verdict: Verdict::Pass,
            by: "Dana <b>".into(),
            why: "known".into(),
            time: "2026-01-02T00:00:00Z".into(),
        });
        let run = run(vec![row]);
        assert!(stopped_at(&run).is_none());
        let page = html::page(&Material::of(run.clone(), Path::new("/does/not/exist")));
        let word = "overruled: counts as pass, says Dana &lt;b&gt; (2026-01-02T00:00:00Z): known";
        assert!(
            page.contains(word) && page.contains(">regression</span>"),
            "{page}"
        );
        assert!(markdown::page(&run).contains("overruled: counts as pass, says Dana \\<b>"));
        assert!(junit::suite(&run).contains("<skipped message=\"regression, overruled: counts as pass"));
    }

    #[test]
    fn every_report_of_a_run_is_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = run(vec![regression()]);
        write_all(folder.path(), &record).unwrap();
        for name in [MARKDOWN, HTML, JUNIT, issue::FILE, "small_close.md"] {
            assert!(folder.path().join(name).metadata().unwrap().len() > 100, "{name}");
        }
        let running = tempfile::tempdir().unwrap();
        record.end = None;
        write_all(running.path(), &record).unwrap();
        assert!(
            !running.path().join("small_close.md").exists(),
            "it has not ended"
        );
    }

    #[test]
    fn a_result_of_an_earlier_run_is_told_as_such_everywhere() {
        let from = crate::campaign::record::TakenFrom {
            boots: vec![crate::campaign::record::EarlierBoot {
                run: "20260101T090000".into(),
                when: "2026-01-01T09:00:00Z".into(),
            }],
        };
        let sentence = from.sentence();
        assert_eq!(
            sentence,
            "taken from run 20260101T090000 of 2026-01-01T09:00: same build, same board, same tests; it was not booted in this run"
        );
        let row = RowRecord {
            id: "1.8".into(),
            verdict: Some(Verdict::Pass),
            facts: vec![sentence.clone()],
            taken_from: Some(from),
            ..RowRecord::default()
        };
        let run = run(vec![row]);
        assert!(stopped_at(&run).is_none());
        let told = summary(&run).join("\n");
        assert!(
            told.contains("1.8  pass (taken over)") && told.contains(&sentence),
            "{told}"
        );
        let page = html::page(&Material::of(run.clone(), Path::new("/does/not/exist")));
        for text in [page, markdown::page(&run)] {
            assert!(
                text.contains("pass (taken over)") && text.contains(&sentence),
                "{text}"
            );
        }
        let junit = junit::suite(&run);
        assert!(
            junit.contains(&format!("<skipped message=\"pass (taken over), {sentence}\"/>")),
            "what this run did not boot it did not test: {junit}"
        );
    }

    #[test]
    fn what_is_told_at_the_end_names_what_was_not_reached() {
        let text = summary(&run(vec![regression()])).join("\n");
        assert!(text.contains("2.2  regression"), "{text}");
        assert!(text.contains("Not reached: 2.3."), "{text}");
    }

    #[test]
    fn markdown_cannot_be_left() {
        assert_eq!(md("<b> [x](y) a_b `c`"), "\\<b> \\[x](y) a_b \\`c\\`");
        assert_eq!(md_block("a\n```\n\x1b[1mb"), "    a\n    ```\n    b\n");
    }
}
