//! A patch whose context has moved: merged from a tree that it was made on, where its `index` lines are of no help.

use super::am::{self, Made, Otherwise, Outcome};
use super::graft::{put_back, small_tree};
use crate::kernel::patch::Patch;
use anyhow::Result;
use git2::{Index, IndexEntry, MergeFileOptions, Repository, Tree};
use std::fmt::Write as _;

/// Conflicts and lines of each that are shown.
const SHOWN: usize = 3;
const LINES: usize = 12;
/// What stands before the lines of each side, as git writes it with a marker of this length.
const MARKER: u16 = 7;

/// How a merge ended.
pub(super) enum Merge {
    /// What it makes of our tree.
    Whole(Made),
    /// Where both changed the same lines: for each place what is there and what the patch has.
    Conflict(String),
    /// The patch was not made on these files.
    NotFrom,
}

/// Merges what `git am` makes of `base` with what is in `ours`.
pub(super) fn merge(repo: &Repository, ours: &Tree, patch: &Patch, base: &Tree) -> Result<Merge> {
    let Outcome::Made(made) = am::am(repo, base, patch, Otherwise::Refuse)? else {
        return Ok(Merge::NotFrom);
    };
    let base = small_tree(repo, base, patch, repo)?;
    let ours = small_tree(repo, ours, patch, repo)?;
    let theirs = repo.find_tree(put_back(repo, &base, &made.files)?)?;
    let mut index = repo.merge_trees(&base, &ours, &theirs, None)?;
    if index.has_conflicts() {
        return Ok(Merge::Conflict(conflicts(repo, &index)?));
    }
    let merged = repo.find_tree(index.write_tree_to(repo)?)?;
    let files = am::changed(repo, &ours, &merged, patch, repo)?;
    Ok(Merge::Whole(Made { files, ..made }))
}

/// The places of all files at which both sides differ, the first few in full.
pub(super) fn conflicts(repo: &Repository, index: &Index) -> Result<String> {
    let mut text = String::new();
    let mut count = 0usize;
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let of = |entry: &Option<IndexEntry>| entry.as_ref().map(|entry| entry.path.clone());
        let path = of(&conflict.our)
            .or(of(&conflict.their))
            .or(of(&conflict.ancestor));
        let path = String::from_utf8_lossy(&path.unwrap_or_default()).into_owned();
        let (Some(ancestor), Some(our), Some(their)) = (&conflict.ancestor, &conflict.our, &conflict.their)
        else {
            let _ = writeln!(
                text,
                "    {path}: one side takes the file away or makes it, and the other changes it"
            );
            count = count.saturating_add(1);
            continue;
        };
        let mut options = MergeFileOptions::new();
        options.style_standard(true).marker_size(MARKER);
        let file = repo.merge_file_from_index(ancestor, our, their, Some(&mut options))?;
        for place in places(&String::from_utf8_lossy(file.content())) {
            count = count.saturating_add(1);
            if count <= SHOWN {
                let _ = write!(
                    text,
                    "    {path}, line {}: there is\n{}    the patch has\n{}",
                    place.line,
                    place.ours(),
                    place.theirs()
                );
            }
        }
    }
    if count > SHOWN {
        let _ = writeln!(text, "    and {} more places", count.saturating_sub(SHOWN));
    }
    Ok(text.trim_end().to_string())
}

/// Lines that both sides changed.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    /// In the file as it is in the tree, from 1.
    line: usize,
    ours: Vec<&'a str>,
    theirs: Vec<&'a str>,
}

impl Place<'_> {
    fn ours(&self) -> String {
        shown(&self.ours)
    }

    fn theirs(&self) -> String {
        shown(&self.theirs)
    }
}

fn shown(lines: &[&str]) -> String {
    let mut text: String = lines
        .iter()
        .take(LINES)
        .map(|line| format!("        {line}\n"))
        .collect();
    if lines.is_empty() {
        text = "        (nothing)\n".into();
    } else if lines.len() > LINES {
        let _ = writeln!(text, "        … {} more lines", lines.len().saturating_sub(LINES));
    }
    text
}

/// Reads a file with conflict markers (git-merge-file(1)).
fn places(text: &str) -> Vec<Place<'_>> {
    enum Side {
        Both,
        Ours,
        Theirs,
    }
    let mut found: Vec<Place> = Vec::new();
    let (mut side, mut line) = (Side::Both, 0usize);
    for text in text.lines() {
        match (&side, found.last_mut()) {
            (Side::Both, _) if text.starts_with("<<<<<<< ") => {
                found.push(Place {
                    line: line.saturating_add(1),
                    ours: Vec::new(),
                    theirs: Vec::new(),
                });
                side = Side::Ours;
            }
            (Side::Ours, _) if text == "=======" => side = Side::Theirs,
            (Side::Theirs, _) if text.starts_with(">>>>>>> ") => side = Side::Both,
            (Side::Ours, Some(place)) => {
                place.ours.push(text);
                line = line.saturating_add(1);
            }
            (Side::Theirs, Some(place)) => place.theirs.push(text),
            _ => line = line.saturating_add(1),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_line_and_both_sides() {
        let text = "a\n<<<<<<< ours\nb\nc\n=======\nB\n>>>>>>> theirs\nd\n<<<<<<< ours\n=======\nE\n>>>>>>> theirs\n";
        let found = places(text);
        assert_eq!(
            found,
            [
                Place {
                    line: 2,
                    ours: vec!["b", "c"],
                    theirs: vec!["B"]
                },
                Place {
                    line: 5,
                    ours: vec![],
                    theirs: vec!["E"]
                }
            ]
        );
        assert_eq!(found[1].ours(), "        (nothing)\n");
        assert!(shown(&vec!["x"; LINES + 5]).ends_with("… 5 more lines\n"));
    }
}
