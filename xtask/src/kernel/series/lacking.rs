//! Files that a patch forgot: its Makefile lists an object, and there is no source of it.
//! Makefiles, git and the patch itself are fine with that; make is the first to notice.

use super::makefile::{Makefile, is_makefile};
use crate::host::one_line::one_line;
use crate::kernel::patch::Patch;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// An object without a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The Makefile that lists it.
    pub makefile: PathBuf,
    /// The object, relative to the folder of the Makefile.
    pub object: String,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "the patch lacks a file: {} lists {}, and there is no source of it (`git add` it, with --force if a .gitignore hides it, and make the \
             patch again)",
            self.makefile.display(),
            one_line(&self.object)
        )
    }
}

/// What a patch lacks. `before` and `after` give a text file of the tree without it and with it;
/// `is_there` tells whether the tree with it has a file.
pub fn of(
    patch: &Patch,
    before: &dyn Fn(&Path) -> Option<String>,
    after: &dyn Fn(&Path) -> Option<String>,
    is_there: &dyn Fn(&Path) -> bool,
) -> Vec<Lacking> {
    let mut found = Vec::new();
    for path in patch.touched_files().into_iter().filter(|path| is_makefile(path)) {
        let Some(text) = after(path) else { continue };
        let old = before(path).map(|text| listed(&text)).unwrap_or_default();
        let makefile = Makefile::parse(&text);
        let folder = path.parent().unwrap_or(Path::new(""));
        for object in listed(&text).difference(&old) {
            let stem = object.trim_end_matches(".o");
            let source = |ending: &&str| is_there(&folder.join(format!("{stem}.{ending}")));
            // A rule makes it of something else: its source is named in the Makefile, or it has two
            // endings (`x.dtb.o`).
            let by_rule = stem.contains('.') || text.contains(&format!("/{stem}."));
            if !by_rule && !makefile.is_made_of_others(object) && !["c", "S", "rs"].iter().any(source) {
                found.push(Lacking {
                    makefile: path.to_path_buf(),
                    object: object.clone(),
                });
            }
        }
    }
    found
}

/// The objects of a Makefile's lists.
fn listed(text: &str) -> BTreeSet<String> {
    let makefile = Makefile::parse(text);
    let objects = makefile.objects.into_iter().map(|(object, _)| object);
    let parts = makefile.parts.into_iter().flat_map(|(.., objects)| objects);
    objects.chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &str, there: &[&str]) -> Vec<String> {
        let count = lines.lines().count();
        let mail = format!(
            "From: A <a@b.c>\nSubject: x\n\n---\ndiff --git a/d/Makefile b/d/Makefile\n--- a/d/Makefile\n+++ b/d/Makefile\n@@ -1 +1,{} @@\n \
             obj-y := old.o\n{lines}",
            count + 1
        );
        let patch = Patch::parse("p", mail.as_bytes()).unwrap();
        let old = "obj-y := old.o\n".to_string();
        let new = old.clone() + &lines.replace('+', "");
        let found = of(&patch, &|_| Some(old.clone()), &|_| Some(new.clone()), &|path| {
            there.iter().any(|there| path == Path::new(there))
        });
        found.into_iter().map(|lacking| lacking.object).collect()
    }

    #[test]
    fn an_object_without_a_source_is_told() {
        assert_eq!(told("+obj-m = new.o\n", &[]), ["new.o"]);
        assert_eq!(told("+obj-m = new.o\n", &["d/new.c"]), [""; 0]);
        assert_eq!(
            told("+obj-m = new.o\n", &["new.c"]),
            ["new.o"],
            "in another folder"
        );
        assert_eq!(told("+obj-m = new.o\n+new-y = a.o b.o\n", &["d/a.S"]), ["b.o"]);
        assert_eq!(told("+obj-m = x.dtb.o\n", &[]), [""; 0]);
        assert_eq!(told("+obj-m = made.o\n+$(obj)/made.c: x\n", &[]), [""; 0]);
    }
}
