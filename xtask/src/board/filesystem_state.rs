//! How a file system of a disk was left, by what its own superblock says.

use serde::Serialize;

/// A file system that was not left in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unclean {
    /// The disk and the partition on it.
    pub place: String,
    /// What is not in order.
    pub state: State,
    /// The command with which a person repairs it.
    pub repair: String,
}

/// What is not in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// ext4: its journal holds changes that are not in place yet. The kernel puts them there when
    /// it is mounted for writing.
    JournalNotReplayed,
    /// FAT, as after any power cut. What interrupted writes left on it is not removed.
    NotUnmounted,
    /// ext4: the kernel found an error on it, or it has no journal and was not unmounted. It is not
    /// written to.
    NeedsCheck,
}

impl Unclean {
    /// As a line for people.
    pub fn line(&self) -> String {
        let Unclean { place, state, repair } = self;
        match state {
            State::JournalNotReplayed => format!(
                "{place}: the journal was not replayed, so this plan is made from what was on the medium before; it is replayed before the \
                 first write, and if that changes the plan nothing more is done (`{repair}` replays it by hand)"
            ),
            State::NotUnmounted => format!("{place}: it was not unmounted; `{repair}` checks it"),
            State::NeedsCheck => {
                format!(
                    "{place}: it has errors or was not unmounted: nothing is written to it before `{repair}`"
                )
            }
        }
    }
}
