//! Why a symbol is what it is: the chain of conditions down to those that do not hold.

use super::Request;
use super::definitions::{Condition, Definition, Kind, Origin, Pull, Raise, Symbol};
use super::expression::Tri;
use super::part::{Part, leaves};
use super::plan::tri_of;
use super::value::Value;
use super::values::Values;
use super::verdict::Unmet;
use std::collections::BTreeSet;

/// Symbols that are followed down a chain.
const DEEPEST: usize = 4;
/// Names in one list.
const NAMES: usize = 4;

/// Who pulls a symbol to `at_least`, or as far as anybody does where nobody gets there.
pub(super) fn active<'a>(values: &Values, symbol: &'a Symbol, pull: Pull, at_least: Tri) -> Vec<&'a Raise> {
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
    names_of(raises, NAMES)
}

/// Some of them with their places, and how many more there are.
pub(super) fn names_of(raises: &[&Raise], limit: usize) -> String {
    let shown: Vec<String> = raises
        .iter()
        .take(limit)
        .map(|raise| format!("{} ({})", raise.by, raise.place))
        .collect();
    match raises.len().saturating_sub(limit) {
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

    /// Why a request did not get what it asked for.
    pub fn request(&mut self, request: &Request, symbol: &'a Symbol, got: &Value) {
        let name = request.symbol.as_str();
        let place = symbol
            .place()
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        self.seen.insert(name.to_string());
        if symbol.transitional {
            let line = format!(
                "{name}{place} is transitional: Kconfig reads it from an old .config and never writes it; {}",
                self.successor(name)
            );
            return self.say(0, line);
        }
        if !symbol.kind.takes(&request.value) {
            return self.say(
                0,
                format!(
                    "{name}{place} is {}: {} is no value for it, {} is",
                    symbol.kind,
                    request.value,
                    symbol.kind.values()
                ),
            );
        }
        match tri_of(&request.value) {
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

    /// The symbols that have a transitional one as their default.
    fn successor(&self, name: &str) -> String {
        let names = |symbol: &Symbol| {
            symbol
                .definitions
                .iter()
                .flat_map(|definition| &definition.defaults)
                .any(|default| default.expr.symbols().contains(&name))
        };
        let symbols = &self.values.definitions.symbols;
        let found: Vec<&str> = symbols
            .iter()
            .filter(|(_, symbol)| names(symbol))
            .map(|(name, _)| name.as_str())
            .collect();
        match found.as_slice() {
            [] => "nothing takes its value over".into(),
            found => format!("ask for {} instead", found.join(" or ")),
        }
    }

    /// Why a symbol is more than was asked for.
    fn raised(&mut self, name: &str, symbol: &'a Symbol, place: &str, got: Tri) {
        let selectors = active(self.values, symbol, Pull::Select, got);
        if !selectors.is_empty() {
            return self.say(0, format!("selected by {}", names(&selectors)));
        }
        if let Some(choice) = self.values.definitions.choice_of(symbol) {
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
            for definition in &symbol.definitions {
                self.hidden(name, definition);
            }
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
                    depth.saturating_add(1)
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
        let Some(choice) = self.values.definitions.choice_of(symbol) else {
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
                    depth.saturating_add(1),
                    format!("{}: default {}{condition}", default.place, default.expr),
                );
                let own = Condition {
                    expr: default.expr.clone(),
                    place: default.place.clone(),
                    origin: Origin::OptionIf,
                };
                let mut conditions: Vec<&Condition> = vec![&own];
                conditions.extend(&default.condition);
                conditions.extend(self.values.definitions.conditions(definition));
                self.conditions(name, &conditions, enough, depth.saturating_add(2));
            }
        }
        let selectors: Vec<&Raise> = symbol
            .raised_by
            .iter()
            .filter(|raise| raise.pull == Pull::Select)
            .collect();
        if selectors.is_empty() {
            return self.say(depth.saturating_add(1), "nothing selects it".into());
        }
        let verb = if selectors.len() == 1 {
            "does not now"
        } else {
            "none does now"
        };
        self.say(
            depth.saturating_add(1),
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
                self.follow(&part, wanted, depth.saturating_add(1));
            }
        }
    }

    /// One step down the chain.
    fn follow(&mut self, part: &Part, wanted: Tri, depth: usize) {
        let Some(name) = &part.symbol else {
            return self.measured(part, depth);
        };
        if depth > DEEPEST.saturating_mul(2).saturating_add(1) || !self.seen.insert(name.clone()) {
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
        let off = |request: &&Request| request.symbol == *name && request.value == Value::No;
        if let Some(request) = self.requests.iter().find(off) {
            let line = format!(
                "{name} is asked for as n in {}:{}",
                request.fragment, request.line
            );
            return self.say(depth, line);
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

    /// Parts that no request changes: what compiler, linker or another program of this machine answered.
    fn measured(&mut self, part: &Part, depth: usize) {
        if part.text.contains("$(") {
            return self.say(
                depth,
                format!("{} is for the compiler and this machine to answer", part.text),
            );
        }
        for name in &part.compared {
            let Some(symbol) = self.values.defined(name) else {
                continue;
            };
            let measured = symbol
                .definitions
                .iter()
                .flat_map(|definition| &definition.defaults)
                .find(|default| default.expr.to_string().contains("$("));
            if let Some(default) = measured {
                let line = format!(
                    "{name} is what this machine answers to {} ({})",
                    default.expr, default.place
                );
                self.say(depth, line);
            }
        }
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

    /// Why a prompt is not shown; without a prompt, why the entry does not count.
    fn hidden(&mut self, name: &str, definition: &'a Definition) {
        if definition.prompts.is_empty() {
            let conditions = self.values.definitions.conditions(definition);
            return self.conditions(name, &conditions, Tri::Module, 1);
        }
        for prompt in &definition.prompts {
            let conditions = self.values.definitions.prompt_conditions(definition, prompt);
            self.conditions(name, &conditions, Tri::Module, 1);
        }
    }
}
