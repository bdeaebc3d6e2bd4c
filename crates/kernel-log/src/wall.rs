//! Wall time of what a kernel said, and whose clock it is by. A time without its zone or its year is none: `Dec  4 17:33:13` of syslog, `dmesg
//! --ctime`. It is left out, and not guessed.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whose clock a wall time is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// That of the machine that wrote the log. A board without a battery may be wrong by years until it is told the time.
    Board,
    /// That of the host that recorded the log: when the bytes came.
    Host,
}

/// When something was said: `{"time": "2026-11-23T05:46:00.123456Z", "clock": "host"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wall {
    /// Microseconds since 1970; RFC 3339 in UTC where it is written.
    #[serde(rename = "time", serialize_with = "write", deserialize_with = "read")]
    pub micros: u64,
    /// Whose clock.
    pub clock: Clock,
}

impl Wall {
    /// By the clock of the machine that wrote the log.
    pub const fn of_board(micros: u64) -> Self {
        Wall {
            micros,
            clock: Clock::Board,
        }
    }

    /// By the clock of the host that recorded it, in nanoseconds since 1970.
    pub const fn of_host(nanoseconds: u64) -> Self {
        Wall {
            micros: nanoseconds / 1000,
            clock: Clock::Host,
        }
    }

    /// In print, with milliseconds: `2026-11-23T05:46:00.123Z by the host's clock`.
    pub fn text(&self) -> String {
        let clock = match self.clock {
            Clock::Board => "board",
            Clock::Host => "host",
        };
        format!("{:.3} by the {clock}'s clock", timestamp(self.micros))
    }
}

/// The times that are known, in print: since boot (in microseconds), and by a clock.
pub fn times(since_boot: Option<u64>, wall: Option<Wall>) -> Vec<String> {
    let since_boot = since_boot.map(|time| format!("{}.{:06} s", time / 1_000_000, time % 1_000_000));
    since_boot
        .into_iter()
        .chain(wall.map(|wall| wall.text()))
        .collect()
}

/// UTC, with microseconds.
pub fn rfc3339(micros: u64) -> String {
    // Beyond the year 9999 only a broken clock is.
    format!("{:.6}", timestamp(micros))
}

fn timestamp(micros: u64) -> Timestamp {
    let time = i64::try_from(micros)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.unwrap_or(Timestamp::MAX)
}

fn write<S: Serializer>(micros: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*micros))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    u64::try_from(time.as_microsecond()).map_err(serde::de::Error::custom)
}

/// Microseconds since 1970, and how many bytes they take, of a time in front of a line with date, time and offset from UTC (ISO 8601), as
/// rsyslog (`2026-11-23T06:46:00.123456+01:00`), `journalctl -o short-iso` (`+0100`) and `dmesg --time-format iso` (a comma before the
/// fraction) write it. `None`: it has no offset, or is no time.
pub fn iso(line: &[u8]) -> Option<(u64, usize)> {
    let number = |from: usize, digits: usize| -> Option<i16> {
        line.get(from..from.saturating_add(digits))?
            .iter()
            .try_fold(0, |value, byte| {
                let digit = i16::from(byte.saturating_sub(b'0'));
                byte.is_ascii_digit()
                    .then(|| i16::saturating_mul(value, 10).saturating_add(digit))
            })
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, byte)| line.get(*at) == Some(byte)) {
        return None;
    }
    let part = |from| number(from, 2).and_then(|value| i8::try_from(value).ok());
    let mut at = 19;
    let mut nanoseconds = 0;
    if matches!(line.get(at), Some(b'.' | b',')) {
        let rest = line.get(at.saturating_add(1)..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let (count, value) = digits.take(9).fold((0_u32, 0_i32), |(count, value), byte| {
            let digit = i32::from(byte.saturating_sub(b'0'));
            (
                count.saturating_add(1),
                value.saturating_mul(10).saturating_add(digit),
            )
        });
        nanoseconds = value.saturating_mul(10_i32.saturating_pow(9_u32.saturating_sub(count)));
        at = at.saturating_add(1).saturating_add(count as usize);
    }
    let (seconds, length) = offset(line.get(at..)?)?;
    let time = DateTime::new(
        number(0, 4)?,
        part(5)?,
        part(8)?,
        part(11)?,
        part(14)?,
        part(17)?,
        nanoseconds,
    );
    let time = Offset::from_seconds(seconds)
        .ok()?
        .to_timestamp(time.ok()?)
        .ok()?;
    let micros = u64::try_from(time.as_microsecond()).ok()?;
    Some((micros, at.saturating_add(length)))
}

/// `Z`, `+01:00` or `+0100`, in seconds east of UTC, and its length.
fn offset(text: &[u8]) -> Option<(i32, usize)> {
    let sign = match text.first()? {
        b'Z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let minutes = if text.get(3) == Some(&b':') { 4 } else { 3 };
    let two = |from: usize| -> Option<i32> {
        match *text.get(from..from.saturating_add(2))? {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                let digit = |byte: u8| i32::from(byte.saturating_sub(b'0'));
                Some(digit(tens).saturating_mul(10).saturating_add(digit(ones)))
            }
            _ => None,
        }
    };
    let seconds = two(1)?
        .saturating_mul(3600)
        .saturating_add(two(minutes)?.saturating_mul(60));
    Some((seconds.saturating_mul(sign), minutes.saturating_add(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_their_offset_are_read() {
        let check = |text: &str, expect: Option<&str>| {
            let line = format!("{text} rest");
            let found = iso(line.as_bytes()).map(|(micros, length)| {
                assert_eq!(length, text.len(), "{text}");
                rfc3339(micros)
            });
            assert_eq!(found.as_deref(), expect, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00.000000Z"));
        check(
            "2026-11-23T06:46:00.123456+01:00",
            Some("2026-11-23T05:46:00.123456Z"),
        );
        check("2024-02-29T23:59:59-0130", Some("2024-03-01T01:29:59.000000Z"));
        check(
            "2026-11-23T05:46:00,123456+00:00",
            Some("2026-11-23T05:46:00.123456Z"),
        );
        check(
            "2026-11-23T05:46:00.1234567891+00:00",
            None, // More digits than a nanosecond has.
        );
    }

    #[test]
    fn a_time_without_its_offset_is_none() {
        for text in [
            "",
            "2026-11-23T05:46:00",
            "2026-11-23T05:46:00 host kernel: x",
            "2026-11-23T05:46:00+1",
            "2026-11-23T05:46:00+99:00",
            "2026-13-23T05:46:00Z",
            "2026-11-23T25:46:00Z",
            "2025-02-29T05:46:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-23 05:46:00Z",
            "20x6-11-23T05:46:00Z",
            "2026-11-23T05:46:00.",
        ] {
            assert_eq!(iso(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_is_beyond_it() {
        for wall in [Wall::of_host(1_795_412_760_123_456_789), Wall::of_board(0)] {
            let text = serde_json::to_string(&wall).unwrap();
            assert_eq!(serde_json::from_str::<Wall>(&text).unwrap(), wall, "{text}");
        }
        let text = serde_json::to_string(&Wall::of_host(1_795_412_760_123_456_789)).unwrap();
        assert_eq!(text, r#"{"time":"2026-11-23T05:46:00.123456Z","clock":"host"}"#);
        assert!(Wall::of_board(u64::MAX).text().starts_with("9999-12-30"));
    }
}
