//! The parts of a condition that keep it from holding.

use super::expression::{Expr, Operand, Span, Tri};
use super::value::Value;
use super::values::Values;

/// A part of a condition that is not what it has to be.
pub struct Part {
    /// `FOO`, `!FOO`, `FOO=y`.
    pub text: String,
    /// The symbol, where it is about one alone.
    pub symbol: Option<String>,
    /// What it is worth.
    pub value: Span,
    /// The symbol is on, and should be off.
    pub too_much: bool,
    /// Symbols of a comparison with their values.
    pub values: String,
    /// Symbols of a comparison.
    pub compared: Vec<String>,
}

impl Part {
    /// `FOO=n`, as a person reads it behind the condition.
    pub fn shown(&self) -> String {
        match (&self.symbol, self.value.known()) {
            _ if !self.values.is_empty() => self.values.clone(),
            (Some(symbol), _) => format!("{symbol}={}", self.value),
            (None, None) => format!("`{}` is not known", self.text),
            (None, Some(value)) => format!("`{}` is {value}", self.text),
        }
    }
}

/// The smallest parts of an expression that keep it below `wanted` (or, negated, above `!wanted`).
pub fn leaves(values: &Values, expr: &Expr, wanted: Tri, negated: bool, found: &mut Vec<Part>) {
    let worth = values.condition(expr);
    let worth = if negated { !worth } else { worth };
    if worth.low >= wanted {
        return;
    }
    match expr {
        Expr::Not(side) => leaves(values, side, wanted, !negated, found),
        Expr::And(a, b) | Expr::Or(a, b) => {
            leaves(values, a, wanted, negated, found);
            leaves(values, b, wanted, negated, found);
        }
        Expr::Leaf(Operand::Symbol(name)) => found.push(Part {
            text: if negated { format!("!{name}") } else { name.clone() },
            symbol: Some(name.clone()),
            value: values.symbol(name),
            too_much: negated,
            values: String::new(),
            compared: Vec::new(),
        }),
        other => found.push(Part {
            text: if negated {
                format!("!({other})")
            } else {
                other.to_string()
            },
            symbol: None,
            value: worth,
            too_much: negated,
            values: compared(values, other),
            compared: other.symbols().into_iter().map(String::from).collect(),
        }),
    }
}

/// `GCC_VERSION=120200` for each symbol of a comparison.
fn compared(values: &Values, expr: &Expr) -> String {
    let Expr::Compare(..) = expr else {
        return String::new();
    };
    let names = expr.symbols();
    let shown: Vec<String> = names
        .iter()
        .filter(|name| values.defined(name).is_some())
        .map(|name| format!("{name}={}", values.config.get(name).unwrap_or(&Value::No)))
        .collect();
    shown.join(", ")
}
