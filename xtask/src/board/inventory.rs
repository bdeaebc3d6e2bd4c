//! What files are on the board: kind, mode, owner, size, time and hash, taken in one call and hashed there, since only the list of
//! hashes should cross a slow line.

mod entries;
mod path;

pub use entries::{Inventory, is_sha256};
pub use path::{BoardPath, Crooked, Refused};

use super::script::THERE;
use super::{Board, script};
use crate::host::one_line;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

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

/// What it is, on one line, whatever a link or a kind has in it.
impl fmt::Display for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::File { .. } => out.write_str("a file"),
            Content::Folder => out.write_str("a folder"),
            Content::Link { to } => write!(out, "a link to {}", one_line::one_line(to)),
            Content::Other(kind) => write!(out, "a device, socket or pipe (`{}`)", one_line::one_line(kind)),
        }
    }
}

impl Entry {
    /// Whether its file system keeps owners and times. FAT has no owners, and its times are local: they move with the time zone.
    fn keeps_owner_and_time(&self) -> bool {
        !matches!(
            self.filesystem.as_str(),
            "" | "vfat" | "msdos" | "exfat" | "fuseblk"
        )
    }

    /// Whether it is a folder.
    pub(super) fn is_folder(&self) -> bool {
        self.content == Content::Folder
    }

    /// What a person has to make at `path`, where no program does.
    pub(super) fn to_make(&self, path: &Path) -> String {
        format!(
            "{} was {}, mode {:o}",
            one_line::path(path),
            self.content,
            self.mode
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

/// Most files, folders and links of an inventory: a kernel of a distribution has 7,000 modules.
/// Each takes some 400 bytes of memory.
const MOST_FILES: usize = 200_000;

/// Takes the inventory of `roots` (files, or folders with all that is in them; on their own file system). A root that is not
/// there is simply absent from the answer; one that cannot be looked at is an error. Needs GNU find
/// and sha256sum on the board.
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
    parse(&finished.stdout, roots)
}

/// The script of [`take`], for one that asks more than this; [`parse`] takes its answer.
pub(super) fn listing_of(roots: &[PathBuf]) -> Result<String> {
    for root in roots {
        BoardPath::new(root)?;
    }
    let roots = script::words(roots.iter().map(PathBuf::as_path))?;
    Ok(listing(&roots))
}

/// The script: for each file two NUL-separated records (what it is, where it is), and for each regular one, somewhere behind them, a third as
/// `sha256sum -z` prints it. One walk: find writes out what it has to say before it starts a program (GNU findutils, find/exec.c, `launch`), so
/// that no record is cut through by another.
fn listing(roots: &str) -> String {
    format!(
        r#"set -eu
export LC_ALL=C
{THERE}set -- {roots}
for root in "$@"; do
    shift
    if there "$root"; then set -- "$@" "$root"; fi
done
if [ $# -gt 0 ]; then
    find "$@" -xdev -printf '%y\t%m\t%U\t%G\t%s\t%T@\t%F\t%l\0%p\0' -type f -exec sha256sum -z -- {{}} +
fi
printf 'end\0'
"#
    )
}

/// The answer to [`listing_of`] `roots`. Errors: it is cut off or not understood; it lists what was not asked for, or one file in two ways.
pub fn parse(answer: &[u8], roots: &[PathBuf]) -> Result<Inventory> {
    const CUT_OFF: &str = "the list of files that came from the board is cut off";
    let text = std::str::from_utf8(answer).context("a file name on the board is not UTF-8")?;
    let mut records = text
        .strip_suffix("end\0")
        .context(CUT_OFF)?
        .split_terminator('\0');
    let mut files: Vec<(&str, &str)> = Vec::new();
    let mut hashes: BTreeMap<&str, &str> = BTreeMap::new();
    while let Some(record) = records.next() {
        match hash(record) {
            None => files.push((record, records.next().context(CUT_OFF)?)),
            Some((hash, path)) => {
                let other = hashes.insert(path, hash).is_some_and(|other| other != hash);
                ensure!(!other, "{} changed while it was hashed", one_line::one_line(path));
            }
        }
    }
    ensure!(
        files.len() <= MOST_FILES,
        "the board listed {} files, and {MOST_FILES} are the most that are looked at",
        files.len()
    );
    let mut found = Inventory::new();
    for (record, path) in files {
        let entry = entry(record, path, &hashes)?;
        // Roots may lie within one another; then a file is listed once for each.
        match found.get(Path::new(path)) {
            Some(known) if *known == entry => {}
            Some(_) => bail!("{} changed while it was listed", one_line::one_line(path)),
            None => found
                .add(path, entry)
                .context("the board listed a file that cannot be")?,
        }
    }
    found
        .check(roots)
        .context("the board listed other files than those that it was asked for")?;
    Ok(found)
}

/// Hash and path of a record of `sha256sum -z`. One of find begins with a letter and a tab.
fn hash(record: &str) -> Option<(&str, &str)> {
    let (hash, path) = record.split_once("  ")?;
    is_sha256(hash).then_some((hash, path))
}

fn entry(record: &str, path: &str, hashes: &BTreeMap<&str, &str>) -> Result<Entry> {
    let fields: Vec<&str> = record.splitn(8, '\t').collect();
    let [kind, mode, user, group, size, modified, filesystem, link] = fields[..] else {
        bail!(
            "the board listed a file in a form that is not understood: `{}`",
            one_line::one_line(record)
        );
    };
    let doing = || format!("reading what the board lists of {}", one_line::one_line(path));
    let content = match kind {
        "f" => Content::File {
            size: size.parse().with_context(doing)?,
            sha256: hashes
                .get(path)
                .with_context(|| format!("{} could not be hashed on the board", one_line::one_line(path)))?
                .to_string(),
        },
        "d" => Content::Folder,
        "l" => Content::Link { to: link.to_string() },
        other => Content::Other(other.to_string()),
    };
    let seconds = modified.split_once('.').map_or(modified, |(seconds, _)| seconds);
    Ok(Entry {
        content,
        mode: u32::from_str_radix(mode, 8).with_context(doing)?,
        owner: (
            user.parse().with_context(doing)?,
            group.parse().with_context(doing)?,
        ),
        modified: seconds.parse().with_context(doing)?,
        filesystem: filesystem.to_string(),
    })
}

/// How a file differs from what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// Absolute path on the board.
    #[serde(serialize_with = "crate::host::json::named")]
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
            .collect::<Inventory>()
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
        match seen.get(path.as_path()) {
            None => add(path, "is gone".into()),
            Some(is) => {
                if let Some(what) = difference(was, is) {
                    add(path, what);
                }
            }
        }
    }
    for path in seen.keys().filter(|path| !expected.contains_key(path.as_path())) {
        add(path, "was not there before".into());
    }
    all
}

/// Whether an entry is what another one was, as [`differences`] compares them.
pub fn same(was: &Entry, is: &Entry) -> bool {
    difference(was, is).is_none()
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
        (old, new) => return Some(format!("is {new}, was {old}")),
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
    use crate::host::files::sha256;
    use crate::host::process;

    const LIST: &str = "d\t755\t0\t0\t4096\t1700000000.5\text4\t\0/lib/modules/r\0f\t644\t0\t0\t3\t1700000001.0\text4\t\0/lib/modules/r/a b.ko\0l\t777\t0\t0\t3\t1.0\text4\t/usr/src\0/lib/modules/r/build\0";

    /// [`LIST`] with a hash of one digit.
    fn answer(digit: char) -> Vec<u8> {
        let hash = digit.to_string().repeat(64);
        format!("{LIST}{hash}  /lib/modules/r/a b.ko\0end\0").into_bytes()
    }

    fn roots() -> [PathBuf; 1] {
        ["/lib/modules/r".into()]
    }

    fn parsed(digit: char) -> Inventory {
        parse(&answer(digit), &roots()).unwrap()
    }

    /// A board that is not asked for these, or lists them in two ways, or with names that lead elsewhere.
    #[test]
    fn a_board_cannot_list_what_it_was_not_asked_for() {
        let folder = |path: &str| format!("d\t755\t0\t0\t4096\t1.5\text4\t\0{path}\0");
        let said = |text: &str| {
            format!(
                "{:#}",
                parse(format!("{text}end\0").as_bytes(), &roots()).unwrap_err()
            )
        };
        for (path, why) in [
            ("/lib/modules/r/../../../etc", "empty, `.` or `..`"),
            ("/lib/modules/r/..", "empty, `.` or `..`"),
            ("/lib/modules/r//x", "empty, `.` or `..`"),
            ("/lib/modules/r2", "outside of what was asked for"),
            ("/etc", "outside of what was asked for"),
            ("etc", "not absolute"),
            ("/", "the root folder itself"),
            ("", "not absolute"),
        ] {
            let error = said(&folder(path));
            assert!(error.contains(why), "{path}: {error}");
        }
        let one = folder("/lib/modules/r");
        let other = one.replace("755", "700");
        let twice = parse(format!("{one}{one}end\0").as_bytes(), &roots());
        assert_eq!(twice.unwrap().len(), 1, "roots within one another");
        assert!(said(&format!("{one}{other}")).contains("changed while it was listed"));
        let hashes = format!("{LIST}{}  /x\0{}  /x\0", "a".repeat(64), "b".repeat(64));
        assert!(said(&hashes).contains("/x changed while it was hashed"));
        let hostile = folder("/lib/modules/r/../\u{1b}[2J\nrestore nothing");
        assert!(!said(&hostile).contains(['\u{1b}', '\n']), "{:?}", said(&hostile));
        assert!(listing_of(&["/a/../b".into()]).is_err());
    }

    #[test]
    fn a_listing_is_read_with_blanks_in_names() {
        let inventory = parsed('c');
        assert_eq!(inventory.len(), 3);
        assert_eq!(
            inventory[Path::new("/lib/modules/r/a b.ko")].sha256(),
            Some("c".repeat(64).as_str())
        );
        assert_eq!(inventory[Path::new("/lib/modules/r")].modified, 1_700_000_000);
    }

    /// find starts sha256sum several times there, between its own words.
    #[test]
    fn a_walk_with_more_names_than_one_command_line_takes() {
        let folder = tempfile::tempdir().unwrap();
        let name = |number: usize| folder.path().join(format!("{number:0200}\t\n  x"));
        for number in 0..3000 {
            std::fs::write(name(number), number.to_string()).unwrap();
        }
        let roots = [folder.path().into(), "/nowhere".into()];
        let script = listing_of(&roots).unwrap();
        let sh = xshell::Shell::new().unwrap();
        let listed = process::finish(xshell::cmd!(sh, "sh -c {script}"), script::WORK).unwrap();
        let inventory = parse(&listed.stdout, &roots).unwrap();
        assert_eq!(inventory.len(), 3001);
        for number in 0..3000 {
            assert_eq!(
                inventory[&name(number)].sha256(),
                Some(sha256(number.to_string().as_bytes()).as_str())
            );
        }
    }

    #[test]
    fn a_file_without_a_hash_or_a_cut_answer_is_an_error() {
        assert!(parse(format!("{LIST}end\0").as_bytes(), &roots()).is_err());
        let whole = answer('c');
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], &roots()).is_err(), "{length}");
        }
        assert!(parse(b"end\0", &roots()).unwrap().is_empty());
    }

    #[test]
    fn differences_name_the_file() {
        let (old, mut new) = (parsed('c'), parsed('d'));
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
