//! The heartbeat beside whatever runs on a board: a small command every few seconds over a connection of its own, and an ear at the serial line.
//! When the heart has stopped, or the board has restarted, what waits for the board is broken off at once, so that the kernel is asked while it
//! may still answer, and not when a test's own limit has passed.
//!
//! A beat reads two files of /proc with the shell's builtins: it writes nothing, starts nothing, and leaves no line in the kernel's log. One connection
//! carries all of them; a new one is made only behind a beat that was missed. The rule is in [`rule`].

pub mod rule;

use super::boot::serial::Watch;
use super::boot::serial_log::SerialLog;
use super::ssh::Ssh;
use super::{Board, InFront};
use crate::host::one_line::one_line;
use crate::host::process::{BreakOff, BrokenOff, Finished, Input};
use anyhow::{Context, Result};
use jiff::Timestamp;
use rule::{Heard, Miss, Pace, State};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name of the folder of the heart's control socket.
pub const NAME: &str = "heart";
/// How often the serial log is looked at and the rule asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Which boot answers, and for how long it has been up: builtins of any POSIX shell, no program.
const BEAT: &str =
    "read -r id </proc/sys/kernel/random/boot_id && read -r up rest </proc/uptime && echo \"beat $id $up\"";

/// A heart that is listened to for as long as this value lives. Dropping it ends its threads and its connection.
pub struct Heart {
    heard: Arc<Shared>,
    /// Gone when the heart ends: whoever waits for the next beat wakes up.
    hurry: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Why and when what ran on the board was broken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What the board is.
    pub state: State,
    /// In words, with the times.
    pub why: String,
}

struct Shared {
    origin: Instant,
    began: Timestamp,
    heard: Mutex<Heard>,
    /// Said to what runs on the board.
    break_off: BreakOff,
    /// Said to the heart's own commands.
    end: BreakOff,
    stopped: OnceLock<Stopped>,
    log: Mutex<File>,
}

impl Heart {
    /// Begins to listen to the boot with this id. Every beat is a line of the file `log` as it comes. Errors: that file cannot be written. A board
    /// without a second way is listened to at its serial line alone, and one without both is not.
    pub fn begin(board: &dyn Board, boot_id: &str, log: &Path, pace: Pace) -> Result<Self> {
        let doing = || format!("writing {}", log.display());
        let file = File::options().create(true).append(true).open(log);
        let shared = Arc::new(Shared {
            origin: Instant::now(),
            began: Timestamp::now(),
            heard: Mutex::new(Heard::nothing(pace, boot_id)),
            break_off: BreakOff::of_a_watch(),
            end: BreakOff::of_a_watch(),
            stopped: OnceLock::new(),
            log: Mutex::new(file.with_context(doing)?),
        });
        shared.note("listening");
        let (hurry, beats) = mpsc::channel();
        let mut threads = Vec::new();
        let line = board.serial().map(|line| SerialLog::from_now(&line.log()));
        if let Some(Err(error)) = &line {
            shared.note(&format!("the serial line is not listened to: {error:#}"));
        }
        let line = line.and_then(Result::ok);
        let (listener, wake) = (shared.clone(), hurry.clone());
        threads.push(std::thread::spawn(move || listener.listen(line, &wake)));
        match board.second_way() {
            Some(ssh) => {
                let shared = shared.clone();
                threads.push(std::thread::spawn(move || shared.beat(&ssh, &beats, pace)));
            }
            None => shared.note("there is no second way to this board: no beats"),
        }
        Ok(Heart {
            heard: shared,
            hurry: Some(hurry),
            threads,
        })
    }

    /// The board, with every command broken off when the heart stops; each one that is answered is a sign of life.
    pub fn watching<'a>(&'a self, board: &'a dyn Board) -> Watching<'a> {
        Watching {
            board,
            heard: &self.heard,
        }
    }

    /// Whether and why what ran on the board was broken off.
    pub fn stopped(&self) -> Option<&Stopped> {
        self.heard.stopped.get()
    }

    /// Ends it; gives one sentence for the report, and why it had stopped, if it had.
    pub fn end(mut self) -> (String, Option<Stopped>) {
        self.let_go();
        let (slowest, answered) = self.heard.lock().pulse();
        let sentence = format!(
            "heartbeat: {answered} beats were answered, the slowest after {:.1} s",
            slowest.as_secs_f64()
        );
        (sentence, self.heard.stopped.get().cloned())
    }

    fn let_go(&mut self) {
        self.heard.end.say("the heartbeat is over");
        self.hurry = None;
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A value of numbers: a thread that died left it as whole as it was.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line of the evidence. A disk that is full must not stop a test.
    fn note(&self, what: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock(Timestamp::now());
        drop(writeln!(
            log,
            "{now} {:8.1} {what}",
            self.origin.elapsed().as_secs_f64()
        ));
    }

    /// Time of this machine for a moment of the heart.
    fn clock(&self, moment: Duration) -> String {
        clock(self.began.saturating_add(moment).unwrap_or(self.began))
    }

    /// Beats until the heart ends or has stopped.
    fn beat(&self, ssh: &Ssh, hurry: &Receiver<()>, pace: Pace) {
        while self.end.why().is_none() {
            let began = self.origin.elapsed();
            let limit = self.lock().limit();
            let outcome = ssh.run_unless(BEAT, Input::NOTHING, limit, &self.end);
            self.take(began, outcome);
            match hurry.recv_timeout(pace.every) {
                Ok(()) => while hurry.try_recv().is_ok() {},
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        ssh.forget();
    }

    fn take(&self, began: Duration, outcome: Result<Finished>) {
        let now = self.origin.elapsed();
        let (miss, why) = match outcome {
            Ok(finished) => {
                let text = finished.text();
                if let Some(boot_id) = text.strip_prefix("beat ").and_then(|rest| rest.split(' ').next()) {
                    self.lock().answered(began, now, boot_id);
                    return self.note(&format!(
                        "answered after {:.2} s: {text}",
                        now.saturating_sub(began).as_secs_f64()
                    ));
                }
                // Somebody is there, and a shell could not even read two files.
                (Miss::Refused, format!("{}, {text:?}", finished.status))
            }
            Err(error) if BrokenOff::is(&error) => return,
            Err(error) => {
                let said = error.root_cause().to_string();
                // Not the command, which is known, but what came of it.
                let said = said
                    .split_once("no connection: ")
                    .map_or(said.as_str(), |(_, why)| why);
                (Miss::of(said), said.to_string())
            }
        };
        self.lock().missed(now, miss);
        let why = why.lines().next().unwrap_or_default();
        self.note(&format!(
            "missed ({miss:?}) after {:.2} s: {}",
            now.saturating_sub(began).as_secs_f64(),
            one_line(why)
        ));
    }

    /// Listens to the line and asks the rule until the heart ends or has stopped.
    fn listen(&self, mut line: Option<SerialLog>, hurry: &Sender<()>) {
        let mut watch = Watch::default();
        let mut before = State::Alive;
        while self.end.why().is_none() {
            let bytes = line
                .as_mut()
                .and_then(|line| line.more().ok())
                .unwrap_or_default();
            let now = self.origin.elapsed();
            let state = {
                let mut heard = self.lock();
                if !bytes.is_empty() && heard.line(now, &watch.feed(&bytes)) {
                    let _ = hurry.send(());
                }
                heard.state(now)
            };
            if state != before {
                self.note(&format!("state: {state:?}"));
            }
            if !state.goes_on() {
                return self.stop(state, now);
            }
            before = state;
            // Not a sleep: whoever ends the heart does not wait for the next look.
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn stop(&self, state: State, now: Duration) {
        let stopped = Stopped {
            why: self.why(&state, now),
            state,
        };
        self.note(&stopped.why);
        self.break_off.say(&stopped.why);
        let _ = self.stopped.set(stopped);
        // What follows asks the board itself, and wants no company.
        self.end.say("the heart has stopped");
    }

    fn why(&self, state: &State, now: Duration) -> String {
        let heard = self.lock();
        let missed = heard.first_missed().map_or(String::new(), |first| {
            let last = heard.last_sign().unwrap_or_default();
            format!(
                "; last sign of life over ssh {}, first beat missed {}",
                self.clock(last),
                self.clock(first)
            )
        });
        let what = match state {
            State::Wedged { silence, talks } => {
                let line = match talks {
                    true => "though its kernel still talks",
                    false => "and nothing came by any other way",
                };
                format!(
                    "the board's heart has stopped: no answer over ssh for {} s, also over new connections, {line}",
                    silence.as_secs()
                )
            }
            State::Panicked(words) => format!("the kernel panicked: {words}"),
            State::Restarted(how) => format!("the board has restarted in the middle: {how}"),
            State::Alive | State::Slow(_) | State::KernelOnly => "the board lives".into(),
        };
        format!("{what}{missed}; declared {}", self.clock(now))
    }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%FT%TZ").to_string()
}

/// A board whose commands are broken off when its heart stops.
pub struct Watching<'a> {
    board: &'a dyn Board,
    heard: &'a Shared,
}

impl InFront for Watching<'_> {
    fn behind(&self) -> &dyn Board {
        self.board
    }

    fn pass_on(&self, script: &str, input: Input, limit: Duration, break_off: &BreakOff) -> Result<Finished> {
        let began = self.heard.origin.elapsed();
        let either = self.heard.break_off.or(break_off);
        let finished = self.board.run_unless(script, input, limit, &either)?;
        let now = self.heard.origin.elapsed();
        self.heard.lock().lives(began, now);
        Ok(finished)
    }
}
