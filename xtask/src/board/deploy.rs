//! Installs what a build made as the slot of our label, beside vanilla: only what differs is sent, the label is absent while the slot
//! changes, and it is written when all of it verifies on the board (invariants 5, 6, 7, 10).

use super::extlinux::{self, Block, Config};
use super::inventory::{self, Inventory};
use super::protected::Protected;
use super::slot::{self, Place, Record, State};
use super::writer::{Put, Sent, Source, Writer};
use super::{Board, script};
use crate::host::files::sha256;
use crate::manifest::{self, Kind, Manifest};
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What depmod writes on the board (kmod, tools/depmod.c, `depfiles`): never sent, always made there.
const GENERATED: [&str; 10] = [
    "modules.alias",
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.devname",
    "modules.softdep",
    "modules.symbols",
    "modules.symbols.bin",
];
/// `modules.weakdep` came with kmod 33.
const GENERATED_NEWER: &str = "modules.weakdep";
/// Free space that has to remain on each file system, in bytes.
const MARGIN: u64 = 4 << 20;

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
}

/// Where the slot's device tree comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dtb {
    /// A copy of the one that vanilla boots with: it has the board's ramoops region and all else that was merged into it.
    Vanilla,
    /// One that the build made ([`manifest::File::source`]).
    Built(PathBuf),
}

/// A word that no other deploy has had: 16 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nonce(String);

impl Nonce {
    /// A new one from the system's random numbers.
    pub fn fresh() -> Result<Self> {
        let mut bytes = [0; 8];
        let mut source = std::fs::File::open("/dev/urandom").context("opening /dev/urandom")?;
        std::io::Read::read_exact(&mut source, &mut bytes).context("reading /dev/urandom")?;
        Ok(Nonce(hex::encode(bytes)))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a deploy would do; [`execute`] does exactly this.
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
    pub send: Vec<PathBuf>,
    /// Their bytes, before packing.
    pub send_bytes: u64,
    /// Files that are there already, by hash.
    pub unchanged: usize,
    /// Files and folders of an older slot of this label that are removed.
    pub remove: Vec<PathBuf>,
    /// The label's command line.
    pub append: String,
    #[serde(skip)]
    module_puts: Vec<Put>,
    #[serde(skip)]
    boot_puts: Vec<Put>,
    #[serde(skip)]
    run_depmod: bool,
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
    /// What the change of extlinux.conf means for U-Boot.
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
    /// Sending modules.
    SendingModules,
    /// Running depmod.
    Depmod,
    /// Sending Image and device tree.
    SendingBootFiles,
    /// Hashing the whole slot.
    VerifyingSlot,
    /// Writing the label.
    WritingLabel,
}

/// Looks at the board and says what a deploy would do. Changes nothing. Errors: the release collides (invariant 10), there is not
/// enough space, vanilla's label cannot be followed.
pub fn plan(board: &dyn Board, request: &Request) -> Result<Plan> {
    let (manifest, protected) = (request.manifest, request.protected);
    let place = Place::of(protected, &manifest.release)?;
    ensure!(
        protected.uboot_paths.initrd.is_none(),
        "vanilla boots with an initramfs ({}), and this version cannot make one for the slot: a slot without it, or with \
         vanilla's, would not be the same system",
        protected.uboot_paths.initrd.as_deref().unwrap_or_default()
    );
    let old = slot::read(board, protected)?;
    refuse_collision(board, protected, &place, &manifest.release, old.as_ref())?;
    let seen = inventory::take(board, &place.roots())?;
    let wanted = wanted(request, &place)?;
    let (module_puts, boot_puts): (Vec<_>, Vec<_>) = wanted
        .iter()
        .filter(|(path, put)| seen.get(path).and_then(|entry| entry.sha256()) != Some(&put.sha256))
        .cloned()
        .partition(|(path, _)| path.starts_with(&place.modules));
    let sent: Vec<&(PathBuf, Put)> = module_puts.iter().chain(&boot_puts).collect();
    let send: Vec<PathBuf> = sent.iter().map(|(path, _)| path.clone()).collect();
    let send_bytes = sent.iter().map(|(_, put)| put.size).sum();
    let mut remove = strangers(&seen, &place, &wanted);
    remove.extend(older_release(protected, old.as_ref(), &manifest.release)?);
    enough_space(board, &place, &module_puts, &boot_puts)?;
    let whole = old.as_ref().is_some_and(|old| {
        old.state == State::Whole
            && old.release == manifest.release
            && inventory::other_content(&old.inventory, &seen).is_empty()
    });
    Ok(Plan {
        label: protected.test_label.clone(),
        release: manifest.release.clone(),
        append: append(&protected.append, request.nonce.as_str(), &request.extra_append),
        unchanged: wanted.len() - send.len(),
        run_depmod: !(whole && module_puts.is_empty() && remove.is_empty()),
        module_puts: module_puts.into_iter().map(|(_, put)| put).collect(),
        boot_puts: boot_puts.into_iter().map(|(_, put)| put).collect(),
        place,
        send,
        send_bytes,
        remove,
    })
}

/// Does what the plan says. When it dies half-way our label is absent or boots a whole slot, the slot's record says
/// `incomplete`, vanilla is untouched, and the next deploy goes on from what is on the board.
pub fn execute(
    board: &dyn Board,
    request: &Request,
    plan: &Plan,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Deployed> {
    let protected = request.protected;
    let writer = Writer::new(board, protected);
    let mut sent = Sent::default();
    on_stage(Stage::CheckingVanilla);
    protected.check(board)?;
    let config = Config::parse(&read_extlinux(board, protected)?);
    let touched = !plan.module_puts.is_empty()
        || !plan.boot_puts.is_empty()
        || !plan.remove.is_empty()
        || plan.run_depmod;
    if touched {
        on_stage(Stage::RemovingLabel);
        sent.add(withdraw(board, protected)?);
        // The claim to the files comes before the files (invariant 11's way of thinking): without it they would be strangers.
        sent.add(put_record(
            &writer,
            protected,
            &record(request, State::Incomplete, Inventory::new()),
        )?);
        on_stage(Stage::RemovingFiles);
        writer.remove(&plan.remove)?;
        install(&writer, plan, &mut sent, on_stage)?;
    }
    on_stage(Stage::VerifyingSlot);
    let inventory = verified_inventory(board, request, &plan.place)?;
    sent.add(put_record(
        &writer,
        protected,
        &record(request, State::Whole, inventory),
    )?);
    on_stage(Stage::WritingLabel);
    let edit = extlinux::set(&Config::parse(&read_extlinux(board, protected)?), &block(plan))?;
    refuse_lint(&config, &edit.bytes)?;
    sent.add(writer.put_extlinux(&edit.bytes)?);
    on_stage(Stage::CheckingVanilla);
    protected.check(board)?;
    slot::verify(board, protected)?;
    Ok(Deployed {
        label: plan.label.clone(),
        release: plan.release.clone(),
        nonce: request.nonce.clone(),
        sent,
        unchanged: plan.unchanged,
        removed: plan.remove.len(),
        notes: edit.notes,
    })
}

/// Takes our label out of extlinux.conf, and nothing else: what lies in the slot can no longer be chosen. Safe to do twice; it is the old
/// file or the new one if it dies half-way.
pub fn withdraw(board: &dyn Board, protected: &Protected) -> Result<Sent> {
    let config = Config::parse(&read_extlinux(board, protected)?);
    let without = extlinux::remove(&config, &protected.test_label)?;
    if without.bytes == config.bytes() {
        return Ok(Sent::default());
    }
    Writer::new(board, protected).put_extlinux(&without.bytes)
}

fn install(writer: &Writer, plan: &Plan, sent: &mut Sent, on_stage: &mut dyn FnMut(Stage)) -> Result<()> {
    on_stage(Stage::SendingModules);
    let base = plan
        .place
        .modules
        .parent()
        .context("the slot's modules have no parent folder")?;
    sent.add(writer.put(base, &plan.module_puts)?);
    if plan.run_depmod {
        on_stage(Stage::Depmod);
        writer.depmod(&plan.place.modules, &plan.release)?;
    }
    on_stage(Stage::SendingBootFiles);
    let folder = plan
        .place
        .image
        .parent()
        .context("the slot's Image has no folder")?;
    sent.add(writer.put(folder, &plan.boot_puts)?);
    Ok(())
}

/// Invariant 10: the slot's release is no release that vanilla, or anybody else, has.
fn refuse_collision(
    board: &dyn Board,
    protected: &Protected,
    place: &Place,
    release: &str,
    old: Option<&Record>,
) -> Result<()> {
    ensure!(
        !release.eq_ignore_ascii_case(&protected.release),
        "the build has vanilla's own release `{release}`: its modules would overwrite the working ones; set \
         CONFIG_LOCALVERSION and build again"
    );
    let mut targets = place.roots();
    targets.push(slot::record_path(protected));
    for path in &targets {
        if let Some(reason) = protected.refuses(path) {
            bail!(
                "the slot of release `{release}` would write {}: {reason}",
                path.display()
            );
        }
    }
    if old.is_some_and(|old| old.release == release) {
        return Ok(());
    }
    let looking = format!(
        "for path in {}; do if [ -e \"$path\" ]; then printf '%s\\n' \"$path\"; fi; done",
        script::words(place.roots().iter().map(PathBuf::as_path))?
    );
    let there = script::ask(board, "looking for files of this release", &looking, script::LOOK)?.text();
    ensure!(
        there.is_empty(),
        "release `{release}` is already on the board and was not put there by a deploy of label `{}`: {}; set \
         CONFIG_LOCALVERSION to another name and build again",
        protected.test_label,
        there.replace('\n', ", ")
    );
    Ok(())
}

/// Every file that the slot shall have and that is sent or copied, by its path on the board.
fn wanted(request: &Request, place: &Place) -> Result<Vec<(PathBuf, Put)>> {
    let manifest = request.manifest;
    let mut wanted = Vec::new();
    let images: Vec<&manifest::File> = manifest.of_kind(Kind::Image).collect();
    ensure!(
        images.len() == 1,
        "the build's manifest has {} Images, not one",
        images.len()
    );
    wanted.push((
        place.image.clone(),
        from_host(manifest, images[0], file_name(&place.image)?),
    ));
    if let (Some(dtb), Some(vanilla)) = (&place.dtb, &request.protected.dtb) {
        wanted.push((dtb.clone(), dtb_put(request, file_name(dtb)?, vanilla)?));
    }
    let folder = Path::new("lib/modules").join(&manifest.release);
    for file in manifest
        .files
        .iter()
        .filter(|file| matches!(file.kind, Kind::Module | Kind::ModuleIndex))
    {
        let below = file.source.strip_prefix(&folder).with_context(|| {
            format!(
                "the manifest's file {} is not below {}",
                file.source.display(),
                folder.display()
            )
        })?;
        if file.kind == Kind::ModuleIndex && is_generated(below) {
            continue;
        }
        let target = Path::new(&manifest.release).join(below);
        wanted.push((place.modules.join(below), from_host(manifest, file, target)));
    }
    Ok(wanted)
}

fn dtb_put(request: &Request, target: PathBuf, vanilla: &Path) -> Result<Put> {
    match &request.dtb {
        Dtb::Built(source) => {
            let file = request
                .manifest
                .of_kind(Kind::Dtb)
                .find(|file| file.source == *source)
                .with_context(|| format!("the build made no device tree {}", source.display()))?;
            Ok(from_host(request.manifest, file, target))
        }
        Dtb::Vanilla => {
            let entry = request
                .protected
                .inventory
                .get(vanilla)
                .context("vanilla's device tree was not hashed")?;
            let sha256 = entry
                .sha256()
                .context("vanilla's device tree is no file")?
                .to_string();
            Ok(Put {
                target,
                source: Source::BoardFile(vanilla.to_path_buf()),
                sha256,
                size: entry.size(),
                mode: 0o644,
                keep: None,
            })
        }
    }
}

fn from_host(manifest: &Manifest, file: &manifest::File, target: PathBuf) -> Put {
    Put {
        target,
        source: Source::HostFile(manifest.root.join(&file.source)),
        sha256: file.sha256.clone(),
        size: file.size,
        mode: file.mode,
        keep: None,
    }
}

fn file_name(path: &Path) -> Result<PathBuf> {
    path.file_name()
        .map(PathBuf::from)
        .context("a file of the slot has no name")
}

/// Whether a file directly below the modules' folder is depmod's work.
fn is_generated(below: &Path) -> bool {
    below
        .to_str()
        .is_some_and(|name| GENERATED.contains(&name) || name == GENERATED_NEWER)
}

/// Files and links in the slot's folder that neither the build nor depmod made.
fn strangers(seen: &Inventory, place: &Place, wanted: &[(PathBuf, Put)]) -> Vec<PathBuf> {
    seen.iter()
        .filter(|(_, entry)| entry.content != inventory::Content::Folder)
        .map(|(path, _)| path)
        .filter(|path| {
            path.strip_prefix(&place.modules)
                .is_ok_and(|below| !is_generated(below))
        })
        .filter(|path| !wanted.iter().any(|(wanted, _)| wanted == *path))
        .cloned()
        .collect()
}

/// The slot that this label had under another release goes away with its label.
fn older_release(protected: &Protected, old: Option<&Record>, release: &str) -> Result<Vec<PathBuf>> {
    match old {
        Some(old) if old.release != release => Ok(Place::of(protected, &old.release)?.roots()),
        _ => Ok(Vec::new()),
    }
}

/// New files stand beside the old ones for a while, so all of them have to fit.
fn enough_space(
    board: &dyn Board,
    place: &Place,
    modules: &[(PathBuf, Put)],
    boot: &[(PathBuf, Put)],
) -> Result<()> {
    let sum = |puts: &[(PathBuf, Put)]| puts.iter().map(|(_, put)| put.size).sum::<u64>();
    let parents = [place.modules.parent(), place.image.parent()];
    let [Some(modules_at), Some(boot_at)] = parents else {
        bail!("the slot's files have no folders")
    };
    let looking = format!(
        "df -B1 --output=avail {} | tail -n +2",
        script::words([modules_at, boot_at])?
    );
    let text = script::ask(board, "measuring free space", &looking, script::LOOK)?.text();
    let free: Vec<u64> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let [free_modules, free_boot] = free[..] else {
        bail!("the board did not say how much space is free: `{text}`")
    };
    for (at, free, needed) in [
        (modules_at, free_modules, sum(modules)),
        (boot_at, free_boot, sum(boot)),
    ] {
        ensure!(
            free >= needed + MARGIN,
            "{} has {:.1} MB free and the deploy needs {:.1} MB: make room, or build a smaller kernel; nothing was changed",
            at.display(),
            free as f64 / 1e6,
            (needed + MARGIN) as f64 / 1e6
        );
    }
    Ok(())
}

/// Vanilla's command line without what would hide messages (invariant 16), with what shows them, and with an end to a panic
/// (invariant 4) and the nonce (invariant 15). An `initrd=` is dropped: it would load vanilla's.
pub fn append(vanilla: &str, nonce: &str, extra: &[String]) -> String {
    const DROPPED: [&str; 7] = [
        "loglevel=",
        "panic=",
        "log_buf_len=",
        "lockstep.nonce=",
        "initrd=",
        "sysrq_always_enabled=",
        "ignore_loglevel=",
    ];
    const DROPPED_WORDS: [&str; 4] = ["quiet", "ignore_loglevel", "sysrq_always_enabled", "splash"];
    let kept = vanilla
        .split_whitespace()
        .filter(|word| !DROPPED_WORDS.contains(word) && !DROPPED.iter().any(|start| word.starts_with(start)));
    let nonce = format!("lockstep.nonce={nonce}");
    let ours = [
        "ignore_loglevel",
        "log_buf_len=4M",
        "sysrq_always_enabled",
        "panic=10",
        nonce.as_str(),
    ];
    kept.chain(ours)
        .chain(extra.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ")
}

fn block(plan: &Plan) -> Block {
    Block {
        name: plan.label.clone(),
        menu_label: Some(format!("{} (Lockstep: {})", plan.label, plan.release)),
        kernel: plan.place.uboot_kernel.clone(),
        fdt: plan.place.uboot_fdt.clone(),
        initrd: None,
        append: plan.append.clone(),
    }
}

fn record(request: &Request, state: State, inventory: Inventory) -> Record {
    Record {
        schema_version: slot::SCHEMA_VERSION,
        label: request.protected.test_label.clone(),
        release: request.manifest.release.clone(),
        build_id: request.manifest.build_id.clone(),
        commit: request.manifest.commit.clone(),
        nonce: request.nonce.as_str().to_string(),
        state,
        inventory,
    }
}

fn put_record(writer: &Writer, protected: &Protected, record: &Record) -> Result<Sent> {
    let path = slot::record_path(protected);
    let bytes = serde_json::to_vec_pretty(record).context("writing the slot's record")?;
    let folder = path.parent().context("the slot's record has no folder")?;
    let put = Put {
        target: file_name(&path)?,
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
        source: Source::Bytes(bytes),
        mode: 0o644,
        keep: None,
    };
    writer.put(folder, &[put])
}

/// The inventory of the slot after everything was written: each file of the manifest has its hash, and nothing else is there but depmod's
/// work.
fn verified_inventory(board: &dyn Board, request: &Request, place: &Place) -> Result<Inventory> {
    let seen = inventory::take(board, &place.roots())?;
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
    Ok(seen)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_hides_nothing_and_ends_a_panic() {
        let vanilla = "root=/dev/vda2 rw quiet console=ttyAMA0 loglevel=3 panic=0 lockstep.nonce=old initrd=/x rootwait";
        assert_eq!(
            append(vanilla, "0123456789abcdef", &["earlycon".into()]),
            "root=/dev/vda2 rw console=ttyAMA0 rootwait ignore_loglevel log_buf_len=4M sysrq_always_enabled panic=10 \
             lockstep.nonce=0123456789abcdef earlycon"
        );
    }

    #[test]
    fn depmods_work_is_known_by_name() {
        assert!(is_generated(Path::new("modules.dep.bin")));
        assert!(!is_generated(Path::new("modules.order")));
        assert!(!is_generated(Path::new("kernel/modules.dep")));
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(Nonce::fresh().unwrap(), Nonce::fresh().unwrap());
    }
}
