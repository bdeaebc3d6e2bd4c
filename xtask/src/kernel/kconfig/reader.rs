//! Reading the words of a Kconfig statement, and the expressions in it.
//!
//! Words: scripts/kconfig/lexer.l; expressions: `expr` of scripts/kconfig/parser.y.

use super::expression::{Expr, Operand, Relation, Tri};

/// A word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Letters, digits, `_`, `-`.
    Word(String),
    /// In quotes.
    Quoted(String),
    /// `$(…)`.
    Macro(String),
    /// `&&`, `||`, `!`, `=`, `!=`, `<`, `<=`, `>`, `>=`, `(`, `)`.
    Mark(&'static str),
}

const MARKS: &[&str] = &["&&", "||", "!=", "<=", ">=", "=", "<", ">", "!", "(", ")"];

/// The words of a statement; a comment behind `#` ends it, and signs that the language does not know are passed over, as
/// scripts/kconfig/lexer.l does.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((first, behind)) = split_first(rest) {
        if first == '#' {
            break;
        }
        if first == '"' || first == '\'' {
            let (inner, after) = quoted(behind, first);
            found.push(Token::Quoted(inner));
            rest = after;
        } else if let Some((mark, after)) = MARKS
            .iter()
            .find_map(|mark| Some((mark, rest.strip_prefix(mark)?)))
        {
            found.push(Token::Mark(mark));
            rest = after;
        } else if rest.starts_with("$(") {
            let (whole, after) = rest.split_at(macro_end(rest));
            found.push(Token::Macro(whole.to_string()));
            rest = after;
        } else if is_word(first) {
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            found.push(Token::Word(word.to_string()));
            rest = after;
        } else {
            rest = behind;
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The first character, and what stands behind it.
fn split_first(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    Some((first, characters.as_str()))
}

/// The text up to the closing quote, and what stands behind it. Quotes inside a macro do not close.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut inner = String::new();
    let mut rest = text;
    while let Some((c, behind)) = split_first(rest) {
        if rest.starts_with("$(") {
            let (whole, after) = rest.split_at(macro_end(rest));
            inner.push_str(whole);
            rest = after;
            continue;
        }
        rest = behind;
        if c == quote {
            return (inner, rest);
        }
        if c == '\\' {
            let Some((next, behind)) = split_first(rest) else {
                break;
            };
            inner.push(next);
            rest = behind;
        } else {
            inner.push(c);
        }
    }
    (inner, rest)
}

/// Where the bracket that a text begins with (`$(`) is closed: a border between two characters.
fn macro_end(text: &str) -> usize {
    let mut depth: usize = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// What stands inside the macro that a text begins with (`$(…)`), and what stands behind it.
pub fn split_macro(text: &str) -> (&str, &str) {
    let (whole, after) = text.split_at(macro_end(text));
    let inner = whole.strip_prefix("$(").unwrap_or(whole);
    (inner.strip_suffix(')').unwrap_or(inner), after)
}

/// So many words of a statement count: the longest in Linux 7.3 has 61, and an expression is followed as deep as it nests.
const MOST_TOKENS: usize = 300;

/// Reads words one after the other.
#[derive(Debug, Clone)]
pub struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    /// Of the words of a statement.
    pub fn new(text: &str) -> Self {
        let mut tokens = tokens(text);
        tokens.truncate(MOST_TOKENS);
        Reader { tokens, at: 0 }
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.step();
        token
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = self.peek()
            == Some(&Token::Mark(
                MARKS.iter().find(|m| **m == mark).copied().unwrap_or(""),
            ));
        if found {
            self.step();
        }
        found
    }

    /// Takes the next word if it is this one.
    pub fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(there)) if there == word);
        if found {
            self.step();
        }
        found
    }

    /// The next word, whatever it is.
    pub fn name(&mut self) -> Option<String> {
        match self.take()? {
            Token::Word(name) => Some(name),
            _ => None,
        }
    }

    /// The next text in quotes.
    pub fn text(&mut self) -> Option<String> {
        let Some(Token::Quoted(text)) = self.peek().cloned() else {
            return None;
        };
        self.step();
        Some(text)
    }

    /// `if EXPR`, or nothing.
    pub fn condition(&mut self) -> Option<Expr> {
        if self.word("if") { self.expr() } else { None }
    }

    /// An expression: `||` binds less than `&&`, that less than `!`; both are written left to right. (In parser.y a comparison takes
    /// two symbols, so that it binds tightest of all.)
    pub fn expr(&mut self) -> Option<Expr> {
        let mut left = self.conjunction()?;
        while self.mark("||") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Some(left)
    }

    fn conjunction(&mut self) -> Option<Expr> {
        let mut left = self.negation()?;
        while self.mark("&&") {
            left = Expr::And(Box::new(left), Box::new(self.negation()?));
        }
        Some(left)
    }

    fn negation(&mut self) -> Option<Expr> {
        if self.mark("!") {
            return Some(Expr::Not(Box::new(self.negation()?)));
        }
        if self.mark("(") {
            let inner = self.expr()?;
            return self.mark(")").then_some(inner);
        }
        let left = self.operand()?;
        let relation = match self.peek() {
            Some(Token::Mark(mark)) => Relation::parse(mark),
            _ => None,
        };
        let Some(relation) = relation else {
            return Some(Expr::Leaf(left));
        };
        self.step();
        Some(Expr::Compare(left, relation, self.operand()?))
    }

    /// A symbol, a constant or a macro.
    pub fn operand(&mut self) -> Option<Operand> {
        Some(match self.take()? {
            Token::Word(word) if Tri::parse(&word).is_some() => Operand::Constant(word),
            Token::Word(word) => Operand::Symbol(word),
            Token::Quoted(text) => Operand::Constant(text),
            Token::Macro(text) => Operand::Macro(text),
            Token::Mark(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Reader::new(text)
            .expr()
            .map_or("none".into(), |expr| expr.to_string())
    }

    #[test]
    fn expressions_print_as_they_are_meant() {
        for (text, expected) in [
            ("A&&B||C # why", "A && B || C"),
            ("(A || B) && !C", "(A || B) && !C"),
            ("!(A&&B)", "!(A && B)"),
            ("A=y && B!=\"x y\"", "A=y && B!=\"x y\""),
            ("GCC_VERSION >= 80300", "GCC_VERSION >= 80300"),
            ("$(cc-option,-fa=1,2) || A", "$(cc-option,-fa=1,2) || A"),
            ("!!A", "!!A"),
            ("A &&", "none"),
            ("(A", "none"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_macro_ends_where_its_own_bracket_does() {
        assert_eq!(
            tokens("$(success,echo 'f(x) { }' | $(CC) -x c -) if A"),
            [
                Token::Macro("$(success,echo 'f(x) { }' | $(CC) -x c -)".into()),
                Token::Word("if".into()),
                Token::Word("A".into())
            ]
        );
    }
}
