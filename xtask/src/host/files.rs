//! Files on the host: written whole or not at all, and hashed.

use super::{bounded, one_line, scratch};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` beside `path`, flushes, renames: a reader sees the old file or the new one, never half.
/// Parent folders are made.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let doing = || format!("writing {}", path.display());
    fs::create_dir_all(folder).with_context(doing)?;
    let mut file = scratch::file_in(folder).with_context(doing)?;
    file.write_all(bytes).with_context(doing)?;
    keep(file, path)
}

/// Gives a file that was written beside `path`, in the same folder, that name; flushes both.
pub fn keep(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let doing = || format!("writing {}", path.display());
    file.as_file().sync_all().with_context(doing)?;
    file.persist(path).with_context(doing)?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(doing)
}

/// Whether anything has this name, a link that leads nowhere as well. Errors: it cannot be looked
/// at; that is never "no".
pub fn is_there(path: &Path) -> Result<bool> {
    Ok(looked(fs::symlink_metadata(path), path)?.is_some())
}

/// Whether there is a regular file, or a link to one. Errors: as [`is_there`].
pub fn is_file(path: &Path) -> Result<bool> {
    Ok(looked(fs::metadata(path), path)?.is_some_and(|found| found.is_file()))
}

/// Whether there is a folder, or a link to one. Errors: as [`is_there`].
pub fn is_folder(path: &Path) -> Result<bool> {
    Ok(looked(fs::metadata(path), path)?.is_some_and(|found| found.is_dir()))
}

fn looked(found: std::io::Result<fs::Metadata>, path: &Path) -> Result<Option<fs::Metadata>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("looking at {}", one_line::path(path))),
    }
}

/// SHA-256 of a file, lower-case hex.
pub fn sha256_file(path: &Path) -> Result<String> {
    let doing = || format!("hashing {}", path.display());
    let file = bounded::open(path).with_context(doing)?;
    Ok(sha256_of(file).with_context(doing)?.0)
}

/// SHA-256 of a stream, lower-case hex, and how many bytes it had.
pub fn sha256_of(from: impl Read) -> std::io::Result<(String, u64)> {
    let mut from = Hashing::new(from);
    let mut buffer = vec![0; 1 << 16];
    while from.read(&mut buffer)? > 0 {}
    Ok(from.end())
}

/// A stream that is hashed while it is read.
pub struct Hashing<R> {
    from: R,
    hasher: Sha256,
    length: u64,
}

impl<R> Hashing<R> {
    /// Nothing is read yet.
    pub fn new(from: R) -> Self {
        Hashing {
            from,
            hasher: Sha256::new(),
            length: 0,
        }
    }

    /// SHA-256 of what was read, lower-case hex, and how many bytes that were.
    pub fn end(self) -> (String, u64) {
        (hex::encode(self.hasher.finalize()), self.length)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.length = self.length.saturating_add(read as u64);
        Ok(read)
    }
}

/// SHA-256 of bytes, lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What a power cut can leave of a file that was written and not flushed: its name and length are there, its content is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remains {
    /// No byte.
    Empty,
    /// Zeros alone.
    Zeros {
        /// So many.
        bytes: usize,
    },
}

impl Remains {
    /// Whether these bytes are no more than that.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [] => Some(Remains::Empty),
            _ if bytes.iter().all(|byte| *byte == 0) => Some(Remains::Zeros { bytes: bytes.len() }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Remains {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Remains::Empty => write!(f, "it is empty, as a power cut can leave a file"),
            Remains::Zeros { bytes } => {
                write!(
                    f,
                    "it holds {bytes} zero bytes alone, as a power cut can leave a file"
                )
            }
        }
    }
}

/// Reads a file that this program keeps; none where there is none. Errors: it cannot be read; a power cut took its content ([`Remains`]):
/// what was in it is lost, and the file stays as it is.
pub fn read_kept(path: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("reading {}", path.display());
    let Some(bytes) = bounded::read_if_there(path, bounded::RECORD)? else {
        return Ok(None);
    };
    match Remains::of(&bytes) {
        None => Ok(Some(bytes)),
        Some(remains) => bail!(
            "{}: {remains}. What was in it is lost; to go on without it, move it away: `mv {1} {1}.damaged`",
            doing(),
            path.display()
        ),
    }
}

/// Gives a file that [`Remains`] of another name, so that a new one can be written in its place; returns that name. Other files stay.
pub fn set_remains_aside(path: &Path) -> Result<Option<PathBuf>> {
    let doing = || format!("setting {} aside", path.display());
    let found = bounded::read_if_there(path, bounded::RECORD).with_context(doing)?;
    if found.as_deref().and_then(Remains::of).is_none() {
        return Ok(None);
    }
    for number in 1..1000 {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".damaged-{number}"));
        let aside = PathBuf::from(name);
        // A second name first: an older file that was set aside is never replaced.
        match fs::hard_link(path, &aside) {
            Ok(()) => {
                fs::remove_file(path).with_context(doing)?;
                return Ok(Some(aside));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(doing),
        }
    }
    bail!("{}: too many are there already", doing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_there_and_not_to_be_looked_at_are_two_answers() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        std::os::unix::fs::symlink("gone", at("nowhere")).unwrap();
        fs::write(at("file"), "").unwrap();
        let all = |path: &Path| [is_there(path), is_file(path), is_folder(path)].map(Result::ok);
        assert_eq!(all(&at("file")), [Some(true), Some(true), Some(false)]);
        assert_eq!(all(folder.path()), [Some(true), Some(false), Some(true)]);
        assert_eq!(all(&at("gone")), [Some(false); 3]);
        assert_eq!(all(&at("nowhere")), [Some(true), Some(false), Some(false)]);
        for doubt in ["loop/x", "file/x"] {
            assert_eq!(all(&at(doubt)), [None; 3], "{doubt}");
        }
    }

    #[test]
    fn what_a_power_cut_left_is_told_from_content_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(read_kept(&path).unwrap(), None);
        assert_eq!(set_remains_aside(&path).unwrap(), None);
        for (at, left) in [&b""[..], &[0; 4096]].into_iter().enumerate() {
            fs::write(&path, left).unwrap();
            let error = format!("{:#}", read_kept(&path).unwrap_err());
            assert!(
                error.contains("power cut") && error.contains("state.json.damaged"),
                "{error}"
            );
            let aside = set_remains_aside(&path).unwrap().unwrap();
            assert!(
                aside.ends_with(format!("state.json.damaged-{}", at + 1)),
                "{aside:?}"
            );
            assert_eq!(fs::read(aside).unwrap(), left);
            assert!(!path.exists());
        }
        fs::write(&path, "{}").unwrap();
        assert_eq!(read_kept(&path).unwrap().unwrap(), b"{}");
        assert_eq!(set_remains_aside(&path).unwrap(), None);
    }
}
