//! What expressions of a tree's Kconfig are worth under a final `.config`, and what a symbol would become if it were asked for.
//!
//! Rules: `sym_calc_value`, `sym_calc_visibility` of scripts/kconfig/symbol.c and `expr_calc_value` of scripts/kconfig/expr.c, 7.3. Nothing is decided here:
//! the values of all other symbols are those that `olddefconfig` wrote.

use super::config::Config;
use super::definitions::{
    Condition, DefaultValue, Definition, Definitions, Kind, Prompt, Pull, Raise, Range, Symbol,
};
use super::expression::{Expr, Operand, Span, Tri};
use super::forecast::Forecast;
use super::reader::split_macro;
use super::value::{Value, number};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// It depends on what the compiler or another program of the machine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotKnown;

/// A tree's definitions under one configuration.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    /// The definitions.
    pub definitions: &'a Definitions,
    /// The configuration.
    pub config: &'a Config,
    /// What is known about macros, from symbols that stand for exactly one.
    pub(super) macros: BTreeMap<String, Tri>,
    pub(super) modules: bool,
    /// Where the values are not those of `config`, but worked out from settings.
    pub(super) forecast: Option<Forecast<'a>>,
}

impl<'a> Values<'a> {
    /// Under `config`.
    pub fn new(definitions: &'a Definitions, config: &'a Config) -> Self {
        // conf_parse(): a tree in which no symbol carries `modules` has none.
        let modules = definitions
            .modules
            .as_ref()
            .is_some_and(|modules| config.is_yes(modules));
        let mut values = Values {
            definitions,
            config,
            macros: BTreeMap::new(),
            modules,
            forecast: None,
        };
        // What one answer says may be what another one hung on.
        for _ in 0..2 {
            values.macros = values.known_macros();
        }
        values
    }

    /// What symbols tell of the answers that the compiler gave: one like `config CC_HAS_X` with `def_bool $(cc-option,…)`, and one whose prompt is
    /// shown (or not) by `depends on $(cc-option,…)`.
    fn known_macros(&self) -> BTreeMap<String, Tri> {
        let mut known = self.macros.clone();
        for (name, symbol) in &self.definitions.symbols {
            let [definition] = symbol.definitions.as_slice() else {
                continue;
            };
            if !symbol.raised_by.is_empty() || symbol.transitional {
                continue;
            }
            let all = self.definitions;
            match (definition.prompts.as_slice(), definition.defaults.as_slice()) {
                ([], [default]) if symbol.kind == Kind::Bool => {
                    let mut parts = all.conditions(definition);
                    parts.extend(&default.condition);
                    let mut parts: Vec<&Expr> = parts.iter().map(|part| &part.expr).collect();
                    parts.push(&default.expr);
                    self.learn(&parts, self.config.is_yes(name), &mut known);
                }
                ([prompt], []) => {
                    let parts = all.prompt_conditions(definition, prompt);
                    let parts: Vec<&Expr> = parts.iter().map(|part| &part.expr).collect();
                    // What is shown is written, be it as not set.
                    self.learn(&parts, self.config.get(name).is_some(), &mut known);
                }
                _ => {}
            }
        }
        known
    }

    /// All of these together are more than n, or they are n: what follows for macros among them.
    fn learn(&self, parts: &[&Expr], holds: bool, known: &mut BTreeMap<String, Tri>) {
        let open = |part: &&&Expr| holds || self.condition(part).low == Tri::No;
        match parts.iter().filter(open).collect::<Vec<_>>().as_slice() {
            [only] => self.conclude(only, holds, known),
            all if holds => all.iter().for_each(|part| self.conclude(part, true, known)),
            _ => {}
        }
    }

    /// An expression is more than n, or it is n: what follows for macros in it.
    fn conclude(&self, expr: &Expr, holds: bool, known: &mut BTreeMap<String, Tri>) {
        match expr {
            Expr::Leaf(Operand::Macro(text)) => {
                let answer = if holds { Tri::Yes } else { Tri::No };
                known.entry(text.clone()).or_insert(answer);
            }
            Expr::Not(side) => self.conclude(side, !holds, known),
            Expr::And(a, b) => self.learn(&[a, b], holds, known),
            Expr::Or(a, b) if !holds => {
                self.conclude(a, false, known);
                self.conclude(b, false, known);
            }
            Expr::Or(a, b) => {
                let off = |side: &Expr| self.condition(side).high == Tri::No;
                match (off(a), off(b)) {
                    (true, false) => self.conclude(b, true, known),
                    (false, true) => self.conclude(a, true, known),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Whether `m` can be had at all.
    pub fn modules(&self) -> bool {
        self.modules
    }

    /// The value of a symbol in an expression.
    pub fn symbol(&self, name: &str) -> Span {
        let Some(symbol) = self.defined(name) else {
            return Span::of(Tri::No);
        };
        match &self.forecast {
            Some(forecast) => self.foretold_logic(forecast, name, symbol),
            None => self.final_value(name, symbol),
        }
    }

    /// The value that the configuration has.
    pub(super) fn final_value(&self, name: &str, symbol: &Symbol) -> Span {
        if symbol.transitional {
            return Span::UNKNOWN;
        }
        Span::of(match (symbol.kind, self.config.get(name)) {
            (Kind::Bool | Kind::Tristate, Some(Value::Yes)) => Tri::Yes,
            (Kind::Bool | Kind::Tristate, Some(Value::Module)) => Tri::Module,
            _ => Tri::No,
        })
    }

    /// A symbol that some Kconfig file defines.
    pub fn defined(&self, name: &str) -> Option<&'a Symbol> {
        self.definitions
            .symbols
            .get(name)
            .filter(|symbol| !symbol.definitions.is_empty())
    }

    /// Whether a symbol is a `bool`; a `tristate` is one, too, where there are no modules.
    pub fn is_bool(&self, symbol: &Symbol) -> bool {
        symbol.kind == Kind::Bool || symbol.kind == Kind::Tristate && !self.modules
    }

    /// The value of a condition: `m` counts only where there are modules.
    pub fn condition(&self, expr: &Expr) -> Span {
        match expr {
            Expr::Leaf(Operand::Constant(text)) if text == "m" && !self.modules => Span::of(Tri::No),
            Expr::Leaf(leaf) => self.leaf(leaf),
            Expr::Not(side) => !self.condition(side),
            Expr::And(a, b) => self.condition(a).and(self.condition(b)),
            Expr::Or(a, b) => self.condition(a).or(self.condition(b)),
            Expr::Compare(a, relation, b) => match (self.text(a), self.text(b)) {
                (Some(left), Some(right)) => {
                    let holds = relation.holds(compare(&left, &right));
                    Span::of(if holds { Tri::Yes } else { Tri::No })
                }
                _ => Span::UNKNOWN,
            },
        }
    }

    fn leaf(&self, leaf: &Operand) -> Span {
        match leaf {
            Operand::Symbol(name) => self.symbol(name),
            Operand::Constant(text) => Span::of(Tri::parse(text).unwrap_or(Tri::No)),
            Operand::Macro(text) => self
                .macros
                .get(text)
                .map_or(Span::UNKNOWN, |value| Span::of(*value)),
        }
    }

    /// All of these.
    pub fn all(&self, conditions: &[&Condition]) -> Span {
        conditions
            .iter()
            .map(|condition| self.condition(&condition.expr))
            .fold(Span::of(Tri::Yes), Span::and)
    }

    pub(super) fn optional(&self, condition: &Option<Condition>) -> Span {
        condition
            .as_ref()
            .map_or(Span::of(Tri::Yes), |condition| self.condition(&condition.expr))
    }

    /// A side of a comparison, with the type that decides how it is compared.
    pub(super) fn text(&self, operand: &Operand) -> Option<(String, Kind)> {
        Some(match operand {
            Operand::Symbol(name) => match self.defined(name) {
                Some(symbol) => (self.written(name, symbol)?, symbol.kind),
                None => (name.clone(), Kind::Unknown),
            },
            Operand::Constant(text) if Tri::parse(text).is_some() => (text.clone(), Kind::Tristate),
            Operand::Constant(text) => (self.expanded(text)?, Kind::Unknown),
            Operand::Macro(text) => (self.macros.get(text)?.to_string(), Kind::Unknown),
        })
    }

    fn expanded(&self, text: &str) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("$(") {
            let (before, from) = rest.split_at(at);
            let (inner, after) = split_macro(from);
            expanded.push_str(before);
            expanded.push_str(self.definitions.variables.get(inner)?);
            rest = after;
        }
        Some(expanded + rest)
    }

    /// A symbol's value as a text, without quotes.
    pub(super) fn written(&self, name: &str, symbol: &'a Symbol) -> Option<String> {
        match (&self.forecast, symbol.kind) {
            (_, Kind::Bool | Kind::Tristate) => Some(self.symbol(name).known()?.to_string()),
            (Some(forecast), _) => self.foretold_text(forecast, name, symbol),
            (None, _) => self.final_text(name, symbol),
        }
    }

    /// The number or text that the configuration has.
    pub(super) fn final_text(&self, name: &str, symbol: &Symbol) -> Option<String> {
        if symbol.transitional {
            return None;
        }
        Some(match self.config.get(name) {
            Some(Value::Text(text) | Value::Number(text)) => text.clone(),
            _ => symbol.kind.nothing().into(),
        })
    }

    /// How far a prompt is shown.
    pub fn prompt(&self, definition: &Definition, prompt: &Prompt) -> Span {
        self.all(&self.definitions.prompt_conditions(definition, prompt))
    }

    /// How far a symbol can be set by a person: the best of its prompts.
    pub fn visible(&self, symbol: &Symbol) -> Span {
        if symbol.transitional {
            return Span::of(Tri::Yes);
        }
        let prompts = symbol.definitions.iter().flat_map(|definition| {
            definition
                .prompts
                .iter()
                .map(|prompt| self.prompt(definition, prompt))
        });
        let visible = prompts.fold(Span::of(Tri::No), Span::or);
        if symbol.kind == Kind::Tristate && self.modules {
            visible
        } else {
            visible.as_bool()
        }
    }

    /// How far one `select` or `imply` pulls.
    pub fn raise(&self, raise: &Raise) -> Span {
        let definition = self
            .defined(&raise.by)
            .and_then(|symbol| symbol.definitions.get(raise.definition));
        let conditions = definition.map_or(Span::of(Tri::Yes), |definition| {
            self.all(&self.definitions.conditions(definition))
        });
        self.symbol(&raise.by)
            .and(conditions)
            .and(self.optional(&raise.condition))
    }

    /// How far the selects of others raise a symbol.
    pub fn selected(&self, symbol: &Symbol) -> Span {
        self.pulled(symbol, Pull::Select)
    }

    /// How far the implies of others raise a symbol that nobody set.
    pub fn implied(&self, symbol: &Symbol) -> Span {
        self.pulled(symbol, Pull::Imply)
    }

    fn pulled(&self, symbol: &Symbol, pull: Pull) -> Span {
        let pulled = symbol
            .raised_by
            .iter()
            .filter(|raise| raise.pull == pull)
            .map(|raise| self.raise(raise))
            .fold(Span::of(Tri::No), Span::or);
        if self.is_bool(symbol) {
            pulled.as_bool()
        } else {
            pulled
        }
    }

    /// The default that counts, with how far its condition holds; `Err` where only the compiler knows which one it is.
    pub fn default(&self, symbol: &'a Symbol) -> Result<Option<(&'a DefaultValue, Span)>, NotKnown> {
        for definition in &symbol.definitions {
            let around = self.all(&self.definitions.conditions(definition));
            for default in &definition.defaults {
                let holds = around.and(self.optional(&default.condition));
                if holds.low != Tri::No {
                    return Ok(Some((default, holds)));
                }
                if holds.high != Tri::No {
                    return Err(NotKnown);
                }
            }
        }
        Ok(None)
    }

    /// The range that counts.
    pub fn range(&self, symbol: &'a Symbol) -> Option<&'a Range> {
        symbol.definitions.iter().find_map(|definition| {
            let around = self.all(&self.definitions.conditions(definition));
            definition
                .ranges
                .iter()
                .find(|range| around.and(self.optional(&range.condition)).low != Tri::No)
        })
    }

    /// The bounds of a range as texts.
    pub fn bounds(&self, range: &Range) -> Option<(String, String)> {
        Some((self.text(&range.low)?.0, self.text(&range.high)?.0))
    }

    /// `depends on` of all definitions together: what an `imply` and an unseen default cannot pass.
    pub(super) fn direct(&self, symbol: &Symbol) -> Span {
        let mut together: Option<Span> = None;
        for definition in &symbol.definitions {
            let conditions = self.definitions.conditions(definition);
            // expr_alloc_or() drops a side that is empty.
            if !conditions.is_empty() {
                let here = self.all(&conditions);
                together = Some(together.map_or(here, |before| before.or(here)));
            }
        }
        let direct = together.unwrap_or(Span::of(Tri::Yes));
        if self.is_bool(symbol) {
            direct.as_bool()
        } else {
            direct
        }
    }

    /// What a symbol of logic becomes when it is asked for as `asked`, all others being as they are. Members of a choice depend on what else was asked of it:
    /// for them this is what they can be at most.
    pub fn logic_if_asked(&self, symbol: &'a Symbol, asked: Tri) -> Span {
        if symbol.choice.is_some() {
            let set = Span::of(asked).and(self.visible(symbol));
            return Span {
                low: Tri::No,
                high: set.high,
            };
        }
        self.logic(symbol, Some(asked))
    }

    /// sym_calc_value() for a symbol of logic that is not a member of a choice.
    pub(super) fn logic(&self, symbol: &'a Symbol, asked: Option<Tri>) -> Span {
        let visible = self.visible(symbol);
        let unset = || self.logic_unasked(symbol);
        let mut value = match (asked, visible) {
            (None, _) | (_, Span { high: Tri::No, .. }) => unset(),
            (Some(asked), Span { low: Tri::No, .. }) => {
                let (set, unset) = (Span::of(asked).and(visible), unset());
                Span {
                    low: set.low.min(unset.low),
                    high: set.high.max(unset.high),
                }
            }
            (Some(asked), visible) => Span::of(asked).and(visible),
        };
        value = value.or(self.selected(symbol));
        if self.is_bool(symbol) {
            value.as_bool()
        } else {
            value
        }
    }

    /// What defaults and implies give.
    fn logic_unasked(&self, symbol: &'a Symbol) -> Span {
        let default = match self.default(symbol) {
            Ok(Some((default, holds))) => self.default_value(&default.expr).and(holds),
            Ok(None) => Span::of(Tri::No),
            Err(NotKnown) => Span::UNKNOWN,
        };
        let implied = self.implied(symbol);
        if implied == Span::of(Tri::No) {
            return default;
        }
        let with = default.or(implied).and(self.direct(symbol));
        if implied.low == Tri::No {
            return Span {
                low: with.low.min(default.low),
                high: with.high.max(default.high),
            };
        }
        with
    }

    /// A value, where `m` is `m` even without modules: a `bool` makes `y` of it.
    fn default_value(&self, expr: &Expr) -> Span {
        match expr {
            Expr::Leaf(Operand::Constant(text)) if text == "m" => Span::of(Tri::Module),
            expr => self.condition(expr),
        }
    }

    /// What a number becomes: the nearest bound where it is outside of the range that counts.
    pub fn clamped(&self, symbol: &'a Symbol, asked: &str) -> Option<String> {
        let Some(range) = self.range(symbol) else {
            return Some(asked.to_string());
        };
        let (low, high) = self.bounds(range)?;
        let value = |text: &str| typed_number(text, symbol.kind);
        let at = value(asked)?;
        Some(if at < value(&low)? {
            low
        } else if at > value(&high)? {
            high
        } else {
            asked.to_string()
        })
    }

    /// The default of a symbol that is no logic, as a text.
    pub fn text_unasked(&self, symbol: &'a Symbol) -> Option<String> {
        match self.default(symbol) {
            Ok(Some((default, _))) => match &default.expr {
                Expr::Leaf(operand) => self.text(operand).map(|(text, _)| text),
                _ => None,
            },
            Ok(None) => Some(symbol.kind.nothing().into()),
            Err(NotKnown) => None,
        }
    }
}

/// A number as a symbol of this type reads it: `10` of a `hex` is 16.
pub(super) fn typed_number(text: &str, kind: Kind) -> Option<i128> {
    match kind {
        Kind::Hex => {
            let digits = text
                .strip_prefix("0x")
                .or(text.strip_prefix("0X"))
                .unwrap_or(text);
            i128::from_str_radix(digits, 16).ok()
        }
        _ => number(text),
    }
}

/// expr_parse_string() and what follows it: as numbers where both sides are some, else as texts.
fn compare((left, left_kind): &(String, Kind), (right, right_kind): &(String, Kind)) -> Ordering {
    let value = |text: &str, kind: Kind| match kind {
        Kind::Bool | Kind::Tristate => Tri::parse(text).map_or(Some(-1), |value| Some(value as i128)),
        _ if text.is_empty() => None,
        kind => typed_number(text, kind),
    };
    let texts = *left_kind == Kind::Text && *right_kind == Kind::Text;
    match (value(left, *left_kind), value(right, *right_kind)) {
        (Some(a), Some(b)) if !texts => a.cmp(&b),
        _ => left.cmp(right),
    }
}
