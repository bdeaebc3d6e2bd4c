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
    /// Module of the function that the title names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
    /// What tells it from others of its kind.
    #[serde(skip_serializing_if = "RestsOn::is_unsaid", default)]
    pub rests_on: RestsOn,
}

/// What tells a finding from others of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestsOn {
    /// A file of an earlier version does not say.
    #[default]
    Unsaid,
    /// The function that is to be looked at first.
    Function,
    /// The locks that the report names.
    Locks,
    /// The kernel's own words, which name a device or a condition.
    Words,
    /// Its kind alone: another one may have any other cause, so it never matches.
    Kind,
}

impl RestsOn {
    const fn is_unsaid(&self) -> bool {
        matches!(self, RestsOn::Unsaid)
    }
}

impl Signature {
    /// The signature of a finding.
    pub fn of(finding: &Finding) -> Self {
        let names_locks = finding
            .locks
            .as_ref()
            .is_some_and(|locks| !locks.names().is_empty());
        let rests_on = if finding.function.is_some() {
            RestsOn::Function
        } else if names_locks {
            RestsOn::Locks
        } else if finding.kind.is_told_by_its_words() {
            RestsOn::Words
        } else {
            RestsOn::Kind
        };
        Signature {
            kind: finding.kind,
            title: finding.title.clone(),
            module: finding.function.as_ref().and(finding.module.clone()),
            rests_on,
        }
    }

    /// Whether a finding of this signature is one of the other. What rests on its kind alone never is; what a file of an earlier version kept
    /// is known by kind and title.
    pub fn matches(&self, other: &Signature) -> bool {
        let alone = |one: &Signature| one.rests_on == RestsOn::Kind;
        if alone(self) || alone(other) || (self.kind, &self.title) != (other.kind, &other.title) {
            return false;
        }
        let unsaid = self.rests_on.is_unsaid() || other.rests_on.is_unsaid();
        unsaid || (self.rests_on == other.rests_on && self.module == other.module)
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
        match before
            .get(&signature)
            .filter(|_| signature.rests_on != RestsOn::Kind)
        {
            Some(&times_before) if !never_accepted(finding) => {
                let louder = times > times_before.saturating_mul(FACTOR).saturating_add(SLACK);
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
        .filter(|signature| !after.contains_key(signature) && signature.rests_on != RestsOn::Kind)
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
        let sum = by_boot
            .entry((Signature::of(finding), &finding.source, finding.boot))
            .or_default();
        *sum = sum.saturating_add(finding.times);
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
    fn what_rests_on_its_kind_alone_is_always_new() {
        let lockup = |task: &str| {
            let line = format!("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [{task}:7]");
            findings(&[line.as_str()])
        };
        let comparison = compare(&lockup("a"), &lockup("b"));
        assert_eq!(comparison.new.len(), 1, "{comparison:#?}");
        assert_eq!(Signature::of(&lockup("a")[0]).rests_on, RestsOn::Kind);
        let same_name = |module: &str| {
            let line = format!("WARNING: CPU: 0 PID: 1 at a.c:1 probe+0x1/0x2 [{module}]");
            findings(&[line.as_str()])
        };
        assert_eq!(compare(&same_name("a"), &same_name("b")).new.len(), 1);
        assert!(compare(&same_name("a"), &same_name("a")).is_clean());
    }

    #[test]
    fn what_an_earlier_version_kept_is_known_by_kind_and_title() {
        let old: Signature = serde_json::from_str(r#"{"kind":"warning","title":"WARNING in f"}"#).unwrap();
        let now = Signature::of(&findings(&[WARN])[0]);
        assert!(old.matches(&now) && now.matches(&old) && now.matches(&now));
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
