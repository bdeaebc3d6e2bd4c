//! Running programs on the host. *Architecture invariant:* no other module starts one.
//!
//! Commands are written with xshell's `cmd!` (arguments stay arguments; nothing passes through a shell) and run
//! here, so that each has a time limit, takes its children with it when it is stopped, and fails with
//! its own words.

mod aside;
mod break_off;
mod wait;

pub use break_off::{BreakOff, BrokenOff};

use super::interrupt::Watch;
use anyhow::{Context, Result, bail};
use aside::aside;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use wait::wait;
use xshell::Cmd;

/// What a program printed and how it ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Exit status; see [`ExitStatus::code`].
    pub status: ExitStatus,
    /// Everything it wrote to standard output.
    pub stdout: Vec<u8>,
    /// Everything it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Standard output as text, without the white space at its end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_string()
    }
}

/// Runs a program and gives what it printed; any exit status is an answer. Errors: it cannot be started, or
/// did not end within `limit` (it is killed with its process group then).
pub fn finish(cmd: Cmd, limit: Duration) -> Result<Finished> {
    finish_with_input(cmd, &[], limit)
}

/// [`finish`] with bytes for standard input.
pub fn finish_with_input(cmd: Cmd, input: &[u8], limit: Duration) -> Result<Finished> {
    finish_unless(cmd, input, limit, &BreakOff::default())
}

/// [`finish_with_input`] that ends at once when `break_off` is said, with [`BrokenOff`]: the program is killed with its process group then,
/// and reaped.
pub fn finish_unless(cmd: Cmd, input: &[u8], limit: Duration, break_off: &BreakOff) -> Result<Finished> {
    break_off.check()?;
    let shown = cmd.to_string();
    let mut command = Command::from(cmd);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().with_context(|| format!("starting `{shown}`"))?;
    let stdout = collect(child.stdout.take().expect("stdout was piped"));
    let stderr = collect(child.stderr.take().expect("stderr was piped"));
    let mut stdin = child.stdin.take().expect("stdin was piped");
    let input = input.to_vec();
    // A program that ends without reading its input closes the pipe: its exit status tells, not this write.
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let status = wait(&mut child, limit, break_off).with_context(|| format!("running `{shown}`"))?;
    drop(feeder.join());
    Ok(Finished {
        status,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

/// Runs a program that has to succeed. Errors carry the command, its exit status and the end of what it said.
pub fn run(cmd: Cmd, limit: Duration) -> Result<Finished> {
    let shown = cmd.to_string();
    succeeded(&shown, finish(cmd, limit)?)
}

/// [`run`] with bytes for standard input.
pub fn run_with_input(cmd: Cmd, input: &[u8], limit: Duration) -> Result<Finished> {
    let shown = cmd.to_string();
    succeeded(&shown, finish_with_input(cmd, input, limit)?)
}

/// Runs a program that has to succeed and gives its standard output as text, trimmed at its end.
pub fn read(cmd: Cmd, limit: Duration) -> Result<String> {
    Ok(run(cmd, limit)?.text())
}

/// Runs a long program: standard output and error are appended to `log` as they come, in one order, and `on_line` sees each line.
/// Errors carry the end of the log. Ctrl-C ends the program and all that it started, and then comes back as an error.
pub fn run_logged(cmd: Cmd, log: &Path, limit: Duration, on_line: impl FnMut(&str)) -> Result<()> {
    let shown = cmd.to_string();
    let ended = follow(cmd, Stdio::null(), log, limit, on_line)?;
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

/// [`run_logged`] that leaves it to the caller what an exit status means, and what the program has as its standard input. Errors: it cannot be started; the log cannot be written; it did
/// not end within `limit`; [`Stopped`]. In each of these cases its whole process group is ended before this returns.
pub fn follow(
    cmd: Cmd,
    input: Stdio,
    log: &Path,
    limit: Duration,
    on_line: impl FnMut(&str),
) -> Result<Ended> {
    let shown = cmd.to_string();
    let mut command = Command::from(cmd);
    command.process_group(0);
    follow_command(command, shown, input, log, limit, on_line)
}

/// [`follow`] of a program that makes room for all others on this machine, also for those of other sessions.
pub fn follow_aside(
    cmd: Cmd,
    input: Stdio,
    log: &Path,
    limit: Duration,
    on_line: impl FnMut(&str),
) -> Result<Ended> {
    let shown = cmd.to_string();
    follow_command(aside(&Command::from(cmd)), shown, input, log, limit, on_line)
}

/// `command` leads a process group as soon as it runs.
fn follow_command(
    mut command: Command,
    shown: String,
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
    let mut child = Group(command.spawn().with_context(doing)?);
    // The command holds the writing end; as long as it lives the pipe never ends.
    drop(command);
    let (sender, lines) = mpsc::channel();
    let reader = forward_lines(reader, sender);
    let deadline = Instant::now() + limit;
    let mut last_lines = std::collections::VecDeque::new();
    loop {
        if watch.asked_to_stop() {
            let _ = file.flush();
            child.end();
            return Err(anyhow::Error::new(Stopped {
                command: shown,
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
/// How long a process group may take to end in order: make removes the files that it was about to write.
const GRACE: Duration = Duration::from_secs(10);

/// A child that leads a process group; whatever way its owner goes, none of the group is left.
#[derive(Debug)]
struct Group(Child);

impl Group {
    /// SIGTERM to all, and SIGKILL to what is still there after [`GRACE`].
    fn end(&mut self) {
        let Some(group) = rustix::process::Pid::from_raw(self.0.id() as i32) else {
            return;
        };
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            let alive = matches!(self.0.try_wait(), Ok(None));
            if rustix::process::test_kill_process_group(group).is_err() {
                if !alive {
                    return;
                }
                // It has not come to lead its group yet, and has started nothing.
                let _ = self.0.kill();
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// A program that runs as long as this value lives.
#[derive(Debug)]
pub struct Held {
    child: Group,
    /// The program reads the other end: it ends by itself when this program dies, however it dies.
    _input: std::process::ChildStdin,
}

impl Held {
    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }
}

/// Starts a program that reads its standard input to its end and does its work until then. Errors: it cannot be started, or ends within
/// `grace`; with its words.
pub fn hold(cmd: Cmd, grace: Duration) -> Result<Held> {
    let shown = cmd.to_string();
    let doing = || format!("starting `{shown}`");
    let mut command = Command::from(cmd);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = Group(command.spawn().with_context(doing)?);
    let input = child.0.stdin.take().context("a piped standard input")?;
    let started = Instant::now();
    while started.elapsed() < grace {
        if let Some(status) = child.0.try_wait().with_context(doing)? {
            let mut said = String::new();
            if let Some(mut stderr) = child.0.stderr.take() {
                drop(stderr.read_to_string(&mut said));
            }
            bail!("{}: it ended with {status}: {}", doing(), said.trim());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Held { child, _input: input })
}

/// Starts a program that outlives this one, with its output appended to `log`; gives its process id. It has to make a session of its own
/// (setsid(2)) first of all: until then a Ctrl-C at this terminal ends it, too.
pub fn spawn_detached(cmd: Cmd, log: &Path) -> Result<u32> {
    let shown = cmd.to_string();
    let doing = || format!("starting `{shown}`");
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(doing)?;
    let mut command = Command::from(cmd);
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().with_context(doing)?)
        .stderr(file);
    Ok(command.spawn().with_context(doing)?.id())
}

/// A program whose standard input and output are a line to something else; it ends, with all that it started, when this is dropped.
pub struct Piped {
    _child: Group,
}

impl Piped {
    /// Starts it; gives what it writes, and where it reads. Its standard error is ours. Errors: no word is given, or it cannot be started.
    pub fn start(words: &[String]) -> Result<(Self, std::process::ChildStdout, std::process::ChildStdin)> {
        let (program, arguments) = words.split_first().context("no program is named")?;
        let doing = || format!("starting `{}`", words.join(" "));
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(doing)?;
        let stdout = child.stdout.take().expect("stdout was piped");
        let stdin = child.stdin.take().expect("stdin was piped");
        Ok((Piped { _child: Group(child) }, stdout, stdin))
    }
}

/// Runs a program on this terminal (an editor, a shell on the board) and gives its exit status.
pub fn run_interactive(cmd: Cmd) -> Result<ExitStatus> {
    let shown = cmd.to_string();
    Command::from(cmd)
        .status()
        .with_context(|| format!("running `{shown}`"))
}

fn succeeded(shown: &str, finished: Finished) -> Result<Finished> {
    if finished.status.success() {
        return Ok(finished);
    }
    let mut said = String::from_utf8_lossy(&finished.stderr).into_owned();
    if said.trim().is_empty() {
        said = String::from_utf8_lossy(&finished.stdout).into_owned();
    }
    let lines: Vec<String> = said.lines().map(String::from).collect();
    let end = &lines[lines.len().saturating_sub(20)..];
    bail!("`{shown}` ended with {}:\n{}", finished.status, indent(end))
}

fn indent(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(from.read_to_end(&mut bytes));
        bytes
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use xshell::{Shell, cmd};

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_failure_carries_command_status_and_words() {
        let sh = Shell::new().unwrap();
        let error = run(cmd!(sh, "ls /no/such/folder"), LIMIT)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`ls /no/such/folder` ended with exit status: 2"),
            "{error}"
        );
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let sh = Shell::new().unwrap();
        let started = Instant::now();
        let error = finish(
            cmd!(sh, "sh -c 'sleep 100 & sleep 100'"),
            Duration::from_millis(200),
        )
        .unwrap_err();
        assert!(format!("{error:#}").contains("did not end within"), "{error:#}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_program_that_is_broken_off_is_ended_with_its_children_and_says_why() {
        let sh = Shell::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let lives = folder.path().join("lives");
        let break_off = BreakOff::default();
        let word = break_off.clone();
        let started = Instant::now();
        let breaker = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            word.say("the board is gone");
            word.say("a second reason");
        });
        let script = "(sleep 2; touch \"$0\") & sleep 100";
        let error = finish_unless(cmd!(sh, "sh -c {script} {lives}"), &[], LIMIT, &break_off).unwrap_err();
        let took = started.elapsed();
        breaker.join().unwrap();
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(BrokenOff::is(&error.context("in a test")));
        assert_eq!(break_off.why(), Some("the board is gone"));
        // What was said stays said: nothing more is started.
        let error = finish_unless(cmd!(sh, "touch {lives}"), &[], LIMIT, &break_off).unwrap_err();
        assert_eq!(format!("{error}"), "broken off: the board is gone");
        thread::sleep(Duration::from_secs(2));
        assert!(
            !lives.exists(),
            "neither the child nor a second program did anything"
        );
        assert!(!BrokenOff::is(
            &finish(cmd!(sh, "sleep 9"), Duration::ZERO).unwrap_err()
        ));
    }

    #[test]
    fn what_is_held_ends_with_its_owner() {
        let sh = Shell::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ended = folder.path().join("ended");
        let mut held = hold(
            cmd!(sh, "sh -c 'cat; touch \"$0\"' {ended}"),
            Duration::from_millis(50),
        )
        .unwrap();
        assert!(held.runs() && !ended.exists());
        drop(held);
        let error = hold(
            cmd!(sh, "sh -c 'echo no bus >&2; exit 3'"),
            Duration::from_secs(5),
        )
        .unwrap_err();
        assert!(
            format!("{error:#}").contains("exit status: 3: no bus"),
            "{error:#}"
        );
    }

    #[test]
    fn input_reaches_the_program_even_when_it_is_larger_than_a_pipe() {
        let sh = Shell::new().unwrap();
        let input = vec![b'x'; 1 << 20];
        let finished = run_with_input(cmd!(sh, "wc -c"), &input, LIMIT).unwrap();
        assert_eq!(finished.text(), "1048576");
    }
}
