//! The engine: executes a plan, row by row. What a row finds wrong with the kernel under test ends the campaign with a verdict;
//! what goes wrong with the board or this machine is an error, and the board is left to vanilla.

use super::boot_step::{BootStep, Booted, Rig};
use super::build::{Workshop, changed_modules, told_and_real};
use super::file::{Asks, Campaign, Expectation, Step};
use super::harvest;
use super::journal::Journal;
use super::live::Live;
use super::plan::{Action, Planned};
use super::preflight::{self, Ready};
use super::record::{End, FindingRecord, RowRecord, RunRecord};
use super::report;
use super::stopwatch::Stopwatch;
use super::verdict::{self, Verdict};
use crate::board::Board;
use crate::board::boot::{Capture, ConsentGiven, Permit};
use crate::board::deploy;
use crate::evidence::finding::Finding;
use crate::manifest::Manifest;
use crate::ui::Ui;
use anyhow::{Context, Result};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

/// Everything that a run needs.
pub struct Engine<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// The board, which answers.
    pub board: &'a dyn Board,
    /// Tree, series, compiler.
    pub workshop: Workshop,
    /// Files for `$LOCKSTEP` on the board: name and where they are on this host.
    pub smoke_files: Vec<(String, PathBuf)>,
    /// The slot's first user space, built for the board.
    pub slot_init: PathBuf,
    /// Folder of backups on this host.
    pub backups: PathBuf,
    /// Folder of this run.
    pub folder: PathBuf,
    /// Somebody agreed to reboots.
    pub consent: ConsentGiven,
    /// The screen.
    pub ui: &'a Ui,
}

/// What is carried from row to row.
#[derive(Default)]
struct State {
    ready: Option<Ready>,
    manifest: Option<Manifest>,
    baseline: Vec<Finding>,
    known_dumps: BTreeSet<String>,
    /// Fragments that came with patches so far.
    fragments: Vec<PathBuf>,
    passed: usize,
    live: Live,
}

impl State {
    /// How a campaign ends that stops at a patch, which was taken back.
    fn end_without_this_patch(&self) -> End {
        if self.passed == 0 {
            End::Failure
        } else {
            End::PartialSuccess
        }
    }
}

/// A row that is being executed: where its actions are recorded, timed and told.
struct Work<'j> {
    journal: &'j mut Journal,
    watch: Stopwatch,
    row: RowRecord,
}

impl Work<'_> {
    /// Does `act` between its intent and its outcome in the journal, and adds its time to `phase`.
    fn act<T>(
        &mut self,
        (phase, action): (&str, &str),
        inputs: serde_json::Value,
        act: impl FnOnce() -> Result<T>,
        result: impl FnOnce(&T) -> serde_json::Value,
    ) -> Result<T> {
        let (journal, id) = (&mut *self.journal, &self.row.id);
        self.watch
            .time(phase, || journal.act(id, action, inputs, act, result))
    }
}

/// What one boot is asked for.
struct Asked<'a> {
    load: &'a [String],
    tests: Asks<'a>,
    exercise: &'a [String],
}

/// Where the board is after a boot of the debug slot.
#[derive(PartialEq, Eq)]
enum Place {
    OnVanilla,
    Lost,
}

/// How a row ended.
enum Next {
    Go,
    Stop(End),
}

impl Engine<'_> {
    /// Executes the plan and gives the record, which is also in the run's folder, with the report. Dying half-way it leaves a board
    /// whose next reset boots vanilla, a tree with the patches that were applied (the next run begins by taking them back), and
    /// the journal.
    pub fn run(&mut self, plan: &[Planned]) -> Result<RunRecord> {
        let mut journal = Journal::open(&self.folder.join("journal.jsonl"))?;
        let mut record = RunRecord {
            schema_version: super::record::SCHEMA_VERSION,
            campaign: self.campaign.name.clone(),
            goal: self.campaign.goal.clone(),
            board: self.campaign.board.clone(),
            tree: self.workshop.tree_name()?,
            release: String::new(),
            started: jiff::Timestamp::now().to_string(),
            end: None,
            rows: Vec::new(),
            planned: super::record::planned(plan),
            closing: super::record::Closing::of(self.campaign),
        };
        let title = format!("{} on {}", self.campaign.name, self.campaign.board);
        let log = self.board.serial().map(|line| line.log());
        let mut state = State {
            live: Live::begin(self.ui, &title, plan, log),
            ..State::default()
        };
        let mut end = End::Success;
        let close = plan.iter().filter(|row| row.action == Action::Close);
        for planned in plan.iter().filter(|row| row.action != Action::Close) {
            match self.row(planned, &mut state, &mut journal, &mut record)? {
                Next::Go => {}
                Next::Stop(reason) => {
                    end = reason;
                    break;
                }
            }
        }
        for planned in close {
            if end != End::PersonNeeded
                && let Next::Stop(reason) = self.row(planned, &mut state, &mut journal, &mut record)?
            {
                end = reason;
            }
        }
        record.end = Some(end);
        self.keep(&record)?;
        Ok(record)
    }

    fn keep(&self, record: &RunRecord) -> Result<()> {
        record.save(&self.folder)?;
        report::write_all(&self.folder, record)
    }

    fn row(
        &mut self,
        planned: &Planned,
        state: &mut State,
        journal: &mut Journal,
        record: &mut RunRecord,
    ) -> Result<Next> {
        let started = Instant::now();
        self.ui.say(&format!("{} {}", planned.id, planned.title));
        state.live.row(&planned.id);
        let row = RowRecord {
            id: planned.id.clone(),
            title: planned.title.clone(),
            started: jiff::Timestamp::now().to_string(),
            estimated_s: planned.estimate.as_secs_f64(),
            estimated_from: planned.estimated_from,
            ..RowRecord::default()
        };
        let mut work = Work {
            journal,
            watch: state.live.watch(),
            row,
        };
        let next = match planned.action {
            Action::Preflight => self.preflight(state, &mut work),
            Action::BuildBaseline => self.build(state, &mut work),
            Action::BootBaseline => self.baseline(state, &mut work),
            Action::Patch(index) => self.patch(index, state, &mut work),
            Action::Close => self.close(state, &mut work),
        };
        let mut row = work.row;
        row.took_s = started.elapsed().as_secs_f64();
        row.phases = work.watch.phases;
        row.spans = work.watch.spans;
        if let Some(manifest) = &state.manifest {
            record.release = manifest.release.clone();
        }
        if let Err(error) = &next {
            row.reasons.push(format!("{error:#}"));
        }
        let outcome = report::outcome(&row);
        state.live.ended(&planned.id, outcome, started.elapsed());
        let left = state
            .live
            .left()
            .map_or(String::new(), |left| format!("; {left}"));
        self.ui.say(&format!(
            "{} {} ({:.0} s{left})",
            planned.id, outcome.text, row.took_s
        ));
        row.reasons
            .iter()
            .for_each(|reason| self.ui.say(&format!("    {reason}")));
        record.rows.push(row);
        self.keep(record)?;
        next.with_context(|| format!("in step {} ({})", planned.id, planned.title))
    }

    /// Adds facts to the row, and says them.
    fn tell(&self, work: &mut Work, facts: Vec<String>) {
        facts.iter().for_each(|fact| self.ui.say(&format!("    {fact}")));
        work.row.facts.extend(facts);
    }

    fn preflight(&mut self, state: &mut State, work: &mut Work) -> Result<Next> {
        let inputs = json!({ "tree": self.workshop.tree_path() });
        let start_over = || self.workshop.start_over();
        let removed = work.act(
            ("take patches back", "reset-tree"),
            inputs,
            start_over,
            |removed| json!(removed),
        )?;
        if removed > 0 {
            let fact = format!("{removed} patches of an earlier run were taken back from the tree");
            self.tell(work, vec![fact]);
        }
        let inputs = json!({ "board": self.campaign.board, "backups": self.backups });
        let context = preflight::Context {
            board: self.board,
            campaign: self.campaign,
            backups: &self.backups,
            smoke_files: &self.smoke_files,
            consent: self.consent,
        };
        let mut facts = Vec::new();
        let prepare = || preflight::prepare(&context, &mut facts);
        let ready = work.act(("preflight", "preflight"), inputs, prepare, |_| json!("ready"))?;
        self.tell(work, facts);
        self.workshop.protect_release(&ready.protected.release);
        state.known_dumps = ready.known_dumps.clone();
        state.ready = Some(ready);
        Ok(Next::Go)
    }

    fn build(&mut self, state: &mut State, work: &mut Work) -> Result<Next> {
        let inputs = json!({ "fragments": state.fragments, "head": self.workshop.head()? });
        let Work { journal, watch, row } = work;
        let build = || self.workshop.build(&state.fragments, watch, self.ui);
        let built = journal.act(
            &row.id,
            "build",
            inputs,
            build,
            |built| json!({ "release": built.manifest.release, "build-id": built.manifest.build_id }),
        )?;
        self.tell(work, built.facts);
        state.manifest = Some(built.manifest);
        let evidence = self.folder.join("evidence").join(&work.row.id);
        self.workshop.keep_config(&evidence)?;
        Ok(Next::Go)
    }

    fn baseline(&mut self, state: &mut State, work: &mut Work) -> Result<Next> {
        let mut load: Vec<String> = Vec::new();
        for module in self.campaign.steps.iter().flat_map(|step| &step.load) {
            if !load.contains(module) {
                load.push(module.clone());
            }
        }
        let asked = Asked {
            load: &load,
            tests: self.campaign.tests_of_baseline(),
            exercise: &[],
        };
        let mut booted = self.boot(asked, state, work)?;
        state.baseline = std::mem::take(&mut booted.findings);
        // There is nothing to compare with: whatever a checker says about the debug kernel alone is its own fault.
        let splats = state.baseline.iter().filter(|finding| finding.lockdep_off);
        booted
            .seen
            .new_findings
            .extend(splats.map(|finding| finding.title.clone()));
        work.row
            .facts
            .push(format!("the baseline has {} findings", state.baseline.len()));
        if self.settle(booted, Expectation::Exercised, work)? == Place::Lost {
            return Ok(Next::Stop(End::PersonNeeded));
        }
        if work.row.verdict == Some(Verdict::Pass) {
            return Ok(Next::Go);
        }
        let fragments = &self.campaign.kernel.fragments;
        let fragments: Vec<String> = fragments.iter().map(|path| path.display().to_string()).collect();
        work.row.reasons.push(format!(
            "the debug kernel itself is at fault, not the series; its fragments: {}",
            fragments.join(", ")
        ));
        Ok(Next::Stop(End::Failure))
    }

    fn patch(&mut self, index: usize, state: &mut State, work: &mut Work) -> Result<Next> {
        let campaign = self.campaign;
        let step = &campaign.steps[index];
        let inputs = json!({ "patch": step.patch, "sha256": self.workshop.patch_hash(&step.patch)? });
        let apply = || self.workshop.apply(&step.patch);
        let applied = work.act(("apply", "apply"), inputs, apply, |applied| json!(applied))?;
        work.row.facts.push(format!(
            "applied as commit {}",
            applied.get(..12).unwrap_or(&applied)
        ));
        work.row.patch = Some(self.workshop.patch_record(&step.patch, &applied)?);
        let before = (state.manifest.clone(), state.fragments.len());
        state.fragments.extend(step.fragments.iter().cloned());
        if let Err(error) = self.build(state, work) {
            work.row.verdict = Some(Verdict::BuildFailed);
            work.row.reasons.push(format!("{error:#}"));
            self.take_back(step, before, state, work)?;
            return Ok(Next::Stop(state.end_without_this_patch()));
        }
        let facts = told_and_real(&step.rebuild, before.0.as_ref(), state.manifest.as_ref());
        self.tell(work, facts);
        if let Some(patch) = &mut work.row.patch {
            patch.modules = changed_modules(before.0.as_ref(), state.manifest.as_ref());
        }
        let asked = Asked {
            load: &step.load,
            tests: campaign.tests_of(step),
            exercise: &step.exercise,
        };
        let mut booted = self.boot(asked, state, work)?;
        if step.exercise.is_empty() {
            booted
                .seen
                .not_run
                .push("nothing on this board runs the code of this patch".into());
        }
        for finding in harvest::new_findings(&state.baseline, &booted.findings) {
            booted.seen.new_findings.push(finding.title.clone());
            let decoded = match &state.manifest {
                Some(manifest) => self.workshop.decode(manifest, &step.patch, &finding.excerpt),
                None => Ok(Vec::new()),
            };
            work.row.findings.push(FindingRecord {
                title: finding.title,
                severity: format!("{:?}", finding.severity).to_lowercase(),
                source: finding.source,
                excerpt: finding.excerpt.join("\n"),
                decoded: decoded.unwrap_or_else(|error| {
                    work.row
                        .facts
                        .push(format!("the trace could not be decoded: {error:#}"));
                    Vec::new()
                }),
            });
        }
        let board = self.settle(booted, step.expect, work)?;
        if board == Place::OnVanilla && (work.row.verdict == Some(Verdict::Pass) || work.row.as_declared) {
            state.passed += 1;
            return Ok(Next::Go);
        }
        self.take_back(step, before, state, work)?;
        Ok(Next::Stop(match board {
            Place::Lost => End::PersonNeeded,
            Place::OnVanilla => state.end_without_this_patch(),
        }))
    }

    /// Takes back exactly this patch (invariant 14): tree, configuration, and on the board our label, so that the kernel with the patch cannot
    /// be chosen any more; the next deploy brings it back. What was captured stays.
    fn take_back(
        &mut self,
        step: &Step,
        before: (Option<Manifest>, usize),
        state: &mut State,
        work: &mut Work,
    ) -> Result<()> {
        let inputs = json!({ "patch": step.patch });
        let revert = || self.workshop.revert(&step.patch);
        let head = work.act(("take back", "revert"), inputs, revert, |head| json!(head))?;
        state.manifest = before.0;
        state.fragments.truncate(before.1);
        let head = head.get(..12).unwrap_or(&head);
        let mut facts = vec![format!(
            "{} was taken back, and nothing else: the tree is at {head} again",
            step.patch
        )];
        let ready = state.ready.as_ref().context("the board was not prepared")?;
        let label = &ready.protected.test_label;
        let withdraw = || deploy::withdraw(self.board, &ready.protected);
        let inputs = json!({ "label": label });
        match work.act(("take back", "withdraw-label"), inputs, withdraw, |sent| {
            json!(sent)
        }) {
            Ok(_) => facts.push(format!(
                "the label {label} was taken out: the kernel with this patch cannot be chosen any more"
            )),
            Err(error) => work
                .row
                .reasons
                .push(format!("the label could not be taken out: {error:#}")),
        }
        self.tell(work, facts);
        Ok(())
    }

    fn boot(&self, asked: Asked, state: &mut State, work: &mut Work) -> Result<Booted> {
        let ready = state.ready.as_ref().context("the board was not prepared")?;
        let manifest = state.manifest.as_ref().context("nothing was built")?;
        let evidence = self.folder.join("evidence").join(&work.row.id);
        let step = BootStep {
            id: &work.row.id,
            manifest,
            load: asked.load,
            tests: asked.tests,
            exercise: asked.exercise,
            log_rules: &self.campaign.log,
            evidence: &evidence,
            known_dumps: &state.known_dumps,
        };
        let rig = Rig {
            board: self.board,
            protected: &ready.protected,
            permit: Permit {
                backup: &ready.backup,
                capture: Capture::Proven(ready.capture),
                consent: self.consent,
            },
            smoke_folder: &ready.smoke_folder,
            slot_init: &self.slot_init,
            method: ready.method,
        };
        let say = &mut |line: &str| self.ui.say(&format!("    {line}"));
        let booted = step.run(&rig, work.journal, &mut work.watch, say)?;
        work.row.evidence = Some(evidence);
        state.known_dumps = booted.dumps.clone();
        Ok(booted)
    }

    /// Judges and records; tells where the board is.
    fn settle(&self, booted: Booted, expect: Expectation, work: &mut Work) -> Result<Place> {
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
        let detail = json!({ "verdict": verdict, "reasons": row.reasons, "seen": booted.seen });
        work.journal.verdict(&row.id, detail)?;
        Ok(if booted.not_back.is_some() {
            Place::Lost
        } else {
            Place::OnVanilla
        })
    }

    fn close(&self, state: &State, work: &mut Work) -> Result<Next> {
        let Some(ready) = &state.ready else {
            return Ok(Next::Go);
        };
        let look = || preflight::vanilla_stands(self.board, &ready.protected);
        match work.act(("close", "close"), json!({}), look, |facts| json!(facts)) {
            Ok(facts) => self.tell(work, facts),
            Err(error) => {
                work.row.reasons.push(format!("{error:#}"));
                return Ok(Next::Stop(End::PersonNeeded));
            }
        }
        Ok(Next::Go)
    }
}
