//! Trees and series on small real git repositories; what `git am` makes of the same patches is the measure.

use crate::patched_tree;
use crate::small_git;

use patched_tree::{CHANGES, Rig, edit, snapshot};
use small_git::git;
use std::fs;
use std::path::{Path, PathBuf};
use xtask::kernel::patch::Patch;
use xtask::kernel::tree::{How, Stack, Tree};

#[test]
fn commits_are_those_of_git_am() {
    let rig = Rig::new(CHANGES);
    let series = rig.series();
    let mut tree = rig.tree();
    for patch in &series.patches {
        let applied = tree.apply(patch).unwrap();
        assert_eq!(applied.how, How::Directly);
    }
    assert_eq!(rig.log("lockstep/tree"), rig.am(&series));
    // The files are those of the commit, and git's own index agrees.
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    assert_eq!(git(&rig.repo(), &["status", "--porcelain"]), "");
    assert!(tree.applied(&series).unwrap().iter().all(Option::is_some));
}

#[test]
fn reverting_all_from_the_top_ends_at_the_base() {
    let rig = Rig::new(CHANGES);
    let series = rig.series();
    let mut tree = rig.tree();
    let base = tree.head().unwrap();
    series
        .patches
        .iter()
        .for_each(|patch| drop(tree.apply(patch).unwrap()));
    for patch in series.patches.iter().rev() {
        assert!(tree.revert(patch).unwrap().reapplied.is_empty());
    }
    assert_eq!(tree.head().unwrap(), base);
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain", "--ignored"]), "");
    assert!(tree.applied(&series).unwrap().iter().all(Option::is_none));
}

#[test]
fn only_the_files_of_the_patch_are_written() {
    let rig = Rig::new(CHANGES);
    let series = rig.series();
    let mut tree = rig.tree();
    let before = snapshot(&rig.worktree());
    let applied = tree.apply(&series.patches[0]).unwrap();
    assert_eq!(applied.files, [PathBuf::from("drivers/media/core.c")]);
    let mut after = snapshot(&rig.worktree());
    let changed = rig.worktree().join("drivers/media/core.c");
    assert_ne!(after[&changed], before[&changed]);
    after.insert(changed.clone(), before[&changed].clone());
    assert_eq!(after, before);
}

#[test]
fn one_patch_in_the_middle_is_taken_back_alone() {
    let rig = Rig::new(&CHANGES[..3]);
    let series = rig.series();
    let mut tree = rig.tree();
    series
        .patches
        .iter()
        .for_each(|patch| drop(tree.apply(patch).unwrap()));
    let reverted = tree.revert(&series.patches[0]).unwrap();
    assert_eq!(reverted.files, [PathBuf::from("drivers/media/core.c")]);
    assert_eq!(reverted.reapplied.len(), 2);
    let applied: Vec<bool> = tree
        .applied(&series)
        .unwrap()
        .iter()
        .map(Option::is_some)
        .collect();
    assert_eq!(applied, [false, true, true]);
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    // Author and message of what stayed are as before.
    assert!(
        rig.log("lockstep/tree")[0].contains("Jürgen J Müller <jm@example.org> "),
        "{:?}",
        rig.log("lockstep/tree")
    );
}

#[test]
fn a_patch_that_a_later_one_stands_on_is_kept() {
    let rig = Rig::new(&[
        |repo| edit(repo, "drivers/media/core.c", "line 30\n", "line 30\nfirst\n"),
        |repo| edit(repo, "drivers/media/core.c", "first\n", "first and second\n"),
    ]);
    let series = rig.series();
    let mut tree = rig.tree();
    series
        .patches
        .iter()
        .for_each(|patch| drop(tree.apply(patch).unwrap()));
    let (head, files) = (tree.head().unwrap(), snapshot(&rig.worktree()));
    let error = format!("{:#}", tree.revert(&series.patches[0]).unwrap_err());
    assert!(
        error.contains("`media: änderung 1 with [brackets] behind`"),
        "{error}"
    );
    assert!(
        error.contains("cannot stand without it (in drivers/media/core.c)"),
        "{error}"
    );
    assert_eq!((tree.head().unwrap(), snapshot(&rig.worktree())), (head, files));
}

#[test]
fn a_patch_that_does_not_fit_changes_nothing_and_says_where() {
    let rig = Rig::new(&CHANGES[..1]);
    let series = rig.series();
    let file = &series.paths[0];
    let text = fs::read_to_string(file)
        .unwrap()
        .replace(" line 29\n", " line twenty-nine\n");
    // The blobs of its `index` line are nobody's, so there is nothing to merge from.
    let text = regex::Regex::new("(?m)^index .*$")
        .unwrap()
        .replace(&text, "index 0123456..1234567 100644");
    let broken = Patch::parse("0001-broken.patch", text.as_bytes()).unwrap();
    let mut tree = rig.tree();
    let everything = snapshot(rig.folder.path());
    let error = format!("{:#}", tree.apply(&broken).unwrap_err());
    assert!(
        error.contains("drivers/media/core.c: hunk 1 of 1 (`@@ -29,6 +29,7 @@ line 27`) does not fit"),
        "{error}"
    );
    assert!(
        error.contains("line 30 was expected to be `line twenty-nine`, but there is `line 29`; "),
        "{error}"
    );
    assert!(
        error.contains("\"base\" (T, ") && error.contains("last touched that line"),
        "{error}"
    );
    let mut after = snapshot(rig.folder.path());
    // Objects that nothing refers to are all that may be new.
    after.retain(|path, _| {
        everything.contains_key(path) || !path.components().any(|part| part.as_os_str() == "objects")
    });
    assert_eq!(after, everything);
}

#[test]
fn context_that_moved_is_merged_by_the_blobs_of_the_patch() {
    let rig = Rig::new(&CHANGES[..1]);
    let series = rig.series();
    // A later kernel: a context line of the hunk is another one.
    edit(
        &rig.repo(),
        "drivers/media/core.c",
        "line 28\n",
        "line 28, reworded\n",
    );
    git(&rig.repo(), &["commit", "-qam", "newer"]);
    let mut tree = rig.tree();
    let applied = tree.apply(&series.patches[0]).unwrap();
    assert_eq!(applied.how, How::ThreeWay);
    let text = fs::read_to_string(rig.worktree().join("drivers/media/core.c")).unwrap();
    assert!(
        text.contains("line 28, reworded\nline 29\nline 30\nnew in core\n"),
        "{text}"
    );
    assert_eq!(tree.applied(&series).unwrap(), [Some(applied.commit)]);
    tree.revert(&series.patches[0]).unwrap();
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
}

#[test]
fn a_merge_that_conflicts_shows_both_sides_and_changes_nothing() {
    let rig = Rig::new(&CHANGES[..1]);
    let series = rig.series();
    // A later kernel has a line of its own where the patch puts one.
    edit(
        &rig.repo(),
        "drivers/media/core.c",
        "line 30\n",
        "line 30\ntheirs in core\n",
    );
    git(&rig.repo(), &["commit", "-qam", "newer"]);
    let mut tree = rig.tree();
    let head = tree.head().unwrap();
    let error = format!("{:#}", tree.apply(&series.patches[0]).unwrap_err());
    assert!(error.contains("conflicts; make it anew for this tree"), "{error}");
    assert!(
        error.contains("drivers/media/core.c, line 32: there is\n        theirs in core\n    the patch has\n        new in core"),
        "{error}"
    );
    assert!(!error.contains("hunk 1 of 1"), "{error}");
    assert_eq!(tree.head().unwrap(), head);
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
}

#[test]
fn the_users_dirty_checkout_is_not_touched() {
    let rig = Rig::new(&CHANGES[..1]);
    let series = rig.series();
    fs::write(rig.repo().join("drivers/media/core.c"), "all my work\n").unwrap();
    fs::write(rig.repo().join("untracked"), "more\n").unwrap();
    let files = |root: &Path| {
        let mut files = snapshot(root);
        files.retain(|path, _| !path.starts_with(rig.repo().join(".git")));
        files
    };
    let before = (
        files(&rig.repo()),
        git(&rig.repo(), &["symbolic-ref", "HEAD"]),
        git(&rig.repo(), &["rev-parse", "start"]),
    );
    let mut tree = rig.tree();
    tree.apply(&series.patches[0]).unwrap();
    let after = (
        files(&rig.repo()),
        git(&rig.repo(), &["symbolic-ref", "HEAD"]),
        git(&rig.repo(), &["rev-parse", "start"]),
    );
    assert_eq!(after, before);
}

#[test]
fn edited_files_of_our_tree_are_named_and_kept() {
    let rig = Rig::new(&CHANGES[..2]);
    let series = rig.series();
    let mut tree = rig.tree();
    let edited = rig.worktree().join("drivers/media/core.c");
    fs::write(&edited, "an experiment\n").unwrap();
    let head = tree.head().unwrap();
    let error = format!("{:#}", tree.apply(&series.patches[0]).unwrap_err());
    assert!(
        error.contains("somebody edited files") && error.contains("    drivers/media/core.c"),
        "{error}"
    );
    assert_eq!(
        (tree.head().unwrap(), fs::read_to_string(&edited).unwrap()),
        (head, "an experiment\n".to_string())
    );
    // Another file's patch is no matter of that edit.
    tree.apply(&series.patches[1]).unwrap();
    assert_eq!(fs::read_to_string(&edited).unwrap(), "an experiment\n");
}

#[test]
fn a_kill_between_branch_and_files_is_made_good() {
    let rig = Rig::new(CHANGES);
    let series = rig.series();
    let mut tree = rig.tree();
    tree.apply(&series.patches[0]).unwrap();
    let old = tree.head().unwrap();
    let before: Vec<(PathBuf, Vec<u8>)> = snapshot(&rig.worktree())
        .into_iter()
        .map(|(path, (bytes, _, _))| (path, bytes))
        .collect();
    series.patches[1..]
        .iter()
        .for_each(|patch| drop(tree.apply(patch).unwrap()));
    let new = tree.head().unwrap();
    let whole = snapshot(&rig.worktree());
    drop(tree);
    // As a kill leaves it: the branch is at the new commit, the intent is recorded, some files and the index are old.
    let lock = rig.folder.path().join("trees/key/tree.lock");
    fs::write(&lock, format!("{old} {new}\n")).unwrap();
    for (path, bytes) in before {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::remove_file(rig.worktree().join("lib/kern.c")).unwrap();
    git(&rig.worktree(), &["read-tree", &old]);
    let index_lock = PathBuf::from(git(&rig.worktree(), &["rev-parse", "--git-path", "index.lock"]));
    fs::write(index_lock, "").unwrap();
    let tree = rig.tree();
    assert!(tree.repaired().contains(&PathBuf::from("lib/kern.c")));
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    assert_eq!(
        snapshot(&rig.worktree()).keys().collect::<Vec<_>>(),
        whole.keys().collect::<Vec<_>>()
    );
    assert_eq!(fs::read_to_string(&lock).unwrap(), "");
    assert!(tree.applied(&series).unwrap().iter().all(Option::is_some));
}

#[test]
fn a_kill_before_the_branch_moved_leaves_nothing_to_do() {
    let rig = Rig::new(&CHANGES[..1]);
    let head = rig.tree().head().unwrap();
    fs::write(
        rig.folder.path().join("trees/key/tree.lock"),
        format!("{head} {}\n", "1".repeat(40)),
    )
    .unwrap();
    let mut tree = rig.tree();
    assert!(tree.repaired().is_empty());
    tree.apply(&rig.series().patches[0]).unwrap();
}

#[test]
fn edits_made_after_a_kill_are_not_overwritten() {
    let rig = Rig::new(&CHANGES[..1]);
    let series = rig.series();
    let mut tree = rig.tree();
    let old = tree.head().unwrap();
    let new = tree.apply(&series.patches[0]).unwrap().commit;
    drop(tree);
    fs::write(
        rig.folder.path().join("trees/key/tree.lock"),
        format!("{old} {new}\n"),
    )
    .unwrap();
    fs::write(rig.worktree().join("drivers/media/core.c"), "an experiment\n").unwrap();
    let error = Tree::open(&rig.repo(), &rig.worktree(), "lockstep/tree", None)
        .err()
        .unwrap();
    assert!(
        format!("{error:#}").contains("    drivers/media/core.c"),
        "{error:#}"
    );
    assert_eq!(
        fs::read_to_string(rig.worktree().join("drivers/media/core.c")).unwrap(),
        "an experiment\n"
    );
}

#[test]
fn a_half_made_work_tree_is_made_anew() {
    let rig = Rig::new(&CHANGES[..1]);
    let mut tree = rig.tree();
    let commit = tree.apply(&rig.series().patches[0]).unwrap().commit;
    drop(tree);
    let marker = PathBuf::from(git(
        &rig.worktree(),
        &["rev-parse", "--git-path", "lockstep-whole"],
    ));
    fs::remove_file(marker).unwrap();
    fs::remove_file(rig.worktree().join("Makefile")).unwrap();
    let tree = rig.tree();
    assert_eq!(tree.head().unwrap(), commit);
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    drop(tree);
    // And one that was deleted by hand.
    fs::remove_dir_all(rig.worktree()).unwrap();
    assert_eq!(rig.tree().head().unwrap(), commit);
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let rig = Rig::new(&CHANGES[..1]);
    fs::create_dir_all(rig.worktree()).unwrap();
    fs::write(rig.worktree().join("thesis.txt"), "years\n").unwrap();
    let error = Tree::open(&rig.repo(), &rig.worktree(), "lockstep/tree", None)
        .err()
        .unwrap();
    assert!(
        format!("{error:#}").contains("is no work tree that was made here"),
        "{error:#}"
    );
    assert!(rig.worktree().join("thesis.txt").exists());
}

#[test]
fn two_processes_cannot_have_it() {
    let rig = Rig::new(&CHANGES[..1]);
    let _tree = rig.tree();
    let error = Tree::open(&rig.repo(), &rig.worktree(), "lockstep/tree", None)
        .err()
        .unwrap();
    assert!(
        format!("{error:#}").contains("another process of Lockstep is at work"),
        "{error:#}"
    );
}

#[test]
fn another_branch_in_our_tree_is_refused() {
    let rig = Rig::new(&CHANGES[..1]);
    drop(rig.tree());
    git(&rig.worktree(), &["switch", "-qc", "mine"]);
    let error = Tree::open(&rig.repo(), &rig.worktree(), "lockstep/tree", None)
        .err()
        .unwrap();
    assert!(
        format!("{error:#}").contains("refs/heads/mine checked out, not lockstep/tree"),
        "{error:#}"
    );
}

#[test]
fn no_repository_and_unknown_bases_are_named() {
    let rig = Rig::new(&CHANGES[..1]);
    let open = |repository: &Path, base| {
        format!(
            "{:#}",
            Tree::open(repository, &rig.worktree(), "b", base).err().unwrap()
        )
    };
    assert!(open(rig.folder.path(), None).contains("is no git repository"));
    assert!(open(&rig.repo(), Some("v9")).contains("`v9` names no commit"));
    assert!(!rig.worktree().exists());
}

#[test]
fn a_patch_is_known_by_its_content_not_by_its_title() {
    let rig = Rig::new(&CHANGES[..2]);
    let series = rig.series();
    let mut tree = rig.tree();
    tree.apply(&series.patches[0]).unwrap();
    drop(tree);
    git(&rig.worktree(), &["commit", "-q", "--amend", "-m", "reworded"]);
    let tree = rig.tree();
    assert!(tree.applied(&series).unwrap()[0].is_some());
    // The same title on another content is not the patch.
    let mut other: Patch = series.patches[1].clone();
    other.subject = "reworded".into();
    assert_eq!(tree.applied_patches(&[other]).unwrap(), [None]);
}

#[test]
fn a_clone_that_brought_our_branch_knows_what_is_applied() {
    let rig = Rig::new(&CHANGES[..2]);
    let series = rig.series();
    let mut tree = rig.tree();
    tree.apply(&series.patches[0]).unwrap();
    drop(tree);
    // A clone takes branches along, and not where they begin.
    let clone = rig.folder.path().join("clone");
    let name = clone.to_str().unwrap();
    git(rig.folder.path(), &["clone", "-q", "--bare", "repo", name]);
    let peeked = Stack::peek(&clone, "lockstep/tree").unwrap();
    assert!(peeked.applied(&series).unwrap()[0].is_some());
    let tree = Tree::open(
        &clone,
        &rig.folder.path().join("other/tree"),
        "lockstep/tree",
        None,
    )
    .unwrap();
    assert_eq!(tree.applied(&series).unwrap(), peeked.applied(&series).unwrap());
}

#[test]
fn a_refresh_that_was_killed_is_made_good() {
    let rig = Rig::new(&CHANGES[..2]);
    let series = rig.series();
    let mut tree = rig.tree();
    for patch in &series.patches {
        tree.apply(patch).unwrap();
    }
    let old = tree.head().unwrap();
    edit(
        &rig.worktree(),
        "drivers/media/driver.c",
        "opts in",
        "opts in, fixed",
    );
    let refreshed = tree.refresh(&series.patches[1]).unwrap();
    assert_eq!(refreshed.files, [PathBuf::from("drivers/media/driver.c")]);
    let new = tree.head().unwrap();
    drop(tree);
    // As a kill leaves it behind the move of the branch: the files are new, the index is old, the patch file is old.
    fs::write(
        rig.folder.path().join("trees/key/tree.lock"),
        format!("{old} {new}\n"),
    )
    .unwrap();
    git(&rig.worktree(), &["read-tree", &old]);
    let mut tree = rig.tree();
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    let again = tree.refresh(&series.patches[1]).unwrap();
    assert_eq!((again.commit, again.files), (refreshed.commit, Vec::new()));
    // As it leaves it before that: nothing has happened.
    edit(&rig.worktree(), "drivers/media/driver.c", "fixed", "fixed twice");
    drop(tree);
    fs::write(
        rig.folder.path().join("trees/key/tree.lock"),
        format!("{new} {}\n", "1".repeat(40)),
    )
    .unwrap();
    assert_eq!(rig.tree().head().unwrap(), new);
    assert_eq!(
        git(&rig.worktree(), &["status", "--porcelain"]),
        " M drivers/media/driver.c"
    );
}
