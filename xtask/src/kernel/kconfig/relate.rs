//! The search for settings, where a comparison has to hold: `NR_CPUS > 8`, `ARM64_VA_BITS = 48`, `MTD=m`.

use super::definitions::{Kind, Symbol};
use super::expression::{Expr, Operand, Relation, Tri};
use super::obstacle::Obstacle;
use super::plan::{Found, Plan, cheapest};
use super::search::Search;
use super::value::{Value, number};

impl<'a> Search<'a, '_> {
    /// Makes a comparison hold.
    pub(super) fn compare(
        &mut self,
        a: &'a Operand,
        relation: Relation,
        b: &'a Operand,
        plan: &Plan,
    ) -> Found {
        let as_is = Expr::Compare(a.clone(), relation, b.clone());
        if !self.touches(&as_is, plan) && self.values.condition(&as_is).low == Tri::Yes {
            return Ok(plan.clone());
        }
        let mut ways = Vec::new();
        for (side, relation, other) in [(a, relation, b), (b, relation.mirrored(), a)] {
            if let Operand::Symbol(name) = side
                && let Some(symbol) = self.values.defined(name)
                && let Some((text, _)) = self.values.text(other)
            {
                ways.push(self.related(name, symbol, relation, &text, plan));
            }
        }
        if ways.is_empty() {
            ways.push(Err(vec![Obstacle::Never {
                condition: as_is.to_string(),
            }]));
        }
        cheapest(ways)
    }

    /// Gives a symbol a value that compares with a text as it should.
    fn related(
        &mut self,
        name: &str,
        symbol: &'a Symbol,
        relation: Relation,
        text: &str,
        plan: &Plan,
    ) -> Found {
        if matches!(symbol.kind, Kind::Bool | Kind::Tristate) {
            let Some(other) = Tri::parse(text) else {
                return Err(vec![Obstacle::Never {
                    condition: format!("{name} as {text}"),
                }]);
            };
            let fits = [Tri::No, Tri::Module, Tri::Yes]
                .into_iter()
                .filter(|tri| relation.holds(tri.cmp(&other)))
                .filter(|tri| *tri != Tri::Module || symbol.kind == Kind::Tristate);
            return cheapest(fits.map(|tri| self.exactly(name, tri, plan)).collect());
        }
        let mut ways = Vec::new();
        let askable = symbol
            .has_prompt()
            .then(|| candidates(symbol.kind, relation, text));
        for value in askable.into_iter().flatten() {
            ways.push(self.set_text(name, symbol, &value, plan));
        }
        if symbol.kind == Kind::Text && relation != Relation::Equal && symbol.has_prompt() {
            ways.push(Err(vec![Obstacle::Open {
                symbol: name.into(),
                wanted: relation.with(name, &Operand::Constant(text.into()).to_string()),
            }]));
        }
        for definition in &symbol.definitions {
            for default in &definition.defaults {
                let Expr::Leaf(operand) = &default.expr else {
                    continue;
                };
                match self.values.text(operand) {
                    Some((value, _)) if !matches!(operand, Operand::Macro(_)) => {
                        if relates(symbol.kind, &value, relation, text) {
                            ways.push(self.default_way(
                                definition,
                                &default.condition,
                                &[],
                                Tri::Module,
                                plan,
                            ));
                        }
                    }
                    // A macro, with or without quotes around it.
                    _ => ways.push(Err(vec![Obstacle::Measured {
                        symbol: name.into(),
                        value: self.values.written(name, symbol).unwrap_or_else(|| "?".into()),
                        wanted: relation.with(name, text),
                    }])),
                }
            }
        }
        cheapest(ways)
    }

    fn exactly(&mut self, name: &str, tri: Tri, plan: &Plan) -> Found {
        match tri {
            Tri::No => self.lower(name, Tri::No, plan),
            Tri::Yes => self.raise(name, Tri::Yes, plan),
            Tri::Module => {
                let plan = self.raise(name, Tri::Module, plan)?;
                let more = plan.tri(name) == Some(Tri::Yes);
                let more = more || plan.tri(name).is_none() && self.values.symbol(name).high == Tri::Yes;
                if more {
                    self.lower(name, Tri::Module, &plan)
                } else {
                    Ok(plan)
                }
            }
        }
    }

    /// Gives a number or text that has a prompt its value.
    pub(super) fn set_text(&mut self, name: &str, symbol: &'a Symbol, value: &Value, plan: &Plan) -> Found {
        let other = |there: &Value| !there.same(value);
        let set = plan.settings.get(name).or(self.held.settings.get(name));
        if set.is_some_and(other) {
            return Err(vec![Obstacle::Contradiction { symbol: name.into() }]);
        }
        if let (Some(range), Value::Number(number)) = (self.values.range(symbol), value)
            && self
                .values
                .clamped(symbol, number)
                .is_some_and(|clamped| clamped != *number)
            && let Some((low, high)) = self.values.bounds(range)
        {
            return Err(vec![Obstacle::OutOfRange {
                symbol: name.into(),
                low,
                high,
            }]);
        }
        if !symbol.has_prompt() {
            return Err(vec![Obstacle::Nobody { symbol: name.into() }]);
        }
        let plan = self.prompted(name, symbol, Tri::Module, plan)?;
        Ok(plan.with(name, value.clone()))
    }
}

/// Values that compare with `text` as they should.
fn candidates(kind: Kind, relation: Relation, text: &str) -> Vec<Value> {
    if kind == Kind::Text {
        let same = relation == Relation::Equal;
        return same.then(|| Value::Text(text.into())).into_iter().collect();
    }
    let Some(at) = number(text) else {
        return Vec::new();
    };
    let near = [Some(at), at.checked_add(1), at.checked_sub(1)];
    near.into_iter()
        .flatten()
        .filter(|value| relation.holds(value.cmp(&at)))
        .map(|value| match kind {
            Kind::Hex => Value::Number(format!("{value:#x}")),
            _ => Value::Number(value.to_string()),
        })
        .collect()
}

fn relates(kind: Kind, value: &str, relation: Relation, text: &str) -> bool {
    match (number(value), number(text)) {
        (Some(value), Some(text)) if kind != Kind::Text => relation.holds(value.cmp(&text)),
        _ => relation.holds(value.cmp(text)),
    }
}
