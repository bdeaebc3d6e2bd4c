//! What the rules find in a block, and what is left of it where they overlap.

use super::Kind;
use std::collections::BTreeMap;
use std::ops::Range;

/// Where a value is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spread {
    /// Where it was found.
    Here,
    /// And wherever else it stands.
    Everywhere,
}

/// A value in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// In the block.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) kind: Kind,
    /// Where it is masked.
    pub(super) spread: Spread,
    /// What the placeholder stands for, where that is more than the range: a key of many lines.
    pub(super) value: Option<Vec<u8>>,
}

/// Ranges without overlaps, in order. Two of one kind become one: a value that is found in two
/// spellings of the block. Of two kinds the first in the order of [`Kind`] stays whole, and the
/// other keeps what it has beyond it.
pub(super) fn resolve(all: Vec<Found>) -> Vec<Found> {
    let mut all: Vec<(usize, Found)> = all.into_iter().enumerate().collect();
    all.retain(|(_, found)| !found.range.is_empty());
    all.sort_by_key(|(_, found)| (found.kind, found.range.start, std::cmp::Reverse(found.range.end)));
    let mut united: Vec<(usize, Found)> = Vec::new();
    for (order, found) in all {
        match united.last_mut() {
            Some((last_order, last)) if last.kind == found.kind && found.range.start < last.range.end => {
                last.range.end = last.range.end.max(found.range.end);
                last.spread = last.spread.max(found.spread);
                // The view that was looked at later has fewer escapes and prefixes in it.
                if order > *last_order && found.value.is_some() {
                    (*last_order, last.value) = (order, found.value);
                }
            }
            _ => united.push((order, found)),
        }
    }
    let mut taken: BTreeMap<usize, Found> = BTreeMap::new();
    for (_, found) in united {
        for range in free(&taken, found.range.clone()) {
            taken.insert(
                range.start,
                Found {
                    range,
                    ..found.clone()
                },
            );
        }
    }
    taken.into_values().collect()
}

/// The parts of a range that nothing has yet.
fn free(taken: &BTreeMap<usize, Found>, range: Range<usize>) -> Vec<Range<usize>> {
    let before = taken.range(..=range.start).next_back();
    let mut at = before.map_or(range.start, |(_, found)| found.range.end.max(range.start));
    let mut parts = Vec::new();
    for (start, found) in
        taken.range(range.start.saturating_add(1)..range.end.max(range.start.saturating_add(1)))
    {
        if *start > at {
            parts.push(at..*start);
        }
        at = at.max(found.range.end);
    }
    if at < range.end {
        parts.push(at..range.end);
    }
    parts
}
