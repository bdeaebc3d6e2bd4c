//! The main job, whole: a rehearsal that succeeds, and one that has to find a lock inversion. Both on the virtual board, with
//! nothing faked; they need what `cargo xtask setup` makes, and make it if it is missing.

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// The checkout: paths on the command line are relative to it.
const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Hashes of all that is not ours: boot files and vanilla's modules, and extlinux.conf without our label.
const HASHES: &str = "find /boot/firmware /usr/lib/modules/$(uname -r) -type f ! -path '*lockdep*' ! -name extlinux.conf \
                      -exec sha256sum {} + | sort -k 2; \
                      sed '/^# lockstep: begin/,/^# lockstep: end/d' /boot/firmware/extlinux/extlinux.conf";

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    command
        .current_dir(PROJECT)
        .args(arguments)
        .timeout(std::time::Duration::from_secs(75 * 60));
    command
}

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(xtask(arguments).assert().success().get_output().stdout.clone()).unwrap()
}

/// Runs a rehearsal; gives its record and its report. What it says goes on to standard error as it comes: it takes minutes.
fn rehearse(arguments: &[&str], code: i32) -> (Value, String) {
    let program = assert_cmd::cargo::cargo_bin("lockstep");
    let mut command = std::process::Command::new(program);
    command
        .current_dir(PROJECT)
        .args(["rehearse", "--yes"])
        .args(arguments)
        .stderr(Stdio::inherit());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    eprintln!("{said}");
    assert_eq!(output.status.code(), Some(code));
    let report = said
        .lines()
        .find_map(|line| line.strip_prefix("Report: "))
        .expect("it names its report");
    let report = Path::new(report);
    let record = std::fs::read(report.with_file_name("run.json")).unwrap();
    (
        serde_json::from_slice(&record).unwrap(),
        std::fs::read_to_string(report.with_file_name("report.md")).unwrap(),
    )
}

fn verdicts(answer: &Value) -> Vec<(String, String)> {
    let rows = answer["rows"].as_array().unwrap();
    rows.iter()
        .filter_map(|row| {
            Some((
                row["id"].as_str()?.to_string(),
                row["verdict"].as_str()?.to_string(),
            ))
        })
        .collect()
}

/// What is on the board that is not ours, after a reset that nobody answers: so vanilla is the default, too.
fn vanilla_after_a_reset() -> (String, String) {
    stdout(&["board", "reset", "--yes"]);
    // Waits until it answers: while it boots a connection may be refused.
    stdout(&["board", "up"]);
    let release = stdout(&["board", "ssh", "uname -r"]);
    assert!(!release.contains("lockdep"), "vanilla is the default: {release}");
    (release, stdout(&["board", "ssh", HASHES]))
}

fn row<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let rows = answer["rows"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == id).unwrap()
}

fn expect(verdicts: &[(String, String)], expected: &[(&str, &str)]) {
    let seen: Vec<(&str, &str)> = verdicts
        .iter()
        .map(|(id, verdict)| (id.as_str(), verdict.as_str()))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_rehearsal_succeeds_and_a_broken_patch_is_found_and_taken_back() {
    stdout(&["setup", "--yes"]);
    stdout(&["board", "up"]);
    let before = vanilla_after_a_reset();

    let (answer, report) = rehearse(&["--fresh-baseline"], 0);
    assert_eq!(answer["end"], "success");
    let all = [("1.8", "pass"), ("2.1", "pass"), ("2.2", "pass"), ("2.3", "pass")];
    let declared = [
        ("2.4", "not-exercised"),
        ("2.5", "not-exercised"),
        ("2.6", "not-exercised"),
    ];
    expect(&verdicts(&answer), &[&all[..], &declared[..]].concat());
    assert!(report.contains("# Campaign rehearsal: success"), "{report}");
    assert!(row(&answer, "1.8")["taken_from"].is_null(), "{report}");
    let evidence = Path::new(row(&answer, "1.8")["evidence"].as_str().unwrap());
    let first_run = evidence.components().rev().nth(2).unwrap();
    let first_run = first_run.as_os_str().to_str().unwrap().to_string();
    for path in ["an orderly reboot", "a panic", "a forced reset", "the watchdog"] {
        let words = format!("way back by {path}: vanilla answered after");
        let line = report.lines().find(|line| line.contains(&words)).expect(&words);
        assert!(line.contains("a word in /dev/pmsg0 survived"), "{line}");
    }
    assert_eq!(
        vanilla_after_a_reset(),
        before,
        "vanilla's files are what they were"
    );

    let (answer, report) = rehearse(&["--break", "lock-inversion"], 11);
    assert_eq!(answer["end"], "partial-success");
    expect(
        &verdicts(&answer),
        &[("1.8", "pass"), ("2.1", "pass"), ("2.2", "regression")],
    );
    // The debug kernel is the same, so it is not booted again without the patches.
    let taken = &row(&answer, "1.8")["taken_from"]["boots"][0];
    assert_eq!(taken["run"], first_run.as_str(), "{report}");
    assert!(
        report.contains(&format!("taken from run {first_run}")),
        "{report}"
    );
    for lock in ["release_fence_publish_lock", "release_fence_signal_lock"] {
        assert!(report.contains(lock), "the report names {lock}:\n{report}");
    }
    let folder = Path::new(row(&answer, "2.2")["evidence"].as_str().unwrap());
    for file in ["serial.log", "kmsg.log", "journal.log", "pstore.sha256"] {
        assert!(folder.join(file).metadata().unwrap().len() > 0, "{file} is kept");
    }
    let series = stdout(&["series", "--series", "patches/rehearsal", "--json"]);
    let series: Value = serde_json::from_str(&series).unwrap();
    let applied: Vec<u64> = series["patches"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|patch| !patch["applied"].is_null())
        .map(|patch| patch["number"].as_u64().unwrap())
        .collect();
    assert_eq!(applied, [4], "the broken patch was taken back, and nothing else");
    assert_eq!(
        vanilla_after_a_reset(),
        before,
        "vanilla's files are what they were"
    );
}
