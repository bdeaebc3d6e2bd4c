//! Unpacks what a log may be packed in: gzip, zlib, raw deflate (pstore's `.enc.z`), xz, zstd,
//! bzip2, and members of zip and tar archives, also one in another. Everything is streamed; nothing
//! is written to disk, and a member's name is only shown.
//!
//! *Bounds*, so that a small hostile file can cost neither the memory nor an hour: [`MOST_BYTES`] and [`RATIO`] of what comes out, [`DEPTH`] of
//! packings in one another, [`MEMBERS`] of an archive, [`DICTIONARY`] of a decoder.

use anyhow::{Context, Result, bail};
use std::cell::Cell;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Most bytes that come out of one file.
pub const MOST_BYTES: u64 = 16 << 30;
/// So many times the packed bytes come out at most; logs that repeat themselves reach a thousand.
pub const RATIO: u64 = 2000;
/// The ratio is looked at when so many bytes came out.
const RATIO_FROM: u64 = 64 << 20;
/// Packings in one another: `x.log.gz` in `y.tar.xz` has three.
const DEPTH: usize = 4;
/// Most members of one archive.
const MEMBERS: usize = 10_000;
/// Largest dictionary of a decoder, in bytes: `xz -9` and `zstd --ultra` need 64 and 128 MiB.
const DICTIONARY: u32 = 128 << 20;
/// Largest zip archive that is read from a stream; a zip file on disk may have any size.
const ZIP_IN_MEMORY: u64 = 64 << 20;
/// Most bytes that are read to find a zip archive's directory and to read it, before any member is:
/// [`MEMBERS`] of them with long names have 4 MiB, and the
/// search for its end as much at most.
const DIRECTORY: u64 = 8 << 20;
/// So many bytes tell how a file is packed.
const MAGIC: usize = 512;

/// What reads one log.
pub type Visit<'v> = dyn FnMut(&str, Packed, &mut dyn Read) -> Result<()> + 'v;

/// Whether a log was packed: its offsets are then those of the unpacked text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// As it stands in the file.
    No,
    /// It was unpacked.
    Yes,
}

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zlib,
    Deflate,
    Xz,
    Zstd,
    Bzip2,
    Zip,
    Tar,
}

impl Packing {
    /// By the first bytes; raw deflate has none of its own, and pstore names its records. Before
    /// 4.9 these are zlib's with a window of 4 KiB (fs/pstore/platform.c: `WINDOW_BITS`).
    fn of(name: &str, head: &[u8]) -> Packing {
        let record = is_record(name);
        // RFC 1950, section 2.2: a method and a check of both bytes; a text may begin like those that have a dictionary.
        let zlib = matches!(head, [method, flags, ..]
            if (*method == 0x78 || record && method & 0x8f == 8)
                && flags & 0x20 == 0
                && u16::from_be_bytes([*method, *flags]).is_multiple_of(31));
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Packing::Bzip2,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Packing::Zip,
            _ if head.get(257..262) == Some(b"ustar") => Packing::Tar,
            _ if zlib => Packing::Zlib,
            _ if record && !head.is_empty() => Packing::Deflate,
            _ => Packing::Plain,
        }
    }
}

/// Whether pstore names a compressed record so.
fn is_record(name: &str) -> bool {
    name.ends_with(".enc.z")
}

/// Gives each log of a file to `visit`, unpacked, with its name: `FILE` or `FILE:member`. Errors:
/// damaged or too large, and what `visit` gives.
pub fn file(name: &str, file: &mut std::fs::File, visit: &mut Visit) -> Result<()> {
    let mut head = [0; MAGIC];
    // A pipe or a device cannot be read twice.
    if file.stream_position().is_ok() && file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        let length = fill(file, &mut head).with_context(|| format!("reading {name}"))?;
        file.seek(SeekFrom::Start(0))
            .with_context(|| format!("reading {name}"))?;
        if Packing::of(name, head.get(..length).unwrap_or_default()) == Packing::Zip {
            let bounds = Bounds::default();
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            let mut counted = Source {
                inner: file,
                bounds: bounds.clone(),
                size,
            };
            return zip(name, &mut counted, &bounds, 1, visit);
        }
    }
    stream(name, file, visit)
}

/// As [`file`], of what can be read once only.
pub fn stream(name: &str, source: &mut dyn Read, visit: &mut Visit) -> Result<()> {
    unpack(name, Packed::No, source, &Bounds::default(), 0, visit)
}

/// What has been read and what came out, of one file.
#[derive(Debug, Default, Clone)]
struct Bounds {
    read: Rc<Cell<u64>>,
    out: Rc<Cell<u64>>,
}

/// Counts what is read of the file.
struct Source<R> {
    inner: R,
    bounds: Bounds,
    /// What is read twice counts once: a directory may name the same bytes for each member.
    size: u64,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let read = self.bounds.read.get().saturating_add(count as u64);
        self.bounds.read.set(read.min(self.size));
        Ok(count)
    }
}

impl<R: Seek> Seek for Source<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Ends with an error where more is read than is left.
struct Allowed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.get().checked_sub(count as u64) {
            Some(left) => self.left.set(left),
            None => {
                return Err(std::io::Error::other(format!(
                    "its directory has more than {DIRECTORY} bytes: refused"
                )));
            }
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Allowed<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Counts what comes out of a decoder, and refuses what cannot be a log.
struct Bounded<R> {
    inner: R,
    bounds: Bounds,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let out = self.bounds.out.get().saturating_add(count as u64);
        self.bounds.out.set(out);
        let most = self
            .bounds
            .read
            .get()
            .saturating_mul(RATIO)
            .clamp(RATIO_FROM, MOST_BYTES);
        if out > most {
            return Err(std::io::Error::other(format!(
                "{} packed bytes became more than {most}: refused, a log does not pack so well",
                self.bounds.read.get()
            )));
        }
        Ok(count)
    }
}

fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    loop {
        let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) else {
            return Ok(filled);
        };
        match source.read(free) {
            Ok(0) => return Ok(filled),
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Unpacks a stream as long as it is packed. `depth`: how many packings it is in.
fn unpack(
    name: &str,
    packed: Packed,
    source: &mut dyn Read,
    bounds: &Bounds,
    depth: usize,
    visit: &mut Visit,
) -> Result<()> {
    let doing = || format!("unpacking {name}");
    let mut head = [0; MAGIC];
    let length = fill(source, &mut head).with_context(|| format!("reading {name}"))?;
    let head = head.get(..length).unwrap_or_default();
    let packing = Packing::of(name, head);
    let whole = Cursor::new(head).chain(source);
    if packing == Packing::Plain {
        let mut whole = whole;
        return visit(name, packed, &mut whole);
    }
    if depth >= DEPTH {
        bail!("{name}: packed more than {DEPTH} times: refused");
    }
    // Only what is read of the file itself counts as packed.
    let counted: Box<dyn Read + '_> = match depth {
        0 => Box::new(Source {
            inner: whole,
            bounds: bounds.clone(),
            size: u64::MAX,
        }),
        _ => Box::new(whole),
    };
    let decoder: Box<dyn Read + '_> = match packing {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(counted)),
        Packing::Zlib => Box::new(flate2::read::ZlibDecoder::new(counted)),
        Packing::Deflate => Box::new(flate2::read::DeflateDecoder::new(counted)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            counted,
            true,
            DICTIONARY / 1024,
        )),
        Packing::Zstd => {
            let mut decoder = zstd::Decoder::new(counted).with_context(doing)?;
            decoder.window_log_max(DICTIONARY.ilog2()).with_context(doing)?;
            Box::new(decoder)
        }
        Packing::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(counted)),
        Packing::Tar => return tar(name, counted, bounds, depth.saturating_add(1), visit),
        Packing::Zip => {
            let mut bytes = Vec::new();
            let mut first = counted.take(ZIP_IN_MEMORY.saturating_add(1));
            first
                .read_to_end(&mut bytes)
                .with_context(|| format!("reading {name}"))?;
            if bytes.len() as u64 > ZIP_IN_MEMORY {
                bail!(
                    "{name}: a zip archive of more than {ZIP_IN_MEMORY} bytes can only be read from a file of its own"
                );
            }
            return zip(
                name,
                &mut Cursor::new(bytes),
                bounds,
                depth.saturating_add(1),
                visit,
            );
        }
        Packing::Plain => counted,
    };
    let mut plain = Bounded {
        inner: decoder,
        bounds: bounds.clone(),
    };
    if matches!(packing, Packing::Deflate | Packing::Zlib) && is_record(name) {
        // Its name tells it, and what comes out has the same.
        return visit(name, Packed::Yes, &mut plain);
    }
    unpack(
        name,
        Packed::Yes,
        &mut plain,
        bounds,
        depth.saturating_add(1),
        visit,
    )
}

fn too_many(name: &str, number: usize) -> Result<()> {
    if number >= MEMBERS {
        bail!("{name}: more than {MEMBERS} members: refused");
    }
    Ok(())
}

/// Members of a tar archive. Long names are not put together: a hostile one has any length.
fn tar(
    name: &str,
    source: Box<dyn Read + '_>,
    bounds: &Bounds,
    depth: usize,
    visit: &mut Visit,
) -> Result<()> {
    let doing = || format!("unpacking {name}");
    let mut archive = ::tar::Archive::new(source);
    for (number, entry) in archive.entries().with_context(doing)?.raw(true).enumerate() {
        too_many(name, number)?;
        let mut entry = entry.with_context(doing)?;
        if !matches!(
            entry.header().entry_type(),
            ::tar::EntryType::Regular | ::tar::EntryType::Continuous
        ) {
            continue;
        }
        let member = format!("{name}:{}", String::from_utf8_lossy(&entry.path_bytes()));
        unpack(&member, Packed::Yes, &mut entry, bounds, depth, visit)?;
    }
    Ok(())
}

/// Members of a zip archive, by their number.
fn zip<R: Read + Seek>(
    name: &str,
    source: &mut R,
    bounds: &Bounds,
    depth: usize,
    visit: &mut Visit,
) -> Result<()> {
    let doing = || format!("unpacking {name}");
    let left = Rc::new(Cell::new(DIRECTORY));
    let allowed = Allowed {
        inner: source,
        left: left.clone(),
    };
    let mut archive = ::zip::ZipArchive::new(allowed).with_context(doing)?;
    too_many(name, archive.len().saturating_sub(1))?;
    left.set(u64::MAX);
    for number in 0..archive.len() {
        too_many(name, number)?;
        let entry = archive.by_index(number).with_context(doing)?;
        if !entry.is_file() {
            continue;
        }
        let member = format!("{name}:{}", String::from_utf8_lossy(entry.name_raw()));
        let mut plain = Bounded {
            inner: entry,
            bounds: bounds.clone(),
        };
        unpack(&member, Packed::Yes, &mut plain, bounds, depth, visit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
