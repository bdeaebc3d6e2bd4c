//! An inventory as a value: what can be in one, whoever it comes from.

use super::path::BoardPath;
use super::{Content, Entry};
use anyhow::{Result, bail, ensure};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// Most files of one: the modules of a distribution's kernel are 7,000.
const MOST: usize = 1_000_000;
/// Most bytes of all files together, so that no sum of sizes overflows anywhere: 1 PiB.
const MOST_BYTES: u64 = 1 << 50;

/// Files by their path on the board. Each path is straight and stands once, and each entry is one that a file system can have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Inventory(BTreeMap<BoardPath, Entry>);

impl Inventory {
    /// One without a file.
    pub fn new() -> Self {
        Inventory::default()
    }

    /// Adds a file. Errors: a path that is not straight or is there already; an entry that cannot be.
    pub fn add(&mut self, path: impl Into<PathBuf>, entry: Entry) -> Result<()> {
        let path = BoardPath::new(path)?;
        entry.check(&path)?;
        ensure!(!self.0.contains_key(&path), "{path} is listed twice");
        ensure!(
            self.0.len() < MOST,
            "more than {MOST} files are listed, and this program takes no more"
        );
        self.0.insert(path, entry);
        Ok(())
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, entry| u64::saturating_add(sum, entry.size()))
    }

    /// Errors: a file is neither one of `roots` nor below one; all are larger together than a board's disk can be.
    pub fn check(&self, roots: &[PathBuf]) -> Result<()> {
        if let Some(path) = self.0.keys().find(|path| !path.is_within(roots)) {
            bail!("{path} lies outside of what was asked for");
        }
        ensure!(
            self.bytes() <= MOST_BYTES,
            "the files have {} bytes together, more than a board's disk can have",
            self.bytes()
        );
        Ok(())
    }
}

impl Entry {
    /// Errors: a hash that is none, permission bits that do not exist, a link that leads nowhere.
    fn check(&self, path: &BoardPath) -> Result<()> {
        ensure!(
            self.mode <= 0o7777,
            "{path} has the mode {:o}, and 7777 is the most",
            self.mode
        );
        match &self.content {
            Content::File { sha256, .. } => ensure!(
                is_sha256(sha256),
                "{path} has a hash that is not a SHA-256 in lower-case hex"
            ),
            Content::Link { to } => ensure!(
                !to.is_empty() && !to.contains('\0'),
                "{path} is a link whose target no file system can keep"
            ),
            Content::Folder | Content::Other(_) => {}
        }
        Ok(())
    }
}

/// Whether a text is a SHA-256 as this program writes it: 64 lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl<'de> Deserialize<'de> for Inventory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Files;
        impl<'de> Visitor<'de> for Files {
            type Value = Inventory;
            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("files by their path on the board")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inventory, A::Error> {
                let mut files = Inventory::new();
                while let Some((path, entry)) = map.next_entry::<BoardPath, Entry>()? {
                    files.add(path, entry).map_err(A::Error::custom)?;
                }
                Ok(files)
            }
        }
        deserializer.deserialize_map(Files)
    }
}

impl Deref for Inventory {
    type Target = BTreeMap<BoardPath, Entry>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Inventory {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl FromIterator<(BoardPath, Entry)> for Inventory {
    fn from_iter<I: IntoIterator<Item = (BoardPath, Entry)>>(files: I) -> Self {
        Inventory(files.into_iter().collect())
    }
}

impl IntoIterator for Inventory {
    type Item = (BoardPath, Entry);
    type IntoIter = std::collections::btree_map::IntoIter<BoardPath, Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Inventory {
    type Item = (&'a BoardPath, &'a Entry);
    type IntoIter = std::collections::btree_map::Iter<'a, BoardPath, Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut Inventory {
    type Item = (&'a BoardPath, &'a mut Entry);
    type IntoIter = std::collections::btree_map::IterMut<'a, BoardPath, Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sha256: &str, mode: &str, size: &str) -> String {
        format!(
            r#"{{"content":{{"file":{{"size":{size},"sha256":"{sha256}"}}}},"mode":{mode},"owner":[0,0],"modified":1,"filesystem":"ext4"}}"#
        )
    }

    #[test]
    fn entries_that_no_file_system_has_are_refused() {
        let hash = "a".repeat(64);
        let read = |path: &str, entry: &str| {
            serde_json::from_str::<Inventory>(&format!("{{\"{path}\":{entry}}}"))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("/a", &file(&hash, "420", "3")).unwrap().bytes(), 3);
        for (path, entry, said) in [
            ("/a/../b", file(&hash, "420", "3"), "`.` or `..`"),
            ("/a", file(&hash[1..], "420", "3"), "not a SHA-256"),
            ("/a", file(&hash.to_uppercase(), "420", "3"), "not a SHA-256"),
            ("/a", file(&hash, "65535", "3"), "7777 is the most"),
            ("/a", file(&hash, "-1", "3"), "invalid value"),
            ("/a", file(&hash, "420", "18446744073709551616"), "invalid"),
            ("/a", file(&hash, "420", "1e400"), "out of range"),
            (
                "/a",
                r#"{"content":{"link":{"to":"x\u0000y"}},"mode":1,"owner":[0,0],"modified":1}"#.into(),
                "no file system",
            ),
            (
                "/a",
                r#"{"content":"folder","mode":1,"owner":[0,0],"modified":1,"more":1}"#.into(),
                "unknown field",
            ),
        ] {
            let error = read(path, &entry).unwrap_err();
            assert!(error.contains(said), "{entry}: {error}");
        }
        let one = file(&hash, "420", "3");
        let twice = format!("{{\"/a\":{one},\"/a\":{one}}}");
        let error = serde_json::from_str::<Inventory>(&twice).unwrap_err().to_string();
        assert!(error.contains("/a is listed twice"), "{error}");
    }

    #[test]
    fn sums_of_sizes_do_not_overflow_and_files_lie_below_their_roots() {
        let hash = "a".repeat(64);
        let huge = file(&hash, "420", "18446744073709551615");
        let files: Inventory = serde_json::from_str(&format!("{{\"/m/a\":{huge},\"/m/b\":{huge}}}")).unwrap();
        assert_eq!(files.bytes(), u64::MAX);
        let error = files.check(&["/m".into()]).unwrap_err().to_string();
        assert!(error.contains("more than a board's disk"), "{error}");
        let error = files.check(&["/m/a".into()]).unwrap_err().to_string();
        assert!(error.contains("/m/b lies outside"), "{error}");
    }
}
