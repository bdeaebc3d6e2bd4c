//! A board of one's own, over ssh, from its first look to its rollback: nothing but ssh, a serial line on TCP, and two commands is known of
//! it. With a cable, and without one. On a machine of QEMU's that Lockstep did not start, with nothing faked.

use crate::ssh_bench;

use serde_json::Value;
use ssh_bench::{Cable, LABEL, NAME, PROJECT, SshBench, xtask};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use xtask::host::folders::Folders;
use xtask::kernel::place::Place;
use xtask::kernel::stage;

const CAMPAIGN: &str = r#"
schema-version = 1
name = "bench"
goal = "Two patches on a board of one's own."
board = "bench"
series = "patches/rehearsal"

[kernel]
base = BASE

[log]
forbid = ["released after", "is locked"]

[programs]
release_fence = "xtask/probe"

[[smoke]]
name = "vim2m-fence"
run = "./release_fence --driver vim2m --transtime 200 --frames 5"

[baseline]
exit = { vim2m-fence = 1 }

[[step]]
id = "2.1"
patch = "0004"
fragments = ["kconfig-fragments/release-fences.config"]
load = ["vim2m"]
exit = { vim2m-fence = 1 }
exercise = ["vb2_signal_release_fence"]

[[step]]
id = "2.2"
patch = "0008"
rebuild = ["vim2m"]
load = ["vim2m"]
exercise = ["vim2m_publish_release_fence"]

[broken.lock-inversion]
replaces = "0008"
patch = "patches/rehearsal/broken/lock-inversion.patch"

[broken.hard-lockup]
replaces = "0008"
patch = "patches/rehearsal/broken/hard-lockup.patch"
"#;

/// Flags that name board, campaign and label.
fn on_the_bench<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut all = words.to_vec();
    all.extend(["--board", NAME, "--campaign", NAME, "--label", LABEL, "--yes"]);
    all
}

/// A campaign file outside the checkout.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench.toml");
        // The kernel that is built already: the board's own configuration has more in it, and would be another one from the first file on.
        let cache = Folders::find().unwrap().cache;
        let staged = Place::of(&cache, None).unwrap().staging.join("lockdep");
        let base = staged.join(stage::CONFIG);
        assert!(
            base.is_file(),
            "a debug kernel is built: `cargo xtask build-debug-kernel`"
        );
        std::fs::write(folder.path().join("base.config"), std::fs::read(base).unwrap()).unwrap();
        let base = format!("{:?}", folder.path().join("base.config"));
        std::fs::write(&path, CAMPAIGN.replace("BASE", &base)).unwrap();
        File {
            _folder: folder,
            path,
        }
    }

    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["bisect-apply", self.path.to_str().unwrap(), "--yes"];
        words.extend(more);
        words
    }
}

/// Record and report of the run that said this.
fn record(said: &str) -> (Value, String) {
    let report = said.lines().find_map(|line| line.strip_prefix("Report: "));
    let report = Path::new(report.expect("it names its report"));
    let record = std::fs::read(report.with_file_name("run.json")).unwrap();
    let text = std::fs::read_to_string(report.with_file_name("report.md")).unwrap();
    (serde_json::from_slice(&record).unwrap(), text)
}

fn row<'a>(record: &'a Value, id: &str) -> &'a Value {
    let rows = record["rows"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == id).unwrap()
}

/// Runs the tool until it has said these words one after the other, and kills it there.
fn killed_at(words: &[&str], signs: &[&str]) {
    eprintln!("$ cargo xtask {}", words.join(" "));
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("lockstep"))
        .current_dir(PROJECT)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut signs = signs.iter().peekable();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        eprintln!("{line}");
        if signs.next_if(|sign| line.contains(**sign)).is_some() && signs.peek().is_none() {
            break;
        }
    }
    assert!(signs.peek().is_none(), "it ended before it said {signs:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    eprintln!("killed");
}

/// The commands of README's "Your own board", one after the other.
#[test]
fn a_board_over_ssh_from_the_first_look_to_the_rollback() {
    let bench = SshBench::start();
    bench.describe(Cable::Serial);
    let before = bench.vanilla();
    let said = xtask(&["board", "status", "--board", NAME], 0);
    assert!(said.contains("answers as root and runs"), "{said}");
    let said = xtask(&on_the_bench(&["preflight"]), 0);
    assert!(
        said.contains("a line written on the board arrived in the log"),
        "{said}"
    );
    for way in ["an orderly reboot", "a panic", "a forced reset", "the watchdog"] {
        let words = format!("way back by {way}: vanilla answered after");
        assert!(said.contains(&words), "{words}: {said}");
    }
    xtask(&on_the_bench(&["deploy"]), 0);
    let said = xtask(&on_the_bench(&["boot", LABEL, "--method", "kexec"]), 0);
    assert!(said.contains("lockdep"), "{said}");
    xtask(&on_the_bench(&["boot", "vanilla"]), 0);
    xtask(&on_the_bench(&["rollback"]), 0);
    assert_eq!(bench.vanilla(), before);
    assert_eq!(bench.ours().trim(), "");
}

/// By the menu of U-Boot over TCP: a patch passes, and one that inverts two locks is taken back.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_campaign_over_ssh_with_a_cable() {
    let bench = SshBench::start();
    bench.describe(Cable::Serial);
    let before = bench.vanilla();
    let file = File::new();
    let words = file.words(&["--break", "lock-inversion"]);
    let said = xtask(&words, 11);
    assert!(said.contains("boot method: serial-menu"), "{said}");
    let (record, report) = record(&said);
    assert_eq!(row(&record, "1.8")["verdict"], "pass");
    assert_eq!(row(&record, "2.1")["verdict"], "pass");
    let broken = row(&record, "2.2");
    assert_eq!(broken["verdict"], "regression", "{report}");
    assert!(report.contains("release_fence_publish_lock"), "{report}");
    let evidence = Path::new(broken["evidence"].as_str().unwrap());
    let serial = std::fs::read_to_string(evidence.join("serial.log")).unwrap();
    assert!(
        serial.contains("possible circular locking dependency"),
        "{serial}"
    );
    assert!(evidence.join("serial.log.index").is_file());
    xtask(&["rollback", "--board", NAME, "--campaign", NAME, "--yes"], 0);
    assert_eq!(bench.vanilla(), before);
}

/// Nothing but ssh and ramoops. The tool is killed while a kernel of ours runs, and goes on; a kernel that locks up without a word is reset by the
/// watchdog, and what it said before comes out of pstore.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_campaign_over_ssh_without_a_cable() {
    let bench = SshBench::start();
    bench.describe(Cable::None);
    let before = bench.vanilla();
    let file = File::new();
    let words = file.words(&["--only", "2.2", "--break", "hard-lockup"]);
    killed_at(&words, &["1.8 deploy", " answers after "]);
    let said = xtask(&words, 10);
    assert!(said.contains("was not finished"), "{said}");
    let (record, report) = record(&said);
    assert_eq!(row(&record, "1.8")["verdict"], "pass");
    assert_eq!(row(&record, "2.2")["verdict"], "lost-connection", "{report}");
    assert!(said.contains("boot method: kexec"), "{said}");
    xtask(&["rollback", "--board", NAME, "--campaign", NAME, "--yes"], 0);
    assert_eq!(bench.vanilla(), before);
}
