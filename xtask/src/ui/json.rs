//! JSON that a terminal can show: what controls a terminal, or turns or hides text, is escaped; it is the same value for whoever parses it.

use super::SCHEMA_VERSION;
use crate::host::one_line::is_invisible;
use anyhow::Result;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// One object on one line, `schema_version` first.
pub(super) fn object(value: &impl Serialize) -> Result<String> {
    let mut object = serde_json::Map::new();
    object.insert("schema_version".into(), SCHEMA_VERSION.into());
    match serde_json::to_value(value)? {
        serde_json::Value::Object(fields) => object.extend(fields),
        other => drop(object.insert("result".into(), other)),
    }
    let mut bytes = Vec::new();
    object.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping))?;
    Ok(String::from_utf8(bytes)?)
}

/// serde_json escapes what RFC 8259 demands: C0 controls, quotes and backslashes.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest
            .char_indices()
            .find(|&(_, c)| c.is_control() || is_invisible(c))
        {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = from.strip_prefix(c).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_that_a_terminal_obeys_is_printed() {
        let foreign = "a\u{9b}2J\u{85}\u{7f}\u{202e}b\u{200b}\u{e0041}\u{2028}\n\"\\\u{1f642}ä";
        let printed = object(&serde_json::json!({ "a": foreign, foreign: [foreign] })).unwrap();
        assert!(
            printed.starts_with(
                r#"{"schema_version":1,"a":"a\u009b2J\u0085\u007f\u202eb\u200b\udb40\udc41\u2028\n\"\\🙂ä","#
            ),
            "{printed}"
        );
        assert!(!printed.contains(|c: char| c.is_control() || is_invisible(c)));
        let read: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            (&read["a"], &read[foreign][0]),
            (&foreign.into(), &foreign.into())
        );
    }
}
