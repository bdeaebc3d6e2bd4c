//! What would bring a symbol: a small set of settings, tried on a forecast of what `olddefconfig` would make of them.

use super::fragment::{Need, Request};
use super::obstacle::Obstacle;
use super::plan::{Plan, tri_of};
use super::search::Search;
use super::value::Value;
use super::values::Values;
use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// Ways from one symbol that are tried.
const WAYS: usize = 8;
/// How often what is still missing is looked for on one way.
const ROUNDS: usize = 6;

/// A line of a `.config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// What it is set to.
    pub value: Value,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.value {
            Value::No => write!(f, "# CONFIG_{} is not set", self.symbol),
            value => write!(f, "CONFIG_{}={value}", self.symbol),
        }
    }
}

impl Setting {
    /// The setting as a request of no file.
    pub fn request(&self) -> Request {
        Request {
            symbol: self.symbol.clone(),
            value: self.value.clone(),
            need: Need::Always,
            fragment: String::new(),
            line: 0,
        }
    }
}

impl Serialize for Setting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An answer of the compiler that is not known, since the test stands where it was not asked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provided {
    /// The macro: `$(cc-option,-fa)`.
    pub test: String,
    /// The answer that is needed.
    pub answer: bool,
}

impl fmt::Display for Provided {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} to {}", if self.answer { "y" } else { "n" }, self.test)
    }
}

/// Settings that bring a symbol to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// To be put behind what is set already; the symbol itself is among them, if it can be asked for.
    pub settings: Vec<Setting>,
    /// Provided that the compiler answers like this.
    pub provided: Vec<Provided>,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let list = |items: Vec<String>| items.join(", ");
        f.write_str(&list(self.settings.iter().map(Setting::to_string).collect()))?;
        if self.provided.is_empty() {
            return Ok(());
        }
        let tests = list(self.provided.iter().map(Provided::to_string).collect());
        write!(f, ", if the compiler answers {tests}")
    }
}

/// Settings that give `name` the value `wanted`; else what stands in the way, as far as it is known. `origin` is the forecast of what is set already,
/// by `requests` in the end.
pub(super) fn remedy(
    origin: &Rc<Values>,
    requests: &[Request],
    name: &str,
    wanted: &Value,
) -> Result<Remedy, Vec<Obstacle>> {
    let none = Plan::default();
    let ways = Search::new(origin, &none).ways(name, wanted)?;
    let mut obstacles = Vec::new();
    for way in ways.into_iter().take(WAYS) {
        match tried(origin, name, wanted, way) {
            Ok(plan) => return Ok(smallest(origin, requests, name, wanted, plan)),
            Err(more) if obstacles.is_empty() => obstacles = more,
            Err(_) => {}
        }
    }
    Err(obstacles)
}

/// A plan, and what its own settings make necessary.
fn tried(origin: &Rc<Values>, name: &str, wanted: &Value, way: Plan) -> Result<Plan, Vec<Obstacle>> {
    let mut plan = way;
    for _ in 0..ROUNDS {
        let after = Values::with(origin, &plan.settings, &plan.answers);
        if is_reached(&after, name, wanted) && is_sound(&after, name, &plan) {
            return Ok(plan);
        }
        let more = Search::new(&after, &plan).ways(name, wanted)?;
        let next = more
            .iter()
            .find_map(|more| plan.and(more).filter(|next| *next != plan));
        match next {
            Some(next) => plan = next,
            None => break,
        }
    }
    Err(vec![Obstacle::NotFound { symbol: name.into() }])
}

fn is_reached(values: &Values, name: &str, wanted: &Value) -> bool {
    let Some(symbol) = values.defined(name) else {
        return false;
    };
    match (tri_of(wanted), wanted) {
        (Some(tri), _) => values.symbol(name).known() == Some(tri),
        (None, Value::Text(text)) => values.written(name, symbol).as_ref() == Some(text),
        (None, _) => values
            .written(name, symbol)
            .is_some_and(|text| Value::Number(text).same(wanted)),
    }
}

/// Whether no symbol of the plan is selected against what it depends on: make warns of that, and the kernel may not build.
fn is_sound(values: &Values, name: &str, plan: &Plan) -> bool {
    plan.raised.iter().map(String::as_str).chain([name]).all(|name| {
        values
            .defined(name)
            .is_none_or(|symbol| values.direct(symbol).high >= values.selected(symbol).low)
    })
}

/// The plan without what it does not need.
fn smallest(origin: &Rc<Values>, requests: &[Request], name: &str, wanted: &Value, mut plan: Plan) -> Remedy {
    let is_enough = |plan: &Plan| {
        let after = Values::with(origin, &plan.settings, &plan.answers);
        is_reached(&after, name, wanted) && is_sound(&after, name, plan)
    };
    for symbol in plan.settings.clone().into_keys().filter(|symbol| symbol != name) {
        let mut without = plan.clone();
        without.settings.remove(&symbol);
        if is_enough(&without) {
            plan = without;
        }
    }
    for test in plan.answers.clone().into_keys() {
        let mut without = plan.clone();
        without.answers.remove(&test);
        if is_enough(&without) {
            plan = without;
        }
    }
    // Of two requested members of a choice the later one counts, whichever that is: the other one is taken back.
    let members: Vec<String> = plan
        .settings
        .iter()
        .filter(|(_, value)| **value == Value::Yes)
        .map(|(member, _)| member.clone())
        .collect();
    for member in members {
        let rivals = origin.definitions.rivals(&member);
        let rivals = rivals.filter(|rival| {
            requests
                .iter()
                .any(|request| request.symbol == *rival && request.value == Value::Yes)
        });
        for rival in rivals {
            plan.settings.entry(rival.to_string()).or_insert(Value::No);
        }
    }
    Remedy {
        settings: plan
            .settings
            .into_iter()
            .map(|(symbol, value)| Setting { symbol, value })
            .collect(),
        provided: plan
            .answers
            .into_iter()
            .map(|(test, answer)| Provided { test, answer })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
