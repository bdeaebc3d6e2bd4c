//! The `.cmd` files that kbuild keeps beside each target: with what it was made, and from what.
//!
//! Grammar (scripts/Kbuild.include, `cmd_and_fixdep`, and scripts/basic/fixdep.c): `savedcmd_TARGET := COMMAND`, `source_TARGET := FILE`,
//! `deps_TARGET := \` and then a prerequisite a line; a Kconfig symbol that was looked at stands as `$(wildcard include/config/SYMBOL)`.

use std::path::{Path, PathBuf};

/// What one target was made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prerequisites {
    /// Source and headers: those of the tree relative to it, generated ones as the build folder has them.
    pub files: Vec<PathBuf>,
    /// Kconfig symbols that it looked at, without `CONFIG_`.
    pub symbols: Vec<String>,
}

/// Name of the `.cmd` file of a target: `drivers/.a.o.cmd` of `drivers/a.o`.
pub fn file_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.cmd"))
}

/// The target of a `.cmd` file: `drivers/a.o` of `drivers/.a.o.cmd`.
pub fn target_of(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let target = name.strip_prefix('.')?.strip_suffix(".cmd")?;
    Some(file.with_file_name(target))
}

/// Reads one file. `tree` and `out` are the absolute paths of source and build folder: the build names the tree's files relative to its own
/// folder, or from the root.
pub fn parse(text: &str, tree: &Path, out: &Path) -> Prerequisites {
    let mut found = Prerequisites::default();
    let mut in_deps = false;
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(" := ").or_else(|| line.split_once(":= ")) {
            in_deps = name.starts_with("deps_");
            if name.starts_with("source_") {
                found.files.push(relative(value.trim(), tree, out));
                continue;
            }
            if !in_deps || value.trim() == "\\" {
                continue;
            }
        }
        if !in_deps {
            continue;
        }
        let word = line.trim_end_matches('\\').trim();
        if word.is_empty() {
            in_deps = false;
        } else if let Some(symbol) = word
            .strip_prefix("$(wildcard include/config/")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            found.symbols.push(symbol.to_string());
        } else {
            found.files.push(relative(word, tree, out));
        }
    }
    found
}

/// A file as a command in the build folder `out` names it: relative to the tree, or else to the build folder, where it lies in one of them.
pub fn relative(name: &str, tree: &Path, out: &Path) -> PathBuf {
    let whole = plain(&out.join(name));
    match whole.strip_prefix(tree) {
        Ok(inside) => inside.to_path_buf(),
        Err(_) => whole.strip_prefix(out).map(Path::to_path_buf).unwrap_or(whole),
    }
}

/// A path without `.` and `..`, by its words alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Objects of a module, from its `.mod` file: one a line, relative to the build folder.
pub fn objects_of_module(text: &str) -> Vec<PathBuf> {
    text.lines()
        .filter(|line| line.ends_with(".o"))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prerequisites_are_read_relative_to_the_tree() {
        let text = "savedcmd_drivers/a.o := gcc -DX=':= y' -c a.c\n\nsource_drivers/a.o := ../../trees/t/tree/drivers/a.c\n\n\
                    deps_drivers/a.o := \\\n    $(wildcard include/config/MMU) \\\n  ../../trees/t/tree/include/linux/mm.h \\\n  \
                    include/generated/utsrelease.h \\\n  /usr/lib/gcc/stdarg.h \\\n\n\
                    drivers/a.o: $(deps_drivers/a.o)\n\n$(deps_drivers/a.o):\n";
        let found = parse(
            text,
            Path::new("/cache/trees/t/tree"),
            Path::new("/cache/build/lockdep"),
        );
        assert_eq!(found.symbols, ["MMU"]);
        let files: Vec<_> = found.files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(
            files,
            [
                "drivers/a.c",
                "include/linux/mm.h",
                "include/generated/utsrelease.h",
                "/usr/lib/gcc/stdarg.h"
            ]
        );
    }

    #[test]
    fn names_follow_kbuild() {
        assert_eq!(file_of(Path::new("mm/a.o")), Path::new("mm/.a.o.cmd"));
        let target = |file: &str| target_of(Path::new(file));
        assert_eq!(target("mm/.a.o.cmd"), Some(PathBuf::from("mm/a.o")));
        assert_eq!((target("mm/a.o.cmd"), target("mm/.a.o")), (None, None));
        assert_eq!(
            objects_of_module("a/x.o\na/y.o\n\n"),
            [PathBuf::from("a/x.o"), PathBuf::from("a/y.o")]
        );
    }
}
