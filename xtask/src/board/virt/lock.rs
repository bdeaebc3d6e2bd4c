//! The two locks of the virtual board: its name among all boards, for a whole command, and a short one around each change of its power.

use crate::host::folders::Folders;
use crate::host::lock::Alias;
use anyhow::{Context, Result};
use std::fs::{self, File};

/// What names the virtual board of this cache, made or not, whichever checkout uses the cache. The name of a cache that is not there yet may change when it
/// is made.
pub fn machine_name(folders: &Folders) -> Result<Alias> {
    let cache = match folders.cache.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => folders.cache.clone(),
        cache => cache.with_context(|| format!("looking for the cache {}", folders.cache.display()))?,
    };
    Ok(Alias {
        key: format!("virtual {}", cache.display()),
        shown: format!("its folder in {}", cache.display()),
    })
}

/// Held while the board is made, started, stopped or removed: two commands must not do that at once. Waits for the other.
pub(super) fn wait(folders: &Folders) -> Result<File> {
    let path = folders.cache.join("boards/virtual.lock");
    let doing = || format!("locking {}", path.display());
    fs::create_dir_all(folders.cache.join("boards")).with_context(doing)?;
    let file = File::create(&path).with_context(doing)?;
    file.lock().with_context(doing)?;
    Ok(file)
}
