//! Whether a configuration is a whole `.config` of a tree, or a defconfig, a fragment, or one of another kernel.
//!
//! conf_write() of the kernel's scripts/kconfig/confdata.c writes a line for each symbol whose prompt is shown, be it `# CONFIG_X is not set`. A file that
//! lacks some of them leaves their values open, and no question about it has an answer.

use super::definitions::Kind;
use super::expression::{Span, Tri};
use super::values::Values;
use std::fmt;

/// What a configuration lacks to be a whole `.config` of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gaps {
    /// Symbols of the tree that can be set under what the file has.
    pub shown: usize,
    /// Those of them that have no line.
    pub missing: usize,
    /// Symbols that are on though nothing allows it, or off though something selects them.
    pub impossible: usize,
    /// Symbols that have a line.
    pub named: usize,
    /// Those of them that no Kconfig file of the architecture defines.
    pub undefined: usize,
}

impl Gaps {
    /// Whether it is a whole `.config` of the tree.
    pub fn is_whole(&self) -> bool {
        self.named > 0 && self.missing == 0 && self.impossible == 0
    }

    /// Whether it speaks of another tree or architecture: most of its symbols are not defined.
    pub fn is_foreign(&self) -> bool {
        self.undefined.saturating_mul(2) > self.named
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{} of {} symbols that can be set have no line",
            self.missing, self.shown
        )?;
        match self.impossible {
            0 => Ok(()),
            1 => f.write_str(", and 1 has a value that it cannot have"),
            more => write!(f, ", and {more} have values that they cannot have"),
        }
    }
}

/// What the configuration lacks.
pub fn gaps(values: &Values) -> Gaps {
    let mut gaps = Gaps::default();
    for (name, _) in values.config.iter() {
        gaps.named = gaps.named.saturating_add(1);
        if values.defined(name).is_none() {
            gaps.undefined = gaps.undefined.saturating_add(1);
        }
    }
    for (name, symbol) in &values.definitions.symbols {
        if symbol.definitions.is_empty() || symbol.transitional || symbol.kind == Kind::Unknown {
            continue;
        }
        let written = values.config.get(name);
        if values.visible(symbol).low != Tri::No {
            gaps.shown = gaps.shown.saturating_add(1);
            if written.is_none() {
                gaps.missing = gaps.missing.saturating_add(1);
            }
        }
        let logic = matches!(symbol.kind, Kind::Bool | Kind::Tristate);
        if let (true, Span { low: value, .. }, Some(_)) = (logic, values.symbol(name), written) {
            let allowed = values.logic_if_asked(symbol, value);
            if value > allowed.high || value < allowed.low {
                gaps.impossible = gaps.impossible.saturating_add(1);
            }
        }
    }
    gaps
}
