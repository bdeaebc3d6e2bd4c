//! The root file system: a minimal Debian for arm64, trimmed for the time from power-on to ssh. Made once, kept in the
//! cache under a name that is the hash of all that it was made from.

use super::tools;
use crate::host::{files, process};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

/// Debian release of the board's user land.
const SUITE: &str = "bookworm";
/// What is in it beside the essential packages. Order is irrelevant; sorted.
const PACKAGES: &[&str] = &[
    "dbus",
    "iproute2",
    "kexec-tools",
    "kmod",
    "libubootenv-tool",
    "openssh-server",
    "procps",
    "systemd-sysv",
    "udev",
    "v4l-utils",
    "zstd",
];
const DEBOOTSTRAP: &str = include_str!("rootfs/debootstrap.sh");
const CONFIGURE: &str = include_str!("rootfs/configure.sh");
const IMAGE: &str = include_str!("rootfs/image.sh");
/// Size of the ext4 file system, MiB. Sparse: about 260 MiB of it are used at the start.
pub const MEBIBYTES: u64 = 1790;

/// Everything that the archive of packages is made from.
fn archive_key() -> String {
    key(&[SUITE, &PACKAGES.join(","), DEBOOTSTRAP])
}

/// Everything that the image is made from.
pub fn image_key() -> String {
    key(&[&archive_key(), CONFIGURE, IMAGE, &MEBIBYTES.to_string()])
}

/// A short name for some inputs. Each is hashed with its length, so that no two lists read the same.
pub fn key(inputs: &[&str]) -> String {
    let joined: String = inputs
        .iter()
        .map(|text| format!("{}:{text}", text.len()))
        .collect();
    files::sha256(joined.as_bytes()).chars().take(16).collect()
}

/// The ext4 image in `<cache>/rootfs`, made if it is not there. Needs root (or sudo) to make it, and the machine's own
/// Debian mirror. Dies half-way: an unfinished file with another name, which the next call replaces.
pub fn ensure(cache: &Path, on_line: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let folder = cache.join("rootfs");
    let image = folder.join(format!("root-{}.ext4", image_key()));
    if files::is_file(&image)? {
        return Ok(image);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let archive = ensure_archive(&folder, on_line)?;
    on_line("making the board's root file system");
    let [image_script, configure] = [("image.sh", IMAGE), ("configure.sh", CONFIGURE)].map(|(name, text)| {
        let path = folder.join(name);
        files::write_atomic(&path, text.as_bytes()).map(|()| path)
    });
    let (image_script, configure) = (image_script?, configure?);
    let root = tools::as_root();
    let owner = format!(
        "{}:{}",
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw()
    );
    let size = MEBIBYTES.to_string();
    let sh = Shell::new()?;
    let command = cmd!(
        sh,
        "env {root...} env PATH={SYSTEM_PATH} sh -eu {image_script} {archive} {configure} {image} {size} {owner}"
    );
    process::run_logged(
        command,
        &folder.join("image.log"),
        Duration::from_secs(600),
        |_| {},
    )
    .with_context(|| format!("making {}{}", image.display(), sudo_hint()))?;
    Ok(image)
}

/// sfdisk and mke2fs are in the folders for administrators.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn ensure_archive(folder: &Path, on_line: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let archive = folder.join(format!("packages-{}.tar", archive_key()));
    if files::is_file(&archive)? {
        return Ok(archive);
    }
    let sources = sources()?;
    on_line("fetching Debian for arm64 (about 80 MB, 5 minutes)");
    let part = folder.join("packages.part.tar");
    let script = folder.join("debootstrap.sh");
    files::write_atomic(&script, DEBOOTSTRAP.as_bytes())?;
    let packages = PACKAGES.join(",");
    let root = tools::as_root();
    let sh = Shell::new()?;
    let command = cmd!(
        sh,
        "env {root...} env PATH={SYSTEM_PATH} sh -eu {script} {part} {packages} {SUITE} {sources...}"
    );
    process::run_logged(
        command,
        &folder.join("debootstrap.log"),
        Duration::from_secs(3600),
        |line| {
            if let Some(doing) = line.strip_prefix("I: ") {
                on_line(doing);
            }
        },
    )
    .with_context(|| format!("making a Debian {SUITE} for arm64{}", sudo_hint()))?;
    std::fs::rename(&part, &archive).with_context(|| format!("renaming {}", part.display()))?;
    Ok(archive)
}

/// Lines for sources.list, from the machine's own configuration: the mirror that it uses itself.
fn sources() -> Result<Vec<String>> {
    let format = "$(ORIGIN)|$(LABEL)|$(SITE)";
    let sh = Shell::new()?;
    let said = process::read(
        cmd!(
            sh,
            "apt-get indextargets --format {format} 'Created-By: Packages'"
        ),
        Duration::from_secs(60),
    )
    .context("asking apt for this machine's Debian mirror")?;
    sources_from(&said)
}

/// What `apt-get indextargets` said, as lines for sources.list: the archive, and security updates if the machine takes
/// them.
fn sources_from(said: &str) -> Result<Vec<String>> {
    let site = |label: &str| {
        let prefix = format!("Debian|{label}|");
        said.lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .map(String::from)
    };
    let Some(archive) = site("Debian") else {
        bail!(
            "this machine's apt knows no Debian mirror (`apt-get indextargets`): add one, then `apt-get update`"
        );
    };
    let mut lines = vec![format!("deb {archive} {SUITE} main")];
    if let Some(security) = site("Debian-Security") {
        lines.push(format!("deb {security} {SUITE}-security main"));
    }
    Ok(lines)
}

fn sudo_hint() -> &'static str {
    if tools::as_root().is_empty() {
        ""
    } else {
        " (it needs root: if sudo wants a password, run `sudo -v` first)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_mirror_is_used() {
        let said = "Other|Other|http://other.example\n\
                    Debian|Debian|http://mirror.example/debian\n\
                    Debian|Debian|http://mirror.example/debian\n\
                    Debian|Debian-Security|http://mirror.example/security";
        let expected = [
            "deb http://mirror.example/debian bookworm main",
            "deb http://mirror.example/security bookworm-security main",
        ];
        assert_eq!(sources_from(said).unwrap(), expected);
    }

    #[test]
    fn no_mirror_is_an_error_that_says_what_to_do() {
        let error = sources_from("Other|Other|http://other.example")
            .unwrap_err()
            .to_string();
        assert!(error.contains("apt-get update"), "{error}");
    }

    #[test]
    fn a_key_depends_on_every_input_and_on_their_borders() {
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab", ""]));
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
    }

    #[test]
    fn packages_are_sorted_so_that_their_order_means_nothing() {
        assert!(PACKAGES.is_sorted());
    }
}
