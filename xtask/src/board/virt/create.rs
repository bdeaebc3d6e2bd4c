//! Making a virtual board: device tree, disk, keys, U-Boot's environment. In a folder of its own that gets its name when
//! all is done, so that a board is there completely or not at all.

use super::environment::Environment;
use super::qemu::{self, Machine};
use super::serial::Serial;
use super::{State, VirtualBoard, disk, power, rootfs, tools};
use crate::board::SerialLine;
use crate::board::boot::uboot_env::HOOK;
use crate::host::folders::Folders;
use crate::host::requirements::{self, Purpose};
use crate::host::{files, process};
use crate::manifest::Manifest;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

const RAMOOPS: &str = include_str!("ramoops.dtso");
/// Where U-Boot loads a label's device tree to: above the kernel (0x40400000) and the initramfs (0x44000000), below
/// ramoops (0x70000000). Without this variable U-Boot ignores `fdt` in silence (`boot/pxe_utils.c`), and Debian's build does
/// not set it.
const FDT_ADDRESS: &str = "0x50000000";
const LIMIT: Duration = Duration::from_secs(60);

/// What to do with a board that was made from something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Different {
    /// Keep it and fail.
    Refuse,
    /// Stop it, remove it with everything that is on its disk, and make a new one.
    Replace,
}

/// Makes the virtual board with `vanilla` as the kernel that must survive; gives the one that is there if it was made
/// from the same things. `progress` gets a line for each thing that is being done.
///
/// Errors: something is missing on this machine (packages are named), not enough space, another board is there. Dies
/// half-way: no board, and an unfinished folder that the next call replaces.
pub fn create(
    folders: &Folders,
    vanilla: &Manifest,
    different: Different,
    progress: &mut dyn FnMut(&str),
) -> Result<VirtualBoard> {
    requirements::require(&[Purpose::VirtualBoard])?;
    let qemu = tools::qemu_version()?;
    let key = key(vanilla, &qemu)?;
    let _lock = super::lock::wait(folders)?;
    let folder = super::folder(folders);
    if files::is_there(&folder.join(super::STATE))? {
        match VirtualBoard::open(folders) {
            Ok(board) if board.state.key == key => return Ok(board),
            _ if different == Different::Replace => {}
            _ => bail!(
                "there is a virtual board in {} that was made from another kernel, user land or QEMU: \
                 remove it with `cargo xtask board destroy` (what is on its disk is lost)",
                folder.display()
            ),
        }
    }
    let unfinished = folder.with_extension("new");
    prepare_folder(&unfinished)?;
    check_space(&unfinished, vanilla)?;
    let root_image = rootfs::ensure(&folders.cache, progress)?;
    make(&unfinished, vanilla, &root_image, progress)?;
    let state = State {
        schema_version: super::SCHEMA_VERSION,
        key,
        release: vanilla.release.clone(),
        qemu,
    };
    state.write(&unfinished)?;
    if files::is_there(&folder)? {
        progress("removing the virtual board that was made from something else");
        super::removal::remove(&folder)?;
    }
    fs::rename(&unfinished, &folder).with_context(|| format!("naming {}", folder.display()))?;
    VirtualBoard::open(folders)
}

/// Makes the board's root file system, where it is not there: nothing of it depends on a kernel, so that [`create`] can have it ready.
pub fn make_user_land(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<()> {
    requirements::require(&[Purpose::VirtualBoard])?;
    let _lock = super::lock::wait(folders)?;
    rootfs::ensure(&folders.cache, progress).map(drop)
}

/// Name of everything that a board is made from.
fn key(vanilla: &Manifest, qemu: &str) -> Result<String> {
    let manifest = serde_json::to_string(vanilla)?;
    let firmware = files::sha256_file(Path::new(requirements::U_BOOT))?;
    let machine = Machine {
        firmware: "".into(),
        folder: "".into(),
        // The second network changes nothing that a board is made from.
        ports: super::Ports {
            ssh: 0,
            closed: 0,
            log: None,
        },
        write_log: None,
    };
    let arguments = machine.arguments().join(" ");
    let conf = disk::extlinux_conf(&vanilla.release);
    Ok(rootfs::key(&[
        &manifest,
        &firmware,
        qemu,
        &arguments,
        &conf,
        RAMOOPS,
        FDT_ADDRESS,
        HOOK,
        &rootfs::image_key(),
    ]))
}

fn prepare_folder(unfinished: &Path) -> Result<()> {
    let doing = || format!("preparing {}", unfinished.display());
    if files::is_there(unfinished)? {
        super::removal::remove(unfinished).with_context(doing)?;
    }
    fs::create_dir_all(unfinished).with_context(doing)?;
    // The sockets in it are the way into the machine.
    fs::set_permissions(unfinished, std::os::unix::fs::PermissionsExt::from_mode(0o700)).with_context(doing)
}

/// Errors: less space than a board needs at most.
fn check_space(folder: &Path, vanilla: &Manifest) -> Result<()> {
    let space = rustix::fs::statvfs(folder)
        .with_context(|| format!("asking for the space in {}", folder.display()))?;
    enough(
        space.f_bavail.saturating_mul(space.f_frsize),
        disk::needed_bytes(vanilla),
        folder,
    )
}

fn enough(free: u64, needed: u64, folder: &Path) -> Result<()> {
    if free >= needed {
        return Ok(());
    }
    bail!(
        "the virtual board needs {} MiB in {}, and {} MiB are free: make room, or set LOCKSTEP_CACHE to another disk",
        needed >> 20,
        folder.display(),
        free >> 20
    )
}

fn make(folder: &Path, vanilla: &Manifest, root_image: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    progress("making keys and the device tree");
    let (host_key, login_key) = (folder.join("host_key"), folder.join(super::LOGIN_KEY));
    make_key(&host_key)?;
    make_key(&login_key)?;
    let public =
        fs::read_to_string(host_key.with_extension("pub")).context("reading the board's host key")?;
    files::write_atomic(&folder.join(super::KNOWN_HOSTS), known_host(&public).as_bytes())?;

    let machine = super::machine(folder, super::Ports::free()?)?;
    for (name, bytes) in [(qemu::FLASH, qemu::FLASH_BYTES), (qemu::DISK, 1 << 20)] {
        let file = fs::File::create(folder.join(name)).with_context(|| format!("making {name}"))?;
        file.set_len(bytes).with_context(|| format!("making {name}"))?;
    }
    let tree = make_tree(&machine)?;

    progress("making the disk");
    let contents = disk::Contents {
        vanilla,
        root_image,
        device_tree: &tree,
        host_key: &host_key,
        login_key: &login_key.with_extension("pub"),
    };
    let work = folder.join("work");
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    disk::make(&folder.join(qemu::DISK), &contents, &work)?;
    fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))?;

    progress("saving U-Boot's environment");
    set_environment(&machine, &vanilla.release)?;
    // The log of a board starts with its first power-on by a person.
    fs::rename(folder.join(qemu::SERIAL_LOG), folder.join("create.log")).context("keeping the log of U-Boot")
}

fn make_key(path: &Path) -> Result<()> {
    let sh = Shell::new()?;
    let empty = "";
    process::run(
        cmd!(sh, "ssh-keygen -q -t ed25519 -N {empty} -C lockstep -f {path}"),
        LIMIT,
    )?;
    Ok(())
}

/// A known_hosts line for the board's public key.
fn known_host(public: &str) -> String {
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    format!("{} {}\n", super::HOST_ALIAS, key.join(" "))
}

/// The machine's own device tree with the ramoops region. The tree must be the one of exactly this machine: with one
/// that was made for other arguments the kernel dies before it can say so.
fn make_tree(machine: &Machine) -> Result<std::path::PathBuf> {
    let [own, source, overlay, merged] =
        ["machine.dtb", "ramoops.dtso", "ramoops.dtbo", "virt.dtb"].map(|name| machine.folder.join(name));
    power::dump_tree(machine, &own)?;
    files::write_atomic(&source, RAMOOPS.as_bytes())?;
    let (dtc, fdtoverlay) = (requirements::find("dtc")?, requirements::find("fdtoverlay")?);
    let fdtput = requirements::find("fdtput")?;
    let sh = Shell::new()?;
    process::run(cmd!(sh, "{dtc} -@ -q -I dts -O dtb -o {overlay} {source}"), LIMIT)?;
    process::run(cmd!(sh, "{fdtoverlay} -i {own} -o {merged} {overlay}"), LIMIT)
        .context("adding the ramoops region to the machine's device tree")?;
    // QEMU puts fresh random numbers into each tree that it makes; in a file they would be the same at each boot, and
    // the kernel would trust them. The machine has a random number generator. (Older ones do not write them.)
    for seed in ["rng-seed", "kaslr-seed"] {
        process::finish(cmd!(sh, "{fdtput} -d {merged} /chosen {seed}"), LIMIT)?;
    }
    Ok(merged)
}

/// Boots to U-Boot's prompt once to read its environment, writes it to the flash with what is missing, and boots again to
/// see that U-Boot takes it: it must load a device tree for vanilla's label.
fn set_environment(machine: &Machine, release: &str) -> Result<()> {
    let mut environment = powered(machine, read_environment).context("reading U-Boot's environment")?;
    environment.set("fdt_addr_r", FDT_ADDRESS);
    // 0: a key that is pressed already still stops it, but nobody waits two seconds for one.
    environment.set("bootdelay", "0");
    // The only disk there is; looking for others costs time.
    let targets = environment.get("boot_targets").unwrap_or_default();
    let virtio: Vec<&str> = targets
        .split_whitespace()
        .filter(|target| target.starts_with("virtio"))
        .collect();
    if !virtio.is_empty() {
        environment.set("boot_targets", &virtio.join(" "));
    }
    // For the boot method uboot-env.
    let bootcmd = environment
        .get("bootcmd")
        .context("U-Boot has no bootcmd: it would boot nothing")?;
    let hooked = format!("{HOOK}{bootcmd}");
    environment.set("bootcmd", &hooked);
    let path = machine.folder.join(qemu::FLASH);
    let doing = || format!("writing U-Boot's environment to {}", path.display());
    let mut flash = fs::File::options().write(true).open(&path).with_context(doing)?;
    flash
        .write_all(&environment.image()?)
        .and_then(|()| flash.sync_all())
        .with_context(doing)?;
    let tree = format!("Retrieving file: /{}", disk::tree_name(release));
    powered(machine, |serial, mark| serial.wait_for(mark, &tree, LIMIT))
        .context("looking whether U-Boot loads vanilla's device tree")
}

/// Does something with the serial line of the machine while it has power.
fn powered<T>(machine: &Machine, act: impl FnOnce(&Serial, u64) -> Result<T>) -> Result<T> {
    let serial = Serial::new(&machine.folder);
    let mark = serial.mark();
    power::start(machine)?;
    let done = act(&serial, mark);
    let off = power::cut(&machine.folder);
    let done = done?;
    off.map(|()| done)
}

fn read_environment(serial: &Serial, mark: u64) -> Result<Environment> {
    serial.wait_for(mark, "stop autoboot", LIMIT)?;
    serial.write(b"\r")?;
    serial.wait_for(mark, "\n=> ", LIMIT)?;
    let mark = serial.mark();
    serial.write(b"printenv\r")?;
    serial.wait_for(mark, "\n=> ", LIMIT)?;
    Environment::parse(&serial.since(mark)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_key_is_known_by_an_alias() {
        let line = known_host("ssh-ed25519 AAAAC3 lockstep\n");
        assert_eq!(line, "lockstep-virtual-board ssh-ed25519 AAAAC3\n");
    }

    #[test]
    fn too_little_space_is_an_error_with_numbers_and_a_way_out() {
        let error = enough(10 << 20, 1 << 30, Path::new("/cache"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("needs 1024 MiB in /cache, and 10 MiB are free"),
            "{error}"
        );
        assert!(error.contains("LOCKSTEP_CACHE"), "{error}");
        enough(1 << 30, 1 << 30, Path::new("/cache")).unwrap();
    }
}
