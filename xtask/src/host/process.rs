//! Running programs on the host. *Architecture invariant:* no other module starts one.
//!
//! Commands are written with xshell's `cmd!` (arguments stay arguments; nothing passes through a shell) and run
//! here, so that each has a time limit, takes its children with it when it is stopped, and fails with
//! its own words.

mod aside;
mod break_off;
mod follow;
mod input;
mod output;
mod start;
mod wait;

pub use break_off::{BreakOff, BrokenOff};
pub use follow::{Ended, Stopped, follow_aside, run_logged};
pub use input::Input;

use super::bounded::MIB;
use super::deadline;
use super::interrupt;
use super::one_line::one_line;
use super::running::Reach;
use anyhow::{Context, Result, bail};
use output::Stream;
use start::start;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use wait::wait;
use xshell::Cmd;

/// Most bytes of a program's standard error: it is read as messages.
const MOST_SAID: u64 = 16 * MIB;

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

/// Runs a program and gives what it printed; any exit status is an answer. Errors: it cannot be started, did not end within `limit`, or
/// prints more than [`BreakOff::most`] has by default (it is killed with its process group then).
pub fn finish(cmd: Cmd, limit: Duration) -> Result<Finished> {
    finish_with_input(cmd, &[], limit)
}

/// [`finish`] with bytes for standard input.
pub fn finish_with_input(cmd: Cmd, input: &[u8], limit: Duration) -> Result<Finished> {
    finish_unless(cmd, Input::Bytes(input), limit, &BreakOff::default())
}

/// [`finish_with_input`] that ends at once when `break_off` is said, with [`BrokenOff`], or when the program prints more than
/// [`BreakOff::most`]: it is killed with its process group then, and reaped.
pub fn finish_unless(cmd: Cmd, input: Input, limit: Duration, break_off: &BreakOff) -> Result<Finished> {
    break_off.check()?;
    let deadline = deadline::after(limit);
    let shown = cmd.to_string();
    let doing = || format!("running `{}`", one_line(&shown));
    let mut command = Command::from(cmd);
    command
        .stdin(input.stdio().with_context(doing)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let (mut child, _running) = start(&mut command, Reach::Group, &shown)?;
    let too_much = BreakOff::default();
    let most = break_off.most();
    let stdout = child.stdout.take().expect("stdout was piped");
    let stdout = Stream::collect(stdout, "standard output", most, &too_much, break_off.file());
    let stderr = child.stderr.take().expect("stderr was piped");
    let stderr = Stream::collect(stderr, "standard error", most.min(MOST_SAID), &too_much, None);
    let feeder = input.feed(child.stdin.take());
    let group = rustix::process::Pid::from_raw(child.id() as i32);
    let status = wait(&mut child, limit, &too_much.or(break_off));
    if let Some(why) = too_much.why() {
        bail!("{}: {why}, and was ended", doing());
    }
    let status = status.with_context(doing)?;
    drop(feeder.map(thread::JoinHandle::join));
    let (Some(stdout), Some(stderr)) = (stdout.end(deadline), stderr.end(deadline)) else {
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        bail!(
            "{}: it ended, and something that it started went on and held its output open for {} s",
            doing(),
            limit.as_secs()
        );
    };
    if let Some(why) = too_much.why() {
        bail!("{}: {why}", doing());
    }
    Ok(Finished {
        status,
        stdout,
        stderr,
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
        let deadline = deadline::after(GRACE);
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
    interrupt::point(&format!("`{shown}`"));
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
    interrupt::point(&format!("`{shown}`"));
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

/// Starts this very program again with other words, in the place of this process: it keeps the
/// process id, the terminal and the folder, and nothing else (locks and files of this process are
/// closed by the system). Programs that this process has started have to be ended before. Returns
/// only where that failed.
pub fn become_again(words: &[std::ffi::OsString]) -> anyhow::Error {
    // The very file that runs, also where another one has taken its name (proc_pid_exe(5)).
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    anyhow::Error::new(command.args(words).exec()).context("starting this program again")
}

/// Runs a program on this terminal (an editor, a shell on the board) and gives its exit status.
pub fn run_interactive(cmd: Cmd) -> Result<ExitStatus> {
    let shown = cmd.to_string();
    let (mut child, running) = start(&mut Command::from(cmd), Reach::Process, &shown)?;
    let status = child.wait().with_context(|| format!("running `{shown}`"));
    interrupt::wait_if_ending();
    drop(running);
    status
}

fn succeeded(shown: &str, finished: Finished) -> Result<Finished> {
    if finished.status.success() {
        return Ok(finished);
    }
    let mut said = String::from_utf8_lossy(&finished.stderr).into_owned();
    if said.trim().is_empty() {
        said = String::from_utf8_lossy(&finished.stdout).into_owned();
    }
    let lines: Vec<String> = said.lines().map(one_line).collect();
    let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
    bail!(
        "`{}` ended with {}:\n{}",
        one_line(shown),
        finished.status,
        indent(end)
    )
}

fn indent(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
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
    fn a_file_of_any_size_is_read_by_the_program_itself_from_its_beginning() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"beginning").unwrap();
        file.set_len(1 << 40).unwrap();
        let sh = Shell::new().unwrap();
        let first = |count: &str| {
            let command = cmd!(sh, "head -c {count}");
            finish_unless(command, Input::File(&file), LIMIT, &BreakOff::default())
        };
        assert_eq!(first("9").unwrap().text(), "beginning");
        assert_eq!(first("5").unwrap().text(), "begin");
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
    fn a_program_that_prints_without_end_is_ended_at_its_bound() {
        let sh = Shell::new().unwrap();
        let started = Instant::now();
        let few = BreakOff::default().up_to(1000);
        let error = finish_unless(cmd!(sh, "yes"), Input::NOTHING, LIMIT, &few).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("`yes`: it printed more than 1000 bytes on standard output"),
            "{error}"
        );
        let error = finish_unless(cmd!(sh, "sh -c 'yes >&2'"), Input::NOTHING, LIMIT, &few).unwrap_err();
        assert!(format!("{error:#}").contains("on standard error"), "{error:#}");
        // One that has ended already, and one with exactly as much.
        let all =
            |count: &str| finish_unless(cmd!(sh, "head -c {count} /dev/zero"), Input::NOTHING, LIMIT, &few);
        assert_eq!(all("1000").unwrap().stdout.len(), 1000);
        assert!(all("1001").is_err());
        assert!(!BrokenOff::is(&all("1001").unwrap_err()), "nobody broke it off");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_a_program_leaves_behind_does_not_keep_it_waiting() {
        let sh = Shell::new().unwrap();
        let started = Instant::now();
        let error = finish(cmd!(sh, "sh -c 'sleep 60 & exit 0'"), Duration::from_secs(1)).unwrap_err();
        assert!(format!("{error:#}").contains("held its output open"), "{error:#}");
        assert!(started.elapsed() < Duration::from_secs(20));
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
        let error = finish_unless(
            cmd!(sh, "sh -c {script} {lives}"),
            Input::NOTHING,
            LIMIT,
            &break_off,
        )
        .unwrap_err();
        let took = started.elapsed();
        breaker.join().unwrap();
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(BrokenOff::is(&error.context("in a test")));
        assert_eq!(break_off.why(), Some("the board is gone"));
        // What was said stays said: nothing more is started.
        let error = finish_unless(cmd!(sh, "touch {lives}"), Input::NOTHING, LIMIT, &break_off).unwrap_err();
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
