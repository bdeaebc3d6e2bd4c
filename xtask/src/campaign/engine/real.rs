//! The engine's own hands: tree, compiler, board.

use super::hands::{Built, Hands};
use super::{Engine, Prepared};
use crate::board::boot::{self, Capture, Permit, Reset};
use crate::board::deploy;
use crate::board::protected::Protected;
use crate::campaign::ahead::Finished;
use crate::campaign::attempt::{Asked, Booted};
use crate::campaign::boot_step::BootStep;
use crate::campaign::capture_gate;
use crate::campaign::decode::Traced;
use crate::campaign::earlier::{Found, shelf};
use crate::campaign::file::{Kernel, Step};
use crate::campaign::foresight::after_build::Faults;
use crate::campaign::inputs;
use crate::campaign::job;
use crate::campaign::journal::Input;
use crate::campaign::journal::Journal;
use crate::campaign::journal::past::{BOOT_VANILLA, Kept, Past};
use crate::campaign::known;
use crate::campaign::live::AtBoard;
use crate::campaign::notify::{self, Ear};
use crate::campaign::preflight;
use crate::campaign::record::KEPT_CONFIG;
use crate::campaign::record::{PatchRecord, RowRecord, RunRecord};
use crate::campaign::reload::Tried;
use crate::campaign::report;
use crate::campaign::resume::{BoardSeen, Seen};
use crate::campaign::rig::Rig;
use crate::campaign::said::Said;
use crate::campaign::screen::Screen;
use crate::campaign::stop_asked::StopAsked;
use crate::campaign::stopwatch::Stopwatch;
use crate::campaign::way_home;
use crate::host::bounded;
use crate::host::files;
use crate::host::json::json;
use crate::kernel::build::{Cause, Failed};
use crate::kernel::stage;
use crate::manifest::Manifest;
use anyhow::{Context, Result, bail};
use kernel_log::baseline_file::{Acceptance, Boot, Conditions};
use kernel_log::finding::Finding;
use std::time::Duration;

/// How long a board may take to answer before it counts as silent.
const ANSWER: Duration = Duration::from_secs(20);

impl Hands for Engine<'_> {
    fn say(&self, text: &str) {
        self.ui.say(text);
    }

    fn begins(&mut self, row: &str) -> Stopwatch {
        self.live.row(row);
        self.live.watch()
    }

    fn ended(&mut self, row: &RowRecord, took: Duration) -> Option<String> {
        self.live.ended(&row.id, report::outcome(row), took);
        self.live.left()
    }

    fn stop_asked(&self) -> bool {
        self.interrupt.asked_to_stop()
    }

    fn head(&self) -> Result<String> {
        self.workshop.head()
    }

    fn tree_to(&mut self, commit: Option<&str>) -> Result<usize> {
        match commit {
            None => self.workshop.start_over(),
            Some(commit) => self.workshop.go_back_to(commit),
        }
    }

    fn check(&self, patches: &[&str]) -> Result<()> {
        self.workshop.check(patches)
    }

    fn review_missing(&self, patch: &str) -> Result<Option<String>> {
        let state = self.workshop.review(patch)?;
        Ok((!state.is_open()).then(|| state.sentence()))
    }

    fn patch_record(&self, patch: &str, commit: &str) -> Result<PatchRecord> {
        self.workshop.patch_record(patch, commit)
    }

    fn decode(&self, manifest: &Manifest, commit: &str, finding: &Finding) -> Result<Traced> {
        self.workshop.decode(manifest, commit, finding)
    }

    fn apply(&mut self, patch: &str) -> Result<String> {
        self.workshop.apply(patch)
    }

    fn revert(&mut self, patch: &str) -> Result<String> {
        self.workshop.revert(patch)
    }

    fn build(&mut self, fragments: &[std::path::PathBuf], watch: &mut Stopwatch) -> Result<Built> {
        let screen = Screen::in_run(self.ui, &self.live);
        let built = self.workshop.build(fragments, watch, screen);
        self.answer(built)
    }

    fn begin_ahead(&mut self, step: &str, fragments: &[std::path::PathBuf]) -> Result<()> {
        let beside = self.live.beside(&format!("building {step}"));
        self.workshop.begin_ahead(fragments, move || drop(beside))
    }

    fn end_ahead(&mut self) -> Result<(Built, Vec<(String, f64)>)> {
        let Finished { built, phases } = self.workshop.end_ahead()?;
        Ok((self.answer(built)?, phases))
    }

    fn drop_ahead(&mut self) -> Result<()> {
        self.workshop.drop_ahead()
    }

    fn faults(&self, step: &Step) -> Result<Faults> {
        self.workshop.faults(step)
    }

    fn use_kernel(&mut self, kernel: &Kernel) {
        self.workshop.use_kernel(kernel);
    }

    fn is_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    fn preflight(&mut self) -> Result<Vec<String>> {
        let context = preflight::Context {
            board: self.board,
            campaign: self.campaign,
            backups: &self.backups,
            smoke_files: &self.smoke_files,
            consent: self.consent,
            say: &|line| self.ui.say(&format!("    {line}")),
        };
        let mut facts = self.workshop.made_on()?;
        let at_board = self.live.at_board(AtBoard::Vanilla);
        let ready = preflight::prepare(&context, &mut facts)?;
        drop(at_board);
        self.workshop.protect_release(&ready.protected.release);
        self.prepared = Some(Prepared {
            known_dumps: ready.known_dumps.clone(),
            ready,
        });
        Ok(facts)
    }

    fn boot(&mut self, asked: &Asked, journal: &mut Journal, watch: &mut Stopwatch) -> Result<Booted> {
        keep_config(asked.manifest, &self.evidence(asked.evidence))?;
        let booted = self.on_board(asked, |step, rig, say| step.run(rig, journal, watch, say))?;
        self.now_has(&booted);
        Ok(booted)
    }

    fn reload(
        &mut self,
        asked: &Asked,
        now: &Manifest,
        journal: &mut Journal,
        watch: &mut Stopwatch,
    ) -> Result<Tried> {
        let evidence = self.evidence(asked.evidence);
        std::fs::create_dir_all(&evidence).with_context(|| format!("making {}", evidence.display()))?;
        let tried = self.on_board(asked, |step, rig, say| {
            step.try_by_reload(rig, now, journal, watch, say)
        })?;
        if let Tried::Done { booted, .. } = &tried {
            self.now_has(booted);
        }
        Ok(tried)
    }

    fn conditions(&self, asked: &Asked) -> Result<Vec<Input>> {
        let ready = &self
            .prepared
            .as_ref()
            .context("the board was not prepared")?
            .ready;
        inputs::of_boot(&inputs::Boot {
            asked,
            protected: &ready.protected,
            method: ready.method,
            board: self.board,
            programs: &self.smoke_files,
            slot_init: &self.slot_init,
        })
    }

    fn earlier_baseline(&mut self, asked: &Asked, inputs: &[Input]) -> Result<Found> {
        let ready = &self
            .prepared
            .as_ref()
            .context("the board was not prepared")?
            .ready;
        let backups = self.backups.parent().unwrap_or(&self.backups);
        let Some(proven) = capture_gate::known(backups, &ready.protected, &asked.manifest.release)? else {
            let why = "no crash on purpose of this debug kernel has shown yet what comes back of one";
            return Ok(Found::Boot(why.into()));
        };
        proven.check()?;
        let shelf = shelf::Shelf {
            state: &self.state,
            campaign: &self.campaign.name,
            board: &self.campaign.board,
            row: asked.row,
            own: Some(&self.folder),
        };
        let mut found = shelf.take(inputs, &self.folder, jiff::Timestamp::now())?;
        if let Found::Taken(taken) = &mut found {
            taken.facts.push(proven.sentence());
        }
        Ok(found)
    }

    fn captured(&self, name: &str) -> Result<Vec<Kept>> {
        shelf::captured(&self.folder, &self.evidence(name))
    }

    fn remember(&mut self, row: &str, findings: &[Finding]) -> Result<()> {
        let run = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let boot = Boot {
            id: format!("{run}/{row}"),
            release: self.workshop.staged()?.release,
            when: jiff::Timestamp::now().to_string(),
            findings: findings.to_vec(),
        };
        known::add(&self.baseline, self.campaign, &self.watched_under()?, boot)
    }

    fn accepted(&self) -> Result<Vec<Acceptance>> {
        known::accepted(&self.baseline, &self.watched_under()?)
    }

    fn evidence(&self, name: &str) -> std::path::PathBuf {
        self.folder.join("evidence").join(name)
    }

    fn withdraw(&mut self) -> Result<()> {
        deploy::withdraw(self.board, &self.protected()?)?;
        Ok(())
    }

    fn to_vanilla(&mut self, reset: Reset, row: &str, journal: &mut Journal) -> Result<()> {
        let home = way_home::Home {
            board: self.board,
            campaign: &self.campaign.name,
            backups: &self.backups,
        };
        let protected = self.protected()?;
        let _at_board = self.live.at_board(AtBoard::UnderTest);
        let booted = journal.act(
            row,
            BOOT_VANILLA,
            json!({ "reset": reset }),
            || home.come(&protected, reset, self.consent),
            |boot| json!(boot),
        )?;
        match booted.outcome {
            boot::Outcome::Booted(_) => Ok(()),
            other => bail!("the board did not come back to vanilla: {}", other.text()),
        }
    }

    fn vanilla_stands(&mut self) -> Result<Vec<String>> {
        let _at_board = self.live.at_board(AtBoard::Vanilla);
        preflight::vanilla_stands(self.board, &self.protected()?)
    }

    fn see(&mut self, past: &Past) -> Result<Seen> {
        let known = crate::board::backup::host_manifest(&self.backups)?.map(|known| known.protected);
        let board = way_home::see(self.board, known.as_ref(), ANSWER);
        let label_offered = match (&board, &known) {
            (BoardSeen::Silent { .. }, _) | (_, None) => None,
            (_, Some(protected)) => boot::offers_our_label(self.board, protected).ok(),
        };
        let staged = self.workshop.staged().ok();
        let kept: Vec<&Kept> = past
            .rows
            .iter()
            .filter_map(|row| row.ended.as_ref())
            .flat_map(|ended| &ended.kept)
            .collect();
        let is_staged = |kept: &&&Kept| {
            let known = self.kept(&kept.name).ok();
            let known = known.and_then(|bytes| Manifest::parse(&bytes).ok());
            known.is_some() && known == staged
        };
        Ok(Seen {
            board,
            label_offered,
            stack: self.workshop.stack()?,
            staged: kept
                .iter()
                .filter(is_staged)
                .filter_map(|kept| super::course::row_of_manifest(&kept.name))
                .collect(),
            kept: kept
                .iter()
                .filter_map(|kept| {
                    let sha256 = files::sha256_file(&self.folder.join(&kept.name)).ok()?;
                    Some(Kept {
                        name: kept.name.clone(),
                        sha256,
                    })
                })
                .collect(),
        })
    }

    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        files::write_atomic(&self.folder.join(name), bytes)
    }

    fn kept(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(name);
        bounded::read(&path, bounded::RECORD)
    }

    fn save(&mut self, record: &RunRecord) -> Result<()> {
        record.save(&self.folder)?;
        report::write_all(&self.folder, record)
    }
}

impl Engine<'_> {
    /// Does `act` with a step and the board that was made ready. What waits for a person is told to whom it may concern.
    fn on_board<T>(
        &self,
        asked: &Asked,
        act: impl FnOnce(&BootStep, &Rig, &mut dyn FnMut(Said)) -> Result<T>,
    ) -> Result<T> {
        let prepared = self.prepared.as_ref().context("the board was not prepared")?;
        let ready = &prepared.ready;
        let evidence = self.evidence(asked.evidence);
        let step = BootStep {
            id: asked.row,
            manifest: asked.manifest,
            load: asked.load,
            tests: asked.tests.clone(),
            exercise: asked.exercise,
            log_rules: &self.campaign.log,
            known: asked.known,
            evidence: &evidence,
            known_dumps: &prepared.known_dumps,
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
        let (ui, mut ear) = (self.ui, Ear::default());
        let whose = (
            self.campaign.name.as_str(),
            self.campaign.board.as_str(),
            asked.row,
        );
        let _at_board = self.live.at_board(AtBoard::UnderTest);
        act(&step, &rig, &mut |line| {
            ui.say(&format!("    {line}"));
            if let Some(what) = ear.hears(line) {
                self.notify.tell(&notify::waiting(whose, what, &self.folder), ui);
            }
        })
    }

    /// pstore's records that a boot left are no news of the next one.
    fn now_has(&mut self, booted: &Booted) {
        if let Some(prepared) = &mut self.prepared {
            prepared.known_dumps = booted.dumps.clone();
        }
    }

    /// What a build came to: a kernel that cannot be built is an answer.
    fn answer(&self, built: Result<job::Built>) -> Result<Built> {
        match built {
            Ok(built) => Ok(Built::Kernel(Box::new(built))),
            Err(error) if self.stop_asked() => Err(error.context(StopAsked)),
            Err(error) if is_of_this_machine(&error) => Err(error),
            Err(error) => Ok(Built::Fails(format!("{error:#}"))),
        }
    }

    /// Under what the debug kernel is watched.
    fn watched_under(&self) -> Result<Conditions> {
        let prepared = self.prepared.as_ref().context("the board was not prepared")?;
        Ok(known::conditions(self.campaign, prepared.ready.method))
    }

    /// What must survive, as pre-flight knows it: of this process, or of the backup.
    fn protected(&self) -> Result<Protected> {
        if let Some(prepared) = &self.prepared {
            return Ok(prepared.ready.protected.clone());
        }
        let known = crate::board::backup::host_manifest(&self.backups)?;
        Ok(known
            .context("the board was not prepared: there is no backup of it (`cargo xtask bisect-apply --anew` begins from nothing, and makes one)")?
            .protected)
    }
}

/// A full disk or too little memory says nothing about a patch.
fn is_of_this_machine(error: &anyhow::Error) -> bool {
    let failed = error.downcast_ref::<Failed>();
    failed.is_some_and(|failed| matches!(failed.failure.cause, Cause::DiskFull | Cause::OutOfMemory))
}

/// The final `.config` of the build beside what its boot showed, so that two runs can be compared (`config diff`).
fn keep_config(manifest: &Manifest, evidence: &std::path::Path) -> Result<()> {
    let config = manifest.root.join(stage::CONFIG);
    let bytes = bounded::read(&config, bounded::WRITTEN)?;
    files::write_atomic(&evidence.join(KEPT_CONFIG), &bytes)
}
