//! Deadlines that no limit can overflow.

use std::time::{Duration, Instant};

/// A hundred years: longer than anything is waited for, and far from what an [`Instant`] cannot hold.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The moment `limit` from now; a hundred years from now where the limit is longer (`Duration::MAX` stands for "no limit").
/// `Instant + Duration` panics on overflow, and limits come from files.
pub fn after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit.min(FAR)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_end_is_a_deadline_that_does_not_come() {
        let left = after(Duration::MAX).saturating_duration_since(Instant::now());
        assert!(left > FAR / 2, "{left:?}");
        assert!(after(Duration::ZERO) <= Instant::now());
    }
}
