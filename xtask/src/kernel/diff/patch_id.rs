//! The patch id of git-patch-id(1) `--stable`: a hash of what a diff changes, without line numbers and white space.

use sha1::{Digest, Sha1};

/// What is being read.
#[derive(Clone, Copy)]
enum At {
    Header,
    Binary,
    /// In a hunk, or behind it, with this many lines before and after still to come.
    Hunk(usize, usize),
}

/// The stable patch id of a diff, lower-case hex. A test compares it with git's own.
pub fn stable(diff: &[u8]) -> String {
    let mut sum = [0u8; 20];
    let mut hash = Sha1::new();
    let mut at = At::Header;
    let mut blobs: (&[u8], &[u8]) = (b"", b"");
    for line in diff.split_inclusive(|byte| *byte == b'\n') {
        // `\ No newline at end of file`
        if line.starts_with(b"\\ ") && line.len() > 12 {
            continue;
        }
        match &mut at {
            At::Header if line.starts_with(b"GIT binary patch") => {
                hash.update(blobs.0);
                hash.update(blobs.1);
                add(&mut sum, &mut hash);
                at = At::Binary;
                continue;
            }
            At::Header if line.starts_with(b"index ") => {
                blobs = line.strip_prefix(b"index ").and_then(ids).unwrap_or(blobs);
                continue;
            }
            At::Header if line.starts_with(b"--- ") => at = At::Hunk(0, 1),
            At::Header => {}
            At::Binary => {
                // As git does, the line that begins the file behind a binary one is not part of the hash.
                if line.starts_with(b"diff ") {
                    at = At::Header;
                }
                continue;
            }
            At::Hunk(0, 0) if line.starts_with(b"@@ -") => {
                let (old, new) = super::hunk_counts(line).map_or((0, 0), |(old, new)| (old.count, new.count));
                at = At::Hunk(old, new);
                continue;
            }
            At::Hunk(0, 0) => {
                add(&mut sum, &mut hash);
                at = At::Header;
            }
            At::Hunk(old, new) => {
                *old = old.saturating_sub(usize::from(matches!(line.first(), Some(b'-' | b' '))));
                *new = new.saturating_sub(usize::from(matches!(line.first(), Some(b'+' | b' '))));
            }
        }
        let text: Vec<u8> = line
            .iter()
            .copied()
            .filter(|byte| !b" \t\n\r".contains(byte))
            .collect();
        hash.update(&text);
    }
    add(&mut sum, &mut hash);
    hex::encode(sum)
}

/// Adds the hash of one file to the sum, so that the order of the files does not matter.
fn add(sum: &mut [u8; 20], hash: &mut Sha1) {
    let mut carry = 0u16;
    for (place, byte) in sum.iter_mut().zip(hash.finalize_reset()) {
        carry = carry
            .wrapping_add(u16::from(*place))
            .wrapping_add(u16::from(byte));
        *place = carry as u8;
        carry >>= 8;
    }
}

/// `abc..def[ 100644]`.
fn ids(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.windows(2).position(|two| two == b"..")?;
    let (old, rest) = line.split_at_checked(at)?;
    let new = rest
        .strip_prefix(b"..")?
        .split(u8::is_ascii_whitespace)
        .next()
        .unwrap_or_default();
    Some((old, new))
}
