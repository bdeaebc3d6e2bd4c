//! House rules that the compiler does not keep: who may know whom, who prints, who starts programs.

use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// What a room of the library may use of the others. `cmd`, `cli` and `lib` join everything and are not listed.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("document", &[]),
    ("manifest", &["document"]),
    ("front_door", &[]),
    ("ui", &["front_door", "host"]),
    ("host", &[]),
    ("kernel", &["document", "host", "manifest"]),
    ("capture", &["front_door", "host"]),
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
fn one_module_makes_temporary_files() {
    let is_test = |name: &str| {
        let of_tests = ["tests.rs", "in_front_tests.rs"]
            .iter()
            .any(|end| name.ends_with(end));
        of_tests || name.contains("/tests/") || name.starts_with("campaign/engine/killed")
    };
    for (name, text) in sources().iter().filter(|(name, _)| !is_test(name)) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in ["tempfile::", "NamedTempFile::new", "temp_dir()"] {
            let stands = code
                .lines()
                .find(|line| line.contains(word) && !line.contains("tempfile::NamedTempFile"));
            assert!(
                name == "host/scratch.rs" || stands.is_none(),
                "{name} has `{}`: what is made by host::scratch is swept after a kill",
                stands.unwrap().trim()
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
    for folder in ["patches", "kconfig-fragments", "xtask/tests/first_campaign"] {
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

/// Most lines of a file: one that is longer answers more than one question.
const LONGEST: usize = 500;

#[test]
fn no_file_is_longer_than_one_question() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut long = Vec::new();
    let mut seen = 0;
    let is_ours = |entry: &walkdir::DirEntry| entry.file_name() != "target" && entry.file_name() != ".git";
    for entry in walkdir::WalkDir::new(root).into_iter().filter_entry(is_ours) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "rs") && path.is_file() {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            seen += 1;
            if lines > LONGEST {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert!(seen > 100, "the sources were found");
    assert!(long.is_empty(), "more than {LONGEST}:\n{}", long.join("\n"));
}

/// A slice by an index and a sum panic on what a board, a disk or a file says.
#[test]
fn nothing_is_sliced_or_added_unchecked() {
    let sources = sources();
    let is_root =
        |name: &str| name == "lib.rs" || name.ends_with("/lib.rs") && name.matches('/').count() == 1;
    let roots: Vec<_> = sources.iter().filter(|(name, _)| is_root(name)).collect();
    assert!(roots.len() > 1, "the crates were found");
    for (name, text) in roots {
        let (_, denied) = text.split_once("deny(").unwrap_or_default();
        let (denied, _) = denied.split_once(')').unwrap_or_default();
        for lint in [
            "indexing_slicing",
            "arithmetic_side_effects",
            "unwrap_used",
            "string_slice",
        ] {
            assert!(
                denied.contains(&format!("clippy::{lint}")),
                "{name} does not deny clippy::{lint}"
            );
        }
    }
    // An exception says which invariant it stands on.
    let exception = regex::Regex::new(r"#!?\[(?:allow|expect)\(([^\]]*)\)\]").unwrap();
    for (name, text) in &sources {
        for found in exception.captures_iter(text) {
            assert!(
                !found[1].contains("clippy::") || found[1].contains("reason = "),
                "{name} allows {} without a reason",
                &found[1]
            );
        }
    }
}

/// Paths that JSON might not be able to hold: see `host/json.rs`.
#[test]
fn no_path_that_is_not_utf8_ends_an_answer() {
    let panicking = regex::Regex::new(r"serde_json::(?:json\b|\{[^}]*\bjson\b)").unwrap();
    let mut printed = Printed::default();
    for (name, text) in sources() {
        printed.file.clone_from(&name);
        printed.visit_file(&syn::parse_file(&text).unwrap());
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let is_test = ["tests", "simulated"].iter().any(|word| name.contains(word));
        assert!(
            is_test || !panicking.is_match(&code),
            "{name} has serde_json's json!, which panics: host::json::json! does not"
        );
        for panics in ["env::args()", "env::vars()"] {
            assert!(
                !code.contains(panics),
                "{name} has {panics}, which panics on what is not UTF-8"
            );
        }
    }
    assert!(printed.fields > 20, "fields with paths were found");
    assert!(
        printed.wrong.is_empty(),
        "these are printed and not `serialize_with = \"crate::host::json::named\"`:\n{}",
        printed.wrong.join("\n")
    );
}

/// Follows the types that are printed and never read again, and their fields with a path.
#[derive(Default)]
struct Printed {
    file: String,
    fields: usize,
    wrong: Vec<String>,
}

impl Printed {
    fn fields<'f>(
        &mut self,
        of: &syn::Ident,
        attributes: &[syn::Attribute],
        fields: impl Iterator<Item = &'f syn::Field>,
    ) {
        let derived = words(attributes, "derive");
        if !derived.iter().any(|word| word == "Serialize") || derived.iter().any(|word| word == "Deserialize")
        {
            return;
        }
        for (at, field) in fields.enumerate().filter(|(_, field)| has_path(&field.ty)) {
            self.fields += 1;
            let attributes = words(&field.attrs, "serde");
            if !attributes
                .iter()
                .any(|word| word == "serialize_with" || word == "skip")
            {
                let name = field.ident.as_ref().map_or(at.to_string(), ToString::to_string);
                self.wrong.push(format!("{}: {of}.{name}", self.file));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Printed {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.fields(&item.ident, &item.attrs, item.fields.iter());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let fields = item.variants.iter().flat_map(|variant| &variant.fields);
        self.fields(&item.ident, &item.attrs, fields);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }
}

/// The words between the brackets of these attributes.
fn words(attributes: &[syn::Attribute], name: &str) -> Vec<String> {
    let lists = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(name));
    let lists = lists.filter_map(|attribute| attribute.meta.require_list().ok());
    lists
        .flat_map(|list| {
            let text = list.tokens.to_string();
            let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            words.map(String::from).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a type has a path of the standard library in it. (`Path` alone, without a reference, is some other type of that name.)
fn has_path(kind: &syn::Type) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            let last = path.segments.last().map(|segment| segment.ident.to_string());
            self.0 |= matches!(last.as_deref(), Some("PathBuf" | "OsString" | "OsStr"));
            visit::visit_path(self, path);
        }

        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            if let syn::Type::Path(path) = &*reference.elem {
                self.0 |= path.path.is_ident("Path");
            }
            visit::visit_type_reference(self, reference);
        }
    }
    let mut search = Search(false);
    search.visit_type(kind);
    search.0
}
