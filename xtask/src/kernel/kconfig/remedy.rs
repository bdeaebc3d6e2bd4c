//! What would bring a symbol: the smallest set of requests that was found.
//!
//! A search from the symbol down its prompts, selects and defaults, under the values of the final configuration. It does not look at what
//! its own requests would switch off: `olddefconfig` decides, and a person reads it as advice.

use super::definitions::{Condition, Pull, Symbol};
use super::expression::{Expr, Operand, Relation, Tri};
use super::value::Value;
use super::values::Values;
use std::collections::BTreeMap;

/// Steps after which the search gives up.
const STEPS: usize = 4_000;
/// Symbols one below the other.
const DEPTH: usize = 10;
/// Selecting symbols that are tried.
const SELECTORS: usize = 24;

/// Requests by symbol.
pub type Plan = BTreeMap<String, Tri>;

/// Requests that would make `symbol` at least `wanted` (or `n`, where that is wanted), itself included; `None` if no way was found.
pub fn remedy(values: &Values, symbol: &str, wanted: Tri) -> Option<Vec<String>> {
    let mut search = Search {
        values,
        steps: 0,
        above: Vec::new(),
    };
    let plan = match wanted {
        Tri::No => search.lower(symbol, &Plan::new()),
        wanted => search.raise(symbol, wanted, &Plan::new()),
    }?;
    Some(
        plan.iter()
            .map(|(symbol, value)| match value {
                Tri::No => format!("# CONFIG_{symbol} is not set"),
                value => format!("CONFIG_{symbol}={value}"),
            })
            .collect(),
    )
}

struct Search<'a, 'b> {
    values: &'b Values<'a>,
    steps: usize,
    above: Vec<String>,
}

impl<'a> Search<'a, '_> {
    /// `plan` and what else is needed for `name` to be at least `wanted`.
    fn raise(&mut self, name: &str, wanted: Tri, plan: &Plan) -> Option<Plan> {
        let mut plan = plan;
        let without;
        match plan.get(name) {
            Some(Tri::No) => return None,
            Some(planned) if *planned >= wanted => return Some(plan.clone()),
            // As m it was enough for another condition; this one wants more.
            Some(_) => {
                without = plan
                    .iter()
                    .filter(|(symbol, _)| *symbol != name)
                    .map(|(s, v)| (s.clone(), *v))
                    .collect();
                plan = &without;
            }
            None => {}
        }
        if self.values.symbol(name).low >= wanted {
            return Some(plan.clone());
        }
        let symbol = self.values.defined(name)?;
        self.enter(name)?;
        let found = self.raise_by_any(name, symbol, wanted, plan);
        self.above.pop();
        found
    }

    fn raise_by_any(&mut self, name: &str, symbol: &'a Symbol, wanted: Tri, plan: &Plan) -> Option<Plan> {
        let is_bool = self.values.is_bool(symbol);
        if is_bool && wanted == Tri::Module {
            return self.raise_by_any(name, symbol, Tri::Yes, plan);
        }
        // What is at least m makes a bool y.
        let enough = if is_bool { Tri::Module } else { wanted };
        let definitions = self.values.definitions;
        let mut ways: Vec<Option<Plan>> = Vec::new();
        for definition in &symbol.definitions {
            for prompt in &definition.prompts {
                let conditions = definitions.prompt_conditions(definition, prompt);
                let way = self.meet(&conditions, enough, plan).map(|mut plan| {
                    plan.insert(name.to_string(), wanted);
                    plan
                });
                ways.push(way);
            }
        }
        if ways.iter().any(Option::is_some) {
            return smallest(ways);
        }
        for definition in &symbol.definitions {
            for default in &definition.defaults {
                let mut conditions = definitions.conditions(definition);
                conditions.extend(&default.condition);
                let way = self
                    .meet(&conditions, enough, plan)
                    .and_then(|plan| self.satisfy(&default.expr, enough, &plan));
                ways.push(way);
            }
        }
        let selects = symbol.raised_by.iter().filter(|raise| raise.pull == Pull::Select);
        for raise in selects.take(SELECTORS) {
            let mut conditions: Vec<&Condition> = raise.condition.iter().collect();
            let by = self
                .values
                .defined(&raise.by)
                .and_then(|by| by.definitions.get(raise.definition));
            if let Some(definition) = by {
                conditions.extend(definitions.conditions(definition));
            }
            let way = self
                .meet(&conditions, enough, plan)
                .and_then(|plan| self.raise(&raise.by, enough, &plan));
            ways.push(way);
        }
        smallest(ways)
    }

    /// `plan` and what else is needed for `name` to be `n`.
    fn lower(&mut self, name: &str, plan: &Plan) -> Option<Plan> {
        if let Some(planned) = plan.get(name) {
            return (*planned == Tri::No).then(|| plan.clone());
        }
        if self.values.symbol(name).high == Tri::No {
            return Some(plan.clone());
        }
        let symbol = self.values.defined(name)?;
        self.enter(name)?;
        let found = self.lower_all(name, symbol, plan);
        self.above.pop();
        found
    }

    fn lower_all(&mut self, name: &str, symbol: &'a Symbol, plan: &Plan) -> Option<Plan> {
        if let Some(choice) = symbol.choice {
            // One member has to be y: another one, whichever is the least trouble.
            let members = &self.values.definitions.choices[choice].members;
            let ways = members
                .iter()
                .filter(|member| *member != name)
                .map(|member| self.raise(member, Tri::Yes, plan))
                .collect();
            return smallest(ways);
        }
        let mut plan = plan.clone();
        for raise in &symbol.raised_by {
            let counts = raise.pull == Pull::Select && self.values.raise(raise).high != Tri::No;
            if counts {
                let by = self.lower(&raise.by, &plan);
                let condition = raise
                    .condition
                    .as_ref()
                    .and_then(|condition| self.falsify(&condition.expr, &plan));
                plan = smallest(vec![by, condition])?;
            }
        }
        if self.values.visible(symbol).low != Tri::No {
            plan.insert(name.to_string(), Tri::No);
            return Some(plan);
        }
        let shown = symbol
            .definitions
            .iter()
            .flat_map(|definition| definition.prompts.iter().map(move |prompt| (definition, prompt)))
            .map(|(definition, prompt)| {
                let conditions = self.values.definitions.prompt_conditions(definition, prompt);
                let mut plan = self.meet(&conditions, Tri::Module, &plan)?;
                plan.insert(name.to_string(), Tri::No);
                Some(plan)
            })
            .collect();
        if let Some(plan) = smallest(shown) {
            return Some(plan);
        }
        match self.values.default(symbol).ok()? {
            None => Some(plan),
            Some((default, _)) => self.falsify(&default.expr, &plan),
        }
    }

    fn enter(&mut self, name: &str) -> Option<()> {
        self.steps += 1;
        if self.steps > STEPS || self.above.len() >= DEPTH || self.above.iter().any(|above| above == name) {
            return None;
        }
        self.above.push(name.to_string());
        Some(())
    }

    fn meet(&mut self, conditions: &[&Condition], wanted: Tri, plan: &Plan) -> Option<Plan> {
        let mut plan = plan.clone();
        for condition in conditions {
            plan = self.satisfy(&condition.expr, wanted, &plan)?;
        }
        Some(plan)
    }

    /// Makes an expression at least `wanted`.
    fn satisfy(&mut self, expr: &Expr, wanted: Tri, plan: &Plan) -> Option<Plan> {
        let touched = expr.symbols().iter().any(|symbol| plan.contains_key(*symbol));
        if !touched && self.values.condition(expr).low >= wanted {
            return Some(plan.clone());
        }
        match expr {
            Expr::Leaf(Operand::Symbol(name)) => self.raise(name, wanted, plan),
            Expr::Leaf(leaf) => {
                (self.values.condition(&Expr::Leaf(leaf.clone())).low >= wanted).then(|| plan.clone())
            }
            Expr::Not(side) => self.falsify(side, plan),
            Expr::And(a, b) => {
                let plan = self.satisfy(a, wanted, plan)?;
                self.satisfy(b, wanted, &plan)
            }
            Expr::Or(a, b) => {
                let ways = vec![self.satisfy(a, wanted, plan), self.satisfy(b, wanted, plan)];
                smallest(ways)
            }
            Expr::Compare(a, relation, b) => self.compare(a, *relation, b, plan),
        }
    }

    /// Makes an expression `n`.
    fn falsify(&mut self, expr: &Expr, plan: &Plan) -> Option<Plan> {
        let touched = expr.symbols().iter().any(|symbol| plan.contains_key(*symbol));
        if !touched && self.values.condition(expr).high == Tri::No {
            return Some(plan.clone());
        }
        match expr {
            Expr::Leaf(Operand::Symbol(name)) => self.lower(name, plan),
            Expr::Leaf(_) => None,
            Expr::Not(side) => self.satisfy(side, Tri::Yes, plan),
            Expr::And(a, b) => {
                let ways = vec![self.falsify(a, plan), self.falsify(b, plan)];
                smallest(ways)
            }
            Expr::Or(a, b) => {
                let plan = self.falsify(a, plan)?;
                self.falsify(b, &plan)
            }
            Expr::Compare(a, Relation::Equal, b) => self.compare(a, Relation::Unequal, b, plan),
            Expr::Compare(a, Relation::Unequal, b) => self.compare(a, Relation::Equal, b, plan),
            Expr::Compare(..) => None,
        }
    }

    /// Comparisons of a symbol with `y`, `m` or `n`; others are left as they are.
    fn compare(&mut self, a: &Operand, relation: Relation, b: &Operand, plan: &Plan) -> Option<Plan> {
        let as_is = Expr::Compare(a.clone(), relation, b.clone());
        let (Operand::Symbol(name), Operand::Constant(text)) = (a, b) else {
            return (self.values.condition(&as_is).low == Tri::Yes).then(|| plan.clone());
        };
        let planned = plan.get(name).copied();
        let now = planned.or_else(|| self.values.symbol(name).known())?;
        let value = Tri::parse(text)?;
        match (relation, value) {
            (Relation::Equal, value) if now == value => Some(plan.clone()),
            (Relation::Unequal, value) if now != value => Some(plan.clone()),
            (Relation::Equal, Tri::No) | (Relation::Unequal, Tri::Yes) => self.lower(name, plan),
            (Relation::Equal, Tri::Yes) | (Relation::Unequal, Tri::No) => self.raise(name, Tri::Yes, plan),
            (Relation::Equal, Tri::Module) => {
                let plan = self.raise(name, Tri::Module, plan)?;
                (plan.get(name) == Some(&Tri::Module)).then_some(plan)
            }
            (Relation::Unequal, Tri::Module) => self.raise(name, Tri::Yes, plan),
            _ => None,
        }
    }
}

fn smallest(ways: Vec<Option<Plan>>) -> Option<Plan> {
    ways.into_iter().flatten().min_by_key(Plan::len)
}

/// What a request's value asks of a symbol of logic.
pub(super) fn wanted(value: &Value) -> Option<Tri> {
    match value {
        Value::Yes => Some(Tri::Yes),
        Value::Module => Some(Tri::Module),
        Value::No => Some(Tri::No),
        Value::Text(_) | Value::Number(_) => None,
    }
}
