//! Long programs: their output is a log as it comes, each line is shown to somebody, and they end when this program is asked to stop.

use super::super::deadline;
use super::super::interrupt::{Watch, wait_if_ending};
use super::super::running::Reach;
use super::aside::aside;
use super::start::start;
use super::{BreakOff, Group, indent, wait::wait};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use xshell::Cmd;

/// Runs a long program: standard output and error are appended to `log` as they come, in one order, and `on_line` sees each line.
/// Errors carry the end of the log. Ctrl-C ends the program and all that it started, and then comes back as an error.
pub fn run_logged(cmd: Cmd, log: &Path, limit: Duration, on_line: impl FnMut(&str)) -> Result<()> {
    let shown = cmd.to_string();
    let mut command = Command::from(cmd);
    command.process_group(0);
    let ended = follow(command, &shown, Stdio::null(), log, limit, on_line)?;
    if ended.status.success() {
        return Ok(());
    }
    bail!(
        "`{shown}` ended with {}; the whole output is in {}; its end:\n{}",
        ended.status,
        log.display(),
        indent(&ended.last_lines)
    )
}

/// How a long program ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit status; any is an answer.
    pub status: ExitStatus,
    /// The last lines of its output.
    pub last_lines: Vec<String>,
}

/// Asked to stop by the person at the keyboard, or by a signal to this program.
#[derive(Debug)]
pub struct Stopped {
    /// What was stopped.
    pub command: String,
    /// Where its output is.
    pub log: PathBuf,
}

impl std::error::Error for Stopped {}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            f,
            "stopped as asked: `{}` and everything that it had started are ended; its output so far is in {}",
            self.command,
            self.log.display()
        )
    }
}

/// [`run_logged`] that leaves it to the caller what an exit status means, and what the program has as its standard input, and that makes room for all
/// other programs of this machine, also for those of other sessions. Errors: it cannot be started; the log cannot be written; it did not end within
/// `limit`; [`Stopped`]. In each of these cases its whole process group is ended before this returns.
pub fn follow_aside(
    cmd: Cmd,
    input: Stdio,
    log: &Path,
    limit: Duration,
    on_line: impl FnMut(&str),
) -> Result<Ended> {
    let shown = cmd.to_string();
    follow(aside(&Command::from(cmd)), &shown, input, log, limit, on_line)
}

/// `command` leads a process group as soon as it runs.
fn follow(
    mut command: Command,
    shown: &str,
    input: Stdio,
    log: &Path,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<Ended> {
    let doing = || format!("running `{shown}` (its output is in {})", log.display());
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).with_context(doing)?;
    }
    let file = File::options().create(true).append(true).open(log);
    let mut file = std::io::BufWriter::new(file.with_context(doing)?);
    writeln!(file, "$ {shown}").with_context(doing)?;
    // One pipe for both, so that an error stays beside the line that announced the work.
    let (reader, writer) = std::io::pipe().with_context(doing)?;
    command
        .stdin(input)
        .stdout(writer.try_clone().with_context(doing)?)
        .stderr(writer);
    let watch = Watch::begin();
    let (child, _running) = start(&mut command, Reach::Group, shown)?;
    let mut child = Group(child);
    // The command holds the writing end; as long as it lives the pipe never ends.
    drop(command);
    let (sender, lines) = mpsc::channel();
    let reader = forward_lines(reader, sender);
    let deadline = deadline::after(limit);
    let mut last_lines = std::collections::VecDeque::new();
    loop {
        if watch.asked_to_stop() {
            let _ = file.flush();
            child.end();
            wait_if_ending();
            return Err(anyhow::Error::new(Stopped {
                command: shown.to_string(),
                log: log.to_path_buf(),
            }));
        }
        match lines.recv_timeout(LOOK_EVERY) {
            Ok(line) => {
                writeln!(file, "{line}").with_context(doing)?;
                on_line(&line);
                last_lines.push_back(line);
                if last_lines.len() > 20 {
                    last_lines.pop_front();
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => file.flush().with_context(doing)?,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    file.flush().with_context(doing)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let status = wait(&mut child.0, left, &BreakOff::default()).with_context(doing)?;
    drop(reader.join());
    Ok(Ended {
        status,
        last_lines: last_lines.into(),
    })
}

/// How often a long program's runner looks whether it is asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);

fn forward_lines(from: impl Read + Send + 'static, to: mpsc::Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_string();
            line.clear();
            if to.send(text).is_err() {
                return;
            }
        }
    })
}
