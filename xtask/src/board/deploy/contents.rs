//! Which files a slot has: what the build made, the device tree, and what depmod makes on the board.

use super::super::inventory::{self, Inventory};
use super::super::slot::Place;
use super::super::slot_init;
use super::super::writer::{Put, Source};
use super::{Dtb, Request};
use crate::host::bounded;
use crate::host::files::sha256;
use crate::manifest::{self, Kind, Manifest};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// What depmod writes on the board (kmod, tools/depmod.c, `depfiles`): never sent, always made there.
const GENERATED: [&str; 10] = [
    "modules.alias",
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.devname",
    "modules.softdep",
    "modules.symbols",
    "modules.symbols.bin",
];
/// `modules.weakdep` came with kmod 33.
const GENERATED_NEWER: &str = "modules.weakdep";

/// Every file that the slot shall have and that is sent or copied, by its path on the board.
pub(super) fn wanted(request: &Request, place: &Place) -> Result<Vec<(PathBuf, Put)>> {
    let manifest = request.manifest;
    let mut wanted = Vec::new();
    let images: Vec<&manifest::File> = manifest.of_kind(Kind::Image).collect();
    let [image] = images.as_slice() else {
        bail!("the build's manifest has {} Images, not one", images.len());
    };
    wanted.push((
        place.image.clone(),
        from_host(manifest, image, file_name(&place.image)?),
    ));
    if let (Some(dtb), Some(vanilla)) = (&place.dtb, &request.protected.dtb) {
        wanted.push((dtb.clone(), dtb_put(request, file_name(dtb)?, vanilla)?));
    }
    if let Some(program) = &request.init {
        wanted.push((slot_init::path(place), init_put(program, &manifest.release)?));
    }
    let folder = Path::new("lib/modules").join(&manifest.release);
    for file in manifest
        .files
        .iter()
        .filter(|file| matches!(file.kind, Kind::Module | Kind::ModuleIndex))
    {
        let below = file.source.strip_prefix(&folder).with_context(|| {
            format!(
                "the manifest's file {} is not below {}",
                file.source.display(),
                folder.display()
            )
        })?;
        if file.kind == Kind::ModuleIndex && is_generated(below) {
            continue;
        }
        let target = Path::new(&manifest.release).join(below);
        wanted.push((place.modules.join(below), from_host(manifest, file, target)));
    }
    Ok(wanted)
}

fn init_put(program: &Path, release: &str) -> Result<Put> {
    let bytes = bounded::read(program, bounded::LOG)?;
    Ok(Put {
        target: Path::new(release).join("lockstep/init"),
        source: Source::HostFile(program.to_path_buf()),
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
        mode: 0o755,
        keep: None,
    })
}

fn dtb_put(request: &Request, target: PathBuf, vanilla: &Path) -> Result<Put> {
    match &request.dtb {
        Dtb::Built(source) => {
            let file = request
                .manifest
                .of_kind(Kind::Dtb)
                .find(|file| file.source == *source)
                .with_context(|| format!("the build made no device tree {}", source.display()))?;
            Ok(from_host(request.manifest, file, target))
        }
        Dtb::Vanilla => {
            let entry = request
                .protected
                .inventory
                .get(vanilla)
                .context("vanilla's device tree was not hashed")?;
            let sha256 = entry
                .sha256()
                .context("vanilla's device tree is no file")?
                .to_string();
            Ok(Put {
                target,
                source: Source::BoardFile(vanilla.to_path_buf()),
                sha256,
                size: entry.size(),
                mode: 0o644,
                keep: None,
            })
        }
    }
}

fn from_host(manifest: &Manifest, file: &manifest::File, target: PathBuf) -> Put {
    Put {
        target,
        source: Source::HostFile(manifest.root.join(&file.source)),
        sha256: file.sha256.clone(),
        size: file.size,
        mode: file.mode,
        keep: None,
    }
}

pub(super) fn file_name(path: &Path) -> Result<PathBuf> {
    path.file_name()
        .map(PathBuf::from)
        .context("a file of the slot has no name")
}

/// Whether a file directly below the modules' folder is depmod's work.
fn is_generated(below: &Path) -> bool {
    below
        .to_str()
        .is_some_and(|name| GENERATED.contains(&name) || name == GENERATED_NEWER)
}

/// Files and links in the slot's folder that neither the build nor depmod made.
pub(super) fn strangers(seen: &Inventory, place: &Place, wanted: &[(PathBuf, Put)]) -> Vec<PathBuf> {
    seen.iter()
        .filter(|(_, entry)| entry.content != inventory::Content::Folder)
        .map(|(path, _)| path)
        .filter(|path| {
            path.strip_prefix(&place.modules)
                .is_ok_and(|below| !is_generated(below))
        })
        .filter(|path| !wanted.iter().any(|(wanted, _)| wanted == path.as_path()))
        .map(|path| path.to_path_buf())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depmods_work_is_known_by_name() {
        assert!(is_generated(Path::new("modules.dep.bin")));
        assert!(!is_generated(Path::new("modules.order")));
        assert!(!is_generated(Path::new("kernel/modules.dep")));
    }
}
