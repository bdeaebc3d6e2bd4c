//! Why a module changed: which file or symbol of a change pulled it in.

use super::cmdfiles::{self, Prerequisites};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What differs between two builds, from the side of their inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// Files of the tree that differ, relative to it.
    pub files: BTreeSet<PathBuf>,
    /// Kconfig symbols that differ, without `CONFIG_`.
    pub symbols: BTreeSet<String>,
}

/// Why one module is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Why {
    /// Its name.
    pub module: String,
    /// The object of it that was compiled from something else, the first of them.
    #[serde(serialize_with = "crate::host::json::named")]
    pub object: Option<PathBuf>,
    /// What that object was compiled from.
    pub cause: Cause,
}

/// What pulled a module in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// One of its own sources was changed.
    Source(#[serde(serialize_with = "crate::host::json::named")] PathBuf),
    /// A header that it includes was changed.
    Header(#[serde(serialize_with = "crate::host::json::named")] PathBuf),
    /// A Kconfig symbol that it looks at was changed.
    Symbol(String),
    /// Nothing of the change is among what it was compiled from: a generated file, or the symbols of other modules.
    Indirect,
}

impl Why {
    /// As one line for a person.
    pub fn line(&self) -> String {
        let by = match &self.cause {
            Cause::Source(file) => format!("its own source {}", file.display()),
            Cause::Header(file) => format!("the header {}", file.display()),
            Cause::Symbol(symbol) => format!("CONFIG_{symbol}"),
            Cause::Indirect => {
                "no changed file directly: a generated header, or what other modules export".to_string()
            }
        };
        match &self.object {
            Some(object) => format!("{}: pulled in by {by} (in {})", self.module, object.display()),
            None => format!("{}: pulled in by {by}", self.module),
        }
    }
}

/// The rule: a source of its own counts before a header, a header before a symbol.
pub fn why(module: &str, objects: &[(PathBuf, Prerequisites)], inputs: &Inputs) -> Why {
    let mut best: Option<(Cause, &PathBuf)> = None;
    for (object, from) in objects {
        let files = from
            .files
            .iter()
            .filter(|file| inputs.files.contains(*file))
            .map(|file| {
                if file.extension().is_some_and(|ending| ending == "h") {
                    Cause::Header(file.clone())
                } else {
                    Cause::Source(file.clone())
                }
            });
        let symbols = from
            .symbols
            .iter()
            .filter(|symbol| inputs.symbols.contains(*symbol));
        for cause in files.chain(symbols.map(|symbol| Cause::Symbol(symbol.clone()))) {
            if best.as_ref().is_none_or(|(known, _)| cause < *known) {
                best = Some((cause, object));
            }
        }
    }
    let (cause, object) = match best {
        Some((cause, object)) => (cause, Some(object.clone())),
        None => (Cause::Indirect, None),
    };
    Why {
        module: module.to_string(),
        object,
        cause,
    }
}

/// Symbols that two configurations (texts of `.config`) disagree about; one that is off and one that is not there are the same.
pub fn changed_symbols(old: &str, new: &str) -> BTreeSet<String> {
    let values = |text: &str| -> BTreeSet<(String, String)> {
        text.lines()
            .filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    };
    let (old, new) = (values(old), values(new));
    old.symmetric_difference(&new)
        .map(|(name, _)| name.clone())
        .collect()
}

/// Objects of a module of a build folder, with what each was compiled from. `module` is its path there without its ending
/// (`drivers/media/mc/mc`). What cannot be read is left out.
pub fn objects(out: &Path, tree: &Path, module: &Path) -> Vec<(PathBuf, Prerequisites)> {
    let list = std::fs::read_to_string(out.join(module.with_extension("mod"))).unwrap_or_default();
    cmdfiles::objects_of_module(&list)
        .into_iter()
        .filter_map(|object| {
            let text = std::fs::read_to_string(out.join(cmdfiles::file_of(&object))).ok()?;
            let from = cmdfiles::parse(&text, tree, out);
            Some((object, from))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(files: &[&str], symbols: &[&str]) -> Prerequisites {
        Prerequisites {
            files: files.iter().map(PathBuf::from).collect(),
            symbols: symbols.iter().map(|name| name.to_string()).collect(),
        }
    }

    #[test]
    fn the_nearest_cause_is_named() {
        let objects = [
            (
                PathBuf::from("d/a.o"),
                from(&["d/a.c", "include/media/vb2.h"], &["VB2"]),
            ),
            (PathBuf::from("d/b.o"), from(&["d/b.c"], &[])),
        ];
        let ask = |files: &[&str], symbols: &[&str]| {
            let inputs = Inputs {
                files: files.iter().map(PathBuf::from).collect(),
                symbols: symbols.iter().map(|name| name.to_string()).collect(),
            };
            why("a", &objects, &inputs).line()
        };
        assert_eq!(
            ask(&["d/b.c", "include/media/vb2.h"], &["VB2"]),
            "a: pulled in by its own source d/b.c (in d/b.o)"
        );
        assert_eq!(
            ask(&["include/media/vb2.h"], &["VB2"]),
            "a: pulled in by the header include/media/vb2.h (in d/a.o)"
        );
        assert_eq!(
            ask(&["other.c"], &["VB2"]),
            "a: pulled in by CONFIG_VB2 (in d/a.o)"
        );
        assert!(ask(&["other.c"], &[]).contains("no changed file directly"));
    }

    #[test]
    fn symbols_that_came_went_or_changed_differ() {
        let old = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n";
        let new = "CONFIG_A=y\nCONFIG_B=y\nCONFIG_D=y\n";
        assert_eq!(
            changed_symbols(old, new),
            BTreeSet::from(["B".to_string(), "D".to_string()])
        );
    }
}
