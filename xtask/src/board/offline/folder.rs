//! A mount point: the board's root file system, with its boot partition mounted in it.

use super::super::inventory::{Entry, Inventory};
use super::super::protected::Protected;
use super::{Disk, walk};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

pub(super) struct Folder {
    root: PathBuf,
    boot_mount: PathBuf,
}

impl Folder {
    /// Errors: the boot partition is not mounted in it, or it is the root of this very host.
    pub fn open(root: &Path, protected: &Protected) -> Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("looking at {}", root.display()))?;
        ensure!(
            root != Path::new("/"),
            "`/` is this host's own root: give the folder where the board's disk is mounted"
        );
        let folder = Folder {
            root,
            boot_mount: protected.boot_mount.clone(),
        };
        let boot = folder.at(&protected.boot_mount)?;
        if protected.boot_mount != Path::new("/") {
            let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
            let mounted =
                matches!((device(&boot), device(&folder.root)), (Ok(boot), Ok(root)) if boot != root);
            ensure!(
                mounted,
                "the boot partition is not mounted in {}: mount it at {} first, or give the whole disk instead",
                folder.root.display(),
                boot.display()
            );
        }
        Ok(folder)
    }

    /// The place on this host. Errors: a folder on the way is a symbolic link, which could lead anywhere on this host.
    fn at(&self, path: &Path) -> Result<PathBuf> {
        let below = path
            .strip_prefix("/")
            .with_context(|| format!("{} is not absolute", path.display()))?;
        let mut at = self.root.clone();
        let parents = below.parent().unwrap_or(Path::new(""));
        for part in parents.components() {
            at.push(part);
            if at.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
                bail!(
                    "{} is a symbolic link on that disk: it is not followed",
                    at.display()
                );
            }
        }
        Ok(self.root.join(below))
    }

    /// Where owners and times are not kept, they are not compared.
    fn filesystem(&self, path: &Path) -> &'static str {
        // What is below the boot mount may be FAT; a wrong owner there is nothing that a person could put right.
        if self.boot_mount != Path::new("/") && path.starts_with(&self.boot_mount) {
            "vfat"
        } else {
            "disk"
        }
    }
}

impl Disk for Folder {
    fn shown(&self) -> String {
        self.root.display().to_string()
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let at = self.at(path)?;
        match at.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Some(
                fs::read(&at).with_context(|| format!("reading {}", at.display()))?,
            )),
            _ => Ok(None),
        }
    }

    fn inventory(&self, root: &Path) -> Result<Inventory> {
        walk(&self.at(root)?, root, self.filesystem(root))
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let at = self.at(&folder.join("x"))?;
        let at = at.parent().context("a folder has no place")?;
        let entries = fs::read_dir(at).into_iter().flatten();
        Ok(entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect())
    }

    fn write(&self, path: &Path, bytes: &[u8], entry: &Entry) -> Result<()> {
        let at = self.at(path)?;
        let folder = at.parent().context("a file has no folder")?;
        let doing = || format!("writing {}", at.display());
        fs::create_dir_all(folder).with_context(doing)?;
        let mut file = tempfile::Builder::new()
            .prefix(".lockstep-")
            .tempfile_in(folder)
            .with_context(doing)?;
        file.write_all(bytes).with_context(doing)?;
        let (uid, gid) = entry.owner;
        let owned = std::os::unix::fs::fchown(file.as_file(), Some(uid), Some(gid)).and_then(|()| {
            file.as_file()
                .set_permissions(fs::Permissions::from_mode(entry.mode))
        });
        if self.filesystem(path) != "vfat" {
            owned.with_context(doing)?;
        }
        let seconds = u64::try_from(entry.modified).unwrap_or(0);
        file.as_file()
            .set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
            .with_context(doing)?;
        file.as_file().sync_all().with_context(doing)?;
        file.persist(&at).with_context(doing)?;
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .with_context(doing)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let at = self.at(path)?;
        let doing = || format!("removing {}", at.display());
        match at.symlink_metadata() {
            Err(_) => Ok(()),
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&at).with_context(doing),
            Ok(_) => fs::remove_file(&at).with_context(doing),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (self.at(from)?, self.at(to)?);
        ensure!(
            to.symlink_metadata().is_err(),
            "{} is there already",
            to.display()
        );
        fs::rename(&from, &to).with_context(|| format!("renaming {}", from.display()))
    }

    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        rustix::fs::sync();
        Ok(())
    }
}
