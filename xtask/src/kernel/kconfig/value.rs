//! Values of symbols, as a `.config` or a fragment writes them.

use serde::Serialize;
use std::fmt;

/// The value of a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Value {
    /// `y`
    Yes,
    /// `m`
    Module,
    /// `n`, or `# CONFIG_X is not set`, or not in the configuration at all.
    No,
    /// A string, without its quotes and escapes.
    Text(String),
    /// `123`, `-1`, `0x1f`, or `34c` of a `hex`, as written.
    Number(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Yes => f.write_str("y"),
            Value::Module => f.write_str("m"),
            Value::No => f.write_str("n"),
            Value::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Value::Number(number) => f.write_str(number),
        }
    }
}

impl From<Value> for String {
    fn from(value: Value) -> String {
        value.to_string()
    }
}

impl Value {
    /// Reads what stands behind `=`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "y" => return Some(Value::Yes),
            "m" => return Some(Value::Module),
            "n" => return Some(Value::No),
            _ => {}
        }
        if let Some(inner) = text.strip_prefix('"') {
            return unescape(inner).map(Value::Text);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hex) => !hex.is_empty() && hex.chars().all(|c| c.is_ascii_hexdigit()),
            // sym_string_valid() takes a hex number without `0x`: `CONFIG_RADIO_GEMTEK_PORT=34c`. Letters first would be a word.
            None => {
                digits.starts_with(|c: char| c.is_ascii_digit())
                    && digits.chars().all(|c| c.is_ascii_hexdigit())
            }
        };
        number.then(|| Value::Number(text.to_string()))
    }

    /// Equal as Kconfig sees it: numbers by value, `0x1` is `0x01`.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => match (number(a), number(b)) {
                (Some(a), Some(b)) => a == b,
                _ => a == b,
            },
            _ => self == other,
        }
    }
}

/// The number that a text stands for, decimal or hex.
pub(super) fn number(text: &str) -> Option<i128> {
    let (negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |digits| (true, digits));
    let value: i128 = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => i128::from_str_radix(hex, 16).ok()?,
        None => digits
            .parse()
            .or_else(|_| i128::from_str_radix(digits, 16))
            .ok()?,
    };
    if negative {
        value.checked_neg()
    } else {
        Some(value)
    }
}

/// What stands between the quotes, given the text behind the first one; `None` if the last quote is missing or not
/// last.
fn unescape(inner: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = inner.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(text),
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hex_number_may_lack_its_prefix() {
        let port = Value::parse("34c").unwrap();
        assert_eq!(port, Value::Number("34c".into()));
        assert!(port.same(&Value::Number("0x34C".into())));
        for word in ["c0de", "34g", "-", "yes"] {
            assert_eq!(Value::parse(word), None, "{word}");
        }
    }

    #[test]
    fn numbers_too_long_to_be_compared_are_compared_as_texts() {
        let of = |digit: &str| Value::Number(digit.repeat(60));
        assert!(!of("1").same(&of("2")));
        assert!(of("1").same(&of("1")));
    }
}
