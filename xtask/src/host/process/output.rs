//! What a program prints, collected up to a bound of bytes and time.

use super::super::bounded::size;
use super::BreakOff;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// A stream that is read by a thread of its own.
pub(super) struct Stream {
    collected: Receiver<Vec<u8>>,
}

impl Stream {
    /// Begins to read, into `file` where there is one. Where more than `most` bytes come, or the
    /// file cannot be written, `too_much` is said, and
    /// nothing more is kept.
    pub(super) fn collect(
        mut from: impl Read + Send + 'static,
        name: &str,
        most: u64,
        too_much: &BreakOff,
        file: Option<Arc<File>>,
    ) -> Self {
        let (sender, collected) = mpsc::channel();
        let (too_much, name) = (too_much.clone(), name.to_string());
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut allowed = from.by_ref().take(most.saturating_add(1));
            let came = match file {
                Some(file) => io::copy(&mut allowed, &mut &*file).unwrap_or_else(|error| {
                    too_much.say(&format!("what it printed on {name} could not be kept: {error}"));
                    0
                }),
                None => {
                    drop(allowed.read_to_end(&mut bytes));
                    bytes.len() as u64
                }
            };
            if came > most {
                too_much.say(&format!(
                    "it printed more than {} on {name}, the most that is taken",
                    size(most)
                ));
                bytes = Vec::new();
            }
            drop(sender.send(bytes));
        });
        Stream { collected }
    }

    /// What came, once the stream has ended; `None` where it goes on at `deadline`: something that the program started holds it open.
    pub(super) fn end(self, deadline: Instant) -> Option<Vec<u8>> {
        // What the program itself wrote is in the pipe when it has ended; a reader without a processor may need its time all the same.
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(5));
        self.collected.recv_timeout(left).ok()
    }
}
