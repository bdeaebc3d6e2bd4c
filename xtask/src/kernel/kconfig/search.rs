//! The search for settings that give a symbol a value: from the symbol down its prompts, selects, implies and defaults, under the values that others
//! have. What the settings do to others is not looked at here: [`super::remedy`] does that.

use super::definitions::{Condition, Definition, Kind, Pull, Raise, Symbol};
use super::expression::{Expr, Operand, Tri};
use super::obstacle::Obstacle;
use super::plan::{Found, Plan, apart, cheapest, tri_of, value_of};
use super::value::Value;
use super::values::Values;

/// Steps after which the search gives up.
const STEPS: usize = 6_000;
/// Symbols one below the other: what is found near is the better way, and the quicker one.
const DEPTHS: [usize; 3] = [4, 8, 12];
/// Selecting symbols that are tried.
const SELECTORS: usize = 24;
pub(super) struct Search<'a, 'b> {
    pub(super) values: &'b Values<'a>,
    /// Settings that stay as they are.
    pub(super) held: &'b Plan,
    steps: usize,
    deepest: usize,
    above: Vec<String>,
}

impl<'a, 'b> Search<'a, 'b> {
    pub fn new(values: &'b Values<'a>, held: &'b Plan) -> Self {
        Search {
            values,
            held,
            steps: 0,
            deepest: 0,
            above: Vec::new(),
        }
    }

    /// Every way to give a symbol a value, the cheapest first; else what stands in the way.
    pub fn ways(&mut self, name: &str, wanted: &Value) -> Result<Vec<Plan>, Vec<Obstacle>> {
        let mut found = Err(Vec::new());
        for deepest in DEPTHS {
            (self.deepest, self.steps) = (deepest, 0);
            found = self.ways_near(name, wanted);
            if found.is_ok() {
                break;
            }
        }
        found
    }

    fn ways_near(&mut self, name: &str, wanted: &Value) -> Result<Vec<Plan>, Vec<Obstacle>> {
        let none = Plan::default();
        let Some(symbol) = self.values.defined(name) else {
            return Err(vec![Obstacle::Undefined { symbol: name.into() }]);
        };
        let found = match tri_of(wanted) {
            None => vec![self.set_text(name, symbol, wanted, &none)],
            Some(Tri::No) => vec![self.lower(name, Tri::No, &none)],
            Some(tri) if self.values.symbol(name).low > tri => vec![self.lower(name, tri, &none)],
            // Without modules m is y: they come first, and what follows is found in the next round.
            Some(Tri::Module) if symbol.kind == Kind::Tristate && !self.values.modules() => {
                let plan = self.modules(&none);
                vec![plan.map(|plan| plan.with(name, Value::Module))]
            }
            Some(tri) => {
                self.above.push(name.to_string());
                let ways = self.raises(name, symbol, tri, &none);
                self.above.pop();
                ways
            }
        };
        let (mut ways, obstacles) = apart(found);
        if ways.is_empty() {
            return Err(named(obstacles, name, symbol));
        }
        ways.sort_by_key(Plan::cost);
        Ok(ways)
    }

    /// `plan` and what else is needed for `name` to be at least `wanted`.
    pub(super) fn raise(&mut self, name: &str, wanted: Tri, plan: &Plan) -> Found {
        let held = self.held.tri(name);
        let mut without = plan.clone();
        match plan.tri(name).or(held) {
            Some(Tri::No) => return Err(vec![Obstacle::Contradiction { symbol: name.into() }]),
            Some(planned) if planned >= wanted && held.is_none() => return Ok(plan.clone()),
            // As m it was enough for another condition; this one wants more.
            Some(_) => {
                without.settings.remove(name);
            }
            None => {}
        }
        if self.values.symbol(name).low >= wanted {
            return Ok(plan.clone());
        }
        let Some(symbol) = self.values.defined(name) else {
            return Err(vec![Obstacle::Undefined { symbol: name.into() }]);
        };
        self.enter(name)?;
        let ways = self.raises(name, symbol, wanted, &without);
        self.above.pop();
        let mut plan = cheapest(ways).map_err(|obstacles| named(obstacles, name, symbol))?;
        plan.raised.insert(name.to_string());
        Ok(plan)
    }

    fn raises(&mut self, name: &str, symbol: &'a Symbol, wanted: Tri, plan: &Plan) -> Vec<Found> {
        let is_bool = self.values.is_bool(symbol);
        if is_bool && wanted == Tri::Module {
            return self.raises(name, symbol, Tri::Yes, plan);
        }
        if !matches!(symbol.kind, Kind::Bool | Kind::Tristate) {
            return vec![Err(vec![Obstacle::NotLogic { symbol: name.into() }])];
        }
        // What is at least m makes a bool y.
        let enough = if is_bool { Tri::Module } else { wanted };
        let prompted = self
            .prompted(name, symbol, enough, plan)
            .map(|plan| plan.with(name, value_of(wanted)));
        if prompted.is_ok() {
            return vec![prompted];
        }
        let mut ways = vec![prompted];
        let mut before: Vec<&'a Condition> = Vec::new();
        'definitions: for definition in &symbol.definitions {
            for default in &definition.defaults {
                let way = self.default_way(definition, &default.condition, &before, enough, plan);
                ways.push(way.and_then(|plan| self.satisfy(&default.expr, enough, &plan)));
                match &default.condition {
                    Some(condition) => before.push(condition),
                    // What stands behind it never counts.
                    None if self.values.definitions.conditions(definition).is_empty() => break 'definitions,
                    None => {}
                }
            }
        }
        for raise in self.likeliest(symbol) {
            let way = self.by(raise, enough, plan);
            // What selects a symbol whose dependencies are not met makes a kernel that may not build.
            ways.push(way.and_then(|plan| self.direct(symbol, enough, &plan)));
        }
        ways
    }

    fn modules(&mut self, plan: &Plan) -> Found {
        match &self.values.definitions.modules {
            Some(modules) => self.raise(modules, Tri::Yes, plan),
            None => Err(vec![Obstacle::NoModules]),
        }
    }

    /// Has one of a symbol's prompts shown.
    pub(super) fn prompted(&mut self, name: &str, symbol: &'a Symbol, enough: Tri, plan: &Plan) -> Found {
        let taken =
            |rival: &&str| plan.tri(rival) == Some(Tri::Yes) || self.held.tri(rival) == Some(Tri::Yes);
        if let Some(rival) = self.values.definitions.rivals(name).find(taken) {
            return Err(vec![Obstacle::Contradiction { symbol: rival.into() }]);
        }
        let mut ways = Vec::new();
        for definition in &symbol.definitions {
            for prompt in &definition.prompts {
                let conditions = self.values.definitions.prompt_conditions(definition, prompt);
                ways.push(self.meet(&conditions, enough, plan));
            }
        }
        cheapest(ways)
    }

    /// Has a default count, behind those before it.
    pub(super) fn default_way(
        &mut self,
        definition: &'a Definition,
        condition: &'a Option<Condition>,
        before: &[&'a Condition],
        enough: Tri,
        plan: &Plan,
    ) -> Found {
        let mut conditions = self.values.definitions.conditions(definition);
        conditions.extend(condition);
        let mut plan = self.meet(&conditions, enough, plan)?;
        for earlier in before {
            if self.values.condition(&earlier.expr).high != Tri::No {
                plan = self.cap(&earlier.expr, Tri::No, &plan)?;
            }
        }
        Ok(plan)
    }

    /// The selects and implies that are tried: first those of symbols that are on, then of those that can be asked for now.
    fn likeliest(&self, symbol: &'a Symbol) -> Vec<&'a Raise> {
        let mut all: Vec<&Raise> = symbol.raised_by.iter().collect();
        all.sort_by_cached_key(|raise| match self.values.defined(&raise.by) {
            Some(_) if self.values.symbol(&raise.by).high != Tri::No => 0,
            Some(by) if self.values.visible(by).high != Tri::No => 1,
            _ => 2,
        });
        all.truncate(SELECTORS);
        all
    }

    /// Has a `select` or `imply` act.
    fn by(&mut self, raise: &'a Raise, enough: Tri, plan: &Plan) -> Found {
        let mut conditions: Vec<&Condition> = raise.condition.iter().collect();
        let by = self.values.defined(&raise.by);
        if let Some(definition) = by.and_then(|by| by.definitions.get(raise.definition)) {
            conditions.extend(self.values.definitions.conditions(definition));
        }
        let plan = self.meet(&conditions, enough, plan)?;
        self.raise(&raise.by, enough, &plan)
    }

    /// Has the `depends on` of one of a symbol's definitions hold.
    fn direct(&mut self, symbol: &'a Symbol, enough: Tri, plan: &Plan) -> Found {
        let mut ways = Vec::new();
        for definition in &symbol.definitions {
            let conditions = self.values.definitions.conditions(definition);
            ways.push(self.meet(&conditions, enough, plan));
        }
        cheapest(ways)
    }

    /// `plan` and what else is needed for `name` to be at most `most`: `n` or `m`.
    pub(super) fn lower(&mut self, name: &str, most: Tri, plan: &Plan) -> Found {
        if let Some(planned) = plan.tri(name).or(self.held.tri(name)) {
            if planned > most {
                return Err(vec![Obstacle::Contradiction { symbol: name.into() }]);
            }
            if !self.held.settings.contains_key(name) {
                return Ok(plan.clone());
            }
        }
        if self.values.symbol(name).high <= most {
            return Ok(plan.clone());
        }
        let Some(symbol) = self.values.defined(name) else {
            return Ok(plan.clone());
        };
        self.enter(name)?;
        let found = self.lower_all(name, symbol, most, plan);
        self.above.pop();
        found.map_err(|obstacles| named(obstacles, name, symbol))
    }

    fn lower_all(&mut self, name: &str, symbol: &'a Symbol, most: Tri, plan: &Plan) -> Found {
        if let Some(choice) = self.values.definitions.choice_of(symbol) {
            // One member has to be y: another one, whichever is the least trouble.
            let others = choice.members.iter().filter(|member| *member != name);
            return cheapest(others.map(|member| self.raise(member, Tri::Yes, plan)).collect());
        }
        let most = if symbol.kind == Kind::Tristate {
            most
        } else {
            Tri::No
        };
        let mut plan = plan.clone();
        if most == Tri::Module && !self.values.modules() {
            plan = self.modules(&plan)?;
        }
        for raise in symbol.raised_by.iter().filter(|raise| raise.pull == Pull::Select) {
            if self.values.raise(raise).high > most {
                plan = self.idle(raise, most, &plan)?;
            }
        }
        if self.values.visible(symbol).low != Tri::No {
            return Ok(plan.with(name, value_of(most)));
        }
        let shown = self.prompted(name, symbol, Tri::Module, &plan);
        if let Ok(plan) = shown {
            return Ok(plan.with(name, value_of(most)));
        }
        for raise in symbol.raised_by.iter().filter(|raise| raise.pull == Pull::Imply) {
            if self.values.raise(raise).high > most {
                plan = self.idle(raise, most, &plan)?;
            }
        }
        match self.values.default(symbol) {
            Ok(None) => Ok(plan),
            Ok(Some((default, _))) => {
                let value = self.cap(&default.expr, most, &plan);
                let condition = default.condition.as_ref();
                let condition = condition.map(|condition| self.cap(&condition.expr, most, &plan));
                let around = self.closed(symbol, most, &plan);
                cheapest(
                    [Some(value), condition, Some(around)]
                        .into_iter()
                        .flatten()
                        .collect(),
                )
            }
            Err(_) => Err(vec![Obstacle::NotFound { symbol: name.into() }]),
        }
    }

    /// Has the conditions of a symbol's definitions hold no more than `most`.
    fn closed(&mut self, symbol: &'a Symbol, most: Tri, plan: &Plan) -> Found {
        let mut plan = plan.clone();
        for definition in &symbol.definitions {
            let conditions = self.values.definitions.conditions(definition);
            let ways = conditions
                .iter()
                .map(|condition| self.cap(&condition.expr, most, &plan));
            plan = cheapest(ways.collect())?;
        }
        Ok(plan)
    }

    /// Has a `select` or `imply` pull no further than `most`.
    fn idle(&mut self, raise: &'a Raise, most: Tri, plan: &Plan) -> Found {
        let mut ways = vec![self.lower(&raise.by, most, plan)];
        if let Some(condition) = &raise.condition {
            ways.push(self.cap(&condition.expr, most, plan));
        }
        cheapest(ways)
    }

    fn enter(&mut self, name: &str) -> Result<(), Vec<Obstacle>> {
        self.steps = self.steps.saturating_add(1);
        let circle = self.above.iter().any(|above| above == name);
        if circle {
            return Err(vec![Obstacle::NotFound { symbol: name.into() }]);
        }
        if self.steps > STEPS || self.above.len() >= self.deepest {
            return Err(vec![Obstacle::NotFound { symbol: name.into() }]);
        }
        self.above.push(name.to_string());
        Ok(())
    }

    /// Makes all of the conditions at least `wanted`. One that contradicts what was chosen for those before it is met first.
    fn meet(&mut self, conditions: &[&'a Condition], wanted: Tri, plan: &Plan) -> Found {
        let mut order: Vec<&'a Condition> = conditions.to_vec();
        for _ in 0..conditions.len() {
            match self.in_order(&order, wanted, plan) {
                Ok(plan) => return Ok(plan),
                Err((at, obstacles)) if at > 0 && obstacles.iter().any(Obstacle::is_contradiction) => {
                    let first = order.remove(at);
                    order.insert(0, first);
                }
                Err((_, obstacles)) => return Err(obstacles),
            }
        }
        self.in_order(&order, wanted, plan)
            .map_err(|(_, obstacles)| obstacles)
    }

    /// The conditions one after the other; else which one could not be met, and why.
    fn in_order(
        &mut self,
        conditions: &[&'a Condition],
        wanted: Tri,
        plan: &Plan,
    ) -> Result<Plan, (usize, Vec<Obstacle>)> {
        let mut plan = plan.clone();
        for (at, condition) in conditions.iter().enumerate() {
            plan = self
                .satisfy(&condition.expr, wanted, &plan)
                .map_err(|obstacles| (at, obstacles))?;
        }
        Ok(plan)
    }

    pub(super) fn touches(&self, expr: &Expr, plan: &Plan) -> bool {
        expr.symbols()
            .iter()
            .any(|symbol| plan.settings.contains_key(*symbol))
    }

    /// Makes an expression at least `wanted`.
    fn satisfy(&mut self, expr: &'a Expr, wanted: Tri, plan: &Plan) -> Found {
        let now = self.values.condition(expr);
        if !self.touches(expr, plan) && now.low >= wanted {
            return Ok(plan.clone());
        }
        match expr {
            Expr::Leaf(Operand::Symbol(name)) => self.raise(name, wanted, plan),
            Expr::Leaf(Operand::Macro(text)) => self.answer(text, true, plan),
            Expr::Leaf(Operand::Constant(text)) => match Tri::parse(text) {
                Some(Tri::Module) if wanted == Tri::Module => self.modules(plan),
                Some(Tri::Module) => Err(vec![Obstacle::OnlyModule]),
                _ => Err(vec![Obstacle::Never {
                    condition: expr.to_string(),
                }]),
            },
            Expr::Not(side) => self.cap(side, !wanted, plan),
            Expr::And(a, b) => {
                let plan = self.satisfy(a, wanted, plan)?;
                self.satisfy(b, wanted, &plan)
            }
            Expr::Or(a, b) => cheapest(vec![self.satisfy(a, wanted, plan), self.satisfy(b, wanted, plan)]),
            Expr::Compare(a, relation, b) => self.compare(a, *relation, b, plan),
        }
    }

    /// Makes an expression at most `most`: `n` or `m`.
    fn cap(&mut self, expr: &'a Expr, most: Tri, plan: &Plan) -> Found {
        let now = self.values.condition(expr);
        if most == Tri::Yes || !self.touches(expr, plan) && now.high <= most {
            return Ok(plan.clone());
        }
        match expr {
            Expr::Leaf(Operand::Symbol(name)) => self.lower(name, most, plan),
            Expr::Leaf(Operand::Macro(text)) => self.answer(text, false, plan),
            Expr::Leaf(Operand::Constant(_)) => Err(vec![Obstacle::Never {
                condition: format!("!{expr}"),
            }]),
            Expr::Not(side) => self.satisfy(side, !most, plan),
            Expr::And(a, b) => cheapest(vec![self.cap(a, most, plan), self.cap(b, most, plan)]),
            Expr::Or(a, b) => {
                let plan = self.cap(a, most, plan)?;
                self.cap(b, most, &plan)
            }
            Expr::Compare(a, relation, b) => self.compare(a, relation.inverse(), b, plan),
        }
    }

    /// Takes it that the compiler answers so, unless it is known that it does not.
    fn answer(&mut self, text: &str, answer: bool, plan: &Plan) -> Found {
        let known = self.values.macros.get(text).map(|known| *known != Tri::No);
        let assumed = plan.answers.get(text).or(self.held.answers.get(text)).copied();
        if known.or(assumed).is_some_and(|known| known != answer) {
            return Err(vec![Obstacle::Answer {
                test: text.into(),
                wanted: answer,
            }]);
        }
        let mut plan = plan.clone();
        if known.is_none() {
            plan.answers.insert(text.into(), answer);
        }
        Ok(plan)
    }
}

/// Every way that was looked for has its obstacle; a symbol without ways is one itself.
fn named(obstacles: Vec<Obstacle>, name: &str, symbol: &Symbol) -> Vec<Obstacle> {
    let symbol_name = name.to_string();
    match obstacles.is_empty() {
        false => obstacles,
        true if symbol.has_prompt() => vec![Obstacle::NotFound { symbol: symbol_name }],
        true => vec![Obstacle::Nobody { symbol: symbol_name }],
    }
}
