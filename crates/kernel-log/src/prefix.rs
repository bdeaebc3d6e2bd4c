//! What stands in front of a kernel message on a text console and in `dmesg`: one grammar.
//!
//! ```text
//! prefix  = [level] [time] [caller] [" "]
//! level   = "<" number ">"                        facility * 8 + level (kernel/printk/printk.c: print_syslog())
//!         | facility ":" level ": "               dmesg --decode
//! time    = "[" spaces seconds "." 6 digits [more] "]"    since boot (print_time())
//!         | "[" ctime [delta] "]"                 dmesg --ctime
//!         | "[" month day " " hours ":" minutes "]" | "[" spaces "+" seconds "." 6 digits "]"   dmesg --reltime
//!         | "[" delta "]"                         dmesg --show-delta --notime
//!         | ISO 8601 with a comma                 dmesg --time-format iso
//! more    = delta | "s" | "@" CPU | " / " date    dmesg --show-delta, journalctl -o short-delta; vendors' kernels
//! delta   = " <" spaces seconds "." digits [" "] ">" | blanks
//! caller  = [" "] "[" spaces ("T" task id | "C" CPU) "]"  CONFIG_PRINTK_CALLER (print_caller())
//!                                                         the blank: dmesg since 2.41
//!         | vendors' callers, see `prefix/vendor.rs`
//! ```

mod vendor;

use super::cursor::Cursor;
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
    /// Microseconds since 1970, where the line has it with its offset from UTC.
    pub wall: Option<u64>,
    /// Who printed.
    pub caller: Option<Caller>,
    /// Bytes of the line that the prefix takes.
    pub length: usize,
}

/// Parses the prefix at the start of `line`; `None` when there is neither a level nor a time.
pub fn parse(line: &str) -> Option<Prefix> {
    let mut at = Cursor::new(line.as_bytes());
    let mut prefix = Prefix {
        priority: level(&mut at),
        ..Prefix::default()
    };
    let mut dated = true;
    if let Some(time) = time(&mut at) {
        prefix.time = Some(time);
    } else if let Some(wall) = dmesg_iso(&mut at) {
        prefix.wall = Some(wall);
    } else {
        dated = bracketed_date(&mut at);
    }
    if !dated && prefix.priority.is_none() {
        return None;
    }
    if dated {
        prefix.caller = caller(&mut at);
    }
    if prefix.caller.is_none() && prefix.time.is_some() {
        prefix.caller = vendor::caller(&mut at);
    }
    let _ = at.word(b" ");
    prefix.length = at.taken();
    Some(prefix)
}

/// Where the next time stamp of a kernel begins inside a line: a login prompt, a program's words or a record without its line end stood in
/// front of it. `from`: where to begin.
pub fn embedded(line: &str, from: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut from = from;
    loop {
        let at = from.saturating_add(memchr::memchr(b'[', bytes.get(from..)?)?);
        if time(&mut Cursor::new(bytes.get(at..)?)).is_some() {
            return Some(at);
        }
        from = at.saturating_add(1);
    }
}

/// Whether the time stamp at the start of `text` is as the kernel prints it: seconds padded to five places (`print_time()`: `[%5lu.%06lu]`).
/// Returns the time.
pub fn console_time(text: &[u8]) -> Option<u64> {
    let dot = text.iter().take(14).position(|&byte| byte == b'.')?;
    (dot >= 6).then(|| time(&mut Cursor::new(text)))?
}

fn level(at: &mut Cursor) -> Option<u32> {
    let mut angle = *at;
    if angle.word(b"<").is_some() {
        let priority = angle.number(1, 4)?;
        angle.word(b">")?;
        *at = angle;
        return u32::try_from(priority).ok();
    }
    dmesg_decoded(at)
}

/// `dmesg --decode`: `kern  :warn  : ` (util-linux, sys-utils/dmesg.c: `level_names`, `facility_names`).
fn dmesg_decoded(at: &mut Cursor) -> Option<u32> {
    const FACILITIES: [&str; 12] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    ];
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    let mut ahead = *at;
    if !ahead.peek()?.is_ascii_lowercase() {
        return None;
    }
    // The longer name first: `authpriv` begins like `auth`.
    let facility = match ahead.word(b"authpriv") {
        Some(()) => 10,
        None => ahead.any_word(&FACILITIES)?,
    };
    ahead.blanks();
    ahead.word(b":")?;
    let level = ahead.any_word(&LEVELS)?;
    ahead.blanks();
    ahead.word(b": ")?;
    *at = ahead;
    u32::try_from(facility.saturating_mul(8).saturating_add(level)).ok()
}

fn time(at: &mut Cursor) -> Option<u64> {
    let mut ahead = *at;
    ahead.word(b"[")?;
    ahead.blanks();
    let seconds = ahead.number(1, 12)?;
    ahead.word(b".")?;
    let micros = ahead.number(6, 6)?;
    match ahead.peek()? {
        b']' => {}
        b's' => ahead.skip(1),
        b'@' => {
            ahead.skip(1);
            ahead.number(1, 3)?;
        }
        b' ' => {
            delta(&mut ahead);
            vendor_date(&mut ahead);
            ahead.blanks();
        }
        _ => return None,
    }
    ahead.word(b"]")?;
    *at = ahead;
    Some(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

/// ` <    0.000001>`, in `journalctl -o short-delta` with a blank before the `>`.
fn delta(at: &mut Cursor) -> bool {
    let step = |at: &mut Cursor| -> Option<()> {
        at.blanks();
        at.word(b"<")?;
        at.blanks();
        let _ = at.word(b"-");
        at.number(1, 12)?;
        at.word(b".")?;
        at.number(1, 9)?;
        at.blanks();
        at.word(b">")
    };
    let mut ahead = *at;
    let found = step(&mut ahead).is_some();
    if found {
        *at = ahead;
    }
    found
}

/// ` / 01-31 12:00:00.123`, in front of the closing bracket.
fn vendor_date(at: &mut Cursor) {
    let mut ahead = *at;
    if ahead.word(b" / ").is_some() {
        ahead.while_in(|byte| byte.is_ascii_digit() || b"-: .".contains(&byte));
        *at = ahead;
    }
}

fn caller(at: &mut Cursor) -> Option<Caller> {
    let mut ahead = *at;
    let _ = ahead.word(b" ");
    ahead.word(b"[")?;
    ahead.blanks();
    let kind = ahead.one_of(b"TC")?;
    let id = u32::try_from(ahead.number(1, 9)?).ok()?;
    ahead.word(b"]")?;
    *at = ahead;
    Some(if kind == b'T' {
        Caller::Task(id)
    } else {
        Caller::Cpu(id)
    })
}

/// `dmesg --time-format iso`: `2025-01-01T12:00:00,123456+00:00`. No other program writes a comma there.
fn dmesg_iso(at: &mut Cursor) -> Option<u64> {
    if at.rest().get(19) != Some(&b',') {
        return None;
    }
    let (wall, length) = wall::iso(at.rest())?;
    at.skip(length);
    Some(wall)
}

/// Names of weekdays as `ctime(3)` has them.
pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Names of months as `ctime(3)` has them.
pub const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The times of `dmesg` that do not tell when since boot: `--ctime`, `--reltime`, `--notime --show-delta`.
fn bracketed_date(at: &mut Cursor) -> bool {
    let step = |at: &mut Cursor| -> Option<()> {
        at.word(b"[")?;
        if delta(at) {
            return at.word(b"]");
        }
        at.blanks();
        if at.word(b"+").is_some() {
            at.number(1, 12)?;
            at.word(b".")?;
            at.number(6, 6)?;
            return at.word(b"]");
        }
        if at.any_word(&DAYS).is_some() {
            at.word(b" ")?;
            at.any_word(&MONTHS)?;
            at.blanks();
            at.number(1, 2)?;
            at.word(b" ")?;
            clock(at)?;
            at.word(b" ")?;
            at.number(4, 4)?;
            delta(at);
            return at.word(b"]");
        }
        at.any_word(&MONTHS)?;
        at.blanks();
        at.number(1, 2)?;
        at.word(b" ")?;
        at.number(2, 2)?;
        at.word(b":")?;
        at.number(2, 2)?;
        at.word(b"]")
    };
    let mut ahead = *at;
    let found = step(&mut ahead).is_some();
    if found {
        *at = ahead;
    }
    found
}

/// `12:34:56`, maybe with a fraction.
pub fn clock(at: &mut Cursor) -> Option<()> {
    let mut ahead = *at;
    ahead.number(2, 2)?;
    ahead.word(b":")?;
    ahead.number(2, 2)?;
    ahead.word(b":")?;
    ahead.number(2, 2)?;
    let mut fraction = ahead;
    if fraction.one_of(b".,").is_some() && fraction.number(1, 9).is_some() {
        ahead = fraction;
    }
    *at = ahead;
    Some(())
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
        let task = Some(Caller::Task(123));
        check(
            "[    1.234567] usb 1-1: x",
            None,
            Some(1_234_567),
            None,
            "usb 1-1: x",
        );
        check("[    1.234567][  T123] x", None, Some(1_234_567), task, "x");
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
        check(
            "daemon:info  : [    3.000000] x",
            Some(30),
            Some(3_000_000),
            None,
            "x",
        );
        check("[Fri Jan  3 12:00:00 2025] x", None, None, None, "x");
        check(
            "[    3.000000] [ BUG: x ]",
            None,
            Some(3_000_000),
            None,
            "[ BUG: x ]",
        );
    }

    #[test]
    fn times_of_dmesg_and_of_vendors() {
        check(
            "[    3.000000 <    0.000001>] x",
            None,
            Some(3_000_000),
            None,
            "x",
        );
        check(
            "[    3.000000 <    0.000001 >]  x",
            None,
            Some(3_000_000),
            None,
            " x",
        );
        check(
            "[    3.000000               ] x",
            None,
            Some(3_000_000),
            None,
            "x",
        );
        check("[<    0.000001>] x", None, None, None, "x");
        check("[Nov30 01:00] x", None, None, None, "x");
        check("[  +0.000001]  f+0x1/0x2", None, None, None, " f+0x1/0x2");
        check(
            "[Fri Jan  3 12:00:00 2025 <    0.000001>] x",
            None,
            None,
            None,
            "x",
        );
        check("[    3.000000s] x", None, Some(3_000_000), None, "x");
        check("[    3.000000@1] x", None, Some(3_000_000), None, "x");
        check(
            "[    3.000000 / 01-31 12:00:00.123] x",
            None,
            Some(3_000_000),
            None,
            "x",
        );
    }

    #[test]
    fn what_is_not_a_prefix() {
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
            "[Fri]",
            "[+",
            "[Jan",
            "[1.000000 2.000000] x",
            "kern: x",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_time_stamp_after_a_prompt_is_found() {
        assert_eq!(embedded("ampere login: [   16.305150] INFO: x", 1), Some(14));
        assert_eq!(embedded("a [b] c", 1), None);
        assert_eq!(embedded("", 1), None);
        assert_eq!(console_time(b"[   16.305150] x"), Some(16_305_150));
        assert_eq!(console_time(b"[16.305150] x"), None, "no console prints it so");
    }

    #[test]
    fn the_iso_time_of_dmesg() {
        const NEW_YEAR: u64 = 1_735_689_600_000_000;
        let line = "2025-01-01T00:00:00,000001+00:00 x";
        let prefix = parse(line).unwrap();
        assert_eq!((prefix.wall, prefix.length), (Some(NEW_YEAR + 1), line.len() - 1));
        assert_eq!(parse("2025-01-01T00:00:00.000001+00:00 x"), None);
    }
}
