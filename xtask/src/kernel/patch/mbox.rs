//! A mailbox taken apart: `From ` lines of mbox, and the quoting of mboxrd.

use super::headers_of_others::as_mail;
use super::mail::is_git_separator;
use anyhow::{Result, bail};
use std::borrow::Cow;

/// One mail of a mailbox, with a first line as `git format-patch` writes it, so that it can stand as a patch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The mail, its first line included.
    pub bytes: Vec<u8>,
    /// Line of the mailbox in which it begins, from 1.
    pub line: usize,
}

/// What git puts where no commit is known.
const NO_COMMIT: &[u8] = b"From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n";

/// Takes a mailbox apart at the lines that git-mailsplit(1) takes for `From ` lines. public-inbox and b4 write
/// `mboxrd@z` as the sender of a mailbox in which a `>` was put before `From ` lines of the text: it is taken away
/// again. A file without any `From ` line is one mail, or a patch of StGit or Mercurial, which
/// becomes one. Errors: nothing in it.
pub fn split(bytes: &[u8]) -> Result<Vec<Letter>> {
    let mut letters: Vec<Letter> = Vec::new();
    let mut quoted = false;
    let unconverted = without_converted_line_ends(bytes);
    // A patch of StGit or Mercurial is known by its first lines, so it becomes a mail before it
    // gets one more.
    let bytes = as_mail(&unconverted);
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if is_from_line(line) {
            quoted = line.starts_with(b"From mboxrd@z ");
            letters.push(Letter {
                bytes: if is_git_separator(line) {
                    line.to_vec()
                } else {
                    NO_COMMIT.to_vec()
                },
                line: at.saturating_add(1),
            });
            continue;
        }
        let Some(letter) = letters.last_mut() else {
            if !line.trim_ascii().is_empty() {
                letters.push(Letter {
                    bytes: [NO_COMMIT, line].concat(),
                    line: at.saturating_add(1),
                });
            }
            continue;
        };
        let text = match quoted && is_quoted_from(line) {
            true => line.strip_prefix(b">").unwrap_or(line),
            false => line,
        };
        letter.bytes.extend_from_slice(text);
    }
    if letters.is_empty() {
        bail!("the mailbox is empty");
    }
    Ok(letters)
}

/// A file whose first line ends in CR LF had its line ends converted on its way: `git am` takes the CR of each line
/// away. In any other file a CR belongs to its line.
pub(super) fn without_converted_line_ends(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    if !lines.next().is_some_and(|first| first.ends_with(b"\r\n")) {
        return Cow::Borrowed(bytes);
    }
    let mut text = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => text.extend_from_slice(&[line, b"\n"].concat()),
            None => text.extend_from_slice(line),
        }
    }
    Cow::Owned(text)
}

/// `>From `, `>>From ` and so on (mboxrd).
fn is_quoted_from(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|byte| **byte == b'>').count();
    marks > 0 && line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "))
}

/// git's rule (builtin/mailsplit.c): `From `, somewhere behind it a time like `11:22`, and a year behind that.
pub(super) fn is_from_line(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let Some(rest) = line.strip_prefix(b"From ").filter(|_| line.len() >= 20) else {
        return false;
    };
    let Some(colon) = rest.iter().rposition(|byte| *byte == b':') else {
        return false;
    };
    let digit = |at: Option<usize>| at.and_then(|at| rest.get(at)).is_some_and(u8::is_ascii_digit);
    let times = [
        colon.checked_sub(4),
        colon.checked_sub(2),
        colon.checked_sub(1),
        colon.checked_add(1),
        colon.checked_add(2),
    ];
    let year = rest
        .get(colon.saturating_add(3)..)
        .unwrap_or_default()
        .trim_ascii_start();
    let year = year
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0u32, |year, digit| {
            year.saturating_mul(10)
                .saturating_add(u32::from(digit.wrapping_sub(b'0')))
        });
    times.into_iter().all(digit) && year > 90
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let letters = split(text.as_bytes()).unwrap();
        letters
            .into_iter()
            .map(|letter| {
                String::from_utf8(letter.bytes)
                    .unwrap()
                    .split_once('\n')
                    .unwrap()
                    .1
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn a_mailbox_is_taken_apart_at_its_from_lines() {
        let text = "From git@z Thu Jan  1 00:00:00 1970\nSubject: a\n\n>From here\nFrom there on\n\
                    From me@x Thu Jan  1 00:00:00 1970\nSubject: b\n";
        assert_eq!(
            texts(text),
            ["Subject: a\n\n>From here\nFrom there on\n", "Subject: b\n"]
        );
    }

    #[test]
    fn the_quoting_of_mboxrd_is_undone() {
        let text =
            "From mboxrd@z Thu Jan  1 00:00:00 1970\nSubject: a\n\n>From here\n>>From there\n> quoted\n";
        assert_eq!(texts(text), ["Subject: a\n\nFrom here\n>From there\n> quoted\n"]);
    }

    #[test]
    fn a_single_mail_is_a_mailbox_too() {
        assert_eq!(texts("\nSubject: a\n\nx\n"), ["Subject: a\n\nx\n"]);
        assert!(split(b" \n").unwrap_err().to_string().contains("empty"));
        assert_eq!(texts("Subject: a\r\n\r\nx\r\n"), ["Subject: a\n\nx\n"]);
    }
}
