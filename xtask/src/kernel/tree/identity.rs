//! Whether a commit is a patch, by content: titles, dates and our own notes are not trusted.

use super::am::{Otherwise, Outcome, am};
use super::apply::apply;
use super::graft::{path_of, put_back};
use super::subject;
use crate::kernel::patch::Patch;
use anyhow::Result;
use git2::{Commit, Diff, DiffFindOptions, DiffOptions, Repository, Tree};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// A commit is the patch if applying the patch to the commit's parent makes the commit's tree (whatever algorithm
/// its diff was made with), or, where that needs a merge, if both add and remove the same lines of the same files.
/// `made_on`: see [`apply`].
pub(super) fn is_patch(repo: &Repository, commit: &Commit, patch: &Patch, made_on: &[Tree]) -> Result<bool> {
    let Ok(parent) = commit.parent(0) else {
        return Ok(false);
    };
    let (old, new) = (parent.tree()?, commit.tree()?);
    let mut options = DiffOptions::new();
    // What git itself does, so that the same change gives the same lines.
    options.indent_heuristic(true).force_text(true);
    let mut diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))?;
    let touched: BTreeSet<PathBuf> = patch.touched_files().into_iter().map(PathBuf::from).collect();
    let changed: BTreeSet<PathBuf> = diff
        .deltas()
        .flat_map(|delta| {
            [
                delta.old_file().path_bytes().map(path_of),
                delta.new_file().path_bytes().map(path_of),
            ]
        })
        .flatten()
        .collect();
    // A patch with copies reads files that it does not change.
    if !changed.is_subset(&touched) || changed.is_empty() {
        return Ok(false);
    }
    let may_be_direct = !comparable(patch) || balance_of(&diff)? == balance_of_patch(patch);
    if may_be_direct && let Outcome::Made(made) = am(repo, &old, patch, Otherwise::Refuse)? {
        return Ok(put_back(repo, &old, &made.files)? == new.id());
    }
    diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
    if lines_of(&diff)? == lines_of_patch(patch) {
        return Ok(true);
    }
    // A merge may have left out what was there already. Trying that on each commit would take too long; the title
    // only says for which it is worth it.
    if subject(commit) != patch.subject {
        return Ok(false);
    }
    Ok(apply(repo, &old, patch, made_on, None).is_ok_and(|applied| applied.tree == new.id()))
}

/// Whether the patch has a line for each line that it changes.
fn comparable(patch: &Patch) -> bool {
    let lines = |change: &crate::kernel::diff::FileChange| !change.copied && change.binary.is_none();
    patch.files.iter().all(lines)
}

/// How often each line comes in, less how often it goes away: the same for every diff of the same two trees, whatever
/// its algorithm, and with or without renames.
type Balance = HashMap<Vec<u8>, i64>;

fn count(balance: &mut Balance, added: bool, text: &[u8]) {
    let sum = balance.entry(text.to_vec()).or_default();
    *sum = sum.saturating_add(if added { 1 } else { -1 });
    if *sum == 0 {
        balance.remove(text);
    }
}

fn balance_of_patch(patch: &Patch) -> Balance {
    let mut balance = Balance::new();
    let lines = patch.files.iter().flat_map(|change| &change.hunks);
    for line in lines
        .flat_map(|hunk| &hunk.lines)
        .filter(|line| line.origin != b' ')
    {
        count(&mut balance, line.origin == b'+', &line.text);
    }
    balance
}

fn balance_of(diff: &Diff) -> Result<Balance> {
    let mut balance = Balance::new();
    diff.foreach(
        &mut |_, _| true,
        None,
        None,
        Some(&mut |_, _, line| {
            if matches!(line.origin(), '+' | '-') {
                count(&mut balance, line.origin() == '+', line.content());
            }
            true
        }),
    )?;
    Ok(balance)
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
