//! What a patch makes of a git tree; no file is touched.
//!
//! `git am` decides (see [`super::am`]). Only where it refuses is the patch tried on the trees that it may have been
//! made on, and merged from there.

use super::am::{Made, Otherwise, Outcome, am};
use super::conflict;
use super::graft::put_back;
use super::three_way::{self, Merge};
use super::{How, NOTHING_NEW};
use crate::kernel::patch::Patch;
use anyhow::{Result, bail};
use git2::{Oid, Repository, Tree};

/// A patch applied to a tree.
pub(super) struct Applied {
    /// The new tree.
    pub(super) tree: Oid,
    /// Directly or by a merge.
    pub(super) how: How,
    /// The commit's author, message and files.
    pub(super) made: Made,
}

/// Applies `patch` to `tree`, directly or as `git am --3way` does, or else merged from one of the trees `made_on`.
/// Objects that nothing refers to may be written. Errors name the file and the hunk, what was expected, what is
/// there and who wrote that, with git's own words; `head` is the commit of `tree`.
pub(super) fn apply(
    repo: &Repository,
    tree: &Tree,
    patch: &Patch,
    made_on: &[Tree],
    head: Option<Oid>,
) -> Result<Applied> {
    let mut conflict = None;
    let mut refused = None;
    for (otherwise, how) in [
        (Otherwise::Refuse, How::Directly),
        (Otherwise::Merge, How::ThreeWay),
    ] {
        match am(repo, tree, patch, otherwise)? {
            Outcome::Made(made) => return applied(repo, tree, made, how),
            Outcome::Nothing => bail!(NOTHING_NEW),
            Outcome::Conflict(places) => conflict = conflict.or(Some(places)),
            Outcome::Refused(words) => refused = refused.or(Some(words)),
        }
    }
    for base in made_on {
        match three_way::merge(repo, tree, patch, base)? {
            Merge::Whole(made) => return applied(repo, tree, made, How::ThreeWay),
            Merge::Conflict(places) => conflict = conflict.or(Some(places)),
            Merge::NotFrom => {}
        }
    }
    if let Some(places) = conflict.filter(|_| conflict::is_of_lines(repo, tree, patch)) {
        bail!(
            "{}: merging it with what is there, from the files that it was made on, conflicts; make it anew for this tree\n{places}",
            patch.name
        );
    }
    let refused = refused.unwrap_or_default();
    match conflict::explain(repo, tree, head, patch) {
        Some(explained) => bail!("{explained}\n  `git am` refuses it:\n{refused}"),
        None => bail!("`git am` refuses it:\n{refused}"),
    }
}

fn applied(repo: &Repository, tree: &Tree, made: Made, how: How) -> Result<Applied> {
    let new = put_back(repo, tree, &made.files)?;
    if new == tree.id() {
        bail!(NOTHING_NEW);
    }
    Ok(Applied { tree: new, how, made })
}
