//! Whether a commit is a patch, by content: titles, dates and our own notes are not trusted.

use super::How;
use super::in_memory;
use crate::kernel::patch::Patch;
use anyhow::Result;
use git2::{Commit, Diff, DiffFindOptions, DiffOptions, Repository};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A commit is the patch if applying the patch to the commit's parent makes the commit's tree (whatever algorithm
/// its diff was made with), or, where that needs a merge, if both add and remove the same lines of the same files.
pub(super) fn is_patch(repo: &Repository, commit: &Commit, patch: &Patch) -> Result<bool> {
    let Ok(parent) = commit.parent(0) else {
        return Ok(false);
    };
    let (old, new) = (parent.tree()?, commit.tree()?);
    let mut options = DiffOptions::new();
    // What git itself does, so that the same change gives the same lines.
    options.indent_heuristic(true);
    let mut diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))?;
    let touched: BTreeSet<PathBuf> = patch.touched_files().into_iter().map(PathBuf::from).collect();
    let changed: BTreeSet<PathBuf> = diff
        .deltas()
        .flat_map(|delta| {
            [
                delta.old_file().path().map(PathBuf::from),
                delta.new_file().path().map(PathBuf::from),
            ]
        })
        .flatten()
        .collect();
    // A patch with copies reads files that it does not change.
    if !changed.is_subset(&touched) || changed.is_empty() {
        return Ok(false);
    }
    if let Ok((tree, How::Directly)) = in_memory::apply(repo, &old, patch, &[], None) {
        return Ok(tree == new.id());
    }
    diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
    Ok(lines_of(&diff)? == lines_of_patch(patch))
}

fn push_line(bytes: &mut Vec<u8>, path: &[u8], origin: u8, text: &[u8]) {
    bytes.extend_from_slice(path);
    bytes.extend_from_slice(&[0, origin]);
    bytes.extend_from_slice(text);
}

/// [`lines_of`] for the hunks of a patch.
fn lines_of_patch(patch: &Patch) -> Vec<u8> {
    let mut bytes = Vec::new();
    for change in &patch.files {
        let path = change.new.as_ref().or(change.old.as_ref());
        let path = path
            .map(|path| path.as_os_str().as_encoded_bytes())
            .unwrap_or_default();
        for line in change
            .hunks
            .iter()
            .flat_map(|hunk| &hunk.lines)
            .filter(|line| line.origin != b' ')
        {
            push_line(&mut bytes, path, line.origin, &line.text);
        }
    }
    bytes
}

/// The lines that a diff adds and removes, file by file, without context, line numbers and blob ids.
fn lines_of(diff: &Diff) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    diff.foreach(
        &mut |_, _| true,
        None,
        None,
        Some(&mut |delta, _, line| {
            if matches!(line.origin(), '+' | '-') {
                let path = delta.new_file().path_bytes().unwrap_or_default();
                push_line(&mut bytes, path, line.origin() as u8, line.content());
            }
            true
        }),
    )?;
    Ok(bytes)
}
