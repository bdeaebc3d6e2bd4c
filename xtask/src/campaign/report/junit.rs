//! The run for a CI system, in the XML that they all read (Jenkins' JUnit schema, as nextest and pytest write it too).

use super::{Tone, end_text, one_line, outcome, overruled};
use crate::campaign::record::{RowRecord, RunRecord, TakenFrom};
use crate::campaign::verdict::Verdict;
use crate::ui;
use std::fmt::Write;

/// One test suite with a test case for each row of the plan. A row that is *not exercised*, as the campaign declares, and one that was not
/// reached are skipped, never passed, and so is a baseline that was taken from an earlier run; what could not be finished is an error.
pub fn suite(run: &RunRecord) -> String {
    let mut cases = String::new();
    let mut counts = Counts::default();
    for row in &run.rows {
        cases.push_str(&case(run, row, &mut counts));
    }
    for (id, title) in super::not_reached(run) {
        counts.skipped = counts.skipped.saturating_add(1);
        let _ = writeln!(
            cases,
            "    <testcase classname=\"{}\" name=\"{} {}\" time=\"0\">\n      \
             <skipped message=\"not reached\"/>\n    </testcase>",
            class(run),
            xml(id),
            xml(title)
        );
    }
    let tests = run.rows.len().saturating_add(super::not_reached(run).len());
    let seconds: f64 = run.rows.iter().map(|row| row.took_s).sum();
    let counted = format!(
        "tests=\"{tests}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\"",
        counts.failed, counts.errors, counts.skipped
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"lockstep\" {counted}>\n  \
         <testsuite name=\"{}\" {counted} timestamp=\"{}\">\n    <properties>\n{}    </properties>\n{cases}  \
         </testsuite>\n</testsuites>\n",
        xml(&run.campaign),
        xml(&run.started),
        properties(run)
    )
}

#[derive(Default)]
struct Counts {
    failed: usize,
    errors: usize,
    skipped: usize,
}

fn properties(run: &RunRecord) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("board", run.board.as_str()),
        ("tree", &run.tree),
        ("release", &run.release),
        ("end", end_text(run)),
    ] {
        let _ = writeln!(text, "      <property name=\"{name}\" value=\"{}\"/>", xml(value));
    }
    text
}

fn class(run: &RunRecord) -> String {
    format!("{}.{}", xml(&run.campaign), xml(&run.board))
}

fn case(run: &RunRecord, row: &RowRecord, counts: &mut Counts) -> String {
    let outcome = outcome(row);
    let reasons = row.reasons.join("\n");
    let first = row.reasons.first().map_or(outcome.text, String::as_str);
    let mut inner = String::new();
    match (outcome.tone, row.verdict) {
        (Tone::Good, _) if row.taken_from.is_some() => {
            counts.skipped = counts.skipped.saturating_add(1);
            let from = row.taken_from.as_ref().map_or(String::new(), TakenFrom::sentence);
            let _ = writeln!(
                inner,
                "      <skipped message=\"{}, {}\"/>",
                outcome.text,
                xml(&from)
            );
        }
        (Tone::Good | Tone::Plain, _) => {}
        (Tone::Doubt, _) => {
            counts.skipped = counts.skipped.saturating_add(1);
            let why = overruled(row).unwrap_or_else(|| "as declared".into());
            let _ = writeln!(
                inner,
                "      <skipped message=\"{}, {}\"/>",
                outcome.text,
                xml(&why)
            );
        }
        (Tone::Bad, None) => {
            counts.errors = counts.errors.saturating_add(1);
            let _ = writeln!(
                inner,
                "      <error message=\"{}\">{}</error>",
                xml(first),
                xml_text(&reasons)
            );
        }
        (Tone::Bad, Some(verdict)) => {
            counts.failed = counts.failed.saturating_add(1);
            let _ = writeln!(
                inner,
                "      <failure type=\"{}\" message=\"{}: {}\">{}</failure>",
                kind(verdict),
                verdict.text(),
                xml(first),
                xml_text(&reasons)
            );
        }
    }
    let said = said(row);
    if !said.is_empty() {
        let _ = writeln!(inner, "      <system-out>{}</system-out>", xml_text(&said));
    }
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{} {}\" time=\"{:.3}\"",
        class(run),
        xml(&row.id),
        xml(&row.title),
        row.took_s
    );
    match inner.is_empty() {
        true => format!("{head}/>\n"),
        false => format!("{head}>\n{inner}    </testcase>\n"),
    }
}

/// A verdict as a word: `smoke-test-failed`.
fn kind(verdict: Verdict) -> String {
    verdict.text().replace(' ', "-")
}

/// What a person would look for behind the case.
fn said(row: &RowRecord) -> String {
    let mut text = String::new();
    for fact in &row.facts {
        let _ = writeln!(text, "{}", one_line(fact));
    }
    for test in &row.tests {
        let result = test.failure.as_deref().unwrap_or("as expected");
        let _ = writeln!(
            text,
            "{}: exit {}, {}",
            one_line(&test.name),
            test.exit,
            one_line(result)
        );
    }
    for printed in super::printed::of_failed_tests(row) {
        let _ = writeln!(text, "{}\n{}", printed.heading(), printed.lines.join("\n"));
    }
    for finding in &row.findings {
        let _ = writeln!(text, "{}\n{}", one_line(&finding.title), finding.excerpt);
    }
    text
}

/// An attribute: one line, escaped. What XML 1.0 has no character for (section 2.2) is shown as an escape by `ui::visible`.
fn xml(text: &str) -> String {
    escape(&one_line(text))
}

/// Text between tags, with its lines.
fn xml_text(text: &str) -> String {
    escape(&ui::plain(text))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // `]]>` may not stand in text either; with `>` escaped it does not.
    let _ = maud::Escaper::new(&mut escaped).write_str(text);
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_characters, hostile, regression, run};
    use super::*;
    use crate::campaign::record::RowRecord;

    /// Every tag and whether it is empty; each that is opened is closed.
    fn tags(text: &str) -> Vec<(String, bool)> {
        let tag = regex::Regex::new(r"<(/?)([a-z-]+)[^<>]*?(/?)>").unwrap();
        let mut open: Vec<String> = Vec::new();
        let mut seen = Vec::new();
        for found in tag.captures_iter(text.split_once("?>").unwrap().1) {
            let name = found[2].to_string();
            if &found[1] == "/" {
                assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{text}");
                continue;
            }
            seen.push((name.clone(), &found[3] == "/"));
            if found[3].is_empty() {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        seen
    }

    #[test]
    fn a_regression_is_a_failure_and_what_was_not_reached_is_skipped() {
        let text = suite(&run(vec![regression()]));
        assert!(
            text.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"65.000\""),
            "{text}"
        );
        assert!(
            text.contains("<failure type=\"regression\" message=\"regression: lock_a against lock_b\">"),
            "{text}"
        );
        assert!(text.contains("<skipped message=\"not reached\"/>"), "{text}");
        assert_eq!(
            tags(&text).iter().filter(|(name, _)| name == "testcase").count(),
            2
        );
    }

    #[test]
    fn not_exercised_is_skipped_where_it_is_declared_and_a_failure_where_not() {
        let mut row = RowRecord {
            id: "2.4".into(),
            verdict: Some(Verdict::NotExercised),
            reasons: vec!["f did not run".into()],
            as_declared: true,
            ..RowRecord::default()
        };
        assert!(suite(&run(vec![row.clone()])).contains("<skipped message=\"not exercised, as declared\"/>"));
        row.as_declared = false;
        assert!(suite(&run(vec![row])).contains("<failure type=\"not-exercised\""));
    }

    #[test]
    fn a_row_that_could_not_be_finished_is_an_error() {
        let row = RowRecord {
            id: "0".into(),
            reasons: vec!["the board does not answer".into()],
            ..RowRecord::default()
        };
        assert!(suite(&run(vec![row])).contains("<error message=\"the board does not answer\">"));
    }

    #[test]
    fn hostile_text_stays_text() {
        let text = suite(&hostile());
        check_characters(&text);
        let names = [
            "testsuites",
            "testsuite",
            "properties",
            "property",
            "testcase",
            "failure",
            "skipped",
            "system-out",
        ];
        for (name, _) in tags(&text) {
            assert!(names.contains(&name.as_str()), "{name} in\n{text}");
        }
    }
}
