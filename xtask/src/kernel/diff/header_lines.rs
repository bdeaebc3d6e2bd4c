//! Single lines of a diff taken apart: modes, counts of a hunk, ids of blobs.

use super::hunks::Range;
use super::paths::unquote;
use regex::bytes::Regex;
use std::path::PathBuf;
use std::sync::LazyLock;

pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

pub(super) fn strip_any<'a>(line: &'a [u8], prefixes: &[&[u8]]) -> Option<&'a [u8]> {
    prefixes.iter().find_map(|prefix| line.strip_prefix(*prefix))
}

pub(super) fn octal(mode: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(trim_end(mode)).ok()?, 8).ok()
}

/// What a `---` or `+++` line of a diff that git did not write names.
pub(super) enum PlainPath {
    /// `/dev/null`: there is no such file.
    Nothing,
    /// A file that is not there, by a time of 1970: how diff(1) `-N` says so.
    Was(PathBuf),
    /// A file.
    Is(PathBuf),
    /// A name of which nothing is left without its first folder.
    Unusable,
}

/// What is in front of each name of a diff that git did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Prefix {
    /// A folder (`-p1`).
    #[default]
    Folder,
    /// Nothing (`-p0`).
    Nothing,
}

impl Prefix {
    /// git's guess (`guess_p_value()` in apply.c), which holds for the rest of the patch once it is
    /// made: nothing is in front where the `+++` line names a file without a folder. `None`: that
    /// line tells nothing.
    pub(super) fn of(new: &[u8]) -> Option<Self> {
        let name = name_of(new);
        (name != b"/dev/null" && !name.contains(&b'/')).then_some(Prefix::Nothing)
    }
}

/// The path of a `---` or `+++` line.
pub(super) fn plain_path(line: &[u8], prefix: Prefix) -> PlainPath {
    let name = name_of(line);
    if name == b"/dev/null" {
        return PlainPath::Nothing;
    }
    let path = unquote(name);
    let mut parts = path.components();
    if prefix == Prefix::Folder {
        parts.next();
    }
    match parts.as_path() {
        path if path.as_os_str().is_empty() => PlainPath::Unusable,
        path if is_epoch(line) => PlainPath::Was(path.to_path_buf()),
        path => PlainPath::Is(path.to_path_buf()),
    }
}

/// Of two names the new one, or the old one where the new one only adds to it (`f` and `f.orig`).
pub(super) fn shorter(old: PathBuf, new: PathBuf) -> PathBuf {
    let bytes = |path: &PathBuf| path.as_os_str().as_encoded_bytes().to_vec();
    if bytes(&new).starts_with(&bytes(&old)) {
        old
    } else {
        new
    }
}

/// The name on a `---` or `+++` line, without the time behind it.
fn name_of(line: &[u8]) -> &[u8] {
    let line = time_of(line).map_or(line, |(name, _)| name);
    trim_end(line.split(|byte| *byte == b'\t').next().unwrap_or(line))
}

/// A time stamp of diff(1) at the end of a line, and what is before it: `1970-01-01
/// 01:00:00.000000000 +0100`, behind a tab or a blank.
fn time_of(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let found = TIME.find(trim_end(line))?;
    line.split_at_checked(found.start())
}

/// The forms that git reads (`diff_timestamp_len()` in apply.c).
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    let form = r"[ \t](\d\d)?\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [-+]\d\d:?\d\d)?$";
    Regex::new(form).expect("the expression is a constant")
});

/// Whether the time stamp behind the last tab is the beginning of Unix time
/// (`has_epoch_timestamp()` in apply.c).
fn is_epoch(line: &[u8]) -> bool {
    let mut fields = trim_end(line).rsplitn(2, |byte| *byte == b'\t');
    let (Some(time), Some(_)) = (fields.next(), fields.next()) else {
        return false;
    };
    let Ok(time) = std::str::from_utf8(time) else {
        return false;
    };
    let forms = ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f %:z"];
    forms
        .iter()
        .filter_map(|form| jiff::Zoned::strptime(form, time).ok())
        .any(|time| time.timestamp() == jiff::Timestamp::UNIX_EPOCH)
}

/// Old and new range of `@@ -l,s +l,s @@`; a missing count is 1.
pub(super) fn hunk_counts(header: &[u8]) -> Option<(Range, Range)> {
    let text = header.strip_prefix(b"@@ -")?;
    let end = text.windows(3).position(|window| window == b" @@")?;
    let (old, new) = std::str::from_utf8(text.get(..end)?).ok()?.split_once(" +")?;
    let range = |range: &str| {
        let (start, count) = range.split_once(',').unwrap_or((range, "1"));
        Some(Range {
            start: start.parse().ok()?,
            count: count.parse().ok()?,
        })
    };
    Some((range(old)?, range(new)?))
}

/// `abc123..def456[ 100644]`.
pub(super) fn blob_ids(ids: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(ids).ok()?;
    let (old, new) = text.split_whitespace().next()?.split_once("..")?;
    Some((old.to_string(), new.to_string()))
}
