//! What a process does in the simulated world: the walk's hands, each change with an instant before and behind it.

use super::world::{Shared, answer, commit_of};
use crate::board::boot::Reset;
use crate::campaign::attempt::{Asked, Booted};
use crate::campaign::decode::Traced;
use crate::campaign::earlier::{Found, Taken};
use crate::campaign::engine::course::row_of_manifest;
use crate::campaign::engine::hands::{Built, Hands};
use crate::campaign::file::{Kernel, Step};
use crate::campaign::foresight::after_build::Faults;
use crate::campaign::journal::Input;
use crate::campaign::journal::past::{BOOT_ONCE, BOOT_VANILLA, Kept, Past, RELOAD};
use crate::campaign::journal::{Event, Journal};
use crate::campaign::record::{EarlierBoot, PatchRecord, RowRecord, RunRecord, TakenFrom};
use crate::campaign::reload::Tried;
use crate::campaign::resume::{BoardSeen, Seen};
use crate::campaign::smoke::SmokeResult;
use crate::campaign::stopwatch::Stopwatch;
use crate::host::files::sha256;
use crate::manifest::Manifest;
use anyhow::{Result, bail, ensure};
use kernel_log::baseline_file::Acceptance;
use kernel_log::finding::Finding;
use kernel_log::{finder, reader};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process's hands in this world.
pub(super) struct Simulated {
    pub world: Shared,
    pub prepared: bool,
    pub profile: String,
    /// The step that is built beside the tests, and what comes of it; gone with the process.
    pub ahead: Option<(String, Option<Manifest>)>,
}

/// What a bad kernel says, or the kernel of another profile where this one falls silent.
const NEW_FINDING: &[u8] = b"[    2.000000] WARNING: CPU: 0 PID: 1 at drivers/y.c:34 worse+0x10/0x20\n";

/// What the kernel says without any patch, too: a baseline that is not read back would make it new.
const OLD_FINDING: &[u8] = b"[    1.000000] WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";

impl Hands for Simulated {
    fn say(&self, text: &str) {
        self.world.borrow_mut().said.push(text.to_string());
    }

    fn begins(&mut self, _row: &str) -> Stopwatch {
        Stopwatch::default()
    }

    fn ended(&mut self, _row: &RowRecord, _took: Duration) -> Option<String> {
        None
    }

    fn patch_record(&self, patch: &str, commit: &str) -> Result<PatchRecord> {
        Ok(PatchRecord {
            name: patch.to_string(),
            commit: commit.to_string(),
            ..PatchRecord::default()
        })
    }

    fn decode(&self, _: &Manifest, _: &str, _: &Finding) -> Result<Traced> {
        Ok(Traced::default())
    }

    fn conditions(&self, asked: &Asked) -> Result<Vec<Input>> {
        ensure!(self.prepared, "the board was not prepared by this process");
        Ok(vec![Input::new("the build", &asked.manifest.build_id)])
    }

    fn earlier_baseline(&mut self, asked: &Asked, inputs: &[Input]) -> Result<Found> {
        let mut world = self.world.borrow_mut();
        world.tick();
        assert!(inputs.contains(&Input::new("the build", &asked.manifest.build_id)));
        if !world.earlier {
            return Ok(Found::Boot("there is none".into()));
        }
        world.tick();
        Ok(Found::Taken(Box::new(Taken {
            from: TakenFrom {
                boots: vec![EarlierBoot {
                    run: "20260101T000000".into(),
                    when: "2026-01-01T00:00:00Z".into(),
                }],
            },
            row: RowRecord::default(),
            findings: finder::find(&reader::read(OLD_FINDING), "serial"),
            facts: Vec::new(),
        })))
    }

    fn captured(&self, _: &str) -> Result<Vec<Kept>> {
        Ok(Vec::new())
    }

    fn remember(&mut self, _: &str, _: &[Finding]) -> Result<()> {
        Ok(())
    }

    fn accepted(&self) -> Result<Vec<Acceptance>> {
        Ok(Vec::new())
    }

    fn stop_asked(&self) -> bool {
        let world = self.world.borrow();
        world.stop_after.is_some_and(|boots| world.boots.len() >= boots)
            || world.stop_at.is_some_and(|instant| world.instant >= instant)
    }

    fn head(&self) -> Result<String> {
        Ok(self.world.borrow().commit())
    }

    fn tree_to(&mut self, commit: Option<&str>) -> Result<usize> {
        assert!(self.ahead.is_none(), "the tree moves under a build");
        let mut world = self.world.borrow_mut();
        world.tick();
        let before = world.tree.len();
        let base = commit_of(&[]);
        let at = (0..=before).find(|n| commit_of(&world.tree[..*n]) == commit.unwrap_or(&base));
        let Some(at) = at else { bail!("no such commit") };
        world.tree.truncate(at);
        world.tick();
        Ok(before - at)
    }

    fn check(&self, patches: &[&str]) -> Result<()> {
        let world = self.world.borrow();
        for patch in patches {
            ensure!(
                !world.tree.contains(&patch.to_string()),
                "{patch} is applied already"
            );
            ensure!(
                !world.unappliable.contains(patch),
                "{patch} is made for another tree"
            );
        }
        Ok(())
    }

    fn review_missing(&self, _: &str) -> Result<Option<String>> {
        let world = self.world.borrow();
        let is_taken_back = world
            .reviewed_until
            .is_some_and(|boots| world.boots.len() >= boots);
        Ok((!world.reviewed || is_taken_back).then(|| "nobody has reviewed it".into()))
    }

    fn apply(&mut self, patch: &str) -> Result<String> {
        assert!(self.ahead.is_none(), "the tree moves under a build");
        let mut world = self.world.borrow_mut();
        world.tick();
        ensure!(
            !world.tree.contains(&patch.to_string()),
            "{patch} is applied already"
        );
        world.tree.push(patch.to_string());
        world.tick();
        Ok(world.commit())
    }

    fn revert(&mut self, patch: &str) -> Result<String> {
        let mut world = self.world.borrow_mut();
        world.tick();
        ensure!(
            world.tree.last().is_some_and(|last| last == patch),
            "{patch} is not on top"
        );
        world.tree.pop();
        world.tick();
        Ok(world.commit())
    }

    fn build(&mut self, _: &[PathBuf], _: &mut Stopwatch) -> Result<Built> {
        assert!(self.ahead.is_none(), "two builds in one folder");
        let mut world = self.world.borrow_mut();
        world.tick();
        let built = world.build(&self.profile);
        if built.is_some() {
            world.staged.clone_from(&built);
        }
        world.tick();
        Ok(answer(built))
    }

    fn faults(&self, step: &Step) -> Result<Faults> {
        let world = self.world.borrow();
        let lacks = world.lacking.iter().any(|patch| *patch == step.patch);
        let fault = || format!("{} is not in this build", step.patch);
        Ok(Faults {
            build: lacks.then(fault).into_iter().collect(),
            ..Faults::default()
        })
    }

    fn use_kernel(&mut self, kernel: &Kernel) {
        self.profile.clone_from(&kernel.profile);
    }

    fn is_prepared(&self) -> bool {
        self.prepared
    }

    fn preflight(&mut self) -> Result<Vec<String>> {
        let mut world = self.world.borrow_mut();
        ensure!(world.runs.is_none() && !world.silent, "vanilla does not run");
        world.tick();
        self.prepared = true;
        Ok(Vec::new())
    }

    fn boot(&mut self, asked: &Asked, journal: &mut Journal, _: &mut Stopwatch) -> Result<Booted> {
        ensure!(self.prepared, "the board was not prepared by this process");
        let world = &self.world;
        let patches = world.borrow().patches_of(asked.manifest);
        {
            let world = world.borrow();
            ensure!(world.runs.is_none(), "a deploy happens on vanilla");
            ensure!(
                world.tree.len() - patches.len() == usize::from(self.ahead.is_some()),
                "what is booted is what the tree holds, the patch that is built ahead apart"
            );
            ensure!(
                world.staged.as_ref() == Some(asked.manifest),
                "and what is staged"
            );
        }
        let deploy = || {
            let mut world = world.borrow_mut();
            world.label = false;
            world.slot_is_whole = false;
            world.tick();
            world.slot_is_whole = true;
            world.slot = Some(asked.manifest.commit.clone());
            world.tick();
            world.label = true;
            Ok(())
        };
        journal.act(asked.row, "deploy", Value::Null, deploy, |()| Value::Null)?;
        let once = || {
            let mut world = world.borrow_mut();
            world.tick();
            assert!(world.label && world.slot_is_whole, "only a whole slot is booted");
            world.runs = Some(asked.manifest.commit.clone());
            let boot = (asked.row.to_string(), asked.manifest.commit.clone());
            world.boots.push(boot);
            world.tick();
            Ok(())
        };
        let answer = |(): &()| json!({ "outcome": { "booted": {} } });
        journal.act(asked.row, BOOT_ONCE, Value::Null, once, answer)?;
        let mut booted = Booted {
            findings: finder::find(&reader::read(OLD_FINDING), "serial"),
            ..Booted::default()
        };
        {
            let mut world = world.borrow_mut();
            let number = world.boots.iter().filter(|(row, _)| row == asked.row).count();
            let is_bad = world
                .bad
                .iter()
                .any(|bad| patches.iter().any(|patch| patch == bad));
            if is_bad && !(world.flaky && number % 2 == 0) {
                if world.splats {
                    let log = [OLD_FINDING, NEW_FINDING].concat();
                    booted.findings = finder::find(&reader::read(&log), "serial");
                    booted
                        .seen
                        .new_findings
                        .push("the taint of a kernel that died".into());
                }
                booted.finished(fails("it is bad"));
            }
            if world.baseline_fails && asked.known.is_none() {
                booted.finished(fails("v4l2-ctl: cannot open /dev/video0"));
            }
            let has = |patch: &&str| patches.iter().any(|known| known == patch);
            if world.wedges.iter().any(has) {
                booted.seen.lost.push("nothing answered".into());
                if world.names_it == Some(self.profile.as_str()) {
                    booted
                        .findings
                        .extend(finder::find(&reader::read(NEW_FINDING), "serial"));
                }
            }
            if world.never_up == Some(self.profile.as_str()) {
                booted.seen.lost.push("it never came up".into());
            }
            if ["2.4", "2.5", "2.6"].contains(&asked.row) {
                booted.seen.not_run.push("no such hardware".into());
            }
            if world.lost_at == Some(asked.row) {
                world.silent = true;
                world.lost_at = None;
                booted.not_back = Some("it does not answer".into());
                return Ok(booted);
            }
        }
        vanilla(world, asked.row, journal)?;
        Ok(booted)
    }

    fn reload(
        &mut self,
        asked: &Asked,
        now: &Manifest,
        journal: &mut Journal,
        _: &mut Stopwatch,
    ) -> Result<Tried> {
        ensure!(self.prepared, "the board was not prepared by this process");
        let world = &self.world;
        let is_there = {
            let world = world.borrow();
            ensure!(world.runs.is_none(), "what is tried begins on vanilla");
            ensure!(
                world.staged.as_ref() == Some(now),
                "the modules of the step are what is staged"
            );
            world.label && world.slot_is_whole && world.slot.as_ref() == Some(&asked.manifest.commit)
        };
        if !is_there {
            return Ok(Tried::NotPossible("the slot on the board is another one".into()));
        }
        let inputs = json!({ "in": asked.manifest.commit });
        journal.write(Event::Intent, asked.row, RELOAD, inputs)?;
        let once = || {
            let mut world = world.borrow_mut();
            world.tick();
            world.runs = Some(asked.manifest.commit.clone());
            let boot = (asked.row.to_string(), asked.manifest.commit.clone());
            world.reloads.push(boot);
            world.tick();
            Ok(())
        };
        let answer = |(): &()| json!({ "outcome": { "booted": {} } });
        journal.act(asked.row, BOOT_ONCE, Value::Null, once, answer)?;
        let mut booted = Booted::default();
        {
            let mut world = world.borrow_mut();
            if world.reload_warns {
                booted
                    .seen
                    .failed_tests
                    .push("it fails when it is reloaded".into());
                booted.findings = finder::find(&reader::read(NEW_FINDING), "kmsg");
            }
            if world.lost_at_reload == Some(asked.row) {
                world.silent = true;
                world.lost_at_reload = None;
                booted.not_back = Some("it does not answer".into());
            }
        }
        if booted.not_back.is_none() {
            vanilla(world, asked.row, journal)?;
        }
        journal.write(Event::Done, asked.row, RELOAD, json!({ "seen": booted.seen }))?;
        Ok(Tried::Done {
            booted: Box::new(booted),
            ended: None,
        })
    }

    fn begin_ahead(&mut self, step: &str, _: &[PathBuf]) -> Result<()> {
        let mut world = self.world.borrow_mut();
        world.tick();
        self.ahead = Some((step.to_string(), world.build(&self.profile)));
        Ok(())
    }

    fn end_ahead(&mut self) -> Result<(Built, Vec<(String, f64)>)> {
        let mut world = self.world.borrow_mut();
        let (step, manifest) = self.ahead.take().expect("something is built ahead");
        world.tick();
        ensure!(!world.ahead_fails, "the disk is full");
        let Some(manifest) = manifest else {
            return Ok((answer(None), Vec::new()));
        };
        world.staged_ahead = Some(manifest.clone());
        world.tick();
        world.staged = world.staged_ahead.take();
        world.built_ahead.push(step);
        world.tick();
        Ok((answer(Some(manifest)), vec![("build".into(), 5.0)]))
    }

    fn drop_ahead(&mut self) -> Result<()> {
        self.ahead = None;
        let mut world = self.world.borrow_mut();
        world.tick();
        world.staged_ahead = None;
        world.tick();
        Ok(())
    }

    fn evidence(&self, name: &str) -> PathBuf {
        Path::new("evidence").join(name)
    }

    fn withdraw(&mut self) -> Result<()> {
        let mut world = self.world.borrow_mut();
        ensure!(!world.silent, "the board does not answer");
        world.tick();
        world.label = false;
        world.tick();
        Ok(())
    }

    fn to_vanilla(&mut self, _: Reset, row: &str, journal: &mut Journal) -> Result<()> {
        vanilla(&self.world, row, journal)
    }

    fn vanilla_stands(&mut self) -> Result<Vec<String>> {
        let world = self.world.borrow();
        ensure!(world.runs.is_none() && !world.silent, "vanilla does not run");
        Ok(Vec::new())
    }

    fn see(&mut self, past: &Past) -> Result<Seen> {
        let world = self.world.borrow();
        let kept: Vec<Kept> = past
            .rows
            .iter()
            .filter_map(|row| row.ended.as_ref())
            .flat_map(|ended| ended.kept.clone())
            .filter(|kept| world.kept.get(&kept.name).map(|bytes| sha256(bytes)) == Some(kept.sha256.clone()))
            .collect();
        let is_staged = |kept: &&Kept| {
            let known = Manifest::parse(&world.kept[&kept.name]).ok();
            known.is_some() && known == world.staged
        };
        Ok(Seen {
            board: match &world.runs {
                _ if world.silent => BoardSeen::Silent { has_reset: true },
                Some(commit) => BoardSeen::Ours {
                    release: commit.clone(),
                },
                None => BoardSeen::Vanilla,
            },
            label_offered: (!world.silent).then_some(world.label),
            stack: (0..=world.tree.len())
                .map(|n| commit_of(&world.tree[..n]))
                .collect(),
            staged: kept
                .iter()
                .filter(|kept| row_of_manifest(&kept.name).is_some())
                .filter(is_staged)
                .filter_map(|kept| row_of_manifest(&kept.name))
                .collect(),
            kept,
        })
    }

    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut world = self.world.borrow_mut();
        world.tick();
        world.kept.insert(name.to_string(), bytes.to_vec());
        Ok(())
    }

    fn kept(&self, name: &str) -> Result<Vec<u8>> {
        Ok(self.world.borrow().kept[name].clone())
    }

    fn save(&mut self, _: &RunRecord) -> Result<()> {
        self.world.borrow_mut().tick();
        Ok(())
    }
}

/// A smoke test that prints this, and fails.
fn fails(printed: &str) -> SmokeResult {
    SmokeResult {
        name: "stream".into(),
        run: "v4l2-ctl --stream-mmap".into(),
        exit: 1,
        printed: format!("streaming\n\x1b[31m{printed}\n"),
        failure: Some("exit 1, expected 0".into()),
        ..SmokeResult::default()
    }
}

fn vanilla(world: &Shared, row: &str, journal: &mut Journal) -> Result<()> {
    let restart = || {
        let mut world = world.borrow_mut();
        world.tick();
        world.runs = None;
        world.silent = false;
        world.tick();
        Ok(())
    };
    let answer = |(): &()| json!({ "outcome": { "booted": {} } });
    journal.act(row, BOOT_VANILLA, Value::Null, restart, answer)
}
