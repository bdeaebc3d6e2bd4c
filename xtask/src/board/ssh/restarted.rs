//! A command whose board is reset under it, where no heart listens: pre-flight, a backup, a deploy. TCP tells nobody, and ssh's own patience has to
//! be long enough for a board that is only slow. The board that comes back tells it itself: its kernel is younger than the connection that the command
//! goes through.
//!
//! A board that does not answer proves nothing here: it may be slow, and the command has a limit of its own.

use super::{CONTROL_SOCKET, Connection, Ssh};
use crate::host::process::{BreakOff, Finished, Input};
use anyhow::{Result, bail};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a command is left alone, and then from one look to the next, as a rule. A login costs a slow board a second of its time; most commands are long done.
pub(super) const QUIET: Duration = Duration::from_secs(12);
/// Longest time that a look may take.
const LOOK: Duration = Duration::from_secs(12);
/// How much younger than the connection a kernel has to be: it was up for some seconds when it let anybody in.
const MARGIN: Duration = Duration::from_secs(2);
/// How long the kernel has been up, by the builtins of any POSIX shell (proc_uptime(5)).
const UPTIME: &str = "read -r up rest </proc/uptime && echo \"$up\"";

/// Runs a command of this connection with somebody beside it who looks, over connections of their own, whether the board is still the one that it began
/// on. Errors: it is not; those of the command.
pub(super) fn beside(
    ssh: &Ssh,
    break_off: &BreakOff,
    command: impl FnOnce(&BreakOff) -> Result<Finished>,
) -> Result<Finished> {
    let restarted = BreakOff::default();
    let over = BreakOff::default();
    let finished = std::thread::scope(|scope| {
        let (end, ended) = channel();
        let (restarted, over) = (&restarted, &over);
        scope.spawn(move || watch(ssh, &ended, restarted, over));
        let finished = command(&break_off.or(restarted));
        over.say("the command has ended");
        // Whoever waits for the next look wakes up.
        drop::<std::sync::mpsc::Sender<()>>(end);
        finished
    });
    match (&finished, restarted.why()) {
        (Err(_), Some(why)) if break_off.why().is_none() => bail!("{}: {why}", ssh.target.destination),
        _ => finished,
    }
}

/// Looks until the command has ended or its board has.
fn watch(ssh: &Ssh, ended: &Receiver<()>, restarted: &BreakOff, over: &BreakOff) {
    while ended.recv_timeout(ssh.look_every) == Err(RecvTimeoutError::Timeout) {
        let Some(age) = age(ssh) else { continue };
        let looked = Instant::now();
        let said = ssh.ask(Connection::OfItsOwn, UPTIME, Input::NOTHING, LOOK, over);
        let Some(up) = said.ok().and_then(|said| uptime(&said.text())) else {
            continue;
        };
        // A clock of this machine that was set in between makes the connection older than it is; but then it answers. Where it does not it is left
        // as it is: forgotten here, it would end the command as one that was lost before it is said why.
        if is_younger(up, age)
            && ssh
                .ask(Connection::Shared, "true", Input::NOTHING, LOOK, over)
                .is_err()
            && over.why().is_none()
        {
            let gone = age.saturating_add(looked.elapsed());
            restarted.say(&format!(
                "the board has restarted under this command: its kernel is up for {} s, and the connection was made {} s ago. What the command \
                 had not flushed is lost",
                up.as_secs(),
                gone.as_secs()
            ));
            return;
        }
    }
}

/// How long ago the shared connection was made: the master makes its socket when it is let in (ssh(1), ControlMaster). None: there is none.
fn age(ssh: &Ssh) -> Option<Duration> {
    let socket = ssh.target.folder.join(CONTROL_SOCKET);
    let made = std::fs::metadata(socket).and_then(|socket| socket.modified());
    made.ok()?.elapsed().ok()
}

fn uptime(said: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(said.trim().parse().ok()?).ok()
}

/// Whether a kernel that has been up for so long can not have answered when the connection was made.
fn is_younger(up: Duration, age: Duration) -> bool {
    up.saturating_add(MARGIN) < age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_is_younger_than_the_connection_is_another_boot() {
        let seconds = |text| uptime(text).unwrap();
        let age = Duration::from_secs(20);
        assert!(is_younger(seconds("17.99\n"), age));
        assert!(!is_younger(seconds("18.00"), age), "made as soon as it answered");
        assert!(!is_younger(seconds("86400.1"), age));
        for nothing in ["", "up", "-1", "inf", "nan", "1e300"] {
            assert_eq!(uptime(nothing), None, "{nothing}");
        }
    }
}
