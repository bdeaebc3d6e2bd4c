//! Text made safe and short for whoever reads it.

use crate::host::one_line::is_invisible;
use std::time::Duration;

/// A time as a person says it: `40 s`, `12 min`, `1 h 05 min`.
pub fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.saturating_add(30) / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 file`, `2 files`, `2 patches`.
pub fn count(number: usize, thing: &str) -> String {
    let plural = match number {
        1 => "",
        _ if thing.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{number} {thing}{plural}")
}

/// Text of several lines whose breaks are meant, made safe for a terminal (a word goes through
/// `host::one_line`): control characters other than newline and tab, and characters that turn
/// or hide what stands beside them, are shown as `\u{…}` escapes, so that nothing printed can move the cursor, change the
/// terminal or look like something else.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else if is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Columns by which the rest of a line that is no row of a table is indented more than the line: a
/// word of others that comes to stand first there looks like no line of ours.
const REST: usize = 4;

/// A line for a terminal of this width, broken between words. The rest is indented to the last
/// column of a table that begins in the first half of the line (a gap of two blanks or more), and
/// always by [`REST`] more than the line. Nothing is broken within backticks or a word: a command
/// or a path can still be copied as a whole.
pub fn folded(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_string();
    }
    let own = line.chars().take_while(|c| *c == ' ').count();
    let hang = hang(line, width / 2).max(own.saturating_add(REST));
    let mut in_backticks = false;
    let glued: String = line
        .chars()
        .enumerate()
        .map(|(at, c)| {
            in_backticks ^= c == '`';
            match c {
                ' ' if in_backticks || at < own => '\u{a0}',
                _ => c,
            }
        })
        .collect();
    let indent = "\u{a0}".repeat(hang);
    let options = textwrap::Options::new(width)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .subsequent_indent(&indent);
    textwrap::fill(&glued, options).replace('\u{a0}', " ")
}

/// A message behind a head (`[ 0:01] `): its lines [`folded`], the first one's continuation below its own text.
pub fn folded_behind(head: &str, message: &str, width: usize) -> String {
    let blank = " ".repeat(head.chars().count());
    let mut lines = message.lines();
    let first = folded(&format!("{blank}{}", lines.next().unwrap_or_default()), width);
    let first = format!("{head}{}", first.strip_prefix(&blank).unwrap_or(&first));
    let rest = lines.map(|line| folded(line, width));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

/// Where the text of a line begins: see [`folded`].
fn hang(line: &str, longest: usize) -> usize {
    let (mut hang, mut blanks) = (0, 2);
    for (at, c) in line.chars().take(longest).enumerate() {
        if c == ' ' {
            blanks = usize::saturating_add(blanks, 1);
            continue;
        }
        if blanks >= 2 {
            hang = at;
        }
        blanks = 0;
    }
    hang
}

/// Longest sequence that is left out: what is longer never was one.
const LONGEST_SEQUENCE: usize = 256;

/// A log for reading: terminal sequences (ECMA-48: CSI, OSC and its kin, two-character ones) are left out, a carriage return ends a line,
/// the rest is [`visible`].
pub fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.find(['\x1b', '\r']).and_then(|at| rest.split_at_checked(at)) {
        kept.push_str(before);
        rest = if let Some(after) = from.strip_prefix('\r') {
            // Lines end with any number of them and a newline; alone it begins the line anew.
            let after = after.trim_start_matches('\r');
            if !after.starts_with('\n') {
                kept.push('\n');
            }
            after
        } else {
            let after = from.strip_prefix('\x1b').unwrap_or_default();
            match sequence(after).and_then(|length| after.get(length..)) {
                Some(behind) => behind,
                None => {
                    kept.push('\x1b');
                    after
                }
            }
        };
    }
    kept.push_str(rest);
    visible(&kept)
}

/// Bytes of the sequence whose escape character stands before `text`.
fn sequence(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let end_of = |from: usize, ends: fn(u8) -> bool| {
        let mut window = bytes.iter().enumerate().skip(from).take(LONGEST_SEQUENCE);
        window
            .find(|&(_, &byte)| ends(byte))
            .map(|(at, _)| at.saturating_add(1))
    };
    let length = match bytes.first()? {
        b'[' => end_of(1, |byte| !(0x20..=0x3f).contains(&byte)),
        b']' | b'P' | b'X' | b'^' | b'_' => {
            end_of(1, |byte| matches!(byte, 0x07 | 0x1b | b'\n')).map(|end| {
                let last = end.saturating_sub(1);
                // ST is an escape character and a backslash; a newline ends what was never ended.
                match (bytes.get(last), bytes.get(end)) {
                    (Some(0x1b), Some(b'\\')) => end.saturating_add(1),
                    (Some(0x07), _) => end,
                    _ => last,
                }
            })
        }
        0x20..=0x2f => end_of(1, |byte| !(0x20..=0x2f).contains(&byte)),
        0x30..=0x7e => Some(1),
        _ => None,
    }?;
    text.is_char_boundary(length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_into_its_last_column_and_keeps_its_commands_whole() {
        assert_eq!(folded("short  line", 20), "short  line");
        assert_eq!(
            folded(
                "2.1  pass    0:50  0004 media: videobuf2: add opt-in release fences",
                40
            ),
            "2.1  pass    0:50  0004 media:\n                   videobuf2: add opt-in\n                   release fences"
        );
        assert_eq!(
            folded(
                "  next: read it; `cargo xtask resume --continue-without PATCH` goes on",
                40
            ),
            "  next: read it;\n      `cargo xtask resume --continue-without PATCH`\n      goes on"
        );
        assert_eq!(
            folded_behind("[ 0:01] ", "warning: the board is off\n    again", 24),
            "[ 0:01] warning: the\n            board is off\n    again"
        );
    }

    /// The list that a person agrees to before a rollback.
    #[test]
    fn a_word_of_others_that_comes_first_looks_like_no_line_of_ours() {
        let path = "/boot/ordinary-file restore /boot/vanilla";
        for line in [format!("  remove {path}"), format!("  remove  {path}")] {
            let shown = folded(&line, 32);
            let rest = shown.lines().nth(1).unwrap();
            assert!(rest.starts_with("      "), "{shown}");
        }
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\tc\n"), "a\\u{1b}[2Jb\tc\n");
    }

    #[test]
    fn text_that_turns_itself_round_is_shown_as_what_it_is() {
        assert_eq!(visible("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
    }

    #[test]
    fn a_log_is_read_without_its_colours() {
        assert_eq!(plain("[\x1b[0;32m  OK  \x1b[0m] x\r\n"), "[  OK  ] x\n");
        assert_eq!(plain("\x1b]0;title\x07a\x1b]8;;x\x1b\\b\x1b(Bc\x1bcd"), "abcd");
        assert_eq!(plain("1 %\r2 %\r\r\n"), "1 %\n2 %\n");
    }

    #[test]
    fn what_is_no_sequence_stays_in_sight() {
        assert_eq!(plain("a\x1b"), "a\\u{1b}");
        assert_eq!(plain("\x1b]never ended\nnext"), "\nnext");
        assert_eq!(plain("\x1bé"), "\\u{1b}é");
        let long = format!("\x1b[{}", "1".repeat(1000));
        assert!(
            plain(&long).starts_with("\\u{1b}["),
            "nothing is swallowed without end"
        );
    }
}
