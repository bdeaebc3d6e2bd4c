//! A campaign that a test runs to its end.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the tool with these words in a project, and returns the run's record and its report in
/// Markdown. Panics where it ends with another exit code. What it says goes to standard error as it
/// comes: it takes minutes.
pub fn run(project: &Path, words: &[&str], code: i32) -> (Value, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("lockstep"));
    command.current_dir(project).args(words).stderr(Stdio::inherit());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    eprintln!("{said}");
    assert_eq!(output.status.code(), Some(code));
    let report = said.lines().find_map(|line| line.strip_prefix("Report: "));
    let report = project.join(report.expect("it names its report"));
    let record = fs::read(report.with_file_name("run.json")).unwrap();
    (
        serde_json::from_slice(&record).unwrap(),
        fs::read_to_string(report.with_file_name("report.md")).unwrap(),
    )
}
