//! The board that the boards of tests are built on: it has nothing but its file until a test gives it more, and it runs nothing. What answers a
//! test's commands stands before it ([`InFront`]), so that each such board says only what is its own.
//!
//! [`InFront`]: xtask::board::InFront

// Each test uses its own part of this.
#![allow(dead_code)]

use anyhow::{Error, Result, bail};
use std::cell::Cell;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use xtask::board::file::BoardFile;
use xtask::board::netconsole::Wire;
use xtask::board::ssh::Ssh;
use xtask::board::{Board, Description, SerialLine};
use xtask::capture::control::MenuEntry;
use xtask::host::process::{BreakOff, Finished, Input};

pub struct BareBoard {
    pub description: Description,
    pub line: Option<FileLine>,
    pub netconsole: Option<Wire>,
    pub second_way: Option<Ssh>,
    /// How often it is still asked in vain whether it is there.
    pub silent: Cell<u32>,
    /// What pulling its reset line comes to.
    pub reset: Result<(), &'static str>,
    /// How often that was done.
    pub resets: Cell<u32>,
}

impl BareBoard {
    /// The board that a file describes; it is there whenever it is asked.
    pub fn of(name: &str, file: &str) -> Self {
        BareBoard {
            description: BoardFile::parse(name, file).unwrap().description,
            line: None,
            netconsole: None,
            second_way: None,
            silent: Cell::new(0),
            reset: Err("it has no reset line"),
            resets: Cell::new(0),
        }
    }

    /// A laptop, as far as its file goes.
    pub fn ampere() -> Self {
        Self::of("ampere", include_str!("../../../boards/ampere.toml"))
    }
}

impl Board for BareBoard {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run_unless(&self, script: &str, _: Input, _: Duration, _: &BreakOff) -> Result<Finished> {
        bail!("nothing answers on a bare board, which was asked: {script}")
    }

    fn second_way(&self) -> Option<Ssh> {
        self.second_way.clone()
    }

    fn answers(&self, _: Duration) -> bool {
        let silent = self.silent.get();
        self.silent.set(silent.saturating_sub(1));
        silent == 0
    }

    fn serial(&self) -> Option<&dyn SerialLine> {
        self.line.as_ref().map(|line| line as &dyn SerialLine)
    }

    fn netconsole(&self) -> Option<Wire> {
        self.netconsole.clone()
    }

    fn serial_problem(&self) -> Option<&str> {
        None
    }

    fn may_change(&self) -> Result<()> {
        Ok(())
    }

    fn hard_reset(&self) -> Result<()> {
        self.resets.set(self.resets.get() + 1);
        self.reset.map_err(Error::msg)
    }
}

/// A serial line whose log the test writes; no test of it sends the board a byte.
pub struct FileLine(pub PathBuf);

impl SerialLine for FileLine {
    fn log(&self) -> PathBuf {
        self.0.clone()
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        bail!("{} is written to the line", bytes.escape_ascii())
    }

    fn send_break(&self) -> Result<()> {
        bail!("a BREAK is sent on the line")
    }

    fn has_break(&self) -> bool {
        false
    }

    fn vanilla_is(&self, entry: &MenuEntry) -> Result<()> {
        bail!("nobody captures the line who would answer with {entry:?}")
    }
}

/// A command that ended well, and what it printed.
pub fn said(stdout: impl Into<Vec<u8>>) -> Finished {
    Finished {
        status: ExitStatus::from_raw(0),
        stdout: stdout.into(),
        stderr: Vec::new(),
    }
}
