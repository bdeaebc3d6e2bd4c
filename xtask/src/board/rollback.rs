//! Puts vanilla back exactly as its verified backup has it, and takes away what is ours: labels, slots, modules, records, what smoke tests and
//! interrupted work left. The backups stay, and are told. Idempotent; says beforehand what it will do.

use super::backup::{self, Copies, Manifest, Place};
use super::boot::{self, Method};
use super::filesystem_state::Unclean;
use super::inventory::{self, BoardPath, Content, Inventory};
use super::ours::{self, Kept};
use super::writer::{Keep, Put, Sent, Source, Writer};
use super::{Board, autologin, root, script};
use crate::host::one_line;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a rollback would do; [`execute`] does exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The campaign whose backup is used.
    pub campaign: String,
    /// Which copy of the backup is used.
    pub copy: Copy,
    /// What happens to extlinux.conf.
    pub extlinux: ExtlinuxChange,
    /// Vanilla's files that are put back.
    #[serde(serialize_with = "crate::host::json::named")]
    pub restore: Vec<PathBuf>,
    /// Vanilla's folders and links that are made again, with their modes and owners.
    #[serde(serialize_with = "crate::host::json::named")]
    pub reshape: Vec<PathBuf>,
    /// Files and folders in vanilla's folders that vanilla did not have.
    #[serde(serialize_with = "crate::host::json::named")]
    pub strangers: Vec<PathBuf>,
    /// Files and folders of ours that are removed.
    #[serde(serialize_with = "crate::host::json::named")]
    pub remove: Vec<PathBuf>,
    /// Boot methods whose one attempt was prepared and never used up: it is taken back.
    pub boot_once: Vec<Method>,
    /// Files that pre-flight renamed to switch a log-in off: what they are called now, and what they were called.
    #[serde(serialize_with = "crate::host::json::named")]
    pub rename: Vec<(PathBuf, PathBuf)>,
    /// What has to be done by hand: devices that differ.
    pub by_hand: Vec<String>,
    /// What of ours stays on purpose.
    pub kept: Vec<Kept>,
    /// Of a disk in this host: file systems that were not left in order.
    pub unclean: Vec<Unclean>,
}

/// Which copy of a backup is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copy {
    /// The one on the board, whole.
    OnBoard(#[serde(serialize_with = "crate::host::json::named")] PathBuf),
    /// The archive on the host, because the one on the board is damaged or gone.
    OnHost(#[serde(serialize_with = "crate::host::json::named")] PathBuf),
}

/// What a rollback does to extlinux.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtlinuxChange {
    /// It is as the backup has it.
    None,
    /// It gets the backup's bytes: no label of ours is in them.
    Restore,
}

impl Plan {
    /// Nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.extlinux == ExtlinuxChange::None
            && self.restore.is_empty()
            && self.reshape.is_empty()
            && self.strangers.is_empty()
            && self.remove.is_empty()
            && self.boot_once.is_empty()
            && self.rename.is_empty()
            && self.by_hand.is_empty()
    }

    /// Files that it writes back.
    pub(super) fn restored(&self) -> usize {
        let menu = usize::from(self.extlinux == ExtlinuxChange::Restore);
        self.restore.len().saturating_add(menu)
    }

    /// Files and folders that it takes away.
    pub(super) fn removed(&self) -> usize {
        self.strangers.len().saturating_add(self.remove.len())
    }

    /// What will be done, one line each, which no name on the board can break; [`Plan::kept`] is printed after it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.unclean.iter().map(Unclean::line).collect();
        if self.extlinux == ExtlinuxChange::Restore {
            lines.push("restore extlinux.conf (every label of ours goes with it)".to_string());
        }
        let shown = |verb: &str, paths: &[PathBuf]| -> Vec<String> {
            let mut lines: Vec<String> = paths
                .iter()
                .take(12)
                .map(|path| format!("{verb} {}", one_line::path(path)))
                .collect();
            if paths.len() > 12 {
                lines.push(format!("{verb} {} more", paths.len().saturating_sub(12)));
            }
            lines
        };
        lines.extend(shown("restore", &self.restore));
        lines.extend(shown("make again (folder or link)", &self.reshape));
        lines.extend(shown("remove, since vanilla did not have it,", &self.strangers));
        lines.extend(shown("remove", &self.remove));
        lines.extend(
            self.boot_once
                .iter()
                .map(|method| format!("take back what the boot method {} had prepared", method.name())),
        );
        lines.extend(
            self.rename
                .iter()
                .map(|(_, to)| format!("put {} back (automatic log-in, as it was)", one_line::path(to))),
        );
        lines.extend(self.by_hand.iter().map(|what| format!("by hand: {what}")));
        lines
    }
}

/// What a rollback did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RolledBack {
    /// Files that were put back, extlinux.conf included.
    pub restored: usize,
    /// Files and folders that were removed.
    pub removed: usize,
    /// What crossed the line.
    pub sent: Sent,
    /// What of ours stays on purpose.
    pub kept: Vec<Kept>,
}

/// Looks and says what a rollback would do. Works with whatever kernel runs, but for a root that is thrown away. Changes nothing. Errors: neither
/// copy of the backup is whole.
pub fn plan(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Plan> {
    root::writes_last(board, "rolling back")?;
    let copies = copies(board, campaign, host_folder)?;
    let manifest = &copies.known.manifest;
    let copy = choose_copy(board, &copies)?;
    let seen = inventory::take(board, &covered(manifest))?;
    let now = script::read(board, &manifest.protected.extlinux)?;
    let compared = compare(manifest, &seen, now.as_deref())?;
    let description = board.description();
    let mut ours = ours::find(&ours::Running(board), manifest, Some(&description.backup_folder))?;
    ours.kept.extend(ours::elsewhere(
        manifest,
        host_folder,
        description.second_host.as_ref(),
    )?);
    Ok(Plan {
        campaign: campaign.to_string(),
        copy,
        extlinux: compared.extlinux,
        restore: compared.restore,
        strangers: compared.strangers,
        remove: ours.remove,
        boot_once: boot::armed(board)?,
        rename: autologin::disabled(board, campaign)?,
        reshape: compared.reshape,
        by_hand: compared.by_hand,
        kept: ours.kept,
        unclean: Vec::new(),
    })
}

/// What of vanilla differs from its backup.
pub(super) struct Compared {
    pub extlinux: ExtlinuxChange,
    pub restore: Vec<PathBuf>,
    pub strangers: Vec<PathBuf>,
    pub reshape: Vec<PathBuf>,
    pub by_hand: Vec<String>,
}

/// Holds what is there against the backup: a pure rule, for a board that answers and for a disk that was put into this host.
pub(super) fn compare(manifest: &Manifest, seen: &Inventory, extlinux: Option<&[u8]>) -> Result<Compared> {
    let protected = &manifest.protected;
    let foreign = protected.foreign()?;
    let mut compared = Compared {
        extlinux: ExtlinuxChange::None,
        restore: Vec::new(),
        strangers: Vec::new(),
        reshape: Vec::new(),
        by_hand: Vec::new(),
    };
    for (path, was) in &manifest.inventory {
        let is = seen.get(path.as_path());
        if path.as_path() == protected.extlinux {
            if extlinux != Some(foreign.as_slice()) {
                compared.extlinux = ExtlinuxChange::Restore;
            }
        } else if is.is_none_or(|is| !inventory::same(was, is)) {
            match was.content {
                Content::File { .. } => compared.restore.push(path.to_path_buf()),
                Content::Folder | Content::Link { .. } => compared.reshape.push(path.to_path_buf()),
                Content::Other(_) => compared.by_hand.push(was.to_make(path)),
            }
        }
    }
    let unknown = |path: &Path| seen.contains_key(path) && !manifest.inventory.contains_key(path);
    // A folder that vanilla did not have goes as a whole.
    compared.strangers = seen
        .keys()
        .filter(|path| unknown(path) && !path.parent().is_some_and(unknown))
        .map(|path| path.to_path_buf())
        .collect();
    Ok(compared)
}

/// Does what the plan says: extlinux.conf first, so that from then on nothing but vanilla boots. The copy that everything comes from is read
/// back once more before the first write and after the last; one that was damaged since the plan was made is not used while another one is whole.
/// Dying partway it leaves a part of the plan done; planning again finds the rest.
pub fn execute(board: &dyn Board, plan: &Plan, host_folder: &Path) -> Result<RolledBack> {
    let copies = copies(board, &plan.campaign, host_folder)?;
    let manifest = &copies.known.manifest;
    let copy = choose_copy(board, &copies)?;
    let protected = &manifest.protected;
    let writer = Writer::restoring(board, protected, &manifest.inventory);
    let mut sent = Sent::default();
    let wanted: BTreeSet<PathBuf> = plan.restore.iter().cloned().collect();
    let batches = batches(manifest, &wanted, &mut sources(&copy, manifest, &wanted)?)?;
    for (base, puts) in &batches {
        writer.check_restored(base, puts)?;
    }
    if plan.extlinux == ExtlinuxChange::Restore {
        sent.add(writer.put_extlinux(&protected.foreign()?)?);
    }
    // Strangers first: what stands in the place of a folder of vanilla's would be in the way of its files.
    writer.remove_strangers(&plan.strangers)?;
    writer.reshape(&plan.reshape)?;
    for (base, puts) in &batches {
        sent.add(writer.put(base, puts)?);
    }
    if !plan.boot_once.is_empty() {
        boot::disarm(board, protected)?;
    }
    writer.remove(&plan.remove)?;
    for (from, to) in &plan.rename {
        writer.rename(from, to)?;
    }
    check_restored(board, manifest)?;
    still_whole(board, &copy, &plan.campaign, host_folder)?;
    ensure!(
        plan.by_hand.is_empty(),
        "vanilla's files and extlinux.conf are restored, but not these, which are no plain files: {}",
        plan.by_hand.join("; ")
    );
    Ok(RolledBack {
        restored: plan.restored(),
        removed: plan.removed(),
        sent,
        kept: plan.kept.clone(),
    })
}

/// What is written for each folder that is a base of its own: boot files by their folder, modules below their release.
fn batches(
    manifest: &Manifest,
    restore: &BTreeSet<PathBuf>,
    sources: &mut BTreeMap<PathBuf, Source>,
) -> Result<BTreeMap<PathBuf, Vec<Put>>> {
    let mut batches: BTreeMap<PathBuf, Vec<Put>> = BTreeMap::new();
    for path in restore {
        let modules = &manifest.protected.modules;
        let base = if path.starts_with(modules) {
            modules.parent()
        } else {
            path.parent()
        };
        let base = base.context("a file of vanilla's has no folder")?.to_path_buf();
        let entry = manifest
            .inventory
            .get(path)
            .with_context(|| format!("{} is not in the backup", one_line::path(path)))?;
        let put = Put {
            target: path
                .strip_prefix(&base)
                .context("a file is not below its folder")?
                .to_path_buf(),
            source: sources
                .remove(path)
                .with_context(|| format!("the backup does not have {}", one_line::path(path)))?,
            sha256: entry.sha256().context("only files are restored")?.to_string(),
            size: entry.size(),
            mode: entry.mode,
            keep: Some(Keep {
                owner: entry.owner,
                modified: entry.modified,
            }),
        };
        batches.entry(base).or_default().push(put);
    }
    Ok(batches)
}

/// Where the bytes of each file to be restored are. Those of this host's archive are compared with the manifest here, those on the board in the
/// script that writes them.
fn sources(
    copy: &Copy,
    manifest: &Manifest,
    wanted: &BTreeSet<PathBuf>,
) -> Result<BTreeMap<PathBuf, Source>> {
    match copy {
        Copy::OnBoard(folder) => wanted
            .iter()
            .map(|path| {
                let path = BoardPath::new(path)?;
                let source = Source::BoardFile(folder.join("files").join(path.below_root()));
                Ok((path.into(), source))
            })
            .collect(),
        Copy::OnHost(folder) => {
            let found = backup::from_archive(manifest, folder, wanted)?;
            Ok(found
                .into_iter()
                .map(|(path, bytes)| (path, Source::Bytes(bytes)))
                .collect())
        }
    }
}

/// The copies of the campaign's backup, with the manifest that counts: this host's, or the board's where this host has none (a checkout that
/// was lost must not lose the board) or where this host's own hash names it.
fn copies(board: &dyn Board, campaign: &str, host_folder: &Path) -> Result<Copies> {
    let copies = Copies::find(board, campaign, host_folder)?.with_context(|| {
        format!(
            "there is no backup of campaign `{campaign}`, neither in {} nor on the board",
            host_folder.display()
        )
    })?;
    backup::check_owner(
        &copies.known.manifest,
        &board.description().name,
        campaign,
        host_folder,
    )?;
    Ok(copies)
}

fn choose_copy(board: &dyn Board, copies: &Copies) -> Result<Copy> {
    Ok(match copies.choose(board)? {
        Place::Board(folder) => Copy::OnBoard(folder),
        Place::Host(folder) => Copy::OnHost(folder),
    })
}

/// The copy that was used, read back after the last write: the next rollback needs it.
fn still_whole(board: &dyn Board, copy: &Copy, campaign: &str, host_folder: &Path) -> Result<()> {
    let copies = copies(board, campaign, host_folder)?;
    let checked = match copy {
        Copy::OnBoard(_) => copies.check_board(board),
        Copy::OnHost(_) => copies.check_host(),
    };
    checked.context("vanilla is restored, but the backup that it came from is damaged by now")
}

/// Roots that the backup covers: the modules as a whole only if it has all of them.
pub(super) fn covered(manifest: &Manifest) -> Vec<PathBuf> {
    let roots: Vec<PathBuf> = manifest
        .inventory
        .keys()
        .filter(|path| {
            path.parent()
                .is_none_or(|parent| !manifest.inventory.contains_key(parent))
        })
        .map(|path| path.to_path_buf())
        .collect();
    roots
}

/// Hash for hash, after everything.
fn check_restored(board: &dyn Board, manifest: &Manifest) -> Result<()> {
    let protected = &manifest.protected;
    let extlinux = script::read(board, &protected.extlinux)?;
    ensure!(
        extlinux == Some(protected.foreign()?),
        "extlinux.conf is not what the backup has after the rollback: a person is needed"
    );
    let seen = inventory::take(board, &covered(manifest))?;
    let wrong = manifest
        .inventory
        .iter()
        .filter(|(path, was)| {
            !matches!(was.content, Content::Other(_)) && path.as_path() != protected.extlinux
        })
        .find(|(path, was)| {
            seen.get(path.as_path())
                .is_none_or(|is| !inventory::same(was, is))
        });
    match wrong {
        None => Ok(()),
        Some((path, _)) => bail!("{path} is not what the backup has after the rollback: a person is needed"),
    }
}
