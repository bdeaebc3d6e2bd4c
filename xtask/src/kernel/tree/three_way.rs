//! A patch whose context has moved: merged as `git am --3way` does, from the files that it was made on.

use super::in_memory::{Files, entry, file_in, files_after, put_back, small_tree};
use crate::kernel::patch::Patch;
use anyhow::Result;
use git2::{Index, IndexEntry, MergeFileOptions, ObjectType, Oid, Repository, Tree};
use std::fmt::Write as _;

/// Conflicts and lines of each that are shown.
const SHOWN: usize = 3;
const LINES: usize = 12;
/// What stands before the lines of each side, as git writes it with a marker of this length.
const MARKER: u16 = 7;

/// How a merge ended.
pub(super) enum Merge {
    /// The new tree.
    Whole(Oid),
    /// Where both changed the same lines: for each place what is there and what the patch has.
    Conflict(String),
    /// The patch was not made on these files.
    NotFrom,
}

/// The tree of the blobs that the patch's `index` lines name; `None` where this repository does not have them.
pub(super) fn blobs_of_index_lines<'a>(
    repo: &'a Repository,
    ours: &Tree,
    patch: &Patch,
) -> Result<Option<Tree<'a>>> {
    let mut index = Index::new()?;
    for change in &patch.files {
        let Some(path) = &change.old else { continue };
        let there = file_in(ours, path).ok().flatten();
        let known = match &change.blobs {
            Some((old, _)) => repo
                .find_object_by_prefix(old, Some(ObjectType::Blob))
                .ok()
                .map(|blob| blob.id()),
            // A pure rename or mode change names no blob: what is there will do.
            None if change.hunks.is_empty() => there.map(|(id, _)| id),
            None => None,
        };
        let Some(id) = known else { return Ok(None) };
        let mode = change
            .old_mode
            .or(there.map(|(_, mode)| mode))
            .unwrap_or(0o100_644);
        index.add(&entry(path, id, mode))?;
    }
    Ok(Some(repo.find_tree(index.write_tree_to(repo)?)?))
}

/// Merges what the patch makes of `base` with what is in `ours`.
pub(super) fn merge(repo: &Repository, ours: &Tree, patch: &Patch, base: &Tree) -> Result<Merge> {
    let Ok(files) = files_after(repo, base, patch)? else {
        return Ok(Merge::NotFrom);
    };
    let theirs = repo.find_tree(put_back(repo, base, &files)?)?;
    let index = repo.merge_trees(base, &small_tree(repo, ours, patch)?, &theirs, None)?;
    if index.has_conflicts() {
        return Ok(Merge::Conflict(conflicts(repo, &index)?));
    }
    Ok(Merge::Whole(merged(repo, ours, patch, &index)?))
}

/// [`put_back`] of what a merge gave.
fn merged(repo: &Repository, tree: &Tree, patch: &Patch, index: &Index) -> Result<Oid> {
    let mut files = Files::new();
    for path in patch.touched_files() {
        let file = index.get_path(path, 0).map(|entry| (entry.id, entry.mode));
        files.insert(path.to_path_buf(), file);
    }
    put_back(repo, tree, &files)
}

/// The places of all files at which both sides differ, the first few in full.
fn conflicts(repo: &Repository, index: &Index) -> Result<String> {
    let mut text = String::new();
    let mut count = 0;
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
            count += 1;
            continue;
        };
        let mut options = MergeFileOptions::new();
        options.style_standard(true).marker_size(MARKER);
        let file = repo.merge_file_from_index(ancestor, our, their, Some(&mut options))?;
        for place in places(&String::from_utf8_lossy(file.content())) {
            count += 1;
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
        let _ = writeln!(text, "    and {} more places", count - SHOWN);
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
        let _ = writeln!(text, "        … {} more lines", lines.len() - LINES);
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
    let (mut side, mut line) = (Side::Both, 0);
    for text in text.lines() {
        match (&side, found.last_mut()) {
            (Side::Both, _) if text.starts_with("<<<<<<< ") => {
                found.push(Place {
                    line: line + 1,
                    ours: Vec::new(),
                    theirs: Vec::new(),
                });
                side = Side::Ours;
            }
            (Side::Ours, _) if text == "=======" => side = Side::Theirs,
            (Side::Theirs, _) if text.starts_with(">>>>>>> ") => side = Side::Both,
            (Side::Ours, Some(place)) => {
                place.ours.push(text);
                line += 1;
            }
            (Side::Theirs, Some(place)) => place.theirs.push(text),
            _ => line += 1,
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
