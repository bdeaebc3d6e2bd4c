//! What a disk was written, in order, and what is on it when the power goes in the middle: all that was flushed, and any part of what was not.

use std::ops::Range;

/// A write or a flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes at an offset of the disk.
    Write { at: u64, bytes: Range<usize> },
    /// Everything before it is on the disk.
    Flush,
}

/// Sector of the log, as QEMU was told.
const SECTOR: usize = 512;
/// Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c: `WRITE_LOG_MAGIC`, and the flags.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Reads a log in the format of dm-log-writes. The number of entries in its first sector is that of the last flush of the log itself: after a
/// power cut it is too small, so entries are read to the end of the file.
pub fn read(log: &[u8]) -> Vec<Event> {
    assert_eq!(number(log, 0), MAGIC);
    let mut events = Vec::new();
    let mut at = SECTOR;
    while at + SECTOR <= log.len() {
        let [sector, sectors, flags, data] = [0, 8, 16, 24].map(|offset| number(log, at + offset));
        at += SECTOR;
        if (sectors, flags, data) == (0, 0, 0) {
            break;
        }
        if flags & FLUSH != 0 {
            events.push(Event::Flush);
        }
        if flags & DISCARD != 0 || sectors == 0 {
            continue;
        }
        let length = sectors as usize * SECTOR;
        if at + length > log.len() {
            break;
        }
        events.push(Event::Write {
            at: sector * SECTOR as u64,
            bytes: at..at + length,
        });
        if flags & FUA != 0 {
            events.push(Event::Flush);
        }
        at += length;
    }
    events
}

/// Numbers that look random and are the same in each run (xorshift64*, Vigna 2014).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// Which writes of `pending`, none of them flushed, reach the disk: nothing, everything, beginnings, ends (what came last got there first), and any.
pub fn survivors(pending: usize, chance: &mut Chance) -> Vec<Vec<usize>> {
    let mut sets = vec![Vec::new(), (0..pending).collect()];
    for _ in 0..3 {
        let cut = chance.below(pending + 1);
        sets.push((0..cut).collect());
        sets.push((cut..pending).collect());
        sets.push((0..pending).filter(|_| chance.below(2) == 0).collect());
    }
    sets.sort();
    sets.dedup();
    sets
}
