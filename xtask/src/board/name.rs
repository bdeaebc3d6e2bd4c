//! Names of boards and campaigns, which folders and files carry.

use anyhow::{Error, ensure};
use serde::Serialize;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

/// Longest name, bytes: files put endings behind it, and a file's name has at most 255.
pub const LONGEST: usize = 100;

/// The name of a board or a campaign: one component of a path that leads nowhere else. Letters,
/// digits and `-_.`, not beginning with `.` or `-`. Campaign files and board files allow no more
/// (`campaign/file/check.rs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Whether a text can be one.
    pub fn allows(text: &str) -> bool {
        !text.is_empty()
            && text.len() <= LONGEST
            && !text.starts_with(['.', '-'])
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    }

    /// As a word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        ensure!(
            Name::allows(text),
            "`{}` is no name of a board or campaign: letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`, at most {LONGEST}",
            text.escape_debug()
        );
        Ok(Name(text.to_string()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_of_a_path() {
        for good in ["iter6", "test-labels-12", "v1.2", "_x"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        let long = "x".repeat(LONGEST + 1);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "/abs",
            "a/b",
            ".hidden",
            "-rf",
            "a b",
            "a\n",
            "a\0",
            "ä",
            "a\u{202e}b",
            &long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }
}
