//! A patch as `git format-patch` writes it, read as `git am` reads it: the commit that it makes and the diff.
//!
//! A test compares the commits with those of `git am`.

mod author;
mod headers_of_others;
mod judged;
mod made_on;
mod mail;
pub mod mbox;
mod rewrite;
mod words;

use super::diff::{self, FileChange};
use crate::host::bounded;
use crate::host::files::sha256;
use anyhow::{Context, Result, bail};
pub use author::AuthorDate;
use author::single_spaced;
pub use judged::refuse_other_reading;
pub use made_on::MadeOn;
pub use mail::Scissors;
pub use rewrite::with_diff_of;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

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
    /// When the author wrote it; `None` where the mail has no date, and then it is when the patch is applied, as
    /// with `git am`.
    pub date: Option<AuthorDate>,
    /// The commit message behind the subject, trailers included; ends without a newline, may be empty.
    pub body: String,
    /// The mail as `git am --keep-cr` takes it: the file, without the CR of a mail whose lines all got one.
    pub mail: Vec<u8>,
    /// The diff alone.
    pub diff: Vec<u8>,
    /// What the diff changes.
    pub files: Vec<FileChange>,
    /// SHA-256 of the whole file, lower-case hex: what a review approves.
    pub sha256: String,
    /// Line of a scissors line in the message; git-am(1) cuts there only when it is asked to.
    pub scissors: Option<usize>,
    /// The file holds the diff as it is: no transfer encoding, no parts.
    pub plain: bool,
    /// What it says it was made on; in a [`super::series::Series`], what the series says.
    pub made_on: MadeOn,
}

/// Most bytes of a patch file; the largest patches of the kernel, generated headers, have 30 million.
const LARGEST: u64 = 64 * bounded::MIB;

impl Patch {
    /// Reads a patch file. Errors name the file and, where there is one, the line; git reads its
    /// diff otherwise ([`refuse_other_reading`]).
    pub fn read(path: &Path) -> Result<Self> {
        let patch = Self::read_alone(path)?;
        refuse_other_reading(&[&patch])?;
        Ok(patch)
    }

    /// [`Patch::read`] for many files.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let patches: Vec<Self> = paths
            .iter()
            .map(|path| Self::read_alone(path))
            .collect::<Result<_>>()?;
        refuse_other_reading(&patches.iter().collect::<Vec<_>>())?;
        Ok(patches)
    }

    fn read_alone(path: &Path) -> Result<Self> {
        let bytes = bounded::read(path, LARGEST).context("reading a patch")?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::parse(&name, &bytes)
    }

    /// Parses the bytes of the patch file called `name`; git is not asked.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::parse_mail(name, bytes, Scissors::Kept)
    }

    /// [`Patch::parse`], with a choice about scissors lines.
    pub fn parse_mail(name: &str, bytes: &[u8], scissors: Scissors) -> Result<Self> {
        refuse_damage(name, bytes)?;
        let unconverted = mbox::without_converted_line_ends(bytes);
        let as_mail = headers_of_others::as_mail(&unconverted);
        let mail = mail::read(&as_mail, scissors).with_context(|| name.to_string())?;
        let made_on = made_on_of(&mail);
        let (author, email) = mail
            .from
            .as_deref()
            .and_then(author::name_and_address)
            .with_context(|| missing(name, "From: NAME <ADDRESS>"))?;
        let date = mail.date.as_deref().filter(|date| !date.trim().is_empty());
        let date = date
            .map(author::date)
            .transpose()
            .with_context(|| format!("{name}: in the header `Date:`"))?;
        let header = cleanup_subject(&mail.subject.unwrap_or_default());
        let message = stripspace(&format!("{header}\n\n{}", mail.message));
        let (subject, body) = message.split_once('\n').unwrap_or((&message, ""));
        if subject.is_empty() {
            bail!("{}", missing(name, "Subject: [PATCH] TEXT"));
        }
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        let left_out = lines(&unconverted).saturating_sub(lines(&as_mail));
        let scanned = diff::scan(name, &mail.patch, mail.patch_line.saturating_add(left_out))?;
        Ok(Patch {
            name: name.to_string(),
            number: leading_number(name),
            subject: subject.to_string(),
            author,
            email,
            date,
            body: body.trim_start_matches('\n').to_string(),
            diff: scanned.text,
            files: scanned.files,
            sha256: sha256(bytes),
            scissors: mail.scissors,
            made_on,
            plain: mail.plain && as_mail.len() == bytes.len(),
            mail: unconverted.to_vec(),
        })
    }

    /// The commit message: subject, empty line, body, ended by a newline.
    pub fn message(&self) -> String {
        match self.body.as_str() {
            "" => format!("{}\n", self.subject),
            body => format!("{}\n\n{body}\n", self.subject),
        }
    }

    /// Values of a trailer such as `Reviewed-by`, in their order (git-interpret-trailers(1): `KEY: VALUE` in the
    /// last paragraph).
    pub fn trailers(&self, key: &str) -> Vec<&str> {
        let last = self.body.rsplit("\n\n").next().unwrap_or_default();
        last.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(found, _)| found.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// Every path that the patch reads or writes, in its order, each once.
    pub fn touched_files(&self) -> Vec<&Path> {
        let mut seen = HashSet::new();
        let mut paths: Vec<&Path> = self.files.iter().flat_map(FileChange::paths).collect();
        paths.retain(|path| seen.insert(*path));
        paths
    }

    /// `git patch-id --stable` of it: what it changes, whatever its message.
    pub fn patch_id(&self) -> String {
        diff::patch_id::stable(&self.diff)
    }

    /// How a person would name it: its number as `git format-patch` writes it, else its file name.
    pub fn short_name(&self) -> String {
        self.number
            .map_or_else(|| self.name.clone(), |number| format!("{number:04}"))
    }
}

/// What the header of a mail says, without its diff: enough to sort a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `Subject:` as it is, with its `[PATCH …]`.
    pub subject: String,
    /// `Message-ID:`.
    pub message_id: Option<String>,
    /// Whether anything stands in it that could be a diff.
    pub has_diff: bool,
    /// What it says the series was made on.
    pub made_on: MadeOn,
}

/// What a mail says that it was made on, in its message and behind it; neither is copied for that.
fn made_on_of(mail: &mail::Mail) -> MadeOn {
    let mut made_on = MadeOn::read(mail.message.as_bytes());
    made_on.add(&MadeOn::read(&mail.patch));
    made_on
}

/// Reads the header of a mail.
pub fn envelope(bytes: &[u8]) -> Result<Envelope> {
    let mail = mail::read(&mbox::without_converted_line_ends(bytes), Scissors::Kept)?;
    let made_on = made_on_of(&mail);
    Ok(Envelope {
        subject: single_spaced(&mail.subject.unwrap_or_default()),
        message_id: mail.message_id,
        has_diff: diff::is_there(&mail.patch),
        made_on,
    })
}

fn missing(name: &str, header: &str) -> String {
    format!("{name}: no `{header}` header: a patch has to be as `git format-patch` writes it")
}

/// What can be told before parsing: emptiness, several patches in one file.
fn refuse_damage(name: &str, bytes: &[u8]) -> Result<()> {
    if bytes.trim_ascii().is_empty() {
        bail!("{name}: the file is empty");
    }
    let mut separators = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| mbox::is_from_line(line));
    if let (Some(_), Some((second, _))) = (separators.next(), separators.next()) {
        bail!(
            "{name}:{}: a second mail starts here; allowed is one patch a file (`cargo xtask series import MBOX` takes a mailbox apart)",
            second.saturating_add(1)
        );
    }
    Ok(())
}

/// The subject without `Re:` and `[…]` in front, and with white space made single: `cleanup_subject` and `cleanup_space`
/// of git's mailinfo.c.
fn cleanup_subject(subject: &str) -> String {
    let mut rest = subject;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ':', '\n', '\r']);
        if let Some((_, behind)) = rest
            .split_at_checked(3)
            .filter(|(start, _)| start.eq_ignore_ascii_case("re:"))
        {
            rest = behind;
        } else if let Some((_, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            rest = behind;
        } else {
            break;
        }
    }
    single_spaced(rest)
}

/// White space to git: no other character, such as a no-break space.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// White space at line ends, empty lines at both ends and repeated empty lines go away: git-stripspace(1). No newline
/// at the end.
fn stripspace(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for line in text.split('\n').map(|line| line.trim_end_matches(SPACE)) {
        if !line.is_empty() || kept.last().is_some_and(|last| !last.is_empty()) {
            kept.push(line);
        }
    }
    kept.join("\n").trim_end_matches(SPACE).to_string()
}

/// The number that a file name starts with: `0004-x.patch` → 4.
pub fn leading_number(name: &str) -> Option<u32> {
    let (digits, _) = name
        .split_once(|c: char| !c.is_ascii_digit())
        .unwrap_or((name, ""));
    digits.parse().ok()
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
        assert_eq!(patch.date.unwrap().offset_minutes, -210);
        assert_eq!(patch.date.unwrap().seconds, 1_772_545_272);
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
            Some(AuthorDate {
                seconds: 1_772_582_400,
                offset_minutes: 0
            })
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
    fn damage_is_named() {
        assert!(error("").contains("the file is empty"));
        let converted = parse(&MAIL.replace('\n', "\r\n"));
        assert_eq!(
            (converted.diff, converted.mail),
            (parse(MAIL).diff, MAIL.as_bytes().to_vec())
        );
        assert!(error(&format!("{MAIL}{MAIL}")).contains("0005-x.patch:30: a second mail starts here"));
        assert!(error("diff --git a/f b/f\n").contains("no `From: NAME <ADDRESS>` header"));
        let nameless = MAIL.replace("Subject", "X-Subject").replace(
            "Why.   \n\n\nMore.\n\nSigned-off-by: Jürgen Müller <jm@example.org>\n",
            "",
        );
        assert!(error(&nameless).contains("no `Subject: [PATCH] TEXT` header"));
        assert_eq!(parse(&MAIL.replace("Subject", "X-Subject")).subject, "Why.");
        assert!(
            error(&MAIL.replace("Tue, 3 Mar", "Soon"))
                .contains("found `Soon 2026 10:11:12 -0330`; a date is like")
        );
        assert!(
            error(&MAIL.replace("+b\n-- \n2.39.2\n\n", ""))
                .contains("0005-x.patch:26: found the end of the file")
        );
    }

    #[test]
    fn a_mail_without_a_date_is_dated_when_it_is_applied() {
        assert_eq!(parse(&MAIL.replace("Date: ", "X-Date: ")).date, None);
    }

    #[test]
    fn trailers_are_those_of_the_last_paragraph() {
        let text = MAIL
            .replace("More.", "Reviewed-by: nobody\n")
            .replace("\n---\n", "\nreviewed-by: Ann <ann@x>\n---\n");
        assert_eq!(parse(&text).trailers("Reviewed-by"), ["Ann <ann@x>"]);
    }

    #[test]
    fn numbers_come_from_the_file_name() {
        assert_eq!(leading_number("0004-x.patch"), Some(4));
        assert_eq!(leading_number("x-4.patch"), None);
    }
}
