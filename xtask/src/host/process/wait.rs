//! Waiting for a program's end: at its end, and not at the next look.

use super::super::{deadline, interrupt};
use super::BreakOff;
use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked for a word to break off.
const WORD_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// The same, where the kernel cannot tell when a program ends.
const BLIND_EVERY: Duration = Duration::from_millis(5);

/// Waits up to `limit`, or until `break_off` is said; after that the whole process group is killed and reaped.
pub(super) fn wait(child: &mut Child, limit: Duration, break_off: &BreakOff) -> Result<ExitStatus> {
    let deadline = deadline::after(limit);
    let end = Pid::from_raw(child.id() as i32).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    loop {
        if let Some(status) = child.try_wait()? {
            interrupt::wait_if_ending();
            return Ok(status);
        }
        let broken_off = break_off.check();
        if broken_off.is_err() || Instant::now() >= deadline {
            if let Some(group) = Pid::from_raw(child.id() as i32) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            broken_off?;
            bail!("it did not end within {} s and was killed", limit.as_secs());
        }
        rest(end.as_ref());
    }
}

/// Sleeps until the program has ended (its pidfd is readable then, pidfd_open(2)), or it is time to look again. A board is asked some fifty
/// things for each boot: what is lost at the end of each adds up.
fn rest(end: Option<&OwnedFd>) {
    let woken = end.map(|end| poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&WORD_EVERY)));
    if !matches!(woken, Some(Ok(_))) {
        thread::sleep(BLIND_EVERY);
    }
}
