//! The archive of a backup on this host: read, never unpacked. What is in it is compared with the manifest, and nothing is taken from it that
//! the manifest does not have.

use super::super::inventory::{BoardPath, Content, Difference, Entry, Inventory, differences};
use super::hashes::{HASHES, Hashes};
use super::manifest::{MANIFEST, Manifest};
use crate::host::files::{sha256, sha256_of};
use crate::host::{bounded, one_line};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// Name of the archive in a backup's folder on the host.
pub const ARCHIVE: &str = "vanilla.tar.zst";
/// Bytes that tar adds for a file: its header, its padding, and the same for a long name and a long link (POSIX pax, GNU tar).
const EACH: u64 = 16 << 10;
/// Bytes that tar adds at its end.
const END: u64 = 1 << 20;

/// What is wrong with the archive in a folder of this host; nothing when it is whole. Every byte of it is read. Errors: it cannot be read.
pub fn archive_differences(manifest: &Manifest, host_folder: &Path) -> Result<Vec<Difference>> {
    let path = host_folder.join(ARCHIVE);
    let mut file = bounded::open(&path)?;
    let mut found = Vec::new();
    let hashes = bounded::read_if_there(&host_folder.join(HASHES), bounded::MIB)?;
    if let Some(hashes) = hashes {
        let known = Hashes::parse(&hashes).with_context(|| format!("in {}", host_folder.display()))?;
        let known = known
            .archive
            .with_context(|| format!("{HASHES} in {} does not name {ARCHIVE}", host_folder.display()))?;
        let (is, _) = sha256_of(&mut file).with_context(|| format!("hashing {}", path.display()))?;
        if is != known {
            found.push(Difference {
                path: path.clone(),
                what: format!("is not the archive that {HASHES} names: it was damaged or replaced"),
            });
            return Ok(found);
        }
        file.rewind()
            .with_context(|| format!("reading {}", path.display()))?;
    }
    found.extend(read(file, &path, manifest)?);
    Ok(found)
}

/// The same for one that is not written yet.
pub(super) fn differences_of(from: impl Read, manifest: &Manifest) -> Result<Vec<Difference>> {
    read(from, Path::new(ARCHIVE), manifest)
}

/// Files of the archive by their place on the board, each with the bytes that the manifest has the hash of. Errors: one is not there, or differs.
pub fn from_archive(
    manifest: &Manifest,
    host_folder: &Path,
    wanted: &BTreeSet<PathBuf>,
) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    each_wanted(manifest, host_folder, wanted, &mut |path, bytes| {
        found.push((path.into(), bytes));
        Ok(())
    })?;
    Ok(found)
}

/// The same, one at a time.
pub fn each_wanted(
    manifest: &Manifest,
    host_folder: &Path,
    wanted: &BTreeSet<PathBuf>,
    then: &mut dyn FnMut(BoardPath, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let path = host_folder.join(ARCHIVE);
    let mut missing = wanted.clone();
    let file = bounded::open(&path)?;
    each(file, &path, manifest, wanted, &mut |member| {
        let Member::Placed(place, entry, Some(bytes)) = member else {
            return Ok(());
        };
        let known = manifest.inventory.get(place.as_path()).and_then(Entry::sha256);
        ensure!(
            known.is_some() && known == entry.sha256(),
            "{place} is not what the backup's manifest has"
        );
        ensure!(missing.remove(place.as_path()), "{place} is in it twice");
        then(place, bytes)
    })?;
    match missing.first() {
        Some(missing) => bail!("{} does not have {}", path.display(), one_line::path(missing)),
        None => Ok(()),
    }
}

/// One member, by what it is to a backup.
enum Member {
    /// A file, folder or link with its place on the board; the bytes of a file that was asked for.
    Placed(BoardPath, Entry, Option<Vec<u8>>),
    /// The manifest, as the board has it.
    Manifest(Vec<u8>),
    /// Its hash, as the board has it.
    Hashes(Vec<u8>),
}

fn read(from: impl Read, path: &Path, manifest: &Manifest) -> Result<Vec<Difference>> {
    let mut seen = Inventory::new();
    let (mut own, mut hashes) = (None, None);
    each(from, path, manifest, &BTreeSet::new(), &mut |member| {
        match member {
            Member::Placed(place, entry, _) => seen.add(place, entry)?,
            Member::Manifest(bytes) => ensure!(own.replace(bytes).is_none(), "{MANIFEST} is in it twice"),
            Member::Hashes(bytes) => ensure!(hashes.replace(bytes).is_none(), "{HASHES} is in it twice"),
        }
        Ok(())
    })?;
    manifest.without_ways(&mut seen);
    let mut found = differences(&manifest.inventory, &seen);
    let mut other = |name: &str| {
        found.push(Difference {
            path: name.into(),
            what: "in the archive is not that of this backup".into(),
        });
    };
    let is_ours = own
        .as_deref()
        .is_some_and(|bytes| Manifest::parse(bytes).is_ok_and(|own| own == *manifest));
    if !is_ours {
        other(MANIFEST);
    }
    let hash = own
        .as_deref()
        .map(|bytes| Hashes::of_manifest(&sha256(bytes)).text());
    if hashes.is_some() && hashes != hash.map(String::into_bytes) {
        other(HASHES);
    }
    Ok(found)
}

/// Calls `then` for each member. Errors: a member that a backup does not have, a file of another size than the manifest's (it is not read then), an
/// archive that goes on for longer than the manifest's files can take.
fn each(
    from: impl Read,
    path: &Path,
    manifest: &Manifest,
    wanted: &BTreeSet<PathBuf>,
    then: &mut dyn FnMut(Member) -> Result<()>,
) -> Result<()> {
    let doing = || format!("reading {}", path.display());
    let files = u64::try_from(manifest.inventory.len()).unwrap_or(u64::MAX);
    let longest = manifest
        .inventory
        .bytes()
        .saturating_add(files.saturating_mul(EACH))
        .saturating_add(bounded::RECORD.saturating_add(END));
    let unpacked = zstd::Decoder::new(from).with_context(doing)?.take(longest);
    let mut archive = tar::Archive::new(unpacked);
    for item in archive.entries().with_context(doing)? {
        let member = member(item.with_context(doing)?, manifest, wanted).with_context(doing)?;
        if let Some(member) = member {
            then(member).with_context(doing)?;
        }
    }
    // After the last file comes the end of the frame, and with it the checksum of everything before.
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).with_context(doing)?;
    ensure!(
        rest.limit() > 0,
        "{}: it holds more than the files of its manifest",
        doing()
    );
    Ok(())
}

fn member<R: Read>(
    mut item: tar::Entry<R>,
    manifest: &Manifest,
    wanted: &BTreeSet<PathBuf>,
) -> Result<Option<Member>> {
    let name = std::str::from_utf8(&item.path_bytes())
        .context("a name in it is not UTF-8")?
        .to_string();
    let kind = item.header().entry_type();
    let shown = one_line::one_line(&name);
    let name = name.strip_prefix("./").unwrap_or(&name);
    let own = |item: &mut tar::Entry<R>| {
        ensure!(kind == tar::EntryType::Regular, "`{shown}` in it is not a file");
        bounded::take(item, &shown, bounded::RECORD)
    };
    match name {
        // The folder itself.
        "" | "files/" | "files" if kind == tar::EntryType::Directory => return Ok(None),
        MANIFEST => return own(&mut item).map(|bytes| Some(Member::Manifest(bytes))),
        HASHES => return own(&mut item).map(|bytes| Some(Member::Hashes(bytes))),
        _ => {}
    }
    let below = name
        .strip_prefix("files/")
        .with_context(|| format!("`{shown}` is in it, which is not of a backup"))?;
    let below = match kind {
        // tar writes folders with a slash at their end.
        tar::EntryType::Directory => below.strip_suffix('/').unwrap_or(below),
        _ => below,
    };
    let place = BoardPath::new(format!("/{below}"))?;
    let mut bytes = None;
    let content = match kind {
        tar::EntryType::Directory => Content::Folder,
        tar::EntryType::Symlink => {
            let to = item.link_name_bytes().unwrap_or_default();
            let to = std::str::from_utf8(&to).with_context(|| format!("the link {place} is not UTF-8"))?;
            Content::Link { to: to.to_string() }
        }
        tar::EntryType::Regular => {
            let known = manifest.inventory.get(place.as_path()).map(Entry::size);
            let size = item.size();
            ensure!(
                known == Some(size),
                "{place} has {size} bytes in it, and in the manifest {}",
                known.map_or("is not".to_string(), |known| known.to_string())
            );
            let sha256 = if wanted.contains(place.as_path()) {
                let read = bounded::take(&mut item, &shown, size)?;
                let hash = sha256(&read);
                bytes = Some(read);
                hash
            } else {
                let (hash, read) = sha256_of(&mut item).with_context(|| format!("reading {place}"))?;
                ensure!(read == size, "{place} is cut off");
                hash
            };
            Content::File { size, sha256 }
        }
        other => Content::Other(format!("tar {}", char::from(other.as_byte()).escape_default())),
    };
    let header = item.header();
    let owner = |id: std::io::Result<u64>| -> Result<u32> {
        u32::try_from(id?).context("an owner has a number that Linux does not have")
    };
    let entry = Entry {
        content,
        mode: header.mode().context("reading a mode")? & 0o7777,
        owner: (owner(header.uid())?, owner(header.gid())?),
        // Before 1970 it is negative, in two's complement.
        modified: header.mtime().context("reading a time")?.cast_signed(),
        // An archive keeps both; whether they can be compared depends on where the file was.
        filesystem: "tar".into(),
    };
    Ok(Some(Member::Placed(place, entry, bytes)))
}
