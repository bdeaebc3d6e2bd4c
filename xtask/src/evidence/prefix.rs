//! What stands in front of a kernel message on a text console, in `dmesg`, in `journalctl` and in syslog files.
//!
//! Grammar (kernel/printk/printk.c: `print_syslog()`, `print_time()`, `print_caller()`; util-linux `dmesg`):
//!
//! ```text
//! prefix  = [level] [time] [caller] [" "]
//! level   = "<" number ">"                      facility * 8 + level
//! time    = "[" spaces seconds "." 6 digits "]"  since boot
//! caller  = "[" spaces ("T" task id | "C" CPU) "]"  with CONFIG_PRINTK_CALLER
//! ```

use super::wall;
use serde::{Deserialize, Serialize};

/// Who printed: a task, or a CPU that was not in task context (`CONFIG_PRINTK_CALLER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// Thread id of the task (`T123`).
    Task(u32),
    /// CPU in interrupt context (`C0`).
    Cpu(u32),
}

/// A parsed prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prefix {
    /// Level and facility as one number, as in `<N>`: `facility * 8 + level`.
    pub priority: Option<u32>,
    /// Microseconds since boot.
    pub time: Option<u64>,
    /// Microseconds since 1970, where the line says so with its offset from UTC.
    pub wall: Option<u64>,
    /// Who printed.
    pub caller: Option<Caller>,
    /// Bytes of the line that the prefix takes.
    pub length: usize,
}

/// Parses the prefix at the start of `line`; `None` when there is neither a level nor a time.
pub fn parse(line: &str) -> Option<Prefix> {
    let bytes = line.as_bytes();
    let mut prefix = Prefix::default();
    if let Some((priority, length)) = level(bytes) {
        prefix.priority = Some(priority);
        prefix.length = length;
    }
    if let Some((time, length)) = time(&bytes[prefix.length..]) {
        prefix.time = Some(time);
        prefix.length += length;
        if let Some((caller, length)) = caller(&bytes[prefix.length..]) {
            prefix.caller = Some(caller);
            prefix.length += length;
        }
    } else if let Some(length) = ctime(&bytes[prefix.length..]) {
        prefix.length += length;
    } else if let Some((wall, length)) = dmesg_iso(&bytes[prefix.length..]) {
        prefix.wall = Some(wall);
        prefix.length += length;
    } else if prefix.priority.is_none() {
        return None;
    }
    if bytes.get(prefix.length) == Some(&b' ') {
        prefix.length += 1;
    }
    if prefix.time.is_some() {
        prefix.length += host_and_ident(&line[prefix.length..]);
    }
    Some(prefix)
}

/// Where a time stamp begins inside a line: a login prompt or a program's words stood in front of the kernel's.
pub fn embedded(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut from = 1;
    while let Some(at) = bytes.get(from..)?.iter().position(|&b| b == b'[') {
        let at = from + at;
        if time(&bytes[at..]).is_some() {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// What syslog puts in front (`Dec  4 17:33:13 host kernel: `, `2025-01-01T12:00:00+00:00 host kernel: `): its length, 0 when it is not there, and
/// the time since 1970 in microseconds where it has year and offset.
pub fn syslog(line: &str) -> (usize, Option<u64>) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let bytes = line.as_bytes();
    let dated = line.get(..3).is_some_and(|month| MONTHS.contains(&month))
        || (bytes.len() > 20 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[10] == b'T');
    if !dated {
        return (0, None);
    }
    let end = line.len().min(120);
    let head = String::from_utf8_lossy(&bytes[..end]);
    match head.find(" kernel: ") {
        Some(at)
            if !head[..at].contains(": ") && !head[..at].ends_with(':') && line.is_char_boundary(at + 9) =>
        {
            (at + 9, wall::iso(bytes).map(|(wall, _)| wall))
        }
        _ => (0, None),
    }
}

fn level(bytes: &[u8]) -> Option<(u32, usize)> {
    if bytes.first() != Some(&b'<') {
        return dmesg_decoded(bytes);
    }
    let (priority, digits) = number(&bytes[1..], 4)?;
    (bytes.get(1 + digits) == Some(&b'>')).then_some((u32::try_from(priority).ok()?, digits + 2))
}

/// `dmesg --decode`: `kern  :warn  : `.
fn dmesg_decoded(bytes: &[u8]) -> Option<(u32, usize)> {
    const LEVELS: [&[u8]; 8] = [
        b"emerg ", b"alert ", b"crit  ", b"err   ", b"warn  ", b"notice", b"info  ", b"debug ",
    ];
    let rest = bytes.strip_prefix(b"kern  :")?;
    let level = LEVELS.iter().position(|name| rest.starts_with(name))?;
    rest[6..]
        .starts_with(b": ")
        .then_some((u32::try_from(level).ok()?, 15))
}

fn time(bytes: &[u8]) -> Option<(u64, usize)> {
    if bytes.first() != Some(&b'[') {
        return None;
    }
    let mut at = 1 + bytes[1..].iter().take_while(|&&b| b == b' ').count();
    let (seconds, digits) = number(&bytes[at..], 12)?;
    at += digits;
    if bytes.get(at) != Some(&b'.') {
        return None;
    }
    let (micros, digits) = number(&bytes[at + 1..], 6)?;
    at += 1 + digits;
    (digits == 6 && bytes.get(at) == Some(&b']')).then_some((seconds * 1_000_000 + micros, at + 1))
}

fn caller(bytes: &[u8]) -> Option<(Caller, usize)> {
    if bytes.first() != Some(&b'[') {
        return None;
    }
    let mut at = 1 + bytes[1..].iter().take_while(|&&b| b == b' ').count();
    let kind = *bytes.get(at)?;
    at += 1;
    let (id, digits) = number(bytes.get(at..)?, 9)?;
    at += digits;
    if bytes.get(at) != Some(&b']') {
        return None;
    }
    let id = u32::try_from(id).ok()?;
    match kind {
        b'T' => Some((Caller::Task(id), at + 1)),
        b'C' => Some((Caller::Cpu(id), at + 1)),
        _ => None,
    }
}

/// `dmesg --time-format iso`: `2025-01-01T12:00:00,123456+00:00`. Nobody else has a comma there.
fn dmesg_iso(bytes: &[u8]) -> Option<(u64, usize)> {
    (bytes.get(19) == Some(&b',')).then(|| wall::iso(bytes)).flatten()
}

/// `dmesg --ctime`: `[Fri Jan  3 12:00:00 2025]`, in whatever zone.
fn ctime(bytes: &[u8]) -> Option<usize> {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let inside = bytes.strip_prefix(b"[")?;
    let day = DAYS.iter().any(|day| inside.starts_with(day));
    (day && inside.get(24) == Some(&b']')).then_some(26)
}

/// `journalctl -o short-monotonic` puts `host kernel: ` behind the time.
fn host_and_ident(rest: &str) -> usize {
    let Some(space) = rest.bytes().take(70).position(|b| b == b' ') else {
        return 0;
    };
    if space > 0 && rest.as_bytes()[space + 1..].starts_with(b"kernel: ") {
        return space + 9;
    }
    0
}

/// A decimal number of at most `most` digits and how many it has.
fn number(bytes: &[u8], most: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    let mut digits = 0;
    for &byte in bytes.iter().take(most) {
        if !byte.is_ascii_digit() {
            break;
        }
        value = value * 10 + u64::from(byte - b'0');
        digits += 1;
    }
    (digits > 0).then_some((value, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, priority: Option<u32>, time: Option<u64>, caller: Option<Caller>, text: &str) {
        let prefix = parse(line).unwrap_or_else(|| panic!("no prefix in {line:?}"));
        assert_eq!(
            (prefix.priority, prefix.time, prefix.caller),
            (priority, time, caller),
            "{line}"
        );
        assert_eq!(&line[prefix.length..], text);
    }

    #[test]
    fn prefixes_of_every_source() {
        check(
            "[    1.234567] usb 1-1: x",
            None,
            Some(1_234_567),
            None,
            "usb 1-1: x",
        );
        check(
            "[    1.234567][  T123] x",
            None,
            Some(1_234_567),
            Some(Caller::Task(123)),
            "x",
        );
        check(
            "[12345.000001][    C0]  y+0x1/0x2",
            None,
            Some(12_345_000_001),
            Some(Caller::Cpu(0)),
            " y+0x1/0x2",
        );
        check("<6>[    0.000000] x", Some(6), Some(0), None, "x");
        check(
            "<14>[   85.912347] init: x",
            Some(14),
            Some(85_912_347),
            None,
            "init: x",
        );
        check("<4>x", Some(4), None, None, "x");
        check(
            "kern  :warn  : [    3.000000] x",
            Some(4),
            Some(3_000_000),
            None,
            "x",
        );
        check("[Fri Jan  3 12:00:00 2025] x", None, None, None, "x");
        check(
            "[    3.000000] ampere kernel: x",
            None,
            Some(3_000_000),
            None,
            "x",
        );
        check(
            "[    3.000000] [ BUG: x ]",
            None,
            Some(3_000_000),
            None,
            "[ BUG: x ]",
        );
    }

    #[test]
    fn what_is_no_prefix() {
        for line in [
            "",
            "login:",
            "[ 1.5]",
            "[drm] x",
            "<x>",
            "[   1.23456] x",
            "<",
            "[",
            "[ ",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_time_stamp_behind_a_prompt_is_found() {
        assert_eq!(embedded("ampere login: [   16.305150] INFO: x"), Some(14));
        assert_eq!(embedded("a [b] c"), None);
        assert_eq!(embedded(""), None);
    }

    #[test]
    fn syslog_prefixes() {
        const NEW_YEAR: u64 = 1_735_689_600_000_000;
        assert_eq!(syslog("Dec  4 17:33:13 host kernel: x"), (29, None));
        assert_eq!(
            syslog("2025-01-01T12:00:00.123456+12:00 host kernel: x"),
            (46, Some(NEW_YEAR + 123_456))
        );
        assert_eq!(
            syslog("2025-01-01T00:00:00+0000 host kernel: x"),
            (38, Some(NEW_YEAR))
        );
        assert_eq!(syslog("2025-01-01T00:00:00 host kernel: x"), (33, None));
        assert_eq!(syslog("Dec  4 17:33:13 host sshd[1]: kernel: x"), (0, None));
        let line = "2025-01-01T00:00:00,000001+00:00 x";
        let prefix = parse(line).unwrap();
        assert_eq!((prefix.wall, prefix.length), (Some(NEW_YEAR + 1), line.len() - 1));
        assert_eq!(parse("2025-01-01T00:00:00.000001+00:00 x"), None);
    }
}
