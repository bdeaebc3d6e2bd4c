//! What requests will come to, worked out before make is asked.

use super::config::Config;
use super::definitions::{Definitions, Kind};
use super::expression::Tri;
use super::fragment::Request;
use super::obstacle::Obstacle;
use super::remedy::{Remedy, remedy};
use super::value::Value;
use super::values::Values;
use std::rc::Rc;

/// The configuration that requests will give, as far as it can be said without make.
#[derive(Debug)]
pub struct Foretold<'a> {
    values: Rc<Values<'a>>,
    requests: &'a [Request],
}

impl<'a> Foretold<'a> {
    /// Of `requests` on top of `base`; without one everything is off that no one asks for
    /// (allnoconfig). `like` is a configuration of about this tree: what the compiler answers is
    /// taken from there. An empty one leaves such answers open.
    pub fn of(
        definitions: &'a Definitions,
        like: &'a Config,
        base: Option<&Config>,
        requests: &'a [Request],
    ) -> Self {
        Foretold {
            values: Rc::new(Values::new(definitions, like).foretold(base, requests)),
            requests,
        }
    }

    /// The value of a `bool` or `tristate`; `None` where it hangs on an answer that is not known.
    /// What is not defined is `n`.
    pub fn value(&self, symbol: &str) -> Option<Tri> {
        self.values.symbol(symbol).known()
    }

    /// The value that builds what hangs on a symbol: a module where that can be. `None`: nothing
    /// defines it, or it is not `bool` or `tristate`.
    pub fn on(&self, symbol: &str) -> Option<Value> {
        match self.values.defined(symbol)?.kind {
            Kind::Tristate => Some(Value::Module),
            Kind::Bool => Some(Value::Yes),
            _ => None,
        }
    }

    /// Settings that give a symbol this value, dependencies included; else what stands in the way,
    /// as far as it is known.
    pub fn bring(&self, symbol: &str, value: &Value) -> Result<Remedy, Vec<Obstacle>> {
        remedy(&self.values, self.requests, symbol, value)
    }

    /// Whether a symbol can be asked for at all.
    pub fn has_prompt(&self, symbol: &str) -> bool {
        self.values
            .defined(symbol)
            .is_some_and(|symbol| symbol.has_prompt())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fragment;
    use super::*;

    const KCONFIG: &str = "config MODULES\n\tbool \"Modules\"\n\tmodules\n\nconfig MEDIA\n\ttristate \"Media\"\n\n\
        config CODEC\n\ttristate \"Codec\"\n\tdepends on MEDIA\n\tselect HELPER\n\nconfig HELPER\n\ttristate\n\n\
        config NEVER\n\ttristate \"Never\"\n\tdepends on BROKEN\n\nconfig SIZE\n\tint \"Size\"\n";

    fn told(requests: &str, ask: impl Fn(&Foretold)) {
        let definitions =
            Definitions::read_with("arm64", &|file| (file == "Kconfig").then(|| KCONFIG.into()));
        let requests = Fragment::parse("f", requests).unwrap().requests;
        ask(&Foretold::of(&definitions, &Config::default(), None, &requests));
    }

    #[test]
    fn what_is_asked_for_comes_and_what_is_not_is_off() {
        told("CONFIG_MODULES=y\nCONFIG_MEDIA=m\nCONFIG_CODEC=m\n", |told| {
            assert_eq!(told.value("CODEC"), Some(Tri::Module));
            assert_eq!(told.value("HELPER"), Some(Tri::Module));
            assert_eq!(told.value("NEVER"), Some(Tri::No));
            assert_eq!(told.value("UNHEARD_OF"), Some(Tri::No));
        });
    }

    #[test]
    fn what_is_off_comes_with_what_it_depends_on() {
        told("CONFIG_MODULES=y\n", |told| {
            assert_eq!(told.value("CODEC"), Some(Tri::No));
            assert_eq!(told.on("CODEC"), Some(Value::Module));
            assert_eq!((told.on("SIZE"), told.on("UNHEARD_OF")), (None, None));
            assert!(told.has_prompt("CODEC") && !told.has_prompt("HELPER"));
            let remedy = told.bring("CODEC", &Value::Module).unwrap();
            assert_eq!(remedy.to_string(), "CONFIG_CODEC=m, CONFIG_MEDIA=m");
            assert!(told.bring("NEVER", &Value::Module).is_err());
        });
    }
}
