//! A small repository and patches for it, made by git itself, for the tests of the tree.

use crate::small_git::git;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::kernel::series::Series;
use xtask::kernel::tree::Tree;

/// A repository of a user's, and the patches of a series for it.
pub struct Rig {
    pub folder: TempDir,
}

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("line {n}\n")).collect()
}

impl Rig {
    /// A repository with a few files, and the patches of `changes` in `patches/`.
    pub fn new(changes: &[fn(&Path)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        fs::create_dir_all(repo.join("drivers/media")).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        fs::write(repo.join("Makefile"), "VERSION = 7\n").unwrap();
        fs::write(repo.join("drivers/media/core.c"), numbered(0..60)).unwrap();
        fs::write(repo.join("drivers/media/driver.c"), numbered(0..30)).unwrap();
        fs::write(repo.join("tool.sh"), "#!/bin/sh\n").unwrap();
        fs::write(repo.join("gone.c"), "gone\n").unwrap();
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-qm", "base"]);
        git(&repo, &["branch", "start"]);
        for (at, change) in changes.iter().enumerate() {
            change(&repo);
            git(&repo, &["add", "-A"]);
            let author = "--author=Jürgen \"J\" Müller <jm@example.org>";
            let subject = format!("media: änderung {at} with [brackets] behind");
            let body = format!("Why {at}.\n\nSigned-off-by: Jürgen Müller <jm@example.org>");
            let date = format!("--date=2026-03-0{}T10:11:12-0330", at + 1);
            git(
                &repo,
                &["commit", "-q", author, &date, "-m", &subject, "-m", &body],
            );
        }
        git(&repo, &["format-patch", "-q", "-v2", "-o", "../patches", "start"]);
        git(&repo, &["checkout", "-q", "start"]);
        git(&repo, &["branch", "-qD", "main"]);
        Rig { folder }
    }

    pub fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub fn worktree(&self) -> PathBuf {
        self.folder.path().join("trees/key/tree")
    }

    pub fn tree(&self) -> Tree {
        Tree::open(&self.repo(), &self.worktree(), "lockstep/tree", None).unwrap()
    }

    /// The patches, renamed to what a series has: `0001-…`.
    pub fn series(&self) -> Series {
        let folder = self.folder.path().join("patches");
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            if let Some(plain) = name.strip_prefix("v2-") {
                fs::rename(&path, folder.join(plain)).unwrap();
            }
        }
        Series::open(&folder).unwrap()
    }

    /// Commits of a branch made by `git am` of the same files: tree, author, author date, message.
    pub fn am(&self, series: &Series) -> Vec<String> {
        let other = self.folder.path().join("am");
        git(
            &self.repo(),
            &[
                "worktree",
                "add",
                "-q",
                "-b",
                "am",
                other.to_str().unwrap(),
                "start",
            ],
        );
        for patch in &series.patches {
            let path = series.folder.join(&patch.name);
            git(&other, &["am", "-q", "--keep-cr", path.to_str().unwrap()]);
        }
        self.log("am")
    }

    pub fn log(&self, branch: &str) -> Vec<String> {
        let text = git(
            &self.repo(),
            &[
                "log",
                "-z",
                "--reverse",
                "--format=%T%n%an <%ae> %ad%n%B",
                "--date=raw",
                &format!("start..{branch}"),
            ],
        );
        text.split('\0').map(String::from).collect()
    }
}

/// Every file below a folder with its bytes, mode and time of change.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i128)> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let metadata = entry.metadata().unwrap();
            let time = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
            files.insert(
                entry.path().to_path_buf(),
                (fs::read(entry.path()).unwrap(), metadata.mode(), time),
            );
        }
    }
    files
}

pub fn edit(repo: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(repo.join(file)).unwrap();
    assert!(text.contains(from));
    fs::write(repo.join(file), text.replacen(from, to, 1)).unwrap();
}

pub const CHANGES: &[fn(&Path)] = &[
    |repo| {
        edit(
            repo,
            "drivers/media/core.c",
            "line 30\n",
            "line 30\nnew in core\n",
        )
    },
    |repo| edit(repo, "drivers/media/driver.c", "line 3\n", "line 3 opts in\n"),
    |repo| {
        fs::write(repo.join("drivers/media/new file.c"), "new\n\n\twith\n").unwrap();
        fs::remove_file(repo.join("gone.c")).unwrap();
    },
    |repo| {
        fs::create_dir_all(repo.join("lib")).unwrap();
        fs::rename(repo.join("drivers/media/core.c"), repo.join("lib/kern.c")).unwrap();
        edit(repo, "lib/kern.c", "line 50\n", "line fifty\n");
    },
    |repo| fs::set_permissions(repo.join("tool.sh"), fs::Permissions::from_mode(0o755)).unwrap(),
    |repo| {
        fs::write(repo.join("ä.bin"), b"\x00\x01\x02 binary \xff\xfe").unwrap();
        edit(
            repo,
            "drivers/media/driver.c",
            "line 29\n",
            "line 29 without an end",
        );
    },
    |repo| {
        edit(
            repo,
            "drivers/media/driver.c",
            "line 29 without an end",
            "line 29 with an end\r\n",
        );
        edit(repo, "lib/kern.c", "line 1\n", "");
        edit(repo, "lib/kern.c", "line 58\n", "\n\n");
    },
    |repo| {
        fs::rename(repo.join("tool.sh"), repo.join("lib/a tool.sh")).unwrap();
        fs::remove_file(repo.join("drivers/media/new file.c")).unwrap();
        edit(repo, "drivers/media/driver.c", "line 29 with an end\r\n", "");
        fs::rename(repo.join("drivers/media/driver.c"), repo.join("lib/driver.c")).unwrap();
    },
];
