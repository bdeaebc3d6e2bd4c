//! `cargo xtask logs` as a person runs it.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

fn logs() -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/kernel-log/tests/logs"));
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
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/kernel-log/tests/logs/warn.log"),
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

/// A row of `logs/cases/expected.tsv`.
struct Case {
    file: String,
    exit: i32,
    errors: usize,
    kinds: Vec<String>,
    functions: Vec<String>,
    module: String,
}

fn cases() -> Vec<Case> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/kernel-log/tests/logs/cases/expected.tsv");
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<Case> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let cell: Vec<&str> = line.split('\t').collect();
            let list = |text: &str| text.split("; ").map(String::from).collect();
            Case {
                file: cell[0].into(),
                exit: cell[1].parse().unwrap(),
                errors: cell[2].parse().unwrap(),
                // `serror (panic)`: the kind, and what came of it.
                kinds: list(cell[3].split(" (").next().unwrap()),
                functions: list(cell[4]),
                module: cell[5].into(),
            }
        })
        .collect();
    assert!(rows.len() >= 26, "the table was read");
    rows
}

/// Small logs in every layout that was read wrongly once, each with its right answer.
#[test]
fn the_cases_are_as_expected() {
    let mut wrong = Vec::new();
    for case in cases() {
        let file = format!("cases/{}", case.file);
        let output = logs().args(["--json", "logs", &file]).output().unwrap();
        let object = json(&output.stdout);
        let all: Vec<serde_json::Value> = object["files"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|file| file["findings"].as_array().unwrap().clone())
            .filter(|finding| finding["severity"] == "error")
            .collect();
        let fits = |at: usize, finding: &serde_json::Value| {
            let function = finding["function"].as_str();
            let expect = case.functions.get(at).map_or("-", String::as_str);
            let named = match expect {
                "-" => function.is_none(),
                "(its own driver)" => function.is_some_and(|name| name.starts_with("hantro")),
                expect => expect.split(" or ").any(|one| function == Some(one)),
            };
            let module = case.module == "-" || finding["module"] == case.module.as_str();
            named && module && finding["kind"] == case.kinds[at].as_str()
        };
        let right = output.status.code() == Some(case.exit)
            && all.len() == case.errors
            && all.iter().enumerate().all(|(at, finding)| fits(at, finding));
        if !right {
            wrong.push(format!(
                "{}: exit {:?}: {all:#?}",
                case.file,
                output.status.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same report printed by different programs is the same finding: title, id, chain of locks.
#[test]
fn one_report_in_eight_layouts_is_one_finding() {
    let told = |name: &str| -> String {
        let output = logs().args(["logs", &format!("cases/{name}")]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let at = said.find("error: ").unwrap_or_else(|| panic!("{name}: {said}"));
        // Without the place, which has the file's name and maybe its time.
        said[at..]
            .lines()
            .filter(|line| !line.starts_with("  at "))
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    };
    let reference = told("serial.log");
    assert!(
        reference.contains("wanted: &a->one, taken in first_op"),
        "{reference}"
    );
    let lines = |said: &str| -> Vec<String> {
        said.lines()
            .filter(|line| !line.trim().is_empty())
            .map(String::from)
            .collect()
    };
    for name in [
        "dmesg.log",
        "decode.log",
        "mono.log",
        "ctime.log",
        "journal-short.log",
        "mail.log",
        "z.log.gz",
    ] {
        assert_eq!(lines(&told(name)), lines(&reference), "{name}");
    }
}

#[test]
fn another_drivers_lockup_is_not_hidden_by_the_baseline() {
    let output = logs()
        .args(["logs", "-q", "--baseline", "cases/soft1.log", "cases/soft2.log"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(": 1 new, 0 more frequent, 0 known, 1 gone"),
        "{said}"
    );
}

#[test]
fn firmwares_errors_are_listed_apart() {
    let output = logs().args(["logs", "cases/tfa.log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("1 errors of firmware, before a kernel ran:\n    line 5: ERROR:   Error initializing"),
        "{said}"
    );
    let crash = logs()
        .args(["logs", "-q", "-"])
        .write_stdin("U-Boot 2024.01\n\"Synchronous Abort\" handler, esr 0x96000004, far 0x0\n[    0.000000] Linux version 7\n")
        .output()
        .unwrap();
    assert_eq!(crash.status.code(), Some(3), "{crash:?}");
}

/// Whoever can write to the console can write a loader's first line, too.
#[test]
fn a_stack_after_a_loader_s_line_is_not_silence() {
    let report =
        "WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\nCall trace:\n broken+0x10/0x20\n";
    for (loader, code) in [("", 3), ("U-Boot 2025.01 (x)\n", 4)] {
        let log = format!("[    0.000000] Linux version 7\n{loader}{report}");
        let output = logs()
            .args(["logs", "-q", "-"])
            .write_stdin(log)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{loader}: {output:?}");
    }
}

/// Invariant 16: "0 errors" is said of what was read, and of nothing else.
#[test]
fn what_is_not_a_kernels_log_is_said_to_be_none() {
    let check = |bytes: &[u8], words: &str| {
        let output = logs().args(["logs", "-"]).write_stdin(bytes).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(words) && !said.contains("0 errors"), "{said}");
    };
    check(b"", "it is empty");
    check(b"Dear list,\nthis is a mail.\n", "no kernel records recognised");
    check(
        &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0xb7],
        "it is not text",
    );
    let traces = b"[    1.000000] foo: hello\n[    1.000001] ---[ end trace 0 ]---\n[    1.000002]  f+0x1/0x2\n[    1.000002] Call trace:\n[    1.000003]  f+0x1/0x2\n[    1.000004]  g+0x1/0x2\n";
    check(traces, "call traces of a kernel");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), "[    0.000000] Linux version 7\n").unwrap();
    fs::write(folder.path().join("a.log.index"), "0 1\n").unwrap();
    let clean = logs().arg("logs").arg(folder.path()).output().unwrap();
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    fs::write(folder.path().join("b.txt"), "a shopping list\n").unwrap();
    let mixed = logs().arg("logs").arg(folder.path()).output().unwrap();
    assert_eq!(mixed.status.code(), Some(4), "{mixed:?}");
    let refused = logs()
        .args(["logs", "warn.log", "--baseline"])
        .arg(folder.path().join("b.txt"))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}
