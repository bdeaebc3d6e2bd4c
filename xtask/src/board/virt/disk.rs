//! The disk of the virtual board: GPT, a FAT partition for `/boot/firmware`, an ext4 root. Made without mounting anything and
//! without root: mtools fill the FAT, debugfs adds to the ext4.

use super::rootfs;
use crate::host::{files, process, requirements};
use crate::manifest::{Kind, Manifest};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

/// Label that must survive, and the default.
pub const VANILLA_LABEL: &str = "arch_devices";
/// Start of the FAT partition, MiB.
const FAT_START: u64 = 1;
/// Size of the FAT partition, MiB.
const FAT_SIZE: u64 = 256;
/// Start of the root partition, MiB.
const ROOT_START: u64 = FAT_START + FAT_SIZE;
/// Size of the whole disk, MiB: the partitions, and one for the backup of the partition table.
const DISK_SIZE: u64 = ROOT_START + rootfs::MEBIBYTES + 1;
const LIMIT: Duration = Duration::from_secs(300);

/// What goes onto a new disk.
pub struct Contents<'a> {
    /// The vanilla kernel, with its modules.
    pub vanilla: &'a Manifest,
    /// The root file system to start from.
    pub root_image: &'a Path,
    /// The machine's device tree with the ramoops region.
    pub device_tree: &'a Path,
    /// Private host key of the board's sshd; its public half is beside it with `.pub`.
    pub host_key: &'a Path,
    /// Public key that may log in as root.
    pub login_key: &'a Path,
}

/// Free bytes that making a board needs at most: archive, image and copies of the user land (they are sparse, about
/// 260 MiB each), what it will write, and the kernel a few times.
pub fn needed_bytes(vanilla: &Manifest) -> u64 {
    let sizes = vanilla.files.iter().map(|file| file.size);
    let kernel = sizes.fold(0, u64::saturating_add);
    kernel.saturating_mul(4).saturating_add(2 << 30)
}

/// Makes the disk at `disk`, working in the existing folder `work`. Dies half-way: an unfinished `disk`; call it again.
pub fn make(disk: &Path, contents: &Contents, work: &Path) -> Result<()> {
    check_sources(contents.vanilla)?;
    let root = make_root(contents, work)?;
    partition(disk)?;
    let sh = Shell::new()?;
    let seek = format!("seek={ROOT_START}");
    let (from, to) = (prefixed("if=", &root), prefixed("of=", disk));
    process::run(
        cmd!(sh, "dd {from} {to} {seek} bs=1M conv=sparse,notrunc status=none"),
        LIMIT,
    )?;
    fs::remove_file(&root)?;
    fill_fat(disk, contents, work)
}

/// The extlinux.conf of a new board.
///
/// The grammar is U-Boot's (`boot/pxe_utils.c`): any top-level `menu` line switches the prompt on, and `timeout` is in
/// tenths of a second.
pub fn extlinux_conf(release: &str) -> String {
    format!(
        "# /boot/firmware/extlinux/extlinux.conf
# Read by U-Boot. `timeout` is in tenths of a second; any byte on the serial line stops the countdown.
menu title Virtual board
timeout 20
default {VANILLA_LABEL}

label {VANILLA_LABEL}
	menu label Linux {release}
	kernel /{image}
	fdt /{tree}
	append console=ttyAMA0,115200 root=/dev/vda2 rw rootwait panic=10
",
        image = image_name(release),
        tree = tree_name(release),
    )
}

/// The vanilla kernel on the FAT partition.
pub fn image_name(release: &str) -> String {
    format!("Image-{release}")
}

/// The device tree on the FAT partition.
pub fn tree_name(release: &str) -> String {
    format!("dtbs/{release}/virt.dtb")
}

/// A build that changed since its manifest was written must not become the vanilla that everything is compared
/// with.
fn check_sources(vanilla: &Manifest) -> Result<()> {
    for file in &vanilla.files {
        let path = vanilla.root.join(&file.source);
        if files::sha256_file(&path)? != file.sha256 {
            bail!(
                "{} is not what its manifest says: build the vanilla kernel anew",
                path.display()
            );
        }
    }
    if vanilla.of_kind(Kind::Image).count() != 1 {
        bail!(
            "the vanilla build in {} has no Image, or several",
            vanilla.root.display()
        );
    }
    Ok(())
}

fn partition(disk: &Path) -> Result<()> {
    let doing = || format!("making {}", disk.display());
    let file = fs::File::create(disk).with_context(doing)?;
    file.set_len(DISK_SIZE << 20).with_context(doing)?;
    let sfdisk = requirements::find("sfdisk")?;
    let sh = Shell::new()?;
    process::run_with_input(
        cmd!(sh, "{sfdisk} --quiet {disk}"),
        partition_table().as_bytes(),
        LIMIT,
    )?;
    let vfat = requirements::find("mkfs.vfat")?;
    let (offset, blocks) = (
        format!("--offset={}", FAT_START * 2048),
        (FAT_SIZE * 1024).to_string(),
    );
    // Clusters of 2 KiB: with the 4 KiB that mkfs.vfat would take there are fewer than the 65525 that make a FAT32, and
    // mtools refuses it. -i: a fixed serial number, so that two boards that were made alike are alike.
    process::run(
        cmd!(
            sh,
            "{vfat} -F 32 -s 4 -n FIRMWARE -i 10C4573E {offset} {disk} {blocks}"
        ),
        LIMIT,
    )?;
    Ok(())
}

/// Input of sfdisk. `LegacyBIOSBootable` is what U-Boot looks for when it decides where to search (`part list -bootable`).
fn partition_table() -> String {
    format!(
        "label: gpt\n\
         start={FAT_START}MiB, size={FAT_SIZE}MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, \
         attrs=\"LegacyBIOSBootable\", name=firmware\n\
         start={ROOT_START}MiB, size={}MiB, type=B921B045-1DF0-41C3-AF44-4C6F280D3FAE, name=root\n",
        rootfs::MEBIBYTES
    )
}

fn fill_fat(disk: &Path, contents: &Contents, work: &Path) -> Result<()> {
    let release = &contents.vanilla.release;
    let fat = work.join("fat");
    let image = contents
        .vanilla
        .of_kind(Kind::Image)
        .next()
        .context("the vanilla build has no Image")?;
    copy(
        &contents.vanilla.root.join(&image.source),
        &fat.join(image_name(release)),
    )?;
    copy(contents.device_tree, &fat.join(tree_name(release)))?;
    files::write_atomic(
        &fat.join("extlinux/extlinux.conf"),
        extlinux_conf(release).as_bytes(),
    )?;
    let mcopy = requirements::find("mcopy")?;
    let target = format!("{}@@{}M", disk.display(), FAT_START);
    let names: Vec<PathBuf> = fs::read_dir(&fat)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    let sh = Shell::new()?;
    process::run(cmd!(sh, "{mcopy} -s -i {target} {names...} ::/"), LIMIT)?;
    Ok(())
}

/// A copy of the root image with modules and keys.
fn make_root(contents: &Contents, work: &Path) -> Result<PathBuf> {
    let root = work.join("root.ext4");
    let image = contents.root_image;
    let sh = Shell::new()?;
    process::run(
        cmd!(sh, "cp --reflink=auto --sparse=always {image} {root}"),
        LIMIT,
    )?;
    let added = work.join("added");
    stage_modules(contents.vanilla, &added)?;
    copy(contents.host_key, &added.join("etc/ssh/ssh_host_ed25519_key"))?;
    copy(
        &contents.host_key.with_extension("pub"),
        &added.join("etc/ssh/ssh_host_ed25519_key.pub"),
    )?;
    copy(contents.login_key, &added.join("root/.ssh/authorized_keys"))?;
    set_mode(&added.join("etc/ssh/ssh_host_ed25519_key"), 0o600)?;
    add_to_ext4(&root, &added)?;
    Ok(root)
}

/// Modules as `/usr/lib/modules` has them (`/lib` is a link on the board), with the indexes of depmod.
fn stage_modules(vanilla: &Manifest, added: &Path) -> Result<()> {
    let release = &vanilla.release;
    for file in &vanilla.files {
        if matches!(file.kind, Kind::Module | Kind::ModuleIndex) {
            copy(
                &vanilla.root.join(&file.source),
                &added.join("usr").join(&file.source),
            )?;
        }
    }
    let modules = added.join("usr/lib/modules").join(release);
    fs::create_dir_all(&modules).with_context(|| format!("making {}", modules.display()))?;
    let depmod = requirements::find("depmod")?;
    let base = added.join("usr");
    let sh = Shell::new()?;
    process::run(cmd!(sh, "{depmod} -b {base} {release}"), LIMIT)?;
    Ok(())
}

/// Copies the tree `added` into an ext4 image, all of it owned by root. debugfs tells nothing by its exit status: its words
/// and the file system check do.
fn add_to_ext4(image: &Path, added: &Path) -> Result<()> {
    let commands = debugfs_commands(added)?;
    let (debugfs, e2fsck) = (requirements::find("debugfs")?, requirements::find("e2fsck")?);
    let sh = Shell::new()?;
    let said = process::run_with_input(cmd!(sh, "{debugfs} -w -f - {image}"), commands.as_bytes(), LIMIT)?;
    let errors: Vec<String> = String::from_utf8_lossy(&said.stderr)
        .lines()
        .filter(|line| !line.starts_with("debugfs 1.") && !line.contains("Ext2 directory already exists"))
        .map(String::from)
        .collect();
    if !errors.is_empty() {
        bail!("adding files to {}: {}", image.display(), errors.join("; "));
    }
    process::run(cmd!(sh, "{e2fsck} -fn {image}"), LIMIT).context("checking the new root file system")?;
    Ok(())
}

/// What debugfs has to do for the files below `added`.
fn debugfs_commands(added: &Path) -> Result<String> {
    let mut commands = String::new();
    for entry in walkdir::WalkDir::new(added).min_depth(1).sort_by_file_name() {
        let entry = entry.context("listing files for the board")?;
        let inside = Path::new("/").join(entry.path().strip_prefix(added).expect("it is below that folder"));
        let names = [entry.path().display().to_string(), inside.display().to_string()];
        if names.iter().any(|name| name.contains(['"', '\n', '\\'])) {
            bail!(
                "{:?} cannot be put on the board: a quote, backslash or newline in its name",
                names[0]
            );
        }
        let [host, board] = names;
        if entry.file_type().is_dir() {
            if !EXISTING.contains(&board.as_str()) {
                commands += &format!("mkdir \"{board}\"\nset_inode_field \"{board}\" mode 040755\n");
            }
        } else {
            let mode = entry.metadata()?.permissions().mode() & 0o777;
            commands +=
                &format!("write \"{host}\" \"{board}\"\nset_inode_field \"{board}\" mode 0100{mode:03o}\n");
        }
    }
    Ok(commands)
}

/// Folders that every root file system has already.
const EXISTING: &[&str] = &["/etc", "/etc/ssh", "/root", "/usr", "/usr/lib"];

fn copy(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("copying {} to {}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(doing)?;
    }
    fs::copy(from, to).with_context(doing)?;
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

fn prefixed(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(prefix);
    word.push(path);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_board_boots_vanilla_by_itself_and_shows_a_menu() {
        let conf = extlinux_conf("7.3.4-devices");
        assert!(
            conf.contains("\nmenu title ") && conf.contains("\ntimeout 20\n"),
            "{conf}"
        );
        assert!(
            conf.contains("\ndefault arch_devices\n\nlabel arch_devices\n"),
            "{conf}"
        );
        assert!(conf.contains("\n\tkernel /Image-7.3.4-devices\n\tfdt /dtbs/7.3.4-devices/virt.dtb\n"));
        assert!(conf.contains("panic=10") && !conf.contains("prompt"), "{conf}");
    }

    #[test]
    fn partitions_do_not_overlap_and_fit() {
        let table = partition_table();
        assert!(
            table.contains("start=1MiB, size=256MiB") && table.contains("start=257MiB"),
            "{table}"
        );
        const { assert!(ROOT_START + rootfs::MEBIBYTES < DISK_SIZE) };
    }

    #[test]
    fn files_go_into_the_image_with_their_mode_and_names_that_could_confuse_are_refused() {
        let added = tempfile::tempdir().unwrap();
        fs::create_dir_all(added.path().join("etc/x")).unwrap();
        fs::write(added.path().join("etc/x/key"), "").unwrap();
        set_mode(&added.path().join("etc/x/key"), 0o600).unwrap();
        let commands = debugfs_commands(added.path()).unwrap();
        assert!(commands.starts_with("mkdir \"/etc/x\"\n"), "{commands}");
        assert!(
            commands.ends_with("set_inode_field \"/etc/x/key\" mode 0100600\n"),
            "{commands}"
        );
        fs::write(added.path().join("a\"b"), "").unwrap();
        assert!(debugfs_commands(added.path()).is_err());
    }
}
