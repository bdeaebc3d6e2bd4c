//! Mounts a partition of a disk where no one sees it: as a descriptor, in no folder of this host.
//! The kernel unmounts it when the descriptor is closed, however this program ends.

use super::partitions::{Kind, Partition};
use crate::host::interrupt::Watch;
use crate::host::{one_line, process, requirements};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

/// Longest time of losetup.
const LIMIT: Duration = Duration::from_secs(60);

/// What is done with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It is looked at: not one of its bytes changes, not even by its journal.
    Look,
    /// It is written to.
    Write,
}

/// Errors: this user cannot mount.
pub(super) fn check_rights(disk: &Path) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "{} has to be mounted, which takes root: run this as root, or mount it (and the boot partition in it) yourself and give the folder",
        one_line::path(disk)
    );
    Ok(())
}

/// Mounts a partition, and gives its root. Killed between its two steps it leaves a loop device
/// (`losetup --list`), which changes nothing; a Ctrl-C waits for the second one.
pub(super) fn mount(disk: &Path, partition: &Partition, access: Access) -> Result<OwnedFd> {
    let doing = || format!("mounting {}", partition.place(disk));
    if let Some(refused) = partition.refused {
        bail!(
            "{}: {}, which is not followed; nothing was changed",
            doing(),
            refused.why()
        );
    }
    let watch = Watch::begin();
    let device = attach(disk, partition, access).with_context(doing)?;
    let mounted = mount_device(&device, partition, access);
    // While it is mounted this only makes the device go when the mount goes (LOOP_CLR_FD of a
    // device in use, loop(4)).
    let detached = detach(&device);
    let mounted = mounted.with_context(doing)?;
    detached.with_context(doing)?;
    ensure!(
        !watch.asked_to_stop(),
        "{}: stopped, as asked; nothing was changed",
        doing()
    );
    Ok(mounted)
}

fn attach(disk: &Path, partition: &Partition, access: Access) -> Result<String> {
    let losetup = requirements::find("losetup")?;
    let sh = Shell::new()?;
    let (offset, size) = (partition.offset.to_string(), partition.size.to_string());
    // ext4 would remove orphans even where it is mounted read-only; a read-only device keeps it
    // from that.
    let read_only = (access == Access::Look).then_some("--read-only");
    process::read(
        cmd!(
            sh,
            "{losetup} --find --show {read_only...} --offset {offset} --sizelimit {size} {disk}"
        ),
        LIMIT,
    )
}

fn detach(device: &str) -> Result<()> {
    let losetup = requirements::find("losetup")?;
    let sh = Shell::new()?;
    process::run(cmd!(sh, "{losetup} --detach {device}"), LIMIT).map(drop)
}

fn mount_device(device: &str, partition: &Partition, access: Access) -> Result<OwnedFd> {
    let driver = match partition.kind {
        Kind::Ext => "ext4",
        Kind::Fat => "vfat",
    };
    let context = match fsopen(driver, FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(context) => context,
        Err(Errno::NODEV) => return Err(no_driver(driver)),
        Err(error) => return Err(anyhow!(error).context(format!("opening the kernel's {driver}"))),
    };
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    let configured = (|| {
        fsconfig_set_string(&context, "source", device)?;
        // Its superblock may ask for a panic of this host.
        fsconfig_set_string(&context, "errors", "remount-ro")?;
        match (partition.kind, access) {
            (Kind::Ext, Access::Look) => fsconfig_set_flag(&context, "noload")?,
            (Kind::Ext, Access::Write) => {}
            (Kind::Fat, _) => {
                // Without it names that are not ASCII look like other files. Not every version of
                // vfat takes it so.
                let _ = fsconfig_set_string(&context, "utf8", "1");
                // Without it a power cut after a rename can lose the old file and the new one.
                fsconfig_set_flag(&context, "dirsync")?;
            }
        }
        if access == Access::Look {
            fsconfig_set_flag(&context, "ro")?;
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    })();
    configured.map_err(|error| refused(error, &context))
}

/// The kernel's answer, in its own words where it has some.
fn refused(error: Errno, context: &OwnedFd) -> anyhow::Error {
    let words = words(context);
    let why = match error {
        Errno::ROFS | Errno::ACCESS | Errno::PERM => "it can only be read, or this user may not write to it",
        Errno::BUSY => "it is in use",
        _ => "the kernel does not take it",
    };
    anyhow!(error).context(format!("{why}{words}; nothing was changed"))
}

/// What the kernel has to say of a mount that it refused: one message for each read, with a letter
/// and a blank before it.
fn words(context: impl AsFd) -> String {
    let mut said = String::new();
    let mut line = [0; 512];
    for _ in 0..8 {
        let Ok(read) = rustix::io::read(&context, &mut line) else {
            break;
        };
        let text = String::from_utf8_lossy(line.get(..read).unwrap_or_default()).into_owned();
        said.push_str(&format!(" ({})", one_line::one_line(text.trim())));
    }
    said
}

fn no_driver(driver: &str) -> anyhow::Error {
    let by_hand = match driver {
        "vfat" => {
            ", or mount the disk yourself, with its boot partition in it (`fusefat -o rw+` of Debian's package fusefat does that without the driver), \
             and give the folder"
        }
        _ => ", or mount the disk yourself, and give the folder",
    };
    anyhow!(
        "this host's kernel has no {driver}: load or install the module (`modprobe {driver}`; Debian has it in linux-image-…, Ubuntu in \
         linux-modules-extra-…){by_hand}; nothing was changed"
    )
}
