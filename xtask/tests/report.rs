//! `cargo xtask report` as a person meets it, on a run folder that these tests make.

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use xtask::campaign::record::{End, FindingRecord, RowRecord, RunRecord, SCHEMA_VERSION};
use xtask::campaign::verdict::Verdict;

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.arg("report").args(arguments);
    command
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn refused(command: &mut Command) -> String {
    String::from_utf8(command.assert().code(1).get_output().stderr.clone()).unwrap()
}

/// A run of a campaign with one step that has this verdict.
fn run(parent: &Path, verdict: Verdict) -> PathBuf {
    let folder = parent.join("20260101T000000");
    let evidence = folder.join("evidence/2.1");
    std::fs::create_dir_all(&evidence).unwrap();
    std::fs::write(
        evidence.join("serial.log"),
        "U-Boot 2024.01\nampere login: \nroot@ampere 10.1.2.3\n",
    )
    .unwrap();
    std::fs::write(evidence.join("core"), [0_u8; 100]).unwrap();
    let bad = verdict != Verdict::Pass;
    let finding = FindingRecord {
        title: "BUG: sleeping function called from invalid context".into(),
        severity: "error".into(),
        source: "serial".into(),
        time: None,
        wall: None,
        excerpt: "BUG: sleeping function".into(),
        decoded: Vec::new(),
    };
    let row = RowRecord {
        id: "2.1".into(),
        title: "0004 media: x: do y".into(),
        verdict: Some(verdict),
        took_s: 60.0,
        findings: if bad { vec![finding] } else { Vec::new() },
        ..RowRecord::default()
    };
    let record = RunRecord {
        schema_version: SCHEMA_VERSION,
        campaign: "small".into(),
        goal: "Find out.".into(),
        board: "virtual".into(),
        tree: "7.3.4".into(),
        release: "7.3.4-lockdep".into(),
        started: "2026-01-01T00:00:00Z".into(),
        end: Some(if bad { End::Failure } else { End::Success }),
        rows: vec![row],
        planned: Vec::new(),
        closing: Default::default(),
    };
    record.save(&folder).unwrap();
    folder
}

#[test]
fn all_reports_are_written_and_the_next_step_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let folder = run(parent.path(), Verdict::Regression);
    let path = folder.display().to_string();
    let dry = stdout(&mut xtask(&[&path, "-n"]));
    assert!(
        dry.contains("Nothing was touched.") && !folder.join("report.html").exists(),
        "{dry}"
    );
    let said = stdout(&mut xtask(&[&path]));
    assert!(
        said.contains("2.1  regression") && said.contains("Next: cargo xtask report --format issue"),
        "{said}"
    );
    for name in [
        "report.html",
        "report.md",
        "junit.xml",
        "issue.txt",
        "small_attempt1_close.md",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(
        said.contains(&folder.join("report.html").display().to_string()),
        "{said}"
    );
}

#[test]
fn each_format_goes_to_standard_output() {
    let parent = tempfile::tempdir().unwrap();
    // A folder of runs stands for its last one.
    run(parent.path(), Verdict::Regression);
    let path = parent.path().display().to_string();
    let of = |format: &str| stdout(&mut xtask(&[&path, "--format", format]));
    assert!(of("html").starts_with("<!DOCTYPE html>"));
    assert!(of("markdown").starts_with("# Campaign small: failure"));
    assert!(of("closing").starts_with("# small, attempt 1: failure"));
    assert!(of("junit").contains("<failure type=\"regression\""));
    assert!(of("issue").starts_with("Subject: [BUG] 0004 media: x: do y: BUG: sleeping function"));
    let json = of("json");
    assert!(json.starts_with("{\"schema_version\":"), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["end"], "failure");
    assert_eq!(json["captured"][0][1]["path"], "evidence/2.1/serial.log");
    assert!(
        !parent.path().join("20260101T000000/report.html").exists(),
        "nothing was written"
    );
}

#[test]
fn a_run_without_a_fault_has_no_issue() {
    let parent = tempfile::tempdir().unwrap();
    let folder = run(parent.path(), Verdict::Pass).display().to_string();
    let said = refused(&mut xtask(&[&folder, "--format", "issue"]));
    assert!(said.contains("no step of this run failed"), "{said}");
}

#[test]
fn a_bundle_is_masked_and_never_written_over() {
    let parent = tempfile::tempdir().unwrap();
    let folder = run(parent.path(), Verdict::Regression).display().to_string();
    let out = parent.path().join("x.tar.zst");
    let bundle = ["--bundle", &out.display().to_string()];
    let said = stdout(&mut xtask(&[&folder, bundle[0], bundle[1]]));
    assert!(said.contains("left out: evidence/2.1/core"), "{said}");
    let bytes = zstd::decode_all(std::fs::File::open(&out).unwrap()).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("root@HOST1 IP1") && !text.contains("ampere"),
        "{text}"
    );
    let said = refused(&mut xtask(&[&folder, bundle[0], bundle[1]]));
    assert!(
        said.contains("it is there already; choose another name"),
        "{said}"
    );
}

#[test]
fn what_is_no_run_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let said = refused(&mut xtask(&["no-such-campaign"]));
    assert!(
        said.contains("looking for the run no-such-campaign: no run.json is there"),
        "{said}"
    );
    let folder = run(parent.path(), Verdict::Pass);
    let text = std::fs::read_to_string(folder.join("run.json")).unwrap();
    let newer = text.replacen("\"schema_version\": 2", "\"schema_version\": 99", 1);
    std::fs::write(folder.join("run.json"), newer).unwrap();
    let said = refused(&mut xtask(&[&folder.display().to_string()]));
    assert!(
        said.contains("format 99, newer than this program reads (2)"),
        "{said}"
    );
}
