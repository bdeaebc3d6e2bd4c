//! What a build holds: whether the code of a patch was compiled into it, and which functions its
//! kernel and modules have.
//!
//! make's own records decide (the `.cmd` file of each target, [`super::cmdfiles`]); the Makefiles'
//! lists and the configuration say why something is not there.

pub mod functions;

use super::cmdfiles;
use super::kconfig::{Config, Definitions, Foretold, Obstacle, Remedy, Value};
use super::series::makefile::{Makefiles, Way};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Folders at the top of a kernel tree whose code is no part of a kernel.
const NO_KERNEL: [&str; 5] = ["Documentation", "LICENSES", "scripts", "tools", "usr"];

/// A folder that make built in, and the tree that it was built from.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn<'a> {
    /// The tree.
    pub tree: &'a Path,
    /// The `O=` folder.
    pub out: &'a Path,
    /// The folder of the architecture below `arch/`.
    pub arch: &'a str,
}

/// Code that a build lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The source file, relative to the tree.
    pub file: PathBuf,
    /// Symbols that it hangs on and that are off, each with what would bring it. Empty: no Makefile
    /// that is read says on what it hangs.
    pub off: Vec<Off>,
}

/// A symbol that is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// Settings that turn it on, or what stands in the way.
    pub brought_by: Result<Remedy, Vec<Obstacle>>,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} is not in this build: ", self.file.display())?;
        let Some((first, more)) = self.off.split_first() else {
            return f.write_str(
                "make compiled no object of it, and no list of a Makefile that could be read says why",
            );
        };
        write!(f, "{first}")?;
        more.iter().try_for_each(|off| write!(f, "; {off}"))
    }
}

impl fmt::Display for Off {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "CONFIG_{} is off", self.symbol)?;
        match &self.brought_by {
            Ok(remedy) => write!(f, "; to have it: {remedy}"),
            Err(obstacles) if obstacles.is_empty() => Ok(()),
            Err(obstacles) => {
                let shown: Vec<String> = obstacles.iter().map(Obstacle::to_string).collect();
                write!(f, ", and cannot be on here: {}", shown.join("; "))
            }
        }
    }
}

/// Whether a file is code that a kernel of this architecture could have in it: headers, documents,
/// tools and other architectures are not.
pub fn is_code(file: &Path, arch: &str) -> bool {
    let is_source = file
        .extension()
        .is_some_and(|ending| ["c", "S", "rs"].iter().any(|code| ending == *code));
    let mut parts = file.iter();
    let (top, second) = (parts.next(), parts.next());
    let of_another = top == Some(OsStr::new("arch")) && second != Some(OsStr::new(arch));
    is_source && !of_another && !NO_KERNEL.iter().any(|name| top == Some(OsStr::new(name)))
}

/// Symbols of the ways of a file without which it is not built: those that are off on the way that
/// lacks least. Empty where a way is open, or may be.
pub fn missing_on(ways: &[Way], is_on: impl Fn(&str) -> bool) -> Vec<String> {
    let off = |way: &Way| -> Vec<String> {
        let off = way.symbols.iter().filter(|symbol| !is_on(symbol));
        off.cloned().collect()
    };
    ways.iter().map(off).min_by_key(Vec::len).unwrap_or_default()
}

impl BuiltIn<'_> {
    /// Those of `files` (relative to the tree) whose code is not in the build. Files that are gone
    /// from the tree are none. What stands in the way of each is worked out from the tree's
    /// Kconfig, which takes a second.
    pub fn absent(&self, files: &[PathBuf]) -> Vec<Absent> {
        let config = Config::parse(&fs::read_to_string(self.out.join(".config")).unwrap_or_default());
        let is_on = |symbol: &str| matches!(config.get(symbol), Some(Value::Yes | Value::Module));
        let read = |path: &Path| fs::read_to_string(self.tree.join(path)).ok();
        let makefiles = Makefiles::new(&read);
        let mut lacking: Vec<(&PathBuf, Vec<String>)> = Vec::new();
        for file in files {
            if !is_code(file, self.arch) || !self.tree.join(file).is_file() {
                continue;
            }
            let off = missing_on(&makefiles.ways(file), is_on);
            // What is off has an object all the same where an earlier configuration had it on.
            let has_object = off.is_empty() && self.is_made_of(&own_record(file), file);
            if !has_object {
                lacking.push((file, off));
            }
        }
        self.drop_used(&mut lacking);
        if lacking.is_empty() {
            return Vec::new();
        }
        let definitions = Definitions::read(self.tree, self.arch);
        let foretold = Foretold::of(&definitions, &config, Some(&config), &[]);
        let off = |symbol: String| Off {
            brought_by: match foretold.on(&symbol) {
                Some(value) => foretold.bring(&symbol, &value),
                None => Err(vec![Obstacle::Undefined {
                    symbol: symbol.clone(),
                }]),
            },
            symbol,
        };
        let absent = lacking.into_iter().map(|(file, symbols)| Absent {
            file: file.clone(),
            off: symbols.into_iter().map(off).collect(),
        });
        absent.collect()
    }

    /// Whether the record of a target names the file, and the target is not older: make has brought
    /// it up to date since the file was written.
    fn is_made_of(&self, record: &Path, file: &Path) -> bool {
        let Ok(text) = fs::read_to_string(self.out.join(record)) else {
            return false;
        };
        let named = cmdfiles::parse(&text, self.tree, self.out).files;
        named.iter().any(|named| named == file) && self.is_up_to_date(record, file)
    }

    fn is_up_to_date(&self, record: &Path, file: &Path) -> bool {
        let Some(target) = cmdfiles::target_of(record) else {
            return false;
        };
        let modified = |path: PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
        let (target, source) = (modified(self.out.join(target)), modified(self.tree.join(file)));
        matches!((target, source), (Some(target), Some(source)) if target >= source)
    }

    /// Takes out files that another target was made of: what is included by another file, compiled
    /// under another name, or a program of the build.
    fn drop_used(&self, lacking: &mut Vec<(&PathBuf, Vec<String>)>) {
        let names = |lacking: &[(&PathBuf, Vec<String>)]| -> BTreeSet<String> {
            let names = lacking.iter().filter_map(|(file, _)| file.file_name()?.to_str());
            names.map(String::from).collect()
        };
        let mut wanted = names(lacking);
        for entry in WalkDir::new(self.out).into_iter().flatten() {
            if lacking.is_empty() {
                return;
            }
            if entry.path().extension() != Some(OsStr::new("cmd")) {
                continue;
            }
            let Ok(record) = entry.path().strip_prefix(self.out) else {
                continue;
            };
            let Ok(text) = fs::read_to_string(entry.path()) else {
                continue;
            };
            // Most records mention none of the names: looking at bytes is quicker than reading the
            // grammar.
            if !wanted.iter().any(|name| text.contains(name.as_str())) {
                continue;
            }
            let named = cmdfiles::parse(&text, self.tree, self.out).files;
            lacking.retain(|(file, off)| {
                let is_own = !off.is_empty() && record == own_record(file);
                is_own || !named.contains(file) || !self.is_up_to_date(record, file)
            });
            wanted = names(lacking);
        }
    }
}

/// The record of the object that bears the name of a source file.
fn own_record(file: &Path) -> PathBuf {
    cmdfiles::file_of(&file.with_extension("o"))
}

#[cfg(test)]
mod tests;
