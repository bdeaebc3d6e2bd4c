//! A fixed block of lines at the bottom of the terminal. It needs neither the raw mode nor the other screen: whatever ends this program, the
//! terminal is as it was, and what was said before stays in the scroll-back.

use super::terminal;
use crate::host::one_line::one_line_of;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Characters of a line that are given to the terminal, which cuts it at its width.
const WIDEST: usize = 1_000;

/// How a line of a block looks. Colours are left out where `NO_COLOR` says so; the words have to do without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As any text.
    Plain,
    /// What matters now.
    Strong,
    /// Proven.
    Good,
    /// Wrong.
    Bad,
    /// Beside the point.
    Dim,
}

/// A line of a block. Longer than the terminal is wide, it is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it looks.
    pub look: Look,
    /// Its words; what would break the line is shown as an escape.
    pub text: String,
}

/// The block; it goes away when it is dropped.
#[derive(Debug)]
pub struct Block {
    bars: Option<MultiProgress>,
    lines: Vec<ProgressBar>,
    shown: Vec<Line>,
}

impl Block {
    pub(super) fn new(bars: Option<MultiProgress>) -> Self {
        Block {
            bars,
            lines: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Whether anybody sees it.
    pub fn is_shown(&self) -> bool {
        self.bars.is_some()
    }

    /// Rows and columns of the terminal as it is now.
    pub fn size(&self) -> (usize, usize) {
        terminal::size()
    }

    /// Shows these lines in the place of those before.
    pub fn show(&mut self, lines: Vec<Line>) {
        let Some(bars) = &self.bars else {
            return;
        };
        while self.lines.len() > lines.len() {
            if let Some(bar) = self.lines.pop() {
                bars.remove(&bar);
            }
        }
        self.shown.truncate(lines.len());
        for (at, line) in lines.iter().enumerate() {
            if self.shown.get(at) == Some(line) {
                continue;
            }
            if at == self.lines.len() {
                // Before the tasks that are shown below it.
                self.lines.push(bars.insert(at, ProgressBar::new_spinner()));
            }
            if let Some(shown) = self.lines.get(at) {
                shown.set_style(style(line.look));
                shown.set_message(one_line_of(&line.text, WIDEST));
                shown.tick();
            }
        }
        self.shown = lines;
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.show(Vec::new());
        if let Some(bars) = &self.bars {
            // What was removed stays on the terminal until something else is drawn.
            drop(bars.clear());
        }
    }
}

fn style(look: Look) -> ProgressStyle {
    let template = match look {
        Look::Plain => "{wide_msg}",
        Look::Strong => "{wide_msg:.bold}",
        Look::Good => "{wide_msg:.green}",
        Look::Bad => "{wide_msg:.red.bold}",
        Look::Dim => "{wide_msg:.dim}",
    };
    ProgressStyle::with_template(template).expect("the templates are constants")
}

/// Whether standard error can show a block at all.
pub(super) fn terminal_can_show() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
