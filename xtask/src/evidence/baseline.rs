//! What is new against a baseline: the same kernel without the patches, the same tests, the same boot method.

use super::finding::Finding;
use super::kind::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A known finding may be seen so many times as often as in the baseline's loudest boot, plus [`SLACK`], before it counts as
/// more frequent: rate limits and timing alone move counts that much.
const FACTOR: usize = 3;
/// See [`FACTOR`].
const SLACK: usize = 2;

/// What makes two findings the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signature {
    /// Kind.
    pub kind: Kind,
    /// Stable title.
    pub title: String,
}

impl Signature {
    /// The signature of a finding.
    pub fn of(finding: &Finding) -> Self {
        Signature {
            kind: finding.kind,
            title: finding.title.clone(),
        }
    }
}

/// New findings against a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// Not in the baseline, or never to be accepted ([`never_accepted`]); in the order of the log, the first of each signature.
    pub new: Vec<Finding>,
    /// In the baseline, but much more often now.
    pub more_frequent: Vec<Change>,
    /// In the baseline, about as often: visible, and no failure.
    pub known: Vec<Change>,
    /// In the baseline only.
    pub gone: Vec<Signature>,
}

/// How often a known finding came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// Which.
    pub signature: Signature,
    /// Times in the loudest boot of the baseline.
    pub before: usize,
    /// Times in the loudest boot now.
    pub now: usize,
}

impl Comparison {
    /// Whether nothing is new or more frequent.
    pub fn is_clean(&self) -> bool {
        self.new.is_empty() && self.more_frequent.is_empty()
    }
}

/// Whether no baseline and no person can accept this finding: it switches lockdep off, so that silence after it proves
/// nothing (invariant 15).
pub fn never_accepted(finding: &Finding) -> bool {
    finding.lockdep_off
}

/// Compares findings with a baseline. Either side may hold several boots; counts are of the loudest boot.
pub fn compare(baseline: &[Finding], now: &[Finding]) -> Comparison {
    let before = counts(baseline);
    let after = counts(now);
    let mut comparison = Comparison::default();
    let mut told = Vec::new();
    for finding in now {
        let signature = Signature::of(finding);
        if told.contains(&signature) {
            continue;
        }
        told.push(signature.clone());
        let times = after.get(&signature).copied().unwrap_or_default();
        match before.get(&signature) {
            Some(&times_before) if !never_accepted(finding) => {
                let louder = times > times_before * FACTOR + SLACK;
                let change = Change {
                    signature,
                    before: times_before,
                    now: times,
                };
                if louder {
                    &mut comparison.more_frequent
                } else {
                    &mut comparison.known
                }
                .push(change);
            }
            _ => comparison.new.push(finding.clone()),
        }
    }
    comparison.gone = before
        .into_keys()
        .filter(|signature| !after.contains_key(signature))
        .collect();
    comparison
}

/// How often a finding came in the boot in which it came most often.
pub fn loudest(findings: &[Finding], signature: &Signature) -> usize {
    counts(findings).get(signature).copied().unwrap_or_default()
}

/// How often each signature came in the boot in which it came most often.
fn counts(findings: &[Finding]) -> BTreeMap<Signature, usize> {
    let mut by_boot: BTreeMap<(Signature, &str, u32), usize> = BTreeMap::new();
    for finding in findings {
        *by_boot
            .entry((Signature::of(finding), &finding.source, finding.boot))
            .or_default() += finding.times;
    }
    let mut loudest = BTreeMap::new();
    for ((signature, _, _), times) in by_boot {
        let most = loudest.entry(signature).or_insert(0);
        *most = times.max(*most);
    }
    loudest
}

#[cfg(test)]
mod tests {
    use super::super::{finder, reader};
    use super::*;

    fn findings(lines: &[&str]) -> Vec<Finding> {
        let log: String = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("<4>[ {:4}.000000] {line}\n", at * 100))
            .collect();
        finder::find(&reader::read(log.as_bytes()), "log")
    }

    const NOISE: &str = "x: clock skew of 17 ms";
    const WARN: &str = "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2";
    const LOCK: &str = "WARNING: possible recursive locking detected";

    #[test]
    fn a_finding_that_the_baseline_has_is_known_whatever_its_numbers() {
        let comparison = compare(
            &findings(&[NOISE, WARN]),
            &findings(&["x: clock skew of 3 ms", WARN]),
        );
        assert!(comparison.is_clean(), "{comparison:#?}");
        assert_eq!(comparison.known.len(), 2);
    }

    #[test]
    fn a_finding_that_the_baseline_lacks_is_new_and_told_once() {
        let comparison = compare(&findings(&[NOISE]), &findings(&[NOISE, WARN, WARN]));
        assert_eq!(comparison.new.len(), 1);
        assert_eq!(comparison.new[0].kind, Kind::Warning);
        assert_eq!(compare(&findings(&[WARN]), &[]).gone.len(), 1);
    }

    #[test]
    fn much_more_of_the_same_is_told() {
        let comparison = compare(&findings(&[NOISE]), &findings(&[NOISE; 6]));
        assert_eq!(
            (
                comparison.more_frequent[0].before,
                comparison.more_frequent[0].now
            ),
            (1, 6)
        );
        assert!(compare(&findings(&[NOISE]), &findings(&[NOISE; 5])).is_clean());
    }

    #[test]
    fn what_switches_lockdep_off_is_new_however_often_it_was_seen() {
        let comparison = compare(&findings(&[LOCK]), &findings(&[LOCK]));
        assert_eq!(comparison.new.len(), 1);
        let tainted = [
            "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2",
            "Disabling lock debugging due to kernel taint",
        ];
        let log = format!(
            "<4>[    1.000000] {}\n<4>[    1.000001] {}\n",
            tainted[0], tainted[1]
        );
        let found = finder::find(&reader::read(log.as_bytes()), "log");
        assert_eq!(compare(&found, &found).new.len(), 1, "{found:#?}");
    }
}
