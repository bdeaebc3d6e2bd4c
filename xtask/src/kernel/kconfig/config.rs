//! A whole `.config`, and what differs between two of them.

use super::fragment::parse_line;
use super::value::Value;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A `.config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    values: BTreeMap<String, Value>,
    title: Option<String>,
}

impl Config {
    /// Parses a `.config`; lines that are no assignment are ignored, and the last word on a symbol counts, as Kconfig does it.
    pub fn parse(text: &str) -> Self {
        let values = text
            .lines()
            .filter_map(|line| parse_line(line).ok().flatten())
            .collect();
        // conf_write_heading() in scripts/kconfig/confdata.c: `# Linux/arm64 7.3.4 Kernel Configuration`.
        let title = text
            .lines()
            .take(5)
            .filter_map(|line| line.strip_prefix("# "))
            .find_map(|line| line.strip_suffix(" Kernel Configuration"))
            .map(String::from);
        Config { values, title }
    }

    /// The value of a symbol; `None` if the configuration does not speak of it (which counts as `n`).
    pub fn get(&self, symbol: &str) -> Option<&Value> {
        self.values.get(symbol)
    }

    /// The symbols that it speaks of, by name, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether a symbol is `y`.
    pub fn is_yes(&self, symbol: &str) -> bool {
        self.get(symbol) == Some(&Value::Yes)
    }

    /// What its heading says that it was made for: `Linux/arm64 7.3.4`.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Number of symbols that it speaks of.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it speaks of none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// One symbol that differs between two configurations. Prints as a line of the kernel's scripts/diffconfig.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// As the first file writes it, quotes included; `None` if it does not speak of the symbol.
    pub before: Option<String>,
    /// As the second file writes it.
    pub after: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let symbol = &self.symbol;
        match (&self.before, &self.after) {
            (Some(before), None) => write!(f, "-{symbol} {before}"),
            (None, Some(after)) => write!(f, "+{symbol} {after}"),
            (before, after) => write!(
                f,
                " {symbol} {} -> {}",
                before.as_deref().unwrap_or("n"),
                after.as_deref().unwrap_or("n")
            ),
        }
    }
}

/// What differs between the texts of two `.config` files, in the order of scripts/diffconfig: what went, what changed, what came,
/// each sorted by name.
pub fn diff(a: &str, b: &str) -> Vec<Difference> {
    let (a, b) = (written(a), written(b));
    let one = |symbol: &&str| Difference {
        symbol: symbol.to_string(),
        before: a.get(symbol).map(|value| value.to_string()),
        after: b.get(symbol).map(|value| value.to_string()),
    };
    let gone = a.keys().filter(|symbol| !b.contains_key(*symbol));
    let changed = a
        .iter()
        .filter(|(symbol, value)| b.get(*symbol).is_some_and(|other| other != *value))
        .map(|(symbol, _)| symbol);
    let new = b.keys().filter(|symbol| !a.contains_key(*symbol));
    gone.chain(changed).chain(new).map(one).collect()
}

/// Symbols and their values as written, read as scripts/diffconfig does.
fn written(text: &str) -> BTreeMap<&str, &str> {
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some((symbol, value)) = line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('=')) {
            values.insert(symbol, value);
        } else if let Some(symbol) = line
            .strip_prefix("# CONFIG_")
            .and_then(|rest| rest.strip_suffix(" is not set"))
        {
            values.insert(symbol, "n");
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading_says_what_a_configuration_was_made_for() {
        let text = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 7.3.4 Kernel Configuration\n#\nCONFIG_A=y\n";
        let config = Config::parse(text);
        assert_eq!(config.title(), Some("Linux/arm64 7.3.4"));
        assert!(config.is_yes("A") && config.len() == 1);
        assert_eq!(Config::parse("CONFIG_A=y\n").title(), None);
    }

    #[test]
    fn differences_read_as_those_of_diffconfig() {
        let a = "CONFIG_SAME=y\nCONFIG_GONE=\"x y\"\n# CONFIG_ON is not set\nCONFIG_N=14\n";
        let b = "CONFIG_NEW=m\nCONFIG_SAME=y\nCONFIG_ON=y\nCONFIG_N=16\n# CONFIG_B is not set\n";
        let lines: Vec<String> = diff(a, b).iter().map(|one| one.to_string()).collect();
        assert_eq!(
            lines,
            ["-GONE \"x y\"", " N 14 -> 16", " ON n -> y", "+B n", "+NEW m"]
        );
        assert_eq!(diff(a, a), []);
    }
}
