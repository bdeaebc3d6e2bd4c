//! Edits of the work tree taken into the patch that they belong to.

use super::{Tree, create, graft, subject};
use crate::kernel::patch::Patch;
use anyhow::{Context, Result, bail};
use git2::{Commit, Oid, Status, StatusOptions};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What [`Tree::refresh`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// The commit that holds the patch now, full hex.
    pub commit: String,
    /// Edited files that went into it; none where the commit had been refreshed before and only the patch file is behind.
    pub files: Vec<PathBuf>,
    /// Subjects of the later commits that were made anew on it, oldest first.
    pub restacked: Vec<String>,
    /// Files that git does not know yet: they were left out (`git add` takes them in).
    pub unknown: Vec<PathBuf>,
}

impl Tree {
    /// Takes every edit of the work tree into the commit of `patch`; later commits are made anew on it, in memory
    /// first. The files themselves stay as they are: they have the edits already.
    ///
    /// Errors, with everything as it was: the patch is not applied; nothing was edited; the edits are of lines that
    /// a later patch brought; a later patch cannot stand on the edited one.
    ///
    /// Dies half-way: as [`Tree::apply`]. The patch file is the caller's to write; where that failed, the same call
    /// finds the commit by its subject and gives it again.
    pub fn refresh(&mut self, patch: &Patch) -> Result<Refreshed> {
        let doing = || format!("refreshing {} ({})", patch.name, patch.subject);
        let (edited, unknown) = self.edited().with_context(doing)?;
        let stack = self.commits_on_base().with_context(doing)?;
        let at = self.place_of(&stack, patch).with_context(doing)?;
        if edited.is_empty() {
            let commit = stack
                .get(at)
                .context("the patch left the stack")?
                .id()
                .to_string();
            return Ok(Refreshed {
                commit,
                files: Vec::new(),
                restacked: Vec::new(),
                unknown,
            });
        }
        let head = self.head_commit()?;
        let wanted = graft::put_back(&self.stack.repo, &head.tree()?, &edited).with_context(doing)?;
        if wanted == head.tree_id() {
            bail!(
                "{}: the edits come to nothing: every file is as the commit has it",
                doing()
            );
        }
        let (commit, tip) = self.stack_with_edits(&stack, at, wanted).with_context(doing)?;
        let restacked = stack.iter().skip(at.saturating_add(1)).map(subject).collect();
        let old = head.id();
        drop((stack, head));
        self.adopt(old, tip, &format!("lockstep refresh: {}", patch.subject))
            .with_context(doing)?;
        Ok(Refreshed {
            commit: commit.to_string(),
            files: edited.into_keys().collect(),
            restacked,
            unknown,
        })
    }

    /// Where the patch is in the stack: by content, or else the one commit of its subject and author.
    fn place_of(&self, stack: &[Commit], patch: &Patch) -> Result<usize> {
        let bases = self.merge_bases(&self.stack.repo, patch)?;
        for (at, commit) in stack.iter().enumerate().rev() {
            if super::identity::is_patch(&self.stack.repo, commit, patch, &bases)? {
                return Ok(at);
            }
        }
        let same = |commit: &&Commit| {
            subject(commit) == patch.subject && commit.author().email_bytes() == patch.email.as_bytes()
        };
        match stack.iter().filter(same).collect::<Vec<_>>().as_slice() {
            [one] => Ok(stack
                .iter()
                .position(|commit| commit.id() == one.id())
                .unwrap_or(0)),
            _ => bail!(
                "it is not applied, so no edits can be taken into it; `cargo xtask series` lists what is"
            ),
        }
    }

    /// The commit of the edited patch, and the tip of the stack on it; the tip has the tree `wanted`.
    fn stack_with_edits(&self, stack: &[Commit], at: usize, wanted: Oid) -> Result<(Oid, Oid)> {
        let repo = &self.stack.repo;
        let patch = stack.get(at).context("the patch left the stack")?;
        let mut tree = wanted;
        if let Some(top) = stack.last().filter(|top| top.id() != patch.id()) {
            // The edits as a commit on the top, moved down to the patch.
            let me = self.committer()?;
            let edits = repo.commit(None, &me, &me, "edits", &repo.find_tree(wanted)?, &[top])?;
            match self.stand_on(&repo.find_commit(edits)?, patch.id())? {
                Ok(moved) => tree = repo.find_commit(moved)?.tree_id(),
                Err(blocked) => bail!(
                    "the edits in {} are of lines that a later patch brought; nothing was changed. Name that patch, or undo these edits",
                    blocked.files.join(", ")
                ),
            }
        }
        let parents: Vec<Commit> = patch.parents().collect();
        let parents: Vec<&Commit> = parents.iter().collect();
        let message = String::from_utf8_lossy(patch.message_raw_bytes()).into_owned();
        let commit = repo.commit(
            None,
            &patch.author(),
            &self.committer()?,
            &message,
            &repo.find_tree(tree)?,
            &parents,
        )?;
        let mut tip = commit;
        for later in stack.iter().skip(at.saturating_add(1)) {
            tip = match self.stand_on(later, tip)? {
                Ok(tip) => tip,
                Err(blocked) => bail!(
                    "`{}`, a later patch, cannot stand on the edited one (in {}); nothing was changed",
                    blocked.subject,
                    blocked.files.join(", ")
                ),
            };
        }
        if repo.find_commit(tip)?.tree_id() != wanted {
            bail!(
                "the edits and the later patches do not come to what the work tree holds; nothing was changed"
            );
        }
        Ok((commit, tip))
    }

    /// Edited files with what they hold now, and files that git does not know.
    fn edited(&self) -> Result<(graft::Files, Vec<PathBuf>)> {
        let mut options = StatusOptions::new();
        options
            .include_untracked(true)
            .include_ignored(false)
            .recurse_untracked_dirs(true);
        let (mut edited, mut unknown) = (BTreeMap::new(), Vec::new());
        for status in self.stack.repo.statuses(Some(&mut options))?.iter() {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(status.path_bytes()));
            if status.status() == Status::WT_NEW {
                unknown.push(path);
                continue;
            }
            let file = self
                .blob_of(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            edited.insert(path, file);
        }
        Ok((edited, unknown))
    }

    /// Moves the branch to a commit whose files the work tree holds already; only the index follows. The order is that of
    /// [`Tree::move_branch`].
    fn adopt(&mut self, old: Oid, new: Oid, why: &str) -> Result<()> {
        self.write_intent(&format!("{old} {new}\n"))?;
        self.stack
            .repo
            .reference_matching(&create::branch_ref(&self.stack.branch), new, true, old, why)?;
        self.index_files(old, new)?;
        self.write_intent("")
    }
}
