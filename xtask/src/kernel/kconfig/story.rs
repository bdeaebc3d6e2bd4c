//! Everything that has a say in one symbol's value.

use super::definitions::{Condition, Definition, Kind, Pull, Raise, Symbol};
use super::expression::{Expr, Operand, Tri};
use super::fragment::Request;
use super::nearest::nearest;
use super::obstacle::Obstacle;
use super::remedy::{Remedy, remedy};
use super::value::Value;
use super::values::{NotKnown, Values};
use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// Names in one list.
const NAMES: usize = 8;

/// A condition and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weighed {
    /// `depends on`, `inside a menu that depends on`, …
    pub kind: String,
    /// As an expression.
    pub condition: String,
    /// File and line.
    pub place: String,
    /// `y`, `m`, `n`; `?` where only the compiler knows.
    pub value: String,
    /// `FOO=y` for each symbol in it.
    pub parts: Vec<String>,
}

/// One `config` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// File and line.
    pub place: String,
    /// Its question; without one it cannot be asked for.
    pub prompt: Option<String>,
    /// How far the question is shown: `y`, `m`, `n`, `?`.
    pub visible: Option<String>,
    /// What it depends on, and what those around it depend on.
    pub conditions: Vec<Weighed>,
    /// `y if FOO`, with the place and whether its condition holds.
    pub defaults: Vec<Weighed>,
    /// `10 to 20 if FOO`.
    pub ranges: Vec<Weighed>,
}

/// A `select` or `imply` aimed at the symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// `select` or `imply`.
    pub how: &'static str,
    /// Who.
    pub by: String,
    /// File and line.
    pub place: String,
    /// How far it pulls now: `n` if not at all.
    pub value: String,
    /// Why not further, or with which condition.
    pub parts: Vec<String>,
}

/// How a symbol would have another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The other value.
    pub value: Value,
    /// Settings that give it, if any do.
    #[serde(flatten)]
    pub remedy: Option<Remedy>,
    /// Else what stands in the way.
    pub obstacles: Vec<Obstacle>,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.remedy {
            Some(remedy) => write!(f, "to have {}: {remedy}", self.value),
            None => {
                let shown: Vec<String> = self.obstacles.iter().map(Obstacle::to_string).collect();
                write!(f, "it cannot be {} here: {}", self.value, shown.join("; "))
            }
        }
    }
}

/// The story of one symbol under one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// `bool`, `tristate`, …
    pub kind: String,
    /// Its value.
    pub value: Value,
    /// One sentence: what made it so.
    pub because: String,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// Who pulls, or would.
    pub pulled: Vec<Pulled>,
    /// The choice that it is a member of, and the member that is `y`.
    pub choice: Option<String>,
    /// How it would have each of its other values.
    pub ways: Vec<Way>,
    /// Symbols whose conditions name it.
    pub read_by: Vec<String>,
}

/// The story of `name`; `requests` are those that made the configuration, where they are known. `Err` is what is like it, where no Kconfig file of this
/// architecture defines it.
pub fn story(values: &Values, name: &str, requests: &[Request]) -> Result<Story, Vec<String>> {
    let Some(symbol) = values.defined(name) else {
        let known = values.definitions.symbols.iter();
        let known = known
            .filter(|(_, symbol)| !symbol.definitions.is_empty())
            .map(|(name, _)| name.as_str());
        return Err(nearest(name, known).into_iter().map(String::from).collect());
    };
    Ok(Story {
        symbol: name.to_string(),
        kind: symbol.kind.to_string(),
        value: values.config.get(name).cloned().unwrap_or(Value::No),
        because: because(values, name, symbol, requests),
        entries: symbol
            .definitions
            .iter()
            .map(|definition| entry(values, definition))
            .collect(),
        pulled: symbol
            .raised_by
            .iter()
            .map(|raise| pulled(values, raise))
            .collect(),
        choice: choice(values, symbol),
        ways: ways(values, name, symbol),
        read_by: read_by(values, name),
    })
}

/// How it would have each of its other values; what is off is asked for as `m` only where it cannot be `y`.
fn ways(values: &Values, name: &str, symbol: &Symbol) -> Vec<Way> {
    let others: &[Value] = match (symbol.kind, values.symbol(name).low) {
        (Kind::Bool, Tri::No) => &[Value::Yes],
        (Kind::Tristate, Tri::No) => &[Value::Yes, Value::Module],
        (Kind::Tristate, Tri::Module) => &[Value::Yes, Value::No],
        (Kind::Bool | Kind::Tristate, _) => &[Value::No],
        _ => &[],
    };
    let origin = Rc::new(values.before(Some(values.config), &[]));
    let mut ways: Vec<Way> = Vec::new();
    for value in others {
        if *value == Value::Module && ways.iter().any(|way| way.remedy.is_some()) {
            continue;
        }
        let (remedy, obstacles) = match remedy(&origin, &[], name, value) {
            Ok(remedy) => (Some(remedy), Vec::new()),
            Err(obstacles) => (None, obstacles),
        };
        ways.push(Way {
            value: value.clone(),
            remedy,
            obstacles,
        });
    }
    ways
}

fn because(values: &Values, name: &str, symbol: &Symbol, requests: &[Request]) -> String {
    let value = values.symbol(name);
    let on: Vec<&Raise> = symbol
        .raised_by
        .iter()
        .filter(|raise| raise.pull == Pull::Select && values.raise(raise).low != Tri::No)
        .collect();
    if let Some(raise) = on.iter().find(|raise| values.raise(raise).low >= value.low) {
        return format!("{} selects it ({})", raise.by, raise.place);
    }
    let visible = values.visible(symbol);
    if visible.high == Tri::No {
        let not_asked = if symbol.has_prompt() {
            "its prompt is not shown"
        } else {
            "it has no prompt"
        };
        return match values.default(symbol) {
            Ok(Some((default, _))) => format!(
                "{not_asked}, and its default is {} ({})",
                default.expr, default.place
            ),
            Ok(None) => format!("{not_asked}, no default of it holds, and nothing selects it"),
            Err(NotKnown) => format!("{not_asked}, and which default holds only the compiler knows"),
        };
    }
    if let Some(request) = requests.iter().find(|request| request.symbol == name) {
        return format!(
            "it is asked for as {} in {}:{}",
            request.value, request.fragment, request.line
        );
    }
    match values.default(symbol) {
        Ok(Some((default, _))) => format!(
            "its prompt is shown: it was set by a person or a .config, or is the default {} ({})",
            default.expr, default.place
        ),
        _ => {
            "its prompt is shown: it was set by a person or a .config, or never, which is n or nothing".into()
        }
    }
}

fn entry(values: &Values, definition: &Definition) -> Entry {
    let prompt = definition.prompts.first();
    let conditions = match prompt {
        Some(prompt) => values.definitions.prompt_conditions(definition, prompt),
        None => values.definitions.conditions(definition),
    };
    let around = values.all(&values.definitions.conditions(definition));
    let optional = |what: String, place: String, condition: &Option<Condition>| {
        let holds = condition
            .as_ref()
            .map_or(around, |condition| around.and(values.condition(&condition.expr)));
        Weighed {
            kind: String::new(),
            condition: match condition {
                Some(condition) => format!("{what} if {}", condition.expr),
                None => what,
            },
            place,
            value: holds.to_string(),
            parts: condition
                .as_ref()
                .map_or(Vec::new(), |condition| parts(values, &condition.expr)),
        }
    };
    Entry {
        place: definition.place.to_string(),
        prompt: prompt.map(|prompt| prompt.text.clone()),
        visible: prompt.map(|prompt| values.prompt(definition, prompt).to_string()),
        conditions: conditions
            .iter()
            .map(|condition| Weighed {
                kind: condition.origin.to_string(),
                condition: condition.expr.to_string(),
                place: condition.place.to_string(),
                value: values.condition(&condition.expr).to_string(),
                parts: parts(values, &condition.expr),
            })
            .collect(),
        defaults: definition
            .defaults
            .iter()
            .map(|default| {
                optional(
                    default.expr.to_string(),
                    default.place.to_string(),
                    &default.condition,
                )
            })
            .collect(),
        ranges: definition
            .ranges
            .iter()
            .map(|range| {
                let what = format!("{} to {}", range.low, range.high);
                optional(what, range.place.to_string(), &range.condition)
            })
            .collect(),
    }
}

/// The value of each symbol of an expression, once each.
fn parts(values: &Values, expr: &Expr) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for name in expr.symbols() {
        let part = match values.defined(name) {
            // A number, or a symbol of another architecture.
            None if name.starts_with(|c: char| c.is_ascii_digit()) => continue,
            None => format!("{name} is not defined"),
            Some(_) => format!("{name}={}", values.config.get(name).unwrap_or(&Value::No)),
        };
        if !shown.contains(&part) {
            shown.push(part);
        }
    }
    shown
}

fn pulled(values: &Values, raise: &Raise) -> Pulled {
    let mut parts = parts(values, &Expr::Leaf(Operand::Symbol(raise.by.clone())));
    if let Some(condition) = &raise.condition {
        parts.push(format!("if {}", condition.expr));
    }
    Pulled {
        how: match raise.pull {
            Pull::Select => "select",
            Pull::Imply => "imply",
        },
        by: raise.by.clone(),
        place: raise.place.to_string(),
        value: values.raise(raise).to_string(),
        parts,
    }
}

fn choice(values: &Values, symbol: &Symbol) -> Option<String> {
    let choice = values.definitions.choice_of(symbol)?;
    let chosen = choice.members.iter().find(|member| values.config.is_yes(member));
    Some(format!(
        "\"{}\" ({}), of which {}",
        choice.prompt,
        choice.place,
        chosen.map_or("none is y".into(), |member| format!("{member} is y"))
    ))
}

/// Symbols with a condition of their own, a prompt's or a default's, that names `name`.
fn read_by(values: &Values, name: &str) -> Vec<String> {
    let names = |expr: &Expr| expr.symbols().contains(&name);
    let reads = |definition: &Definition| {
        definition
            .conditions
            .iter()
            .any(|condition| names(&condition.expr))
            || definition.prompts.iter().any(|prompt| {
                prompt
                    .condition
                    .as_ref()
                    .is_some_and(|condition| names(&condition.expr))
            })
            || definition.defaults.iter().any(|default| {
                names(&default.expr)
                    || default
                        .condition
                        .as_ref()
                        .is_some_and(|condition| names(&condition.expr))
            })
    };
    let symbols = &values.definitions.symbols;
    symbols
        .iter()
        .filter(|(other, symbol)| *other != name && symbol.definitions.iter().any(reads))
        .map(|(other, _)| other.clone())
        .collect()
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "{}={} ({}): {}",
            self.symbol, self.value, self.kind, self.because
        )?;
        for entry in &self.entries {
            match (&entry.prompt, &entry.visible) {
                (Some(prompt), Some(visible)) => {
                    writeln!(f, "  {}: \"{prompt}\", shown: {visible}", entry.place)?
                }
                _ => writeln!(f, "  {}: no prompt", entry.place)?,
            }
            weighed(f, "", &entry.conditions)?;
            weighed(f, "default ", &entry.defaults)?;
            weighed(f, "range ", &entry.ranges)?;
        }
        if let Some(choice) = &self.choice {
            writeln!(f, "  member of the choice {choice}")?;
        }
        self.show_pulled(f)?;
        for way in &self.ways {
            writeln!(f, "  {way}")?;
        }
        if self.read_by.is_empty() {
            return write!(f, "  no other symbol's conditions name it");
        }
        let shown: Vec<&str> = self.read_by.iter().take(NAMES).map(String::as_str).collect();
        let more = match self.read_by.len().saturating_sub(NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write!(f, "  named in the conditions of {}{more}", shown.join(", "))
    }
}

impl Story {
    fn show_pulled(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (on, off): (Vec<&Pulled>, Vec<&Pulled>) =
            self.pulled.iter().partition(|pulled| pulled.value != "n");
        for pulled in &on {
            writeln!(
                f,
                "  {} by {} ({}): {} ({})",
                past(pulled.how),
                pulled.by,
                pulled.place,
                pulled.value,
                pulled.parts.join(", ")
            )?;
        }
        for pulled in off.iter().take(NAMES) {
            writeln!(
                f,
                "  would be {} by {} ({}), but {}",
                past(pulled.how),
                pulled.by,
                pulled.place,
                pulled.parts.join(", ")
            )?;
        }
        match off.len().saturating_sub(NAMES) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more would, if they were on"),
        }
    }
}

fn past(how: &str) -> &'static str {
    if how == "select" { "selected" } else { "implied" }
}

fn weighed(f: &mut fmt::Formatter, before: &str, all: &[Weighed]) -> fmt::Result {
    for one in all {
        let kind = if one.kind.is_empty() {
            String::new()
        } else {
            format!("{} ", one.kind)
        };
        let parts = if one.parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", one.parts.join(", "))
        };
        writeln!(
            f,
            "    {}: {before}{kind}{}: {}{parts}",
            one.place, one.condition, one.value
        )?;
    }
    Ok(())
}
