//! Which frames belong to a patch: a rule on its diff.

use crate::kernel::diff::FileChange;
use crate::kernel::diff::hunks::Hunk;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How near a frame is to a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A line that the patch wrote, or the one behind what it deleted. Later patches may have moved it.
    Line,
    /// A function that the patch changes.
    Function,
    /// A file that the patch changes.
    File,
}

impl Mark {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Mark::Line => "a line of the patch",
            Mark::Function => "in a function that the patch changes",
            Mark::File => "in a file that the patch changes",
        }
    }
}

/// What patches touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    files: BTreeMap<PathBuf, Parts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Parts {
    lines: BTreeSet<usize>,
    functions: BTreeSet<String>,
}

impl Touched {
    /// Adds what a patch touches. Lines are those of the tree in which it was applied last.
    pub fn add(&mut self, changes: &[FileChange]) {
        for change in changes {
            let Some(path) = &change.new else { continue };
            let parts = self.files.entry(path.clone()).or_default();
            for hunk in &change.hunks {
                parts.add(hunk);
            }
        }
    }

    /// What patches of this diff touch.
    pub fn of(changes: &[FileChange]) -> Self {
        let mut touched = Touched::default();
        touched.add(changes);
        touched
    }

    /// The functions that they change or add.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        let parts = self.files.values();
        parts.flat_map(|parts| parts.functions.iter().map(String::as_str))
    }

    /// The files that they change or add, relative to the tree.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The mark of a place; `file` is relative to the tree.
    pub fn mark(&self, file: &Path, line: Option<u32>, function: &str) -> Option<Mark> {
        let parts = self.files.get(file)?;
        // What the compiler split off is still the function.
        let plain = function.split('.').next().unwrap_or(function);
        if line.is_some_and(|line| parts.lines.contains(&(line as usize))) {
            Some(Mark::Line)
        } else if parts.functions.contains(plain) {
            Some(Mark::Function)
        } else {
            Some(Mark::File)
        }
    }
}

impl Parts {
    fn add(&mut self, hunk: &Hunk) {
        let mut number = hunk.new.start;
        // What git writes behind the second @@ is the function that begins before the hunk (gitattributes(5), "Defining a
        // custom hunk-header").
        let heading = hunk.header.splitn(3, "@@").nth(2).unwrap_or_default().trim();
        let mut function = defined(heading).map(String::from);
        for line in &hunk.lines {
            let text = String::from_utf8_lossy(&line.text);
            let text = text.trim_end();
            if let Some(name) = defined(text) {
                function = Some(name.to_string());
            }
            if line.origin != b' ' {
                self.lines.insert(number);
                self.functions.extend(function.clone());
            }
            if text == "}" {
                function = None;
            }
            if line.origin != b'-' {
                number = number.saturating_add(1);
            }
        }
    }
}

/// The function whose definition begins in this line: it stands in the first column (Documentation/process/coding-style.rst) and no
/// semicolon ends it.
fn defined(line: &str) -> Option<&str> {
    let first = line.bytes().next()?;
    if !(first.is_ascii_alphabetic() || first == b'_') || line.ends_with(';') || line.ends_with(':') {
        return None;
    }
    let (head, _) = line.split_once('(')?;
    // An initialiser or a macro's use within a declaration.
    if head.contains('=') {
        return None;
    }
    let name = head
        .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::diff;

    const PATCH: &str = "\
diff --git a/drivers/m/a.c b/drivers/m/a.c
index 1111111..2222222 100644
--- a/drivers/m/a.c
+++ b/drivers/m/a.c
@@ -10,7 +10,8 @@ static int first(struct x *x)
 \tint a;
 \tint b;
 
-\ta = b;
+\ta = x->b;
+\tb = a;
 \treturn a;
 }
 
@@ -40,6 +41,7 @@ static int second(void)
 }
 
 static void third(struct x *x,
 \t\t  int flags)
 {
+\tlock(x);
 \twork(x);
";

    fn touched() -> Touched {
        Touched::of(&diff::scan("test", PATCH.as_bytes(), 1).unwrap().files)
    }

    #[test]
    fn lines_functions_and_files() {
        let touched = touched();
        let mark = |line, function| touched.mark(Path::new("drivers/m/a.c"), line, function);
        assert_eq!(mark(Some(13), "first"), Some(Mark::Line));
        assert_eq!(mark(Some(14), "first"), Some(Mark::Line));
        assert_eq!(mark(Some(15), "first"), Some(Mark::Function));
        assert_eq!(mark(None, "first.isra.0"), Some(Mark::Function));
        assert_eq!(mark(Some(46), "third"), Some(Mark::Line));
        assert_eq!(mark(Some(41), "second"), Some(Mark::File));
        assert_eq!(touched.mark(Path::new("drivers/m/b.c"), Some(13), "first"), None);
    }

    #[test]
    fn definitions() {
        assert_eq!(defined("static int first(struct x *x)"), Some("first"));
        assert_eq!(defined("int *first(void);"), None);
        assert_eq!(defined("\tcall(x)"), None);
        assert_eq!(defined("static struct x y = { .a = f(1),"), None);
        assert_eq!(defined("out:"), None);
        assert_eq!(defined("#define X(a) b"), None);
    }
}
