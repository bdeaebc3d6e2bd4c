//! Rollback of a board that does not boot: its disk or card is in this host, as a mount point, a block device or an image. Vanilla's files come
//! from the archive on this host; nothing of the disk is run, and no link on it is followed.

mod folder;
mod image;
mod partitions;

use super::autologin;
use super::backup::{self, Manifest};
use super::inventory::{Content, Entry, Inventory};
use super::ours;
use super::rollback::{self, Copy, ExtlinuxChange, Plan, RolledBack};
use super::writer::Sent;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files of a board on a disk in this host. Paths are those of the running board.
trait Disk {
    /// What it is, for a person.
    fn shown(&self) -> String;
    /// The whole content of a file; `None` if there is none.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;
    /// Everything below `root`, hashed; nothing if it is not there.
    fn inventory(&self, root: &Path) -> Result<Inventory>;
    /// Names in a folder; none if it is not there.
    fn names(&self, folder: &Path) -> Result<Vec<String>>;
    /// Writes a file with its mode, owner and time, where the file system keeps them. Missing folders are made.
    fn write(&self, path: &Path, bytes: &[u8], entry: &Entry) -> Result<()>;
    /// Removes a file, link or folder with all that is in it.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Another name in the same folder, which is free.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Before the first write: makes the file systems sound. Errors: they cannot be.
    fn prepare(&self) -> Result<()>;
    /// After the last write: everything is on the medium.
    fn flush(&self) -> Result<()>;
}

/// A board's disk in this host, with the backup that it is held against.
pub struct Offline {
    disk: Box<dyn Disk>,
    manifest: Manifest,
    host_folder: PathBuf,
    campaign: String,
    backups: Option<PathBuf>,
}

impl Offline {
    /// Opens a mount point (a folder), a block device or an image. Errors: the backup on this host is missing or damaged, or it is not the
    /// disk of that board.
    pub fn open(target: &Path, campaign: &str, host_folder: &Path) -> Result<Self> {
        let manifest = backup::host_manifest(host_folder)?.with_context(|| {
            format!(
                "there is no backup in {}: an offline rollback needs the archive of this host",
                host_folder.display()
            )
        })?;
        backup::whole(
            "the archive",
            host_folder,
            backup::archive_differences(&manifest, host_folder)?,
        )?;
        let disk: Box<dyn Disk> = if target.is_dir() {
            Box::new(folder::Folder::open(target, &manifest.protected)?)
        } else {
            Box::new(image::Image::open(target, &manifest)?)
        };
        Ok(Offline {
            disk,
            manifest,
            host_folder: host_folder.to_path_buf(),
            campaign: campaign.to_string(),
            backups: None,
        })
    }

    /// With the board's own folder of backups, as its file has it: what lies there is told, or taken away where it was never finished.
    pub fn with_backups(self, folder: PathBuf) -> Self {
        let backups = Some(folder);
        Offline { backups, ..self }
    }

    /// What the disk is.
    pub fn shown(&self) -> String {
        self.disk.shown()
    }

    /// What a rollback would do. Changes nothing.
    pub fn plan(&self) -> Result<Plan> {
        let protected = &self.manifest.protected;
        let mut seen = Inventory::new();
        for root in rollback::covered(&self.manifest) {
            seen.extend(self.disk.inventory(&root)?);
        }
        // FAT keeps no modes: what is seen there is this host's way to mount it (`fmask`, `umask`; vfat in mount(8)), not the disk.
        for (path, entry) in &mut seen {
            if let Some(was) = self
                .manifest
                .inventory
                .get(path)
                .filter(|_| entry.filesystem == "vfat")
            {
                entry.mode = was.mode;
            }
        }
        let conf = self.disk.read(&protected.extlinux)?;
        let compared = rollback::compare(&self.manifest, &seen, conf.as_deref())?;
        // A folder that is gone comes back with its files.
        let shapes = compared
            .reshape
            .iter()
            .filter(|path| {
                seen.contains_key(*path) || self.manifest.inventory[*path].content != Content::Folder
            })
            .map(|path| {
                let was = &self.manifest.inventory[path];
                format!("{} was {:?}, mode {:o}", path.display(), was.content, was.mode)
            });
        let files: &dyn Disk = self.disk.as_ref();
        let mut ours = ours::find(&OnDisk(files), &self.manifest, self.backups.as_deref())?;
        ours.kept
            .extend(ours::elsewhere(&self.manifest, &self.host_folder, None));
        Ok(Plan {
            campaign: self.campaign.clone(),
            copy: Copy::OnHost(self.host_folder.clone()),
            extlinux: compared.extlinux,
            restore: compared.restore,
            strangers: compared.strangers,
            remove: ours.remove,
            // U-Boot's variable is not on this disk, and what was in memory is gone.
            boot_once: Vec::new(),
            rename: self.disabled()?,
            reshape: Vec::new(),
            by_hand: compared.by_hand.into_iter().chain(shapes).collect(),
            kept: ours.kept,
        })
    }

    /// Does what the plan says, extlinux.conf first. When it dies half-way a part is done; planning again finds the rest.
    pub fn execute(&self, plan: &Plan) -> Result<RolledBack> {
        self.disk.prepare()?;
        let protected = &self.manifest.protected;
        let mut sent = Sent::default();
        if plan.extlinux == ExtlinuxChange::Restore {
            let entry = &self.manifest.inventory[&protected.extlinux];
            self.put(&protected.extlinux, &protected.foreign()?, entry, &mut sent)?;
        }
        let wanted: BTreeSet<PathBuf> = plan.restore.iter().cloned().collect();
        for (path, bytes) in backup::from_archive(&self.manifest, &self.host_folder, &wanted)? {
            self.put(&path, &bytes, &self.manifest.inventory[&path], &mut sent)?;
        }
        for path in plan.strangers.iter().chain(&plan.remove) {
            if let Some(kept) = self.manifest.inventory.keys().find(|kept| kept.starts_with(path)) {
                bail!("{} is in the backup: it is not removed", kept.display());
            }
            self.disk.remove(path)?;
        }
        for (from, to) in &plan.rename {
            self.disk.rename(from, to)?;
        }
        self.disk.flush()?;
        let left = self.plan()?;
        ensure!(
            left.extlinux == ExtlinuxChange::None && left.restore.is_empty() && left.remove.is_empty(),
            "{} is not what the backup has after the rollback: {}",
            self.shown(),
            left.lines().join("; ")
        );
        ensure!(
            left.by_hand.is_empty(),
            "vanilla's files and extlinux.conf are restored, but not these, which are no plain files: {}",
            left.by_hand.join("; ")
        );
        Ok(RolledBack {
            restored: wanted.len() + usize::from(plan.extlinux == ExtlinuxChange::Restore),
            removed: plan.strangers.len() + plan.remove.len(),
            sent,
            kept: plan.kept.clone(),
        })
    }

    fn put(&self, path: &Path, bytes: &[u8], entry: &Entry, sent: &mut Sent) -> Result<()> {
        let doing = || format!("restoring {} on {}", path.display(), self.shown());
        self.disk.write(path, bytes, entry).with_context(doing)?;
        let back = self.disk.read(path).with_context(doing)?;
        ensure!(
            back.as_deref() == Some(bytes),
            "{}: it does not read back as it was written",
            doing()
        );
        sent.files += 1;
        sent.bytes += bytes.len() as u64;
        Ok(())
    }

    fn disabled(&self) -> Result<Vec<(PathBuf, PathBuf)>> {
        let mut found = Vec::new();
        for folder in autologin::folders() {
            for name in self.disk.names(&folder)? {
                let path = folder.join(name);
                found.extend(autologin::old_name(&path, &self.campaign).map(|old| (path, old)));
            }
        }
        Ok(found)
    }
}

/// A disk, as one looks for what is ours on it.
struct OnDisk<'a>(&'a dyn Disk);

impl ours::Files for OnDisk<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.0.read(path)
    }

    fn entries(&self, folder: &Path) -> Result<ours::Entries> {
        let names = self.0.names(folder)?;
        Ok(names.into_iter().map(|name| (name, None)).collect())
    }
}

/// An entry of a host's file, as [`Disk::inventory`] gives it.
fn entry_of(path: &Path, metadata: &std::fs::Metadata, filesystem: &str) -> Result<Entry> {
    use std::os::unix::fs::MetadataExt;
    let content = if metadata.is_dir() {
        Content::Folder
    } else if metadata.is_symlink() {
        let to = std::fs::read_link(path).with_context(|| format!("reading the link {}", path.display()))?;
        Content::Link {
            to: to.to_string_lossy().into_owned(),
        }
    } else if metadata.is_file() {
        Content::File {
            size: metadata.len(),
            sha256: crate::host::files::sha256_file(path)?,
        }
    } else {
        Content::Other("other".into())
    };
    Ok(Entry {
        content,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        modified: metadata.mtime(),
        filesystem: filesystem.to_string(),
    })
}

/// The inventory of a folder of this host that stands for `root` of the board.
fn walk(at: &Path, root: &Path, filesystem: &str) -> Result<Inventory> {
    let mut found = Inventory::new();
    if at.symlink_metadata().is_err() {
        return Ok(found);
    }
    for item in walkdir::WalkDir::new(at).follow_links(false) {
        let item = item.with_context(|| format!("reading {}", at.display()))?;
        let metadata = item
            .path()
            .symlink_metadata()
            .with_context(|| format!("reading {}", item.path().display()))?;
        let below = item
            .path()
            .strip_prefix(at)
            .context("a file is not below its folder")?;
        let path = if below.as_os_str().is_empty() {
            root.to_path_buf()
        } else {
            root.join(below)
        };
        found.add(path, entry_of(item.path(), &metadata, filesystem)?)?;
    }
    Ok(found)
}
