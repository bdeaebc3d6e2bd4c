//! Applying a patch to a git tree without touching any file.
//!
//! A kernel has 94,000 files: only those of the patch are read, and only the folders on their way are written anew.

use super::How;
use super::conflict;
use super::three_way::{self, Merge};
use crate::kernel::diff::{FileChange, hunks};
use crate::kernel::patch::Patch;
use anyhow::{Context, Result, bail};
use git2::{Diff, FileMode, Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Tree};
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

/// Why a file of a patch does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is to be changed and is not there.
    Absent,
    /// It is to be made and is there.
    There,
    /// A folder is there, or a file where a folder has to be.
    InTheWay,
    /// A link where the patch has a file, or the other way round.
    OtherKind,
    /// This hunk has no place, counted from 0.
    Hunk(usize),
    /// It is to be taken away, but has more lines than the patch knows.
    Rest,
    /// Its content is not the one that a binary patch was made from, or the patch is damaged.
    Binary(String),
}

/// Applies `patch` to `tree`; gives the new tree. Objects that nothing refers to may be written. Where its lines
/// are not there, it is merged as `git am --3way` does, from the blobs of its `index` lines or else from one of the
/// trees `made_on`. Errors name the file and the hunk, what was expected, what is there and who wrote that; `head`
/// is the commit of `tree`.
pub(super) fn apply(
    repo: &Repository,
    tree: &Tree,
    patch: &Patch,
    made_on: &[Tree],
    head: Option<Oid>,
) -> Result<(Oid, How)> {
    let (at, misfit) = match files_after(repo, tree, patch)? {
        Ok(files) => return Ok((put_back(repo, tree, &files)?, How::Directly)),
        Err(misfit) => misfit,
    };
    let mut conflict = None;
    let from_index_lines = three_way::blobs_of_index_lines(repo, tree, patch)?;
    let made_on = made_on.iter().map(|base| small_tree(repo, base, patch));
    for base in from_index_lines.into_iter().map(Ok).chain(made_on) {
        match three_way::merge(repo, tree, patch, &base?)? {
            Merge::Whole(id) => return Ok((id, How::ThreeWay)),
            Merge::Conflict(places) => conflict = conflict.or(Some(places)),
            Merge::NotFrom => {}
        }
    }
    // Only lines that differ are told by a merge; a file that is not there is told as that.
    if let (Some(places), Misfit::Hunk(_)) = (conflict, &misfit) {
        bail!(
            "{}: merging it with what is there, from the files that it was made on, conflicts; make it anew for this tree\n{places}",
            patch.name
        );
    }
    bail!(
        "{}",
        conflict::explain(repo, tree, head, &patch.files[at], &misfit)
    )
}

/// The files after the patch; the inner error is the first file that does not fit, by its place in the patch.
pub(super) fn files_after(
    repo: &Repository,
    tree: &Tree,
    patch: &Patch,
) -> Result<Result<Files, (usize, Misfit)>> {
    let mut files = Files::new();
    for (at, change) in patch.files.iter().enumerate() {
        match file_after(repo, tree, &files, patch, change)? {
            Ok(after) => {
                if let Some(old) = change
                    .old
                    .as_ref()
                    .filter(|_| !change.copied && change.old != change.new)
                {
                    // Another part of the patch may have put a new file there already.
                    if !files.contains_key(old) {
                        files.insert(old.clone(), None);
                    }
                }
                if let Some(new) = &change.new {
                    files.insert(new.clone(), after);
                }
            }
            Err(misfit) => return Ok(Err((at, misfit))),
        }
    }
    Ok(Ok(files))
}

pub(super) fn file_in(tree: &Tree, path: &Path) -> Result<Option<File>, Misfit> {
    match tree.get_path(path) {
        Ok(entry) if entry.kind() == Some(ObjectType::Blob) => {
            Ok(Some((entry.id(), entry.filemode() as u32)))
        }
        Ok(_) => Err(Misfit::InTheWay),
        Err(_) => Ok(None),
    }
}

/// What one part of the patch makes of its file; `files` is what the parts before it made.
fn file_after(
    repo: &Repository,
    tree: &Tree,
    files: &Files,
    patch: &Patch,
    change: &FileChange,
) -> Result<Result<Option<File>, Misfit>> {
    let moves = change.old.is_some() && change.new.is_some() && change.old != change.new;
    let before = match &change.old {
        None => None,
        Some(path) => {
            // git: renames and copies do not depend on the order of the patch's parts; others go on from the part before.
            let there = match files.get(path).filter(|_| !moves) {
                Some(earlier) => Ok(*earlier),
                None => file_in(tree, path),
            };
            match there {
                Ok(Some(file)) => Some(file),
                Ok(None) => return Ok(Err(Misfit::Absent)),
                Err(misfit) => return Ok(Err(misfit)),
            }
        }
    };
    if let (Some(mode), Some((_, there))) = (change.old_mode, before)
        && mode & 0o170_000 != there & 0o170_000
    {
        return Ok(Err(Misfit::OtherKind));
    }
    if let Some(path) = change.new.as_deref().filter(|_| moves || change.old.is_none())
        && let Some(misfit) = not_free(tree, files, patch, path)
    {
        return Ok(Err(misfit));
    }
    let content = match before {
        Some((id, _)) => repo.find_blob(id)?.content().to_vec(),
        None => Vec::new(),
    };
    let after = match &change.binary {
        Some(section) => match binary_after(repo, change, section, &content) {
            Ok(after) => after,
            Err(reason) => return Ok(Err(Misfit::Binary(format!("{reason:#}")))),
        },
        None => match hunks::apply(&change.hunks, &content) {
            Ok(after) => after,
            Err(hunk) => return Ok(Err(Misfit::Hunk(hunk))),
        },
    };
    if change.new.is_none() {
        return Ok(if after.is_empty() {
            Ok(None)
        } else {
            Err(Misfit::Rest)
        });
    }
    let mode = change
        .new_mode
        .or(before.map(|(_, mode)| mode))
        .unwrap_or(0o100_644);
    Ok(Ok(Some((repo.blob(&after)?, mode))))
}

/// What keeps a new file from being made at `path`.
fn not_free(tree: &Tree, files: &Files, patch: &Patch, path: &Path) -> Option<Misfit> {
    let leaves = |path: &Path| {
        let gone = |change: &FileChange| {
            !change.copied && change.old.as_deref() == Some(path) && change.new.as_deref() != Some(path)
        };
        matches!(files.get(path), Some(None)) || patch.files.iter().any(gone)
    };
    let above = path
        .ancestors()
        .skip(1)
        .filter(|folder| !folder.as_os_str().is_empty());
    for folder in above {
        if matches!(file_in(tree, folder), Ok(Some(_))) && !leaves(folder) {
            return Some(Misfit::InTheWay);
        }
    }
    let made = matches!(files.get(path), Some(Some(_)));
    match file_in(tree, path) {
        _ if made => Some(Misfit::There),
        Ok(None) => None,
        Ok(Some(_)) if leaves(path) => None,
        Ok(Some(_)) => Some(Misfit::There),
        Err(misfit) => Some(misfit),
    }
}

/// The content after a binary patch (git-diff(1) `--binary`). libgit2 undoes base 85, zlib and deltas, for a file
/// of a plain name. The ids of the `index` line are the measure, as with git: the content before and after has to
/// have them.
fn binary_after(repo: &Repository, change: &FileChange, section: &[u8], content: &[u8]) -> Result<Vec<u8>> {
    let (old, new) = change.blobs.as_ref().context("it has no `index` line")?;
    let nothing = |id: &str| id.bytes().all(|byte| byte == b'0');
    let is = |content: &[u8], id: &str| -> Result<bool> {
        Ok(Oid::hash_object(ObjectType::Blob, content)?.to_string() == *id)
    };
    if !nothing(old) && !is(content, old)? {
        bail!(
            "its content is not the one that the patch was made from ({})",
            &old[..12]
        );
    }
    if nothing(new) {
        return Ok(Vec::new());
    }
    let text = [
        format!("diff --git a/f b/f\nindex {old}..{new} 100644\n").as_bytes(),
        section,
    ]
    .concat();
    let mut index = Index::new()?;
    index.add(&entry(Path::new("f"), repo.blob(content)?, 0o100_644))?;
    let tree = repo.find_tree(index.write_tree_to(repo)?)?;
    let applied = repo.apply_to_tree(&tree, &Diff::from_buffer(&text)?, None)?;
    let id = applied
        .get_path(Path::new("f"), 0)
        .context("nothing is left of it")?
        .id;
    let after = repo.find_blob(id)?.content().to_vec();
    if !is(&after, new)? {
        bail!(
            "what the binary patch makes is not what its `index` line says ({})",
            &new[..12]
        );
    }
    Ok(after)
}

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

/// The files of the patch alone, as far as `tree` has them.
pub(super) fn small_tree<'a>(repo: &'a Repository, tree: &Tree, patch: &Patch) -> Result<Tree<'a>> {
    let mut index = Index::new()?;
    for path in patch.touched_files() {
        if let Ok(Some((id, mode))) = file_in(tree, path) {
            index.add(&entry(path, id, mode))?;
        }
    }
    Ok(repo.find_tree(index.write_tree_to(repo)?)?)
}

/// The tree with the files put in, or taken out. What goes is taken out first: a file may take the place of a folder.
pub(super) fn put_back(repo: &Repository, tree: &Tree, files: &Files) -> Result<Oid> {
    let mut root = tree.id();
    let (gone, there): (Vec<_>, Vec<_>) = files.iter().partition(|(_, file)| file.is_none());
    for (path, file) in gone.into_iter().chain(there) {
        let parts: Vec<&OsStr> = path.iter().collect();
        root = with_file(repo, Some(root), &parts, *file)?
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
    let (name, inner) = parts
        .split_first()
        .context("a patch names a file without a name")?;
    let old = old.map(|id| repo.find_tree(id)).transpose()?;
    let mut builder = repo.treebuilder(old.as_ref())?;
    let entry = if inner.is_empty() {
        file.map(|(id, mode)| (id, mode as i32))
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
