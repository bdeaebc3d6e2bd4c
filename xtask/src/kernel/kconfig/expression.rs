//! Expressions of the Kconfig language: how they are written, and what they are worth.
//!
//! Grammar: `expr` and `symbol` of the kernel's scripts/kconfig/parser.y. Macros (`$(cc-option,…)`) are kept as they are written:
//! what they give depends on compiler and machine.

use std::fmt;

/// The values of logic: `n` < `m` < `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tri {
    /// `n`
    No,
    /// `m`
    Module,
    /// `y`
    Yes,
}

impl Tri {
    /// `!y` is `n`, `!m` is `m`.
    pub fn not(self) -> Tri {
        match self {
            Tri::No => Tri::Yes,
            Tri::Module => Tri::Module,
            Tri::Yes => Tri::No,
        }
    }

    /// Of `y`, `m`, `n`.
    pub fn parse(text: &str) -> Option<Tri> {
        match text {
            "y" => Some(Tri::Yes),
            "m" => Some(Tri::Module),
            "n" => Some(Tri::No),
            _ => None,
        }
    }
}

impl fmt::Display for Tri {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Tri::No => "n",
            Tri::Module => "m",
            Tri::Yes => "y",
        })
    }
}

/// What is known about a value: it lies between two bounds, which are the same where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// At least.
    pub low: Tri,
    /// At most.
    pub high: Tri,
}

impl Span {
    /// Nothing is known.
    pub const UNKNOWN: Span = Span {
        low: Tri::No,
        high: Tri::Yes,
    };

    /// Exactly this.
    pub fn of(value: Tri) -> Span {
        Span {
            low: value,
            high: value,
        }
    }

    /// The value, if it is known.
    pub fn known(self) -> Option<Tri> {
        (self.low == self.high).then_some(self.low)
    }

    /// `&&`: the lesser.
    pub fn and(self, other: Span) -> Span {
        Span {
            low: self.low.min(other.low),
            high: self.high.min(other.high),
        }
    }

    /// `||`: the greater.
    pub fn or(self, other: Span) -> Span {
        Span {
            low: self.low.max(other.low),
            high: self.high.max(other.high),
        }
    }

    /// `!`.
    pub fn not(self) -> Span {
        Span {
            low: self.high.not(),
            high: self.low.not(),
        }
    }

    /// Where a `bool` gets `m`, it is `y`.
    pub fn as_bool(self) -> Span {
        let up = |value| if value == Tri::No { Tri::No } else { Tri::Yes };
        Span {
            low: up(self.low),
            high: up(self.high),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.known() {
            Some(value) => value.fmt(f),
            None => f.write_str("?"),
        }
    }
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Relation {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Relation::Equal,
            "!=" => Relation::Unequal,
            "<" => Relation::Less,
            "<=" => Relation::LessEqual,
            ">" => Relation::Greater,
            ">=" => Relation::GreaterEqual,
            _ => return None,
        })
    }

    fn shown(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::Unequal => "!=",
            Relation::Less => "<",
            Relation::LessEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterEqual => ">=",
        }
    }

    /// Whether it holds for two values that compare like this.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Relation::Equal => order.is_eq(),
            Relation::Unequal => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::LessEqual => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::GreaterEqual => order.is_ge(),
        }
    }
}

/// What stands alone or on a side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A name: `FOO`, or a number, which is the name of a symbol that nobody defines and stands for itself.
    Symbol(String),
    /// A text in quotes, and `y`, `m`, `n`.
    Constant(String),
    /// `$(…)`, as written.
    Macro(String),
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A symbol, a constant or a macro.
    Leaf(Operand),
    /// `!A`
    Not(Box<Expr>),
    /// `A && B`
    And(Box<Expr>, Box<Expr>),
    /// `A || B`
    Or(Box<Expr>, Box<Expr>),
    /// `A = B` and its like.
    Compare(Operand, Relation, Operand),
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Operand::Symbol(name) | Operand::Macro(name) => f.write_str(name),
            Operand::Constant(text) if Tri::parse(text).is_some() => f.write_str(text),
            Operand::Constant(text) => write!(f, "\"{text}\""),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let inner = |f: &mut fmt::Formatter, side: &Expr, brackets: bool| {
            if brackets {
                write!(f, "({side})")
            } else {
                side.fmt(f)
            }
        };
        match self {
            Expr::Leaf(operand) => operand.fmt(f),
            Expr::Not(side) => {
                f.write_str("!")?;
                inner(f, side, !matches!(**side, Expr::Leaf(_) | Expr::Not(_)))
            }
            Expr::And(a, b) => {
                inner(f, a, matches!(**a, Expr::Or(..)))?;
                f.write_str(" && ")?;
                inner(f, b, matches!(**b, Expr::Or(..)))
            }
            Expr::Or(a, b) => write!(f, "{a} || {b}"),
            Expr::Compare(a, relation, b) => match relation {
                Relation::Equal | Relation::Unequal => write!(f, "{a}{}{b}", relation.shown()),
                _ => write!(f, "{a} {} {b}", relation.shown()),
            },
        }
    }
}

impl Expr {
    /// Every symbol that it names, in order.
    pub fn symbols(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect(&mut names);
        names
    }

    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        let mut operand = |operand: &'a Operand| {
            if let Operand::Symbol(name) = operand {
                names.push(name.as_str());
            }
        };
        match self {
            Expr::Leaf(leaf) => operand(leaf),
            Expr::Compare(a, _, b) => {
                operand(a);
                operand(b);
            }
            Expr::Not(side) => side.collect(names),
            Expr::And(a, b) | Expr::Or(a, b) => {
                a.collect(names);
                b.collect(names);
            }
        }
    }
}

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
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        if first == '"' || first == '\'' {
            let (inner, after) = quoted(&rest[1..], first);
            found.push(Token::Quoted(inner));
            rest = after;
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            found.push(Token::Mark(mark));
            rest = &rest[mark.len()..];
        } else if rest.starts_with("$(") {
            let end = macro_end(rest);
            found.push(Token::Macro(rest[..end].to_string()));
            rest = &rest[end..];
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_string()));
            rest = &rest[end..];
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The text up to the closing quote, and what stands behind it. Quotes inside a macro do not close.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut inner = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("$(") {
            let end = macro_end(rest);
            inner.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c == quote {
            return (inner, rest);
        }
        if c == '\\' {
            let Some(next) = rest.chars().next() else { break };
            inner.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            inner.push(c);
        }
    }
    (inner, rest)
}

/// Where the bracket that a text begins with (`$(`) is closed.
pub fn macro_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Reads words one after the other.
#[derive(Debug, Clone)]
pub struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    /// Of the words of a statement.
    pub fn new(text: &str) -> Self {
        Reader {
            tokens: tokens(text),
            at: 0,
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = self.peek()
            == Some(&Token::Mark(
                MARKS.iter().find(|m| **m == mark).copied().unwrap_or(""),
            ));
        if found {
            self.at += 1;
        }
        found
    }

    /// Takes the next word if it is this one.
    pub fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(there)) if there == word);
        if found {
            self.at += 1;
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
        self.at += 1;
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
        self.at += 1;
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

    #[test]
    fn what_is_not_known_stays_between_its_bounds() {
        let (yes, no, unknown) = (Span::of(Tri::Yes), Span::of(Tri::No), Span::UNKNOWN);
        assert_eq!(no.and(unknown), no);
        assert_eq!(yes.or(unknown), yes);
        assert_eq!(yes.and(unknown), unknown);
        assert_eq!(unknown.not(), unknown);
        assert_eq!(Span::of(Tri::Module).not(), Span::of(Tri::Module));
        assert_eq!(Span::of(Tri::Module).as_bool(), yes);
        assert_eq!(unknown.known(), None);
    }
}
