//! Times, sizes and other people's text as the reports write them.

use crate::host;
use crate::ui;
use std::fmt::Write;

/// Characters of a foreign word in a report; titles and commands of steps are shorter.
const LONGEST: usize = 4_000;

/// `1:05` for 65 s, `2:03:00` from an hour on.
pub(super) fn minutes(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds % 3600 / 60,
            seconds % 60
        ),
    }
}

/// How long a phase took: `5.2 s`, from a minute on `1:05`.
pub(super) fn spent(seconds: f64) -> String {
    if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        minutes(seconds)
    }
}

/// `12.5 kB` for 12 500 bytes.
pub(super) fn bytes(size: u64) -> String {
    match size {
        0..1000 => format!("{size} bytes"),
        1000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        _ => format!("{:.1} MB", size as f64 / 1e6),
    }
}

/// Data on one line, harmless on a terminal.
pub(super) fn one_line(text: &str) -> String {
    host::one_line::one_line_of(text, LONGEST)
}

/// Data on one line of Markdown: nothing in it begins a tag, a link, an image or code. What stays is as readable as it was.
pub(super) fn md(text: &str) -> String {
    let mut escaped = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '<' | '[' | '`' | '*') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Data in one cell of a Markdown table.
pub(super) fn md_cell(text: &str) -> String {
    md(text).replace('|', "\\|")
}

/// Lines of a log as a block of code in Markdown: indented, not fenced, so that nothing in them can end it.
pub(super) fn md_block(text: &str) -> String {
    let mut block = String::new();
    for line in ui::plain(text).lines() {
        let _ = writeln!(block, "    {line}");
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_as_a_person_says_them() {
        assert_eq!(minutes(65.4), "1:05");
        assert_eq!(minutes(3725.0), "1:02:05");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(12_500), "12.5 kB");
    }

    #[test]
    fn markdown_cannot_be_left() {
        assert_eq!(md("<b> [x](y) a_b `c`"), "\\<b> \\[x](y) a_b \\`c\\`");
        assert_eq!(md_block("a\n```\n\x1b[1mb"), "    a\n    ```\n    b\n");
    }
}
