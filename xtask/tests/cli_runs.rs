//! The verbs about runs as a person meets them, without a board.

use crate::fake_ssh;

use assert_cmd::Command;
use fake_ssh::FakeSsh;
use std::path::{Path, PathBuf};
use xtask::campaign::journal::past::Begin;
use xtask::campaign::journal::{self, Event, Journal};

fn said(words: &[&str], code: i32) -> String {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let empty = cache.path().join("cache");
    let output = command
        .args(words)
        .env("LOCKSTEP_CACHE", &empty)
        .assert()
        .code(code)
        .get_output()
        .clone();
    assert!(!empty.exists(), "{words:?} wrote into the cache");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_dry_run_says_how_a_bad_patch_would_be_found_and_why_so() {
    let walk = said(&["bisect-apply", "--dry-run"], 0);
    assert!(
        walk.contains("By walk: one boot and one verdict for each of 6 patches"),
        "{walk}"
    );
    let search = said(&["bisect-apply", "--dry-run", "--search"], 0);
    assert!(
        search.contains("By bisection: up to 4 boots for 6 patches"),
        "{search}"
    );
    let only = said(&["bisect-apply", "--dry-run", "--only", "2.2"], 0);
    assert!(only.contains("it is applied, and not judged"), "{only}");
    assert!(!only.contains("0009"), "nothing behind it is touched:\n{only}");
    let without = said(&["rehearse", "--dry-run", "--continue-without", "0008"], 0);
    assert!(without.contains("0009") && !without.contains("0008"), "{without}");
}

#[test]
fn a_step_that_is_not_there_is_refused_with_what_there_is() {
    for flag in ["--only", "--from", "--continue-without"] {
        let text = said(&["bisect-apply", "--dry-run", flag, "9.9"], 1);
        assert!(
            text.contains(&format!("{flag} 9.9")) && text.contains("2.1 (0004)"),
            "{text}"
        );
    }
    said(
        &["bisect-apply", "--dry-run", "--only", "2.1", "--from", "2.2"],
        2,
    );
    said(&["bisect-apply", "--dry-run", "--repeat", "0"], 2);
}

#[test]
fn a_word_on_a_verdict_needs_a_name_and_a_reason() {
    let text = said(&["verdict", "2.2", "--overrule", "pass"], 2);
    assert!(text.contains("--by") && text.contains("--why"), "{text}");
    said(
        &[
            "verdict",
            "2.2",
            "--overrule",
            "fine",
            "--by",
            "Ann",
            "--why",
            "x",
        ],
        2,
    );
}

#[test]
fn a_campaign_without_a_run_is_named_with_what_to_do() {
    for verb in ["status", "resume", "abort"] {
        let text = said(&[verb, "no-such-campaign"], 1);
        assert!(text.contains("there is no run"), "{verb}: {text}");
    }
}

#[test]
fn history_answers_as_one_json_object() {
    let answer: serde_json::Value =
        serde_json::from_str(&said(&["history", "no-such-campaign", "--json"], 0)).unwrap();
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(answer["runs"].as_array().unwrap().len(), 0);
}

/// A run of a campaign of its own in this checkout; gone with the value.
struct CutOff {
    campaign: String,
    folder: PathBuf,
}

impl CutOff {
    fn new(what: &str) -> Self {
        let campaign = format!("test-cut-{what}-{}", std::process::id());
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = project
            .join(".lockstep/runs")
            .join(&campaign)
            .join("20260101T000000");
        std::fs::create_dir_all(&folder).unwrap();
        CutOff { campaign, folder }
    }

    fn journal(&self) -> PathBuf {
        self.folder.join(journal::FILE)
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(self.folder.parent().unwrap()));
    }
}

#[test]
fn a_journal_that_a_power_cut_took_is_a_run_that_was_cut_off() {
    for (what, left, said) in [
        ("none", None, "it was cut off before its journal was made"),
        (
            "empty",
            Some(vec![]),
            "it is empty, as a power cut can leave a file",
        ),
        ("zeros", Some(vec![0; 4096]), "it holds 4096 zero bytes alone"),
    ] {
        let run = CutOff::new(what);
        if let Some(left) = &left {
            std::fs::write(run.journal(), left).unwrap();
        }
        let fake = FakeSsh::new();
        fake.dead();
        let name = run.campaign.as_str();
        for (verb, code) in [("status", 20), ("resume", 20), ("history", 0)] {
            let text = fake.said("cache", &[verb, name], code);
            assert!(
                text.contains(said) && !text.contains("older format"),
                "{what}, {verb}: {text}"
            );
        }
        let json = fake.said("cache", &["status", name, "--json"], 20);
        let answer: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert!(answer["cut_off"].is_object(), "{answer}");
        let text = fake.said("cache", &["verdict", "2.1", "--campaign", name], 1);
        assert!(text.contains(said), "{text}");
        // Nothing says its board; once somebody does, what is ours is taken back, and what was left of the journal stays.
        let text = fake.said("cache", &["abort", name, "--yes"], 1);
        assert!(
            text.contains(said) && text.contains("name it with --board"),
            "{text}"
        );
        assert_eq!(
            std::fs::read(run.journal()).ok(),
            left,
            "{what}: nothing was changed"
        );
        let abort = ["abort", name, "--board", "ampere", "--yes"];
        let text = fake.said("cache", &abort, 0);
        assert!(
            text.contains("not taken back: leave the kernel tree alone: no kernel tree is imported"),
            "{text}"
        );
        assert!(
            std::fs::read(run.journal())
                .unwrap()
                .starts_with(&left.unwrap_or_default())
        );
        for (verb, code, said) in [
            ("status", 0, "It has ended: aborted"),
            ("history", 0, "aborted"),
            ("resume", 20, "cannot be continued"),
        ] {
            let text = fake.said("cache", &[verb, name], code);
            assert!(text.contains(said), "{verb}: {text}");
        }
        fake.said("cache", &abort, 0);
    }
}

#[test]
fn a_run_is_given_up_when_its_kernel_tree_is_gone() {
    let run = CutOff::new("tree");
    let fake = FakeSsh::new();
    fake.dead();
    let kernel = fake.at("linux");
    let begin = Begin {
        campaign: run.campaign.clone(),
        file: "campaigns/x.toml".into(),
        board: "ampere".into(),
        tool: "t".into(),
        options: Default::default(),
        break_with: None,
        kernel: Some(kernel.clone()),
        rows: vec![],
    };
    let mut journal = Journal::open(&run.journal()).unwrap();
    journal.note(Event::Begin, "", &begin).unwrap();
    let gone = format!("{} is not there any more", kernel.display());
    let text = fake.said("cache", &["abort", &run.campaign, "--dry-run"], 0);
    assert!(
        text.contains("leave the kernel tree alone") && text.contains(&gone),
        "{text}"
    );
    // What is there and cannot be read is not gone, and neither is what was named now.
    std::fs::create_dir(&kernel).unwrap();
    std::fs::write(kernel.join(".git"), "gitdir: \0").unwrap();
    for more in [&[][..], &["--kernel", "/no/such/tree"]] {
        let words = [&["abort", &run.campaign, "--yes"], more].concat();
        let text = fake.said("cache", &words, 1);
        assert!(text.contains("looking for a kernel tree in"), "{text}");
    }
    std::fs::remove_dir_all(&kernel).unwrap();
    let text = fake.said("cache", &["abort", &run.campaign, "--yes"], 0);
    assert!(
        text.contains("not taken back") && text.contains("cargo xtask abort --kernel PATH"),
        "{text}"
    );
    let text = fake.said("cache", &["history", &run.campaign], 0);
    assert!(text.contains("aborted"), "{text}");
}
