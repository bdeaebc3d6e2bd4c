//! From the bytes of a source to records, block by block: what is held between two blocks is bounded.

use super::fields::Fields;
use super::journal::{self, Entry};
use super::kmsg;
use super::layout::Layout;
use super::objects::{DmesgEntry, LavaEntry, Objects};
use super::prefix::Prefix;
use super::record::{Format, LONGEST_LINE, Log, Loss, Origin, Record};
use super::stamp::Writer;
use super::terminal::{clean, without_margin};
use super::text_lines::{Piece, TextLines};
use memchr::{memchr, memchr2, memmem};
use std::borrow::Cow;

/// So many losses are kept; a log with more of them is incomplete all the same.
const MOST_LOSSES: usize = 10_000;
/// kernel/printk/nbcon.c, printk.c: `console_prepend_replay()`.
const REPLAY: &[u8] = b"** replaying previous printk message **";

impl Format {
    /// The bytes that end a line: a program writes over it after a carriage return, or a console lost a line feed; an object ends where it ends.
    pub(super) fn line_ends(self) -> (u8, u8) {
        match self {
            Format::Text => (b'\n', b'\r'),
            Format::Journal | Format::DmesgJson | Format::Lava => (b'\n', b'}'),
            Format::Kmsg | Format::JournalExport | Format::JournalVerbose => (b'\n', b'\n'),
        }
    }
}

/// Cuts blocks into lines and lines into records.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    /// What stands in front of all lines.
    margin: Vec<u8>,
    text: TextLines,
    objects: Objects,
    fields: Fields,
    losses: Vec<Loss>,
    /// Line of the source, from 1, and offset of the next byte.
    number: usize,
    offset: usize,
    /// The line has had something in it already (what a carriage return ended).
    started: bool,
    /// The line before was empty.
    blank: bool,
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
    /// Records that are a kernel's beyond doubt.
    marked: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    No,
    Announced,
    Now,
}

impl Reader {
    /// A reader for one log.
    pub fn new(layout: Layout) -> Self {
        Reader {
            format: layout.format,
            margin: layout.margin.clone(),
            text: TextLines::new(layout),
            objects: Objects::default(),
            fields: Fields::default(),
            losses: Vec::new(),
            number: 1,
            offset: 0,
            started: false,
            blank: false,
            records: 0,
            boot: 0,
            boot_began: None,
            boot_id: None,
            next_seq: None,
            replay: Replay::No,
            held: None,
            lost: false,
            marked: 0,
        }
    }

    /// Records so far that are a kernel's beyond doubt.
    pub fn marked(&self) -> usize {
        self.marked
    }

    /// How the log is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many boots were seen, at least 1 if there were records.
    pub fn boots(&self) -> u32 {
        if self.records == 0 {
            0
        } else {
            self.boot.saturating_add(1)
        }
    }

    /// What is known to be missing; the first so many.
    pub fn into_losses(self) -> Vec<Loss> {
        self.losses
    }

    /// Reads the lines that begin before `until`. The bytes behind it are only looked at, for one line; a line that `data` does not end is
    /// taken as it is.
    pub fn lines<'a>(&mut self, data: &'a [u8], until: usize, sink: &mut dyn FnMut(Record<'a>)) {
        let replays = memmem::Finder::new(REPLAY);
        let find_replay = |from: usize| {
            let found = data.get(from..).and_then(|rest| replays.find(rest));
            found.map_or(usize::MAX, |at| from.saturating_add(at))
        };
        let mut next_replay = find_replay(0);
        let mut at = 0;
        while at < until {
            let end = self.end_of_line(data, at);
            let line = data.get(at..end).unwrap_or_default();
            if next_replay < at {
                next_replay = find_replay(at);
            }
            if next_replay < end {
                self.replay = Replay::Now;
            } else {
                if next_replay != usize::MAX && self.replay == Replay::No {
                    let next = data.len().min(end.saturating_add(1));
                    if next_replay < self.end_of_line(data, next) {
                        self.replay = Replay::Announced;
                    }
                }
                let kept = line.get(..LONGEST_LINE).unwrap_or(line);
                self.line(kept, data.get(end).copied(), sink);
            }
            self.ended(line.len(), data.get(end).copied());
            at = end.saturating_add(1);
        }
    }

    /// Passes over bytes of a line that is too long.
    pub fn skip(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_add(bytes);
    }

    /// Gives what was held back.
    pub fn finish<'a>(&mut self, sink: &mut dyn FnMut(Record<'a>)) {
        if let Some(entry) = self.fields.end() {
            self.entry(entry, sink);
        }
        if let Some(held) = self.held.take() {
            sink(held);
        }
    }

    fn end_of_line(&self, data: &[u8], from: usize) -> usize {
        let rest = data.get(from..).unwrap_or_default();
        let found = match self.format.line_ends() {
            (one, other) if one == other => memchr(one, rest),
            (one, other) => memchr2(one, other, rest),
        };
        found.map_or(data.len(), |at| from.saturating_add(at))
    }

    fn ended(&mut self, length: usize, terminator: Option<u8>) {
        self.offset = self.offset.saturating_add(length);
        self.started |= length > 0;
        if let Some(terminator) = terminator {
            self.offset = self.offset.saturating_add(1);
            if terminator == b'\n' {
                self.number = self.number.saturating_add(1);
                self.started = false;
            }
        }
    }

    fn line<'a>(&mut self, line: &'a [u8], terminator: Option<u8>, sink: &mut dyn FnMut(Record<'a>)) {
        let line = without_margin(line, &self.margin);
        match self.format {
            // Of many empty lines one says as much.
            Format::Text if line.is_empty() => {
                if terminator == Some(b'\n') && !self.started && !self.blank {
                    self.blank = true;
                    self.text(Cow::Borrowed(""), sink);
                }
            }
            Format::Text => {
                self.blank = false;
                self.text(clean(line), sink);
            }
            Format::Kmsg => self.kmsg(&clean(line), sink),
            Format::Journal | Format::DmesgJson | Format::Lava => {
                if let Some(object) = self.objects.take(line, terminator) {
                    self.object(&String::from_utf8_lossy(&object), sink);
                }
            }
            Format::JournalExport => {
                if let Some(entry) = self.fields.export(line) {
                    self.entry(entry, sink);
                }
            }
            Format::JournalVerbose => {
                if let Some(entry) = self.fields.verbose(&String::from_utf8_lossy(line)) {
                    self.entry(entry, sink);
                }
            }
        }
    }

    fn text<'a>(&mut self, line: Cow<'a, str>, sink: &mut dyn FnMut(Record<'a>)) {
        if let Cow::Borrowed(whole) = line
            && let Some((prefix, text)) = self.text.simple(whole)
        {
            self.marked = self.marked.saturating_add(1);
            return self.push(prefix, Origin::Kernel, Cow::Borrowed(text), sink);
        }
        let mut pieces: [Option<Piece<'a>>; 4] = [const { None }; 4];
        let mut more = Vec::new();
        let mut free = pieces.iter_mut();
        self.text.take(line, &mut |piece| match free.next() {
            Some(place) => *place = Some(piece),
            None => more.push(piece),
        });
        for piece in pieces.into_iter().flatten().chain(more) {
            match piece {
                Piece::Dropped(count) => self.loss(Loss::Dropped {
                    count,
                    line: self.number,
                }),
                Piece::Part(part) => {
                    self.marked = self.marked.saturating_add(usize::from(part.marked));
                    self.push(part.prefix, part.origin, part.text, sink);
                }
            }
        }
    }

    fn object<'a>(&mut self, object: &str, sink: &mut dyn FnMut(Record<'a>)) {
        match self.format {
            Format::DmesgJson => {
                let Ok(entry) = serde_json::from_str::<DmesgEntry>(object) else {
                    return;
                };
                let prefix = Prefix {
                    priority: entry.priority(),
                    time: entry.time(),
                    caller: entry.caller(),
                    ..Prefix::default()
                };
                self.marked = self.marked.saturating_add(1);
                self.message(prefix, Origin::Kernel, &entry.msg, sink);
            }
            Format::Lava => {
                let Ok(entry) = serde_json::from_str::<LavaEntry>(object) else {
                    return;
                };
                let wall = entry.wall();
                let records = &mut |record: Record<'a>| {
                    sink(Record {
                        wall: record.wall.or(wall),
                        ..record
                    })
                };
                for line in entry.msg.split('\n') {
                    let line = Cow::Owned(clean(line.as_bytes()).into_owned());
                    if entry.is_of_board() {
                        self.text(line, records);
                    } else {
                        self.push(Prefix::default(), Origin::Program, line, records);
                    }
                }
            }
            _ => {
                if let Some(entry) = journal::parse(object) {
                    self.entry(entry, sink);
                }
            }
        }
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
                to: parsed.seq.saturating_sub(1),
                line: self.number,
            });
        }
        self.next_seq = parsed.seq.checked_add(1);
        let prefix = Prefix {
            priority: Some(parsed.priority),
            time: Some(parsed.time),
            caller: parsed.caller,
            ..Prefix::default()
        };
        self.marked = self.marked.saturating_add(1);
        for part in kmsg::unescape(parsed.text).split('\n') {
            let mut record = self.record(prefix, Origin::Kernel, Cow::Owned(part.to_string()));
            record.seq = Some(parsed.seq);
            self.emit(record, sink);
        }
    }

    /// An entry of a journal.
    fn entry<'a>(&mut self, entry: Entry, sink: &mut dyn FnMut(Record<'a>)) {
        if self.boot_id.is_some() && entry.boot_id.is_some() && self.boot_id != entry.boot_id {
            self.boot = self.boot.saturating_add(1);
            self.boot_began = Some(self.records);
        }
        if entry.boot_id.is_some() {
            self.boot_id = entry.boot_id;
        }
        let prefix = Prefix {
            priority: entry.priority,
            time: entry.time,
            wall: entry.wall,
            ..Prefix::default()
        };
        let origin = match entry.writer {
            Writer::Program => Origin::Program,
            Writer::Kernel | Writer::Anyone => Origin::Kernel,
        };
        self.marked = self.marked.saturating_add(usize::from(origin == Origin::Kernel));
        self.message(prefix, origin, &entry.text, sink);
    }

    /// A message of maybe several lines.
    fn message<'a>(&mut self, prefix: Prefix, origin: Origin, text: &str, sink: &mut dyn FnMut(Record<'a>)) {
        for line in text.split('\n') {
            let line = Cow::Owned(clean(line.as_bytes()).into_owned());
            self.push(prefix, origin, line, sink);
        }
    }

    fn push<'a>(
        &mut self,
        prefix: Prefix,
        origin: Origin,
        text: Cow<'a, str>,
        sink: &mut dyn FnMut(Record<'a>),
    ) {
        let record = self.record(prefix, origin, text);
        self.emit(record, sink);
    }

    fn record<'a>(&mut self, prefix: Prefix, origin: Origin, text: Cow<'a, str>) -> Record<'a> {
        if origin == Origin::Kernel {
            self.notice_boot(&text);
        }
        self.records = self.records.saturating_add(1);
        Record {
            time: prefix.time,
            wall: prefix.wall,
            level: prefix.priority.map(|priority| (priority & 7) as u8),
            facility: prefix.priority.map_or(0, |priority| priority >> 3),
            caller: prefix.caller,
            seq: None,
            boot: self.boot,
            lost: std::mem::take(&mut self.lost),
            origin,
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
        if self
            .boot_began
            .is_some_and(|began| here.saturating_sub(began) <= 4)
        {
            return;
        }
        if self.boot_began.is_some() && self.boot_id.is_none() {
            self.boot = self.boot.saturating_add(1);
        }
        self.boot_began = Some(here);
    }
}

/// Gives each record of a log to `sink`, one after the other; its format is recognised by its first lines. Never fails: what is no record is a
/// line of text.
pub fn each<'a>(bytes: &'a [u8], sink: &mut dyn FnMut(Record<'a>)) -> Reader {
    let mut reader = Reader::new(Layout::detect(bytes));
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
        marked: reader.marked(),
        losses: reader.into_losses(),
        records,
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
