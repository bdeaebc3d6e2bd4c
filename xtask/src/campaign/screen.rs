//! What the kernel room tells while it works, on the screen.

use crate::kernel::Event;
use crate::ui::{Task, Ui, count};

/// How many warnings are shown as they come; the log has them all.
const WARNINGS_SHOWN: usize = 10;

/// Events of the kernel side as tasks on the screen.
pub struct Screen<'a> {
    ui: &'a Ui,
    task: Option<Task<'a>>,
    warnings: usize,
}

impl<'a> Screen<'a> {
    /// Nothing is shown yet.
    pub fn new(ui: &'a Ui) -> Self {
        Screen {
            ui,
            task: None,
            warnings: 0,
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Step(title) => {
                self.end();
                self.task = Some(self.ui.task(&title, None));
            }
            Event::Work { title, total } => {
                self.end();
                self.task = Some(self.ui.task(&title, Some(total)));
            }
            Event::Estimate { done, left, pieces } => {
                if let Some(task) = &self.task {
                    task.estimate(done, left, &count(pieces, "file"));
                }
            }
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

    /// Ends the last step.
    pub fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.done("");
        }
    }
}
