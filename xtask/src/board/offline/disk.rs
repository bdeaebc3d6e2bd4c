//! A board's disk in this host: what the user gave, and its files by their paths on the running
//! board.

use super::super::backup::Manifest;
use super::super::filesystem_state::{State, Unclean};
use super::super::inventory::{BoardPath, Entry, Inventory};
use super::mount::{self, Access};
use super::partitions::{self, Partition};
use super::tree::{Folders, Found, Tree};
use crate::host::one_line;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// So many of vanilla's files are looked for where a partition is to be recognised.
const SAMPLE: usize = 40;

/// What the user gave.
pub(super) struct Target {
    path: PathBuf,
    what: What,
    boot_mount: PathBuf,
    was: Inventory,
}

enum What {
    /// Where the disk is mounted.
    Folder,
    /// A block device or an image, with the partitions of vanilla's root and of its boot files,
    /// where that is another one.
    Disk {
        root: Partition,
        boot: Option<Partition>,
        /// Of a block device: no one else mounts it, or a partition of it, as long as this is open
        /// (`O_EXCL`, open(2)).
        held: Option<File>,
    },
}

impl Target {
    /// Finds out what it is. Changes nothing. Errors: it is neither, it is in use, or it has none
    /// of vanilla's files.
    pub fn open(path: &Path, manifest: &Manifest) -> Result<Self> {
        let doing = || format!("looking at {}", one_line::path(path));
        let path = path.canonicalize().with_context(doing)?;
        let stat = rustix::fs::stat(&path).with_context(doing)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut target = Target {
            what: What::Folder,
            boot_mount: manifest.protected.boot_mount.clone(),
            was: manifest.inventory.clone(),
            path,
        };
        target.what = match kind {
            FileType::Directory => What::Folder,
            FileType::BlockDevice => {
                mount::check_rights(&target.path)?;
                let held = hold(&target.path)?;
                target.recognise(Some(held), &manifest.protected.board)?
            }
            FileType::RegularFile => {
                mount::check_rights(&target.path)?;
                target.recognise(None, &manifest.protected.board)?
            }
            _ => bail!(
                "{} is neither a block device, nor an image, nor a folder where a disk is mounted",
                target.shown()
            ),
        };
        if matches!(target.what, What::Folder) {
            let disk = target.files(Access::Look)?;
            let mut known = false;
            for path in target.sample(None) {
                known = known || disk.has(path)?;
            }
            ensure!(
                known,
                "none of vanilla's files is in {}: is it where the disk of board `{}` is mounted?",
                target.shown(),
                manifest.protected.board
            );
        }
        Ok(target)
    }

    /// What it is, for a person.
    pub fn shown(&self) -> String {
        one_line::path(&self.path)
    }

    /// File systems on it that were not left in order, as far as they can be seen: of a folder
    /// nothing is known.
    pub fn unclean(&self) -> Vec<Unclean> {
        match &self.what {
            What::Folder => Vec::new(),
            What::Disk { root, boot, .. } => [Some(root), boot.as_ref()]
                .into_iter()
                .flatten()
                .filter_map(|partition| partition.unclean(&self.path))
                .collect(),
        }
    }

    /// Its files. Errors: it cannot be mounted so; nothing was changed then.
    pub fn files(&self, access: Access) -> Result<Disk<'_>> {
        let disk = match &self.what {
            What::Folder => self.folder()?,
            What::Disk { root, boot, held } => {
                let mut lock = None;
                if access == Access::Write {
                    // A block device is held already.
                    lock = held.is_none().then(|| self.lock()).transpose()?;
                    let bad = self
                        .unclean()
                        .into_iter()
                        .find(|one| one.state == State::NeedsCheck);
                    if let Some(bad) = bad {
                        bail!("{}; nothing was changed", bad.line());
                    }
                }
                let disk = self.mounted(root, boot.as_ref(), access)?;
                Disk { _lock: lock, ..disk }
            }
        };
        if access == Access::Write {
            disk.trees().try_for_each(Tree::check_writable)?;
        }
        Ok(disk)
    }

    /// An image that another program works on, as QEMU does, has locks on it (fcntl(2)): takes one,
    /// for as long as the answer is kept.
    fn lock(&self) -> Result<File> {
        let doing = || format!("opening {} for writing", self.shown());
        let file = File::options().read(true).write(true).open(&self.path);
        let file = file.with_context(|| format!("{}; nothing was changed", doing()))?;
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)
            .with_context(|| format!("{}: another program works on it; nothing was changed", doing()))?;
        Ok(file)
    }

    fn mounted(&self, root: &Partition, boot: Option<&Partition>, access: Access) -> Result<Disk<'_>> {
        let tree = |partition: &Partition| -> Result<Tree> {
            let mounted = mount::mount(&self.path, partition, access)?;
            Ok(Tree::of_mount(mounted, partition.place(&self.path)))
        };
        Ok(Disk {
            root: tree(root)?,
            boot: boot.map(tree).transpose()?,
            boot_mount: &self.boot_mount,
            was: &self.was,
            _lock: None,
        })
    }

    fn folder(&self) -> Result<Disk<'_>> {
        let doing = || format!("looking at {}", self.shown());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &self.path, flags, Mode::empty()).with_context(doing)?;
        let place = |of: &rustix::fs::Stat| (of.st_dev, of.st_ino);
        let (here, host) = (rustix::fs::fstat(&root), rustix::fs::stat("/"));
        let (here, host) = (here.with_context(doing)?, host.with_context(doing)?);
        ensure!(
            place(&here) != place(&host),
            "{} is this host's own root: give the folder where the board's disk is mounted",
            self.shown()
        );
        let root = Tree::of_folder(root, self.shown());
        let boot = match self.boot_below() {
            None => None,
            Some(below) => {
                let boot = root.mounted_at(below)?;
                let other = match &boot {
                    Some(boot) => rustix::fs::fstat(boot.root()).with_context(doing)?.st_dev != here.st_dev,
                    None => false,
                };
                ensure!(
                    other,
                    "the boot partition is not mounted in {}: mount it at {} first, or give the whole disk instead",
                    self.shown(),
                    one_line::path(&self.path.join(below))
                );
                boot
            }
        };
        Ok(Disk {
            root,
            boot,
            boot_mount: &self.boot_mount,
            was: &self.was,
            _lock: None,
        })
    }

    /// Where the boot partition is mounted, below the root; `None` where the root has the boot
    /// files itself.
    fn boot_below(&self) -> Option<&Path> {
        let below = self.boot_mount.strip_prefix("/").ok()?;
        (!below.as_os_str().is_empty()).then_some(below)
    }

    /// Some of vanilla's paths: those on the boot partition, those on the root's, or all.
    fn sample(&self, on_boot: Option<OnBoot>) -> impl Iterator<Item = &Path> {
        let here = move |path: &&Path| match on_boot {
            None => true,
            Some(on) => on == self.on_boot(path),
        };
        self.was.keys().map(BoardPath::as_path).filter(here).take(SAMPLE)
    }

    fn on_boot(&self, path: &Path) -> OnBoot {
        match self.boot_below().is_some() && path.starts_with(&self.boot_mount) {
            true => OnBoot::Yes,
            false => OnBoot::No,
        }
    }

    /// Finds the board's partitions by the files that the backup has.
    fn recognise(&self, held: Option<File>, board: &str) -> Result<What> {
        refuse_attached(&self.path)?;
        let found = partitions::find(&self.path)?;
        let root = self.pick(&found, OnBoot::No, board)?;
        let boot = match self.sample(Some(OnBoot::Yes)).next() {
            Some(_) => Some(self.pick(&found, OnBoot::Yes, board)?),
            None => None,
        };
        ensure!(
            boot.is_none_or(|boot| boot.offset != root.offset),
            "{}: one partition has vanilla's root and its boot files, which were on two: mount the disk, and give the folder",
            self.shown()
        );
        Ok(What::Disk { root, boot, held })
    }

    /// The partition that has most of vanilla's files. One that cannot be looked at could be it as
    /// well, unless another one has all of them.
    fn pick(&self, found: &[Partition], on_boot: OnBoot, board: &str) -> Result<Partition> {
        let wanted: Vec<&Path> = self.sample(Some(on_boot)).collect();
        let mut scores: Vec<(usize, Partition)> = Vec::new();
        let mut failed = Vec::new();
        for partition in found {
            match self.score(partition, &wanted, on_boot) {
                Ok(0) => {}
                Ok(score) => scores.push((score, *partition)),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        let most = scores.iter().map(|(score, _)| *score).max().unwrap_or(0);
        if most < wanted.len() && !failed.is_empty() {
            bail!(
                "not every partition of {} can be looked at: {}",
                self.shown(),
                failed.join("; ")
            );
        }
        let best: Vec<Partition> = scores
            .into_iter()
            .filter_map(|(score, partition)| (score == most).then_some(partition))
            .collect();
        let what = match on_boot {
            OnBoot::No => "vanilla's modules",
            OnBoot::Yes => "vanilla's boot files",
        };
        match best[..] {
            [one] => Ok(one),
            [] => bail!(
                "no partition of {} has any of {what} ({} file systems that are FAT or ext4 were looked at): is it the disk of board `{board}`? \
                 Another file system has to be mounted: give the folder",
                self.shown(),
                found.len()
            ),
            _ => bail!(
                "{} partitions of {} have {what} alike: mount the right ones, and give the folder",
                best.len(),
                self.shown()
            ),
        }
    }

    fn score(&self, partition: &Partition, wanted: &[&Path], on_boot: OnBoot) -> Result<usize> {
        let mounted = mount::mount(&self.path, partition, Access::Look)?;
        let tree = Tree::of_mount(mounted, partition.place(&self.path));
        let mut score = 0;
        for path in wanted {
            let below = match on_boot {
                OnBoot::Yes => path.strip_prefix(&self.boot_mount)?,
                OnBoot::No => path.strip_prefix("/")?,
            };
            score = usize::from(tree.has(below)?).saturating_add(score);
        }
        Ok(score)
    }
}

/// On which partition a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnBoot {
    Yes,
    No,
}

/// Files of a disk by their paths on the running board.
pub(super) struct Disk<'a> {
    root: Tree,
    boot: Option<Tree>,
    boot_mount: &'a Path,
    was: &'a Inventory,
    /// The last to go.
    _lock: Option<File>,
}

impl Disk<'_> {
    fn trees(&self) -> impl Iterator<Item = &Tree> {
        std::iter::once(&self.root).chain(&self.boot)
    }

    /// The mount of a path, and the path below it.
    fn at<'a>(&'a self, path: &'a Path) -> Result<(&'a Tree, &'a Path)> {
        let (tree, mount) = match &self.boot {
            Some(boot) if path.starts_with(self.boot_mount) => (boot, self.boot_mount),
            _ => (&self.root, Path::new("/")),
        };
        let below = path
            .strip_prefix(mount)
            .with_context(|| format!("{} is not absolute", one_line::path(path)))?;
        Ok((tree, below))
    }

    fn has(&self, path: &Path) -> Result<bool> {
        let (tree, below) = self.at(path)?;
        tree.has(below)
    }

    /// What is in the place of a file with at most `most` bytes.
    pub fn read(&self, path: &Path, most: u64) -> Result<Found> {
        let (tree, below) = self.at(path)?;
        tree.read(below, most)
    }

    /// Everything at and below `root`; nothing if it is not there.
    pub fn inventory(&self, root: &Path) -> Result<Inventory> {
        let (tree, below) = self.at(root)?;
        tree.inventory(below, root, self.was)
    }

    /// Names in a folder; none if it is not there.
    pub fn names(&self, folder: &Path) -> Result<Vec<OsString>> {
        let (tree, below) = self.at(folder)?;
        tree.names(below)
    }

    /// Writes a file with its mode, owner and time.
    pub fn write(&self, path: &Path, bytes: &[u8], entry: &Entry) -> Result<()> {
        let (tree, below) = self.at(path)?;
        let mount = match self.boot.is_some() && path.starts_with(self.boot_mount) {
            true => self.boot_mount,
            false => Path::new("/"),
        };
        let folders = Folders { mount, was: self.was };
        tree.write(below, bytes, entry, folders)
    }

    /// Removes a file, link or folder with all that is in it.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let (tree, below) = self.at(path)?;
        tree.remove(below)
    }

    /// Another name in the same folder, which is free.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let ((tree, from), (_, to)) = (self.at(from)?, self.at(to)?);
        tree.rename(from, to)
    }

    /// Everything is on the medium.
    pub fn flush(&self) -> Result<()> {
        self.trees().try_for_each(Tree::flush)
    }
}

/// Holds a block device, so that no one else mounts it or a partition of it. Errors: someone has.
fn hold(device: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    let held = rustix::fs::openat(CWD, device, flags, Mode::empty()).with_context(|| {
        format!(
            "opening {0} for this alone: it may not be in use (`lsblk {0}`): unmount it, or give the folder where it is mounted; nothing was changed",
            one_line::path(device)
        )
    })?;
    Ok(File::from(held))
}

/// An image that is a loop device already may be mounted by it.
fn refuse_attached(disk: &Path) -> Result<()> {
    let shown = one_line::path(disk);
    let doing = || format!("looking for loop devices of {shown}");
    let losetup = crate::host::requirements::find("losetup")?;
    let sh = xshell::Shell::new()?;
    let limit = std::time::Duration::from_secs(30);
    let listed = crate::host::process::read(
        xshell::cmd!(sh, "{losetup} --noheadings --output NAME --associated {disk}"),
        limit,
    )
    .with_context(doing)?;
    let devices: Vec<&str> = listed.split_whitespace().collect();
    ensure!(
        devices.is_empty(),
        "{shown} is in use: it is {} already: unmount and detach that (`losetup --detach`), or give the folder where it is mounted; nothing was \
         changed",
        devices.join(", ")
    );
    Ok(())
}
