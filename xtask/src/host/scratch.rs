//! Temporary files and folders. They are gone when their value is dropped, and what a process that was killed
//! left is removed by the next one that makes any in the same place.
//!
//! Each is known by its name ([`PREFIX`]) and belongs to whoever holds its flock(2), which ends with the
//! process, however it ends.

use super::environment;
use super::one_line;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, lstat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::{NamedTempFile, TempDir};

/// What the name of each begins with. A dot, so that no list of patches, boards or runs has it.
pub const PREFIX: &str = ".lockstep-tmp-";

/// So many are made before it is given up that another process sweeps each of them away at once.
const TRIES: usize = 20;

/// A folder that goes away with this value.
#[derive(Debug)]
pub struct ScratchFolder {
    folder: TempDir,
    /// Closed after the folder is gone: fields are dropped in their order.
    _owner: Option<File>,
}

impl ScratchFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A new folder, private to the user, in the place of our own: `lockstep-UID` in `$TMPDIR` or `/tmp`.
pub fn folder() -> Result<ScratchFolder> {
    folder_in(&place()?)
}

/// A new folder in `parent`, for what is renamed from there to a place next to it.
pub fn folder_in(parent: &Path) -> Result<ScratchFolder> {
    let doing = || format!("making a temporary folder in {}", one_line::path(parent));
    let make = || tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
    let (folder, owner) = owned(parent, make, |folder| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(folder.path(), flags, Mode::empty())?.into())
    })
    .with_context(doing)?;
    Ok(ScratchFolder {
        folder,
        _owner: owner,
    })
}

/// A new file in `parent`, for what is renamed from there to a place next to it.
pub fn file_in(parent: &Path) -> Result<NamedTempFile> {
    let doing = || format!("making a temporary file in {}", one_line::path(parent));
    let make = || tempfile::Builder::new().prefix(PREFIX).tempfile_in(parent);
    // The lock belongs to the open file, of which this is a second descriptor.
    let (file, _) = owned(parent, make, |file| file.as_file().try_clone()).with_context(doing)?;
    Ok(file)
}

/// A new file without a name: nothing can be left of it.
pub fn unnamed() -> Result<File> {
    let place = place()?;
    tempfile::tempfile_in(&place)
        .with_context(|| format!("making a temporary file in {}", one_line::path(&place)))
}

/// Gives `path` to a new file of a mode, at once and with it. `false`: something has that name. Nothing is left of it
/// where this dies.
pub fn publish(path: &Path, mode: u32) -> Result<bool> {
    let folder = path.parent().context("a file without a folder")?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = match rustix::fs::open(folder, flags, Mode::from_raw_mode(0o600)) {
        Ok(file) => File::from(file),
        // The file system has no files without a name: one that has one.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => return rename_into(path, mode),
        Err(error) => return Err(error.into()),
    };
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let here = rustix::fs::CWD;
    match rustix::fs::linkat(here, descriptor, here, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error).context("giving it its name"),
    }
}

fn rename_into(path: &Path, mode: u32) -> Result<bool> {
    let folder = path.parent().context("a file without a folder")?;
    let file = file_in(folder)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error).context("giving it its name"),
    }
}

/// Makes one and takes its lock; `None` for the lock where the file system has none, and nothing is swept there.
fn owned<T: AsRef<Path>>(
    parent: &Path,
    make: impl Fn() -> std::io::Result<T>,
    open: impl Fn(&T) -> std::io::Result<File>,
) -> Result<(T, Option<File>)> {
    sweep_once(parent);
    for _ in 0..TRIES {
        let made = make()?;
        // Before the lock is held, another process may take what was just made for left over.
        let owner = match open(&made) {
            Ok(owner) => owner,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        match flock(&owner, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&owner, made.as_ref()) => return Ok((made, Some(owner))),
            Ok(()) | Err(Errno::WOULDBLOCK) => {}
            Err(_) => return Ok((made, None)),
        }
    }
    bail!("another process keeps on removing what is made there")
}

fn is_at(file: &File, path: &Path) -> bool {
    match (fstat(file), lstat(path)) {
        (Ok(open), Ok(named)) => (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino),
        _ => false,
    }
}

/// Sweeps each folder once in the life of this process: a folder of thousands of files is not listed for each of
/// them.
fn sweep_once(parent: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.insert(parent.to_path_buf()) {
        sweep(parent);
    }
}

/// Removes what owners that are gone have left in a folder. What cannot be removed (another user's) stays.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            continue;
        }
        let path = entry.path();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::open(&path, flags, Mode::empty()) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let kind = fstat(&file).map(|found| FileType::from_raw_mode(found.st_mode));
        match kind {
            Ok(FileType::Directory) => drop(fs::remove_dir_all(&path)),
            Ok(FileType::RegularFile) => drop(fs::remove_file(&path)),
            _ => {}
        }
    }
}

/// The folder of our own, made where it is not there. Errors: it is someone else's, or open to others.
fn place() -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let place = environment::temporary()?.join(format!("lockstep-{user}"));
    let doing = || format!("using the folder for temporary files {}", one_line::path(&place));
    match fs::DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error).with_context(doing)?,
        _ => {}
    }
    let found = fs::symlink_metadata(&place).with_context(doing)?;
    ensure!(
        found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0,
        "{}: it belongs to user {} and has mode {:o}, but has to be a folder of user {user} with mode 700; \
         remove it, or name another place in {}",
        doing(),
        found.uid(),
        found.mode() & 0o7777,
        environment::TEMPORARY
    );
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_dead_owner_left_is_swept_and_what_is_in_use_or_another_s_stays() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path();
        let (living, file) = (folder_in(parent).unwrap(), file_in(parent).unwrap());
        fs::write(living.path().join("x"), "x").unwrap();
        let dead = parent.join(format!("{PREFIX}dead"));
        fs::create_dir_all(dead.join("tree/.git")).unwrap();
        symlink(parent, dead.join("tree/up")).unwrap();
        fs::write(parent.join(format!("{PREFIX}file")), "x").unwrap();
        fs::write(parent.join("precious"), "x").unwrap();
        let link = parent.join(format!("{PREFIX}link"));
        symlink("precious", &link).unwrap();
        let pipe = parent.join(format!("{PREFIX}pipe"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).unwrap();
        sweep(parent);
        fs::remove_file(link).unwrap();
        fs::remove_file(pipe).unwrap();
        assert_eq!(names(parent).len(), 3, "{:?}", names(parent));
        assert!(living.path().join("x").is_file() && file.path().is_file());
        let target = parent.join("target");
        file.persist(&target).unwrap();
        drop(living);
        assert_eq!(names(parent), ["precious", "target"]);
    }

    #[test]
    fn a_published_file_has_its_mode_and_replaces_nothing() {
        let parent = tempfile::tempdir().unwrap();
        for make in [publish, rename_into] {
            let path = parent.path().join("lock");
            assert!(make(&path, 0o666).unwrap());
            let mode = fs::metadata(&path).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o666);
            fs::write(&path, "note").unwrap();
            assert!(!make(&path, 0o666).unwrap());
            assert_eq!(fs::read(&path).unwrap(), b"note");
            assert_eq!(names(parent.path()), ["lock"]);
            fs::remove_file(&path).unwrap();
        }
    }
}
