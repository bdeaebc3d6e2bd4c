//! What runs on the board, and whether it is what vanilla's label boots.

use super::super::extlinux::Label;
use super::super::{Board, script};
use super::Protected;
use anyhow::{Context, Result, ensure};
use std::path::{Component, Path, PathBuf};

/// What runs on the board.
pub(super) struct Running {
    pub release: String,
    pub cmdline: String,
    pub extlinux: PathBuf,
    pub boot_mount: PathBuf,
    pub modules: PathBuf,
}

impl Running {
    pub fn look(board: &dyn Board) -> Result<Self> {
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
pub(super) fn agree_on_command_line(vanilla: &Label, cmdline: &str) -> Result<()> {
    ensure!(
        vanilla.command_line().ran_as(cmdline),
        "what runs was not booted by label `{}` of this extlinux.conf: its append is `{}`, the running kernel's \
         command line is `{cmdline}`; boot vanilla first, or find the extlinux.conf that U-Boot really reads",
        vanilla.name,
        vanilla.append.as_ref().map_or("", |append| append.value.as_str()),
    );
    Ok(())
}

/// An uncompressed arm64 Image carries its banner (`linux_banner`, init/version.c); one that is compressed says nothing here.
pub(super) fn agree_on_image(board: &dyn Board, protected: &Protected) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::super::super::extlinux::Config;
    use super::*;

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
        let agree = |append: &str, cmdline: &str| {
            let config = Config::parse(format!("label v\n kernel /I\n append {append}\n").as_bytes());
            agree_on_command_line(&config.menu.labels[0], cmdline).is_ok()
        };
        let macros = r"root=${dev}p2 dyndbg='file y.c +p' a\$b";
        assert!(agree(macros, "root=/dev/mmcblk0p2 dyndbg=file y.c +p a$b"));
        assert!(!agree(macros, "root=/dev/mmcblk0p2 dyndbg=file y.c a$b"));
    }
}
