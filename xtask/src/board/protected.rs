//! What must survive: vanilla's label, Image, dtb, initramfs and modules, and everything else that extlinux.conf names and is
//! not ours (invariant 1). Known from the running vanilla board, kept as a value, compared before every reboot.

use super::extlinux::{self, Config, Label};
use super::inventory::{self, Difference, Inventory};
use super::{Board, script};
use crate::host::files::sha256;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Version of the format in which [`Protected`] is kept.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything of a board that only `rollback` may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Protected {
    /// [`SCHEMA_VERSION`] of the writer.
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
    /// extlinux.conf without our label, as hex of its bytes.
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
        ensure!(
            !test_label.eq_ignore_ascii_case(&description.vanilla_label),
            "label `{test_label}` is vanilla's own: the test label needs another name"
        );
        let bytes = script::read(board, &description.extlinux)?
            .with_context(|| format!("{} is not there", description.extlinux.display()))?;
        let config = Config::parse(&extlinux::foreign(&Config::parse(&bytes), test_label)?);
        let vanilla = vanilla_of(&config, &description.vanilla_label)?;
        let running = Running::look(board)?;
        agree_on_command_line(vanilla, &running.cmdline)?;
        let place = |path: &String| on_board(&running.boot_mount, &running.extlinux, path);
        let mut others: Vec<PathBuf> = config
            .menu
            .labels
            .iter()
            .flat_map(files_of)
            .map(|path| place(&path))
            .collect();
        let kernel = vanilla.kernel.clone().context("vanilla's label has no kernel")?;
        let wanted = [Some(&kernel), vanilla.fdt.as_ref(), vanilla.initrd.as_ref()];
        let mut ask: Vec<PathBuf> = wanted
            .iter()
            .map(|path| path.map_or_else(|| PathBuf::from("/"), place))
            .collect();
        ask.append(&mut others.clone());
        let mut real = resolve(board, &ask)?;
        // A link that leads out of the partition is not U-Boot's: what it points at is nobody's boot file, and is not followed.
        let inside = |path: &PathBuf| path.starts_with(&running.boot_mount);
        others.extend(real.split_off(3).into_iter().filter(inside));
        for (path, wanted) in real.iter().zip(wanted) {
            ensure!(
                wanted.is_none() || inside(path),
                "vanilla's label names `{}`, which leads to {}, outside of {}",
                wanted.map_or("", String::as_str).escape_debug(),
                path.display(),
                running.boot_mount.display()
            );
        }
        let vanilla_files: Vec<PathBuf> = real
            .iter()
            .zip(&ask)
            .zip(wanted)
            .filter(|(_, wanted)| wanted.is_some())
            .flat_map(|((real, named), _)| [real.clone(), named.clone()])
            .collect();
        others.retain(|path| !vanilla_files.contains(path));
        others.extend(vanilla_files.into_iter().filter(|path| !real.contains(path)));
        others.sort();
        others.dedup();
        let mut protected = Protected {
            schema_version: SCHEMA_VERSION,
            board: description.name.clone(),
            vanilla_label: description.vanilla_label.clone(),
            test_label: test_label.to_string(),
            release: running.release.clone(),
            append: vanilla
                .append
                .as_ref()
                .map(|append| append.value.clone())
                .unwrap_or_default(),
            uboot_paths: UbootPaths {
                kernel,
                fdt: vanilla.fdt.clone(),
                initrd: vanilla.initrd.clone(),
            },
            image: real[0].clone(),
            dtb: vanilla.fdt.as_ref().map(|_| real[1].clone()),
            initramfs: vanilla.initrd.as_ref().map(|_| real[2].clone()),
            modules: running.modules,
            extlinux: running.extlinux,
            boot_mount: running.boot_mount,
            foreign_hex: hex::encode(config.bytes()),
            others,
            inventory: Inventory::new(),
        };
        agree_on_image(board, &protected)?;
        protected.inventory = inventory::take(board, &protected.roots())?;
        for needed in [
            Some(&protected.image),
            protected.dtb.as_ref(),
            protected.initramfs.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            ensure!(
                protected.inventory.contains_key(needed),
                "vanilla's label names {}, which is not there",
                needed.display()
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

    /// extlinux.conf as it is without our label.
    pub fn foreign(&self) -> Result<Vec<u8>> {
        hex::decode(&self.foreign_hex).context("reading the kept extlinux.conf")
    }

    /// Looks at all of it again. Nobody but us should write here, so a difference is always a reason to stop
    /// (invariant 1); each names its file.
    pub fn compare(&self, board: &dyn Board) -> Result<Vec<Difference>> {
        let mut found = inventory::differences(&self.inventory, &inventory::take(board, &self.roots())?);
        match script::read(board, &self.extlinux)? {
            None => found.push(Difference {
                path: self.extlinux.clone(),
                what: "is gone".into(),
            }),
            Some(bytes) => match extlinux::foreign(&Config::parse(&bytes), &self.test_label) {
                Ok(foreign) if foreign == self.foreign()? => {}
                Ok(_) => found.push(Difference {
                    path: self.extlinux.clone(),
                    what: "has changes outside our own label".into(),
                }),
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
        let found = self.compare(board)?;
        if found.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = found
            .iter()
            .take(20)
            .map(|one| format!("    {} {}", one.path.display(), one.what))
            .collect();
        bail!(
            "vanilla's files on board `{}` are not what they were, and nothing here wrote them ({} differences): find out who \
             did, then run `cargo xtask preflight` for a new start, or `cargo xtask rollback`\n{}",
            self.board,
            found.len(),
            list.join("\n")
        )
    }

    /// Why a path must not be written or removed; `None` if it may. The path has to be absolute; dots are resolved here,
    /// symlinks by the caller. Case never makes a difference: FAT has none, and elsewhere it costs nothing.
    pub fn refuses(&self, path: &Path) -> Option<String> {
        let Some(path) = normalise(path) else {
            return Some("it is no absolute path".into());
        };
        if path.starts_with(&self.boot_mount)
            && let Some(reason) = fat_alias(&path)
        {
            return Some(reason);
        }
        let path = lower(&path);
        let extlinux = [self.extlinux.clone()];
        self.roots().iter().chain(&extlinux).find_map(|protected| {
            let one = lower(protected);
            let shown = protected.display();
            if path == one {
                Some(format!("{shown} is protected"))
            } else if path.starts_with(&one) {
                Some(format!("it is inside the protected {shown}"))
            } else if one.starts_with(&path) {
                Some(format!("the protected {shown} is inside it"))
            } else {
                None
            }
        })
    }
}

/// What runs on the board.
struct Running {
    release: String,
    cmdline: String,
    extlinux: PathBuf,
    boot_mount: PathBuf,
    modules: PathBuf,
}

impl Running {
    fn look(board: &dyn Board) -> Result<Self> {
        let extlinux = script::word(&board.description().extlinux)?;
        let looking = format!(
            "set -eu\nrelease=$(uname -r)\nprintf 'release=%s\\ncmdline=%s\\n' \"$release\" \"$(cat /proc/cmdline)\"\n\
             extlinux=$(realpath {extlinux})\nprintf 'extlinux=%s\\nmount=%s\\nmodules=%s\\n' \"$extlinux\" \
             \"$(stat -c %m \"$extlinux\")\" \"$(realpath \"/lib/modules/$release\")\"\n"
        );
        let text = script::ask(board, "looking at what runs", &looking, script::LOOK)?.text();
        let fields = script::fields(&text);
        let field = |name: &str| {
            fields
                .get(name)
                .map(|value| value.to_string())
                .with_context(|| format!("the board did not say its {name}"))
        };
        Ok(Running {
            release: field("release")?,
            cmdline: field("cmdline")?,
            extlinux: field("extlinux")?.into(),
            boot_mount: field("mount")?.into(),
            modules: field("modules")?.into(),
        })
    }
}

fn vanilla_of<'a>(config: &'a Config, name: &str) -> Result<&'a Label> {
    if let Some(remark) = &config.menu.rejected {
        bail!("extlinux.conf, line {}: {}", remark.line, remark.what);
    }
    let names: Vec<&str> = config
        .menu
        .labels
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    config.label(name).with_context(|| {
        format!(
            "extlinux.conf has no label `{name}`; it has: {}",
            names.join(", ")
        )
    })
}

fn files_of(label: &Label) -> Vec<String> {
    let overlays = label
        .fdtoverlays
        .iter()
        .flat_map(|list| list.split(' '))
        .map(String::from);
    let single = [&label.kernel, &label.initrd, &label.fdt]
        .into_iter()
        .flatten()
        .cloned();
    single
        .chain(overlays)
        .filter(|path| !path.trim().is_empty())
        .collect()
}

/// A path of U-Boot's as one of the running board: absolute ones begin at the partition, others at the folder of
/// extlinux.conf (`get_relfile` in `boot/pxe_utils.c`). There is nothing above the partition for U-Boot, so `..` never leads out of it.
pub fn on_board(boot_mount: &Path, extlinux: &Path, uboot: &str) -> PathBuf {
    let start = match uboot.strip_prefix('/') {
        Some(_) => Path::new(""),
        None => extlinux
            .parent()
            .and_then(|folder| folder.strip_prefix(boot_mount).ok())
            .unwrap_or(Path::new("")),
    };
    let mut below = PathBuf::new();
    for component in start.join(uboot.trim_start_matches('/')).components() {
        match component {
            Component::ParentDir => drop(below.pop()),
            Component::Normal(name) => below.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    boot_mount.join(below)
}

/// The running command line has to be vanilla's append: this is the extlinux.conf that U-Boot really reads.
fn agree_on_command_line(vanilla: &Label, cmdline: &str) -> Result<()> {
    let append = vanilla.append.as_ref().map_or("", |append| append.value.as_str());
    if append.contains("${") {
        return Ok(());
    }
    let wanted: Vec<&str> = append.split_whitespace().collect();
    let seen: Vec<&str> = cmdline.split_whitespace().collect();
    let found = wanted.is_empty() || seen.windows(wanted.len()).any(|part| part == wanted.as_slice());
    ensure!(
        found,
        "what runs was not booted by label `{}` of this extlinux.conf: its append is `{append}`, the running kernel's \
         command line is `{cmdline}`; boot vanilla first, or find the extlinux.conf that U-Boot really reads",
        vanilla.name
    );
    Ok(())
}

/// An uncompressed arm64 Image carries its banner (`linux_banner`, init/version.c); one that is compressed says nothing here.
fn agree_on_image(board: &dyn Board, protected: &Protected) -> Result<()> {
    let image = script::word(&protected.image)?;
    let looking = format!("LC_ALL=C grep -aom1 'Linux version [^ %][^ ]* ' {image} | head -n1 || :");
    let said = script::ask(
        board,
        "reading the version of vanilla's Image",
        &looking,
        script::LOOK,
    )?
    .text();
    let version = said
        .trim()
        .strip_prefix("Linux version ")
        .unwrap_or_default()
        .trim();
    ensure!(
        version.is_empty() || version == protected.release,
        "vanilla's label boots {}, which is {version}, but {} runs: boot vanilla first",
        protected.image.display(),
        protected.release
    );
    Ok(())
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
    Ok(real)
}

/// An absolute path without `.` and `..`, by its letters alone; `None` if it is relative.
pub fn normalise(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(clean)
}

fn lower(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().to_lowercase())
}

/// Names that reach another file on FAT: 8.3 aliases (`IMAGE-~1`), and trailing dots or blanks, which vfat drops
/// (fs/fat/namei_vfat.c, `vfat_striptail_len`).
fn fat_alias(path: &Path) -> Option<String> {
    path.components().find_map(|component| {
        let name = component.as_os_str().to_string_lossy().into_owned();
        let alias = name.contains('~') || (name.len() > 1 && (name.ends_with('.') || name.ends_with(' ')));
        alias.then(|| format!("`{name}` may be another name of a file on FAT"))
    })
}

/// Hash of extlinux.conf's foreign part, for records.
pub fn foreign_hash(protected: &Protected) -> String {
    sha256(protected.foreign_hex.as_bytes())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_way_to_a_protected_path_is_refused() {
        let protected = example();
        for path in [
            "/boot/firmware/Image-7.3.4",
            "/boot/firmware/image-7.3.4",
            "/boot/firmware/x/../Image-7.3.4",
            "/boot/firmware/./virt.dtb",
            "/boot/firmware/VIRT.DTB",
            "/boot/firmware/IMAGE-~1",
            "/boot/firmware/Image-7.3.4.",
            "/boot/firmware/Image-7.3.4 ",
            "/boot/firmware",
            "/boot/firmware/extlinux/extlinux.conf",
            "/usr/lib/modules/7.3.4",
            "/usr/lib/modules/7.3.4/kernel/x.ko",
            "/usr/lib/modules/7.3.4-lockdep/../7.3.4/x.ko",
            "/usr/lib",
            "/",
            "boot/firmware/anything",
        ] {
            assert!(protected.refuses(Path::new(path)).is_some(), "{path}");
        }
    }

    #[test]
    fn what_is_ours_may_be_written() {
        let protected = example();
        for path in [
            "/boot/firmware/Image-7.3.4-lockdep+",
            "/boot/firmware/virt-7.3.4-lockdep+.dtb",
            "/usr/lib/modules/7.3.4-lockdep+/kernel/x.ko",
            "/var/lib/lockstep/backups/iter6",
        ] {
            assert_eq!(protected.refuses(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn u_boots_paths_are_placed_on_the_running_board() {
        let place = |path| {
            on_board(
                Path::new("/boot/firmware"),
                Path::new("/boot/firmware/extlinux/extlinux.conf"),
                path,
            )
        };
        assert_eq!(place("/Image"), Path::new("/boot/firmware/Image"));
        assert_eq!(place("../Image"), Path::new("/boot/firmware/Image"));
        assert_eq!(place("Image"), Path::new("/boot/firmware/extlinux/Image"));
        for path in [
            "/../../etc/shadow",
            "../../../etc/shadow",
            "/x/../../../etc/shadow",
        ] {
            assert_eq!(place(path), Path::new("/boot/firmware/etc/shadow"), "{path}");
        }
    }

    #[test]
    fn a_kernel_that_another_label_booted_is_not_vanilla() {
        let config = Config::parse(b"label v\n kernel /I\n append root=/dev/vda2 quiet\n");
        assert!(agree_on_command_line(&config.menu.labels[0], "root=/dev/vda2 quiet").is_ok());
        let error = agree_on_command_line(&config.menu.labels[0], "root=/dev/vda2 debug").unwrap_err();
        assert!(
            error.to_string().contains("was not booted by label `v`"),
            "{error}"
        );
    }
}
