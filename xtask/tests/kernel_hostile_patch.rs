//! Patches that are meant to break out, to break down, or to stay in the tree for ever. `git am` is the measure: what it
//! refuses changes nothing here, and what it takes can be taken back.

use crate::small_git;

use small_git::git;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use xtask::kernel::patch::Patch;
use xtask::kernel::tree::Tree;

const FROM: &str = "From: Ann Other <ann@example.org>\nDate: Tue, 3 Mar 2026 10:11:12 +0100\nSubject: [PATCH] x: change\n\nWhy.\n---\n";

type Change = fn(&Path);

struct Rig {
    folder: TempDir,
}

impl Rig {
    /// A repository with files, a folder and a link to it.
    fn new() -> Self {
        let rig = Rig {
            folder: tempfile::tempdir().unwrap(),
        };
        let repo = rig.repo();
        fs::create_dir_all(repo.join("d/deep")).unwrap();
        git(&repo, &["init", "-q", "-b", "start"]);
        fs::write(repo.join("f"), "a\nc\n").unwrap();
        fs::write(repo.join("d/x"), "x\n").unwrap();
        fs::write(repo.join("d/deep/y"), "y\n").unwrap();
        symlink("d", repo.join("link")).unwrap();
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-qm", "base"]);
        rig
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn worktree(&self) -> PathBuf {
        self.folder.path().join("trees/key/tree")
    }

    fn tree(&self) -> Tree {
        Tree::open(&self.repo(), &self.worktree(), "lockstep/tree", Some("start")).unwrap()
    }

    fn patch(&self, text: &[u8]) -> PathBuf {
        let file = self.folder.path().join("0001-x.patch");
        fs::write(&file, text).unwrap();
        file
    }

    /// The tree that `git am` makes of a patch; `None` where it refuses.
    fn am(&self, file: &Path) -> Option<String> {
        let other = self.folder.path().join("am");
        let other_name = other.to_str().unwrap().to_string();
        git(&self.repo(), &["worktree", "prune"]);
        git(
            &self.repo(),
            &["worktree", "add", "-q", "--detach", &other_name, "start"],
        );
        let output = Command::new("git")
            .current_dir(&other)
            .args(["-c", "user.name=T", "-c", "user.email=t@example.org", "am", "-q"])
            .arg(file)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        let made = output.status.success().then(|| tree_of(&other, "HEAD"));
        fs::remove_dir_all(&other).unwrap();
        made
    }

    fn status(&self) -> String {
        git(&self.worktree(), &["status", "--porcelain", "--ignored"])
    }
}

fn tree_of(folder: &Path, revision: &str) -> String {
    git(folder, &["rev-parse", &format!("{revision}^{{tree}}")])
}

/// Applies it as `git am` does, takes it back, and both again after a kill at the worst moment.
fn there_and_back(rig: &Rig, name: &str, text: &[u8]) {
    let file = rig.patch(text);
    let wanted = rig.am(&file).unwrap_or_else(|| panic!("git am refuses {name}"));
    let patch = Patch::read(&file).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let mut tree = rig.tree();
    let base = tree.head().unwrap();
    let applied = tree
        .apply(&patch)
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    assert_eq!(tree_of(&rig.repo(), &applied.commit), wanted, "{name}");
    assert_eq!(rig.status(), "", "{name}");
    tree.revert(&patch)
        .unwrap_or_else(|error| panic!("{name} cannot be taken back: {error:#}"));
    assert_eq!(
        (tree.head().unwrap(), rig.status()),
        (base.clone(), String::new()),
        "{name}"
    );
    drop(tree);
    // As a kill leaves it: the intent is recorded and the branch has moved, no file is written yet.
    let lock = rig.folder.path().join("trees/key/tree.lock");
    for (from, to) in [(&base, &applied.commit), (&applied.commit, &base)] {
        fs::write(&lock, format!("{from} {to}\n")).unwrap();
        fs::write(rig.folder.path().join("trees/key/tree.writing"), "left over").unwrap();
        git(&rig.repo(), &["update-ref", "refs/heads/lockstep/tree", to]);
        let tree = rig.tree();
        assert!(!tree.repaired().is_empty(), "{name}");
        assert_eq!(
            (tree.head().unwrap(), rig.status()),
            (to.clone(), String::new()),
            "{name}"
        );
    }
}

#[test]
fn files_folders_and_links_take_each_other_s_place_and_back() {
    let changes: &[(&str, Change)] = &[
        ("a file becomes a folder", |repo| {
            fs::remove_file(repo.join("f")).unwrap();
            fs::create_dir(repo.join("f")).unwrap();
            fs::write(repo.join("f/inside"), "new\n").unwrap();
        }),
        ("a folder becomes a file", |repo| {
            fs::remove_dir_all(repo.join("d")).unwrap();
            fs::write(repo.join("d"), "new\n").unwrap();
        }),
        ("a link becomes a folder", |repo| {
            fs::remove_file(repo.join("link")).unwrap();
            fs::create_dir(repo.join("link")).unwrap();
            fs::write(repo.join("link/x"), "new\n").unwrap();
        }),
        ("a folder becomes a link", |repo| {
            fs::remove_dir_all(repo.join("d")).unwrap();
            symlink("/etc", repo.join("d")).unwrap();
        }),
        ("a name that only differs in case", |repo| {
            fs::rename(repo.join("f"), repo.join("F")).unwrap();
        }),
        ("a name of ours", |repo| {
            fs::write(repo.join(".lockstep-writing"), "theirs\n").unwrap();
            fs::write(repo.join("f"), "a\nb\nc\n").unwrap();
        }),
        ("a name in another encoding", |repo| {
            use std::os::unix::ffi::OsStrExt;
            let name = std::ffi::OsStr::from_bytes(b"latin-\xe4\x01\"\\");
            fs::write(repo.join(name), "new\n").unwrap();
        }),
        ("a large binary file", |repo| {
            let bytes: Vec<u8> = (0..3_000_000u32)
                .map(|at| (at.wrapping_mul(at) >> 5) as u8)
                .collect();
            fs::write(repo.join("firmware.bin"), bytes).unwrap();
        }),
    ];
    for (name, change) in changes {
        let rig = Rig::new();
        let repo = rig.repo();
        git(&repo, &["checkout", "-q", "-b", "change"]);
        change(&repo);
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-qm", "x: change"]);
        let mail = git(
            &repo,
            &["format-patch", "--stdout", "--binary", "--no-renames", "-1"],
        );
        git(&repo, &["checkout", "-q", "start"]);
        there_and_back(&rig, name, format!("{mail}\n").as_bytes());
    }
}

#[test]
fn what_stands_in_the_way_is_not_removed() {
    let rig = Rig::new();
    let file = "diff --git a/d/deep/y b/d/deep/y\ndeleted file mode 100644\n--- a/d/deep/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n\
        diff --git a/d/x b/d/x\ndeleted file mode 100644\n--- a/d/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git a/d b/d\nnew file mode 100644\n--- /dev/null\n+++ b/d\n@@ -0,0 +1 @@\n+new\n";
    let patch = Patch::read(&rig.patch(format!("{FROM}{file}").as_bytes())).unwrap();
    let mut tree = rig.tree();
    let head = tree.head().unwrap();
    fs::write(rig.worktree().join("d/deep/built.o"), "object\n").unwrap();
    let error = format!("{:#}", tree.apply(&patch).unwrap_err());
    assert!(
        error.contains("somebody edited files") && error.ends_with("    d"),
        "{error}\n"
    );
    assert_eq!(
        (tree.head().unwrap(), rig.status()),
        (head.clone(), "?? d/deep/built.o".into())
    );
    // A folder that somebody made a link: nothing is written where it leads.
    fs::remove_file(rig.worktree().join("d/deep/built.o")).unwrap();
    let outside = rig.folder.path().join("outside");
    fs::rename(rig.worktree().join("d"), &outside).unwrap();
    symlink(&outside, rig.worktree().join("d")).unwrap();
    let edit = "diff --git a/d/x b/d/x\n--- a/d/x\n+++ b/d/x\n@@ -1 +1 @@\n-x\n+X\n";
    let edit = Patch::parse("p", format!("{FROM}{edit}").as_bytes()).unwrap();
    let error = format!("{:#}", tree.apply(&edit).unwrap_err());
    assert!(error.contains("somebody edited files"), "{error}");
    assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "x\n");
    assert_eq!(tree.head().unwrap(), head);
}

/// Each is refused by `git am`.
#[test]
fn patches_that_leave_the_tree_or_lie_change_nothing() {
    let rig = Rig::new();
    let blob = git(&rig.repo(), &["rev-parse", "start:d/x"]);
    let edit = |path: &str| {
        format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+X\n")
    };
    let new = |path: &str, mode: &str| {
        format!(
            "diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+X\n"
        )
    };
    let base85 = "GIT binary patch\nliteral 99999999999\nIcmZPo000620RR91\n\nliteral 0\nHcmV?d00001\n\n";
    let cases = [
        ("through a link", edit("link/x")),
        (
            "through a link, with its blob",
            edit("link/x").replace("--- a", &format!("index {blob}..1234567 100644\n--- a")),
        ),
        ("a new file through a link", new("link/new", "100644")),
        (
            "through a link that it makes",
            format!("{}{}", new("out", "120000"), new("out/passwd", "100644")),
        ),
        ("git's own folder", new(".git/hooks/post-checkout", "100755")),
        ("git's own folder in capitals", new("sub/.GIT/config", "100644")),
        ("git's own folder, short", new("git~1/config", "100644")),
        ("above the tree", new("../out", "100644")),
        ("above the tree and back", edit("f/../d/x")),
        ("an absolute path", edit("/etc/passwd")),
        ("below a file", new("f/inside", "100644")),
        ("where a folder is", new("d", "100644")),
        (
            "a submodule",
            "diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..1234567\n--- /dev/null\n+++ b/sub\n@@ -0,0 +1 @@\n+Subproject commit 1234567890123456789012345678901234567890\n".into(),
        ),
        (
            "a size that is none",
            format!("diff --git a/big b/big\nnew file mode 100644\nindex {}..{blob}\n{base85}", "0".repeat(40)),
        ),
        ("lines beyond counting", edit("d/x").replace("-1 +1", "-18446744073709551615,18446744073709551615 +1")),
        ("a file that the mail names twice", format!("{0}{0}", edit("d/x"))),
    ];
    let mut tree = rig.tree();
    let head = tree.head().unwrap();
    for (name, diff) in &cases {
        let file = rig.patch(format!("{FROM}{diff}").as_bytes());
        // The kernel has no submodules; git would take one.
        assert!(
            *name == "a submodule" || rig.am(&file).is_none(),
            "git am takes {name}"
        );
        let applied = Patch::read(&file).and_then(|patch| tree.apply(&patch));
        let error = format!(
            "{:#}",
            applied.err().unwrap_or_else(|| panic!("{name} is applied"))
        );
        assert!(error.contains("0001-x.patch"), "{name}: {error}");
        assert_eq!(
            (tree.head().unwrap(), rig.status()),
            (head.clone(), String::new()),
            "{name}"
        );
    }
    println!(
        "{} of {} hostile patches are refused and change nothing",
        cases.len(),
        cases.len()
    );
}

/// Patches of other programs: `git am` takes each.
#[test]
fn patches_of_other_programs_are_taken_as_git_am_takes_them() {
    let hunk = "@@ -1,2 +1,3 @@\n a\n+b\n c\n";
    let index = format!("Index: linux/f\n====\n--- linux.orig/f\n+++ linux/f\n{hunk}");
    let stgit = format!("x: change\n\nFrom: Ann Other <ann@example.org>\n\nWhy.\n---\n{index}");
    let hg = format!(
        "# HG changeset patch\n# User Ann Other <ann@example.org>\n# Date 1772529072 -3600\n# Node ID 01\n# Parent  0\n\
         x: change\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n{hunk}\n___\nsome-list mailing list\n  - a note\n"
    );
    let prefixed = |old: &str, new: &str| {
        format!(
            "{FROM}diff --git {old}/f {new}/f\nindex 1..2 100644\n--- {old}/f\n+++ {new}/f\n{hunk}-- \n2.39\n"
        )
    };
    let epoch = "1970-01-01 01:00:00.000000000 +0100";
    let time = "2026-03-03 10:01:00.000000000 +0100";
    for (name, text) in [
        ("StGit", stgit),
        ("Mercurial", hg),
        ("mnemonic prefixes", prefixed("i", "w")),
        ("another prefix", prefixed("d", "d")),
        ("CR LF", format!("{FROM}{index}").replace('\n', "\r\n")),
        (
            "new by its time",
            format!(
                "{FROM}diff -urN o/new n/new\n--- o/new\t{epoch}\n+++ n/new\t{time}\n@@ -0,0 +1,2 @@\n+a\n+b\n"
            ),
        ),
        (
            "gone by its time",
            format!("{FROM}diff -urN o/f n/f\n--- o/f\t{time}\n+++ n/f\t{epoch}\n@@ -1,2 +0,0 @@\n-a\n-c\n"),
        ),
    ] {
        there_and_back(&Rig::new(), name, text.as_bytes());
    }
}
