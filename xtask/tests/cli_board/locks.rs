//! Every verb and the lock of its board: a verb that is new has to be put into the table, and one
//! that says it holds the lock is
//! tried while another process has it.

use super::{Known, said, xtask};
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use xtask::board::file::BoardFile;
use xtask::board::ssh_board::SshBoard;
use xtask::board::virt;
use xtask::campaign::journal::past::Begin;
use xtask::campaign::journal::{self, Event, Journal};
use xtask::host::folders::Folders;
use xtask::host::lock::{self, Alias, Place, Purpose};

/// How a verb stands to the lock.
enum Lock {
    /// It is refused while another process holds it; with the words that get it so far.
    Holds(&'static [&'static [&'static str]]),
    /// A person is asked first.
    Asks(&'static [&'static str]),
    /// It takes the lock in the middle of other work, by a verb that is tried here.
    Through(&'static str),
    /// It opens a board that can be read alone (`only_look::OnlyLook`).
    Looks,
    /// It has nothing to do with a board.
    None,
}

use Lock::{Asks, Holds, Looks, Through};

const VERBS: &[(&str, Lock)] = &[
    ("abort", Holds(&[&["RUN"]])),
    ("apply", Lock::None),
    ("back-to-vanilla", Holds(&[&["FOLDER"]])),
    ("backup list", Looks),
    ("backup show", Lock::None),
    ("backup verify", Looks),
    ("baseline accept", Lock::None),
    ("baseline record", Lock::None),
    ("baseline show", Lock::None),
    (
        "bisect-apply",
        Holds(&[&["campaigns/rehearsal.toml"], &["--search"]]),
    ),
    ("board console", Holds(&[&["--write"]])),
    ("board destroy", Holds(&[&[]])),
    ("board down", Holds(&[&[]])),
    ("board netconsole", Holds(&[&["BOARD"]])),
    ("board probe", Looks),
    ("board ramoops", Looks),
    ("board reset", Holds(&[&["BOARD"]])),
    ("board ssh", Asks(&["BOARD", "true"])),
    ("board state", Looks),
    ("board status", Looks),
    ("board sysrq", Holds(&[&["BOARD", "w"], &["BOARD", "b"], &["w"]])),
    ("board up", Holds(&[&[], &["--no-wait"]])),
    (
        "boot",
        Holds(&[
            &["KNOWN", "vanilla"],
            &["KNOWN", "vanilla", "--force"],
            &["KNOWN", "arch_devices_lockdep"],
        ]),
    ),
    ("build", Lock::None),
    ("build-debug-kernel", Lock::None),
    ("campaign check", Lock::None),
    ("campaign new", Lock::None),
    ("campaign schema", Lock::None),
    ("campaign show", Lock::None),
    ("completions", Lock::None),
    ("config diff", Lock::None),
    ("config verify", Lock::None),
    ("config why", Lock::None),
    ("deploy", Holds(&[&["KNOWN", "MANIFEST"]])),
    ("doctor", Lock::None),
    (
        "extlinux add",
        Holds(&[&["KNOWN", "--kernel", "/I", "--append", "x"]]),
    ),
    ("extlinux lint", Looks),
    ("extlinux remove", Holds(&[&["KNOWN"]])),
    ("extlinux show", Looks),
    // Without --clear it only looks.
    (
        "harvest",
        Holds(&[&["BOARD", "--clear", "--to", "/nonexistent/x"]]),
    ),
    ("history", Lock::None),
    ("logs", Lock::None),
    ("man", Lock::None),
    ("plan", Lock::None),
    ("preflight", Holds(&[&["KNOWN"], &["BOARD"]])),
    ("rehearse", Through("bisect-apply")),
    ("report", Lock::None),
    ("resume", Holds(&[&["RUN"]])),
    ("revert", Lock::None),
    ("review", Lock::None),
    (
        "rollback",
        Holds(&[&["KNOWN"], &["KNOWN", "--offline", "/nonexistent"]]),
    ),
    // The recorder of a line, which other verbs start; it writes what they send.
    ("serial-record", Lock::None),
    ("series", Lock::None),
    ("series check", Lock::None),
    ("series export", Lock::None),
    ("series import", Lock::None),
    ("series refresh", Lock::None),
    ("series show", Lock::None),
    ("setup", Through("board up")),
    ("status", Lock::None),
    ("symbolise", Lock::None),
    ("test", Through("setup")),
    (
        "verdict",
        Holds(&[&["STEP", "--overrule", "pass", "--by", "Ann", "--why", "x"]]),
    ),
];

/// Every command that does something by itself.
fn verbs(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("{above} {}", verb.get_name()).trim_start().to_string();
        if verb.get_subcommands().next().is_none() || !verb.is_subcommand_required_set() {
            found.insert(name.clone());
        }
        verbs(verb, &name, found);
    }
}

#[test]
fn every_verb_says_how_it_stands_to_the_lock_of_its_board() {
    let mut there = BTreeSet::new();
    verbs(&xtask::cli::Cli::command(), "", &mut there);
    let told: BTreeSet<String> = VERBS.iter().map(|(verb, _)| verb.to_string()).collect();
    assert_eq!(told.len(), VERBS.len(), "a verb is told twice");
    assert_eq!(
        there, told,
        "each verb stands in this table: may it disturb a board, then it holds its lock"
    );
    for (verb, lock) in VERBS {
        if let Through(other) = lock {
            let other = VERBS.iter().find(|(verb, _)| verb == other);
            assert!(
                matches!(other, Some((_, Holds(_) | Through(_)))),
                "{verb}: {other:?}",
                other = other.map(|other| other.0)
            );
        }
    }
}

/// A run of the board `ampere` in this checkout that was cut off behind its first verdict; gone
/// with the value.
struct Begun {
    campaign: String,
    folder: PathBuf,
}

impl Begun {
    fn new() -> Self {
        let campaign = format!("test-locks-{}", std::process::id());
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = project.join(".lockstep/runs").join(&campaign);
        let begin = Begin {
            campaign: campaign.clone(),
            file: "campaigns/iter6.toml".into(),
            board: "ampere".into(),
            tool: "t".into(),
            options: Default::default(),
            break_with: None,
            kernel: None,
            rows: vec![("2.1".into(), "a patch".into())],
        };
        let mut journal = Journal::open(&folder.join("20260101T000000").join(journal::FILE)).unwrap();
        journal.note(Event::Begin, "", &begin).unwrap();
        let row = serde_json::json!({ "title": "a patch", "inputs": [], "head": "" });
        journal.note(Event::RowBegun, "2.1", &row).unwrap();
        let judged = serde_json::json!({ "verdict": "regression" });
        journal.verdict("2.1", judged).unwrap();
        Begun { campaign, folder }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// What the words in capitals stand for.
fn words(verb: &str, words: &[&str], known: &Known, run: &Begun, manifest: &Path) -> Vec<String> {
    let mut all: Vec<String> = verb.split(' ').map(String::from).collect();
    for word in words {
        match *word {
            "BOARD" => all.extend(["--board", "ampere"].map(String::from)),
            "KNOWN" => {
                let label = if verb == "extlinux remove" || verb == "extlinux add" {
                    vec!["--name", "arch_devices_lockdep"]
                } else {
                    vec![]
                };
                all.extend(["--board", "ampere", "--campaign", &known.campaign].map(String::from));
                all.extend(label.into_iter().map(String::from));
            }
            "MANIFEST" => all.extend(["--manifest".into(), manifest.display().to_string()]),
            "RUN" => all.push(run.campaign.clone()),
            "FOLDER" => all.push(run.folder.join("20260101T000000").display().to_string()),
            "STEP" => all.extend(["2.1", "--campaign", &run.campaign].map(String::from)),
            word => all.push(word.into()),
        }
    }
    all
}

#[test]
fn no_verb_that_could_disturb_a_board_works_beside_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("build");
    std::fs::create_dir(&manifest).unwrap();
    let text = format!(
        r#"{{"schema-version":1,"release":"r","build-id":"b","profile":"p","commit":"c","root":"{}","files":[]}}"#,
        manifest.display()
    );
    std::fs::write(manifest.join("manifest.json"), text).unwrap();
    let (known, run) = (Known::for_label("arch_devices_lockdep"), Begun::new());
    let folders = Folders {
        cache: folder.path().join("cache"),
        ..Folders::find().unwrap()
    };
    std::fs::create_dir(&folders.cache).unwrap();
    let ampere = BoardFile::parse("ampere", include_str!("../../../boards/ampere.toml")).unwrap();
    let ampere = SshBoard::open(&ampere, &folder.path().join("control")).unwrap();
    let mut names: Vec<Alias> = ampere.ssh().machine_names().unwrap();
    names.push(virt::machine_name(&folders).unwrap());
    let purpose = Purpose {
        command: "bisect-apply another.toml".into(),
        ..Purpose::default()
    };
    let place = Place::at(folder.path()).unwrap();
    let holder = lock::take(&place, &names, &purpose).unwrap();
    let run_it = |verb: &str, asked: &[&str], more: &[&str]| {
        let words = words(verb, asked, &known, &run, &manifest);
        let mut command = xtask(folder.path(), more);
        command.args(&words).timeout(std::time::Duration::from_secs(60));
        command
    };
    for (verb, lock) in VERBS {
        let (asked, refusal): (&[&[&str]], _) = match lock {
            Holds(asked) => (asked, "it is in use: process"),
            Asks(asked) => (&[*asked][..], "is in use: process"),
            Through(_) | Looks | Lock::None => continue,
        };
        for asked in asked {
            let more: &[&str] = match lock {
                Asks(_) => &["--no-input"],
                _ => &["--yes"],
            };
            // It stands for a campaign that was interrupted, whatever came of it.
            let code = if *verb == "back-to-vanilla" { 130 } else { 1 };
            let text = said(&mut run_it(verb, asked, more), code);
            assert!(
                text.contains(refusal) && text.contains("bisect-apply another.toml"),
                "{verb} {asked:?}: {text}"
            );
        }
    }
    // Consent is enough for a shell; there it goes on to the board, which is not reachable from
    // here.
    let text = said(&mut run_it("board ssh", &["BOARD", "true"], &["--yes"]), 3);
    assert!(!text.contains("is in use"), "{text}");
    // The counter-check: what was refused for the lock alone goes on when it is given back.
    drop(holder);
    let text = said(&mut run_it("boot", &["KNOWN", "vanilla"], &["--yes"]), 1);
    assert!(text.contains("does not answer"), "{text}");
}
