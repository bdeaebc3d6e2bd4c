//! Foreign words in print: what a board, a log, a patch or a file says is shown on one line, and as what it is.

/// Characters of a foreign word that are shown; paths and messages of the kernel are shorter.
const SHOWN: usize = 400;

/// A foreign word for a message, a list or a table: control characters (with newline and tab), C1 controls, and characters that turn or hide
/// what stands next to them are shown as escapes, and what is longer than 400 characters is cut.
pub fn one_line(word: &str) -> String {
    one_line_of(word, SHOWN)
}

/// [`one_line`] with another length, for what is a line of its own: of a log, of a file.
pub fn one_line_of(word: &str, characters: usize) -> String {
    let mut shown = String::with_capacity(word.len().min(characters));
    for (at, (offset, c)) in word.char_indices().enumerate() {
        if at == characters {
            shown.push_str(&format!(" … ({} more bytes)", word.len().saturating_sub(offset)));
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else if is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// [`one_line`] of a path. Bytes that are not UTF-8 are shown as U+FFFD.
pub fn path(path: &std::path::Path) -> String {
    one_line(&path.to_string_lossy())
}

/// Foreign words as a list below a sentence: each on a line of its own, indented, and beyond `most` of them only counted.
pub fn list<Word: AsRef<str>>(words: impl IntoIterator<Item = Word>, most: usize) -> String {
    let mut words = words.into_iter();
    let mut shown = String::new();
    for word in words.by_ref().take(most) {
        shown.push_str(&format!("\n    {}", one_line(word.as_ref())));
    }
    match words.count() {
        0 => shown,
        more => format!("{shown}\n    … ({more} more)"),
    }
}

/// A text of several lines whose line breaks are meant, as an error's: each line is [`one_line_of`], none is forged at the margin, since all but
/// the first are indented, and what goes on for ever is cut.
pub fn indented(text: &str, characters: usize, lines: usize) -> String {
    let mut shown = String::new();
    let mut all = text.split('\n');
    for (at, line) in all.by_ref().take(lines).enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if at > 0 {
            shown.push('\n');
            // Blank lines stay blank; what is indented already stays as deep as it is.
            let deep = line.is_empty() || line.starts_with("    ");
            shown.push_str(if deep { "" } else { "    " });
        }
        shown.push_str(&one_line_of(line, characters));
    }
    match all.count() {
        0 => {}
        more => shown.push_str(&format!("\n    … ({more} more lines)")),
    }
    shown
}

/// Whether a character has no width of its own and changes what others look like: the direction of text (Unicode Standard Annex 9),
/// joiners, fillers, line and paragraph separators, variation selectors, annotations, tags, and what is no character at all.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_breaks_the_line_or_hides() {
        let word = "a\nb\r\tc\x1b[2J\u{9b}2J\u{85}\u{202e}\u{200b}\u{2028}\u{ad}\u{fe0f}d";
        assert_eq!(
            one_line(word),
            "a\\nb\\r\\tc\\u{1b}[2J\\u{9b}2J\\u{85}\\u{202e}\\u{200b}\\u{2028}\\u{ad}\\u{fe0f}d"
        );
        assert_eq!(one_line("Grüße, 世界: a=b"), "Grüße, 世界: a=b");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let shown = one_line(&"ä".repeat(5_000_000));
        assert!(
            shown.ends_with("ä … (9999200 more bytes)") && shown.len() < 1000,
            "{shown}"
        );
    }

    #[test]
    fn nothing_in_a_list_makes_a_second_entry() {
        assert_eq!(
            list(["a\n    remove b", "c", "d", "e"], 2),
            "\n    a\\n    remove b\n    c\n    … (2 more)"
        );
        assert_eq!(list([""; 0], 2), "");
    }

    #[test]
    fn no_line_of_an_error_stands_at_the_margin_but_its_first() {
        assert_eq!(
            indented("a: b\nerror: c\n    listed\n\nd\x1b", 100, 100),
            "a: b\n    error: c\n    listed\n\n    d\\u{1b}"
        );
        assert_eq!(indented("a\nb\nc\nd", 100, 2), "a\n    b\n    … (2 more lines)");
    }
}
