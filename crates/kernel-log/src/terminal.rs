//! What terminals, consoles and mail programs put around the text of a line.

use super::cursor::Cursor;
use std::borrow::Cow;

/// Text of a line without terminal codes and control characters; what is not UTF-8 becomes U+FFFD.
pub(super) fn clean(line: &[u8]) -> Cow<'_, str> {
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
            rest = after.get(escape_length(after)..).unwrap_or_default();
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
    let mut at = Cursor::new(after);
    match at.peek() {
        None => {}
        Some(b'[') => {
            at.skip(1);
            at.while_in(|byte| (0x20..0x40).contains(&byte));
            at.skip(1);
        }
        Some(b']') => {
            at.while_in(|byte| byte != 0x07 && byte != 0x1b);
            // BEL, or ESC and a backslash.
            at.skip(if at.peek() == Some(0x1b) { 2 } else { 1 });
        }
        Some(_) => at.skip(1),
    }
    at.taken()
}

/// What stands in front of all lines of a log: the blanks of a web page's code or of a commit's
/// message, the `>` of a mail.
pub(super) fn margin(head: &[u8]) -> Vec<u8> {
    let mut margin: Option<&[u8]> = None;
    for line in head.split(|&byte| byte == b'\n') {
        let text = line.trim_ascii_end();
        let own = text.iter().take_while(|byte| b" \t>".contains(byte)).count();
        if own == text.len() {
            continue;
        }
        let own = text.get(..own).unwrap_or_default();
        let shared = margin.map_or(own.len(), |margin| {
            let pairs = margin.iter().zip(own);
            pairs.take_while(|(one, other)| one == other).count()
        });
        margin = own.get(..shared);
        if shared == 0 {
            break;
        }
    }
    margin.unwrap_or_default().to_vec()
}

/// A line without the margin of its log, as far as it has it.
pub(super) fn without_margin<'l>(line: &'l [u8], margin: &[u8]) -> &'l [u8] {
    let shared = line
        .iter()
        .zip(margin)
        .take_while(|(one, other)| one == other)
        .count();
    line.get(shared..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins() {
        let check = |log: &str, expect: &str| assert_eq!(margin(log.as_bytes()), expect.as_bytes(), "{log}");
        check("[    1.0] x\n f\n", "");
        check("    [    1.0] x\n\n     f\n    y\n", "    ");
        check("> > x\n> >\n> > y\n", "> > ");
        check("> x\ny\n", "");
        check("", "");
        assert_eq!(without_margin(b"> > x", b"> "), b"> x");
        assert_eq!(without_margin(b">", b"> "), b"");
    }
}
