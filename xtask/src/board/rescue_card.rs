//! What a person does when the board does not come back, in this board's own names: a text from its
//! description and from what pre-flight found.

use super::backup::Verified;
use super::extlinux::{CommandLine, Config, escape};
use super::protected::Protected;
use super::{Board, Description};
use crate::host::files::write_atomic;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// What the card is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The board.
    pub description: &'a Description,
    /// What must survive.
    pub protected: &'a Protected,
    /// Campaign.
    pub campaign: &'a str,
    /// Folder of the backup on this host.
    pub host_folder: &'a Path,
    /// Number of vanilla's label in U-Boot's menu.
    pub number: Option<usize>,
}

/// Name of the card beside the backup on the host.
pub const NAME: &str = "rescue-card.md";

/// Writes the card beside the backup on this host; gives its place and its text. To be called
/// before the first test boot.
pub fn save(board: &dyn Board, backup: &Verified) -> Result<(PathBuf, String)> {
    let manifest = backup.manifest();
    let protected = &manifest.protected;
    let text = card(&Facts {
        description: board.description(),
        protected,
        campaign: &manifest.campaign,
        host_folder: backup.on_host(),
        number: Config::parse(&protected.foreign()?).number(&protected.vanilla_label),
    });
    let path = backup.on_host().join(NAME);
    write_atomic(&path, text.as_bytes())?;
    Ok((path, text))
}

/// The card. Commands to type stand on lines of their own.
pub fn card(facts: &Facts) -> String {
    let protected = facts.protected;
    let name = &facts.description.name;
    let mut text = format!(
        "# Rescue card of board `{name}`, campaign `{}`\n\n\
         Vanilla is {}, label `{}`. It is the default: a reset alone should boot it. Try the steps in this \
         order.\n",
        facts.campaign, protected.release, protected.vanilla_label
    );
    text.push_str(&at_the_menu(facts));
    text.push_str(&at_the_prompt(protected));
    text.push_str(&with_the_disk(facts));
    text
}

fn at_the_menu(facts: &Facts) -> String {
    let console = facts
        .description
        .console
        .as_deref()
        .unwrap_or("the board's serial console");
    let number = facts
        .number
        .map_or("the number in front of vanilla's label".into(), |number| {
            format!("`{number}`")
        });
    format!(
        "\n## 1. It waits at `Enter choice:`\n\nOn {console} (or keyboard and screen) type {number} and \
         Enter. Any stray byte stops the countdown; \
         nothing is broken.\n"
    )
}

/// `load` and `booti` by hand: the same as U-Boot does with vanilla's label.
fn at_the_prompt(protected: &Protected) -> String {
    let paths = &protected.uboot_paths;
    let place = |path: &str| -> String {
        // A relative path begins at the folder of extlinux.conf.
        let folder = protected
            .extlinux
            .parent()
            .and_then(|folder| folder.strip_prefix(&protected.boot_mount).ok())
            .unwrap_or(Path::new(""));
        if path.starts_with('/') {
            path.to_string()
        } else {
            format!("/{}", folder.join(path).display())
        }
    };
    let mut lines = vec![format!(
        "load ${{d}} ${{kernel_addr_r}} {}",
        typed(&place(&paths.kernel))
    )];
    let initrd = match &paths.initrd {
        Some(path) => {
            lines.push(format!("load ${{d}} ${{ramdisk_addr_r}} {}", typed(&place(path))));
            lines.push("setenv r ${ramdisk_addr_r}:${filesize}".into());
            "${r}"
        }
        None => "-",
    };
    let tree = match &paths.fdt {
        Some(path) => {
            lines.push(format!("load ${{d}} ${{fdt_addr_r}} {}", typed(&place(path))));
            "${fdt_addr_r}"
        }
        None => "${fdtcontroladdr}",
    };
    lines.push(format!(
        "setenv bootargs {}",
        CommandLine::of(&protected.append).typed()
    ));
    lines.push(format!("booti ${{kernel_addr_r}} {initrd} {tree}"));
    format!(
        "\n## 2. At U-Boot's prompt (`=>`)\n\nFind the partition with `part list mmc 0` (or nvme 0, usb 0, \
         virtio 0) and `ls mmc 0:1 /`; then, with it in the place of \
         `mmc 0:1`:\n\n    setenv d 'mmc 0:1'\n    {}\n\nOr all of it by its own file:\n\n    sysboot \
         ${{d}} any ${{scriptaddr}} {}\n",
        lines.join("\n    "),
        place(&format!(
            "/{}",
            protected
                .extlinux
                .strip_prefix(&protected.boot_mount)
                .unwrap_or(&protected.extlinux)
                .display()
        ))
    )
}

/// A path at U-Boot's prompt.
fn typed(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+:=,@%".contains(c);
    match path.chars().all(plain) {
        true => path.to_string(),
        false => CommandLine::of(&escape(path)).typed(),
    }
}

fn with_the_disk(facts: &Facts) -> String {
    let (name, campaign) = (&facts.description.name, facts.campaign);
    let protected = facts.protected;
    let second = facts
        .description
        .second_host
        .as_ref()
        .map_or(String::new(), |second| {
            format!(
                "The same archive is on {}:{}.\n",
                second.host,
                second.folder.join(name).join(campaign).display()
            )
        });
    format!(
        "\n## 3. From a rescue stick, or with the disk in another machine\n\nBoot any arm64 Linux from a \
         stick (U-Boot tries usb when the disk has nothing to boot, or: `setenv \
         boot_targets usb; boot`), or put the disk or card into the machine that has this project. \
         There:\n\n    \
         cargo xtask rollback --board {name} --campaign {campaign} --offline /dev/sdX --dry-run\n    \
         cargo xtask rollback --board {name} --campaign {campaign} --offline /dev/sdX\n\n\
         /dev/sdX is the whole disk, not mounted, and this takes root; a folder where its root is mounted, \
         with its boot partition at {} in it, works too.\n\n\
         ## 4. By hand\n\nVanilla's files are in\n\n    {}\n    {}   (on the board \
         itself)\n\n{second}`sha256sum -c {}` in such a folder tells whether it is whole. In it, below \
         `files/`, each has its place on the board. These have to be right, \
         in this order:\n\n    {}\n    {}\n{}{}    {}\n",
        protected.boot_mount.display(),
        facts.host_folder.join(super::backup::ARCHIVE).display(),
        facts.description.backup_folder.join(campaign).display(),
        super::backup::HASHES,
        protected.extlinux.display(),
        protected.image.display(),
        protected
            .dtb
            .as_ref()
            .map_or(String::new(), |path| format!("    {}\n", path.display())),
        protected
            .initramfs
            .as_ref()
            .map_or(String::new(), |path| format!("    {}\n", path.display())),
        protected.modules.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::file::BoardFile;
    use crate::board::protected::tests::example;

    #[test]
    fn the_card_has_this_boards_own_names() {
        let file = BoardFile::parse("ampere", include_str!("../../../boards/ampere.toml")).unwrap();
        let mut protected = example();
        protected.uboot_paths.fdt = Some("dtbs/virt.dtb".into());
        protected.uboot_paths.initrd = Some("/initrd.img".into());
        let text = card(&Facts {
            description: &file.description,
            protected: &protected,
            campaign: "iter6",
            host_folder: Path::new("/p/.lockstep/backups/ampere/iter6"),
            number: Some(1),
        });
        for line in [
            "On ttyS2,1500000 (or keyboard and screen) type `1` and Enter",
            "    load ${d} ${kernel_addr_r} /Image-7.3.4\n",
            "    load ${d} ${fdt_addr_r} /extlinux/dtbs/virt.dtb\n",
            "    setenv r ${ramdisk_addr_r}:${filesize}\n",
            "    setenv bootargs 'root=/dev/vda2 quiet'\n",
            "    booti ${kernel_addr_r} ${r} ${fdt_addr_r}\n",
            "    sysboot ${d} any ${scriptaddr} /extlinux/extlinux.conf\n",
            "--board ampere --campaign iter6 --offline /dev/sdX",
            "/p/.lockstep/backups/ampere/iter6/vanilla.tar.zst",
            "boltzmann:lockstep-backups/ampere/iter6",
        ] {
            assert!(text.contains(line), "{line:?} is missing:\n{text}");
        }
    }

    #[test]
    fn what_is_typed_is_what_u_boot_made_of_the_file() {
        let append = |append: &str| CommandLine::of(append).typed();
        assert_eq!(append("root=/dev/x 'a b'"), "'root=/dev/x a b'");
        assert_eq!(append(r"x=\'1 ${y}p2 \$z"), r#"'x='\''1 '"${y}"'p2 $z'"#);
        assert_eq!(typed("/Image-7+"), "/Image-7+");
        assert_eq!(typed("/my $(kernel)"), "'/my $(kernel)'");
    }
}
