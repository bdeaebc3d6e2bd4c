//! Reading what others made, with a bound: a file that grows, a pipe that never ends and a device cannot fill this machine's memory
//! or keep it waiting.

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Most bytes of a file that a person writes: a campaign of 20,000 steps has 3 MB.
pub const WRITTEN: u64 = 8 * MIB;
/// Most bytes of a record that this program wrote: a journal, a manifest, a run.
pub const RECORD: u64 = 64 * MIB;
/// Most bytes of a log that is read as one piece.
pub const LOG: u64 = 64 * MIB;
/// 1 MiB.
pub const MIB: u64 = 1 << 20;

/// Opens a file for reading. Errors: it is not a regular file (a pipe, a device and a socket are not waited for), or cannot be opened.
pub fn open(path: &Path) -> Result<File> {
    open_there(path)?.with_context(|| doing(path))
}

/// [`open`]; `None` where there is no such file.
pub fn open_if_there(path: &Path) -> Result<Option<File>> {
    match open_there(path)? {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| doing(path)),
    }
}

/// Opens a file for writing at its end, and makes it where it is not there. Errors: as [`open`].
pub fn append(path: &Path) -> Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::APPEND
        | OFlags::CLOEXEC
        | OFlags::NONBLOCK
        | OFlags::NOCTTY;
    let doing = || format!("opening {}", super::one_line::path(path));
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666));
    let file = File::from(file.with_context(doing)?);
    refuse_others(&file, path)?;
    Ok(file)
}

/// The whole content of a file. Errors: [`open`]'s; it has more than `most` bytes, and is not read then.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    all(open(path)?, path, most)
}

/// [`read`] as text. Errors: also where it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    text(read(path, most)?, path)
}

/// [`read`]; `None` where there is no such file. That it could not be read is an error, and never `None`.
pub fn read_if_there(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    let file = open_if_there(path)?;
    file.map(|file| all(file, path, most)).transpose()
}

/// [`read_text`]; `None` where there is no such file.
pub fn read_text_if_there(path: &Path, most: u64) -> Result<Option<String>> {
    let bytes = read_if_there(path, most)?;
    bytes.map(|bytes| text(bytes, path)).transpose()
}

/// Everything of a stream. Errors: it has more than `most` bytes; `what` is named in that.
pub fn take(from: impl Read, what: &str, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.with_context(|| format!("reading {what}"))?;
    ensure!(
        bytes.len() as u64 <= most,
        "reading {what}: it has more than {}, the most that is read",
        size(most)
    );
    Ok(bytes)
}

/// A number of bytes in print: `64 MiB`, `100 bytes`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..MIB => format!("{bytes} bytes"),
        _ => format!("{} MiB", bytes / MIB),
    }
}

fn doing(path: &Path) -> String {
    format!("reading {}", super::one_line::path(path))
}

/// The outer error is about what it is, the inner one about opening it.
fn open_there(path: &Path) -> Result<std::io::Result<File>> {
    // A pipe without a writer would keep open(2) waiting, and a terminal become this process's own.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) => return Ok(Err(error.into())),
    };
    refuse_others(&file, path)?;
    Ok(Ok(file))
}

/// Errors: it is not a regular file.
fn refuse_others(file: &File, path: &Path) -> Result<()> {
    let kind = file.metadata().with_context(|| doing(path))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else {
            "a pipe, a device or a socket"
        };
        bail!("{}: it is {what}, and a regular file is needed", doing(path));
    }
    Ok(())
}

fn all(file: File, path: &Path, most: u64) -> Result<Vec<u8>> {
    let length = file.metadata().with_context(|| doing(path))?.len();
    ensure!(
        length <= most,
        "{}: it has {length} bytes, and {} are the most that is read",
        doing(path),
        size(most)
    );
    // It may grow while it is read, and files of /proc say that they are empty.
    take(file, &super::one_line::path(path), most)
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| error.utf8_error())
        .with_context(|| format!("{}: it is not UTF-8", doing(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = said(read(&path, 4));
        assert!(
            error.contains("it has 5 bytes, and 4 bytes are the most"),
            "{error}"
        );
        // Without one byte of it in memory.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(said(read(&path, LOG)).contains("64 MiB"));
        assert!(
            said(take(std::io::repeat(0), "an endless stream", 1000))
                .contains("an endless stream: it has more than 1000 bytes")
        );
    }

    #[test]
    fn pipes_devices_and_folders_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let node = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, node, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let begun = Instant::now();
        for path in [&pipe, Path::new("/dev/zero"), Path::new("/dev/ptmx")] {
            assert!(said(read(path, LOG)).contains("a pipe, a device or a socket"));
            assert!(said(read_if_there(path, LOG)).contains("a regular file is needed"));
        }
        assert!(said(read(folder.path(), LOG)).contains("a folder"));
        // A pipe that somebody reads could be opened for writing.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let _reader = rustix::fs::open(&pipe, flags, Mode::empty()).unwrap();
        for path in [&pipe, Path::new("/dev/null")] {
            assert!(said(append(path)).contains("a regular file is needed"));
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn not_there_and_not_readable_are_two_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert_eq!(read_if_there(&path, LOG).unwrap(), None);
        assert!(said(read(&path, LOG)).contains("No such file"));
        std::os::unix::fs::symlink("a", &path).unwrap();
        assert!(
            said(read_if_there(&path, LOG)).contains("reading"),
            "a link to itself"
        );
        let error = said(read_if_there(&path.join("b"), LOG));
        assert!(error.contains("reading"), "{error}");
        let bad = folder.path().join("bad");
        std::fs::write(&bad, b"\xff").unwrap();
        assert!(said(read_text(&bad, LOG)).contains("not UTF-8"));
    }
}
