//! A mailbox, such as `b4 am` writes, made a series: which mails are its patches, in which order, under which names.

use crate::kernel::patch::mbox::{self, Letter};
use crate::kernel::patch::{Envelope, Patch, Scissors, envelope};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A file of the new series.
#[derive(Debug)]
pub struct NewFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The patch that it holds.
    pub patch: Patch,
}

/// What a mailbox holds.
#[derive(Debug)]
pub struct Import {
    /// The patches, in their order.
    pub files: Vec<NewFile>,
    /// Subjects of the mails that are no patches: the cover letter, answers.
    pub left_out: Vec<String>,
}

/// Reads a mailbox. The order is that of the `[PATCH n/m]` numbers. Errors, with the line of the mailbox: a number
/// that is missing or there twice, a series that is not one (different m), a patch that cannot be read, no patch at
/// all.
pub fn read(bytes: &[u8], scissors: Scissors) -> Result<Import> {
    let mut found: Vec<(Option<Number>, Letter, Envelope)> = Vec::new();
    let mut left_out = Vec::new();
    for letter in mbox::split(bytes)? {
        let head = envelope(&letter.bytes).with_context(|| format!("in the mail of line {}", letter.line))?;
        let number = number(&head.subject);
        match number {
            _ if head.has_diff => found.push((number, letter, head)),
            Some(Number { n, m }) if n > 0 && !is_answer(&head.subject) => bail!(
                "line {}: the mail `{}` says that it is patch {n} of {m}, and there is no diff in it",
                letter.line,
                head.subject
            ),
            _ => left_out.push(head.subject),
        }
    }
    if found.is_empty() {
        bail!(
            "there is no patch in the mailbox: none of its {} mails holds a diff",
            left_out.len()
        );
    }
    put_in_order(&mut found)?;
    let mut files = Vec::new();
    for (at, (number, letter, head)) in found.into_iter().enumerate() {
        let number = number.map_or(at.saturating_add(1), |number| number.n as usize);
        let doing = || format!("in the mail of line {} (`{}`)", letter.line, head.subject);
        let mut bytes = letter.bytes;
        let mut patch = Patch::parse_mail("mail", &bytes, scissors).with_context(doing)?;
        if scissors == Scissors::Cut && patch.scissors.is_none() && cuts(&bytes)? {
            bytes = without_what_was_cut(&patch, &bytes);
        }
        let name = format!("{number:04}-{}.patch", slug(&patch.subject));
        patch = Patch::parse(&name, &bytes).with_context(doing)?;
        files.push(NewFile { name, bytes, patch });
    }
    Ok(Import { files, left_out })
}

impl NewFile {
    /// Whether a licence is named anywhere in it. Nothing is written into what somebody else sent.
    pub fn names_a_licence(&self) -> bool {
        String::from_utf8_lossy(&self.bytes).contains("SPDX-License-Identifier:")
    }
}

/// `n/m` of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    n: u32,
    m: u32,
}

/// The `n/m` in the brackets at the start of a subject: `[PATCH v2 03/11] …`.
fn number(subject: &str) -> Option<Number> {
    let mut rest = subject;
    while let Some((inside, behind)) = rest.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
        for word in inside.split_whitespace() {
            let numbers = word
                .split_once('/')
                .and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
            if let Some((n, m)) = numbers {
                return Some(Number { n, m });
            }
        }
        rest = behind;
    }
    None
}

fn is_answer(subject: &str) -> bool {
    subject
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("re:"))
}

fn put_in_order(found: &mut [(Option<Number>, Letter, Envelope)]) -> Result<()> {
    let numbered: Vec<(Number, usize)> = found
        .iter()
        .filter_map(|(n, letter, _)| Some(((*n)?, letter.line)))
        .collect();
    if numbered.is_empty() {
        return Ok(());
    }
    if let Some((_, letter, head)) = found.iter().find(|(number, _, _)| number.is_none()) {
        bail!(
            "line {}: the patch `{}` has no number like `[PATCH 1/3]`, but others of this mailbox have one, so its place is unknown",
            letter.line,
            head.subject
        );
    }
    let Some((Number { m, .. }, first_line)) = numbered.first().copied() else {
        return Ok(());
    };
    if let Some((other, line)) = numbered.iter().find(|(number, _)| number.m != m) {
        bail!(
            "line {line}: this is a patch of {}, and the one in line {first_line} is of {m}: a mailbox has to hold one series",
            other.m
        );
    }
    let mut in_order: Vec<(u32, usize)> = numbered.iter().map(|(number, line)| (number.n, *line)).collect();
    in_order.sort_unstable();
    for pair in in_order.windows(2) {
        if let [(n, one), (same, other)] = pair
            && n == same
        {
            bail!(
                "line {other}: patch {n}/{m} is there twice, first in line {one}: two versions of the series?"
            );
        }
    }
    if let Some((n, line)) = in_order.iter().find(|(n, _)| *n > m || *n == 0) {
        bail!("line {line}: this patch says that it is {n} of {m}");
    }
    // Each number is there once, and none is above m.
    let missing = usize::try_from(m)?.saturating_sub(in_order.len());
    if missing > 0 {
        bail!(
            "{} not in the mailbox; all of the series has to be",
            not_there(&in_order, m, missing)
        );
    }
    found.sort_by_key(|(number, _, _)| number.map(|number| number.n));
    Ok(())
}

/// Most missing patches that are named. A mail may say that it is one of four thousand million.
const NAMED: usize = 5;

/// `patch 2/3 is`, with the first of the numbers that are missing; `there` is in order.
fn not_there(there: &[(u32, usize)], m: u32, missing: usize) -> String {
    let mut expected = 1u32;
    let mut names = Vec::new();
    let ends = there.iter().map(|(n, _)| *n).chain([m.saturating_add(1)]);
    for n in ends {
        let room = NAMED.saturating_sub(names.len());
        names.extend((expected..n).take(room).map(|n| format!("{n}/{m}")));
        expected = n.saturating_add(1);
    }
    let more = match missing.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let is = if missing == 1 { "patch" } else { "patches" };
    format!(
        "{is} {}{more} {}",
        names.join(", "),
        if missing == 1 { "is" } else { "are" }
    )
}

/// Whether scissors cut anything: the mail holds a scissors line.
fn cuts(bytes: &[u8]) -> Result<bool> {
    Ok(Patch::parse("mail", bytes)?.scissors.is_some())
}

/// The mail as `git format-patch` would have written it, since a patch file is read without scissors.
fn without_what_was_cut(patch: &Patch, bytes: &[u8]) -> Vec<u8> {
    let mut text = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .to_vec();
    text.extend(
        format!(
            "From: \"{}\" <{}>\n",
            patch.author.replace('"', "\\\""),
            patch.email
        )
        .bytes(),
    );
    if let Some(date) = patch.date {
        let sign = if date.offset_minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (date.offset_minutes.abs() / 60, date.offset_minutes.abs() % 60);
        text.extend(format!("Date: @{} {sign}{hours:02}{minutes:02}\n", date.seconds).bytes());
    }
    text.extend(
        format!(
            "Subject: [PATCH] {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n",
            patch.subject
        )
        .bytes(),
    );
    text.extend(format!("Content-Transfer-Encoding: 8bit\n\n{}\n---\n\n", patch.body).bytes());
    text.extend_from_slice(&patch.diff);
    text.extend_from_slice(b"-- \n\n");
    text
}

/// A subject as `git format-patch` makes a file name of it: letters, digits, `.` and `_`; at most 52 of them.
pub fn slug(subject: &str) -> String {
    let mut slug = String::new();
    for c in subject.chars() {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' && !slug.ends_with('.') {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.truncate(52);
    slug.trim_matches(['-', '.']).to_string()
}

/// The `series` file of an import.
pub fn list(files: &[NewFile], mailbox: &Path) -> String {
    let from = mailbox.file_name().unwrap_or_default().to_string_lossy();
    let names: String = files.iter().map(|file| format!("{}\n", file.name)).collect();
    format!("# SPDX-License-Identifier: GPL-2.0-only\n# Imported from {from}.\n{names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, body: &str) -> String {
        format!(
            "From git@z Thu Jan  1 00:00:00 1970\nFrom: Ann <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: {subject}\n\n{body}\n"
        )
    }

    const DIFF: &str = "Why.\n---\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n-- \n2.47\n";

    fn import(mails: &[(&str, &str)]) -> Result<Import> {
        let text: String = mails.iter().map(|(subject, body)| mail(subject, body)).collect();
        read(text.as_bytes(), Scissors::Kept)
    }

    fn error(mails: &[(&str, &str)]) -> String {
        format!("{:#}", import(mails).unwrap_err())
    }

    #[test]
    fn mails_are_put_in_the_order_of_their_numbers() {
        let import = import(&[
            ("[PATCH v2 2/2] media: b!", DIFF),
            ("Re: [PATCH v2 1/2] media: a", "Nice.\n> +b"),
            ("[PATCH v2 0/2] all of it", "Cover."),
            ("[PATCH v2 1/2] media: a", DIFF),
        ])
        .unwrap();
        let names: Vec<&str> = import.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["0001-media-a.patch", "0002-media-b.patch"]);
        assert_eq!(
            import.left_out,
            ["Re: [PATCH v2 1/2] media: a", "[PATCH v2 0/2] all of it"]
        );
        assert_eq!(
            list(&import.files, Path::new("x/v2.mbx")).lines().nth(2),
            Some("0001-media-a.patch")
        );
    }

    #[test]
    fn what_is_no_whole_series_is_refused() {
        assert!(
            error(&[("[PATCH 1/3] a", DIFF), ("[PATCH 3/3] c", DIFF)])
                .contains("patch 2/3 is not in the mailbox")
        );
        assert!(
            error(&[("[PATCH 1/4294967295] a", DIFF)]).contains(
                "patches 2/4294967295, 3/4294967295, 4/4294967295, 5/4294967295, 6/4294967295 and 4294967289 more are not in"
            )
        );
        assert!(error(&[("[PATCH 4294967295/4294967295] a", DIFF)]).contains("patches 1/4294967295, 2/"));
        assert!(error(&[("[PATCH 0/1] a", DIFF)]).contains("this patch says that it is 0 of 1"));
        assert!(
            error(&[("[PATCH 1/1] a", DIFF), ("[PATCH v2 1/1] a", DIFF)])
                .contains("patch 1/1 is there twice")
        );
        assert!(
            error(&[("[PATCH 1/1] a", DIFF), ("[PATCH 1/2] a", DIFF)]).contains("has to hold one series")
        );
        assert!(error(&[("[PATCH 1/1] a", DIFF), ("[PATCH] b", DIFF)]).contains("has no number like"));
        assert!(error(&[("[PATCH 1/1] a", "No diff.")]).contains("there is no diff in it"));
        assert!(error(&[("hello", "world")]).contains("there is no patch in the mailbox"));
        assert!(
            error(&[("[PATCH 1/1] a", &DIFF.replace("+b\n", ""))])
                .contains("in the mail of line 1 (`[PATCH 1/1] a`)")
        );
    }

    #[test]
    fn scissors_cut_when_they_are_asked_to() {
        let body = format!(
            "Hello,\n\nhow about this?\n\n-- >8 --\nFrom: Bob <bob@x>\nSubject: [PATCH] the real one\n\n{DIFF}"
        );
        let text = mail("an idea", &body);
        let kept = read(text.as_bytes(), Scissors::Kept).unwrap();
        assert_eq!(kept.files[0].patch.subject, "an idea");
        assert!(kept.files[0].patch.scissors.is_some());
        let cut = read(text.as_bytes(), Scissors::Cut).unwrap();
        let patch = &cut.files[0].patch;
        assert_eq!(
            (patch.subject.as_str(), patch.author.as_str(), patch.body.as_str()),
            ("the real one", "Bob", "Why.")
        );
    }

    #[test]
    fn names_are_made_as_git_makes_them() {
        assert_eq!(
            slug("media: vim2m: opt in, to (release) fences..."),
            "media-vim2m-opt-in-to-release-fences"
        );
        assert_eq!(slug("[media] \u{e4}nderung"), "media-nderung");
    }
}
