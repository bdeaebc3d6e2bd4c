//! One boot of the debug slot, from deploy to the way down: everything that a verdict is made from.

mod reload;
mod trial;

use super::attempt::Booted;
use super::capture_gate;
use super::file::{Asks, LogRules};
use super::gates;
use super::harvest::Harvest;
use super::harvest_netconsole;
use super::harvest_records;
use super::harvest_running::AlreadyRead;
use super::journal::Journal;
use super::rig::Rig;
use super::stopwatch::Stopwatch;
use super::verdict::Seen;
use super::wedge;
use crate::board::boot::{self, Limits, Outcome, Reset};
use crate::board::deploy::{self, Dtb, Request};
use crate::board::nonce::Nonce;
use crate::campaign::phase;
use crate::campaign::said::Said;
use crate::host::json::json;
use crate::manifest::Manifest;
use crate::ui::short;
use anyhow::{Result, bail};
use kernel_log::finding::Finding;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use trial::{Asking, Trial};

/// What is booted and what is asked of it.
pub struct BootStep<'a> {
    /// Number in the plan.
    pub id: &'a str,
    /// The build.
    pub manifest: &'a Manifest,
    /// Modules to load.
    pub load: &'a [String],
    /// Smoke tests, soak, people.
    pub tests: Asks<'a>,
    /// What has to run (see [`super::exercise::Probe`]).
    pub exercise: &'a [String],
    /// Lines that no log may have.
    pub log_rules: &'a LogRules,
    /// What this kernel says without the patch; none where that is what is asked.
    pub known: Option<&'a [Finding]>,
    /// Folder for everything that is captured.
    pub evidence: &'a Path,
    /// pstore records that were on the board before, by name and content.
    pub known_dumps: &'a BTreeSet<String>,
}

/// What another outcome than the boot that was asked for means.
fn not_booted(outcome: &Outcome, seen: &mut Seen) {
    match outcome {
        Outcome::Booted(_) => {}
        Outcome::FellBackToVanilla { why, .. } => seen.lost.push(format!(
            "vanilla came up instead of the debug kernel: {}",
            why.text()
        )),
        Outcome::OtherKernel(answer) => seen
            .wrong_kernel
            .push(format!("{} answers, which is not ours", answer.release)),
        Outcome::Wedged { .. } => seen.lost.push(outcome.text()),
    }
}

/// Longest time of a look at the board.
const LOOK: Duration = Duration::from_secs(60);

impl BootStep<'_> {
    /// Deploys, boots once, proves, tests, harvests and brings the board back to vanilla. What goes wrong with the kernel under
    /// test is in the value; an error means that the board or this machine is not as it has to be. Dying half-way it leaves a board
    /// that vanilla boots on at its next reset.
    pub fn run(
        &self,
        rig: &Rig,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        say: &mut dyn FnMut(Said),
    ) -> Result<Booted> {
        let mut booted = Booted::default();
        booted.facts.extend(watch.time(phase::WAIT_FOR_BOARD, || {
            gates::watch::until_free(rig.board, self.tests.people, say)
        })?);
        let nonce = Nonce::fresh()?;
        self.deploy(rig, &nonce, journal, watch, &mut booted, say)?;
        if let Some(script) = self.tests.tamper {
            let done = rig.board.run(script, LOOK)?;
            booted.facts.push(format!(
                "the board was tampered with, as this rehearsal asks: {}",
                done.status
            ));
        }
        let (outcome, harvest) = self.boot_and_come_back(
            rig,
            nonce.as_str(),
            (journal, watch),
            &mut booted,
            say,
            &mut |rig, trial, booted, watch, say| self.prove_and_test(rig, trial, booted, watch, say),
        )?;
        let lost = !booted.seen.lost.is_empty();
        if lost {
            let (findings, answers) = harvest.findings_and_answers();
            booted.findings = findings;
            let told = answers
                .iter()
                .map(|answer| format!("when it was asked: {} ({})", answer.title, answer.source));
            booted.facts.extend(told);
        } else {
            booted.findings = harvest.findings();
            booted.seen.log_gaps.extend(harvest.gaps());
        }
        let forbidden = harvest.lines_with(&self.log_rules.forbid, lost);
        booted.seen.new_findings.extend(forbidden);
        if matches!(outcome, Outcome::Booted(_)) && booted.not_back.is_none() {
            watch.time(phase::CAPTURE_GATE, || self.capture_gate(rig, &mut booted, say))?;
        }
        Ok(booted)
    }

    /// Boots the slot that is on the board once, asks `ask` of what answers, brings the board back to vanilla and reads what it left. Dying half-way it
    /// leaves a board that vanilla boots on at its next reset.
    fn boot_and_come_back(
        &self,
        rig: &Rig,
        nonce: &str,
        (journal, watch): (&mut Journal, &mut Stopwatch),
        booted: &mut Booted,
        say: &mut dyn FnMut(Said),
        ask: &mut Asking,
    ) -> Result<(Outcome, Harvest)> {
        let boot = watch.time(phase::BOOT, || self.boot_once(rig, nonce, journal, say))?;
        if let Outcome::Booted(answer) = &boot.outcome {
            watch.began_late(phase::BOOT, answer.seconds, phase::CHECKS);
        }
        let mut harvest = Harvest::default();
        let mut stopped = None;
        let mut netconsole = None;
        if let Outcome::Booted(answer) = &boot.outcome {
            say(Said::Line(&format!(
                "{} answers after {:.0} s",
                answer.release, answer.seconds
            )));
            let trial = Trial {
                answer,
                // Where it is not known, nothing proves that this is another boot.
                boot_id_before: boot.before.as_deref().unwrap_or(&answer.boot_id),
                nonce,
                read: AlreadyRead::default(),
            };
            (netconsole, stopped) = self.try_out(rig, &trial, (&mut harvest, booted, watch), say, ask);
        }
        not_booted(&boot.outcome, &mut booted.seen);
        let down = watch.time(phase::BACK_TO_VANILLA, || {
            let ending = wedge::Ending {
                outcome: &boot.outcome,
                lost: &booted.seen.lost,
                stopped: stopped.as_ref(),
            };
            let facts = &mut booted.facts;
            let reset = wedge::way_down(rig.board, rig.protected, &ending, self.evidence, facts, say);
            reset.map_or(Ok(()), |reset| self.back_to_vanilla(rig, journal, reset, say))
        });
        booted.not_back = down.err().map(|error| format!("{error:#}"));
        watch.time(phase::HARVEST, || {
            if let Some(armed) = &netconsole {
                let fact = harvest_netconsole::take(armed, &mut harvest, self.evidence)?;
                booted.facts.push(fact);
            }
            self.harvest_outside(rig, boot.seen.log_from, &mut harvest, booted)
        })?;
        let alone = harvest_netconsole::is_all(rig.permit);
        if matches!(boot.outcome, Outcome::Booted(_)) && alone && netconsole.is_none() {
            let gap = "netconsole, this board's only capture, was not set up in this boot";
            booted.seen.log_gaps.push(gap.into());
        }
        Ok((boot.outcome, harvest))
    }

    /// Once for this vanilla and this debug kernel: a crash on purpose, and what comes back of it.
    fn capture_gate(&self, rig: &Rig, booted: &mut Booted, say: &mut dyn FnMut(Said)) -> Result<()> {
        let on_host = rig.permit.backup.on_host();
        let subject = capture_gate::Subject {
            rig,
            release: &self.manifest.release,
            backups: on_host.parent().unwrap_or(on_host),
        };
        let passed = subject.pass(&self.evidence.join("capture-gate"), say)?;
        booted.facts.push(passed.proven.sentence());
        if let Some(records) = passed.records {
            booted.dumps = records;
        }
        Ok(())
    }

    fn boot_once(
        &self,
        rig: &Rig,
        nonce: &str,
        journal: &mut Journal,
        say: &mut dyn FnMut(Said),
    ) -> Result<boot::Boot> {
        let label = &rig.protected.test_label;
        let inputs = json!({ "label": label, "nonce": nonce, "method": rig.method });
        let boot = || {
            let progress = &mut |progress: &boot::Progress| gates::tell_person(progress, say);
            boot::boot_once(
                rig.board,
                rig.protected,
                rig.method,
                Reset::Orderly,
                &rig.permit,
                progress,
            )
        };
        journal.act(self.id, "boot-once", inputs, boot, |boot| json!(boot))
    }

    /// What is read when the board is back: the serial capture with the way down, and pstore.
    fn harvest_outside(
        &self,
        rig: &Rig,
        log_from: u64,
        harvest: &mut Harvest,
        booted: &mut Booted,
    ) -> Result<()> {
        if let Some(line) = rig.board.serial() {
            harvest.take_serial(line, log_from, self.evidence)?;
        }
        if booted.not_back.is_some() {
            return Ok(());
        }
        let records = harvest_records::take(rig.board, self.evidence)?;
        booted.facts.extend(records.facts(self.known_dumps));
        for dump in records.new_since(self.known_dumps) {
            harvest.keep_dump(dump);
        }
        booted.dumps = records.names();
        Ok(())
    }

    fn deploy(
        &self,
        rig: &Rig,
        nonce: &Nonce,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        booted: &mut Booted,
        say: &mut dyn FnMut(Said),
    ) -> Result<()> {
        let request = Request {
            manifest: self.manifest,
            protected: rig.protected,
            nonce: nonce.clone(),
            dtb: Dtb::Vanilla,
            extra_append: Vec::new(),
            init: Some(rig.slot_init.to_path_buf()),
            keep: 0,
        };
        let inputs = json!({ "release": self.manifest.release, "build-id": self.manifest.build_id });
        let act = || deploy::install(rig.board, &request);
        let deployed = watch.time(phase::DEPLOY, || {
            journal.act(self.id, "deploy", inputs, act, |done| json!(done))
        })?;
        let fact = format!(
            "deployed {} as {}: {} files sent ({:.1} MB, {:.1} MB on the wire), {} unchanged",
            deployed.release,
            deployed.label,
            deployed.sent.files,
            deployed.sent.bytes as f64 / 1e6,
            deployed.sent.wire_bytes as f64 / 1e6,
            deployed.unchanged
        );
        say(Said::Line(&fact));
        booted.facts.push(fact);
        booted.facts.extend(deployed.notes);
        Ok(())
    }

    /// Reboots into vanilla and proves it.
    fn back_to_vanilla(
        &self,
        rig: &Rig,
        journal: &mut Journal,
        reset: Reset,
        say: &mut dyn FnMut(Said),
    ) -> Result<()> {
        if reset == Reset::Hard && !rig.board.description().has_reset {
            say(Said::Line(&format!(
                "nothing here can reset the board ([power] in its file): it is left to its watchdog and its lease, for up to {}",
                short(Limits::of(rig.board).whole())
            )));
        }
        let act = || boot::boot_vanilla(rig.board, rig.protected, reset, &rig.permit, &mut |_| {});
        let boot = journal.act(self.id, "boot-vanilla", json!({ "reset": reset }), act, |boot| {
            json!(boot)
        })?;
        match boot.outcome {
            Outcome::Booted(answer) => {
                say(Said::Line(&format!(
                    "back on {} after {:.0} s",
                    answer.release, answer.seconds
                )));
                Ok(())
            }
            other => bail!("the board did not come back to vanilla: {}", other.text()),
        }
    }
}
