//! Power of the virtual board: starting QEMU, knowing whether it runs, ending it.

use super::qemu::{self, Machine};
use super::qmp::Qmp;
use crate::host::json::json;
use crate::host::{deadline, files, process, requirements};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use std::path::Path;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Longest time from starting QEMU to the machine being there (a loaded host with a cold disk).
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for QEMU to go after it was told.
const QUIT_LIMIT: Duration = Duration::from_secs(10);

/// Process id of the QEMU that runs the board in `folder`, if one does. A pid file that was left behind is
/// recognised: the process with that id must have this very pid file in its command line (proc(5)).
pub fn running(folder: &Path) -> Option<u32> {
    let pid_file = folder.join(qemu::PID_FILE);
    let pid: u32 = std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok()?;
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    is_this_board(&words, &pid_file).then_some(pid)
}

/// Whether a command line (`/proc/<pid>/cmdline`) is QEMU with this pid file.
fn is_this_board(words: &[u8], pid_file: &Path) -> bool {
    let mut words = words.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    program.ends_with(qemu::PROGRAM.as_bytes())
        && words.any(|word| word == pid_file.as_os_str().as_encoded_bytes())
}

/// Starts the machine in its folder. QEMU goes on alone; it is the capture of the serial line, too. Errors: QEMU's own
/// words. Dies half-way: the machine runs, or does not; [`running`] knows.
pub fn start(machine: &Machine) -> Result<()> {
    let arguments = machine.arguments();
    run_qemu(machine, &arguments)
        .with_context(|| format!("starting the virtual board in {}", machine.folder.display()))
}

/// Writes the machine's own device tree to `file`.
pub fn dump_tree(machine: &Machine, file: &Path) -> Result<()> {
    let arguments = machine.dump_tree(file);
    run_qemu(machine, &arguments).context("asking QEMU for the machine's device tree")?;
    if !files::is_file(file)? {
        bail!("QEMU wrote no device tree to {}", file.display());
    }
    Ok(())
}

fn run_qemu(machine: &Machine, arguments: &[String]) -> Result<()> {
    let qemu = requirements::find(qemu::PROGRAM)?;
    let sh = Shell::new()?;
    // The paths in the arguments are relative to it: see `qemu`.
    sh.change_dir(&machine.folder);
    process::run(cmd!(sh, "{qemu} {arguments...}"), START_LIMIT)?;
    Ok(())
}

/// Waits until the machine is gone. Gives whether it went within `limit`.
pub fn wait_until_off(folder: &Path, limit: Duration) -> bool {
    let deadline = deadline::after(limit);
    while running(folder).is_some() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Cuts the power: what the guest has not flushed is lost. Errors: QEMU is still there after all.
pub fn cut(folder: &Path) -> Result<()> {
    let quit = Qmp::connect(folder, qemu::QMP_SOCKET).and_then(|mut qmp| qmp.execute("quit", json!({})));
    if quit.is_ok() && wait_until_off(folder, QUIT_LIMIT) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(pid) = running(folder).and_then(|pid| Pid::from_raw(pid as i32)) {
            // It may go between the look and the signal; the next look tells.
            let _ = rustix::process::kill_process(pid, signal);
        }
        if wait_until_off(folder, QUIT_LIMIT) {
            return Ok(());
        }
    }
    bail!(
        "QEMU does not end, not even killed; its process id is in {}",
        folder.join(qemu::PID_FILE).display()
    )
}

/// Resets the machine as its reset line would: nothing is flushed, RAM keeps what is in it.
pub fn reset(folder: &Path) -> Result<()> {
    Qmp::connect(folder, qemu::QMP_SOCKET)?.execute("system_reset", json!({}))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_id_is_not_the_board() {
        let pid_file = Path::new("/c/virtual/qemu.pid");
        let ours = b"/usr/bin/qemu-system-aarch64\0-M\0virt\0-pidfile\0/c/virtual/qemu.pid\0";
        assert!(is_this_board(ours, pid_file));
        assert!(!is_this_board(ours, Path::new("/other/qemu.pid")));
        assert!(!is_this_board(b"cat\0/c/virtual/qemu.pid\0", pid_file));
        assert!(!is_this_board(b"", pid_file));
    }

    #[test]
    fn a_stale_pid_file_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(running(folder.path()), None);
        std::fs::write(folder.path().join(qemu::PID_FILE), std::process::id().to_string()).unwrap();
        assert_eq!(running(folder.path()), None);
        std::fs::write(folder.path().join(qemu::PID_FILE), "no number").unwrap();
        assert_eq!(running(folder.path()), None);
    }
}
