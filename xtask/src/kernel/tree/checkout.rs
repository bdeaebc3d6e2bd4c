//! Moving the branch and the files: only the files that differ, in an order that survives a kill.

use super::graft::path_of;
use super::standing::{Content, Side};
use super::{Tree, create};
use crate::host::files;
use anyhow::{Context, Result, bail};
use git2::{Delta, DiffOptions, FileMode, Index, IndexEntry, IndexTime, Oid};
use rustix::fs::{FlockOperation, flock};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A program that is being started has our open files until it is executed, locks included: so one look is not enough.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// One file that differs between two commits; `None` where it is not there.
pub(super) struct FileMove {
    pub(super) path: PathBuf,
    old: Side,
    new: Side,
}

/// A name next to the work tree: outside of it, where no patch can have a file of that name.
fn beside(worktree: &Path, ending: &str) -> PathBuf {
    let mut name = worktree.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Takes the lock of a work tree, a file beside it, for the life of the returned handle. It also holds the
/// intent of a change under way: `<old commit> <new commit>`.
pub(super) fn take_lock(worktree: &Path) -> Result<File> {
    let path = beside(worktree, ".lock");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let doing = || format!("locking {}", path.display());
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(doing)?;
    let began = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                bail!(
                    "another process of Lockstep is at work in {}; wait for its end",
                    worktree.display()
                )
            }
            Err(error) => return Err(error).with_context(doing),
        }
    }
}

impl Tree {
    /// Moves the branch from `old` to `new` and rewrites the files that differ. Errors before anything is changed: a file
    /// that would be rewritten is not what `old` has. Dies half-way: see [`super`].
    pub(super) fn move_branch(&mut self, old: Oid, new: Oid, why: &str) -> Result<Vec<PathBuf>> {
        let moves = self.moves(old, new)?;
        let mut index = self.stack.repo.index()?;
        index.read(true)?;
        let mut edited = Vec::new();
        let paths: HashSet<&Path> = moves.iter().map(|file| file.path.as_path()).collect();
        for file in &moves {
            if !self.stands(&file.path, file.old, &paths)? || staged(&index, &file.path) != file.old {
                edited.push(format!("    {}", file.path.display()));
            }
        }
        if !edited.is_empty() {
            bail!(
                "somebody edited files of {} that would change; nothing was changed. \
                 Commit, stash or undo the edits (`git -C {} checkout HEAD -- FILE`):\n{}",
                self.worktree.display(),
                self.worktree.display(),
                edited.join("\n")
            );
        }
        self.write_intent(&format!("{old} {new}\n"))?;
        self.stack
            .repo
            .reference_matching(&create::branch_ref(&self.stack.branch), new, true, old, why)?;
        self.write_files(&moves, &mut index)?;
        self.write_intent("")?;
        Ok(moves.into_iter().map(|file| file.path).collect())
    }

    /// Finishes a [`Tree::move_branch`] that was killed; gives the files that it brought up to the branch.
    pub(super) fn finish_interrupted(&mut self) -> Result<Vec<PathBuf>> {
        let mut intent = String::new();
        self.lock.rewind()?;
        self.lock.read_to_string(&mut intent)?;
        let Some((old, new)) = intent.trim_end().split_once(' ') else {
            // Empty, or half-written: then the branch had not moved yet.
            if !intent.is_empty() {
                self.write_intent("")?;
            }
            return Ok(Vec::new());
        };
        let (Ok(old), Ok(new)) = (Oid::from_str(old), Oid::from_str(new)) else {
            self.write_intent("")?;
            return Ok(Vec::new());
        };
        // The lock of the work tree is ours, and its last owner died: what it had locked in git is free.
        for stale in [self.stack.repo.path().join("index.lock"), self.ref_lock()] {
            if files::is_there(&stale)? {
                fs::remove_file(&stale).with_context(|| format!("removing {}", stale.display()))?;
            }
        }
        if self.head_commit()?.id() != new {
            self.write_intent("")?;
            return Ok(Vec::new());
        }
        let moves = self.moves(old, new)?;
        let mut index = self.stack.repo.index()?;
        index.read(true)?;
        let mut edited = Vec::new();
        let paths: HashSet<&Path> = moves.iter().map(|file| file.path.as_path()).collect();
        let mut behind = HashSet::new();
        for (at, file) in moves.iter().enumerate() {
            let is_new = self.stands(&file.path, file.new, &paths)?;
            if is_new && staged(&index, &file.path) == file.new {
                continue;
            }
            behind.insert(at);
            if !is_new
                && !self.stands(&file.path, file.old, &paths)?
                && !self.stands(&file.path, None, &paths)?
            {
                edited.push(format!("    {}", file.path.display()));
            }
        }
        if !edited.is_empty() {
            bail!(
                "a change of {} was interrupted, and meanwhile somebody edited files that it has to rewrite; \
                 save the edits and undo them (`git -C {} checkout HEAD -- FILE`):\n{}",
                self.worktree.display(),
                self.worktree.display(),
                edited.join("\n")
            );
        }
        let mut at = 0..;
        let behind: Vec<FileMove> = moves
            .into_iter()
            .filter(|_| at.next().is_some_and(|at| behind.contains(&at)))
            .collect();
        self.write_files(&behind, &mut index)?;
        self.write_intent("")?;
        Ok(behind.into_iter().map(|file| file.path).collect())
    }

    fn ref_lock(&self) -> PathBuf {
        let branch = self.repo.commondir().join(create::branch_ref(&self.stack.branch));
        beside(&branch, ".lock")
    }

    pub(super) fn write_intent(&mut self, text: &str) -> Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        self.lock.write_all(text.as_bytes())?;
        self.lock
            .sync_data()
            .context("recording what is about to change in the work tree")
    }

    /// The files that differ. Errors: one of them is a submodule, which is never changed.
    fn moves(&self, old: Oid, new: Oid) -> Result<Vec<FileMove>> {
        let old = self.stack.repo.find_commit(old)?.tree()?;
        let new = self.stack.repo.find_commit(new)?.tree()?;
        let diff = self.repo.diff_tree_to_tree(
            Some(&old),
            Some(&new),
            Some(DiffOptions::new().include_typechange(true)),
        )?;
        let mut moves = Vec::new();
        for delta in diff.deltas() {
            let side = |file: git2::DiffFile, there: bool| there.then(|| (file.id(), file.mode()));
            let path = delta
                .new_file()
                .path_bytes()
                .or(delta.old_file().path_bytes())
                .context("a change without a path")?;
            let path = path_of(path);
            let old = side(delta.old_file(), delta.status() != Delta::Added);
            let new = side(delta.new_file(), delta.status() != Delta::Deleted);
            if [old, new]
                .iter()
                .flatten()
                .any(|(_, mode)| *mode == FileMode::Commit)
            {
                bail!(
                    "{} is a submodule, and Lockstep does not change submodules; nothing was changed",
                    path.display()
                );
            }
            moves.push(FileMove { path, old, new });
        }
        // Removals first: a file may take the place of a folder.
        moves.sort_by_key(|file| file.new.is_some());
        Ok(moves)
    }

    /// Brings the index, and no file, from one commit to another.
    pub(super) fn index_files(&self, old: Oid, new: Oid) -> Result<()> {
        let mut index = self.stack.repo.index()?;
        index.read(true)?;
        for file in self.moves(old, new)? {
            match file.new {
                None if index.get_path(&file.path, 0).is_some() => index.remove(&file.path, 0)?,
                None => {}
                Some((id, mode)) => index.add(&self.index_entry(&file.path, id, mode)?)?,
            }
        }
        index.write().context("writing the index of the work tree")
    }

    /// Rewrites the files, then the index, whose entries of all other files stay.
    fn write_files(&self, moves: &[FileMove], index: &mut Index) -> Result<()> {
        for file in moves {
            let doing = || format!("writing {}", self.worktree.join(&file.path).display());
            match file.new {
                None => {
                    self.remove_file(&file.path).with_context(doing)?;
                    if index.get_path(&file.path, 0).is_some() {
                        index.remove(&file.path, 0)?;
                    }
                }
                Some((id, mode)) => {
                    self.write_file(&file.path, id, mode).with_context(doing)?;
                    index.add(&self.index_entry(&file.path, id, mode).with_context(doing)?)?;
                }
            }
        }
        index.write().context("writing the index of the work tree")
    }

    /// Writes a file next to the work tree and renames it into place. A leftover of a killed process is overwritten.
    fn write_file(&self, path: &Path, id: Oid, mode: FileMode) -> Result<()> {
        let blob = self.stack.repo.find_blob(id)?;
        let target = self.worktree.join(path);
        let writing = beside(&self.worktree, ".writing");
        match fs::remove_file(&writing) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", writing.display()));
            }
            _ => {}
        }
        match self.content(path)? {
            Content::Beyond(file) => bail!("{} is there, where a folder has to be", file.display()),
            Content::Folder => remove_empty(&target)?,
            _ => {}
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        if mode == FileMode::Link {
            symlink(path_of(blob.content()), &writing)?;
        } else {
            // As git does: all that the user's umask allows.
            let bits = if mode == FileMode::BlobExecutable {
                0o777
            } else {
                0o666
            };
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(bits)
                .open(&writing)?;
            file.write_all(blob.content())?;
        }
        Ok(fs::rename(&writing, &target)?)
    }

    /// Removes a file, and the folders that are empty without it.
    fn remove_file(&self, path: &Path) -> Result<()> {
        match self.content(path)? {
            Content::Is(..) => fs::remove_file(self.worktree.join(path))?,
            // It is gone already: a folder has its place, or a file that of its folder.
            Content::Absent | Content::Folder => {}
            Content::Beyond(_) => return Ok(()),
            Content::Other => bail!("it is not a file any more"),
        }
        for folder in path
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            if fs::remove_dir(self.worktree.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn index_entry(&self, path: &Path, id: Oid, mode: FileMode) -> Result<IndexEntry> {
        let metadata = fs::symlink_metadata(self.worktree.join(path))?;
        Ok(IndexEntry {
            ctime: IndexTime::new(metadata.ctime() as i32, metadata.ctime_nsec() as u32),
            mtime: IndexTime::new(metadata.mtime() as i32, metadata.mtime_nsec() as u32),
            dev: metadata.dev() as u32,
            ino: metadata.ino() as u32,
            mode: u32::from(mode),
            uid: metadata.uid(),
            gid: metadata.gid(),
            file_size: metadata.size() as u32,
            id,
            flags: 0,
            flags_extended: 0,
            path: path.as_os_str().as_bytes().to_vec(),
        })
    }
}

/// Removes a folder that holds nothing but empty folders.
fn remove_empty(folder: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(folder).contents_first(true) {
        fs::remove_dir(entry?.path())?;
    }
    Ok(())
}

fn staged(index: &Index, path: &Path) -> Side {
    let entry = index.get_path(path, 0)?;
    let mode = match entry.mode {
        0o120000 => FileMode::Link,
        0o100755 => FileMode::BlobExecutable,
        _ => FileMode::Blob,
    };
    Some((entry.id, mode))
}
