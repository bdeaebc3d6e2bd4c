//! A text that is ready to be sent to the people who know the code, as Documentation/admin-guide/reporting-issues.rst and
//! reporting-regressions.rst of the kernel ask for it: plain text, what changed, how to see it, everything that the kernel said.

use super::gather::{Captured, Material};
use super::owner::{self, Owner};
use super::{bytes, decoded_lines, log, one_line, outcome, stopped_at};
use crate::campaign::escalation;
use crate::campaign::record::{FindingRecord, PatchRecord, RowRecord, RunRecord};
use crate::campaign::verdict::Verdict;
use std::fmt::Write;

/// Its file in the run's folder.
pub const FILE: &str = "issue.txt";

/// Lines of an excerpt that go into a mail; the file has the rest.
const LINES: usize = 400;

/// The text; none where no step stopped the campaign, since there is nothing to report.
pub fn text(material: &Material) -> Option<String> {
    let run = &material.record;
    let row = stopped_at(run)?;
    let at = run.rows.iter().position(|other| std::ptr::eq(other, row))?;
    let nothing = Captured::default();
    let captured = material.captured.get(at).unwrap_or(&nothing);
    let mut text = format!("Subject: {}\n\n", subject(row));
    text.push_str(&what(run, at));
    text.push_str(&how(run, at));
    for finding in &row.findings {
        text.push_str(&splat(finding, &owner::patches(run, at)));
    }
    text.push_str(&on_other_kernels(run, at));
    text.push_str(&configuration(captured));
    text.push_str(&versions(run, captured));
    text.push_str(&attachments(captured));
    text.push_str(&pointers(run, row));
    Some(text)
}

/// `[BUG] media: vim2m: possible circular locking dependency: a vs b`.
fn subject(row: &RowRecord) -> String {
    let said = match row.findings.first() {
        Some(finding) => one_line(&finding.title),
        None => outcome(row).text.to_string(),
    };
    let about = match &row.patch {
        Some(patch) => prefix(&patch.subject),
        None => one_line(&row.title),
    };
    format!("[BUG] {about}: {said}")
}

/// The part of a subject that names the subsystem: everything before its last colon.
fn prefix(subject: &str) -> String {
    let subject = one_line(subject);
    match subject.rsplit_once(": ") {
        Some((prefix, _)) => prefix.to_string(),
        None => subject,
    }
}

fn what(run: &RunRecord, at: usize) -> String {
    let row = &run.rows[at];
    let before = run.rows[..at]
        .iter()
        .rev()
        .find(|row| row.verdict == Some(Verdict::Pass));
    let mut text = String::from("What happens\n------------\n\n");
    match &row.patch {
        Some(patch) => {
            let _ = writeln!(
                text,
                "With \"{}\" on top of {}, the debug kernel {} gives on the board {}: {}.",
                one_line(&patch.subject),
                one_line(&run.tree),
                one_line(&run.release),
                one_line(&run.board),
                outcome(row).text
            );
        }
        None => {
            let _ = writeln!(
                text,
                "The debug kernel {} from {} gives on the board {}: {}.",
                one_line(&run.release),
                one_line(&run.tree),
                one_line(&run.board),
                outcome(row).text
            );
        }
    }
    text.push('\n');
    for reason in &row.reasons {
        let _ = writeln!(text, "- {}", one_line(reason));
    }
    if let Some(before) = before {
        let known = before.patch.as_ref().map_or(one_line(&before.title), |patch| {
            format!("\"{}\"", one_line(&patch.subject))
        });
        let _ = writeln!(
            text,
            "\nThe same tests on the same board passed on the kernel before it (step {}, {known}): nothing else was changed in \
             between.",
            one_line(&before.id)
        );
    }
    text.push('\n');
    text
}

fn how(run: &RunRecord, at: usize) -> String {
    let mut text = String::from("How to reproduce\n----------------\n\n");
    let _ = writeln!(text, "1. Tree: {}", one_line(&run.tree));
    let patches: Vec<&PatchRecord> = run.rows[..=at]
        .iter()
        .filter_map(|row| row.patch.as_ref())
        .collect();
    if !patches.is_empty() {
        let _ = writeln!(text, "2. Patches, in this order:");
        for patch in &patches {
            let _ = writeln!(
                text,
                "     {} {}",
                one_line(&patch.name),
                one_line(&patch.subject)
            );
        }
    }
    let _ = writeln!(
        text,
        "3. The configuration below, booted once on {}",
        one_line(&run.board)
    );
    let row = &run.rows[at];
    if !row.tests.is_empty() {
        let _ = writeln!(text, "4. Tests, in this order:");
        for test in &row.tests {
            let result = test.failure.as_deref().unwrap_or("as expected");
            let _ = writeln!(
                text,
                "     {}: exit {}, {}",
                one_line(&test.name),
                test.exit,
                one_line(result)
            );
        }
    }
    let _ = writeln!(
        text,
        "\nThe whole campaign again: cargo xtask bisect-apply campaigns/{}.toml\n",
        one_line(&run.campaign)
    );
    text
}

/// What other kernels made of the step where it wedged without a word.
fn on_other_kernels(run: &RunRecord, at: usize) -> String {
    let step = &run.rows[at].id;
    let repeats = run.rows[at..]
        .iter()
        .filter(|row| escalation::is_one(&row.id) && row.id.starts_with(step.as_str()));
    let mut text = String::new();
    for row in repeats {
        let _ = writeln!(text, "{}: {}", one_line(&row.title), outcome(row).text);
        for reason in &row.reasons {
            let _ = writeln!(text, "- {}", one_line(reason));
        }
        text.push('\n');
        for finding in &row.findings {
            text.push_str(&splat(finding, &owner::patches(run, at)));
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("The same on other kernels\n-------------------------\n\n{text}"),
    }
}

/// A finding with its exact lines. Frames that belong to a patch are marked behind the line, so that what the kernel said stays as
/// it is.
fn splat(finding: &FindingRecord, patches: &[&PatchRecord]) -> String {
    let mut text = format!(
        "What the kernel said (from {})\n------------------------------\n\n",
        one_line(&finding.source)
    );
    let shown = log::shown(&finding.excerpt);
    let total = shown.lines().count();
    let mut marked = false;
    for line in shown.lines().take(LINES) {
        let mark = match owner::of(line, patches) {
            Some(Owner::Function(patch)) => format!("    <--- {}", one_line(&patch.name)),
            Some(Owner::Module(patch)) => format!("    <-- module of {}", one_line(&patch.name)),
            None => String::new(),
        };
        marked |= !mark.is_empty();
        let _ = writeln!(text, "{line}{mark}");
    }
    if total > LINES {
        let _ = writeln!(text, "… {} more lines are in the log", total - LINES);
    }
    if marked {
        text.push_str("\n(<--- marks functions that a patch of this series changes or adds; nothing else was added to these lines.)\n");
    }
    text.push('\n');
    if !finding.decoded.is_empty() {
        text.push_str("The trace, decoded\n------------------\n\n");
        for line in decoded_lines(finding) {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
    }
    text
}

/// Symbols that decide what a debug kernel checks, and how it runs.
const TELLING: &[&str] = &[
    "PROVE_",
    "LOCKDEP",
    "DEBUG_",
    "KASAN",
    "KCSAN",
    "KFENCE",
    "UBSAN",
    "PREEMPT",
    "SMP",
    "NR_CPUS",
    "DETECT_HUNG",
    "LOCKUP",
    "WQ_WATCHDOG",
    "CC_VERSION_TEXT",
    "LOCALVERSION",
];

fn configuration(captured: &Captured) -> String {
    let Some(config) = &captured.config else {
        return String::new();
    };
    let mut text = String::from(
        "Configuration\n-------------\n\nThe whole of it is attached. What decides what is checked:\n\n",
    );
    let lines = config.lines().filter(|line| {
        let name = line.strip_prefix("CONFIG_");
        name.is_some_and(|name| TELLING.iter().any(|word| name.starts_with(word)))
    });
    for line in lines {
        let _ = writeln!(text, "{}", one_line(line));
    }
    text.push('\n');
    text
}

fn versions(run: &RunRecord, captured: &Captured) -> String {
    let mut text = String::from("Versions\n--------\n\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}: {}", one_line(value));
    };
    line("Kernel", &run.release);
    line("Tree", &run.tree);
    if let Some(version) = &captured.version {
        line("It says", version.trim());
    }
    line("Board", &run.board);
    line("Found by", concat!("lockstep ", env!("CARGO_PKG_VERSION")));
    text.push('\n');
    text
}

fn attachments(captured: &Captured) -> String {
    if captured.files.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "Files of this boot (cargo xtask report --bundle FILE packs them, with names masked)\n\n",
    );
    for file in &captured.files {
        let _ = writeln!(
            text,
            "{}, {}, SHA-256 {}",
            one_line(&file.path),
            bytes(file.size),
            one_line(&file.sha256)
        );
    }
    text.push('\n');
    text
}

/// Tags as Documentation/process/submitting-patches.rst has them. The commit is the one in the tree that was tested; where the patch has
/// landed, its own takes that place.
fn pointers(run: &RunRecord, row: &RowRecord) -> String {
    let Some(patch) = &row.patch else {
        return format!(
            "The kernel without any patch of the series fails: {}\n",
            one_line(&run.tree)
        );
    };
    let commit = patch.commit.get(..12).unwrap_or(&patch.commit);
    let mut text = format!("Fixes: {} (\"{}\")\n", one_line(commit), one_line(&patch.subject));
    let _ = writeln!(
        text,
        "(that commit is in the tested tree only; the patch file has the SHA-256 {})",
        one_line(&patch.sha256)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_characters, hostile, regression, run};
    use super::*;
    use crate::campaign::record::RowRecord;

    fn material(rows: Vec<RowRecord>) -> Material {
        let captured = vec![Captured::default(); rows.len()];
        Material {
            record: run(rows),
            attempt: 1,
            captured,
        }
    }

    #[test]
    fn it_says_what_how_and_whose() {
        let passed = RowRecord {
            id: "2.1".into(),
            title: "0004 x".into(),
            verdict: Some(Verdict::Pass),
            ..RowRecord::default()
        };
        let mut material = material(vec![passed, regression()]);
        material.captured[1].config =
            Some("CONFIG_PROVE_LOCKING=y\nCONFIG_USB=y\n# CONFIG_KASAN is not set\n".into());
        material.captured[1].version =
            Some("[    0.000000] Linux version 7.3.4-lockdep (a@b) (gcc 12)".into());
        let text = text(&material).unwrap();
        assert!(
            text.starts_with("Subject: [BUG] media: vim2m: possible circular locking dependency\n\n"),
            "{text}"
        );
        for words in [
            "passed on the kernel before it (step 2.1, 0004 x)",
            " take_b+0x10/0x20 [vim2m] (P)    <--- 0008\n",
            " other+0x1/0x2 [vim2m]    <-- module of 0008\n",
            " device_run+0x1/0x2\n",
            "CONFIG_PROVE_LOCKING=y\n",
            "(gcc 12)",
            "take_b+0x10/0x20 [vim2m] (P)\n    drivers/media/test-drivers/vim2m.c:612 take_b()\n",
            "stream: exit 0, as expected",
            "Fixes: c7cbfd157255 (\"media: vim2m: take b\")",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        assert!(!text.contains("CONFIG_USB"), "{text}");
    }

    #[test]
    fn without_a_fault_there_is_nothing_to_report() {
        let mut row = regression();
        row.verdict = Some(Verdict::Pass);
        assert_eq!(text(&material(vec![row])), None);
    }

    #[test]
    fn hostile_text_cannot_add_lines_or_move_a_cursor() {
        let material = Material {
            record: hostile(),
            attempt: 1,
            captured: vec![Captured::default()],
        };
        let text = text(&material).unwrap();
        check_characters(&text);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("Subject: ")).count(),
            1
        );
    }
}
