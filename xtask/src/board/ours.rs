//! What of ours is on a board, or on its disk in this host: slots by their records and labels, and the folders that only we make. It says what a
//! rollback takes away, and what stays on purpose.

mod kept;

use super::backup::{self, Manifest};
use super::extlinux::{self, Config};
use super::file::SecondHost;
use super::protected::Protected;
use super::script::THERE;
use super::slot::{self, Place, Record};
use super::slot_init::RESTORE_FOLDER;
use super::writer::UNFINISHED;
use super::{Board, quote, script};
use anyhow::Result;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use kept::{BackupOnBoard, Kept, backups, day, lines};

/// Folder on the board that smoke tests run in.
pub const SMOKE_FOLDER: &str = "/var/lib/lockstep/smoke";
/// Folder beside the backups in which the board's own tool makes an initramfs; a deploy that died leaves it.
pub(super) const INITRAMFS_WORK: &str = ".initramfs";

/// Names in a folder, and when each was last changed where that is known.
pub(super) type Entries = BTreeMap<String, Option<Timestamp>>;

/// Files of a board, whether it runs or not.
pub(super) trait Files {
    /// The whole content of a file; `None` if there is none.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;
    /// What is in a folder; nothing if it is not there.
    fn entries(&self, folder: &Path) -> Result<Entries>;
}

/// What is there of ours.
pub(super) struct Ours {
    /// Files and folders that a rollback takes away.
    pub remove: Vec<PathBuf>,
    /// What it leaves on the board.
    pub kept: Vec<Kept>,
}

/// Looks for it. `backups` is the folder of the board that has a folder for each campaign's backup; where it is not known, nothing is said of
/// them.
pub(super) fn find(files: &dyn Files, manifest: &Manifest, backups: Option<&Path>) -> Result<Ours> {
    let protected = &manifest.protected;
    let mut seen = Names {
        files,
        known: BTreeMap::new(),
    };
    let record = slot::record_path(protected);
    let boot = record.parent().unwrap_or(&protected.boot_mount).to_path_buf();
    let mut remove = slots(&mut seen, protected, &boot)?;
    remove.extend([PathBuf::from(SMOKE_FOLDER), PathBuf::from(RESTORE_FOLDER)]);
    let mut kept = Vec::new();
    if let Some(folder) = backups {
        for (name, made) in seen.entries(folder)? {
            let unfinished = name.strip_prefix(UNFINISHED) == Some(manifest.campaign.as_str());
            if name == INITRAMFS_WORK || unfinished {
                remove.push(folder.join(name));
            } else {
                kept.push(Kept::backup(folder, name, made));
            }
        }
    }
    let (gone, unsafe_on_fat) = interrupted(&mut seen, manifest, &boot)?;
    remove.extend(gone);
    kept.extend(unsafe_on_fat);
    let mut there = BTreeSet::new();
    for path in remove {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            continue;
        };
        if seen.entries(folder)?.contains_key(name) {
            there.insert(path);
        }
    }
    Ok(Ours {
        remove: there.into_iter().collect(),
        kept,
    })
}

/// Each folder is listed once.
struct Names<'a> {
    files: &'a dyn Files,
    known: BTreeMap<PathBuf, Entries>,
}

impl Names<'_> {
    fn entries(&mut self, folder: &Path) -> Result<Entries> {
        if let Some(known) = self.known.get(folder) {
            return Ok(known.clone());
        }
        let entries = self.files.entries(folder)?;
        self.known.insert(folder.into(), entries.clone());
        Ok(entries)
    }

    fn names(&mut self, folder: &Path) -> Result<Vec<String>> {
        Ok(self.entries(folder)?.into_keys().collect())
    }
}

/// Slots of every label of ours, and those that are kept without one. A damaged record must not stop a rollback: the label names the kernel, and
/// so the release. A record that lies must not take vanilla away.
fn slots(seen: &mut Names, protected: &Protected, boot: &Path) -> Result<Vec<PathBuf>> {
    let conf = seen.files.read(&protected.extlinux)?.unwrap_or_default();
    let config = Config::parse(&conf);
    let mut releases = BTreeSet::new();
    let mut paths = Vec::new();
    for label in extlinux::all_ours(&config) {
        releases.extend(release_of_label(&config, &label));
    }
    for name in seen.names(boot)? {
        let path = boot.join(&name);
        if let Some(release) = slot::kept_release(&name) {
            releases.insert(release.to_string());
            paths.push(path);
        } else if slot::is_record(&name) {
            let read = seen.files.read(&path)?;
            let record = read.and_then(|bytes| Record::parse(&bytes).ok());
            releases.extend(record.map(|record| record.release));
            paths.push(path);
        }
    }
    for release in &releases {
        if let Ok(place) = Place::of(protected, release) {
            paths.extend(place.roots());
        }
    }
    paths.retain(|path| protected.refuses(path).is_none());
    Ok(paths)
}

/// The release that a label of ours boots, by the name of its kernel.
pub(super) fn release_of_label(config: &Config, label: &str) -> Option<String> {
    extlinux::ours(config, label).ok().flatten()?;
    let kernel = config.label(label)?.kernel.as_deref()?;
    let release = kernel.rsplit('/').next()?.strip_prefix("Image-")?;
    Some(release.into())
}

/// The backup's copies on other machines.
pub(super) fn elsewhere(
    manifest: &Manifest,
    host_folder: &Path,
    second: Option<&SecondHost>,
) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    if backup::has_archive(host_folder)? {
        kept.push(Kept {
            what: "the archive stays on this host, with the rescue card".into(),
            place: host_folder.display().to_string(),
            remove: format!(
                "when no rollback is wanted any more: `rm -r {}`",
                quote(&host_folder.to_string_lossy())
            ),
            backup: None,
        });
    }
    kept.extend(second.map(|second| {
        let folder = second
            .folder
            .join(&manifest.protected.board)
            .join(&manifest.campaign);
        Kept {
            what: format!(
                "a copy of the archive, if it was pushed, stays on {}",
                second.host
            ),
            place: folder.display().to_string(),
            remove: format!("there: `rm -r {}`", quote(&folder.to_string_lossy())),
            backup: None,
        }
    }));
    Ok(kept)
}

/// What interrupted writes left beside their targets: gone, and on FAT told. There, after a power cut, such a file may share its clusters with the
/// target, and removing it would free them (facts of vfat's rename); fsck.vfat has to look first.
fn interrupted(seen: &mut Names, manifest: &Manifest, boot: &Path) -> Result<(Vec<PathBuf>, Vec<Kept>)> {
    let protected = &manifest.protected;
    let on_fat = manifest
        .inventory
        .get(&protected.extlinux)
        .is_some_and(|entry| matches!(entry.filesystem.as_str(), "vfat" | "msdos"));
    let mut folders: BTreeSet<PathBuf> = [boot.to_path_buf()].into();
    folders.extend(protected.extlinux.parent().map(Path::to_path_buf));
    folders.extend(protected.modules.parent().map(Path::to_path_buf));
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for folder in folders {
        for name in seen.names(&folder)? {
            let path = folder.join(&name);
            if !is_interrupted(&name) {
                continue;
            }
            if !(on_fat && path.starts_with(&protected.boot_mount)) {
                gone.push(path);
                continue;
            }
            kept.push(Kept {
                what: "an interrupted write left this on FAT, where it may share its clusters with the file that it was to replace".into(),
                place: path.display().to_string(),
                remove: format!(
                    "unmount {} and run `fsck.vfat -w` on it before you remove it",
                    protected.boot_mount.display()
                ),
                backup: None,
            });
        }
    }
    Ok((gone, kept))
}

/// Names that the writer's scripts and the slot's first user space give to what they write beside a target (`writer/scripts.rs`,
/// `slot-init/restore.c`).
fn is_interrupted(name: &str) -> bool {
    let staged = name
        .strip_prefix(".lockstep-")
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let beside = name
        .strip_prefix("extlinux.conf.lockstep")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    staged || beside
}

/// A running board.
pub(super) struct Running<'a>(pub &'a dyn Board);

impl Files for Running<'_> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        script::read(self.0, path)
    }

    fn entries(&self, folder: &Path) -> Result<Entries> {
        let word = script::word(folder)?;
        let looking = format!(
            "{THERE}if [ -d {word} ]; then find -H {word} -mindepth 1 -maxdepth 1 -printf '%T@ %f\\0'\n\
             elif there {word}; then printf '%s cannot be read as a folder\\n' {word} >&2; exit 1\nfi"
        );
        let finished = script::ask(self.0, "looking for files of ours", &looking, script::LOOK)?;
        // A name that is not UTF-8 is none of ours.
        let entries = finished.stdout.split(|byte| *byte == 0);
        let entries = entries.filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once(' '));
        Ok(entries
            .map(|(time, name)| (name.to_string(), time_of(time)))
            .collect())
    }
}

/// A time as `find -printf %T@` prints it: Unix seconds with a fraction.
fn time_of(text: &str) -> Option<Timestamp> {
    let seconds = text.split('.').next()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{BoardPath, Content, Entry, Inventory};
    use super::super::protected::tests::example;
    use super::*;

    struct Fake(BTreeMap<&'static str, Vec<&'static str>>);

    impl Files for Fake {
        fn read(&self, _path: &Path) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn entries(&self, folder: &Path) -> Result<Entries> {
            let names = self.0.get(folder.to_str().unwrap()).into_iter().flatten();
            Ok(names.map(|name| (name.to_string(), None)).collect())
        }
    }

    #[test]
    fn what_an_interrupted_write_left_on_fat_is_told_and_stays() {
        let files = Fake(
            [
                ("/boot/firmware", vec![".lockstep-0123456789ab"]),
                (
                    "/boot/firmware/extlinux",
                    vec!["extlinux.conf", "extlinux.conf.lockstep3"],
                ),
                ("/usr/lib/modules", vec!["7.3.4", ".lockstep-0123456789ab"]),
            ]
            .into(),
        );
        let on = |filesystem: &str| {
            let protected = example();
            let entry = Entry {
                content: Content::Folder,
                mode: 0o644,
                owner: (0, 0),
                modified: 0,
                filesystem: filesystem.into(),
            };
            let manifest = Manifest {
                schema_version: backup::SCHEMA_VERSION,
                campaign: "iter6".into(),
                inventory: Inventory::from_iter([(BoardPath::new(&protected.extlinux).unwrap(), entry)]),
                protected,
            };
            find(&files, &manifest, None).unwrap()
        };
        let ext4 = on("ext4");
        assert_eq!((ext4.remove.len(), ext4.kept.len()), (3, 0), "{:?}", ext4.remove);
        let fat = on("vfat");
        assert_eq!(fat.remove, [Path::new("/usr/lib/modules/.lockstep-0123456789ab")]);
        let places: Vec<&str> = fat.kept.iter().map(|kept| kept.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "/boot/firmware/.lockstep-0123456789ab",
                "/boot/firmware/extlinux/extlinux.conf.lockstep3"
            ]
        );
        assert!(fat.kept[0].line().contains("fsck.vfat"), "{:?}", fat.kept[0]);
    }

    #[test]
    fn only_names_that_our_own_writes_have_are_leftovers_of_them() {
        for name in [
            ".lockstep-0123456789ab",
            "extlinux.conf.lockstep0",
            "extlinux.conf.lockstep17",
        ] {
            assert!(is_interrupted(name), "{name}");
        }
        for name in [
            "extlinux.conf",
            "extlinux.conf.lockstep",
            "extlinux.conf.lockstep0.bak",
            ".lockstep-",
            ".lockstep-0123456789ab.mine",
            ".lockstep-notes0000000",
            "lockstep-0123456789ab",
        ] {
            assert!(!is_interrupted(name), "{name}");
        }
    }
}
