//! The plan: what a campaign will do, as a value. `--dry-run` prints it, the engine executes it, the report tells it.

use super::estimates::Source;
use super::file::{Campaign, Expectation};
use serde::Serialize;
use std::time::Duration;

/// One row of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Number: `0.1`, `1.3`, `2.1`.
    pub id: String,
    /// What is done.
    pub title: String,
    /// What has to be true for it to pass.
    pub verified_by: String,
    /// What it does when it is executed.
    #[serde(skip)]
    pub action: Action,
    /// How long it is thought to take.
    pub estimate: Duration,
    /// Where the estimate is from.
    pub estimated_from: Source,
    /// How long each phase of it took in earlier runs; empty where there are none.
    #[serde(skip)]
    pub phases: Vec<(String, Duration)>,
}

/// What the engine does for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Backups, protected files, capture: before anything is written beside vanilla.
    Preflight,
    /// The debug kernel without any patch: build and stage.
    BuildBaseline,
    /// The debug kernel without any patch: deploy, boot, smoke-test, record.
    BootBaseline,
    /// The step with this index in [`Campaign::steps`].
    Patch(usize),
    /// Vanilla runs, is the default, and is what it was.
    Close,
}

/// The plan of a campaign. `subject_of` gives the subject of a patch for print.
pub fn plan(campaign: &Campaign, subject_of: impl Fn(&str) -> String) -> Vec<Planned> {
    let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
    let kernel = minutes(campaign.kernel.estimate_min);
    let row = |id: &str, title: String, verified_by: &str, action, estimate| Planned {
        id: id.to_string(),
        title,
        verified_by: verified_by.to_string(),
        action,
        estimate,
        estimated_from: Source::Plan,
        phases: Vec::new(),
    };
    let mut rows = vec![
        row(
            "0",
            format!(
                "pre-flight of the board {}: backups, capture, what must survive",
                campaign.board
            ),
            "backups on the board and on the host read back with equal hashes; pstore or serial captures",
            Action::Preflight,
            minutes(1),
        ),
        row(
            "1.1",
            format!("build the {} kernel without any patch", campaign.kernel.profile),
            "every requested symbol is in the final .config; its release is not vanilla's",
            Action::BuildBaseline,
            kernel.mul_f64(0.8),
        ),
        row(
            "1.2",
            format!(
                "deploy it as {}, boot it once, smoke-test it, record the baseline",
                campaign.kernel.label
            ),
            "this very build runs; lockdep is alive; vanilla is the default",
            Action::BootBaseline,
            kernel.mul_f64(0.2),
        ),
    ];
    for (index, step) in campaign.steps.iter().enumerate() {
        let verified_by = match step.expect {
            Expectation::Exercised => format!(
                "this build runs, smoke tests pass, nothing new in the log, {} ran",
                step.exercise.join(" and ")
            ),
            Expectation::NotExercised => {
                "this build runs and its modules load, smoke tests pass, nothing new in the log \
                 (the code itself cannot run on this board)"
                    .to_string()
            }
        };
        rows.push(row(
            &step.id,
            format!("{} {}", step.patch, subject_of(&step.patch)),
            &verified_by,
            Action::Patch(index),
            minutes(step.estimate_min),
        ));
    }
    rows.push(row(
        "3",
        "close: vanilla runs, is the default, and is byte for byte what it was".into(),
        "hashes of every protected file",
        Action::Close,
        minutes(1),
    ));
    rows
}
