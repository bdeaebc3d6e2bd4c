//! `cargo xtask doctor`.

use super::Context;
use crate::exit::Outcome;
use crate::host::requirements::{Distribution, REQUIREMENTS, Requirement, Weight};
use anyhow::Result;
use serde::Serialize;

/// Arguments of `cargo xtask doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0: all that is needed is there. 3: something is missing.\n\nExample:\n  \
                        cargo xtask doctor\n  cargo xtask doctor --json | jq '.missing'"
)]
pub struct Doctor {}

#[derive(Serialize)]
struct Answer {
    distribution: Distribution,
    present: Vec<Row>,
    missing: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    purpose: &'static str,
    weight: Weight,
    found: Option<String>,
    remedy: Option<String>,
}

impl Doctor {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let distribution = Distribution::of_this_host();
        let (present, missing): (Vec<Row>, Vec<Row>) = REQUIREMENTS
            .iter()
            .map(|requirement| row(requirement, distribution))
            .partition(|row| row.found.is_some());
        let answer = Answer {
            distribution,
            present,
            missing,
        };
        context.ui.json(&answer)?;
        for row in &answer.present {
            context.ui.line(&format!(
                "ok       {:<42} {}",
                row.name,
                row.found.as_deref().unwrap_or_default()
            ));
        }
        for row in &answer.missing {
            let mark = if row.weight == Weight::Needed {
                "MISSING"
            } else {
                "useful"
            };
            context
                .ui
                .line(&format!("{mark:<8} {:<42} needed to {}", row.name, row.purpose));
            context.ui.line(&format!(
                "{:<51} {}",
                "",
                row.remedy.as_deref().unwrap_or_default()
            ));
        }
        if answer.missing.iter().all(|row| row.weight == Weight::Useful) {
            context
                .ui
                .line("Everything that is needed is there. Next: cargo xtask rehearse");
            return Ok(Outcome::Success);
        }
        context.ui.line("Something is missing. Next: cargo xtask setup");
        Ok(Outcome::CheckFailed)
    }
}

fn row(requirement: &Requirement, distribution: Distribution) -> Row {
    let found = requirement.found();
    Row {
        name: requirement.name(),
        purpose: requirement.purpose.text(),
        weight: requirement.weight,
        remedy: found.is_none().then(|| requirement.remedy(distribution)),
        found,
    }
}
