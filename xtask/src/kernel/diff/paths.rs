//! Paths in the header of a diff: prefixes, quotes, spaces.

use super::trim_end;
use std::path::PathBuf;

/// The path of a `---` or `+++` line, without its first folder; `None` for `/dev/null`.
pub(super) fn named_path(path: &[u8]) -> Option<PathBuf> {
    // git puts a tab behind a name with spaces.
    let path = trim_end(path.split(|byte| *byte == b'\t').next().unwrap_or(path));
    let path = unquoted_bytes(path);
    if path == b"/dev/null" {
        return None;
    }
    below_first_folder(&path).map(to_path)
}

/// `a/X` without `a/`, whatever that folder is called (`diff.mnemonicPrefix`, `--src-prefix`): `git am` is `-p1`.
fn below_first_folder(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().position(|byte| *byte == b'/')?;
    path.get(slash.checked_add(1)?..).filter(|rest| !rest.is_empty())
}

/// Both paths of `diff --git a/X b/Y`, where that can be told: where X and Y are the same, or quoted. Others follow
/// from later header lines.
pub(super) fn header_paths(shown: &[u8]) -> Option<(PathBuf, PathBuf)> {
    if shown.starts_with(b"\"") {
        let (old, rest) = shown.split_at_checked(closing_quote(shown)?.checked_add(1)?)?;
        let new = unquoted_bytes(rest.strip_prefix(b" ")?);
        let old = unquoted_bytes(old);
        return Some((
            to_path(below_first_folder(&old)?),
            to_path(below_first_folder(&new)?),
        ));
    }
    // `a/X b/X`, where a space of a name may be the one between them.
    let spaces = shown.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    spaces
        .filter_map(|(at, _)| shown.split_at_checked(at))
        .find_map(|(old, new)| {
            let (old, new) = (below_first_folder(old)?, below_first_folder(new.get(1..)?)?);
            (old == new).then(|| (to_path(old), to_path(new)))
        })
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().enumerate().skip(1).find_map(|(at, byte)| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes.then_some(at)
    })
}

pub(super) fn unquote(path: &[u8]) -> PathBuf {
    to_path(unquoted_bytes(path))
}

fn to_path(bytes: impl AsRef<[u8]>) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes.as_ref()))
}

/// Undoes the quoting of `core.quotePath`: a name in double quotes with C escapes (git-config(1)).
fn unquoted_bytes(path: &[u8]) -> Vec<u8> {
    let Some(inner) = path.strip_prefix(b"\"").and_then(|path| path.strip_suffix(b"\"")) else {
        return path.to_vec();
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal: Vec<u8> = rest
            .iter()
            .copied()
            .take(3)
            .take_while(|c| (b'0'..=b'7').contains(c))
            .collect();
        if !octal.is_empty() {
            bytes.push(octal.iter().fold(0u8, |value, digit| {
                value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0'))
            }));
            rest = rest.get(octal.len()..).unwrap_or_default();
            continue;
        }
        if let [escaped, tail @ ..] = rest {
            bytes.push(match escaped {
                b'n' => b'\n',
                b't' => b'\t',
                b'a' => 7,
                b'b' => 8,
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                other => *other,
            });
            rest = tail;
        }
    }
    bytes
}
