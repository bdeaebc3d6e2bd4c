//! The report of a run, in Markdown, from its record: steps, verdicts, findings, measured beside estimated times.

use super::record::{End, FindingRecord, RowRecord, RunRecord};
use super::verdict::Verdict;
use std::fmt::Write;

/// The whole report.
pub fn markdown(run: &RunRecord) -> String {
    let mut text = String::new();
    let end = run.end.map_or("unfinished", End::text);
    let _ = write!(
        text,
        "# Campaign {}: {end}\n\n{}\n\n\
         | | |\n|---|---|\n| Board | {} |\n| Tree | {} |\n| Debug kernel | {} |\n| Started | {} |\n\n",
        cell(&run.campaign),
        run.goal,
        cell(&run.board),
        cell(&run.tree),
        cell(&run.release),
        cell(&run.started)
    );
    text.push_str(&conclusion(run));
    text.push_str(&steps(run));
    for row in &run.rows {
        text.push_str(&details(row));
    }
    text.push_str(&times(run));
    text
}

/// The run in a few lines, for the end of a command.
pub fn summary(run: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &run.rows {
        let verdict = row.verdict.map_or("done", Verdict::text);
        let title: String = line(&row.title).chars().take(64).collect();
        lines.push(format!(
            "{:<4} {:<18} {:>6}  {title}",
            row.id,
            verdict,
            minutes(row.took_s)
        ));
        lines.extend(
            row.reasons
                .iter()
                .filter(|_| !row.as_declared)
                .map(|reason| format!("     {reason}")),
        );
    }
    let end = run.end.map_or("unfinished", End::text);
    lines.push(format!("Campaign {}: {end}.", run.campaign));
    lines
}

fn conclusion(run: &RunRecord) -> String {
    let stopped = run
        .rows
        .iter()
        .find(|row| row.verdict.is_some_and(|v| v != Verdict::Pass) && !row.as_declared);
    let not_exercised = run
        .rows
        .iter()
        .filter(|row| row.verdict == Some(Verdict::NotExercised) && row.as_declared);
    let mut text = String::new();
    if let Some(row) = stopped {
        let verdict = row.verdict.map_or("", Verdict::text);
        let _ = writeln!(
            text,
            "**Step {} ({}) stopped the campaign: {verdict}.**\n",
            row.id, row.title
        );
        for reason in &row.reasons {
            let _ = writeln!(text, "- {}", line(reason));
        }
        text.push('\n');
    }
    let ids: Vec<&str> = not_exercised.map(|row| row.id.as_str()).collect();
    if !ids.is_empty() {
        let _ = writeln!(
            text,
            "Steps {} are *not exercised*, as the campaign declares: built, booted and loaded, but this board has nothing \
             that runs their code. That is no pass.\n",
            ids.join(", ")
        );
    }
    text
}

fn steps(run: &RunRecord) -> String {
    let mut text =
        String::from("## Steps\n\n| Step | What | Verdict | Measured | Estimated |\n|---|---|---|---|---|\n");
    for row in &run.rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            cell(&row.id),
            cell(&row.title),
            row.verdict.map_or("done", Verdict::text),
            minutes(row.took_s),
            minutes(row.estimated_s)
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

fn details(row: &RowRecord) -> String {
    let mut text = format!("## {} {}\n\n", row.id, line(&row.title));
    for fact in &row.facts {
        let _ = writeln!(text, "- {}", line(fact));
    }
    for (function, count) in &row.exercised {
        let _ = writeln!(text, "- `{}` ran {count} times", line(function));
    }
    if let Some(folder) = &row.evidence {
        let _ = writeln!(text, "- evidence: `{}`", folder.display());
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
    for finding in &row.findings {
        text.push_str(&finding_block(finding));
    }
    text
}

fn finding_block(finding: &FindingRecord) -> String {
    // The excerpt is indented, not fenced: whatever the kernel said cannot end the block.
    let excerpt: String = finding
        .excerpt
        .lines()
        .map(|text| format!("    {text}\n"))
        .collect();
    format!(
        "### {} ({}, from {})\n\n{excerpt}\n",
        line(&finding.title),
        finding.severity,
        finding.source
    )
}

fn times(run: &RunRecord) -> String {
    let mut phases: Vec<(String, f64)> = Vec::new();
    for (name, seconds) in run.rows.iter().flat_map(|row| &row.phases) {
        match phases.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += seconds,
            None => phases.push((name.clone(), *seconds)),
        }
    }
    phases.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut text = String::from("## Where the time went\n\n| Phase | Time |\n|---|---|\n");
    for (name, seconds) in phases {
        let _ = writeln!(text, "| {} | {} |", cell(&name), minutes(seconds));
    }
    text
}

/// `1:05` for 65 s.
fn minutes(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Data in one cell of a table.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// Data on one line, without control characters.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: Vec<RowRecord>) -> RunRecord {
        RunRecord {
            schema_version: 1,
            campaign: "small".into(),
            goal: "Nothing.".into(),
            board: "virtual".into(),
            tree: "7.3.4".into(),
            release: "7.3.4-lockdep".into(),
            started: "2026-01-01T00:00:00Z".into(),
            end: Some(End::PartialSuccess),
            rows,
        }
    }

    #[test]
    fn the_step_that_stopped_is_named_with_its_reasons_and_the_kernel_s_own_lines() {
        let text = markdown(&run(vec![RowRecord {
            id: "2.2".into(),
            title: "0008 a | b".into(),
            verdict: Some(Verdict::Regression),
            reasons: vec!["lock_a against lock_b".into()],
            findings: vec![FindingRecord {
                title: "possible circular locking dependency".into(),
                severity: "error".into(),
                source: "serial".into(),
                excerpt: "WARNING: possible circular\n```\nlock_a".into(),
            }],
            took_s: 65.0,
            estimated_s: 120.0,
            ..RowRecord::default()
        }]));
        assert!(
            text.contains("Step 2.2 (0008 a | b) stopped the campaign: regression."),
            "{text}"
        );
        assert!(
            text.contains("| 2.2 | 0008 a \\| b | regression | 1:05 | 2:00 |"),
            "{text}"
        );
        assert!(text.contains("- lock_a against lock_b"), "{text}");
        assert!(text.contains("    ```\n    lock_a\n"), "{text}");
    }

    #[test]
    fn a_declared_not_exercised_does_not_stop_but_is_no_pass() {
        let text = markdown(&run(vec![RowRecord {
            id: "2.4".into(),
            verdict: Some(Verdict::NotExercised),
            as_declared: true,
            ..RowRecord::default()
        }]));
        assert!(!text.contains("stopped the campaign"), "{text}");
        assert!(text.contains("Steps 2.4 are *not exercised*"), "{text}");
    }
}
