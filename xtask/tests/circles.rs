//! A house rule that the compiler does not keep: the files of a room do not know each other in a circle. A file and the folder of its name are one here.
//! What stands between the brackets of a macro is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// Circles that are wanted, each with its reason.
const WANTED: &[&[&str]] = &[
    // A boot asks for a proof of capture that only pre-flight can make, and pre-flight asks which boot methods there are.
    &["board/boot", "board/preflight"],
    // One verb is the other's whole with fixed arguments.
    &["cmd/build", "cmd/build_debug_kernel"],
];

/// The rooms' files (`board/deploy`), and which others each knows.
type Known = BTreeMap<String, BTreeSet<String>>;

/// Follows the paths of one source file.
struct Reader<'a> {
    /// The crate's name in [`Known`]; empty: `xtask`, whose rooms stand for it.
    root: &'a [String],
    /// The module that is read, from the crate's root.
    here: Vec<String>,
    /// Modules that are named, from the crate's root, with whatever is named in them.
    named: &'a mut Vec<Vec<String>>,
}

impl Reader<'_> {
    /// A path that begins at the crate's root, here, or above here; all others are of other crates or of names that a `use` has brought.
    fn name(&mut self, segments: &[String]) {
        let mut at = match segments.first().map(String::as_str) {
            Some("crate") => self.root.to_vec(),
            Some("self" | "super") => self.here.clone(),
            _ => return,
        };
        for segment in segments {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()),
                name => at.push(name.to_string()),
            }
        }
        self.named.push(at);
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.name(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.name(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.name(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        // Tests look into everything.
        if module.ident != "tests" {
            self.here.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.here.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        self.name(&segments.collect::<Vec<_>>());
        visit::visit_path(self, path);
    }
}

/// The folders of sources, each with its crate's name; `xtask` has none.
fn crates() -> Vec<(Vec<String>, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut crates = vec![(Vec::new(), root.join("xtask/src"))];
    for entry in std::fs::read_dir(root.join("crates")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        crates.push((vec![name], entry.path().join("src")));
    }
    crates
}

fn known() -> Known {
    let mut named: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for (crate_name, folder) in crates() {
        for entry in walkdir::WalkDir::new(&folder) {
            let path = entry.unwrap().into_path();
            let below = path.strip_prefix(&folder).unwrap().with_extension("");
            let parts = below.iter().map(|part| part.to_str().unwrap().to_string());
            let mut here: Vec<String> = crate_name.iter().cloned().chain(parts).collect();
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            let last = here.last().cloned().unwrap_or_default();
            let is_root = here.len() < 2 || here.len() == 2 && (last == "mod" || last == "lib");
            if !is_source || last.ends_with("tests") || is_root {
                continue;
            }
            let file = here[..2].join("/");
            if last == "mod" {
                here.pop();
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let source = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let named = named.entry(file).or_default();
            let root = &crate_name[..];
            Reader { root, here, named }.visit_file(&source);
        }
    }
    assert!(named.len() > 100, "the sources were found");
    let resolved = |file: &String, paths: &Vec<Vec<String>>| {
        let others = paths.iter().filter_map(|path| Some(path.get(..2)?.join("/")));
        others
            .filter(|other| other != file && named.contains_key(other))
            .collect()
    };
    named
        .iter()
        .map(|(file, paths)| (file.clone(), resolved(file, paths)))
        .collect()
}

/// Whom a file knows, and whom those know.
fn reached<'a>(known: &'a Known, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        let new = known[file]
            .iter()
            .map(String::as_str)
            .filter(|other| reached.insert(*other));
        next.extend(new.collect::<Vec<_>>());
    }
    reached
}

/// The files of each circle.
fn circles(known: &Known) -> BTreeSet<Vec<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = known
        .keys()
        .map(|file| (file.as_str(), reached(known, file)))
        .collect();
    let circle = |file: &&str| -> Vec<&str> {
        let both = |other: &&&str| reached[**other].contains(*file);
        reached[*file].iter().filter(both).copied().collect()
    };
    reached
        .keys()
        .map(circle)
        .filter(|files| files.len() > 1)
        .collect()
}

#[test]
fn the_files_of_a_room_form_no_circle_but_those_that_are_wanted() {
    let known = known();
    assert!(known["board/deploy"].contains("board/writer"), "imports are read");
    assert!(
        known["kernel-log/scan"].contains("kernel-log/reader"),
        "those of a crate, too"
    );
    let wanted: BTreeSet<Vec<&str>> = WANTED.iter().map(|files| files.to_vec()).collect();
    assert_eq!(circles(&known), wanted);
}

#[test]
fn a_circle_is_found() {
    let knows = |files: &[(&str, &[&str])]| -> Known {
        let all = |others: &[&str]| others.iter().map(|other| other.to_string()).collect();
        files
            .iter()
            .map(|(file, others)| (file.to_string(), all(others)))
            .collect()
    };
    let known = knows(&[("a", &["b"]), ("b", &["c", "d"]), ("c", &["a"]), ("d", &[])]);
    assert_eq!(circles(&known), BTreeSet::from([vec!["a", "b", "c"]]));
    assert_eq!(circles(&knows(&[("a", &["b"]), ("b", &[])])), BTreeSet::new());

    let source = "use crate::board::{slot::Record, super_thing}; use super::script as s; fn f() { self::g(super::super::x::y()) } mod tests { use crate::no; }";
    let mut named = Vec::new();
    let here = ["board", "deploy", "record"].map(String::from).to_vec();
    Reader {
        root: &[],
        here,
        named: &mut named,
    }
    .visit_file(&syn::parse_file(source).unwrap());
    let named: Vec<String> = named.iter().map(|path| path.join("/")).collect();
    assert_eq!(
        named,
        [
            "board/slot/Record",
            "board/super_thing",
            "board/deploy/script",
            "board/deploy/record/g",
            "board/x/y"
        ]
    );
}
