//! What a person sees. *Architecture invariant:* nothing else prints. Results go to standard output, all the
//! rest to standard error; with `--json` standard output carries exactly one object.

mod block;
mod json;
mod text;
mod usage;

pub use crate::host::json::{path_name, path_names};
pub use block::{Block, Line, Look};
pub use text::{count, plain, short, visible};

use crate::front_door::renamed;
use crate::host::json::json;
use crate::host::one_line::{indented, one_line_of};
use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::cell::Cell;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

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
            bars: MultiProgress::new(),
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
        self.result(&result_line(text));
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

    /// Something that goes on, to standard error, with the time since the start in front. Lines behind its first one are indented.
    pub fn say(&self, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        let text = message(&renamed(text));
        let line = format!("[{:>2}:{:02}] {text}", seconds / 60, seconds % 60);
        // A terminal that hung up is no reason to fail.
        self.bars.suspend(|| drop(writeln!(std::io::stderr(), "{line}")));
    }

    /// [`Ui::say`] for another thread.
    pub fn speaker(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let other = Ui {
            format: self.format,
            started: self.started,
            bars: self.bars.clone(),
            answer: Mutex::default(),
            unwritten: OnceLock::new(),
        };
        move |text| other.say(text)
    }

    /// Bytes as they are, to standard output: the serial line on a person's terminal. The caller has made them safe, or the
    /// person asked for exactly these.
    pub fn stream(&self, bytes: &[u8]) {
        let mut out = std::io::stdout();
        self.written(out.write_all(bytes).and_then(|()| out.flush()));
    }

    /// Something that a person should read before going on.
    pub fn warn(&self, text: &str) {
        self.say(&format!("warning: {text}"));
    }

    /// The command's error: all of its contexts. Lines behind its first one are indented.
    pub fn error(&self, error: &anyhow::Error) {
        let text = message(&renamed(&format!("{error:#}")));
        drop(writeln!(std::io::stderr(), "error: {text}"));
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

    /// A task of some length. On a terminal a spinner or, when `total` is known, a bar (see [`Task::estimate`]);
    /// elsewhere two plain lines, one when it starts and one when it ends with the time that it took.
    pub fn task(&self, title: &str, total: Option<u64>) -> Task<'_> {
        let bar = if std::io::stderr().is_terminal() {
            let bar = self
                .bars
                .add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            let template = match total {
                Some(_) => "        {msg} {wide_bar} {elapsed}",
                None => "        {spinner} {msg} {elapsed}",
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.set_message(message(title));
            bar
        } else {
            self.say(&format!("{title} …"));
            ProgressBar::hidden()
        };
        Task {
            ui: self,
            bar,
            total,
            title: message(title),
            started: Instant::now(),
            told: Cell::new(Instant::now()),
        }
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

/// A running task; ends when [`Task::done`] is called, or silently when it is dropped by an error.
pub struct Task<'a> {
    ui: &'a Ui,
    bar: ProgressBar,
    total: Option<u64>,
    title: String,
    started: Instant,
    /// When the last plain line about it was printed.
    told: Cell<Instant>,
}

/// 0 to 100; 100 of nothing is all of it.
fn percent(done: u64, total: u64) -> u64 {
    done.min(total)
        .saturating_mul(100)
        .checked_div(total)
        .unwrap_or(100)
}

/// How often a long task says how far it is where there is no terminal.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Task<'_> {
    /// How much is done and how much time is left, by whoever knows better than the bar's own arithmetic. `done` is in the unit of the total;
    /// without a total only `made` is shown. Where there is no terminal a line a minute says the same.
    pub fn estimate(&self, done: u64, left: Option<Duration>, made: &str) {
        let left = left.map_or(String::new(), |left| format!(", about {} left", short(left)));
        match self.total {
            Some(total) => {
                let percent = percent(done, total);
                self.bar.set_position(done);
                self.bar.set_message(format!("{}: {percent} %{left}", self.title));
            }
            None => self
                .bar
                .set_message(format!("{}: {}", self.title, result_line(made))),
        }
        if self.bar.is_hidden() && self.told.get().elapsed() > TELL_EVERY {
            self.told.set(Instant::now());
            let how_far = match self.total {
                Some(total) => format!("{} % done{left}", percent(done, total)),
                None => made.to_string(),
            };
            self.ui.say(&format!("{}: {how_far}", self.title));
        }
    }

    /// What it is doing right now (shown on a terminal only).
    pub fn detail(&self, text: &str) {
        self.bar
            .set_message(format!("{}: {}", self.title, result_line(text)));
    }

    /// Ends it with a line that says how long it took; gives that time.
    pub fn done(self, result: &str) -> Duration {
        self.bar.finish_and_clear();
        let took = self.started.elapsed();
        let result = if result.is_empty() {
            String::new()
        } else {
            format!(": {result}")
        };
        self.ui
            .say(&format!("{}{result} ({:.1} s)", self.title, took.as_secs_f64()));
        took
    }
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
