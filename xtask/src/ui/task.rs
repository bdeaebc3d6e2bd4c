//! Something of some length that goes on: a spinner or a bar on a terminal, plain lines elsewhere.

use super::block::terminal_can_show;
use super::text::short;
use super::{Ui, message, result_line};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::time::{Duration, Instant};

impl Ui {
    /// A task of some length. On a terminal a spinner or, when `total` is known, a bar (see [`Task::estimate`]);
    /// elsewhere two plain lines, one when it starts and one when it ends with the time that it took.
    pub fn task(&self, title: &str, total: Option<u64>) -> Task<'_> {
        let bar = if terminal_can_show() {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            // The bar of the whole command stays the last one.
            let bar = match self.overall.is_drawn() {
                true => self.bars.insert_from_back(1, bar),
                false => self.bars.add(bar),
            };
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
            named: Cell::new(false),
        }
    }
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
    /// It has a second line, with the last piece.
    named: Cell<bool>,
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
        if let Some(left) = left {
            self.ui.left_of_part(left);
        }
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

    /// The piece of work that was done last, on a line below the bar (shown on a terminal only).
    pub fn piece(&self, piece: &str) {
        if !self.named.replace(true) {
            let bar = match self.total {
                Some(_) => "        {msg} {wide_bar} {elapsed}\n          {prefix:.dim}",
                None => "        {spinner} {msg} {elapsed}\n          {prefix:.dim}",
            };
            let style = ProgressStyle::with_template(bar).expect("the template is a constant");
            self.bar.set_style(style);
        }
        self.bar.set_prefix(result_line(piece));
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
