//! Why a symbol is what it is: the chain of conditions down to those that do not hold.

use super::definitions::{Condition, Definition, Definitions, Kind, Place, Pull, Raise, Symbol};
use super::expression::{Expr, Operand, Span, Tri};
use super::fragment::Need;
use super::nearest::nearest;
use super::remedy::{remedy, wanted};
use super::value::Value;
use super::values::{Values, typed_number};
use super::verdict::{Outcome, SymbolVerdict, Unmet};
use super::{Config, Request};
use std::collections::{BTreeMap, BTreeSet};

/// Symbols that are followed down a chain.
const DEEPEST: usize = 4;
/// Names in one list.
const NAMES: usize = 4;

/// What is known beside the definitions.
#[derive(Debug, Clone, Copy)]
pub struct Hints<'a> {
    /// The configuration that the requests were laid upon.
    pub base: Option<&'a Config>,
    /// Symbols that are defined for other architectures only.
    pub elsewhere: &'a BTreeMap<String, Place>,
}

impl Definitions {
    /// Symbols that were asked for and that no Kconfig file of this architecture defines.
    pub fn undefined<'a>(&self, verdicts: &'a [SymbolVerdict]) -> Vec<&'a str> {
        verdicts
            .iter()
            .map(|verdict| verdict.request.symbol.as_str())
            .filter(|symbol| !self.is_defined(symbol))
            .collect()
    }

    fn is_defined(&self, symbol: &str) -> bool {
        self.symbols
            .get(symbol)
            .is_some_and(|symbol| !symbol.definitions.is_empty())
    }

    /// Says for each verdict why, and finds those that only the definitions tell: selected, unknown, removed, not in this kernel.
    pub fn explain_all(&self, verdicts: &mut [SymbolVerdict], config: &Config, hints: Hints) {
        let values = Values::new(self, config);
        let requests: Vec<Request> = verdicts.iter().map(|verdict| verdict.request.clone()).collect();
        for verdict in verdicts.iter_mut() {
            match values.defined(&verdict.request.symbol) {
                None => self.explain_undefined(verdict, hints),
                Some(symbol) if verdict.is_good() => explain_good(&values, symbol, verdict),
                Some(symbol) => explain_bad(&values, symbol, &requests, verdict),
            }
        }
    }

    fn explain_undefined(&self, verdict: &mut SymbolVerdict, hints: Hints) {
        let symbol = verdict.request.symbol.as_str();
        let asked_off = verdict.request.value == Value::No;
        if verdict.request.need == Need::IfDefined {
            verdict.outcome = Outcome::NotInThisKernel;
            verdict.why = vec!["asked for where it is defined only, and it is not".into()];
            return;
        }
        let base = hints.base.filter(|base| base.get(symbol).is_some());
        let mut why = Vec::new();
        if let Some(base) = base {
            let made_for = base.title().unwrap_or("another kernel");
            why.push(format!(
                "no Kconfig file of this kernel defines it; the base configuration, of {made_for}, has it: it was removed or renamed since"
            ));
        } else if let Some(place) = hints.elsewhere.get(symbol) {
            why.push(format!(
                "defined in {place}, which this architecture does not read: it is for another one"
            ));
        } else {
            why.push(
                "no Kconfig file of this kernel defines it: mistyped, removed, or of another kernel".into(),
            );
        }
        let known = self
            .symbols
            .iter()
            .filter(|(_, symbol)| !symbol.definitions.is_empty())
            .map(|(name, _)| name.as_str());
        let near = nearest(symbol, known);
        if !near.is_empty() {
            why.push(format!("did you mean {}?", near.join(" or ")));
        }
        verdict.why = why;
        // Off is what a symbol that is not there always is; a typing mistake it may be all the same.
        if !asked_off || !near.is_empty() {
            verdict.outcome = if base.is_some() {
                Outcome::Removed
            } else {
                Outcome::Unknown
            };
        }
    }
}

/// Taken or already so: whether others saw to it.
fn explain_good(values: &Values, symbol: &Symbol, verdict: &mut SymbolVerdict) {
    let Some(asked) = wanted(&verdict.request.value).filter(|asked| *asked != Tri::No) else {
        return;
    };
    let selectors = active(values, symbol, Pull::Select, asked);
    let who = if !selectors.is_empty() {
        format!("selected by {}", names(&selectors))
    } else if values.visible(symbol).high >= asked {
        return;
    } else {
        let implied = active(values, symbol, Pull::Imply, asked);
        match values.default(symbol) {
            _ if !implied.is_empty() => format!("implied by {}", names(&implied)),
            Ok(Some((default, _))) => format!("default {} ({})", default.expr, default.place),
            _ => return,
        }
    };
    if verdict.outcome == Outcome::Taken {
        verdict.outcome = Outcome::Selected;
    }
    verdict.why = vec![who];
}

fn explain_bad(values: &Values, symbol: &Symbol, requests: &[Request], verdict: &mut SymbolVerdict) {
    let mut telling = Telling {
        values,
        requests,
        lines: Vec::new(),
        unmet: Vec::new(),
        seen: BTreeSet::new(),
    };
    let request = &verdict.request;
    telling.request(request, symbol, &verdict.got);
    (verdict.why, verdict.unmet) = (telling.lines, telling.unmet);
    let asked = wanted(&request.value).filter(|_| fits(&request.value, symbol.kind));
    if let Some(asked) = asked
        && let Some(plan) = remedy(values, &request.symbol, asked)
        && plan.iter().any(|line| !is_requested(line, requests))
    {
        verdict.why.push(format!("would come with {}", plan.join(", ")));
        verdict.remedy = plan;
    }
}

/// Whether a line of a remedy is among the requests already.
fn is_requested(line: &str, requests: &[Request]) -> bool {
    requests.iter().any(|request| match request.value {
        Value::No => line == format!("# CONFIG_{} is not set", request.symbol),
        ref value => line == format!("CONFIG_{}={value}", request.symbol),
    })
}

/// Whether a symbol of this type takes such a value at all (conf_set_sym_val() in scripts/kconfig/confdata.c).
pub(super) fn fits(value: &Value, kind: Kind) -> bool {
    match (kind, value) {
        (Kind::Bool, Value::Yes | Value::No) => true,
        (Kind::Tristate, Value::Yes | Value::No | Value::Module) => true,
        (Kind::Text, Value::Text(_)) => true,
        (Kind::Int, Value::Number(text)) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            digits.bytes().all(|c| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
        }
        (Kind::Hex, Value::Number(text)) => typed_number(text, Kind::Hex).is_some() && !text.starts_with('-'),
        _ => false,
    }
}

/// Who pulls a symbol to `at_least`, or as far as anybody does where nobody gets there.
fn active<'a>(values: &Values, symbol: &'a Symbol, pull: Pull, at_least: Tri) -> Vec<&'a Raise> {
    let enough = if values.is_bool(symbol) {
        Tri::Module
    } else {
        at_least
    };
    symbol
        .raised_by
        .iter()
        .filter(|raise| raise.pull == pull && values.raise(raise).low >= enough)
        .collect()
}

fn names(raises: &[&Raise]) -> String {
    let shown: Vec<String> = raises
        .iter()
        .take(NAMES)
        .map(|raise| format!("{} ({})", raise.by, raise.place))
        .collect();
    match raises.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// An explanation in the making.
pub(super) struct Telling<'a, 'b> {
    pub values: &'b Values<'a>,
    pub requests: &'b [Request],
    pub lines: Vec<String>,
    pub unmet: Vec<Unmet>,
    pub seen: BTreeSet<String>,
}

impl<'a> Telling<'a, '_> {
    pub fn say(&mut self, depth: usize, line: String) {
        self.lines.push(format!("{}{line}", "  ".repeat(depth)));
    }

    fn request(&mut self, request: &Request, symbol: &'a Symbol, got: &Value) {
        let name = request.symbol.as_str();
        let place = symbol
            .place()
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        self.seen.insert(name.to_string());
        if symbol.transitional {
            return self.say(
                0,
                format!("{name}{place} is transitional: Kconfig reads it, gives its value to its successor, and never writes it"),
            );
        }
        if !fits(&request.value, symbol.kind) {
            return self.say(
                0,
                format!(
                    "{name}{place} is {}: {} is no value for it",
                    symbol.kind, request.value
                ),
            );
        }
        match wanted(&request.value) {
            None => self.text(name, symbol, &place, &request.value),
            Some(asked) => {
                let got = match got {
                    Value::Yes => Tri::Yes,
                    Value::Module => Tri::Module,
                    _ => Tri::No,
                };
                if got > asked {
                    self.raised(name, symbol, &place, got);
                } else {
                    self.held_down(name, symbol, asked, 0);
                }
            }
        }
    }

    /// Why a symbol is more than was asked for.
    fn raised(&mut self, name: &str, symbol: &'a Symbol, place: &str, got: Tri) {
        let selectors = active(self.values, symbol, Pull::Select, got);
        if !selectors.is_empty() {
            return self.say(0, format!("selected by {}", names(&selectors)));
        }
        if let Some(choice) = symbol.choice {
            let choice = &self.values.definitions.choices[choice];
            let line = format!(
                "it is the member that counts of the choice \"{}\" ({}), of which one has to be y; ask for another one",
                choice.prompt, choice.place
            );
            return self.say(0, line);
        }
        if self.values.visible(symbol).high == Tri::No {
            self.say(
                0,
                format!("{name}{place} cannot be set here: {}", self.not_asked(symbol)),
            );
            if let Ok(Some((default, _))) = self.values.default(symbol) {
                self.say(1, format!("default {} ({})", default.expr, default.place));
            }
            let implied = active(self.values, symbol, Pull::Imply, got);
            if !implied.is_empty() {
                self.say(1, format!("implied by {}", names(&implied)));
            }
            return;
        }
        let unknown = symbol
            .raised_by
            .iter()
            .find(|raise| self.values.raise(raise).known().is_none());
        match unknown {
            Some(raise) => self.say(
                0,
                format!(
                    "selected by {} ({}), as far as the compiler allows it",
                    raise.by, raise.place
                ),
            ),
            None => self.say(
                0,
                format!("{name}{place} is raised by something that was not found"),
            ),
        }
    }

    fn not_asked(&self, symbol: &Symbol) -> &'static str {
        if symbol.has_prompt() {
            "its prompt is not shown"
        } else {
            "it has no prompt"
        }
    }

    /// Why a symbol is less than `asked`.
    fn held_down(&mut self, name: &str, symbol: &'a Symbol, asked: Tri, depth: usize) {
        if !symbol.has_prompt() {
            return self.without_prompt(name, symbol, asked, depth);
        }
        if self.rival(name, symbol, depth) {
            return;
        }
        let before = self.lines.len();
        let many = symbol
            .definitions
            .iter()
            .filter(|d| !d.prompts.is_empty())
            .count()
            > 1;
        for definition in &symbol.definitions {
            for prompt in &definition.prompts {
                let conditions = self.values.definitions.prompt_conditions(definition, prompt);
                let at = if many {
                    self.say(depth, format!("{name} as defined in {}:", definition.place));
                    depth + 1
                } else {
                    depth
                };
                self.conditions(name, &conditions, self.enough(symbol, asked), at);
            }
        }
        if self.lines.len() == before {
            self.say(
                depth,
                format!(
                    "{name}: nothing was found that holds it down; `make olddefconfig` of this tree says more"
                ),
            );
        }
    }

    /// What a condition has to be for a symbol to become `asked`: a `bool` makes `y` of `m`.
    fn enough(&self, symbol: &Symbol, asked: Tri) -> Tri {
        if self.values.is_bool(symbol) {
            Tri::Module
        } else {
            asked
        }
    }

    /// Whether another member of the choice took the place; says so.
    fn rival(&mut self, name: &str, symbol: &'a Symbol, depth: usize) -> bool {
        let Some(choice) = symbol
            .choice
            .map(|choice| &self.values.definitions.choices[choice])
        else {
            return false;
        };
        if self.values.visible(symbol).low == Tri::No {
            return false;
        }
        let Some(other) = self
            .values
            .definitions
            .rivals(name)
            .find(|rival| self.values.config.is_yes(rival))
        else {
            return false;
        };
        let asked = self
            .requests
            .iter()
            .find(|request| request.symbol == other && request.value == Value::Yes)
            .map(|request| format!(", asked for in {}:{}", request.fragment, request.line))
            .unwrap_or_default();
        let line = format!(
            "the choice \"{}\" ({}) takes one of its members, and {other} is y{asked}",
            choice.prompt, choice.place
        );
        self.unmet.push(Unmet {
            part: format!("!{other}"),
            symbol: Some(other.to_string()),
            value: "y".into(),
            condition: format!("choice \"{}\"", choice.prompt),
            place: choice.place.to_string(),
            of: name.to_string(),
        });
        self.say(depth, line);
        true
    }

    /// A symbol that nobody can ask for: its defaults and those who select it.
    fn without_prompt(&mut self, name: &str, symbol: &'a Symbol, asked: Tri, depth: usize) {
        let place = symbol
            .place()
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        self.say(
            depth,
            format!("{name}{place} has no prompt: it cannot be asked for"),
        );
        let enough = self.enough(symbol, asked);
        for definition in &symbol.definitions {
            for default in &definition.defaults {
                let condition = default
                    .condition
                    .as_ref()
                    .map(|condition| format!(" if {}", condition.expr))
                    .unwrap_or_default();
                self.say(
                    depth + 1,
                    format!("{}: default {}{condition}", default.place, default.expr),
                );
                let own = Condition {
                    expr: default.expr.clone(),
                    place: default.place.clone(),
                    origin: super::definitions::Origin::OptionIf,
                };
                let mut conditions: Vec<&Condition> = vec![&own];
                conditions.extend(&default.condition);
                conditions.extend(self.values.definitions.conditions(definition));
                self.conditions(name, &conditions, enough, depth + 2);
            }
        }
        let selectors: Vec<&Raise> = symbol
            .raised_by
            .iter()
            .filter(|raise| raise.pull == Pull::Select)
            .collect();
        if selectors.is_empty() {
            return self.say(depth + 1, "nothing selects it".into());
        }
        let verb = if selectors.len() == 1 {
            "does not now"
        } else {
            "none does now"
        };
        self.say(
            depth + 1,
            format!("would be selected by {}; {verb}", names(&selectors)),
        );
        for raise in selectors {
            self.idle(name, raise);
        }
    }

    /// Records what keeps a `select` from acting.
    fn idle(&mut self, name: &str, raise: &Raise) {
        let value = self.values.symbol(&raise.by);
        let (part, value) = if value.low == Tri::No {
            (raise.by.clone(), value)
        } else {
            match &raise.condition {
                Some(condition) => (condition.expr.to_string(), self.values.condition(&condition.expr)),
                None => (raise.by.clone(), value),
            }
        };
        self.unmet.push(Unmet {
            symbol: (part == raise.by).then(|| raise.by.clone()),
            part,
            value: value.to_string(),
            condition: format!("select {name}"),
            place: raise.place.to_string(),
            of: raise.by.clone(),
        });
    }

    /// Those of the conditions that are less than `wanted`, and why.
    pub fn conditions(&mut self, of: &str, conditions: &[&Condition], wanted: Tri, depth: usize) {
        for condition in conditions {
            let worth = self.values.condition(&condition.expr);
            if worth.low >= wanted {
                continue;
            }
            let mut parts = Vec::new();
            leaves(self.values, &condition.expr, wanted, false, &mut parts);
            let shown: Vec<String> = parts.iter().map(|part| part.shown()).collect();
            self.say(
                depth,
                format!(
                    "{}: {} {}; here {}",
                    condition.place,
                    condition.origin,
                    condition.expr,
                    shown.join(", ")
                ),
            );
            for part in parts {
                self.unmet.push(Unmet {
                    part: part.text.clone(),
                    symbol: part.symbol.clone(),
                    value: part.value.to_string(),
                    condition: condition.expr.to_string(),
                    place: condition.place.to_string(),
                    of: of.to_string(),
                });
                self.follow(&part, wanted, depth + 1);
            }
        }
    }

    /// One step down the chain.
    fn follow(&mut self, part: &Part, wanted: Tri, depth: usize) {
        let Some(name) = &part.symbol else {
            if part.text.contains("$(") {
                self.say(
                    depth,
                    format!("{} is for the compiler and this machine to answer", part.text),
                );
            }
            return;
        };
        if depth / 2 > DEEPEST || !self.seen.insert(name.clone()) {
            return;
        }
        let Some(symbol) = self.values.defined(name) else {
            return self.say(
                depth,
                format!("{name}: no Kconfig file of this architecture defines it"),
            );
        };
        if part.too_much {
            let got = self.values.symbol(name).high;
            let selectors = active(self.values, symbol, Pull::Select, got);
            if !selectors.is_empty() {
                self.say(depth, format!("{name} is selected by {}", names(&selectors)));
            } else if let Some(asked) = self.requests.iter().find(|request| request.symbol == *name) {
                self.say(
                    depth,
                    format!("{name} is asked for in {}:{}", asked.fragment, asked.line),
                );
            }
            return;
        }
        if !matches!(symbol.kind, Kind::Bool | Kind::Tristate) {
            return;
        }
        let enough = if self.values.is_bool(symbol) {
            Tri::Yes
        } else {
            wanted
        };
        if self.values.visible(symbol).low >= enough && symbol.choice.is_none() {
            let place = symbol
                .place()
                .map(|place| format!(" ({place})"))
                .unwrap_or_default();
            return self.say(depth, format!("{name}{place} can be asked for"));
        }
        self.held_down(name, symbol, enough, depth);
    }

    /// Why a number or text is another one.
    fn text(&mut self, name: &str, symbol: &'a Symbol, place: &str, asked: &Value) {
        if self.values.visible(symbol).high == Tri::No {
            self.say(
                0,
                format!("{name}{place} cannot be set here: {}", self.not_asked(symbol)),
            );
            for definition in &symbol.definitions {
                self.hidden(name, definition);
            }
            if let Ok(Some((default, _))) = self.values.default(symbol) {
                self.say(
                    0,
                    format!("its value is the default {} ({})", default.expr, default.place),
                );
            }
            return;
        }
        if let (Some(range), Value::Number(number)) = (self.values.range(symbol), asked)
            && let Some((low, high)) = self.values.bounds(range)
            && self.values.clamped(symbol, number).as_deref() != Some(number)
        {
            return self.say(0, format!("{}: range {low} to {high}", range.place));
        }
        self.say(0, format!("{name}{place}: no reason was found in its definition"));
    }

    fn hidden(&mut self, name: &str, definition: &'a Definition) {
        for prompt in &definition.prompts {
            let conditions = self.values.definitions.prompt_conditions(definition, prompt);
            self.conditions(name, &conditions, Tri::Module, 1);
        }
    }
}

/// A part of a condition that is not what it has to be.
pub(super) struct Part {
    /// `FOO`, `!FOO`, `FOO=y`.
    pub text: String,
    pub symbol: Option<String>,
    pub value: Span,
    /// The symbol is on, and should be off.
    pub too_much: bool,
    /// Symbols of a comparison with their values.
    pub values: String,
}

impl Part {
    fn shown(&self) -> String {
        match (&self.symbol, self.value.known()) {
            _ if !self.values.is_empty() => self.values.clone(),
            (Some(symbol), _) => format!("{symbol}={}", self.value),
            (None, None) => format!("`{}` is not known", self.text),
            (None, Some(value)) => format!("`{}` is {value}", self.text),
        }
    }
}

/// The smallest parts of an expression that keep it below `wanted` (or, negated, above `!wanted`).
pub(super) fn leaves(values: &Values, expr: &Expr, wanted: Tri, negated: bool, found: &mut Vec<Part>) {
    let worth = values.condition(expr);
    let worth = if negated { worth.not() } else { worth };
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
