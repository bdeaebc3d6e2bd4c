//! What a build made and what a slot holds: release, build ids, files, sizes, hashes.
//!
//! Known to `kernel` (which makes one), `board` (which installs and verifies it) and `campaign` (which carries
//! it from the one to the other); knows none of them.

use crate::document::Format;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Component, PathBuf};

/// The version of the format that this code writes; a newer one is refused when read.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the configuration that was built, in [`Manifest::root`]: what the next build's changes are explained with.
pub const CONFIG: &str = "config";

/// Everything that one build made for one slot. `root` joined with [`File::source`] is where the bytes are on
/// the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// What `make kernelrelease` said for this very build, for example `7.3.4-lockdep`.
    pub release: String,
    /// GNU build id of vmlinux, lower-case hex: what `/sys/kernel/notes` of the running kernel must show.
    pub build_id: String,
    /// Profile that was built: `vanilla`, `lockdep`, …
    pub profile: String,
    /// Words that its profile wants on the command line.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub append: Vec<String>,
    /// Commit that was built, full hex.
    pub commit: String,
    /// Staging folder on the host, absolute.
    pub root: PathBuf,
    /// Every file, sorted by `source`.
    pub files: Vec<File>,
}

/// One file of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    /// What it is, and so where it goes on a board.
    pub kind: Kind,
    /// Path below [`Manifest::root`]: `Image`, `dtbs/rockchip/x.dtb`, `lib/modules/<release>/kernel/…/vim2m.ko`.
    pub source: PathBuf,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Permission bits, for example `0o644`.
    pub mode: u32,
    /// GNU build id of a module, lower-case hex; what `/sys/module/<name>/notes/.note.gnu.build-id` must show.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub build_id: Option<String>,
    /// Hash of what a module *is*, apart from what differs without a change of code or data (its build id, which goes over debug
    /// information as well, and its signature): equal hashes mean that the module did not change by content, whatever `make` rebuilt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_sha256: Option<String>,
}

/// The kinds of file that a build makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The arm64 `Image`.
    Image,
    /// A device tree blob.
    Dtb,
    /// A loadable module (`*.ko`, `*.ko.zst`, …).
    Module,
    /// What `modules_install` and `depmod` put beside the modules: `modules.dep`, `modules.builtin`, …
    ModuleIndex,
}

impl Manifest {
    /// A manifest from the bytes of its file. Errors: it is damaged, of a newer format, or names a file outside of its folder.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const FORMAT: Format = Format {
            what: "the manifest of a build",
            oldest: 1,
            newest: SCHEMA_VERSION,
        };
        let manifest: Manifest = FORMAT.read(bytes)?;
        let leads_out = |file: &&File| {
            let mut parts = file.source.components();
            file.source.as_os_str().is_empty() || !parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(file) = manifest.files.iter().find(leads_out) {
            bail!(
                "the manifest of a build names a file outside of its folder: `{}`",
                file.source.to_string_lossy().escape_debug()
            );
        }
        Ok(manifest)
    }

    /// Files of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.kind == kind)
    }

    /// The module whose file is called `name.ko` (dashes and underscores are the same to the kernel).
    pub fn module(&self, name: &str) -> Option<&File> {
        let wanted = name.replace('-', "_");
        self.of_kind(Kind::Module)
            .find(|file| file.module_name().as_deref() == Some(&wanted))
    }
}

impl File {
    /// Name of a module as `/sys/module` has it: file name without `.ko*`, dashes as underscores.
    pub fn module_name(&self) -> Option<String> {
        if self.kind != Kind::Module {
            return None;
        }
        let name = self.source.file_name()?.to_str()?;
        Some(name.split(".ko").next()?.replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_leads_out_of_its_folder_or_is_newer_is_refused() {
        let read = |version: u32, source: &str| {
            let text = format!(
                r#"{{"schema-version":{version},"release":"r","build-id":"b","profile":"p","commit":"c","root":"/x","files":[
                    {{"kind":"image","source":"{source}","size":1,"sha256":"s","mode":420}}]}}"#
            );
            Manifest::parse(text.as_bytes()).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(read(1, "dtbs/x.dtb").unwrap().files.len(), 1);
        for source in ["../x", "/etc/shadow", "a/../../x", ""] {
            assert!(
                read(1, source).unwrap_err().contains("outside of its folder"),
                "{source}"
            );
        }
        assert!(read(2, "Image").unwrap_err().contains("format 2, newer"));
    }
}
