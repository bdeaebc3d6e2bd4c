//! Whether a build has room on its disk.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Bytes that an object takes together with its share of archives, links and staging: 1,225 objects of the virtual board's lockdep kernel
/// take 285 MB and 32 MB staged.
const FOR_OBJECT: u64 = 300 << 10;
/// The same with debug information (CONFIG_DEBUG_INFO, not reduced): a distribution's kernel takes 20 GB and more for 10,000 objects.
const FOR_OBJECT_WITH_DEBUG_INFO: u64 = 2500 << 10;
/// What even a build with nothing to compile may write: links of vmlinux, staged files, logs.
const ALWAYS: u64 = 256 << 20;

/// Less free space than this, and a failed build failed for want of it.
pub const NOTHING: u64 = 16 << 20;

/// Bytes that a build of `objects` objects needs.
pub fn needed(objects: usize, debug_info: bool) -> u64 {
    let each = if debug_info {
        FOR_OBJECT_WITH_DEBUG_INFO
    } else {
        FOR_OBJECT
    };
    each.saturating_mul(objects as u64).saturating_add(ALWAYS)
}

/// Bytes that are free for this user at `path`, or where it will be.
pub fn free(path: &Path) -> Result<u64> {
    let there: PathBuf = path
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"))
        .to_path_buf();
    let state = rustix::fs::statvfs(&there)
        .with_context(|| format!("asking for the free space of {}", there.display()))?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

/// Errors if there is less than what is needed.
pub fn require(path: &Path, needed: u64, free: u64) -> Result<()> {
    if free >= needed {
        return Ok(());
    }
    bail!(
        "there is not enough room for this build in {}: it needs about {}, and {} are free; make room, or set LOCKSTEP_CACHE to a folder \
         on another disk",
        path.display(),
        shown(needed),
        shown(free)
    )
}

/// `2.4 GB`, `300 MB`.
pub fn shown(bytes: u64) -> String {
    if bytes >= 1_000_000_000 {
        format!("{:.1} GB", bytes as f64 / 1e9)
    } else {
        format!("{} MB", bytes / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_told_before_the_build() {
        let path = Path::new("/cache/build");
        require(path, 1 << 30, 1 << 30).unwrap();
        let error = require(path, needed(1_300, false), 300_000_000)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "there is not enough room for this build in /cache/build: it needs about 667 MB, and 300 MB are free; make room, or set \
             LOCKSTEP_CACHE to a folder on another disk"
        );
        assert!(needed(10_000, true) > 20_000_000_000);
    }

    #[test]
    fn free_space_is_asked_where_the_folder_will_be() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("not/there/yet")).unwrap() > 0);
    }
}
