//! What files are on the board: kind, mode, owner, size, time and hash, taken in one call and hashed there, since only the list of
//! hashes should cross a slow line.

use super::{Board, script};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files by their absolute path on the board.
pub type Inventory = BTreeMap<PathBuf, Entry>;

/// One file, folder or link of an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// What it is, with its content.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Last change, in whole seconds since 1970.
    pub modified: i64,
    /// Type of the file system that it is on, as `find -printf %F` calls it; empty where it was not written down.
    #[serde(default)]
    pub filesystem: String,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Content {
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// SHA-256, lower-case hex.
        sha256: String,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// Where it points.
        to: String,
    },
    /// A device, socket or pipe, as `find -printf %y` calls it.
    Other(String),
}

impl Entry {
    /// Whether its file system keeps owners and times. FAT has no owners, and its times are local: they move with the time zone.
    fn keeps_owner_and_time(&self) -> bool {
        !matches!(
            self.filesystem.as_str(),
            "" | "vfat" | "msdos" | "exfat" | "fuseblk"
        )
    }

    /// Hash of a regular file.
    pub fn sha256(&self) -> Option<&str> {
        match &self.content {
            Content::File { sha256, .. } => Some(sha256),
            _ => None,
        }
    }

    /// Bytes of a regular file, 0 of anything else.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::File { size, .. } => *size,
            _ => 0,
        }
    }
}

/// Takes the inventory of `roots` (files, or folders with all that is in them; on their own file system). A root that is not
/// there is simply absent from the answer. Needs GNU find, xargs and sha256sum on the board.
pub fn take(board: &dyn Board, roots: &[PathBuf]) -> Result<Inventory> {
    if roots.is_empty() {
        return Ok(Inventory::new());
    }
    let finished = script::ask(
        board,
        "listing and hashing files",
        &listing_of(roots)?,
        script::WORK,
    )?;
    parse(&finished.stdout)
}

/// The script of [`take`], for one that asks more than this; [`parse`] takes its answer.
pub(super) fn listing_of(roots: &[PathBuf]) -> Result<String> {
    for root in roots {
        ensure!(root.is_absolute(), "{} is no absolute path", root.display());
    }
    let roots = script::words(roots.iter().map(PathBuf::as_path))?;
    Ok(listing(&roots))
}

/// The script: a NUL-separated list of two records for each file (what it is, where it is), an empty record, NUL-separated hashes.
fn listing(roots: &str) -> String {
    format!(
        r#"set -eu
export LC_ALL=C
set -- {roots}
here=
for root in "$@"; do
    shift
    if [ -e "$root" ] || [ -L "$root" ]; then set -- "$@" "$root"; fi
done
if [ $# -gt 0 ]; then find "$@" -xdev -printf '%y\t%m\t%U\t%G\t%s\t%T@\t%F\t%l\0%p\0'; fi
printf '\0'
if [ $# -gt 0 ]; then find "$@" -xdev -type f -print0 | xargs -0 -r sha256sum -z --; fi
printf 'end\0'
"#
    )
}

/// The answer to [`listing_of`].
pub(super) fn parse(answer: &[u8]) -> Result<Inventory> {
    let text = std::str::from_utf8(answer).context("a file name on the board is not UTF-8")?;
    let (list, hashes) = match text.strip_prefix('\0') {
        Some(hashes) => ("", hashes),
        None => text
            .split_once("\0\0")
            .context("the list of files that came from the board is cut off")?,
    };
    let hashes = hashes
        .strip_suffix("end\0")
        .context("the list of hashes that came from the board is cut off")?;
    let hashes: BTreeMap<&str, &str> = hashes
        .split_terminator('\0')
        .filter_map(|record| record.split_once("  "))
        .map(|(hash, path)| (path, hash))
        .collect();
    let records: Vec<&str> = list.split_terminator('\0').collect();
    records
        .chunks(2)
        .map(|pair| match pair {
            [record, path] => entry(record, path, &hashes),
            _ => bail!("the list of files that came from the board is cut off"),
        })
        .collect()
}

fn entry(record: &str, path: &str, hashes: &BTreeMap<&str, &str>) -> Result<(PathBuf, Entry)> {
    let fields: Vec<&str> = record.splitn(8, '\t').collect();
    let [kind, mode, user, group, size, modified, filesystem, link] = fields[..] else {
        bail!(
            "the board listed a file in a form that is not understood: `{}`",
            record.escape_debug()
        );
    };
    let doing = || format!("reading what the board says of {path}");
    let content = match kind {
        "f" => Content::File {
            size: size.parse().with_context(doing)?,
            sha256: hashes
                .get(path)
                .with_context(|| format!("{path} could not be hashed on the board"))?
                .to_string(),
        },
        "d" => Content::Folder,
        "l" => Content::Link { to: link.to_string() },
        other => Content::Other(other.to_string()),
    };
    let seconds = modified.split_once('.').map_or(modified, |(seconds, _)| seconds);
    let entry = Entry {
        content,
        mode: u32::from_str_radix(mode, 8).with_context(doing)?,
        owner: (
            user.parse().with_context(doing)?,
            group.parse().with_context(doing)?,
        ),
        modified: seconds.parse().with_context(doing)?,
        filesystem: filesystem.to_string(),
    };
    Ok((PathBuf::from(path), entry))
}

/// How a file differs from what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// Absolute path on the board.
    pub path: PathBuf,
    /// What is different, in words.
    pub what: String,
}

/// Every difference in content, kind and mode: for files of ours, whose times nobody relies on.
pub fn other_content(expected: &Inventory, seen: &Inventory) -> Vec<Difference> {
    let without_times = |inventory: &Inventory| -> Inventory {
        let forget = |entry: &Entry| Entry {
            filesystem: String::new(),
            ..entry.clone()
        };
        inventory
            .iter()
            .map(|(path, entry)| (path.clone(), forget(entry)))
            .collect()
    };
    differences(&without_times(expected), &without_times(seen))
}

/// Every difference between two inventories in content, kind and mode; and in owner and, for files, time, where both file systems keep them.
/// The time of a folder changes with whatever comes and goes in it, and that is found by itself.
pub fn differences(expected: &Inventory, seen: &Inventory) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut add = |path: &Path, what: String| {
        all.push(Difference {
            path: path.to_path_buf(),
            what,
        });
    };
    for (path, was) in expected {
        match seen.get(path) {
            None => add(path, "is gone".into()),
            Some(is) => {
                if let Some(what) = difference(was, is) {
                    add(path, what);
                }
            }
        }
    }
    for path in seen.keys().filter(|path| !expected.contains_key(*path)) {
        add(path, "was not there before".into());
    }
    all
}

fn difference(was: &Entry, is: &Entry) -> Option<String> {
    match (&was.content, &is.content) {
        (Content::File { sha256: old, .. }, Content::File { sha256: new, .. }) if old != new => {
            return Some(format!(
                "has other bytes (SHA-256 {}…, was {}…)",
                short(new),
                short(old)
            ));
        }
        (Content::File { .. }, Content::File { .. }) => {}
        (old, new) if old == new => {}
        (old, new) => return Some(format!("is {new:?}, was {old:?}")),
    }
    let is_link = matches!(was.content, Content::Link { .. });
    if !is_link && was.mode != is.mode {
        return Some(format!("has mode {:o}, was {:o}", is.mode, was.mode));
    }
    if !was.keeps_owner_and_time() || !is.keeps_owner_and_time() {
        return None;
    }
    if was.owner != is.owner {
        let (now, old) = (is.owner, was.owner);
        return Some(format!("belongs to {}:{}, was {}:{}", now.0, now.1, old.0, old.1));
    }
    let is_file = matches!(was.content, Content::File { .. });
    (is_file && was.modified != is.modified).then(|| {
        format!(
            "was written again with the same bytes (time {}, was {})",
            is.modified, was.modified
        )
    })
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "d\t755\t0\t0\t4096\t1700000000.5\text4\t\0/lib/modules/r\0f\t644\t0\t0\t3\t1700000001.0\text4\t\0/lib/modules/r/a b.ko\0l\t777\t0\t0\t3\t1.0\text4\t/usr/src\0/lib/modules/r/build\0";

    #[test]
    fn a_listing_is_read_with_blanks_in_names() {
        let answer = format!("{LIST}\0abc123  /lib/modules/r/a b.ko\0end\0");
        let inventory = parse(answer.as_bytes()).unwrap();
        assert_eq!(inventory.len(), 3);
        assert_eq!(
            inventory[Path::new("/lib/modules/r/a b.ko")].sha256(),
            Some("abc123")
        );
        assert_eq!(inventory[Path::new("/lib/modules/r")].modified, 1_700_000_000);
    }

    #[test]
    fn a_file_without_a_hash_or_a_cut_answer_is_an_error() {
        assert!(parse(format!("{LIST}\0end\0").as_bytes()).is_err());
        assert!(parse(format!("{LIST}\0abc123  /lib/modules/r/a b.ko\0").as_bytes()).is_err());
        assert!(parse(LIST.as_bytes()).is_err());
        assert!(parse(b"\0end\0").unwrap().is_empty());
    }

    #[test]
    fn differences_name_the_file() {
        let old = parse(format!("{LIST}\0abc123  /lib/modules/r/a b.ko\0end\0").as_bytes()).unwrap();
        let mut new = parse(format!("{LIST}\0abc124  /lib/modules/r/a b.ko\0end\0").as_bytes()).unwrap();
        assert!(differences(&old, &old).is_empty());
        let found = differences(&old, &new);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("other bytes"));
        let changed = |change: &dyn Fn(&mut Entry)| {
            let mut new = old.clone();
            change(new.get_mut(Path::new("/lib/modules/r/a b.ko")).unwrap());
            differences(&old, &new)
        };
        assert!(
            changed(&|entry| entry.owner = (1000, 0))[0]
                .what
                .contains("belongs to 1000:0, was 0:0")
        );
        assert!(
            changed(&|entry| entry.modified += 1)[0]
                .what
                .contains("written again")
        );
        let on_fat = |entry: &mut Entry| (entry.modified, entry.filesystem) = (1, "vfat".into());
        assert!(changed(&on_fat).is_empty());
        new.remove(Path::new("/lib/modules/r/build"));
        assert_eq!(differences(&old, &new).len(), 2);
    }
}
