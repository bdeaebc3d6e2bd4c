//! A staging folder that still holds exactly what the build folder has is not made again.

use super::{MANIFEST, read_manifest};
use crate::host::files::{sha256, write_atomic};
use crate::kernel::build::Builder;
use crate::manifest::Manifest;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What the last staging was made from and gave, in the build folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Stamp {
    /// Hash over size and time of change of every file that it was made from.
    inputs: String,
    /// The same of every file that it gave.
    staged: String,
    /// The boot image, relative to the build folder.
    image: PathBuf,
}

const FILE: &str = "lockstep-staged.json";

impl Builder {
    /// The manifest of `dest`, if neither what it was made from nor it itself changed since. Only its commit and command line are brought up to
    /// date: a patch may change nothing that is built. `None`: it has to be made.
    pub(super) fn already_staged(&self, dest: &Path, commit: &str) -> Option<Result<Manifest>> {
        let stamp: Stamp = serde_json::from_slice(&fs::read(self.out.join(FILE)).ok()?).ok()?;
        if self.inputs(&stamp.image)? != stamp.inputs || identities([dest.to_path_buf()])? != stamp.staged {
            return None;
        }
        let mut manifest = read_manifest(dest).ok()?;
        let append = self.profile.append();
        if manifest.commit == commit && manifest.append == append {
            return Some(Ok(manifest));
        }
        manifest.commit = commit.to_string();
        manifest.append = append;
        let written = serde_json::to_vec_pretty(&manifest)
            .map_err(anyhow::Error::from)
            .and_then(|text| write_atomic(&dest.join(MANIFEST), &text))
            .and_then(|()| self.remember_staged(dest, &stamp.image));
        Some(written.map(|()| manifest))
    }

    /// Remembers what `dest` was made from.
    pub(super) fn remember_staged(&self, dest: &Path, image: &Path) -> Result<()> {
        let (Some(inputs), Some(staged)) = (self.inputs(image), identities([dest.to_path_buf()])) else {
            return Ok(());
        };
        let stamp = Stamp {
            inputs,
            staged,
            image: image.to_path_buf(),
        };
        write_atomic(&self.out.join(FILE), &serde_json::to_vec(&stamp)?)
    }

    /// Remembers that what was staged last is in `dest` now.
    pub(super) fn remember_moved(&self, dest: &Path) -> Result<()> {
        let stamp = fs::read(self.out.join(FILE)).unwrap_or_default();
        match serde_json::from_slice::<Stamp>(&stamp) {
            Ok(stamp) => self.remember_staged(dest, &stamp.image),
            // Then the next staging is made from nothing.
            Err(_) => Ok(()),
        }
    }

    fn inputs(&self, image: &Path) -> Option<String> {
        let order = fs::read_to_string(self.out.join("modules.order")).unwrap_or_default();
        let modules = order.lines().map(|line| Path::new(line).with_extension("ko"));
        let fixed = [
            ".config",
            "vmlinux",
            "System.map",
            "Module.symvers",
            "modules.builtin",
        ];
        let fixed = fixed
            .iter()
            .map(PathBuf::from)
            .filter(|file| self.out.join(file).exists());
        let files = fixed.chain([image.to_path_buf(), self.dts()]).chain(modules);
        let key = identities(files.map(|file| self.out.join(file)))?;
        Some(sha256(
            format!("{key} {order} {:?}", self.toolchain.make_variables()).as_bytes(),
        ))
    }
}

/// Hash over paths, sizes and times of change of files, and of the files of folders; a folder that is not there has none. `None`: one
/// cannot be read.
fn identities(paths: impl IntoIterator<Item = PathBuf>) -> Option<String> {
    let mut text = String::new();
    for path in paths {
        if !path.exists() && path.extension().is_none() {
            continue;
        }
        for entry in WalkDir::new(&path).sort_by_file_name() {
            let entry = entry.ok()?;
            if entry.file_type().is_dir() || entry.file_name().to_string_lossy().ends_with(".cmd") {
                continue;
            }
            let metadata = entry.metadata().ok()?;
            let _ = writeln!(
                text,
                "{} {} {}.{:09}",
                entry.path().display(),
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec()
            );
        }
    }
    Some(sha256(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_of_a_file_below_counts() {
        let folder = tempfile::tempdir().unwrap();
        let of = || identities([folder.path().to_path_buf()]).unwrap();
        let file = folder.path().join("lib/a.ko");
        fs::create_dir(folder.path().join("lib")).unwrap();
        fs::write(&file, "1").unwrap();
        let before = of();
        assert_eq!(of(), before);
        fs::write(&file, "12").unwrap();
        assert_ne!(of(), before);
        fs::write(folder.path().join("lib/b.ko"), "").unwrap();
        let two = of();
        fs::remove_file(&file).unwrap();
        assert_ne!(of(), two);
        assert_eq!(identities([folder.path().join("gone.ko")]), None);
    }
}
