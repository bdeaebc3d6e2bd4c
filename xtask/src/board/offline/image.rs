//! A disk image or block device, worked on without mounting it: mtools for FAT, debugfs for ext4. No loop device and, for an image, no root.

use super::super::backup::Manifest;
use super::super::inventory::{Content, Entry, Inventory};
use super::partitions::{self, Kind, Partition};
use super::{Disk, walk};
use crate::host::files::sha256;
use crate::host::{process, requirements};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use xshell::{Shell, cmd};

/// Longest time of one tool.
const LIMIT: Duration = Duration::from_secs(600);

pub(super) struct Image {
    disk: PathBuf,
    boot: Partition,
    root: Partition,
    boot_mount: PathBuf,
    /// What the backup says: modes, owners and times of folders that have to be made anew, and of files on FAT.
    was: Inventory,
}

impl Image {
    /// Finds the board's partitions by what the backup says of them. Errors: there are none, or the disk is in use.
    pub fn open(disk: &Path, manifest: &Manifest) -> Result<Self> {
        let disk = disk
            .canonicalize()
            .with_context(|| format!("looking at {}", disk.display()))?;
        refuse_mounted(&disk)?;
        let found = partitions::find(&disk)?;
        let boot_mount = manifest.protected.boot_mount.clone();
        let in_boot = |path: &Path| boot_mount != Path::new("/") && path.starts_with(&boot_mount);
        let pick = |boot: bool| -> Result<Partition> {
            let mut best = None;
            for partition in &found {
                let image = Image {
                    disk: disk.clone(),
                    boot: *partition,
                    root: *partition,
                    boot_mount: boot_mount.clone(),
                    was: Inventory::new(),
                };
                let mut names = 0;
                for path in manifest
                    .inventory
                    .keys()
                    .filter(|path| in_boot(path) == boot)
                    .take(40)
                {
                    let parent = path.parent().unwrap_or(Path::new("/"));
                    let name = path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned();
                    names += usize::from(image.names(parent)?.contains(&name));
                }
                if names > best.map_or(0, |(most, _)| most) {
                    best = Some((names, *partition));
                }
            }
            best.map(|(_, partition)| partition).with_context(|| {
                format!(
                    "no partition of {} has any of vanilla's files ({} file systems that are FAT or ext4 were looked at): is it the disk of \
                     board `{}`? Another file system has to be mounted: give the mount point",
                    disk.display(),
                    found.len(),
                    manifest.protected.board
                )
            })
        };
        let separate = boot_mount != Path::new("/") && manifest.inventory.keys().any(|path| in_boot(path));
        let root = pick(false)?;
        let boot = if separate { pick(true)? } else { root };
        Ok(Image {
            boot,
            root,
            boot_mount,
            was: manifest.inventory.clone(),
            disk,
        })
    }

    /// The partition of a path, and the path in it.
    fn at(&self, path: &Path) -> Result<(Partition, PathBuf)> {
        let in_boot = self.boot_mount != Path::new("/") && path.starts_with(&self.boot_mount);
        let (partition, below) = if in_boot {
            (self.boot, path.strip_prefix(&self.boot_mount)?)
        } else {
            (self.root, path.strip_prefix("/")?)
        };
        let text = below.to_str().context("a path is not UTF-8")?;
        // debugfs has no way to quote these, and mtools takes the last three for patterns.
        if text.contains(['"', '\n', '\\', '*', '?', '[']) {
            bail!(
                "`{}` cannot be named to the tools: mount the disk, and give the mount point",
                text.escape_debug()
            );
        }
        Ok((partition, PathBuf::from("/").join(below)))
    }

    /// `disk@@offset` of mtools(1).
    fn fat(&self, partition: Partition) -> String {
        format!("{}@@{}", self.disk.display(), partition.offset)
    }

    /// `disk?offset=…` of e2fsprogs (unix_io).
    fn ext(&self, partition: Partition) -> String {
        format!("{}?offset={}", self.disk.display(), partition.offset)
    }

    /// Commands of debugfs. It says its errors on standard error and ends with 0: callers look at what came of it.
    fn debugfs(&self, partition: Partition, write: bool, commands: &str) -> Result<Vec<u8>> {
        let (debugfs, device) = (requirements::find("debugfs")?, self.ext(partition));
        let mode = write.then_some("-w");
        let sh = Shell::new()?;
        let done = process::run_with_input(
            cmd!(sh, "{debugfs} {mode...} -f - {device}"),
            commands.as_bytes(),
            LIMIT,
        )?;
        Ok(done.stdout)
    }

    fn mtools(&self, program: &str, words: &[&str]) -> Result<process::Finished> {
        let program = requirements::find(program)?;
        let sh = Shell::new()?;
        sh.set_var("MTOOLS_SKIP_CHECK", "1");
        process::finish(cmd!(sh, "{program} {words...}"), LIMIT)
    }

    fn must(&self, program: &str, words: &[&str]) -> Result<()> {
        let done = self.mtools(program, words)?;
        ensure!(
            done.status.success(),
            "{program} {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&done.stderr).trim()
        );
        Ok(())
    }

    fn write_fat(&self, partition: Partition, at: &Path, from: &Path) -> Result<()> {
        let (image, target) = (self.fat(partition), format!("::{}", at.display()));
        let mut folder = PathBuf::from("/");
        for part in at.parent().unwrap_or(Path::new("/")).components().skip(1) {
            folder.push(part);
            // It is there already: mmd says so, and the copy will tell if not.
            let _ = self.mtools(
                "mmd",
                &["-D", "s", "-i", &image, &format!("::{}", folder.display())],
            )?;
        }
        let source = from.display().to_string();
        self.must("mcopy", &["-o", "-m", "-i", &image, &source, &target])
    }

    fn write_ext(
        &self,
        partition: Partition,
        path: &Path,
        at: &Path,
        from: &Path,
        entry: &Entry,
    ) -> Result<()> {
        let mut commands = String::new();
        let (mut folder, mut board) = (PathBuf::from("/"), PathBuf::from("/"));
        let prefix = path.parent().unwrap_or(Path::new("/"));
        let skipped = prefix
            .components()
            .count()
            .saturating_sub(at.parent().unwrap_or(Path::new("/")).components().count());
        board.extend(prefix.components().skip(1).take(skipped));
        for part in at.parent().unwrap_or(Path::new("/")).components().skip(1) {
            let name = part.as_os_str().to_string_lossy().into_owned();
            let parent = folder.clone();
            folder.push(part);
            board.push(part);
            if !self.list_ext(partition, &parent)?.contains(&name) {
                let shown = folder.display();
                commands.push_str(&format!("mkdir \"{shown}\"\n"));
                if let Some(was) = self.was.get(&board) {
                    commands.push_str(&fields(&shown.to_string(), 0o040_000 | was.mode, was));
                }
            }
        }
        let shown = at.display();
        commands.push_str(&format!(
            "rm \"{shown}\"\nwrite \"{}\" \"{shown}\"\n",
            from.display()
        ));
        commands.push_str(&fields(&shown.to_string(), 0o100_000 | entry.mode, entry));
        self.debugfs(partition, true, &commands)?;
        Ok(())
    }

    fn list_ext(&self, partition: Partition, folder: &Path) -> Result<Vec<String>> {
        // `ls -p`: /inode/mode/uid/gid/name/size/
        let said = self.debugfs(partition, false, &format!("ls -p \"{}\"\n", folder.display()))?;
        let text = String::from_utf8_lossy(&said).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.strip_prefix('/')?.split('/').nth(4).map(String::from))
            .filter(|name| !name.is_empty() && name != "." && name != "..")
            .collect())
    }

    /// Whether a path is a folder on its file system; `None`: it is not there.
    fn is_folder(&self, partition: Partition, at: &Path) -> Result<Option<bool>> {
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
            return Ok(Some(true));
        };
        let said = self.debugfs(partition, false, &format!("ls -p \"{}\"\n", parent.display()))?;
        let text = String::from_utf8_lossy(&said).into_owned();
        let name = name.to_string_lossy().into_owned();
        Ok(text.lines().find_map(|line| {
            let fields: Vec<&str> = line.strip_prefix('/')?.split('/').collect();
            (fields.get(4) == Some(&name.as_str()))
                .then(|| fields.get(1).is_some_and(|mode| mode.starts_with("04")))
        }))
    }

    /// Copies a file or folder of the disk into a folder of this host.
    fn extract(&self, path: &Path, into: &Path) -> Result<Option<(PathBuf, &'static str)>> {
        let (partition, at) = self.at(path)?;
        let name = at.file_name().map_or("root".into(), |name| name.to_os_string());
        let to = into.join(&name);
        let shown = into.display().to_string();
        match partition.kind {
            Kind::Fat => {
                let (image, source) = (self.fat(partition), format!("::{}", at.display()));
                let done = self.mtools("mcopy", &["-s", "-m", "-n", "-i", &image, &source, &shown])?;
                Ok((done.status.success() && to.exists()).then_some((to, "vfat")))
            }
            Kind::Ext => {
                let command = match self.is_folder(partition, &at)? {
                    None => return Ok(None),
                    Some(true) => format!("rdump \"{}\" \"{shown}\"\n", at.display()),
                    Some(false) => format!("dump -p \"{}\" \"{}\"\n", at.display(), to.display()),
                };
                self.debugfs(partition, false, &command)?;
                Ok(to.symlink_metadata().is_ok().then_some((to, "ext4")))
            }
        }
    }
}

/// Commands that set mode, owner and time of an inode.
fn fields(shown: &str, mode: u32, entry: &Entry) -> String {
    let (uid, gid) = entry.owner;
    format!(
        "sif \"{shown}\" mode 0{mode:o}\nsif \"{shown}\" uid {uid}\nsif \"{shown}\" gid {gid}\nsif \"{shown}\" mtime @{0}\nsif \"{shown}\" ctime @{0}\n",
        entry.modified.max(0)
    )
}

/// A mounted file system must not be changed under the kernel.
fn refuse_mounted(disk: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let name = disk.display().to_string();
    let used = mounts.lines().find(|line| {
        let device = line.split(' ').next().unwrap_or_default();
        device
            .strip_prefix(&name)
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == 'p'))
    });
    match used {
        None => Ok(()),
        Some(line) => bail!(
            "{name} is mounted ({line}): unmount it, or give the mount point instead of the disk; nothing was changed"
        ),
    }
}

impl Disk for Image {
    fn shown(&self) -> String {
        self.disk.display().to_string()
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let work = tempfile::tempdir().context("making a temporary folder")?;
        match self.extract(path, work.path())? {
            Some((file, _)) if file.symlink_metadata()?.is_file() => Ok(Some(
                fs::read(&file).with_context(|| format!("reading {}", file.display()))?,
            )),
            _ => Ok(None),
        }
    }

    fn inventory(&self, root: &Path) -> Result<Inventory> {
        let work = tempfile::tempdir().context("making a temporary folder")?;
        match self.extract(root, work.path())? {
            Some((at, filesystem)) => {
                let mut found = walk(&at, root, filesystem)?;
                // Modes on FAT are those of the mount on the board, and not on the disk: they cannot be compared.
                if filesystem == "vfat" {
                    for (path, entry) in &mut found {
                        if let Some(was) = self.was.get(path) {
                            entry.mode = was.mode;
                        }
                    }
                }
                Ok(found)
            }
            None => Ok(Inventory::new()),
        }
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let (partition, at) = self.at(folder)?;
        if partition.kind == Kind::Ext {
            return self.list_ext(partition, &at);
        }
        let (image, source) = (self.fat(partition), format!("::{}", at.display()));
        let done = self.mtools("mdir", &["-b", "-a", "-i", &image, &source])?;
        let text = done.text();
        Ok(text
            .lines()
            .filter_map(|line| line.trim_end_matches('/').rsplit('/').next().map(String::from))
            .collect())
    }

    fn write(&self, path: &Path, bytes: &[u8], entry: &Entry) -> Result<()> {
        let work = tempfile::tempdir().context("making a temporary folder")?;
        let from = work.path().join(sha256(path.to_string_lossy().as_bytes()));
        fs::write(&from, bytes).with_context(|| format!("writing {}", from.display()))?;
        let seconds = u64::try_from(entry.modified).unwrap_or(0);
        fs::File::options()
            .write(true)
            .open(&from)
            .and_then(|file| file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)))
            .with_context(|| format!("writing {}", from.display()))?;
        let (partition, at) = self.at(path)?;
        match partition.kind {
            Kind::Fat => self.write_fat(partition, &at, &from),
            Kind::Ext => self.write_ext(partition, path, &at, &from, entry),
        }
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let (partition, at) = self.at(path)?;
        if partition.kind == Kind::Fat {
            let (image, target) = (self.fat(partition), format!("::{}", at.display()));
            let tree = self.mtools("mdeltree", &["-i", &image, &target])?;
            if !tree.status.success() {
                self.must("mdel", &["-i", &image, &target])?;
            }
            return Ok(());
        }
        let mut commands = String::new();
        if self.is_folder(partition, &at)? == Some(true) {
            let inside = self.inventory(path)?;
            for (path, entry) in inside.iter().rev() {
                let (_, at) = self.at(path)?;
                let verb = if entry.content == Content::Folder {
                    "rmdir"
                } else {
                    "rm"
                };
                commands.push_str(&format!("{verb} \"{}\"\n", at.display()));
            }
        } else {
            commands.push_str(&format!("rm \"{}\"\n", at.display()));
        }
        self.debugfs(partition, true, &commands)?;
        ensure!(
            self.is_folder(partition, &at)?.is_none(),
            "{} is still there",
            path.display()
        );
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let (partition, old) = self.at(from)?;
        let (_, new) = self.at(to)?;
        ensure!(self.read(to)?.is_none(), "{} is there already", to.display());
        if partition.kind == Kind::Fat {
            let image = self.fat(partition);
            return self.must(
                "mren",
                &[
                    "-i",
                    &image,
                    &format!("::{}", old.display()),
                    &format!("::{}", new.display()),
                ],
            );
        }
        // Neither of the two changes the number of links, so that it is right again after both.
        let commands = format!(
            "ln \"{0}\" \"{1}\"\nunlink \"{0}\"\n",
            old.display(),
            new.display()
        );
        self.debugfs(partition, true, &commands)?;
        ensure!(self.read(to)?.is_some(), "{} was not renamed", from.display());
        Ok(())
    }

    /// Replays the journal of ext4 and repairs what can be repaired without a person; debugfs would work past it.
    fn prepare(&self) -> Result<()> {
        let checked = [self.root, self.boot]
            .into_iter()
            .filter(|partition| partition.kind == Kind::Ext);
        let e2fsck = requirements::find("e2fsck")?;
        let mut done = Vec::new();
        for partition in checked {
            if done.contains(&partition.offset) {
                continue;
            }
            done.push(partition.offset);
            let device = self.ext(partition);
            let sh = Shell::new()?;
            let said = process::finish(cmd!(sh, "{e2fsck} -p {device}"), LIMIT)?;
            // e2fsck(8): 0 nothing, 1 corrected, 2 corrected and a mounted one would have to reboot.
            ensure!(
                matches!(said.status.code(), Some(0..=2)),
                "the file system on {} needs a person (e2fsck {device}): {}",
                self.shown(),
                said.text()
            );
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let file = fs::File::open(&self.disk).with_context(|| format!("opening {}", self.shown()))?;
        file.sync_all()
            .with_context(|| format!("flushing {}", self.shown()))
    }
}
