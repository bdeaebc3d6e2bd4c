//! House rules that the compiler does not keep: who may know whom, who prints, who starts programs.

use std::path::{Path, PathBuf};

/// What a room of the library may use of the others. `cmd`, `cli` and `lib` join everything and are not listed.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("document", &[]),
    ("manifest", &["document"]),
    ("front_door", &[]),
    ("ui", &["front_door", "host"]),
    ("host", &[]),
    ("kernel", &["document", "host", "manifest"]),
    ("capture", &["host"]),
    ("board", &["capture", "document", "host", "manifest"]),
    (
        "campaign",
        &["kernel", "board", "capture", "document", "manifest", "host", "ui"],
    ),
];

/// Every source file of the workspace: those of `xtask` as `board/deploy.rs`, those of a crate as `kernel-log/finder.rs`.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for (name, folder) in source_folders(root) {
        for entry in walkdir::WalkDir::new(&folder) {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&folder).unwrap();
                let name = Path::new(&name).join(below).display().to_string();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 20, "the sources were found");
    files
}

/// The `src` folder of each crate, with what its files' names begin with.
fn source_folders(root: &Path) -> Vec<(String, PathBuf)> {
    let mut folders = vec![(String::new(), root.join("xtask/src"))];
    for entry in std::fs::read_dir(root.join("crates")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        folders.push((name, entry.path().join("src")));
    }
    folders
}

fn room(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap()
}

#[test]
fn rooms_know_only_whom_they_may() {
    let uses = regex::Regex::new(r"crate::([a-z_]+)").unwrap();
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(known, _)| *known == room(&name)) else {
            continue;
        };
        for capture in uses.captures_iter(&text) {
            let other = capture.get(1).unwrap().as_str();
            if other != room(&name) && !allowed.contains(&other) {
                wrong.push(format!("{name} uses {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_room_prints() {
    for (name, text) in sources().iter().filter(|(name, _)| room(name) != "ui") {
        for word in ["println!(", "print!(", "stdout()", "stderr()"] {
            assert!(!text.contains(word), "{name} prints with {word}: only ui does");
        }
    }
}

#[test]
fn one_module_starts_programs() {
    let itself = |name: &str| name == "host/process.rs" || name.starts_with("host/process/");
    for (name, text) in sources().iter().filter(|(name, _)| !itself(name)) {
        for word in ["process::Command", "Command::new", ".spawn()", ".run_interactive"] {
            assert!(
                !text.contains(word),
                "{name} has {word}: only host::process starts programs"
            );
        }
    }
}

#[test]
fn nothing_is_called_util() {
    for (name, _) in sources() {
        for word in ["util", "common", "helper", "misc", "types"] {
            assert!(
                !name.contains(word),
                "{name}: a file answers one question that its name asks"
            );
        }
    }
}

#[test]
fn what_is_meant_for_the_kernel_says_its_licence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut seen = 0;
    for folder in ["patches", "kconfig-fragments"] {
        for entry in walkdir::WalkDir::new(root.join(folder))
            .into_iter()
            .map(|entry| entry.unwrap())
        {
            if entry.file_type().is_file() {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let path = entry.path().display();
                assert!(
                    text.contains("SPDX-License-Identifier: GPL-2.0-only"),
                    "{path} has no SPDX line"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "patches and fragments were found");
}
