//! Starting a program that this process waits for. It ends when this process does, however that comes about:
//!
//! - by a second Ctrl-C: `interrupt` ends what is noted in `running`;
//! - by SIGKILL, a crash or a full table of processes: the kernel sends it SIGTERM (PR_SET_PDEATHSIG(2const)). That does not reach
//!   what it has started itself, nor a program with the rights of another user (sudo): those end when their input does.
//!
//! A script on a board goes on there when the `ssh` here is ended. It writes behind the board's own lock, one script at a time, and each
//! one leaves the old file or the new one (`board::writer`).

use super::super::interrupt;
use super::super::one_line::one_line;
use super::super::running::{Reach, Running};
use anyhow::{Context, Result};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// What xshell prints for a command whose words are secret.
const SECRET: &str = "<secret>";

/// Starts it, for a caller that waits for it in this thread (the kernel's signal comes when the *thread* that started it ends). Drop the
/// [`Running`] once it was waited for. Errors: it cannot be started. Does not return where this process was asked to stop.
pub(super) fn start(command: &mut Command, reach: Reach, shown: &str) -> Result<(Child, Running)> {
    let named = name(command, shown);
    interrupt::point(&named);
    end_with_this_process(command);
    let child = command.spawn().with_context(|| format!("starting {named}"))?;
    let running = Running::note(child.id(), reach, &named);
    Ok((child, running))
}

/// Its words, or the program alone where they are secret.
fn name(command: &Command, shown: &str) -> String {
    match shown {
        SECRET => format!("`{} …`", command.get_program().to_string_lossy()),
        shown => format!("`{}`", one_line(shown)),
    }
}

#[allow(unsafe_code)]
fn end_with_this_process(command: &mut Command) {
    let parent = rustix::process::getpid();
    let in_child = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        // This process may have ended before that.
        match rustix::process::getppid() {
            Some(now) if now == parent => Ok(()),
            _ => Err(io::Error::from_raw_os_error(
                rustix::io::Errno::SRCH.raw_os_error(),
            )),
        }
    };
    // SAFETY: between fork and exec it makes two system calls, and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(in_child);
    }
}
