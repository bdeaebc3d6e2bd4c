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
    /// `123`, `-1` or `0x1f`, as written.
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
            None => !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()),
        };
        number.then(|| Value::Number(text.to_string()))
    }

    /// Equal as Kconfig sees it: numbers by value, `0x1` is `0x01`.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => number(a) == number(b),
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
        None => digits.parse().ok()?,
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
