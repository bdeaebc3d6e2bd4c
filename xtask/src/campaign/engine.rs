//! The engine: executes a plan, row by row. What a row finds wrong with the kernel under test ends the campaign with a verdict;
//! what goes wrong with the board or this machine is an error, and the board is left to vanilla.

use super::boot_step::{BootStep, Booted, Rig};
use super::build::Workshop;
use super::file::{Campaign, Expectation, SmokeTest};
use super::harvest;
use super::journal::Journal;
use super::plan::{Action, Planned};
use super::preflight::{self, Ready};
use super::record::{End, FindingRecord, RowRecord, RunRecord};
use super::report;
use super::stopwatch::Stopwatch;
use super::verdict::{self, Verdict};
use crate::board::Board;
use crate::board::boot::{ConsentGiven, Permit};
use crate::board::deploy;
use crate::evidence::finding::Finding;
use crate::host::files;
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
        };
        let mut state = State::default();
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
        files::write_atomic(
            &self.folder.join("report.md"),
            report::markdown(record).as_bytes(),
        )
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
        let mut row = RowRecord {
            id: planned.id.clone(),
            title: planned.title.clone(),
            estimated_s: planned.estimate.as_secs_f64(),
            ..RowRecord::default()
        };
        let mut watch = Stopwatch::default();
        let next = match planned.action {
            Action::Preflight => self.preflight(&planned.id, state, journal, &mut watch, &mut row),
            Action::BuildBaseline => self.build(&planned.id, state, journal, &mut watch, &mut row),
            Action::BootBaseline => self.baseline(&planned.id, state, journal, &mut watch, &mut row),
            Action::Patch(index) => self.patch(index, state, journal, &mut watch, &mut row),
            Action::Close => self.close(&planned.id, state, journal, &mut row),
        };
        row.took_s = started.elapsed().as_secs_f64();
        row.phases = watch.phases;
        if let Some(manifest) = &state.manifest {
            record.release = manifest.release.clone();
        }
        let outcome = row.verdict.map_or("done", Verdict::text);
        self.ui
            .say(&format!("{} {outcome} ({:.0} s)", planned.id, row.took_s));
        for reason in &row.reasons {
            self.ui.say(&format!("    {reason}"));
        }
        record.rows.push(row);
        self.keep(record)?;
        next.with_context(|| format!("in step {} ({})", planned.id, planned.title))
    }

    fn preflight(
        &mut self,
        id: &str,
        state: &mut State,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        row: &mut RowRecord,
    ) -> Result<Next> {
        let removed = watch.time("take patches back", || {
            let inputs = json!({ "tree": self.workshop.tree_path() });
            journal.act(
                id,
                "reset-tree",
                inputs,
                || self.workshop.start_over(),
                |removed| json!(removed),
            )
        })?;
        if removed > 0 {
            row.facts.push(format!(
                "{removed} patches of an earlier run were taken back from the tree"
            ));
        }
        let inputs = json!({ "board": self.campaign.board, "backups": self.backups });
        let context = preflight::Context {
            board: self.board,
            campaign: self.campaign,
            backups: &self.backups,
            smoke_files: &self.smoke_files,
        };
        let act = || preflight::prepare(&context, row);
        let ready = watch.time("preflight", || {
            journal.act(id, "preflight", inputs, act, |_| json!("ready"))
        })?;
        for fact in &row.facts {
            self.ui.say(&format!("    {fact}"));
        }
        let release = &ready.protected.release;
        self.workshop.protect_release(release);
        state.known_dumps = ready.known_dumps.clone();
        state.ready = Some(ready);
        Ok(Next::Go)
    }

    fn build(
        &mut self,
        id: &str,
        state: &mut State,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        row: &mut RowRecord,
    ) -> Result<Next> {
        let inputs = json!({ "fragments": state.fragments, "head": self.workshop.head()? });
        let act = || self.workshop.build(&state.fragments, watch, self.ui);
        let built = journal.act(
            id,
            "build",
            inputs,
            act,
            |built| json!({ "release": built.manifest.release, "build-id": built.manifest.build_id }),
        )?;
        row.facts.extend(built.facts);
        for fact in &row.facts {
            self.ui.say(&format!("    {fact}"));
        }
        state.manifest = Some(built.manifest);
        Ok(Next::Go)
    }

    fn baseline(
        &mut self,
        id: &str,
        state: &mut State,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        row: &mut RowRecord,
    ) -> Result<Next> {
        let mut load: Vec<String> = Vec::new();
        for module in self.campaign.steps.iter().flat_map(|step| &step.load) {
            if !load.contains(module) {
                load.push(module.clone());
            }
        }
        let tests = self.campaign.tests_of_baseline();
        let mut booted = self.boot(id, &load, tests, &[], state, journal, watch, row)?;
        state.baseline = std::mem::take(&mut booted.findings);
        // There is nothing to compare with: whatever a checker says about the debug kernel alone is its own fault.
        let splats = state.baseline.iter().filter(|finding| finding.lockdep_off);
        booted
            .seen
            .new_findings
            .extend(splats.map(|finding| finding.title.clone()));
        row.facts
            .push(format!("the baseline has {} findings", state.baseline.len()));
        let not_back = self.settle(id, booted, Expectation::Exercised, journal, row)?;
        Ok(match (not_back, row.verdict) {
            (true, _) => Next::Stop(End::PersonNeeded),
            (false, Some(Verdict::Pass)) => Next::Go,
            (false, _) => {
                row.reasons.push(format!(
                    "the debug kernel itself is at fault, not the series; its fragments: {}",
                    self.campaign
                        .kernel
                        .fragments
                        .iter()
                        .map(|f| f.display().to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                ));
                Next::Stop(End::Failure)
            }
        })
    }

    fn patch(
        &mut self,
        index: usize,
        state: &mut State,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        row: &mut RowRecord,
    ) -> Result<Next> {
        let campaign = self.campaign;
        let step = &campaign.steps[index];
        let applied = watch.time("apply", || {
            let inputs = json!({ "patch": step.patch, "sha256": self.workshop.patch_hash(&step.patch)? });
            journal.act(
                &step.id,
                "apply",
                inputs,
                || self.workshop.apply(&step.patch),
                |applied| json!(applied),
            )
        })?;
        row.facts.push(format!(
            "applied as commit {}",
            applied.get(..12).unwrap_or(&applied)
        ));
        let before = (state.manifest.clone(), state.fragments.len());
        state.fragments.extend(step.fragments.iter().cloned());
        if let Err(error) = self.build(&step.id, state, journal, watch, row) {
            row.verdict = Some(Verdict::BuildFailed);
            row.reasons.push(format!("{error:#}"));
            self.take_back(index, before, state, journal, watch, row)?;
            return Ok(Next::Stop(state.end_without_this_patch()));
        }
        row.facts.extend(super::build::told_and_real(
            &step.rebuild,
            before.0.as_ref(),
            state.manifest.as_ref(),
        ));
        let tests = campaign.tests_of(step);
        let mut booted = self.boot(
            &step.id,
            &step.load,
            tests,
            &step.exercise,
            state,
            journal,
            watch,
            row,
        )?;
        if step.exercise.is_empty() {
            booted
                .seen
                .not_run
                .push("nothing on this board runs the code of this patch".into());
        }
        for finding in harvest::new_findings(&state.baseline, &booted.findings) {
            booted.seen.new_findings.push(finding.title.clone());
            row.findings.push(FindingRecord {
                title: finding.title,
                severity: format!("{:?}", finding.severity).to_lowercase(),
                source: finding.source,
                excerpt: finding.excerpt.join("\n"),
            });
        }
        let not_back = self.settle(&step.id, booted, step.expect, journal, row)?;
        if row.verdict == Some(Verdict::Pass) || (row.as_declared && !not_back) {
            state.passed += 1;
            return Ok(Next::Go);
        }
        self.take_back(index, before, state, journal, watch, row)?;
        Ok(Next::Stop(if not_back {
            End::PersonNeeded
        } else {
            state.end_without_this_patch()
        }))
    }

    /// Takes back exactly this patch (invariant 14): tree, configuration, and on the board our label, so that the kernel with the patch cannot
    /// be chosen any more; the next deploy brings it back. What was captured stays.
    fn take_back(
        &mut self,
        index: usize,
        before: (Option<Manifest>, usize),
        state: &mut State,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        row: &mut RowRecord,
    ) -> Result<()> {
        let campaign = self.campaign;
        let step = &campaign.steps[index];
        let inputs = json!({ "patch": step.patch });
        let act = || self.workshop.revert(&step.patch);
        let head = watch.time("take back", || {
            journal.act(&step.id, "revert", inputs, act, |head| json!(head))
        })?;
        state.manifest = before.0;
        state.fragments.truncate(before.1);
        row.facts.push(format!(
            "{} was taken back, and nothing else: the tree is at {} again",
            step.patch,
            head.get(..12).unwrap_or(&head)
        ));
        let ready = state.ready.as_ref().context("the board was not prepared")?;
        let act = || deploy::withdraw(self.board, &ready.protected);
        let inputs = json!({ "label": ready.protected.test_label });
        match journal.act(&step.id, "withdraw-label", inputs, act, |sent| json!(sent)) {
            Ok(_) => row.facts.push(format!(
                "the label {} was taken out: the kernel with this patch cannot be chosen any more",
                ready.protected.test_label
            )),
            Err(error) => row
                .reasons
                .push(format!("the label could not be taken out: {error:#}")),
        }
        Ok(())
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one boot joins everything that a row has"
    )]
    fn boot(
        &self,
        id: &str,
        load: &[String],
        tests: Vec<(&SmokeTest, i32)>,
        exercise: &[String],
        state: &mut State,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        row: &mut RowRecord,
    ) -> Result<Booted> {
        let ready = state.ready.as_ref().context("the board was not prepared")?;
        let manifest = state.manifest.as_ref().context("nothing was built")?;
        let evidence = self.folder.join("evidence").join(id);
        let step = BootStep {
            id,
            manifest,
            load,
            tests,
            exercise,
            log_rules: &self.campaign.log,
            evidence: &evidence,
            known_dumps: &state.known_dumps,
        };
        let rig = Rig {
            board: self.board,
            protected: &ready.protected,
            permit: Permit {
                backup: &ready.backup,
                capture: ready.capture,
                consent: self.consent,
            },
            smoke_folder: &ready.smoke_folder,
        };
        row.evidence = Some(evidence.clone());
        let booted = step.run(&rig, journal, watch, &mut |line| {
            self.ui.say(&format!("    {line}"))
        })?;
        state.known_dumps = booted.dumps.clone();
        Ok(booted)
    }

    /// Judges, records, and tells whether the board needs a person.
    fn settle(
        &self,
        id: &str,
        booted: Booted,
        expect: Expectation,
        journal: &mut Journal,
        row: &mut RowRecord,
    ) -> Result<bool> {
        let (verdict, reasons) = verdict::judge(&booted.seen);
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
        journal.verdict(
            id,
            json!({ "verdict": verdict, "reasons": row.reasons, "seen": booted.seen }),
        )?;
        Ok(booted.not_back.is_some())
    }

    fn close(&self, id: &str, state: &State, journal: &mut Journal, row: &mut RowRecord) -> Result<Next> {
        let Some(ready) = &state.ready else {
            return Ok(Next::Go);
        };
        let act = || preflight::vanilla_stands(self.board, &ready.protected);
        match journal.act(id, "close", json!({}), act, |facts| json!(facts)) {
            Ok(facts) => row.facts = facts,
            Err(error) => {
                row.reasons.push(format!("{error:#}"));
                return Ok(Next::Stop(End::PersonNeeded));
            }
        }
        for fact in &row.facts {
            self.ui.say(&format!("    {fact}"));
        }
        Ok(Next::Go)
    }
}
