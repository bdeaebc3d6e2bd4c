//! The kernel tree that patches are applied to: a git work tree of our own on a branch of our own, so that the user's
//! checkout, even a dirty one, is never touched.
//!
//! The branch is the truth; there are no notes of what is applied. A change of the branch happens in this order
//! (invariant 11): new objects are written (nothing refers to them), the intent (`old` and `new` commit) is
//! recorded and flushed in the lock file, the branch moves, the files that differ are rewritten one by one (each
//! written beside and renamed), the index is written, the intent is taken away. Killed before the branch moves:
//! nothing has happened. Killed after it: the next [`Tree::open`] sees the intent, compares each file with its old
//! and its new content, and goes on; a file that is neither was edited by someone, and is named in an error
//! instead.

mod am;
mod apply;
mod checkout;
mod conflict;
mod create;
mod difference;
mod export;
mod graft;
mod identity;
mod lookup;
mod made_on;
mod refresh;
mod stages;
mod standing;
mod three_way;

use super::patch::Patch;
use super::series::Series;
use anyhow::{Context, Result, bail};
use git2::{Commit, Oid, Repository, Signature, Sort};
use std::fs::File;
use std::path::{Path, PathBuf};

pub use made_on::{BaseIs, Compared, Prerequisite, Remark, Weight};
pub use refresh::Refreshed;
pub use stages::Stages;

/// A commit that cannot stand without another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Its subject.
    pub subject: String,
    /// Full hex.
    pub commit: String,
    /// The files in which it needs the other one's lines.
    pub files: Vec<String>,
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            f,
            "`{}` ({}) was applied later and cannot stand without it (in {}); nothing was changed",
            self.subject,
            short(&self.commit),
            self.files.join(", ")
        )
    }
}

impl std::error::Error for Blocked {}

/// What happens to later commits when one is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// They are made anew without it.
    Stay,
    /// They are taken back together with it.
    GoToo,
}

const NOTHING_NEW: &str = "the tree has all of it already; nothing was changed";

/// The commits of a branch of ours, to be asked only.
pub struct Stack {
    repo: Repository,
    branch: String,
    /// The commit that the patches were made on, where the user named one.
    made_on: Option<Oid>,
}

/// An open work tree of our own. While it lives, no other process can open it. What can be asked of it is in [`Stack`].
pub struct Tree {
    stack: Stack,
    worktree: PathBuf,
    lock: File,
    repaired: Vec<PathBuf>,
}

/// How a patch came into the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Every hunk's context was there, maybe at another line.
    Directly,
    /// Merged with the blobs that the patch's `index` lines name as its base, as `git am --3way` does.
    ThreeWay,
}

/// An applied patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The new commit, full hex.
    pub commit: String,
    /// Files of the work tree that were rewritten, added or removed.
    pub files: Vec<PathBuf>,
    /// Directly or by a merge.
    pub how: How,
}

/// A patch that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    /// The commit that it had been, full hex.
    pub commit: String,
    /// Where the branch is now, full hex.
    pub head: String,
    /// Subjects of the later commits that were made anew without it, oldest first.
    pub reapplied: Vec<String>,
    /// Subjects of the later commits that were taken back with it, oldest first.
    pub taken_along: Vec<String>,
    /// Files of the work tree that were rewritten, added or removed.
    pub files: Vec<PathBuf>,
}

impl Stack {
    /// The stack of `branch` in the repository at `repository`, as it is now, without a lock and without making
    /// anything; where the branch is not there yet, HEAD with nothing on it. Nothing is ever written through it.
    pub fn peek(repository: &Path, branch: &str) -> Result<Self> {
        let doing = || format!("opening the repository {}", repository.display());
        crate::kernel::git::refuse_old(&xshell::Shell::new()?).with_context(doing)?;
        let repo = Repository::open(repository).with_context(doing)?;
        Ok(Stack {
            repo: graft::Scratch::of(&repo).with_context(doing)?.0,
            branch: branch.to_string(),
            made_on: None,
        })
    }

    /// Names the revision that the patches were made on: a patch whose lines are not there, and whose `index` lines
    /// name blobs that this repository does not have, is merged from there. Errors: it names no commit.
    pub fn made_on(&mut self, revision: &str) -> Result<()> {
        self.made_on = Some(create::commit_of(&self.repo, revision)?);
        Ok(())
    }

    /// What a merge may begin from beside the blobs of `index` lines: the revision that the user
    /// named, the `base-commit` of the series, and the commit that patches are counted from.
    fn merge_bases<'r>(&self, repo: &'r Repository, patch: &Patch) -> Result<Vec<git2::Tree<'r>>> {
        let said = made_on::named(repo, &patch.made_on)?.map(|commit| commit.id());
        let mut commits = vec![self.made_on, said, Some(self.base_commit()?.id())];
        commits.dedup();
        let mut trees = Vec::new();
        for id in commits.into_iter().flatten() {
            trees.push(repo.find_commit(id)?.tree()?);
        }
        Ok(trees)
    }

    /// The git folder of the repository.
    pub fn repository(&self) -> PathBuf {
        self.repo.commondir().to_path_buf()
    }

    /// The branch of our own.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The commit that the branch is at, full hex.
    pub fn head(&self) -> Result<String> {
        Ok(self.head_commit()?.id().to_string())
    }

    /// The commit that patches are counted from, full hex.
    pub fn base(&self) -> Result<String> {
        Ok(self.base_commit()?.id().to_string())
    }

    /// Seconds since 1970 of the base commit: a time stamp that stays the same while patches come and go.
    pub fn base_time(&self) -> Result<i64> {
        Ok(self.base_commit()?.time().seconds())
    }

    /// Subjects and ids (full hex) of the commits between base and HEAD, oldest first.
    pub fn commits(&self) -> Result<Vec<(String, String)>> {
        let mut commits = Vec::new();
        for commit in self.commits_on_base()? {
            commits.push((commit.id().to_string(), subject(&commit)));
        }
        Ok(commits)
    }

    /// Whether the patch would apply to HEAD now; writes nothing.
    pub fn check(&self, patch: &Patch) -> Result<How> {
        let doing = || format!("applying {} ({})", patch.name, patch.subject);
        let memory = graft::Scratch::of(&self.repo)?;
        let head = memory
            .0
            .find_commit(self.head_commit()?.id())
            .with_context(doing)?;
        let bases = self.merge_bases(&memory.0, patch)?;
        let applied = apply::apply(&memory.0, &head.tree()?, patch, &bases, Some(head.id()));
        Ok(applied.with_context(doing)?.how)
    }

    /// Whether a list of patches would apply one on the other; as [`Tree::check`].
    pub fn check_all(&self, patches: &[&Patch]) -> Result<()> {
        let memory = graft::Scratch::of(&self.repo)?;
        let head = self.head_commit()?.id();
        let mut tree = memory.0.find_commit(head)?.tree()?;
        for patch in patches {
            let doing = || format!("applying {} ({})", patch.name, patch.subject);
            let bases = self.merge_bases(&memory.0, patch)?;
            let applied = apply::apply(&memory.0, &tree, patch, &bases, Some(head)).with_context(doing)?;
            tree = memory.0.find_tree(applied.tree)?;
        }
        Ok(())
    }

    /// For each patch of the series the commit between base and HEAD that is this patch by content, full hex.
    pub fn applied(&self, series: &Series) -> Result<Vec<Option<String>>> {
        self.applied_patches(&series.patches)
    }

    /// [`Tree::applied`] for patches that are no whole series.
    pub fn applied_patches(&self, patches: &[Patch]) -> Result<Vec<Option<String>>> {
        let stack = self.commits_on_base()?;
        let mut result = Vec::with_capacity(patches.len());
        for patch in patches {
            let bases = self.merge_bases(&self.repo, patch)?;
            let mut found = None;
            for commit in stack.iter().rev() {
                if identity::is_patch(&self.repo, commit, patch, &bases)? {
                    found = Some(commit.id().to_string());
                    break;
                }
            }
            result.push(found);
        }
        Ok(result)
    }

    fn head_commit(&self) -> Result<Commit<'_>> {
        match self.repo.find_reference(&create::branch_ref(&self.branch)) {
            Ok(branch) => Ok(branch.peel_to_commit()?),
            Err(_) => Ok(self.repo.head()?.peel_to_commit()?),
        }
    }

    fn base_commit(&self) -> Result<Commit<'_>> {
        match self.repo.find_reference(&create::base_ref(&self.branch)) {
            Ok(base) => Ok(base.peel_to_commit()?),
            // As a new work tree would begin: where a clone brought our branch and not its base, too.
            Err(_) => Ok(self.repo.head()?.peel_to_commit()?),
        }
    }

    /// The commits between base and HEAD, oldest first.
    fn commits_on_base(&self) -> Result<Vec<Commit<'_>>> {
        let mut walk = self.repo.revwalk()?;
        walk.push(self.head_commit()?.id())?;
        walk.hide(self.base_commit()?.id())?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.simplify_first_parent()?;
        walk.map(|id| Ok(self.repo.find_commit(id?)?)).collect()
    }
}

impl std::ops::Deref for Tree {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl std::ops::DerefMut for Tree {
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }
}

impl Tree {
    /// Opens the work tree at `worktree` of the repository at `repository`, on the branch `branch`; makes it if it
    /// is not there.
    ///
    /// `base` is a revision that patches are counted from; it is remembered as `refs/lockstep/<branch>/base`.
    /// Without it: the remembered one, or HEAD of the repository for a new tree. Finishes what a killed process
    /// left half done.
    ///
    /// Errors: no git repository, an unknown revision, another process has it open, the folder is something else,
    /// somebody checked out another branch in it, another base is asked for while patches are applied.
    ///
    /// Dies half-way: a work tree that is not whole (no marker in its git folder) is removed and made anew by the
    /// next call.
    pub fn open(repository: &Path, worktree: &Path, branch: &str, base: Option<&str>) -> Result<Self> {
        let doing = || {
            format!(
                "opening the work tree {} of {}",
                worktree.display(),
                repository.display()
            )
        };
        let lock = checkout::take_lock(worktree).with_context(doing)?;
        let repo = create::open_or_create(repository, worktree, branch, base).with_context(doing)?;
        let mut tree = Tree {
            stack: Stack {
                repo,
                branch: branch.to_string(),
                made_on: None,
            },
            worktree: worktree.to_path_buf(),
            lock,
            repaired: Vec::new(),
        };
        tree.repaired = tree.finish_interrupted().with_context(doing)?;
        Ok(tree)
    }

    /// Files that [`Tree::open`] brought up to the branch, because a process had been killed while it wrote them.
    pub fn repaired(&self) -> &[PathBuf] {
        &self.repaired
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.worktree
    }

    /// Applies one patch: `git am` makes a commit of it that nothing refers to, then the branch moves there, then the
    /// files that differ are written; time stamps of all others stay, so that make rebuilds little.
    ///
    /// Errors, with HEAD, index and files as they were: a hunk has no place (says which, what was expected, what is
    /// there), a file that it would change was edited. What is left behind when it dies: see the module.
    pub fn apply(&mut self, patch: &Patch) -> Result<Applied> {
        let doing = || format!("applying {} ({})", patch.name, patch.subject);
        let head = self.head_commit().with_context(doing)?;
        let (commit, how) = self.commit_of(patch, &head).with_context(doing)?;
        let old = head.id();
        drop(head);
        let files = self
            .move_branch(old, commit, &format!("lockstep apply: {}", patch.subject))
            .with_context(doing)?;
        Ok(Applied {
            commit: commit.to_string(),
            files,
            how,
        })
    }

    /// Takes back exactly one patch. At the top of the stack the branch moves to its parent; further down, the later
    /// commits are made anew on its parent, in memory first.
    ///
    /// Errors, with everything as it was: it is not applied, a later commit cannot stand without it ([`Blocked`]),
    /// a file that would change was edited.
    pub fn revert(&mut self, patch: &Patch) -> Result<Reverted> {
        self.take_back(patch, Later::Stay)
    }

    /// [`Tree::revert`], with a choice about what was applied later.
    pub fn take_back(&mut self, patch: &Patch, later: Later) -> Result<Reverted> {
        let doing = || format!("reverting {} ({})", patch.name, patch.subject);
        let stack = self.commits_on_base().with_context(doing)?;
        let bases = self.merge_bases(&self.stack.repo, patch).with_context(doing)?;
        let mut found = None;
        for (at, commit) in stack.iter().enumerate().rev() {
            if identity::is_patch(&self.stack.repo, commit, patch, &bases).with_context(doing)? {
                found = Some((at, commit));
                break;
            }
        }
        let Some((at, commit)) = found else {
            bail!(
                "{}: it is not applied: none of the {} commits on {} since its base is this patch",
                doing(),
                stack.len(),
                self.stack.branch
            );
        };
        let mut tip = commit.parent(0).with_context(doing)?.id();
        let above = stack.iter().skip(at.saturating_add(1));
        let subjects: Vec<String> = above.clone().map(subject).collect();
        let (reapplied, taken_along) = match later {
            Later::Stay => (subjects, Vec::new()),
            Later::GoToo => (Vec::new(), subjects),
        };
        for standing in above.filter(|_| later == Later::Stay) {
            tip = match self.stand_on(standing, tip).with_context(doing)? {
                Ok(tip) => tip,
                Err(blocked) => return Err(blocked).with_context(doing),
            };
        }
        let commit = commit.id();
        let old = self.head_commit()?.id();
        drop((stack, bases));
        let files = self
            .move_branch(old, tip, &format!("lockstep revert: {}", patch.subject))
            .with_context(doing)?;
        Ok(Reverted {
            commit: commit.to_string(),
            head: tip.to_string(),
            reapplied,
            taken_along,
            files,
        })
    }

    /// Moves the branch to any commit of this repository (a campaign's start, a bisection), files and all, as
    /// [`Tree::apply`] does.
    pub fn move_to(&mut self, commit: &str) -> Result<Vec<PathBuf>> {
        let new = self.stack.repo.revparse_single(commit)?.peel_to_commit()?.id();
        let old = self.head_commit()?.id();
        self.move_branch(old, new, "lockstep: move")
    }

    /// The commit of the patch on `head`; no branch is at it yet. Errors: it does not apply, or would not be known
    /// as this patch afterwards, so that it could not be taken back.
    fn commit_of(&self, patch: &Patch, head: &Commit) -> Result<(Oid, How)> {
        let repo = &self.stack.repo;
        let bases = self.merge_bases(repo, patch)?;
        let applied = apply::apply(repo, &head.tree()?, patch, &bases, Some(head.id()))?;
        let id = repo.commit(
            None,
            &applied.made.author,
            &self.committer()?,
            &applied.made.message,
            &repo.find_tree(applied.tree)?,
            &[head],
        )?;
        if !identity::is_patch(repo, &repo.find_commit(id)?, patch, &bases)? {
            bail!(
                "git applies it, but the result could not be told from another patch, so it could not be taken back; \
                 write the patch again with `git format-patch`; nothing was changed"
            );
        }
        Ok((id, applied.how))
    }

    /// The identity that git is configured with, or our own.
    fn committer(&self) -> Result<Signature<'static>> {
        match self.stack.repo.signature() {
            Ok(signature) => Ok(signature.to_owned()),
            Err(_) => Ok(Signature::now("Lockstep", "lockstep@localhost")?),
        }
    }

    /// Makes the change of `later` anew on top of `tip`, keeping author and message; gives the new commit, or why
    /// there is none.
    fn stand_on(&self, later: &Commit, tip: Oid) -> Result<std::result::Result<Oid, Blocked>> {
        let onto = self.stack.repo.find_commit(tip)?;
        let mut merged = self.stack.repo.cherrypick_commit(later, &onto, 0, None)?;
        if merged.has_conflicts() {
            let mut files: Vec<String> = merged
                .conflicts()?
                .filter_map(|conflict| conflict.ok())
                .filter_map(|conflict| conflict.our.or(conflict.their).or(conflict.ancestor))
                .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
                .collect();
            files.dedup();
            return Ok(Err(Blocked {
                subject: subject(later),
                commit: later.id().to_string(),
                files,
            }));
        }
        let tree = self
            .stack
            .repo
            .find_tree(merged.write_tree_to(&self.stack.repo)?)?;
        let message = String::from_utf8_lossy(later.message_raw_bytes()).into_owned();
        Ok(Ok(self.stack.repo.commit(
            None,
            &later.author(),
            &self.committer()?,
            &message,
            &tree,
            &[&onto],
        )?))
    }
}

/// The first digits of a commit's id, for a person.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// First line of a commit message.
fn subject(commit: &Commit) -> String {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    message.lines().next().unwrap_or_default().to_string()
}
