//! Whether a configuration in force is still what would come out, so that the seconds that it takes to make it are spent only
//! when something changed.
//!
//! Kconfig itself says what its answer depends on: it writes the list of its files and of the variables that it read to
//! `include/config/auto.conf.cmd` (scripts/kconfig/confdata.c, `conf_write_autoconf_cmd`), which is what make goes by. Here each of these
//! files counts with its size and its time of change, to the nanosecond, and any difference makes the configuration anew.

use super::Builder;
use crate::host::files::{sha256, sha256_file, write_atomic};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Changes when what goes into a key does.
const FORMAT: u32 = 1;
/// Programs that Kconfig and the kernel's Makefile ask for their versions, beside compiler and linker.
const ASKED: &[&str] = &["pahole", "rustc", "bindgen", "python3", "make"];
/// Beginnings of names of variables that kbuild takes from the environment (Documentation/kbuild/kbuild.rst, llvm.rst).
const VARIABLES: &[&str] = &[
    "KBUILD",
    "KCFLAGS",
    "KCPPFLAGS",
    "KAFLAGS",
    "KRUSTFLAGS",
    "LLVM",
    "HOST",
    "PAHOLE",
    "RUST",
    "PATH",
];

/// What was found when the configuration was last made and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stamp {
    /// Hash of all that the configuration came from.
    pub key: String,
    /// SHA-256 of `.config`.
    pub config: String,
    /// What `make kernelrelease` said.
    pub release: String,
}

/// Name of the stamp in the build folder.
const FILE: &str = "lockstep-configured.json";

impl Builder {
    /// The stamp, if the configuration in force is still the one that `requests` on `base` gives. Anything that cannot be read counts as
    /// a change.
    pub(super) fn still_configured(&self, base: &Path, requests: &str) -> Option<Stamp> {
        let stamp: Stamp = serde_json::from_slice(&fs::read(self.out.join(FILE)).ok()?).ok()?;
        let auto = self.out.join("include/config/auto.conf");
        let config = self.out.join(".config");
        let same = stamp.config == sha256_file(&config).ok()?
            && modified(&auto)? >= modified(&config)?
            && stamp.key == self.key(base, requests)?;
        same.then_some(stamp)
    }

    /// Remembers that the configuration in force is what `requests` on `base` give.
    pub(super) fn remember_configured(&self, base: &Path, requests: &str, release: &str) -> Result<()> {
        let Some(key) = self.key(base, requests) else {
            return Ok(());
        };
        let stamp = Stamp {
            key,
            config: sha256_file(&self.out.join(".config"))?,
            release: release.to_string(),
        };
        write_atomic(&self.out.join(FILE), &serde_json::to_vec(&stamp)?)
    }

    /// `None`: something that it must count cannot be read.
    fn key(&self, base: &Path, requests: &str) -> Option<String> {
        let mut text = format!("{FORMAT}\n{}\n{requests}\n", env!("CARGO_PKG_VERSION"));
        if !base.as_os_str().is_empty() {
            text.push_str(&sha256_file(base).ok()?);
        }
        let toolchain = &self.toolchain;
        let _ = writeln!(text, "{:?} {:?}", toolchain.make_variables(), toolchain.version);
        let programs = ASKED.iter().filter_map(|name| which::which(name).ok());
        for program in programs.chain([toolchain.compiler.clone(), toolchain.linker.clone()]) {
            let _ = writeln!(text, "{} {}", program.display(), identity(&program)?);
        }
        let mut variables: Vec<_> = std::env::vars_os()
            .filter(|(name, _)| {
                VARIABLES
                    .iter()
                    .any(|start| name.to_string_lossy().starts_with(start))
            })
            .collect();
        variables.sort();
        let _ = writeln!(text, "{variables:?}");
        for file in self.inputs_of_kconfig()? {
            let _ = writeln!(text, "{} {}", file.display(), identity(&file)?);
        }
        Some(sha256(text.as_bytes()))
    }

    /// Files of the tree that have a say in the configuration and in the release.
    fn inputs_of_kconfig(&self) -> Option<Vec<PathBuf>> {
        let listed = fs::read_to_string(self.out.join("include/config/auto.conf.cmd")).ok()?;
        let mut files: Vec<PathBuf> = kconfig_files(&listed)
            .into_iter()
            .map(|file| self.source.join(file))
            .collect();
        if files.is_empty() {
            return None;
        }
        let arch = self.toolchain.arch.folder;
        files.push(self.source.join("Makefile"));
        files.push(self.source.join("arch").join(arch).join("Makefile"));
        // Scripts that Kconfig and the Makefile run, and Kconfig's own program.
        for folder in ["scripts", "scripts/kconfig"] {
            for entry in fs::read_dir(self.source.join(folder)).ok()? {
                let entry = entry.ok()?;
                if entry.file_type().ok()?.is_file() {
                    files.push(entry.path());
                }
            }
        }
        for folder in [&self.source, &self.out] {
            for entry in fs::read_dir(folder).ok()? {
                let path = entry.ok()?.path();
                if path.file_name()?.to_string_lossy().starts_with("localversion") {
                    files.push(path);
                }
            }
        }
        files.sort();
        Some(files)
    }
}

/// Size and time of the last change: what tells two versions of a file apart without reading it.
pub(super) fn identity(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    Some(format!(
        "{} {}.{:09}",
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The files in `deps_config := \` of `auto.conf.cmd`, relative to the tree.
fn kconfig_files(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| !line.starts_with("deps_config :="))
        .skip(1)
        .map_while(|line| line.strip_prefix('\t'))
        .map(|line| line.trim_end_matches('\\').trim())
        .filter(|file| !file.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kconfig_files_is_read() {
        let text = "autoconfig := include/config/auto.conf\n\ndeps_config := \\\n\tKconfig \\\n\tscripts/Kconfig.include \\\n\
                    \n$(autoconfig): $(deps_config)\n\nifneq \"$(ARCH)\" \"arm64\"\n$(autoconfig): FORCE\nendif\n";
        assert_eq!(kconfig_files(text), ["Kconfig", "scripts/Kconfig.include"]);
        assert!(kconfig_files("").is_empty());
    }

    #[test]
    fn a_changed_file_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Kconfig");
        fs::write(&file, "config A").unwrap();
        let before = identity(&file).unwrap();
        assert_eq!(identity(&file).unwrap(), before);
        fs::write(&file, "config AB").unwrap();
        assert_ne!(identity(&file).unwrap(), before);
        assert_eq!(identity(&folder.path().join("gone")), None);
    }
}
