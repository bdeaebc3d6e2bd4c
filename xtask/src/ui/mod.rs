//! What a person sees. *Architecture invariant:* nothing else prints. Results go to standard output, all the
//! rest to standard error; with `--json` standard output carries exactly one object.

mod block;
mod json;
mod overall;
mod task;
mod terminal;
mod text;
mod usage;

pub use crate::host::json::{path_name, path_names};
pub use block::{Block, Line, Look};
pub use overall::{Part, PartTeller, Parts};
pub use task::Task;
pub use text::{count, plain, short, visible};
use text::{folded, folded_behind};

use crate::front_door::renamed;
use crate::host::interrupt::Screen;
use crate::host::json::json;
use crate::host::one_line::{indented, one_line_of};
use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Version of every JSON object that a command prints.
pub const SCHEMA_VERSION: u32 = 1;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// How questions are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Ask on the terminal.
    Ask,
    /// `--yes`.
    Given,
    /// `--no-input`: fail, naming the flag that was missed.
    NoInput,
}

/// The screen.
#[derive(Debug)]
pub struct Ui {
    format: Format,
    started: Instant,
    /// Progress bars stand aside while a line is printed.
    bars: MultiProgress,
    /// See [`Ui::begin_parts`].
    overall: overall::Shared,
    /// See [`Ui::tell_as_json`].
    json_lines: OnceLock<()>,
    /// See [`Ui::json`].
    answer: Mutex<Option<String>>,
    /// Why a result could not be written.
    unwritten: OnceLock<std::io::Error>,
}

impl Ui {
    /// A screen that prints in `format`.
    pub fn new(format: Format) -> Self {
        Ui {
            format,
            started: Instant::now(),
            bars: MultiProgress::with_draw_target(draw_target()),
            overall: overall::Shared::default(),
            json_lines: OnceLock::new(),
            answer: Mutex::default(),
            unwritten: OnceLock::new(),
        }
    }

    /// The format of results.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a person sits at both ends: input and results go through a terminal.
    pub fn is_interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }

    /// A result for people, always on one line: a line break in it is someone else's, and is shown as `\n`. Nothing with `--json`.
    pub fn line(&self, text: &str) {
        let line = result_line(&renamed(text));
        match columns(&std::io::stdout()) {
            Some(columns) => self.result(&folded(&line, columns)),
            None => self.result(&line),
        }
    }

    /// A result for people of as many lines as it has: a file, a diff, a message as it is. Whoever puts one together out of foreign
    /// words makes those safe (`host::one_line`). Nothing with `--json`.
    pub fn text(&self, text: &str) {
        self.result(&visible(text));
    }

    fn result(&self, text: &str) {
        if self.format == Format::Text {
            self.written(writeln!(std::io::stdout(), "{}", renamed(text)));
        }
    }

    /// Keeps the result as one JSON object, `schema_version` first, which [`Ui::end`] prints: a command that
    /// fails after this prints its error as the one object. Nothing without `--json`.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        if self.format == Format::Json {
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(json::object(value)?);
        }
        Ok(())
    }

    /// Prints what [`Ui::json`] kept, once. Errors: some of the results could not be written, so that whoever
    /// reads standard output does not have all of them. A reader that went away (`| head`) wanted no more.
    pub fn end(&self) -> Result<()> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            self.written(writeln!(std::io::stdout(), "{answer}"));
        }
        match self.unwritten.get() {
            Some(error) => bail!("writing the result to standard output: {error}"),
            None => Ok(()),
        }
    }

    fn written(&self, done: std::io::Result<()>) {
        match done {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(self.unwritten.set(error)),
            Ok(()) | Err(_) => {}
        }
    }

    /// From now on standard error carries JSON, too, if standard output does: an object on each line, with `event` (`said`, `warning`,
    /// `error`, `progress`) and `at-s`, the seconds since the start.
    pub fn tell_as_json(&self) {
        if self.format == Format::Json {
            let _ = self.json_lines.set(());
        }
    }

    /// Something that goes on, to standard error, with the time since the start in front. Lines behind its first one are indented.
    pub fn say(&self, text: &str) {
        self.tell("said", "", text);
    }

    /// To standard error: one JSON line of this kind, or the text behind the time and `mark`.
    fn tell(&self, event: &str, mark: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        let text = message(&renamed(text));
        let line = match self.json_lines.get() {
            Some(()) => self.event(&json!({ "event": event, "at-s": seconds, "text": text })),
            None => {
                let head = format!("[{:>2}:{:02}] ", seconds / 60, seconds % 60);
                let text = format!("{mark}{text}");
                match columns(&std::io::stderr()) {
                    Some(columns) => folded_behind(&head, &text, columns),
                    None => head + &text,
                }
            }
        };
        self.print(&line);
        self.tell_progress();
    }

    /// As [`Ui::json`] prints it.
    fn event(&self, value: &impl Serialize) -> String {
        json::object(value).unwrap_or_default()
    }

    fn print(&self, line: &str) {
        // A terminal that hung up is no reason to fail.
        self.bars.suspend(|| drop(writeln!(std::io::stderr(), "{line}")));
    }

    /// [`Ui::say`] for the thread that signals reach.
    pub fn speaker(&self) -> Speaker {
        Speaker(Ui {
            format: self.format,
            started: self.started,
            bars: self.bars.clone(),
            overall: self.overall.clone(),
            json_lines: self.json_lines.clone(),
            answer: Mutex::default(),
            unwritten: OnceLock::new(),
        })
    }

    /// When the command began: the one clock of everything that is shown.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether a bar of the whole command is drawn, with its time.
    pub fn draws_the_whole(&self) -> bool {
        self.overall.is_drawn()
    }

    /// Bytes as they are, to standard output: the serial line on a person's terminal. The caller has made them safe, or the
    /// person asked for exactly these.
    pub fn stream(&self, bytes: &[u8]) {
        let mut out = std::io::stdout();
        self.written(out.write_all(bytes).and_then(|()| out.flush()));
    }

    /// Something that a person should read before going on.
    pub fn warn(&self, text: &str) {
        self.tell("warning", "warning: ", text);
    }

    /// The command's error: all of its contexts. Lines behind its first one are indented.
    pub fn error(&self, error: &anyhow::Error) {
        let text = message(&renamed(&format!("{error:#}")));
        match self.json_lines.get() {
            Some(()) => self.tell("error", "", &text),
            None => drop(writeln!(std::io::stderr(), "error: {text}")),
        }
        self.failed(&text);
    }

    /// What clap says of a command line that it does not accept; or the help or the version that was asked for, which is text in any format.
    pub fn usage(&self, said: &mut clap::Error) {
        if !said.use_stderr() {
            // A reader that went away is no reason to fail.
            drop(said.print());
            return;
        }
        usage::make_safe(said);
        let plain = said.render().to_string();
        let text = visible(plain.trim_end());
        match text == plain.trim_end() {
            // With clap's colours, where standard error is a terminal.
            true => drop(said.print()),
            false => drop(writeln!(std::io::stderr(), "{text}")),
        }
        self.failed(text.strip_prefix("error: ").unwrap_or(&text));
    }

    /// The error as the one object, in the place of any result.
    fn failed(&self, error: &str) {
        drop(self.json(&json!({ "error": error })));
        drop(self.end());
    }

    /// A fixed block of lines below everything that is said, drawn anew each time it changes; shows nothing where standard error is
    /// no terminal or one that cannot move its cursor.
    pub fn block(&self) -> Block {
        Block::new(block::terminal_can_show().then(|| self.bars.clone()))
    }

    /// Asks for a yes. Errors: the answer was no, or nobody can be asked.
    pub fn confirm(&self, consent: Consent, question: &str) -> Result<()> {
        match consent {
            Consent::Given => return Ok(()),
            Consent::NoInput => bail!("{question} (nobody is asked with --no-input: answer with --yes)"),
            Consent::Ask if !std::io::stdin().is_terminal() => {
                bail!("{question} (standard input is no terminal, so nobody can be asked: answer with --yes)")
            }
            Consent::Ask => {}
        }
        eprint!("{} [y/N] ", message(&renamed(question)));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        bail!("stopped: the answer was not yes; nothing was changed")
    }
}

/// Standard error, where that is a terminal.
fn draw_target() -> ProgressDrawTarget {
    match block::terminal_can_show() {
        true => ProgressDrawTarget::term_like_with_hz(Box::new(terminal::Terminal::default()), DRAWN_PER_S),
        false => ProgressDrawTarget::hidden(),
    }
}

/// How often a second is drawn at most, as indicatif has it for a terminal of its own.
const DRAWN_PER_S: u8 = 20;

/// The screen for the thread that signals reach.
#[derive(Debug)]
pub struct Speaker(Ui);

impl Screen for Speaker {
    fn say(&self, text: &str) {
        self.0.say(text);
    }

    fn leave(&self) {
        drop(self.0.bars.clear());
        self.0.bars.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// Columns of the terminal that this goes to; none for a file or a pipe, where lines stay as they are.
fn columns(to: &(impl IsTerminal + std::os::fd::AsFd)) -> Option<usize> {
    if !to.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(to).ok()?;
    (size.ws_col >= NARROWEST).then_some(size.ws_col.into())
}

/// A terminal that says it is narrower than this does not know its width.
const NARROWEST: u16 = 30;
/// Characters of a line of a result that are shown: lines of logs are shorter.
const LINE: usize = 32_000;
/// The same of each line of a message, and how many lines of it.
const MESSAGE: (usize, usize) = (4_000, 200);

/// One line. Tabs are kept: logs have them.
fn result_line(text: &str) -> String {
    let parts: Vec<String> = text.split('\t').map(|part| one_line_of(part, LINE)).collect();
    parts.join("\t")
}

/// What is told next to the results: bounded, and forged by no one (see [`indented`]).
fn message(text: &str) -> String {
    indented(text, MESSAGE.0, MESSAGE.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of files that a person agrees to before a rollback, an error, a question.
    #[test]
    fn nothing_foreign_forges_a_line() {
        let path = "/boot/a\nremove /boot/vanilla\u{85}\u{202e}x\ty";
        assert_eq!(
            result_line(path),
            "/boot/a\\nremove /boot/vanilla\\u{85}\\u{202e}x\ty"
        );
        assert_eq!(
            message("a b\nerror: c\n[ 0:01] d"),
            "a b\n    error: c\n    [ 0:01] d"
        );
        let long = "k".repeat(10 << 20);
        assert!(message(&format!("{long}\n").repeat(10)).len() < 50_000);
        assert!(message(&"a\n".repeat(1_000_000)).len() < 2_000);
        assert!(result_line(&long).len() < 40_000);
    }
}
