//! A board for a command that does not hold its lock: it can be asked and read, and it cannot be reset or typed to. What a script does
//! there is up to the command; `board::writer` and `board::boot`, which have those that change
//! something, ask [`Board::may_change`] first.

use super::netconsole::Wire;
use super::ssh::Ssh;
use super::{Board, Description, SerialLine};
use crate::capture::control::MenuEntry;
use crate::host::process::{BreakOff, Finished, Input};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// Name of the folder for its connection, which is not the one that the holder of the lock shares: to ask whether a board answers, the
/// connection is made again, and that ends whatever goes through it.
pub const CONNECTION: &str = "look";

/// See the module. The board in it has a connection named [`CONNECTION`].
pub struct OnlyLook(pub Box<dyn Board>);

impl OnlyLook {
    fn refuse<T>(&self, what: &str) -> Result<T> {
        bail!(
            "{what} board `{}`: refused, this command does not hold the board's lock",
            self.0.description().name
        )
    }
}

impl Board for OnlyLook {
    fn description(&self) -> &Description {
        self.0.description()
    }

    fn run_unless(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> Result<Finished> {
        self.0.run_unless(script, input, limit, break_off)
    }

    fn second_way(&self) -> Option<Ssh> {
        self.0.second_way()
    }

    fn answers(&self, limit: Duration) -> bool {
        self.0.answers(limit)
    }

    fn serial(&self) -> Option<&dyn SerialLine> {
        self.0.serial().map(|_| self as &dyn SerialLine)
    }

    fn netconsole(&self) -> Option<Wire> {
        self.0.netconsole()
    }

    fn serial_problem(&self) -> Option<&str> {
        self.0.serial_problem()
    }

    fn hard_reset(&self) -> Result<()> {
        self.refuse("resetting")
    }

    /// Whatever the board in it may.
    fn may_change(&self) -> Result<()> {
        self.refuse("changing")
    }
}

impl SerialLine for OnlyLook {
    fn log(&self) -> PathBuf {
        self.0.serial().map(SerialLine::log).unwrap_or_default()
    }

    fn write(&self, _bytes: &[u8]) -> Result<()> {
        self.refuse("writing to the serial line of")
    }

    fn send_break(&self) -> Result<()> {
        self.refuse("sending a BREAK to")
    }

    fn has_break(&self) -> bool {
        false
    }

    fn vanilla_is(&self, _entry: &MenuEntry) -> Result<()> {
        self.refuse("setting the menu's answer for")
    }
}
