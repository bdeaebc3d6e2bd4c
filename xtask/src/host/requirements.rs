//! What a host needs, whether it is there, and which package brings it.
//!
//! `doctor` shows this, `setup` installs from it, `rehearse` stops on it: one table for all of them.

mod configured;

pub use configured::required_by;

use super::files;
use anyhow::{Result, bail};
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How a requirement is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A program, looked up with `which` in `PATH` and in the system's `sbin` folders.
    Program(&'static str),
    /// A file that a package puts at a fixed place.
    File(&'static str),
}

/// One thing that a host needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// How it is looked for.
    pub probe: Probe,
    /// Debian's package.
    pub debian: &'static str,
    /// Fedora's package, where it is known.
    pub fedora: Option<&'static str>,
    /// Arch Linux's package, where it is known.
    pub arch: Option<&'static str>,
    /// What cannot be done without it.
    pub purpose: Purpose,
    /// Whether the work can go on without it.
    pub weight: Weight,
}

/// How much a requirement weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Nothing works without it.
    Needed,
    /// It is only slower without it.
    Useful,
}

/// What a requirement is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Debian's kernel source as a git repository.
    Source,
    /// Kernel builds, for whatever architecture.
    Kernel,
    /// Kernel builds for the architecture that is built by default.
    CrossCompiler,
    /// The probe, a user-space program for the board.
    Probe,
    /// Making and running the virtual board.
    VirtualBoard,
    /// Nothing but speed.
    Speed,
}

impl Purpose {
    /// In print, behind "needed to".
    pub const fn text(self) -> &'static str {
        match self {
            Purpose::Source => "fetch and import the kernel source",
            Purpose::Kernel | Purpose::CrossCompiler => "build the kernel",
            Purpose::Probe => "build the probe",
            Purpose::VirtualBoard => "make and run the virtual board",
            Purpose::Speed => "build the second time faster",
        }
    }
}

use Purpose::{Kernel, Probe as ProbeBuild, Source, VirtualBoard};

/// `/usr/lib/u-boot/qemu_arm64/u-boot.bin` of Debian's u-boot-qemu.
pub const U_BOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// Everything that a rehearsal needs of a host.
pub const REQUIREMENTS: &[Requirement] = &[
    // 2.32 or newer: `kernel/git.rs` refuses an older one.
    need(Probe::Program("git"), "git", Some("git"), Some("git"), Source),
    need(Probe::Program("tar"), "tar", Some("tar"), Some("tar"), Source),
    need(Probe::Program("xz"), "xz-utils", Some("xz"), Some("xz"), Source),
    need(
        Probe::Program("dpkg-deb"),
        "dpkg",
        Some("dpkg"),
        Some("dpkg"),
        Source,
    ),
    need(Probe::Program("make"), "make", Some("make"), Some("make"), Kernel),
    need(Probe::Program("gcc"), "gcc", Some("gcc"), Some("gcc"), Kernel),
    need(
        Probe::Program("aarch64-linux-gnu-gcc"),
        "gcc-aarch64-linux-gnu",
        Some("gcc-aarch64-linux-gnu"),
        Some("aarch64-linux-gnu-gcc"),
        Purpose::CrossCompiler,
    ),
    need(
        Probe::File("/usr/aarch64-linux-gnu/include/stdio.h"),
        "libc6-dev-arm64-cross",
        None,
        Some("aarch64-linux-gnu-glibc"),
        ProbeBuild,
    ),
    need(Probe::Program("flex"), "flex", Some("flex"), Some("flex"), Kernel),
    need(
        Probe::Program("bison"),
        "bison",
        Some("bison"),
        Some("bison"),
        Kernel,
    ),
    need(Probe::Program("bc"), "bc", Some("bc"), Some("bc"), Kernel),
    need(Probe::Program("perl"), "perl", Some("perl"), Some("perl"), Kernel),
    need(
        Probe::File("/usr/include/openssl/ssl.h"),
        "libssl-dev",
        Some("openssl-devel"),
        Some("openssl"),
        Kernel,
    ),
    need(
        Probe::File("/usr/include/libelf.h"),
        "libelf-dev",
        Some("elfutils-libelf-devel"),
        Some("libelf"),
        Kernel,
    ),
    need(Probe::Program("cpio"), "cpio", Some("cpio"), Some("cpio"), Kernel),
    need(
        Probe::Program("rsync"),
        "rsync",
        Some("rsync"),
        Some("rsync"),
        Kernel,
    ),
    need(
        Probe::Program("depmod"),
        "kmod",
        Some("kmod"),
        Some("kmod"),
        Kernel,
    ),
    need(
        Probe::Program("dtc"),
        "device-tree-compiler",
        Some("dtc"),
        Some("dtc"),
        VirtualBoard,
    ),
    need(
        Probe::Program("fdtoverlay"),
        "device-tree-compiler",
        Some("dtc"),
        Some("dtc"),
        VirtualBoard,
    ),
    need(
        Probe::Program("sfdisk"),
        "fdisk",
        Some("util-linux"),
        Some("util-linux"),
        VirtualBoard,
    ),
    need(
        Probe::Program("mcopy"),
        "mtools",
        Some("mtools"),
        Some("mtools"),
        VirtualBoard,
    ),
    need(
        Probe::Program("mkfs.vfat"),
        "dosfstools",
        Some("dosfstools"),
        Some("dosfstools"),
        VirtualBoard,
    ),
    need(
        Probe::Program("debugfs"),
        "e2fsprogs",
        Some("e2fsprogs"),
        Some("e2fsprogs"),
        VirtualBoard,
    ),
    need(
        Probe::Program("e2fsck"),
        "e2fsprogs",
        Some("e2fsprogs"),
        Some("e2fsprogs"),
        VirtualBoard,
    ),
    need(
        Probe::Program("fdtput"),
        "device-tree-compiler",
        Some("dtc"),
        Some("dtc"),
        VirtualBoard,
    ),
    need(
        Probe::Program("mke2fs"),
        "e2fsprogs",
        Some("e2fsprogs"),
        Some("e2fsprogs"),
        VirtualBoard,
    ),
    need(
        Probe::Program("mmdebstrap"),
        "mmdebstrap",
        Some("mmdebstrap"),
        None,
        VirtualBoard,
    ),
    need(Probe::Program("arch-test"), "arch-test", None, None, VirtualBoard),
    need(
        Probe::Program("qemu-aarch64-static"),
        "qemu-user-static",
        Some("qemu-user-static"),
        Some("qemu-user-static"),
        VirtualBoard,
    ),
    need(
        Probe::Program("update-binfmts"),
        "binfmt-support",
        None,
        None,
        VirtualBoard,
    ),
    need(
        Probe::Program("qemu-system-aarch64"),
        "qemu-system-arm",
        Some("qemu-system-aarch64"),
        Some("qemu-system-aarch64"),
        VirtualBoard,
    ),
    need(Probe::File(U_BOOT), "u-boot-qemu", None, None, VirtualBoard),
    need(
        Probe::Program("ssh"),
        "openssh-client",
        Some("openssh-clients"),
        Some("openssh"),
        VirtualBoard,
    ),
    need(
        Probe::Program("ssh-keygen"),
        "openssh-client",
        Some("openssh"),
        Some("openssh"),
        VirtualBoard,
    ),
    need(
        Probe::Program("zstd"),
        "zstd",
        Some("zstd"),
        Some("zstd"),
        VirtualBoard,
    ),
    Requirement {
        weight: Weight::Useful,
        ..need(
            Probe::Program("ccache"),
            "ccache",
            Some("ccache"),
            Some("ccache"),
            Purpose::Speed,
        )
    },
];

const fn need(
    probe: Probe,
    debian: &'static str,
    fedora: Option<&'static str>,
    arch: Option<&'static str>,
    purpose: Purpose,
) -> Requirement {
    Requirement {
        probe,
        debian,
        fedora,
        arch,
        purpose,
        weight: Weight::Needed,
    }
}

/// A distribution, as far as packages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Debian and what is like it: packages can be installed by `setup`.
    Debian,
    /// Fedora and what is like it.
    Fedora,
    /// Arch Linux and what is like it.
    Arch,
    /// Any other.
    Other,
}

impl Distribution {
    /// From `/etc/os-release` (see os-release(5): `ID=` and the space-separated `ID_LIKE=`, maybe quoted).
    pub fn from_os_release(text: &str) -> Self {
        let words = text
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace());
        for word in words {
            match word {
                "debian" | "ubuntu" => return Distribution::Debian,
                "fedora" | "rhel" => return Distribution::Fedora,
                "arch" => return Distribution::Arch,
                _ => {}
            }
        }
        Distribution::Other
    }

    /// Of this machine.
    pub fn of_this_host() -> Self {
        Self::from_os_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
    }
}

impl Requirement {
    /// Where it was found, if it is there.
    pub fn found(&self) -> Option<String> {
        match self.probe {
            Probe::Program(name) => which::which_in(name, Some(search_path()), "/")
                .ok()
                .map(|path| path.display().to_string()),
            Probe::File(path) => {
                matches!(files::is_there(Path::new(path)), Ok(true)).then(|| path.to_string())
            }
        }
    }

    /// What is looked for: a program's name or a file's path.
    pub fn name(&self) -> &'static str {
        match self.probe {
            Probe::Program(name) | Probe::File(name) => name,
        }
    }

    /// What a person on that distribution has to do about it.
    pub fn remedy(&self, distribution: Distribution) -> String {
        match distribution {
            Distribution::Debian => {
                format!(
                    "`cargo xtask setup` installs it, or: apt-get install {}",
                    self.debian
                )
            }
            Distribution::Fedora if self.fedora.is_some() => {
                format!("dnf install {}", self.fedora.unwrap_or_default())
            }
            Distribution::Arch if self.arch.is_some() => {
                format!("pacman -S {}", self.arch.unwrap_or_default())
            }
            _ => format!("install what Debian has in its package {}", self.debian),
        }
    }
}

/// What is missing on this host for `purposes`; all of it for none.
pub fn missing(purposes: &[Purpose]) -> Vec<&'static Requirement> {
    REQUIREMENTS
        .iter()
        .filter(|requirement| purposes.is_empty() || purposes.contains(&requirement.purpose))
        .filter(|requirement| requirement.found().is_none())
        .collect()
}

/// Fails, naming everything that is missing for `purposes` and the packages that bring it.
pub fn require(purposes: &[Purpose]) -> Result<()> {
    require_with(purposes, &[])
}

/// [`require`] with things that only this piece of work needs: all that is missing is named at once.
pub fn require_with(purposes: &[Purpose], more: &[Requirement]) -> Result<()> {
    let mut missing = missing(purposes);
    missing.extend(more.iter().filter(|requirement| requirement.found().is_none()));
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|requirement| requirement.name()).collect();
    bail!(
        "missing on this machine: {}; `cargo xtask setup` installs what is missing (apt-get install {}), `cargo xtask doctor` tells more",
        names.join(", "),
        missing_debian_packages(&missing).join(" ")
    )
}

/// Where a program of the table is. Errors: it is not there; names the package.
pub fn find(program: &str) -> Result<PathBuf> {
    if let Ok(path) = which::which_in(program, Some(search_path()), "/") {
        return Ok(path);
    }
    match REQUIREMENTS
        .iter()
        .find(|requirement| requirement.name() == program)
    {
        Some(requirement) => {
            bail!(
                "`{program}` is not on this machine: {}",
                requirement.remedy(Distribution::of_this_host())
            )
        }
        None => bail!("`{program}` is not on this machine"),
    }
}

/// `PATH` and the folders of the system's own tools, which are not in the `PATH` of every user (`depmod`, `mke2fs`, `sfdisk`).
pub fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// Packages of Debian that bring what is missing, each once, in the order of the table.
pub fn missing_debian_packages(missing: &[&Requirement]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for requirement in missing {
        if !packages.contains(&requirement.debian) {
            packages.push(requirement.debian);
        }
    }
    packages
}

#[cfg(test)]
mod tests;
