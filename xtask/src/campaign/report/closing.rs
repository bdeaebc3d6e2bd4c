//! The closing document of a run (plan.md, "Ends"): what a team keeps in its notes. It stands on its own: what was to be found
//! out, how it ended, what proves it, what was taken back, how the board was left, what comes next.

use super::gather::Material;
use super::{end_text, ends, markdown, md, md_cell, minutes, outcome, owner, phases, spent};
use crate::campaign::escalation;
use crate::campaign::phase;
use crate::campaign::record::{End, PatchRecord, RowRecord, RunRecord};
use std::fmt::Write;

/// Name of its file: as the campaign file has it; `iter6_attempt2_close.md` for a record that does not say.
pub fn file_name(material: &Material) -> String {
    let told = &material.record.closing.file;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if told.ends_with(".md") && !told.starts_with('.') && told.chars().all(is_name) && told != super::MARKDOWN
    {
        return told.clone();
    }
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let campaign: String = material.record.campaign.chars().map(plain).take(64).collect();
    format!("{campaign}_attempt{}_close.md", material.attempt)
}

/// The document.
pub fn page(material: &Material) -> String {
    let run = &material.record;
    let (what, next) = (ends::meaning(run), ends::next(run));
    let took: f64 = run.rows.iter().map(|row| row.took_s).sum();
    let estimated: f64 = run.rows.iter().map(|row| row.estimated_s).sum();
    let mut text = format!(
        "# {}, attempt {}: {}\n\nGoal: {}\n\n{what}\n\n",
        md(&run.campaign),
        material.attempt,
        end_text(run),
        md(&run.goal),
        what = md(&what)
    );
    let own = own_meaning(run);
    if !own.is_empty() {
        let _ = writeln!(
            text,
            "For this campaign that means: {}.\n",
            md(own.trim_end_matches('.'))
        );
    }
    let _ = write!(
        text,
        "Board {}, tree {}, debug kernel {}. Started {}, took {} (estimated {}).\n\n",
        md(&run.board),
        md(&run.tree),
        md(&run.release),
        md(&run.started),
        minutes(took),
        minutes(estimated)
    );
    text.push_str(&markdown::conclusion(run));
    text.push_str(&markdown::steps(run));
    text.push_str(&patches(
        steps(run).filter_map(|row| row.patch.as_ref()).collect(),
    ));
    for (at, row) in run.rows.iter().enumerate() {
        if row.findings.is_empty() {
            continue;
        }
        let _ = writeln!(text, "## What the kernel said in step {}\n", md(&row.id));
        let patches = owner::patches(run, at);
        row.findings
            .iter()
            .for_each(|finding| text.push_str(&markdown::finding_block(finding, &patches)));
    }
    for row in steps(run) {
        let printed = markdown::printed_blocks(row);
        if !printed.is_empty() {
            let _ = writeln!(
                text,
                "## What failed tests printed in step {}\n\n{printed}",
                md(&row.id)
            );
        }
    }
    text.push_str(&proofs(&run.rows));
    text.push_str(&board(&run.rows));
    text.push_str(&times(material));
    text.push_str(&evidence(material));
    text.push_str(&risks(run));
    if !next.is_empty() {
        text.push_str("## What comes next\n\n");
        next.iter().for_each(|line| {
            let _ = writeln!(text, "- {}", with_commands(&line.to_string()));
        });
    }
    text
}

/// A sentence of ours, whose backticks stand around commands, in Markdown.
fn with_commands(text: &str) -> String {
    let parts: Vec<String> = text.split('`').map(md).collect();
    parts.join("`")
}

/// Rows without those that repeat a step on another kernel.
fn steps(run: &RunRecord) -> impl Iterator<Item = &RowRecord> {
    run.rows.iter().filter(|row| !escalation::is_one(&row.id))
}

/// What the campaign file says about the end that came.
fn own_meaning(run: &RunRecord) -> &str {
    let ends = &run.closing.ends;
    match run.end {
        Some(End::Success) => &ends.success,
        Some(End::PartialSuccess) => &ends.partial_success,
        Some(End::Failure) => &ends.failure,
        Some(End::PersonNeeded | End::Aborted) | None => "",
    }
}

fn risks(run: &RunRecord) -> String {
    if run.closing.risks.is_empty() {
        return String::new();
    }
    let mut text = String::from("## Risks, and what answered each\n\n| Risk | Answer |\n|---|---|\n");
    for risk in &run.closing.risks {
        let _ = writeln!(text, "| {} | {} |", md_cell(&risk.risk), md_cell(&risk.answer));
    }
    text.push('\n');
    text
}

fn patches(patches: Vec<&PatchRecord>) -> String {
    if patches.is_empty() {
        return String::new();
    }
    let mut text =
        String::from("## Patches\n\n| Patch | Subject | Commit | SHA-256 of the file |\n|---|---|---|---|\n");
    for patch in patches {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            md_cell(&patch.name),
            md_cell(&patch.subject),
            md_cell(patch.commit.get(..12).unwrap_or(&patch.commit)),
            md_cell(&patch.sha256)
        );
    }
    text.push('\n');
    text
}

/// What each verdict rests on.
fn proofs(rows: &[RowRecord]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.verdict.is_some()) {
        let tests = row.tests.iter().filter(|test| test.failure.is_none()).count();
        let ran: Vec<String> = row
            .exercised
            .iter()
            .map(|(name, count)| format!("{} {count}×", md(name)))
            .collect();
        let ran = if ran.is_empty() {
            "nothing was traced".into()
        } else {
            ran.join(", ")
        };
        let _ = writeln!(
            text,
            "| {} | {} | {tests} of {} | {ran} | {} |",
            md_cell(&row.id),
            outcome(row).text,
            row.tests.len(),
            row.findings.len()
        );
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "## What the verdicts rest on\n\n| Step | Verdict | Smoke tests as expected | Functions that ran | New findings |\n\
         |---|---|---|---|---|\n{text}\n"
    )
}

/// How the board was left: what the last row of the plan saw, and what was taken back.
fn board(rows: &[RowRecord]) -> String {
    let mut text = String::new();
    let taken = rows
        .iter()
        .filter(|row| row.phases.iter().any(|(phase, _)| phase == phase::TAKE_BACK.name));
    for row in taken {
        let _ = writeln!(
            text,
            "- step {}: the patch was taken back in the tree, the configuration and on the board",
            md(&row.id)
        );
    }
    if let Some(row) = rows
        .last()
        .filter(|row| row.verdict.is_none() && row.patch.is_none())
    {
        let lines = row.facts.iter().chain(&row.reasons);
        lines.for_each(|line| {
            let _ = writeln!(text, "- {}", md(line));
        });
    }
    if text.is_empty() {
        return text;
    }
    format!("## How the board was left\n\n{text}\n")
}

fn times(material: &Material) -> String {
    let mut text = String::from("## Where the time went\n\n| Phase | Time |\n|---|---|\n");
    for (name, seconds) in phases(&material.record) {
        let _ = writeln!(text, "| {} | {} |", md_cell(&name), spent(seconds));
    }
    text.push('\n');
    text
}

fn evidence(material: &Material) -> String {
    let files: Vec<String> = material
        .captured
        .iter()
        .flat_map(|captured| &captured.files)
        .map(|file| {
            format!(
                "| {} | {} | {} |\n",
                md_cell(&file.path),
                file.size,
                md_cell(&file.sha256)
            )
        })
        .collect();
    if files.is_empty() {
        return String::new();
    }
    format!(
        "## What was captured\n\nIn the run's folder; nothing of it is ever deleted by the tool.\n\n\
         | File | Bytes | SHA-256 |\n|---|---|---|\n{}\n",
        files.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_characters, hostile, regression, run};
    use super::*;

    fn material(record: crate::campaign::record::RunRecord) -> Material {
        Material {
            record,
            attempt: 2,
            captured: Vec::new(),
        }
    }

    #[test]
    fn it_stands_on_its_own() {
        let mut row = regression();
        row.phases.push(("take back".into(), 1.0));
        let mut material = material(run(vec![row]));
        material.record.campaign = "iter6".into();
        material.record.closing.ends.partial_success = "0004 passes, 0008 is reverted".into();
        assert_eq!(file_name(&material), "small_close.md");
        let text = page(&material);
        assert!(
            text.starts_with("# iter6, attempt 2: partial success\n\nGoal: Find out.\n"),
            "{text}"
        );
        for words in [
            "For this campaign that means: 0004 passes, 0008 is reverted.",
            "The patches before step 2.2 (0008) passed; that one was taken back, and only that one.",
            "| 0008 | media: vim2m: take b | c7cbfd157255 |",
            "    WARNING: possible circular",
            "| 2.2 | regression | 1 of 1 | nothing was traced | 1 |",
            "- step 2.2: the patch was taken back",
            "## What comes next",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
    }

    #[test]
    fn a_campaign_s_name_is_no_path() {
        let mut material = material(run(vec![]));
        material.record.campaign = "../../x y".into();
        for told in ["", "../a.md", ".md", "report.md", "a.html"] {
            material.record.closing.file = told.into();
            assert_eq!(file_name(&material), "______x_y_attempt2_close.md", "{told}");
        }
    }

    #[test]
    fn hostile_text_is_no_markup() {
        let text = page(&material(hostile()));
        check_characters(&text);
        for line in text.lines().filter(|line| !line.starts_with("    ")) {
            for (at, _) in line.match_indices("<script>") {
                assert!(line[..at].ends_with('\\'), "{line}");
            }
        }
    }
}
