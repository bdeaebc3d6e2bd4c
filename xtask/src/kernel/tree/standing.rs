//! What stands at the paths of the work tree, and whether it may be replaced.
//!
//! No path is followed through a link: below anything but a folder, nothing of ours stands.

use super::Tree;
use anyhow::{Context, Result, bail};
use git2::{FileMode, ObjectType, Oid};
use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file of a commit.
pub(super) type Side = Option<(Oid, FileMode)>;

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Absent,
    Is(Oid, FileMode),
    Folder,
    /// The path is below this file or link.
    Beyond(PathBuf),
    /// A socket, a device.
    Other,
}

/// Metadata of the thing itself; `None` where nothing is there.
fn look(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("looking at {}", path.display())),
    }
}

impl Tree {
    /// What stands at a path of the work tree. Errors: it cannot be read.
    pub(super) fn content(&self, path: &Path) -> Result<Content> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for folder in above {
            match look(&self.worktree.join(folder))? {
                None => return Ok(Content::Absent),
                Some(metadata) if metadata.is_dir() => {}
                Some(_) => return Ok(Content::Beyond(folder.to_path_buf())),
            }
        }
        let full = self.worktree.join(path);
        let Some(metadata) = look(&full)? else {
            return Ok(Content::Absent);
        };
        let reading = || format!("reading {}", full.display());
        let (bytes, mode) = if metadata.is_symlink() {
            let target = fs::read_link(&full).with_context(reading)?;
            (target.as_os_str().as_bytes().to_vec(), FileMode::Link)
        } else if metadata.is_file() {
            let mode = if metadata.mode() & 0o100 != 0 {
                FileMode::BlobExecutable
            } else {
                FileMode::Blob
            };
            (fs::read(&full).with_context(reading)?, mode)
        } else if metadata.is_dir() {
            return Ok(Content::Folder);
        } else {
            return Ok(Content::Other);
        };
        Ok(Content::Is(Oid::hash_object(ObjectType::Blob, &bytes)?, mode))
    }

    /// Whether what stands at `path` is this side of a change. A side without a file is also where a folder, or a
    /// file in the place of a folder, is one of the `moved` paths, which are looked at each for itself.
    pub(super) fn stands(&self, path: &Path, side: Side, moved: &HashSet<&Path>) -> Result<bool> {
        Ok(match (self.content(path)?, side) {
            (Content::Is(id, mode), Some(side)) => side == (id, mode),
            (Content::Absent, None) => true,
            (Content::Beyond(file), None) => moved.contains(file.as_path()),
            (Content::Folder, None) => self.holds_only(path, moved)?,
            _ => false,
        })
    }

    fn holds_only(&self, folder: &Path, known: &HashSet<&Path>) -> Result<bool> {
        for entry in walkdir::WalkDir::new(self.worktree.join(folder)) {
            let entry = entry.with_context(|| format!("reading the folder {}", folder.display()))?;
            let path = entry.path().strip_prefix(&self.worktree)?;
            if !entry.file_type().is_dir() && !known.contains(path) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The blob of what stands at a path of the work tree, written into the repository, with its mode; `None` where
    /// no file is there.
    pub(super) fn blob_of(&self, path: &Path) -> Result<Option<(Oid, u32)>> {
        let full = self.worktree.join(path);
        match self.content(path)? {
            Content::Absent | Content::Folder | Content::Beyond(_) => Ok(None),
            Content::Other => bail!("it is not a file any more"),
            Content::Is(_, mode) => {
                let bytes = match mode {
                    FileMode::Link => fs::read_link(&full)?.into_os_string().into_encoded_bytes(),
                    _ => fs::read(&full)?,
                };
                Ok(Some((self.stack.repo.blob(&bytes)?, u32::from(mode))))
            }
        }
    }
}
