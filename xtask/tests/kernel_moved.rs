//! Patches made from another version of the files than the tree has, and without its blobs: they have to apply exactly where, and
//! exactly when, `git apply` applies them.

use std::fs;
use std::path::Path;
use std::process::Command;
use xtask::kernel::patch::Patch;
use xtask::kernel::tree::Tree;

/// Small deterministic random numbers (Knuth's MMIX constants), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }
}

fn git(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"];
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(identity)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.output().unwrap()
}

fn commit(folder: &Path, lines: &[String]) {
    fs::write(folder.join("driver.c"), lines.concat()).unwrap();
    assert!(git(folder, &["add", "-A"]).status.success());
    assert!(
        git(folder, &["commit", "-q", "--allow-empty", "-m", "change"])
            .status
            .success()
    );
}

fn repository(folder: &Path, lines: &[String]) {
    fs::create_dir_all(folder).unwrap();
    assert!(git(folder, &["init", "-q", "-b", "main"]).status.success());
    fs::write(folder.join("Makefile"), "VERSION = 7\n").unwrap();
    commit(folder, lines);
}

/// Inserts, removes or rewords lines. Few different lines, so that contexts repeat.
fn drift(lines: &[String], changes: usize, random: &mut Random) -> Vec<String> {
    let mut lines = lines.to_vec();
    for _ in 0..changes {
        let at = random.below(lines.len());
        match random.below(5) {
            0 => drop(lines.remove(at)),
            1 => lines[at] = format!("reworded {}\n", random.below(4)),
            _ => lines.insert(at, format!("line {}\n", random.below(12))),
        }
    }
    lines
}

#[test]
fn hunks_are_placed_as_git_places_them() {
    let mut random = Random(7);
    let (mut applied, mut refused) = (0, 0);
    for round in 0..80 {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        let ours = folder.path().join("ours");
        let old: Vec<String> = (0..80).map(|_| format!("line {}\n", random.below(12))).collect();
        repository(&theirs, &old);
        commit(&theirs, &drift(&old, 3, &mut random));
        let patch = git(&theirs, &["format-patch", "--stdout", "-1"]).stdout;
        if !patch.windows(4).any(|window| window == b"\n@@ ") {
            continue;
        }
        let other_version = drift(&old, 3, &mut random);
        repository(&ours, &other_version);
        let file = folder.path().join("0001-change.patch");
        fs::write(&file, &patch).unwrap();
        let mut tree = Tree::open(
            &ours,
            &folder.path().join("trees/key/tree"),
            "lockstep/tree",
            None,
        )
        .unwrap();
        let mine = tree.apply(&Patch::read(&file).unwrap());
        let git_applies = git(&ours, &["apply", "--index", file.to_str().unwrap()])
            .status
            .success();
        let shown = String::from_utf8_lossy(&patch);
        assert_eq!(
            mine.is_ok(),
            git_applies,
            "round {round}: {mine:?}\n{shown}\n{}",
            other_version.concat()
        );
        if git_applies {
            let wanted = fs::read_to_string(ours.join("driver.c")).unwrap();
            let got = fs::read_to_string(tree.path().join("driver.c")).unwrap();
            assert_eq!(got, wanted, "round {round}\n{shown}");
            applied += 1;
        } else {
            refused += 1;
        }
    }
    assert!(
        applied > 20 && refused > 5,
        "both happen: {applied} applied, {refused} refused"
    );
}
