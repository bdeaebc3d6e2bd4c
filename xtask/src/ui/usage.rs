//! Words of a command line in clap's errors: whoever wrote a script or a file name may have put anything in them.

use crate::host::one_line::one_line;
use clap::error::ContextValue;

/// Makes every word of the command line that an error repeats safe to print, each on one line.
pub(super) fn make_safe(error: &mut clap::Error) {
    let changed: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| {
            let value = match value {
                ContextValue::String(word) => ContextValue::String(one_line(word)),
                ContextValue::Strings(words) => {
                    ContextValue::Strings(words.iter().map(|word| one_line(word)).collect())
                }
                // Advice that repeats the word: `to pass '--x' as a value, use '-- --x'`.
                ContextValue::StyledStrs(lines) => ContextValue::StyledStrs(
                    lines
                        .iter()
                        .map(|line| one_line(&line.to_string()).into())
                        .collect(),
                ),
                // The usage, numbers and flags are the program's own.
                _ => return None,
            };
            Some((kind, value))
        })
        .collect();
    for (kind, value) in changed {
        error.insert(kind, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, Command as Verb};

    #[test]
    fn no_word_of_the_command_line_makes_a_line_or_moves_the_cursor() {
        let command = || {
            Verb::new("x")
                .arg(
                    Arg::new("number")
                        .long("number")
                        .value_parser(clap::value_parser!(u8)),
                )
                .arg(Arg::new("file"))
                .subcommand(Verb::new("verb"))
        };
        for words in [
            &["x", "--a\nFORGED"][..],
            &["x", "f", "a\nFORGED\u{202e}"],
            &["x", "--number", "\u{9b}2J\rFORGED\nFORGED"],
            &["x", "--number=a\nFORGED"],
            &["x", "verb", "ver\nFORGED"],
        ] {
            let mut error = command().try_get_matches_from(words).unwrap_err();
            make_safe(&mut error);
            let said = error.render().to_string();
            assert!(said.contains("FORGED"), "{said}");
            assert!(!said.lines().any(|line| line.starts_with("FORGED")), "{said}");
            assert_eq!(crate::ui::visible(&said), said, "{words:?}");
        }
    }
}
