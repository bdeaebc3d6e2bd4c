//! What a step says while it runs.

use std::fmt;

/// One thing that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// What is going on.
    Line(&'a str),
    /// What a person has to do, who may not be looking: `--notify` passes it on.
    PersonNeeded(&'a str),
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Said::Line(line) => f.write_str(line),
            Said::PersonNeeded(what) => write!(f, "a person is needed: {what}"),
        }
    }
}
