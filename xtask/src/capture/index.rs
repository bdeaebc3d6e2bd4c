//! The index beside a log: which byte came when, and what happened to the line.
//!
//! A line of text for each stamp: `<offset> <nanoseconds>` or `<offset> <nanoseconds> <event>`. The offset counts bytes of the log, the
//! nanoseconds are since 1970 by the clock of the host. Lines are only appended; one that was cut by a crash is passed over.

use crate::host::bounded;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// The event of bytes that came while nobody looked, up to the next stamp without an event: when, is not known.
pub const UNWATCHED: &str = "unwatched";

/// The event of datagrams that came from someone else than the line's one sender, and are not in the log: how many.
pub fn dropped(datagrams: u64) -> String {
    format!("{DROPPED}{datagrams}")
}

const DROPPED: &str = "dropped of other senders: ";

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
    /// How many datagrams of other senders were dropped there, by an event of [`dropped`].
    pub fn dropped(&self) -> Option<u64> {
        self.event.as_deref()?.strip_prefix(DROPPED)?.parse().ok()
    }

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
    String::from_utf8_lossy(index.get(..whole).unwrap_or_default())
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

/// The log cut at its stamps: the datagrams of a line that has such, each with when it came, in nanoseconds since 1970. What a stamp was lost for
/// is a part of the piece before.
pub fn pieces<'a>(log: &'a [u8], stamps: &[Stamp]) -> Vec<(u64, &'a [u8])> {
    let mut starts: Vec<(u64, usize)> = stamps
        .iter()
        .filter(|stamp| stamp.event.is_none())
        .filter_map(|stamp| Some((stamp.nanoseconds, usize::try_from(stamp.offset).ok()?)))
        .filter(|(_, start)| *start < log.len())
        .collect();
    starts.dedup_by_key(|(_, start)| *start);
    let ends = starts.iter().skip(1).map(|(_, start)| *start).chain([log.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|((came, start), end)| Some((*came, log.get(*start..end)?)))
        .collect()
}

/// The part of an index that belongs to a piece of its log, from offset to offset, as an index of that piece. The index is read once, a line at
/// a time, however long it is. Errors: it cannot be read.
pub fn part(mut index: impl BufRead, from: u64, to: u64) -> std::io::Result<String> {
    let mut part = String::new();
    let mut line = Vec::new();
    // A line that was cut by a crash ends the index.
    while index.read_until(b'\n', &mut line)? > 0 && line.pop() == Some(b'\n') {
        let stamp = std::str::from_utf8(&line).ok().and_then(stamp);
        line.clear();
        let Some(stamp) = stamp.filter(|stamp| stamp.offset <= to) else {
            continue;
        };
        if let Some(offset) = stamp.offset.checked_sub(from) {
            part.push_str(&Stamp { offset, ..stamp }.line());
        }
    }
    Ok(part)
}

/// [`part`] of the index next to a log; empty where that log has no index. Errors: it cannot be read.
pub fn part_of(log: &Path, from: u64, to: u64) -> Result<String> {
    let path = path_of(log);
    if !path
        .try_exists()
        .with_context(|| format!("reading {}", path.display()))?
    {
        return Ok(String::new());
    }
    let index = std::io::BufReader::new(bounded::open(&path)?);
    part(index, from, to).with_context(|| format!("reading {}", path.display()))
}

/// When the bytes at these offsets came, in nanoseconds since 1970: each has the time of the piece that it is in. `None`: it is older than the
/// index, or came while nobody looked. The index is read once, a line at a time, however long it is. Errors: it cannot be read.
pub fn times_of(mut index: impl BufRead, offsets: &[u64]) -> std::io::Result<Vec<Option<u64>>> {
    let mut times = vec![None; offsets.len()];
    let mut order: Vec<_> = offsets.iter().zip(&mut times).collect();
    order.sort_by_key(|(offset, _)| **offset);
    let mut order = order.into_iter().peekable();
    let mut now = None;
    let mut line = Vec::new();
    // A line that was cut by a crash ends the index.
    while order.peek().is_some() && index.read_until(b'\n', &mut line)? > 0 && line.pop() == Some(b'\n') {
        let stamp = std::str::from_utf8(&line).ok().and_then(stamp);
        line.clear();
        // An event has the time of what comes behind it.
        let Some(stamp) = stamp.filter(|stamp| stamp.event.as_deref().is_none_or(|event| event == UNWATCHED))
        else {
            continue;
        };
        while let Some((_, time)) = order.next_if(|(offset, _)| **offset < stamp.offset) {
            *time = now;
        }
        now = stamp.event.is_none().then_some(stamp.nanoseconds);
    }
    order.for_each(|(_, time)| *time = now);
    Ok(times)
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
        assert_eq!(stamp(0, 1, Some(&dropped(7))).dropped(), Some(7));
        assert_eq!(stamp(0, 1, Some("phase kernel")).dropped(), None);
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
        assert_eq!(pieces(b"aabbb", &stamps), [(2, &b"aa"[..]), (3, b"bbb")]);
        assert_eq!(pieces(b"", &stamps), []);
    }

    #[test]
    fn a_part_counts_from_its_own_beginning() {
        let stamps = [
            stamp(5, 1, None),
            stamp(10, 2, Some("reset")),
            stamp(30, 3, None),
            stamp(31, 4, None),
        ];
        let text: String = stamps.iter().map(Stamp::line).collect();
        assert_eq!(part(text.as_bytes(), 10, 30).unwrap(), "0 2 reset\n20 3\n");
    }

    #[test]
    fn a_byte_has_the_time_of_its_piece() {
        let stamps = [
            stamp(10, 1, None),
            stamp(15, 2, Some("phase kernel")),
            stamp(20, 5, None),
            stamp(20, 6, None),
        ];
        let text: String = stamps.iter().map(Stamp::line).collect();
        let times = |text: &[u8], offsets: &[u64]| times_of(text, offsets).unwrap();
        assert_eq!(
            times(text.as_bytes(), &[99, 9, 20, 19, 10]),
            [Some(6), None, Some(6), Some(1), Some(1)]
        );
        assert_eq!(times(text.as_bytes(), &[]), []);
        // A line that was cut, and one that is none.
        assert_eq!(times(b"0 1\nx\n\xff\n2 3\n4 5", &[1, 9]), [Some(1), Some(3)]);
    }

    #[test]
    fn what_came_while_nobody_looked_has_no_time() {
        let stamps = [
            stamp(0, 1, None),
            stamp(10, 2, Some(UNWATCHED)),
            stamp(15, 2, Some("phase kernel")),
            stamp(20, 3, None),
        ];
        let text: String = stamps.iter().map(Stamp::line).collect();
        assert_eq!(
            times_of(text.as_bytes(), &[9, 10, 19, 20]).unwrap(),
            [Some(1), None, None, Some(3)]
        );
    }
}
