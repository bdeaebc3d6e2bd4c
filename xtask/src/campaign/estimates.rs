//! How long a row takes: as the plan says, or as earlier runs of the same campaign on the same board showed.

use super::plan::{Planned, Source};
use super::record::{RowRecord, RunRecord};
use super::verdict::Verdict;
use std::mem::discriminant;
use std::path::Path;
use std::time::Duration;

/// How many of the last runs count: what the machine and the cache are like now, not what they were.
const LAST: usize = 5;

/// The records of earlier runs of a campaign, the oldest first, from its folder of runs. A record that cannot be read teaches
/// nothing and is left out.
pub fn history(folder: &Path) -> Vec<RunRecord> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut runs: Vec<RunRecord> = entries
        .flatten()
        .filter_map(|entry| RunRecord::load(&entry.path()).ok())
        .collect();
    runs.sort_by(|a, b| a.started.cmp(&b.started));
    runs
}

/// Puts what earlier runs showed in the place of the plan's estimates: for each row the median of the last runs in which the
/// same row on the same board was finished with nothing wrong, and for each of its phases likewise.
pub fn learn(plan: &mut [Planned], runs: &[RunRecord], campaign: &str, board: &str) {
    for planned in plan {
        let mut rows: Vec<&RowRecord> = runs
            .iter()
            .filter(|run| run.campaign == campaign && run.board == board)
            .flat_map(|run| &run.rows)
            .filter(|row| is_same(row, planned) && went_well(row))
            .collect();
        let rows = rows.split_off(rows.len().saturating_sub(LAST));
        let Some(seconds) = median(rows.iter().map(|row| row.took_s)) else {
            continue;
        };
        planned.estimated_from = Source::Learned {
            runs: rows.len(),
            plan_s: planned.estimate.as_secs(),
        };
        planned.estimate = seconds;
        planned.phases = phases(&rows);
    }
}

/// The same number and title, and the same estimate of the plan: whoever makes a soak longer or gives a row more to do changes that.
fn is_same(row: &RowRecord, planned: &Planned) -> bool {
    let plan_s = match row.estimated_from {
        Source::Plan => row.estimated_s,
        Source::Learned { plan_s, .. } => plan_s as f64,
    };
    row.id == planned.id
        && row.title == planned.title
        && (plan_s - planned.estimate.as_secs_f64()).abs() < 1.0
}

/// A row that ended early or did more than its plan says nothing about the next one.
fn went_well(row: &RowRecord) -> bool {
    match row.verdict {
        // It was not booted.
        _ if row.taken_from.is_some() => false,
        Some(Verdict::Pass) => true,
        Some(_) => row.as_declared,
        // A patch that was only applied has no verdict.
        None => row.reasons.is_empty() && row.patch.is_none(),
    }
}

/// Phases of the newest of `rows`, in its order, each with its median.
fn phases(rows: &[&RowRecord]) -> Vec<(String, Duration)> {
    let Some(newest) = rows.last() else {
        return Vec::new();
    };
    let of = |name: &str| {
        let seconds = rows
            .iter()
            .filter_map(|row| row.phases.iter().find(|(known, _)| known == name))
            .map(|(_, seconds)| *seconds);
        median(seconds).unwrap_or_default()
    };
    newest
        .phases
        .iter()
        .map(|(name, _)| (name.clone(), of(name)))
        .collect()
}

/// A row that takes this many times as long as it was thought to, or this part of it, says nothing
/// about others.
const MOST: f64 = 100.0;

/// How many times as long as it was thought to a row like `planned` takes in this run: the median
/// of the rows of its kind that have `ended`, each with the time that it took. 1 where none has. An
/// estimate of the plan and one that was learned are of two kinds.
pub fn rate<'a>(planned: &Planned, ended: impl Iterator<Item = (&'a Planned, Duration)>) -> f64 {
    let is_alike = |other: &Planned| {
        discriminant(&other.action) == discriminant(&planned.action)
            && discriminant(&other.estimated_from) == discriminant(&planned.estimated_from)
    };
    let ratios = ended
        .filter(|(row, _)| is_alike(row))
        .map(|(row, took)| took.as_secs_f64() / row.estimate.as_secs_f64());
    middle(ratios.filter(|ratio| (1.0 / MOST..=MOST).contains(ratio))).unwrap_or(1.0)
}

/// The row with its times at this [`rate`].
pub fn at_rate(planned: &Planned, rate: f64) -> Planned {
    let scaled = |time: Duration| Duration::try_from_secs_f64(time.as_secs_f64() * rate).unwrap_or(time);
    let phases = planned.phases.iter();
    Planned {
        estimate: scaled(planned.estimate),
        phases: phases.map(|(name, time)| (name.clone(), scaled(*time))).collect(),
        ..planned.clone()
    }
}

/// Nothing that was measured took longer than a year: what a damaged record says beyond that is no time.
const LONGEST_S: f64 = 366.0 * 86_400.0;

/// The middle one; of an even number the longer of the two in the middle, since an estimate that is too short helps nobody.
fn median(seconds: impl Iterator<Item = f64>) -> Option<Duration> {
    let seconds = middle(seconds.filter(|seconds| (0.0..=LONGEST_S).contains(seconds)))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Time that a row still needs when its phase `current` has been going on for `in_phase`, and the row as a whole for
/// `in_row`.
pub fn left_of_row(
    planned: &Planned,
    current: Option<&str>,
    in_phase: Duration,
    in_row: Duration,
) -> Duration {
    let phases = planned.phases.iter().map(|(name, time)| (name, *time));
    let mut from = phases.skip_while(|(name, _)| current != Some(name.as_str()));
    match from.next() {
        None => planned.estimate.saturating_sub(in_row),
        Some((_, whole)) => {
            let later = from.map(|(_, time)| time);
            later.fold(whole.saturating_sub(in_phase), Duration::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_damaged_record_says_is_no_time() {
        assert_eq!(
            median([1e19, 2.0, f64::NAN, -1.0].into_iter()),
            Some(Duration::from_secs(2))
        );
        assert_eq!(median([f64::INFINITY].into_iter()), None);
    }
    use crate::campaign::action::Action;
    use crate::campaign::record::SCHEMA_VERSION;

    fn run(board: &str, took_s: f64, change: impl Fn(&mut RowRecord)) -> RunRecord {
        let mut row = RowRecord {
            id: "2.1".into(),
            title: "0004 a".into(),
            verdict: Some(Verdict::Pass),
            estimated_s: 600.0,
            took_s,
            phases: vec![("build".into(), took_s / 2.0), ("boot".into(), took_s / 2.0)],
            ..RowRecord::default()
        };
        change(&mut row);
        RunRecord {
            schema_version: SCHEMA_VERSION,
            campaign: "small".into(),
            goal: String::new(),
            board: board.into(),
            tree: String::new(),
            release: String::new(),
            started: String::new(),
            end: None,
            rows: vec![row],
            planned: Vec::new(),
            closing: Default::default(),
        }
    }

    fn planned() -> Planned {
        Planned {
            id: "2.1".into(),
            title: "0004 a".into(),
            verified_by: String::new(),
            parts: Vec::new(),
            gates: Vec::new(),
            needs: Vec::new(),
            on_failure: String::new(),
            action: Action::Patch(0),
            estimate: Duration::from_secs(600),
            estimated_from: Source::Plan,
            note: None,
            phases: Vec::new(),
        }
    }

    fn learned(runs: &[RunRecord]) -> Planned {
        let mut plan = [planned()];
        learn(&mut plan, runs, "small", "virtual");
        let [row] = plan;
        row
    }

    #[test]
    fn without_earlier_runs_the_plan_counts() {
        assert_eq!(learned(&[]), planned());
        assert_eq!(learned(&[]).estimated_from.text(), "from the plan");
    }

    #[test]
    fn one_slow_run_does_not_spoil_the_estimate() {
        let runs: Vec<RunRecord> = [60.0, 900.0, 62.0]
            .map(|took| run("virtual", took, |_| {}))
            .to_vec();
        let row = learned(&runs);
        assert_eq!(row.estimate, Duration::from_secs(62));
        assert_eq!(row.estimated_from.text(), "learned from 3 runs");
        assert_eq!(row.estimated_from, Source::Learned { runs: 3, plan_s: 600 });
        assert_eq!(row.phases[1], ("boot".into(), Duration::from_secs(31)));
    }

    #[test]
    fn only_the_last_runs_count() {
        let old = [1000.0; 5].map(|took| run("virtual", took, |_| {}));
        let new = [10.0; 5].map(|took| run("virtual", took, |_| {}));
        assert_eq!(learned(&[old, new].concat()).estimate, Duration::from_secs(10));
    }

    #[test]
    fn other_boards_other_patches_and_failures_teach_nothing() {
        let runs = [
            run("ampere", 1.0, |_| {}),
            run("virtual", 1.0, |row| row.title = "0004 b".into()),
            run("virtual", 1.0, |row| row.verdict = Some(Verdict::Regression)),
            run("virtual", 1.0, |row| row.estimated_s = 900.0),
            run("virtual", 1.0, |row| {
                row.verdict = None;
                row.reasons = vec!["the board does not answer".into()];
            }),
        ];
        assert_eq!(learned(&runs), planned());
        let relearned = run("virtual", 1.0, |row| {
            row.estimated_s = 3.0;
            row.estimated_from = Source::Learned { runs: 1, plan_s: 600 };
        });
        assert_eq!(learned(&[relearned]).estimate, Duration::from_secs(1));
        let declared = run("virtual", 1.0, |row| {
            row.verdict = Some(Verdict::NotExercised);
            row.as_declared = true;
        });
        assert_eq!(learned(&[declared]).estimate, Duration::from_secs(1));
    }

    #[test]
    fn rows_of_the_same_kind_say_how_long_the_next_one_takes() {
        let seconds = Duration::from_secs;
        let row = planned();
        assert_eq!(rate(&row, std::iter::empty()), 1.0);
        let took = |times: &[u64]| {
            let known = planned();
            rate(&row, times.iter().map(|time| (&known, seconds(*time))))
        };
        assert_eq!(took(&[60]), 0.1);
        assert_eq!(took(&[60, 6000, 60]), 0.1, "one slow row does not spoil it");
        assert_eq!(took(&[60, 1, 0]), 0.1, "what was hardly begun says nothing");
        let baseline = Planned {
            action: Action::BootBaseline,
            ..planned()
        };
        assert_eq!(rate(&row, [(&baseline, seconds(60))].into_iter()), 1.0);
        let learned = Planned {
            estimated_from: Source::Learned { runs: 1, plan_s: 600 },
            ..planned()
        };
        assert_eq!(rate(&row, [(&learned, seconds(60))].into_iter()), 1.0);
        let nothing = Planned {
            estimate: Duration::ZERO,
            ..planned()
        };
        assert_eq!(rate(&row, [(&nothing, seconds(60))].into_iter()), 1.0);
        let mut phased = planned();
        phased.phases = vec![("build".into(), seconds(300))];
        let scaled = at_rate(&phased, 0.1);
        assert_eq!((scaled.estimate, scaled.phases[0].1), (seconds(60), seconds(30)));
    }

    #[test]
    fn what_is_left_follows_the_phases_where_they_are_known() {
        let seconds = Duration::from_secs;
        let mut row = planned();
        assert_eq!(
            left_of_row(&row, Some("build"), seconds(5), seconds(20)),
            seconds(580)
        );
        assert_eq!(left_of_row(&row, None, seconds(0), seconds(900)), seconds(0));
        row.phases = vec![("build".into(), seconds(30)), ("boot".into(), seconds(20))];
        assert_eq!(
            left_of_row(&row, Some("build"), seconds(10), seconds(10)),
            seconds(40)
        );
        assert_eq!(
            left_of_row(&row, Some("build"), seconds(50), seconds(50)),
            seconds(20)
        );
        assert_eq!(
            left_of_row(&row, Some("boot"), seconds(5), seconds(99)),
            seconds(15)
        );
    }
}
