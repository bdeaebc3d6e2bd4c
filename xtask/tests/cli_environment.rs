//! Environments that are not as they should be.

use assert_cmd::Command;
use std::path::Path;

fn xtask() -> Command {
    Command::cargo_bin("lockstep").unwrap()
}

#[test]
fn a_folder_variable_that_is_relative_is_refused_and_nothing_is_made_of_it() {
    let here = tempfile::tempdir().unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for variable in [
        "LOCKSTEP_CACHE",
        "LOCKSTEP_LOCKS",
        "LOCKSTEP_PROJECT",
        "TMPDIR",
        "HOME",
    ] {
        for value in ["relative/x", "./x", "..", "~/x", "a\nFORGED"] {
            for verb in [&["status"][..], &["series"], &["backup", "list"], &["doctor"]] {
                let line = format!("{variable}={value:?} {verb:?}");
                let output = xtask()
                    .args(verb)
                    .arg("--json")
                    .current_dir(here.path())
                    .env("LOCKSTEP_PROJECT", project)
                    .env(variable, value)
                    .assert()
                    .code(2)
                    .get_output()
                    .clone();
                let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let said = answer["error"].to_string();
                assert!(
                    said.contains(&format!("the environment variable {variable} is"))
                        && said.contains("expected an absolute path"),
                    "{line}: {said}"
                );
                let made = std::fs::read_dir(here.path()).unwrap().count();
                assert_eq!(made, 0, "{line}");
            }
        }
    }
    let said = xtask()
        .arg("status")
        .current_dir(here.path())
        .env("LOCKSTEP_PROJECT", project)
        .env("LOCKSTEP_CACHE", "")
        .env("XDG_CACHE_HOME", "relative")
        .env("HOME", "")
        .assert()
        .code(2)
        .get_output()
        .clone();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("no place for the cache"), "{said}");
}
