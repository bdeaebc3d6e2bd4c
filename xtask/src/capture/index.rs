//! The index beside a log: which byte came when, and what happened to the line.
//!
//! A line of text for each stamp: `<offset> <nanoseconds>` or `<offset> <nanoseconds> <event>`. The offset counts bytes of the log, the
//! nanoseconds are since 1970 by the clock of the host. Lines are only appended; one that was cut by a crash is passed over.

use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The index of a log: beside it, with `.index` behind its name.
pub fn path_of(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_os_string();
    name.push(".index");
    name.into()
}

/// One line of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stamp {
    /// Bytes of the log before it.
    pub offset: u64,
    /// Nanoseconds since 1970, host's clock.
    pub nanoseconds: u64,
    /// What happened there: `connected …`, `lost …`, `phase …`, `reset`, `break`, `wrote …`; none for bytes that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

impl Stamp {
    /// As a line with its end. An event cannot make a second line.
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.offset, self.nanoseconds);
        if let Some(event) = &self.event {
            let event: String = event
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            // Writing to a String cannot fail.
            let _ = write!(line, " {}", event.trim());
        }
        line.push('\n');
        line
    }
}

/// Every whole line of an index, in order.
pub fn read(index: &[u8]) -> Vec<Stamp> {
    let whole = index.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    String::from_utf8_lossy(&index[..whole])
        .lines()
        .filter_map(stamp)
        .collect()
}

fn stamp(line: &str) -> Option<Stamp> {
    let mut words = line.splitn(3, ' ');
    Some(Stamp {
        offset: words.next()?.parse().ok()?,
        nanoseconds: words.next()?.parse().ok()?,
        event: words.next().map(String::from),
    })
}

/// The log cut at its stamps: the datagrams of a line that has such. What a stamp was lost for is a part of the piece before.
pub fn pieces<'a>(log: &'a [u8], stamps: &[Stamp]) -> Vec<&'a [u8]> {
    let mut starts: Vec<usize> = stamps
        .iter()
        .filter(|stamp| stamp.event.is_none())
        .filter_map(|stamp| usize::try_from(stamp.offset).ok())
        .filter(|start| *start < log.len())
        .collect();
    starts.dedup();
    let ends = starts.iter().skip(1).copied().chain([log.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(start, end)| log.get(*start..end))
        .collect()
}

/// The part of an index that belongs to a piece of its log, from offset to offset, as an index of that piece.
pub fn part(stamps: &[Stamp], from: u64, to: u64) -> String {
    stamps
        .iter()
        .filter(|stamp| stamp.offset <= to)
        .filter_map(|stamp| {
            let offset = stamp.offset.checked_sub(from)?;
            Some(
                Stamp {
                    offset,
                    ..stamp.clone()
                }
                .line(),
            )
        })
        .collect()
}

/// When the byte at `offset` had come at the latest, in nanoseconds since 1970: the time of the last stamp at or before it. `None`: it is
/// older than the index.
pub fn time_of(stamps: &[Stamp], offset: u64) -> Option<u64> {
    let behind = stamps.partition_point(|stamp| stamp.offset <= offset);
    stamps.get(behind.checked_sub(1)?).map(|stamp| stamp.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(offset: u64, nanoseconds: u64, event: Option<&str>) -> Stamp {
        Stamp {
            offset,
            nanoseconds,
            event: event.map(String::from),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let stamps = [
            stamp(0, 1, Some("connected to x y")),
            stamp(0, 2, None),
            stamp(90, 3, None),
        ];
        let text: String = stamps.iter().map(Stamp::line).collect();
        assert_eq!(read(text.as_bytes()), stamps);
    }

    #[test]
    fn cut_and_foreign_lines_are_passed_over() {
        assert_eq!(
            read(b"0 1\n12 3\n5 \nx\n\xff\n7 8\n9 1"),
            [stamp(0, 1, None), stamp(12, 3, None), stamp(7, 8, None)]
        );
        assert_eq!(read(b""), []);
        assert_eq!(read(b"12 3"), []);
    }

    #[test]
    fn an_event_stays_on_its_line() {
        assert_eq!(stamp(1, 2, Some("lost\n9 9 x\r")).line(), "1 2 lost 9 9 x\n");
    }

    #[test]
    fn datagrams_are_what_lies_between_stamps() {
        let stamps = [
            stamp(0, 1, Some("connected")),
            stamp(0, 2, None),
            stamp(2, 3, None),
            stamp(2, 3, Some("phase x")),
            stamp(9, 4, None),
        ];
        assert_eq!(pieces(b"aabbb", &stamps), [&b"aa"[..], b"bbb"]);
        assert_eq!(pieces(b"", &stamps), Vec::<&[u8]>::new());
    }

    #[test]
    fn a_part_counts_from_its_own_beginning() {
        let stamps = [
            stamp(5, 1, None),
            stamp(10, 2, Some("reset")),
            stamp(30, 3, None),
            stamp(31, 4, None),
        ];
        assert_eq!(part(&stamps, 10, 30), "0 2 reset\n20 3\n");
    }

    #[test]
    fn a_byte_has_the_time_of_its_piece() {
        let stamps = [stamp(10, 1, None), stamp(20, 5, None), stamp(20, 6, None)];
        assert_eq!(time_of(&stamps, 9), None);
        assert_eq!(time_of(&stamps, 19), Some(1));
        assert_eq!(time_of(&stamps, 20), Some(6));
        assert_eq!(time_of(&stamps, 99), Some(6));
    }
}
