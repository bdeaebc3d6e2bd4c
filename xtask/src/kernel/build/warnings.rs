//! Compiler warnings: counted, the new ones marked, those in files of the patch first.

use super::work::Work;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One warning, told apart from others by everything but its line: a line moves when something is inserted above it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Identity {
    /// File, relative to the tree where it is in it; the tool's name where there is no file (`modpost`).
    pub file: String,
    /// What is said, with its `[-Wname]`.
    pub text: String,
}

/// A warning at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Warning {
    /// What tells it apart.
    #[serde(flatten)]
    pub identity: Identity,
    /// Line, where one is given.
    pub line: Option<u64>,
    /// What was being made when it was said, where that is known.
    pub target: Option<String>,
    /// The baseline build did not have it.
    pub new: bool,
    /// It is in a file that a patch touches.
    pub in_patch: bool,
}

impl Warning {
    /// As one line for a person.
    pub fn line(&self) -> String {
        let at = match self.line {
            Some(line) => format!("{}:{line}", self.identity.file),
            None => self.identity.file.clone(),
        };
        let mark = match (self.new, self.in_patch) {
            (true, true) => "new, in a file of the patch: ",
            (true, false) => "new: ",
            (false, true) => "in a file of the patch: ",
            (false, false) => "",
        };
        format!("{mark}{at}: {}", self.identity.text)
    }
}

/// Reads one line of output. Grammars: gcc and clang `FILE:LINE:COLUMN: warning: TEXT`; dtc `FILE:LINE.COLUMN-…: Warning (RULE): TEXT`;
/// Kconfig `FILE:LINE:warning: TEXT`; modpost `WARNING: modpost: TEXT`; linkers `PROGRAM: warning: TEXT`. `tree` as it stands in paths.
pub fn parse(line: &str, tree: &Path) -> Option<(Identity, Option<u64>)> {
    if let Some(text) = line.strip_prefix("WARNING: modpost: ") {
        return Some((identity("modpost", text), None));
    }
    let (place, text) = ["warning: ", "Warning (", "Warning: "]
        .into_iter()
        .find_map(|word| {
            let (place, text) = line.split_at_checked(line.find(word)?)?;
            // A bracket belongs to the text.
            let text = text.strip_prefix(word.trim_end_matches('('))?;
            Some((place.trim_end().strip_suffix(':')?, text))
        })?;
    if place.is_empty() || place.starts_with(' ') {
        return None;
    }
    let mut parts = place.splitn(2, ':');
    let file = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((identity(&inside(file, tree), text), digits.parse().ok()))
}

fn identity(file: &str, text: &str) -> Identity {
    Identity {
        file: file.to_string(),
        text: text.trim().to_string(),
    }
}

/// A path as the tree has it: the build names sources relative to its own folder (`../../trees/x/tree/drivers/a.c`) or from the root.
fn inside(file: &str, tree: &Path) -> String {
    if let Ok(below) = Path::new(file).strip_prefix(tree) {
        return below.display().to_string();
    }
    // The longest end of the tree's own path that stands in it: `…/tree/drivers/a.c`.
    if file.starts_with("../") {
        let names: Vec<_> = tree
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect();
        for from in 1..names.len() {
            let end = format!("/{}/", names.get(from..).unwrap_or_default().join("/"));
            if let Some((_, below)) = file.split_once(&end) {
                return below.to_string();
            }
        }
    }
    file.to_string()
}

/// What each target of a build folder was last heard to warn of, and what the baseline had. Kept beside the build, since an incremental
/// build says nothing about what it does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Known {
    /// Warnings of each target, at its last compilation.
    pub targets: BTreeMap<String, BTreeSet<Identity>>,
    /// Every warning of the tree without patches. `None`: that was not built yet.
    pub baseline: Option<BTreeSet<Identity>>,
}

/// Collects the warnings of one build.
#[derive(Debug)]
pub struct Collector {
    tree: PathBuf,
    touched: Vec<PathBuf>,
    known: Known,
    target: Option<String>,
    compiled: BTreeSet<String>,
    found: Vec<Warning>,
}

/// What one build warned of, in the order in which a person should read it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Warnings {
    /// Each once; those in files of the patch first, then new ones, then the rest.
    pub list: Vec<Warning>,
    /// How many the baseline lacks. `None`: there is no baseline to compare with.
    pub new: Option<usize>,
    /// How many are in files of the patch.
    pub in_patch: usize,
}

impl Collector {
    /// `touched`: files that patches changed since the baseline, relative to the tree.
    pub fn new(tree: &Path, touched: &[PathBuf], known: Known) -> Self {
        Collector {
            tree: tree.to_path_buf(),
            touched: touched.to_vec(),
            known,
            target: None,
            compiled: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// A piece of work was announced: what is said next is about it (make keeps the output of a target together,
    /// `--output-sync=target`).
    pub fn piece(&mut self, work: &Work) {
        self.target = Some(work.target.clone());
        self.compiled.insert(work.target.clone());
        self.known.targets.remove(&work.target);
    }

    /// Reads a line; gives the warning if it is one that was not said before in this build.
    pub fn line(&mut self, line: &str) -> Option<&Warning> {
        let (identity, at) = parse(line, &self.tree)?;
        if let Some(target) = &self.target {
            let of_target = self.known.targets.entry(target.clone()).or_default();
            of_target.insert(identity.clone());
        }
        // A header warns in every file that includes it.
        if self.found.iter().any(|warning| warning.identity == identity) {
            return None;
        }
        let warning = Warning {
            new: self
                .known
                .baseline
                .as_ref()
                .is_some_and(|baseline| !baseline.contains(&identity)),
            in_patch: self.touched.iter().any(|file| file == Path::new(&identity.file)),
            line: at,
            target: self.target.clone(),
            identity,
        };
        self.found.push(warning);
        self.found.last()
    }

    /// The end of a build: what it warned of, and what is known from now on. `is_baseline`: the tree held no patch.
    pub fn finish(mut self, is_baseline: bool) -> (Warnings, Known) {
        self.found
            .sort_by_key(|warning| (!warning.in_patch, !warning.new));
        let new = self
            .known
            .baseline
            .is_some()
            .then(|| self.found.iter().filter(|warning| warning.new).count());
        let warnings = Warnings {
            in_patch: self.found.iter().filter(|warning| warning.in_patch).count(),
            list: self.found,
            new,
        };
        self.known.targets.retain(|_, warnings| !warnings.is_empty());
        if is_baseline {
            self.known.baseline = Some(self.known.targets.values().flatten().cloned().collect());
        }
        (warnings, self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "/cache/trees/7.3/tree";

    fn work(target: &str) -> Work {
        Work {
            kind: "CC".into(),
            target: target.into(),
        }
    }

    #[test]
    fn every_tool_warns_in_its_own_grammar() {
        for (line, file, at, text) in [
            (
                "../../../trees/7.3/tree/drivers/clk/a.c:29:13: warning: unused variable 'x' [-Wunused-variable]",
                "drivers/clk/a.c",
                Some(29),
                "unused variable 'x' [-Wunused-variable]",
            ),
            (
                "/cache/trees/7.3/tree/mm/a.c:3:1: warning: x",
                "mm/a.c",
                Some(3),
                "x",
            ),
            (
                "arch/arm64/boot/dts/a.dts:5.3-9.5: Warning (unit_address_vs_reg): /x: node has a unit name",
                "arch/arm64/boot/dts/a.dts",
                Some(5),
                "(unit_address_vs_reg): /x: node has a unit name",
            ),
            (
                "WARNING: modpost: missing MODULE_DESCRIPTION() in a.o",
                "modpost",
                None,
                "missing MODULE_DESCRIPTION() in a.o",
            ),
            (
                "aarch64-linux-gnu-ld: warning: a.o has a LOAD segment",
                "aarch64-linux-gnu-ld",
                None,
                "a.o has a LOAD segment",
            ),
            (
                "drivers/Kconfig:7:warning: 'select' used",
                "drivers/Kconfig",
                Some(7),
                "'select' used",
            ),
        ] {
            let (identity, line) = parse(line, Path::new(TREE)).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (identity.file.as_str(), line, identity.text.as_str()),
                (file, at, text)
            );
        }
        for line in [
            "  CC      a.o",
            "   29 | int warning: x;",
            "make: warning",
            "a.c:3:1: error: x",
        ] {
            assert_eq!(parse(line, Path::new(TREE)), None, "{line}");
        }
    }

    #[test]
    fn those_of_the_patch_come_first_and_old_ones_are_not_new() {
        let mut base = Collector::new(Path::new(TREE), &[], Known::default());
        base.piece(&work("mm/a.o"));
        base.line("mm/a.c:1:1: warning: old").unwrap();
        let (warnings, known) = base.finish(true);
        assert_eq!(warnings.new, None, "the first build is the baseline");
        let touched = [PathBuf::from("drivers/b.c")];
        let mut next = Collector::new(Path::new(TREE), &touched, known);
        next.piece(&work("mm/a.o"));
        next.line("mm/a.c:7:1: warning: old").unwrap();
        next.line("mm/a.c:8:1: warning: other").unwrap();
        next.piece(&work("drivers/b.o"));
        next.line("drivers/b.c:1:1: warning: mine").unwrap();
        assert!(next.line("drivers/b.c:2:1: warning: mine").is_none(), "said once");
        let (warnings, known) = next.finish(false);
        let shown: Vec<String> = warnings.list.iter().map(Warning::line).collect();
        assert_eq!(
            shown,
            [
                "new, in a file of the patch: drivers/b.c:1: mine",
                "new: mm/a.c:8: other",
                "mm/a.c:7: old"
            ]
        );
        assert_eq!((warnings.new, warnings.in_patch), (Some(2), 1));
        assert_eq!(
            known.baseline.unwrap().len(),
            1,
            "a build with patches is no baseline"
        );
    }

    #[test]
    fn a_target_that_is_compiled_again_without_a_warning_loses_it() {
        let mut first = Collector::new(Path::new(TREE), &[], Known::default());
        first.piece(&work("a.o"));
        first.line("a.c:1:1: warning: x");
        let (_, known) = first.finish(false);
        assert_eq!(known.targets.len(), 1);
        let mut second = Collector::new(Path::new(TREE), &[], known);
        second.piece(&work("a.o"));
        assert!(second.finish(false).1.targets.is_empty());
    }
}
