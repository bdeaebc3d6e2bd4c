//! The verbs about runs as a person meets them, without a board.

use assert_cmd::Command;

fn said(words: &[&str], code: i32) -> String {
    let mut command = Command::cargo_bin("xtask").unwrap();
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
