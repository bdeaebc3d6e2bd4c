//! Kernels and modules with their debug information, kept by build id: a build folder moves on to the next patch while the board still runs the
//! one before, and evidence outlives both.
//!
//! The layout is the one that debuggers look for, `.build-id/ab/cdef….debug` (GDB's manual, "Debugging Information in Separate Files"):
//! `set debug-file-directory` of gdb takes the folder as it is. A file is a hard link to that of the build folder and costs nothing while that one
//! is there: make's linkers and objcopy unlink what they replace. Were one changed in place all the same, its build id would tell.

use crate::manifest::{Kind, Manifest};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes that may be kept beside what the build folders still hold: some dozens of kernels of the virtual board, a few of a distribution's size.
const ROOM: u64 = 8 << 30;

/// The kept files of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugFiles {
    root: PathBuf,
}

impl DebugFiles {
    /// Those in the user's cache.
    pub fn of(cache: &Path) -> Self {
        DebugFiles {
            root: cache.join("debug"),
        }
    }

    /// The folder, as gdb takes it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of this build id (lower-case hex), where it is kept.
    pub fn find(&self, build_id: &str) -> Option<PathBuf> {
        self.path(build_id).filter(|path| path.is_file())
    }

    fn path(&self, build_id: &str) -> Option<PathBuf> {
        // An id that a log names is a file name here, whatever it is.
        if !build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let (folder, rest) = build_id
            .split_at_checked(2)
            .filter(|(_, rest)| !rest.is_empty())?;
        Some(
            self.root
                .join(".build-id")
                .join(folder)
                .join(format!("{rest}.debug")),
        )
    }

    /// Keeps vmlinux and the modules of a build folder that were staged as `manifest`, and lets the oldest go where there are too many. Gives
    /// how many are new. Dies half-way: each file is there whole or not at all.
    pub fn keep(&self, out: &Path, manifest: &Manifest) -> Result<usize> {
        let modules = manifest
            .of_kind(Kind::Module)
            .filter_map(|file| Some((file.build_id.as_deref()?, out.join(in_build(&file.source)?))));
        let mut new = 0;
        for (build_id, file) in
            std::iter::once((manifest.build_id.as_str(), out.join("vmlinux"))).chain(modules)
        {
            let doing = || format!("keeping {} by its build id", file.display());
            let Some(path) = self.path(build_id) else { continue };
            let known = fs::metadata(&path).ok();
            let built = fs::metadata(&file).with_context(doing)?;
            // The same file linked once more is the same build: one copy of it is enough.
            if known.as_ref().is_none_or(|known| known.ino() != built.ino()) {
                link(&file, &path).with_context(doing)?;
            }
            new = usize::from(known.is_none()).saturating_add(new);
        }
        if new > 0 {
            self.let_go(ROOM)?;
        }
        Ok(new)
    }

    /// Removes the oldest of those that no build folder holds any more, until the rest has room.
    fn let_go(&self, room: u64) -> Result<()> {
        let mut alone: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in walkdir::WalkDir::new(&self.root)
            .into_iter()
            .filter_map(Result::ok)
        {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() && metadata.nlink() == 1 {
                let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                alone.push((time, metadata.len(), entry.into_path()));
            }
        }
        alone.sort();
        let sizes = alone.iter().map(|(_, size, _)| *size);
        let mut sum = sizes.fold(0, u64::saturating_add);
        for (_, size, path) in alone {
            if sum <= room {
                break;
            }
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            sum = sum.saturating_sub(size);
        }
        Ok(())
    }
}

/// Whether the kernel in a build folder has debug information.
pub fn has_debug_info(out: &Path) -> bool {
    fs::read_to_string(out.join(".config"))
        .is_ok_and(|text| text.lines().any(|line| line == "CONFIG_DEBUG_INFO=y"))
}

/// A hard link, or a copy where the two lie on different file systems.
fn link(file: &Path, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    if fs::hard_link(file, &beside).is_err() {
        fs::copy(file, &beside)?;
    }
    fs::rename(&beside, path)?;
    Ok(())
}

/// `drivers/media/mc/mc.ko` of `lib/modules/<release>/kernel/drivers/media/mc/mc.ko.zst`, as the build folder has it.
pub fn in_build(source: &Path) -> Option<PathBuf> {
    let inside: PathBuf = source.iter().skip(3).collect();
    let inside = inside.strip_prefix("kernel").ok()?;
    let name = inside.file_name()?.to_str()?.split(".ko").next()?;
    Some(inside.with_file_name(format!("{name}.ko")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{File, SCHEMA_VERSION};

    fn manifest(kernel: &str, module: &str) -> Manifest {
        Manifest {
            schema_version: SCHEMA_VERSION,
            release: "7.3.4-lockdep".into(),
            build_id: kernel.into(),
            profile: "lockdep".into(),
            append: Vec::new(),
            commit: "00".into(),
            root: "/stage".into(),
            files: vec![File {
                kind: Kind::Module,
                source: "lib/modules/7.3.4-lockdep/kernel/drivers/m/a-b.ko.zst".into(),
                size: 1,
                sha256: String::new(),
                mode: 0o644,
                build_id: Some(module.into()),
                content_sha256: None,
            }],
        }
    }

    #[test]
    fn a_build_is_there_after_its_folder_has_moved_on() {
        let folder = tempfile::tempdir().unwrap();
        let (out, kept) = (
            folder.path().join("out"),
            DebugFiles::of(&folder.path().join("cache")),
        );
        let build = |kernel: &str, module: &str| {
            for (name, text) in [("vmlinux", kernel), ("drivers/m/a-b.ko", module)] {
                let path = out.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                // As a linker does it.
                let _ = fs::remove_file(&path);
                fs::write(path, text).unwrap();
            }
            kept.keep(&out, &manifest(kernel, module)).unwrap()
        };
        assert_eq!(build("aa11", "bb11"), 2);
        assert_eq!(build("aa11", "bb22"), 1, "the kernel is the same");
        for id in ["aa11", "bb11", "bb22"] {
            assert_eq!(fs::read_to_string(kept.find(id).unwrap()).unwrap(), id);
        }
        assert_eq!(kept.find("cc11"), None);
        assert_eq!(kept.find("../../x"), None);
        assert_eq!(kept.find("a"), None);
        // Only what no build folder has counts: one file here.
        kept.let_go(3).unwrap();
        assert_eq!(kept.find("bb11"), None);
        assert!(kept.find("aa11").is_some() && kept.find("bb22").is_some());
    }

    #[test]
    fn a_staged_module_is_found_in_the_build_folder() {
        for (staged, built) in [
            (
                "lib/modules/7.3.4-lockdep/kernel/drivers/media/mc/mc.ko",
                "drivers/media/mc/mc.ko",
            ),
            ("lib/modules/r/kernel/net/a-b.ko.zst", "net/a-b.ko"),
        ] {
            assert_eq!(in_build(Path::new(staged)), Some(PathBuf::from(built)));
        }
        assert_eq!(in_build(Path::new("lib/modules/r/updates/x.ko")), None);
    }

    #[test]
    fn a_build_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = DebugFiles::of(folder.path())
            .keep(folder.path(), &manifest("aa11", "bb11"))
            .unwrap_err();
        assert!(format!("{error:#}").contains("keeping"), "{error:#}");
    }
}
