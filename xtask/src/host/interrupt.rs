//! Ctrl-C while something long runs: the first one asks it to stop in order, the second ends this program at once.
//!
//! *Architecture invariant:* nobody else handles these signals. Without a [`Watch`] they do what they always do: they end the program.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Watches that are alive.
static WATCHES: AtomicUsize = AtomicUsize::new(0);
/// Signals seen while a watch was alive.
static ASKED: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: OnceLock<bool> = OnceLock::new();

/// What a shell shows of a program that SIGINT ended: 128 and the signal's number (bash(1), "Exit status").
const ENDED_BY_INTERRUPT: i32 = 130;

thread_local! {
    /// What stops the work of this thread alone.
    static ALONE: RefCell<Option<Stop>> = const { RefCell::new(None) };
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

/// While it lives, SIGINT, SIGTERM and SIGHUP are counted instead of ending the program.
#[derive(Debug)]
pub struct Watch {
    before: usize,
    alone: Option<Stop>,
}

impl Watch {
    /// Begins to watch. Where no handler can be installed, signals end the program as before.
    pub fn begin() -> Watch {
        INSTALLED.get_or_init(|| {
            ctrlc::set_handler(|| {
                let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
                if WATCHES.load(Ordering::SeqCst) == 0 || !first {
                    std::process::exit(ENDED_BY_INTERRUPT);
                }
            })
            .is_ok()
        });
        if WATCHES.fetch_add(1, Ordering::SeqCst) == 0 {
            ASKED.store(0, Ordering::SeqCst);
        }
        Watch {
            before: ASKED.load(Ordering::SeqCst),
            alone: ALONE.with_borrow(Clone::clone),
        }
    }

    /// Whether somebody asked to stop since it began; or asked the thread that began it.
    pub fn asked_to_stop(&self) -> bool {
        ASKED.load(Ordering::SeqCst) > self.before || self.alone.as_ref().is_some_and(Stop::is_asked)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_stopped_and_no_other() {
        let stop = Stop::default();
        let here = Watch::begin();
        let there = std::thread::spawn({
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
