//! A slot: what our label boots. Its record stands beside the Image, and nothing boots unless the whole of it verifies
//! (invariant 6).

use super::extlinux::{self, Config, Label};
use super::inventory::{self, Inventory};
use super::protected::{self, Protected};
use super::script::THERE;
use super::{Board, nonce, script};
use crate::document::{self, Format};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of the format of [`Record`].
pub const SCHEMA_VERSION: u32 = 1;

/// The label that campaigns and flags mean where they name none: one for all of them, since two labels of one release could not both have their
/// files (invariant 10).
pub const USUAL_LABEL: &str = "arch_devices_lockdep";

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA_VERSION`] of the writer.
    #[serde(deserialize_with = "document::known::<SCHEMA_VERSION, _>")]
    pub schema_version: u32,
    /// Our label.
    pub label: String,
    /// The slot's release.
    pub release: String,
    /// GNU build id of its kernel.
    pub build_id: String,
    /// Commit that was built.
    pub commit: String,
    /// The nonce of the last deploy.
    pub nonce: String,
    /// Whether the deploy came to its end.
    pub state: State,
    /// Every file with its hash, once the slot is whole.
    pub inventory: Inventory,
    /// Counts the slots of this board: the newest has the highest number.
    #[serde(default)]
    pub sequence: u64,
    /// What is known of its initramfs, where vanilla has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initramfs: Option<Initramfs>,
}

impl Record {
    /// A record from the bytes of its file. Errors: it is damaged or newer; it lists files that cannot be, or its release is none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const FORMAT: Format = Format {
            what: "the record of a slot",
            oldest: 1,
            newest: SCHEMA_VERSION,
        };
        let record: Record = FORMAT.read(bytes)?;
        check_release(&record.release)?;
        Ok(record)
    }
}

/// What is known of the initramfs of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Initramfs {
    /// The tool that made it.
    pub tool: Tool,
    /// Modules in it by their path below the modules' folder, with their hashes when it was made.
    pub modules: BTreeMap<PathBuf, String>,
    /// The tool could say what is in it: then no modules means that there are none.
    #[serde(default)]
    pub listed: bool,
}

/// Tools that make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Arch Linux's mkinitcpio.
    Mkinitcpio,
    /// dracut (Fedora and others).
    Dracut,
    /// Debian's initramfs-tools.
    InitramfsTools,
}

/// How far a deploy came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The files named by the release are ours, but they are not all there.
    Incomplete,
    /// All files are there, each verified by its hash on the board.
    Whole,
}

/// Where a slot's parts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The Image, on the board.
    #[serde(serialize_with = "crate::host::json::named")]
    pub image: PathBuf,
    /// Its device tree, on the board.
    #[serde(serialize_with = "crate::host::json::named")]
    pub dtb: Option<PathBuf>,
    /// Its initramfs, on the board.
    #[serde(serialize_with = "crate::host::json::named")]
    pub initramfs: Option<PathBuf>,
    /// Its modules, on the board.
    #[serde(serialize_with = "crate::host::json::named")]
    pub modules: PathBuf,
    /// The Image as U-Boot sees it.
    pub uboot_kernel: String,
    /// The device tree as U-Boot sees it.
    pub uboot_fdt: Option<String>,
    /// The initramfs as U-Boot sees it.
    pub uboot_initrd: Option<String>,
}

impl Place {
    /// The place of a release: everything beside vanilla's Image and modules, under names of its own.
    pub fn of(protected: &Protected, release: &str) -> Result<Self> {
        check_release(release)?;
        let beside = |uboot: &str, name: &str| match uboot.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_string(),
        };
        let on_board = |uboot: &str| protected::on_board(&protected.boot_mount, &protected.extlinux, uboot);
        let uboot_kernel = beside(&protected.uboot_paths.kernel, &format!("Image-{release}"));
        let uboot_fdt = protected.uboot_paths.fdt.as_ref().map(|fdt| {
            let name = fdt.rsplit('/').next().unwrap_or(fdt);
            let stem = name.strip_suffix(".dtb").unwrap_or(name);
            beside(&protected.uboot_paths.kernel, &format!("{stem}-{release}.dtb"))
        });
        let uboot_initrd = protected
            .uboot_paths
            .initrd
            .as_ref()
            .map(|_| beside(&protected.uboot_paths.kernel, &format!("initramfs-{release}.img")));
        let parent = protected
            .modules
            .parent()
            .context("vanilla's modules have no parent folder")?;
        Ok(Place {
            image: on_board(&uboot_kernel),
            dtb: uboot_fdt.as_deref().map(on_board),
            initramfs: uboot_initrd.as_deref().map(on_board),
            modules: parent.join(release),
            uboot_kernel,
            uboot_fdt,
            uboot_initrd,
        })
    }

    /// The roots of its inventory.
    pub fn roots(&self) -> Vec<PathBuf> {
        let mut roots = vec![self.image.clone(), self.modules.clone()];
        roots.extend(self.dtb.clone());
        roots.extend(self.initramfs.clone());
        roots
    }
}

/// A release is a name of one folder and a part of file names. Linux itself limits it to 64 characters (`uts_len`).
pub fn check_release(release: &str) -> Result<()> {
    let plain = !release.is_empty()
        && release.len() <= 64
        && !release.starts_with(['.', '-'])
        && release
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    ensure!(
        plain,
        "kernel release `{}`: letters, digits and `-_.+` only",
        release.escape_debug()
    );
    Ok(())
}

/// Where the record of the test label is.
pub fn record_path(protected: &Protected) -> PathBuf {
    let name = format!("lockstep-{}.json", protected.test_label);
    protected
        .image
        .parent()
        .unwrap_or(&protected.boot_mount)
        .join(name)
}

/// The record on the board; `None` if there is none. Errors: it is damaged or newer.
pub fn read(board: &dyn Board, protected: &Protected) -> Result<Option<Record>> {
    parse(protected, script::read(board, &record_path(protected))?)
}

/// The record from the content of its file.
pub(super) fn parse(protected: &Protected, content: Option<Vec<u8>>) -> Result<Option<Record>> {
    let Some(bytes) = content else {
        return Ok(None);
    };
    let path = record_path(protected);
    Record::parse(&bytes)
        .with_context(|| format!("reading {} on the board", path.display()))
        .map(Some)
}

/// Whether a file beside the Images is the record of a label of ours.
pub(super) fn is_record(name: &str) -> bool {
    let label = name
        .strip_prefix("lockstep-")
        .and_then(|rest| rest.strip_suffix(".json"));
    label.is_some_and(|label| extlinux::check_name(label).is_ok())
}

/// First letters of the record of a slot that is kept and that no label boots.
const KEPT: &str = "lockstep-kept-";

/// Where the record of a kept slot is.
pub fn kept_path(protected: &Protected, release: &str) -> PathBuf {
    record_path(protected).with_file_name(format!("{KEPT}{release}.json"))
}

/// The release of a kept slot, by the name of its record.
pub(super) fn kept_release(name: &str) -> Option<&str> {
    let release = name.strip_prefix(KEPT)?.strip_suffix(".json")?;
    check_release(release).ok().map(|()| release)
}

/// Slots that are kept on the board without a label, newest first. A record that cannot be read still names its release: it counts as the
/// oldest, with nothing in it.
pub fn kept(board: &dyn Board, protected: &Protected) -> Result<Vec<Record>> {
    let looking = looking_for_kept(protected)?;
    let finished = script::ask(board, "looking for kept slots", &looking, script::LOOK)?;
    Ok(parse_kept(protected, &finished.stdout))
}

/// The script of [`kept`], for one that asks more than this; [`parse_kept`] takes its answer.
pub(super) fn looking_for_kept(protected: &Protected) -> Result<String> {
    let folder = record_path(protected);
    let folder = script::word(folder.parent().unwrap_or(&protected.boot_mount))?;
    Ok(format!(
        "{THERE}if there {folder}; then\n    cd {folder} || exit\n    for file in {KEPT}*.json; do\n        \
         [ \"$file\" != '{KEPT}*.json' ] && there \"$file\" || continue\n        \
         printf '%s\\0' \"$file\"; cat \"./$file\" || exit; printf '\\0'\n    done\nfi"
    ))
}

/// The answer to [`looking_for_kept`].
pub(super) fn parse_kept(protected: &Protected, answer: &[u8]) -> Vec<Record> {
    let text = String::from_utf8_lossy(answer);
    let fields: Vec<&str> = text.split_terminator('\0').collect();
    let mut records: Vec<Record> = fields
        .chunks(2)
        .filter_map(|pair| {
            let release = kept_release(pair.first()?)?;
            let read = pair.get(1).and_then(|text| Record::parse(text.as_bytes()).ok());
            Some(
                read.filter(|record| record.release == release)
                    .unwrap_or_else(|| Record {
                        schema_version: SCHEMA_VERSION,
                        label: protected.test_label.clone(),
                        release: release.into(),
                        build_id: String::new(),
                        commit: String::new(),
                        nonce: String::new(),
                        state: State::Incomplete,
                        inventory: Inventory::new(),
                        sequence: 0,
                        initramfs: None,
                    }),
            )
        })
        .collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.sequence));
    records
}

/// Verifies the whole slot and its label. Errors name what is wrong; then nothing may boot it (invariant 6).
pub fn verify(board: &dyn Board, protected: &Protected) -> Result<Record> {
    let record = whole(protected, read(board, protected)?)?;
    let place = Place::of(protected, &record.release)?;
    let (listing, extlinux) = (
        inventory::listing_of(&place.roots())?,
        script::reading(&protected.extlinux)?,
    );
    let scripts = [listing.as_str(), extlinux.as_str()];
    let [listed, extlinux] = script::ask_all(board, "hashing the slot", scripts, script::WORK)?;
    let extlinux = script::content(&extlinux).context("extlinux.conf is gone")?;
    verify_answers(protected, &record, &listed, &Config::parse(&extlinux))?;
    Ok(record)
}

/// The record of a slot that is whole, as far as it says so itself.
pub(super) fn whole(protected: &Protected, record: Option<Record>) -> Result<Record> {
    let record = record.with_context(|| {
        format!(
            "label `{}` has no slot on this board: deploy first",
            protected.test_label
        )
    })?;
    ensure!(
        record.state == State::Whole,
        "the slot of label `{}` is incomplete (a deploy was interrupted): deploy again",
        record.label
    );
    Ok(record)
}

/// [`verify`] of the answer to the listing of the slot's place.
pub(super) fn verify_answers(
    protected: &Protected,
    record: &Record,
    listed: &[u8],
    config: &Config,
) -> Result<()> {
    let place = Place::of(protected, &record.release)?;
    let found = inventory::other_content(&record.inventory, &inventory::parse(listed, &place.roots())?);
    if let Some(first) = found.first() {
        bail!(
            "the slot of label `{}` does not verify, so it is not booted: {} {} (and {} more); deploy again",
            record.label,
            first.path.display(),
            first.what,
            found.len().saturating_sub(1)
        );
    }
    check_label(config, protected, record, &place)
}

/// The label must boot this slot, stand last, be ours, and leave the default with vanilla (invariants 2, 6 and 7).
pub fn check_label(config: &Config, protected: &Protected, record: &Record, place: &Place) -> Result<()> {
    let name = &protected.test_label;
    if extlinux::ours(config, name)?.is_none() {
        bail!("extlinux.conf has no label `{name}` of ours: deploy first");
    }
    let label = config
        .label(name)
        .with_context(|| format!("U-Boot would not see label `{name}`"))?;
    check_default(config, protected)?;
    ensure!(
        config.number(name) == Some(config.menu.labels.len()),
        "label `{name}` is not the last one: U-Boot would fall through it to others"
    );
    boots_slot(label, record, place)?;
    let broken = extlinux::lint(config)
        .into_iter()
        .find(|finding| finding.breaks(&[name, &protected.vanilla_label]));
    if let Some(finding) = broken {
        bail!("extlinux.conf, line {}: {}", finding.line, finding.what);
    }
    Ok(())
}

/// Invariant 2: the next unattended boot is vanilla.
pub fn check_default(config: &Config, protected: &Protected) -> Result<()> {
    let unattended = config.unattended().map(|label| label.name.as_str());
    ensure!(
        unattended == Some(&protected.vanilla_label),
        "the label that boots unattended is {}, not vanilla's `{}`: put that right first",
        unattended.map_or("none".to_string(), |name| format!("`{name}`")),
        protected.vanilla_label
    );
    Ok(())
}

fn boots_slot(label: &Label, record: &Record, place: &Place) -> Result<()> {
    let nonce = nonce::word(&record.nonce);
    ensure!(
        label.kernel.as_deref() == Some(&place.uboot_kernel)
            && label.fdt == place.uboot_fdt
            && label.initrd == place.uboot_initrd
            && label.command_line().known_words().contains(&nonce),
        "label `{}` does not boot the slot of the last deploy (its kernel, device tree, initramfs or nonce differ): deploy again",
        label.name
    );
    Ok(())
}
