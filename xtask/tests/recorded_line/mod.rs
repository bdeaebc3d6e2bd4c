//! A line and its recorder, as a process of its own.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::time::{Duration, Instant};
use xtask::capture::client::Recorder;
use xtask::capture::index;

pub const LIMIT: Duration = Duration::from_secs(20);

/// Ends the recorder of a folder when the test ends, however it ends.
pub struct Line {
    pub folder: tempfile::TempDir,
}

impl Line {
    pub fn new() -> Self {
        Line {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn recorder(&self) -> Recorder {
        Recorder::at(self.folder.path())
    }

    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.recorder().log()).unwrap_or_default()
    }

    pub fn wait_for_log(&self, expected: &[u8]) {
        wait(&format!("{} in the log", expected.escape_ascii()), || {
            self.log().ends_with(expected)
        });
    }

    pub fn events(&self) -> Vec<String> {
        let index = std::fs::read(self.recorder().index()).unwrap();
        index::read(&index)
            .into_iter()
            .filter_map(|stamp| stamp.event)
            .collect()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.recorder().stop();
    }
}

pub fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < LIMIT, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
