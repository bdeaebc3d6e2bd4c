//! Carries out what the rule decided about a run that was cut off: takes back what it left, then goes on.

use super::course::{BASELINE, manifest_name};
use super::hands::Hands;
use super::rows::{Next, Walk, Work};
use super::searching;
use crate::campaign::action::Action;
use crate::campaign::journal::Event;
use crate::campaign::journal::past::{Past, PastRow};
use crate::campaign::phase;
use crate::campaign::record::RowRecord;
use crate::campaign::resume::{Decision, TakeBack};
use crate::campaign::search;
use crate::host::json::json;
use crate::manifest::Manifest;
use anyhow::{Context, Result, bail};

impl<H: Hands> Walk<'_, H> {
    /// Goes on with a run. Dying at any instant it can be decided and done again: nothing is taken as done that the journal does not say.
    pub(super) fn resume(&mut self, past: &Past, decision: Decision) -> Result<()> {
        self.journal.note(Event::Resumed, "", &decision)?;
        self.record.started.clone_from(&past.started);
        self.record.rows = past.records();
        // The last look is always the last row, and is done again.
        let closes = |id: &str| {
            let plan = self.course.plan;
            plan.iter().any(|row| row.action == Action::Close && row.id == id)
        };
        self.record.rows.retain(|row| !closes(&row.id));
        let row = |title: &str| RowRecord {
            id: format!("r{}", past.resumed.saturating_add(1)),
            title: title.to_string(),
            ..RowRecord::default()
        };
        match decision {
            Decision::Go {
                row: next,
                take_back,
                reapply,
                why,
            } => {
                let begin = row(
                    "go on with a run that was cut off: look, take back what it left, make the board ready",
                );
                self.row(begin, Vec::new(), |walk, work| {
                    let fact = format!("it goes on with step {next} from its beginning: {why}");
                    walk.tell(work, vec![fact]);
                    walk.take_back_rest(&take_back, work)?;
                    walk.restore(past, &next)?;
                    walk.make_ready(&next, &reapply, work)
                })?;
                self.go_on(self.place_of(&next))
            }
            Decision::Finish {
                row: judged,
                take_back,
            } => {
                let begin = row(
                    "finish a run that was cut off behind a verdict: take back what it left; nothing is booted again",
                );
                self.row(begin, Vec::new(), |walk, work| {
                    walk.take_back_rest(&take_back, work)?;
                    walk.restore(past, &judged)?;
                    if walk.after_a_failure(&judged) != Next::Without {
                        return Ok(Next::Go);
                    }
                    walk.state.left_out.push(judged.clone());
                    walk.make_ready(&judged, &[], work)
                })?;
                let known = past.row(&judged).context("the step is in the journal")?;
                match self.end_again(known)? {
                    Next::Without => self.go_on(self.place_of(&judged).saturating_add(1)),
                    next => self.finish(next),
                }
            }
            Decision::Close { take_back } => {
                let begin = row("finish a run that was cut off behind its last step");
                self.row(begin, Vec::new(), |walk, work| {
                    walk.take_back_rest(&take_back, work)?;
                    // Every row: none of this name is in the plan.
                    walk.restore(past, "")?;
                    Ok(Next::Go)
                })?;
                let end = self.end_of_the_whole();
                self.finish(Next::Stop(end))
            }
            other => bail!("there is nothing to go on with: {other:?}"),
        }
    }

    /// Board, label, tree; each is looked at first by whoever decided, so that nothing is done that need not be.
    fn take_back_rest(&mut self, rest: &TakeBack, work: &mut Work) -> Result<()> {
        if let Some(reset) = rest.vanilla {
            self.hands.to_vanilla(reset, &work.row.id, self.journal)?;
            let fact = format!("the board was brought back to vanilla by {}", reset.name());
            self.tell(work, vec![fact]);
        }
        if rest.label {
            self.act(
                work,
                (phase::TAKE_BACK, "withdraw-label"),
                json!({}),
                |hands| hands.withdraw(),
                |()| json!("it is gone"),
            )?;
            self.tell(work, vec!["our label was taken out".into()]);
        }
        if let Some(commit) = &rest.tree_to {
            let removed = self.act(
                work,
                (phase::TAKE_BACK, "move-tree"),
                json!({ "to": commit }),
                |hands| hands.tree_to(Some(commit)),
                |removed| json!(removed),
            )?;
            let fact = format!(
                "the tree is at {} again ({removed} patches were taken back)",
                commit.get(..12).unwrap_or(commit)
            );
            self.tell(work, vec![fact]);
        }
        Ok(())
    }

    /// What an uninterrupted process would carry into this row.
    fn restore(&mut self, past: &Past, row: &str) -> Result<()> {
        let course = self.course;
        let before = course.plan.iter().take_while(|planned| planned.id != row);
        for planned in before {
            let Some(known) = past.row(&planned.id).filter(|known| known.counts_as_done()) else {
                continue;
            };
            if known.is_left_out() {
                self.state.left_out.push(known.id.clone());
                continue;
            }
            let kept = known.ended.iter().flat_map(|ended| &ended.kept);
            for kept in kept {
                let doing = || format!("reading back what step {} left", known.id);
                let bytes = self.hands.kept(&kept.name).with_context(doing)?;
                if kept.name == BASELINE {
                    self.state.baseline = serde_json::from_slice(&bytes).with_context(doing)?;
                } else if kept.name == manifest_name(&known.id) && known.overruled.is_none() {
                    self.state.manifest = Some(Manifest::parse(&bytes).with_context(doing)?);
                }
            }
            if let Action::Patch(index) = planned.action {
                let step = &course.campaign.steps[index];
                self.state.fragments.extend(step.fragments.iter().cloned());
                let passed = usize::from(!course.options.carries(course.campaign, step));
                self.state.passed = self.state.passed.saturating_add(passed);
            }
        }
        for known in &past.rows {
            let steps = course.campaign.steps.len();
            let first = search::first_of(&known.id).filter(|first| (1..=steps).contains(first));
            if let Some(first) = first {
                let inputs = self.inputs_of_first(first);
                self.state
                    .shown
                    .extend(searching::shown_earlier(known, steps, &inputs));
            }
        }
        if let Some(known) = past.row(row).filter(|known| known.is_unfinished()) {
            let same = known.inputs == course.inputs_of(row);
            self.state.attempts = known.attempts.iter().filter(|_| same).cloned().collect();
        }
        self.restore_escalations(past)?;
        if let Some(manifest) = &self.state.manifest {
            self.record.release.clone_from(&manifest.release);
        }
        Ok(())
    }

    /// Where a row stands in the plan. The boots of a bisection stand behind all fixed rows.
    fn place_of(&self, row: &str) -> usize {
        let plan = self.course.plan;
        plan.iter()
            .position(|planned| planned.id == row)
            .unwrap_or(plan.len())
    }

    /// Pre-flight, which is always looked at anew, and the patches that a person let pass; unless the plan begins from its first row anyway.
    fn make_ready(&mut self, row: &str, reapply: &[String], work: &mut Work) -> Result<Next> {
        let course = self.course;
        let at = self.place_of(row);
        if at == 0 {
            return Ok(Next::Go);
        }
        self.state.tree_is_right = true;
        self.preflight(work)?;
        for id in reapply {
            let step = course.campaign.steps.iter().find(|step| step.id == *id);
            let step = step.with_context(|| format!("the campaign has no step {id}"))?;
            self.apply(step, work)?;
        }
        // Of a series with a hole each patch is tried when its turn comes.
        if !course.options.search && self.state.left_out.is_empty() {
            let left = course
                .plan
                .iter()
                .skip(at)
                .filter_map(|planned| match planned.action {
                    Action::Patch(index) => Some(course.campaign.steps[index].patch.as_str()),
                    _ => None,
                });
            let left: Vec<&str> = left.collect();
            self.foresee(&left, work);
        }
        Ok(Next::Go)
    }

    /// Ends a row whose verdict was given before its process died.
    fn end_again(&mut self, known: &PastRow) -> Result<Next> {
        let judged = known.judged.as_ref().context("its verdict is in the journal")?;
        let next = Ok(self.after_a_failure(&known.id));
        let mut row = match (&known.ended, &judged.record) {
            (Some(ended), _) => ended.record.clone(),
            (None, Some(record)) => (**record).clone(),
            (None, None) => RowRecord {
                id: known.id.clone(),
                title: known.title.clone(),
                verdict: Some(judged.verdict),
                reasons: judged.reasons.clone(),
                ..RowRecord::default()
            },
        };
        row.facts.push(
            "the run was cut off after this verdict; what the step had left was taken back later".into(),
        );
        self.end_row(row, &next, Vec::new())?;
        next
    }

    /// What follows a row that has failed, and whose patch was taken back.
    fn after_a_failure(&self, row: &str) -> Next {
        let next = Next::Stop(self.state.end_without_this_patch());
        let step = self.course.campaign.steps.iter().find(|step| step.id == row);
        step.map_or(next, |step| next.of(step))
    }
}
