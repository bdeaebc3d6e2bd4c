//! From the bytes of a source to records, block by block: what is held between two blocks is bounded.

use super::prefix::{self, Prefix};
use super::record::{Format, Log, Loss, Record};
use super::{journal, kmsg};
use memchr::{memchr, memchr2, memmem};
use std::borrow::Cow;

/// The format is recognised in so many bytes.
pub const HEAD: usize = 1 << 16;
/// What a line has beyond this is passed over: the kernel's own lines have at most some thousand bytes, a journal's entry more.
pub const LONGEST_LINE: usize = 1 << 20;
/// So many losses are kept; a log with more of them is incomplete all the same.
const MOST_LOSSES: usize = 10_000;
/// kernel/printk/nbcon.c, printk.c: `console_prepend_replay()`.
const REPLAY: &[u8] = b"** replaying previous printk message **";

impl Format {
    /// Recognises the format by the first 20 lines with something in them, of the first [`HEAD`] bytes.
    pub fn detect(bytes: &[u8]) -> Format {
        let head = &bytes[..bytes.len().min(HEAD)];
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
}

/// Cuts blocks into lines and lines into records.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    losses: Vec<Loss>,
    /// Line of the source, from 1, and offset of the next byte.
    number: usize,
    offset: usize,
    /// The line has had something in it already (what a carriage return ended).
    started: bool,
    records: usize,
    boot: u32,
    /// Number of the record that began the present boot.
    boot_began: Option<usize>,
    boot_id: Option<String>,
    next_seq: Option<u64>,
    /// The next line says that the record before it is printed once more, whole; or the line before said so.
    replay: Replay,
    held: Option<Record<'static>>,
    /// Something was lost before the next record.
    lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    No,
    Announced,
    Now,
}

impl Reader {
    /// A reader for one log.
    pub fn new(format: Format) -> Self {
        Reader {
            format,
            losses: Vec::new(),
            number: 1,
            offset: 0,
            started: false,
            records: 0,
            boot: 0,
            boot_began: None,
            boot_id: None,
            next_seq: None,
            replay: Replay::No,
            held: None,
            lost: false,
        }
    }

    /// How the log is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many boots were seen, at least 1 if there were records.
    pub fn boots(&self) -> u32 {
        if self.records == 0 { 0 } else { self.boot + 1 }
    }

    /// What is known to be missing; the first so many.
    pub fn into_losses(self) -> Vec<Loss> {
        self.losses
    }

    /// Reads the lines that begin before `until`. The bytes behind it are only looked at, for one line; a line that `data` does not end is
    /// taken as it is.
    pub fn lines<'a>(&mut self, data: &'a [u8], until: usize, sink: &mut dyn FnMut(Record<'a>)) {
        let replays = memmem::Finder::new(REPLAY);
        let find_replay = |from: usize| replays.find(&data[from..]).map_or(usize::MAX, |at| from + at);
        let mut next_replay = find_replay(0);
        let mut at = 0;
        while at < until {
            let end = self.end_of_line(data, at);
            let line = &data[at..end];
            if next_replay < at {
                next_replay = find_replay(at);
            }
            if next_replay < end {
                self.replay = Replay::Now;
            } else {
                if next_replay != usize::MAX && self.replay == Replay::No {
                    let next = data.len().min(end + 1);
                    if next_replay < self.end_of_line(data, next) {
                        self.replay = Replay::Announced;
                    }
                }
                self.line(
                    &line[..line.len().min(LONGEST_LINE)],
                    data.get(end) == Some(&b'\n'),
                    sink,
                );
            }
            self.ended(line.len(), data.get(end).copied());
            at = end + 1;
        }
    }

    /// Passes over bytes of a line that is too long.
    pub fn skip(&mut self, bytes: usize) {
        self.offset += bytes;
    }

    /// Gives what was held back.
    pub fn finish<'a>(&mut self, sink: &mut dyn FnMut(Record<'a>)) {
        if let Some(held) = self.held.take() {
            sink(held);
        }
    }

    /// A carriage return ends a line, too: a program wrote over it, or a console lost a line feed.
    fn end_of_line(&self, data: &[u8], from: usize) -> usize {
        let rest = &data[from..];
        let found = match self.format {
            Format::Text => memchr2(b'\n', b'\r', rest),
            Format::Kmsg | Format::Journal => memchr(b'\n', rest),
        };
        found.map_or(data.len(), |at| from + at)
    }

    fn ended(&mut self, length: usize, terminator: Option<u8>) {
        self.offset += length;
        self.started |= length > 0;
        if let Some(terminator) = terminator {
            self.offset += 1;
            if terminator == b'\n' {
                self.number += 1;
                self.started = false;
            }
        }
    }

    fn line<'a>(&mut self, line: &'a [u8], terminated: bool, sink: &mut dyn FnMut(Record<'a>)) {
        match self.format {
            Format::Text if line.is_empty() => {
                if terminated && !self.started {
                    self.push(Prefix::default(), Cow::Borrowed(""), sink);
                }
            }
            Format::Text => self.text(clean(line), sink),
            Format::Kmsg => self.kmsg(&clean(line), sink),
            Format::Journal => self.journal(&String::from_utf8_lossy(line), sink),
        }
    }

    fn text<'a>(&mut self, line: Cow<'a, str>, sink: &mut dyn FnMut(Record<'a>)) {
        let line = match self.dropped(&line) {
            0 => line,
            length => skip(line, length),
        };
        let (syslog, wall) = prefix::syslog(&line);
        let line = if syslog > 0 { skip(line, syslog) } else { line };
        let dated = |prefix: Prefix| Prefix {
            wall: wall.or(prefix.wall),
            ..prefix
        };
        if let Some(prefix) = prefix::parse(&line) {
            let length = prefix.length;
            return self.push(dated(prefix), skip(line, length), sink);
        }
        match prefix::embedded(&line) {
            Some(at) => {
                let head = line[..at].trim_end().to_string();
                if !head.is_empty() {
                    self.push(dated(Prefix::default()), Cow::Owned(head), sink);
                }
                let rest = skip(line, at);
                let prefix = prefix::parse(&rest).unwrap_or_default();
                self.push(dated(prefix), skip(rest, prefix.length), sink);
            }
            None => self.push(dated(Prefix::default()), line, sink),
        }
    }

    /// Length of `** N printk messages dropped ** ` in front of a line (kernel/printk/printk.c:
    /// `console_prepend_dropped()`).
    fn dropped(&mut self, line: &str) -> usize {
        const WORDS: &str = " printk messages dropped **";
        let Some(rest) = line.strip_prefix("** ") else {
            return 0;
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || !rest[digits..].starts_with(WORDS) {
            return 0;
        }
        let count = rest[..digits].parse().unwrap_or(u64::MAX);
        self.loss(Loss::Dropped {
            count,
            line: self.number,
        });
        let length = 3 + digits + WORDS.len();
        length + usize::from(line.as_bytes().get(length) == Some(&b' '))
    }

    fn loss(&mut self, loss: Loss) {
        self.lost = true;
        if self.losses.len() < MOST_LOSSES {
            self.losses.push(loss);
        }
    }

    fn kmsg<'a>(&mut self, line: &str, sink: &mut dyn FnMut(Record<'a>)) {
        // A `KEY=value` line belongs to the record before and says nothing new.
        let Some(parsed) = kmsg::parse(line) else { return };
        if let Some(expected) = self.next_seq
            && parsed.seq > expected
        {
            self.loss(Loss::Gap {
                from: expected,
                to: parsed.seq - 1,
                line: self.number,
            });
        }
        self.next_seq = parsed.seq.checked_add(1);
        let prefix = Prefix {
            priority: Some(parsed.priority),
            time: Some(parsed.time),
            wall: None,
            caller: parsed.caller,
            length: 0,
        };
        for part in kmsg::unescape(parsed.text).split('\n') {
            let mut record = self.record(prefix, Cow::Owned(part.to_string()));
            record.seq = Some(parsed.seq);
            self.emit(record, sink);
        }
    }

    fn journal<'a>(&mut self, line: &str, sink: &mut dyn FnMut(Record<'a>)) {
        let Some(entry) = journal::parse(line) else { return };
        if self.boot_id.is_some() && entry.boot_id.is_some() && self.boot_id != entry.boot_id {
            self.boot += 1;
            self.boot_began = Some(self.records);
        }
        if entry.boot_id.is_some() {
            self.boot_id = entry.boot_id;
        }
        let prefix = Prefix {
            priority: entry.priority,
            time: entry.time,
            wall: entry.wall,
            caller: None,
            length: 0,
        };
        for part in entry.text.split('\n') {
            self.push(prefix, Cow::Owned(clean(part.as_bytes()).into_owned()), sink);
        }
    }

    fn push<'a>(&mut self, prefix: Prefix, text: Cow<'a, str>, sink: &mut dyn FnMut(Record<'a>)) {
        let record = self.record(prefix, text);
        self.emit(record, sink);
    }

    fn record<'a>(&mut self, prefix: Prefix, text: Cow<'a, str>) -> Record<'a> {
        self.notice_boot(&text);
        self.records += 1;
        Record {
            time: prefix.time,
            wall: prefix.wall,
            level: prefix.priority.map(|priority| (priority & 7) as u8),
            facility: prefix.priority.map_or(0, |priority| priority >> 3),
            caller: prefix.caller,
            seq: None,
            boot: self.boot,
            lost: std::mem::take(&mut self.lost),
            text,
            line: self.number,
            offset: self.offset,
        }
    }

    /// Gives the record, or holds it back when the next line says that it comes once more: nbcon prints again what an emergency
    /// cut, and the half before it is the same message.
    fn emit<'a>(&mut self, record: Record<'a>, sink: &mut dyn FnMut(Record<'a>)) {
        match self.replay {
            Replay::No => sink(record),
            Replay::Announced => {
                if let Some(held) = self.held.replace(record.into_owned()) {
                    sink(held);
                }
            }
            Replay::Now => {
                self.replay = Replay::No;
                if let Some(held) = self.held.take()
                    && !record.text.starts_with(held.text.as_ref())
                {
                    sink(held);
                }
                sink(record);
            }
        }
    }

    /// A boot begins with `Booting Linux on physical CPU` (arm64, arm) and `Linux version` (all).
    fn notice_boot(&mut self, text: &str) {
        let booting = text.starts_with("Booting Linux on physical CPU");
        if !booting && !text.starts_with("Linux version ") {
            return;
        }
        let here = self.records;
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
    // Without a branch for each byte: nearly every line is clean, and this looks at all of them.
    if !line.iter().fold(false, |dirty, byte| dirty | !plain(byte)) {
        return match std::str::from_utf8(line) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(line),
        };
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

/// Gives each record of a log to `sink`, one after the other; its format is recognised by its first lines. Never fails: what is no record is a
/// line of text.
pub fn each<'a>(bytes: &'a [u8], sink: &mut dyn FnMut(Record<'a>)) -> Reader {
    let mut reader = Reader::new(Format::detect(bytes));
    reader.lines(bytes, bytes.len(), sink);
    reader.finish(sink);
    reader
}

/// All records of a log ([`each`]). They take more memory than the log: for one of unknown length there is [`super::scan`].
pub fn read(bytes: &[u8]) -> Log<'_> {
    let mut records = Vec::new();
    let reader = each(bytes, &mut |record| records.push(record));
    Log {
        format: reader.format(),
        boots: reader.boots(),
        losses: reader.into_losses(),
        records,
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
