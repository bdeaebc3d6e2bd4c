//! Backups of vanilla: a folder on the board and an archive on the host, both read back and compared with one manifest of
//! hashes, which has a hash of its own. A second run verifies and never overwrites.

mod archive;
mod copies;
mod hashes;
mod manifest;

pub(super) use archive::each_wanted;
pub use archive::{ARCHIVE, archive_differences, from_archive};
pub(super) use copies::has_archive;
pub use copies::{Copies, Known, NO_HASH, Place, Proof};
pub use hashes::{HASHES, Hashes};
pub use manifest::{MANIFEST, Manifest, SCHEMA_VERSION};

use super::inventory::{self, Content, Difference, Inventory};
use super::name::Name;
use super::protected::Protected;
use super::writer::{Keep, Put, Source, Writer};
use super::{Board, root, script};
use crate::host::files::{self, sha256, sha256_of, write_atomic};
use crate::host::one_line;
use crate::host::scratch;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

/// Most bytes of an archive that come from a board, which sends it unpacked where it has no zstd: all modules of a distribution's kernel with
/// what they are debugged with are some of it.
const MOST_OF_ARCHIVE: u64 = 2 << 30;

/// Which of vanilla's modules are backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modules {
    /// The whole of `/lib/modules/<release>`.
    All,
    /// These folders below it (`kernel/drivers/media/common/videobuf2`).
    Folders(Vec<PathBuf>),
}

/// A backup whose copies were read back and found whole. Only [`make`], [`verify`] and [`verify_archive`] give one: it is what a reboot
/// (invariant 9) asks for.
#[derive(Debug, Clone)]
pub struct Verified {
    manifest: Manifest,
    proof: Proof,
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

    /// What vouches for its manifest.
    pub fn proof(&self) -> Proof {
        self.proof
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
/// (`.lockstep/backups/<board>/<campaign>`). Dying partway it leaves a `.new-…` folder on the board, and on the host a manifest without an
/// archive, which the next run replaces. Errors: vanilla is no longer what the existing backup holds; a copy is damaged.
pub fn make(
    board: &dyn Board,
    protected: &Protected,
    campaign: &str,
    modules: &Modules,
    host_folder: &Path,
) -> Result<Verified> {
    let folder = board_folder(board, campaign)?;
    let has_archive = has_archive(host_folder)?;
    let there = Copies::find(board, campaign, host_folder)?;
    let roots = roots(protected, modules)?;
    let mut seen = inventory::take(board, &roots)?;
    without_our_label(protected, &mut seen)?;
    let has_board_copy = there.as_ref().is_some_and(Copies::board_has_one);
    let host_has_something = there.as_ref().is_some_and(Copies::host_has_something);
    let known = match there {
        Some(copies) => {
            check_owner(
                &copies.known.manifest,
                &board.description().name,
                campaign,
                host_folder,
            )?;
            same_vanilla(&copies.known.manifest, &seen, &folder)?;
            copies.known
        }
        None => {
            ensure!(
                !has_archive,
                "{} has an archive and no manifest: move it away",
                host_folder.display()
            );
            Known::new(Manifest {
                schema_version: SCHEMA_VERSION,
                campaign: campaign.to_string(),
                protected: protected.clone(),
                inventory: seen,
            })?
        }
    };
    if !has_board_copy {
        copy_on_board(board, protected, &known, &folder)?;
    }
    if !has_archive {
        pull(board, &known, &folder, host_folder)?;
    } else if !host_has_something {
        bail!(
            "{} has an archive and no manifest: move it away",
            host_folder.display()
        );
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

/// Reads both copies back. Errors name the first files that differ, in which copy, and which copy is whole.
pub fn verify(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Verified> {
    let copies = Copies::find(board, campaign, host_folder)?.with_context(|| no_backup(host_folder))?;
    check_owner(
        &copies.known.manifest,
        &board.description().name,
        campaign,
        host_folder,
    )?;
    copies.check_both(board)?;
    verified(copies, board, campaign, host_folder)
}

/// Reads the copy on the host back: all that can be done for a board that does not answer.
pub fn verify_archive(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Verified> {
    let copies = Copies::find_here(host_folder)?.with_context(|| no_backup(host_folder))?;
    check_owner(
        &copies.known.manifest,
        &board.description().name,
        campaign,
        host_folder,
    )?;
    copies.check_host()?;
    verified(copies, board, campaign, host_folder)
}

fn verified(copies: Copies, board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Verified> {
    Ok(Verified {
        on_board: board_folder(board, campaign)?,
        proof: copies.known.proof,
        manifest: copies.known.manifest,
        on_host: host_folder.to_path_buf(),
        made: Made::Nothing,
    })
}

fn no_backup(host_folder: &Path) -> String {
    format!(
        "there is no backup in {}: run `cargo xtask preflight`",
        host_folder.display()
    )
}

/// Errors: the backup is of another board than `name`, or of another campaign.
pub fn check_owner(manifest: &Manifest, name: &str, campaign: &str, host_folder: &Path) -> Result<()> {
    ensure!(
        manifest.protected.board == name,
        "the backup in {} is of board `{}`, not of `{name}`",
        host_folder.display(),
        manifest.protected.board
    );
    ensure!(
        manifest.campaign == campaign,
        "the backup in {} is of campaign `{}`, not of `{campaign}`",
        host_folder.display(),
        manifest.campaign
    );
    Ok(())
}

/// The manifest that the host has of a campaign's backup; `None` if there is none. Errors: it is damaged, or its hash is.
pub fn host_manifest(host_folder: &Path) -> Result<Option<Manifest>> {
    let copies = Copies::find_here(host_folder)?;
    Ok(copies.map(|copies| copies.known.manifest))
}

/// Errors: a name that is no campaign's.
fn check_campaign(campaign: &str) -> Result<()> {
    campaign.parse::<Name>().map(|_| ())
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

fn copy_on_board(board: &dyn Board, protected: &Protected, known: &Known, folder: &Path) -> Result<()> {
    root::writes_last(board, "making the backup on the board")?;
    let manifest = &known.manifest;
    let writer = Writer::new(board, protected);
    let paths: Vec<PathBuf> = manifest.inventory.keys().map(|path| path.to_path_buf()).collect();
    let stage = writer.take_snapshot(&paths, folder)?;
    strip_copy(&writer, manifest, &stage)?;
    whole(
        "the new backup on the board",
        &stage,
        copies::board_copy_differences(board, manifest, &stage)?,
    )?;
    if known.proof == Proof::Hash {
        let text = Hashes::of_manifest(&known.sha256()).text();
        writer.put(&stage, &[hashes_file(text)])?;
    }
    writer.keep_snapshot(&stage, folder, &known.bytes)
}

fn hashes_file(text: String) -> Put {
    Put {
        target: HASHES.into(),
        sha256: sha256(text.as_bytes()),
        size: text.len() as u64,
        source: Source::Bytes(text.into_bytes()),
        mode: 0o600,
        keep: None,
    }
}

/// A backup never holds a label of ours: it would come back with a rollback, and without its slot.
fn without_our_label(protected: &Protected, inventory: &mut Inventory) -> Result<()> {
    let foreign = protected.foreign()?;
    let entry = inventory
        .get_mut(protected.extlinux.as_path())
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
    let entry = manifest
        .inventory
        .get(path)
        .context("the backup has no extlinux.conf")?;
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

fn pull(board: &dyn Board, known: &Known, folder: &Path, host_folder: &Path) -> Result<()> {
    let from = script::word(folder)?;
    // Read-only on the board. A board without zstd sends plain bytes, and they are packed here.
    let pulling = format!(
        "set -eu\nif command -v zstd >/dev/null; then tar -C {from} -cf - . | zstd -3 -T0 -cq; else tar -C {from} -cf - .; fi"
    );
    let doing = || format!("keeping the archive in {}", host_folder.display());
    std::fs::create_dir_all(host_folder).with_context(doing)?;
    let mut file = scratch::file_in(host_folder).with_context(doing)?;
    let what = "pulling the backup";
    script::ask_into(
        board,
        what,
        &pulling,
        script::WORK,
        MOST_OF_ARCHIVE,
        file.as_file(),
    )?;
    const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd]; // RFC 8878, section 3.1.1
    let mut head = Vec::new();
    file.rewind().with_context(doing)?;
    file.as_file()
        .take(4)
        .read_to_end(&mut head)
        .with_context(doing)?;
    file.rewind().with_context(doing)?;
    if head != ZSTD_MAGIC {
        let mut packed = scratch::file_in(host_folder).with_context(doing)?;
        zstd::stream::copy_encode(file.as_file(), packed.as_file_mut(), 3).context("packing the backup")?;
        file = packed;
        file.rewind().with_context(doing)?;
    }
    whole(
        "the archive that came from the board",
        folder,
        archive::differences_of(file.as_file(), &known.manifest)?,
    )?;
    file.rewind().with_context(doing)?;
    let (hash, _) = sha256_of(file.as_file()).with_context(doing)?;
    // The archive comes last: without one the other two are what a run that died has left.
    write_atomic(&host_folder.join(MANIFEST), &known.bytes)?;
    if known.proof == Proof::Hash {
        let hashes = Hashes {
            manifest: known.sha256(),
            archive: Some(hash),
        };
        write_atomic(&host_folder.join(HASHES), hashes.text().as_bytes())?;
    }
    files::keep(file, &host_folder.join(ARCHIVE))
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
        .map(|one| {
            format!(
                "\n    {} {}",
                one_line::path(&one.path),
                one_line::one_line(&one.what)
            )
        })
        .collect();
    bail!("{} ({} differences):{}", what(), found.len(), list.concat())
}
