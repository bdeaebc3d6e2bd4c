//! The restart itself: asks for it, attends the serial line, waits until the board answers as somebody new.

use super::limits::{BEHIND_WATCHDOG, Limits, PANIC, WATCHDOG, patience};
use super::menu::{Attendant, Plan, Seen};
use super::method::Way;
use super::reset::{CRASH, Reset, STARVE, by_force};
use super::serial::Phase;
use super::{ANSWER_LIMIT, Answer, Answered, Progress, look_and_read, sysrq};
use crate::board::protected::Protected;
use crate::board::{Board, SerialLine, awake, nonce};
use anyhow::{Error, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the log is looked at: U-Boot's shortest countdown is a second.
const POLL: Duration = Duration::from_millis(50);
/// How long a kernel has run before anybody can be there who answers.
const SOONEST: Duration = Duration::from_millis(500);
/// How often a board without a serial line is asked: a connection to one that is down takes as long as its limit.
const ASK_EVERY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 2000 });
/// How often a board is asked whose line shows no restart although there should have been one.
const ASK_UNSEEN_EVERY: Duration = Duration::from_secs(10);

/// In the background of a script: waits until that script has ended and whoever started it knows, so that its answer goes before the connection does.
/// Builtins alone, and never for more than some seconds.
const BEHIND_THE_ANSWER: &str =
    "turns=0; while kill -0 $$ 2>/dev/null && [ $turns -lt 50000 ]; do turns=$((turns + 1)); done";

/// Waits for a board that restarts without being asked: it panicked, or its watchdog fired. A menu that waits is answered with vanilla's number.
/// Gives whether it answers; not, when a panic is not followed by a restart, or the boot takes longer than it may.
pub fn await_own_restart(board: &dyn Board, protected: &Protected) -> bool {
    let limits = Limits::of(board);
    let started = Instant::now();
    loop {
        let phase = board
            .serial()
            .and_then(|line| sysrq::last_phase(line).ok())
            .unwrap_or_default();
        let loads = matches!(phase, Phase::Bootloader | Phase::MenuWaits | Phase::Loading);
        if !loads && phase != Phase::Panicked && board.answers(ANSWER_LIMIT) {
            return true;
        }
        // Where this is a person's to answer, the wait ends at its limit, and the next one says so.
        let _ = super::answer_waiting_menu(board, protected);
        let limit = match phase {
            Phase::Panicked => PANIC,
            _ => limits.bootloader.saturating_add(limits.kernel),
        };
        if started.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// One restart.
pub(super) struct Restart<'a> {
    pub board: &'a dyn Board,
    pub extlinux: &'a Path,
    /// What answered before; without it any answer counts that comes after U-Boot was seen.
    pub old: Option<&'a Answer>,
    /// The board is held awake, and will be again.
    pub held_awake: bool,
    pub plan: Plan,
    pub way: Way,
    pub reset: Reset,
    /// The shell command of [`Reset::Orderly`].
    pub command: &'a str,
}

impl Restart<'_> {
    /// Restarts, answers the menu, waits for a boot id that is not the old one: what was seen, and the answer.
    pub fn run(self, on_progress: &mut dyn FnMut(&Progress)) -> Result<(Seen, Option<Answered>)> {
        let (board, held_awake) = (self.board, self.held_awake);
        let (seen, answer) = self.restart(on_progress)?;
        if held_awake && answer.is_some() {
            // The next pre-flight tells it where this fails.
            drop(awake::hold(board));
        }
        Ok((seen, answer))
    }

    fn restart(self, on_progress: &mut dyn FnMut(&Progress)) -> Result<(Seen, Option<Answered>)> {
        match self.board.serial() {
            Some(line) => self.with_line(line, on_progress),
            None => self.blind(on_progress),
        }
    }

    fn with_line(
        self,
        line: &dyn SerialLine,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<(Seen, Option<Answered>)> {
        let mut limits = Limits::of(self.board);
        if self.reset == Reset::BreakCrash {
            // A kernel that did not take the key will not take it later.
            limits.down = PANIC;
        }
        let mut attendant = Attendant::new(line, self.plan.clone())?;
        // For the time when no command runs. A recorder that does not know it leaves menus alone.
        let _ = line.vanilla_is(&self.plan.then.entry());
        let started = Instant::now();
        let left_alone = self.ask(on_progress)?;
        let mut forced = self.reset == Reset::Hard;
        let mut asked_unseen = started;
        let mut kernel_since: Option<Instant> = None;
        let mut answer = None;
        let mut asked = 0;
        loop {
            attendant.attend(on_progress)?;
            let seen = attendant.seen();
            let restarted = seen.banner || (self.way == Way::NoBootloader && !seen.linux.is_empty());
            if !restarted && started.elapsed() > limits.down && asked_unseen.elapsed() > ASK_UNSEEN_EVERY {
                // An adapter that the board feeds is gone while the power is, and takes U-Boot's first lines with it.
                asked_unseen = Instant::now();
                answer = self.somebody_new(started, ANSWER_LIMIT);
                if answer.is_none() && !forced {
                    on_progress(&Progress::PullingReset);
                    by_force(self.board, attendant.phase())?;
                    forced = true;
                }
            } else if !(restarted && attendant.phase() >= Phase::Kernel) {
                kernel_since = None;
            } else if kernel_since.get_or_insert_with(Instant::now).elapsed() > SOONEST {
                // Asked only while a kernel runs: a menu must not wait behind a connection that hangs.
                answer = self.somebody_new(started, patience(asked));
                asked = asked.saturating_add(1);
            }
            if answer.is_some() || started.elapsed() > limits.whole() {
                break;
            }
            std::thread::sleep(POLL);
        }
        attendant.attend(on_progress)?;
        let mut seen = attendant.into_seen();
        seen.forced = forced && self.reset != Reset::Hard;
        self.ended(answer, left_alone, started)
            .map(|answer| (seen, answer))
    }

    /// Without a serial line there is nothing to see but an answer.
    fn blind(self, on_progress: &mut dyn FnMut(&Progress)) -> Result<(Seen, Option<Answered>)> {
        let limits = Limits::of(self.board);
        let started = Instant::now();
        if let Some(answer) = self.by_its_watchdog(started) {
            return Ok((Seen::default(), Some(answer)));
        }
        let left_alone = self.ask(on_progress)?;
        let mut answer = None;
        let (mut gone, mut forced) = (self.reset == Reset::Hard, false);
        while answer.is_none() && started.elapsed() < limits.whole() {
            std::thread::sleep(ASK_EVERY);
            answer = self.somebody_new(started, ANSWER_LIMIT);
            gone |= !self.board.answers(ANSWER_LIMIT);
            if !gone && started.elapsed() > limits.down {
                on_progress(&Progress::PullingReset);
                by_force(self.board, Phase::Unknown)?;
                (gone, forced) = (true, true);
            }
        }
        let seen = Seen {
            forced,
            ..Seen::default()
        };
        self.ended(answer, left_alone, started)
            .map(|answer| (seen, answer))
    }

    /// What a wedged kernel said lies in memory, which a watchdog keeps and a power cut does not; without a serial line there is no other copy. So
    /// the watchdog, where the board's file names one, comes before the reset. `None`: it brought nobody back but the kernel that was wedged.
    fn by_its_watchdog(&self, started: Instant) -> Option<Answered> {
        let description = self.board.description();
        let dog = description.watchdog.as_ref();
        let dog = dog.filter(|_| self.old.is_none() && self.reset == Reset::Hard)?;
        let bites = Duration::from_secs(dog.timeout_s.unwrap_or(WATCHDOG).into());
        let limit = bites.saturating_add(description.boot_limit.min(BEHIND_WATCHDOG));
        while started.elapsed() < limit {
            std::thread::sleep(ASK_EVERY);
            if let Some(answer) = self.somebody_new(started, ANSWER_LIMIT) {
                return Some(answer).filter(|seen| !nonce::is_of_ours(&seen.answer.cmdline));
            }
        }
        None
    }

    /// A board that nobody could reset, and that did not come back by itself either, is a person's.
    fn ended(
        &self,
        answer: Option<Answered>,
        left_alone: Option<Error>,
        started: Instant,
    ) -> Result<Option<Answered>> {
        match left_alone {
            Some(error) if answer.is_none() => Err(error.context(format!(
                "board `{}` does not answer, and for {} s neither its watchdog nor its lease has brought it back",
                self.board.description().name,
                started.elapsed().as_secs()
            ))),
            _ => Ok(answer),
        }
    }

    fn somebody_new(&self, started: Instant, patience: Duration) -> Option<Answered> {
        if !self.board.answers(patience) {
            return None;
        }
        let mut seen = look_and_read(self.board, self.extlinux).ok()?;
        if self.old.is_some_and(|old| seen.answer.boot_id == old.boot_id) {
            return None;
        }
        seen.answer.seconds = started.elapsed().as_secs_f64();
        Some(seen)
    }

    /// Only this function and [`by_force`] restart a board. The connection dies with the board, so its words do not count. Gives why a board that
    /// is silent cannot be reset from here: it is left to its watchdog and its lease then (invariant 4).
    fn ask(&self, on_progress: &mut dyn FnMut(&Progress)) -> Result<Option<Error>> {
        let script = match self.reset {
            Reset::Hard => {
                let done = by_force(self.board, Phase::Unknown);
                on_progress(&Progress::Asked);
                return match done {
                    Err(error) if self.old.is_none() => Ok(Some(error)),
                    done => done.map(|()| None),
                };
            }
            Reset::Orderly => format!(
                "sync\n({BEHIND_THE_ANSWER}\n{}) >/dev/null 2>&1 &\n",
                self.command
            ),
            Reset::Crash => CRASH.to_string(),
            Reset::Watchdog => STARVE.to_string(),
            Reset::BreakCrash => {
                if sysrq::by_break(self.board, 'c').is_err() {
                    by_force(self.board, Phase::Unknown)?;
                }
                on_progress(&Progress::Asked);
                return Ok(None);
            }
        };
        drop(self.board.run(&script, Duration::from_secs(30)));
        on_progress(&Progress::Asked);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::InFront;
    use crate::board::bare_board::{BareBoard, said};
    use crate::board::boot::{look, menu, method};
    use crate::board::extlinux::Config;
    use crate::host::process::{self, BreakOff, Finished, Input};
    use std::cell::{Cell, RefCell};

    /// Answers as another boot as soon as it was asked to restart, and keeps what it was asked.
    struct Quick {
        bare: BareBoard,
        asked: RefCell<Vec<String>>,
    }

    impl Quick {
        fn was_asked(&self, word: &str) -> bool {
            self.asked.borrow().iter().any(|script| script.contains(word))
        }
    }

    impl InFront for Quick {
        fn behind(&self) -> &dyn Board {
            &self.bare
        }

        fn pass_on(&self, script: &str, _: Input, _: Duration, _: &BreakOff) -> Result<Finished> {
            let number = if self.was_asked("systemctl reboot") { 2 } else { 1 };
            self.asked.borrow_mut().push(script.into());
            Ok(said(match script {
                script if script.contains("boot_id") => format!("7.3.4\nboot-{number}\nroot=/dev/vda2\n"),
                _ => String::new(),
            }))
        }
    }

    fn quick() -> Quick {
        Quick {
            bare: BareBoard::ampere(),
            asked: RefCell::default(),
        }
    }

    fn restart<'a>(board: &'a dyn Board, old: Option<&'a Answer>, reset: Reset) -> Restart<'a> {
        let config = Config::parse(b"label v\nkernel /v\n");
        Restart {
            board,
            extlinux: Path::new("/boot/extlinux/extlinux.conf"),
            old,
            held_awake: false,
            plan: menu::Plan {
                first: None,
                then: menu::Choice::of(&config, "v").unwrap(),
            },
            way: Way::LeaveMenu,
            reset,
            command: method::ORDERLY_RESTART,
        }
    }

    #[test]
    fn the_restart_waits_for_the_answer_to_its_request() {
        for shell in ["sh", "bash"] {
            let folder = tempfile::tempdir().unwrap();
            let told = folder.path().join("told");
            let script = format!(
                "({BEHIND_THE_ANSWER}\nif kill -0 $$; then echo before; else echo behind; fi >part; mv part told) >/dev/null 2>&1 &\nsleep 0.05"
            );
            let sh = xshell::Shell::new().unwrap();
            sh.change_dir(folder.path());
            process::finish(xshell::cmd!(sh, "{shell} -c {script}"), ANSWER_LIMIT).unwrap();
            let started = Instant::now();
            while !told.exists() && started.elapsed() < ANSWER_LIMIT {
                std::thread::sleep(POLL);
            }
            assert_eq!(std::fs::read_to_string(&told).unwrap(), "behind\n", "{shell}");
        }
    }

    #[test]
    fn a_board_that_was_held_awake_is_held_awake_after_the_boot() {
        for held_awake in [true, false] {
            let board = quick();
            let old = look(&board).unwrap();
            let restart = Restart {
                held_awake,
                ..restart(&board, Some(&old), Reset::Orderly)
            };
            let (_, answer) = restart.run(&mut |_| {}).unwrap();
            assert_eq!(answer.unwrap().answer.boot_id, "boot-2");
            assert_eq!(board.was_asked("systemd-run"), held_awake);
        }
    }

    /// Without a serial cable: by its reset command, and where there is none by its watchdog or its lease, before a person is called.
    #[test]
    fn a_silent_board_without_a_serial_line_is_waited_for() {
        let watchdog = quick().bare.description.watchdog;
        assert!(watchdog.is_some());
        for (reset, watchdog, pulled) in [
            (Ok(()), None, 1),
            (Err("it has no reset command"), None, 1),
            (Ok(()), watchdog, 0),
        ] {
            // It says nothing when it is asked first, and is vanilla afterwards.
            let mut board = quick();
            board.bare.silent = Cell::new(2);
            board.bare.reset = reset;
            board.bare.description.watchdog = watchdog;
            let (_, answer) = restart(&board, None, Reset::Hard).run(&mut |_| {}).unwrap();
            assert_eq!(answer.unwrap().answer.boot_id, "boot-1");
            assert_eq!(
                board.bare.resets.get(),
                pulled,
                "the watchdog comes before the reset"
            );
        }
        let board = quick();
        let error = restart(&board, None, Reset::Hard)
            .ended(None, Some(Error::msg("it has no reset command")), Instant::now())
            .unwrap_err();
        let said = format!("{error:#}");
        assert!(
            said.contains("neither its watchdog nor its lease") && said.ends_with("it has no reset command"),
            "{said}"
        );
    }
}
