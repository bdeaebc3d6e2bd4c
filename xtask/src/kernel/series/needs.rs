//! What one patch of a series needs of another, where their lines show it: a function, type, macro, member or
//! Kconfig symbol that an earlier one adds and a later one uses. Not seeing any proves nothing; seeing one is a
//! reason that a person understands.

use crate::kernel::patch::Patch;
use regex::Regex;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::LazyLock;

/// Words before a `(` at the start of a line that are no name of a function.
const KEYWORDS: [&str; 9] = [
    "if", "for", "while", "switch", "return", "sizeof", "do", "else", "defined",
];

/// Shorter names say too little to be told apart.
const SHORTEST: usize = 5;

static WORD: LazyLock<Regex> = LazyLock::new(|| regex(r"[A-Za-z_]\w*"));
static DEFINITIONS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"^#\s*define\s+(\w+)",
        r"^EXPORT_SYMBOL\w*\((\w+)",
        r"^(?:typedef\s+)?(?:struct|union|enum)\s+(\w+)\s*\{",
        // A function or its prototype begins in the first column.
        r"^[A-Za-z_][\w\s\*]*?\b(\w+)\(",
    ]
    .map(regex)
    .into()
});
/// A member of a structure: `bool supports_release_fences:1;`.
static MEMBER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\s+[A-Za-z_][\w\s\*]*?[\s\*](\w+)(?:\s*:\s*\d+|\[[^\]]*\])?;"));
static KCONFIG: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:menu)?config\s+(\w+)"));

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the expression is a constant")
}

/// Added (`+`) or removed (`-`) lines, with the file that they are of.
fn lines(patch: &Patch, origin: u8) -> impl Iterator<Item = (&Path, String)> {
    patch.files.iter().flat_map(move |change| {
        let path = change
            .new
            .as_deref()
            .or(change.old.as_deref())
            .unwrap_or(Path::new(""));
        let lines = change.hunks.iter().flat_map(|hunk| &hunk.lines);
        lines
            .filter(move |line| line.origin == origin)
            .map(move |line| (path, String::from_utf8_lossy(&line.text).into_owned()))
    })
}

fn is_kconfig(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("Kconfig"))
}

/// Kconfig symbols that the patch adds, without `CONFIG_`, in its order.
pub fn new_symbols(patch: &Patch) -> Vec<String> {
    let symbols_in = |origin| {
        lines(patch, origin)
            .filter(|(path, _)| is_kconfig(path))
            .filter_map(|(_, line)| Some(KCONFIG.captures(&line)?[1].to_string()))
            .collect::<Vec<_>>()
    };
    let moved: HashSet<String> = symbols_in(b'-').into_iter().collect();
    let mut symbols = symbols_in(b'+');
    symbols.retain(|symbol| !moved.contains(symbol));
    symbols
}

/// Kconfig symbols that the lines of the patch depend on, select or ask for, without `CONFIG_`, sorted; not those that it adds itself.
pub fn used_symbols(patch: &Patch) -> Vec<String> {
    let own: HashSet<String> = new_symbols(patch).into_iter().collect();
    let mut symbols: Vec<String> = used(patch)
        .into_iter()
        .filter_map(|name| Some(name.strip_prefix("CONFIG_")?.to_string()))
        // In C a symbol of a module is asked for with this behind it (include/linux/kconfig.h).
        .map(|name| name.strip_suffix("_MODULE").map_or(name.clone(), str::to_string))
        .filter(|name| name.chars().any(|c| c.is_ascii_uppercase()) && !own.contains(name))
        .filter(|name| !name.chars().any(|c| c.is_ascii_lowercase()))
        .collect();
    symbols.sort();
    symbols.dedup();
    symbols
}

/// Names that the patch defines and did not only move.
fn defined(patch: &Patch) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (path, line) in lines(patch, b'+').filter(|(path, _)| !is_kconfig(path)) {
        let in_header = path.extension().is_some_and(|extension| extension == "h");
        let member = in_header.then_some(&*MEMBER);
        for form in DEFINITIONS.iter().chain(member) {
            if let Some(found) = form.captures(&line) {
                names.insert(found[1].to_string());
            }
        }
    }
    let removed: BTreeSet<String> = lines(patch, b'-').flat_map(|(_, line)| words(&line)).collect();
    names.retain(|name| {
        name.len() >= SHORTEST && !KEYWORDS.contains(&name.as_str()) && !removed.contains(name)
    });
    names.extend(
        new_symbols(patch)
            .into_iter()
            .map(|symbol| format!("CONFIG_{symbol}")),
    );
    names
}

fn words(line: &str) -> Vec<String> {
    WORD.find_iter(line)
        .map(|word| word.as_str().to_string())
        .collect()
}

/// Names in the lines that the patch adds; in Kconfig files what they depend on, with `CONFIG_`.
fn used(patch: &Patch) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (path, line) in lines(patch, b'+') {
        if is_kconfig(path) {
            let text = line.trim_start();
            let refers = ["depends on ", "select ", "imply ", "if ", "default "]
                .iter()
                .any(|word| text.starts_with(word));
            if refers {
                names.extend(words(text).into_iter().map(|word| format!("CONFIG_{word}")));
            }
        } else {
            names.extend(words(&line));
        }
    }
    names
}

/// The names in the lines of a patch: read once, compared with those of every other patch of the series.
#[derive(Debug)]
pub struct Names {
    defined: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Names {
    /// Reads them.
    pub fn of(patch: &Patch) -> Self {
        Names {
            defined: defined(patch),
            used: used(patch),
        }
    }

    /// Names that `earlier` adds and this patch uses without adding them itself; sorted.
    pub fn needed_of(&self, earlier: &Names) -> Vec<String> {
        let needed = earlier.defined.intersection(&self.used);
        needed
            .filter(|name| !self.defined.contains(*name))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(later: &Patch, earlier: &Patch) -> Vec<String> {
        Names::of(later).needed_of(&Names::of(earlier))
    }

    fn patch(file: &str, lines: &[&str]) -> Patch {
        let body: String = lines.iter().map(|line| format!("+{line}\n")).collect();
        let mail = format!(
            "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: x\n\n---\ndiff --git a/{file} b/{file}\n\
             new file mode 100644\n--- /dev/null\n+++ b/{file}\n@@ -0,0 +1,{} @@\n{body}",
            lines.len()
        );
        Patch::parse("0001-x.patch", mail.as_bytes()).unwrap()
    }

    #[test]
    fn functions_members_and_symbols_are_found() {
        let header = patch(
            "core.h",
            &[
                "struct vb2_fence {",
                "\tbool supports_fences:1;",
                "};",
                "#define VB2_LIMIT 3",
                "bool vb2_begin_fence(void);",
            ],
        );
        for (line, name) in [
            ("\tcookie = vb2_begin_fence();", "vb2_begin_fence"),
            ("\tq->supports_fences = true;", "supports_fences"),
            ("\tif (n > VB2_LIMIT)", "VB2_LIMIT"),
            ("\tstruct vb2_fence *f;", "vb2_fence"),
        ] {
            assert_eq!(needs(&patch("driver.c", &[line]), &header), [name], "{line}");
        }
        assert!(needs(&patch("driver.c", &["\tif (something_else())"]), &header).is_empty());
        let own = patch(
            "driver.c",
            &["bool vb2_begin_fence(void)", "\tvb2_begin_fence();"],
        );
        assert!(needs(&own, &header).is_empty());
    }

    #[test]
    fn kconfig_symbols_are_found_in_code_and_in_kconfig() {
        let core = patch(
            "drivers/Kconfig",
            &["config FENCES", "\tbool \"Fences\"", "\tdepends on MEDIA"],
        );
        assert_eq!(new_symbols(&core), ["FENCES"]);
        assert_eq!(used_symbols(&core), ["MEDIA"]);
        let depends = patch("lib/Kconfig", &["config USER", "\tdepends on FENCES && X"]);
        assert_eq!(needs(&depends, &core), ["CONFIG_FENCES"]);
        assert_eq!(
            needs(&patch("a.c", &["#ifdef CONFIG_FENCES"]), &core),
            ["CONFIG_FENCES"]
        );
        let asked = patch(
            "a.c",
            &[
                "#if IS_ENABLED(CONFIG_FENCES) && defined(CONFIG_LATER_MODULE)",
                "\tint CONFIG_x;",
            ],
        );
        assert_eq!(used_symbols(&asked), ["FENCES", "LATER"]);
        let chosen = patch("lib/Kconfig", &["\tdefault y if EXPERT", "\tselect SYNC_FILE"]);
        assert_eq!(used_symbols(&chosen), ["EXPERT", "SYNC_FILE"]);
    }
}
