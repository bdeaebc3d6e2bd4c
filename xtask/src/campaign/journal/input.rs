//! What a row depends on, by content: a run that goes on compares it, and so does one that takes over what an earlier one found.

use serde::{Deserialize, Serialize};

/// One thing that a row depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// In words for a person: `patch 0004`, `fragment kconfig-fragments/lockdep.config`.
    pub name: String,
    /// SHA-256 of its content, or whatever else names the content (a commit).
    pub content: String,
}

impl Input {
    /// A name and its content's hash.
    pub fn new(name: &str, content: &str) -> Self {
        Input {
            name: name.to_string(),
            content: content.to_string(),
        }
    }
}
