//! One entry of `journalctl -k -o json` (systemd.journal-fields(7)): an object on a line of its own; and the boots that a journal
//! remembers, so that a loop is seen as such.

use super::boot_id::BootId;
use super::stamp::Writer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What matters of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `facility * 8 + level`.
    pub priority: Option<u32>,
    /// Microseconds since boot, the kernel's own if the entry has it.
    pub time: Option<u64>,
    /// Microseconds since 1970 by the board's clock, as it stood when the journal received it: the kernel's first words, which wait for the journal,
    /// are dated back by the time that they waited.
    pub wall: Option<u64>,
    /// The kernel, or a program.
    pub writer: Writer,
    /// The boot that it belongs to.
    pub boot_id: Option<String>,
    /// The message.
    pub text: String,
}

/// The fields that matter, as they are written.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Raw {
    #[serde(rename = "MESSAGE", default)]
    message: Message,
    #[serde(rename = "PRIORITY", default)]
    priority: String,
    #[serde(rename = "SYSLOG_FACILITY", default)]
    facility: String,
    #[serde(rename = "_TRANSPORT", default)]
    transport: String,
    #[serde(rename = "_SOURCE_MONOTONIC_TIMESTAMP", default)]
    source_monotonic: String,
    #[serde(rename = "__MONOTONIC_TIMESTAMP", default)]
    monotonic: String,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    realtime: String,
    #[serde(rename = "_BOOT_ID", default)]
    boot_id: String,
}

/// Text, or bytes where the message is not UTF-8.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    None(()),
}

impl Default for Message {
    fn default() -> Self {
        Message::None(())
    }
}

impl Raw {
    /// The field of this name, if it is one that matters.
    pub fn field(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "MESSAGE" => match &mut self.message {
                Message::Text(text) => text,
                other => {
                    *other = Message::Text(String::new());
                    match other {
                        Message::Text(text) => text,
                        _ => return None,
                    }
                }
            },
            "PRIORITY" => &mut self.priority,
            "SYSLOG_FACILITY" => &mut self.facility,
            "_TRANSPORT" => &mut self.transport,
            "_SOURCE_MONOTONIC_TIMESTAMP" => &mut self.source_monotonic,
            "__MONOTONIC_TIMESTAMP" => &mut self.monotonic,
            "__REALTIME_TIMESTAMP" => &mut self.realtime,
            "_BOOT_ID" => &mut self.boot_id,
            _ => return None,
        })
    }

    /// The entry; `None` when it has no message.
    pub fn entry(self) -> Option<Entry> {
        let number = |text: &str| text.parse::<u64>().ok();
        let small = |text: &str| text.parse::<u32>().ok();
        let facility = small(&self.facility).unwrap_or(0).min(127);
        let (said, received) = (number(&self.source_monotonic), number(&self.monotonic));
        let waited = match (said, received) {
            (Some(said), Some(received)) => received.saturating_sub(said),
            _ => 0,
        };
        Some(Entry {
            priority: small(&self.priority).map(|level| (level & 7) | (facility << 3)),
            time: said.or(received),
            wall: number(&self.realtime).and_then(|realtime| realtime.checked_sub(waited)),
            writer: match self.transport.as_str() {
                "" if facility == 0 => Writer::Kernel,
                "kernel" => Writer::Kernel,
                _ => Writer::Program,
            },
            boot_id: Some(self.boot_id).filter(|id| !id.is_empty()),
            text: match self.message {
                Message::Text(text) => text,
                Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Message::None(()) => return None,
            },
        })
    }
}

/// Parses one line; `None` when it is not an entry with a message.
pub fn parse(line: &str) -> Option<Entry> {
    if !line.starts_with('{') {
        return None;
    }
    serde_json::from_str::<Raw>(line).ok()?.entry()
}

/// One boot that the journal remembers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// Its boot id.
    pub id: BootId,
    /// Seconds from the kernel's start to the last entry; what came later was not written down.
    pub seconds: Option<f64>,
    /// When that was, microseconds since 1970 by the board's clock.
    pub last: Option<u64>,
    /// The journal was closed: the system went down in order.
    pub orderly: bool,
}

/// What journald says last when it is stopped in order (systemd: `src/journal/journald.c`).
const STOPPED: &str = "Journal stopped";

/// What [`boots`] read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Boots {
    /// Oldest first, each once.
    pub boots: Vec<Boot>,
    /// Lines that name a boot by something that is not a boot id, or by one that was named before.
    pub dropped: usize,
}

/// Reads boots, oldest first: a line `boot <id>` for each, and behind it its last entry as JSON, if it has one. A boot without a boot id is
/// dropped with its entry.
pub fn boots(text: &str) -> Boots {
    let mut boots: Vec<Boot> = Vec::new();
    let mut known: BTreeSet<BootId> = BTreeSet::new();
    let mut dropped = 0_usize;
    let mut names_a_boot = false;
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("boot ") {
            let id = BootId::parse(id).filter(|id| known.insert(id.clone()));
            names_a_boot = id.is_some();
            dropped = dropped.saturating_add(usize::from(!names_a_boot));
            boots.extend(id.map(|id| Boot {
                id,
                seconds: None,
                last: None,
                orderly: false,
            }));
        } else if names_a_boot && let (Some(boot), Some(entry)) = (boots.last_mut(), parse_monotonic(line)) {
            boot.seconds = entry.time.map(|time| time as f64 / 1e6);
            boot.last = entry.wall;
            boot.orderly = entry.text == STOPPED;
        }
    }
    Boots { boots, dropped }
}

/// An entry with the time at which the journal received it: that of a message's source may be older.
fn parse_monotonic(line: &str) -> Option<Entry> {
    let raw: Raw = serde_json::from_str(line).ok()?;
    let (time, wall) = (raw.monotonic.parse().ok(), raw.realtime.parse().ok());
    Some(Entry {
        time,
        wall,
        ..raw.entry()?
    })
}

/// When the kernel of a journal's last entry began, in microseconds since 1970 by the board's clock as it stood then: a clock that was set late
/// is right by the end.
pub fn began(log: &[u8]) -> Option<u64> {
    let last = log.rsplit(|&byte| byte == b'\n').find(|line| !line.is_empty())?;
    let entry = parse_monotonic(&String::from_utf8_lossy(last))?;
    entry.wall?.checked_sub(entry.time?)
}

/// Where the last entry of a journal stands, for whoever goes on behind it (journalctl(1), `--after-cursor=`). None: there is no entry, or the last
/// one was cut off.
pub fn cursor(log: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Place {
        #[serde(rename = "__CURSOR")]
        cursor: String,
    }
    let whole = log.strip_suffix(b"\n")?;
    let last = whole.rsplit(|&byte| byte == b'\n').next()?;
    Some(serde_json::from_slice::<Place>(last).ok()?.cursor)
}

/// When boots count as a loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoopRule {
    /// So many in a row.
    pub boots: usize,
    /// Each shorter than this, seconds.
    pub shorter_than: f64,
}

impl LoopRule {
    /// Three boots without an orderly end, each gone before a person could have used it.
    pub const USUAL: LoopRule = LoopRule {
        boots: 3,
        shorter_than: 180.0,
    };
}

/// How many boots in a row, the last before the one that runs now, were short and without an orderly end; `None`: too few for a loop. A
/// boot that died before its journal began is not among them, so the number is the least that it can be.
pub fn reset_loop(boots: &[Boot], rule: LoopRule) -> Option<usize> {
    let (_, before) = boots.split_last()?;
    let short = before
        .iter()
        .rev()
        .take_while(|boot| !boot.orderly && boot.seconds.is_none_or(|seconds| seconds < rule.shorter_than))
        .count();
    (short >= rule.boots).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: &str) -> BootId {
        BootId::parse(&digit.repeat(32)).unwrap()
    }

    fn boot(seconds: f64, orderly: bool) -> Boot {
        Boot {
            id: id("a"),
            seconds: Some(seconds),
            last: None,
            orderly,
        }
    }

    #[test]
    fn a_journal_is_gone_on_with_behind_its_last_whole_entry() {
        let entry = |cursor: &str| format!("{{\"__CURSOR\":\"{cursor}\",\"MESSAGE\":\"x\"}}\n");
        let log = [entry("s=a;i=1"), entry("s=a;i=2")].concat();
        assert_eq!(cursor(log.as_bytes()).as_deref(), Some("s=a;i=2"));
        assert_eq!(
            cursor(&log.as_bytes()[..log.len() - 1]),
            None,
            "its end may be missing"
        );
        assert_eq!(cursor(b""), None);
        assert_eq!(cursor(b"{\"MESSAGE\":\"x\"}\n"), None);
    }

    #[test]
    fn boots_with_their_last_entries() {
        let (a, b, c) = (id("a"), id("b"), id("c"));
        let text = format!(
            "boot {a}\n{{\"MESSAGE\":\"Journal stopped\",\"__MONOTONIC_TIMESTAMP\":\"61500000\",\"__REALTIME_TIMESTAMP\":\"9\"}}\n\
             boot {b}\nboot ../../x\n{{\"MESSAGE\":\"x\",\"__MONOTONIC_TIMESTAMP\":\"5\"}}\nboot {b}\nboot $(reboot)\nboot {c}\n\
             {{\"MESSAGE\":\"x\",\"_SOURCE_MONOTONIC_TIMESTAMP\":\"1\",\"__MONOTONIC_TIMESTAMP\":\"2000000\"}}\nrubbish\n"
        );
        let Boots { boots, dropped } = boots(&text);
        assert_eq!(dropped, 3);
        let seen: Vec<(&str, Option<f64>, bool)> = boots
            .iter()
            .map(|boot| (boot.id.as_str(), boot.seconds, boot.orderly))
            .collect();
        assert_eq!(
            seen,
            [
                (a.as_str(), Some(61.5), true),
                (b.as_str(), None, false),
                (c.as_str(), Some(2.0), false)
            ]
        );
        assert_eq!(boots[0].last, Some(9));
    }

    #[test]
    fn a_loop_is_several_short_boots_in_a_row() {
        let check = |before: &[(f64, bool)], expect: Option<usize>| {
            let mut all: Vec<Boot> = before
                .iter()
                .map(|&(seconds, orderly)| boot(seconds, orderly))
                .collect();
            all.push(boot(5.0, false));
            assert_eq!(reset_loop(&all, LoopRule::USUAL), expect, "{before:?}");
        };
        check(&[(20.0, false), (20.0, false), (20.0, false)], Some(3));
        check(&[(20.0, false), (20.0, false)], None);
        // One that lasted, or that went down in order, ends the row.
        check(
            &[(20.0, false), (900.0, false), (20.0, false), (20.0, false)],
            None,
        );
        check(&[(20.0, false), (20.0, true), (20.0, false), (20.0, false)], None);
        check(
            &[
                (9.0, true),
                (20.0, false),
                (20.0, false),
                (20.0, false),
                (20.0, false),
            ],
            Some(4),
        );
        assert_eq!(reset_loop(&[], LoopRule::USUAL), None);
    }

    #[test]
    fn a_message_is_dated_to_when_it_was_said() {
        let line = r#"{"MESSAGE":"x","_SOURCE_MONOTONIC_TIMESTAMP":"2000","__MONOTONIC_TIMESTAMP":"9000","__REALTIME_TIMESTAMP":"1000000"}"#;
        assert_eq!(parse(line).unwrap().wall, Some(993_000));
        let log = format!("rubbish\n{line}\n");
        assert_eq!(began(log.as_bytes()), Some(991_000));
        assert_eq!(began(b""), None);
        assert_eq!(began(b"{\"MESSAGE\":\"x\"}\n"), None);
    }

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
