//! The walk through a plan: each row between its beginning and its end in the journal, timed and told.

use super::Start;
use super::ahead::Ahead;
use super::course::Course;
use super::hands::Hands;
use crate::campaign::action::Action;
use crate::campaign::attempt::{Asked, Booted};
use crate::campaign::file::{Expectation, OnFailure, Step};
use crate::campaign::journal::Input;
use crate::campaign::journal::past::{self, Judged, Kept, RowBegun, RowEnded, Way};
use crate::campaign::journal::{Event, Journal};
use crate::campaign::pace;
use crate::campaign::phase::Phase;
use crate::campaign::plan::Planned;
use crate::campaign::record::{End, RowRecord, RunRecord};
use crate::campaign::report;
use crate::campaign::search::Shown;
use crate::campaign::stop_asked::StopAsked;
use crate::campaign::stopwatch::Stopwatch;
use crate::campaign::verdict::{self, Verdict};
use crate::host::files;
use crate::host::json::json;
use crate::manifest::Manifest;
use anyhow::{Context, Result};
use kernel_log::finding::Finding;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Instant;

/// What is carried from row to row.
#[derive(Default)]
pub(super) struct State {
    pub manifest: Option<Manifest>,
    pub baseline: Vec<Finding>,
    /// Fragments that came with patches so far.
    pub fragments: Vec<PathBuf>,
    pub passed: usize,
    /// Boots of the next row that an earlier process has judged.
    pub attempts: Vec<Judged>,
    /// Rows of escalations that are over.
    pub escalated: Vec<super::escalating::Settled>,
    /// Steps whose patches failed and were left out, as they ask.
    pub left_out: Vec<String>,
    /// Boots of a bisection that an earlier process has judged.
    pub shown: Vec<(usize, Shown)>,
    /// The tree stays as it is: a run is continued.
    pub tree_is_right: bool,
    /// The patch of the next row, which is in the tree already.
    pub ahead: Option<Ahead>,
}

impl State {
    /// How a campaign ends that stops at a patch, which was taken back.
    pub fn end_without_this_patch(&self) -> End {
        if self.passed == 0 {
            End::Failure
        } else {
            End::PartialSuccess
        }
    }
}

/// A row that is being executed.
#[derive(Default)]
pub(super) struct Work {
    pub watch: Stopwatch,
    pub row: RowRecord,
    pub kept: Vec<Kept>,
    /// What the compiler newly says about files of the patch.
    pub warnings: Vec<String>,
}

/// Where the board is after a boot of the debug slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    OnVanilla,
    Lost,
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    /// The run goes on without the patch of this row, which failed.
    Without,
    Stop(End),
    Lost,
}

impl Next {
    fn way(self) -> Way {
        match self {
            Next::Go => Way::Go,
            Next::Without => Way::Without,
            Next::Stop(_) => Way::Stop,
            Next::Lost => Way::Lost,
        }
    }

    /// What follows a step, as the step says: one that stopped the run for its patch alone may be left out.
    pub(super) fn of(self, step: &Step) -> Next {
        match (self, step.on_failure) {
            (Next::Stop(End::Failure | End::PartialSuccess), OnFailure::ContinueWithout) => Next::Without,
            _ => self,
        }
    }

    fn end(self) -> Option<End> {
        match self {
            Next::Go | Next::Without => None,
            Next::Stop(end) => Some(end),
            Next::Lost => Some(End::PersonNeeded),
        }
    }
}

/// One process's way through a plan.
pub(super) struct Walk<'a, H: Hands> {
    pub hands: &'a mut H,
    pub course: Course<'a>,
    pub journal: &'a mut Journal,
    pub record: RunRecord,
    pub state: State,
}

impl<'a, H: Hands> Walk<'a, H> {
    pub fn new(hands: &'a mut H, course: Course<'a>, journal: &'a mut Journal, record: RunRecord) -> Self {
        Walk {
            hands,
            course,
            journal,
            record,
            state: State::default(),
        }
    }

    /// Walks; gives the record. Its end is none when somebody asked to stop.
    pub fn run(mut self, start: Start) -> Result<RunRecord> {
        match self.begin(start) {
            Err(error) if error.is::<StopAsked>() => {
                self.hands.say(&format!("{error:#}"));
                Ok(self.record)
            }
            walked => walked.map(|()| self.record),
        }
    }

    fn begin(&mut self, start: Start) -> Result<()> {
        match start {
            Start::Anew { begin, vanilla } => {
                self.journal.note(Event::Begin, "", &begin)?;
                if let Some(reset) = vanilla {
                    self.hands.say(&format!(
                        "the board is brought back to vanilla by {}",
                        reset.name()
                    ));
                    self.hands.to_vanilla(reset, "", self.journal)?;
                }
                self.go_on(0)
            }
            Start::Resume(past, decision) => self.resume(past, decision),
        }
    }

    /// Executes the plan from this row on.
    pub(super) fn go_on(&mut self, from: usize) -> Result<()> {
        let course = self.course;
        let is_left = |planned: &&Planned| match planned.action {
            Action::Close => false,
            Action::Patch(_) => !course.options.search,
            _ => true,
        };
        for planned in course.plan[from..].iter().filter(is_left) {
            if self.stopped()? {
                return Ok(());
            }
            match self.escalate(Next::Go)? {
                Some(Next::Go) => {}
                Some(lost) => return self.finish(lost),
                None => return Ok(()),
            }
            match self.planned(planned)? {
                Next::Go => {}
                Next::Without => self.state.left_out.push(planned.id.clone()),
                over => return self.finish(over),
            }
        }
        if course.options.search {
            return match self.search()? {
                Some(next) => self.finish(next),
                None => Ok(()),
            };
        }
        let end = self.end_of_the_whole();
        self.finish(Next::Stop(end))
    }

    /// A series of which a patch was left out has not passed as a whole.
    pub(super) fn end_of_the_whole(&self) -> End {
        if !self.state.left_out.is_empty() {
            self.state.end_without_this_patch()
        } else if self.course.options.is_whole() {
            End::Success
        } else {
            End::PartialSuccess
        }
    }

    /// Whether somebody asked to stop; then it is said, and the record is kept without an end.
    pub(super) fn stopped(&mut self) -> Result<bool> {
        if !self.hands.stop_asked() {
            return Ok(false);
        }
        self.drop_ahead("")?;
        self.hands
            .say("stopped between two steps, as asked: the board runs vanilla");
        self.hands.save(&self.record)?;
        Ok(true)
    }

    /// The last look, and the end.
    pub(super) fn finish(&mut self, next: Next) -> Result<()> {
        let Some(next) = self.escalate(next)? else {
            return Ok(());
        };
        let mut end = next.end().unwrap_or(End::Success);
        let mut person = None;
        let plan = self.course.plan;
        let closes = plan.iter().filter(|row| row.action == Action::Close);
        for planned in closes.filter(|_| next != Next::Lost) {
            if let Next::Stop(_) = self.planned(planned)? {
                end = End::PersonNeeded;
            }
        }
        if end == End::PersonNeeded {
            let last = self.record.rows.iter().rev().find(|row| !row.reasons.is_empty());
            person = last.map(|row| format!("step {}: {}", row.id, row.reasons.join("; ")));
        }
        self.journal.note(Event::End, "", &past::Ended { end, person })?;
        self.record.end = Some(end);
        self.hands.save(&self.record)
    }

    pub(super) fn planned(&mut self, planned: &Planned) -> Result<Next> {
        let row = RowRecord {
            id: planned.id.clone(),
            title: planned.title.clone(),
            started: jiff::Timestamp::now().to_string(),
            estimated_s: planned.estimate.as_secs_f64(),
            estimated_from: planned.estimated_from,
            of_patch: match planned.action {
                Action::Patch(index) => Some(self.course.campaign.steps[index].patch.clone()),
                _ => None,
            },
            ..RowRecord::default()
        };
        let inputs = match planned.action {
            Action::Preflight | Action::Close => Vec::new(),
            Action::BuildBaseline | Action::BootBaseline => self.course.inputs.shared.clone(),
            Action::Patch(_) => self.course.inputs_of(&planned.id),
        };
        let next = self.row(row, inputs, |walk, work| match planned.action {
            Action::Preflight => walk.preflight(work),
            Action::BuildBaseline => walk.build_baseline(work),
            Action::BootBaseline => {
                walk.begin_ahead(&planned.id)?;
                walk.baseline(work)
            }
            Action::Patch(index) => Ok(walk.patch(index, work)?.of(&walk.course.campaign.steps[index])),
            Action::Close => walk.close(work),
        });
        match next {
            Ok(Next::Go) => Ok(Next::Go),
            Ok(next) => self.drop_ahead(&planned.id).map(|()| next),
            Err(error) => {
                if let Err(why) = self.drop_ahead(&planned.id) {
                    self.hands.say(&format!("    {why:#}"));
                }
                Err(error)
            }
        }
    }

    /// One row: its beginning and its end in the journal, its times, its place in the record.
    pub(super) fn row(
        &mut self,
        row: RowRecord,
        inputs: Vec<Input>,
        act: impl FnOnce(&mut Self, &mut Work) -> Result<Next>,
    ) -> Result<Next> {
        let started = Instant::now();
        let (id, title) = (row.id.clone(), row.title.clone());
        self.hands.say(&format!("{id} {title}"));
        let begun = RowBegun {
            title: title.clone(),
            inputs,
            head: self.head()?,
        };
        self.journal.note(Event::RowBegun, &id, &begun)?;
        let mut work = Work {
            row,
            watch: self.hands.begins(&id),
            ..Work::default()
        };
        let next = act(self, &mut work);
        let Work {
            watch, mut row, kept, ..
        } = work;
        row.took_s = started.elapsed().as_secs_f64();
        row.phases = watch.phases;
        row.spans = watch.spans;
        if let Some(manifest) = &self.state.manifest {
            self.record.release.clone_from(&manifest.release);
        }
        if let Err(error) = &next {
            row.reasons.push(format!("{error:#}"));
        }
        let left = self.hands.ended(&row, started.elapsed());
        let left = left.map_or(String::new(), |left| format!("; {left}"));
        let outcome = report::outcome(&row);
        self.hands
            .say(&format!("{id} {} ({:.0} s{left})", outcome.text, row.took_s));
        for line in row.reasons.iter().chain(&pace::sentence(&row)) {
            self.hands.say(&format!("    {line}"));
        }
        for line in report::printed::told(&row) {
            self.hands.say(&format!("    {line}"));
        }
        let kept = self.end_row(row, &next, kept);
        let next = next.with_context(|| format!("in step {id} ({title})"))?;
        kept.map(|()| next)
    }

    pub(super) fn end_row(&mut self, mut row: RowRecord, next: &Result<Next>, kept: Vec<Kept>) -> Result<()> {
        let next = next.as_ref().ok();
        row.left_out = next == Some(&Next::Without);
        let ended = RowEnded {
            record: row.clone(),
            way: next.map_or(Way::Error, |next| next.way()),
            end: next.and_then(|next| next.end()),
            head: self.head()?,
            kept,
        };
        self.journal.note(Event::RowEnded, &row.id, &ended)?;
        self.record.put(row);
        self.hands.save(&self.record)
    }

    /// Does `act` between its intent and its outcome in the journal, and adds its time to `phase`.
    pub(super) fn act<T>(
        &mut self,
        work: &mut Work,
        (phase, action): (Phase, &str),
        inputs: Value,
        act: impl FnOnce(&mut H) -> Result<T>,
        result: impl FnOnce(&T) -> Value,
    ) -> Result<T> {
        let (journal, hands) = (&mut *self.journal, &mut *self.hands);
        let id = &work.row.id;
        work.watch
            .time(phase, || journal.act(id, action, inputs, || act(hands), result))
    }

    /// Adds facts to the row, and says them.
    pub(super) fn tell(&self, work: &mut Work, facts: Vec<String>) {
        for fact in &facts {
            self.hands.say(&format!("    {fact}"));
        }
        work.row.facts.extend(facts);
    }

    /// Keeps a value in the run's folder for a process that goes on with this run.
    pub(super) fn keep(&mut self, work: &mut Work, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value)?;
        self.hands.keep(name, &bytes)?;
        work.kept.push(Kept {
            name: name.to_string(),
            sha256: files::sha256(&bytes),
        });
        Ok(())
    }

    /// To be called where nothing of the row is on the board yet. Errors: the user asked to stop,
    /// and the row ends here.
    pub(super) fn may_go_on(&self) -> Result<()> {
        match self.hands.stop_asked() {
            true => Err(anyhow::Error::msg(StopAsked)),
            false => Ok(()),
        }
    }

    pub(super) fn boot(&mut self, asked: &Asked, work: &mut Work) -> Result<Booted> {
        self.may_go_on()?;
        let (load, absent): (Vec<String>, Vec<String>) = asked
            .load
            .iter()
            .cloned()
            .partition(|name| asked.manifest.module(name).is_some());
        if !absent.is_empty() {
            let fact = format!(
                "not loaded, since this build has no module of the name (a later patch adds it, or it is built in): {}",
                absent.join(", ")
            );
            self.tell(work, vec![fact]);
        }
        let asked = &Asked {
            load: &load,
            ..asked.clone()
        };
        let booted = self.hands.boot(asked, self.journal, &mut work.watch)?;
        work.row.evidence = Some(self.hands.evidence(&work.row.id));
        Ok(booted)
    }

    /// Judges one boot and records it; tells where the board is. `lockdep_off` are its new findings that switched lockdep off.
    pub(super) fn settle(
        &mut self,
        booted: Booted,
        expect: Expectation,
        lockdep_off: Vec<String>,
        action: &str,
        work: &mut Work,
    ) -> Result<Place> {
        let (verdict, reasons) = verdict::judge(&booted.seen);
        let row = &mut work.row;
        row.as_declared = verdict == Verdict::NotExercised && expect == Expectation::NotExercised;
        row.verdict = Some(verdict);
        row.reasons = reasons;
        row.facts.extend(booted.facts);
        row.tests = booted.tests;
        row.exercised = booted.exercised;
        if let Some(why) = &booted.not_back {
            row.reasons
                .push(format!("the board is not back on vanilla: {why}"));
        }
        let mut off = lockdep_off;
        off.extend(booted.seen.dead_checkers.iter().cloned());
        self.judged(action, off, Some(json!(booted.seen)), work)?;
        Ok(if booted.not_back.is_some() {
            Place::Lost
        } else {
            Place::OnVanilla
        })
    }

    /// Records the verdict that the row has.
    pub(super) fn judged(
        &mut self,
        action: &str,
        lockdep_off: Vec<String>,
        seen: Option<Value>,
        work: &Work,
    ) -> Result<()> {
        let row = &work.row;
        let judged = Judged {
            verdict: row.verdict.context("a row that is judged has a verdict")?,
            reasons: row.reasons.clone(),
            as_declared: row.as_declared,
            lockdep_off,
            record: Some(Box::new(row.clone())),
            seen,
        };
        let detail = serde_json::to_value(judged)?;
        self.journal.write(Event::Verdict, &row.id, action, detail)
    }
}
