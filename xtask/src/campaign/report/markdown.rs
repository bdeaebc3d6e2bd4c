//! The report of a run, in Markdown, from its record: steps, verdicts, findings, measured beside estimated times.

use super::{
    end_text, ends, ids, md, md_block, md_cell as cell, minutes, not_reached, outcome, overruled, owner,
    phases, printed, spent, trace,
};
use crate::campaign::record::{FindingRecord, PatchRecord, RowRecord, RunRecord};
use crate::campaign::verdict::Verdict;
use std::fmt::Write;

/// The whole report.
pub fn page(run: &RunRecord) -> String {
    let mut text = String::new();
    let end = end_text(run);
    let _ = write!(
        text,
        "# Campaign {}: {end}\n\n{}\n\n\
         | | |\n|---|---|\n| Board | {} |\n| Tree | {} |\n| Debug kernel | {} |\n| Started | {} |\n\n",
        cell(&run.campaign),
        md(&run.goal),
        cell(&run.board),
        cell(&run.tree),
        cell(&run.release),
        cell(&run.started)
    );
    text.push_str(&conclusion(run));
    text.push_str(&steps(run));
    for (at, row) in run.rows.iter().enumerate() {
        text.push_str(&details(row, &owner::patches(run, at)));
    }
    text.push_str(&times(run));
    text
}

/// What failed, in Markdown, each with its reasons; what was declared and what was not reached.
pub fn conclusion(run: &RunRecord) -> String {
    let not_exercised = run
        .rows
        .iter()
        .filter(|row| row.verdict == Some(Verdict::NotExercised) && row.as_declared);
    let mut text = String::new();
    for row in ends::failed(run) {
        let _ = writeln!(
            text,
            "**Step {} ({}) {}: {}.**\n",
            md(&row.id),
            md(&row.title),
            ends::came_of(run, row),
            outcome(row).text
        );
        for reason in &row.reasons {
            let _ = writeln!(text, "- {}", md(reason));
        }
        text.push('\n');
    }
    let declared: Vec<&str> = not_exercised.map(|row| row.id.as_str()).collect();
    if !declared.is_empty() {
        let _ = writeln!(
            text,
            "Steps {} are *not exercised*, as the campaign declares: built, booted and loaded, but this board has nothing \
             that runs their code. That is no pass.\n",
            md(&declared.join(", "))
        );
    }
    let missed = not_reached(run);
    if run.end.is_some() && !missed.is_empty() {
        let _ = writeln!(text, "Not reached: {}.\n", md(&ids(&missed)));
    }
    text
}

/// The table of rows and verdicts, in Markdown.
pub fn steps(run: &RunRecord) -> String {
    let mut text =
        String::from("## Steps\n\n| Step | What | Verdict | Measured | Estimated |\n|---|---|---|---|---|\n");
    for row in &run.rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {}, {} |",
            cell(&row.id),
            cell(&row.title),
            outcome(row).text,
            minutes(row.took_s),
            minutes(row.estimated_s),
            row.estimated_from.text()
        );
    }
    let sum = |of: fn(&RowRecord) -> f64| minutes(run.rows.iter().map(of).sum());
    let _ = writeln!(
        text,
        "| | **all** | | {} | {} |\n",
        sum(|row| row.took_s),
        sum(|row| row.estimated_s)
    );
    text
}

fn details(row: &RowRecord, patches: &[&PatchRecord]) -> String {
    let mut text = format!("## {} {}\n\n", md(&row.id), md(&row.title));
    for fact in overruled(row).iter().chain(&row.facts) {
        let _ = writeln!(text, "- {}", md(fact));
    }
    for (function, count) in &row.exercised {
        let _ = writeln!(text, "- {} ran {count} times", md(function));
    }
    if let Some(folder) = &row.evidence {
        let _ = writeln!(text, "- evidence: {}", md(&folder.display().to_string()));
    }
    text.push('\n');
    if !row.tests.is_empty() {
        text.push_str("| Smoke test | Exit | Output | Result |\n|---|---|---|---|\n");
        for test in &row.tests {
            let output = test.output.as_ref().map_or("-".to_string(), |(size, hash)| {
                format!("{size} bytes, {}…", hash.get(..12).unwrap_or(hash))
            });
            let result = test.failure.as_deref().unwrap_or("as expected");
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                cell(&test.name),
                test.exit,
                cell(&output),
                cell(result)
            );
        }
        text.push('\n');
    }
    text.push_str(&printed_blocks(row));
    for finding in &row.findings {
        text.push_str(&finding_block(finding, patches));
    }
    text
}

/// What each failed test printed last, in Markdown.
pub fn printed_blocks(row: &RowRecord) -> String {
    let mut text = String::new();
    for printed in printed::of_failed_tests(row) {
        let _ = writeln!(text, "{}\n", md(&printed.heading()));
        if !printed.lines.is_empty() {
            let _ = writeln!(text, "{}", md_block(&printed.lines.join("\n")));
        }
    }
    text
}

/// A finding with its lines, decoded, in Markdown.
pub fn finding_block(finding: &FindingRecord, patches: &[&PatchRecord]) -> String {
    let suspect = finding.suspect.as_ref().map_or(String::new(), |suspect| {
        format!("Look first at {}\n\n", md(&suspect.to_string()))
    });
    format!(
        "### {} ({}, from {})\n\n{suspect}{}\n",
        md(&finding.title),
        md(&finding.severity),
        md(&finding.seen()),
        md_block(&trace::plain(finding, patches).join("\n"))
    )
}

fn times(run: &RunRecord) -> String {
    let mut text = String::from("## Where the time went\n\n| Phase | Time |\n|---|---|\n");
    for (name, seconds) in phases(run) {
        let _ = writeln!(text, "| {} | {} |", cell(&name), spent(seconds));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_characters, hostile, regression, run};
    use super::*;

    #[test]
    fn the_step_that_stopped_is_named_with_its_reasons_and_the_kernel_s_own_lines() {
        let text = page(&run(vec![regression()]));
        assert!(
            text.contains("Step 2.2 (0008 a | b) stopped the campaign: regression."),
            "{text}"
        );
        assert!(
            text.contains("| 2.2 | 0008 a \\| b | regression | 1:05 | 2:00, from the plan |"),
            "{text}"
        );
        assert!(text.contains("- lock_a against lock_b"), "{text}");
        assert!(text.contains("    ```\n    lock_a\n"), "{text}");
        assert!(text.contains("Not reached: 2.3."), "{text}");
    }

    #[test]
    fn a_declared_not_exercised_does_not_stop_but_is_no_pass() {
        let text = page(&run(vec![RowRecord {
            id: "2.4".into(),
            verdict: Some(Verdict::NotExercised),
            as_declared: true,
            ..RowRecord::default()
        }]));
        assert!(!text.contains("stopped the campaign"), "{text}");
        assert!(text.contains("Steps 2.4 are *not exercised*"), "{text}");
    }

    #[test]
    fn hostile_text_is_no_markup() {
        let text = page(&hostile());
        check_characters(&text);
        for line in text.lines().filter(|line| !line.starts_with("    ")) {
            for (at, _) in line.match_indices("<script>").chain(line.match_indices("[x](")) {
                assert!(line[..at].ends_with('\\'), "{line}");
            }
        }
    }
}
