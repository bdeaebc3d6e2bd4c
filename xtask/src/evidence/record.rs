//! Kernel-log records from any source: a serial line, `dmesg`, `/dev/kmsg`, the board's journal, pstore.

use super::prefix::{self, Caller, Prefix};
use super::{journal, kmsg};
use serde::Serialize;
use std::borrow::Cow;

/// One line that the kernel (or, on a shared console, somebody else) said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Microseconds since boot.
    pub time: Option<u64>,
    /// Microseconds since 1970, where the source has it.
    pub wall: Option<u64>,
    /// 0 (emergency) to 7 (debug), as in `include/linux/kern_levels.h`; a console does not tell.
    pub level: Option<u8>,
    /// syslog facility; 0 is the kernel.
    pub facility: u32,
    /// Task or CPU that printed, with `CONFIG_PRINTK_CALLER`.
    pub caller: Option<Caller>,
    /// Sequence number, from `/dev/kmsg` only.
    pub seq: Option<u64>,
    /// Which boot of this log, from 0.
    pub boot: u32,
    /// The log says that records were lost right before this one.
    pub lost: bool,
    /// The message without its prefix, terminal codes and line end.
    pub text: Cow<'a, str>,
    /// Line in the source, from 1.
    pub line: usize,
    /// Offset of that line in the source, in bytes.
    pub offset: usize,
}

impl Record<'_> {
    /// Whether the line has a time or a level in front: a program that writes to the same console has none.
    pub fn has_prefix(&self) -> bool {
        self.time.is_some() || self.level.is_some()
    }
}

/// How a source writes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Lines of text: serial line, `dmesg`, pstore, syslog, `journalctl -o short*`.
    Text,
    /// `/dev/kmsg`.
    Kmsg,
    /// `journalctl -o json`.
    Journal,
}

/// Something that the log says was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Loss {
    /// Sequence numbers `from..=to` are missing before this line.
    Gap {
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
        /// Line in the source.
        line: usize,
    },
    /// The console was too slow: `** N printk messages dropped **`.
    Dropped {
        /// How many.
        count: u64,
        /// Line in the source.
        line: usize,
    },
}

/// A log as records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log<'a> {
    /// How it was written.
    pub format: Format,
    /// Records in the order of the source.
    pub records: Vec<Record<'a>>,
    /// What is known to be missing.
    pub losses: Vec<Loss>,
    /// How many boots the log shows, at least 1 if there are records.
    pub boots: u32,
}

/// Reads a log; its format is recognised by its first lines. Never fails: what is no record is a line of text.
pub fn read(bytes: &[u8]) -> Log<'_> {
    let format = detect(bytes);
    let mut reader = Reader::new(format);
    let mut offset = 0;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        reader.line(line, number + 1, offset);
        offset += line.len() + 1;
    }
    let boots = if reader.records.is_empty() {
        0
    } else {
        reader.boot + 1
    };
    Log {
        format,
        records: reader.records,
        losses: reader.losses,
        boots,
    }
}

/// Recognises the format by the first 20 lines with something in them.
fn detect(bytes: &[u8]) -> Format {
    let head = &bytes[..bytes.len().min(1 << 16)];
    let lines = head
        .split(|&byte| byte == b'\n')
        .map(String::from_utf8_lossy)
        .filter(|line| !line.trim().is_empty())
        .take(20);
    let (mut all, mut kmsg_lines, mut journal_lines) = (0, 0, 0);
    for line in lines {
        // A continuation line of kmsg says nothing of its own.
        if kmsg_lines > 0 && line.starts_with(' ') {
            continue;
        }
        all += 1;
        kmsg_lines += usize::from(kmsg::parse(&line).is_some());
        journal_lines += usize::from(journal::parse(&line).is_some());
    }
    if journal_lines * 2 > all {
        Format::Journal
    } else if kmsg_lines * 2 > all {
        Format::Kmsg
    } else {
        Format::Text
    }
}

struct Reader<'a> {
    format: Format,
    records: Vec<Record<'a>>,
    losses: Vec<Loss>,
    boot: u32,
    /// Index of the record that began the present boot.
    boot_began: Option<usize>,
    boot_id: Option<String>,
    next_seq: Option<u64>,
    /// The console prints the message before once more, whole.
    replaying: bool,
    /// Something was lost before the next record.
    lost: bool,
}

impl<'a> Reader<'a> {
    fn new(format: Format) -> Self {
        Reader {
            format,
            records: Vec::new(),
            losses: Vec::new(),
            boot: 0,
            boot_began: None,
            boot_id: None,
            next_seq: None,
            replaying: false,
            lost: false,
        }
    }

    fn line(&mut self, line: &'a [u8], number: usize, offset: usize) {
        match self.format {
            Format::Text => {
                // A carriage return inside a line is a program that wrote over it, or a console that lost a line feed.
                for part in line.split(|&byte| byte == b'\r').filter(|part| !part.is_empty()) {
                    self.text(clean(part), number, offset);
                }
                if line.is_empty() || line == b"\r" {
                    self.push(Prefix::default(), Cow::Borrowed(""), number, offset);
                }
            }
            Format::Kmsg => self.kmsg(&clean(line), number, offset),
            Format::Journal => self.journal(&String::from_utf8_lossy(line), number, offset),
        }
    }

    fn text(&mut self, line: Cow<'a, str>, number: usize, offset: usize) {
        let line = match self.dropped(&line, number) {
            0 => line,
            length => skip(line, length),
        };
        if line.contains("** replaying previous printk message **") {
            self.replaying = true;
            return;
        }
        let syslog = prefix::syslog(&line);
        let line = if syslog > 0 { skip(line, syslog) } else { line };
        if let Some(prefix) = prefix::parse(&line) {
            let length = prefix.length;
            return self.push(prefix, skip(line, length), number, offset);
        }
        match prefix::embedded(&line) {
            Some(at) => {
                let head = line[..at].trim_end().to_string();
                if !head.is_empty() {
                    self.push(Prefix::default(), Cow::Owned(head), number, offset);
                }
                let rest = skip(line, at);
                let prefix = prefix::parse(&rest).unwrap_or_default();
                self.push(prefix, skip(rest, prefix.length), number, offset);
            }
            None => self.push(Prefix::default(), line, number, offset),
        }
    }

    /// Length of `** N printk messages dropped ** ` in front of a line (kernel/printk/printk.c:
    /// `console_prepend_dropped()`).
    fn dropped(&mut self, line: &str, number: usize) -> usize {
        const WORDS: &str = " printk messages dropped **";
        let Some(rest) = line.strip_prefix("** ") else {
            return 0;
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !rest[digits..].starts_with(WORDS) {
            return 0;
        }
        let count = rest[..digits].parse().unwrap_or(1);
        self.losses.push(Loss::Dropped { count, line: number });
        self.lost = true;
        let length = 3 + digits + WORDS.len();
        length + usize::from(line.as_bytes().get(length) == Some(&b' '))
    }

    fn kmsg(&mut self, line: &str, number: usize, offset: usize) {
        // A `KEY=value` line belongs to the record before and says nothing new.
        let Some(parsed) = kmsg::parse(line) else { return };
        if let Some(expected) = self.next_seq
            && parsed.seq > expected
        {
            self.losses.push(Loss::Gap {
                from: expected,
                to: parsed.seq - 1,
                line: number,
            });
            self.lost = true;
        }
        self.next_seq = parsed.seq.checked_add(1);
        let prefix = Prefix {
            priority: Some(parsed.priority),
            time: Some(parsed.time),
            caller: parsed.caller,
            length: 0,
        };
        for part in kmsg::unescape(parsed.text).split('\n') {
            self.push(prefix, Cow::Owned(part.to_string()), number, offset);
            if let Some(record) = self.records.last_mut() {
                record.seq = Some(parsed.seq);
            }
        }
    }

    fn journal(&mut self, line: &str, number: usize, offset: usize) {
        let Some(entry) = journal::parse(line) else { return };
        if self.boot_id.is_some() && entry.boot_id.is_some() && self.boot_id != entry.boot_id {
            self.boot += 1;
            self.boot_began = Some(self.records.len());
        }
        if entry.boot_id.is_some() {
            self.boot_id = entry.boot_id;
        }
        let prefix = Prefix {
            priority: entry.priority,
            time: entry.time,
            caller: None,
            length: 0,
        };
        for part in entry.text.split('\n') {
            self.push(prefix, clean_text(part), number, offset);
            if let Some(record) = self.records.last_mut() {
                record.wall = entry.wall;
            }
        }
    }

    fn push(&mut self, prefix: Prefix, text: Cow<'a, str>, line: usize, offset: usize) {
        if std::mem::take(&mut self.replaying) {
            // nbcon prints again what was cut by an emergency; the half before it is the same message.
            if self
                .records
                .last()
                .is_some_and(|last| text.starts_with(last.text.as_ref()))
            {
                self.records.pop();
            }
        }
        self.notice_boot(&text);
        self.records.push(Record {
            time: prefix.time,
            wall: None,
            level: prefix.priority.map(|priority| (priority & 7) as u8),
            facility: prefix.priority.map_or(0, |priority| priority >> 3),
            caller: prefix.caller,
            seq: None,
            boot: self.boot,
            lost: std::mem::take(&mut self.lost),
            text,
            line,
            offset,
        });
    }

    /// A boot begins with `Booting Linux on physical CPU` (arm64, arm) and `Linux version` (all).
    fn notice_boot(&mut self, text: &str) {
        let booting = text.starts_with("Booting Linux on physical CPU");
        if !booting && !text.starts_with("Linux version ") {
            return;
        }
        let here = self.records.len();
        // Both lines belong to one start; a journal has counted it by its boot id already.
        if self.boot_began.is_some_and(|began| here - began <= 4) {
            return;
        }
        if self.boot_began.is_some() && self.boot_id.is_none() {
            self.boot += 1;
        }
        self.boot_began = Some(here);
    }
}

fn skip(text: Cow<'_, str>, bytes: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[bytes..]),
        Cow::Owned(mut text) => {
            text.drain(..bytes);
            Cow::Owned(text)
        }
    }
}

/// Text of a line without terminal codes and control characters; what is not UTF-8 becomes U+FFFD.
fn clean(line: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| *byte >= b' ' && *byte != 0x7f || *byte == b'\t';
    if line.iter().all(plain) {
        return String::from_utf8_lossy(line);
    }
    let mut kept = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == 0x1b {
            rest = &after[escape_length(after)..];
            continue;
        }
        if plain(&byte) {
            kept.push(byte);
        }
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&kept).into_owned())
}

fn clean_text<'a>(text: &str) -> Cow<'a, str> {
    Cow::Owned(clean(text.as_bytes()).into_owned())
}

/// Bytes of a terminal code after its ESC (ECMA-48: CSI … final byte; OSC … BEL or ESC \; others one byte).
fn escape_length(after: &[u8]) -> usize {
    match after.first() {
        None => 0,
        Some(b'[') => {
            let parameters = after[1..]
                .iter()
                .take_while(|&&b| (0x20..0x40).contains(&b))
                .count();
            (1 + parameters + 1).min(after.len())
        }
        Some(b']') => match after.iter().position(|&b| b == 0x07 || b == 0x1b) {
            Some(end) if after[end] == 0x1b => (end + 2).min(after.len()),
            Some(end) => end + 1,
            None => after.len(),
        },
        Some(_) => 1,
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
