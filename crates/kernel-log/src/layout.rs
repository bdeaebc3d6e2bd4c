//! How a log is laid out, recognised by its first bytes: its format, whether its kernel prints times, and what else stands in front of most
//! lines.

use super::entities::without_entities;
use super::objects::{DmesgEntry, LavaEntry, Objects};
use super::prefix;
use super::record::{Format, HEAD};
use super::stamp::{self, Daemon, Writer};
use super::{journal, kmsg, terminal};
use std::borrow::Cow;
use std::collections::HashMap;

/// So many lines are looked at.
const LINES: usize = 500;
/// Longest unknown prefix, in bytes.
const LONGEST_PREFIX: usize = 96;

/// How a log is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// How it is written.
    pub format: Format,
    /// Whether lines of the kernel have a prefix of their own: then one without is another's.
    pub kernel: KernelLines,
    /// Whether a log daemon wrote it.
    pub daemon: Daemon,
    /// What stands in front of all lines, before anything else.
    pub margin: Vec<u8>,
    /// What most lines begin with, if it is none of the known prefixes and stamps.
    pub common: Option<Shape>,
}

/// Whether a kernel's lines can be told by what stands in front of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelLines {
    /// They have a time, a level or a log daemon's `kernel:`.
    Marked,
    /// The kernel prints no times: every line may be its own.
    Bare,
}

impl Layout {
    /// Recognises the layout by the first [`HEAD`] bytes.
    pub fn detect(bytes: &[u8]) -> Layout {
        let head = bytes.get(..HEAD).unwrap_or(bytes);
        let margin = terminal::margin(head);
        let head = plain(head, &margin);
        let head = head.as_bytes();
        let format = format(head);
        let mut layout = Layout {
            format,
            margin,
            kernel: KernelLines::Bare,
            daemon: Daemon::Unseen,
            common: None,
        };
        if format != Format::Text {
            layout.kernel = KernelLines::Marked;
            return layout;
        }
        let lines: Vec<Cow<str>> = lines(head).map(without_entities).take(LINES).collect();
        let of_kernel = |line: &Cow<str>| {
            stamp::take(line, Daemon::Unseen).is_some_and(|stamp| stamp.writer == Writer::Kernel)
        };
        if lines.iter().any(of_kernel) {
            layout.daemon = Daemon::Syslog;
        } else if lines
            .iter()
            .any(|line| short_monotonic(layout.without_stamps(line)))
        {
            layout.daemon = Daemon::Monotonic;
        }
        let stripped: Vec<&str> = lines.iter().map(|line| layout.without_stamps(line)).collect();
        layout.common = common(&stripped, layout.daemon);
        let marked = lines.iter().any(|line| {
            let line = layout.without_stamps(line);
            kmsg::parse(line).is_some()
                || prefix::parse(line).is_some()
                || prefix::embedded(line, 0).is_some()
        });
        if marked || layout.daemon != Daemon::Unseen || lines.iter().any(|line| stamp::logcat(line).is_some())
        {
            layout.kernel = KernelLines::Marked;
        }
        layout
    }

    /// The line behind its stamps and the unknown prefix.
    fn without_stamps<'a>(&self, line: &'a str) -> &'a str {
        let mut rest = line;
        for _ in 0..4 {
            if prefix::parse(rest).is_some_and(|prefix| prefix.time.is_some()) {
                break;
            }
            let known = stamp::take(rest, self.daemon).map(|stamp| stamp.length);
            let Some(length) = known.or_else(|| self.common.as_ref()?.length(rest)) else {
                break;
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        rest
    }
}

/// `[    1.000000] host kernel: `.
fn short_monotonic(line: &str) -> bool {
    prefix::parse(line)
        .filter(|prefix| prefix.time.is_some())
        .and_then(|prefix| line.get(prefix.length.checked_sub(1)?..))
        .and_then(|rest| stamp::host_and_program(&mut super::cursor::Cursor::new(rest.as_bytes())))
        == Some(Writer::Kernel)
}

/// The lines as a terminal shows them, without their margin.
fn plain(head: &[u8], margin: &[u8]) -> String {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    let mut plain = String::with_capacity(head.len());
    for line in head.split(|&byte| byte == b'\n') {
        let line = terminal::without_margin(line, margin);
        let end = line.iter().rposition(|&byte| byte != b'\r');
        let line = line.get(..end.map_or(0, |end| end.saturating_add(1)));
        for part in line.unwrap_or_default().split(|&byte| byte == b'\r') {
            plain.push_str(&terminal::clean(part));
            plain.push('\n');
        }
    }
    plain
}

/// Lines with something in them.
fn lines(head: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    head.split(|&byte| byte == b'\n' || byte == b'\r')
        .map(String::from_utf8_lossy)
        .filter(|line| !line.trim().is_empty())
}

fn format(head: &[u8]) -> Format {
    let (mut all, mut kmsg_lines) = (0_usize, 0_usize);
    for line in lines(head).take(20) {
        // A continuation line of kmsg is not one of its own.
        if kmsg_lines > 0 && line.starts_with(' ') {
            continue;
        }
        all = all.saturating_add(1);
        kmsg_lines = kmsg_lines.saturating_add(usize::from(kmsg::parse(&line).is_some()));
    }
    if kmsg_lines.saturating_mul(2) > all {
        return Format::Kmsg;
    }
    objects(head).or_else(|| fields(head)).unwrap_or(Format::Text)
}

/// The kind of JSON that most of the first bytes are, if they are JSON at all.
fn objects(head: &[u8]) -> Option<Format> {
    let head = head.get(..1 << 15).unwrap_or(head);
    let mut objects = Objects::default();
    let mut bytes: HashMap<Format, usize> = HashMap::new();
    for piece in head.split_inclusive(|&byte| byte == b'}' || byte == b'\n') {
        let Some((last, before)) = piece.split_last() else {
            continue;
        };
        let Some(object) = objects.take(before, Some(*last)) else {
            continue;
        };
        if let Some(kind) = kind(&object) {
            let sum = bytes.entry(kind).or_default();
            *sum = sum.saturating_add(object.len());
        }
    }
    let (kind, sum) = bytes.into_iter().max_by_key(|(_, sum)| *sum)?;
    let ink = head.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
    (sum.saturating_mul(2) > ink.min(head.len())).then_some(kind)
}

fn kind(object: &[u8]) -> Option<Format> {
    let text = std::str::from_utf8(object).ok()?;
    if journal::parse(text).is_some() {
        return Some(Format::Journal);
    }
    if serde_json::from_str::<DmesgEntry>(text).is_ok() {
        return Some(Format::DmesgJson);
    }
    serde_json::from_str::<LavaEntry>(text)
        .is_ok()
        .then_some(Format::Lava)
}

/// `journalctl -o export` and `-o verbose`, by their first entry.
fn fields(head: &[u8]) -> Option<Format> {
    let mut lines = head
        .split(|&byte| byte == b'\n')
        .skip_while(|line| line.trim_ascii().is_empty());
    let first = lines.next()?;
    if first.starts_with(b"__CURSOR=") || first.starts_with(b"__REALTIME_TIMESTAMP=") {
        return Some(Format::JournalExport);
    }
    let second = String::from_utf8_lossy(lines.next()?).into_owned();
    let cursor = memchr::memmem::find(first, b"[s=").is_some() && first.trim_ascii_end().ends_with(b"]");
    let field = second.strip_prefix("    ").is_some_and(|field| {
        let name = field.split('=').next().unwrap_or_default();
        field.contains('=')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    });
    (cursor && field).then_some(Format::JournalVerbose)
}

/// A prefix of which numbers and blanks may differ from line to line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(String);

impl Shape {
    fn of(text: &str) -> Shape {
        let mut shape = String::new();
        for c in text.chars() {
            let folded = fold(c);
            if !(matches!(folded, '0' | ' ') && shape.ends_with(folded)) {
                shape.push(folded);
            }
        }
        Shape(shape)
    }

    /// How many bytes of the line it takes.
    pub fn length(&self, line: &str) -> Option<usize> {
        let mut rest = line.char_indices().peekable();
        for expect in self.0.chars() {
            let (_, found) = rest.next()?;
            if fold(found) != expect {
                return None;
            }
            if matches!(expect, '0' | ' ') {
                // The last blank is the prefix's; more are the line's.
                while rest.next_if(|(_, c)| fold(*c) == expect).is_some() {}
            }
        }
        Some(rest.peek().map_or(line.len(), |(at, _)| *at))
    }
}

fn fold(c: char) -> char {
    match c {
        '0'..='9' => '0',
        '\t' => ' ',
        c => c,
    }
}

/// What stands in front of most lines: in front of the kernel's time where it has one, else up to a separator.
fn common(lines: &[&str], daemon: Daemon) -> Option<Shape> {
    let unknown = |line: &&&str| {
        // What a slow console says about itself is read apart.
        !line.starts_with("** ")
            && prefix::parse(line).is_none()
            && stamp::take(line, daemon).is_none()
            && stamp::logcat(line).is_none()
    };
    let unknown: Vec<&str> = lines.iter().filter(unknown).copied().collect();
    let before_time = unknown.iter().filter_map(|line| {
        let at = prefix::embedded(line, 1).filter(|at| *at <= LONGEST_PREFIX)?;
        line.get(..at)
    });
    let most = |counts: HashMap<Shape, usize>, least: usize| {
        counts
            .into_iter()
            .filter(|(_, count)| *count >= least)
            .max_by_key(|(shape, count)| (*count, shape.0.len()))
            .map(|(shape, _)| shape)
    };
    let half = lines.len().div_ceil(2).max(3);
    let timed = most(count(before_time), half);
    // Without times nine in ten lines have to agree, and some have to be there.
    let nearly_all = lines.len().saturating_mul(9).div_ceil(10).max(8);
    timed.or_else(|| most(count(unknown.iter().flat_map(|line| heads(line))), nearly_all))
}

fn count<'a>(heads: impl Iterator<Item = &'a str>) -> HashMap<Shape, usize> {
    let mut counts = HashMap::new();
    for head in heads {
        let count: &mut usize = counts.entry(Shape::of(head)).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// Starts of a line that end with a separator.
fn heads(line: &str) -> Vec<&str> {
    const SEPARATORS: [&str; 4] = [": ", "| ", "> ", "] "];
    let mut ends: Vec<usize> = SEPARATORS
        .iter()
        .flat_map(|separator| {
            line.match_indices(separator)
                .map(|(at, _)| at.saturating_add(separator.len()))
        })
        .filter(|end| *end <= LONGEST_PREFIX)
        .collect();
    ends.sort_unstable();
    ends.into_iter()
        .take(4)
        .filter_map(|end| line.get(..end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, format: Format, kernel: KernelLines, common: Option<&str>) {
        let found = Layout::detect(log.as_bytes());
        assert_eq!((found.format, found.kernel), (format, kernel), "{log}");
        assert_eq!(found.common.map(|shape| shape.0).as_deref(), common, "{log}");
    }

    #[test]
    fn formats() {
        use KernelLines::*;
        check("", Format::Text, Bare, None);
        check("usb 1-1: x\n", Format::Text, Bare, None);
        check("U-Boot\n[    1.000000] x\n", Format::Text, Marked, None);
        check("6,0,0,-;x\n SUBSYSTEM=y\n", Format::Kmsg, Marked, None);
        check("{\"MESSAGE\":\"x\"}\n", Format::Journal, Marked, None);
        check(
            "{\n\t\"MESSAGE\" : \"x\"\n}\n{\n\t\"MESSAGE\" : \"y\"\n}\n",
            Format::Journal,
            Marked,
            None,
        );
        check(
            "{\n \"dmesg\": [\n{\"pri\":4,\"time\":1.000000,\"msg\":\"x\"}]}",
            Format::DmesgJson,
            Marked,
            None,
        );
        check(
            "[{\"dt\":\"2026-11-30T01:00:00.123\",\"lvl\":\"target\",\"msg\":\"x\"}]",
            Format::Lava,
            Marked,
            None,
        );
        check("__CURSOR=s\nMESSAGE=x\n\n", Format::JournalExport, Marked, None);
        check(
            "Mon 2026-11-30 01:00:00 UTC [s=1;i=2]\n    MESSAGE=x\n",
            Format::JournalVerbose,
            Marked,
            None,
        );
    }

    #[test]
    fn a_prefix_that_most_lines_share() {
        let timed: String = (0..9)
            .map(|at| format!("board{at} con>  [    {at}.000000] x\n"))
            .collect();
        check(&timed, Format::Text, KernelLines::Marked, Some("board0 con> "));
        let bare: String = (0..9).map(|at| format!("ttyS0| line {at}\n")).collect();
        check(&bare, Format::Text, KernelLines::Bare, Some("ttyS0| "));
        let own: String = (0..9)
            .map(|at| format!("[    {at}.000000] audit: {at}\n"))
            .collect();
        check(&own, Format::Text, KernelLines::Marked, None);
        let various: String = ["usb: a", "pci: b", "mmc: c"]
            .iter()
            .cycle()
            .take(12)
            .map(|line| format!("{line}\n"))
            .collect();
        check(&various, Format::Text, KernelLines::Bare, None);
    }

    #[test]
    fn a_shape_takes_its_own_length() {
        let shape = Shape::of("board12 con>  ");
        assert_eq!(shape.length("board7 con> x"), Some(12));
        assert_eq!(shape.length("board con> x"), None);
        assert_eq!(shape.length(""), None);
    }
}
