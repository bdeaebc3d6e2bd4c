//! A patch as `git format-patch` writes it, read as `git am` reads it: the commit that it makes and the diff.
//!
//! The message follows git's `mailinfo.c` (`cleanup_subject`, `patchbreak`, in-body headers) and `stripspace`; a test
//! compares the commits with those of `git am`.

use super::diff::{self, FileChange};
use crate::host::files::sha256;
use anyhow::{Context, Result, bail};
use mail_parser::MessageParser;
use mail_parser::{Encoding, MimeHeaders};
use std::path::{Path, PathBuf};

/// When the author wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorDate {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Offset of the author's clock from UTC, minutes.
    pub offset_minutes: i32,
}

/// One patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Name of the file, without its folder.
    pub name: String,
    /// Number at the start of the file name: 4 for `0004-x.patch`.
    pub number: Option<u32>,
    /// First line of the commit message, without `[PATCH …]`.
    pub subject: String,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When the author wrote it.
    pub date: AuthorDate,
    /// The commit message behind the subject, trailers included; ends without a newline, may be empty.
    pub body: String,
    /// The diff alone, as libgit2 takes it.
    pub diff: Vec<u8>,
    /// What the diff changes.
    pub files: Vec<FileChange>,
    /// SHA-256 of the whole file, lower-case hex: what a review approves.
    pub sha256: String,
}

impl Patch {
    /// Reads a patch file. Errors name the file and, where there is one, the line.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading the patch {}", path.display()))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::parse(&name, &bytes)
    }

    /// Parses the bytes of the patch file called `name`.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        refuse_damage(name, bytes)?;
        let mail = match bytes.strip_prefix(b"From ") {
            Some(_) => &bytes[line_end(bytes)..],
            None => bytes,
        };
        let lines_before = bytes[..bytes.len() - mail.len()]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let message = MessageParser::default()
            .parse(mail)
            .filter(|message| message.from().is_some())
            .with_context(|| missing(name, "From: NAME <ADDRESS>"))?;
        let sender = message
            .from()
            .and_then(|from| from.first())
            .with_context(|| missing(name, "From: NAME <ADDRESS>"))?;
        let mut header = Header {
            author: sender.name().unwrap_or_default().to_string(),
            email: sender
                .address()
                .with_context(|| missing(name, "From: NAME <ADDRESS>"))?
                .to_string(),
            date: message.date().map(author_date),
            subject: message.subject().unwrap_or_default().to_string(),
        };
        let (body, first_line) = body_bytes(&message, mail);
        let body = body.as_ref();
        let cut = message_end(body);
        let text = String::from_utf8_lossy(&body[..cut]);
        let text = header.take_in_body_headers(&text);
        let subject = cleanup_subject(&header.subject);
        if subject.is_empty() {
            bail!("{}", missing(name, "Subject: [PATCH] TEXT"));
        }
        let diff_line = lines_before + first_line + body[..cut].iter().filter(|b| **b == b'\n').count();
        let scanned = diff::scan(name, &body[cut..], diff_line)?;
        Ok(Patch {
            name: name.to_string(),
            number: leading_number(name),
            subject,
            author: author_name(&header.author, &header.email),
            email: header.email,
            date: header
                .date
                .with_context(|| missing(name, "Date: DAY, DATE TIME ZONE"))?,
            body: stripspace(text),
            diff: scanned.text,
            files: scanned.files,
            sha256: sha256(bytes),
        })
    }

    /// The commit message: subject, empty line, body, ended by a newline.
    pub fn message(&self) -> String {
        match self.body.as_str() {
            "" => format!("{}\n", self.subject),
            body => format!("{}\n\n{body}\n", self.subject),
        }
    }

    /// Every path that the patch reads or writes, in its order, each once.
    pub fn touched_files(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = Vec::new();
        for path in self.files.iter().flat_map(FileChange::paths) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// How a person would name it: its number as `git format-patch` writes it, else its file name.
    pub fn short_name(&self) -> String {
        self.number
            .map_or_else(|| self.name.clone(), |number| format!("{number:04}"))
    }
}

struct Header {
    author: String,
    email: String,
    date: Option<AuthorDate>,
    subject: String,
}

impl Header {
    /// `From:`, `Date:` and `Subject:` at the very start of the body replace the mail's own, as git-format-patch(1)
    /// `--from` writes them; gives the text behind them.
    fn take_in_body_headers<'a>(&mut self, text: &'a str) -> &'a str {
        let mut rest = text.trim_start_matches(['\n', '\r', ' ', '\t']);
        let mut found = false;
        loop {
            let line = rest.lines().next().unwrap_or_default();
            let Some((key, value)) = line.split_once(": ") else {
                break;
            };
            let parsed = match key {
                "From" => MessageParser::default()
                    .parse(format!("From: {value}\n\n").as_bytes())
                    .and_then(|mail| {
                        let sender = mail.from()?.first()?.clone().into_owned();
                        self.email = sender.address()?.to_string();
                        self.author = sender.name().unwrap_or_default().to_string();
                        Some(())
                    }),
                "Date" => mail_parser::DateTime::parse_rfc822(value)
                    .map(|date| self.date = Some(author_date(&date))),
                "Subject" => {
                    self.subject = value.to_string();
                    Some(())
                }
                _ => None,
            };
            if parsed.is_none() {
                break;
            }
            found = true;
            rest = rest
                .get(line.len()..)
                .unwrap_or_default()
                .trim_start_matches('\r');
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
        if found { rest } else { text }
    }
}

fn missing(name: &str, header: &str) -> String {
    format!("{name}: no `{header}` header: a patch has to be as `git format-patch` writes it")
}

/// What can be told before parsing: emptiness, converted line ends, several patches in one file.
fn refuse_damage(name: &str, bytes: &[u8]) -> Result<()> {
    if bytes.trim_ascii().is_empty() {
        bail!("{name}: the file is empty");
    }
    if bytes[..line_end(bytes)].ends_with(b"\r\n") {
        bail!(
            "{name}:1: the line ends in CR LF: a mail program or an editor has converted the line ends of this patch; \
             write it anew with `git format-patch`, or take it from the list with `b4 am`"
        );
    }
    let separators: Vec<usize> = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| is_separator(line))
        .map(|(at, _)| at + 1)
        .collect();
    if let [_, second, ..] = separators.as_slice() {
        bail!(
            "{name}:{second}: a second patch starts here; allowed is one patch a file (`git mailsplit` takes them apart)"
        );
    }
    Ok(())
}

/// `From <40 hex digits> Mon Sep 17 00:00:00 2001`: the first line of each patch of git-format-patch(1).
fn is_separator(line: &[u8]) -> bool {
    line.strip_prefix(b"From ").is_some_and(|rest| {
        rest.len() > 41
            && rest[..40].iter().all(u8::is_ascii_hexdigit)
            && rest[40..].starts_with(b" Mon Sep 17 00:00:00 2001")
    })
}

fn line_end(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |at| at + 1)
}

/// The decoded body, and the number of its first line in the mail, counted from 1 (of the encoded body where it is encoded: no closer
/// line can be named there).
fn body_bytes<'a>(message: &'a mail_parser::Message, mail: &'a [u8]) -> (std::borrow::Cow<'a, [u8]>, usize) {
    let root = message.root_part();
    let start = (root.offset_body as usize).min(mail.len());
    let first_line = mail[..start].iter().filter(|b| **b == b'\n').count() + 1;
    let utf8 = root
        .content_type()
        .and_then(|kind| kind.attribute("charset"))
        .is_none_or(|charset| {
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")
        });
    if root.encoding == Encoding::None && utf8 {
        // The bytes as they are: a diff may hold any.
        return (mail[start..].into(), first_line);
    }
    (root.contents().into(), first_line)
}

/// The name without quotes, which git takes out, too; the address if there is no name.
fn author_name(name: &str, email: &str) -> String {
    let name = name
        .replace('"', "")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if name.is_empty() { email.to_string() } else { name }
}

fn author_date(date: &mail_parser::DateTime) -> AuthorDate {
    let minutes = i32::from(date.tz_hour) * 60 + i32::from(date.tz_minute);
    AuthorDate {
        seconds: date.to_timestamp(),
        offset_minutes: if date.tz_before_gmt { -minutes } else { minutes },
    }
}

/// Where the commit message ends: `patchbreak` of git's mailinfo.c.
fn message_end(body: &[u8]) -> usize {
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let dashes = line.strip_prefix(b"---").is_some_and(|rest| {
            rest.trim_ascii().is_empty()
                || rest.len() > 2 && rest[0] == b' ' && !rest[1].is_ascii_whitespace()
        });
        if dashes || line.starts_with(b"diff -") || line.starts_with(b"Index: ") {
            return at;
        }
        at += line.len();
    }
    at
}

/// The subject without `Re:` and `[…]` in front, and with white space made single: `cleanup_subject` and `cleanup_space`
/// of git's mailinfo.c.
fn cleanup_subject(subject: &str) -> String {
    let mut rest = subject;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ':', '\n', '\r']);
        if rest
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("re:"))
        {
            rest = &rest[3..];
        } else if let Some((_, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            rest = behind;
        } else {
            break;
        }
    }
    rest.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// White space at line ends, empty lines at both ends and repeated empty lines go away: git-stripspace(1). No newline
/// at the end.
fn stripspace(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() || kept.last().is_some_and(|last| !last.is_empty()) {
            kept.push(line);
        }
    }
    kept.join("\n").trim_end().to_string()
}

/// The number that a file name starts with: `0004-x.patch` → 4.
pub fn leading_number(name: &str) -> Option<u32> {
    let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    name[..digits].parse().ok()
}

/// The file name of a path in a `series` file, for messages.
pub(super) fn file_name(path: &Path) -> String {
    PathBuf::from(path)
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n\
        From: =?UTF-8?q?J=C3=BCrgen=20M=C3=BCller?= <jm@example.org>\n\
        Date: Tue, 3 Mar 2026 10:11:12 -0330\n\
        Subject: [PATCH v2 3/7] media: vim2m: opt in to release fences on a long subject\n line\n\
        MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\
        \nWhy.   \n\n\nMore.\n\nSigned-off-by: Jürgen Müller <jm@example.org>\n---\nnotes\n f | 1 +\n\n\
        diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n a\n+b\n-- \n2.39.2\n\n";

    fn parse(text: &str) -> Patch {
        Patch::parse("0005-x.patch", text.as_bytes()).unwrap()
    }

    fn error(text: &str) -> String {
        format!("{:#}", Patch::parse("0005-x.patch", text.as_bytes()).unwrap_err())
    }

    #[test]
    fn headers_message_and_diff_are_taken_apart() {
        let patch = parse(MAIL);
        assert_eq!(patch.number, Some(5));
        assert_eq!(
            patch.subject,
            "media: vim2m: opt in to release fences on a long subject line"
        );
        assert_eq!(
            (patch.author.as_str(), patch.email.as_str()),
            ("Jürgen Müller", "jm@example.org")
        );
        assert_eq!(patch.date.offset_minutes, -210);
        assert_eq!(patch.date.seconds, 1_772_545_272);
        assert_eq!(
            patch.body,
            "Why.\n\nMore.\n\nSigned-off-by: Jürgen Müller <jm@example.org>"
        );
        assert!(patch.diff.starts_with(b"diff --git a/f b/f\n"));
        assert!(patch.diff.ends_with(b"+b\n"));
        assert_eq!(patch.touched_files(), [Path::new("f")]);
        assert_eq!(patch.files[0].line, 20);
    }

    #[test]
    fn quoted_printable_and_base64_bodies_are_decoded() {
        let quoted = MAIL
            .replace("8bit", "quoted-printable")
            .replace("Jürgen Müller <jm@example.org>\n---", "J=C3=BCrgen\n---")
            .replace("+b\n", "+b =3D=20=\n c\n");
        let patch = parse(&quoted);
        assert!(patch.body.ends_with("Signed-off-by: Jürgen"), "{}", patch.body);
        assert!(
            patch.diff.ends_with("+b =  c\n".as_bytes()),
            "{}",
            String::from_utf8_lossy(&patch.diff)
        );
    }

    #[test]
    fn headers_in_the_body_win() {
        let text = MAIL.replace(
            "\n\nWhy.",
            "\n\nFrom: Ann Other <ann@example.org>\nDate: Wed, 4 Mar 2026 00:00:00 +0000\n\nWhy.",
        );
        let patch = parse(&text);
        assert_eq!(
            (patch.author.as_str(), patch.email.as_str()),
            ("Ann Other", "ann@example.org")
        );
        assert_eq!(
            patch.date,
            AuthorDate {
                seconds: 1_772_582_400,
                offset_minutes: 0
            }
        );
        assert!(patch.body.starts_with("Why.\n"));
    }

    #[test]
    fn subjects_lose_their_prefixes_as_with_git_am() {
        for (subject, clean) in [
            ("[PATCH] a: b", "a: b"),
            ("[PATCH RFC net-next v3 02/11] Re: [x] a:  b [y]", "a: b [y]"),
            (" : tidy", "tidy"),
            ("[unclosed a", "[unclosed a"),
        ] {
            assert_eq!(cleanup_subject(subject), clean);
        }
    }

    #[test]
    fn a_line_of_dashes_in_the_message_is_no_end() {
        assert_eq!(message_end(b"a\n----\nb\n--- \nc"), 9);
        assert_eq!(message_end(b"a\n--- a/f\n"), 2);
        assert_eq!(message_end(b"a\n---  two\n"), 11);
        assert_eq!(message_end(b"a\ndiff -u\n"), 2);
    }

    #[test]
    fn damage_is_named() {
        assert!(error("").contains("the file is empty"));
        assert!(error(&MAIL.replace('\n', "\r\n")).contains("0005-x.patch:1: the line ends in CR LF"));
        assert!(error(&format!("{MAIL}{MAIL}")).contains("0005-x.patch:30: a second patch starts here"));
        assert!(error("diff --git a/f b/f\n").contains("no `From: NAME <ADDRESS>` header"));
        assert!(error(&MAIL.replace("Subject", "X-Subject")).contains("no `Subject: [PATCH] TEXT` header"));
        assert!(error(&MAIL.replace("Date: ", "X-Date: ")).contains("no `Date:"));
        assert!(
            error(&MAIL.replace("+b\n-- \n2.39.2\n\n", ""))
                .contains("0005-x.patch:26: found the end of the file")
        );
    }

    #[test]
    fn numbers_come_from_the_file_name() {
        assert_eq!(leading_number("0004-x.patch"), Some(4));
        assert_eq!(leading_number("x-4.patch"), None);
    }
}
