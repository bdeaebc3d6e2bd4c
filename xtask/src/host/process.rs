//! Running programs on the host. *Architecture invariant:* no other module starts one.
//!
//! Commands are written with xshell's `cmd!` (arguments stay arguments; nothing passes through a shell) and run
//! here, so that each has a time limit, takes its children with it when it is stopped, and fails with
//! its own words.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
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
    let status = wait(&mut child, limit).with_context(|| format!("running `{shown}`"))?;
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

/// Runs a long program: standard output and error are appended to `log` as they come, and `on_line` sees each line.
/// Errors carry the end of the log.
pub fn run_logged(cmd: Cmd, log: &Path, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<()> {
    let shown = cmd.to_string();
    let doing = || format!("running `{shown}` (its output is in {})", log.display());
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).with_context(doing)?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(doing)?;
    writeln!(file, "$ {shown}").with_context(doing)?;
    let mut command = Command::from(cmd);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().with_context(doing)?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        forward_lines(child.stdout.take().expect("stdout was piped"), sender.clone()),
        forward_lines(child.stderr.take().expect("stderr was piped"), sender),
    ];
    let deadline = Instant::now() + limit;
    let mut last_lines = std::collections::VecDeque::new();
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        writeln!(file, "{line}").with_context(doing)?;
        on_line(&line);
        last_lines.push_back(line);
        if last_lines.len() > 20 {
            last_lines.pop_front();
        }
    }
    let status = wait(&mut child, deadline.saturating_duration_since(Instant::now())).with_context(doing)?;
    readers.into_iter().for_each(|reader| drop(reader.join()));
    if status.success() {
        return Ok(());
    }
    bail!(
        "`{shown}` ended with {status}; the whole output is in {}; its end:\n{}",
        log.display(),
        indent(last_lines.make_contiguous())
    )
}

/// Starts a program that outlives this one, in a session of its own, with its output appended to `log`; gives its process id.
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
        .stderr(file)
        .process_group(0);
    Ok(command.spawn().with_context(doing)?.id())
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

/// Waits up to `limit`; after that the whole process group is killed and reaped.
fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            if let Some(group) = rustix::process::Pid::from_raw(child.id() as i32) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            child.wait()?;
            bail!("it did not end within {} s and was killed", limit.as_secs());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
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
    fn input_reaches_the_program_even_when_it_is_larger_than_a_pipe() {
        let sh = Shell::new().unwrap();
        let input = vec![b'x'; 1 << 20];
        let finished = run_with_input(cmd!(sh, "wc -c"), &input, LIMIT).unwrap();
        assert_eq!(finished.text(), "1048576");
    }
}
