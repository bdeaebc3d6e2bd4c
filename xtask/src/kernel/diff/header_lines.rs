//! Single lines of a diff taken apart: modes, counts of a hunk, ids of blobs.

use super::hunks::Range;
use super::paths::unquote;
use std::path::PathBuf;

pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

pub(super) fn strip_any<'a>(line: &'a [u8], prefixes: &[&[u8]]) -> Option<&'a [u8]> {
    prefixes.iter().find_map(|prefix| line.strip_prefix(*prefix))
}

pub(super) fn octal(mode: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(trim_end(mode)).ok()?, 8).ok()
}

pub(super) enum PlainPath {
    Nothing,
    Is(PathBuf),
    Unusable,
}

/// The path of a `---` or `+++` line without its first folder; nothing where diff(1) says by a time of 1970 that there
/// is no such file.
pub(super) fn plain_path(line: &[u8]) -> PlainPath {
    let mut fields = line.splitn(2, |byte| *byte == b'\t');
    let name = trim_end(fields.next().unwrap_or(line));
    let time = fields.next().unwrap_or_default();
    if name == b"/dev/null" || is_epoch(time) {
        return PlainPath::Nothing;
    }
    let path = unquote(name);
    let mut parts = path.components();
    parts.next();
    match parts.as_path() {
        path if path.as_os_str().is_empty() => PlainPath::Unusable,
        path => PlainPath::Is(path.to_path_buf()),
    }
}

/// Whether a time stamp of diff(1), such as `1970-01-01 01:00:00.000000000 +0100`, is the beginning of Unix time.
fn is_epoch(time: &[u8]) -> bool {
    let Ok(time) = std::str::from_utf8(trim_end(time)) else {
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
