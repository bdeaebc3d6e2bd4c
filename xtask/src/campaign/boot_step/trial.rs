//! What is asked of the kernel under test while it runs: modules, people, smoke tests, soak, the proof that it is this build. A heart beats beside it.

use super::{BootStep, LOOK};
use crate::board::boot::Answer;
use crate::board::heart::rule::Pace;
use crate::board::heart::{Heart, Stopped};
use crate::board::lease::{self, Leased};
use crate::board::netconsole::Armed;
use crate::board::proof::{self, Expected, Lockdep, Subject};
use crate::board::script;
use crate::campaign::attempt::Booted;
use crate::campaign::exercise::{self, Probe};
use crate::campaign::file::{SmokeTest, SoakAsked};
use crate::campaign::gates;
use crate::campaign::harvest::Harvest;
use crate::campaign::harvest_netconsole;
use crate::campaign::harvest_running::{self, AlreadyRead};
use crate::campaign::journal_ahead::JournalAhead;
use crate::campaign::phase;
use crate::campaign::rig::Rig;
use crate::campaign::said::Said;
use crate::campaign::smoke::{self, Hangs, SmokeResult, broken, checkers, hung};
use crate::campaign::soak;
use crate::campaign::stopwatch::Stopwatch;
use crate::host::process::BrokenOff;
use crate::ui::short;
use anyhow::{Context, Result};
use kernel_log::kind::Kind;
use std::time::Duration;

/// The phases around the tests.
/// Begins the line that [`hung::sentence`] reads.
const HUNG: &str = "hung_task_timeout_secs=";

/// The beats of the heart, in the folder of the boot's evidence.
const HEARTBEAT: &str = "heartbeat.txt";

/// The boot on trial, and by what it is known.
pub(super) struct Trial<'a> {
    /// What answers now.
    pub answer: &'a Answer,
    /// The boot id of the boot before.
    pub boot_id_before: &'a str,
    /// The nonce of this deploy.
    pub nonce: &'a str,
    /// What its kernel said, as far as it is read already.
    pub read: AlreadyRead,
}

/// What is asked of a kernel that answers.
pub(super) type Asking<'a> =
    dyn FnMut(&Rig, &Trial, &mut Booted, &mut Stopwatch, &mut dyn FnMut(Said)) -> Result<()> + 'a;

impl BootStep<'_> {
    /// Asks `ask` of what runs and harvests its logs, under a lease and beside a heart; gives the netconsole that was set up, if any, and why it was
    /// broken off, if it was. What goes wrong is in the value: an error here must not leave the board on the kernel under test.
    pub(super) fn try_out(
        &self,
        rig: &Rig,
        trial: &Trial,
        (harvest, booted, watch): (&mut Harvest, &mut Booted, &mut Stopwatch),
        say: &mut dyn FnMut(Said),
        ask: &mut Asking,
    ) -> (Option<Armed>, Option<Stopped>) {
        let log = self.evidence.join(HEARTBEAT);
        let pace = hung::patient(Pace::default(), hung::sooner(&self.tests.tests));
        let heart = match Heart::begin(rig.board, &trial.answer.boot_id, &log, pace) {
            Ok(heart) => heart,
            Err(error) => {
                booted.seen.lost.push(format!("{error:#}"));
                return (None, None);
            }
        };
        let watching = heart.watching(rig.board);
        let leased = Leased::new(&watching);
        let rig = &Rig {
            board: &leased,
            ..*rig
        };
        let netconsole = watch.time(phase::SET_UP, || {
            harvest_netconsole::arm(rig.board, &mut booted.facts)
        });
        let mut broken_off = None;
        match ask(rig, trial, booted, watch, say) {
            Ok(()) => {}
            Err(error) if BrokenOff::is(&error) => broken_off = Some(error),
            Err(error) => booted.seen.lost.push(format!("{error:#}")),
        }
        let logs = || harvest_running::take(rig.board, harvest, self.evidence, &trial.read);
        match watch.time(phase::READ, logs) {
            Ok(missing) => booted.facts.extend(missing),
            // Why is told already, or below.
            Err(error) if BrokenOff::is(&error) => {}
            Err(error) => booted.seen.lost.push(format!("{error:#}")),
        }
        let (beats, stopped) = heart.end();
        booted.facts.push(beats);
        if let Some(stopped) = &stopped {
            say(Said::Line(&stopped.why));
            booted.facts.push(stopped.why.clone());
        }
        booted.seen.lost.extend(why_lost(broken_off, stopped.as_ref()));
        (netconsole, stopped)
    }

    /// Modules, people, smoke tests, soak, and the proof that it is this build.
    pub(super) fn prove_and_test(
        &self,
        rig: &Rig,
        trial: &Trial,
        booted: &mut Booted,
        watch: &mut Stopwatch,
        say: &mut dyn FnMut(Said),
    ) -> Result<()> {
        let probes: Vec<Probe> = self
            .exercise
            .iter()
            .map(|entry| Probe::parse(entry))
            .collect::<Result<_>>()?;
        let armed = watch.time(phase::SET_UP, || self.arm(rig, &probes, booted))?;
        self.wait_for_login(rig, booted, watch, say)?;
        trial.read.journal.set(JournalAhead::begin(rig.board));
        for (test, exit) in &self.tests.tests {
            watch.time(phase::SMOKE, || self.smoke(rig, test, *exit, booted, say))?;
        }
        match (&self.tests.soak, &booted.broken) {
            (Some(_), Some(why)) => booted
                .seen
                .failed_tests
                .push(format!("the soak was not run: {why}")),
            (Some(soak), None) => watch.time(phase::SOAK, || self.soak(rig, soak, booted, say))?,
            (None, _) => {}
        }
        watch.time(phase::READ, || {
            let journal = &trial.read.journal;
            journal.set(journal.take().map(JournalAhead::tests_are_over));
            let trace = exercise::read(&probes);
            let scripts = [trace.as_str(), proof::GATHER, harvest_running::KMSG];
            let doing = "reading the trace, the proof of boot and the kernel's log";
            let [trace, proof, kmsg] = script::ask_all(rig.board, doing, scripts, LOOK)?;
            trial.read.kmsg.set(Some(kmsg));
            self.exercised(&armed, &String::from_utf8_lossy(&trace), &probes, booted);
            let seen = proof::parse(&String::from_utf8_lossy(&proof))?;
            self.prove(&seen, trial, lease::held(&armed).as_ref(), booted);
            Ok(())
        })
    }

    /// What has run, by the trace.
    fn exercised(&self, armed: &str, read: &str, probes: &[Probe], booted: &mut Booted) {
        booted.exercised = exercise::counts(armed, read, probes);
        let counted = probes.iter().zip(&booted.exercised);
        for (probe, (what, _)) in counted.filter(|(_, (_, count))| *count == 0) {
            let did_not = match probe {
                Probe::Counter(_) => "did not grow",
                Probe::Function(_) | Probe::Kprobe(_) | Probe::Tracepoint { .. } => "did not run",
            };
            booted.seen.not_run.push(format!("{what} {did_not}"));
        }
    }

    /// Asks for the lease, has the kernel tell of tasks that hang, loads modules and starts counting; gives what [`exercise::counts`] needs of it.
    fn arm(&self, rig: &Rig, probes: &[Probe], booted: &mut Booted) -> Result<String> {
        let hung = hung::sooner(&self.tests.tests).map_or(String::new(), |seconds| {
            format!("echo \"{HUNG}$({})\"\n", hung::script(seconds))
        });
        let arming = [lease::LOOKING, &hung, &exercise::arm(self.load, probes)].concat();
        let armed = rig.board.run(&arming, LOOK).context("loading modules")?;
        let said = armed.text();
        booted.facts.push(lease::sentence(lease::held(&said).as_ref()));
        let told = said.lines().find_map(|line| line.strip_prefix(HUNG));
        booted.facts.extend(told.and_then(hung::sentence));
        if !armed.status.success() {
            let words = String::from_utf8_lossy(&armed.stderr).trim().to_string();
            booted
                .seen
                .failed_tests
                .push(format!("loading {}: {words}", self.load.join(", ")));
        }
        let unknown = said.lines().filter(|line| line.starts_with(exercise::UNKNOWN));
        booted.seen.not_run.extend(unknown.map(exercise::explain));
        Ok(said)
    }

    /// Where the step asks for it: the tests begin when a person has logged in on the desktop.
    fn wait_for_login(
        &self,
        rig: &Rig,
        booted: &mut Booted,
        watch: &mut Stopwatch,
        say: &mut dyn FnMut(Said),
    ) -> Result<()> {
        let Some(limit) = self.tests.login else {
            return Ok(());
        };
        let who = watch.time(phase::WAIT_FOR_PERSON, || {
            gates::watch::for_login(rig.board, limit, say)
        })?;
        match who {
            Some(who) => booted
                .facts
                .push(format!("{who} logged in on the desktop before the tests")),
            None => booted.seen.failed_tests.push(format!(
                "nobody logged in on the desktop within {}, and this step is about what happens then",
                short(limit)
            )),
        }
        Ok(())
    }

    /// After the tests: the modules are loaded then, and a checker that a splat has switched off is seen as dead.
    fn prove(
        &self,
        seen: &proof::Seen,
        trial: &Trial,
        lease_before: Option<&lease::Held>,
        booted: &mut Booted,
    ) {
        let modules: Vec<String> = self.load.iter().map(|module| module.replace('-', "_")).collect();
        let expected = Expected {
            manifest: self.manifest,
            nonce: trial.nonce,
            boot_id_before: Some(trial.boot_id_before),
            lockdep: match self.tests.lockdep {
                true => Lockdep::Alive,
                false => Lockdep::NotAsked,
            },
            modules: &modules,
        };
        let proof = proof::prove(&expected, seen);
        // What it lacked from the beginning was told then.
        let now = proof
            .lease
            .as_ref()
            .map(|held| (held.ends.as_slice(), held.renewal));
        let was = lease_before.map(|held| (held.ends.as_slice(), held.renewal));
        if now.is_none() || now != was {
            let told = lease::sentence(proof.lease.as_ref());
            booted.facts.push(format!("after the tests: {told}"));
        }
        for fact in proof.open() {
            let text = format!("{}: expected {}, seen {}", fact.what, fact.expected, fact.seen);
            match fact.what {
                Subject::Lockdep => booted.seen.dead_checkers.push(text),
                Subject::Loaded(_) => booted.seen.failed_tests.push(text),
                _ => booted.seen.wrong_kernel.push(text),
            }
        }
        if proof.holds() {
            let proven: Vec<String> = proof.facts.iter().map(|fact| fact.what.to_string()).collect();
            booted
                .facts
                .push(format!("proven to be this build: {}", proven.join(", ")));
        }
    }

    /// Runs a smoke test as often as it asks for, one result for all of them: the first that failed, or the last. Behind a test that broke the kernel it is
    /// not run, and has failed.
    pub(super) fn smoke(
        &self,
        rig: &Rig,
        test: &SmokeTest,
        exit: i32,
        booted: &mut Booted,
        say: &mut dyn FnMut(Said),
    ) -> Result<()> {
        if let Some(why) = &booted.broken {
            let left_out = broken::not_run(test, why);
            booted.finished(left_out);
            return Ok(());
        }
        let hangs = match self.known {
            Some(known) if known.iter().all(|finding| finding.kind != Kind::HungTask) => Hangs::End,
            _ => Hangs::AreLeft,
        };
        let mut shown = SmokeResult::default();
        let mut failed = 0;
        for _ in 0..test.repeat {
            let limit = Duration::from_secs(smoke::longest(test));
            let finished = rig
                .board
                .run(&smoke::script(test, rig.smoke_folder, hangs), limit)
                .with_context(|| format!("in the smoke test {}", test.name))?;
            let seen = smoke::look(test, exit, &String::from_utf8_lossy(&finished.stdout));
            let what = format!("smoke test {}", test.name);
            booted.changed(checkers::compare(
                &what,
                seen.before,
                seen.after,
                booted.known_dead(),
            ));
            if failed == 0 {
                shown = seen.result.clone();
            }
            failed = u32::from(seen.result.failure.is_some()).saturating_add(failed);
            booted.broken = broken::why(&seen, self.known);
            if let Some(why) = &booted.broken {
                say(Said::Line(&format!("{why}: no other test is run")));
                break;
            }
        }
        if let Some(failure) = shown.failure.as_mut().filter(|_| test.repeat > 1) {
            *failure = format!("{failed} of {} runs failed; the first: {failure}", test.repeat);
        }
        let told = shown.failure.as_deref().unwrap_or("as expected");
        say(Said::Line(&format!("{}: {told}", test.name)));
        booted.finished(shown);
        Ok(())
    }

    /// Smoke tests under load.
    fn soak(
        &self,
        rig: &Rig,
        asked: &SoakAsked,
        booted: &mut Booted,
        say: &mut dyn FnMut(Said),
    ) -> Result<()> {
        let watched = soak::watch(
            rig.board,
            asked,
            rig.smoke_folder,
            self.evidence,
            booted.known_dead(),
            say,
        )?;
        let sentence = watched.soaked.sentence(asked);
        say(Said::Line(&sentence));
        booted.facts.push(sentence);
        booted.changed(watched.change);
        for result in watched.results {
            if let Some(failure) = &result.failure {
                say(Said::Line(&format!("{}: {failure}", result.name)));
            }
            booted.finished(result);
        }
        Ok(())
    }
}

/// Why the kernel under test was lost to us: what we were doing, and why it was broken off. The command itself, in the middle of the error, says nothing more.
fn why_lost(broken_off: Option<anyhow::Error>, stopped: Option<&Stopped>) -> Option<String> {
    match (broken_off, stopped) {
        (Some(error), Some(stopped)) => Some(format!("{error}: {}", stopped.why)),
        (Some(error), None) => Some(format!("{error:#}")),
        (None, stopped) => stopped.map(|stopped| stopped.why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::heart::rule::State;

    #[test]
    fn a_lost_kernel_is_told_by_the_test_and_the_heart() {
        let stopped = Stopped {
            state: State::Wedged {
                silence: std::time::Duration::from_secs(42),
                talks: false,
            },
            why: "the board's heart has stopped".into(),
        };
        let broken = || {
            anyhow::Error::new(BrokenOff("the heart".into()))
                .context("running `a long script`")
                .context("in the smoke test stream")
        };
        assert_eq!(
            why_lost(Some(broken()), Some(&stopped)).unwrap(),
            "in the smoke test stream: the board's heart has stopped"
        );
        assert!(why_lost(Some(broken()), None).unwrap().contains("a long script"));
        assert_eq!(why_lost(None, Some(&stopped)).unwrap(), stopped.why);
        assert_eq!(why_lost(None, None), None);
    }
}
