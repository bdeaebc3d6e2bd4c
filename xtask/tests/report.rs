//! `cargo xtask report` as a person meets it, on a run folder that these tests make.

use crate::planted;

use assert_cmd::Command;
use kernel_log::{finder, reader};
use planted::forms::FORMS;
use planted::values::KEPT;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use xtask::campaign::record::{End, FindingRecord, RowRecord, RunRecord, SCHEMA_VERSION};
use xtask::campaign::report::bundle;
use xtask::campaign::verdict::Verdict;

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
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
        suspect: None,
    };
    let row = RowRecord {
        id: "2.1".into(),
        title: "0004 media: x: do y".into(),
        verdict: Some(verdict),
        took_s: 60.0,
        findings: if bad { vec![finding] } else { Vec::new() },
        of_patch: Some("0004".into()),
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
        said.contains("2.1  regression")
            && said.contains("next: mend the patch 0004, then `cargo xtask resume`"),
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
        text.contains("root@host-1 ip-1") && !text.contains("ampere"),
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

/// Paths and contents of a bundle.
fn unpacked(bundle: &Path) -> BTreeMap<String, String> {
    let bytes = zstd::decode_all(std::fs::File::open(bundle).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        let path = entry.path().unwrap().display().to_string();
        files.insert(path, String::from_utf8_lossy(&text).into_owned());
    }
    files
}

/// Whether a text shows a value: as it is, or as JSON, HTML or a list of bytes writes it.
fn shows(text: &str, value: &str) -> bool {
    let json = serde_json::to_string(value).unwrap();
    let html = value
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;");
    let bytes: Vec<String> = value.bytes().map(|byte| byte.to_string()).collect();
    [value, json.trim_matches('"'), &html, &bytes.join(",")]
        .iter()
        .any(|spelling| text.contains(spelling))
}

#[test]
fn no_planted_value_is_in_a_bundle_whatever_the_form_of_the_log() {
    let mut planted = planted::all();
    planted.extend(planted::key());
    let lines: Vec<String> = planted.iter().map(|one| one.line.clone()).collect();
    let values: Vec<&String> = planted.iter().flat_map(|one| &one.values).collect();
    assert!(
        values.len() >= 150 && FORMS.len() >= 12,
        "{} values",
        values.len()
    );
    let mut leaks = Vec::new();
    for form in FORMS {
        let parent = tempfile::tempdir().unwrap();
        let folder = run(parent.path(), Verdict::Regression);
        let kept: Vec<String> = KEPT.iter().map(|line| (*line).to_string()).collect();
        std::fs::write(folder.join("evidence/2.1/log"), form.file(&lines)).unwrap();
        std::fs::write(folder.join("evidence/2.1/kept"), form.file(&kept)).unwrap();
        let out = parent.path().join("x.tar.zst");
        bundle::write(&folder, &[], &out).unwrap();
        let files = unpacked(&out);
        let all: String = files.values().map(String::as_str).collect();
        let shown: Vec<&&String> = values.iter().filter(|value| shows(&all, value)).collect();
        println!(
            "{:24} {:3} of {} planted values masked",
            form.name,
            values.len() - shown.len(),
            values.len()
        );
        leaks.extend(shown.iter().map(|value| format!("{}: {value}", form.name)));
        let (_, text) = files.iter().find(|(name, _)| name.ends_with("/kept")).unwrap();
        if !form.name.contains("not UTF-8") {
            assert_eq!(text, &form.file(&kept), "{}: what is kept", form.name);
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn masking_keeps_every_finding_and_every_byte_of_real_logs() {
    let parent = tempfile::tempdir().unwrap();
    let folder = run(parent.path(), Verdict::Pass);
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/kernel-log/tests/logs");
    let mut logs = BTreeMap::new();
    for entry in walkdir::WalkDir::new(&real) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let name = format!("log-{:02}", logs.len());
            std::fs::copy(&path, folder.join(&name)).unwrap();
            logs.insert(name, std::fs::read(&path).unwrap());
        }
    }
    assert!(logs.len() > 30, "{} logs", logs.len());
    let out = parent.path().join("x.tar.zst");
    bundle::write(&folder, &[], &out).unwrap();
    let files = unpacked(&out);
    let titles = |bytes: &[u8]| -> Vec<String> {
        let findings = finder::find(&reader::read(bytes), "log");
        findings.into_iter().map(|finding| finding.title).collect()
    };
    let (mut bytes, mut findings) = (0, 0);
    for (name, log) in &logs {
        let masked = &files[&format!("small-attempt1/{name}")];
        assert_eq!(titles(log), titles(masked.as_bytes()), "{name}");
        findings += titles(log).len();
        // One log came through syslog, which writes the board's name in front of every line.
        let masked = masked.replace("host-1", "ampere");
        assert_eq!(String::from_utf8_lossy(log), masked, "{name}");
        bytes += log.len();
    }
    println!(
        "{} logs, {findings} findings, all of {bytes} bytes as they were",
        logs.len()
    );
    assert!(
        findings > 30 && bytes > 100_000,
        "{findings} findings, {bytes} bytes"
    );
}
