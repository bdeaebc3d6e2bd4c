//! Changes on one mount: each is whole or not there, and on the medium before the next one.

use super::super::super::inventory::Entry;
use super::super::super::script;
use super::{DEPTH, Folders, Tree, child, explained, is_there, names, split};
use crate::host::one_line;
use anyhow::{Context, Result, bail, ensure};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, StatVfsMountFlags, Timespec, Timestamps, Uid};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

impl Tree {
    /// Errors: nothing can be written on it.
    pub fn check_writable(&self) -> Result<()> {
        let looked =
            rustix::fs::fstatvfs(&self.root).with_context(|| format!("looking at {}", self.shown))?;
        ensure!(
            !looked.f_flag.contains(StatVfsMountFlags::RDONLY),
            "{} is mounted read-only: mount it for writing, and do this again; nothing was changed",
            self.shown
        );
        Ok(())
    }

    /// Writes a file next to its target and renames it, with its mode, owner and time where the
    /// file system keeps them. Folders that are missing are made as the backup has them; `folders`
    /// is their place on the board. Dying partway it leaves a file `.lockstep-…`, which the next
    /// rollback knows.
    pub fn write(&self, below: &Path, bytes: &[u8], entry: &Entry, folders: Folders) -> Result<()> {
        let doing = || format!("writing {}", self.place(below));
        let (folder, name) = split(below)?;
        let folder = self.made_folder(folder, folders).with_context(doing)?;
        let folder = folder.as_fd();
        // On FAT the clusters of the old file must not be free before the new name is on the
        // medium.
        let old = self.open(below, OFlags::PATH, Mode::empty())?;
        if is_there(folder, name).with_context(doing)? == Some(FileType::Directory) {
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
                .with_context(|| format!("{}: removing the folder in its place", doing()))?;
        }
        let temporary = format!(".lockstep-{}", script::random_hex::<6>()?);
        let written = self
            .write_new(folder, &temporary, bytes, entry)
            .and_then(|()| Ok(rustix::fs::renameat(folder, &temporary, folder, name)?));
        if let Err(error) = written {
            // The error is the one to report; what stays is known by its name.
            let _ = rustix::fs::unlinkat(folder, &temporary, AtFlags::empty());
            return Err(error.context(doing()));
        }
        rustix::fs::fsync(folder).with_context(doing)?;
        drop(old);
        Ok(())
    }

    fn write_new(&self, folder: BorrowedFd<'_>, name: &str, bytes: &[u8], entry: &Entry) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        self.dress(file.as_fd(), entry)?;
        let time = Timespec {
            tv_sec: entry.modified,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&file, &times)?;
        Ok(file.sync_all()?)
    }

    /// Owner and mode, in this order: chown(2) clears set-user-ID.
    fn dress(&self, found: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
        let (user, group) = entry.owner;
        let dressed = rustix::fs::fchown(found, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
            .and_then(|()| rustix::fs::fchmod(found, Mode::from_raw_mode(entry.mode & 0o7777)));
        match self.filesystem()? {
            // It keeps neither, and how it refuses depends on how it is mounted.
            "vfat" => Ok(()),
            _ => dressed.context("setting owner and mode"),
        }
    }

    fn made_folder(&self, below: &Path, folders: Folders) -> Result<OwnedFd> {
        if let Some(folder) = self.folder(below)? {
            return Ok(folder);
        }
        let doing = || format!("making the folder {}", self.place(below));
        let (parent, name) = split(below)?;
        let parent = self.made_folder(parent, folders)?;
        rustix::fs::mkdirat(&parent, name, Mode::RWXU).with_context(doing)?;
        let made = self
            .folder(below)?
            .with_context(|| format!("{}: it is not there", doing()))?;
        match folders.was.get(&folders.mount.join(below)) {
            Some(was) => self.dress(made.as_fd(), was).with_context(doing)?,
            None => rustix::fs::fchmod(&made, Mode::from_raw_mode(0o755)).with_context(doing)?,
        }
        rustix::fs::fsync(&made).with_context(doing)?;
        rustix::fs::fsync(&parent).with_context(doing)?;
        Ok(made)
    }

    /// Removes a file, link or folder with all that is in it. Nothing that is mounted in it is
    /// touched.
    pub fn remove(&self, below: &Path) -> Result<()> {
        let (folder, name) = split(below)?;
        let Some(folder) = self.folder(folder)? else {
            return Ok(());
        };
        let doing = || format!("removing {}", self.place(below));
        remove_in(folder.as_fd(), name, below, DEPTH).with_context(doing)?;
        rustix::fs::fsync(&folder).with_context(doing)
    }

    /// Another name in the same folder, which is free.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let doing = || format!("renaming {}", self.place(from));
        let ((folder, old), (same, new)) = (split(from)?, split(to)?);
        ensure!(
            folder == same,
            "{}: {} is in another folder",
            doing(),
            self.place(to)
        );
        let folder = self
            .folder(folder)?
            .with_context(|| format!("{}: its folder is gone", doing()))?;
        let taken = is_there(folder.as_fd(), new).with_context(doing)?;
        ensure!(
            taken.is_none(),
            "{}: {} is there already",
            doing(),
            self.place(to)
        );
        rustix::fs::renameat(&folder, old, &folder, new).with_context(doing)?;
        rustix::fs::fsync(&folder).with_context(doing)
    }

    /// Everything is on the medium.
    pub fn flush(&self) -> Result<()> {
        let doing = || format!("flushing {}", self.shown);
        let root = self.folder(Path::new(""))?.with_context(doing)?;
        rustix::fs::syncfs(&root).with_context(doing)
    }
}

fn remove_in(folder: BorrowedFd<'_>, name: &OsStr, path: &Path, depth: usize) -> Result<()> {
    let shown = one_line::path(path);
    let kind = is_there(folder, name).map_err(|error| explained(error, format!("looking at {shown}")))?;
    let doing = || format!("removing {shown}");
    let flags = match kind {
        None => return Ok(()),
        Some(FileType::Directory) => AtFlags::REMOVEDIR,
        Some(_) => AtFlags::empty(),
    };
    if flags == AtFlags::REMOVEDIR {
        let Some(depth) = depth.checked_sub(1) else {
            bail!("{shown}: there are more than {DEPTH} folders below each other");
        };
        let inside = child(folder, name, OFlags::RDONLY | OFlags::DIRECTORY, &shown)?;
        let inside = inside.with_context(|| format!("{}: it is gone", doing()))?;
        for name in names(inside.as_fd(), &shown)? {
            let below: PathBuf = path.join(&name);
            remove_in(inside.as_fd(), &name, &below, depth)?;
        }
    }
    rustix::fs::unlinkat(folder, name, flags).map_err(|error| explained(error, doing()))
}
