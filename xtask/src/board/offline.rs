//! Rollback of a board that does not boot: its disk or card is in this host, as a mount point, a
//! block device or an image. Vanilla's files come from the archive on this host. The host's kernel
//! reads the disk's file systems; nothing on it is run, and no link on it is followed.

mod disk;
mod mount;
mod partitions;
mod tree;

use super::autologin;
use super::backup::{self, Copies, Manifest};
use super::inventory::{Entry, Inventory};
use super::name::Name;
use super::ours;
use super::rollback::{self, Copy, ExtlinuxChange, Plan, RolledBack};
use super::writer::Sent;
use crate::host::files::sha256;
use crate::host::interrupt::Watch;
use crate::host::one_line;
use anyhow::{Context, Result, bail, ensure};
use disk::{Disk, Target};
use mount::Access;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tree::Found;

/// Most bytes of a text on the disk that is read: extlinux.conf, or the record of a slot.
const TEXT: u64 = 8 << 20;

/// A board's disk in this host, with the backup that it is held against.
pub struct Offline {
    target: Target,
    manifest: Manifest,
    host_folder: PathBuf,
    backups: Option<PathBuf>,
}

impl Offline {
    /// Opens a mount point (a folder), a block device or an image. Changes nothing. Errors: the
    /// backup on this host is missing, damaged, or of another board or campaign; or it is not the
    /// disk of that board.
    pub fn open(target: &Path, board: &Name, campaign: &Name, host_folder: &Path) -> Result<Self> {
        let copies = Copies::find_here(host_folder)?.with_context(|| {
            format!(
                "there is no backup in {}: an offline rollback needs the archive of this host",
                host_folder.display()
            )
        })?;
        backup::check_owner(&copies.known.manifest, board, campaign, host_folder)
            .context("nothing was changed")?;
        copies.check_host()?;
        let manifest = copies.known.manifest;
        Ok(Offline {
            target: Target::open(target, &manifest)?,
            manifest,
            host_folder: host_folder.to_path_buf(),
            backups: None,
        })
    }

    /// With the board's own folder of backups, as its file has it: what is in it is listed, or
    /// removed where it was never finished.
    pub fn with_backups(self, folder: PathBuf) -> Self {
        let backups = Some(folder);
        Offline { backups, ..self }
    }

    /// What the disk is.
    pub fn shown(&self) -> String {
        self.target.shown()
    }

    /// What a rollback would do. Changes nothing: a disk is mounted read-only, and its journal is
    /// not replayed.
    pub fn plan(&self) -> Result<Plan> {
        let unclean = self.target.unclean();
        let disk = self.target.files(Access::Look)?;
        let plan = self.plan_on(&disk).with_context(|| {
            let states: String = unclean.iter().map(|one| format!("; {}", one.line())).collect();
            format!("comparing {} with its backup{states}", self.shown())
        })?;
        Ok(Plan { unclean, ..plan })
    }

    fn plan_on(&self, disk: &Disk<'_>) -> Result<Plan> {
        let protected = &self.manifest.protected;
        let mut seen = Inventory::new();
        for root in rollback::covered(&self.manifest) {
            seen.extend(disk.inventory(&root)?);
        }
        // FAT keeps no modes: what is seen there is this host's way to mount it (`fmask`, `umask`;
        // vfat in mount(8)), not the disk.
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
        // Whatever else is in its place is not what the backup has.
        let conf = disk.read(&protected.extlinux, TEXT)?;
        let compared = rollback::compare(&self.manifest, &seen, conf.bytes())?;
        // A folder that is gone comes back with its files.
        let shapes = compared
            .reshape
            .iter()
            .filter_map(|path| Some((path, self.manifest.inventory.get(path)?)))
            .filter(|(path, was)| seen.contains_key(path.as_path()) || !was.is_folder())
            .map(|(path, was)| was.to_make(path));
        let mut ours = ours::find(&OnDisk(disk), &self.manifest, self.backups.as_deref())?;
        ours.kept
            .extend(ours::elsewhere(&self.manifest, &self.host_folder, None)?);
        Ok(Plan {
            campaign: self.manifest.campaign.clone(),
            copy: Copy::OnHost(self.host_folder.clone()),
            extlinux: compared.extlinux,
            restore: compared.restore,
            strangers: compared.strangers,
            remove: ours.remove,
            // U-Boot's variable is not on this disk, and what was in memory is gone.
            boot_once: Vec::new(),
            rename: self.disabled(disk)?,
            reshape: Vec::new(),
            by_hand: compared.by_hand.into_iter().chain(shapes).collect(),
            kept: ours.kept,
            unclean: Vec::new(),
        })
    }

    /// Does what the plan says, extlinux.conf first. When it dies partway a part is done; planning
    /// again finds the rest. Errors: the disk is not what it was when the plan was made (nothing
    /// but its journal was changed then), or the user asked to stop between two writes.
    pub fn execute(&self, plan: &Plan) -> Result<RolledBack> {
        for path in plan.strangers.iter().chain(&plan.remove) {
            if let Some(kept) = self.manifest.inventory.keys().find(|kept| kept.starts_with(path)) {
                bail!("{} is in the backup: it is not removed", one_line::path(kept));
            }
        }
        let disk = self.target.files(Access::Write)?;
        let now = Plan {
            unclean: plan.unclean.clone(),
            ..self.plan_on(&disk)?
        };
        ensure!(
            now == *plan,
            "{} is not what it was when the plan was made{}; nothing else was changed: look at the new plan, and decide again",
            self.shown(),
            match plan.unclean.is_empty() {
                true => "",
                false => ", now that its journal was replayed",
            }
        );
        let writing = Writing {
            disk: &disk,
            of: self,
            watch: Watch::begin(),
        };
        let done = writing.all(plan);
        let flushed = disk.flush();
        // Unmounted: what is compared now comes from the medium.
        drop(disk);
        let done = done?;
        flushed?;
        self.check()?;
        Ok(done)
    }

    /// After everything: vanilla is there, hash for hash.
    fn check(&self) -> Result<()> {
        let left = self.plan()?;
        ensure!(
            left.extlinux == ExtlinuxChange::None
                && [&left.restore, &left.strangers, &left.remove]
                    .iter()
                    .all(|paths| paths.is_empty()),
            "{} is not what the backup has after the rollback: {}",
            self.shown(),
            left.lines().join("; ")
        );
        ensure!(
            left.by_hand.is_empty(),
            "vanilla's files and extlinux.conf are restored, but not these, which are no plain files: {}",
            left.by_hand.join("; ")
        );
        Ok(())
    }

    fn disabled(&self, disk: &Disk<'_>) -> Result<Vec<(PathBuf, PathBuf)>> {
        let mut found = Vec::new();
        for folder in autologin::folders() {
            for name in disk.names(&folder)? {
                let path = folder.join(name);
                let old = autologin::old_name(&path, &self.manifest.campaign);
                found.extend(old.map(|old| (path, old)));
            }
        }
        Ok(found)
    }
}

/// A rollback that is being done.
struct Writing<'a> {
    disk: &'a Disk<'a>,
    of: &'a Offline,
    watch: Watch,
}

impl Writing<'_> {
    fn all(&self, plan: &Plan) -> Result<RolledBack> {
        let manifest = &self.of.manifest;
        let mut sent = Sent::default();
        if plan.extlinux == ExtlinuxChange::Restore {
            let conf = &manifest.protected.extlinux;
            let is = sha256(&manifest.protected.kept()?);
            self.put(conf, &manifest.protected.foreign()?, Some(&is), &mut sent)?;
        }
        // What is removed is in no label any more. It makes room, and may be in the place of a
        // folder of vanilla's.
        for path in plan.strangers.iter().chain(&plan.remove) {
            self.go_on()?;
            self.disk.remove(path)?;
        }
        let wanted: BTreeSet<PathBuf> = plan.restore.iter().cloned().collect();
        if !wanted.is_empty() {
            backup::each_wanted(manifest, &self.of.host_folder, &wanted, &mut |path, bytes| {
                self.put(&path, &bytes, Some(&sha256(&bytes)), &mut sent)
            })?;
        }
        for (from, to) in &plan.rename {
            self.go_on()?;
            self.disk.rename(from, to)?;
        }
        Ok(RolledBack {
            restored: plan.restored(),
            removed: plan.removed(),
            sent,
            kept: plan.kept.clone(),
        })
    }

    /// Errors: the user asked to stop; the last write is whole then.
    fn go_on(&self) -> Result<()> {
        ensure!(
            !self.watch.asked_to_stop(),
            "stopped between two writes, as asked: a part of {} is rolled back; the same command does the rest",
            self.of.shown()
        );
        Ok(())
    }

    /// Writes a file of vanilla's. `is` is the hash of what the backup has of it.
    fn put(&self, path: &Path, bytes: &[u8], is: Option<&str>, sent: &mut Sent) -> Result<()> {
        self.go_on()?;
        let doing = || format!("restoring {} on {}", one_line::path(path), self.of.shown());
        let inventory = &self.of.manifest.inventory;
        let entry: &Entry = inventory
            .get(path)
            .with_context(|| format!("{}: the backup does not have it", doing()))?;
        ensure!(
            is.is_some() && entry.sha256() == is,
            "{}: its bytes are not those that the backup names",
            doing()
        );
        self.disk.write(path, bytes, entry).with_context(doing)?;
        let back = self.disk.read(path, bytes.len() as u64).with_context(doing)?;
        ensure!(
            back.bytes() == Some(bytes),
            "{}: it does not read back as it was written",
            doing()
        );
        sent.files = sent.files.saturating_add(1);
        sent.bytes = sent.bytes.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

/// A disk, as one looks for what is ours on it.
struct OnDisk<'a>(&'a Disk<'a>);

impl ours::Files for OnDisk<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        // What is no file, or too large for one of ours, says nothing; that it could not be read is
        // an error.
        Ok(match self.0.read(path, TEXT)? {
            Found::File(bytes) => Some(bytes),
            Found::Absent | Found::TooLarge | Found::Other => None,
        })
    }

    fn entries(&self, folder: &Path) -> Result<ours::Entries> {
        // A name that is not UTF-8 is not one of ours.
        let names = self.0.names(folder)?.into_iter();
        Ok(names
            .filter_map(|name| Some((name.into_string().ok()?, None)))
            .collect())
    }
}
