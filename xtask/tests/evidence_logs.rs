//! `cargo xtask logs` as a person runs it.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

fn logs() -> Command {
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evidence"));
    command
}

fn json(output: &[u8]) -> serde_json::Value {
    serde_json::from_slice(output).unwrap()
}

#[test]
fn an_error_gives_exit_code_3_and_a_block() {
    let output = logs().args(["logs", "abba.log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("error: possible circular locking dependency: vim2m_fence_a vs vim2m_fence_b"),
        "{said}"
    );
    assert!(said.contains("wanted: vim2m_fence_a, taken in take_ba"), "{said}");
    assert!(said.contains("lockdep was switched off"), "{said}");
}

#[test]
fn a_quiet_log_gives_exit_code_0() {
    let output = logs()
        .args(["logs", "-"])
        .write_stdin("[    0.000000] Linux version 7\n[    1.000000] hello\n")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "-: 0 errors, 0 warnings\n"
    );
}

#[test]
fn json_is_one_object_and_serves_as_baseline() {
    let output = logs().args(["--json", "logs", "warn.log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let object = json(&output.stdout);
    assert_eq!(object["schema_version"], 1);
    assert_eq!(object["files"][0]["findings"][0]["kind"], "warning");
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("baseline.json");
    fs::write(&saved, &output.stdout).unwrap();

    let known = logs()
        .args(["logs", "warn.log", "--baseline"])
        .arg(&saved)
        .output()
        .unwrap();
    assert_eq!(known.status.code(), Some(0), "{known:?}");
    let new = logs()
        .args(["logs", "null.log", "--baseline"])
        .arg(&saved)
        .output()
        .unwrap();
    assert_eq!(new.status.code(), Some(3), "{new:?}");
    assert!(
        String::from_utf8(new.stdout)
            .unwrap()
            .contains("1 new, 0 more frequent, 0 known, 1 gone")
    );
}

#[test]
fn what_switches_lockdep_off_is_never_known() {
    let output = logs()
        .args(["logs", "abba.log", "--baseline", "abba.log"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_file_that_is_not_there_is_one_clear_error() {
    let output = logs().args(["logs", "nowhere.log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: reading nowhere.log: No such file"),
        "{said}"
    );
}

#[test]
fn a_newer_baseline_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("baseline.json");
    fs::write(&saved, r#"{"schema_version": 999, "files": []}"#).unwrap();
    let output = logs()
        .args(["logs", "warn.log", "--baseline"])
        .arg(&saved)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("schema_version is 999")
    );
}

#[test]
fn help_has_an_example_and_the_exit_codes() {
    let output = logs().args(["logs", "--help"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("cargo xtask logs --baseline baseline.json after-0005.log"),
        "{said}"
    );
    assert!(said.contains("Exit code 3"), "{said}");
}

#[test]
fn what_a_log_says_does_not_reach_the_terminal_as_it_is() {
    let output = logs()
        .args(["logs", "-"])
        .write_stdin("<3>[    1.000000] x: \u{9b}2J\x1b[31mred\x07 \x00 WARNING: \x1b]0;title\x07\n<3>[    1.000000] WARNING: CPU: 0 PID: 1 at a\x08\x08.c:1 f+0x1/0x2\n")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()),
        "{said:?}"
    );
}

#[test]
fn a_log_from_a_pipe_is_read_to_its_end() {
    let mut log = String::from("[    0.000000] Linux version 7\n");
    while log.len() < 3 << 20 {
        log += "[    1.000000] usb 1-1: new high-speed USB device number 2\n";
    }
    log += "[    2.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n";
    let output = logs()
        .args(["logs", "-q", "-"])
        .write_stdin(log)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("-: 1 errors, 0 warnings\nerror: WARNING in f [warning] "),
        "{said}"
    );
}

/// The recorder's times beside a serial log, a journal's own, and a log without any.
#[test]
fn a_finding_has_its_wall_time_where_the_source_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let serial = folder.path().join("serial.log");
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evidence/warn.log"),
        &serial,
    )
    .unwrap();
    let warning = |output: std::process::Output| -> (serde_json::Value, String) {
        let object = json(&output.stdout);
        let findings = object["files"][0]["findings"].as_array().unwrap();
        let warning = findings.iter().find(|finding| finding["kind"] == "warning");
        let warning = warning.unwrap().clone();
        (warning["wall"].clone(), warning["offset"].to_string())
    };
    let (none, offset) = warning(logs().args(["--json", "logs"]).arg(&serial).output().unwrap());
    assert!(none.is_null(), "{none}");
    let index = format!("0 1795412760000000000\n{offset} 1795412763250000000\n");
    fs::write(folder.path().join("serial.log.index"), index).unwrap();
    let (wall, _) = warning(logs().args(["--json", "logs"]).arg(&serial).output().unwrap());
    assert_eq!(
        wall,
        serde_json::json!({ "time": "2026-11-23T05:46:03.250000Z", "clock": "host" })
    );
    let said = logs().arg("logs").arg(&serial).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.contains(" s, 2026-11-23T05:46:03.250Z by the host's clock, "),
        "{said}"
    );

    let entry = r#"{"MESSAGE":"WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20","PRIORITY":"4","_SOURCE_MONOTONIC_TIMESTAMP":"1000000","__MONOTONIC_TIMESTAMP":"3000000","__REALTIME_TIMESTAMP":"1795412763250000"}"#;
    let journal = logs()
        .args(["--json", "logs", "-"])
        .write_stdin(entry)
        .output()
        .unwrap();
    let (wall, _) = warning(journal);
    assert_eq!(
        wall,
        serde_json::json!({ "time": "2026-11-23T05:46:01.250000Z", "clock": "board" })
    );
}
