//! Which partitions a disk has, and what is on them: from `sfdisk --json` and the first bytes of each.

use crate::host::{process, requirements};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

/// One file system on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What it is.
    pub kind: Kind,
}

/// What can be worked on without mounting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fat,
    Ext,
}

/// The file systems of a disk that are known; a disk without a partition table is one by itself.
pub(super) fn find(disk: &Path) -> Result<Vec<Partition>> {
    let sfdisk = requirements::find("sfdisk")?;
    let sh = Shell::new()?;
    let table = process::finish(cmd!(sh, "{sfdisk} --json {disk}"), Duration::from_secs(30))?;
    let offsets = if table.status.success() {
        offsets(&table.stdout)?
    } else {
        vec![0]
    };
    let mut found = Vec::new();
    for offset in offsets {
        if let Some(kind) = kind(disk, offset)? {
            found.push(Partition { offset, kind });
        }
    }
    Ok(found)
}

fn offsets(json: &[u8]) -> Result<Vec<u64>> {
    let table: serde_json::Value =
        serde_json::from_slice(json).context("reading what sfdisk says of the disk")?;
    let table = &table["partitiontable"];
    let sector = table["sectorsize"].as_u64().unwrap_or(512);
    let partitions = table["partitions"].as_array().cloned().unwrap_or_default();
    Ok(partitions
        .iter()
        .filter_map(|one| Some(one["start"].as_u64()? * sector))
        .collect())
}

fn kind(disk: &Path, offset: u64) -> Result<Option<Kind>> {
    let doing = || format!("reading {}", disk.display());
    let mut file = File::open(disk).with_context(doing)?;
    file.seek(SeekFrom::Start(offset)).with_context(doing)?;
    let mut head = Vec::new();
    file.take(2048).read_to_end(&mut head).with_context(doing)?;
    Ok(kind_of(&head))
}

/// ext2 to ext4: magic 0xEF53 at 56 in the superblock at 1024 (Documentation/filesystems/ext4/super.rst). FAT: 0xAA55 at 510 and its name at 54
/// or 82 (Microsoft's FAT specification, BS_FilSysType).
fn kind_of(head: &[u8]) -> Option<Kind> {
    let at = |from: usize, bytes: &[u8]| head.get(from..from + bytes.len()) == Some(bytes);
    if at(1024 + 56, &[0x53, 0xef]) {
        Some(Kind::Ext)
    } else if at(510, &[0x55, 0xaa]) && (at(54, b"FAT") || at(82, b"FAT")) {
        Some(Kind::Fat)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_known_by_their_marks() {
        let mut head = vec![0; 2048];
        assert_eq!(kind_of(&head), None);
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(kind_of(&head), None, "a boot sector alone is no FAT");
        head[82..87].copy_from_slice(b"FAT32");
        assert_eq!(kind_of(&head), Some(Kind::Fat));
        head[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(kind_of(&head), Some(Kind::Ext));
        assert_eq!(kind_of(&head[..100]), None);
    }

    #[test]
    fn offsets_are_in_bytes() {
        let json = br#"{"partitiontable":{"sectorsize":512,"partitions":[{"start":2048},{"start":526336}]}}"#;
        assert_eq!(offsets(json).unwrap(), [1 << 20, 526336 * 512]);
    }
}
