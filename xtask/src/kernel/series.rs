//! A series: a folder with a `series` file (quilt(1): a path a line, comments behind `#`) or with plain numbered files.

pub mod chosen;
pub mod import;
pub mod lacking;
pub mod makefile;
pub mod needs;
pub mod scope;

use super::patch::{MadeOn, Patch, envelope, file_name};
use crate::host::bounded;
use crate::host::files;
use crate::host::one_line;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Patches in the order in which they are applied.
#[derive(Debug, Clone)]
pub struct Series {
    /// The folder.
    pub folder: PathBuf,
    /// At least one patch.
    pub patches: Vec<Patch>,
    /// The file of each patch.
    pub paths: Vec<PathBuf>,
    /// What the series says it was made on: in its cover letter, in the comments of its `series`
    /// file, or in a patch.
    pub made_on: MadeOn,
}

/// One entry of a `series` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written, relative to the folder.
    pub path: PathBuf,
    /// Line in the file, from 1.
    pub line: usize,
}

impl Series {
    /// Reads every patch of the folder. Errors: no folder, no patch in it, an entry without its file, a patch that cannot
    /// be parsed, two patches with the same number.
    pub fn open(folder: &Path) -> Result<Self> {
        let doing = || format!("reading the series {}", folder.display());
        if !files::is_folder(folder)? {
            bail!(
                "{}: there is no such folder; a series is a folder with a `series` file or with numbered *.patch files",
                doing()
            );
        }
        let list = folder.join("series");
        let paths: Vec<PathBuf> = if files::is_file(&list)? {
            let text = bounded::read_text(&list, bounded::WRITTEN).with_context(doing)?;
            let entries = parse_list(&text).with_context(|| format!("in {}", list.display()))?;
            for entry in &entries {
                if !folder.join(&entry.path).is_file() {
                    bail!(
                        "{}:{}: `{}` is not there; an entry is the path of a patch, relative to the series file",
                        list.display(),
                        entry.line,
                        entry.path.display()
                    );
                }
            }
            entries.into_iter().map(|entry| folder.join(entry.path)).collect()
        } else {
            let mut names: Vec<String> = Vec::new();
            for entry in std::fs::read_dir(folder).with_context(doing)? {
                names.push(
                    entry
                        .with_context(doing)?
                        .file_name()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
            names.retain(|name| is_numbered_patch(name));
            names.sort();
            names.into_iter().map(|name| folder.join(name)).collect()
        };
        if paths.is_empty() {
            bail!(
                "{}: the series is empty: no entry in a `series` file and no file like 0001-x.patch",
                doing()
            );
        }
        let mut patches = Patch::read_all(&paths).with_context(doing)?;
        refuse_duplicates(&patches).with_context(doing)?;
        let mut made_on = said_by_the_folder(folder).with_context(doing)?;
        patches.iter().for_each(|patch| made_on.add(&patch.made_on));
        for patch in &mut patches {
            patch.made_on.clone_from(&made_on);
        }
        Ok(Series {
            folder: folder.to_path_buf(),
            patches,
            paths,
            made_on,
        })
    }

    /// The place of a patch in the series. See [`find`].
    pub fn find(&self, wanted: &str) -> Result<usize> {
        find(&self.patches, wanted).with_context(|| format!("in the series {}", self.folder.display()))
    }
}

/// What the comments of the `series` file (`# base-commit: ID`, as an import writes them) and the
/// cover letter say that the series was made on. A cover letter that cannot be read says nothing:
/// it is no part of the series.
fn said_by_the_folder(folder: &Path) -> Result<MadeOn> {
    let mut made_on = MadeOn::default();
    let list = folder.join("series");
    if list.is_file() {
        let text = bounded::read_text(&list, bounded::WRITTEN)?;
        let comments: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        made_on.add(&MadeOn::read(comments.join("\n").as_bytes()));
    }
    let mut covers: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = file_name(&path);
        if super::patch::leading_number(&name) == Some(0) && name.ends_with(".patch") && path.is_file() {
            covers.push(path);
        }
    }
    covers.sort();
    for cover in covers {
        if let Ok(cover) = envelope(&bounded::read(&cover, bounded::WRITTEN)?) {
            made_on.add(&cover.made_on);
        }
    }
    Ok(made_on)
}

/// Parses a `series` file. A line is a path; what follows it may be `-p1` (what git writes), nothing else.
pub fn parse_list(text: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line_number = at.saturating_add(1);
        // quilt: a `#` starts a comment at the start of a line or behind white space.
        let line = match line.split_once('#') {
            Some((path, _)) if path.is_empty() || path.ends_with([' ', '\t']) => path,
            _ => line,
        };
        let mut words = line.split_whitespace();
        let Some(path) = words.next() else { continue };
        if let Some(option) = words.find(|word| *word != "-p1") {
            bail!("line {line_number}: found `{option}` behind `{path}`; allowed is `-p1` or nothing");
        }
        if let Some(first) = entries.iter().find(|entry| entry.path == Path::new(path)) {
            bail!(
                "line {line_number}: `{path}` stands in line {} already",
                first.line
            );
        }
        entries.push(Entry {
            path: PathBuf::from(path),
            line: line_number,
        });
    }
    Ok(entries)
}

fn is_numbered_patch(name: &str) -> bool {
    let number = super::patch::leading_number(name);
    // 0000 is the cover letter of git format-patch.
    number.is_some_and(|number| number != 0) && name.ends_with(".patch")
}

fn refuse_duplicates(patches: &[Patch]) -> Result<()> {
    for (at, patch) in patches.iter().enumerate() {
        let twin = patches
            .iter()
            .take(at)
            .find(|other| other.number.is_some() && other.number == patch.number);
        if let (Some(twin), Some(number)) = (twin, patch.number) {
            bail!(
                "`{}` and `{}` both have the number {number:04}; each patch needs its own",
                twin.name,
                patch.name
            );
        }
    }
    Ok(())
}

/// Finds a patch by number (`5`, `0005`), file name (with or without `.patch`) or subject. Errors list what there is.
pub fn find(patches: &[Patch], wanted: &str) -> Result<usize> {
    let by_number = wanted.parse::<u32>().ok();
    let name = file_name(Path::new(wanted));
    let matches = |patch: &Patch| {
        by_number.is_some() && patch.number == by_number
            || patch.name == name
            || patch.name.strip_suffix(".patch") == Some(&name)
            || patch.subject == wanted
    };
    if let Some(found) = patches.iter().position(matches) {
        return Ok(found);
    }
    let there = patches
        .iter()
        .map(|patch| format!("{}  {}", patch.short_name(), patch.subject));
    bail!(
        "there is no patch `{}` (by number, file name or subject); there are:{}",
        one_line::one_line(wanted),
        one_line::list(there, 200)
    )
}

/// Why a patch may not be applied now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is applied already.
    AlreadyApplied,
    /// Earlier patches of the series, by place, are not applied and not skipped on purpose.
    Needs(Vec<usize>),
    /// Later patches, by place, are applied already: it would land on top of what was made to stand on it.
    Under(Vec<usize>),
}

/// The order rule, quilt's and StGit's: a patch may be applied when all before it in the series are, apart from those
/// that were `skipped` on purpose, and none behind it is. `applied[i]` is whether patch `i` is in the tree now.
pub fn may_apply(applied: &[bool], skipped: &[usize], wanted: usize) -> std::result::Result<(), Refusal> {
    if applied.get(wanted).copied().unwrap_or(false) {
        return Err(Refusal::AlreadyApplied);
    }
    let places = || applied.iter().copied().enumerate();
    let missing: Vec<usize> = places()
        .take(wanted)
        .filter(|(at, applied)| !applied && !skipped.contains(at))
        .map(|(at, _)| at)
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::Needs(missing));
    }
    let above = standing_on(applied, wanted);
    if above.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Under(above))
    }
}

/// Places of the applied patches that stand on patch `reverted`: they have to go on without it.
pub fn standing_on(applied: &[bool], reverted: usize) -> Vec<usize> {
    let above = applied.iter().enumerate().skip(reverted.saturating_add(1));
    above.filter(|(_, applied)| **applied).map(|(at, _)| at).collect()
}

/// Most names that are given as a reason.
const NAMED: usize = 3;

impl Series {
    fn short_name(&self, at: usize) -> String {
        self.patches.get(at).map(Patch::short_name).unwrap_or_default()
    }

    /// What one patch uses of another.
    fn needs(&self, user: usize, of: usize) -> Vec<String> {
        match (self.patches.get(user), self.patches.get(of)) {
            (Some(user), Some(of)) => needs::Names::of(user).needed_of(&needs::Names::of(of)),
            _ => Vec::new(),
        }
    }

    /// `; 0005 uses NAME, which 0004 adds`, for each of the earlier patches where that can be seen.
    fn reasons(&self, wanted: usize, earlier: &[usize]) -> String {
        let mut said = String::new();
        for at in earlier {
            let names = self.needs(wanted, *at);
            if !names.is_empty() {
                said += &format!(
                    "; {} uses {}, which {} adds",
                    self.short_name(wanted),
                    few(&names),
                    self.short_name(*at)
                );
            }
        }
        said
    }

    /// Of the applied patches behind `at`, those that use what it adds, with the names.
    pub fn users_of(&self, at: usize, applied: &[bool]) -> Vec<(usize, String)> {
        standing_on(applied, at)
            .into_iter()
            .map(|later| (later, self.needs(later, at)))
            .filter(|(_, names)| !names.is_empty())
            .map(|(later, names)| (later, few(&names)))
            .collect()
    }

    /// Says a [`Refusal`] in words, with the command that would do what is missing; `flags` (such as ` --series
    /// FOLDER`) are put behind that command.
    pub fn explain(&self, refusal: &Refusal, wanted: usize, flags: &str) -> String {
        let names = |places: &[usize]| {
            let names: Vec<String> = places.iter().map(|at| self.short_name(*at)).collect();
            names.join(" ")
        };
        let wanted_name = self.short_name(wanted);
        match refusal {
            Refusal::AlreadyApplied => format!(
                "{wanted_name} is applied already; `cargo xtask series` lists what is, `cargo xtask revert {wanted_name}` takes it back"
            ),
            Refusal::Needs(missing) => format!(
                "{wanted_name} needs what stands before it in the series: `cargo xtask apply {} {wanted_name}{flags}` applies them in order{}",
                names(missing),
                self.reasons(wanted, missing)
            ),
            Refusal::Under(above) => format!(
                "{wanted_name} comes before patches of the series that are applied already: `cargo xtask revert{flags}` takes them back, \
                 the last one first ({})",
                names(above)
            ),
        }
    }
}

/// The first names of a list, and how many more there are.
fn few(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str, subject: &str) -> Patch {
        let mail = format!(
            "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: [PATCH] {subject}\n\n---\n\
             diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
        );
        Patch::parse(name, mail.as_bytes()).unwrap()
    }

    #[test]
    fn lists_have_comments_and_relative_paths() {
        let entries =
            parse_list("# the series\n\n../release-fences/0004-x.patch # core\n0008-y.patch -p1\n").unwrap();
        let lines: Vec<_> = entries
            .iter()
            .map(|e| (e.path.to_str().unwrap(), e.line))
            .collect();
        assert_eq!(
            lines,
            [("../release-fences/0004-x.patch", 3), ("0008-y.patch", 4)]
        );
    }

    #[test]
    fn bad_list_lines_are_named() {
        assert_eq!(
            parse_list("a\nb -p0\n").unwrap_err().to_string(),
            "line 2: found `-p0` behind `b`; allowed is `-p1` or nothing"
        );
        assert_eq!(
            parse_list("a\n\na\n").unwrap_err().to_string(),
            "line 3: `a` stands in line 1 already"
        );
    }

    #[test]
    fn patches_are_found_by_number_name_and_subject() {
        let patches = [
            patch("0004-x.patch", "core: x"),
            patch("0005-y.patch", "driver: y"),
        ];
        for wanted in [
            "5",
            "0005",
            "0005-y.patch",
            "0005-y",
            "patches/s/0005-y.patch",
            "driver: y",
        ] {
            assert_eq!(find(&patches, wanted).unwrap(), 1, "{wanted}");
        }
        let error = find(&patches, "9").unwrap_err().to_string();
        assert!(
            error.contains("no patch `9`") && error.contains("0004  core: x\n    0005  driver: y"),
            "{error}"
        );
    }

    #[test]
    fn order_is_the_series_order() {
        assert_eq!(may_apply(&[true, false, false], &[], 1), Ok(()));
        assert_eq!(
            may_apply(&[true, false, false], &[], 2),
            Err(Refusal::Needs(vec![1]))
        );
        assert_eq!(may_apply(&[true, false, false], &[1], 2), Ok(()));
        assert_eq!(
            may_apply(&[true, false, true], &[], 1),
            Err(Refusal::Under(vec![2]))
        );
        assert_eq!(may_apply(&[true], &[], 0), Err(Refusal::AlreadyApplied));
        assert_eq!(standing_on(&[true, true, false, true], 0), [1, 3]);
    }

    #[test]
    fn folders_without_a_list_are_read_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, subject: &str| {
            let mail = format!(
                "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: {subject}\n\n---\n\
                 diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
            );
            std::fs::write(folder.path().join(name), mail).unwrap();
        };
        let open = || Series::open(folder.path());
        assert!(format!("{:#}", open().unwrap_err()).contains("the series is empty"));
        write("0002-b.patch", "b");
        write("0001-a.patch", "a");
        std::fs::write(folder.path().join("0000-cover-letter.patch"), "no patch").unwrap();
        let subjects: Vec<_> = open().unwrap().patches.into_iter().map(|p| p.subject).collect();
        assert_eq!(subjects, ["a", "b"]);
        write("0002-c.patch", "c");
        assert!(
            format!("{:#}", open().unwrap_err())
                .contains("`0002-b.patch` and `0002-c.patch` both have the number 0002")
        );
        std::fs::write(folder.path().join("series"), "0002-c.patch\nnot-there.patch\n").unwrap();
        let error = format!("{:#}", open().unwrap_err());
        assert!(
            error.contains("series:2: `not-there.patch` is not there"),
            "{error}"
        );
    }
}
