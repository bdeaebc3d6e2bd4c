//! A reason for each verdict.

use super::chain::{Telling, active, names_of};
use super::definitions::{Definitions, Place, Pull, Symbol};
use super::expression::Tri;
use super::fragment::Need;
use super::nearest::nearest;
use super::plan::tri_of;
use super::remedy::{Setting, remedy};
use super::value::Value;
use super::values::Values;
use super::verdict::{Outcome, SymbolVerdict};
use super::{Config, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

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
        let origin = Rc::new(values.before(hints.base, &requests));
        for verdict in verdicts.iter_mut() {
            match values.defined(&verdict.request.symbol) {
                None => self.explain_undefined(verdict, hints),
                Some(symbol) if verdict.is_good() => explain_good(&values, symbol, verdict),
                Some(symbol) => explain_bad(&values, &origin, &requests, symbol, verdict),
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
    let Some(asked) = tri_of(&verdict.request.value).filter(|asked| *asked != Tri::No) else {
        return;
    };
    let selectors = active(values, symbol, Pull::Select, asked);
    let who = if !selectors.is_empty() {
        format!("selected by {}", names_of(&selectors, 1))
    } else if values.visible(symbol).high >= asked {
        return;
    } else {
        let implied = active(values, symbol, Pull::Imply, asked);
        match values.default(symbol) {
            _ if !implied.is_empty() => format!("implied by {}", names_of(&implied, 1)),
            Ok(Some((default, _))) => {
                format!("selected by its default, {} ({})", default.expr, default.place)
            }
            _ => return,
        }
    };
    if verdict.outcome == Outcome::Taken {
        verdict.outcome = Outcome::Selected;
    }
    verdict.why = vec![who];
}

fn explain_bad(
    values: &Values,
    origin: &Rc<Values>,
    requests: &[Request],
    symbol: &Symbol,
    verdict: &mut SymbolVerdict,
) {
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
    if !symbol.kind.takes(&request.value) || symbol.transitional {
        return;
    }
    match remedy(origin, requests, &request.symbol, &request.value) {
        Ok(found)
            if found
                .settings
                .iter()
                .all(|setting| is_requested(setting, requests)) => {}
        Ok(found) => {
            verdict.why.push(format!("would come with {found}"));
            verdict.remedy = found.settings;
            verdict.provided = found.provided;
        }
        Err(obstacles) => {
            let shown: Vec<String> = obstacles.iter().map(|obstacle| obstacle.to_string()).collect();
            verdict
                .why
                .push(format!("no other setting brings it: {}", shown.join("; ")));
            verdict.obstacles = obstacles;
        }
    }
}

/// Whether a setting is among the requests already.
fn is_requested(setting: &Setting, requests: &[Request]) -> bool {
    requests
        .iter()
        .any(|request| request.symbol == setting.symbol && request.value == setting.value)
}
