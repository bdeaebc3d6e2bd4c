//! `cargo xtask board` for a board over ssh: what makes sense for a machine that is not made here.

use super::super::Context;
use super::super::hold_board::{ask_if_held, hold};
use super::super::open_board::{board_file, ssh_board};
use super::{Action, console, outcome_of};
use crate::board::only_look::CONNECTION;
use crate::board::ssh::Terminal;
use crate::board::ssh_board::SshBoard;
use crate::board::{Board as _, boot, file};
use crate::exit::Outcome;
use crate::host::json::json;
use crate::ui::Format;
use anyhow::{Result, bail};
use std::time::Duration;

/// How long a board that may be silent may take to say which machine it is.
const ANSWER: Duration = Duration::from_secs(5);

/// Runs an action on the board `name`. Errors: it is for the virtual board alone.
pub(super) fn run(action: &Action, name: &str, context: &Context) -> Result<Outcome> {
    let file = board_file(context, name)?;
    if file.kind == file::Kind::Virtual {
        bail!(
            "board `{name}` is of kind \"virtual\", and there is only one of those: it is called `virtual`"
        );
    }
    if context.global.dry_run {
        let steps = [plan(action)];
        context.ui.line(steps[0]);
        context.ui.json(&json!({ "dry_run": true, "plan": steps }))?;
        return Ok(Outcome::Success);
    }
    // Its own connection, so that whoever works on the board keeps theirs.
    let board = ssh_board(context, &file)?.over(CONNECTION)?;
    match action {
        Action::Status => status(&board, name, context),
        Action::Ssh { command } => ssh(&board, command, context),
        Action::State(flags) => super::state::run(flags, name, context),
        Action::Reset => reset(name, context),
        Action::Sysrq(flags) => flags.run(name, context),
        Action::Ramoops(flags) => flags.run(name, context),
        Action::Netconsole(flags) => flags.run(name, context),
        Action::Console { write } => console(&board, console::Direction::of(*write), context),
        Action::Up(_) | Action::Down | Action::Destroy | Action::Probe(_) => bail!(
            "board `{name}` is a machine of its own: only `status`, `state`, `ssh`, `console`, `sysrq` and `reset` can be asked of it here"
        ),
    }
}

/// Starts the recorder, if none runs: it goes on behind this command.
fn console(board: &SshBoard, direction: console::Direction, context: &Context) -> Result<Outcome> {
    let name = &board.description().name;
    let Some(line) = board.line() else {
        bail!(
            "board `{name}` has no serial line: its file has no [serial] with `device` and `speed`, `tcp`, `rfc2217`, `socket` or `command`"
        );
    };
    if let Some(problem) = line.problem() {
        bail!("the serial line of board `{name}` cannot be used: {problem}");
    }
    let _held = console::hold_to_write(context, name, direction)?;
    console::run(context, &console::Line::Recorded(line), direction)
}

fn plan(action: &Action) -> &'static str {
    match action {
        Action::Status | Action::State(_) => "ask the board how it is",
        Action::Ssh { .. } => "run the command on the board",
        Action::Netconsole(_) => {
            "look at the board's network, record its packets here, set netconsole up, send a test packet"
        }
        Action::Ramoops(_) => "read the board's memory map and print the overlay",
        Action::Sysrq(_) => "send one SysRq key to the running kernel",
        Action::Console { .. } => "record and show the board's serial line",
        Action::Reset => "run the reset command of the board's file; nothing is flushed",
        _ => "nothing: this is for the virtual board alone",
    }
}

fn status(board: &SshBoard, name: &str, context: &Context) -> Result<Outcome> {
    let way = board.check_way(Duration::from_secs(40));
    let running = way.as_ref().ok().and_then(|_| boot::look(board).ok());
    let said = way.as_ref().err().map(|error| format!("{error:#}"));
    context.ui.json(&json!({
        "board": name, "answers": way.is_ok(), "release": running.as_ref().map(|running| &running.release),
        "boot_id": running.as_ref().map(|running| &running.boot_id), "error": said
    }))?;
    match (&running, &said) {
        (Some(running), _) => {
            context.ui.line(&format!(
                "board `{name}` answers as root and runs {}",
                running.release
            ));
            context
                .ui
                .line(&format!("next: `cargo xtask preflight --board {name}`"));
            Ok(Outcome::Success)
        }
        (None, said) => {
            context.ui.line(
                said.as_deref()
                    .unwrap_or("it answers, but does not say what runs"),
            );
            context.ui.line("next: put that right, then ask again");
            Ok(Outcome::CheckFailed)
        }
    }
}

fn ssh(board: &SshBoard, command: &[String], context: &Context) -> Result<Outcome> {
    ask_if_held(context, &board.description().name)?;
    if context.ui.format() == Format::Json {
        let finished = board.run(&command.join(" "), Duration::from_secs(600))?;
        context.ui.json(&json!({
            "status": finished.status.code(),
            "stdout": String::from_utf8_lossy(&finished.stdout),
            "stderr": String::from_utf8_lossy(&finished.stderr)
        }))?;
        return Ok(outcome_of(finished.status.code()));
    }
    let terminal = match context.ui.is_interactive() {
        true => Terminal::Allocate,
        false => Terminal::Without,
    };
    Ok(outcome_of(board.ssh().interactive(command, terminal)?.code()))
}

fn reset(name: &str, context: &Context) -> Result<Outcome> {
    let mut held = hold(context, name, None)?;
    let board = held.open_silent(context, ANSWER)?;
    let question = format!("Reset board `{name}` without flushing anything?");
    context.ui.confirm(context.global.consent(), &question)?;
    board.hard_reset()?;
    context.ui.json(&json!({ "reset": true }))?;
    context.ui.line(&format!("board `{name}` was reset"));
    context
        .ui
        .line(&format!("next: `cargo xtask board status --board {name}`"));
    Ok(Outcome::Success)
}
