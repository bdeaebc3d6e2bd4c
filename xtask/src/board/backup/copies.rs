//! The copies of one backup, and which of them are good: a rule from the manifests and hashes that were found to the one manifest that counts,
//! and the comparison of each copy with it.

use super::super::inventory::{self, Content, Difference, Inventory};
use super::super::{Board, script};
use super::archive::{ARCHIVE, archive_differences};
use super::board_folder;
use super::hashes::{HASHES, Hashes};
use super::manifest::{MANIFEST, Manifest, WITH_HASHES};
use crate::host::bounded;
use crate::host::files;
use crate::host::files::sha256;
use anyhow::{Context, Error, Result, anyhow, bail};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On this host, in this folder.
    Host(#[serde(serialize_with = "crate::host::json::named")] PathBuf),
    /// On the board, in this folder.
    Board(#[serde(serialize_with = "crate::host::json::named")] PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Host(folder) => write!(out, "the backup on this host ({})", folder.display()),
            Place::Board(folder) => write!(out, "the backup on the board ({})", folder.display()),
        }
    }
}

/// What vouches for a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Its hash, which is kept in a file of its own.
    Hash,
    /// Nothing: an older version made it.
    None,
}

/// What is said of a backup without [`Proof::Hash`].
pub const NO_HASH: &str = "no independent hash: made by an older version; make a new backup (`cargo xtask preflight --campaign NAME` with \
                           another name)";

/// The two small files of a copy, as they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub manifest: Option<Vec<u8>>,
    pub hashes: Option<Vec<u8>>,
}

impl Side {
    /// Those of this host. Errors: one is there and cannot be read.
    pub fn of_host(folder: &Path) -> Result<Self> {
        Ok(Side {
            manifest: bounded::read_if_there(&folder.join(MANIFEST), bounded::RECORD)?,
            hashes: bounded::read_if_there(&folder.join(HASHES), bounded::MIB)?,
        })
    }

    /// Those of the board.
    pub fn of_board(board: &dyn Board, folder: &Path) -> Result<Self> {
        let scripts = [
            script::reading(&folder.join(MANIFEST))?,
            script::reading(&folder.join(HASHES))?,
        ];
        let doing = "reading the backup's manifest";
        let [manifest, hashes] =
            script::ask_all(board, doing, scripts.each_ref().map(String::as_str), script::WORK)?;
        Ok(Side {
            manifest: script::content(&manifest),
            hashes: script::content(&hashes),
        })
    }

    /// Whether nothing of it is there.
    pub fn is_absent(&self) -> bool {
        *self == Side::default()
    }

    /// The hash that the manifest has to have. Errors: the file with it is damaged.
    fn vouched(&self) -> Option<Result<String>> {
        let hashes = self.hashes.as_deref()?;
        Some(Hashes::parse(hashes).map(|hashes| hashes.manifest))
    }

    /// What is wrong with it by itself; nothing where it has a manifest that is what its own hash says.
    fn fault(&self) -> Option<String> {
        let Some(bytes) = &self.manifest else {
            return Some(format!("{MANIFEST} is gone"));
        };
        match self.vouched() {
            None => match Manifest::parse(bytes) {
                Err(error) => Some(format!("{error:#}")),
                Ok(manifest) if manifest.schema_version >= WITH_HASHES => Some(format!("{HASHES} is gone")),
                Ok(_) => None,
            },
            Some(Err(error)) => Some(format!("{error:#}")),
            Some(Ok(hash)) if hash != sha256(bytes) => Some(format!(
                "{MANIFEST} has SHA-256 {}, and {HASHES} has {hash}: one of the two is damaged",
                sha256(bytes)
            )),
            Some(Ok(_)) => Manifest::parse(bytes).err().map(|error| format!("{error:#}")),
        }
    }
}

/// The manifest that counts, whichever copy it was read from.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it says.
    pub manifest: Manifest,
    /// Its bytes: every copy has exactly these.
    pub(super) bytes: Vec<u8>,
    /// What vouches for it.
    pub proof: Proof,
}

impl Known {
    fn of(bytes: &[u8], proof: Proof) -> Result<Self> {
        Ok(Known {
            manifest: Manifest::parse(bytes)?,
            bytes: bytes.to_vec(),
            proof,
        })
    }

    /// One that is made now.
    pub(super) fn new(manifest: Manifest) -> Result<Self> {
        Ok(Known {
            bytes: manifest.bytes()?,
            manifest,
            proof: Proof::Hash,
        })
    }

    /// SHA-256 of its bytes.
    pub(super) fn sha256(&self) -> String {
        sha256(&self.bytes)
    }

    /// What a copy's two small files have that this backup does not.
    fn side_differences(&self, side: &Side) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut add = |name: &str, what: &str| {
            found.push(Difference {
                path: name.into(),
                what: what.to_string(),
            });
        };
        match &side.manifest {
            None => add(MANIFEST, "is gone"),
            Some(bytes) if *bytes == self.bytes => {}
            Some(_) if side.fault().is_none() => add(
                MANIFEST,
                "is that of another backup: choose another campaign name, or move one of the two away",
            ),
            Some(_) => add(
                MANIFEST,
                "is damaged: it has other bytes than the one that counts",
            ),
        }
        match (side.vouched(), self.proof) {
            (None, Proof::None) => {}
            (None, Proof::Hash) => add(HASHES, "is gone"),
            (Some(Ok(hash)), _) if hash == self.sha256() => {}
            (Some(_), _) => add(HASHES, "is damaged, or of another backup"),
        }
        found
    }
}

/// The manifest that counts; none where there is no backup. This host's is never replaced by another: one from the board is taken only where this
/// host's own hash names it, or where this host has nothing. Errors name what is wrong with each copy; two backups under one name.
pub(super) fn known(host: &Side, board: Option<&Side>) -> Result<Option<Known>> {
    let absent = Side::default();
    let (seen, board) = (board, board.unwrap_or(&absent));
    if host.is_absent() && board.is_absent() {
        return Ok(None);
    }
    let vouched = [host, board].map(|side| side.vouched().and_then(Result::ok));
    let of = |side: &Side| side.manifest.as_deref().map(sha256);
    let (host_hash, board_hash) = (of(host), of(board));
    let has = |hash: &Option<String>, by: &Option<String>| hash.is_some() && hash == by;
    let [by_host, by_board] = &vouched;
    let taken = if has(&host_hash, by_host) || has(&host_hash, by_board) {
        host.manifest
            .as_deref()
            .map(|bytes| Known::of(bytes, Proof::Hash))
    } else if has(&board_hash, by_host) || host.is_absent() && has(&board_hash, by_board) {
        board
            .manifest
            .as_deref()
            .map(|bytes| Known::of(bytes, Proof::Hash))
    } else {
        unproven(host, board)
    };
    match taken {
        Some(Ok(known)) => Ok(Some(known)),
        Some(Err(error)) => Err(error.context(faults(host, seen))),
        None => Err(anyhow!("no copy of it can be relied on")).context(faults(host, seen)),
    }
}

/// A manifest of the version that had no hash beside it, where nothing says otherwise.
fn unproven(host: &Side, board: &Side) -> Option<Result<Known>> {
    if host.hashes.is_some() || board.hashes.is_some() {
        return None;
    }
    let bytes = match (&host.manifest, &board.manifest) {
        (Some(host), Some(board)) if host != board => return None,
        (Some(bytes), _) | (None, Some(bytes)) => bytes,
        (None, None) => return None,
    };
    Some(Known::of(bytes, Proof::None).and_then(|known| {
        if known.manifest.schema_version >= WITH_HASHES {
            bail!("{HASHES} is gone");
        }
        Ok(known)
    }))
}

/// What is to be said of two copies of which neither counts.
fn faults(host: &Side, board: Option<&Side>) -> String {
    let say = |side: &Side| match side.is_absent() {
        true => "there is none".to_string(),
        false => side
            .fault()
            .unwrap_or_else(|| "it is whole by itself".to_string()),
    };
    format!(
        "the manifest of the backup: on this host, {}; on the board, {} (what is on the board never replaces what is on this host: move \
         what is damaged away to go on with the other)",
        say(host),
        board.map_or("it was not looked at".to_string(), say)
    )
}

/// The copies of a campaign's backup that can be looked at, and the manifest that counts.
pub struct Copies {
    /// The manifest that counts.
    pub known: Known,
    host: (PathBuf, Side),
    board: Option<(PathBuf, Side)>,
}

impl Copies {
    /// Looks for them on this host and on the board. None: there is no backup. Errors: no manifest can be relied on.
    pub fn find(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Option<Self>> {
        let folder = board_folder(board, campaign)?;
        let side = Side::of_board(board, &folder)?;
        Self::of(host_folder, Some((folder, side)))
    }

    /// Looks for the one on this host.
    pub fn find_here(host_folder: &Path) -> Result<Option<Self>> {
        Self::of(host_folder, None)
    }

    fn of(host_folder: &Path, board: Option<(PathBuf, Side)>) -> Result<Option<Self>> {
        let host = Side::of_host(host_folder)?;
        let known = known(&host, board.as_ref().map(|(_, side)| side))
            .with_context(|| format!("the backup in {}", host_folder.display()))?;
        Ok(known.map(|known| Copies {
            known,
            host: (host_folder.to_path_buf(), host),
            board,
        }))
    }

    /// Where the copy on the board is, if a board was looked at.
    pub fn on_board(&self) -> Option<&Path> {
        self.board.as_ref().map(|(folder, _)| folder.as_path())
    }

    /// Whether this host has a manifest or its hash.
    pub(super) fn host_has_something(&self) -> bool {
        !self.host.1.is_absent()
    }

    /// Whether the board has a manifest.
    pub(super) fn board_has_one(&self) -> bool {
        self.board
            .as_ref()
            .is_some_and(|(_, side)| side.manifest.is_some())
    }

    /// Every byte of the copy on this host, read back. Errors: it is not whole.
    pub fn check_host(&self) -> Result<()> {
        let (folder, side) = &self.host;
        let mut found = self.known.side_differences(side);
        let archive = archive_differences(&self.known.manifest, folder);
        found.extend(archive.context("the backup on this host is not whole")?);
        super::whole("the backup on this host", folder, found)
    }

    /// Every byte of the copy on the board, read back. Errors: it is not whole; no board was looked at.
    pub fn check_board(&self, board: &dyn Board) -> Result<()> {
        let (folder, side) = self.board.as_ref().context("the board was not looked at")?;
        let mut found = self.known.side_differences(side);
        found.extend(board_copy_differences(board, &self.known.manifest, folder)?);
        super::whole("the backup on the board", folder, found)
    }

    /// Both copies, read back. Errors name the copy that is not whole, and the one that is.
    pub fn check_both(&self, board: &dyn Board) -> Result<()> {
        let folder = self.on_board().context("the board was not looked at")?;
        let places = [
            Place::Host(self.host.0.clone()),
            Place::Board(folder.to_path_buf()),
        ];
        let results = [self.check_host(), self.check_board(board)];
        one_error(places.iter().map(Place::to_string).zip(results))
    }

    /// A copy that is whole, the board's before this host's: it need not cross the line. Errors: none is.
    pub fn choose(&self, board: &dyn Board) -> Result<Place> {
        let folder = self.on_board().context("the board was not looked at")?;
        let Err(on_board) = self.check_board(board) else {
            return Ok(Place::Board(folder.to_path_buf()));
        };
        match self.check_host() {
            Ok(()) => Ok(Place::Host(self.host.0.clone())),
            Err(on_host) => bail!("no copy of the backup is whole: {on_board:#}; {on_host:#}"),
        }
    }
}

/// One error of all copies that are not whole, which names those that are.
pub(super) fn one_error(copies: impl Iterator<Item = (String, Result<()>)>) -> Result<()> {
    let (mut good, mut bad) = (Vec::new(), Vec::<Error>::new());
    for (place, result) in copies {
        match result {
            Ok(()) => good.push(place),
            Err(error) => bad.push(error),
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    let bad: Vec<String> = bad.iter().map(|error| format!("{error:#}")).collect();
    let good = match good.is_empty() {
        true => "no copy is whole".to_string(),
        false => format!("whole: {}; `cargo xtask rollback` uses it", good.join(", ")),
    };
    bail!("{}\n{good}", bad.join("\n"))
}

/// What is wrong with the files of the copy on the board; nothing when they are whole.
pub(super) fn board_copy_differences(
    board: &dyn Board,
    manifest: &Manifest,
    folder: &Path,
) -> Result<Vec<Difference>> {
    let files = folder.join("files");
    let seen = inventory::take(board, std::slice::from_ref(&files))?;
    let mut placed = Inventory::new();
    for (path, entry) in seen {
        let below = path
            .strip_prefix(&files)
            .context("a file is not below its folder")?;
        if below.as_os_str().is_empty() && entry.content == Content::Folder {
            continue;
        }
        placed.add(Path::new("/").join(below), entry)?;
    }
    manifest.without_ways(&mut placed);
    Ok(inventory::differences(&manifest.inventory, &placed))
}

/// Whether this host has an archive. Errors: it cannot be told.
pub(in crate::board) fn has_archive(host_folder: &Path) -> Result<bool> {
    files::is_there(&host_folder.join(ARCHIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole copy, with the words of another backup in it where there is one.
    fn side(word: &str) -> Side {
        let older = include_str!("../../../tests/documents/backup.json");
        let text = older
            .replacen("\"schema-version\": 1", "\"schema-version\": 2", 1)
            .replace("iter6", word);
        Side {
            hashes: Some(Hashes::of_manifest(&sha256(text.as_bytes())).text().into_bytes()),
            manifest: Some(text.into_bytes()),
        }
    }

    fn campaign(host: &Side, board: &Side) -> Result<String, String> {
        match known(host, Some(board)) {
            Ok(Some(known)) => Ok(known.manifest.campaign),
            Ok(None) => Ok("none".into()),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    #[test]
    fn this_hosts_counts_and_the_boards_only_where_this_hosts_hash_names_it() {
        let (ours, theirs, none) = (side("ours"), side("theirs"), Side::default());
        let only = |side: &Side, manifest: bool| match manifest {
            true => Side {
                hashes: None,
                ..side.clone()
            },
            false => Side {
                manifest: None,
                ..side.clone()
            },
        };
        assert_eq!(campaign(&none, &none), Ok("none".into()));
        for (host, board) in [
            (&ours, &ours),
            (&ours, &theirs),
            (&ours, &none),
            (&none, &ours),
            (&only(&ours, true), &ours),
            (&only(&ours, true), &only(&ours, false)),
            (&only(&ours, false), &ours),
            (&only(&ours, false), &only(&ours, true)),
        ] {
            assert_eq!(campaign(host, board), Ok("ours".into()));
        }
        for (host, board) in [
            (&only(&ours, false), &theirs),
            (&only(&ours, true), &theirs),
            (&only(&ours, true), &none),
            (&only(&ours, false), &none),
            (&none, &only(&ours, true)),
        ] {
            let error = campaign(host, board).unwrap_err();
            assert!(error.contains("never replaces what is on this host"), "{error}");
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_changes_no_answer() {
        let good = side("ours");
        let flip = |bytes: &Option<Vec<u8>>, at: usize| {
            let mut bytes = bytes.clone().unwrap();
            bytes[at] ^= 1 << (at % 8);
            Some(bytes)
        };
        for at in 0..good.manifest.as_ref().unwrap().len() {
            let bad = Side {
                manifest: flip(&good.manifest, at),
                ..good.clone()
            };
            assert_eq!(campaign(&bad, &good), Ok("ours".into()), "{at}");
            assert_eq!(campaign(&good, &bad), Ok("ours".into()), "{at}");
            assert!(campaign(&bad, &Side::default()).is_err(), "{at}");
            assert!(campaign(&Side::default(), &bad).is_err(), "{at}");
        }
        for at in 0..good.hashes.as_ref().unwrap().len() {
            let bad = Side {
                hashes: flip(&good.hashes, at),
                ..good.clone()
            };
            assert_eq!(campaign(&bad, &good), Ok("ours".into()), "{at}");
            assert!(campaign(&bad, &Side::default()).is_err(), "{at}");
        }
    }
}
