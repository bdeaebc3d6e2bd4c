//! Ctrl-C while something long runs: the first one asks it to stop in order, the second ends this program at once.
//!
//! *Architecture invariant:* nobody else handles these signals. Without a [`Watch`] they do what they always do: they end the program.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Watches that are alive.
static WATCHES: AtomicUsize = AtomicUsize::new(0);
/// Signals seen while a watch was alive.
static ASKED: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: OnceLock<bool> = OnceLock::new();

/// What a shell shows of a program that SIGINT ended: 128 and the signal's number (bash(1), "Exit status").
const ENDED_BY_INTERRUPT: i32 = 130;

/// While it lives, SIGINT, SIGTERM and SIGHUP are counted instead of ending the program.
#[derive(Debug)]
pub struct Watch {
    before: usize,
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
        }
    }

    /// Whether somebody asked to stop since it began.
    pub fn asked_to_stop(&self) -> bool {
        ASKED.load(Ordering::SeqCst) > self.before
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::SeqCst);
    }
}
