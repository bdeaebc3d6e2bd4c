//! A function that a report makes suspect, and why: what [`super::suspect`] finds and a finding carries.

use serde::{Deserialize, Serialize};

/// The function to look at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Suspect {
    /// Its name.
    pub function: String,
    /// Its module, where the frame names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
    /// Its file, relative to the source tree, where the frame was decoded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// Why it is suspected.
    pub why: Why,
}

/// Why a function is suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The patch changes it.
    TouchedFunction,
    /// The patch changes its file.
    TouchedFile,
    /// The functions that it called are exported helpers.
    CalledHelpers,
}

impl Why {
    /// In words, behind the function's name.
    pub const fn text(self) -> &'static str {
        match self {
            Why::TouchedFunction => "the patch changes it",
            Why::TouchedFile => "the patch changes its file",
            Why::CalledHelpers => "it called exported helpers",
        }
    }
}
