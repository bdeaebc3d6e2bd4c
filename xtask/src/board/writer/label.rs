//! Writing extlinux.conf: alone, or with the file that tells of its label (invariants 5 and 7).

use super::super::extlinux::{self, Config};
use super::{Excuse, Put, Sent, Source, Writer, split};
use crate::host::files::sha256;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// In which order extlinux.conf and another file change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The label goes before what tells of it.
    ExtlinuxFirst,
    /// The label comes behind what tells of it.
    ExtlinuxLast,
}

impl Writer<'_> {
    /// Writes extlinux.conf. Errors: something else than our own label would change (invariant 7).
    pub fn put_extlinux(&self, bytes: &[u8]) -> Result<Sent> {
        let (put, excuse) = self.extlinux(bytes)?;
        let (base, name) = split(&self.protected.extlinux)?;
        self.put_excused(&base, &[Put { target: name, ..put }], &[excuse], "")
    }

    /// Writes extlinux.conf and a file of ours on the same file system, absolute, in one connection, in this order or the other: the first is on the
    /// medium before the second changes. When it dies half-way both are old or new, each whole. Errors: as [`Writer::put_extlinux`].
    pub fn put_extlinux_and(&self, bytes: &[u8], file: Put, order: Order) -> Result<Sent> {
        let (put, excuse) = self.extlinux(bytes)?;
        let both = [(put, excuse), (file, Excuse::None)];
        let base = both_in(&both[0].0.target, &both[1].0.target);
        let (mut puts, mut excuses) = (Vec::new(), Vec::new());
        for (put, excuse) in both {
            let target = put.target.strip_prefix(&base)?.to_path_buf();
            puts.push(Put { target, ..put });
            excuses.push(excuse);
        }
        if order == Order::ExtlinuxLast {
            puts.reverse();
            excuses.reverse();
        }
        self.put_excused(&base, &puts, &excuses, "")
    }

    /// extlinux.conf as it is written, its target absolute. Errors: something else than our own label would change (invariant 7).
    fn extlinux(&self, bytes: &[u8]) -> Result<(Put, Excuse)> {
        let foreign = extlinux::without_ours(&Config::parse(bytes))?;
        let restored = self
            .restoring
            .and_then(|backup| backup.get(&self.protected.extlinux)?.sha256());
        ensure!(
            foreign == self.protected.foreign()? || restored == Some(&sha256(bytes)),
            "the new extlinux.conf would change more than labels of ours (`{}`): it is not written",
            self.protected.test_label
        );
        let put = Put {
            target: self.protected.extlinux.clone(),
            sha256: sha256(bytes),
            size: bytes.len() as u64,
            source: Source::Bytes(bytes.to_vec()),
            mode: 0o644,
            keep: None,
        };
        Ok((put, Excuse::OwnLabel))
    }
}

/// The deepest folder that both files are in.
fn both_in(one: &Path, other: &Path) -> PathBuf {
    let folders = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (one, other) = (folders(one), folders(other));
    let common = one.components().zip(other.components());
    common.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_written_from_the_folder_that_they_share() {
        let check = |one: &str, other: &str, folder: &str| {
            assert_eq!(both_in(Path::new(one), Path::new(other)), Path::new(folder));
        };
        check(
            "/boot/firmware/extlinux/extlinux.conf",
            "/boot/firmware/lockstep-a.json",
            "/boot/firmware",
        );
        check(
            "/boot/extlinux/extlinux.conf",
            "/boot/extlinux/lockstep-a.json",
            "/boot/extlinux",
        );
        check(
            "/boot/extlinux/extlinux.conf",
            "/boot/extlinux2/lockstep-a.json",
            "/boot",
        );
    }
}
