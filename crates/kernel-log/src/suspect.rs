//! Which function of a report to look at first, by what is known besides the log: what a patch
//! touches, and which functions of the kernel others may call.
//!
//! *Rule:* a suspect never changes a finding's title, function or module. These make its signature,
//! and a baseline, which has no patch, must give the same one as the step that it is compared with.
//! The suspect is shown beside them.

use super::finding::Finding;
use super::frames::{self, Frame, Trust};
use super::kind::Kind;
use super::machinery;
pub use super::suspicion::{Suspect, Why};
use std::collections::BTreeSet;

/// What is known besides the log. By default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// Functions that the patch under test changes or adds.
    pub functions: BTreeSet<String>,
    /// Files that it changes, relative to the source tree.
    pub files: BTreeSet<String>,
    /// Functions that the kernel and its modules export: a helper that anyone may call says less
    /// than whoever called it.
    pub exported: BTreeSet<String>,
}

impl Suspect {
    /// Whether it says something that the finding does not say itself: another function, or that
    /// the patch has to do with it.
    pub fn tells_more_than(&self, finding: &Finding) -> bool {
        self.why != Why::CalledHelpers || finding.function.as_ref() != Some(&self.function)
    }
}

impl std::fmt::Display for Suspect {
    /// `run [m] (drivers/m/m.c): the patch changes it`.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}", self.function)?;
        if let Some(module) = &self.module {
            write!(f, " [{module}]")?;
        }
        if let Some(file) = &self.file {
            write!(f, " ({file})")?;
        }
        write!(f, ": {}", self.why.text())
    }
}

impl Hints {
    /// The suspect of a finding; `None` where nothing is known, or where it is the finding's own function.
    pub fn suspect(&self, finding: &Finding) -> Option<Suspect> {
        let lines = finding.excerpt.iter();
        let stack: Vec<Frame> = lines.flat_map(|line| in_line(line)).collect();
        self.of_stack(&stack, finding.kind)
            .filter(|suspect| suspect.tells_more_than(finding))
    }

    /// The suspect of frames in the order in which a report of this kind has them.
    pub fn of_stack(&self, stack: &[Frame], kind: Kind) -> Option<Suspect> {
        let sure = || stack.iter().filter(|frame| frame.trust == Trust::Sure);
        let by_function = sure().find(|frame| self.functions.contains(frame.function));
        let in_file = |frame: &&Frame| frame.file.is_some_and(|file| self.files.contains(file));
        let (frame, why) = match (by_function, sure().find(in_file)) {
            (Some(frame), _) => (*frame, Why::TouchedFunction),
            (None, Some(frame)) => (*frame, Why::TouchedFile),
            (None, None) if self.exported.is_empty() => return None,
            (None, None) => {
                let exported = |frame: &Frame| self.exported.contains(frame.function);
                let caller = machinery::first_suspect_beyond(stack.iter().copied(), kind, exported)?;
                (caller, Why::CalledHelpers)
            }
        };
        Some(Suspect {
            function: frames::readable(frame.function).into_owned(),
            module: frame.module.map(String::from),
            file: frame.file.map(String::from),
            why,
        })
    }

    /// Adds the exported symbols of `System.map`, of `nm vmlinux` or of `/proc/kallsyms` with
    /// CONFIG_KALLSYMS_ALL: each has an entry `__ksymtab_NAME` besides its own
    /// (include/linux/export.h). Errors: the first line of another form, by its number from 1.
    pub fn add_symbols(&mut self, text: &str) -> Result<(), usize> {
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let name = symbol(line).ok_or_else(|| at.saturating_add(1))?;
            self.exported
                .extend(name.strip_prefix("__ksymtab_").map(String::from));
        }
        Ok(())
    }
}

/// The name in a line of a symbol table: `ADDRESS KIND NAME`, in hex, a letter, and the rest.
fn symbol(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
    let is_symbol = address.bytes().all(|byte| byte.is_ascii_hexdigit()) && kind.len() == 1;
    is_symbol.then_some(name)
}

/// The frames of a line of a report: its own, or those that a first line names behind other words.
pub fn in_line(line: &str) -> Vec<Frame<'_>> {
    if let Some(frame) = frames::counter(line).or_else(|| frames::frame(line)) {
        return vec![frame];
    }
    let starts = line.match_indices(' ').map(|(at, _)| at);
    starts
        .filter_map(|at| frames::symbol(line.get(at..)?.trim_start()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::baseline::Signature;
    use super::super::{finder, reader};
    use super::*;

    const LOG: &str = "\
[    1.000000] BUG: KASAN: slab-use-after-free in helper_done+0x1c/0x40
[    1.000001] Call trace:
[    1.000002]  dump_stack+0x1/0x2
[    1.000003]  helper_done+0x1c/0x40
[    1.000004]  ? my_gone+0x1/0x2
[    1.000005]  my_run+0x1/0x2
[    1.000006]  my_work (drivers/my/work.c:12)
[    1.000007]  process_one_work+0x1/0x2
";

    fn found() -> Finding {
        finder::find(&reader::read(LOG.as_bytes()), "log").remove(0)
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn what_the_patch_touches_is_suspected_first_and_the_signature_stays() {
        let finding = found();
        assert_eq!(finding.function.as_deref(), Some("helper_done"));
        let told = |hints: &Hints| hints.suspect(&finding).map(|found| (found.function, found.why));
        assert_eq!(told(&Hints::default()), None);
        let by_file = Hints {
            files: names(&["drivers/my/work.c"]),
            ..Hints::default()
        };
        assert_eq!(told(&by_file), Some(("my_work".into(), Why::TouchedFile)));
        let by_function = Hints {
            functions: names(&["my_run", "my_gone"]),
            ..by_file
        };
        assert_eq!(told(&by_function), Some(("my_run".into(), Why::TouchedFunction)));
        let mut with = finding.clone();
        with.suspect = by_function.suspect(&finding);
        assert_eq!(
            Signature::of(&with),
            Signature::of(&finding),
            "a baseline has no patch"
        );
    }

    #[test]
    fn whoever_called_an_exported_helper_is_suspected() {
        let mut hints = Hints {
            exported: names(&["helper_done"]),
            ..Hints::default()
        };
        let suspect = hints.suspect(&found()).unwrap();
        assert_eq!(
            (suspect.function.as_str(), suspect.why),
            ("my_run", Why::CalledHelpers)
        );
        hints.exported = names(&["other"]);
        assert_eq!(hints.suspect(&found()), None, "the finding's own function");
    }

    #[test]
    fn exports_are_read_from_each_form_and_a_line_of_another_is_named() {
        let mut hints = Hints::default();
        hints
            .add_symbols(
                "ffff800080000000 T a\nffff800081000000 r __ksymtab_helper_done\n0000000000000000 t f\t[m]\n",
            )
            .unwrap();
        assert_eq!(hints.exported, names(&["helper_done"]));
        assert_eq!(hints.add_symbols("ffff800080000000 T a\nhello\n"), Err(2));
    }
}
