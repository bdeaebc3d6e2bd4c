//! A board that is reset again and again without a word: seen on a console that shows firmware between the boots.

use crate::headers::DOWN;
use crate::record::{Origin, Record};

/// So many boots in a row that ended without a word are a loop: the first may have been ended by a person.
const SILENT: usize = 2;
/// A boot that lasted longer (µs) did not die on its way up.
const SHORT: u64 = 180_000_000;

/// Follows the boots of a console.
#[derive(Debug, Default)]
pub(super) struct Resets {
    boot: u32,
    last: Option<u64>,
    /// The kernel said that it goes down, or why it dies.
    announced: bool,
    /// Firmware was seen since the kernel's last record.
    firmware: bool,
    /// Boots in a row that ended without a word.
    silent: usize,
}

impl Resets {
    /// Takes a record; true when it begins the boot by which there is a loop.
    pub fn take(&mut self, record: &Record, interesting: bool) -> bool {
        match record.origin {
            Origin::Firmware => {
                self.firmware = true;
                return false;
            }
            Origin::Program => return false,
            Origin::Kernel => {}
        }
        let mut is_loop = false;
        if record.boot != self.boot {
            let short = self.last.is_none_or(|last| last < SHORT);
            let silent = !self.announced && self.firmware && short;
            self.silent = if silent { self.silent.saturating_add(1) } else { 0 };
            is_loop = self.silent == SILENT;
            self.boot = record.boot;
            self.announced = false;
        }
        self.firmware = false;
        self.last = record.time;
        if interesting {
            self.announced |= record.text.contains("Kernel panic - not syncing")
                || DOWN.iter().any(|words| record.text.contains(words));
        }
        is_loop
    }
}
