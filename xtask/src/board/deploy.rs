//! Installs what a build made as the slot of our label, beside vanilla: only what differs is sent, the label is absent while the slot
//! changes, and it is written when all of it verifies on the board (invariants 5, 6, 7, 10).

mod append;
mod beside;
mod claim;
mod contents;
mod ends;
mod initramfs;
mod older;
mod planning;
mod record;
mod room;

pub use append::append;
pub use planning::plan;

use super::extlinux::{self, Config};
use super::inventory::{self, Inventory};
use super::lease::Built;
use super::nonce::Nonce;
use super::protected::Protected;
use super::slot::{self, Initramfs, Place, Record, State, Tool};
use super::writer::{Order, Packing, Put, Sent, Writer};
use super::{Board, script};
use crate::manifest::Manifest;
use anyhow::{Context, Result, bail, ensure};
use claim::{claim, take_out};
use contents::{strangers, wanted};
use record::{block, record, record_file};
use serde::Serialize;
use std::path::PathBuf;

/// What is to be installed, and how it is to boot.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The build.
    pub manifest: &'a Manifest,
    /// What must not be touched.
    pub protected: &'a Protected,
    /// Shows in `/proc/cmdline` that this very deploy booted (invariant 15).
    pub nonce: Nonce,
    /// Where the slot's device tree comes from.
    pub dtb: Dtb,
    /// Words for the end of the command line.
    pub extra_append: Vec<String>,
    /// The slot's first user space, built for the board, on this host (`slot_init`); without it no lease is held.
    pub init: Option<PathBuf>,
    /// How many older slots stay on the board, without a label; never vanilla's.
    pub keep: usize,
}

/// Where the slot's device tree comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dtb {
    /// A copy of the one that vanilla boots with: it has the board's ramoops region and all else that was merged into it.
    Vanilla,
    /// One that the build made ([`manifest::File::source`]).
    Built(PathBuf),
}

/// What a deploy would do; [`install`] does exactly this.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The label that will boot it.
    pub label: String,
    /// The release that it is installed under.
    pub release: String,
    /// Where its parts go.
    pub place: Place,
    /// Files that are sent, as paths on the board.
    #[serde(serialize_with = "crate::host::json::named")]
    pub send: Vec<PathBuf>,
    /// Their bytes, before packing.
    pub send_bytes: u64,
    /// Files that are there already, by hash.
    pub unchanged: usize,
    /// Files and folders of an older slot of this label that are removed.
    #[serde(serialize_with = "crate::host::json::named")]
    pub remove: Vec<PathBuf>,
    /// Releases of older slots that stay, without a label.
    pub keep: Vec<String>,
    /// The label's command line.
    pub append: String,
    /// What ends a boot of this kernel; none where the build kept no configuration.
    pub ends: Option<Built>,
    /// Why the initramfs is made anew on the board; none where vanilla has none, or where it is as it would be.
    pub initramfs: Option<String>,
    #[serde(skip)]
    tool: Option<Tool>,
    #[serde(skip)]
    known_initramfs: Option<Initramfs>,
    #[serde(skip)]
    kernel: initramfs::Kernel,
    #[serde(skip)]
    sequence: u64,
    #[serde(skip)]
    old: Option<Record>,
    #[serde(skip)]
    module_puts: Vec<Put>,
    #[serde(skip)]
    boot_puts: Vec<Put>,
    #[serde(skip)]
    run_depmod: bool,
    #[serde(skip)]
    packing: Packing,
}

impl Plan {
    /// What a person should know of the end of this kernel's boots.
    pub fn doubt(&self) -> Option<String> {
        ends::doubt(self.ends.as_ref())
    }
}

/// What a deploy did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deployed {
    /// The label that boots it.
    pub label: String,
    /// Its release.
    pub release: String,
    /// Its nonce.
    pub nonce: Nonce,
    /// What crossed the line.
    pub sent: Sent,
    /// Files that were there already.
    pub unchanged: usize,
    /// Files and folders that were removed.
    pub removed: usize,
    /// What the change of extlinux.conf means for U-Boot, and what the kernel's lease will lack.
    pub notes: Vec<String>,
}

/// What a deploy is doing, for a progress line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Comparing vanilla's hashes.
    CheckingVanilla,
    /// Taking our label out.
    RemovingLabel,
    /// Removing what the new slot has not.
    RemovingFiles,
    /// Sending modules and running depmod.
    SendingModules,
    /// Making the initramfs with the board's own tool.
    MakingInitramfs,
    /// Sending Image and device tree.
    SendingBootFiles,
    /// Hashing the whole slot.
    VerifyingSlot,
    /// Writing the label.
    WritingLabel,
}

/// Does what a plan says that somebody has seen since: vanilla's hashes are compared before, and behind it once more, with the whole slot and its label.
/// What it leaves when it dies: as [`install`].
pub fn execute(
    board: &dyn Board,
    request: &Request,
    plan: &Plan,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Deployed> {
    on_stage(Stage::CheckingVanilla);
    let config = Config::parse(&request.protected.check_and_read(board)?);
    let deployed = carry_out(board, request, plan, &config, on_stage)?;
    on_stage(Stage::CheckingVanilla);
    request.protected.check(board)?;
    slot::verify(board, request.protected)?;
    Ok(deployed)
}

/// Plans and does it, for a caller that boots the slot at once: `boot_once` compares vanilla's hashes and verifies the slot with its label
/// itself, so that doing it behind the deploy, too, would prove nothing more. When it dies half-way our label is absent or boots a whole slot, the slot's
/// record says `incomplete`, vanilla is untouched, and the next deploy goes on from what is on the board.
pub fn install(board: &dyn Board, request: &Request) -> Result<Deployed> {
    let (plan, listed, config) = planning::plan_and_ask(board, request, &request.protected.listing()?)?;
    request.protected.check_answers(&listed, Some(&config))?;
    carry_out(board, request, &plan, &Config::parse(&config), &mut |_| {})
}

/// Does what the plan says, on a board whose vanilla was compared and whose extlinux.conf was read just now.
fn carry_out(
    board: &dyn Board,
    request: &Request,
    plan: &Plan,
    config: &Config,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Deployed> {
    let protected = request.protected;
    let writer = Writer::new(board, protected).packing_as(plan.packing);
    let mut sent = Sent::default();
    let touched = !plan.module_puts.is_empty()
        || !plan.boot_puts.is_empty()
        || !plan.remove.is_empty()
        || plan.run_depmod
        || plan.initramfs.is_some();
    let mut initramfs = plan.known_initramfs.clone();
    if touched {
        on_stage(Stage::RemovingLabel);
        sent.add(claim(&writer, request, plan, config, initramfs.clone())?);
        on_stage(Stage::RemovingFiles);
        writer.remove(&plan.remove)?;
        install_modules(&writer, plan, &mut sent, on_stage)?;
        if let Some(tool) = plan.tool.filter(|_| plan.initramfs.is_some()) {
            on_stage(Stage::MakingInitramfs);
            let job = initramfs::Job {
                tool,
                kernel: &plan.kernel,
            };
            initramfs = Some(initramfs::make(board, &writer, plan, &job, &mut sent)?);
        }
        install_boot_files(&writer, plan, &mut sent, on_stage)?;
    }
    on_stage(Stage::VerifyingSlot);
    let (inventory, now) = verified_inventory(board, request, &plan.place)?;
    on_stage(Stage::WritingLabel);
    let edit = extlinux::set(&now, &block(plan))?;
    refuse_lint(config, &edit.bytes)?;
    let whole = record(request, plan, State::Whole, inventory, initramfs);
    let whole = record_file(&slot::record_path(protected), &whole)?;
    sent.add(writer.put_extlinux_and(&edit.bytes, whole, Order::ExtlinuxLast)?);
    Ok(Deployed {
        label: plan.label.clone(),
        release: plan.release.clone(),
        nonce: request.nonce.clone(),
        sent,
        unchanged: plan.unchanged,
        removed: plan.remove.len(),
        notes: edit.notes.into_iter().chain(plan.doubt()).collect(),
    })
}

/// Takes our label out of extlinux.conf, and nothing else: what lies in the slot can no longer be chosen. Safe to do twice; it is the old
/// file or the new one if it dies half-way.
pub fn withdraw(board: &dyn Board, protected: &Protected) -> Result<Sent> {
    let config = Config::parse(&read_extlinux(board, protected)?);
    take_out(&Writer::new(board, protected), protected, &config)
}

fn install_modules(
    writer: &Writer,
    plan: &Plan,
    sent: &mut Sent,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<()> {
    on_stage(Stage::SendingModules);
    let base = plan
        .place
        .modules
        .parent()
        .context("the slot's modules have no parent folder")?;
    let modules = &plan.place.modules;
    sent.add(match plan.run_depmod {
        true => writer.put_modules(base, &plan.module_puts, modules, &plan.release)?,
        false => writer.put(base, &plan.module_puts)?,
    });
    Ok(())
}

fn install_boot_files(
    writer: &Writer,
    plan: &Plan,
    sent: &mut Sent,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<()> {
    on_stage(Stage::SendingBootFiles);
    let folder = plan
        .place
        .image
        .parent()
        .context("the slot's Image has no folder")?;
    sent.add(writer.put(folder, &plan.boot_puts)?);
    Ok(())
}

/// The inventory of the slot after everything was written: each file of the manifest has its hash, and nothing else is there but depmod's
/// work. And extlinux.conf as it is then.
fn verified_inventory(board: &dyn Board, request: &Request, place: &Place) -> Result<(Inventory, Config)> {
    let scripts = [
        inventory::listing_of(&place.roots())?,
        script::reading(&request.protected.extlinux)?,
    ];
    let doing = "hashing the slot";
    let [listed, extlinux] =
        script::ask_all(board, doing, scripts.each_ref().map(String::as_str), script::WORK)?;
    let extlinux = script::content(&extlinux).context("extlinux.conf is gone")?;
    let seen = inventory::parse(&listed, &place.roots())?;
    let wanted = wanted(request, place)?;
    for (path, put) in &wanted {
        let is = seen.get(path).and_then(|entry| entry.sha256());
        ensure!(
            is == Some(&put.sha256),
            "{} on the board is not what the build made after it was written: the label stays out",
            path.display()
        );
    }
    if let Some(stranger) = strangers(&seen, place, &wanted).first() {
        bail!(
            "{} appeared in the slot while it was written: the label stays out",
            stranger.display()
        );
    }
    Ok((seen, Config::parse(&extlinux)))
}

fn read_extlinux(board: &dyn Board, protected: &Protected) -> Result<Vec<u8>> {
    script::read(board, &protected.extlinux)?.context("extlinux.conf is gone")
}

/// An edit that brings a new error with it is not written.
fn refuse_lint(before: &Config, after: &[u8]) -> Result<()> {
    let known: Vec<String> = extlinux::lint(before)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    let new = extlinux::lint(&Config::parse(after))
        .into_iter()
        .find(|finding| finding.severity == extlinux::Severity::Error && !known.contains(&finding.what));
    match new {
        Some(finding) => bail!(
            "the new label would be wrong in U-Boot's eyes: line {}: {}",
            finding.line,
            finding.what
        ),
        None => Ok(()),
    }
}
