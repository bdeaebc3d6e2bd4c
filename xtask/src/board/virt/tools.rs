//! Programs that the virtual board needs on the host, and the Debian package that brings each.

use crate::host::process;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

/// U-Boot for QEMU's `virt`, from the package `u-boot-qemu`.
pub const FIRMWARE: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// Every program by name, with its package.
pub const PROGRAMS: &[(&str, &str)] = &[
    (super::qemu::PROGRAM, "qemu-system-arm"),
    ("mmdebstrap", "mmdebstrap"),
    ("update-binfmts", "binfmt-support"),
    ("qemu-aarch64-static", "qemu-user-static"),
    ("sfdisk", "fdisk"),
    ("mkfs.vfat", "dosfstools"),
    ("mcopy", "mtools"),
    ("mke2fs", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("dtc", "device-tree-compiler"),
    ("fdtoverlay", "device-tree-compiler"),
    ("fdtput", "device-tree-compiler"),
    ("depmod", "kmod"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
];

/// Finds a program, also in the folders for administrators, which are not in every user's `PATH`. Errors: it is not
/// there; names the package.
pub fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    match which::which_in(program, Some(format!("{path}:/usr/sbin:/sbin")), "/") {
        Ok(found) => Ok(found),
        Err(_) => bail!("`{program}` is not on this machine: install {}", package(program)),
    }
}

/// The firmware. Errors: it is not there; names the package.
pub fn firmware() -> Result<PathBuf> {
    let path = Path::new(FIRMWARE);
    if !path.is_file() {
        bail!("{FIRMWARE} is not on this machine: install u-boot-qemu (`apt-get install u-boot-qemu`)");
    }
    Ok(path.to_path_buf())
}

/// Fails, naming all packages that are missing at once.
pub fn require_all() -> Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| find(program).is_err())
        .map(|(_, package)| *package)
        .collect();
    if firmware().is_err() {
        missing.push("u-boot-qemu");
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "the virtual board needs more on this machine: `apt-get install {}`",
        missing.join(" ")
    )
}

/// First line of `qemu-system-aarch64 --version`. The device tree belongs to one version.
pub fn qemu_version() -> Result<String> {
    let qemu = find(super::qemu::PROGRAM)?;
    let sh = Shell::new()?;
    let said = process::read(cmd!(sh, "{qemu} --version"), Duration::from_secs(30))?;
    Ok(said.lines().next().unwrap_or_default().to_string())
}

/// The words in front of a command that needs root: none for root, `sudo -n` otherwise (no question: the terminal
/// belongs to the progress display).
pub fn as_root() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() {
        &[]
    } else {
        &["sudo", "-n"]
    }
}

fn package(program: &str) -> String {
    match PROGRAMS.iter().find(|(name, _)| *name == program) {
        Some((_, package)) => format!("{package} (`apt-get install {package}`)"),
        None => format!("the package that has {program}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_missing_program_names_its_package() {
        assert!(super::package("mcopy").contains("apt-get install mtools"));
        let error = super::find("no-such-program").unwrap_err().to_string();
        assert!(
            error.contains("`no-such-program` is not on this machine"),
            "{error}"
        );
    }
}
