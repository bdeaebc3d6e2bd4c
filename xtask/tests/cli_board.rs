//! The verbs about boards as a person meets them, without a board.

use assert_cmd::Command;
use std::path::Path;

const CONF: &str = "# mine\ndefault arch_devices\nlabel arch_devices\n\tkernel /Image\n\tfdt /t.dtb\n\tappend root=/dev/vda2 rw quiet\n# end";

fn xtask(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("xtask").unwrap();
    command.args(words).env("LOCKSTEP_CACHE", folder.join("cache"));
    command
}

fn said(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_extlinux_conf_is_checked_with_line_and_rule() {
    let folder = tempfile::tempdir().unwrap();
    let (conf, root) = (
        folder.path().join("extlinux.conf"),
        folder.path().to_str().unwrap(),
    );
    let path = conf.to_str().unwrap();
    std::fs::write(&conf, CONF).unwrap();
    let text = said(&mut xtask(folder.path(), &["extlinux", "lint", path]), 0);
    assert!(
        text.contains("0 errors, 0 warnings") && text.contains("next: "),
        "{text}"
    );
    let text = said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--root", root]),
        3,
    );
    assert!(
        text.contains("extlinux.conf:3: ERROR [missing-file] `kernel /Image`"),
        "{text}"
    );
    std::fs::write(folder.path().join("Image"), "").unwrap();
    std::fs::write(folder.path().join("t.dtb"), "").unwrap();
    said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--root", root]),
        0,
    );
    std::fs::write(&conf, format!("menu title x\ntimeout 50\n{CONF}")).unwrap();
    let text = said(&mut xtask(folder.path(), &["extlinux", "lint", path]), 0);
    assert!(text.contains(":1: warning [menu-prompt]"), "{text}");
    said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--strict"]),
        3,
    );
    std::fs::write(&conf, format!("prompt 0\ntimeout 50\n{CONF}")).unwrap();
    let text = said(&mut xtask(folder.path(), &["extlinux", "lint", path]), 0);
    assert!(text.contains(":2: warning [never-asks]"), "{text}");
    std::fs::write(&conf, format!("default\n{CONF}")).unwrap();
    let text = said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--json"]),
        3,
    );
    let answer: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(answer["schema_version"], 1);
    let findings = answer["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["rule"] == "rejected" && finding["line"] == 1),
        "{text}"
    );
}

#[test]
fn our_label_comes_and_goes_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("extlinux.conf");
    let path = conf.to_str().unwrap();
    std::fs::write(&conf, CONF).unwrap();
    let add = [
        "extlinux",
        "add",
        path,
        "--name",
        "mine",
        "--kernel",
        "/I",
        "--append",
        "root=x panic=10",
    ];
    said(xtask(folder.path(), &add).arg("--dry-run"), 0);
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
    said(&mut xtask(folder.path(), &add), 0);
    let added = std::fs::read_to_string(&conf).unwrap();
    assert!(
        added.starts_with(CONF) && added.contains("label mine\n"),
        "{added}"
    );
    let text = said(&mut xtask(folder.path(), &["extlinux", "show", path]), 0);
    assert!(
        text.contains("* 1  arch_devices (line 3)") && text.contains("2  mine"),
        "{text}"
    );
    said(
        &mut xtask(folder.path(), &["extlinux", "remove", path, "--name", "mine"]),
        0,
    );
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
    let text = said(
        &mut xtask(
            folder.path(),
            &["extlinux", "remove", path, "--name", "arch_devices"],
        ),
        1,
    );
    assert!(text.contains("is not ours"), "{text}");
    let hostile = [
        "extlinux", "add", path, "--name", "a\nb", "--kernel", "/I", "--append", "x",
    ];
    assert!(said(&mut xtask(folder.path(), &hostile), 1).contains("only letters, digits"));
    let long = "x".repeat(2000);
    let text = said(
        &mut xtask(
            folder.path(),
            &["extlinux", "add", path, "--kernel", "/I", "--append", &long],
        ),
        1,
    );
    assert!(text.contains("nothing was changed"), "{text}");
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
}

#[test]
fn an_unknown_board_is_named_with_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        ["deploy", "--board", "amper"],
        ["preflight", "--board", "amper"],
        ["rollback", "--board", "amper"],
        ["board", "status", "--board=amper"],
    ] {
        let text = said(&mut xtask(folder.path(), &words), 1);
        assert!(text.contains("did you mean `ampere`"), "{words:?}: {text}");
    }
    let text = said(&mut xtask(folder.path(), &["preflight", "--board", "../x"]), 1);
    assert!(text.contains("no name of a board"), "{text}");
}

#[test]
fn a_backup_that_is_not_there_is_said_with_what_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["backup", "show", "--board", "ampere", "--campaign", "none"];
    let text = said(&mut xtask(folder.path(), &words), 1);
    assert!(
        text.contains("cargo xtask preflight --board ampere --campaign none"),
        "{text}"
    );
    let words = [
        "rollback",
        "--board",
        "ampere",
        "--campaign",
        "none",
        "--offline",
        "/nonexistent",
    ];
    assert!(said(&mut xtask(folder.path(), &words), 1).contains("there is no backup"));
    let text = said(
        &mut xtask(folder.path(), &["backup", "list", "--board", "ampere"]),
        0,
    );
    assert!(text.contains("next: "), "{text}");
}
