//! Fragments: lists of requests in the syntax of a `.config`, and what several of them ask for together.
//!
//! Grammar: what `conf_read_simple` of the kernel's scripts/kconfig/confdata.c reads, but strict: a line that it would skip
//! with a warning is an error here.

use super::value::Value;
use crate::host::bounded;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::path::Path;

/// Whether a kernel has to know a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Yes.
    Always,
    /// Asked for only where the kernel defines it: a comment line `# lockstep: if-defined` stands right before the
    /// request.
    IfDefined,
}

/// The comment that makes the next request [`Need::IfDefined`].
const IF_DEFINED: &str = "# lockstep: if-defined";

/// One symbol that a fragment asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// What is asked for.
    pub value: Value,
    /// Whether it may be missing in some kernels.
    pub need: Need,
    /// Name of the fragment.
    pub fragment: String,
    /// Line in it, from 1.
    pub line: usize,
}

/// A fragment: a list of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Name for messages: its path.
    pub name: String,
    /// In the order of the file.
    pub requests: Vec<Request>,
}

impl Fragment {
    /// Reads a fragment file. Errors name file, line and column, what was found, what is allowed.
    pub fn read(path: &Path) -> Result<Self> {
        let text = bounded::read_text(path, bounded::WRITTEN)
            .with_context(|| format!("reading the fragment {}", path.display()))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses the text of the fragment `name`.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut requests: Vec<Request> = Vec::new();
        let mut need = Need::Always;
        for (at, line) in text.lines().enumerate() {
            let line_number = at.saturating_add(1);
            if line.trim() == IF_DEFINED {
                need = Need::IfDefined;
                continue;
            }
            let parsed = parse_line(line).map_err(|bad| {
                anyhow::anyhow!(
                    "{name}:{line_number}:{}: found `{}`; {}",
                    bad.column,
                    bad.found,
                    bad.allowed
                )
            })?;
            let Some((symbol, value)) = parsed else { continue };
            if let Some(first) = requests.iter().find(|request| request.symbol == symbol) {
                bail!(
                    "{name}:{line_number}:1: found CONFIG_{symbol} a second time; it stands in line {} already, and one fragment may \
                     ask for a symbol once",
                    first.line
                );
            }
            requests.push(Request {
                symbol,
                value,
                need: std::mem::replace(&mut need, Need::Always),
                fragment: name.to_string(),
                line: line_number,
            });
        }
        Ok(Fragment {
            name: name.to_string(),
            requests,
        })
    }
}

/// A line that is no request.
pub(super) struct BadLine {
    column: usize,
    found: String,
    allowed: &'static str,
}

const LINES: &str =
    "allowed are `CONFIG_NAME=VALUE`, `# CONFIG_NAME is not set`, other comments behind `#`, and empty lines";
const VALUES: &str = "allowed are `y`, `m`, `n`, a number like `10` or `0x1`, and a text in double quotes";

/// A request, or nothing for comments and empty lines.
pub(super) fn parse_line(line: &str) -> std::result::Result<Option<(String, Value)>, BadLine> {
    let line = line.trim_end();
    // What is wrong begins where `rest`, a tail of the line, does.
    let bad = |rest: &str, found: &str, allowed| {
        let before = line.strip_suffix(rest).unwrap_or_default();
        BadLine {
            column: before.chars().count().saturating_add(1),
            found: found.to_string(),
            allowed,
        }
    };
    let text = line.trim_start();
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(comment) = text.strip_prefix('#') {
        let unset = comment
            .trim()
            .strip_prefix("CONFIG_")
            .and_then(|rest| rest.strip_suffix(" is not set"));
        return Ok(unset
            .filter(|symbol| is_symbol(symbol))
            .map(|symbol| (symbol.to_string(), Value::No)));
    }
    let Some(rest) = text.strip_prefix("CONFIG_") else {
        return Err(bad(text, text.split([' ', '=']).next().unwrap_or(text), LINES));
    };
    let Some((symbol, value)) = rest.split_once('=') else {
        return Err(bad("", "the end of the line", LINES));
    };
    if !is_symbol(symbol) {
        let wrong = rest.trim_start_matches(is_symbol_character);
        let found = wrong.chars().next().unwrap_or('=').to_string();
        return Err(bad(
            wrong,
            &found,
            "a symbol is made of letters, digits and `_`, and `=` follows at once",
        ));
    }
    match Value::parse(value) {
        Some(value) => Ok(Some((symbol.to_string(), value))),
        None => Err(bad(value, value, VALUES)),
    }
}

fn is_symbol_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

pub(super) fn is_symbol(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_symbol_character)
}

/// Several fragments as one: the last word on each symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// One request for each symbol, in the order in which symbols first came.
    pub requests: Vec<Request>,
    /// Requests that a later fragment replaced by another value.
    pub overrides: Vec<Override>,
}

/// A request that lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Override {
    /// What was asked for first.
    pub earlier: Request,
    /// What counts.
    pub later: Request,
}

/// Merges fragments; the later one wins.
pub fn merge(fragments: &[Fragment]) -> Merged {
    let mut requests: Vec<Request> = Vec::new();
    let mut overrides = Vec::new();
    for request in fragments.iter().flat_map(|fragment| &fragment.requests) {
        let Some(earlier) = requests
            .iter_mut()
            .find(|earlier| earlier.symbol == request.symbol)
        else {
            requests.push(request.clone());
            continue;
        };
        let earlier = std::mem::replace(earlier, request.clone());
        if !earlier.value.same(&request.value) {
            overrides.push(Override {
                earlier,
                later: request.clone(),
            });
        }
    }
    Merged { requests, overrides }
}

impl Merged {
    /// The text for KCONFIG_ALLCONFIG, or to be appended to a `.config` before `olddefconfig`
    /// (Documentation/kbuild/kconfig.rst).
    pub fn to_config(&self) -> String {
        let mut text = String::new();
        for Request { symbol, value, .. } in &self.requests {
            text += &match value {
                Value::No => format!("# CONFIG_{symbol} is not set\n"),
                value => format!("CONFIG_{symbol}={value}\n"),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(text: &str) -> Fragment {
        Fragment::parse("f.config", text).unwrap()
    }

    fn error(text: &str) -> String {
        Fragment::parse("f.config", text).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let requests = fragment(
            "# SPDX\n\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\n# CONFIG_D is not set\nCONFIG_E=\"-a \\\"b\\\"\"\nCONFIG_F=0x1F\n  CONFIG_G=-10\n",
        )
        .requests;
        let values: Vec<_> = requests
            .iter()
            .map(|r| format!("{}={}:{}", r.symbol, r.value, r.line))
            .collect();
        assert_eq!(
            values,
            [
                "A=y:3",
                "B=m:4",
                "C=n:5",
                "D=n:6",
                "E=\"-a \\\"b\\\"\":7",
                "F=0x1F:8",
                "G=-10:9"
            ]
        );
    }

    #[test]
    fn errors_name_line_column_found_and_allowed() {
        assert!(
            error("CONFIG_A=y\nFOO=y\n")
                .starts_with("f.config:2:1: found `FOO`; allowed are `CONFIG_NAME=VALUE`")
        );
        assert!(error("CONFIG_A=yes\n").starts_with("f.config:1:10: found `yes`; allowed are `y`, `m`, `n`"));
        assert!(error("CONFIG_A\n").starts_with("f.config:1:9: found `the end of the line`"));
        assert!(error("CONFIG_A =y\n").starts_with("f.config:1:9: found ` `; a symbol is made of"));
        assert!(error("CONFIG_Ä=y\n").starts_with("f.config:1:8: found `Ä`"));
        assert!(error("CONFIG_A=\"x\n").starts_with("f.config:1:10: found `\"x`"));
        assert!(error("CONFIG_A=0xg\n").contains("found `0xg`"));
        assert!(error("CONFIG_A=\n").starts_with("f.config:1:10: found ``"));
        assert!(error("CONFIG_A=y # why\n").contains("found `y # why`"));
        assert!(
            error("CONFIG_A=y\n\nCONFIG_A=n\n")
                .starts_with("f.config:3:1: found CONFIG_A a second time; it stands in line 1")
        );
    }

    #[test]
    fn the_later_fragment_wins_and_that_is_told() {
        let mut last = fragment("CONFIG_A=n\nCONFIG_B=0x10\n");
        last.name = "last".into();
        let merged = merge(&[fragment("CONFIG_A=y\nCONFIG_B=16\nCONFIG_C=m\n"), last]);
        assert_eq!(
            merged.to_config(),
            "# CONFIG_A is not set\nCONFIG_B=0x10\nCONFIG_C=m\n"
        );
        assert_eq!(
            merged.overrides.len(),
            1,
            "the same number in other digits is no override"
        );
        assert_eq!(merged.overrides[0].earlier.value, Value::Yes);
    }

    #[test]
    fn printing_and_parsing_give_the_same_requests() {
        let text = "CONFIG_A=y\nCONFIG_B=\"a\\\\b \\\"c\\\"\"\n# CONFIG_C is not set\nCONFIG_D=0x0\n";
        assert_eq!(merge(&[fragment(text)]).to_config(), text);
    }
}
