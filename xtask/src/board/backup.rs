//! Backups of vanilla: a folder on the board and an archive on the host, both read back and compared with one manifest of
//! hashes. A second run verifies and never overwrites.

use super::inventory::{self, Content, Difference, Entry, Inventory};
use super::name::Name;
use super::protected::Protected;
use super::writer::{Keep, Put, Source, Writer};
use super::{Board, root, script};
use crate::host::files::{sha256, write_atomic};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Version of the format of [`Manifest`].
pub const SCHEMA_VERSION: u32 = 1;
/// Most bytes of an archive that come from a board: packed, vanilla with its modules has some hundred million.
const MOST_OF_ARCHIVE: u64 = 256 << 20;
/// Name of the archive in a backup's folder on the host.
pub const ARCHIVE: &str = "vanilla.tar.zst";
/// Name of the manifest, on the board and on the host.
pub const MANIFEST: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The campaign that it was made for.
    pub campaign: String,
    /// What was protected when it was made.
    pub protected: Protected,
    /// Every file, folder and link in it, by its place on the running board.
    pub inventory: Inventory,
}

/// Which of vanilla's modules are backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modules {
    /// The whole of `/lib/modules/<release>`.
    All,
    /// These folders below it (`kernel/drivers/media/common/videobuf2`).
    Folders(Vec<PathBuf>),
}

/// A backup whose two copies were read back and found whole. Only [`make`] and [`verify`] give one: it is what
/// a reboot (invariant 9) and a rollback (invariant 1) ask for.
#[derive(Debug, Clone)]
pub struct Verified {
    manifest: Manifest,
    on_board: PathBuf,
    on_host: PathBuf,
    made: Made,
}

/// What [`make`] had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// Both copies are new.
    New,
    /// The copy on the board was there, the archive on the host is new.
    Archive,
    /// The archive on the host was there, the copy on the board is new.
    BoardCopy,
    /// Both were there, and are whole.
    Nothing,
}

impl Verified {
    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its folder on the board.
    pub fn on_board(&self) -> &Path {
        &self.on_board
    }

    /// Its folder on the host.
    pub fn on_host(&self) -> &Path {
        &self.on_host
    }

    /// What was new.
    pub fn made(&self) -> Made {
        self.made
    }
}

/// Makes both copies, or verifies those that are there. `host_folder` is the campaign's folder on the host
/// (`.lockstep/backups/<board>/<campaign>`). Dying half-way it leaves a `.new-…` folder on the board and a partial archive on
/// the host, which the next run replaces. Errors: vanilla is no longer what the existing backup holds.
pub fn make(
    board: &dyn Board,
    protected: &Protected,
    campaign: &str,
    modules: &Modules,
    host_folder: &Path,
) -> Result<Verified> {
    let folder = board_folder(board, campaign)?;
    let known = known_manifest(board, &folder, host_folder)?;
    let roots = roots(protected, modules)?;
    let mut seen = inventory::take(board, &roots)?;
    without_our_label(protected, &mut seen)?;
    let manifest = match known {
        Some(known) => {
            same_vanilla(&known, &seen, &folder)?;
            known
        }
        None => Manifest {
            schema_version: SCHEMA_VERSION,
            campaign: campaign.to_string(),
            protected: protected.clone(),
            inventory: seen,
        },
    };
    let has_board_copy = exists(board, &folder)?;
    let has_archive = host_folder.join(ARCHIVE).is_file();
    if !has_board_copy {
        copy_on_board(board, protected, &manifest, &folder)?;
    }
    if !has_archive {
        pull(board, &manifest, &folder, host_folder)?;
    }
    let mut verified = verify(board, campaign, host_folder)?;
    verified.made = match (has_board_copy, has_archive) {
        (false, false) => Made::New,
        (true, false) => Made::Archive,
        (false, true) => Made::BoardCopy,
        (true, true) => Made::Nothing,
    };
    Ok(verified)
}

/// Reads both copies back. Errors name the first files that differ, and in which copy.
pub fn verify(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Verified> {
    let verified = verify_archive(board, campaign, host_folder)?;
    whole(
        "the backup on the board",
        &verified.on_board,
        board_copy_differences(board, &verified.manifest, &verified.on_board)?,
    )?;
    Ok(verified)
}

/// Reads the copy on the host back: all that can be done for a board that does not answer.
pub fn verify_archive(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Verified> {
    let manifest = host_manifest(host_folder)?.with_context(|| {
        format!(
            "there is no backup in {}: run `cargo xtask preflight`",
            host_folder.display()
        )
    })?;
    ensure!(
        manifest.protected.board == board.description().name,
        "the backup in {} is of board `{}`",
        host_folder.display(),
        manifest.protected.board
    );
    whole(
        "the backup on this host",
        host_folder,
        archive_differences(&manifest, host_folder)?,
    )?;
    Ok(Verified {
        on_board: board_folder(board, campaign)?,
        manifest,
        on_host: host_folder.to_path_buf(),
        made: Made::Nothing,
    })
}

/// The manifest that the host has of a campaign's backup; `None` if there is none.
pub fn host_manifest(host_folder: &Path) -> Result<Option<Manifest>> {
    let path = host_folder.join(MANIFEST);
    match std::fs::read(&path) {
        Ok(bytes) => parse(&bytes)
            .with_context(|| format!("reading {}", path.display()))
            .map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// What is wrong with the copy on the board; nothing when it is whole.
pub fn board_copy_differences(
    board: &dyn Board,
    manifest: &Manifest,
    folder: &Path,
) -> Result<Vec<Difference>> {
    let files = folder.join("files");
    let seen = inventory::take(board, std::slice::from_ref(&files))?;
    let placed: Inventory = seen
        .into_iter()
        .filter_map(|(path, entry)| Some((Path::new("/").join(path.strip_prefix(&files).ok()?), entry)))
        .filter(|(path, entry)| manifest.inventory.contains_key(path) || entry.content != Content::Folder)
        .collect();
    Ok(inventory::differences(&manifest.inventory, &placed))
}

/// What is wrong with the archive on the host; nothing when it is whole. Every byte of it is read.
pub fn archive_differences(manifest: &Manifest, host_folder: &Path) -> Result<Vec<Difference>> {
    let mut seen = Inventory::new();
    each_in_archive(host_folder, |path, entry, _| {
        seen.insert(path, entry);
        Ok(())
    })?;
    seen.retain(|path, entry| manifest.inventory.contains_key(path) || entry.content != Content::Folder);
    Ok(inventory::differences(&manifest.inventory, &seen))
}

/// Files of the archive by their place on the board, for a rollback whose copy on the board is damaged.
pub(super) fn from_archive(
    host_folder: &Path,
    wanted: &BTreeSet<PathBuf>,
) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    each_in_archive(host_folder, |path, _, bytes| {
        if wanted.contains(&path) {
            found.push((path, bytes));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Every member of the archive, one at a time.
pub(super) fn each_in_archive(
    host_folder: &Path,
    mut each: impl FnMut(PathBuf, Entry, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let path = host_folder.join(ARCHIVE);
    let doing = || format!("reading {}", path.display());
    let file = std::fs::File::open(&path).with_context(doing)?;
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).with_context(doing)?);
    for item in archive.entries().with_context(doing)? {
        let mut item = item.with_context(doing)?;
        let name = item.path().with_context(doing)?.into_owned();
        let Ok(below) = name
            .strip_prefix("./files")
            .or_else(|_| name.strip_prefix("files"))
        else {
            continue;
        };
        let place = Path::new("/").join(below);
        let header = item.header().clone();
        let mut bytes = Vec::new();
        item.read_to_end(&mut bytes).with_context(doing)?;
        let content = match header.entry_type() {
            tar::EntryType::Directory => Content::Folder,
            tar::EntryType::Symlink => Content::Link {
                to: item
                    .link_name()
                    .with_context(doing)?
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            },
            tar::EntryType::Regular => Content::File {
                size: bytes.len() as u64,
                sha256: hex::encode(Sha256::digest(&bytes)),
            },
            other => Content::Other(format!("{other:?}")),
        };
        let owner = |id: std::io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let entry = Entry {
            content,
            mode: header.mode().with_context(doing)? & 0o7777,
            owner: (owner(header.uid()), owner(header.gid())),
            modified: header
                .mtime()
                .ok()
                .and_then(|time| i64::try_from(time).ok())
                .unwrap_or(0),
            // An archive keeps both; whether they can be compared depends on where the file was.
            filesystem: "tar".into(),
        };
        each(place, entry, bytes)?;
    }
    // Behind the last file comes the end of the frame, and with it the checksum of everything before.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).with_context(doing)?;
    Ok(())
}

/// A campaign's folder on the board.
pub fn board_folder(board: &dyn Board, campaign: &str) -> Result<PathBuf> {
    let campaign: Name = campaign.parse()?;
    Ok(board.description().backup_folder.join(campaign))
}

fn roots(protected: &Protected, modules: &Modules) -> Result<Vec<PathBuf>> {
    let mut roots = protected.roots();
    if let Modules::Folders(folders) = modules {
        roots.retain(|root| *root != protected.modules);
        for folder in folders {
            ensure!(
                folder.is_relative()
                    && !folder
                        .components()
                        .any(|part| part == std::path::Component::ParentDir),
                "`{}` is no folder below {}",
                folder.display(),
                protected.modules.display()
            );
            roots.push(protected.modules.join(folder));
        }
    }
    roots.push(protected.extlinux.clone());
    Ok(roots)
}

/// The manifest that exists already, on the host or on the board; both have to be the same.
fn known_manifest(board: &dyn Board, folder: &Path, host_folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(MANIFEST);
    let on_board = script::read(board, &path)?
        .map(|bytes| parse(&bytes).with_context(|| format!("reading {} on the board", path.display())))
        .transpose()?;
    let on_host = host_manifest(host_folder)?;
    if let (Some(board), Some(host)) = (&on_board, &on_host) {
        ensure!(
            board == host,
            "the backup on the board ({}) and the one on this host ({}) are not the same one: choose another campaign name, \
             or move one of them away",
            folder.display(),
            host_folder.display()
        );
    }
    Ok(on_board.or(on_host))
}

fn same_vanilla(known: &Manifest, seen: &Inventory, folder: &Path) -> Result<()> {
    let mut found = inventory::differences(&known.inventory, seen);
    // Its own label may have come since; `Protected::compare` looks at the rest of that file.
    found.retain(|one| one.path != known.protected.extlinux);
    whole_or(&found, || {
        format!(
            "vanilla is no longer what the backup in {} holds, which is never overwritten: roll back, or choose another \
             campaign name",
            folder.display()
        )
    })
}

fn copy_on_board(board: &dyn Board, protected: &Protected, manifest: &Manifest, folder: &Path) -> Result<()> {
    root::writes_last(board, "making the backup on the board")?;
    let writer = Writer::new(board, protected);
    let paths: Vec<PathBuf> = manifest.inventory.keys().cloned().collect();
    let stage = writer.take_snapshot(&paths, folder)?;
    strip_copy(&writer, manifest, &stage)?;
    whole(
        "the new backup on the board",
        &stage,
        board_copy_differences(board, manifest, &stage)?,
    )?;
    let bytes = serde_json::to_vec_pretty(manifest).context("writing the backup's manifest")?;
    writer.keep_snapshot(&stage, folder, &bytes)
}

/// A backup never holds a label of ours: it would come back with a rollback, and without its slot.
fn without_our_label(protected: &Protected, inventory: &mut Inventory) -> Result<()> {
    let foreign = protected.foreign()?;
    let entry = inventory
        .get_mut(&protected.extlinux)
        .context("extlinux.conf is gone")?;
    entry.content = Content::File {
        size: foreign.len() as u64,
        sha256: sha256(&foreign),
    };
    Ok(())
}

/// Puts extlinux.conf without our label over its copy in a backup that is being made.
fn strip_copy(writer: &Writer, manifest: &Manifest, stage: &Path) -> Result<()> {
    let path = &manifest.protected.extlinux;
    let entry = &manifest.inventory[path];
    let bytes = manifest.protected.kept()?;
    let copy = stage
        .join("files")
        .join(path.strip_prefix("/").context("a path is not absolute")?);
    let (Some(folder), Some(name)) = (copy.parent(), copy.file_name()) else {
        bail!("extlinux.conf has no name")
    };
    let put = Put {
        target: name.into(),
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
        source: Source::Bytes(bytes),
        mode: entry.mode,
        keep: Some(Keep {
            owner: entry.owner,
            modified: entry.modified,
        }),
    };
    writer.put(folder, &[put])?;
    Ok(())
}

fn pull(board: &dyn Board, manifest: &Manifest, folder: &Path, host_folder: &Path) -> Result<()> {
    let from = script::word(folder)?;
    // Read-only on the board. A board without zstd sends plain bytes, and they are packed here.
    let pulling = format!(
        "set -eu\nif command -v zstd >/dev/null; then tar -C {from} -cf - . | zstd -3 -T0 -cq; else tar -C {from} -cf - .; fi"
    );
    let finished = script::ask_up_to(
        board,
        "pulling the backup",
        &pulling,
        script::WORK,
        MOST_OF_ARCHIVE,
    )?;
    const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd]; // RFC 8878, section 3.1.1
    let bytes = if finished.stdout.starts_with(&ZSTD_MAGIC) {
        finished.stdout
    } else {
        zstd::encode_all(finished.stdout.as_slice(), 3).context("packing the backup")?
    };
    write_atomic(&host_folder.join(ARCHIVE), &bytes)?;
    if let Err(error) = whole(
        "the new archive",
        host_folder,
        archive_differences(manifest, host_folder)?,
    ) {
        std::fs::remove_file(host_folder.join(ARCHIVE)).context("removing a damaged archive")?;
        return Err(error);
    }
    let manifest = serde_json::to_vec_pretty(manifest).context("writing the backup's manifest")?;
    write_atomic(&host_folder.join(MANIFEST), &manifest)
}

fn exists(board: &dyn Board, folder: &Path) -> Result<bool> {
    let manifest = script::word(&folder.join(MANIFEST))?;
    let looking = format!("[ -e {manifest} ] && echo yes || echo no");
    Ok(script::ask(board, "looking for a backup", &looking, script::LOOK)?.text() == "yes")
}

fn parse(bytes: &[u8]) -> Result<Manifest> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Version {
        schema_version: u32,
    }
    let version: Version = serde_json::from_slice(bytes).context("this is no backup manifest")?;
    if version.schema_version > SCHEMA_VERSION {
        bail!(
            "format {} is newer than this program knows ({SCHEMA_VERSION}): use the newer one",
            version.schema_version
        );
    }
    serde_json::from_slice(bytes).context("this backup manifest is damaged")
}

/// Errors: there are differences; the first of them are named.
pub fn whole(what: &str, place: &Path, found: Vec<Difference>) -> Result<()> {
    whole_or(&found, || format!("{what} ({}) is not whole", place.display()))
}

fn whole_or(found: &[Difference], what: impl Fn() -> String) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = found
        .iter()
        .take(10)
        .map(|one| format!("\n    {} {}", one.path.display(), one.what))
        .collect();
    bail!("{} ({} differences):{}", what(), found.len(), list.concat())
}
