//! What crosses the line of a write: one tar archive with the files and the lists that the board works through.

use super::{Put, Source};
use crate::host::bounded;
use crate::host::files::sha256;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// How the archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// The board has zstd.
    Zstd,
    /// It has not.
    Plain,
}

impl Packing {
    /// The answer to `scripts::PACKING`.
    pub fn read(answer: &str) -> Self {
        match answer.trim() {
            "zstd" => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// Level of zstd: on a line of 1 MB/s a second of packing is repaid by a megabyte.
const LEVEL: i32 = 9;

/// Targets, hashes and copies on the board, in this order, in front of the files.
pub(super) fn pack(puts: &[Put], packing: Packing) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let (mut targets, mut hashes, mut copies) = (String::new(), String::new(), String::new());
    for put in puts {
        let target = put.target.display();
        targets.push_str(&format!("{target}\n"));
        hashes.push_str(&format!("{}  {target}\n", put.sha256));
        if let Source::BoardFile(from) = &put.source {
            let from = from.to_str().context("a path on the board is not UTF-8")?;
            ensure!(
                !from.contains(['\n', '\t', '\\']),
                "the path `{}` cannot be copied",
                from.escape_debug()
            );
            copies.push_str(&format!("{:o}\t{target}\t{from}\n", put.mode));
        }
    }
    for (name, text) in [("targets", targets), ("hashes", hashes), ("copies", copies)] {
        append(
            &mut archive,
            Path::new(&format!(".lockstep-{name}")),
            text.as_bytes(),
            &header(0o600),
        )?;
    }
    for put in puts {
        let bytes = match &put.source {
            Source::BoardFile(_) => continue,
            Source::Bytes(bytes) => bytes.clone(),
            Source::HostFile(path) => bounded::read(path, put.size)?,
        };
        ensure!(
            sha256(&bytes) == put.sha256,
            "the file for {} changed on this host since it was hashed: build it again",
            put.target.display()
        );
        let mut header = header(put.mode);
        if let Some(keep) = put.keep {
            header.set_uid(keep.owner.0.into());
            header.set_gid(keep.owner.1.into());
            header.set_mtime(u64::try_from(keep.modified).unwrap_or(0));
        }
        append(&mut archive, &put.target, &bytes, &header)?;
    }
    let plain = archive.into_inner().context("packing files")?;
    match packing {
        Packing::Plain => Ok(plain),
        Packing::Zstd => zstd::encode_all(plain.as_slice(), LEVEL).context("compressing files"),
    }
}

fn header(mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode & 0o7777);
    header
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &Path,
    bytes: &[u8],
    header: &tar::Header,
) -> Result<()> {
    let mut header = header.clone();
    header.set_size(bytes.len() as u64);
    archive
        .append_data(&mut header, path, bytes)
        .with_context(|| format!("packing {}", path.display()))
}
