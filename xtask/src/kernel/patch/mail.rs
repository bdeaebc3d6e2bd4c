//! A mail taken apart as git-mailinfo(1) takes it apart: headers, commit message, patch.
//!
//! The rules are those of git's mailinfo.c (RFC 2045 transfer encodings, RFC 2046 multipart, RFC 3676
//! format=flowed, headers in the body, `patchbreak`, scissors); a test compares the commits with those of `git am`.

use super::words::{self, base64, quoted_printable, to_utf8};
use anyhow::{Context, Result, bail};

/// What is done with a scissors line (`-- >8 --`) in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scissors {
    /// It is text like any other: the default of `git am`.
    #[default]
    Kept,
    /// All before it is left out: `git am --scissors`.
    Cut,
}

/// A mail, read.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// `From:` of the body, else of the mail, decoded.
    pub from: Option<String>,
    /// `Subject:`, likewise.
    pub subject: Option<String>,
    /// `Date:`, likewise.
    pub date: Option<String>,
    /// `Message-ID:` of the mail.
    pub message_id: Option<String>,
    /// Text before the patch, as it is.
    pub message: String,
    /// From the line that ends the message to the end.
    pub patch: Vec<u8>,
    /// Line of the file in which `patch` begins, from 1 (in an encoded mail: near it).
    pub patch_line: usize,
    /// Line of a scissors line that was kept.
    pub scissors: Option<usize>,
    /// The lines of the file are the lines of the patch: no transfer encoding, no parts.
    pub plain: bool,
}

/// Reads a mail. Errors say the line of the file and what is wrong there.
pub(super) fn read(bytes: &[u8], scissors: Scissors) -> Result<Mail> {
    let text = bytes.trim_ascii_start();
    let blank = bytes.split_at_checked(bytes.len().saturating_sub(text.len()));
    let blank_lines = blank.map_or(0, |(blank, _)| {
        blank.iter().filter(|byte| **byte == b'\n').count()
    });
    let mut reader = Reader {
        lines: Lines {
            rest: text,
            number: blank_lines.saturating_add(1),
        },
        scissors,
        mail: Headers::default(),
        body: Headers::default(),
        open: Vec::new(),
        stage: Stage::BodyHeaders,
        part: Part::default(),
        boundaries: Vec::new(),
        unfinished: Vec::new(),
        out: Mail {
            plain: true,
            ..Mail::default()
        },
    };
    reader.headers(Whose::Mail)?;
    reader.body()?;
    reader.finish()
}

/// The lines of a file, with their numbers.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.rest.split_inclusive(|byte| *byte == b'\n').next()
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.peek()?;
        self.rest = self.rest.get(line.len()..).unwrap_or_default();
        self.number = self.number.saturating_add(1);
        Some(line)
    }
}

#[derive(Debug, Default)]
struct Headers {
    from: Option<String>,
    subject: Option<String>,
    date: Option<String>,
}

impl Headers {
    /// The place of the header that a line begins with, and its value.
    fn find<'l>(&mut self, line: &'l [u8]) -> Option<(&mut Option<String>, &'l [u8])> {
        for (name, place) in [
            ("From", &mut self.from),
            ("Subject", &mut self.subject),
            ("Date", &mut self.date),
        ] {
            if let Some(value) = value_of(line, name) {
                return Some((place, value));
            }
        }
        None
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Mail,
    Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Headers may still stand at the head of the message.
    BodyHeaders,
    Message,
    Patch,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Encoding {
    #[default]
    None,
    Base64,
    QuotedPrintable,
}

/// What the headers of a mail, or of one part of it, say about its lines.
#[derive(Default)]
struct Part {
    encoding: Encoding,
    charset: Option<String>,
    flowed: bool,
    del_space: bool,
}

struct Reader<'a> {
    lines: Lines<'a>,
    scissors: Scissors,
    mail: Headers,
    body: Headers,
    /// A header of the body that may go on in the next line.
    open: Vec<u8>,
    stage: Stage,
    part: Part,
    /// Boundaries of the multiparts that are open, with `--` in front.
    boundaries: Vec<Vec<u8>>,
    /// The beginning of a line whose end has not been decoded yet.
    unfinished: Vec<u8>,
    out: Mail,
}

impl Reader<'_> {
    /// Header lines, unfolded, up to and with the empty line behind them.
    fn headers(&mut self, whose: Whose) -> Result<()> {
        while let Some(first) = self.lines.peek() {
            let first = first.trim_ascii_end();
            if first.is_empty() {
                self.lines.next();
                return Ok(());
            }
            if !is_header(first) {
                return Ok(());
            }
            self.lines.next();
            let mut line = first.to_vec();
            while let Some([b' ' | b'\t', more @ ..]) = self.lines.peek() {
                line.push(b' ');
                line.extend_from_slice(more.trim_ascii_end());
                self.lines.next();
            }
            let number = self.lines.number.saturating_sub(1);
            self.header(&line, whose)
                .with_context(|| format!("line {number}"))?;
        }
        Ok(())
    }

    fn header(&mut self, line: &[u8], whose: Whose) -> Result<()> {
        if let Some((place, value)) = self.mail.find(line) {
            if whose == Whose::Mail || place.is_none() {
                *place = Some(words::decode(value)?);
            }
        } else if let Some(value) = value_of(line, "Content-Type") {
            let value = String::from_utf8_lossy(value).into_owned();
            if let Some(boundary) = attribute(&value, "boundary=") {
                self.boundaries.push(format!("--{boundary}").into_bytes());
                self.out.plain = false;
            }
            let is = |name, wanted: &str| {
                attribute(&value, name).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            };
            self.part.charset = attribute(&value, "charset=").map(String::from);
            self.part.flowed = is("format=", "flowed");
            self.part.del_space = is("delsp=", "yes");
        } else if let Some(value) = value_of(line, "Content-Transfer-Encoding") {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            self.part.encoding = if value.contains("base64") {
                Encoding::Base64
            } else if value.contains("quoted-printable") {
                Encoding::QuotedPrintable
            } else {
                Encoding::None
            };
        } else if let Some(value) = value_of(line, "Message-ID") {
            self.out.message_id = Some(String::from_utf8_lossy(value).trim().to_string());
        }
        Ok(())
    }

    fn body(&mut self) -> Result<()> {
        if !self.boundaries.is_empty() && !self.skip_to_boundary()? {
            return Ok(());
        }
        while let Some(line) = self.lines.next() {
            if self.is_boundary(line) {
                self.flush()?;
                if !self.boundary(line)? {
                    break;
                }
                continue;
            }
            self.encoded(line)?;
        }
        self.flush()
    }

    fn is_boundary(&self, line: &[u8]) -> bool {
        self.boundaries
            .last()
            .is_some_and(|boundary| line.starts_with(boundary))
    }

    /// Skips the preamble of a multipart and reads the headers of its first part.
    fn skip_to_boundary(&mut self) -> Result<bool> {
        while let Some(line) = self.lines.next() {
            if self.is_boundary(line) {
                return self.boundary(line);
            }
        }
        Ok(false)
    }

    /// At a boundary: the end of a multipart, or the headers of its next part. `false`: nothing follows.
    fn boundary(&mut self, line: &[u8]) -> Result<bool> {
        let boundary = self.boundaries.last().map(Vec::as_slice).unwrap_or_default();
        if line
            .strip_prefix(boundary)
            .is_some_and(|rest| rest.starts_with(b"--"))
        {
            self.boundaries.pop();
            self.line(b"\n")?;
            return Ok(!self.boundaries.is_empty() && self.skip_to_boundary()?);
        }
        self.part = Part::default();
        self.headers(Whose::Part)?;
        Ok(true)
    }

    /// Undoes the transfer encoding of a line.
    fn encoded(&mut self, line: &[u8]) -> Result<()> {
        let decoded = match self.part.encoding {
            Encoding::None => return self.flowed(line),
            Encoding::Base64 => base64(line),
            Encoding::QuotedPrintable => quoted_printable(line),
        };
        self.out.plain = false;
        let mut text = std::mem::take(&mut self.unfinished);
        text.extend(decoded);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if line.ends_with(b"\n") {
                self.flowed(line)?;
            } else {
                self.unfinished = line.to_vec();
            }
        }
        Ok(())
    }

    /// Undoes format=flowed (RFC 3676).
    fn flowed(&mut self, line: &[u8]) -> Result<()> {
        if !self.part.flowed {
            return self.line(line);
        }
        self.out.plain = false;
        let mut text = line.strip_suffix(b"\n").unwrap_or(line);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if text == b"-- " {
            self.flush()?;
            return self.line(line);
        }
        let text = text.strip_prefix(b" ").unwrap_or(text);
        if text.ends_with(b" ") {
            let kept = text.strip_suffix(b" ").filter(|_| self.part.del_space);
            self.unfinished.extend_from_slice(kept.unwrap_or(text));
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.unfinished);
        whole.extend_from_slice(text);
        whole.push(b'\n');
        self.line(&whole)
    }

    fn flush(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.unfinished);
        if rest.is_empty() { Ok(()) } else { self.line(&rest) }
    }

    /// A decoded line: of the message, or of the patch.
    fn line(&mut self, line: &[u8]) -> Result<()> {
        if self.stage == Stage::Patch {
            self.out.patch.extend_from_slice(line);
            return Ok(());
        }
        if self.stage == Stage::BodyHeaders {
            if line == b"\n" || line.is_empty() {
                if !self.open.is_empty() {
                    self.close_header()?;
                    self.stage = Stage::Message;
                }
                return Ok(());
            }
            if self.body_header(line)? {
                return Ok(());
            }
            self.stage = Stage::Message;
        }
        let number = self.lines.number.saturating_sub(1);
        let text = match &self.part.charset {
            Some(charset) => to_utf8(line, charset).with_context(|| format!("line {number}"))?,
            None => words::guess(line),
        };
        if is_scissors(&text) {
            if self.scissors == Scissors::Cut {
                self.out.message.clear();
                self.body = Headers::default();
                self.stage = Stage::BodyHeaders;
                return Ok(());
            }
            self.out.scissors.get_or_insert(number);
        }
        if ends_message(line) {
            self.stage = Stage::Patch;
            self.out.patch_line = number;
            self.out.patch.extend_from_slice(line);
            return Ok(());
        }
        if text.contains('\0') {
            bail!("line {number}: a NUL byte stands in the commit message");
        }
        self.out.message.push_str(&text);
        Ok(())
    }

    /// Takes `From:`, `Date:` and `Subject:` at the head of the message; `false`: the line is no header.
    fn body_header(&mut self, line: &[u8]) -> Result<bool> {
        if !self.open.is_empty() && matches!(line.first(), Some(b' ' | b'\t')) {
            if self.scissors == Scissors::Cut && is_scissors(&String::from_utf8_lossy(line)) {
                self.close_header()?;
                return Ok(false);
            }
            if self.open.ends_with(b"\n") {
                self.open.pop();
            }
            self.open.extend_from_slice(line);
            return Ok(true);
        }
        self.close_header()?;
        if let Some(line) = line.strip_prefix(b">").filter(|line| line.starts_with(b"From")) {
            return Ok(line.get(4).is_some_and(u8::is_ascii_whitespace) && is_git_separator(line));
        }
        if line
            .strip_prefix(b"[PATCH]")
            .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
        {
            self.body.subject = Some(words::guess(line));
            return Ok(true);
        }
        match self.body.find(line) {
            Some((place, _)) if place.is_none() => {
                self.open = line.to_vec();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn close_header(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.open);
        if let Some((place, value)) = self.body.find(&line) {
            *place = Some(words::decode(value)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Mail> {
        self.close_header()?;
        self.out.from = self.body.from.or(self.mail.from);
        self.out.subject = self.body.subject.or(self.mail.subject);
        self.out.date = self.body.date.or(self.mail.date);
        Ok(self.out)
    }
}

/// The value behind `name:`, whatever its case.
fn value_of<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    let (key, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    key.eq_ignore_ascii_case(name.as_bytes())
        .then(|| value.trim_ascii_start())
}

/// `name="VALUE"` or `name=VALUE` in a `Content-Type`.
fn attribute<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let at = value.to_ascii_lowercase().find(name)?;
    let rest = value.get(at.checked_add(name.len())?..)?;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([';', ' ', '\t']).next(),
    }
}

/// RFC 5322: printable characters up to a colon. The `From ` line of an mbox counts as one, too.
fn is_header(line: &[u8]) -> bool {
    if line.starts_with(b"From ") || line.starts_with(b">From ") {
        return true;
    }
    let name = line
        .iter()
        .take_while(|byte| byte.is_ascii_graphic() && **byte != b':')
        .count();
    line.get(name) == Some(&b':')
}

/// `From <40 hex digits> Mon Sep 17 00:00:00 2001`: the first line of each patch of git-format-patch(1).
pub(super) fn is_git_separator(line: &[u8]) -> bool {
    let id = line
        .strip_prefix(b"From ")
        .and_then(|rest| rest.split_at_checked(40));
    id.is_some_and(|(id, rest)| {
        id.iter().all(u8::is_ascii_hexdigit) && rest.starts_with(b" Mon Sep 17 00:00:00 2001")
    })
}

/// The line that ends the message: a diff begins, or `---`.
fn ends_message(line: &[u8]) -> bool {
    let dashes = line.strip_prefix(b"---").is_some_and(|rest| {
        rest.iter().all(u8::is_ascii_whitespace)
            || matches!(rest, [b' ', first, _, ..] if !first.is_ascii_whitespace())
    });
    dashes || line.starts_with(b"diff -") || line.starts_with(b"Index: ")
}

/// git-mailinfo(1): mainly dashes and scissors (`>8`, `8<`, `>%`, `%<`), with words like "cut here" between them.
/// At least eight columns, more than a third of them perforation, and less than half of that blank.
fn is_scissors(line: &str) -> bool {
    let mut rest = line.as_bytes();
    let (mut perforation, mut gaps, mut marks) = (0usize, 0usize, 0usize);
    let mut inside = false;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if first.is_ascii_whitespace() {
            perforation = perforation.saturating_add(usize::from(inside));
            gaps = gaps.saturating_add(usize::from(inside));
        } else if *first == b'-' {
            inside = true;
            perforation = perforation.saturating_add(1);
        } else if let (b'>', [b'8' | b'%', tail @ ..]) | (b'8' | b'%', [b'<', tail @ ..]) = (first, rest) {
            rest = tail;
            inside = true;
            perforation = perforation.saturating_add(2);
            marks = marks.saturating_add(1);
        } else {
            inside = false;
        }
    }
    let columns = line.as_bytes().trim_ascii().len();
    let mostly = columns < perforation.saturating_mul(3) && gaps.saturating_mul(2) < perforation;
    marks > 0 && columns >= 8 && mostly
}

#[cfg(test)]
mod tests;
