//! What must survive: vanilla's label, Image, dtb, initramfs and modules, and everything else that extlinux.conf names and is
//! not ours (invariant 1). Known from the running vanilla board, kept as a value, compared before every reboot.

mod boot_files;
mod paths;
mod refuse;
mod running;

pub use refuse::normalise;
pub use running::on_board;

use super::extlinux::{self, Config, Label};
use super::inventory::{self, BoardPath, Difference, Inventory};
use super::{Board, script};
use crate::document;
use crate::host::one_line;
use anyhow::{Context, Result, bail, ensure};
use boot_files::BootFiles;
use running::{Running, agree_on_command_line, agree_on_image};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the format in which [`Protected`] is kept.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything of a board that only `rollback` may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Protected {
    /// [`SCHEMA_VERSION`] of the writer.
    #[serde(deserialize_with = "document::known::<SCHEMA_VERSION, _>")]
    pub schema_version: u32,
    /// The board it was read from.
    pub board: String,
    /// Vanilla's label.
    pub vanilla_label: String,
    /// The label that is ours.
    pub test_label: String,
    /// Vanilla's release, as `uname -r` says.
    pub release: String,
    /// Vanilla's `append`.
    pub append: String,
    /// Vanilla's kernel, device tree and initramfs as U-Boot's paths.
    pub uboot_paths: UbootPaths,
    /// The same as paths on the running board, symlinks resolved.
    pub image: PathBuf,
    /// Vanilla's device tree, if its label names one.
    pub dtb: Option<PathBuf>,
    /// Vanilla's initramfs, if its label names one.
    pub initramfs: Option<PathBuf>,
    /// Vanilla's modules, symlinks resolved (`/usr/lib/modules/<release>`).
    pub modules: PathBuf,
    /// extlinux.conf, symlinks resolved.
    pub extlinux: PathBuf,
    /// Mount point of the file system that extlinux.conf is on: `/` for U-Boot.
    pub boot_mount: PathBuf,
    /// extlinux.conf without any label of ours, as hex of its bytes.
    pub foreign_hex: String,
    /// Protected files and folders that no label of vanilla's names, for example those of a rescue label.
    pub others: Vec<PathBuf>,
    /// Every protected file with its hash; extlinux.conf is compared by [`Protected::foreign_hex`].
    pub inventory: Inventory,
}

/// Paths as U-Boot sees them, from vanilla's label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UbootPaths {
    /// `kernel`.
    pub kernel: String,
    /// `fdt`.
    pub fdt: Option<String>,
    /// `initrd`.
    pub initrd: Option<String>,
}

impl Protected {
    /// Reads it from a board that runs vanilla. Errors: what runs is not what vanilla's label in this extlinux.conf boots
    /// (`uname -r`, `/proc/cmdline` and the version inside the Image have to agree).
    pub fn compute(board: &dyn Board, test_label: &str) -> Result<Self> {
        let description = board.description();
        extlinux::check_name(test_label)?;
        ensure!(
            !test_label.eq_ignore_ascii_case(&description.vanilla_label),
            "label `{test_label}` is vanilla's own: the test label needs another name"
        );
        let config = foreign_config(board)?;
        let vanilla = vanilla_of(&config, &description.vanilla_label)?;
        let running = Running::look(board)?;
        agree_on_command_line(vanilla, &running.cmdline)?;
        let files = BootFiles::find(board, &running, &config, vanilla)?;
        let append = vanilla.append.as_ref();
        let mut protected = Protected {
            schema_version: SCHEMA_VERSION,
            board: description.name.clone(),
            vanilla_label: description.vanilla_label.clone(),
            test_label: test_label.to_string(),
            release: running.release,
            append: append.map(|append| append.value.clone()).unwrap_or_default(),
            uboot_paths: UbootPaths {
                kernel: vanilla.kernel.clone().context("vanilla's label has no kernel")?,
                fdt: vanilla.fdt.clone(),
                initrd: vanilla.initrd.clone(),
            },
            image: files.image,
            dtb: files.dtb,
            initramfs: files.initramfs,
            modules: running.modules,
            extlinux: running.extlinux,
            boot_mount: running.boot_mount,
            foreign_hex: hex::encode(config.bytes()),
            others: files.others,
            inventory: Inventory::new(),
        };
        protected.check_paths().context("what the board says of itself")?;
        agree_on_image(board, &protected)?;
        protected.inventory = inventory::take(board, &protected.roots())?;
        let needed = [&protected.dtb, &protected.initramfs].into_iter().flatten();
        for file in std::iter::once(&protected.image).chain(needed) {
            ensure!(
                protected.inventory.contains_key(file),
                "vanilla's label names {}, which is not there",
                file.display()
            );
        }
        Ok(protected)
    }

    /// Files and folders whose hashes are kept.
    pub fn roots(&self) -> Vec<PathBuf> {
        let mut roots = vec![self.image.clone(), self.modules.clone()];
        roots.extend(self.dtb.clone());
        roots.extend(self.initramfs.clone());
        roots.extend(self.others.clone());
        roots
    }

    /// extlinux.conf as it is without any label of ours.
    pub fn foreign(&self) -> Result<Vec<u8>> {
        // One that was written down by an older version may have the label of another campaign.
        extlinux::without_ours(&Config::parse(&self.kept()?))
    }

    /// extlinux.conf as it was written down.
    pub(super) fn kept(&self) -> Result<Vec<u8>> {
        hex::decode(&self.foreign_hex).context("reading the kept extlinux.conf")
    }

    /// Looks at all of it again. Nobody but us should write here, so a difference is always a reason to stop
    /// (invariant 1); each names its file.
    pub fn compare(&self, board: &dyn Board) -> Result<Vec<Difference>> {
        let (listed, extlinux) = self.look(board)?;
        self.differences(&listed, extlinux.as_deref())
    }

    /// [`Protected::check`]; gives extlinux.conf as it is.
    pub(super) fn check_and_read(&self, board: &dyn Board) -> Result<Vec<u8>> {
        let (listed, extlinux) = self.look(board)?;
        self.check_answers(&listed, extlinux.as_deref())?;
        extlinux.context("extlinux.conf is gone")
    }

    fn look(&self, board: &dyn Board) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        let scripts = [self.listing()?, script::reading(&self.extlinux)?];
        let doing = "hashing what has to survive";
        let [listed, extlinux] =
            script::ask_all(board, doing, scripts.each_ref().map(String::as_str), script::WORK)?;
        Ok((listed, script::content(&extlinux)))
    }

    /// The script that lists what [`Protected::check_answers`] compares, for one that asks more than this.
    pub(super) fn listing(&self) -> Result<String> {
        inventory::listing_of(&self.roots())
    }

    /// What the answer to [`Protected::listing`], and extlinux.conf where it is there, tell.
    fn differences(&self, listed: &[u8], extlinux: Option<&[u8]>) -> Result<Vec<Difference>> {
        let mut found = inventory::differences(&self.inventory, &inventory::parse(listed, &self.roots())?);
        match extlinux {
            None => found.push(Difference {
                path: self.extlinux.clone(),
                what: "is gone".into(),
            }),
            Some(bytes) => match extlinux::without_ours(&Config::parse(bytes)) {
                Ok(foreign) => {
                    found.extend(
                        extlinux::difference(&self.foreign()?, &foreign).map(|what| Difference {
                            path: self.extlinux.clone(),
                            what: format!("has changes outside our own labels: {what}"),
                        }),
                    );
                }
                Err(error) => found.push(Difference {
                    path: self.extlinux.clone(),
                    what: format!("{error:#}"),
                }),
            },
        }
        Ok(found)
    }

    /// [`Protected::compare`] as a gate: an error that names every file.
    pub fn check(&self, board: &dyn Board) -> Result<()> {
        self.refuse_differences(&self.compare(board)?)
    }

    /// [`Protected::check`] of the answer to [`Protected::listing`], and of extlinux.conf where it is there.
    pub(super) fn check_answers(&self, listed: &[u8], extlinux: Option<&[u8]>) -> Result<()> {
        self.refuse_differences(&self.differences(listed, extlinux)?)
    }

    fn refuse_differences(&self, found: &[Difference]) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let each = found
            .iter()
            .map(|one| format!("{} {}", one.path.display(), one.what));
        bail!(
            "vanilla's files on board `{}` are not what they were, and nothing here wrote them ({} differences): find out who \
             did. `cargo xtask rollback` puts them back; where they are to stay, begin with a backup of another name, since none is \
             overwritten: `cargo xtask preflight --campaign NAME`, or `name` in a campaign's file{}",
            self.board,
            found.len(),
            one_line::list(each, 20)
        )
    }
}

/// extlinux.conf without labels of ours. A label of ours is never vanilla's, whichever campaign put it there: its files come and go with it.
fn foreign_config(board: &dyn Board) -> Result<Config> {
    let description = board.description();
    let bytes = script::read(board, &description.extlinux)?
        .with_context(|| format!("{} is not there", description.extlinux.display()))?;
    let whole = Config::parse(&bytes);
    ensure!(
        !extlinux::all_ours(&whole).contains(&description.vanilla_label),
        "label `{}` stands between marker lines of ours in {}: it is no vanilla",
        description.vanilla_label,
        description.extlinux.display()
    );
    Ok(Config::parse(&extlinux::without_ours(&whole)?))
}

fn vanilla_of<'a>(config: &'a Config, name: &str) -> Result<&'a Label> {
    if let Some(remark) = &config.menu.rejected {
        bail!("extlinux.conf, line {}: {}", remark.line, remark.what);
    }
    let names: Vec<String> = config
        .menu
        .labels
        .iter()
        .map(|label| format!("`{}`", one_line::one_line(&label.name)))
        .collect();
    config.label(name).with_context(|| {
        format!(
            "extlinux.conf has no label `{name}`; it has: {}",
            names.join(", ")
        )
    })
}

/// Symlinks resolved on the board (`realpath -m`): parts that are not there stay as they are.
pub fn resolve(board: &dyn Board, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let list = script::words(paths.iter().map(PathBuf::as_path))?;
    let finished = script::ask(
        board,
        "resolving paths",
        &format!("realpath -mz -- {list}"),
        script::LOOK,
    )?;
    let text = String::from_utf8(finished.stdout).context("a path on the board is not UTF-8")?;
    let real: Vec<PathBuf> = text.split_terminator('\0').map(PathBuf::from).collect();
    ensure!(
        real.len() == paths.len(),
        "the board resolved {} of {} paths",
        real.len(),
        paths.len()
    );
    // `realpath` prints nothing else; one of them may be `/`.
    for path in real.iter().filter(|path| *path != Path::new("/")) {
        BoardPath::new(path).context("resolving paths on the board")?;
    }
    Ok(real)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Protected {
        Protected {
            schema_version: SCHEMA_VERSION,
            board: "virtual".into(),
            vanilla_label: "arch_devices".into(),
            test_label: "arch_devices_lockdep".into(),
            release: "7.3.4".into(),
            append: "root=/dev/vda2 quiet".into(),
            uboot_paths: UbootPaths {
                kernel: "/Image-7.3.4".into(),
                fdt: None,
                initrd: None,
            },
            image: "/boot/firmware/Image-7.3.4".into(),
            dtb: Some("/boot/firmware/virt.dtb".into()),
            initramfs: None,
            modules: "/usr/lib/modules/7.3.4".into(),
            extlinux: "/boot/firmware/extlinux/extlinux.conf".into(),
            boot_mount: "/boot/firmware".into(),
            foreign_hex: String::new(),
            others: vec![],
            inventory: Inventory::new(),
        }
    }
}
