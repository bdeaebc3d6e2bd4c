//! Which partitions a disk has, and what is on them: from `sfdisk --json` and the first bytes of
//! each.

use super::super::filesystem_state::{State, Unclean};
use super::super::quote;
use crate::host::{one_line, process, requirements};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

/// Most partitions of a disk: GPT has 128 by default.
const PARTITIONS: usize = 256;

/// One file system on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
    /// How it was left, where that is not in order.
    pub state: Option<State>,
    /// Why it is not mounted, whatever is on it.
    pub refused: Option<Refused>,
}

/// File systems that are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// FAT12 to FAT32, by the kernel's vfat.
    Fat,
    /// ext2 to ext4, by the kernel's ext4.
    Ext,
}

/// Things that a superblock can ask of the kernel that mounts it, and that are not done for a
/// foreign disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its journal is on another device, which would be one of this host.
    JournalElsewhere,
    /// It has mount options of its own (`tune2fs -E mount_opts`).
    OwnOptions,
}

impl Refused {
    pub fn why(self) -> &'static str {
        match self {
            Refused::JournalElsewhere => "its superblock names another device for its journal",
            Refused::OwnOptions => "its superblock has mount options of its own",
        }
    }
}

impl Partition {
    /// Where it is, for a person.
    pub fn place(&self, disk: &Path) -> String {
        match self.offset {
            0 => one_line::path(disk),
            offset => format!("{}, the partition at byte {offset}", one_line::path(disk)),
        }
    }

    /// How it was left, where that is not in order.
    pub fn unclean(&self, disk: &Path) -> Option<Unclean> {
        Some(Unclean {
            place: self.place(disk),
            state: self.state?,
            repair: self.repair(disk),
        })
    }

    /// What a person checks and repairs it with. `?offset=` is e2fsprogs' (unix_io); fsck.vfat
    /// wants a device.
    fn repair(&self, disk: &Path) -> String {
        let disk = one_line::path(disk);
        match (self.kind, self.offset) {
            (Kind::Ext, 0) => format!("e2fsck -p {}", quote(&disk)),
            (Kind::Ext, offset) => format!("e2fsck -p {}", quote(&format!("{disk}?offset={offset}"))),
            (Kind::Fat, 0) => format!("fsck.vfat -w {}", quote(&disk)),
            (Kind::Fat, offset) => format!(
                "fsck.vfat -w \"$(losetup --find --show --offset {offset} {})\"",
                quote(&disk)
            ),
        }
    }

    fn overlaps(&self, other: &Partition) -> bool {
        let end = |one: &Partition| one.offset.saturating_add(one.size);
        self.offset < end(other) && other.offset < end(self)
    }
}

/// The file systems of a disk that are known; a disk without a partition table is one by itself.
/// Errors: also where two of them share bytes.
pub(super) fn find(disk: &Path) -> Result<Vec<Partition>> {
    let sfdisk = requirements::find("sfdisk")?;
    let sh = Shell::new()?;
    let doing = || format!("looking for partitions on {}", one_line::path(disk));
    let table =
        process::finish(cmd!(sh, "{sfdisk} --json {disk}"), Duration::from_secs(30)).with_context(doing)?;
    let mut file = File::open(disk).with_context(doing)?;
    let length = file.seek(SeekFrom::End(0)).with_context(doing)?;
    let ranges = match table.status.success() {
        true => ranges(&table.stdout).with_context(doing)?,
        false => vec![(0, length)],
    };
    let mut found: Vec<Partition> = Vec::new();
    for (offset, size) in ranges {
        if let Some(one) = partition(&mut file, offset, size).with_context(doing)? {
            ensure!(
                !found.iter().any(|other| other.overlaps(&one)),
                "{}: two of them share bytes: the partition table is damaged",
                doing()
            );
            found.push(one);
        }
    }
    if found.is_empty() && !table.status.success() {
        let said = String::from_utf8_lossy(&table.stderr);
        bail!(
            "{}: it is neither FAT nor ext4 as a whole, and sfdisk finds no partitions: {}",
            doing(),
            one_line::one_line(said.trim())
        );
    }
    Ok(found)
}

/// Where each partition begins and how long it is, in bytes.
fn ranges(json: &[u8]) -> Result<Vec<(u64, u64)>> {
    let table: serde_json::Value = serde_json::from_slice(json).context("reading what sfdisk prints")?;
    let table = table.get("partitiontable").context("sfdisk printed no table")?;
    let number = |value: &serde_json::Value, key: &str| value.get(key).and_then(serde_json::Value::as_u64);
    // sfdisk leaves it out for disks of 512 bytes in old versions.
    let sector = number(table, "sectorsize").unwrap_or(512);
    let Some(partitions) = table.get("partitions") else {
        return Ok(Vec::new());
    };
    let partitions = partitions.as_array().context("sfdisk printed no list")?;
    ensure!(
        partitions.len() <= PARTITIONS,
        "there are {} partitions, and at most {PARTITIONS} are looked at",
        partitions.len()
    );
    let range = |one: &serde_json::Value| -> Option<(u64, u64)> {
        let bytes = |key| number(one, key)?.checked_mul(sector);
        // For losetup a size of 0 is all that follows.
        Some((bytes("start")?, bytes("size").filter(|size| *size > 0)?))
    };
    partitions
        .iter()
        .map(|one| range(one).context("sfdisk printed a partition without a place"))
        .collect()
}

fn partition(file: &mut File, offset: u64, size: u64) -> Result<Option<Partition>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut head = Vec::new();
    file.take(2048).read_to_end(&mut head)?;
    Ok(kind_of(&head).map(|kind| Partition {
        offset,
        size,
        kind,
        state: match kind {
            Kind::Ext => ext_state(&head),
            Kind::Fat => fat_state(&head),
        },
        refused: match kind {
            Kind::Ext => ext_refused(&head),
            Kind::Fat => None,
        },
    }))
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// ext2 to ext4: magic 0xEF53 at 56 in the superblock at 1024
/// (Documentation/filesystems/ext4/super.rst). FAT: 0xAA55 at 510 and its name at 54 or 82
/// (Microsoft's FAT specification, BS_FilSysType).
fn kind_of(head: &[u8]) -> Option<Kind> {
    if bytes(head, SUPERBLOCK + 56) == Some([0x53, 0xef]) {
        Some(Kind::Ext)
    } else if bytes(head, 510) == Some([0x55, 0xaa])
        && (bytes(head, 54) == Some(*b"FAT") || bytes(head, 82) == Some(*b"FAT"))
    {
        Some(Kind::Fat)
    } else {
        None
    }
}

/// Where ext4's superblock is in its partition.
const SUPERBLOCK: usize = 1024;
/// `EXT4_FEATURE_COMPAT_HAS_JOURNAL`, of `s_feature_compat`.
const HAS_JOURNAL: u32 = 0x4;
/// `EXT4_FEATURE_INCOMPAT_RECOVER`, of `s_feature_incompat`.
const RECOVER: u32 = 0x4;
/// `EXT4_FEATURE_INCOMPAT_JOURNAL_DEV`.
const JOURNAL_DEVICE: u32 = 0x8;
/// `EXT4_VALID_FS` and `EXT4_ERROR_FS`, of `s_state`.
const VALID: u16 = 0x1;
const ERROR: u16 = 0x2;

fn ext_number(head: &[u8], at: usize) -> u32 {
    bytes(head, SUPERBLOCK.saturating_add(at)).map_or(0, u32::from_le_bytes)
}

/// Fields of the superblock by the kernel's Documentation/filesystems/ext4/super.rst.
fn ext_state(head: &[u8]) -> Option<State> {
    let state = bytes(head, SUPERBLOCK + 0x3a).map_or(0, u16::from_le_bytes);
    let has_journal = ext_number(head, 0x5c) & HAS_JOURNAL != 0;
    let needs_recovery = ext_number(head, 0x60) & RECOVER != 0;
    if state & ERROR != 0 || (state & VALID == 0 && !has_journal) {
        Some(State::NeedsCheck)
    } else {
        needs_recovery.then_some(State::JournalNotReplayed)
    }
}

fn ext_refused(head: &[u8]) -> Option<Refused> {
    let has_journal = ext_number(head, 0x5c) & HAS_JOURNAL != 0;
    let (inode, device) = (ext_number(head, 0xe0), ext_number(head, 0xe4));
    let is_device = ext_number(head, 0x60) & JOURNAL_DEVICE != 0;
    if is_device || device != 0 || (has_journal && inode == 0) {
        Some(Refused::JournalElsewhere)
    } else {
        bytes::<1>(head, SUPERBLOCK + 0x200)
            .is_some_and(|first| first != [0])
            .then_some(Refused::OwnOptions)
    }
}

/// `state` of the boot sector, bit 0: at 37 for FAT12 and FAT16, at 65 for FAT32 (`struct
/// fat_boot_sector` in linux/msdos_fs.h).
fn fat_state(head: &[u8]) -> Option<State> {
    let at = match bytes(head, 82) == Some(*b"FAT") {
        true => 65,
        false => 37,
    };
    let [state] = bytes(head, at)?;
    (state & 1 != 0).then_some(State::NotUnmounted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_known_by_their_marks() {
        let mut head = vec![0; 2048];
        assert_eq!(kind_of(&head), None);
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(kind_of(&head), None, "a boot sector alone is not FAT");
        head[82..87].copy_from_slice(b"FAT32");
        assert_eq!(kind_of(&head), Some(Kind::Fat));
        assert_eq!(fat_state(&head), None);
        head[65] = 1;
        assert_eq!(fat_state(&head), Some(State::NotUnmounted));
        head[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(kind_of(&head), Some(Kind::Ext));
        assert_eq!(kind_of(&head[..100]), None);
    }

    #[test]
    fn a_superblock_tells_how_it_was_left_and_what_it_asks_for() {
        let mut head = vec![0; 2048];
        head[1024 + 0x3a] = 1;
        assert_eq!((ext_state(&head), ext_refused(&head)), (None, None));
        head[1024 + 0x3a] = 0;
        assert_eq!(ext_state(&head), Some(State::NeedsCheck), "no journal");
        head[1024 + 0x5c] = 4;
        assert_eq!(ext_refused(&head), Some(Refused::JournalElsewhere), "no inode");
        head[1024 + 0xe0] = 8;
        assert_eq!((ext_state(&head), ext_refused(&head)), (None, None));
        head[1024 + 0x60] = 4;
        assert_eq!(ext_state(&head), Some(State::JournalNotReplayed));
        head[1024 + 0x3a] = 3;
        assert_eq!(ext_state(&head), Some(State::NeedsCheck));
        head[1024 + 0xe4] = 8;
        assert_eq!(ext_refused(&head), Some(Refused::JournalElsewhere));
        head[1024 + 0xe4] = 0;
        head[1024 + 0x200] = b'd';
        assert_eq!(ext_refused(&head), Some(Refused::OwnOptions));
        assert_eq!(ext_state(&head[..1030]), Some(State::NeedsCheck), "cut off");
    }

    #[test]
    fn places_are_in_bytes_and_too_large_ones_are_an_error() {
        let json = |partitions: &str| {
            format!(r#"{{"partitiontable":{{"sectorsize":512,"partitions":{partitions}}}}}"#)
        };
        let two = json(r#"[{"start":2048,"size":8},{"start":526336,"size":1}]"#);
        assert_eq!(
            ranges(two.as_bytes()).unwrap(),
            [(1 << 20, 4096), (526336 * 512, 512)]
        );
        for bad in [
            r#"[{"start":18446744073709551615,"size":1}]"#,
            r#"[{"start":1}]"#,
            r#"[{"start":1,"size":0}]"#,
            r#"[{"start":-1,"size":1}]"#,
            "3",
        ] {
            assert!(ranges(json(bad).as_bytes()).is_err(), "{bad}");
        }
        assert!(ranges(b"{}").is_err());
        assert!(ranges(br#"{"partitiontable":{}}"#).unwrap().is_empty());
    }
}
