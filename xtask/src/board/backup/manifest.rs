//! What a backup holds, as a value. It may come from this host, from the board or from a second host, and is checked the same way.

use super::super::inventory::{BoardPath, Content, Inventory};
use super::super::protected::Protected;
use crate::document::Format;
use crate::host::files::sha256;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use std::path::Path;

/// Version of the format of [`Manifest`]. 2: its own hash is kept beside it ([`super::hashes`]).
pub const SCHEMA_VERSION: u32 = 2;
/// The first version whose hash is kept beside it.
pub(super) const WITH_HASHES: u32 = 2;
/// Name of the manifest, on the board and on the host.
pub const MANIFEST: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The campaign that it was made for.
    pub campaign: String,
    /// What was protected when it was made.
    pub protected: Protected,
    /// Every file, folder and link in it, by its place on the running board.
    pub inventory: Inventory,
}

impl Manifest {
    /// A manifest from the bytes of its file. Errors: it is damaged, of a newer format, or names what a backup cannot hold: paths that lead
    /// elsewhere or lie outside of what was protected, an extlinux.conf with other bytes than its hash says.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const FORMAT: Format = Format {
            what: "the manifest of a backup",
            oldest: 1,
            newest: SCHEMA_VERSION,
        };
        let manifest: Manifest = FORMAT.read(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes of its file. Errors: [`Manifest::parse`] would not take it.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        self.check()?;
        serde_json::to_vec_pretty(self).context("writing the backup's manifest")
    }

    fn check(&self) -> Result<()> {
        super::check_campaign(&self.campaign)?;
        let protected = &self.protected;
        protected.check_paths()?;
        let mut roots = protected.roots();
        roots.push(protected.extlinux.clone());
        self.inventory
            .check(&roots)
            .context("the backup's list of files")?;
        self.check_folders()?;
        let conf = self.inventory.get(protected.extlinux.as_path());
        let known = conf
            .and_then(|entry| entry.sha256())
            .context("the backup has no extlinux.conf")?;
        // An older version wrote down the file with a label of ours in it, and its hash without.
        let kept = protected.kept()?;
        ensure!(
            known == sha256(&kept) || known == sha256(&protected.foreign()?),
            "the backup's extlinux.conf is not what its hash says: one of the two is damaged"
        );
        self.check_twice_listed()
    }

    /// What is below a file cannot be restored. (Below a link something may have been found, through the link.)
    fn check_folders(&self) -> Result<()> {
        for path in self.inventory.keys() {
            let above = path.ancestors().skip(1);
            let file = above
                .filter_map(|above| self.inventory.get_key_value(above))
                .find(|(_, entry)| entry.sha256().is_some());
            if let Some((file, _)) = file {
                bail!("{path} cannot lie below {file}, which is a file");
            }
        }
        Ok(())
    }

    /// A file that is listed as protected and as backed up is one file.
    fn check_twice_listed(&self) -> Result<()> {
        for (path, backed_up) in &self.inventory {
            let protected = self.protected.inventory.get(path.as_path());
            let other = protected.is_some_and(|protected| protected.content != backed_up.content);
            ensure!(
                !other,
                "{path} is listed with two contents, as protected and as backed up: one of the two is damaged"
            );
        }
        Ok(())
    }

    /// Takes the folders out of what a copy holds that are only on the way to the backup's files.
    pub(super) fn without_ways(&self, copy: &mut Inventory) {
        let leads_to_a_file = |folder: &BoardPath| {
            let behind = (Bound::Excluded(folder.as_path()), Bound::Unbounded);
            let next = self.inventory.range::<Path, _>(behind).next();
            next.is_some_and(|(path, _)| path.starts_with(folder))
        };
        copy.retain(|path, entry| {
            entry.content != Content::Folder || self.inventory.contains_key(path) || !leads_to_a_file(path)
        });
    }
}
