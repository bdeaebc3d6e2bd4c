//! What is asked of a recorder over its socket: one line of JSON each way, one question for each connection.

use super::source::Source;
use crate::host::identity::Identity;
use serde::{Deserialize, Serialize};

/// Name of the socket in the recorder's folder.
pub const SOCKET: &str = "control.sock";
/// The file with [`About`].
pub const ABOUT: &str = "recorder.json";
/// Held by the recorder as long as it lives: there is one for a folder.
pub const LOCK: &str = "recorder.lock";
/// Every byte of the line.
pub const LOG: &str = "serial.log";
/// What the recorder itself had to say.
pub const OWN_LOG: &str = "recorder.err";
/// Vanilla's entry of U-Boot's menu, so that a recorder that was started anew knows it.
pub const VANILLA: &str = "vanilla.json";

/// Which process records what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// The process.
    #[serde(flatten)]
    pub identity: Identity,
    /// What it reads.
    pub source: Source,
}

/// An entry of a boot menu: what has to be typed, and what the menu shows behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MenuEntry {
    /// What has to be typed.
    pub number: usize,
    /// What is shown behind it.
    pub shown: String,
}

/// Who wants to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// This program: held to invariant 8.
    Tool,
    /// A person at the keyboard, who sees the line.
    Person,
}

/// A question or an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Request {
    /// How it is.
    Status,
    /// Write to the line.
    Write {
        /// The bytes in hex.
        hex: String,
        /// Who wants it.
        by: Writer,
    },
    /// Send a BREAK.
    Break,
    /// A menu that waits and that nobody answers gets this entry.
    Vanilla(MenuEntry),
    /// End.
    Stop,
}

/// How a recorder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The line is open.
    pub connected: bool,
    /// Why it is not.
    pub problem: Option<String>,
    /// Bytes in the log.
    pub offset: u64,
    /// What the line showed last, in a word.
    pub phase: String,
    /// Seconds since the last byte, or since it began.
    pub quiet: u64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is done; how it is now.
    Done(Status),
    /// It was not done; why.
    Refused(String),
}
