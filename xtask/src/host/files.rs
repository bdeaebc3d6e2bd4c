//! Files on the host: written whole or not at all, and hashed.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

/// Writes `bytes` beside `path`, flushes, renames: a reader sees the old file or the new one, never half.
/// Parent folders are made.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let doing = || format!("writing {}", path.display());
    fs::create_dir_all(folder).with_context(doing)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(doing)?;
    file.write_all(bytes).with_context(doing)?;
    file.as_file().sync_all().with_context(doing)?;
    file.persist(path).with_context(doing)?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(doing)
}

/// SHA-256 of a file, lower-case hex.
pub fn sha256_file(path: &Path) -> Result<String> {
    let doing = || format!("hashing {}", path.display());
    let file = fs::File::open(path).with_context(doing)?;
    Ok(sha256_of(file).with_context(doing)?.0)
}

/// SHA-256 of a stream, lower-case hex, and how many bytes it had.
pub fn sha256_of(mut from: impl Read) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut length: u64 = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((hex::encode(hasher.finalize()), length)),
            read => {
                hasher.update(buffer.get(..read).unwrap_or_default());
                length = length.saturating_add(read as u64);
            }
        }
    }
}

/// SHA-256 of bytes, lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
