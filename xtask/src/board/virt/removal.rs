//! Takes the virtual board away.

use super::{STATE, folder, lock, power};
use crate::host::files;
use crate::host::folders::Folders;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Removes the board of this cache, readable or not, with everything that is on its disk; gives the folder that is gone. Errors:
/// there is none. Dies half-way: some of its files are left, and it counts as not made.
pub fn destroy(folders: &Folders) -> Result<PathBuf> {
    let _lock = lock::wait(folders)?;
    let folder = folder(folders);
    if !files::is_there(&folder)? {
        bail!("there is no virtual board in {}", folder.display());
    }
    remove(&folder).map(|()| folder)
}

/// Cuts the power of the machine in a folder, if it runs (one that was killed in the middle may have left it on), and
/// removes the folder. What says that a board is there goes first.
pub(super) fn remove(folder: &Path) -> Result<()> {
    let doing = || format!("removing {}", folder.display());
    if power::running(folder).is_some() {
        power::cut(folder).with_context(doing)?;
    }
    let state = folder.join(STATE);
    if files::is_there(&state)? {
        fs::remove_file(state).with_context(doing)?;
    }
    fs::remove_dir_all(folder).with_context(doing)
}
