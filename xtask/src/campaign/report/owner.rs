//! Whose a frame of a trace is: of the patch under test, of an earlier one, of a module that a patch changed.

use super::one_line;
use crate::campaign::record::{PatchRecord, RunRecord};
use regex::Regex;
use std::sync::LazyLock;

/// Why a frame is marked; the nearer the patch, the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The patch wrote this very line.
    Line(&'a PatchRecord),
    /// The patch changes or adds this very function.
    Function(&'a PatchRecord),
    /// The function is in a module that the patch changed by content.
    Module(&'a PatchRecord),
}

impl<'a> Owner<'a> {
    /// The patch.
    pub fn patch(self) -> &'a PatchRecord {
        match self {
            Owner::Line(patch) | Owner::Function(patch) | Owner::Module(patch) => patch,
        }
    }

    /// What the frame is of, in words.
    pub fn text(self) -> String {
        let what = match self {
            Owner::Line(_) => "a line",
            Owner::Function(_) => "a function",
            Owner::Module(_) => "module",
        };
        format!("{what} of {}", one_line(&self.patch().name))
    }

    fn rank(self) -> u8 {
        match self {
            Owner::Line(_) => 0,
            Owner::Function(_) => 1,
            Owner::Module(_) => 2,
        }
    }

    /// Of two the nearer.
    pub fn nearer(self, other: Owner<'a>) -> Owner<'a> {
        if other.rank() < self.rank() { other } else { self }
    }
}

/// `function+0x10/0x20 [module]`, wherever in a line it stands (lib/kallsyms.c: `sprint_symbol()`).
static SYMBOL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"([A-Za-z_][A-Za-z0-9_.]*)\+0x[0-9a-f]+/0x[0-9a-f]+(?:\s+\[([A-Za-z0-9_-]+)\])?")
        .expect("the pattern is a constant")
});

/// Patches that were in the kernel of this row, the newest first.
pub fn patches(run: &RunRecord, row: usize) -> Vec<&PatchRecord> {
    let rows = run.rows.get(..=row).unwrap_or(&run.rows);
    rows.iter().rev().filter_map(|row| row.patch.as_ref()).collect()
}

/// The owner of the frame in `line`, where `patches` stand with the newest first. A function counts for more than a module, and the
/// newest patch for more than one before it.
pub fn of<'a>(line: &str, patches: &[&'a PatchRecord]) -> Option<Owner<'a>> {
    let found = SYMBOL.captures(line)?;
    // What the compiler appends (`.isra.0`, `.part.1`, `.cold`) is no part of the name.
    let function = found[1].split('.').next().unwrap_or_default();
    let named = |list: &[String], name: &str| list.iter().any(|known| known == name);
    let by_function = patches.iter().find(|patch| named(&patch.functions, function));
    let by_module = || {
        let module = found.get(2)?.as_str().replace('-', "_");
        patches.iter().find(|patch| named(&patch.modules, &module))
    };
    match by_function {
        Some(patch) => Some(Owner::Function(patch)),
        None => by_module().map(|patch| Owner::Module(patch)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{regression, run};
    use super::*;

    #[test]
    fn a_frame_is_the_newest_patch_s_that_has_its_function() {
        let mut earlier = regression();
        earlier.patch.as_mut().unwrap().name = "0004".into();
        let run = run(vec![earlier, regression()]);
        let patches = patches(&run, 1);
        let name = |line| {
            of(line, &patches).map(|owner| (matches!(owner, Owner::Function(_)), owner.patch().name.as_str()))
        };
        assert_eq!(
            name("[   5.1]  take_b.isra.0+0x10/0x20 [vim2m] (P)"),
            Some((true, "0008"))
        );
        assert_eq!(name(" other+0x10/0x20 [vim2m]"), Some((false, "0008")));
        assert_eq!(
            name(" ffff (&l){+.+.}-{4:4}, at: take_b+0x1/0x2 [vim2m]"),
            Some((true, "0008"))
        );
        assert_eq!(name(" kthread+0x10/0x20"), None);
        assert_eq!(name("take_b said something"), None);
    }

    #[test]
    fn a_later_patch_was_not_in_this_kernel() {
        let run = run(vec![Default::default(), regression()]);
        assert!(patches(&run, 0).is_empty());
        assert_eq!(patches(&run, 99).len(), 1);
    }
}
