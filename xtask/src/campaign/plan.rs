//! The plan: what a campaign will do, as a value. `plan` and `--dry-run` print it, the engine executes it, the report tells it.

use super::action::{Action, BOOT, BUILD, CLOSE, PREFLIGHT};
use super::file::{Asks, Campaign, Expectation, OnFailure, Step, minutes};
use super::gates::{self, Gate};
use crate::ui::short;
use serde::{Deserialize, Serialize};
use std::time::Duration;

mod parts;
pub mod print;

/// One row of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Number: `0`, `1.3`, `2.1`.
    pub id: String,
    /// What is done.
    pub title: String,
    /// What has to be true for it to pass.
    pub verified_by: String,
    /// What it is made of, where these have numbers of their own.
    pub parts: Vec<Part>,
    /// What has to be true before it starts.
    pub gates: Vec<Gate>,
    /// The same in words.
    pub needs: Vec<String>,
    /// What follows when it fails.
    pub on_failure: String,
    /// What it does when it is executed.
    #[serde(skip)]
    pub action: Action,
    /// How long it is thought to take.
    pub estimate: Duration,
    /// Where the estimate is from.
    pub estimated_from: Source,
    /// What earlier runs mean for it, where they do.
    pub note: Option<String>,
    /// How long each phase of it took in earlier runs; empty where there are none.
    #[serde(skip)]
    pub phases: Vec<(String, Duration)>,
}

/// Where an estimate is from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// The campaign's author wrote it down.
    #[default]
    Plan,
    /// The median of earlier runs.
    #[serde(rename_all = "kebab-case")]
    Learned {
        /// How many.
        runs: usize,
        /// What the plan says, in seconds.
        plan_s: u64,
    },
}

impl Source {
    /// In print.
    pub fn text(self) -> String {
        match self {
            Source::Plan => "from the plan".into(),
            Source::Learned { runs: 1, .. } => "learned from 1 run".into(),
            Source::Learned { runs, .. } => format!("learned from {runs} runs"),
        }
    }
}

/// A part of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Number: `0.1`.
    pub id: String,
    /// What is done.
    pub title: String,
    /// What has to be true.
    pub verified_by: String,
}

/// The plan of a campaign. `subject_of` gives the subject of a patch for print.
pub fn plan(campaign: &Campaign, subject_of: impl Fn(&str) -> String) -> Vec<Planned> {
    let steps = campaign.steps.iter().enumerate().map(|(index, step)| {
        row(
            campaign,
            Action::Patch(index),
            &step.id,
            format!("{} {}", step.patch, subject_of(&step.patch)),
            passes_when(campaign, step),
            minutes(step.estimate_min).saturating_add(soak(&campaign.tests_of(step))),
        )
    });
    let mut rows = opening(campaign);
    rows.extend(steps);
    rows.push(closing(campaign));
    rows
}

/// What comes before the first patch.
fn opening(campaign: &Campaign) -> Vec<Planned> {
    let kernel = &campaign.kernel;
    let boot = match kernel.boot_estimate_min {
        Some(boot) => minutes(boot),
        None => minutes(kernel.estimate_min).mul_f64(0.2),
    };
    vec![
        row(
            campaign,
            Action::Preflight,
            PREFLIGHT,
            format!(
                "pre-flight of the board {}: backups, capture, what must survive",
                campaign.board
            ),
            "backups on the board and on the host read back with equal hashes; pstore or serial captures"
                .into(),
            minutes(campaign.preflight.estimate_min),
        ),
        row(
            campaign,
            Action::BuildBaseline,
            BUILD,
            format!("build the {} kernel without any patch", kernel.profile),
            "every requested symbol is in the final .config; its release is not vanilla's".into(),
            minutes(kernel.estimate_min).saturating_sub(boot),
        ),
        row(
            campaign,
            Action::BootBaseline,
            BOOT,
            format!(
                "deploy it as {}, boot it once, smoke-test it, record the baseline",
                kernel.label
            ),
            "this very build runs; its checkers are alive; smoke tests pass; vanilla is the default".into(),
            boot.saturating_add(soak(&campaign.tests_of_baseline())),
        ),
    ]
}

/// What comes behind the last one.
fn closing(campaign: &Campaign) -> Planned {
    row(
        campaign,
        Action::Close,
        CLOSE,
        format!(
            "close: vanilla runs, is the default, and is byte for byte what it was; {} is written",
            campaign.closing
        ),
        "hashes of every protected file".into(),
        minutes(1),
    )
}

/// A row with the gates, the parts and the end that the campaign's file gives to what it does.
fn row(
    campaign: &Campaign,
    action: Action,
    id: &str,
    title: String,
    verified_by: String,
    estimate: Duration,
) -> Planned {
    let gates = gates::before(campaign, action);
    Planned {
        id: id.to_string(),
        title,
        verified_by,
        parts: parts::of(campaign, action),
        needs: gates.iter().map(|gate| gate.text(campaign)).collect(),
        gates,
        on_failure: on_failure(campaign, action),
        action,
        estimate,
        estimated_from: Source::Plan,
        note: None,
        phases: Vec::new(),
    }
}

fn soak(asks: &Asks) -> Duration {
    asks.soak.as_ref().map_or(Duration::ZERO, |soak| soak.length)
}

fn passes_when(campaign: &Campaign, step: &Step) -> String {
    let asks = campaign.tests_of(step);
    let tests: Vec<&str> = asks.tests.iter().map(|(test, _)| test.name.as_str()).collect();
    let mut needed = vec!["this build runs".to_string()];
    if step.expect == Expectation::NotExercised {
        needed.push("its modules load".into());
    }
    if !tests.is_empty() {
        needed.push(format!("{} with the right exit and output", tests.join(", ")));
    }
    if let Some(soak) = &asks.soak {
        needed.push(format!("a soak of {}", short(soak.length)));
    }
    needed.push("nothing new in the kernel log".into());
    let forbidden: Vec<String> = campaign
        .log
        .forbid
        .iter()
        .map(|word| format!("{word:?}"))
        .collect();
    if !forbidden.is_empty() {
        needed.push(format!("nothing like {} in it", forbidden.join(" or ")));
    }
    needed.push(match step.expect {
        Expectation::Exercised => format!("{} ran", step.exercise.join(" and ")),
        Expectation::NotExercised => "(the code itself cannot run on this board)".into(),
    });
    needed.join(", ")
}

fn on_failure(campaign: &Campaign, action: Action) -> String {
    match action {
        Action::Preflight => "no campaign: nothing was written beside vanilla".into(),
        Action::BuildBaseline => "stop: each symbol that is not as asked is explained".into(),
        Action::BootBaseline => {
            let fragments: Vec<String> = campaign
                .kernel
                .fragments
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!(
                "back to vanilla, stop: the debug configuration is the culprit, not the series ({})",
                fragments.join(", ")
            )
        }
        Action::Patch(index) => {
            let step = &campaign.steps[index];
            let patch = &step.patch;
            match step.on_failure {
                OnFailure::Stop => {
                    format!("capture, take back {patch} and nothing else, back to vanilla, stop")
                }
                OnFailure::ContinueWithout => format!(
                    "capture, take back {patch} and nothing else, back to vanilla; the patches that passed stay as a control, and the rest is tried without it"
                ),
            }
        }
        Action::Close => "a person is needed".into(),
    }
}

#[cfg(test)]
mod tests;
