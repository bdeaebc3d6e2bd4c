//! Applying a patch to a git tree without touching any file.
//!
//! libgit2 reads the whole tree that it applies to; a kernel has 94,000 entries. So the files of the patch alone are taken
//! into a small tree, the patch is applied to that, and the result is put back.

use super::How;
use super::conflict;
use super::relocate::relocate;
use crate::kernel::diff::FileChange;
use crate::kernel::patch::Patch;
use anyhow::{Context, Result, bail};
use git2::{Diff, FileMode, Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Tree};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A second handle of a repository that writes new objects into memory only.
pub(super) struct Scratch(pub(super) Repository);

impl Scratch {
    pub(super) fn of(repo: &Repository) -> Result<Self> {
        let copy = Repository::open(repo.path())?;
        // Above the priority of every backend that libgit2 adds itself (odb.c: 1 and 2).
        copy.odb()?.add_new_mempack_backend(1000)?;
        Ok(Scratch(copy))
    }
}

/// Applies `patch` to `tree`; gives the new tree. Objects that nothing refers to may be written.
/// Errors name the file and the hunk, what was expected and what is there.
pub(super) fn apply(repo: &Repository, tree: &Tree, patch: &Patch) -> Result<(Oid, How)> {
    let diff = Diff::from_buffer(&patch.diff)
        .with_context(|| format!("{}: libgit2 cannot read its diff", patch.name))?;
    let small = small_tree(repo, tree, patch)?;
    match repo.apply_to_tree(&small, &diff, None) {
        Ok(index) => Ok((put_back(repo, tree, patch, &index)?, How::Directly)),
        Err(error) => {
            if let Some(index) = moved(repo, &small, patch) {
                return Ok((put_back(repo, tree, patch, &index)?, How::Directly));
            }
            match three_way(repo, &small, patch, &diff)? {
                Some(index) => Ok((put_back(repo, tree, patch, &index)?, How::ThreeWay)),
                None => bail!("{}", conflict::explain(repo, tree, &diff, error.message())),
            }
        }
    }
}

/// What `git apply` does with lines that moved; `None` where some hunk has no place.
fn moved(repo: &Repository, tree: &Tree, patch: &Patch) -> Option<Index> {
    let content = |path: &Path| {
        Some(
            repo.find_blob(tree.get_path(path).ok()?.id())
                .ok()?
                .content()
                .to_vec(),
        )
    };
    let text = relocate(&patch.diff, &patch.files, content)?;
    repo.apply_to_tree(tree, &Diff::from_buffer(&text).ok()?, None)
        .ok()
}

fn entry(path: &Path, id: Oid, mode: i32) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: mode as u32,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    }
}

/// The files of the patch alone, as far as `tree` has them.
fn small_tree<'a>(repo: &'a Repository, tree: &Tree, patch: &Patch) -> Result<Tree<'a>> {
    let mut index = Index::new()?;
    for path in patch.touched_files() {
        if let Ok(found) = tree.get_path(path) {
            if found.kind() != Some(ObjectType::Blob) {
                bail!(
                    "{}: the patch changes a file, but the tree has a folder there",
                    path.display()
                );
            }
            index.add(&entry(path, found.id(), found.filemode()))?;
        }
    }
    Ok(repo.find_tree(index.write_tree_to(repo)?)?)
}

fn put_back(repo: &Repository, tree: &Tree, patch: &Patch, result: &Index) -> Result<Oid> {
    let mut root = tree.id();
    for path in patch.touched_files() {
        let file = result
            .get_path(path, 0)
            .map(|entry| (entry.id, mode_after(tree, patch, path, entry.mode)));
        let parts: Vec<&OsStr> = path.iter().collect();
        root =
            with_file(repo, Some(root), &parts, file)?.map_or_else(|| repo.treebuilder(None)?.write(), Ok)?;
    }
    Ok(root)
}

/// The mode that a file has after the patch: what the patch sets, else what it had, under its old name too. (libgit2
/// takes 0644 where the diff names no mode, as with a rename without a change.)
fn mode_after(tree: &Tree, patch: &Patch, path: &Path, found: u32) -> i32 {
    let Some(change) = patch
        .files
        .iter()
        .rev()
        .find(|change| change.new.as_deref() == Some(path))
    else {
        return found as i32;
    };
    let before = || {
        change
            .old
            .as_deref()
            .and_then(|old| tree.get_path(old).ok())
            .map(|entry| entry.filemode())
    };
    change
        .new_mode
        .map(|mode| mode as i32)
        .or_else(before)
        .unwrap_or(found as i32)
}

/// The tree `old` with one file put in, or taken out for `None`; `None` if nothing is left in it. Trees beside the
/// path stay the objects that they are.
fn with_file(
    repo: &Repository,
    old: Option<Oid>,
    parts: &[&OsStr],
    file: Option<(Oid, i32)>,
) -> Result<Option<Oid>> {
    let (name, inner) = parts
        .split_first()
        .context("a patch names a file without a name")?;
    let old = old.map(|id| repo.find_tree(id)).transpose()?;
    let mut builder = repo.treebuilder(old.as_ref())?;
    let entry = if inner.is_empty() {
        file
    } else {
        let below = builder
            .get(name)?
            .filter(|entry| entry.kind() == Some(ObjectType::Tree))
            .map(|entry| entry.id());
        with_file(repo, below, inner, file)?.map(|id| (id, i32::from(FileMode::Tree)))
    };
    match entry {
        Some((id, mode)) => drop(builder.insert(name, id, mode)?),
        None if builder.get(name)?.is_some() => builder.remove(name)?,
        None => {}
    }
    Ok(if builder.is_empty() {
        None
    } else {
        Some(builder.write()?)
    })
}

/// What `git am --3way` does: the patch applied to the blobs that it was made from, merged with what is there. `None`
/// where this repository does not have those blobs, or the merge conflicts.
fn three_way(repo: &Repository, ours: &Tree, patch: &Patch, diff: &Diff) -> Result<Option<Index>> {
    let mut index = Index::new()?;
    for change in &patch.files {
        let FileChange {
            old: Some(path),
            blobs,
            ..
        } = change
        else {
            continue;
        };
        let known = match blobs {
            Some((old, _)) => repo
                .find_object_by_prefix(old, Some(ObjectType::Blob))
                .ok()
                .map(|blob| blob.id()),
            // A pure rename or mode change names no blob: what is there will do.
            None => ours.get_path(path).ok().map(|entry| entry.id()),
        };
        let Some(id) = known else { return Ok(None) };
        let mode = ours.get_path(path).map_or(0o100644, |entry| entry.filemode());
        index.add(&entry(path, id, mode))?;
    }
    let base = repo.find_tree(index.write_tree_to(repo)?)?;
    let Ok(mut patched) = repo.apply_to_tree(&base, diff, None) else {
        return Ok(None);
    };
    let theirs = repo.find_tree(patched.write_tree_to(repo)?)?;
    let merged = repo.merge_trees(&base, ours, &theirs, None)?;
    Ok((!merged.has_conflicts()).then_some(merged))
}
