//! Which files two commits differ in.

use super::Stack;
use anyhow::{Context, Result};
use std::path::PathBuf;

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
}
