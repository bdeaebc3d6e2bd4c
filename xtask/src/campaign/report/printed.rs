//! What a failed smoke test printed last, made safe once for every report and for the terminal.

use super::{log, one_line};
use crate::campaign::record::RowRecord;
use crate::campaign::smoke::SmokeResult;

/// Lines of one test that are shown; the record has as many as the board sent.
const LINES: usize = 12;

/// The end of what a failed test printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The test, on one line.
    pub test: String,
    /// Its last lines, harmless for a terminal; not escaped for anything else. Empty: it printed
    /// nothing.
    pub lines: Vec<String>,
    /// Lines before them.
    pub left_out: usize,
}

impl Printed {
    fn of(test: &SmokeResult) -> Self {
        let text = log::shown(test.printed.trim_end());
        let all: Vec<&str> = text.lines().collect();
        let left_out = all.len().saturating_sub(LINES);
        Printed {
            test: one_line(&test.name),
            lines: all.iter().skip(left_out).map(|line| line.to_string()).collect(),
            left_out,
        }
    }

    /// What stands above the lines: `stream printed last (40 lines before are left out):`.
    pub fn heading(&self) -> String {
        match (self.lines.is_empty(), self.left_out) {
            (true, _) => format!("{} printed nothing", self.test),
            (false, 0) => format!("{} printed:", self.test),
            (false, n) => {
                let lines = crate::ui::count(n, "line");
                format!("{} printed last ({lines} before are left out):", self.test)
            }
        }
    }
}

/// Of each test of a row that ran and failed. Of a test that was left out there is nothing to show.
pub fn of_failed_tests(row: &RowRecord) -> Vec<Printed> {
    let failed = row.tests.iter().filter(|test| test.failure.is_some());
    let mut shown: Vec<Printed> = Vec::new();
    for printed in failed.map(Printed::of) {
        // A soak repeats a test, and it fails in the same way.
        if !shown.contains(&printed) {
            shown.push(printed);
        }
    }
    shown
}

/// The same as lines for a terminal.
pub fn told(row: &RowRecord) -> Vec<String> {
    let shown = of_failed_tests(row);
    let lines = shown.iter().flat_map(|printed| {
        let lines = printed.lines.iter().map(|line| format!("  │ {line}"));
        std::iter::once(printed.heading()).chain(lines)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOSTILE, check_characters};
    use super::*;

    fn row(printed: &str) -> RowRecord {
        let test = SmokeResult {
            name: "stream".into(),
            exit: 1,
            printed: printed.into(),
            failure: Some("exit 1, expected 0".into()),
            ..SmokeResult::default()
        };
        let good = SmokeResult {
            name: "good".into(),
            printed: "all is well".into(),
            ..SmokeResult::default()
        };
        RowRecord {
            tests: vec![good, test.clone(), test],
            ..RowRecord::default()
        }
    }

    #[test]
    fn the_last_lines_of_what_failed_are_shown_once() {
        let all: String = (1..=40).map(|n| format!("frame {n}\n")).collect();
        let told = told(&row(&all));
        assert_eq!(told[0], "stream printed last (28 lines before are left out):");
        assert_eq!(told.len(), 13);
        assert_eq!(told[12], "  │ frame 40");
        assert_eq!(super::told(&row("")), ["stream printed nothing"]);
        assert_eq!(super::told(&row("a\n\n"))[1..], ["  │ a"]);
    }

    #[test]
    fn nothing_of_it_steers_a_terminal() {
        let told = told(&row(&format!("{HOSTILE}\nerror: forged\r\x1b[1A")));
        check_characters(&told.join("\n"));
        assert!(told[1..].iter().all(|line| line.starts_with("  │ ")), "{told:#?}");
    }
}
