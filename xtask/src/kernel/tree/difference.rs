//! What commits of the tree differ in and hold.

use super::Stack;
use super::lookup::Lookup;
use crate::kernel::diff::{self, FileChange};
use anyhow::{Context, Result};
use git2::DiffFormat;
use std::path::{Path, PathBuf};

impl Stack {
    /// Files that differ between two commits (full hex), relative to the tree, sorted. Errors: no such commit.
    pub fn changed_between(&self, from: &str, to: &str) -> Result<Vec<PathBuf>> {
        if from == to {
            return Ok(Vec::new());
        }
        let doing = || format!("comparing the commits {from} and {to}");
        let tree = |id: &str| -> Result<git2::Tree<'_>> {
            Ok(self.repo.find_commit(git2::Oid::from_str(id)?)?.tree()?)
        };
        let (old, new) = (tree(from).with_context(doing)?, tree(to).with_context(doing)?);
        let diff = self
            .repo
            .diff_tree_to_tree(Some(&old), Some(&new), None)
            .with_context(doing)?;
        let mut files: Vec<PathBuf> = diff
            .deltas()
            .flat_map(|delta| [delta.old_file().path(), delta.new_file().path()])
            .flatten()
            .map(PathBuf::from)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// What a commit (full hex) changes, with the line numbers of its own tree: those of a patch file may be others, since a patch is applied
    /// where its context is. Errors: no such commit.
    pub fn changes_of(&self, commit: &str) -> Result<Vec<FileChange>> {
        let doing = || format!("reading what the commit {commit} changes");
        let found = git2::Oid::from_str(commit).and_then(|id| self.repo.find_commit(id));
        let found = found.with_context(doing)?;
        let before = match found.parents().next() {
            Some(parent) => Some(parent.tree().with_context(doing)?),
            None => None,
        };
        let after = found.tree().with_context(doing)?;
        let diff = self.repo.diff_tree_to_tree(before.as_ref(), Some(&after), None);
        let mut text = Vec::new();
        diff.and_then(|diff| {
            diff.print(DiffFormat::Patch, |_, _, line| {
                if matches!(line.origin(), ' ' | '+' | '-') {
                    text.push(line.origin() as u8);
                }
                text.extend_from_slice(line.content());
                true
            })
        })
        .with_context(doing)?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        Ok(diff::scan(commit, &text, 1).with_context(doing)?.files)
    }

    /// The bytes of a file in a commit (full hex); none where it has no such file. Errors: no such commit.
    pub fn file_at(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>> {
        let doing = || format!("reading {} of the commit {commit}", path.display());
        let found = git2::Oid::from_str(commit).and_then(|id| self.repo.find_commit(id));
        let tree = found.and_then(|commit| commit.tree()).with_context(doing)?;
        Lookup::new(&self.repo, tree).content(path).with_context(doing)
    }
}
