//! Lines of `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg): `priority,sequence,microseconds,flags[,caller=T123];text` (of extended netconsole
//! maybe with `release,` in front), then lines that begin with a blank and carry `KEY=value`. Bytes that cannot be printed are escaped as `\xNN`.

use super::prefix::Caller;
use std::borrow::Cow;

/// The part before the semicolon, and the raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// `facility * 8 + level`.
    pub priority: u32,
    /// Sequence number; every record of a boot has its own, from 0 without a gap.
    pub seq: u64,
    /// Microseconds since boot.
    pub time: u64,
    /// Who printed, if the kernel says so.
    pub caller: Option<Caller>,
    /// The message, still escaped.
    pub text: &'a str,
}

/// Parses one line; `None` when it is not the first line of a record.
pub fn parse(line: &str) -> Option<Line<'_>> {
    if !line.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (head, text) = line.split_once(';')?;
    let mut fields = head.split(',').peekable();
    // netconsole with a release in front; a level has no dot.
    fields.next_if(|first| first.contains('.'));
    let priority = fields.next()?.parse().ok()?;
    let seq = fields.next()?.parse().ok()?;
    let time = fields.next()?.parse().ok()?;
    fields.next()?;
    let caller = fields
        .find_map(|field| field.strip_prefix("caller="))
        .and_then(caller);
    Some(Line {
        priority,
        seq,
        time,
        caller,
        text,
    })
}

/// `T123` or `C0`.
pub(super) fn caller(text: &str) -> Option<Caller> {
    let id = text.get(1..)?.parse().ok()?;
    match text.as_bytes().first()? {
        b'T' => Some(Caller::Task(id)),
        b'C' => Some(Caller::Cpu(id)),
        _ => None,
    }
}

/// Undoes `\xNN` escapes (kernel/printk/printk.c: `msg_add_ext_text()`).
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = rest
            .strip_prefix(b"\\x")
            .and_then(|hex| std::str::from_utf8(hex.get(..2)?).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_line() {
        let line = parse("4,1234,5678901,-,caller=T12;usb 1-1: a;b").unwrap();
        assert_eq!((line.priority, line.seq, line.time), (4, 1234, 5_678_901));
        assert_eq!(line.caller, Some(Caller::Task(12)));
        assert_eq!(line.text, "usb 1-1: a;b");
        assert_eq!(parse("6,0,0,-;Booting Linux").unwrap().caller, None);
        let line = parse("6.12.0-lockdep,4,8,200,-;b").unwrap();
        assert_eq!((line.priority, line.seq, line.text), (4, 8, "b"));
    }

    #[test]
    fn what_is_no_record() {
        for line in [
            "",
            " SUBSYSTEM=usb",
            "6,1;x",
            "a,b,c,-;x",
            "[ 1.000000] x",
            "99999999999999999999,0,0,-;",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\x0ab\x5cx"), "a\nb\\x");
        assert_eq!(unescape(r"\x"), r"\x");
        assert_eq!(unescape(r"\xzz\xe9"), "\\xzz\u{fffd}");
    }
}
