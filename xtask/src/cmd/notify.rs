//! Flags of every run that may take longer than somebody looks at it.

use crate::campaign::notify::{self, Desktop, Notify};
use crate::campaign::record::RunRecord;
use crate::ui::Ui;
use std::path::Path;

/// Whom to tell when a run ends or needs a person.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct NotifyFlags {
    /// Run this with `sh -c` when the run ends or waits for a person; LOCKSTEP_END, LOCKSTEP_MESSAGE, LOCKSTEP_STEP, LOCKSTEP_REPORT,
    /// LOCKSTEP_CAMPAIGN and LOCKSTEP_BOARD are in its environment
    #[arg(long, value_name = "COMMAND")]
    notify: Option<String>,
    /// Tell the desktop, too (notify-send)
    #[arg(long)]
    notify_desktop: bool,
}

impl NotifyFlags {
    /// Whom they name.
    pub fn whom(&self) -> Notify {
        Notify {
            command: self.notify.clone(),
            desktop: if self.notify_desktop {
                Desktop::Told
            } else {
                Desktop::Quiet
            },
        }
    }

    /// Tells how the run in `folder` ended, whether it could be finished or not; nothing where it left no record, since it did
    /// not begin then.
    pub fn tell(&self, ui: &Ui, folder: &Path) {
        if let Ok(record) = RunRecord::load(folder) {
            self.whom().tell(&notify::message(&record, folder), ui);
        }
    }
}
