//! Whether a log was understood at all (invariant 16): silence proves nothing where no kernel's record was recognised.

use super::finder::Found;
use super::kind::Severity;
use serde::Serialize;

/// What a log was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Understood {
    /// A kernel's log.
    Yes,
    /// It is empty.
    Empty,
    /// It is not text: an image, a packed file of an unknown kind, a database.
    Binary,
    /// Text without a record of a kernel.
    NoRecords,
    /// There are stacks of a kernel in it, and no report that they belong to was recognised.
    UnexplainedStacks,
}

impl Understood {
    /// What is wrong, for a person; nothing when it was understood.
    pub const fn problem(self) -> Option<&'static str> {
        match self {
            Understood::Yes => None,
            Understood::Empty => Some("it is empty: no kernel records recognised"),
            Understood::Binary => Some("it is not text: no kernel records recognised"),
            Understood::NoRecords => Some("no kernel records recognised"),
            Understood::UnexplainedStacks => {
                Some("it has call traces of a kernel, and no report that they belong to was recognised")
            }
        }
    }

    /// Judges a log by what was seen in it.
    pub(super) fn of(signs: Signs) -> Self {
        let errors = signs
            .found
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        if signs.bytes == 0 {
            return Understood::Empty;
        }
        if errors {
            return Understood::Yes;
        }
        if signs.binary == Content::Binary {
            return Understood::Binary;
        }
        if signs.found.unexplained > 0 {
            return Understood::UnexplainedStacks;
        }
        let recognised = signs.marked > 0 || signs.words > 0 || !signs.found.findings.is_empty();
        if recognised {
            Understood::Yes
        } else {
            Understood::NoRecords
        }
    }
}

/// What was seen in a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs<'a> {
    pub bytes: u64,
    /// Records with a kernel's prefix.
    pub marked: usize,
    /// Lines with words that only a kernel prints.
    pub words: usize,
    pub binary: Content,
    pub found: &'a Found,
}

/// What the first bytes of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Text,
    Binary,
}

impl Content {
    /// Noise on a serial line is a few bytes; of what is not text, it is every third at least.
    pub fn of(bytes: &[u8]) -> Self {
        let head = bytes.get(..super::record::HEAD).unwrap_or(bytes);
        let control =
            |byte: &&u8| **byte < b' ' && !b"\n\r\t\x1b\x08\x0c\x1e".contains(byte) || **byte == 0x7f;
        let odd = head.iter().filter(control).count();
        let torn = String::from_utf8_lossy(head).matches('\u{fffd}').count();
        if odd.saturating_add(torn).saturating_mul(4) > head.len() && !head.is_empty() {
            Content::Binary
        } else {
            Content::Text
        }
    }
}
