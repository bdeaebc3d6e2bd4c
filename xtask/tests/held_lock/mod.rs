//! A lock for tests that open a board by themselves: what changes a board wants to see one. It is
//! none of those that the verbs
//! take, so that a test may run the program on the same board.

// Each test uses its own part of this.
#![allow(dead_code)]

use std::sync::LazyLock;
use xtask::host::lock::{self, Alias, Held, Place, Proof, Purpose};

static HELD: LazyLock<(tempfile::TempDir, Held)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let name = Alias {
        key: "a board of tests".into(),
        shown: "its test".into(),
    };
    let held = lock::take(&Place::at(folder.path()).unwrap(), &[name], &Purpose::default()).unwrap();
    (folder, held)
});

/// Held as long as the tests run.
pub fn proof() -> Proof {
    HELD.1.proof()
}
