//! Trees of git put together without touching any file.
//!
//! A kernel has 94,000 files: only those that a patch touches are read, and only the folders on their way are
//! written again.

use super::lookup::{At, Lookup};
use crate::kernel::patch::Patch;
use anyhow::{Context, Error, Result, anyhow, bail};
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
    let there_now = Lookup::new(from, tree.clone());
    for touched in patch.touched_files() {
        match there_now.at(touched)? {
            At::Nothing => {}
            At::File(id, mode) => add(touched, id, mode)?,
            At::Beyond(file, id, mode) => add(&file, id, mode)?,
            At::Folder(folder) => {
                for (path, id, mode) in files_below(&from.find_tree(folder)?)? {
                    add(&touched.join(path), id, mode)?;
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
    let (gone, there): (Vec<_>, Vec<_>) = files
        .iter()
        .map(|(path, file)| Change {
            path,
            parts: path.iter().collect(),
            file: *file,
        })
        .partition(|change| change.file.is_none());
    let mut root = Some(tree.id());
    for changes in [gone, there] {
        root = with_files(repo, root, 0, &changes)?;
    }
    root.map_or_else(|| Ok(repo.treebuilder(None)?.write()?), Ok)
}

/// A file that is put in, or taken out.
struct Change<'p> {
    path: &'p Path,
    parts: Vec<&'p OsStr>,
    file: Option<File>,
}

impl Change<'_> {
    fn refused(&self, why: &str) -> Error {
        anyhow!("putting {} into the tree: {why}", self.path.display())
    }
}

/// The tree `old` with files put in, or taken out; `None` if nothing is left in it. The paths are sorted and have
/// their first `depth` parts in common, which lead to this tree; each folder is written once. Trees next to the
/// paths stay the objects that they are.
fn with_files(repo: &Repository, old: Option<Oid>, depth: usize, changes: &[Change]) -> Result<Option<Oid>> {
    let old = old.map(|id| repo.find_tree(id)).transpose()?;
    let mut builder = repo.treebuilder(old.as_ref())?;
    let deeper = depth.saturating_add(1);
    for group in changes.chunk_by(|one, other| one.parts.get(depth) == other.parts.get(depth)) {
        let first = group.first().context("a group of no files")?;
        let name = *first.parts.get(depth).context("it has no name")?;
        let mut there = builder.get(name)?.map(|entry| (entry.id(), entry.kind()));
        // A path sorts in front of those below it.
        let (itself, below) = group.split_at(usize::from(first.parts.get(deeper).is_none()));
        for change in itself {
            let is_folder = there.is_some_and(|(_, kind)| kind == Some(ObjectType::Tree));
            match change.file {
                Some(_) if is_folder => return Err(change.refused("a folder with other files is there")),
                Some((id, mode)) => {
                    builder.insert(name, id, i32::try_from(mode)?)?;
                    there = Some((id, Some(ObjectType::Blob)));
                }
                // A file that goes, and whose place a folder has taken already.
                None if is_folder => {}
                None if there.take().is_some() => builder.remove(name)?,
                None => {}
            }
        }
        if below.is_empty() {
            continue;
        }
        if there.is_some_and(|(_, kind)| kind != Some(ObjectType::Tree)) {
            if let Some(change) = below.iter().find(|change| change.file.is_some()) {
                let why = format!("{} is a file or a link, not a folder", name.display());
                return Err(change.refused(&why));
            }
            continue;
        }
        match with_files(repo, there.map(|(id, _)| id), deeper, below)? {
            Some(id) => drop(builder.insert(name, id, i32::from(FileMode::Tree))?),
            None if there.is_some() => builder.remove(name)?,
            None => {}
        }
    }
    Ok(match builder.is_empty() {
        true => None,
        false => Some(builder.write()?),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn trees(repo: &Repository) -> usize {
        let odb = repo.odb().unwrap();
        let mut count = 0;
        odb.foreach(|id| {
            count += usize::from(odb.read_header(*id).unwrap().1 == ObjectType::Tree);
            true
        })
        .unwrap();
        count
    }

    /// The cost of a patch grows with its files and not with their square.
    #[test]
    fn each_folder_is_written_once_however_many_of_its_files_change() {
        const FILES: usize = 2_000;
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init(folder.path()).unwrap();
        let (old, new) = (repo.blob(b"old").unwrap(), repo.blob(b"new").unwrap());
        let tree_of = |files: &Files| {
            let mut index = Index::new().unwrap();
            for (path, file) in files {
                if let Some((id, mode)) = file {
                    index.add(&entry(path, *id, *mode)).unwrap();
                }
            }
            index.write_tree_to(&repo).unwrap()
        };
        let path = |number: usize| PathBuf::from(format!("d/{}/{number}.c", number % 2));
        let before: Files = (0..FILES)
            .map(|number| (path(number), Some((old, 0o100_644))))
            .collect();
        // A third changes, a third goes, and as many come.
        let changes: Files = (0..FILES)
            .map(|number| match number % 3 {
                0 => (path(number), Some((new, 0o100_755))),
                1 => (path(number), None),
                _ => (path(FILES + number), Some((new, 0o100_644))),
            })
            .collect();
        let tree = repo.find_tree(tree_of(&before)).unwrap();
        let count = trees(&repo);
        let made = put_back(&repo, &tree, &changes).unwrap();
        // `/`, `d`, `d/0` and `d/1`: once when files go, once when others come.
        assert_eq!(trees(&repo) - count, 8);
        let mut after = before;
        after.extend(changes);
        assert_eq!(made, tree_of(&after));

        let none = after.keys().map(|path| (path.clone(), None)).collect();
        let empty = put_back(&repo, &repo.find_tree(made).unwrap(), &none).unwrap();
        assert_eq!(empty, repo.treebuilder(None).unwrap().write().unwrap());
    }
}
