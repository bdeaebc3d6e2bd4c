//! A block of a log as it is matched: escapes undone, record prefixes taken off, and for each byte
//! where it came from.
//!
//! Nothing here changes what is written: a value is found in a view and replaced in the block, so
//! what is not a value keeps every byte.

use super::{moved, prefix, rule};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// A text made from a block, with the origin of each of its bytes in the block.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// What is matched.
    pub(super) text: Vec<u8>,
    /// First byte in the block and the one after the last; `None` where the view is the block
    /// itself.
    origins: Option<Vec<(u32, u32)>>,
}

impl View {
    /// The block as it is.
    pub(super) fn of(block: &[u8]) -> Self {
        View {
            text: block.to_vec(),
            origins: None,
        }
    }

    /// Where a range of this view is in the block.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let Some(origins) = &self.origins else {
            return range;
        };
        let at = |index: usize| origins.get(index).copied();
        match (at(range.start), range.end.checked_sub(1).and_then(at)) {
            (Some((start, _)), Some((_, end))) if !range.is_empty() => start as usize..end as usize,
            _ => 0..0,
        }
    }

    fn made_of(&self, parts: Vec<(u8, Range<usize>)>) -> View {
        let mut text = Vec::with_capacity(parts.len());
        let mut origins = Vec::with_capacity(parts.len());
        for (byte, range) in parts {
            let range = self.origin(range);
            text.push(byte);
            origins.push((range.start as u32, range.end as u32));
        }
        View {
            text,
            origins: Some(origins),
        }
    }

    /// With one level of escapes undone; `None` where there are none.
    pub(super) fn decoded(&self) -> Option<View> {
        const ESCAPES: &[u8] = b"\\&%#\x1b\0";
        let quotes = memchr::memmem::find(&self.text, b"''").is_some();
        if !quotes && !self.text.iter().any(|byte| ESCAPES.contains(byte)) {
            return None;
        }
        let mut parts = Vec::with_capacity(self.text.len());
        let mut at = 0;
        let mut changed = false;
        let mut yaml = Quoted::No;
        while let Some(&byte) = self.text.get(at) {
            let rest = self.text.get(at..).unwrap_or_default();
            if quotes
                && (at
                    .checked_sub(1)
                    .is_none_or(|before| self.text.get(before) == Some(&b'\n')))
            {
                yaml = yaml_scalar(rest);
            }
            let doubled = yaml == Quoted::Single && rest.starts_with(b"''");
            match escape(rest).or(doubled.then(|| (b"'".to_vec(), 2))) {
                Some((bytes, length)) => {
                    changed = true;
                    let range = at..at.saturating_add(length);
                    at = range.end;
                    parts.extend(bytes.into_iter().map(|byte| (byte, range.clone())));
                }
                None => {
                    let range = at..at.saturating_add(1);
                    at = range.end;
                    parts.push((byte, range));
                }
            }
        }
        changed.then(|| self.made_of(parts))
    }

    /// With the prefix of each record taken off, and of a record in JSON the message alone; `None`
    /// where no line has any.
    pub(super) fn messages(&self) -> Option<View> {
        self.each_line(prefix::message)
    }

    /// With a part of each line only; `None` where that is all of every line.
    fn each_line(&self, part: fn(&[u8]) -> Range<usize>) -> Option<View> {
        let mut parts = Vec::new();
        let mut changed = false;
        let mut start = 0;
        for line in self.text.split_inclusive(|&byte| byte == b'\n') {
            let message = part(line);
            changed |= message.len() != line.len();
            let one = |index: usize| moved(start, &(index..index.saturating_add(1)));
            let take = |index: usize| Some((*line.get(index)?, one(index)));
            parts.extend(message.clone().filter_map(take));
            // The end of a line that was cut off is still the end of its message.
            if message.end < line.len() {
                parts.push((b'\n', one(line.len().saturating_sub(1))));
            }
            start = start.saturating_add(line.len());
        }
        changed.then(|| self.made_of(parts))
    }
}

/// The block and what it is with up to three levels of escapes undone: JSON in HTML in a shell's
/// quotes.
pub(super) fn views(block: &[u8]) -> Vec<View> {
    let mut all = vec![View::of(block)];
    while let Some(next) = all.last().filter(|_| all.len() < 4).and_then(View::decoded) {
        all.push(next);
    }
    all
}

/// The messages of the block's records, without and with escapes undone, as long as that changes
/// anything.
pub(super) fn message_views(views: &[View]) -> Vec<View> {
    let mut all = Vec::new();
    for view in views {
        let Some(mut messages) = view.messages() else {
            continue;
        };
        for _ in 0..3 {
            let next = messages.decoded();
            all.push(messages);
            let Some(decoded) = next else { break };
            messages = match decoded.messages() {
                Some(inner) => {
                    all.push(decoded);
                    inner
                }
                None => decoded,
            };
        }
    }
    let unwrapped = views
        .iter()
        .chain(&all)
        .filter_map(|view| view.each_line(prefix::wrapped));
    let unwrapped: Vec<View> = unwrapped.collect();
    let inner: Vec<View> = unwrapped.iter().filter_map(View::messages).collect();
    all.extend(unwrapped);
    all.extend(inner);
    all
}

/// Undone to the end: the same value in two spellings is one value.
pub(super) fn plain(value: &[u8]) -> Vec<u8> {
    views(value).pop().map_or_else(Vec::new, |view| view.text)
}

/// The escape at the beginning of `text`: what it stands for, and its length. Grammars: RFC 8259
/// (JSON), the shell's and C's backslashes, HTML's character references, RFC 3986's `%xx`,
/// /dev/kmsg's `\xNN`, rsyslog's `#ooo`, ECMA-48's control sequences.
fn escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    match *text.first()? {
        b'\\' => backslash(text),
        b'&' => reference(text),
        b'%' => Some((vec![hex(text.get(1..3)?)? as u8], 3)),
        b'#' if text.get(1) == Some(&b'0') => Some((vec![octal(text.get(1..4)?)?], 4)),
        0x1b => Some((Vec::new(), control_sequence(text))),
        // Ends of words in /proc/PID/environ.
        0 => Some((vec![b'\n'], 1)),
        _ => None,
    }
}

/// Whether a line is a scalar of YAML in single quotes, in which a quote is written twice (YAML
/// 1.2.2, section 7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Single,
    No,
}

fn yaml_scalar(text: &[u8]) -> Quoted {
    static SCALAR: LazyLock<Regex> =
        LazyLock::new(|| rule(r"^[ \t]*(?:- +)?(?:[\w.-]+: +)?'[^\n]*'[ \t\r]*(?:\n|$)"));
    if SCALAR.is_match(text) {
        Quoted::Single
    } else {
        Quoted::No
    }
}

fn backslash(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let one = |byte: u8| Some((vec![byte], 2));
    match *text.get(1)? {
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'\n' => one(b' '),
        byte @ (b'"' | b'\'' | b'\\' | b'/' | b'$' | b'`' | b' ' | b'!' | b'&' | b'#' | b';') => one(byte),
        b'x' => Some((vec![hex(text.get(2..4)?)? as u8], 4)),
        b'u' => {
            let c = char::from_u32(hex(text.get(2..6)?)?).unwrap_or(char::REPLACEMENT_CHARACTER);
            Some((c.to_string().into_bytes(), 6))
        }
        b'0'..=b'3' => Some((vec![octal(text.get(1..4)?)?], 4)),
        _ => None,
    }
}

fn reference(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let end = text.iter().take(10).position(|&byte| byte == b';')?;
    let name = std::str::from_utf8(text.get(1..end)?).ok()?;
    let c = match name {
        "quot" => '"',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((c.to_string().into_bytes(), end.saturating_add(1)))
}

fn control_sequence(text: &[u8]) -> usize {
    if text.get(1) != Some(&b'[') {
        return 1;
    }
    let body = text.iter().skip(2).take(32);
    match body
        .take_while(|byte| (0x20..0x40).contains(*byte))
        .count()
        .saturating_add(2)
    {
        length if text.get(length).is_some_and(|byte| (0x40..0x7f).contains(byte)) => {
            length.saturating_add(1)
        }
        _ => 1,
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let whole = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| whole)?, 16).ok()
}

fn octal(digits: &[u8]) -> Option<u8> {
    let whole = digits.iter().all(|byte| (b'0'..b'8').contains(byte));
    u8::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| whole)?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_every_kind_are_undone_and_their_origin_is_known() {
        for written in [
            r#"say \"hi\" now"#,
            "say &quot;hi&#34; now",
            "say \x1b[1;31m%22hi%22\x1b[0m now",
            r"say \x22hi\042 now",
            "say #042hi#042 now",
            r#"say &quot;hi\u0022 now"#,
        ] {
            let views = views(written.as_bytes());
            let last = views.last().unwrap();
            assert_eq!(String::from_utf8_lossy(&last.text), "say \"hi\" now", "{written}");
            let at = last.text.windows(2).position(|two| two == b"hi").unwrap();
            assert_eq!(&written[last.origin(at..at + 2)], "hi");
        }
        assert!(View::of(b"nothing to undo \n").decoded().is_none());
    }

    #[test]
    fn what_is_cut_short_is_left_as_it_is() {
        for text in ["\\", "\\x4", "&quot", "%2", "#0", "\\u12", "&#xffffffffff;"] {
            assert_eq!(plain(text.as_bytes()), text.as_bytes(), "{text}");
        }
    }
}
