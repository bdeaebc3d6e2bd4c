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

impl std::ops::Not for Tri {
    type Output = Tri;

    /// `!y` is `n`, `!m` is `m`.
    fn not(self) -> Tri {
        match self {
            Tri::No => Tri::Yes,
            Tri::Module => Tri::Module,
            Tri::Yes => Tri::No,
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

    /// Where a `bool` gets `m`, it is `y`.
    pub fn as_bool(self) -> Span {
        let up = |value| if value == Tri::No { Tri::No } else { Tri::Yes };
        Span {
            low: up(self.low),
            high: up(self.high),
        }
    }
}

impl std::ops::Not for Span {
    type Output = Span;

    fn not(self) -> Span {
        Span {
            low: !self.high,
            high: !self.low,
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
    /// Of its mark.
    pub fn parse(text: &str) -> Option<Self> {
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

    /// The one that holds where this one does not.
    pub fn inverse(self) -> Self {
        match self {
            Relation::Equal => Relation::Unequal,
            Relation::Unequal => Relation::Equal,
            Relation::Less => Relation::GreaterEqual,
            Relation::LessEqual => Relation::Greater,
            Relation::Greater => Relation::LessEqual,
            Relation::GreaterEqual => Relation::Less,
        }
    }

    /// The same with its sides swapped.
    pub fn mirrored(self) -> Self {
        match self {
            Relation::Less => Relation::Greater,
            Relation::LessEqual => Relation::GreaterEqual,
            Relation::Greater => Relation::Less,
            Relation::GreaterEqual => Relation::LessEqual,
            same => same,
        }
    }

    /// `GCC_VERSION >= 140000`.
    pub fn with(self, left: &str, right: &str) -> String {
        format!("{left} {} {right}", self.shown())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_stays_between_its_bounds() {
        let (yes, no, unknown) = (Span::of(Tri::Yes), Span::of(Tri::No), Span::UNKNOWN);
        assert_eq!(no.and(unknown), no);
        assert_eq!(yes.or(unknown), yes);
        assert_eq!(yes.and(unknown), unknown);
        assert_eq!(!unknown, unknown);
        assert_eq!(!Span::of(Tri::Module), Span::of(Tri::Module));
        assert_eq!(Span::of(Tri::Module).as_bool(), yes);
        assert_eq!(unknown.known(), None);
    }
}
