//! Lines of text to parts of records: what stands in front is taken off, a message of several lines is put together, two records on one line
//! are taken apart, and it is told whose a line is.

use super::cursor::Cursor;
use super::entities::without_entities;
use super::firmware;
use super::headers;
use super::kmsg;
use super::layout::{KernelLines, Layout};
use super::prefix::{self, Prefix};
use super::record::Origin;
use super::stamp::{self, Daemon, Writer};
use std::borrow::Cow;

/// Stamps in front of one line, at most: a mail that quotes a CI log of a terminal.
const STAMPS: usize = 4;
/// Blanks that may stand for the prefix of a continuation line: shorter ones are an indented line.
const LEAST_WIDTH: usize = 8;
/// … in the lines of a log daemon, whose prefix may be wider than what stands for it.
const NARROW: usize = 16;
/// Two records on one line are said to be printed within so long (µs).
const GLUED: u64 = 60_000_000;

/// What a line gives.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A record, or a line of it.
    Part(Part<'a>),
    /// The console was too slow for so many records.
    Dropped(u64),
}

/// A line of a record.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub prefix: Prefix,
    pub origin: Origin,
    /// It is a kernel's beyond doubt.
    pub marked: bool,
    pub text: Cow<'a, str>,
}

/// What is remembered from line to line.
#[derive(Debug)]
pub(super) struct TextLines {
    layout: Layout,
    phase: Phase,
    /// Prefix of the last record, who wrote it, and how wide all of it was in front of the text.
    last: Prefix,
    writer: Writer,
    width: usize,
    /// Blanks in front of continuation lines that are fewer than the prefix is wide: `journalctl -o short`.
    narrow: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of a kernel or of firmware was seen.
    Start,
    Firmware,
    Kernel,
}

type Sink<'s, 'a> = &'s mut dyn FnMut(Piece<'a>);

impl TextLines {
    pub fn new(layout: Layout) -> Self {
        TextLines {
            layout,
            phase: Phase::Start,
            last: Prefix::default(),
            writer: Writer::Anyone,
            width: 0,
            narrow: None,
        }
    }

    /// What nearly every line of a serial capture and of dmesg is: a record with its time, and nothing else in front of it or in it.
    pub fn simple<'l>(&mut self, line: &'l str) -> Option<(Prefix, &'l str)> {
        if !line.starts_with('[') || self.layout.daemon == Daemon::Monotonic {
            return None;
        }
        let prefix = prefix::parse(line).filter(|prefix| prefix.time.is_some())?;
        let text = line.get(prefix.length..)?;
        let may_be = memchr::memchr2(b'&', b'[', text.as_bytes()).is_some();
        let special = may_be && (text.contains('&') || prefix::embedded(text, 0).is_some());
        let special = special || text.starts_with("reboot: ");
        if special {
            return None;
        }
        (self.last, self.writer, self.width) = (prefix, Writer::Anyone, prefix.length);
        self.kernel_begins();
        Some((prefix, text))
    }

    /// Takes a line without terminal codes and line end.
    pub fn take<'a>(&mut self, line: Cow<'a, str>, sink: Sink<'_, 'a>) {
        let mut rest = without_entities(line);
        let mut carried = Prefix::default();
        let mut writer = Writer::Anyone;
        // Length of the line behind the line stamps.
        let mut whole = rest.len();
        let mut parsed = None;
        for _ in 0..=STAMPS {
            if writer == Writer::Anyone
                && let Some(length) = self.continuation(&rest).map(str::len)
            {
                let skipped = rest.len().saturating_sub(length);
                let text = skip(rest, skipped);
                return self.part(self.last, self.writer, text, sink);
            }
            let stamp = match rest.as_bytes().first() {
                Some(b'<') => self.stamp(&rest),
                _ => {
                    parsed = prefix::parse(&rest);
                    if parsed.is_some() { None } else { self.stamp(&rest) }
                }
            };
            let Some(stamp) = stamp else { break };
            carried.wall = stamp.wall.or(carried.wall);
            carried.priority = stamp.priority.or(carried.priority);
            rest = skip(rest, stamp.length);
            match stamp.writer {
                Writer::Anyone if writer == Writer::Anyone => whole = rest.len(),
                Writer::Anyone => {}
                found => writer = found,
            }
        }
        if rest.starts_with("** ")
            && let Some((count, length)) = dropped(&rest)
        {
            sink(Piece::Dropped(count));
            rest = skip(rest, length);
            if rest.is_empty() {
                return;
            }
            parsed = None;
        }
        if parsed.is_none()
            && let Some((priority, text)) = stamp::logcat(&rest)
        {
            carried.priority = Some(priority);
            return self.record(carried, Writer::Kernel, 0, Cow::Owned(text), sink);
        }
        if parsed.is_none()
            && let Some(line) = kmsg::parse(&rest)
        {
            let prefix = Prefix {
                priority: Some(line.priority),
                time: Some(line.time),
                caller: line.caller,
                ..carried
            };
            let text = Cow::Owned(kmsg::unescape(line.text).into_owned());
            return self.record(prefix, writer, 0, text, sink);
        }
        match parsed.or_else(|| prefix::parse(&rest)) {
            Some(found) => {
                let (length, host) = self.host(&rest, &found);
                let text = skip(rest, length);
                let width = whole.saturating_sub(text.len());
                let writer = host.unwrap_or(writer);
                self.record(dated(found, carried), writer, width, text, sink);
            }
            None => {
                let width = whole.saturating_sub(rest.len());
                self.unmarked(carried, writer, width, rest, sink);
            }
        }
    }

    /// A line without a prefix of the kernel at its start.
    fn unmarked<'a>(
        &mut self,
        carried: Prefix,
        writer: Writer,
        width: usize,
        rest: Cow<'a, str>,
        sink: Sink<'_, 'a>,
    ) {
        let Some(at) = prefix::embedded(&rest, 1) else {
            return self.record(carried, writer, width, rest, sink);
        };
        let (head, tail) = split(rest, at);
        let words = head.trim_end();
        if !words.is_empty() {
            self.part(carried, writer, Cow::Owned(words.to_string()), sink);
        }
        let found = prefix::parse(&tail).unwrap_or_default();
        let text = skip(tail, found.length);
        self.record(dated(found, carried), writer, 0, text, sink);
    }

    /// A record that begins here: maybe there is another one glued to its end.
    fn record<'a>(
        &mut self,
        prefix: Prefix,
        writer: Writer,
        width: usize,
        text: Cow<'a, str>,
        sink: Sink<'_, 'a>,
    ) {
        (self.last, self.writer, self.width) = (prefix, writer, width);
        let (mut prefix, mut text) = (prefix, text);
        while let Some(at) = glued(&prefix, &text) {
            let (head, tail) = split(text, at);
            self.part(prefix, writer, Cow::Owned(without_level(&head).to_string()), sink);
            let found = prefix::parse(&tail).unwrap_or_default();
            prefix = dated(
                found,
                Prefix {
                    time: None,
                    caller: None,
                    ..prefix
                },
            );
            text = skip(tail, found.length);
        }
        if writer == Writer::Kernel && text.contains("#012") {
            // rsyslog writes a line feed so.
            for line in text.split("#012") {
                self.part(prefix, writer, Cow::Owned(line.to_string()), sink);
            }
            return;
        }
        self.part(prefix, writer, text, sink);
    }

    fn part<'a>(&mut self, prefix: Prefix, writer: Writer, text: Cow<'a, str>, sink: Sink<'_, 'a>) {
        let marked = writer != Writer::Program
            && (writer == Writer::Kernel
                || prefix.time.is_some()
                || prefix.priority.is_some()
                || self.is_dated(&prefix));
        let origin = self.origin(writer, marked, &text);
        sink(Piece::Part(Part {
            prefix,
            origin,
            marked,
            text,
        }));
    }

    /// A line of `dmesg --ctime` and its kin has neither a time since boot nor a level; its prefix has a length all the same.
    fn is_dated(&self, prefix: &Prefix) -> bool {
        prefix.length > 0
    }

    /// A kernel whose first line has a time marks all of its lines, also where firmware or a program
    /// filled the part of the log by which its layout was recognised.
    fn kernel_begins(&mut self) {
        if self.phase != Phase::Kernel {
            self.phase = Phase::Kernel;
            self.layout.kernel = KernelLines::Marked;
        }
    }

    /// Whose a line is. In a log whose kernel marks its lines, one that is not marked is firmware's until the kernel's first one, and a
    /// program's from then on.
    fn origin(&mut self, writer: Writer, marked: bool, text: &str) -> Origin {
        if writer == Writer::Program {
            return Origin::Program;
        }
        if marked {
            let down = text.starts_with("reboot: ") && !text.contains("watchdog");
            if down {
                self.phase = Phase::Firmware;
            } else {
                self.kernel_begins();
            }
            return Origin::Kernel;
        }
        if firmware::begins(text) {
            self.phase = Phase::Firmware;
            return Origin::Firmware;
        }
        // A kernel that prints no times, or a script that dropped them, and times later on.
        if self.phase == Phase::Start && headers::begins_report(text) {
            self.phase = Phase::Kernel;
            self.layout.kernel = KernelLines::Bare;
        }
        let bare = self.layout.kernel == KernelLines::Bare;
        if firmware::hands_over(text) && (bare || self.phase != Phase::Firmware) {
            self.phase = Phase::Kernel;
        }
        match self.phase {
            Phase::Firmware => Origin::Firmware,
            _ if bare => Origin::Kernel,
            Phase::Start => Origin::Firmware,
            Phase::Kernel => Origin::Program,
        }
    }

    fn stamp(&self, line: &str) -> Option<stamp::Stamp> {
        let known = stamp::take(line, self.layout.daemon);
        // The date of logcat looks like a terminal's.
        if known.is_some_and(|stamp| stamp.writer == Writer::Anyone) && stamp::logcat(line).is_some() {
            return None;
        }
        let unknown = || {
            let length = self.layout.common.as_ref()?.length(line)?;
            Some(stamp::Stamp {
                length,
                wall: None,
                priority: None,
                writer: Writer::Anyone,
            })
        };
        known.or_else(unknown)
    }

    /// Where the text of a record begins behind `host kernel: ` of `journalctl -o short-monotonic`, and who that says it is.
    fn host(&self, line: &str, prefix: &Prefix) -> (usize, Option<Writer>) {
        let none = (prefix.length, None);
        if prefix.time.is_none() || self.layout.daemon != Daemon::Monotonic {
            return none;
        }
        // The blank before the host was taken with the prefix.
        let blank = prefix.length.saturating_sub(1);
        let mut at = Cursor::new(line.as_bytes().get(blank..).unwrap_or_default());
        match stamp::host_and_program(&mut at) {
            Some(writer) => (blank.saturating_add(at.taken()), Some(writer)),
            None => none,
        }
    }

    /// The rest of a line that has blanks where the last record had its prefix: `dmesg` and `journalctl` print the further lines of a
    /// message so.
    fn continuation<'l>(&mut self, line: &'l str) -> Option<&'l str> {
        if self.width < LEAST_WIDTH || !line.starts_with(' ') {
            return None;
        }
        let blanks = line.bytes().take_while(|&byte| byte == b' ').count();
        if blanks >= self.width {
            return line.get(self.width..);
        }
        if blanks == line.len() {
            // A blank line whose end was trimmed.
            return (blanks >= LEAST_WIDTH).then_some("");
        }
        if self.writer != Writer::Kernel || blanks < NARROW {
            return None;
        }
        let narrow = self.narrow.map_or(blanks, |narrow| narrow.min(blanks));
        self.narrow = Some(narrow);
        line.get(narrow..)
    }
}

fn dated(prefix: Prefix, carried: Prefix) -> Prefix {
    Prefix {
        wall: prefix.wall.or(carried.wall),
        priority: prefix.priority.or(carried.priority),
        ..prefix
    }
}

/// Where the next record begins in the text of one: the console lost the line end between them.
fn glued(prefix: &Prefix, text: &str) -> Option<usize> {
    let now = prefix.time?;
    let mut from = 0;
    loop {
        let at = prefix::embedded(text, from)?;
        let stamp = text.as_bytes().get(at..).and_then(prefix::console_time);
        if stamp.is_some_and(|time| time.abs_diff(now) <= GLUED) && at > 0 {
            return Some(at);
        }
        from = at.saturating_add(1);
    }
}

/// Without the `<4>` that belongs to the record glued to it.
fn without_level(head: &str) -> &str {
    let Some(inside) = head.strip_suffix('>') else {
        return head;
    };
    match inside.rsplit_once('<') {
        Some((words, level))
            if (1..=3).contains(&level.len()) && level.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            words
        }
        _ => head,
    }
}

/// `** N printk messages dropped ** ` at the start of a line (kernel/printk/printk.c: `console_prepend_dropped()`): how many, and its length.
fn dropped(line: &str) -> Option<(u64, usize)> {
    let mut at = Cursor::new(line.as_bytes());
    at.word(b"** ")?;
    let digits = at;
    let count = at.number(1, 18).or_else(|| {
        at = digits;
        (at.while_in(|byte| byte.is_ascii_digit()) > 0).then_some(u64::MAX)
    })?;
    at.word(b" printk messages dropped **")?;
    let _ = at.word(b" ");
    Some((count, at.taken()))
}

fn split(text: Cow<'_, str>, at: usize) -> (Cow<'_, str>, Cow<'_, str>) {
    match text {
        Cow::Borrowed(text) => {
            let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
            (Cow::Borrowed(head), Cow::Borrowed(tail))
        }
        Cow::Owned(text) => {
            let (head, tail) = text.split_at_checked(at).unwrap_or((&text, ""));
            (Cow::Owned(head.to_string()), Cow::Owned(tail.to_string()))
        }
    }
}

/// Without its first bytes.
fn skip(text: Cow<'_, str>, bytes: usize) -> Cow<'_, str> {
    match bytes {
        0 => text,
        bytes => split(text, bytes).1,
    }
}
