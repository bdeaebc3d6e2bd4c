//! The board's journal of the boot that runs, read over the board's second way while it is asked other things: all that is there while the tests run, and
//! what was added when they are over. Its first reader costs a slow board seconds, and the second almost nothing.

use crate::board::Board;
use crate::board::quote;
use crate::host::process::{BreakOff, Input};
use kernel_log::journal;
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
        let reader = std::thread::spawn(move || {
            let read = |script: &str| Some(way.run_unless(script, Input::NOTHING, LIMIT, &word).ok()?.stdout);
            in_two_parts(read, &told)
        });
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

/// `read` runs a script on the board and gives what it printed; none where it failed.
fn in_two_parts(read: impl Fn(&str) -> Option<Vec<u8>>, tests_over: &Receiver<()>) -> Option<Vec<u8>> {
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
    use std::cell::RefCell;

    #[test]
    fn the_second_part_begins_behind_the_first() {
        assert_eq!(
            behind("s=1;i=2"),
            "journalctl -k -b -o json --after-cursor='s=1;i=2' --no-pager 2>/dev/null; true"
        );
    }

    #[test]
    fn what_came_during_the_tests_is_joined_by_what_came_behind_them() {
        let (first, rest) = (
            "{\"__CURSOR\":\"a b\",\"MESSAGE\":\"1\"}\n",
            "{\"MESSAGE\":\"2\"}\n",
        );
        let read = |answers: &[Option<&str>], over: bool| {
            let (said, told) = mpsc::channel();
            if over {
                said.send(()).unwrap();
            }
            drop(said);
            let asked = RefCell::new(Vec::new());
            let read = |script: &str| {
                asked.borrow_mut().push(script.to_string());
                answers[asked.borrow().len() - 1].map(|text| text.as_bytes().to_vec())
            };
            let came = in_two_parts(read, &told).map(|bytes| String::from_utf8(bytes).unwrap());
            (came, asked.into_inner())
        };
        let (came, asked) = read(&[Some(first), Some(rest)], true);
        assert_eq!(came.unwrap(), [first, rest].concat());
        assert_eq!(asked, [READ.to_string(), behind("a b")]);
        // Cut off in the middle of an entry, or not read at all: the whole journal is read behind the tests.
        for begin in [Some(&first[..9]), None] {
            let (came, asked) = read(&[begin, Some(rest)], true);
            assert_eq!((came.as_deref(), asked.len()), (Some(rest), 2));
            assert_eq!(asked[1], READ);
        }
        assert_eq!(read(&[Some(first), None], true).0, None);
        assert_eq!(
            read(&[Some(first)], false).0,
            None,
            "nobody said that the tests are over"
        );
    }
}
