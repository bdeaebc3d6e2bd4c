//! Trees of git put together without touching any file.
//!
//! A kernel has 94,000 files: only those that a patch touches are read, and only the folders on their way are
//! written again.

use crate::kernel::patch::Patch;
use anyhow::{Context, Result, bail};
use git2::{
    FileMode, Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Tree, TreeWalkMode, TreeWalkResult,
};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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

/// A file: its blob and its mode.
pub(super) type File = (Oid, u32);

/// Files by path; `None` where one goes away.
pub(super) type Files = BTreeMap<PathBuf, Option<File>>;

pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// The entry of an index for a file that no work tree has.
pub(super) fn entry(path: &Path, id: Oid, mode: u32) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    }
}

/// What `tree` has where the patch reads or writes, so that git decides on it as on the whole tree: the files
/// themselves; a file or link where the patch has a folder; all files of a folder where the patch has a file.
/// Blobs are written into `to`, which may be another repository.
pub(super) fn small_tree<'t>(
    from: &Repository,
    tree: &Tree,
    patch: &Patch,
    to: &'t Repository,
) -> Result<Tree<'t>> {
    let mut index = Index::new()?;
    let there = to.odb()?;
    let mut add = |path: &Path, id: Oid, mode: i32| -> Result<()> {
        if mode != i32::from(FileMode::Commit) && !there.exists(id) {
            to.blob(from.find_blob(id)?.content())?;
        }
        let mode = u32::try_from(mode).context("a file without a mode")?;
        Ok(index.add(&entry(path, id, mode))?)
    };
    for touched in patch.touched_files() {
        let mut here = PathBuf::new();
        for part in touched.iter() {
            here.push(part);
            let found = match tree.get_path(&here) {
                Err(error) if error.code() == git2::ErrorCode::NotFound => break,
                found => found?,
            };
            if found.kind() != Some(ObjectType::Tree) {
                add(&here, found.id(), found.filemode())?;
                break;
            }
            if here == touched {
                for (path, id, mode) in files_below(&from.find_tree(found.id())?)? {
                    add(&here.join(path), id, mode)?;
                }
            }
        }
    }
    Ok(to.find_tree(index.write_tree_to(to)?)?)
}

fn files_below(tree: &Tree) -> Result<Vec<(PathBuf, Oid, i32)>> {
    let mut files = Vec::new();
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() != Some(ObjectType::Tree) {
            let path = [folder.as_bytes(), entry.name_bytes()].concat();
            files.push((path_of(&path), entry.id(), entry.filemode()));
        }
        TreeWalkResult::Ok
    })?;
    Ok(files)
}

/// The tree with the files put in, or taken out. What goes is taken out first: a file may take the place of a
/// folder. Errors: a file would take the place of a folder that holds others, or the other way round.
pub(super) fn put_back(repo: &Repository, tree: &Tree, files: &Files) -> Result<Oid> {
    let mut root = tree.id();
    let (gone, there): (Vec<_>, Vec<_>) = files.iter().partition(|(_, file)| file.is_none());
    for (path, file) in gone.into_iter().chain(there) {
        let parts: Vec<&OsStr> = path.iter().collect();
        root = with_file(repo, Some(root), &parts, *file)
            .with_context(|| format!("putting {} into the tree", path.display()))?
            .map_or_else(|| repo.treebuilder(None)?.write(), Ok)?;
    }
    Ok(root)
}

/// The tree `old` with one file put in, or taken out for `None`; `None` if nothing is left in it. Trees beside the
/// path stay the objects that they are.
fn with_file(
    repo: &Repository,
    old: Option<Oid>,
    parts: &[&OsStr],
    file: Option<File>,
) -> Result<Option<Oid>> {
    let (name, inner) = parts.split_first().context("it has no name")?;
    let old = old.map(|id| repo.find_tree(id)).transpose()?;
    let mut builder = repo.treebuilder(old.as_ref())?;
    let there = builder.get(name)?.map(|entry| (entry.id(), entry.kind()));
    let entry = match (inner.is_empty(), there) {
        (true, Some((_, Some(ObjectType::Tree)))) if file.is_some() => {
            bail!("a folder with other files is there")
        }
        // A file that goes, and whose place a folder has taken already.
        (true, Some((_, Some(ObjectType::Tree)))) => return Ok(old.map(|tree| tree.id())),
        (true, _) => file
            .map(|(id, mode)| anyhow::Ok((id, i32::try_from(mode)?)))
            .transpose()?,
        (false, Some((_, kind))) if kind != Some(ObjectType::Tree) => match file {
            Some(_) => bail!("{} is a file or a link, not a folder", name.display()),
            None => return Ok(old.map(|tree| tree.id())),
        },
        (false, there) => {
            with_file(repo, there.map(|(id, _)| id), inner, file)?.map(|id| (id, i32::from(FileMode::Tree)))
        }
    };
    match entry {
        Some((id, mode)) => drop(builder.insert(name, id, mode)?),
        None if there.is_some() => builder.remove(name)?,
        None => {}
    }
    Ok(if builder.is_empty() {
        None
    } else {
        Some(builder.write()?)
    })
}

/// The files in which two trees differ. Errors: one of them is a submodule.
pub(super) fn differences(repo: &Repository, old: &Tree, new: &Tree) -> Result<Files> {
    let diff = repo.diff_tree_to_tree(Some(old), Some(new), None)?;
    let mut files = Files::new();
    for delta in diff.deltas() {
        let (was, is) = (delta.old_file(), delta.new_file());
        for side in [&was, &is] {
            if side.mode() == FileMode::Commit {
                bail!(
                    "{} is a submodule, and Lockstep does not change submodules",
                    path_of(side.path_bytes().unwrap_or_default()).display()
                );
            }
        }
        let path = |side: &git2::DiffFile| side.path_bytes().map(path_of);
        if let Some(path) = path(&was).filter(|_| delta.status() != git2::Delta::Added) {
            files.entry(path).or_insert(None);
        }
        if let Some(path) = path(&is).filter(|_| delta.status() != git2::Delta::Deleted) {
            files.insert(path, Some((is.id(), u32::from(is.mode()))));
        }
    }
    Ok(files)
}
