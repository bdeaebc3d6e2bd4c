//! A patch file with another diff: its header, message and notes stay.

use super::Patch;
use regex::Regex;
use std::sync::LazyLock;

/// Lines of the diffstat that `git format-patch` puts between the notes and the diff.
static STAT: LazyLock<Regex> = LazyLock::new(|| {
    let forms = r"^ .+ \|\s+(\d+( [+-]+)?|Bin .*|Unmerged)\s*$|^ \d+ files? changed|^ (create|delete) mode \d+ |^ (rename|copy) .+ \(\d+%\)$|^ mode change \d+ |^ rewrite ";
    Regex::new(forms).expect("the expression is a constant")
});

/// The bytes of the patch file `old`, which holds `patch`, with the diff (and the diffstat) of `mail`, which `git
/// format-patch` wrote. Where the old file is encoded, `mail` is taken whole: its message is the same.
pub fn with_diff_of(patch: &Patch, old: &[u8], mail: &[u8]) -> Vec<u8> {
    let (Some(first), true) = (patch.files.first(), patch.plain) else {
        return mail.to_vec();
    };
    let start = offset_of_line(old, first.line).min(old.len());
    let (Some((before, diff)), Some((head, tail))) = (at_diff(mail), old.split_at_checked(start)) else {
        return mail.to_vec();
    };
    let (message, notes) = at_notes(head).unwrap_or((head, b""));
    let mut text = message.to_vec();
    let mut kept: Vec<&[u8]> = notes
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !STAT.is_match(String::from_utf8_lossy(line).trim_end_matches('\n')))
        .collect();
    while kept.last().is_some_and(|line| line.trim_ascii().is_empty()) {
        kept.pop();
    }
    text.extend(kept.concat());
    if !notes.is_empty() || head.ends_with(b"\n---\n") {
        if !kept.is_empty() {
            text.push(b'\n');
        }
        text.extend_from_slice(at_notes(before).map_or(b"", |(_, stat)| stat));
    }
    text.extend_from_slice(diff);
    let signature = tail.windows(5).rposition(|window| window == b"\n-- \n");
    if let Some((_, signature)) = signature.and_then(|at| tail.split_at_checked(at.saturating_add(1))) {
        // git puts an empty line behind the diff; a binary patch ends in one of its own.
        if text.ends_with(b"\n\n") && !patch_text_is_binary(diff) {
            text.pop();
        }
        text.extend_from_slice(signature);
    }
    text
}

fn patch_text_is_binary(text: &[u8]) -> bool {
    text.windows(18).any(|window| window == b"\nGIT binary patch\n")
}

fn offset_of_line(bytes: &[u8], line: usize) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum()
}

/// What stands before the diff, and the diff.
fn at_diff(mail: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = mail.windows(12).position(|window| window == b"\ndiff --git ")?;
    mail.split_at_checked(at.checked_add(1)?)
}

/// The message with the line that ends it, and what stands behind that.
fn at_notes(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = head.windows(5).rposition(|window| window == b"\n---\n")?;
    head.split_at_checked(at.checked_add(5)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_notes_and_signature_stay() {
        let head = "From 0 Mon Sep 17 00:00:00 2001\nFrom: A <a@b.c>\nSubject: [PATCH v3] x\n\nWhy.\n---\nSPDX-License-Identifier: GPL-2.0-only\n\n";
        let old = format!(
            "{head} f | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39\n\n"
        );
        let patch = Patch::parse("0001-x.patch", old.as_bytes()).unwrap();
        let stat = " f | 3 ++-\n 1 file changed, 2 insertions(+), 1 deletion(-)\n\n";
        let diff = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n-a\n+b\n+c\n";
        let mail = format!("From 1\nSubject: [PATCH] x\n\nWhy.\n---\n{stat}{diff}");
        let new = String::from_utf8(with_diff_of(&patch, old.as_bytes(), mail.as_bytes())).unwrap();
        assert_eq!(new, format!("{head}{stat}{diff}-- \n2.39\n\n"));
    }
}
