//! TOML files of a person: errors name file, line and column, what was found, what is allowed, and what was probably meant.

use super::bounded;
use super::one_line::{indented, one_line};
use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::path::Path;

/// So much of each line of the parser's words, in characters, and so many of the lines.
const SHOWN: usize = 200;
const LINES: usize = 12;

/// Reads a file. Errors: it cannot be read, or [`parse`]'s.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = bounded::read_text(path, bounded::WRITTEN)?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

/// Parses a text. Errors: line and column (the parser's own words), and the nearest name where one is unknown.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    ::toml::from_str(text).map_err(|error: ::toml::de::Error| {
        // It shows the line of the text, however long that is.
        let said = indented(&error.to_string(), SHOWN, LINES);
        match meant(error.message()) {
            Some(name) => anyhow!("{said}did you mean `{}`?", one_line(&name)),
            None => anyhow!("{said}"),
        }
    })
}

/// The version of a file that is newer than `newest`, with its place. It is told before any key that is not known.
pub fn newer(text: &str, newest: u32) -> Option<(i64, Range<usize>)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Head {
        schema_version: ::toml::Spanned<i64>,
    }
    let head: Head = ::toml::from_str(text).ok()?;
    let version = *head.schema_version.get_ref();
    (version > i64::from(newest)).then(|| (version, head.schema_version.span()))
}

/// Errors: [`newer`].
pub fn refuse_newer(text: &str, newest: u32) -> Result<()> {
    match newer(text, newest) {
        None => Ok(()),
        Some((version, span)) => bail!(
            "{}: schema-version is {version}, newer than this program reads ({newest}): use the program that wrote it, or a newer one",
            place(text, span)
        ),
    }
}

/// `line 3, column 8` of a place in a text.
pub fn place(text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let start = before.rsplit('\n').next().unwrap_or_default();
    let column = start.chars().count().saturating_add(1);
    format!("line {line}, column {column}")
}

/// The nearest of the names that serde lists: "unknown field `x`, expected one of `a`, `b`" (serde_core, `de::Error`).
pub fn meant(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    let (found, rest) = rest.split_once('`')?;
    let allowed = rest.split('`').skip(1).step_by(2);
    nearest(found, allowed).map(String::from)
}

/// The name that a person probably meant, if one is near enough.
pub fn nearest<'a>(found: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // 0.8 is what clap takes for its own flags; half of the letters of a short key may be wrong at less.
    allowed
        .into_iter()
        .map(|name| (strsim::jaro_winkler(found, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct File {
        #[allow(dead_code)]
        vanilla_label: String,
        #[allow(dead_code)]
        limit: Option<u32>,
    }

    #[test]
    fn a_typo_is_named_with_its_place_and_what_was_meant() {
        let error = parse::<File>("vanilla-label = \"a\"\nlimt = 3\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2, column 1") && error.contains("unknown field `limt`"),
            "{error}"
        );
        assert!(error.ends_with("did you mean `limit`?"), "{error}");
        let error = parse::<File>("vanilla-lable = \"a\"\n").unwrap_err().to_string();
        assert!(error.ends_with("did you mean `vanilla-label`?"), "{error}");
    }

    #[test]
    fn a_newer_version_is_told_before_what_it_brought() {
        let text = "name = 1\nschema-version = 3\nnew-key = true\n";
        assert_eq!(newer(text, 2), Some((3, 26..27)));
        let error = refuse_newer(text, 2).unwrap_err().to_string();
        assert!(
            error.starts_with("line 2, column 18: schema-version is 3, newer"),
            "{error}"
        );
        for text in ["schema-version = 2", "schema-version = \"x\"", "x", ""] {
            refuse_newer(text, 2).unwrap();
        }
    }

    #[test]
    fn nothing_near_is_not_guessed() {
        let error = parse::<File>("vanilla-label = \"a\"\nzzz = 3\n")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn places_are_counted_from_one() {
        assert_eq!(place("a\nbc = 1\n", 2..4), "line 2, column 1");
        assert_eq!(place("a\nbc = 1\n", 7..8), "line 2, column 6");
    }
}
