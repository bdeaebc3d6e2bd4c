//! Bad input to the kernel side's commands: one clear error each, and nothing changed.

use crate::small_git;

use assert_cmd::Command;
use small_git::git;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A cache of its own, a small repository that looks like a kernel, and a series of two patches.
struct Rig {
    folder: TempDir,
}

const MAKEFILE: &str = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n";

fn patch(from: &str, to: &str) -> String {
    format!(
        "From: Ann <ann@example.org>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: [PATCH] {from} to {to}\n\nWhy.\n\n---\n\
         diff --git a/core.c b/core.c\n--- a/core.c\n+++ b/core.c\n@@ -1,3 +1,3 @@\n first\n-{from}\n+{to}\n last\n"
    )
}

impl Rig {
    fn new() -> Self {
        let rig = Rig {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(rig.repo()).unwrap();
        fs::write(rig.repo().join("Makefile"), MAKEFILE).unwrap();
        fs::write(rig.repo().join("Kconfig"), "mainmenu \"x\"\n").unwrap();
        fs::write(rig.repo().join("core.c"), "first\nmiddle\nlast\n").unwrap();
        git(&rig.repo(), &["init", "-q"]);
        git(&rig.repo(), &["add", "-A"]);
        git(&rig.repo(), &["commit", "-qm", "base"]);
        fs::create_dir_all(rig.series()).unwrap();
        fs::write(rig.series().join("0004-one.patch"), patch("middle", "changed")).unwrap();
        fs::write(rig.series().join("0005-two.patch"), patch("changed", "again")).unwrap();
        rig
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn series(&self) -> PathBuf {
        self.folder.path().join("series")
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("lockstep").unwrap();
        command
            .env("LOCKSTEP_CACHE", self.cache())
            .env("NO_COLOR", "1")
            .args(arguments);
        command
    }

    /// A command on this series and this tree.
    fn on_tree(&self, arguments: &[&str]) -> Command {
        let mut command = self.xtask(arguments);
        command
            .arg("--series")
            .arg(self.series())
            .arg("--kernel")
            .arg(self.repo());
        command
    }

    /// Runs a command that has to fail with exit code 1, and gives its error.
    fn error(&self, command: &mut Command) -> String {
        let output = command.assert().code(1).get_output().clone();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "",
            "an error has no result"
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        said
    }

    fn worktree(&self) -> Option<PathBuf> {
        let trees = fs::read_dir(self.cache().join("trees")).ok()?;
        trees
            .filter_map(|entry| entry.ok())
            .map(|entry| entry.path().join("tree"))
            .find(|path| path.exists())
    }
}

#[test]
fn apply_and_revert_from_the_command_line() {
    let rig = Rig::new();
    let applied = rig
        .on_tree(&["apply", "4", "0005-two", "--json"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let result: serde_json::Value = serde_json::from_slice(&applied).unwrap();
    assert_eq!(result["schema_version"], 1);
    assert_eq!(result["applied"].as_array().unwrap().len(), 2);
    let file = rig.worktree().unwrap().join("core.c");
    assert_eq!(fs::read_to_string(&file).unwrap(), "first\nagain\nlast\n");
    assert_eq!(
        fs::read_to_string(rig.repo().join("core.c")).unwrap(),
        "first\nmiddle\nlast\n"
    );
    // The same command again has nothing to do.
    rig.on_tree(&["apply", "4", "5"]).assert().success();
    let error = rig.error(&mut rig.on_tree(&["revert", "4"]));
    assert!(
        error.contains("`changed to again`") && error.contains("cannot stand without it (in core.c)"),
        "{error}"
    );
    rig.on_tree(&["revert", "5"]).assert().success();
    rig.on_tree(&["revert", "4"]).assert().success();
    assert_eq!(fs::read_to_string(&file).unwrap(), "first\nmiddle\nlast\n");
    let error = rig.error(&mut rig.on_tree(&["revert", "4"]));
    assert!(
        error.contains("is not applied, so there is nothing to take back"),
        "{error}"
    );
}

#[test]
fn a_name_that_is_not_utf_8_ends_no_verb_that_has_done_its_work() {
    let rig = Rig::new();
    let text = patch("middle", "changed");
    let new = "diff --git \"a/latin-\\344.c\" \"b/latin-\\344.c\"\nnew file mode 100644\n--- /dev/null\n\
        +++ \"b/latin-\\344.c\"\n@@ -0,0 +1 @@\n+new\n";
    fs::write(rig.series().join("0004-one.patch"), format!("{text}{new}")).unwrap();
    for verb in [
        &["apply", "4"][..],
        &["series"],
        &["series", "show", "4"],
        &["revert", "4"],
    ] {
        let output = rig.on_tree(verb).arg("--json").assert().success();
        let result: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!(result["schema_version"], 1, "{verb:?}");
    }
}

#[test]
fn a_dry_run_touches_nothing() {
    let rig = Rig::new();
    let output = rig
        .on_tree(&["apply", "4", "5", "--dry-run"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let text = String::from_utf8_lossy(&output).into_owned();
    assert!(
        text.contains("make the work tree") && text.contains("apply 0005-two.patch in "),
        "{text}"
    );
    assert!(!rig.cache().exists());
    assert!(!rig.repo().join(".git/refs/heads/lockstep").exists());
    rig.xtask(&["build-debug-kernel", "--dry-run", "--kernel"])
        .arg(rig.repo())
        .assert()
        .success();
    assert!(!rig.cache().exists());
}

#[test]
fn no_kernel_tree() {
    let rig = Rig::new();
    for verb in [vec!["apply", "4"], vec!["revert", "4"]] {
        let error = rig.error(rig.xtask(&verb).arg("--series").arg(rig.series()));
        assert!(
            error.contains("there is no kernel tree in") && error.contains("`cargo xtask setup`"),
            "{error}"
        );
        let error = rig.error(
            rig.xtask(&verb)
                .arg("--series")
                .arg(rig.series())
                .args(["--kernel", "/no/such"]),
        );
        assert!(error.contains("looking for a kernel tree in /no/such"), "{error}");
    }
    let error = rig.error(&mut rig.xtask(&["build-debug-kernel"]));
    assert!(error.contains("there is no kernel tree in"), "{error}");
    git(&rig.repo(), &["rm", "-q", "Kconfig"]);
    git(&rig.repo(), &["commit", "-qm", "no kernel"]);
    let error = rig.error(&mut rig.on_tree(&["apply", "4"]));
    assert!(error.contains("holds no Linux kernel"), "{error}");
    assert!(!rig.cache().exists());
}

#[test]
fn an_unknown_patch_number() {
    let rig = Rig::new();
    let error = rig.error(&mut rig.on_tree(&["apply", "0009"]));
    assert!(
        error.contains("there is no patch `0009`") && error.contains("0004  middle to changed"),
        "{error}"
    );
    assert!(!rig.cache().exists());
}

#[test]
fn order_is_kept() {
    let rig = Rig::new();
    let error = rig.error(&mut rig.on_tree(&["apply", "5"]));
    assert!(
        error.contains(
            "0005 needs what stands before it in the series: `cargo xtask apply 0004 0005 --series "
        ),
        "{error}"
    );
    assert!(!rig.cache().exists());
}

#[test]
fn a_patch_that_does_not_apply() {
    let rig = Rig::new();
    fs::write(
        rig.series().join("0005-two.patch"),
        patch("something else", "again"),
    )
    .unwrap();
    // Both are named: not even the first, which fits, is applied.
    let error = rig.error(&mut rig.on_tree(&["apply", "4", "5"]));
    assert!(error.contains("applying 0005-two.patch"), "{error}");
    assert!(
        error.contains("core.c: hunk 1 of 1 (`@@ -1,3 +1,3 @@`) does not fit"),
        "{error}"
    );
    assert!(
        error.contains("line 2 was expected to be `something else`, but there is `changed`"),
        "{error}"
    );
    assert!(!rig.cache().exists());
}

#[test]
fn a_corrupt_patch() {
    let rig = Rig::new();
    let text = patch("middle", "changed");
    fs::write(
        rig.series().join("0004-one.patch"),
        text.trim_end().strip_suffix(" last").unwrap(),
    )
    .unwrap();
    let error = rig.error(&mut rig.on_tree(&["apply", "4"]));
    assert!(error.contains("0004-one.patch:15: found the end of the file, but the hunk of line 11 still needs 1 old and 1 new"), "{error}");
    assert!(!rig.cache().exists());
    // A mail whose lines all got a CR on their way is taken as `git am` takes it.
    fs::write(rig.series().join("0004-one.patch"), text.replace('\n', "\r\n")).unwrap();
    rig.on_tree(&["apply", "4"]).assert().success();
    let file = rig.worktree().unwrap().join("core.c");
    assert_eq!(fs::read_to_string(file).unwrap(), "first\nchanged\nlast\n");
}

#[test]
fn a_fragment_with_a_syntax_error() {
    let rig = Rig::new();
    let fragment = rig.folder.path().join("my.config");
    fs::write(&fragment, "CONFIG_KASAN=y\nCONFIG_KASAN_INLINE=yes\n").unwrap();
    let mut command = rig.xtask(&["build-debug-kernel", "--kernel"]);
    let error = rig.error(command.arg(rig.repo()).arg("--fragment").arg(&fragment));
    assert!(
        error.contains("my.config:2:21: found `yes`; allowed are `y`, `m`, `n`"),
        "{error}"
    );
    assert!(!rig.cache().exists());
}

#[test]
fn an_unknown_profile() {
    let rig = Rig::new();
    let mut command = rig.xtask(&["build-debug-kernel", "--profile", "lokdep", "--kernel"]);
    let error = rig.error(command.arg(rig.repo()));
    assert!(error.contains("there is no profile `lokdep`"), "{error}");
}

#[test]
fn a_missing_compiler() {
    let rig = Rig::new();
    let mut command = rig.xtask(&["build-debug-kernel", "--kernel"]);
    command
        .arg(rig.repo())
        .env("CC_aarch64_unknown_linux_gnu", "no-such-gcc");
    let error = rig.error(&mut command);
    assert!(
        error.contains("`no-such-gcc` is not there: there is no C compiler for arm64")
            && error.contains("gcc-aarch64-linux-gnu"),
        "{error}"
    );
    let mut command = rig.xtask(&["build-debug-kernel", "--kernel"]);
    command
        .arg(rig.repo())
        .env("CC_aarch64_unknown_linux_gnu", "/usr/bin/gcc");
    let error = rig.error(&mut command);
    assert!(error.contains("/usr/bin/gcc builds for `"), "{error}");
    assert!(!rig.cache().exists());
}

#[test]
fn a_series_that_is_none() {
    let rig = Rig::new();
    let error = rig.error(
        rig.xtask(&["series", "--series", "/no/such"])
            .arg("--kernel")
            .arg(rig.repo()),
    );
    assert!(
        error.contains("reading the series /no/such: there is no such folder"),
        "{error}"
    );
}

#[test]
fn the_series_is_listed_with_what_is_applied() {
    let rig = Rig::new();
    rig.on_tree(&["apply", "4"]).assert().success();
    let output = rig
        .on_tree(&["series", "--json"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let result: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert!(result["patches"][0]["applied"].is_string());
    assert!(result["patches"][1]["applied"].is_null());
    assert_eq!(result["patches"][1]["files"][0], "core.c");
}
