//! The modules of a step, unloaded and loaded in the kernel of the step before it: what acts. The rules are in `campaign::reload`.

use super::trial::Trial;
use super::{BootStep, LOOK};
use crate::board::deploy::{self, Dtb, Request};
use crate::board::lease;
use crate::board::nonce::Nonce;
use crate::board::slot::{self, Place};
use crate::board::writer::{Put, Source, Writer};
use crate::campaign::attempt::Booted;
use crate::campaign::exercise;
use crate::campaign::file::SmokeTest;
use crate::campaign::gates;
use crate::campaign::harvest::{Harvest, Source as Log};
use crate::campaign::journal::past::RELOAD;
use crate::campaign::journal::{Event, Journal};
use crate::campaign::phase;
use crate::campaign::reload::{self, Tried};
use crate::campaign::rig::Rig;
use crate::campaign::said::Said;
use crate::campaign::stopwatch::Stopwatch;
use crate::host::json::json;
use crate::manifest::{File, Manifest};
use anyhow::{Context, Result, ensure};
use kernel_log::finder;
use kernel_log::finding::Finding;
use kernel_log::reader;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for unloading and loading all modules of a step.
const EXCHANGE: Duration = Duration::from_secs(180);

impl BootStep<'_> {
    /// Tries the modules of `now` in the kernel of the step before, whose build is this step's manifest: boots the slot that is on the board once,
    /// unloads and loads there, runs each smoke test once, and brings the board back to vanilla. Nothing below `/lib/modules` changes. What goes
    /// wrong with the kernel is in the value; an error means that the board or this machine is not as it has to be. Dying half-way it leaves a
    /// board that vanilla boots on at its next reset.
    pub fn try_by_reload(
        &self,
        rig: &Rig,
        now: &Manifest,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        say: &mut dyn FnMut(Said),
    ) -> Result<Tried> {
        let (files, nonce) = match self.may_reload(rig, now) {
            Ok(may) => may,
            Err(why) => return Ok(Tried::NotPossible(why)),
        };
        let inputs = reload::inputs(&files, self.manifest);
        journal.write(Event::Intent, self.id, RELOAD, inputs)?;
        match self.boot_and_reload(rig, (now, &files), &nonce, journal, watch, say) {
            Ok((booted, ended)) => {
                let outcome = json!({ "seen": booted.seen, "ended": ended, "facts": booted.facts });
                journal.write(Event::Done, self.id, RELOAD, outcome)?;
                Ok(Tried::Done {
                    booted: Box::new(booted),
                    ended,
                })
            }
            Err(error) => {
                journal.write(Event::Failed, self.id, RELOAD, json!(format!("{error:#}")))?;
                Err(error)
            }
        }
    }

    /// The boot, and what was seen; also why it ended before the tests, if it did.
    fn boot_and_reload(
        &self,
        rig: &Rig,
        step: (&Manifest, &[&File]),
        nonce: &str,
        journal: &mut Journal,
        watch: &mut Stopwatch,
        say: &mut dyn FnMut(Said),
    ) -> Result<(Booted, Option<String>)> {
        let mut booted = Booted::default();
        booted
            .facts
            .extend(gates::watch::until_free(rig.board, self.tests.people, say)?);
        // The phases of the boot that gives the verdict are timed, learned and told by these names: this boot is one phase of its own.
        let mut inner = Stopwatch::default();
        let mut ended = None;
        let (_, harvest) = watch.time(phase::RELOAD, || {
            self.boot_and_come_back(
                rig,
                nonce,
                (journal, &mut inner),
                &mut booted,
                say,
                &mut |rig, trial, booted, _, say| {
                    ended = self.reload(rig, trial, step, booted, say)?;
                    Ok(())
                },
            )
        })?;
        booted.findings = Self::said(&harvest, &booted);
        let lost = !booted.seen.lost.is_empty();
        let forbidden = harvest.lines_with(&self.log_rules.forbid, lost);
        booted.seen.new_findings.extend(forbidden);
        Ok((booted, ended))
    }

    /// The modules that are exchanged, and the nonce of the slot that is booted for it. Errors: why it cannot be tried.
    fn may_reload<'n>(&self, rig: &Rig, now: &'n Manifest) -> Result<(Vec<&'n File>, String), String> {
        let words = |error: anyhow::Error| format!("{error:#}");
        let files = reload::changed(self.manifest, now)?;
        let place = Place::of(rig.protected, &now.release).map_err(words)?;
        let slot = slot::read(rig.board, rig.protected).map_err(words)?;
        if let Some(why) = reload::another_slot(slot.as_ref(), self.manifest, &place.modules) {
            return Err(why);
        }
        let slot = slot::verify(rig.board, rig.protected).map_err(words)?;
        if place.initramfs.is_some()
            && let Some(why) = self.new_initramfs(rig, now).map_err(words)?
        {
            return Err(format!("the initramfs is made anew: {why}"));
        }
        Ok((files, slot.nonce))
    }

    /// Why a deploy of this build would make another initramfs.
    fn new_initramfs(&self, rig: &Rig, now: &Manifest) -> Result<Option<String>> {
        let request = Request {
            manifest: now,
            protected: rig.protected,
            nonce: Nonce::fresh()?,
            dtb: Dtb::Vanilla,
            extra_append: Vec::new(),
            init: Some(rig.slot_init.to_path_buf()),
            keep: 0,
        };
        Ok(deploy::plan(rig.board, &request)?.initramfs)
    }

    /// On the booted board: the modules of the step as the step before has them, then as this one has them, then the smoke tests. Gives why it ended
    /// before anything was unloaded, if it did.
    fn reload(
        &self,
        rig: &Rig,
        trial: &Trial,
        (now, files): (&Manifest, &[&File]),
        booted: &mut Booted,
        say: &mut dyn FnMut(Said),
    ) -> Result<Option<String>> {
        let known = |module: &&String| self.manifest.module(module).is_some();
        let old: Vec<String> = self.load.iter().filter(known).cloned().collect();
        let arming = [lease::LOOKING, &exercise::arm(&old, &[])].concat();
        let armed = rig.board.run(&arming, LOOK)?;
        let held = lease::held(&armed.text());
        booted.facts.push(lease::sentence(held.as_ref()));
        if !armed.status.success() {
            let said = String::from_utf8_lossy(&armed.stderr).trim().to_string();
            booted.facts.push(format!(
                "the modules of the step before could not all be loaded: {said}"
            ));
        }
        let answer = rig.board.run(&reload::look(), LOOK)?.text();
        if !reload::is_in_memory(&answer) {
            return Ok(Some("/run is not in memory on this board".into()));
        }
        let loaded = reload::loaded(&answer);
        let changed: Vec<String> = files.iter().filter_map(|file| file.module_name()).collect();
        let out = match reload::unloading(&changed, &loaded) {
            Ok(out) => out,
            Err(why) => return Ok(Some(why)),
        };
        self.push(rig, now, files)?;
        let stays: Vec<String> = loaded
            .iter()
            .map(|module| module.name.clone())
            .filter(|name| !out.contains(name))
            .collect();
        let into = self.into(rig, now, files, &[&out[..], self.load].concat(), &stays)?;
        let done = rig.board.run(&reload::exchange(&out, &into), EXCHANGE)?;
        let did = reload::did(&done.text());
        let told = format!("without a reboot: {}", did.join(", "));
        say(Said::Line(&told));
        booted.facts.push(told);
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_string();
            booted.seen.failed_tests.push(format!(
                "unloading and loading ended with {}: {said}",
                done.status
            ));
            return Ok(None);
        }
        ensure!(
            crate::board::boot::look(rig.board)?.boot_id == trial.answer.boot_id,
            "the board has restarted meanwhile"
        );
        for (test, exit) in &self.tests.tests {
            let once = SmokeTest {
                repeat: 1,
                ..(*test).clone()
            };
            self.smoke(rig, &once, *exit, booted, say)?;
        }
        Ok(None)
    }

    /// Sends the changed modules to [`reload::FOLDER`].
    fn push(&self, rig: &Rig, now: &Manifest, files: &[&File]) -> Result<()> {
        let mut puts = Vec::new();
        for file in files {
            puts.push(Put {
                target: below(file)?.to_path_buf(),
                source: Source::HostFile(now.root.join(&file.source)),
                sha256: file.sha256.clone(),
                size: file.size,
                mode: file.mode,
                keep: None,
            });
        }
        Writer::new(rig.board, rig.protected)
            .put(Path::new(reload::FOLDER), &puts)
            .context("sending the modules of this step")?;
        Ok(())
    }

    /// The files that are loaded, in their order: a changed one from memory, the others from the slot.
    fn into(
        &self,
        rig: &Rig,
        now: &Manifest,
        files: &[&File],
        wanted: &[String],
        stays: &[String],
    ) -> Result<Vec<String>> {
        let place = Place::of(rig.protected, &now.release)?;
        let index = PathBuf::from("lib/modules")
            .join(&now.release)
            .join("modules.dep");
        let index = now.root.join(index);
        let needs =
            std::fs::read_to_string(&index).with_context(|| format!("reading {}", index.display()))?;
        let mut paths = Vec::new();
        for path in reload::loading(wanted, &needs, stays) {
            let is_new = files
                .iter()
                .any(|file| reload::below_release(file) == Some(Path::new(&path)));
            let folder = match is_new {
                true => Path::new(reload::FOLDER),
                false => &place.modules,
            };
            paths.push(folder.join(path).display().to_string());
        }
        Ok(paths)
    }

    /// What the kernel complained about behind the mark; of a board that was lost, everything that was read from outside.
    fn said(harvest: &Harvest, booted: &Booted) -> Vec<Finding> {
        if !booted.seen.lost.is_empty() {
            return harvest.findings_and_answers().0;
        }
        // Where /dev/kmsg gives nothing, dmesg was taken.
        let behind = |source: &Log| Some((*source, harvest.log(*source).and_then(reload::behind_mark)?));
        let said = [Log::Kmsg, Log::Dmesg].iter().find_map(behind);
        said.map_or(Vec::new(), |(source, log)| {
            finder::find(&reader::read(log), source.name())
        })
    }
}

fn below(file: &File) -> Result<&Path> {
    reload::below_release(file)
        .with_context(|| format!("{} is not in a folder of modules", file.source.display()))
}
