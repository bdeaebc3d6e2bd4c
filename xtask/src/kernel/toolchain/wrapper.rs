//! What stands before the compiler: a cache, a farm of machines, or nothing.

use anyhow::{Context, Result};
use std::path::PathBuf;

/// Environment variable that names a wrapper for every build: `distcc`, `icecc`, `sccache`, a path, or `none` for no ccache either.
pub const VARIABLE: &str = "LOCKSTEP_COMPILER_WRAPPER";

/// A wrapper of the compiler.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wrapper {
    /// ccache where it is.
    #[default]
    Ccache,
    /// Nothing, not even ccache.
    None,
    /// This program, behind ccache where both are there: `distcc`, `icecc`.
    Behind(String),
    /// This program alone: one that caches on its own (`sccache`).
    Alone(String),
}

impl Wrapper {
    /// From the name that a person gives.
    pub fn named(name: &str) -> Self {
        let program = name.rsplit('/').next().unwrap_or(name);
        match program {
            "" | "ccache" => Wrapper::Ccache,
            "none" => Wrapper::None,
            "distcc" | "icecc" => Wrapper::Behind(name.to_string()),
            _ => Wrapper::Alone(name.to_string()),
        }
    }

    /// From [`VARIABLE`]; ccache where it is not set.
    pub fn from_environment() -> Self {
        std::env::var(VARIABLE).map_or(Wrapper::Ccache, |name| Self::named(&name))
    }

    /// Where ccache and the other one are. Errors: a wrapper that was asked for is not there.
    pub(super) fn find(&self) -> Result<(Option<PathBuf>, Option<PathBuf>)> {
        let ccache = || which::which("ccache").ok();
        let asked = |name: &str| {
            which::which(name).with_context(|| {
                format!("the compiler wrapper `{name}` is not on this machine (it was asked for with --compiler-wrapper or {VARIABLE})")
            })
        };
        Ok(match self {
            Wrapper::Ccache => (ccache(), None),
            Wrapper::None => (None, None),
            Wrapper::Behind(name) => (ccache(), Some(asked(name)?)),
            Wrapper::Alone(name) => (None, Some(asked(name)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farms_stand_behind_the_cache_and_other_caches_alone() {
        assert_eq!(Wrapper::named("distcc"), Wrapper::Behind("distcc".into()));
        assert_eq!(
            Wrapper::named("/usr/bin/icecc"),
            Wrapper::Behind("/usr/bin/icecc".into())
        );
        assert_eq!(Wrapper::named("sccache"), Wrapper::Alone("sccache".into()));
        assert_eq!(Wrapper::named("none"), Wrapper::None);
        assert_eq!(Wrapper::named("ccache"), Wrapper::Ccache);
        assert_eq!(Wrapper::None.find().unwrap(), (None, None));
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        let error = format!(
            "{:#}",
            Wrapper::named("lockstep-no-such-wrapper").find().unwrap_err()
        );
        assert!(
            error.contains("`lockstep-no-such-wrapper` is not on this machine"),
            "{error}"
        );
    }
}
