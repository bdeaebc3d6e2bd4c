//! Which source file a function was compiled from, without debug information: kbuild's own records and the symbol tables of the objects.

use super::image::{Image, Symbol};
use crate::kernel::cmdfiles;
use object::{Object, ObjectSymbol};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a function comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file, relative to the tree.
    File(PathBuf),
    /// One of these.
    OneOf(Vec<PathBuf>),
    /// The records do not tell.
    Unknown,
}

/// The objects of a build folder that have a `.cmd` file, by file name.
#[derive(Debug, Default)]
pub struct Objects {
    by_name: BTreeMap<String, Vec<PathBuf>>,
}

impl Objects {
    /// Lists the build folder. What cannot be read is left out: it only makes fewer answers.
    pub fn of(out: &Path) -> Self {
        let mut objects = Objects::default();
        for entry in walkdir::WalkDir::new(out).into_iter().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy();
            let object = name.strip_prefix('.').and_then(|name| name.strip_suffix(".cmd"));
            if let (Some(object), Ok(folder)) = (
                object.filter(|object| object.ends_with(".o")),
                entry.path().parent().unwrap_or(out).strip_prefix(out),
            ) {
                objects
                    .by_name
                    .entry(object.to_string())
                    .or_default()
                    .push(folder.join(object));
            }
        }
        objects
    }

    /// Objects that may hold a function of this module, or of the kernel: for the kernel those that are called like the source file.
    fn candidates(&self, out: &Path, module: Option<&Path>, source: Option<&str>) -> Vec<PathBuf> {
        if let Some(module) = module {
            let list = std::fs::read_to_string(out.join(module).with_extension("mod")).unwrap_or_default();
            return cmdfiles::objects_of_module(&list);
        }
        let stem = source.and_then(|source| Path::new(source).file_stem());
        stem.and_then(|stem| self.by_name.get(&format!("{}.o", stem.to_string_lossy())))
            .cloned()
            .unwrap_or_default()
    }
}

/// The source file of a function. `module`: its `.ko`, relative to the build folder `out`.
pub fn of(
    objects: &Objects,
    image: &Image,
    symbol: &Symbol,
    module: Option<&Path>,
    out: &Path,
    tree: &Path,
) -> Origin {
    let source = image.file_of(symbol);
    let mut found: Vec<PathBuf> = objects
        .candidates(out, module, source)
        .into_iter()
        .filter(|object| holds(&out.join(object), symbol))
        .filter_map(|object| source_of(&object, out, tree))
        // Where the symbol table names the file, an object of another one has but a namesake.
        .filter(|path| source.is_none_or(|source| path.file_name().is_some_and(|name| name == source)))
        .collect();
    found.sort();
    found.dedup();
    match found.len() {
        0 => Origin::Unknown,
        1 => Origin::File(found.remove(0)),
        _ => Origin::OneOf(found),
    }
}

/// Whether an object defines the symbol, in this size.
fn holds(object: &Path, symbol: &Symbol) -> bool {
    let Ok(bytes) = std::fs::read(object) else {
        return false;
    };
    let Ok(elf) = object::File::parse(&*bytes) else {
        return false;
    };
    elf.symbols().any(|one| {
        one.section_index().is_some() && one.size() == symbol.size && one.name() == Ok(symbol.name.as_str())
    })
}

fn source_of(object: &Path, out: &Path, tree: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(out.join(cmdfiles::file_of(object))).ok()?;
    let first = text.lines().find(|line| line.starts_with("source_"))?;
    let (_, file) = first.split_once(":= ")?;
    Some(cmdfiles::relative(file.trim(), tree, out))
}
