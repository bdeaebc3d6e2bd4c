//! A text that is ready to be sent to the people who know the code, as Documentation/admin-guide/reporting-issues.rst and
//! reporting-regressions.rst of the kernel ask for it: plain text, what changed, how to see it, everything that the kernel said.

use super::gather::{Captured, Material};
use super::owner;
use super::{bytes, ends, one_line, outcome, printed, trace};
use crate::campaign::escalation;
use crate::campaign::record::{FindingRecord, PatchRecord, RowRecord, RunRecord};
use crate::campaign::verdict::Verdict;
use std::fmt::Write;

mod reproduce;

/// Its file in the run's folder.
pub const FILE: &str = "issue.txt";

/// Lines of an excerpt that go into a mail; the file has the rest.
const LINES: usize = 400;

/// The first row that failed by a fault of the code: whoever wrote the code has no use for a
/// mistake in a campaign file, or a board that was lost.
pub fn subject_of(run: &RunRecord) -> Option<&RowRecord> {
    let is_for_upstream = |row: &&RowRecord| ends::Fault::of(row).is_some_and(ends::Fault::is_for_upstream);
    ends::failed(run).into_iter().find(is_for_upstream)
}

/// The text; none where no code is at fault, since there is nothing to report.
pub fn text(material: &Material) -> Option<String> {
    let run = &material.record;
    let row = subject_of(run)?;
    let at = run.rows.iter().position(|other| std::ptr::eq(other, row))?;
    let nothing = Captured::default();
    let captured = material.captured.get(at).unwrap_or(&nothing);
    let mut text = format!("Subject: {}\n", subject(row));
    if let Some(patch) = row.patch.as_ref().filter(|patch| !patch.author.is_empty()) {
        let _ = writeln!(text, "To: {}", one_line(&patch.author));
    }
    text.push('\n');
    text.push_str(&what(run, row, at));
    let patches = owner::patches(run, at);
    text.push_str(&splats(&row.findings, &patches));
    text.push_str(&of_failed_tests(row));
    text.push_str(&reproduce::section(run, row, at, captured));
    text.push_str(&on_other_kernels(run, row, at));
    text.push_str(&versions(run, captured));
    text.push_str(&configuration(captured));
    text.push_str(&files(captured));
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

/// A sentence that says it all, and a paragraph: many read no further.
fn what(run: &RunRecord, row: &RowRecord, at: usize) -> String {
    let patch = row
        .patch
        .as_ref()
        .map(|patch| format!("\"{}\"", one_line(&patch.subject)));
    let who = patch.clone().unwrap_or_else(|| "The kernel".to_string());
    let said = match row.findings.first() {
        Some(finding) => format!("makes the kernel say: {}", one_line(&finding.title)),
        None => format!("fails: {}", outcome(row).text),
    };
    let mut text = format!("{who} {said}.\n\n");
    let _ = match &patch {
        Some(patch) => writeln!(
            text,
            "It was seen on the board {} with {patch} on top of {}, kernel {}:\n",
            one_line(&run.board),
            one_line(&run.tree),
            one_line(&run.release)
        ),
        None => writeln!(
            text,
            "It was seen on the board {} with {}, kernel {}:\n",
            one_line(&run.board),
            one_line(&run.tree),
            one_line(&run.release)
        ),
    };
    for reason in &row.reasons {
        let _ = writeln!(text, "- {}", one_line(reason));
    }
    let before = run.rows.get(..at).unwrap_or_default();
    let before = before.iter().rev().find(|row| row.verdict == Some(Verdict::Pass));
    if let Some(before) = before {
        let _ = writeln!(text, "\n{}", difference(run, before, at));
    }
    text.push('\n');
    text
}

/// What passed, and what was put on top of it.
fn difference(run: &RunRecord, before: &RowRecord, at: usize) -> String {
    let until = match &before.patch {
        Some(patch) => format!("The kernel up to \"{}\"", one_line(&patch.subject)),
        None => "The kernel without any patch of the series".to_string(),
    };
    let until_here = run.rows.get(..=at).unwrap_or_default();
    let since = until_here
        .iter()
        .skip_while(|row| row.id != before.id)
        .skip(1)
        .filter_map(|row| row.patch.as_ref());
    let names: Vec<String> = since.map(|patch| one_line(&patch.name)).collect();
    match names.len() {
        0 | 1 => format!(
            "{until} passes the same tests on this board with the same configuration: nothing else differs."
        ),
        _ => format!(
            "{until} passes the same tests on this board with the same configuration; {} were put on top of it together.",
            names.join(" and ")
        ),
    }
}

/// What other kernels made of the step where it wedged without a word.
fn on_other_kernels(run: &RunRecord, row: &RowRecord, at: usize) -> String {
    let step = &row.id;
    let repeats = run
        .rows
        .iter()
        .skip(at)
        .filter(|row| escalation::is_one(&row.id) && row.id.starts_with(step.as_str()));
    let mut text = String::new();
    for row in repeats {
        let _ = writeln!(text, "{}: {}", one_line(&row.title), outcome(row).text);
        for reason in &row.reasons {
            let _ = writeln!(text, "- {}", one_line(reason));
        }
        text.push('\n');
        text.push_str(&splats(&row.findings, &owner::patches(run, at)));
    }
    match text.is_empty() {
        true => text,
        false => format!("The same on other kernels\n-------------------------\n\n{text}"),
    }
}

/// What the kernel said: reports with their traces, decoded, and then the single lines. What was put between its words is told below them.
fn splats(findings: &[FindingRecord], patches: &[&PatchRecord]) -> String {
    let mut text = String::new();
    let mut all: Vec<String> = Vec::new();
    let (reports, lines): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding.excerpt.contains('\n'));
    for finding in reports {
        let title = format!("What the kernel said (from {})", one_line(&finding.seen()));
        let _ = writeln!(text, "{title}\n{}\n", "-".repeat(title.chars().count()));
        if let Some(suspect) = &finding.suspect {
            let _ = writeln!(text, "Look first at {}\n", one_line(&suspect.to_string()));
        }
        let shown = trace::plain(finding, patches);
        for line in shown.iter().take(LINES) {
            // Whatever the kernel says, no line of the mail is its.
            let _ = writeln!(text, "    {line}");
        }
        if shown.len() > LINES {
            let _ = writeln!(
                text,
                "… {} more lines are in the log",
                shown.len().saturating_sub(LINES)
            );
        }
        text.push('\n');
        all.extend(shown);
    }
    if !lines.is_empty() {
        text.push_str("It also said\n------------\n\n");
        for finding in lines {
            let _ = writeln!(
                text,
                "    {} (from {})",
                one_line(&finding.excerpt),
                one_line(&finding.source)
            );
        }
        text.push('\n');
    }
    let decoded = findings.iter().flat_map(|finding| &finding.decoded);
    let legend = legend(&all, decoded.count() > 0);
    if !legend.is_empty() {
        let _ = writeln!(text, "({})\n", legend.join("; "));
    }
    text
}

/// What the tests that failed printed last.
fn of_failed_tests(row: &RowRecord) -> String {
    let mut text = String::new();
    for printed in printed::of_failed_tests(row) {
        let _ = writeln!(text, "{}", printed.heading());
        for line in &printed.lines {
            let _ = writeln!(text, "    {line}");
        }
        text.push('\n');
    }
    match text.is_empty() {
        true => text,
        false => format!("What failed\n-----------\n\n{text}"),
    }
}

/// What was added to the kernel's words.
fn legend(lines: &[String], decoded: bool) -> Vec<&'static str> {
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    let mut legend = Vec::new();
    if decoded {
        legend.push("added: file:line and [inline], from the debug information of this very build");
    }
    if has("    <--- ") {
        legend.push("<--- a line that the patch wrote, with its text");
    }
    if has("    <-- ") {
        legend.push("<-- a function that a patch changes or adds");
    }
    if has("    <- ") {
        legend.push("<- a module that a patch changed");
    }
    legend
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
        "Configuration\n-------------\n\nThe whole of it is the file .config below. What decides what is checked:\n\n",
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

/// What reporting-issues.rst always wants: version and compiler as the kernel says them, distribution, architecture, machine.
fn versions(run: &RunRecord, captured: &Captured) -> String {
    let mut text = String::from("Versions\n--------\n\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}: {}", one_line(value.trim()));
    };
    match &captured.version {
        Some(version) => line("Kernel", version),
        None => line("Kernel", &run.release),
    }
    line("Tree", &run.tree);
    // The third line of a .config: `# Linux/arm64 7.3.4 Kernel Configuration` (scripts/kconfig/confdata.c).
    let heading = captured.config.as_ref().and_then(|config| {
        let heading = config.lines().find_map(|line| line.strip_prefix("# Linux/"))?;
        heading.split(' ').next()
    });
    let known = [
        ("Architecture", heading),
        ("Machine", captured.machine.as_deref()),
        ("Distribution", captured.distribution.as_deref()),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("Board", &run.board);
    line("Found by", concat!("lockstep ", env!("CARGO_PKG_VERSION")));
    text.push('\n');
    text
}

fn files(captured: &Captured) -> String {
    if captured.files.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "Files of this boot\n------------------\n\nTo be put where they stay, or sent in answers to this mail (cargo xtask report --bundle FILE packs them, with \
         names masked):\n\n",
    );
    for file in &captured.files {
        let _ = writeln!(text, "{}, {}", one_line(&file.path), bytes(file.size));
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
        "(that commit is in the tested tree only, made from the patch file with the SHA-256\n{};\nwhere the patch has landed, its own commit takes \
         that place)",
        one_line(&patch.sha256)
    );
    text
}

/// What whoever sends the text has to know, and no reader of it: recipients, and what a released kernel changes.
pub fn advice(material: &Material) -> Vec<String> {
    let Some(patch) = subject_of(&material.record).and_then(|row| row.patch.as_ref()) else {
        return vec!["who is to have it: scripts/get_maintainer.pl -f FILE, in the kernel tree".to_string()];
    };
    let files: Vec<String> = patch
        .files
        .iter()
        .map(|file| format!("-f {}", one_line(file)))
        .collect();
    vec![
        format!("who is to have it: scripts/get_maintainer.pl {}, in the kernel tree", files.join(" ")),
        "where the patch was posted, answer to that mail; where a kernel was released with it, this is a regression: begin the subject with \
         [REGRESSION], copy regressions@lists.linux.dev, and add a line `#regzbot introduced: COMMIT`"
            .to_string(),
    ]
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
    fn no_line_of_the_mail_is_one_of_the_kernel() {
        let forged = [
            "Subject: forged",
            "To: a@b.c",
            "#regzbot introduced: forged",
            "Fixes: forged",
        ];
        let mut row = regression();
        row.findings[0].excerpt = forged.join("\n");
        let mut single = row.findings[0].clone();
        single.excerpt = "Fixes: forged in one line".into();
        row.findings.push(single);
        let text = super::text(&material(vec![row])).unwrap();
        assert_eq!(text.matches("forged").count(), 4, "{text}");
        assert!(
            text.lines()
                .filter(|line| line.contains("forged"))
                .all(|line| line.starts_with("    ")),
            "{text}"
        );
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
            Some("# Linux/arm64 7.3.4 Kernel Configuration\nCONFIG_PROVE_LOCKING=y\nCONFIG_USB=y\n# CONFIG_KASAN is not set\n".into());
        material.captured[1].version =
            Some("[    0.000000] Linux version 7.3.4-lockdep (a@b) (gcc 12)".into());
        let text = super::text(&material).unwrap();
        assert!(
            text.starts_with("Subject: [BUG] media: vim2m: possible circular locking dependency\nTo: "),
            "{text}"
        );
        material.captured[1].command_line = Some("console=ttyAMA0 panic=10".into());
        material.record.rows[1].load = vec!["vim2m".into(), "vicodec".into()];
        let text = super::text(&material).unwrap();
        for words in [
            "\nTo: A B <a@b.example>\n\n\"media: vim2m: take b\" makes the kernel say: possible circular locking dependency.\n\n",
            "The kernel without any patch of the series passes the same tests on this board with the same configuration: nothing else differs.",
            " take_b+0x10/0x20 drivers/media/test-drivers/vim2m.c:612 [vim2m] (P)    <--- a line of 0008: spin_lock(&ctx->b);\n",
            " other+0x1/0x2 [vim2m]    <- module of 0008\n",
            " device_run+0x1/0x2\n",
            "(added: file:line and [inline], from the debug information of this very build; <--- a line that the patch wrote, with its text; \
             <- a module that a patch changed)",
            "     console=ttyAMA0 panic=10\n4. modprobe -a vim2m vicodec\n5. stream: exit 0, as expected\n       set -e\n       v4l2-ctl --stream-mmap\n",
            "CONFIG_PROVE_LOCKING=y\n",
            "Architecture: arm64\n",
            "(gcc 12)",
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
