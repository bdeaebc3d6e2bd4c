//! The programs that this process has started and waits for, so that whoever ends this process can end them first.

use super::deadline;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

static RUNNING: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Entry {
    number: u64,
    pid: Pid,
    reach: Reach,
    shown: String,
}

/// What a signal for a program reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The process group that it leads: it and all that it has started.
    Group,
    /// It alone: it shares the terminal's foreground group with this process.
    Process,
}

/// A program counts as running as long as this value lives. Drop it once the program was waited for.
#[derive(Debug)]
pub struct Running(Option<u64>);

impl Running {
    /// Takes note of the child `pid`, which a person knows as `shown`.
    pub fn note(pid: u32, reach: Reach, shown: &str) -> Self {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Running(None);
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        list().push(Entry {
            number,
            pid,
            reach,
            shown: shown.to_string(),
        });
        Running(Some(number))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            list().retain(|entry| entry.number != number);
        }
    }
}

/// The programs that run now, as a person knows them.
pub fn shown() -> Vec<String> {
    list().iter().map(|entry| entry.shown.clone()).collect()
}

/// Ends them: SIGTERM, and SIGKILL to what is still there after `grace`. Returns what was ended.
pub fn end_all(grace: Duration) -> Vec<String> {
    let ended: Vec<(Pid, Reach, String)> = list()
        .iter()
        .map(|entry| (entry.pid, entry.reach, entry.shown.clone()))
        .collect();
    for (pid, reach, _) in &ended {
        send(*pid, *reach, Signal::TERM);
    }
    let deadline = deadline::after(grace);
    let is_left = |pid: &Pid, reach: &Reach| match reach {
        Reach::Group => test_kill_process_group(*pid).is_ok(),
        Reach::Process => rustix::process::test_kill_process(*pid).is_ok(),
    };
    while ended.iter().any(|(pid, reach, _)| is_left(pid, reach)) {
        if Instant::now() >= deadline {
            for (pid, reach, _) in &ended {
                send(*pid, *reach, Signal::KILL);
            }
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ended.into_iter().map(|(_, _, shown)| shown).collect()
}

fn send(pid: Pid, reach: Reach, signal: Signal) {
    // It may have ended in the meantime.
    let _ = match reach {
        Reach::Group => kill_process_group(pid, signal),
        Reach::Process => kill_process(pid, signal),
    };
}

fn list() -> MutexGuard<'static, Vec<Entry>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
