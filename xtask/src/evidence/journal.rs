//! One entry of `journalctl -k -o json` (systemd.journal-fields(7)): an object on a line of its own.

use serde::Deserialize;

/// What matters of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `facility * 8 + level`.
    pub priority: Option<u32>,
    /// Microseconds since boot, the kernel's own if the entry has it.
    pub time: Option<u64>,
    /// Microseconds since 1970, as the journal received it.
    pub wall: Option<u64>,
    /// The boot that it belongs to.
    pub boot_id: Option<String>,
    /// The message.
    pub text: String,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "MESSAGE")]
    message: Option<Message>,
    #[serde(rename = "PRIORITY")]
    priority: Option<String>,
    #[serde(rename = "SYSLOG_FACILITY")]
    facility: Option<String>,
    #[serde(rename = "_SOURCE_MONOTONIC_TIMESTAMP")]
    source_monotonic: Option<String>,
    #[serde(rename = "__MONOTONIC_TIMESTAMP")]
    monotonic: Option<String>,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    realtime: Option<String>,
    #[serde(rename = "_BOOT_ID")]
    boot_id: Option<String>,
}

/// Text, or bytes where the message is not UTF-8.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
}

/// Parses one line; `None` when it is no entry with a message.
pub fn parse(line: &str) -> Option<Entry> {
    if !line.starts_with('{') {
        return None;
    }
    let raw: Raw = serde_json::from_str(line).ok()?;
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u64>().ok());
    let small = |text: &Option<String>| number(text).and_then(|value| u32::try_from(value).ok());
    let facility = small(&raw.facility).unwrap_or(0).min(127);
    Some(Entry {
        priority: small(&raw.priority).map(|level| (level & 7) + facility * 8),
        time: number(&raw.source_monotonic).or_else(|| number(&raw.monotonic)),
        wall: number(&raw.realtime),
        boot_id: raw.boot_id,
        text: match raw.message? {
            Message::Text(text) => text,
            Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry() {
        let entry = parse(
            r#"{"MESSAGE":"x y","PRIORITY":"4","SYSLOG_FACILITY":"0","_SOURCE_MONOTONIC_TIMESTAMP":"1234","__MONOTONIC_TIMESTAMP":"9","__REALTIME_TIMESTAMP":"7","_BOOT_ID":"ab","_TRANSPORT":"kernel"}"#,
        )
        .unwrap();
        assert_eq!(
            (entry.priority, entry.time, entry.wall),
            (Some(4), Some(1234), Some(7))
        );
        assert_eq!(
            (entry.text.as_str(), entry.boot_id.as_deref()),
            ("x y", Some("ab"))
        );
    }

    #[test]
    fn bytes_and_rubbish() {
        assert_eq!(parse(r#"{"MESSAGE":[104,105,255]}"#).unwrap().text, "hi\u{fffd}");
        for line in ["", "{", "{}", r#"{"MESSAGE":null}"#, "[]", r#"{"MESSAGE":7}"#] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
