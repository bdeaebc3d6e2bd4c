//! The folder where the locks are, and how a file in a folder that everyone may write to is opened.

use super::Alias;
use crate::host::environment::{self, LOCKS as VARIABLE};
use crate::host::files;
use crate::host::one_line::one_line_of;
use crate::host::scratch;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, lstat};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the locks are: the first that everyone may write to. Which one depends on the host alone, so that all of its users agree.
const USUAL: [&str; 2] = ["/run/lock", "/tmp"];
/// Everyone may make files, and only their owner (or root, who owns the folder) may remove them.
const STICKY_FOR_ALL: u32 = 0o1777;

/// A folder for locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

impl Place {
    /// The folder that all users of this host share. Errors: there is none; the one that `$LOCKSTEP_LOCKS` names cannot be used.
    pub fn of_this_host() -> Result<Self> {
        // For hosts that have none of the usual, and for tests.
        if let Some(named) = environment::folder(VARIABLE)? {
            return Place::at(&named).with_context(|| format!("using the folder of {VARIABLE}"));
        }
        let is_shared = |path: &&&str| {
            std::fs::symlink_metadata(path).is_ok_and(|folder| {
                folder.is_dir() && folder.uid() == 0 && folder.mode() & 0o7777 == STICKY_FOR_ALL
            })
        };
        match USUAL.iter().find(is_shared) {
            Some(path) => Ok(Place(path.into())),
            None => bail!(
                "there is no folder for locks that all users of this host share: neither {} belongs to root and has mode 1777; name one in {VARIABLE}",
                USUAL.join(" nor ")
            ),
        }
    }

    /// A folder that was named. Errors: it is not there, it is someone else's, or others can replace what is in it.
    pub fn at(folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("looking for the folder {}", folder.display()))?;
        let found = std::fs::metadata(&folder).with_context(|| format!("reading {}", folder.display()))?;
        ensure!(found.is_dir(), "{} is not a folder", folder.display());
        let owner = found.uid();
        ensure!(
            owner == 0 || owner == rustix::process::getuid().as_raw(),
            "{} belongs to user {}: allowed are root and the user of this process",
            folder.display(),
            user_name(owner)
        );
        ensure!(
            found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0,
            "{} has mode {:o}: others can replace what is in it (allowed: not writable for others, or sticky)",
            folder.display(),
            found.mode() & 0o7777
        );
        Ok(Place(folder))
    }

    /// The file of a name.
    pub fn path(&self, name: &Alias) -> PathBuf {
        let hash = files::sha256(name.key.as_bytes());
        self.0
            .join(format!("lockstep-{}.lock", hash.get(..32).unwrap_or(&hash)))
    }

    /// Opens a lock's file, and makes it when it is not there. Errors: something else has its name.
    pub(super) fn open(&self, path: &Path) -> Result<File> {
        // Each turn finds a file, or makes one and finds it; someone who keeps on removing it is not waited for.
        for _ in 0..100 {
            match open_plain(path, OFlags::RDWR)? {
                Some(file) => return Ok(file),
                None => self.make(path)?,
            }
        }
        bail!("another process keeps on removing it")
    }

    /// Opens a lock's file where it is there.
    pub(super) fn open_to_look(&self, path: &Path) -> Result<Option<File>> {
        open_plain(path, OFlags::RDONLY)
    }

    /// It has its mode before it has its name: everyone may write a note into it.
    fn make(&self, path: &Path) -> Result<()> {
        scratch::publish(path, 0o666)
            .map(drop)
            .with_context(|| format!("making a file in {}", self.0.display()))
    }
}

/// Opens a plain file that has one name only; none where nothing has this one. A file that may not be written is opened for reading: that is
/// enough to lock it.
fn open_plain(path: &Path, access: OFlags) -> Result<Option<File>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, access | flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ACCESS) if access == OFlags::RDWR => return open_plain(path, OFlags::RDONLY),
        Err(Errno::LOOP) => bail!("it is a symbolic link, which nothing of ours makes: remove it"),
        Err(error) => {
            let owner = lstat(path).map_or("an unknown user".into(), |found| user_name(found.st_uid));
            return Err(error).with_context(|| format!("it belongs to {owner}"));
        }
    };
    let found = fstat(&file)?;
    let is_plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    ensure!(
        is_plain && found.st_nlink <= 1,
        "it is not a plain file with one name, and nothing of ours makes another one: user {} did; remove it",
        user_name(found.st_uid)
    );
    Ok(Some(file.into()))
}

/// Whether this open file is the one that has this name.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: Stat, b: Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    match (fstat(file), lstat(path)) {
        (Ok(open), Ok(named)) => same(open, named),
        _ => false,
    }
}

/// A user's name by the number, where this host's own list has it (passwd(5)), else the number.
pub(super) fn user_name(uid: u32) -> String {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let name = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_string())
    });
    name.unwrap_or(number)
}

/// Longest note that is shown, in characters.
const SHOWN: usize = 600;

/// Foreign text on one line of its own.
pub(super) fn on_one_line(text: &str) -> String {
    one_line_of(text, SHOWN)
}
