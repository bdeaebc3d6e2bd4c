//! Paths of files on a board, as far as they may come from the board itself or from a file that names them.

use crate::host::one_line;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// PATH_MAX (limits.h) with its NUL.
const LONGEST: usize = 4095;
/// NAME_MAX (limits.h): ext4, btrfs, FAT.
const LONGEST_NAME: usize = 255;

/// An absolute path below `/` that leads nowhere but where it says: UTF-8, no NUL, no `.`, `..` or empty component. Whatever folder stands for a
/// board's root on this host, such a path stays below it, as long as no link is followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BoardPath(PathBuf);

/// Why a path is not a [`BoardPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crooked {
    /// It is not UTF-8.
    NotUtf8,
    /// It does not begin with `/`.
    Relative,
    /// It is `/` itself.
    Root,
    /// It has a component that is empty, `.` or `..`.
    Dots,
    /// It has a NUL.
    Nul,
    /// It, or one component, is longer than a file system takes.
    TooLong,
}

impl fmt::Display for Crooked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Crooked::NotUtf8 => "it is not UTF-8",
            Crooked::Relative => "it is not absolute",
            Crooked::Root => "it is the root folder itself",
            Crooked::Dots => "it has a component that is empty, `.` or `..`",
            Crooked::Nul => "it has a NUL",
            Crooked::TooLong => "it is longer than a file system takes",
        })
    }
}

/// A path that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    path: String,
    /// Why.
    pub why: Crooked,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "`{}` is not a path that a file of a board can have: {} (allowed: absolute, without `.` and `..`)",
            one_line::one_line(&self.path),
            self.why
        )
    }
}

impl std::error::Error for Refused {}

impl BoardPath {
    /// The same path, checked.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, Refused> {
        let path = path.into();
        match path.to_str().ok_or(Crooked::NotUtf8).and_then(straight) {
            Ok(()) => Ok(BoardPath(path)),
            Err(why) => Err(Refused {
                path: path.to_string_lossy().into_owned(),
                why,
            }),
        }
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Where it lies below the folder that stands for `/`.
    pub fn below_root(&self) -> &Path {
        // All begin with it.
        self.0.strip_prefix("/").unwrap_or(&self.0)
    }

    /// Whether it is one of `roots`, or lies below one.
    pub fn is_within(&self, roots: &[PathBuf]) -> bool {
        roots.iter().any(|root| self.0.starts_with(root))
    }
}

fn straight(text: &str) -> Result<(), Crooked> {
    let below = text.strip_prefix('/').ok_or(Crooked::Relative)?;
    if below.is_empty() {
        return Err(Crooked::Root);
    }
    if text.contains('\0') {
        return Err(Crooked::Nul);
    }
    let mut parts = below.split('/');
    if text.len() > LONGEST || parts.clone().any(|part| part.len() > LONGEST_NAME) {
        return Err(Crooked::TooLong);
    }
    match parts.any(|part| matches!(part, "" | "." | "..")) {
        true => Err(Crooked::Dots),
        false => Ok(()),
    }
}

/// On one line, whatever is in it.
impl fmt::Display for BoardPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&one_line::path(&self.0))
    }
}

impl TryFrom<String> for BoardPath {
    type Error = Refused;
    fn try_from(path: String) -> Result<Self, Refused> {
        BoardPath::new(path)
    }
}

impl Deref for BoardPath {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for BoardPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

// Order and equality are those of the path itself, so that a map can be asked with any of the three.
impl Borrow<Path> for BoardPath {
    fn borrow(&self) -> &Path {
        &self.0
    }
}

impl Borrow<PathBuf> for BoardPath {
    fn borrow(&self) -> &PathBuf {
        &self.0
    }
}

impl From<BoardPath> for PathBuf {
    fn from(path: BoardPath) -> PathBuf {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn only_straight_paths_are_taken() {
        let long = format!("/{}", "a".repeat(256));
        let deep = "/a".repeat(2048);
        for (path, why) in [
            ("", Crooked::Relative),
            ("a", Crooked::Relative),
            ("../a", Crooked::Relative),
            ("/", Crooked::Root),
            ("/..", Crooked::Dots),
            ("/a/../b", Crooked::Dots),
            ("/a/..", Crooked::Dots),
            ("/./a", Crooked::Dots),
            ("/a/.", Crooked::Dots),
            ("/a//b", Crooked::Dots),
            ("//a", Crooked::Dots),
            ("/a/", Crooked::Dots),
            ("/a\0b", Crooked::Nul),
            (&long, Crooked::TooLong),
            (&deep, Crooked::TooLong),
        ] {
            assert_eq!(
                BoardPath::new(path).map_err(|refused| refused.why),
                Err(why),
                "{path:?}"
            );
            let json = serde_json::to_string(path).unwrap();
            assert!(serde_json::from_str::<BoardPath>(&json).is_err(), "{path:?}");
        }
        let bytes = std::ffi::OsStr::from_bytes(b"/a\xff");
        assert_eq!(BoardPath::new(bytes).unwrap_err().why, Crooked::NotUtf8);
        for path in ["/a", "/a/.b/..c/...", "/a b/ä", "/a\nb"] {
            let taken = BoardPath::new(path).unwrap();
            assert_eq!(
                Path::new("/mnt").join(taken.below_root()),
                Path::new(&format!("/mnt{path}"))
            );
        }
        assert!(!BoardPath::new("/a\nb").unwrap().to_string().contains('\n'));
    }

    #[test]
    fn within_is_by_components() {
        let path = BoardPath::new("/lib/modules/7.3.4/a.ko").unwrap();
        assert!(path.is_within(&["/x".into(), "/lib/modules/7.3.4".into()]));
        assert!(!path.is_within(&["/lib/modules/7.3".into()]));
        assert!(!path.is_within(&[]));
    }
}
