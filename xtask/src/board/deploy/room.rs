//! Whether a deploy fits: measured on the board, before anything is written, against what will be written.

use super::super::protected::Protected;
use super::super::script;
use super::super::slot::Place;
use super::super::writer::Put;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// Free space that has to remain on each file system, in bytes.
const MARGIN: u64 = 4 << 20;
/// Types that U-Boot reads no kernel from.
const NOT_U_BOOTS: [&str; 9] = [
    "overlay", "nfs", "nfs4", "cifs", "9p", "iso9660", "ramfs", "autofs", "virtiofs",
];
/// Types that keep no modes and no links: no place for modules.
const WITHOUT_MODES: [&str; 4] = ["vfat", "msdos", "exfat", "ntfs"];

/// What one of the two file systems says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Room {
    folder: PathBuf,
    kind: String,
    free: u64,
    /// Free inodes; none where the file system has no such limit.
    inodes: Option<u64>,
    mount: PathBuf,
    read_only: bool,
}

/// The folders of the modules and of the boot files.
fn folders(place: &Place) -> Result<[&Path; 2]> {
    match (place.modules.parent(), place.image.parent()) {
        (Some(modules), Some(boot)) => Ok([modules, boot]),
        _ => bail!("the slot's files have no folders"),
    }
}

/// The script that measures; [`check`] takes its answer.
pub(super) fn looking(place: &Place) -> Result<String> {
    Ok(format!(
        "df -B1 --output=avail,iavail,itotal,fstype,target {}\ncat /proc/mounts",
        script::words(folders(place)?)?
    ))
}

/// Errors: the boot folder is not mounted, a file system is read-only, of a wrong type or too full. Nothing was changed then.
pub(super) fn check(
    text: &str,
    protected: &Protected,
    place: &Place,
    modules: &[(PathBuf, Put)],
    boot: &[(PathBuf, Put)],
) -> Result<()> {
    let [modules_at, boot_at] = folders(place)?;
    let rooms = parse(text, &[modules_at, boot_at])?;
    let [modules_room, boot_room] = &rooms[..] else {
        bail!("the board did not say how much space is free: `{text}`")
    };
    ensure!(
        boot_room.mount == protected.boot_mount,
        "{} is on the file system of {} now, and was on that of {}: the boot partition is not mounted; nothing was changed",
        boot_at.display(),
        boot_room.mount.display(),
        protected.boot_mount.display()
    );
    let sum = |puts: &[(PathBuf, Put)]| {
        puts.iter()
            .fold(0, |sum: u64, (_, put)| sum.saturating_add(put.size))
    };
    // Made on the board, so its size is not known before: vanilla's, and half of it for modules with debug information.
    let initramfs = protected
        .initramfs
        .as_ref()
        .and_then(|path| protected.inventory.get(path))
        .map_or(0, |entry| entry.size().saturating_add(entry.size() / 2));
    fits(modules_room, sum(modules), modules.len(), &WITHOUT_MODES)?;
    fits(
        boot_room,
        sum(boot).saturating_add(initramfs),
        boot.len(),
        &NOT_U_BOOTS,
    )
}

/// A heading, a line of df for each folder, and /proc/mounts (proc_pid_mounts(5)), where what was mounted last at a place is what is seen there.
fn parse(text: &str, folders: &[&Path]) -> Result<Vec<Room>> {
    let mut lines = text.lines().skip(1);
    let sizes: Vec<&str> = lines.by_ref().take(folders.len()).collect();
    let mounts: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    ensure!(
        sizes.len() == folders.len(),
        "the board said this of {folders:?}: `{text}`"
    );
    sizes
        .into_iter()
        .zip(folders)
        .map(|(sizes, folder)| {
            let doing = || format!("the board said this of {}: {sizes:?}", folder.display());
            let mut words = sizes.split_whitespace();
            let mut word = || words.next().with_context(doing);
            let (free, inodes, all_inodes, kind) = (word()?, word()?, word()?, word()?);
            let mount: Vec<&str> = words.collect();
            let mount = mount.join(" ");
            let written = mount.replace('\\', "\\134").replace(' ', "\\040");
            let options = mounts
                .iter()
                .rev()
                .find(|fields| fields.get(1) == Some(&written.as_str()));
            let options = options.and_then(|fields| fields.get(3)).with_context(|| {
                format!(
                    "{} is on the file system of {mount}, which the board's /proc/mounts does not list, so that nobody knows whether it may be \
                     written: run this where the board's own mounts are seen; nothing was changed",
                    folder.display()
                )
            })?;
            let counts_inodes = all_inodes.parse::<u64>().is_ok_and(|all| all > 0);
            Ok(Room {
                folder: folder.to_path_buf(),
                kind: kind.to_string(),
                free: free.parse().with_context(doing)?,
                inodes: inodes.parse().ok().filter(|_| counts_inodes),
                mount: mount.into(),
                read_only: options.split(',').any(|option| option == "ro"),
            })
        })
        .collect()
}

/// New files stand beside the old ones for a while, so all of them have to fit.
fn fits(room: &Room, bytes: u64, files: usize, wrong: &[&str]) -> Result<()> {
    let at = room.folder.display();
    ensure!(
        !wrong.contains(&room.kind.as_str()) && !room.kind.starts_with("fuse."),
        "{at} is on a file system of type {}, which a slot cannot live on: mount the right one; nothing was changed",
        room.kind
    );
    ensure!(
        !room.read_only,
        "{at} is on a read-only file system ({}): `mount -o remount,rw {0}`; the kernel makes one read-only after an error, so look at \
         its log and check it first (fsck); nothing was changed",
        room.mount.display()
    );
    let needed = bytes.saturating_add(MARGIN);
    ensure!(
        room.free >= needed,
        "{at} has {:.1} MB free and the deploy needs {:.1} MB: make room (`--keep 0` removes old slots), or build a smaller kernel; \
         nothing was changed",
        room.free as f64 / 1e6,
        needed as f64 / 1e6
    );
    let files = (files as u64).saturating_add(64);
    ensure!(
        room.inodes.is_none_or(|inodes| inodes >= files),
        "{at} has {} free inodes and the deploy needs {files}: remove files; nothing was changed",
        room.inodes.unwrap_or(0)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: &str = "1000000000 5000 10000 ext4 /";
    const BOOT: &str = "90000000 0 0 vfat /boot/my firmware";

    /// The first mount at the boot folder is hidden by the second.
    fn said(modules: &str, boot: &str, options: &str) -> String {
        format!(
            "Avail IFree Inodes Type Mounted on\n{modules}\n{boot}\n/dev/vda2 / ext4 rw,relatime 0 0\n\
             /dev/vda9 /boot/my\\040firmware ext4 ro 0 0\n/dev/vda1 /boot/my\\040firmware vfat {options} 0 0\n"
        )
    }

    fn rooms(boot: &str, options: &str) -> Vec<Room> {
        let folders = [Path::new("/usr/lib/modules"), Path::new("/boot/my firmware/b")];
        parse(&said(MODULES, boot, options), &folders).unwrap()
    }

    #[test]
    fn a_file_system_without_inodes_has_no_limit_of_them() {
        let rooms = rooms(BOOT, "rw,umask=77");
        assert_eq!((rooms[1].inodes, rooms[1].read_only), (None, false));
        assert_eq!(rooms[1].mount, Path::new("/boot/my firmware"));
        fits(&rooms[1], 80 << 20, 3, &NOT_U_BOOTS).unwrap();
        assert!(
            fits(&rooms[0], 1, 6000, &WITHOUT_MODES)
                .unwrap_err()
                .to_string()
                .contains("inodes")
        );
    }

    #[test]
    fn full_read_only_and_wrong_file_systems_are_told_apart() {
        let refused = |boot: &str, options: &str, bytes| {
            fits(&rooms(boot, options)[1], bytes, 1, &NOT_U_BOOTS)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(BOOT, "rw", 90_000_000).contains("90.0 MB free and the deploy needs 94.2 MB"));
        assert!(refused(BOOT, "ro,umask=77", 1).contains("read-only"));
        assert!(refused(&BOOT.replace("vfat", "overlay"), "rw", 1).contains("of type overlay"));
    }

    #[test]
    fn what_was_not_said_is_an_error() {
        let whole = said(MODULES, BOOT, "rw");
        let cut = |lines: usize| whole.lines().take(lines).collect::<Vec<_>>().join("\n");
        for lines in 0..4 {
            assert!(parse(&cut(lines), &[Path::new("/a"), Path::new("/b")]).is_err());
        }
        let unlisted = parse(&cut(3), &[Path::new("/a"), Path::new("/b")]).unwrap_err();
        assert!(unlisted.to_string().contains("does not list"), "{unlisted}");
    }
}
