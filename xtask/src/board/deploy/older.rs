//! Which older slots stay on a board, and which go.

use super::super::protected::Protected;
use super::super::slot::{self, Place, Record};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// What happens to the slots of other releases.
pub(super) struct Older {
    /// Releases that stay.
    pub keep: Vec<String>,
    /// Files, folders and records that go.
    pub remove: Vec<PathBuf>,
    /// Number of the slot that is deployed.
    pub sequence: u64,
}

impl Older {
    /// The newest `keep` stay without a label; the others go. Only slots with a record of ours are looked at: never vanilla.
    pub(super) fn of(
        protected: &Protected,
        old: Option<&Record>,
        kept: &[Record],
        release: &str,
        keep: usize,
    ) -> Result<Self> {
        let known: Vec<&Record> = old.into_iter().chain(kept).collect();
        let newest = known.iter().map(|record| record.sequence).max().unwrap_or(0);
        let same = known
            .iter()
            .find(|record| record.release == release && record.sequence == newest);
        let mut others: Vec<&Record> = known
            .iter()
            .filter(|record| record.release != release)
            .copied()
            .collect();
        others.sort_by_key(|record| std::cmp::Reverse(record.sequence));
        others.dedup_by_key(|record| record.release.clone());
        let mut remove = Vec::new();
        for record in others.iter().skip(keep) {
            remove.extend(Place::of(protected, &record.release)?.roots());
            remove.push(slot::kept_path(protected, &record.release));
        }
        // Not kept any more, but in use again.
        if kept.iter().any(|record| record.release == release) {
            remove.push(slot::kept_path(protected, release));
        }
        Ok(Older {
            keep: others
                .iter()
                .take(keep)
                .map(|record| record.release.clone())
                .collect(),
            remove,
            sequence: match same {
                Some(record) => record.sequence,
                None => newest.checked_add(1).context(
                    "the newest slot on the board has the last number that there is: take its record away",
                )?,
            },
        })
    }
}
