//! Does a step that wedged without a word again on the kernels that `escalate` names, one at a time. The step's verdict stays; each kernel has
//! rows of its own, first without the patch, then with it.

use super::course::Course;
use super::hands::Hands;
use super::rows::{Next, Place, State, Walk, Work};
use crate::campaign::attempt::Asked;
use crate::campaign::escalation;
use crate::campaign::file::{Expectation, Step};
use crate::campaign::journal::Input;
use crate::campaign::journal::past::{JUDGE, Past, PastRow, Way};
use crate::campaign::left_out;
use crate::campaign::record::RowRecord;
use crate::campaign::verdict::Verdict;
use anyhow::{Context, Result};
use kernel_log::finding::Finding;

/// A row of an escalation that is over.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    id: String,
    verdict: Option<Verdict>,
}

/// Name of the file in the run's folder with what a kernel said without the patch.
fn findings_name(row: &str) -> String {
    format!("kept/findings-{row}.json")
}

/// What a kernel says without the patch, each title once, with how often.
fn by_itself(findings: &[Finding]) -> Vec<String> {
    let mut titles: Vec<(&str, usize)> = Vec::new();
    for finding in findings {
        match titles.iter_mut().find(|(title, _)| *title == finding.title) {
            Some((_, times)) => *times = times.saturating_add(1),
            None => titles.push((&finding.title, 1)),
        }
    }
    let sentence = |(title, times): &(&str, usize)| match times {
        1 => format!("it says by itself: {title}"),
        _ => format!("it says by itself, {times} times: {title}"),
    };
    titles.iter().map(sentence).collect()
}

impl<H: Hands> Walk<'_, H> {
    /// Escalates, where the last step asks for it and the campaign says to which kernels. Gives what follows: `next`, unless the board was lost; none
    /// when somebody asked to stop. The tree is where the step left it before and after. Dying at any instant it leaves what a step leaves, and
    /// what is settled is not done again.
    pub(super) fn escalate(&mut self, next: Next) -> Result<Option<Next>> {
        let campaign = self.course.campaign;
        if next == Next::Lost || self.course.options.search || campaign.kernel.escalate.is_empty() {
            return Ok(Some(next));
        }
        let due = escalation::due(&self.record.rows).map(|row| row.id.clone());
        let Some(step) = campaign.steps.iter().find(|step| Some(&step.id) == due.as_ref()) else {
            return Ok(Some(next));
        };
        for profile in &campaign.kernel.escalate {
            if self.settled(&escalation::with(&step.id, profile)).is_some() {
                continue;
            }
            let control = self.settled(&escalation::without(&step.id, profile));
            if control.is_some_and(|control| control.verdict != Some(Verdict::Pass)) {
                continue;
            }
            if self.stopped()? {
                return Ok(None);
            }
            if self.on_kernel_of(profile, step)? == Next::Lost {
                return Ok(Some(Next::Lost));
            }
        }
        Ok(Some(next))
    }

    fn settled(&self, id: &str) -> Option<&Settled> {
        self.state.escalated.iter().find(|row| row.id == id)
    }

    /// What earlier processes of this run have settled, under the same inputs.
    pub(super) fn restore_escalations(&mut self, past: &Past) -> Result<()> {
        let campaign = self.course.campaign;
        for step in &campaign.steps {
            for profile in &campaign.kernel.escalate {
                let inputs = self.inputs_of_escalation(&step.id, profile);
                for id in [
                    escalation::without(&step.id, profile),
                    escalation::with(&step.id, profile),
                ] {
                    let known = past.row(&id).filter(|row| row.inputs == inputs);
                    if let Some(known) = known.filter(|row| escalation::is_settled(row)) {
                        self.settle_again(known)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A verdict that was given before its process died stands, and its row gets its end: what it left was taken back.
    fn settle_again(&mut self, known: &PastRow) -> Result<()> {
        let is_over = known.ended.as_ref().is_some_and(|ended| ended.way == Way::Go);
        if let Some(record) = known.record().filter(|_| !is_over) {
            self.end_row(record, &Ok(Next::Go), Vec::new())?;
        }
        self.state.escalated.push(Settled {
            id: known.id.clone(),
            verdict: known.judged.as_ref().map(|judged| judged.verdict),
        });
        Ok(())
    }

    fn inputs_of_escalation(&self, step: &str, profile: &str) -> Vec<Input> {
        let mut inputs = self.course.inputs_of(step);
        let of_profile = self.course.inputs.profiles.get(profile);
        inputs.extend(of_profile.into_iter().flatten().cloned());
        inputs
    }

    /// Both rows of one kernel, as a walk of its own: nothing of its state is carried into the campaign's.
    fn on_kernel_of(&mut self, profile: &str, step: &Step) -> Result<Next> {
        let own = self.course.campaign;
        let inputs = self.inputs_of_escalation(&step.id, profile);
        let campaign = escalation::campaign(own, profile);
        let release = self.record.release.clone();
        self.hands.use_kernel(&campaign.kernel);
        let mut walk = Walk {
            hands: &mut *self.hands,
            course: Course {
                campaign: &campaign,
                ..self.course
            },
            journal: &mut *self.journal,
            record: self.record.clone(),
            state: State {
                fragments: self.state.fragments.clone(),
                escalated: self.state.escalated.clone(),
                left_out: self.state.left_out.clone(),
                // It is where the step left it, and stays so if pre-flight is still to be made.
                tree_is_right: true,
                ..State::default()
            },
        };
        let walked = walk.without_and_with(profile, step, inputs);
        let Walk { record, state, .. } = walk;
        self.record = record;
        self.record.release = release;
        self.state.escalated = state.escalated;
        self.hands.use_kernel(&own.kernel);
        walked
    }

    fn without_and_with(&mut self, profile: &str, step: &Step, inputs: Vec<Input>) -> Result<Next> {
        let without = escalation::without(&step.id, profile);
        if self.settled(&without).is_none() {
            let title = format!(
                "step {} wedged without a word: the {profile} kernel without {}, for something to compare with",
                step.id, step.patch
            );
            let minutes = self.course.campaign.kernel.estimate_min;
            let next = self.row_of(&without, title, minutes, inputs.clone(), |walk, work| {
                walk.without_patch(step, work)
            })?;
            let verdict = self.settled(&without).and_then(|row| row.verdict);
            if next != Next::Go || verdict != Some(Verdict::Pass) {
                return Ok(next);
            }
        }
        let title = format!("step {} again on the {profile} kernel: {}", step.id, step.patch);
        let with = escalation::with(&step.id, profile);
        self.row_of(&with, title, step.estimate_min, inputs, |walk, work| {
            walk.with_patch(step, &without, work)
        })
    }

    fn row_of(
        &mut self,
        id: &str,
        title: String,
        estimate_min: u32,
        inputs: Vec<Input>,
        act: impl FnOnce(&mut Self, &mut Work) -> Result<Next>,
    ) -> Result<Next> {
        let row = RowRecord {
            id: id.to_string(),
            title,
            started: jiff::Timestamp::now().to_string(),
            estimated_s: f64::from(estimate_min) * 60.0,
            ..RowRecord::default()
        };
        let next = self.row(row, inputs, |walk, work| {
            // A process that goes on with a run behind a verdict has not looked at the board yet.
            if !walk.hands.is_prepared() {
                walk.preflight(work)?;
            }
            act(walk, work)
        })?;
        if next == Next::Go {
            let row = self.record.rows.iter().find(|row| row.id == id);
            self.state.escalated.push(Settled {
                id: id.to_string(),
                verdict: row.and_then(|row| row.verdict),
            });
        }
        Ok(next)
    }

    /// The other kernel with what passed so far: what it says by itself, and whether it comes through the tests at all. A smoke test that fails
    /// here is told, and decides nothing.
    fn without_patch(&mut self, step: &Step, work: &mut Work) -> Result<Next> {
        if let Err(why) = self.build(work)? {
            return self.no_kernel(why, work);
        }
        let before = left_out::before(self.course.campaign, step, |step| {
            self.state.left_out.contains(&step.id)
        });
        let manifest = self.state.manifest.clone().context("nothing was built")?;
        let id = work.row.id.clone();
        let asked = Asked {
            row: &id,
            evidence: &id,
            manifest: &manifest,
            load: &before.load,
            tests: self.course.campaign.tests_of(&before),
            exercise: &[],
            known: None,
        };
        let mut booted = self.boot(&asked, work)?;
        let findings = std::mem::take(&mut booted.findings);
        self.keep(work, &findings_name(&id), &findings)?;
        let mut facts = vec![format!(
            "without the patch this kernel has {} findings",
            findings.len()
        )];
        facts.extend(by_itself(&findings));
        let failed = std::mem::take(&mut booted.seen.failed_tests);
        facts.extend(
            failed
                .iter()
                .map(|test| format!("as it is without the patch: {test}")),
        );
        self.tell(work, facts);
        if self.settle(booted, Expectation::Exercised, Vec::new(), JUDGE, work)? == Place::Lost {
            return Ok(Next::Lost);
        }
        if work.row.verdict != Some(Verdict::Pass) {
            work.row.reasons.push(format!(
                "this kernel is at fault without {}: there is nothing to compare with, and the step is not done again on it",
                step.patch
            ));
        }
        // What lies behind our label from now on is not the campaign's kernel.
        self.withdraw(work);
        Ok(Next::Go)
    }

    /// The step itself, and taking its patch back whatever it showed.
    fn with_patch(&mut self, step: &Step, without: &str, work: &mut Work) -> Result<Next> {
        let doing = || format!("reading back what step {without} left");
        let kept = self.hands.kept(&findings_name(without)).with_context(doing)?;
        self.state.baseline = serde_json::from_slice(&kept).with_context(doing)?;
        self.hands.check(&[&step.patch])?;
        self.apply(step, work)?;
        let before = (self.state.manifest.clone(), self.state.fragments.len());
        self.state.fragments.extend(step.fragments.iter().cloned());
        if let Err(why) = self.build(work)? {
            let next = self.no_kernel(why, work)?;
            self.take_back(step, before, work)?;
            return Ok(next);
        }
        let boots = self.boots(step, work)?;
        let fact =
            format!("findings are compared with those of row {without}, the same kernel without the patch");
        self.tell(work, vec![fact]);
        self.take_back(step, before, work)?;
        Ok(match boots.place {
            Place::Lost => Next::Lost,
            Place::OnVanilla => Next::Go,
        })
    }

    fn no_kernel(&mut self, why: String, work: &mut Work) -> Result<Next> {
        work.row.verdict = Some(Verdict::BuildFailed);
        work.row.reasons.push(why);
        self.judged(JUDGE, Vec::new(), None, work)?;
        Ok(Next::Go)
    }
}
