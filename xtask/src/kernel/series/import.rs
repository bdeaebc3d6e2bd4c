//! A mailbox, such as `b4 am` writes, made a series: which mails are its patches, in which order, under which names.

use super::chosen::Chosen;
use crate::kernel::patch::mbox::{self, Letter};
use crate::kernel::patch::{Envelope, MadeOn, Patch, Scissors, envelope};
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
    /// Which patches were asked for; `None`: all of the series.
    pub chosen: Option<Chosen>,
    /// Subjects of the patches that were not.
    pub not_chosen: Vec<String>,
    /// What the cover letter or a patch says that the series was made on.
    pub made_on: MadeOn,
}

/// Reads a mailbox. The order is that of the `[PATCH n/m]` numbers; of `chosen`, all of those that
/// are named and no others. Errors, with the line of the mailbox: a number that is missing or there
/// twice, a series that is not one (different m), a patch that cannot be read, no patch at all.
pub fn read(bytes: &[u8], scissors: Scissors, chosen: Option<&Chosen>) -> Result<Import> {
    let mut found: Vec<(Option<Number>, Letter, Envelope)> = Vec::new();
    let mut left_out = Vec::new();
    let (mut made_on, mut of_patches) = (MadeOn::default(), MadeOn::default());
    for letter in mbox::split(bytes)? {
        let head = envelope(&letter.bytes).with_context(|| format!("in the mail of line {}", letter.line))?;
        let number = number(&head.subject);
        // A cover letter speaks for all of the series, wherever it stands; an answer for nobody.
        match (head.has_diff, is_answer(&head.subject)) {
            (true, _) => of_patches.add(&head.made_on),
            (false, false) => made_on.add(&head.made_on),
            (false, true) => {}
        }
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
    put_in_order(&mut found, chosen)?;
    made_on.add(&of_patches);
    let (mut files, mut not_chosen) = (Vec::new(), Vec::new());
    for (at, (number, letter, head)) in found.into_iter().enumerate() {
        let number = number.map_or(u32::try_from(at.saturating_add(1))?, |number| number.n);
        if chosen.is_some_and(|chosen| !chosen.has(number)) {
            not_chosen.push(head.subject);
            continue;
        }
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
    Ok(Import {
        files,
        left_out,
        chosen: chosen.cloned(),
        not_chosen,
        made_on,
    })
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

fn put_in_order(found: &mut [(Option<Number>, Letter, Envelope)], chosen: Option<&Chosen>) -> Result<()> {
    let numbered: Vec<(Number, usize)> = found
        .iter()
        .filter_map(|(n, letter, _)| Some(((*n)?, letter.line)))
        .collect();
    if numbered.is_empty() {
        let there: Vec<u32> = (1..=u32::try_from(found.len())?).collect();
        return refuse_missing(&there, u32::try_from(found.len())?, chosen);
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
    let there: Vec<u32> = in_order.iter().map(|(n, _)| *n).collect();
    refuse_missing(&there, m, chosen)?;
    found.sort_by_key(|(number, _, _)| number.map(|number| number.n));
    Ok(())
}

/// `there` are the numbers of the patches, in order, each once and none above `m`.
fn refuse_missing(there: &[u32], m: u32, chosen: Option<&Chosen>) -> Result<()> {
    if let Some(chosen) = chosen {
        if let Some(n) = chosen.first_missing(there, m) {
            let all = Chosen::of(there.iter().copied())
                .map(|all| all.to_string())
                .unwrap_or_default();
            bail!(
                "patch {n}/{m} was asked for with `--cherry-pick {chosen}` and is not in the mailbox; \
                 there are {all}"
            );
        }
        return Ok(());
    }
    let missing = usize::try_from(m)?.saturating_sub(there.len());
    if let Some(all) = Chosen::of(there.iter().copied()).filter(|_| missing > 0) {
        bail!(
            "{} not in the mailbox, and a series has to be complete; `--cherry-pick {all}` imports what \
             is there",
            not_there(there, m, missing)
        );
    }
    Ok(())
}

/// Most missing patches that are named. A mail may say that it is one of four thousand million.
const NAMED: usize = 5;

/// `patch 2/3 is`, with the first of the numbers that are missing; `there` is in order.
fn not_there(there: &[u32], m: u32, missing: usize) -> String {
    let mut expected = 1u32;
    let mut names = Vec::new();
    let ends = there.iter().copied().chain([m.saturating_add(1)]);
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

/// The `series` file of an import. What the series was made on is kept as comments, since the cover
/// letter is not.
pub fn list(import: &Import, mailbox: &Path) -> String {
    let from = mailbox.file_name().unwrap_or_default().to_string_lossy();
    let names: String = import
        .files
        .iter()
        .map(|file| format!("{}\n", file.name))
        .collect();
    let made_on: String = import
        .made_on
        .to_string()
        .lines()
        .map(|line| format!("# {line}\n"))
        .collect();
    let part = import
        .chosen
        .as_ref()
        .map(|chosen| format!(", patches {chosen} of the series"))
        .unwrap_or_default();
    format!("# SPDX-License-Identifier: GPL-2.0-only\n# Imported from {from}{part}.\n{made_on}{names}")
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

    #[test]
    fn a_mail_of_one_long_line_is_not_copied_again_and_again() {
        let name = "kernel::series::import::tests::a_mail_of_one_long_line_is_not_copied_again_and_again";
        crate::host::measured::within(150, name, &[], || {
            let error = read(&vec![b'x'; 30_000_000], Scissors::Kept, None).unwrap_err();
            assert!(error.to_string().contains("there is no patch"), "{error}");
        });
    }

    fn import(mails: &[(&str, &str)]) -> Result<Import> {
        let text: String = mails.iter().map(|(subject, body)| mail(subject, body)).collect();
        read(text.as_bytes(), Scissors::Kept, None)
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
            list(&import, Path::new("x/v2.mbx")).lines().nth(2),
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
    fn a_part_of_a_series_is_taken_when_it_is_asked_for() {
        let text: String = [
            ("[PATCH 5/9] e", DIFF),
            ("[PATCH 7/9] g", DIFF),
            ("[PATCH 8/9] h", DIFF),
        ]
        .map(|(subject, body)| mail(subject, body))
        .concat();
        let refused = format!("{:#}", read(text.as_bytes(), Scissors::Kept, None).unwrap_err());
        assert!(
            refused.contains("`--cherry-pick 5,7-8` imports what is there"),
            "{refused}"
        );
        let take = |chosen: &str| read(text.as_bytes(), Scissors::Kept, Some(&chosen.parse().unwrap()));
        let import = take("5,8").unwrap();
        let names: Vec<&str> = import.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["0005-e.patch", "0008-h.patch"]);
        assert_eq!(import.not_chosen, ["[PATCH 7/9] g"]);
        let refused = format!("{:#}", take("5-8").unwrap_err());
        assert!(
            refused.contains("patch 6/9 was asked for with `--cherry-pick 5-8`"),
            "{refused}"
        );
        let plain = [mail("[PATCH] a", DIFF), mail("[PATCH] b", DIFF)].concat();
        let second = read(plain.as_bytes(), Scissors::Kept, Some(&"2".parse().unwrap())).unwrap();
        assert_eq!(second.files[0].name, "0002-b.patch");
        assert!(read(plain.as_bytes(), Scissors::Kept, Some(&"3".parse().unwrap())).is_err());
    }

    #[test]
    fn what_a_cover_letter_says_of_the_base_is_kept() {
        let (base, other) = ("1".repeat(40), "2".repeat(40));
        let import = import(&[
            ("Re: [PATCH 0/1] all", &format!("base-commit: {other}")),
            (
                "[PATCH 1/1] a",
                &format!("{DIFF}\nprerequisite-patch-id: {other}\n"),
            ),
            ("[PATCH 0/1] all", &format!("Cover.\n---\nbase-commit: {base}")),
        ])
        .unwrap();
        let text = list(&import, Path::new("v1.mbx"));
        assert!(
            text.contains(&format!(
                "# base-commit: {base}\n# prerequisite-patch-id: {other}\n0001-a.patch\n"
            )),
            "{text}"
        );
    }

    #[test]
    fn scissors_cut_when_they_are_asked_to() {
        let body = format!(
            "Hello,\n\nhow about this?\n\n-- >8 --\nFrom: Bob <bob@x>\nSubject: [PATCH] the real one\n\n{DIFF}"
        );
        let text = mail("an idea", &body);
        let kept = read(text.as_bytes(), Scissors::Kept, None).unwrap();
        assert_eq!(kept.files[0].patch.subject, "an idea");
        assert!(kept.files[0].patch.scissors.is_some());
        let cut = read(text.as_bytes(), Scissors::Cut, None).unwrap();
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
