//! Reading the log of a serial line while it grows.

use super::serial::Watch;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of the log's end tells what the line showed last, bytes: U-Boot prints a few kilobytes, and a whole boot fits, too.
const TAIL: u64 = 256 * 1024;
/// Most bytes of one look.
const AT_ONCE: u64 = 16 << 20;

/// A serial log, and how far it was read.
#[derive(Debug)]
pub struct SerialLog {
    path: PathBuf,
    file: File,
    at: u64,
}

impl SerialLog {
    /// The log from its end of now on. Errors: it cannot be opened.
    pub fn from_now(path: &Path) -> Result<Self> {
        Self::from_end(path, 0)
    }

    /// The log, read up to its end of now, and what that end showed.
    pub fn with_tail(path: &Path) -> Result<(Self, Watch)> {
        let mut log = Self::from_end(path, TAIL)?;
        let mut watch = Watch::default();
        watch.feed(&log.more()?);
        Ok((log, watch))
    }

    fn from_end(path: &Path, back: u64) -> Result<Self> {
        let doing = || format!("opening the serial log {}", path.display());
        let mut file = File::open(path).with_context(doing)?;
        let end = file.seek(SeekFrom::End(0)).with_context(doing)?;
        let at = end.saturating_sub(back);
        file.seek(SeekFrom::Start(at)).with_context(doing)?;
        Ok(SerialLog {
            path: path.to_path_buf(),
            file,
            at,
        })
    }

    /// What came since the last look.
    pub fn more(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // What is left comes with the next look.
        (&self.file)
            .take(AT_ONCE)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading the serial log {}", self.path.display()))?;
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(bytes)
    }

    /// Offset of the next byte in the log.
    pub fn at(&self) -> u64 {
        self.at
    }
}
