//! The board's journal of the boot that runs, read over the board's second way while it is asked other things: all that is there while the tests run, and
//! what was added when they are over. Its first reader costs a slow board seconds, and the second almost nothing.

use crate::board::Board;
use crate::board::quote;
use crate::board::ssh::Ssh;
use crate::evidence::journal;
use crate::host::process::BreakOff;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Prints the kernel's messages of this boot, an object on a line each; nothing where there is no journal.
pub const READ: &str = "journalctl -k -b -o json --no-pager 2>/dev/null; true";
/// Longest time of one reading.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A reading that goes on. Dropped, it is broken off.
pub struct JournalAhead {
    reader: Option<JoinHandle<Option<Vec<u8>>>>,
    /// Gone when nothing more is to be waited for.
    tests_over: Option<Sender<()>>,
    over: BreakOff,
}

impl JournalAhead {
    /// Begins to read. `None`: the board has no second way, and the journal is read in its turn.
    pub fn begin(board: &dyn Board) -> Option<Self> {
        let way = board.second_way()?;
        let over = BreakOff::default();
        let word = over.clone();
        let (tests_over, told) = mpsc::channel();
        let reader = std::thread::spawn(move || in_two_parts(&way, &told, &word));
        Some(JournalAhead {
            reader: Some(reader),
            tests_over: Some(tests_over),
            over,
        })
    }

    /// The tests are over: what was added since is read now. Gives the reading to whoever waits for its end.
    pub fn tests_are_over(self) -> Self {
        if let Some(tests_over) = &self.tests_over {
            // It has ended already where nobody listens, and says so at its end.
            let _ = tests_over.send(());
        }
        self
    }

    /// What came, once it is all there; none where it failed, or where nobody said that the tests are over.
    pub fn end(mut self) -> Option<Vec<u8>> {
        self.tests_over = None;
        let read = self.reader.take()?.join().ok()??;
        Some(read).filter(|journal| !journal.is_empty())
    }
}

impl Drop for JournalAhead {
    fn drop(&mut self) {
        self.tests_over = None;
        if let Some(reader) = self.reader.take() {
            self.over.say("nobody waits for the journal");
            drop(reader.join());
        }
    }
}

fn in_two_parts(way: &Ssh, tests_over: &Receiver<()>, over: &BreakOff) -> Option<Vec<u8>> {
    let read = |script: &str| Some(way.run_unless(script, &[], LIMIT, over).ok()?.stdout);
    let first = read(READ);
    tests_over.recv().ok()?;
    let first = first.unwrap_or_default();
    // Without a place to go on from, all of it is read now.
    let Some(cursor) = journal::cursor(&first) else {
        return read(READ);
    };
    let rest = read(&behind(&cursor))?;
    Some([first, rest].concat())
}

/// [`READ`] of what stands behind an entry.
fn behind(cursor: &str) -> String {
    let option = format!("--after-cursor={}", quote(cursor));
    READ.replacen("-o json", &format!("-o json {option}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_part_begins_behind_the_first() {
        assert_eq!(
            behind("s=1;i=2"),
            "journalctl -k -b -o json --after-cursor='s=1;i=2' --no-pager 2>/dev/null; true"
        );
    }
}
