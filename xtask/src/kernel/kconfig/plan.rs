//! Settings that are to give a symbol a value, found bit by bit.

use super::expression::Tri;
use super::obstacle::Obstacle;
use super::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Obstacles that are kept where every way has one.
const OBSTACLES: usize = 6;
/// An answer that the compiler would have to give is worth avoiding: as much as so many settings.
const ANSWER: usize = 8;

/// Settings by symbol, and the answers of the compiler that they need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub settings: BTreeMap<String, Value>,
    pub answers: BTreeMap<String, bool>,
    /// Symbols that it is to bring; what they depend on has to hold.
    pub raised: BTreeSet<String>,
}

/// What stands in the way where there is none.
pub(super) type Found = Result<Plan, Vec<Obstacle>>;

impl Plan {
    pub fn cost(&self) -> usize {
        let answers = self.answers.len().saturating_mul(ANSWER);
        self.settings.len().saturating_add(answers)
    }

    /// A setting of a symbol of logic.
    pub fn tri(&self, name: &str) -> Option<Tri> {
        tri_of(self.settings.get(name)?)
    }

    pub fn with(&self, name: &str, value: Value) -> Plan {
        let mut plan = self.clone();
        plan.settings.insert(name.to_string(), value);
        plan
    }

    /// This one with what another one adds; `None` where they want different things of one symbol, other than more of it.
    pub fn and(&self, other: &Plan) -> Option<Plan> {
        let mut plan = self.clone();
        for (name, value) in &other.settings {
            match (plan.tri(name), tri_of(value)) {
                (Some(Tri::Module), Some(Tri::Yes)) | (None, None) => {}
                (Some(there), Some(here)) if there != here => return None,
                _ => {}
            }
            plan.settings.insert(name.clone(), value.clone());
        }
        plan.raised.extend(other.raised.iter().cloned());
        for (text, answer) in &other.answers {
            if plan.answers.insert(text.clone(), *answer) == Some(!*answer) {
                return None;
            }
        }
        Some(plan)
    }
}

/// The value of logic that a setting is.
pub(super) fn tri_of(value: &Value) -> Option<Tri> {
    match value {
        Value::Yes => Some(Tri::Yes),
        Value::Module => Some(Tri::Module),
        Value::No => Some(Tri::No),
        Value::Text(_) | Value::Number(_) => None,
    }
}

pub(super) fn value_of(tri: Tri) -> Value {
    match tri {
        Tri::Yes => Value::Yes,
        Tri::Module => Value::Module,
        Tri::No => Value::No,
    }
}

/// The ways that were found, and what stood in the way of the others.
pub(super) fn apart(found: Vec<Found>) -> (Vec<Plan>, Vec<Obstacle>) {
    let (mut ways, mut obstacles) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(plan) => ways.push(plan),
            Err(more) => {
                for obstacle in more {
                    if obstacles.len() < OBSTACLES && !obstacles.contains(&obstacle) {
                        obstacles.push(obstacle);
                    }
                }
            }
        }
    }
    (ways, obstacles)
}

pub(super) fn cheapest(found: Vec<Found>) -> Found {
    let (ways, obstacles) = apart(found);
    ways.into_iter().min_by_key(Plan::cost).ok_or(obstacles)
}
