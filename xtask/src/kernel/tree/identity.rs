//! Whether a commit is a patch, by content: titles, dates and our own notes are not trusted.

use super::How;
use super::in_memory;
use crate::host::files::sha256;
use crate::kernel::patch::Patch;
use anyhow::Result;
use git2::{Commit, Diff, DiffFindOptions, DiffOptions, Repository};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A commit is the patch if applying the patch to the commit's parent makes the commit's tree (whatever
/// algorithm its diff was made with), or, where that needs a merge, if both add and remove the same lines of the same files.
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
    if let Ok((tree, How::Directly)) = in_memory::apply(repo, &old, patch) {
        return Ok(tree == new.id());
    }
    diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
    let of_patch = Diff::from_buffer(&patch.diff)?;
    Ok(lines_id(&diff)? == lines_id(&of_patch)?)
}

/// Hash of the lines that a diff adds and removes, file by file, without context, line numbers and blob ids.
fn lines_id(diff: &Diff) -> Result<String> {
    let mut bytes = Vec::new();
    diff.foreach(
        &mut |_, _| true,
        None,
        None,
        Some(&mut |delta, _, line| {
            if matches!(line.origin(), '+' | '-') {
                bytes.extend_from_slice(delta.new_file().path_bytes().unwrap_or_default());
                bytes.push(0);
                bytes.push(line.origin() as u8);
                bytes.extend_from_slice(line.content());
            }
            true
        }),
    )?;
    Ok(sha256(&bytes))
}
