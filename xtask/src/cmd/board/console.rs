//! The serial line on this terminal: what the capture appends to the log is shown; what is typed is sent only with `--write`.

use crate::board::SerialLine;
use crate::board::ssh_board::RecordedLine;
use crate::board::virt::{Connection, VirtualBoard};
use crate::capture::control::Writer;
use crate::cmd::Context;
use crate::cmd::hold_board::{HeldBoard, hold};
use crate::exit::Outcome;
use anyhow::{Context as _, Result, bail};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Ctrl-].
const LEAVE: u8 = 0x1d;
/// Ctrl-C, which leaves too where nothing is sent.
const INTERRUPT: u8 = 0x03;
/// How much of the past is shown first, bytes.
const PAST: u64 = 4096;
/// Most bytes that are shown at once.
const AT_ONCE: u64 = 1 << 20;

/// What happens to what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Nothing: the line is only shown.
    Look,
    /// It is sent to the board.
    Write,
}

impl Direction {
    /// By the flag `--write`.
    pub fn of(write: bool) -> Self {
        if write { Direction::Write } else { Direction::Look }
    }
}

/// The board's lock, where something is going to be sent.
pub fn hold_to_write(context: &Context, board: &str, direction: Direction) -> Result<Option<HeldBoard>> {
    match direction {
        Direction::Look => Ok(None),
        Direction::Write => hold(context, board, None).map(Some),
    }
}

/// Whose line it is.
pub enum Line<'a> {
    /// QEMU has it open and writes the log.
    Virtual(Box<VirtualBoard>),
    /// A recorder has.
    Recorded(&'a RecordedLine),
}

impl Line<'_> {
    fn log(&self) -> PathBuf {
        match self {
            Line::Virtual(board) => board.line().log(),
            Line::Recorded(line) => line.log(),
        }
    }

    /// Whether something can still come over it.
    fn is_on(&self) -> bool {
        match self {
            Line::Virtual(board) => board.is_on(),
            Line::Recorded(line) => line.recorder().running().is_some(),
        }
    }

    fn keyboard(&self) -> Result<Keyboard<'_>> {
        Ok(match self {
            Line::Virtual(board) => Keyboard::Socket(board.line().connect(Duration::from_secs(2))?),
            Line::Recorded(line) => Keyboard::Recorder(line),
        })
    }
}

/// Where keys go.
enum Keyboard<'a> {
    Socket(Connection),
    Recorder(&'a RecordedLine),
}

impl Keyboard<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Keyboard::Socket(connection) => send(connection, bytes),
            Keyboard::Recorder(_) if bytes.is_empty() => Ok(()),
            Keyboard::Recorder(line) => line.recorder().write(bytes, Writer::Person),
        }
    }
}

/// Shows the line until a person leaves or the board goes off.
pub fn run(context: &Context, line: &Line, direction: Direction) -> Result<Outcome> {
    let person = std::io::stdin().is_terminal();
    if direction == Direction::Write && !person {
        bail!("`--write` needs a terminal: standard input is none, and its end would be taken for a key");
    }
    let keyboard = match direction {
        Direction::Write => Some(line.keyboard()?),
        Direction::Look => None,
    };
    let mut log = File::open(line.log())
        .with_context(|| format!("opening {} (was the board ever on?)", line.log().display()))?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(PAST)))?;
    if person {
        context.ui.say("the serial line; leave with Ctrl-]");
    }
    let _raw = if person { Some(RawTerminal::enter()?) } else { None };
    let keys = if person { keys() } else { channel().1 };
    let left = follow(context, line, &mut log, keyboard, &keys)?;
    context.ui.say(match left {
        Left::Person => "left the serial line; the board goes on",
        Left::Off => "nothing comes over the line any more: the board is off, or its recorder has ended",
    });
    Ok(Outcome::Success)
}

enum Left {
    Person,
    Off,
}

fn follow(
    context: &Context,
    line: &Line,
    log: &mut File,
    mut keyboard: Option<Keyboard>,
    keys: &Receiver<Vec<u8>>,
) -> Result<Left> {
    let mut filter = Filter::default();
    let mut bytes = Vec::new();
    loop {
        // Asked before the last read, so that what was said before the end is shown.
        let on = line.is_on();
        bytes.clear();
        log.take(AT_ONCE).read_to_end(&mut bytes)?;
        match keyboard {
            // A shell's line editing moves the cursor; a person asked for exactly that.
            Some(_) => context.ui.stream(&bytes),
            None => context.ui.stream(&filter.shown(&bytes)),
        }
        if !on && bytes.is_empty() {
            return Ok(Left::Off);
        }
        if let Some(Keyboard::Socket(connection)) = &mut keyboard {
            drain(connection)?;
        }
        let direction = keyboard.as_ref().map_or(Direction::Look, |_| Direction::Write);
        for typed in keys.try_iter() {
            let (sent, leave) = until_leave(&typed, direction);
            if let Some(keyboard) = &mut keyboard {
                keyboard.send(sent)?;
            }
            if leave {
                return Ok(Left::Person);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is to be sent of what was typed, and whether the person leaves.
fn until_leave(typed: &[u8], direction: Direction) -> (&[u8], bool) {
    let leaves = |byte: &u8| *byte == LEAVE || (direction == Direction::Look && *byte == INTERRUPT);
    match typed.iter().position(leaves) {
        Some(end) => (typed.get(..end).unwrap_or_default(), true),
        None => (typed, false),
    }
}

fn send(connection: &mut Connection, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match connection.stream.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => drain(connection)?,
            Err(error) => return Err(error).context("writing to the serial line"),
        }
    }
    Ok(())
}

/// Takes what waits in the socket (the log has it already), so that the board is never stopped by us.
fn drain(connection: &mut Connection) -> Result<()> {
    connection.stream.set_nonblocking(true)?;
    let mut scrap = [0; 4096];
    while connection.stream.read(&mut scrap).is_ok_and(|read| read > 0) {}
    Ok(())
}

/// Keys as they come. The thread ends with the process: nothing can interrupt a read from a terminal.
fn keys() -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(read) = std::io::stdin().read(&mut buffer) {
            let typed = buffer.get(..read).unwrap_or_default();
            if typed.is_empty() || sender.send(typed.to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The terminal without line editing, echo and signals; as it was when this is dropped.
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    fn enter() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).context("reading the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)
            .context("changing the terminal's settings")?;
        Ok(RawTerminal { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Takes escape sequences and other control characters out of what a board says: a board must not be able to change the
/// terminal of somebody who only looks. Sequences may be split between two reads.
#[derive(Debug, Default)]
struct Filter {
    state: Escape,
}

/// Where in an escape sequence we are (ECMA-48, 5.4: CSI, parameters, a final byte of 0x40 to 0x7e).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    Started,
    Parameters,
}

impl Filter {
    fn shown(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (_, 0x1b) => Escape::Started,
                (Escape::Started, b'[') => Escape::Parameters,
                (Escape::Parameters, 0x20..=0x3f) => Escape::Parameters,
                (Escape::Started | Escape::Parameters, _) => Escape::Outside,
                (Escape::Outside, b'\n') => {
                    shown.extend(b"\r\n");
                    Escape::Outside
                }
                (Escape::Outside, b'\t' | 0x20..=0x7e) => {
                    shown.push(byte);
                    Escape::Outside
                }
                (Escape::Outside, _) => Escape::Outside,
            };
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_cannot_change_the_terminal_of_who_looks() {
        let mut filter = Filter::default();
        let mut shown = filter.shown(b"[\x1b[0;3");
        shown.extend(filter.shown(b"2m  OK  \x1b[0m] a\r\nb\x07\x9b2J\x1b]0;title"));
        assert_eq!(String::from_utf8(shown).unwrap(), "[  OK  ] a\r\nb2J0;title");
    }

    #[test]
    fn the_leave_key_is_not_sent() {
        assert_eq!(until_leave(b"ls\x1dx", Direction::Write), (&b"ls"[..], true));
        assert_eq!(until_leave(b"\x03", Direction::Write), (&b"\x03"[..], false));
        assert_eq!(until_leave(b"\x03", Direction::Look), (&b""[..], true));
    }
}
