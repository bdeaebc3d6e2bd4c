//! `cargo xtask board`: the virtual board as a thing with a power switch, a shell and a serial line.

use super::Context;
use super::hold_board::{HeldBoard, ask_if_held, hold};
use crate::board::Board as _;
use crate::board::only_look::CONNECTION;
use crate::board::ssh::Terminal;
use crate::board::virt::{self, Different, Down, Status, Up, VirtualBoard};
use crate::exit::Outcome;
use crate::host::json::json;
use crate::ui::Format;
use anyhow::{Result, bail};
use std::time::Duration;

mod console;
mod netconsole;
mod probe;
mod ramoops;
mod remote;
mod state;
mod sysrq;

/// Name of the virtual board.
const VIRTUAL: &str = "virtual";

/// Longest time from power-on to ssh that `up` waits by default, seconds.
const BOOT_SECONDS: u64 = 180;

/// Arguments of `cargo xtask board`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  cargo xtask board up && cargo xtask board ssh uname -r"
)]
pub struct Board {
    /// Board to use: a file of boards/, without .toml
    #[arg(long, value_name = "NAME", default_value = "virtual", global = true)]
    board: String,
    /// What to do with it.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Switch it on (make it first, if there is none) and wait until it answers over ssh
    #[command(after_help = "Example:\n  cargo xtask board up --no-wait")]
    Up(UpFlags),
    /// Shut it down; cut its power if it does not obey
    #[command(after_help = "Example:\n  cargo xtask board down")]
    Down,
    /// Tell whether it is there, on, and answers
    #[command(after_help = "Example:\n  cargo xtask board status --json")]
    Status,
    /// Tell what runs on a board: label, release, build id, taint, lockdep, lease
    #[command(after_help = "Example:\n  cargo xtask board state")]
    State(state::StateFlags),
    /// Run a command on it, or open a shell
    #[command(
        after_help = "Example:\n  cargo xtask board ssh journalctl -k -b -1\n\nWhile another command of Lockstep works on \
                      the board you are asked first: what you do there may spoil its result."
    )]
    Ssh {
        /// The command, as a shell on the board reads it; a login shell without one
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Ask its kernel by a SysRq key: w blocked tasks, d held locks, l back traces, m memory; b, c and o end it
    Sysrq(sysrq::Sysrq),
    /// Set netconsole up on it, record it on this host, and prove it with a packet
    Netconsole(netconsole::Netconsole),
    /// Propose a ramoops region for it, and print the device-tree overlay
    Ramoops(ramoops::Ramoops),
    /// Look at its serial line
    #[command(after_help = "Example:\n  cargo xtask board console --write    (leave with Ctrl-])")]
    Console {
        /// Send what is typed to the board, too. A stray byte stops U-Boot's countdown for ever
        #[arg(long)]
        write: bool,
    },
    /// Pull its reset line: nothing is flushed
    #[command(after_help = "Example:\n  cargo xtask board reset")]
    Reset,
    /// Look at any board over ssh and write its board file
    Probe(probe::Probe),
    /// Remove it with everything that is on its disk
    #[command(after_help = "Example:\n  cargo xtask board destroy --yes")]
    Destroy,
}

#[derive(Debug, clap::Args)]
struct UpFlags {
    /// Do not wait until it answers
    #[arg(long)]
    no_wait: bool,
    /// Longest time to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = BOOT_SECONDS)]
    limit: u64,
}

impl Board {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        if self.board != VIRTUAL && !matches!(self.action, Action::Probe(_)) {
            return remote::run(&self.action, &self.board, context);
        }
        if context.global.dry_run && !matches!(self.action, Action::Probe(_)) {
            return dry_run(&self.action, context);
        }
        match &self.action {
            Action::Up(flags) => up(flags, context),
            Action::Down => down(context),
            Action::Status => status(context),
            Action::State(flags) => state::run(flags, &self.board, context),
            Action::Ssh { command } => ssh(command, context),
            Action::Sysrq(flags) => flags.run(&self.board, context),
            Action::Ramoops(flags) => flags.run(&self.board, context),
            Action::Netconsole(flags) => flags.run(&self.board, context),
            Action::Console { write } => {
                let direction = console::Direction::of(*write);
                let _held = console::hold_to_write(context, &self.board, direction)?;
                let line = console::Line::Virtual(Box::new(VirtualBoard::open(&context.folders)?));
                console::run(context, &line, direction)
            }
            Action::Reset => reset(context),
            Action::Probe(probe) => probe.run(context),
            Action::Destroy => destroy(context),
        }
    }
}

/// What an action would do, with the state that it would find.
fn dry_run(action: &Action, context: &Context) -> Result<Outcome> {
    let power = match VirtualBoard::open(&context.folders) {
        Err(_) => Power::NotMade,
        Ok(board) if board.is_on() => Power::On,
        Ok(_) => Power::Off,
    };
    let steps = plan(action, power);
    for step in &steps {
        context.ui.line(step);
    }
    context.ui.json(&json!({ "dry_run": true, "plan": steps }))?;
    Ok(Outcome::Success)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    NotMade,
    Off,
    On,
}

fn plan(action: &Action, power: Power) -> Vec<&'static str> {
    let (made, on) = (power != Power::NotMade, power == Power::On);
    match action {
        Action::Up(_) if on => vec!["the board is on: wait until it answers over ssh"],
        Action::Up(_) if made => vec!["start QEMU", "wait until the board answers over ssh"],
        Action::Up(_) => vec![
            "make the root file system, if the cache has none (downloads about 80 MB, needs root)",
            "make the disk, and boot once to U-Boot's prompt to save its environment",
            "start QEMU",
            "wait until the board answers over ssh",
        ],
        Action::Down if on => vec!["shut the board down", "cut its power, if it does not obey"],
        Action::Netconsole(_) if on => vec![
            "look at the board's network",
            "record its packets on this host",
            "set netconsole up, and send a test packet",
        ],
        Action::Ramoops(_) if on => vec!["read the board's memory map", "print the overlay"],
        Action::Sysrq(_) if on => vec!["send one SysRq key to the running kernel"],
        Action::Reset if on => vec!["reset the board; nothing is flushed"],
        Action::Destroy if made => vec!["cut the board's power", "remove its disk, its keys and its log"],
        Action::Ssh { .. } if on => vec!["run the command on the board"],
        Action::Status | Action::State(_) => vec!["ask the board how it is"],
        Action::Console { .. } if made => vec!["show the board's serial line"],
        _ => vec!["nothing: the board is off, or was never made"],
    }
}

/// Power is for one process at a time, like everything else that the board would notice.
fn alone(context: &Context) -> Result<HeldBoard> {
    hold(context, VIRTUAL, None)
}

fn up(flags: &UpFlags, context: &Context) -> Result<Outcome> {
    let _held = alone(context)?;
    let board = made(context)?;
    let limit = Duration::from_secs(flags.limit);
    let task = context.ui.task("switching the virtual board on", None);
    let found = board.up(&context.folders)?;
    let mut seconds = None;
    if flags.no_wait {
        task.done("");
    } else {
        board.wait_for_ssh(limit)?;
        seconds = Some(task.done("it answers over ssh").as_secs_f64());
    }
    let was_on = found == Up::WasOn;
    context
        .ui
        .json(&json!({ "was_on": was_on, "seconds": seconds }))?;
    context.ui.line(if was_on {
        "the virtual board was on already"
    } else {
        "the virtual board is on"
    });
    context
        .ui
        .line("next: `cargo xtask board ssh`, `cargo xtask board console`, or `cargo xtask preflight`");
    Ok(Outcome::Success)
}

/// The board, made now if there is none.
fn made(context: &Context) -> Result<VirtualBoard> {
    if let Ok(board) = VirtualBoard::open(&context.folders) {
        return Ok(board);
    }
    let vanilla = virt::vanilla_manifest(&context.folders)?;
    let task = context.ui.task("making the virtual board", None);
    let board = virt::create(&context.folders, &vanilla, Different::Refuse, &mut |line| {
        task.detail(line)
    })?;
    task.done(&board.folder().display().to_string());
    Ok(board)
}

fn down(context: &Context) -> Result<Outcome> {
    let _held = alone(context)?;
    let board = VirtualBoard::open(&context.folders)?;
    let task = context.ui.task("shutting the virtual board down", None);
    let (how, told) = match board.down(&context.folders)? {
        Down::WasOff => ("was-off", "it was off already"),
        Down::Shutdown => ("shutdown", "it shut itself down"),
        Down::Cut => ("cut", "it did not obey: its power was cut"),
    };
    task.done(told);
    context.ui.json(&json!({ "how": how }))?;
    context.ui.line("next: `cargo xtask board up`");
    Ok(Outcome::Success)
}

fn status(context: &Context) -> Result<Outcome> {
    let status = VirtualBoard::status(&context.folders);
    context.ui.json(&status)?;
    for line in told(&status) {
        context.ui.line(&line);
    }
    Ok(Outcome::Success)
}

/// A status for people, with the next sensible command.
fn told(status: &Status) -> Vec<String> {
    if !status.made {
        return vec![
            format!("there is no virtual board in {}", status.folder.display()),
            "next: `cargo xtask board up`".into(),
        ];
    }
    let mut lines = Vec::new();
    let next = match (status.pid, &status.release) {
        (Some(pid), Some(release)) => {
            lines.push(format!("on (QEMU is process {pid}), running {release}"));
            "`cargo xtask board ssh`"
        }
        (Some(pid), None) => {
            lines.push(format!(
                "on (QEMU is process {pid}), but it does not answer over ssh"
            ));
            "`cargo xtask board console`"
        }
        (None, _) => {
            lines.push("off".into());
            "`cargo xtask board up`"
        }
    };
    lines.extend(
        status
            .vanilla
            .iter()
            .map(|release| format!("vanilla is {release}")),
    );
    lines.extend(
        status
            .ssh_port
            .iter()
            .map(|port| format!("ssh is on 127.0.0.1:{port}")),
    );
    lines.extend(
        status
            .serial_log
            .iter()
            .map(|log| format!("serial log: {}", log.display())),
    );
    lines.push(format!("next: {next}"));
    lines
}

fn ssh(command: &[String], context: &Context) -> Result<Outcome> {
    let board = VirtualBoard::open(&context.folders)?;
    if !board.is_on() {
        bail!("the virtual board is off: `cargo xtask board up`");
    }
    ask_if_held(context, VIRTUAL)?;
    let board = board.over(CONNECTION);
    if context.ui.format() == Format::Json {
        let finished = board.run(&command.join(" "), Duration::from_secs(600))?;
        let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&finished.stdout).into_owned();
        let result = json!({ "status": finished.status.code(), "stdout": stdout, "stderr": stderr });
        context.ui.json(&result)?;
        return Ok(outcome_of(finished.status.code()));
    }
    let person = context.ui.is_interactive();
    let terminal = if person {
        Terminal::Allocate
    } else {
        Terminal::Without
    };
    let status = board.ssh()?.interactive(command, terminal)?;
    Ok(outcome_of(status.code()))
}

/// A command on the board that fails is a check that failed; its own status cannot be told from our codes.
fn outcome_of(code: Option<i32>) -> Outcome {
    if code == Some(0) {
        Outcome::Success
    } else {
        Outcome::CheckFailed
    }
}

fn reset(context: &Context) -> Result<Outcome> {
    let board = VirtualBoard::open(&context.folders)?;
    if !board.is_on() {
        bail!("the virtual board is off: `cargo xtask board up`");
    }
    let mut held = alone(context)?;
    let board = held.open_silent(context, Duration::ZERO)?;
    context.ui.confirm(
        context.global.consent(),
        "Reset the virtual board without flushing anything?",
    )?;
    board.hard_reset()?;
    context.ui.json(&json!({ "reset": true }))?;
    context.ui.line("the virtual board was reset");
    context
        .ui
        .line("next: `cargo xtask board up` waits until it answers");
    Ok(Outcome::Success)
}

fn destroy(context: &Context) -> Result<Outcome> {
    let question = "Remove the virtual board with everything that is on its disk?";
    let _held = alone(context)?;
    context.ui.confirm(context.global.consent(), question)?;
    let folder = virt::destroy(&context.folders)?;
    context.ui.json(&json!({ "destroyed": folder }))?;
    context
        .ui
        .line("the virtual board is gone; what it was made from is still in the cache");
    context.ui.line("next: `cargo xtask board up` makes a new one");
    Ok(Outcome::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            made: true,
            pid: Some(42),
            answers: true,
            release: Some("7.3.4-lockdep".into()),
            vanilla: Some("7.3.4-devices".into()),
            ssh_port: Some(2222),
            serial_log: Some("/c/serial.log".into()),
            folder: "/c".into(),
        }
    }

    #[test]
    fn a_status_ends_with_the_next_command() {
        let lines = told(&status());
        assert_eq!(lines[0], "on (QEMU is process 42), running 7.3.4-lockdep");
        assert_eq!(lines.last().unwrap(), "next: `cargo xtask board ssh`");
        let silent = Status {
            release: None,
            ..status()
        };
        assert_eq!(told(&silent).last().unwrap(), "next: `cargo xtask board console`");
        let absent = Status {
            made: false,
            ..status()
        };
        assert_eq!(
            told(&absent),
            ["there is no virtual board in /c", "next: `cargo xtask board up`"]
        );
    }

    #[test]
    fn a_plan_names_the_download_before_it_is_made() {
        let flags = UpFlags {
            no_wait: false,
            limit: 1,
        };
        let steps = plan(&Action::Up(flags), Power::NotMade);
        assert!(steps[0].contains("downloads"), "{steps:?}");
        assert_eq!(
            plan(&Action::Down, Power::Off),
            ["nothing: the board is off, or was never made"]
        );
    }
}
