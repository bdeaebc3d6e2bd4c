//! Bytes of a mail as text: encoded words (RFC 2047), base64 and quoted-printable (RFC 2045), character sets.

use anyhow::{Context, Result, bail};
use encoding_rs::Encoding;

/// A header's value with its encoded words decoded. As git does, white space between two of them goes away. Errors:
/// a broken one.
pub(super) fn decode(value: &[u8]) -> Result<String> {
    let raw = guess(value);
    decoded(&raw)?.with_context(|| {
        format!("found `{raw}` in a header; what begins with `=?` has to be an encoded word, `=?CHARSET?Q?TEXT?=` or `=?CHARSET?B?TEXT?=`")
    })
}

/// `None`: an encoded word without its end, or of an unknown encoding.
fn decoded(raw: &str) -> Result<Option<String>> {
    let mut out = String::new();
    let mut rest = raw;
    let mut first = true;
    while let Some((between, word)) = rest.split_once("=?") {
        if first || !between.bytes().all(|byte| byte.is_ascii_whitespace()) {
            out.push_str(between);
        }
        let word = word.split_once('?').and_then(|(charset, rest)| {
            let (encoding, rest) = rest.split_once('?')?;
            let (text, behind) = rest.split_once("?=")?;
            Some((charset, encoding, text, behind))
        });
        let Some((charset, encoding, text, behind)) = word else {
            return Ok(None);
        };
        let bytes = match encoding {
            "b" | "B" => base64(text.as_bytes()),
            "q" | "Q" => quoted_printable(text.replace('_', " ").as_bytes()),
            _ => return Ok(None),
        };
        out.push_str(&to_utf8(&bytes, charset)?);
        rest = behind;
        first = false;
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// Base64; what is not of its alphabet is passed over.
pub(super) fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count = 6u32.saturating_add(count);
        if let Some(left) = count.checked_sub(8) {
            count = left;
            out.push((bits >> count) as u8);
            bits &= !(u32::MAX << count);
        }
    }
    out
}

/// Quoted-printable; a line that ends in `=` goes on in the next, and a `=` that begins no code stays.
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'=' {
            out.push(*byte);
            continue;
        }
        if matches!(tail, [] | [b'\n', ..]) {
            return out;
        }
        let code = tail.split_at_checked(2).and_then(|(code, behind)| {
            let code = u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?;
            Some((code, behind))
        });
        match code {
            Some((code, behind)) => {
                out.push(code);
                rest = behind;
            }
            None => out.push(b'='),
        }
    }
    out
}

/// Text of a named character set. Errors: the set is unknown, or the bytes are not of it.
pub(super) fn to_utf8(bytes: &[u8], charset: &str) -> Result<String> {
    if charset.is_empty() {
        return Ok(guess(bytes));
    }
    if charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8") {
        return Ok(String::from_utf8_lossy(bytes).into_owned());
    }
    if charset.eq_ignore_ascii_case("us-ascii") && !bytes.is_ascii() {
        bail!("the mail says that its text is us-ascii, and there are other bytes in it");
    }
    // The web's tables, which the library has, take windows-1252 for ISO 8859-1.
    if ["iso-8859-1", "iso8859-1", "latin1"]
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name))
    {
        return Ok(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    let Some(encoding) = Encoding::for_label(charset.as_bytes()) else {
        bail!("the mail's character set `{charset}` is unknown; send it as UTF-8");
    };
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok(text.into_owned()),
        None => bail!("the mail says that its text is {charset}, and there are bytes in it that are not"),
    }
}

/// Text of no named character set: UTF-8, else ISO 8859-1, as git takes it.
pub(super) fn guess(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_of_several_sets_are_joined() {
        let value = b"a =?UTF-8?q?J=C3=BCr?=  =?iso-8859-1?Q?gen_M=FC?= =?KOI8-R?B?8NLJ18XU?= b";
        assert_eq!(decode(value).unwrap(), "a J\u{fc}rgen M\u{fc}Привет b");
        assert!(
            decode(b"=?no-such-set?q?a?= b")
                .unwrap_err()
                .to_string()
                .contains("`no-such-set` is unknown")
        );
        assert!(
            decode(b"=?utf-8?x?a?= b")
                .unwrap_err()
                .to_string()
                .contains("found `=?utf-8?x?a?= b`")
        );
    }

    #[test]
    fn transfer_encodings_are_undone() {
        assert_eq!(base64(b"aGVsbG8="), b"hello");
        assert_eq!(base64(b"aGVsbG8gd29y\r\n"), b"hello wor");
        assert_eq!(quoted_printable(b"a=3Db=\n"), b"a=b");
        assert_eq!(quoted_printable(b"a =zz\n"), b"a =zz\n");
    }

    #[test]
    fn wrong_sets_are_named() {
        assert!(
            to_utf8(b"\xff", "us-ascii")
                .unwrap_err()
                .to_string()
                .contains("us-ascii")
        );
        assert!(
            to_utf8(b"a", "utf-77")
                .unwrap_err()
                .to_string()
                .contains("`utf-77` is unknown")
        );
        assert_eq!(guess(b"\xfc"), "\u{fc}");
    }
}
