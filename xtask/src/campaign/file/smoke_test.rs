//! Smoke tests and the soak, as a campaign file has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A command on the board that has to end in time, with this status and this output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmokeTest {
    /// Name that steps use. Letters, digits, `-` and `_`.
    pub name: String,
    /// POSIX shell, run as root. `$LOCKSTEP` is a folder of its own with the pushed files, and where it starts.
    pub run: String,
    /// The first step that runs it, by its id, where what it needs comes with that step's patch: it
    /// is not run in the baseline, nor in a step before. Without it every boot runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Longest time in seconds.
    #[serde(default = "minute")]
    pub limit_s: u64,
    /// How often it is run, one after the other.
    #[serde(default = "once")]
    pub repeat: u32,
    /// Exit status that passes, unless a step says otherwise.
    #[serde(default)]
    pub exit: i32,
    /// A file that the command has to leave behind in `$LOCKSTEP`.
    pub output: Option<Output>,
    /// Regular expressions, each of which some line that it prints has to match.
    #[serde(default)]
    pub prints: Vec<String>,
    /// Regular expressions that no line that it prints may match.
    #[serde(default)]
    pub prints_not: Vec<String>,
    /// The kernel log while it runs.
    #[serde(default)]
    pub log: TestLog,
    /// Shell before everything else; when it fails, the test has.
    #[serde(default)]
    pub setup: String,
    /// Shell commands that have to succeed before it runs.
    #[serde(default)]
    pub before: Vec<String>,
    /// Shell commands that have to succeed after it ran.
    #[serde(default)]
    pub after: Vec<String>,
    /// Shell after everything else, whatever happened before.
    #[serde(default)]
    pub teardown: String,
    /// Files of this machine that are pushed into `$LOCKSTEP` for it.
    #[serde(default)]
    pub push: Vec<PathBuf>,
}

impl SmokeTest {
    /// What a person would type: what prepares the test, and the test.
    pub fn commands(&self) -> String {
        let parts = [self.setup.trim(), self.run.trim()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    }
}

fn minute() -> u64 {
    60
}

fn once() -> u32 {
    1
}

/// What a smoke test's output file has to look like. An exit status of 0 with a wrong or empty output fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// File name in `$LOCKSTEP`.
    pub file: String,
    /// Size in bytes, exactly. Without it the file must not be empty.
    pub size: Option<u64>,
    /// SHA-256 of the content, where it is the same every time.
    pub sha256: Option<String>,
    /// Raw frames that it holds, one behind the other.
    pub frames: Option<Frames>,
}

/// Raw frames in an output file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Frames {
    /// Bytes of one frame.
    pub bytes: u64,
    /// How many there are.
    pub count: u64,
    /// How many of them differ at least: a decoder that gives the same picture again and again has the right size, too.
    #[serde(default)]
    pub distinct: u64,
}

impl Frames {
    /// Bytes of all of them. A file that names more than there are numbers for has a size that no output has.
    pub fn size(&self) -> u64 {
        self.bytes.saturating_mul(self.count)
    }
}

/// The kernel log from the start of a smoke test to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TestLog {
    /// Words, each of which some line has to contain.
    #[serde(default)]
    pub expect: Vec<String>,
    /// Words that no line may contain.
    #[serde(default)]
    pub forbid: Vec<String>,
}

/// Smoke tests again and again, for a given time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Soak {
    /// Smoke tests; all of them where it is left out.
    #[serde(default = "super::all")]
    pub tests: Vec<String>,
    /// How long.
    pub minutes: u32,
    /// All at once, each in a folder of its own; otherwise one after the other.
    #[serde(default = "yes")]
    pub parallel: bool,
}

fn yes() -> bool {
    true
}
