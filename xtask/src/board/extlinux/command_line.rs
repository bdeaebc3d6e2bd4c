//! `append` as U-Boot hands it to the kernel: macros replaced, one level of quotes and backslashes
//! taken away.
//!
//! Source: U-Boot `common/cli_simple.c` (`cli_simple_process_macros`), which `label_boot` in
//! `boot/pxe_utils.c` calls for `append` and for nothing else: paths are taken as they are written.
//! The same from v2013.07 to v2026.10.

use std::collections::BTreeSet;

/// A part of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What arrives as it is.
    Text(String),
    /// `${name}` or `$(name)`: the value of this variable of U-Boot's environment, nothing where it
    /// is not set.
    Variable(String),
}

/// What U-Boot does to an `append` on its way to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// `${name}` or `$(name)` is replaced.
    Variable,
    /// `${` or `$(` is never closed: everything from there on is lost.
    UnclosedVariable,
    /// Single quotes are taken away.
    Quotes,
    /// A single quote is never closed: it is taken away, and nothing behind it is replaced.
    UnclosedQuote,
    /// Backslashes are taken away.
    Backslashes,
    /// A `$` at the end is lost.
    LastDollar,
}

/// A command line as U-Boot hands it over, as far as it can be known from the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandLine {
    pieces: Vec<Piece>,
    changes: BTreeSet<Change>,
}

/// What the next character means to `cli_simple_process_macros` (its `state` 0 to 3).
enum State {
    Text,
    Dollar,
    Name(String),
    Quoted,
}

impl CommandLine {
    /// What becomes of the value of `append`.
    pub fn of(append: &str) -> Self {
        let mut line = CommandLine::default();
        let mut chars = append.chars();
        let (mut state, mut previous) = (State::Text, '\0');
        while let Some(first) = chars.next() {
            let mut c = first;
            // Not behind another backslash, even where that one was taken for itself: U-Boot's own
            // slip, kept.
            if !matches!(state, State::Quoted) && c == '\\' && previous != '\\' {
                line.changes.insert(Change::Backslashes);
                if let State::Name(name) = &mut state {
                    name.push(c);
                }
                let Some(next) = chars.next() else { break };
                (previous, c) = (c, next);
            }
            state = match state {
                State::Text if c == '\'' && previous != '\\' => {
                    line.changes.insert(Change::Quotes);
                    State::Quoted
                }
                State::Text if c == '$' && previous != '\\' => State::Dollar,
                State::Text => line.text_goes_on(c, State::Text),
                State::Dollar if matches!(c, '(' | '{') => State::Name(String::new()),
                State::Dollar => {
                    line.push('$');
                    line.text_goes_on(c, State::Text)
                }
                State::Name(name) if matches!(c, ')' | '}') => {
                    line.changes.insert(Change::Variable);
                    line.pieces.push(Piece::Variable(name));
                    State::Text
                }
                State::Name(mut name) => {
                    name.push(c);
                    State::Name(name)
                }
                State::Quoted if c == '\'' && previous != '\\' => State::Text,
                State::Quoted => line.text_goes_on(c, State::Quoted),
            };
            previous = c;
        }
        line.changes.extend(match state {
            State::Text => None,
            State::Dollar => Some(Change::LastDollar),
            State::Name(_) => Some(Change::UnclosedVariable),
            State::Quoted => Some(Change::UnclosedQuote),
        });
        line
    }

    fn push(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.into())),
        }
    }

    fn text_goes_on(&mut self, c: char, state: State) -> State {
        self.push(c);
        state
    }

    /// Text and variables in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What U-Boot changes, each kind once.
    pub fn changes(&self) -> &BTreeSet<Change> {
        &self.changes
    }

    /// The variables whose values only U-Boot knows, each once.
    pub fn variables(&self) -> BTreeSet<&str> {
        let names = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        });
        names.collect()
    }

    /// The whole text, if no variable is in it.
    pub fn text(&self) -> Option<String> {
        self.variables().is_empty().then(|| self.with(&|_| None))
    }

    /// The text with the values of the variables; one that is not set leaves nothing.
    pub fn with(&self, value: &dyn Fn(&str) -> Option<String>) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(name) => value(name).unwrap_or_default(),
        });
        pieces.collect()
    }

    /// What is typed at U-Boot's prompt (`common/cli_hush.c`) for this value: in single quotes
    /// nothing but a backslash has a meaning, and in double quotes a variable is replaced.
    pub fn typed(&self) -> String {
        let parts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"'\''")),
            Piece::Variable(name) => format!("\"${{{name}}}\""),
        });
        parts.collect()
    }

    /// The words, blanks between them. A blank in a variable's value makes more of one.
    pub fn words(&self) -> Vec<Word> {
        let (mut words, mut word) = (Vec::new(), Word::default());
        for piece in &self.pieces {
            let Piece::Text(text) = piece else {
                word.0.push(piece.clone());
                continue;
            };
            for (at, part) in text.split(char::is_whitespace).enumerate() {
                if at > 0 {
                    words.push(std::mem::take(&mut word));
                }
                if !part.is_empty() {
                    word.0.push(Piece::Text(part.into()));
                }
            }
        }
        words.push(word);
        words.retain(|word| !word.0.is_empty());
        words
    }

    /// The words without a variable in them.
    pub fn known_words(&self) -> Vec<String> {
        self.words().iter().filter_map(Word::text).collect()
    }

    /// Characters of it that are known: how much it says when it [ran](Self::ran_as).
    pub fn known_length(&self) -> usize {
        let known = self.words().into_iter().flat_map(|word| word.0);
        known
            .map(|piece| match piece {
                Piece::Text(text) => text.chars().count(),
                Piece::Variable(_) => 0,
            })
            .sum()
    }

    /// Whether a kernel with the command line `running` (`/proc/cmdline`) may have been started
    /// with this one: its words are in that line, one behind the other, and where a variable
    /// stands, anything or nothing is. Boot loaders and device trees put words before and behind
    /// it.
    pub fn ran_as(&self, running: &str) -> bool {
        let mut pattern = String::new();
        for Word(pieces) in self.words() {
            let unknown = !pieces.iter().any(|piece| matches!(piece, Piece::Text(_)));
            pattern.push_str(if unknown { "(?: " } else { " " });
            for piece in &pieces {
                match piece {
                    Piece::Text(text) => pattern.push_str(&regex::escape(text)),
                    Piece::Variable(_) => pattern.push_str(".*"),
                }
            }
            pattern.push_str(if unknown { ")?" } else { "" });
        }
        pattern.push_str("(?: |$)");
        let running: String = running.split_whitespace().flat_map(|word| [" ", word]).collect();
        // Too large a pattern is no command line of a kernel: those have 2 KiB at most (arm64
        // COMMAND_LINE_SIZE).
        regex::Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(&running))
    }
}

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word(Vec<Piece>);

impl Word {
    /// The word, if no variable is in it.
    pub fn text(&self) -> Option<String> {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Variable(_) => None,
        });
        texts.collect()
    }

    /// What it begins with, up to its first variable.
    pub fn start(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The word as `append` has to have it, so that U-Boot hands over the same again.
    pub fn escaped(&self) -> String {
        let parts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => escape(text),
            Piece::Variable(name) => format!("${{{name}}}"),
        });
        parts.collect()
    }
}

/// A text as `append` has to have it, so that it arrives as it is: the reverse of
/// [`CommandLine::of`]. Behind a backslash that was taken for itself, U-Boot takes the next
/// character for itself, too.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut previous = '\0';
    for c in text.chars() {
        if matches!(c, '\\' | '\'' | '$') && previous != '\\' {
            escaped.push('\\');
        }
        escaped.push(c);
        previous = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_x(append: &str) -> String {
        CommandLine::of(append).with(&|name| (name == "x").then(|| "X Y".into()))
    }

    #[test]
    fn macros_quotes_and_backslashes_are_u_boots() {
        for (append, line) in [
            ("root=/dev/x ro", "root=/dev/x ro"),
            ("a${x}b $(x)", "aX Yb X Y"),
            ("a ${none} b", "a  b"),
            ("${x)", "X Y"),
            ("dyndbg='file y.c +p'", "dyndbg=file y.c +p"),
            ("'${x}' ${x}", "${x} X Y"),
            (r"a\$b \${x} \\ \'q\'", r"a$b ${x} \ 'q'"),
            (r"'a\b' 'a\'b' c", r"a\b a\'b c"),
            (r"\\${x} \\\\", r"\${x} \\\"),
            ("a$b $$ $", "a$b $$ "),
            ("$'a b' ${", "$'a b ${"),
            ("$'a b\\' ${", "$'a b' "),
            ("a ${x b c", "a "),
            ("a 'b ${x}", "a b ${x}"),
            ("a\\", "a"),
        ] {
            assert_eq!(with_x(append), line, "{append}");
        }
    }

    #[test]
    fn what_is_changed_is_known() {
        let changes = |append: &str| -> Vec<Change> { CommandLine::of(append).changes.into_iter().collect() };
        assert_eq!(changes("root=UUID=1 a$b \"c d\" #"), []);
        assert_eq!(changes("$(a) ${b}"), [Change::Variable]);
        assert_eq!(changes("${a"), [Change::UnclosedVariable]);
        assert_eq!(changes("'a' \\b"), [Change::Quotes, Change::Backslashes]);
        assert_eq!(changes("don't"), [Change::Quotes, Change::UnclosedQuote]);
        assert_eq!(changes("a$"), [Change::LastDollar]);
    }

    #[test]
    fn a_text_that_is_escaped_arrives_as_it_is() {
        let alphabet = ['\\', '\'', '$', '{', '}', 'a', ' '];
        let mut texts = vec![String::new()];
        for length in 0..6 {
            let longer = texts.iter().filter(|text| text.len() == length);
            let longer: Vec<String> = longer
                .flat_map(|text| alphabet.map(|c| format!("{text}{c}")))
                .collect();
            texts.extend(longer);
        }
        assert!(texts.len() > 100_000);
        for text in texts {
            assert_eq!(CommandLine::of(&escape(&text)).text().as_ref(), Some(&text));
        }
    }

    #[test]
    fn a_running_kernel_is_known_by_its_words() {
        for (append, running, same) in [
            ("root=/dev/x rw", "root=/dev/x rw", true),
            (
                "root=/dev/x  rw",
                "earlycon root=/dev/x rw storagemedia=emmc\n",
                true,
            ),
            ("root=/dev/x", "root=/dev/x2", false),
            ("a b", "a c b", false),
            ("dyndbg='file y.c +p' q", "dyndbg=file y.c +p q", true),
            (r"a\$b", "a$b", true),
            ("root=${r} rw", "root=/dev/x rw", true),
            ("root=${r} rw", "root=/dev/x ro", false),
            ("a ${x} b", "a b", true),
            ("a ${x} b", "a 1 2 b", true),
            ("a ${x} b", "a 1 2 c", false),
            ("${bootargs}", "anything", true),
            ("root=$(r)p2 ${x}", "root=/dev/mmcblk0p2", true),
            ("x.y=1", "xzy=1", false),
            ("", "a b", true),
        ] {
            assert_eq!(
                CommandLine::of(append).ran_as(running),
                same,
                "{append} / {running}"
            );
        }
        assert_eq!(CommandLine::of("ab ${x} c${y}d").known_length(), 4);
        assert!(!CommandLine::of(&"é".repeat(10 << 20)).ran_as("a"));
    }

    #[test]
    fn words_keep_their_variables() {
        let line = CommandLine::of("root=${r}p2 'a b'\\$ quiet ${c}");
        let words: Vec<String> = line.words().iter().map(Word::escaped).collect();
        assert_eq!(words, ["root=${r}p2", "a", "b\\$", "quiet", "${c}"]);
        assert_eq!(line.known_words(), ["a", "b$", "quiet"]);
        assert_eq!(line.words()[0].start(), "root=");
        assert_eq!(line.variables().into_iter().collect::<Vec<_>>(), ["c", "r"]);
    }
}
