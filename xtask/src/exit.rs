//! Exit codes: documented constants, and the one place where an outcome becomes one of them.

use crate::host::environment;
use crate::host::interrupt::{self, Interrupted};
use crate::ui::{Format, Ui};
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command ended, as its exit code tells it. "Rolled back, all safe" is never the same code as
/// "a person is needed".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was asked for is done: exit code 0.
    Success,
    /// A check found something wrong and nothing was changed (`doctor`, `preflight`): exit code 3.
    CheckFailed,
    /// An input was not understood, so that nothing was found in it proves nothing (`logs`): exit code 4.
    NotUnderstood,
    /// A step failed, only that step was taken back, vanilla runs and is the default: exit code 10.
    RolledBack,
    /// Some steps passed, a later one failed and was taken back, vanilla runs: exit code 11.
    PartialSuccess,
    /// It was stopped because the user asked (Ctrl-C), with nothing of a step on the board; vanilla
    /// runs, and `cargo xtask resume` goes on: exit code 12.
    Stopped,
    /// Only a person can go on: the board or the tree is not in a state that is known to be safe, or a review is missing. What to do was
    /// said; `cargo xtask status` says it again: exit code 20.
    PersonNeeded,
    /// A signal stopped the command before it was done ([`INTERRUPTED`]): exit code 130.
    Interrupted,
}

/// Exit code of an error that is none of the [`Outcome`]s (bad input, a program that failed): nothing on a
/// board was changed by the failing action, or the message says what was.
pub const ERROR: u8 = 1;

/// Exit code of bad usage, as clap has it, and of an environment that cannot be used: nothing was done.
pub const USAGE: u8 = 2;

/// A signal (Ctrl-C, SIGTERM, SIGHUP) stopped the command before it was done: the program that ran then had ended by itself, or was ended, as
/// was said. The same command looks at what is there and goes on.
pub const INTERRUPTED: u8 = interrupt::EXIT_STATUS;

impl Outcome {
    /// The documented exit code.
    pub const fn code(self) -> u8 {
        match self {
            Outcome::Success => 0,
            Outcome::CheckFailed => 3,
            Outcome::NotUnderstood => 4,
            Outcome::RolledBack => 10,
            Outcome::PartialSuccess => 11,
            Outcome::Stopped => 12,
            Outcome::PersonNeeded => 20,
            Outcome::Interrupted => INTERRUPTED,
        }
    }
}

/// Prints what clap says of a command line that it does not accept, or the help or version that was asked for, and gives the exit code of the
/// process. The command line was not understood, so it is looked through for `--json` itself.
pub fn usage(error: &mut clap::Error, words: impl Iterator<Item = OsString>) -> ExitCode {
    let json = words.take_while(|word| word != "--").any(|word| word == "--json");
    let format = if json { Format::Json } else { Format::Text };
    Ui::new(format).usage(error);
    match u8::try_from(error.exit_code()) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::from(USAGE),
    }
}

/// Prints the JSON object of the result, or the error, and gives the exit code of the process.
pub fn report(ui: &Ui, outcome: anyhow::Result<Outcome>) -> ExitCode {
    let outcome = outcome.and_then(|outcome| ui.end().map(|()| outcome));
    match outcome {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => {
            ui.error(&error);
            ExitCode::from(if error.is::<Interrupted>() {
                INTERRUPTED
            } else if error.is::<environment::Unusable>() {
                USAGE
            } else {
                ERROR
            })
        }
    }
}
