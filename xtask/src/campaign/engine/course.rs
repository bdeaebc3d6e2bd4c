//! What is walked: a plan with its options, and what the results of its rows depend on.

use crate::campaign::action::Action;
use crate::campaign::file::{Campaign, Step};
use crate::campaign::journal::Input;
use crate::campaign::plan::Planned;
use crate::campaign::resume::{Kind, Row};
use crate::campaign::walk::Options;
use std::collections::BTreeMap;

/// What is walked: the plan of a campaign, with the options and the inputs of its rows.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// The campaign, without what the options leave out.
    pub campaign: &'a Campaign,
    /// Its plan.
    pub plan: &'a [Planned],
    /// The options.
    pub options: &'a Options,
    /// What the results depend on.
    pub inputs: &'a Inputs,
}

/// What the results of a campaign's rows depend on.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Of every build and boot.
    pub shared: Vec<Input>,
    /// Of each step, by its number; the shared ones are in it.
    pub steps: BTreeMap<String, Vec<Input>>,
    /// What each profile of `escalate` adds to those of a step.
    pub profiles: BTreeMap<String, Vec<Input>>,
}

/// The row that stands for all boots of a bisection in the rule of resuming.
pub(super) const SEARCH: &str = "search";

impl<'a> Course<'a> {
    /// The rows of the plan for the rule of resuming.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for planned in self.plan {
            let (id, kind, inputs) = match planned.action {
                Action::Preflight => (&planned.id, Kind::Preflight, Vec::new()),
                Action::BuildBaseline => (&planned.id, Kind::Build, self.inputs.shared.clone()),
                Action::BootBaseline => (&planned.id, Kind::Baseline, self.inputs.shared.clone()),
                Action::Patch(_) if self.options.search => continue,
                Action::Patch(_) => (&planned.id, Kind::Patch, self.inputs_of(&planned.id)),
                Action::Close => (&planned.id, Kind::Close, Vec::new()),
            };
            if kind == Kind::Close && self.options.search {
                rows.push(Row {
                    id: SEARCH.into(),
                    kind: Kind::Search,
                    inputs: Vec::new(),
                    escalate: Vec::new(),
                });
            }
            let escalate = match kind {
                Kind::Patch => self.campaign.kernel.escalate.clone(),
                _ => Vec::new(),
            };
            rows.push(Row {
                id: id.clone(),
                kind,
                inputs,
                escalate,
            });
        }
        rows
    }

    /// The step that is applied and built while the board tests the kernel of a row: the one right behind it, where it is judged at all. (A
    /// patch that is only applied costs no time, and what a bisection asks for next is not known yet.)
    pub(super) fn built_during(&self, row: &str) -> Option<&'a Step> {
        if !self.campaign.kernel.prefetch {
            return None;
        }
        let at = self.plan.iter().position(|planned| planned.id == row)?;
        let boots = |action| matches!(action, Action::BootBaseline | Action::Patch(_));
        match (self.plan[at].action, self.plan.get(at.checked_add(1)?)?.action) {
            (this, Action::Patch(next)) if boots(this) => {
                let step = &self.campaign.steps[next];
                (!self.options.carries(self.campaign, step)).then_some(step)
            }
            _ => None,
        }
    }

    pub(super) fn inputs_of(&self, step: &str) -> Vec<Input> {
        self.inputs.steps.get(step).cloned().unwrap_or_default()
    }
}

/// Name of the file in the run's folder with what a row built.
pub(super) fn manifest_name(row: &str) -> String {
    format!("kept/manifest-{row}.json")
}

/// The row whose build a kept file describes.
pub(super) fn row_of_manifest(name: &str) -> Option<String> {
    let row = name.strip_prefix("kept/manifest-")?.strip_suffix(".json")?;
    Some(row.to_string())
}

/// Name of the file in the run's folder with the findings of the baseline.
pub(super) const BASELINE: &str = "kept/baseline.json";
