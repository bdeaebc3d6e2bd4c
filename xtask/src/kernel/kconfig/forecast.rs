//! What `olddefconfig` would make of settings, worked out without make: `sym_calc_value` and `sym_calc_choice` of the kernel's
//! scripts/kconfig/symbol.c, 7.3, for the symbols that are looked at and those that they depend on.

use super::config::Config;
use super::definitions::{Choice, Kind, Symbol};
use super::expression::{Span, Tri};
use super::fragment::Request;
use super::value::Value;
use super::values::{NotKnown, Values};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a symbol with a prompt becomes that no one sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// Its default: `olddefconfig`.
    Default,
    /// `n`, if it is a `bool` or `tristate`: `allnoconfig` with KCONFIG_ALLCONFIG.
    No,
}

/// A setting, and where it stands among all that are read: of two members of a choice the later one counts.
#[derive(Debug, Clone, Copy)]
struct Set<'b> {
    value: &'b Value,
    order: usize,
}

/// What one symbol becomes; `None` and a wide span where only the compiler knows.
#[derive(Debug, Clone)]
enum Foretold {
    Logic(Span),
    Text(Option<String>),
}

/// The settings of a configuration that was not made yet, and what was worked out of them so far.
#[derive(Debug, Clone)]
pub(super) struct Forecast<'a> {
    /// What is set, with its place among the requests.
    set: Rc<BTreeMap<String, (Value, usize)>>,
    /// What is set behind all of it.
    tried: BTreeMap<String, Value>,
    unset: Unset,
    known: RefCell<BTreeMap<String, Foretold>>,
    /// Symbols whose values the rules leave open, since they hang on answers that no one knows.
    open: RefCell<BTreeSet<String>>,
    /// The same without the settings that are tried. What is open there is as in the final configuration, and stays so where it is open here, too.
    before: Option<Rc<Values<'a>>>,
}

/// Whether the prompt of a symbol is shown, so that a person may have set it.
fn is_shown(values: &Values, name: &str) -> bool {
    values
        .defined(name)
        .is_some_and(|symbol| values.visible(symbol).high != Tri::No)
}

impl<'a> Values<'a> {
    /// What becomes of the settings of `base` and of `requests` behind them. `self` are the values that they had in the end: answers of the compiler are
    /// taken from there. Without a base all is off that no one asked for.
    pub(super) fn before(&self, base: Option<&Config>, requests: &[Request]) -> Values<'a> {
        let (unset, settings) = match base {
            Some(base) => (Unset::Default, base.iter().collect::<Vec<_>>()),
            None => {
                let shown = self.config.iter().filter(|(name, _)| is_shown(self, name));
                (Unset::No, shown.collect())
            }
        };
        self.settings(unset, settings, requests)
    }

    /// [`Values::before`], where `self` are the values of another configuration than the one that
    /// is worked out: only answers of the compiler are taken from there.
    pub(super) fn foretold(&self, base: Option<&Config>, requests: &[Request]) -> Values<'a> {
        match base {
            Some(base) => self.settings(Unset::Default, base.iter().collect(), requests),
            None => self.settings(Unset::No, Vec::new(), requests),
        }
    }

    fn settings(&self, unset: Unset, settings: Vec<(&str, &Value)>, requests: &[Request]) -> Values<'a> {
        let mut set: BTreeMap<String, (Value, usize)> = settings
            .into_iter()
            .map(|(name, value)| (name.to_string(), (value.clone(), 0)))
            .collect();
        for (at, request) in requests.iter().enumerate() {
            let order = at.saturating_add(1);
            set.insert(request.symbol.clone(), (request.value.clone(), order));
        }
        self.foretelling(Forecast {
            set: Rc::new(set),
            tried: BTreeMap::new(),
            unset,
            known: RefCell::default(),
            open: RefCell::default(),
            before: None,
        })
    }

    /// What becomes of the settings of the forecast `before` with `settings` behind them, where the compiler answers as `answers` says.
    pub(super) fn with(
        before: &Rc<Values<'a>>,
        settings: &BTreeMap<String, Value>,
        answers: &BTreeMap<String, bool>,
    ) -> Values<'a> {
        let Some(forecast) = &before.forecast else {
            return (**before).clone();
        };
        let mut values = before.foretelling(Forecast {
            set: forecast.set.clone(),
            tried: settings.clone(),
            unset: forecast.unset,
            known: RefCell::default(),
            open: RefCell::default(),
            before: Some(before.clone()),
        });
        for (text, answer) in answers {
            let answer = if *answer { Tri::Yes } else { Tri::No };
            values.macros.insert(text.clone(), answer);
        }
        values
    }

    fn foretelling(&self, forecast: Forecast<'a>) -> Values<'a> {
        let mut values = Values {
            definitions: self.definitions,
            config: self.config,
            macros: self.macros.clone(),
            // The symbol that carries `modules` depends on nothing that would be another thing without them.
            modules: true,
            forecast: Some(forecast),
        };
        let modules = |name: &String| values.symbol(name).low == Tri::Yes;
        values.modules = values.definitions.modules.as_ref().is_some_and(modules);
        if let Some(forecast) = &values.forecast {
            forecast.known.borrow_mut().clear();
            forecast.open.borrow_mut().clear();
        }
        values
    }

    /// What a symbol of logic becomes.
    pub(super) fn foretold_logic(&self, forecast: &Forecast<'a>, name: &str, symbol: &'a Symbol) -> Span {
        if let Some(Foretold::Logic(span)) = forecast.known.borrow().get(name) {
            return *span;
        }
        // sym_calc_value() takes n where a symbol depends on itself.
        let begun = Foretold::Logic(Span::of(Tri::No));
        forecast.known.borrow_mut().insert(name.to_string(), begun);
        let mut span = match self.definitions.choice_of(symbol) {
            Some(choice) => self.member(forecast, choice, name),
            None => self.logic(symbol, forecast.asked(name, symbol)),
        };
        if span.known().is_none() && forecast.is_final(name, symbol) {
            span = self.final_value(name, symbol);
        }
        forecast
            .known
            .borrow_mut()
            .insert(name.to_string(), Foretold::Logic(span));
        span
    }

    /// What a number or text becomes.
    pub(super) fn foretold_text(
        &self,
        forecast: &Forecast<'a>,
        name: &str,
        symbol: &'a Symbol,
    ) -> Option<String> {
        if let Some(Foretold::Text(text)) = forecast.known.borrow().get(name) {
            return text.clone();
        }
        let remember = |text: &Option<String>| {
            forecast
                .known
                .borrow_mut()
                .insert(name.to_string(), Foretold::Text(text.clone()));
        };
        remember(&Some(symbol.kind.nothing().into()));
        let mut text = self.text_given(forecast, name, symbol);
        if text.is_none() && forecast.is_final(name, symbol) {
            text = self.final_text(name, symbol);
        }
        remember(&text);
        text
    }

    fn text_given(&self, forecast: &Forecast, name: &str, symbol: &'a Symbol) -> Option<String> {
        let visible = self.visible(symbol);
        let text = match forecast.taken(name, symbol) {
            Some(Value::Text(text) | Value::Number(text)) if visible.high != Tri::No => {
                if visible.low == Tri::No {
                    return None;
                }
                text.clone()
            }
            _ => self.text_unasked(symbol)?,
        };
        match symbol.kind {
            Kind::Int | Kind::Hex => self.clamped(symbol, &text),
            _ => Some(text),
        }
    }

    /// sym_calc_choice().
    fn member(&self, forecast: &Forecast, choice: &Choice, name: &str) -> Span {
        let members: Vec<(&str, Span, Option<Set>)> = choice
            .members
            .iter()
            .filter_map(|member| {
                let visible = self.visible(self.defined(member)?);
                Some((member.as_str(), visible, forecast.get(member)))
            })
            .filter(|(_, visible, _)| visible.high != Tri::No)
            .collect();
        if !members.iter().any(|(member, ..)| *member == name) {
            return Span::of(Tri::No);
        }
        let is = |set: &Option<Set>, value: Value| set.is_some_and(|set| *set.value == value);
        let asked = members
            .iter()
            .filter(|(.., set)| is(set, Value::Yes))
            .max_by_key(|(.., set)| set.map(|set| set.order));
        let open = |(_, visible, _): &(&str, Span, Option<Set>)| visible.low == Tri::No;
        if asked.map_or_else(|| members.iter().any(open), open) {
            return Span::UNKNOWN;
        }
        let default = || match self.choice_default(choice, &members) {
            Ok(default) => Ok(default.filter(|(.., set)| !is(set, Value::No))),
            Err(NotKnown) => Err(NotKnown),
        };
        let chosen = match asked {
            Some(asked) => Some(asked),
            None => match default() {
                Err(NotKnown) => return Span::UNKNOWN,
                Ok(Some(default)) => Some(default),
                Ok(None) => members
                    .iter()
                    .find(|(.., set)| set.is_none())
                    .or(members.iter().min_by_key(|(.., set)| set.map(|set| set.order))),
            },
        };
        let is_chosen = chosen.is_some_and(|(member, ..)| *member == name);
        Span::of(if is_chosen { Tri::Yes } else { Tri::No })
    }

    /// sym_choice_default(): of the members that can be asked for.
    fn choice_default<'b, T>(
        &self,
        choice: &Choice,
        members: &'b [(&str, Span, T)],
    ) -> Result<Option<&'b (&'b str, Span, T)>, NotKnown> {
        for default in &choice.defaults {
            let holds = self.optional(&default.condition);
            if holds.high == Tri::No {
                continue;
            }
            if holds.low == Tri::No {
                return Err(NotKnown);
            }
            let named = default.expr.symbols();
            if let Some(member) = members.iter().find(|(member, ..)| named.contains(member)) {
                return Ok(Some(member));
            }
        }
        Ok(members.first())
    }
}

impl<'a> Forecast<'a> {
    /// Whether an open symbol has the value of the final configuration.
    fn is_final(&self, name: &str, symbol: &'a Symbol) -> bool {
        self.open.borrow_mut().insert(name.to_string());
        let Some(before) = &self.before else {
            return true;
        };
        before.written(name, symbol);
        let open = before.forecast.as_ref().map(|forecast| forecast.open.borrow());
        open.is_some_and(|open| open.contains(name))
    }

    fn get(&self, name: &str) -> Option<Set<'_>> {
        let tried = self.tried.get(name).map(|value| Set {
            value,
            order: usize::MAX,
        });
        tried.or_else(|| {
            let (value, order) = self.set.get(name)?;
            Some(Set { value, order: *order })
        })
    }

    /// What is set, where it is a value that the symbol takes.
    fn taken(&self, name: &str, symbol: &Symbol) -> Option<&Value> {
        let value = self.get(name)?.value;
        // A tristate takes y, m and n; conf_set_sym_val() leaves a symbol without a value where it takes none.
        symbol.kind.takes(value).then_some(value)
    }

    /// What is asked of a symbol of logic.
    fn asked(&self, name: &str, symbol: &Symbol) -> Option<Tri> {
        match self.taken(name, symbol) {
            Some(Value::Yes) => Some(Tri::Yes),
            Some(Value::Module) => Some(Tri::Module),
            Some(Value::No) => Some(Tri::No),
            // conf_set_all_new_symbols() sets what has a prompt, shown or not.
            _ if self.unset == Unset::No && symbol.has_prompt() => Some(Tri::No),
            _ => None,
        }
    }
}
