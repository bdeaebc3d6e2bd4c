//! One step of a campaign: review, patch, build, boots, verdict; and taking back exactly this patch.

use super::ahead::Ahead;
use super::hands::Hands;
use super::rows::{Next, Place, Walk, Work};
use crate::campaign::attempt::Asked;
use crate::campaign::build::{changed_modules, told_and_real};
use crate::campaign::decode::Traced;
use crate::campaign::file::{Expectation, Step};
use crate::campaign::harvest;
use crate::campaign::journal::past::{ATTEMPT, JUDGE, Judged};
use crate::campaign::left_out;
use crate::campaign::phase;
use crate::campaign::record::{End, FindingRecord};
use crate::campaign::verdict::{self, Verdict};
use crate::host::json::json;
use crate::manifest::Manifest;
use anyhow::{Context, Result};
use kernel_log::baseline::{self, Signature};

/// What the state was before a patch, for taking it back.
pub(super) type Before = (Option<Manifest>, usize);

/// What the boots of one build came to.
pub(super) struct Boots {
    pub place: Place,
    pub good: bool,
}

impl<H: Hands> Walk<'_, H> {
    pub(super) fn patch(&mut self, index: usize, work: &mut Work) -> Result<Next> {
        let course = self.course;
        let step = &course.campaign.steps[index];
        if let Some(next) = self.review(step, work)? {
            return Ok(next);
        }
        let ahead = self.take_ahead(step);
        match &ahead {
            Some(ahead) => self.applied(step, &ahead.commit, work)?,
            None => {
                if let Err(why) = self.hands.check(&[&step.patch]) {
                    work.row.verdict = Some(Verdict::DoesNotApply);
                    work.row.reasons.push(format!("{why:#}"));
                    self.judged(JUDGE, Vec::new(), None, work)?;
                    return Ok(Next::Stop(self.state.end_without_this_patch()));
                }
                self.apply(step, work)?;
            }
        }
        let before = (self.state.manifest.clone(), self.state.fragments.len());
        self.state.fragments.extend(step.fragments.iter().cloned());
        if course.options.carries(course.campaign, step) {
            let fact = "applied and not judged: the run begins with a later step".to_string();
            self.tell(work, vec![fact]);
            return Ok(Next::Go);
        }
        if let Err(why) = self.built(ahead.as_ref(), work)? {
            work.row.verdict = Some(Verdict::BuildFailed);
            work.row.reasons.push(why);
            self.judged(JUDGE, Vec::new(), None, work)?;
            self.take_back(step, before, work)?;
            return Ok(Next::Stop(self.state.end_without_this_patch()));
        }
        let facts = told_and_real(&step.rebuild, before.0.as_ref(), self.state.manifest.as_ref());
        self.tell(work, facts);
        if let Some(patch) = &mut work.row.patch {
            patch.modules = changed_modules(before.0.as_ref(), self.state.manifest.as_ref());
        }
        if self.lacks(step, work)? {
            self.take_back(step, before, work)?;
            return Ok(Next::Stop(self.state.end_without_this_patch()));
        }
        self.begin_ahead(&step.id)?;
        let boots = match self.reload(step, before.0.as_ref(), work)? {
            Place::OnVanilla => self.boots(step, work)?,
            Place::Lost => Boots {
                place: Place::Lost,
                good: false,
            },
        };
        if boots.place == Place::OnVanilla && boots.good {
            self.state.passed = self.state.passed.saturating_add(1);
            return Ok(Next::Go);
        }
        self.drop_ahead(&step.id)?;
        self.take_back(step, before, work)?;
        Ok(match boots.place {
            Place::Lost => Next::Lost,
            Place::OnVanilla => Next::Stop(self.state.end_without_this_patch()),
        })
    }

    /// The review gate: nothing is applied that nobody approved, where the campaign asks for an approval.
    pub(super) fn review(&mut self, step: &Step, work: &mut Work) -> Result<Option<Next>> {
        if !step.review {
            return Ok(None);
        }
        let Some(why) = self.hands.review_missing(&step.patch)? else {
            self.tell(work, vec!["its very content is approved by a review".into()]);
            return Ok(None);
        };
        work.row.verdict = Some(Verdict::ReviewMissing);
        work.row.reasons.push(format!(
            "{} may not be applied before a review approves its very content; {why}: `cargo xtask review {} --approve --by NAME`, then `cargo xtask \
             resume`",
            step.patch, step.patch
        ));
        self.judged(JUDGE, Vec::new(), None, work)?;
        Ok(Some(Next::Stop(End::PersonNeeded)))
    }

    pub(super) fn apply(&mut self, step: &Step, work: &mut Work) -> Result<()> {
        let inputs = json!({ "patch": step.patch });
        let applied = self.act(
            work,
            (phase::APPLY, "apply"),
            inputs,
            |hands| hands.apply(&step.patch),
            |applied| json!(applied),
        )?;
        self.applied(step, &applied, work)
    }

    fn applied(&mut self, step: &Step, commit: &str, work: &mut Work) -> Result<()> {
        work.row.patch = Some(self.hands.patch_record(&step.patch, commit)?);
        work.row.facts.push(format!(
            "{} applied as commit {}",
            step.patch,
            commit.get(..12).unwrap_or(commit)
        ));
        Ok(())
    }

    /// The build of this step: the one that was begun ahead, or one now.
    fn built(&mut self, ahead: Option<&Ahead>, work: &mut Work) -> Result<std::result::Result<(), String>> {
        if let Some(ahead) = ahead
            && let Some(built) = self.end_ahead(ahead, work)?
        {
            return self.take_built(built, work);
        }
        self.build(work)
    }

    /// Whether the build lacks what the step asks of it: then the row is judged, and nothing is
    /// booted.
    fn lacks(&mut self, step: &Step, work: &mut Work) -> Result<bool> {
        let faults = self.hands.faults(step)?;
        self.tell(work, faults.facts);
        let verdict = match (faults.build.is_empty(), faults.exercise.is_empty()) {
            (true, true) => return Ok(false),
            (false, _) => Verdict::BuildFailed,
            (true, false) => Verdict::NotExercised,
        };
        work.row.verdict = Some(verdict);
        work.row.reasons.extend(faults.build);
        work.row.reasons.extend(faults.exercise);
        work.row
            .reasons
            .push("nothing was booted: correct the campaign file or the patch, and run it again".into());
        self.judged(JUDGE, Vec::new(), None, work)?;
        Ok(true)
    }

    /// Boots the build as often as the options say, and judges it.
    pub(super) fn boots(&mut self, step: &Step, work: &mut Work) -> Result<Boots> {
        let repeat = self.course.options.repeat.get() as usize;
        if repeat == 1 {
            let place = self.boot_step(step, &work.row.id.clone(), JUDGE, work)?;
            let good = work.row.verdict == Some(Verdict::Pass) || work.row.as_declared;
            return Ok(Boots { place, good });
        }
        let mut attempts = std::mem::take(&mut self.state.attempts);
        let mut place = Place::OnVanilla;
        while attempts.len() < repeat && place == Place::OnVanilla {
            let number = attempts.len().saturating_add(1);
            self.hands.say(&format!("    boot {number} of {repeat}"));
            let evidence = format!("{}/{number}", work.row.id);
            place = self.boot_step(step, &evidence, ATTEMPT, work)?;
            attempts.push(Judged {
                verdict: work.row.verdict.context("a boot was judged")?,
                reasons: work.row.reasons.clone(),
                as_declared: work.row.as_declared,
                lockdep_off: Vec::new(),
                record: None,
                seen: None,
            });
        }
        self.judge_all(&attempts, step.expect, work)?;
        let good = work.row.verdict == Some(Verdict::Pass) || work.row.as_declared;
        Ok(Boots { place, good })
    }

    /// The verdict over several boots.
    fn judge_all(&mut self, attempts: &[Judged], expect: Expectation, work: &mut Work) -> Result<()> {
        let declared = |verdict| verdict == Verdict::NotExercised && expect == Expectation::NotExercised;
        let all: Vec<(Verdict, Vec<String>)> = attempts
            .iter()
            .map(|judged| (judged.verdict, judged.reasons.clone()))
            .collect();
        let (verdict, reasons) = verdict::of_repeats(&all, declared);
        work.row.verdict = Some(verdict);
        work.row.as_declared = declared(verdict);
        work.row.reasons = reasons;
        let each: Vec<&str> = all.iter().map(|(verdict, _)| verdict.text()).collect();
        self.tell(work, vec![format!("{} boots: {}", all.len(), each.join(", "))]);
        let off = attempts.iter().flat_map(|judged| judged.lockdep_off.clone());
        self.judged(JUDGE, off.collect(), None, work)
    }

    /// The step with what its tests come to without the patches that this run has left out.
    pub(super) fn expected(&self, step: &Step) -> Step {
        let is_left_out = |step: &Step| self.state.left_out.contains(&step.id);
        left_out::expected(self.course.campaign, step, is_left_out)
    }

    /// One boot of what was built for a step, judged.
    fn boot_step(&mut self, step: &Step, evidence: &str, action: &str, work: &mut Work) -> Result<Place> {
        let manifest = self.state.manifest.clone().context("nothing was built")?;
        let id = work.row.id.clone();
        let baseline = self.state.baseline.clone();
        let expected = self.expected(step);
        work.row.load.clone_from(&step.load);
        let asked = Asked {
            row: &id,
            evidence,
            manifest: &manifest,
            load: &step.load,
            tests: self.course.campaign.tests_of(&expected),
            exercise: &step.exercise,
            known: Some(&baseline),
        };
        let mut booted = self.boot(&asked, work)?;
        if step.exercise.is_empty() {
            booted
                .seen
                .not_run
                .push("nothing on this board runs the code of this patch".into());
        }
        booted.seen.warnings.clone_from(&work.warnings);
        // What the kernel says itself names the fault best: it comes before the taint and the forbidden lines that are there already.
        let others = std::mem::take(&mut booted.seen.new_findings);
        let mut lockdep_off = Vec::new();
        let accepted = self.hands.accepted()?;
        for finding in harvest::new_findings(&baseline, &booted.findings) {
            let signature = Signature::of(&finding);
            let word = accepted.iter().find(|word| word.signature.matches(&signature));
            if let Some(word) = word.filter(|_| !baseline::never_accepted(&finding)) {
                let fact = format!("{} was accepted by {}: {}", finding.title, word.by, word.why);
                work.row.facts.push(fact);
                continue;
            }
            booted.seen.new_findings.push(finding.title.clone());
            if finding.lockdep_off {
                lockdep_off.push(finding.title.clone());
            }
            let commit = work
                .row
                .patch
                .as_ref()
                .map_or(&manifest.commit, |patch| &patch.commit);
            let traced = self.hands.decode(&manifest, commit, &finding);
            let traced = traced.unwrap_or_else(|error| {
                let fact = format!("the trace could not be decoded: {error:#}");
                work.row.facts.push(fact);
                Traced::default()
            });
            work.row.findings.push(FindingRecord {
                title: finding.title,
                severity: format!("{:?}", finding.severity).to_lowercase(),
                source: finding.source,
                time: finding.time,
                wall: finding.wall,
                excerpt: finding.excerpt.join("\n"),
                decoded: traced.decoded,
                suspect: traced.suspect,
            });
        }
        booted.seen.new_findings.extend(others);
        self.settle(booted, step.expect, lockdep_off, action, work)
    }

    /// Takes back exactly this patch (invariant 14): tree, configuration, and on the board our label, so that the kernel with the patch cannot
    /// be chosen any more; the next deploy brings it back. What was captured stays.
    pub(super) fn take_back(&mut self, step: &Step, before: Before, work: &mut Work) -> Result<()> {
        let inputs = json!({ "patch": step.patch });
        let head = self.act(
            work,
            (phase::TAKE_BACK, "revert"),
            inputs,
            |hands| hands.revert(&step.patch),
            |head| json!(head),
        )?;
        self.state.manifest = before.0;
        self.state.fragments.truncate(before.1);
        let head = head.get(..12).unwrap_or(&head);
        let fact = format!(
            "{} was taken back, and nothing else: the tree is at {head} again",
            step.patch
        );
        self.tell(work, vec![fact]);
        self.withdraw(work);
        Ok(())
    }

    /// Takes our label out; where that cannot be done, it is among the row's reasons.
    pub(super) fn withdraw(&mut self, work: &mut Work) {
        let taken = self.act(
            work,
            (phase::TAKE_BACK, "withdraw-label"),
            json!({}),
            |hands| hands.withdraw(),
            |()| json!("it is gone"),
        );
        match taken {
            Ok(()) => self.tell(
                work,
                vec!["our label was taken out: the kernel that was tested cannot be chosen any more".into()],
            ),
            Err(error) => work
                .row
                .reasons
                .push(format!("our label could not be taken out: {error:#}")),
        }
    }
}
