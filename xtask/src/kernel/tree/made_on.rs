//! What a series says it was made on, compared with the tree.

use super::{Stack, short};
use crate::kernel::patch::MadeOn;
use anyhow::{Context, Result};
use git2::{Commit, DiffOptions, ErrorCode, Oid, Repository, Sort};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// Most commits whose patch ids are computed.
const COMMITS: usize = 5_000;

/// Where the `base-commit` of a series is, seen from HEAD of the tree without the patches that are
/// applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseIs {
    /// HEAD itself.
    Head,
    /// Another commit with the same files.
    SameFiles,
    /// In the history of HEAD.
    Before,
    /// In the repository, and not in the history of HEAD.
    Elsewhere,
    /// Not in the repository: it was not fetched, or this history was imported and has other
    /// commits.
    Absent,
}

/// One patch that a series needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prerequisite {
    /// Its stable patch id, full hex.
    pub id: String,
    /// The commit that is this patch, full hex; `None`: there is none.
    pub commit: Option<String>,
}

/// What came of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The commit that the series names, full hex, and where it is.
    pub base: Option<(String, BaseIs)>,
    /// The patches that it needs, in its order.
    pub prerequisites: Vec<Prerequisite>,
    /// How many commits were looked at for them, HEAD first.
    pub looked_at: usize,
    /// HEAD without the patches that are applied, full hex.
    pub head: String,
}

/// Whether a remark is a reason to look twice. A patch that `git am` applies is applied in either
/// case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As the author had it.
    Fine,
    /// Not as the author had it.
    Doubt,
}

/// One remark, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub weight: Weight,
    text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Compared {
    /// What there is to tell, the base first.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if let Some((commit, place)) = &self.base {
            let (commit, head) = (short(commit), short(&self.head));
            let (weight, text) = match place {
                BaseIs::Head => (Weight::Fine, format!("base-commit {commit} is HEAD of this tree")),
                BaseIs::SameFiles => (
                    Weight::Fine,
                    format!("base-commit {commit} has the same files as HEAD of this tree ({head})"),
                ),
                BaseIs::Before => (
                    Weight::Fine,
                    format!(
                        "base-commit {commit} is in the history of HEAD ({head}); lines that moved since \
                         are merged from it"
                    ),
                ),
                BaseIs::Elsewhere => (
                    Weight::Doubt,
                    format!(
                        "base-commit {commit} is in this repository, but not in the history of HEAD \
                         ({head}); what does not fit is merged from it. \
                         To test what the author tested, use a tree at {commit}"
                    ),
                ),
                BaseIs::Absent => (
                    Weight::Doubt,
                    format!(
                        "base-commit {commit} is not in this repository; patches whose lines are there \
                         apply all the same. For the author's tree, \
                         `git fetch` the commit into a tree of yours and name that with `--kernel PATH`"
                    ),
                ),
            };
            remarks.push(Remark { weight, text });
        }
        for Prerequisite { id, commit } in &self.prerequisites {
            remarks.push(match commit {
                Some(commit) => Remark {
                    weight: Weight::Fine,
                    text: format!("prerequisite-patch-id {id} is {}", short(commit)),
                },
                None => Remark {
                    weight: Weight::Doubt,
                    text: format!(
                        "prerequisite-patch-id {id} is missing: none of the {} that were looked at is \
                         that patch. Apply it first \
                         (https://lore.kernel.org/all/?q=patchid:{id} finds it), or go on without it \
                         where the series applies and builds",
                        match self.looked_at {
                            1 => "1 commit".to_string(),
                            commits => format!("{commits} commits"),
                        }
                    ),
                },
            });
        }
        remarks
    }
}

impl Stack {
    /// Compares what a series says it was made on with this tree. Nothing is written. `None`: the
    /// series says nothing.
    pub fn compare_base(&self, made_on: &MadeOn) -> Result<Option<Compared>> {
        if made_on.is_empty() {
            return Ok(None);
        }
        let doing = || "comparing the tree with what the series was made on";
        let head = self.base_commit().with_context(doing)?;
        let base = named(&self.repo, made_on).with_context(doing)?;
        let place = match &base {
            None => BaseIs::Absent,
            Some(base) if base.id() == head.id() => BaseIs::Head,
            Some(base) if base.tree_id() == head.tree_id() => BaseIs::SameFiles,
            Some(base) if self.repo.graph_descendant_of(head.id(), base.id())? => BaseIs::Before,
            Some(_) => BaseIs::Elsewhere,
        };
        let (prerequisites, looked_at) = self.prerequisites(made_on, base.as_ref()).with_context(doing)?;
        Ok(Some(Compared {
            base: made_on.commit.clone().map(|commit| (commit, place)),
            prerequisites,
            looked_at,
            head: head.id().to_string(),
        }))
    }

    /// The patches that a series needs, looked for between its base and HEAD, and how many commits
    /// are there.
    fn prerequisites(&self, made_on: &MadeOn, base: Option<&Commit>) -> Result<(Vec<Prerequisite>, usize)> {
        let mut looked_at = 0usize;
        let mut open: BTreeSet<&str> = made_on.prerequisites.iter().map(String::as_str).collect();
        let mut found: Vec<(String, Oid)> = Vec::new();
        if !open.is_empty() {
            let mut walk = self.repo.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL)?;
            walk.push(self.head_commit()?.id())?;
            if let Some(base) = base {
                walk.hide(base.id())?;
            }
            for id in walk.take(COMMITS) {
                let commit = self.repo.find_commit(id?)?;
                looked_at = looked_at.saturating_add(1);
                if let Some(patch_id) = patch_id(&self.repo, &commit)?.filter(|id| open.remove(id.as_str())) {
                    found.push((patch_id, commit.id()));
                }
                if open.is_empty() {
                    break;
                }
            }
        }
        let commit = |id: &String| {
            found
                .iter()
                .find(|(known, _)| known == id)
                .map(|(_, at)| at.to_string())
        };
        let all = made_on.prerequisites.iter().map(|id| Prerequisite {
            id: id.clone(),
            commit: commit(id),
        });
        Ok((all.collect(), looked_at))
    }
}

/// The commit that a series names, if the repository has it.
pub(super) fn named<'r>(repo: &'r Repository, made_on: &MadeOn) -> Result<Option<Commit<'r>>> {
    // An id of another length is of a repository with another hash.
    let Some(id) = made_on.commit.as_deref().and_then(|id| Oid::from_str(id).ok()) else {
        return Ok(None);
    };
    match repo.find_commit(id) {
        Ok(commit) => Ok(Some(commit)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `git patch-id --stable` of a commit with one parent, as git-format-patch(1) computes it for
/// `--base`.
fn patch_id(repo: &Repository, commit: &Commit) -> Result<Option<String>> {
    if commit.parent_count() != 1 {
        return Ok(None);
    }
    // The last commit of a shallow clone names a parent that is not there.
    let Ok(parent) = commit.parent(0) else {
        return Ok(None);
    };
    let mut options = DiffOptions::new();
    options.indent_heuristic(true);
    let diff = repo.diff_tree_to_tree(Some(&parent.tree()?), Some(&commit.tree()?), Some(&mut options))?;
    Ok(Some(diff.patchid(None)?.to_string()))
}
