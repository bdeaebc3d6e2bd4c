//! What others put in front of a line of a kernel: log daemons, terminals, CI systems, mail programs, Android's logcat.
//!
//! A *line stamp* stands in front of each physical line (terminal, CI, mail). A *record stamp* stands in front of each message (syslog,
//! journal): a message of several lines has it once.

use super::cursor::Cursor;
use super::prefix::{DAYS, MONTHS, clock};
use super::wall;

/// Whose line it is, as far as the stamp tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A line stamp: whatever stands after it.
    Anyone,
    /// A record stamp of the kernel.
    Kernel,
    /// A record stamp of a program.
    Program,
}

/// A stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes that it takes.
    pub length: usize,
    /// Microseconds since 1970, where it has year and offset from UTC.
    pub wall: Option<u64>,
    /// `facility * 8 + level`, from syslog's wire formats.
    pub priority: Option<u32>,
    /// Whose line it is.
    pub writer: Writer,
}

/// Which stamps a log has, so that what is ambiguous in one line is read as in the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// A log daemon wrote it: after the date come host and program.
    Syslog,
    /// `journalctl -o short-monotonic`: host and program come after the time since boot.
    Monotonic,
    /// No line of a log daemon was seen: after the date comes the line.
    Unseen,
}

/// Takes a stamp at the start of a line.
pub fn take(line: &str, daemon: Daemon) -> Option<Stamp> {
    let at = Cursor::new(line.as_bytes());
    match at.peek()? {
        b'>' => mail(at),
        b'<' => on_the_wire(at),
        b'[' => bracketed(at),
        byte if byte.is_ascii_digit() || byte.is_ascii_uppercase() => dated(at, daemon),
        _ => None,
    }
}

fn stamp(at: Cursor, wall: Option<u64>, writer: Writer) -> Stamp {
    Stamp {
        length: at.taken(),
        wall,
        priority: None,
        writer,
    }
}

/// `> > `. KASAN marks a line of memory by `>ffff…`.
fn mail(mut at: Cursor) -> Option<Stamp> {
    while at.word(b">").is_some() {
        let _ = at.word(b" ");
    }
    let quoted = at.rest().is_empty() || at.taken() > 1 || matches!(at.peek(), Some(b'[' | b'<'));
    quoted.then(|| stamp(at, None, Writer::Anyone))
}

/// `[2026-11-30 01:00:00.123] ` and its kin of terminal programs and CI systems; `[0.000001 0.000001] ` of grabserial.
fn bracketed(mut at: Cursor) -> Option<Stamp> {
    at.word(b"[")?;
    let mut elapsed = at;
    let wall = if two_times(&mut elapsed).is_some() {
        at = elapsed;
        None
    } else {
        date_time(&mut at)?
    };
    at.word(b"]")?;
    separator(&mut at);
    Some(stamp(at, wall, Writer::Anyone))
}

fn two_times(at: &mut Cursor) -> Option<()> {
    at.number(1, 9)?;
    at.word(b".")?;
    at.number(6, 6)?;
    at.word(b" ")?;
    at.number(1, 9)?;
    at.word(b".")?;
    at.number(6, 6)?;
    Some(())
}

/// A date without brackets: a log daemon's, where host and program stand after it, else a terminal's or a CI system's.
fn dated(mut at: Cursor, daemon: Daemon) -> Option<Stamp> {
    let mut unix = at;
    if unix_time(&mut unix).is_some() {
        let writer = host_and_program(&mut unix)?;
        return Some(stamp(unix, None, writer));
    }
    let wall = date_time(&mut at)?;
    let mut after = at;
    if let Some(writer) = host_and_program(&mut after)
        && (writer == Writer::Kernel || daemon == Daemon::Syslog)
    {
        return Some(stamp(after, wall, writer));
    }
    if !matches!(at.peek(), None | Some(b' ' | b'\t' | b':' | b'|' | b',')) {
        return None;
    }
    separator(&mut at);
    gitlab_stream(&mut at);
    Some(stamp(at, wall, Writer::Anyone))
}

/// GitLab's runner: `00O `, `01E+`: a number, which stream, whether the line goes on.
fn gitlab_stream(at: &mut Cursor) {
    let mut ahead = *at;
    if ahead.number(2, 2).is_some() && ahead.one_of(b"OE").is_some() && ahead.one_of(b" +").is_some() {
        *at = ahead;
    }
}

/// One blank is the stamp's; more are the line's.
fn separator(at: &mut Cursor) {
    let _ = at.one_of(b":|,");
    let _ = at.one_of(b" \t");
}

/// `1795412760.123456` of `journalctl -o short-unix`.
fn unix_time(at: &mut Cursor) -> Option<()> {
    at.number(9, 12)?;
    at.word(b".")?;
    at.number(6, 6)?;
    (at.peek() == Some(b' ')).then_some(())
}

/// ` host kernel: ` and ` host program[1]: `.
pub fn host_and_program(at: &mut Cursor) -> Option<Writer> {
    let mut ahead = *at;
    if ahead.blanks() == 0 {
        return None;
    }
    let host = ahead.token(255)?;
    if host.last() == Some(&b':') || ahead.word(b" ").is_none() {
        return None;
    }
    let program = ahead.token(64)?.strip_suffix(b":")?;
    let _ = ahead.word(b" ");
    let name = program.split(|&byte| byte == b'[').next()?;
    *at = ahead;
    Some(if name == b"kernel" {
        Writer::Kernel
    } else {
        Writer::Program
    })
}

/// Date and time in the forms that programs write, and the time since 1970 where year and offset are there.
fn date_time(at: &mut Cursor) -> Option<Option<u64>> {
    if let Some((wall, length)) = wall::iso(at.rest()) {
        at.skip(length);
        return Some(Some(wall));
    }
    let forms: [fn(&mut Cursor) -> Option<()>; 4] = [numbers, weekday, month, clock];
    let found = forms.iter().find_map(|form| {
        let mut ahead = *at;
        form(&mut ahead).map(|()| ahead)
    })?;
    *at = found;
    Some(None)
}

/// `2026-11-30 01:00:00.123`, `2026/11/30T01:00:00`, with a zone maybe.
fn numbers(at: &mut Cursor) -> Option<()> {
    at.number(4, 4)?;
    let between = at.one_of(b"-/.")?;
    at.number(2, 2)?;
    at.word(&[between])?;
    at.number(2, 2)?;
    at.one_of(b"T _")?;
    clock(at)?;
    zone(at);
    Some(())
}

/// `Mon 2026-11-30 01:00:00 UTC`, `Mon Nov 30 01:00:00 2026`.
fn weekday(at: &mut Cursor) -> Option<()> {
    at.any_word(&DAYS)?;
    at.word(b" ")?;
    let mut full = *at;
    if numbers(&mut full).is_some() {
        *at = full;
        let mut named = *at;
        if named.word(b" ").is_some() && (2..=5).contains(&named.while_in(|byte| byte.is_ascii_uppercase())) {
            *at = named;
        }
        return Some(());
    }
    month(at)?;
    at.word(b" ")?;
    at.number(4, 4).map(drop)
}

/// `Nov 30 01:00:00`.
fn month(at: &mut Cursor) -> Option<()> {
    at.any_word(&MONTHS)?;
    if at.blanks() == 0 {
        return None;
    }
    at.number(1, 2)?;
    at.word(b" ")?;
    clock(at)
}

fn zone(at: &mut Cursor) {
    let mut ahead = *at;
    if ahead.word(b"Z").is_some() {
        *at = ahead;
        return;
    }
    let _ = ahead.word(b" ");
    if ahead.one_of(b"+-").is_some() && ahead.number(2, 4).is_some() {
        if ahead.word(b":").is_some() && ahead.number(2, 2).is_none() {
            return;
        }
        *at = ahead;
    }
}

/// Syslog as it goes over the wire: RFC 5424 (`<4>1 2026-11-30T01:00:00Z host kernel - - - text`) and RFC 3164 (`<4>Nov 30 01:00:00 host
/// kernel: text`).
fn on_the_wire(mut at: Cursor) -> Option<Stamp> {
    at.word(b"<")?;
    let priority = u32::try_from(at.number(1, 3)?).ok();
    at.word(b">")?;
    let found = if at.word(b"1 ").is_some() {
        rfc5424(at)?
    } else if at.peek()?.is_ascii_uppercase() {
        dated(at, Daemon::Syslog).filter(|stamp| stamp.writer != Writer::Anyone)?
    } else {
        return None;
    };
    Some(Stamp { priority, ..found })
}

/// After the version: `time host program id message-id data text`.
fn rfc5424(mut at: Cursor) -> Option<Stamp> {
    let wall = match date_time(&mut at) {
        Some(wall) => wall,
        None => {
            at.word(b"-")?;
            None
        }
    };
    at.word(b" ")?;
    at.token(255)?;
    at.word(b" ")?;
    let program = at.token(48)?;
    at.word(b" ")?;
    at.token(128)?;
    at.word(b" ")?;
    at.token(32)?;
    at.word(b" ")?;
    if at.word(b"-").is_none() {
        structured_data(&mut at)?;
    }
    let _ = at.word(b" ");
    // RFC 5424, 6.4: a byte order mark says that the text is UTF-8.
    let _ = at.word("\u{feff}".as_bytes());
    let writer = if program == b"kernel" {
        Writer::Kernel
    } else {
        Writer::Program
    };
    Some(stamp(at, wall, writer))
}

/// `[id name="value"]`, one or more; a bracket in a value is escaped.
fn structured_data(at: &mut Cursor) -> Option<()> {
    at.word(b"[")?;
    loop {
        at.while_in(|byte| byte != b'\\' && byte != b']');
        match at.peek()? {
            b'\\' => at.skip(2),
            _ => {
                at.skip(1);
                if at.word(b"[").is_none() {
                    return Some(());
                }
            }
        }
    }
}

/// A line of `logcat -b kernel` (`-v threadtime`, `-v time`, `-v brief`): priority and text. Android takes the words before the first colon
/// for a tag; they belong to the kernel's line.
pub fn logcat(line: &str) -> Option<(u32, String)> {
    let mut at = Cursor::new(line.as_bytes());
    let mut year = at;
    if year.number(4, 4).is_some() && year.word(b"-").is_some() {
        at = year;
    }
    let dated = at.number(2, 2).is_some();
    if dated {
        at.word(b"-")?;
        at.number(2, 2)?;
        at.word(b" ")?;
        clock(&mut at)?;
        at.one_of(b" ")?;
        at.blanks();
    }
    let mut threads = at;
    let full = threads.number(1, 9).is_some()
        && threads.blanks() > 0
        && threads.number(1, 9).is_some()
        && threads.blanks() > 0;
    if full && dated {
        at = threads;
    }
    let level = match at.one_of(b"VDIWEF")? {
        b'F' => 2,
        b'E' => 3,
        b'W' => 4,
        b'I' => 6,
        _ => 7,
    };
    // threadtime has a blank after the level, time and brief a slash, and an id in parentheses after the tag.
    let rest = match (full && dated, at.one_of(b" /")?) {
        (true, b' ') => std::str::from_utf8(at.rest()).ok()?.to_string(),
        (false, b'/') => {
            let text = std::str::from_utf8(at.rest()).ok()?;
            let (tag, after) = text.split_once('(')?;
            let (id, message) = after.split_once(')')?;
            id.trim().parse::<u32>().ok()?;
            format!("{tag}{message}")
        }
        _ => return None,
    };
    let (tag, message) = rest
        .split_once(": ")
        .or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let tag = tag.trim_end();
    let text = match (tag.is_empty(), message.is_empty()) {
        (true, _) => message.to_string(),
        (false, true) => tag.to_string(),
        (false, false) => format!("{tag}: {message}"),
    };
    Some((level, text))
}

#[cfg(test)]
#[path = "stamp_tests.rs"]
mod tests;
