//! `cargo xtask baseline` as a person runs it, for a campaign of its own, which is taken away again.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

/// Logs, and the campaign whose baseline is made from them.
struct Project {
    logs: tempfile::TempDir,
    campaign: String,
}

const NOISE: &str = "<4>[    1.000000] x: clock skew of 17 ms\n";
const WARN: &str = "<4>[    2.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n<4>[    2.000000] Call trace:\n<4>[    2.000000]  f+0x1/0x2\n";
const LOCK: &str = "<4>[    3.000000] WARNING: possible recursive locking detected\n";
const UNDER: [&str; 6] = ["--boot-method", "menu", "--test", "play", "--soak", "600"];

impl Project {
    fn new(test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("quiet", NOISE.into()), ("loud", format!("{NOISE}{WARN}{LOCK}"))] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Project {
            logs: folder,
            campaign: format!("test-of-{test}-{}", std::process::id()),
        }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::cargo_bin("lockstep")
            .unwrap()
            .current_dir(self.logs.path())
            .arg("baseline")
            .args(arguments)
            .args(["--campaign", &self.campaign])
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn folder(&self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        root.join(".lockstep/baselines").join(&self.campaign)
    }

    fn file(&self) -> PathBuf {
        self.folder().join("virtual.json")
    }

    /// The id that `logs` shows for a title.
    fn id(&self, title: &str) -> String {
        let output = Command::cargo_bin("lockstep")
            .unwrap()
            .current_dir(self.logs.path())
            .args(["logs", "-q", "loud"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let line = said
            .lines()
            .filter(|line| line.starts_with("error: "))
            .find(|line| line.contains(title))
            .unwrap_or_else(|| panic!("{said}"));
        line.rsplit(' ').next().unwrap().to_string()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(self.folder()));
    }
}

#[test]
fn recorded_shown_and_accepted() {
    let project = Project::new("accept");
    let (code, _, said) = project.run(&["show"]);
    assert_eq!(code, 1);
    assert!(said.contains("there is none"), "{said}");

    let (code, said, error) = project.run(&[&["record", "quiet"][..], &UNDER].concat());
    assert_eq!(code, 0, "{error}");
    assert!(
        said.contains("boot method menu, tests play, 600 s of soak, 1 boots"),
        "{said}"
    );
    assert!(
        said.contains("warning: x: clock skew of N ms [message], in 1 of 1 boots"),
        "{said}"
    );

    let id = project.id("WARNING in f");
    let accept = [
        "accept",
        &id,
        "--in",
        "loud",
        "--why",
        "a known race",
        "--by",
        "Ann Other",
    ];
    let (code, said, error) = project.run(&accept);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("accepted by Ann Other"), "{said}");
    assert!(said.contains("a known race"), "{said}");

    let (_, json, _) = project.run(&["show", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["baselines"][0]["accepted"][0]["by"], "Ann Other");
    assert_eq!(json["baselines"][0]["conditions"]["soak"], 600);
}

#[test]
fn what_switches_lockdep_off_is_refused_and_nothing_is_written() {
    let project = Project::new("refuse");
    project.run(&[&["record", "quiet"][..], &UNDER].concat());
    let before = fs::read(project.file()).unwrap();
    let id = project.id("possible recursive locking");
    let (code, _, said) = project.run(&["accept", &id, "--in", "loud", "--why", "x", "--by", "y"]);
    assert_eq!(code, 1);
    assert!(said.contains("switches lockdep off"), "{said}");
    let (code, _, said) = project.run(&["accept", "00000000", "--in", "loud", "--why", "x", "--by", "y"]);
    assert_eq!(code, 1);
    assert!(said.contains("no such finding in 1 logs; there are:"), "{said}");
    let id = project.id("WARNING in f");
    let (code, _, said) = project.run(&["accept", &id, "--in", "loud", "--why", " ", "--by", "y"]);
    assert_eq!(code, 1);
    assert!(said.contains("--why TEXT"), "{said}");
    assert_eq!(fs::read(project.file()).unwrap(), before);
}

#[test]
fn a_dry_run_writes_nothing() {
    let project = Project::new("dry");
    let (code, said, _) = project.run(&[&["-n", "record", "quiet"][..], &UNDER].concat());
    assert_eq!(code, 0);
    assert!(said.contains("would write"), "{said}");
    assert!(!project.file().exists());
}

#[test]
fn conditions_are_told_whole_and_names_are_names() {
    let project = Project::new("names");
    let (code, _, said) = project.run(&["record", "quiet", "--soak", "600"]);
    assert_eq!(code, 1);
    assert!(said.contains("conditions are told whole"), "{said}");
    let (code, _, said) = project.run(&["record", "quiet"]);
    assert_eq!(code, 1);
    assert!(said.contains("there are no baselines"), "{said}");
    let (code, _, said) = project.run(&[&["record", "quiet", "--board", "../x"][..], &UNDER].concat());
    assert_eq!(code, 2);
    assert!(said.contains("letters, digits"), "{said}");
    assert!(!project.file().exists());
}
