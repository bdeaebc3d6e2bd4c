//! A log as a report shows it: parted by what the board was doing, made harmless, cut where it is too long to read.

use crate::ui;
use kernel_log::serial::{self, Phase};

/// Characters of one line that are shown.
const LINE: usize = 2000;

/// Beginning and end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it is, below the run's folder.
    pub path: String,
    /// Bytes of the whole log.
    pub size: u64,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// A stretch of a log in which the board did one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it did.
    pub title: &'static str,
    /// Lines, harmless for a terminal; not escaped for anything else.
    pub text: String,
}

impl Excerpt {
    /// From the first and the last bytes of a log of `size` bytes; without `tail` the first are all.
    pub fn new(path: String, size: u64, head: &[u8], tail: &[u8]) -> Self {
        let mut sections = sections(head);
        if !tail.is_empty() {
            let missing = size
                .saturating_sub(head.len() as u64)
                .saturating_sub(tail.len() as u64);
            sections.push(Section {
                title: "left out",
                text: format!("{missing} bytes are left out here; the file has them.\n"),
            });
            sections.extend(self::sections(tail));
        }
        Excerpt { path, size, sections }
    }

    /// The first shown line that holds `words`.
    pub fn line_with(&self, words: &str) -> Option<String> {
        let mut lines = self.sections.iter().flat_map(|section| section.text.lines());
        lines.find(|line| line.contains(words)).map(String::from)
    }

    /// The first shown line with `words` at or behind the first one with `start`.
    pub fn line_after(&self, start: &str, words: &str) -> Option<String> {
        let lines = self.sections.iter().flat_map(|section| section.text.lines());
        let mut lines = lines.skip_while(|line| !line.contains(start));
        lines.find(|line| line.contains(words)).map(String::from)
    }
}

fn sections(bytes: &[u8]) -> Vec<Section> {
    let marks = serial::phases(bytes);
    let first = marks.first().map_or(bytes.len(), |mark| mark.offset);
    let mut sections = Vec::new();
    let mut add = |title, part: &[u8]| {
        let text = shown(&String::from_utf8_lossy(part));
        if !text.trim().is_empty() {
            sections.push(Section { title, text });
        }
    };
    add("before", bytes.get(..first).unwrap_or(bytes));
    let ends = marks.iter().skip(1).map(|next| next.offset);
    for (mark, end) in marks.iter().zip(ends.chain([bytes.len()])) {
        add(title(mark.phase), bytes.get(mark.offset..end).unwrap_or_default());
    }
    sections
}

/// A phase in print.
fn title(phase: Phase) -> &'static str {
    match phase {
        Phase::BootLoader => "boot loader",
        Phase::Menu => "boot menu",
        Phase::Kernel => "kernel",
        Phase::Login => "login prompt and after",
        Phase::Panic => "panic",
        Phase::Down => "way down",
    }
}

/// Lines made harmless, and cut where they are too long.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for line in ui::plain(text).lines() {
        let line = line.trim_end();
        match line.char_indices().nth(LINE) {
            None => shown.push_str(line),
            Some((at, _)) => {
                let (begin, rest) = line.split_at_checked(at).unwrap_or((line, ""));
                shown.push_str(begin);
                shown.push_str(&format!(" … ({} more bytes)", rest.len()));
            }
        }
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_parted_by_phase() {
        let capture = b"noise\r\nU-Boot 2023.01\r\n=> \r\n[    0.000000] Linux version 7\r\n\x1b[0;32m  OK  \x1b[0m\r\n\
                        [    9.000000] reboot: Restarting system\r\n";
        let excerpt = Excerpt::new("serial.log".into(), capture.len() as u64, capture, b"");
        let titles: Vec<&str> = excerpt.sections.iter().map(|section| section.title).collect();
        assert_eq!(titles, ["before", "boot loader", "kernel", "way down"]);
        assert_eq!(excerpt.sections[2].text, "[    0.000000] Linux version 7\n  OK\n");
    }

    #[test]
    fn a_line_of_ten_megabytes_is_cut_and_says_so() {
        let text = shown(&"x".repeat(10 << 20));
        assert!(text.len() < 2100 && text.contains("more bytes"), "{}", text.len());
    }

    #[test]
    fn what_lies_between_beginning_and_end_is_told() {
        let excerpt = Excerpt::new("a".into(), 1000, b"one\n", b"two\n");
        assert!(excerpt.sections[1].text.contains("992 bytes are left out"));
    }
}
