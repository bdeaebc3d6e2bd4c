//! What no setting changes.

use serde::Serialize;
use std::fmt;

/// Why no settings give a symbol a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Obstacle {
    /// The compiler, or another program of this machine, answers differently.
    Answer {
        /// The macro: `$(cc-option,-fa)`.
        test: String,
        /// The answer that is needed.
        wanted: bool,
    },
    /// A number that was measured on this machine: `GCC_VERSION`.
    Measured {
        /// The symbol that has it.
        symbol: String,
        /// Its value.
        value: String,
        /// The condition: `GCC_VERSION >= 140000`.
        wanted: String,
    },
    /// No Kconfig file of this architecture defines the symbol.
    Undefined {
        /// The symbol.
        symbol: String,
    },
    /// It has no prompt, nothing selects it, and it has no default.
    Nobody {
        /// The symbol.
        symbol: String,
    },
    /// A number outside of its range.
    OutOfRange {
        /// The symbol.
        symbol: String,
        /// The least number that is allowed.
        low: String,
        /// The greatest one.
        high: String,
    },
    /// A text that a person has to choose.
    Open {
        /// The symbol that has it.
        symbol: String,
        /// What has to hold: `INITRAMFS_SOURCE != ""`.
        wanted: String,
    },
    /// A condition that is constant: `n`, or a comparison of constants.
    Never {
        /// The condition.
        condition: String,
    },
    /// It depends on `m`: it cannot be built in.
    OnlyModule,
    /// No symbol of the tree carries `modules`, so that nothing can be m.
    NoModules,
    /// A text or number stands where a bool or tristate has to.
    NotLogic {
        /// The symbol.
        symbol: String,
    },
    /// Two conditions want different things of one symbol.
    Contradiction {
        /// The symbol.
        symbol: String,
    },
    /// The search ended here.
    NotFound {
        /// The symbol.
        symbol: String,
    },
}

impl Obstacle {
    /// Whether it is what was chosen for another condition.
    pub(super) fn is_contradiction(&self) -> bool {
        matches!(self, Obstacle::Contradiction { .. })
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Obstacle::Answer { test, wanted: true } => {
                write!(f, "the compiler or this machine answers n to {test}")
            }
            Obstacle::Answer { test, wanted: false } => {
                write!(f, "the compiler or this machine answers y to {test}")
            }
            Obstacle::Measured {
                symbol,
                value,
                wanted,
            } => {
                write!(
                    f,
                    "{wanted} is needed, and this machine measures {symbol}={value}"
                )
            }
            Obstacle::Undefined { symbol } => {
                write!(f, "no Kconfig file of this architecture defines {symbol}")
            }
            Obstacle::Nobody { symbol } => write!(f, "{symbol} has no prompt, and nothing can raise it"),
            Obstacle::OutOfRange { symbol, low, high } => write!(f, "{symbol} can be from {low} to {high}"),
            Obstacle::Open { symbol, wanted } => {
                write!(f, "{symbol} needs a text of your choice, with which {wanted}")
            }
            Obstacle::Never { condition } => write!(f, "{condition} never holds"),
            Obstacle::OnlyModule => f.write_str("it depends on m, and can only be a module"),
            Obstacle::NoModules => f.write_str("this tree has no modules"),
            Obstacle::NotLogic { symbol } => write!(f, "{symbol} is neither bool nor tristate"),
            Obstacle::Contradiction { symbol } => {
                write!(f, "its conditions contradict one another on {symbol}")
            }
            Obstacle::NotFound { symbol } => write!(f, "no way was found past {symbol}"),
        }
    }
}
