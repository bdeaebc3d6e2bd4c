//! Patches made from another version of the files than the tree has, and without its blobs: they have to apply exactly where, and
//! exactly when, `git apply` applies them.

use std::fs;
use std::path::Path;
use std::process::Command;
use xtask::kernel::diff::hunks;
use xtask::kernel::patch::Patch;

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

/// Runs git in a folder that is no repository: nothing but the files counts.
fn git(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap());
    command.output().unwrap()
}

const MAIL: &str = "From: Ann <ann@example.org>\nSubject: [PATCH] change\n\n---\n";

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
    for round in 0..120 {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b", "ours"] {
            fs::create_dir(path(name)).unwrap();
        }
        let old: Vec<String> = (0..80).map(|_| format!("line {}\n", random.below(12))).collect();
        fs::write(path("a/driver.c"), old.concat()).unwrap();
        fs::write(path("b/driver.c"), drift(&old, 3, &mut random).concat()).unwrap();
        let names = ["diff", "--no-index", "--no-prefix", "a/driver.c", "b/driver.c"];
        let patch = [MAIL.as_bytes(), &git(folder.path(), &names).stdout].concat();
        if !patch.windows(4).any(|window| window == b"\n@@ ") {
            continue;
        }
        let other_version = drift(&old, 3, &mut random);
        fs::write(path("ours/driver.c"), other_version.concat()).unwrap();
        let file = path("0001-change.patch");
        fs::write(&file, &patch).unwrap();
        let change = &Patch::read(&file).unwrap().files[0];
        let mine = hunks::apply(&change.hunks, other_version.concat().as_bytes());
        let git_applies = git(&path("ours"), &["apply", file.to_str().unwrap()])
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
            let wanted = fs::read_to_string(path("ours/driver.c")).unwrap();
            let got = String::from_utf8(mine.unwrap()).unwrap();
            assert_eq!(got, wanted, "round {round}\n{shown}");
            applied += 1;
        } else {
            refused += 1;
        }
    }
    println!(
        "of {} patches {applied} are applied and {refused} refused, by git and by us",
        applied + refused
    );
    assert!(
        applied > 20 && refused > 5,
        "both happen: {applied} applied, {refused} refused"
    );
}
