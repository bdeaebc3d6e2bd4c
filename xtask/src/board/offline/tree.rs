//! Files of one mount in this host, reached from its descriptor alone.
//!
//! *Architecture invariant:* what is on a foreign disk is opened, listed, written and removed here
//! and nowhere else. Every path is resolved by openat2(2) with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`: whatever names and links the disk has, nothing outside of it is reached.

mod writing;

use super::super::inventory::{BoardPath, Content, Entry, Inventory};
use crate::host::one_line;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Most names in one folder. The largest of a distribution has some thousands.
const NAMES: usize = 100_000;
/// Most files that are looked at in one inventory.
const FILES: usize = 300_000;
/// Most folders below each other. Linux's own modules have twelve.
const DEPTH: usize = 128;
/// Stands for the hash of a file that is not the backup's by its size already: it is not read.
const NOT_READ: &str = "";

/// One mount.
pub(super) struct Tree {
    root: OwnedFd,
    /// Its root for a person: `/mnt`, or `/dev/sdb, partition at 1 MiB`.
    shown: String,
    kind: Kind,
}

/// Which other mounts may be entered on the way to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The user mounted it, perhaps with further partitions (`/usr`) below it.
    Folder,
    /// It was mounted here, and nothing can be mounted in it.
    Mount,
}

/// What stands where a file is expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// A regular file with these bytes.
    File(Vec<u8>),
    /// A regular file with more bytes than are read of it.
    TooLarge,
    /// Something else: a folder, link, pipe or device. It is not read.
    Other,
}

/// How folders that are missing are made.
#[derive(Clone, Copy)]
pub(super) struct Folders<'a> {
    /// Where the mount is on the board.
    pub mount: &'a Path,
    /// Owners and modes.
    pub was: &'a Inventory,
}

impl Found {
    /// The bytes, if it is a file that could be read.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Found::File(bytes) => Some(bytes),
            Found::Absent | Found::TooLarge | Found::Other => None,
        }
    }
}

impl Tree {
    /// A folder in which the user mounted a disk.
    pub fn of_folder(root: OwnedFd, shown: String) -> Self {
        let kind = Kind::Folder;
        Tree { root, shown, kind }
    }

    /// A mount of our own.
    pub fn of_mount(root: OwnedFd, shown: String) -> Self {
        let kind = Kind::Mount;
        Tree { root, shown, kind }
    }

    /// The root's descriptor.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Another mount that lies at a folder of this one. `None`: there is no such folder.
    pub fn mounted_at(&self, below: &Path) -> Result<Option<Tree>> {
        let Some(root) = self.open(below, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())? else {
            return Ok(None);
        };
        let shown = format!("{} in {}", one_line::path(below), self.shown);
        Ok(Some(Tree::of_folder(root, shown)))
    }

    /// Whether something has this path.
    pub fn has(&self, below: &Path) -> Result<bool> {
        Ok(self.open(below, OFlags::PATH, Mode::empty())?.is_some())
    }

    /// The content of a regular file with at most `most` bytes.
    pub fn read(&self, below: &Path, most: u64) -> Result<Found> {
        let Some(found) = self.open(below, OFlags::PATH, Mode::empty())? else {
            return Ok(Found::Absent);
        };
        let doing = || format!("reading {}", self.place(below));
        let stat = rustix::fs::fstat(&found).with_context(doing)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Found::Other);
        }
        if size(&stat) > most {
            return Ok(Found::TooLarge);
        }
        let mut bytes = Vec::new();
        let file = readable(&found).with_context(doing)?;
        let taken = file.take(most.saturating_add(1)).read_to_end(&mut bytes);
        taken.map_err(|error| explained_io(error, doing()))?;
        if bytes.len() as u64 > most {
            return Ok(Found::TooLarge);
        }
        Ok(Found::File(bytes))
    }

    /// Names in a folder; none if it is not there.
    pub fn names(&self, below: &Path) -> Result<Vec<OsString>> {
        match self.folder(below)? {
            Some(folder) => names(folder.as_fd(), &self.place(below)),
            None => Ok(Vec::new()),
        }
    }

    /// Everything at and below `below`, which is `path` on the board, on its own mount; nothing if
    /// it is not there. Folders that the backup does not have are not entered, and files that
    /// cannot be the backup's by their size are not read.
    pub fn inventory(&self, below: &Path, path: &Path, was: &Inventory) -> Result<Inventory> {
        let mut seen = Inventory::new();
        let Some(found) = self.open(below, OFlags::PATH, Mode::empty())? else {
            return Ok(seen);
        };
        let walk = Walk {
            was,
            filesystem: self.filesystem()?,
        };
        walk.enter(found.as_fd(), path.to_path_buf(), DEPTH, &mut seen)
            .with_context(|| format!("looking at {}", self.place(below)))?;
        Ok(seen)
    }

    /// What find(1) would call the file system, as far as it matters: whether owners and times are
    /// kept on it.
    fn filesystem(&self) -> Result<&'static str> {
        // Documentation of each: MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC and FUSE_SUPER_MAGIC of
        // linux/magic.h.
        const WITHOUT_OWNERS: [u32; 3] = [0x4d44, 0x2011_bab0, 0x6573_5546];
        let looked = rustix::fs::fstatfs(&self.root).with_context(|| format!("looking at {}", self.shown))?;
        let magic = u32::try_from(looked.f_type).unwrap_or(0);
        Ok(match WITHOUT_OWNERS.contains(&magic) {
            true => "vfat",
            false => "disk",
        })
    }

    /// Where something is, for a person.
    fn place(&self, below: &Path) -> String {
        format!("/{} in {}", one_line::path(below), self.shown)
    }

    /// A folder, to list it and to change what is in it.
    fn folder(&self, below: &Path) -> Result<Option<OwnedFd>> {
        self.open(below, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    /// *The* way to a file. A link at the end of the path is opened itself, as only `O_PATH` can;
    /// one before the end is an error.
    fn open(&self, below: &Path, flags: OFlags, mode: Mode) -> Result<Option<OwnedFd>> {
        let straight = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            straight,
            "{}: only a path without `.` and `..` is looked up on a disk",
            self.place(below)
        );
        let path = match below.as_os_str().is_empty() {
            true => Path::new("."),
            false => below,
        };
        let crossing = match self.kind {
            Kind::Folder => ResolveFlags::empty(),
            Kind::Mount => ResolveFlags::NO_XDEV,
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.root, path, flags, mode, resolve | crossing) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(explained(error, format!("opening {}", self.place(below)))),
        }
    }
}

/// An inventory that is being taken.
struct Walk<'a> {
    was: &'a Inventory,
    filesystem: &'static str,
}

impl Walk<'_> {
    fn enter(&self, found: BorrowedFd<'_>, path: PathBuf, depth: usize, seen: &mut Inventory) -> Result<()> {
        let shown = one_line::path(&path);
        ensure!(seen.len() < FILES, "{shown}: there are more than {FILES} files");
        let doing = || format!("looking at {shown}");
        let stat = rustix::fs::fstat(found).map_err(|error| explained(error, doing()))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let was = self.was.get(&path);
        let content = match kind {
            FileType::Directory => Content::Folder,
            FileType::RegularFile => content_of(found, &stat, was).with_context(doing)?,
            FileType::Symlink => Content::Link {
                to: link(found).map_err(|error| explained(error, doing()))?,
            },
            _ => Content::Other("other".into()),
        };
        let known = was.is_some();
        // Not [`Inventory::add`]: what was not read has no hash.
        let place = BoardPath::new(&path)?;
        let twice = seen.insert(place, entry(&stat, content, self.filesystem));
        ensure!(twice.is_none(), "{shown}: it is listed twice");
        if kind != FileType::Directory || !known {
            return Ok(());
        }
        let depth = depth
            .checked_sub(1)
            .with_context(|| format!("{shown}: there are more than {DEPTH} folders below each other"))?;
        let Some(folder) = child(found, OsStr::new("."), OFlags::RDONLY | OFlags::DIRECTORY, &shown)? else {
            bail!("{shown}: it is gone while it is looked at");
        };
        for name in names(folder.as_fd(), &shown)? {
            let below = path.join(&name);
            let shown = one_line::path(&below);
            ensure!(name.to_str().is_some(), "{shown}: the name is not UTF-8");
            let inside = child(folder.as_fd(), &name, OFlags::PATH, &shown)?;
            let inside =
                inside.with_context(|| damaged(format!("{shown}: it is listed, and is not there")))?;
            self.enter(inside.as_fd(), below, depth, seen)?;
        }
        Ok(())
    }
}

/// Something in a folder, on the same mount.
fn child(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlags, shown: &str) -> Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(explained(error, format!("opening {shown}"))),
    }
}

/// Names in a folder but `.` and `..`. Errors: it cannot be listed to its end, or has names that no
/// sound file system has.
fn names(folder: BorrowedFd<'_>, shown: &str) -> Result<Vec<OsString>> {
    let doing = || format!("listing {shown}");
    let mut found = BTreeSet::new();
    let mut dots = BTreeSet::new();
    for entry in Dir::read_from(folder).map_err(|error| explained(error, doing()))? {
        let entry = entry.map_err(|error| explained(error, doing()))?;
        let name = entry.file_name().to_bytes();
        let is_dots = matches!(name, b"." | b"..");
        let new = match is_dots {
            true => dots.insert(name.to_vec()),
            false => found.insert(OsString::from_vec(name.to_vec())),
        };
        let fault = if name.is_empty() {
            "a name is empty"
        } else if name.contains(&b'/') {
            "a name has a `/` in it"
        } else if !new {
            "two entries have one name"
        } else if found.len() > NAMES {
            bail!("{}: there are more than {NAMES} names", doing());
        } else {
            continue;
        };
        let name = one_line::one_line(&String::from_utf8_lossy(name));
        bail!(damaged(format!("{}: {fault} (`{name}`)", doing())));
    }
    Ok(found.into_iter().collect())
}

/// A regular file, hashed if it can be the one that the backup has.
fn content_of(found: BorrowedFd<'_>, stat: &Stat, was: Option<&Entry>) -> Result<Content> {
    let size = size(stat);
    let expected = was.is_some_and(|was| was.sha256().is_some() && was.size() == size);
    let sha256 = match expected {
        true => hash(found, size)?,
        false => NOT_READ.to_string(),
    };
    Ok(Content::File { size, sha256 })
}

fn hash(found: BorrowedFd<'_>, size: u64) -> Result<String> {
    let mut file = readable(found)?.take(size);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut left = size;
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|error| explained_io(error, "hashing it".into()))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
        left = left.saturating_sub(read as u64);
    }
    ensure!(
        left == 0,
        "hashing it: it is {left} bytes shorter than its folder says"
    );
    Ok(hex::encode(hasher.finalize()))
}

/// Opens what is known to be a regular file, by its descriptor: opening a pipe or a device by its
/// name can wait, or do something.
fn readable(found: impl AsFd) -> Result<File> {
    let link = format!("/proc/self/fd/{}", found.as_fd().as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, link, flags, Mode::empty());
    let opened = opened.map_err(|error| explained(error, "opening it".into()))?;
    Ok(File::from(opened))
}

fn link(found: BorrowedFd<'_>) -> rustix::io::Result<String> {
    let to = rustix::fs::readlinkat(found, "", Vec::new())?;
    Ok(String::from_utf8_lossy(to.as_bytes()).into_owned())
}

fn entry(stat: &Stat, content: Content, filesystem: &str) -> Entry {
    Entry {
        content,
        mode: stat.st_mode & 0o7777,
        owner: (stat.st_uid, stat.st_gid),
        modified: stat.st_mtime,
        filesystem: filesystem.to_string(),
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What a refusal of the kernel means on a foreign disk.
fn explained(error: Errno, doing: String) -> anyhow::Error {
    // EFSCORRUPTED and EFSBADCRC of ext4 are these two (fs/ext4/ext4.h).
    let is_damage = matches!(error, Errno::IO | Errno::UCLEAN | Errno::BADMSG);
    let why = match error {
        Errno::LOOP => "a symbolic link is on the way, and none on a foreign disk is followed",
        Errno::XDEV => "it is on another mount",
        Errno::NOTDIR => "something on the way is no folder",
        Errno::NOSYS => "this host's kernel is older than Linux 5.6, which is needed",
        _ if is_damage => return anyhow!(error).context(damaged(doing)),
        _ => return anyhow!(error).context(doing),
    };
    anyhow!(error).context(format!("{doing}: {why}"))
}

fn explained_io(error: std::io::Error, doing: String) -> anyhow::Error {
    match error.raw_os_error() {
        Some(code) => explained(Errno::from_raw_os_error(code), doing),
        None => anyhow!(error).context(doing),
    }
}

fn damaged(what: String) -> String {
    format!(
        "{what}: the file system is damaged, or its disk is: a person has to look at it (`e2fsck -f`, `fsck.vfat -w`)"
    )
}

/// The folder and the name in it.
fn split(below: &Path) -> Result<(&Path, &OsStr)> {
    let (Some(folder), Some(name)) = (below.parent(), below.file_name()) else {
        bail!("`{}` is no file in a folder", one_line::path(below));
    };
    Ok((folder, name))
}

/// Whether something of this name is in a folder.
fn is_there(folder: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<Option<FileType>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
