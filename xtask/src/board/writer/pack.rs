//! What crosses the line of a write: one tar archive with the files and the lists that the board works through.

use super::{Put, Source};
use crate::host::bounded;
use crate::host::files::Hashing;
use crate::host::scratch;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

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

/// Writes the archive into a file without a name, whose size it returns: targets, hashes and copies on the board, in this order, in front of
/// the files. No file is held in memory as a whole.
pub(super) fn pack(puts: &[Put], packing: Packing) -> Result<(File, u64)> {
    let doing = "packing files";
    let file = scratch::unnamed().context(doing)?;
    match packing {
        Packing::Plain => {
            let mut out = BufWriter::new(&file);
            write(puts, &mut out)?;
            out.flush().context(doing)?;
        }
        Packing::Zstd => {
            let mut out = zstd::Encoder::new(&file, LEVEL).context(doing)?;
            write(puts, &mut out)?;
            out.finish().context(doing)?;
        }
    }
    let size = file.metadata().context(doing)?.len();
    Ok((file, size))
}

fn write(puts: &[Put], out: impl Write) -> Result<()> {
    let mut archive = tar::Builder::new(out);
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
        let mut header = header(0o600, text.len() as u64);
        let name = format!(".lockstep-{name}");
        let packed = archive.append_data(&mut header, &name, text.as_bytes());
        packed.with_context(|| format!("packing {name}"))?;
    }
    for put in puts {
        let mut header = header(put.mode, put.size);
        if let Some(keep) = put.keep {
            header.set_uid(keep.owner.0.into());
            header.set_gid(keep.owner.1.into());
            header.set_mtime(u64::try_from(keep.modified).unwrap_or(0));
        }
        match &put.source {
            Source::BoardFile(_) => {}
            Source::Bytes(bytes) => append(&mut archive, put, header, bytes.as_slice())?,
            Source::HostFile(path) => append(&mut archive, put, header, bounded::open(path)?)?,
        }
    }
    archive.finish().context("packing files")
}

fn header(mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode & 0o7777);
    header.set_size(size);
    header
}

/// Packs what `from` has, and refuses it where that is not what was hashed.
fn append(
    archive: &mut tar::Builder<impl Write>,
    put: &Put,
    mut header: tar::Header,
    from: impl Read,
) -> Result<()> {
    let doing = || format!("packing {}", put.target.display());
    // A file that has grown shows it by one byte more.
    let mut bytes = Hashing::new(from.take(put.size.saturating_add(1)));
    let mut right = (&mut bytes).take(put.size);
    archive
        .append_data(&mut header, &put.target, &mut right)
        .with_context(doing)?;
    io::copy(&mut bytes, &mut io::sink()).with_context(doing)?;
    let (hash, size) = bytes.end();
    ensure!(
        hash == put.sha256 && size == put.size,
        "the file for {} changed on this host since it was hashed: build it again",
        put.target.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::sha256_file;
    use crate::host::measured;
    use std::path::Path;

    fn put(path: &Path) -> Put {
        Put {
            target: "modules/large.ko".into(),
            sha256: sha256_file(path).unwrap(),
            size: std::fs::metadata(path).unwrap().len(),
            source: Source::HostFile(path.to_path_buf()),
            mode: 0o644,
            keep: None,
        }
    }

    /// A first deploy sends every module with what it is debugged with.
    #[test]
    fn a_large_file_is_packed_without_being_held_in_memory() {
        let name = "board::writer::pack::tests::a_large_file_is_packed_without_being_held_in_memory";
        measured::within(100, name, &[], || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("large.ko");
            File::create(&path).unwrap().set_len(256 * bounded::MIB).unwrap();
            for packing in [Packing::Plain, Packing::Zstd] {
                let (packed, size) = pack(&[put(&path)], packing).unwrap();
                assert_eq!(packed.metadata().unwrap().len(), size);
            }
        });
    }

    #[test]
    fn what_is_packed_is_what_was_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.ko");
        std::fs::write(&path, "as it was hashed").unwrap();
        let puts = [put(&path)];
        let (mut packed, _) = pack(&puts, Packing::Plain).unwrap();
        io::Seek::rewind(&mut packed).unwrap();
        let mut archive = tar::Archive::new(packed);
        let members = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        let members: Vec<(String, String)> = members.collect();
        let hashes = format!("{}  modules/large.ko\n", puts[0].sha256);
        let expected = [
            (".lockstep-targets", "modules/large.ko\n"),
            (".lockstep-hashes", hashes.as_str()),
            (".lockstep-copies", ""),
            ("modules/large.ko", "as it was hashed"),
        ];
        assert_eq!(members, expected.map(|(name, text)| (name.into(), text.into())));
        for other in ["as it was hashe", "as it was hashed!", "as it was HASHED"] {
            std::fs::write(&path, other).unwrap();
            for packing in [Packing::Plain, Packing::Zstd] {
                let error = format!("{:#}", pack(&puts, packing).unwrap_err());
                assert!(error.contains("changed on this host"), "{other}: {error}");
            }
        }
    }
}
