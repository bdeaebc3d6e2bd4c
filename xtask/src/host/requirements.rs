//! What a host needs, whether it is there, and which package brings it.
//!
//! `doctor` shows this, `setup` installs from it, `rehearse` stops on it: one table for all of them.

use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;

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
    pub purpose: &'static str,
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

const KERNEL: &str = "build the kernel";
const DISK: &str = "make the virtual board's disk";
const ROOTFS: &str = "make the virtual board's root file system";
const BOARD: &str = "run the virtual board";
const SOURCE: &str = "fetch and import the kernel source";

/// `/usr/lib/u-boot/qemu_arm64/u-boot.bin` of Debian's u-boot-qemu.
pub const U_BOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// Everything that a rehearsal needs of a host.
pub const REQUIREMENTS: &[Requirement] = &[
    need(Probe::Program("git"), "git", Some("git"), Some("git"), SOURCE),
    need(Probe::Program("tar"), "tar", Some("tar"), Some("tar"), SOURCE),
    need(Probe::Program("xz"), "xz-utils", Some("xz"), Some("xz"), SOURCE),
    need(
        Probe::Program("dpkg-deb"),
        "dpkg",
        Some("dpkg"),
        Some("dpkg"),
        SOURCE,
    ),
    need(Probe::Program("make"), "make", Some("make"), Some("make"), KERNEL),
    need(Probe::Program("gcc"), "gcc", Some("gcc"), Some("gcc"), KERNEL),
    need(
        Probe::Program("aarch64-linux-gnu-gcc"),
        "gcc-aarch64-linux-gnu",
        Some("gcc-aarch64-linux-gnu"),
        Some("aarch64-linux-gnu-gcc"),
        KERNEL,
    ),
    need(
        Probe::File("/usr/aarch64-linux-gnu/include/stdio.h"),
        "libc6-dev-arm64-cross",
        None,
        Some("aarch64-linux-gnu-glibc"),
        "build the probe",
    ),
    need(Probe::Program("flex"), "flex", Some("flex"), Some("flex"), KERNEL),
    need(
        Probe::Program("bison"),
        "bison",
        Some("bison"),
        Some("bison"),
        KERNEL,
    ),
    need(Probe::Program("bc"), "bc", Some("bc"), Some("bc"), KERNEL),
    need(Probe::Program("perl"), "perl", Some("perl"), Some("perl"), KERNEL),
    need(
        Probe::File("/usr/include/openssl/ssl.h"),
        "libssl-dev",
        Some("openssl-devel"),
        Some("openssl"),
        KERNEL,
    ),
    need(
        Probe::File("/usr/include/libelf.h"),
        "libelf-dev",
        Some("elfutils-libelf-devel"),
        Some("libelf"),
        KERNEL,
    ),
    need(Probe::Program("cpio"), "cpio", Some("cpio"), Some("cpio"), KERNEL),
    need(
        Probe::Program("rsync"),
        "rsync",
        Some("rsync"),
        Some("rsync"),
        KERNEL,
    ),
    need(
        Probe::Program("depmod"),
        "kmod",
        Some("kmod"),
        Some("kmod"),
        KERNEL,
    ),
    need(
        Probe::Program("dtc"),
        "device-tree-compiler",
        Some("dtc"),
        Some("dtc"),
        BOARD,
    ),
    need(
        Probe::Program("fdtoverlay"),
        "device-tree-compiler",
        Some("dtc"),
        Some("dtc"),
        BOARD,
    ),
    need(
        Probe::Program("sfdisk"),
        "fdisk",
        Some("util-linux"),
        Some("util-linux"),
        DISK,
    ),
    need(
        Probe::Program("mcopy"),
        "mtools",
        Some("mtools"),
        Some("mtools"),
        DISK,
    ),
    need(
        Probe::Program("mkfs.vfat"),
        "dosfstools",
        Some("dosfstools"),
        Some("dosfstools"),
        DISK,
    ),
    need(
        Probe::Program("mke2fs"),
        "e2fsprogs",
        Some("e2fsprogs"),
        Some("e2fsprogs"),
        DISK,
    ),
    need(
        Probe::Program("mmdebstrap"),
        "mmdebstrap",
        Some("mmdebstrap"),
        None,
        ROOTFS,
    ),
    need(Probe::Program("arch-test"), "arch-test", None, None, ROOTFS),
    need(
        Probe::Program("qemu-aarch64-static"),
        "qemu-user-static",
        Some("qemu-user-static"),
        Some("qemu-user-static"),
        ROOTFS,
    ),
    need(
        Probe::Program("update-binfmts"),
        "binfmt-support",
        None,
        None,
        ROOTFS,
    ),
    need(
        Probe::Program("qemu-system-aarch64"),
        "qemu-system-arm",
        Some("qemu-system-aarch64"),
        Some("qemu-system-aarch64"),
        BOARD,
    ),
    need(Probe::File(U_BOOT), "u-boot-qemu", None, None, BOARD),
    need(
        Probe::Program("ssh"),
        "openssh-client",
        Some("openssh-clients"),
        Some("openssh"),
        BOARD,
    ),
    need(
        Probe::Program("ssh-keygen"),
        "openssh-client",
        Some("openssh"),
        Some("openssh"),
        BOARD,
    ),
    need(Probe::Program("zstd"), "zstd", Some("zstd"), Some("zstd"), BOARD),
    Requirement {
        weight: Weight::Useful,
        ..need(
            Probe::Program("ccache"),
            "ccache",
            Some("ccache"),
            Some("ccache"),
            "build the second time faster",
        )
    },
];

const fn need(
    probe: Probe,
    debian: &'static str,
    fedora: Option<&'static str>,
    arch: Option<&'static str>,
    purpose: &'static str,
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
            Probe::File(path) => Path::new(path).exists().then(|| path.to_string()),
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
mod tests {
    use super::*;

    #[test]
    fn distributions_are_known_by_id_and_by_likeness() {
        let of = Distribution::from_os_release;
        assert_eq!(of("NAME=\"Debian GNU/Linux\"\nID=debian\n"), Distribution::Debian);
        assert_eq!(
            of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            Distribution::Debian
        );
        assert_eq!(
            of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            Distribution::Fedora
        );
        assert_eq!(of("ID=manjaro\nID_LIKE=arch\n"), Distribution::Arch);
        assert_eq!(of("VERSION_ID=1\n"), Distribution::Other);
    }

    #[test]
    fn a_missing_tool_has_a_remedy_on_every_distribution() {
        let qemu = REQUIREMENTS
            .iter()
            .find(|r| r.name() == "qemu-system-aarch64")
            .unwrap();
        assert!(
            qemu.remedy(Distribution::Debian)
                .contains("apt-get install qemu-system-arm")
        );
        assert!(
            qemu.remedy(Distribution::Fedora)
                .contains("dnf install qemu-system-aarch64")
        );
        let u_boot = REQUIREMENTS.iter().find(|r| r.name() == U_BOOT).unwrap();
        assert!(u_boot.remedy(Distribution::Arch).contains("u-boot-qemu"));
    }

    #[test]
    fn a_package_that_brings_two_programs_is_named_once() {
        let missing: Vec<_> = REQUIREMENTS
            .iter()
            .filter(|r| r.debian == "openssh-client")
            .collect();
        assert_eq!(missing.len(), 2);
        assert_eq!(missing_debian_packages(&missing), ["openssh-client"]);
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        let nowhere = Requirement {
            probe: Probe::Program("lockstep-no-such-program"),
            ..REQUIREMENTS[0]
        };
        assert_eq!(nowhere.found(), None);
    }
}
