//! The tree as it is after each patch of a series, in memory: nothing of the repository or of a
//! work tree is written.

use super::{Stack, apply, graft};
use crate::kernel::patch::Patch;
use anyhow::{Context, Result};
use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use std::path::{Path, PathBuf};

/// The trees: of the base, and after each patch that applies.
pub struct Stages {
    /// Has the objects that no repository has.
    repo: Repository,
    trees: Vec<Oid>,
    refused: Option<(usize, String)>,
}

impl Stack {
    /// What the base and each of `patches` on it come to. A patch that does not apply is passed
    /// over: those behind it are applied to what is there without it, and [`Stages::refused`] names
    /// it. Errors: the repository cannot be read.
    pub fn stages(&self, patches: &[&Patch]) -> Result<Stages> {
        let repo = graft::Scratch::of(&self.repo)?.0;
        let base = self.base_commit()?.id();
        let mut trees = vec![repo.find_commit(base)?.tree_id()];
        let mut refused = None;
        for (index, patch) in patches.iter().enumerate() {
            let last = trees.last().copied().context("a tree of the base")?;
            let bases = self.merge_bases(&repo, patch)?;
            match apply::apply(&repo, &repo.find_tree(last)?, patch, &bases, Some(base)) {
                Ok(applied) => trees.push(applied.tree),
                Err(error) => {
                    refused.get_or_insert((index, format!("{error:#}")));
                    trees.push(last);
                }
            }
        }
        Ok(Stages { repo, trees, refused })
    }
}

impl Stages {
    /// The first patch that does not apply, from 0, and why.
    pub fn refused(&self) -> Option<(usize, &str)> {
        self.refused.as_ref().map(|(index, why)| (*index, why.as_str()))
    }

    /// A text file after so many patches; `None` where there is none.
    pub fn text(&self, after: usize, path: &Path) -> Option<String> {
        let tree = self.repo.find_tree(*self.trees.get(after)?).ok()?;
        let blob = self.repo.find_blob(tree.get_path(path).ok()?.id()).ok()?;
        Some(String::from_utf8_lossy(blob.content()).into_owned())
    }

    /// Whether there is a file at a path after so many patches.
    pub fn has_file(&self, after: usize, path: &Path) -> bool {
        let tree = self.trees.get(after).and_then(|id| self.repo.find_tree(*id).ok());
        tree.is_some_and(|tree| tree.get_path(path).is_ok())
    }

    /// Files of the base whose names are wanted, with their texts.
    pub fn files_of_base(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<(PathBuf, String)>> {
        let base = self.trees.first().context("a tree of the base")?;
        let mut found = Vec::new();
        self.repo
            .find_tree(*base)?
            .walk(TreeWalkMode::PreOrder, |folder, entry| {
                let name = entry.name().unwrap_or_default();
                if entry.kind() == Some(ObjectType::Blob) && is_wanted(name) {
                    found.push((Path::new(folder).join(name), entry.id()));
                }
                TreeWalkResult::Ok
            })?;
        found
            .into_iter()
            .map(|(path, id)| {
                let text = String::from_utf8_lossy(self.repo.find_blob(id)?.content()).into_owned();
                Ok((path, text))
            })
            .collect()
    }

    /// Whether the patches from `from` on apply without the one before them. Errors: the repository
    /// cannot be read.
    pub fn apply_without(&self, stack: &Stack, from: usize, patches: &[&Patch]) -> Result<bool> {
        let before = from.checked_sub(1).and_then(|before| self.trees.get(before));
        let mut tree = *before.context("no patch stands before it")?;
        for patch in patches.iter().skip(from) {
            let bases = stack.merge_bases(&self.repo, patch)?;
            let onto = self.repo.find_tree(tree)?;
            match apply::apply(&self.repo, &onto, patch, &bases, None) {
                Ok(applied) => tree = applied.tree,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}
