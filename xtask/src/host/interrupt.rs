//! SIGINT (Ctrl-C), SIGTERM and SIGHUP: the first one asks this program to stop in order, the second ends it at once.
//!
//! - While a [`Watch`] lives, its owner decides what "in order" means (a campaign ends its step, a build ends make).
//! - Otherwise the program that runs now is waited for, whatever it writes, and no other one is started ([`point`]): the main
//!   thread unwinds from there to [`guarded`]. Where nothing runs, this process ends by itself after a moment.
//! - The second signal ends the programs that run, and then this process. It prints what it cut
//!   off. Where the owner of a watch has named a successor ([`Answers`]), that takes the place of
//!   this process.
//! - Each signal is answered with a line at once, by the thread that it reaches, whatever the main
//!   thread waits for.
//!
//! *Architecture invariant:* no other module handles these signals.

use super::running;
use std::cell::RefCell;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Watches that are alive.
static WATCHES: AtomicUsize = AtomicUsize::new(0);
/// Signals that were seen and not yet dealt with.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// The second signal has come: nothing is started any more.
static ENDING: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<bool> = OnceLock::new();
static GUARDED: OnceLock<Guarded> = OnceLock::new();

/// Exit status of a program that a signal has stopped, as a shell shows it for SIGINT: 128 and the signal's number
/// (bash(1), "Exit status").
pub const EXIT_STATUS: u8 = 130;

/// How long programs may take to end after the second signal.
const GRACE: Duration = Duration::from_secs(3);
/// After the first signal this process ends when no program of its own has run for so long.
const IDLE: Duration = Duration::from_millis(500);

thread_local! {
    /// What stops the work of this thread alone.
    static ALONE: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

struct Guarded {
    thread: ThreadId,
    screen: Box<dyn Screen>,
}

/// Where messages about signals go.
pub trait Screen: Send + Sync {
    /// A line for a person.
    fn say(&self, text: &str);
    /// This process ends without going back to whoever draws: what is drawn goes away.
    fn leave(&self);
}

/// What the owner of a [`Watch`] answers to the signals. Called from the thread that they reach,
/// while the owner is at work.
pub trait Answers: Send + Sync {
    /// What the first one does, and what the second one would do: a line for a person.
    fn first(&self) -> String;
    /// What takes the place of this process behind the second one, once all programs are ended.
    /// `None`: it only ends.
    fn last(&self) -> Option<Successor>;
}

/// A program that takes the place of this process, with its process id.
#[derive(Debug, Clone)]
pub struct Successor {
    /// The words of its command line, this program's own name not among them: this program is
    /// started again with them.
    pub words: Vec<OsString>,
    /// What it does, for a person.
    pub does: String,
    /// What starts it: `process::become_again`, which returns only where that failed.
    pub start: fn(&[OsString]) -> anyhow::Error,
}

/// The answers of the watches that are alive, the outermost first.
static ANSWERS: Mutex<Vec<(usize, Arc<dyn Answers>)>> = Mutex::new(Vec::new());
/// Numbers of those.
static ANSWERED: AtomicUsize = AtomicUsize::new(0);

fn answers() -> Option<Arc<dyn Answers>> {
    let answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.first().map(|(_, answers)| answers.clone())
}

/// The first signal has stopped the work between two programs.
#[derive(Debug)]
pub struct Interrupted {
    /// The program that was not started any more.
    pub not_begun: String,
}

impl std::error::Error for Interrupted {}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            f,
            "stopped as asked, before {}: what had begun before it has ended, and the same command goes on from there",
            self.not_begun
        )
    }
}

/// Runs the whole work of this process, on its main thread. Messages about signals go to `screen`.
/// Errors: a signal has stopped it.
pub fn guarded<T>(screen: impl Screen + 'static, work: impl FnOnce() -> T) -> Result<T, Interrupted> {
    let guard = Guarded {
        thread: thread::current().id(),
        screen: Box::new(screen),
    };
    drop(GUARDED.set(guard));
    install();
    let done = catch_unwind(AssertUnwindSafe(work));
    wait_if_ending();
    done.or_else(|payload| match payload.downcast::<Interrupted>() {
        Ok(interrupted) => Err(*interrupted),
        Err(panic) => resume_unwind(panic),
    })
}

/// To be called before the program `next` is started. Does not return when this process was asked to stop: on the main thread it
/// unwinds to [`guarded`]; after the second signal no thread goes on. What is cleaned up while unwinding may start programs.
pub fn point(next: &str) {
    wait_if_ending();
    let is_main = GUARDED
        .get()
        .is_some_and(|guard| guard.thread == thread::current().id());
    let asked = ASKED.load(Ordering::SeqCst) > 0 && WATCHES.load(Ordering::SeqCst) == 0;
    if asked && is_main && !thread::panicking() {
        resume_unwind(Box::new(Interrupted {
            not_begun: next.to_string(),
        }));
    }
}

/// After the second signal nothing may be concluded from how a program ended: it was ended here. Does not return then.
pub fn wait_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

fn install() {
    INSTALLED.get_or_init(|| ctrlc::set_handler(on_signal).is_ok());
}

fn on_signal() {
    let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
    let is_watched = WATCHES.load(Ordering::SeqCst) > 0;
    if first && is_watched {
        say(&answers().map_or_else(unanswered, |answers| answers.first()));
        return;
    }
    let is_guarded = GUARDED.get().is_some();
    if !first || !is_guarded {
        end_at_once();
    }
    let running = running::shown();
    if !running.is_empty() {
        say(&format!(
            "stopping when this has ended: {} (a second Ctrl-C ends it at once)",
            running.join(", ")
        ));
    }
    thread::spawn(end_when_idle);
}

/// A watch whose owner has nothing of its own to say: make, or writes that are finished.
fn unanswered() -> String {
    let running = running::shown();
    match running.is_empty() {
        true => "stopping as soon as that is safe (a second Ctrl-C stops at once)".into(),
        false => format!(
            "stopping: {} (a second Ctrl-C ends it at once)",
            running.join(", ")
        ),
    }
}

/// The main thread may be waiting for something else than a program: a board's menu, an answer of a person.
fn end_when_idle() {
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < IDLE {
        if !running::shown().is_empty() {
            idle_since = Instant::now();
        }
        thread::sleep(Duration::from_millis(25));
    }
    wait_if_ending();
    say("stopped as asked; no program was running");
    std::process::exit(EXIT_STATUS.into());
}

fn end_at_once() -> ! {
    ENDING.store(true, Ordering::SeqCst);
    let running = running::shown();
    if !running.is_empty() {
        say(&format!("stopping at once: ending {}", running.join(", ")));
    }
    let ended = running::end_all(GRACE);
    if !ended.is_empty() {
        say(&format!(
            "ended before it was done: {}. What it had written so far stays; running the same command again looks at that first",
            ended.join(", ")
        ));
    }
    if let Some(successor) = answers().and_then(|answers| answers.last()) {
        say(&successor.does);
        leave();
        let error = (successor.start)(&successor.words);
        say(&format!("{error:#}"));
    }
    leave();
    std::process::exit(EXIT_STATUS.into());
}

fn say(text: &str) {
    if let Some(guard) = GUARDED.get() {
        guard.screen.say(text);
    }
}

fn leave() {
    if let Some(guard) = GUARDED.get() {
        guard.screen.leave();
    }
}

/// Stops what one thread does, as Ctrl-C would, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the thread to stop.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Makes every [`Watch`] that this thread begins from now on see this, too.
    pub fn rule_this_thread(&self) {
        ALONE.set(Some(self.clone()));
    }
}

/// While it lives, the first signal is its owner's.
#[derive(Debug)]
pub struct Watch {
    before: usize,
    alone: Option<Stop>,
    /// Its owner knows of the signal.
    told: AtomicBool,
    /// Number of its answers, where it has some.
    answers: Option<usize>,
}

impl Watch {
    /// Begins to watch. Where no handler can be installed, signals end the program as before. Like
    /// [`point`], it does not return where a signal has come that was not handled yet. Within
    /// another watch it sees the signal that came for that one, too: what is begun behind it is not
    /// worth beginning.
    pub fn begin() -> Watch {
        install();
        point("the next step");
        let is_within = WATCHES.fetch_add(1, Ordering::SeqCst) > 0;
        Watch {
            before: match is_within {
                true => 0,
                false => ASKED.load(Ordering::SeqCst),
            },
            alone: ALONE.with_borrow(Clone::clone),
            told: AtomicBool::new(false),
            answers: None,
        }
    }

    /// Answers the signals with these words from now on, as long as it lives and no watch that
    /// began before it has answers.
    pub fn answer_with(&mut self, answers: Arc<dyn Answers>) {
        self.take_answers_back();
        let number = ANSWERED.fetch_add(1, Ordering::SeqCst);
        let mut all = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((number, answers));
        self.answers = Some(number);
    }

    fn take_answers_back(&mut self) {
        if let Some(number) = self.answers.take() {
            let mut all = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|(known, _)| *known != number);
        }
    }

    /// Whether this process was asked to stop since it began, or the thread that began it. An owner that this is told to deals with it.
    pub fn asked_to_stop(&self) -> bool {
        let by_signal = ASKED.load(Ordering::SeqCst) > self.before;
        if by_signal {
            self.told.store(true, Ordering::SeqCst);
        }
        by_signal || self.alone.as_ref().is_some_and(Stop::is_asked)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.take_answers_back();
        let is_last = WATCHES.fetch_sub(1, Ordering::SeqCst) == 1;
        // A signal that came too late for its owner stops what would be started next.
        if is_last && self.told.load(Ordering::SeqCst) {
            ASKED.store(0, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_stopped_and_no_other() {
        let stop = Stop::default();
        let here = Watch::begin();
        let there = thread::spawn({
            let stop = stop.clone();
            move || {
                stop.rule_this_thread();
                let watch = Watch::begin();
                let before = watch.asked_to_stop();
                stop.ask();
                (before, watch.asked_to_stop())
            }
        });
        assert_eq!(there.join().unwrap(), (false, true));
        assert!(!here.asked_to_stop() && !Watch::begin().asked_to_stop());
    }
}
