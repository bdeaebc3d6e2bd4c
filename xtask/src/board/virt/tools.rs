//! QEMU of this host, and how to do what needs root.

use crate::host::{process, requirements};
use anyhow::Result;
use std::time::Duration;
use xshell::{Shell, cmd};

/// First line of `qemu-system-aarch64 --version`. The device tree belongs to one version.
pub fn qemu_version() -> Result<String> {
    let qemu = requirements::find(super::qemu::PROGRAM)?;
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
