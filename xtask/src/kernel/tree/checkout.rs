//! Moving the branch and the files: only the files that differ, in an order that survives a kill.

use super::{Tree, create};
use anyhow::{Context, Result, bail};
use git2::{Delta, DiffOptions, FileMode, Index, IndexEntry, IndexTime, ObjectType, Oid};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The one name of half-written files, at the root of the work tree: a leftover is overwritten by the next write.
const WRITING: &str = ".lockstep-writing";

/// A program that is being started has our open files until it is executed, locks included: so one look is not enough.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// One file that differs between two commits; `None` where it is not there.
struct FileMove {
    path: PathBuf,
    old: Option<(Oid, FileMode)>,
    new: Option<(Oid, FileMode)>,
}

/// Takes the lock of a work tree, a file beside it, for the life of the returned handle. It also holds the
/// intent of a change under way: `<old commit> <new commit>`.
pub(super) fn take_lock(worktree: &Path) -> Result<File> {
    let mut name = worktree.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
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
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
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
        let edited: Vec<String> = moves
            .iter()
            .filter(|file| {
                self.content(&file.path) != Content::of(file.old) || staged(&index, &file.path) != file.old
            })
            .map(|file| format!("    {}", file.path.display()))
            .collect();
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
            if stale.exists() {
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
        let behind: Vec<FileMove> = moves
            .into_iter()
            .filter(|file| {
                self.content(&file.path) != Content::of(file.new) || staged(&index, &file.path) != file.new
            })
            .collect();
        let edited: Vec<String> = behind
            .iter()
            .filter(|file| {
                let there = self.content(&file.path);
                there != Content::of(file.old) && there != Content::of(file.new) && there != Content::Absent
            })
            .map(|file| format!("    {}", file.path.display()))
            .collect();
        if !edited.is_empty() {
            bail!(
                "a change of {} was interrupted, and meanwhile somebody edited files that it has to rewrite; \
                 save the edits and undo them (`git -C {} checkout HEAD -- FILE`):\n{}",
                self.worktree.display(),
                self.worktree.display(),
                edited.join("\n")
            );
        }
        self.write_files(&behind, &mut index)?;
        self.write_intent("")?;
        Ok(behind.into_iter().map(|file| file.path).collect())
    }

    fn ref_lock(&self) -> PathBuf {
        let mut name = self
            .repo
            .commondir()
            .join(create::branch_ref(&self.stack.branch))
            .into_os_string();
        name.push(".lock");
        PathBuf::from(name)
    }

    pub(super) fn write_intent(&mut self, text: &str) -> Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        self.lock.write_all(text.as_bytes())?;
        self.lock
            .sync_data()
            .context("recording what is about to change in the work tree")
    }

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
            moves.push(FileMove {
                path: PathBuf::from(std::ffi::OsStr::from_bytes(path)),
                old: side(delta.old_file(), delta.status() != Delta::Added),
                new: side(delta.new_file(), delta.status() != Delta::Deleted),
            });
        }
        // Removals first: a file may take the place of a folder.
        moves.sort_by_key(|file| file.new.is_some());
        Ok(moves)
    }

    /// What stands at a path of the work tree.
    fn content(&self, path: &Path) -> Content {
        let path = self.worktree.join(path);
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            return Content::Absent;
        };
        let read = if metadata.is_symlink() {
            fs::read_link(&path).map(|target| (target.as_os_str().as_bytes().to_vec(), FileMode::Link))
        } else if metadata.is_file() {
            let mode = if metadata.mode() & 0o100 != 0 {
                FileMode::BlobExecutable
            } else {
                FileMode::Blob
            };
            fs::read(&path).map(|bytes| (bytes, mode))
        } else {
            return Content::Other;
        };
        match read.map(|(bytes, mode)| (Oid::hash_object(ObjectType::Blob, &bytes), mode)) {
            Ok((Ok(id), mode)) => Content::Is(id, mode),
            _ => Content::Other,
        }
    }

    /// The blob of what stands at a path of the work tree, written into the repository, with its mode; `None` where
    /// nothing is there.
    pub(super) fn blob_of(&self, path: &Path) -> Result<Option<(Oid, u32)>> {
        let full = self.worktree.join(path);
        match self.content(path) {
            Content::Absent => Ok(None),
            Content::Other => bail!("it is a folder now, or cannot be read"),
            Content::Is(_, mode) => {
                let bytes = match mode {
                    FileMode::Link => fs::read_link(&full)?.into_os_string().into_encoded_bytes(),
                    _ => fs::read(&full)?,
                };
                Ok(Some((self.stack.repo.blob(&bytes)?, u32::from(mode))))
            }
        }
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
                    index.remove(&file.path, 0)?;
                }
                Some((id, mode)) => {
                    self.write_file(&file.path, id, mode).with_context(doing)?;
                    index.add(&self.index_entry(&file.path, id, mode).with_context(doing)?)?;
                }
            }
        }
        index.write().context("writing the index of the work tree")
    }

    fn write_file(&self, path: &Path, id: Oid, mode: FileMode) -> Result<()> {
        let blob = self.stack.repo.find_blob(id)?;
        let target = self.worktree.join(path);
        let writing = self.worktree.join(WRITING);
        drop(fs::remove_file(&writing));
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        match mode {
            FileMode::Link => symlink(std::ffi::OsStr::from_bytes(blob.content()), &writing)?,
            FileMode::Blob | FileMode::BlobExecutable | FileMode::BlobGroupWritable => {
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
            _ => bail!("it is a submodule; a kernel patch has none"),
        }
        Ok(fs::rename(&writing, &target)?)
    }

    /// Removes a file, and the folders that are empty without it.
    fn remove_file(&self, path: &Path) -> Result<()> {
        match fs::remove_file(self.worktree.join(path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
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

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Absent,
    Is(Oid, FileMode),
    /// A folder, or something that cannot be read.
    Other,
}

impl Content {
    fn of(side: Option<(Oid, FileMode)>) -> Self {
        side.map_or(Content::Absent, |(id, mode)| Content::Is(id, mode))
    }
}

fn staged(index: &Index, path: &Path) -> Option<(Oid, FileMode)> {
    let entry = index.get_path(path, 0)?;
    let mode = match entry.mode {
        0o120000 => FileMode::Link,
        0o100755 => FileMode::BlobExecutable,
        _ => FileMode::Blob,
    };
    Some((entry.id, mode))
}
