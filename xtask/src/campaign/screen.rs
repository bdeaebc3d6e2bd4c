//! What the kernel room tells while it works, on the screen: as a task of its own, or in the live
//! view of a run.

use super::live::Live;
use crate::kernel::Event;
use crate::ui::{Task, Ui, count, short};
use std::time::{Duration, Instant};

/// How many warnings are shown as they come; the log has them all.
const WARNINGS_SHOWN: usize = 10;
/// How often a run says how far a build is, where no live view is drawn.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Events of the kernel side, on the screen.
pub struct Screen<'a> {
    ui: &'a Ui,
    shown: Shown<'a>,
    warnings: usize,
}

enum Shown<'a> {
    /// A task on the screen; none before the first event.
    Task(Option<Task<'a>>),
    /// In the live view, whose clock is the one of the phase.
    Live(&'a Live, Option<Piece>),
}

/// What goes on in a live view.
struct Piece {
    title: String,
    /// Of how much, where that is known.
    total: Option<u64>,
    began: Instant,
    told: Instant,
}

impl<'a> Screen<'a> {
    /// Nothing is shown yet.
    pub fn new(ui: &'a Ui) -> Self {
        Screen {
            ui,
            shown: Shown::Task(None),
            warnings: 0,
        }
    }

    /// The same in a run: `live` shows what is done, and no task beside it.
    pub fn in_run(ui: &'a Ui, live: &'a Live) -> Self {
        Screen {
            shown: Shown::Live(live, None),
            ..Screen::new(ui)
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Step(title) => self.begin(title, None),
            Event::Work { title, total } => self.begin(title, Some(total)),
            Event::Estimate {
                done,
                left,
                pieces,
                piece,
            } => match &mut self.shown {
                Shown::Task(Some(task)) => {
                    task.estimate(done, left, &count(pieces, "file"));
                    task.piece(&piece);
                }
                Shown::Live(live, Some(now)) => {
                    let far = how_far(now.total, done, left, pieces);
                    live.doing(&format!("{far}, {piece}"));
                    if !live.is_drawn() && now.told.elapsed() > TELL_EVERY {
                        now.told = Instant::now();
                        self.ui.say(&format!("{}: {far}", now.title));
                    }
                }
                Shown::Task(None) | Shown::Live(_, None) => {}
            },
            Event::Warning(text) => {
                self.warnings = self.warnings.saturating_add(1);
                if self.warnings <= WARNINGS_SHOWN {
                    self.ui.warn(&text);
                } else if self.warnings == WARNINGS_SHOWN + 1 {
                    self.ui.warn("more warnings are in the log");
                }
            }
        }
    }

    fn begin(&mut self, title: String, total: Option<u64>) {
        self.end();
        match &mut self.shown {
            Shown::Task(task) => *task = Some(self.ui.task(&title, total)),
            Shown::Live(live, now) => {
                match live.is_drawn() {
                    true => live.doing(&title),
                    false => self.ui.say(&format!("{title} …")),
                }
                *now = Some(Piece {
                    title,
                    total,
                    began: Instant::now(),
                    told: Instant::now(),
                });
            }
        }
    }

    /// Ends the last step.
    pub fn end(&mut self) {
        match &mut self.shown {
            Shown::Task(task) => {
                if let Some(task) = task.take() {
                    task.done("");
                }
            }
            Shown::Live(_, now) => {
                if let Some(Piece { title, began, .. }) = now.take() {
                    let took = began.elapsed().as_secs_f64();
                    self.ui.say(&format!("{title} ({took:.1} s)"));
                }
            }
        }
    }
}

/// `34 %, about 3 min left`, or `120 files` where nothing is known of the whole.
fn how_far(total: Option<u64>, done: u64, left: Option<Duration>, pieces: usize) -> String {
    let left = left.map_or(String::new(), |left| format!(", about {} left", short(left)));
    let percent = total.and_then(|total| done.min(total).saturating_mul(100).checked_div(total));
    match percent {
        Some(percent) => format!("{percent} %{left}"),
        None => count(pieces, "file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_build_is_says_no_more_than_is_known() {
        let minutes = Some(Duration::from_secs(180));
        assert_eq!(how_far(Some(1000), 340, minutes, 12), "34 %, about 3 min left");
        assert_eq!(how_far(Some(1000), 0, None, 1), "0 %");
        assert_eq!(how_far(None, 0, None, 12), "12 files");
        assert_eq!(how_far(Some(0), 0, None, 12), "12 files");
    }
}
