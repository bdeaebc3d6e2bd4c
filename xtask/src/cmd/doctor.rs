//! `cargo xtask doctor`.

use super::Context;
use crate::exit::Outcome;
use crate::host::requirements::{Distribution, REQUIREMENTS, Requirement, Weight};
use crate::kernel::place::Place;
use crate::ui;
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
    /// Git repository of the imported kernel source; absent before set-up.
    kernel: Option<String>,
    /// The work tree of it that patches are applied in.
    work_tree: Option<String>,
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
        let place = Place::of(&context.folders.cache, None).ok();
        let answer = Answer {
            distribution,
            present,
            missing,
            kernel: place.as_ref().map(|place| ui::path_name(&place.repository)),
            work_tree: place.as_ref().map(|place| ui::path_name(&place.worktree)),
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
        let source = place.map_or("not fetched yet".into(), |place| place.told());
        context.ui.line(&format!("kernel source: {source}"));
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
