//! Kconfig fragments, final configurations, and what became of each request (invariant 13: asked-for is not got).
//!
//! `olddefconfig` decides. What is said about its decision is worked out here, from the tree's own Kconfig files ([`Definitions`]) under the
//! final configuration ([`Values`]).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::string_slice
    )
)]

mod chain;
mod config;
mod definitions;
mod elsewhere;
mod explain;
mod expression;
mod forecast;
mod foretold;
mod fragment;
mod language;
mod nearest;
mod obstacle;
mod part;
mod plan;
mod reader;
mod relate;
mod remedy;
mod search;
mod story;
mod traps;
mod value;
mod values;
mod verdict;
mod whole;

pub use config::{Config, Difference, diff};
pub(crate) use definitions::source_architecture;
pub use definitions::{Definitions, Kind, Place, Symbol};
pub use elsewhere::elsewhere;
pub use explain::Hints;
pub use expression::{Span, Tri};
pub use foretold::Foretold;
pub use fragment::{Fragment, Merged, Need, Override, Request, merge};
pub use nearest::nearest;
pub use obstacle::Obstacle;
pub use remedy::{Provided, Remedy, Setting};
pub use story::{Story, Way, story};
pub use traps::{Severity, Trap, contradictory, traps};
pub use value::Value;
pub use values::{NotKnown, Values};
pub use verdict::{Outcome, Rows, SymbolVerdict, Unmet, counts, table, verify};
pub use whole::{Gaps, gaps};
