//! Patches as other programs and mailers leave them, through every verb that reads one, and what a
//! series says it was made on. `git am` is the measure.

use crate::small_git::git;
use crate::small_series::{Rig, error};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository that looks like a kernel, with what the cases change: `f`, and `d/f` beside it, so
/// that a name read with the wrong prefix shows.
fn repository(rig: &Rig) -> PathBuf {
    let repo = rig.path("cases");
    for (file, text) in [
        ("Makefile", "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n"),
        ("Kconfig", "mainmenu \"x\"\n"),
        (
            "scripts/checkpatch.pl",
            "print \"total: 0 errors, 0 warnings, 1 lines checked\\n\";\n",
        ),
        ("f", "a\nc\n"),
        ("d/f", "a\nc\n"),
        ("empty", ""),
    ] {
        fs::create_dir_all(repo.join(file).parent().unwrap()).unwrap();
        fs::write(repo.join(file), text).unwrap();
    }
    git(&repo, &["init", "-q", "-b", "main"]);
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-qm", "base"]);
    repo
}

/// Tree, author and message of the commit that `git am` makes, and the files that it changes.
fn am(rig: &Rig, repo: &Path, file: &Path) -> (String, Vec<String>) {
    let judge = rig.path("judge");
    git(
        repo,
        &[
            "worktree",
            "add",
            "-q",
            "--detach",
            judge.to_str().unwrap(),
            "main",
        ],
    );
    let output = Command::new("git")
        .current_dir(&judge)
        .args(["-c", "user.name=T", "-c", "user.email=t@example.org", "am", "-q"])
        .arg(file)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let made = commit(&judge, "HEAD");
    let files = git(
        &judge,
        &["diff-tree", "-r", "--name-only", "--no-renames", "HEAD^", "HEAD"],
    );
    git(repo, &["worktree", "remove", "--force", judge.to_str().unwrap()]);
    (made, files.lines().map(String::from).collect())
}

fn commit(repo: &Path, revision: &str) -> String {
    git(repo, &["log", "-1", "--format=%T%n%an <%ae>%n%B", revision])
}

/// Imports, lists, checks, applies and takes back one patch file, and makes a campaign of it.
fn through_every_verb(name: &str, mail: &[u8]) {
    let rig = Rig::new();
    let repo = repository(&rig);
    let file = rig.path("case.patch");
    fs::write(&file, mail).unwrap();
    let (made, changed) = am(&rig, &repo, &file);
    let (series, kernel) = (rig.path("imported"), repo.to_str().unwrap());
    let into = series.to_str().unwrap();
    let case = file.to_str().unwrap();
    rig.xtask(&["series", "import", case, "--into", into, "--kernel", kernel])
        .assert()
        .success();
    // The file as it came does as well.
    fs::create_dir(rig.path("as-it-came")).unwrap();
    fs::copy(&file, rig.path("as-it-came/0001-x.patch")).unwrap();
    for series in [
        into.to_string(),
        rig.path("as-it-came").to_str().unwrap().to_string(),
    ] {
        let on = ["--series", &series, "--kernel", kernel];
        let run = |verb: &[&str]| {
            let output = rig
                .xtask(&[verb, &on].concat())
                .arg("--json")
                .assert()
                .success()
                .get_output()
                .clone();
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
        };
        let listed = run(&["series"]);
        let patch = &listed["patches"][0];
        assert_eq!(patch["files"], serde_json::json!(changed), "{name}");
        assert_eq!(patch["subject"], made.lines().nth(2).unwrap(), "{name}");
        assert_eq!(patch["author"], made.lines().nth(1).unwrap(), "{name}");
        assert_eq!(
            run(&["series", "check"])["checked"].as_array().unwrap().len(),
            1,
            "{name}"
        );
        assert_eq!(
            run(&["apply", "1"])["applied"][0]["files"],
            serde_json::json!(changed),
            "{name}"
        );
        assert_eq!(commit(&repo, "lockstep/tree"), made, "{name}");
        assert!(run(&["series"])["patches"][0]["applied"].is_string(), "{name}");
        run(&["revert", "1"]);
        assert_eq!(commit(&repo, "lockstep/tree"), commit(&repo, "main"), "{name}");
        rig.xtask(&["campaign", "new", "case", "--dry-run", "--series", &series])
            .assert()
            .success();
    }
}

#[test]
fn patches_of_other_programs_go_through_every_verb_as_through_git_am() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patch_cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    for case in &cases {
        through_every_verb(&case.display().to_string(), &fs::read(case).unwrap());
    }
    assert_eq!(cases.len(), 7);
}

const HEAD: &str = "From: Ann Other <ann@example.org>\nDate: Tue, 3 Mar 2026 10:11:12 +0100\nSubject: \
[PATCH] x: change\n\nWhy.\n---\n";

#[test]
fn names_times_and_words_are_read_as_git_reads_them() {
    let hunk = "@@ -1,2 +1,3 @@\n a\n+b\n c\n";
    let (then, epoch) = ("\t2026-03-03 10:00:00 +0100", "\t1969-12-31 16:00:00.000 -0800");
    for (name, diff) in [
        ("no folder in a name", format!("--- f.orig\n+++ f\n{hunk}")),
        (
            "a time without a tab",
            format!("--- o/f 2026-03-03 10:00:00\n+++ n/f 2026-03-03 10:00:01\n{hunk}"),
        ),
        (
            "new by a time west of Greenwich",
            format!("--- o/new{epoch}\n+++ n/new{then}\n@@ -0,0 +1 @@\n+a\n"),
        ),
        (
            "gone by a time west of Greenwich",
            format!("--- o/f{then}\n+++ n/f{epoch}\n@@ -1,2 +0,0 @@\n-a\n-c\n"),
        ),
        (
            "an empty file by git",
            "diff --git a/new b/new\nnew file mode 100644\nindex 0000000..e69de29\n".to_string(),
        ),
        (
            "an empty file that goes",
            "diff --git a/empty b/empty\ndeleted file mode 100644\nindex e69de29..0000000\n".to_string(),
        ),
        (
            "lines behind the hunk",
            format!("diff --git a/f b/f\n--- a/f\n+++ b/f\n{hunk}+not of it\n more words\n"),
        ),
        (
            "diff --git in a note",
            format!("diff --git a/f b/f\nis what git prints\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n{hunk}"),
        ),
    ] {
        through_every_verb(name, format!("{HEAD}{diff}").as_bytes());
    }
}

#[test]
fn the_base_and_the_prerequisites_of_a_series_are_looked_for() {
    let rig = Rig::new();
    let repo = &rig.kernel;
    // Two patches that the series needs: the first is in the tree, the second is not.
    let edit = |file: &str, text: &str, subject: &str| {
        fs::write(repo.join(file), text).unwrap();
        git(repo, &["commit", "-qam", subject]);
    };
    git(repo, &["tag", "first"]);
    git(repo, &["checkout", "-q", "-b", "theirs"]);
    edit("include/v.h", "#define V 2\n", "v: two");
    edit(
        "drivers/v/Kconfig",
        "config V\n\ttristate \"other\"\n",
        "v: other",
    );
    edit("Kconfig", "mainmenu \"y\"\n", "top: y");
    let mail = git(repo, &["format-patch", "--stdout", "-1", "--base=first"]) + "\n";
    git(repo, &["checkout", "-q", "main"]);
    edit("include/v.h", "#define V 2\n", "a backport with another title");
    git(repo, &["branch", "-qD", "theirs"]);
    let prerequisites: Vec<&str> = mail
        .lines()
        .filter_map(|line| line.strip_prefix("prerequisite-patch-id: "))
        .collect();
    let base = git(repo, &["rev-parse", "first"]);
    assert!(
        prerequisites.len() == 2 && mail.contains(&format!("base-commit: {base}")),
        "{mail}"
    );
    fs::write(
        rig.path("v1.mbx"),
        format!(
            "From t@z Thu Jan  1 00:00:00 1970\n{}",
            mail.split_once('\n').unwrap().1
        ),
    )
    .unwrap();
    let (mbox, into) = (rig.path("v1.mbx"), rig.path("new"));
    let kernel = repo.to_str().unwrap().to_string();
    let import = [
        "series",
        "import",
        mbox.to_str().unwrap(),
        "--into",
        into.to_str().unwrap(),
        "--kernel",
        &kernel,
    ];
    let said = |arguments: &[&str]| {
        let output = rig.xtask(arguments).assert().success().get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    };
    let on = ["--series", into.to_str().unwrap(), "--kernel", &kernel];
    for arguments in [
        &import[..],
        &[&["series", "check"], &on[..]].concat(),
        &[&["apply", "1"], &on[..]].concat(),
    ] {
        let said = said(arguments);
        let backport = git(repo, &["rev-parse", "--short=12", "main"]);
        assert!(
            said.contains(&format!("base-commit {} is in the history of HEAD", &base[..12])),
            "{said}"
        );
        assert!(
            said.contains(&format!(
                "prerequisite-patch-id {} is {backport}",
                prerequisites[0]
            )),
            "{said}"
        );
        assert!(
            said.contains(&format!(
                "warning: prerequisite-patch-id {} is missing",
                prerequisites[1]
            )),
            "{said}"
        );
    }
    let new = [
        "campaign",
        "new",
        "case",
        "--dry-run",
        "--json",
        "--series",
        into.to_str().unwrap(),
    ];
    let output = rig.xtask(&new).assert().success().get_output().clone();
    let campaign: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = campaign["text"].as_str().unwrap();
    let with_tree = text.replacen("\nseries = ", &format!("\ntree = {kernel:?}\nseries = "), 1);
    assert_ne!(with_tree, text);
    let file = rig.path("case.toml");
    fs::write(&file, with_tree).unwrap();
    // The tree is no whole kernel: what its Kconfig lacks is told besides, with an exit code of its own.
    let check = ["campaign", "check", file.to_str().unwrap()];
    let output = rig.xtask(&check).assert().code(3).get_output().clone();
    let checked = String::from_utf8(output.stderr).unwrap();
    assert!(
        checked.contains("is in the history of HEAD") && checked.contains("is missing"),
        "{checked}"
    );
    let list = fs::read_to_string(into.join("series")).unwrap();
    assert!(
        list.contains(&format!(
            "# base-commit: {base}\n# prerequisite-patch-id: {}\n",
            prerequisites[0]
        )),
        "{list}"
    );
    // Missing patches and an unknown base are told, and nothing is refused for that.
    let other = "9".repeat(40);
    fs::write(into.join("series"), list.replace(&base, &other)).unwrap();
    let file = fs::read_dir(&into)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.ends_with("0001-top-y.patch"));
    let text = fs::read_to_string(file.as_ref().unwrap()).unwrap();
    fs::write(file.unwrap(), text.replace(&base, &other)).unwrap();
    let output = rig
        .xtask(&["series", "check"])
        .args(on)
        .arg("--json")
        .assert()
        .success()
        .get_output()
        .clone();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["made_on"]["base"], serde_json::json!([other, "absent"]));
    assert!(answer["made_on"]["prerequisites"][1]["commit"].is_null());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("`git fetch` the commit into a tree of yours")
    );
}

#[test]
fn a_part_of_a_series_is_imported_when_it_is_asked_for() {
    let rig = Rig::new();
    let text = fs::read_to_string(rig.patch("0005")).unwrap();
    fs::write(rig.path("5.mbx"), text).unwrap();
    let (mbox, into) = (rig.path("5.mbx"), rig.path("part"));
    let import = [
        "series",
        "import",
        mbox.to_str().unwrap(),
        "--into",
        into.to_str().unwrap(),
    ];
    let said = error(&mut rig.xtask(&import));
    assert!(said.contains("`--cherry-pick 5` imports what is there"), "{said}");
    assert!(!into.exists());
    rig.xtask(&import).args(["-P", "5"]).assert().success();
    let list = fs::read_to_string(into.join("series")).unwrap();
    assert!(
        list.contains("from 5.mbx, patches 5 of the series.\n0005-w-use-it.patch\n"),
        "{list}"
    );
}
