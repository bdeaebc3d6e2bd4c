//! The slot's first user space (`xtask/slot-init/`): where it lies on the board, what the command line tells it, and the files from which it
//! puts vanilla's default back.

use super::protected::Protected;
use super::slot::Place;
use super::writer::{Put, Source};
use super::{Board, script};
use crate::host::files::sha256;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folder on the board from which vanilla's default is put back; there only while the boot method `default-swap` is armed.
pub const RESTORE_FOLDER: &str = "/var/lib/lockstep/boot-once";
/// What the kernel starts when nobody says `init=`: the first that is there (kernel `init/main.c`).
const INIT: &str = "/sbin/init";

/// Where the program lies: in the slot's own folder of modules, so that it comes and goes with the slot.
pub fn path(place: &Place) -> PathBuf {
    place.modules.join("lockstep/init")
}

/// The words that start it. `lease` is how long the boot may last unless the host renews it, in seconds since the kernel's start; `vanilla`
/// is vanilla's command line, whose own `init=` it goes on to.
pub fn words(program: &Path, lease: u64, vanilla: &str) -> Vec<String> {
    let own = vanilla
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("init="))
        .next_back()
        .unwrap_or(INIT);
    let mut words = vec![
        format!("init={}", program.display()),
        format!("lockstep.lease={lease}"),
        format!("lockstep.restore={RESTORE_FOLDER}"),
    ];
    if own != INIT {
        words.push(format!("lockstep.init={own}"));
    }
    words
}

/// The files of [`RESTORE_FOLDER`] for an extlinux.conf that is to come back as `extlinux`, if it is still `armed` then: what somebody else
/// wrote meanwhile stays.
pub fn restore_files(
    board: &dyn Board,
    protected: &Protected,
    extlinux: &[u8],
    armed: &[u8],
) -> Result<Vec<Put>> {
    let folder = protected
        .extlinux
        .parent()
        .context("extlinux.conf has no folder")?;
    let looking = format!(
        "df --output=source,fstype,target {} | tail -n1",
        script::word(folder)?
    );
    let text = script::ask(
        board,
        "looking for the boot folder's device",
        &looking,
        script::LOOK,
    )?
    .text();
    let mut words = text.split_whitespace();
    let (Some(device), Some(kind), Some(mount)) = (words.next(), words.next(), words.next()) else {
        anyhow::bail!("the board did not say where the boot folder is: `{text}`")
    };
    let target = protected
        .extlinux
        .strip_prefix(mount)
        .with_context(|| format!("{} is not below {mount}", protected.extlinux.display()))?
        .to_str()
        .context("the path of extlinux.conf is not UTF-8")?;
    let line = |name: &str, text: &str| put(name, format!("{text}\n").into_bytes());
    Ok(vec![
        line("device", device),
        line("type", kind),
        line("target", target),
        put("armed", armed.to_vec()),
        put("extlinux.conf", extlinux.to_vec()),
    ])
}

fn put(name: &str, bytes: Vec<u8>) -> Put {
    Put {
        target: name.into(),
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
        source: Source::Bytes(bytes),
        mode: 0o644,
        keep: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_own_init_comes_after_ours() {
        let program = Path::new("/lib/modules/r/lockstep/init");
        assert_eq!(
            words(program, 240, "root=/dev/x ro"),
            [
                "init=/lib/modules/r/lockstep/init",
                "lockstep.lease=240",
                "lockstep.restore=/var/lib/lockstep/boot-once"
            ]
        );
        assert_eq!(
            words(program, 240, "init=/bin/a init=/lib/systemd/systemd")
                .last()
                .unwrap(),
            "lockstep.init=/lib/systemd/systemd"
        );
    }
}
