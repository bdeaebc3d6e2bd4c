//! How far a build is and how long it will still take. Pure: lines and times go in.

use super::plan::Plan;
use super::work::Work;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// Before this much of the plan is done, its own seconds are believed; after it, the speed that was seen.
const TRUSTED_FROM: f64 = 0.02;
/// Samples of the estimate that are kept: one for each half percent of the plan.
const SAMPLES: f64 = 200.0;

/// The state of one build.
#[derive(Debug)]
pub struct Progress {
    plan: Plan,
    /// Seconds of the plan that are done.
    done: f64,
    /// Pieces announced last, which may still be in work where make announces them before it makes them; none with
    /// `--output-sync`.
    pieces: usize,
    /// Milliseconds since the start, and milliseconds that were predicted to remain then.
    samples: VecDeque<(u64, u64)>,
    sampled: f64,
}

/// How right the estimate was at one point of a build.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figure {
    /// Percent of the time that the build took in the end.
    pub at_percent: u32,
    /// Seconds since the start.
    pub elapsed: f64,
    /// Seconds that were said to remain.
    pub predicted: f64,
    /// Seconds that did remain.
    pub actual: f64,
    /// How far the prediction was off, in percent of what did remain; positive: too long.
    pub error_percent: f64,
}

impl Progress {
    /// Nothing is done yet.
    pub fn new(plan: Plan) -> Self {
        Progress {
            plan,
            done: 0.0,
            pieces: 0,
            samples: VecDeque::new(),
            sampled: 0.0,
        }
    }

    /// A piece is done, `at` milliseconds after the start. What was not planned adds to the whole as it comes.
    pub fn piece(&mut self, at: u64, work: &Work) {
        self.done += self.plan.take(work);
        self.pieces = self.pieces.saturating_add(1);
        let share = self.share();
        if share - self.sampled >= 1.0 / SAMPLES {
            self.sampled = share;
            if let Some(left) = self.remaining(at) {
                self.samples.push_back((at, left.as_millis() as u64));
            }
        }
    }

    /// Pieces done so far.
    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// Part of the whole that is done, 0 to 1; 0 where there is no plan.
    pub fn share(&self) -> f64 {
        let whole = self.done + self.plan.left();
        if self.plan.is_empty() || whole <= 0.0 {
            return 0.0;
        }
        (self.done / whole).clamp(0.0, 1.0)
    }

    /// Time left, `at` milliseconds after the start. `None`: there is no plan, or nothing can be said yet.
    pub fn remaining(&self, at: u64) -> Option<Duration> {
        if self.plan.is_empty() {
            return None;
        }
        let share = self.share();
        let seen = at as f64 / 1000.0 / self.done.max(f64::MIN_POSITIVE);
        let rate = match (self.plan.seconds_are_of_this_machine(), share < TRUSTED_FROM) {
            (true, true) => 1.0,
            (false, true) => return None,
            (_, false) => seen,
        };
        Duration::try_from_secs_f64(self.plan.left() * rate).ok()
    }

    /// How right it was at 25, 50 and 75 percent of the time, for a build that ended `end` milliseconds after its start. Empty where
    /// nothing was predicted.
    pub fn figures(&self, end: u64) -> Vec<Figure> {
        [25, 50, 75]
            .into_iter()
            .filter_map(|percent| {
                let moment = end.saturating_mul(u64::from(percent)) / 100;
                let (at, predicted) = *self.samples.iter().min_by_key(|(at, _)| at.abs_diff(moment))?;
                // A build of a few pieces has no sample near enough.
                if at.abs_diff(moment) > end / 20 {
                    return None;
                }
                let actual = end.saturating_sub(at) as f64;
                Some(Figure {
                    at_percent: percent,
                    elapsed: at as f64 / 1000.0,
                    predicted: predicted as f64 / 1000.0,
                    actual: actual / 1000.0,
                    error_percent: (1000.0 * (predicted as f64 - actual) / actual.max(1.0)).round() / 10.0,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Piece, Plan, is_steady};
    use super::super::timeline::Timeline;
    use super::*;

    /// Cold builds of one version with different profiles.
    const RECORDED: &str = include_str!("../../../tests/builds/linux-7.3.4.tsv");
    /// Those that had the machine to themselves, and one beside which compilers ran now and then.
    const EVEN: [&str; 3] = ["vanilla", "kcsan", "vanilla-beside"];

    fn recorded(name: &str) -> (Timeline, Vec<Piece>) {
        let mut lines = RECORDED
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').collect::<Vec<_>>());
        let head = lines.next().unwrap();
        let column = head.iter().position(|title| *title == name).unwrap();
        let mut timeline = Timeline::default();
        let mut pieces = Vec::new();
        for line in lines {
            let Ok(at) = line[column].parse() else { continue };
            if line[0] == "END" {
                timeline.end = at;
                continue;
            }
            let work = Work {
                kind: line[0].into(),
                target: line[1].into(),
            };
            if let Ok(bytes) = line[2].parse() {
                pieces.push(Piece {
                    work: work.clone(),
                    bytes: Some(bytes),
                });
            }
            timeline.rows.push((at, work));
        }
        timeline.rows.sort_by_key(|(at, _)| *at);
        assert!(pieces.len() > 1_000);
        (timeline, pieces)
    }

    fn replay(plan: Plan, timeline: &Timeline) -> Vec<Figure> {
        let mut progress = Progress::new(plan);
        for (at, work) in &timeline.rows {
            progress.piece(*at, work);
        }
        progress.figures(timeline.end)
    }

    fn within(limit: f64, build: &str, from: &str, figures: &[Figure]) {
        let errors: Vec<f64> = figures.iter().map(|figure| figure.error_percent).collect();
        assert_eq!(errors.len(), 3);
        assert!(
            errors.iter().all(|error| error.abs() < limit),
            "{build} from {from}: {errors:?}"
        );
    }

    #[test]
    fn a_first_build_is_estimated_within_a_fifth_from_sizes_of_sources_alone() {
        for name in EVEN {
            let (timeline, pieces) = recorded(name);
            within(20.0, name, "sizes", &replay(Plan::of(&pieces, None), &timeline));
        }
    }

    #[test]
    fn a_build_is_estimated_within_a_fifth_from_that_of_another_profile() {
        for name in EVEN {
            let (timeline, pieces) = recorded(name);
            for other in EVEN.iter().filter(|other| **other != name) {
                let (earlier, _) = recorded(other);
                assert!(is_steady(&pieces, &earlier), "{other} for {name}");
                let plan = Plan::of(&pieces, Some(&earlier));
                within(20.0, name, other, &replay(plan, &timeline));
            }
        }
    }

    /// What other work will do to the machine later, nothing tells beforehand: the last quarter of this build took a third longer for the same
    /// work than its middle. The error stays near that.
    #[test]
    fn a_machine_that_becomes_slower_is_caught_up_with() {
        let (timeline, pieces) = recorded("lockdep-beside");
        within(
            30.0,
            "lockdep-beside",
            "sizes",
            &replay(Plan::of(&pieces, None), &timeline),
        );
        for other in EVEN {
            let (earlier, _) = recorded(other);
            let plan = Plan::of(&pieces, Some(&earlier));
            within(30.0, "lockdep-beside", other, &replay(plan, &timeline));
        }
    }

    /// Its first half ran four times as fast as a part of its second: such a record says more about the other work than about the files.
    #[test]
    fn a_build_beside_changing_work_weighs_no_other() {
        let (disturbed, _) = recorded("kasan-beside");
        for name in EVEN {
            let (timeline, pieces) = recorded(name);
            assert!(!is_steady(&pieces, &disturbed), "for {name}");
            let misled = replay(Plan::of(&pieces, Some(&disturbed)), &timeline);
            assert!(
                misled[0].error_percent > 10.0,
                "{name} would be misled: {misled:?}"
            );
        }
    }

    #[test]
    fn what_knows_few_of_the_pieces_is_not_steady() {
        let (timeline, pieces) = recorded("vanilla");
        assert!(!is_steady(&[], &timeline));
        assert!(!is_steady(&pieces[..2], &timeline));
        assert!(!is_steady(&pieces, &Timeline::default()));
    }

    #[test]
    fn a_second_build_on_a_slower_machine_is_estimated_from_the_first() {
        let (timeline, pieces) = recorded("vanilla");
        let mut slower = timeline.clone();
        for (at, _) in &mut slower.rows {
            *at *= 3;
        }
        slower.end *= 3;
        for figure in replay(Plan::of(&pieces, Some(&timeline)), &slower) {
            assert!(figure.error_percent.abs() < 10.0, "{figure:?}");
        }
    }

    #[test]
    fn a_change_of_speed_in_the_middle_is_caught_up_with() {
        let (timeline, pieces) = recorded("vanilla");
        let half = timeline.end / 2;
        let mut cached = timeline.clone();
        // The first half comes out of ccache, ten times as fast.
        for (at, _) in &mut cached.rows {
            *at = if *at < half {
                *at / 10
            } else {
                half / 10 + (*at - half)
            };
        }
        cached.end = cached.rows.last().unwrap().0;
        let figures = replay(Plan::of(&pieces, Some(&timeline)), &cached);
        let last = figures.last().unwrap();
        assert!(
            last.error_percent < 0.0,
            "it cannot know, and is too hopeful: {last:?}"
        );
        assert!(last.error_percent > -60.0, "{last:?}");
    }

    #[test]
    fn without_a_plan_nothing_is_claimed() {
        let mut progress = Progress::new(Plan::default());
        let work = Work {
            kind: "CC".into(),
            target: "a.o".into(),
        };
        progress.piece(1000, &work);
        assert_eq!(
            (progress.pieces(), progress.share(), progress.remaining(1000)),
            (1, 0.0, None)
        );
        assert!(progress.figures(2000).is_empty());
    }

    #[test]
    fn the_share_never_passes_one_and_ends_at_it() {
        let (timeline, pieces) = recorded("vanilla");
        let mut progress = Progress::new(Plan::of(&pieces, None));
        let mut before = 0.0;
        for (at, work) in &timeline.rows {
            progress.piece(*at, work);
            // What was not planned makes the whole longer: a step back of a percent at most.
            assert!(progress.share() <= 1.0 && progress.share() >= before - 0.01);
            before = progress.share();
        }
        assert!(before > 0.98, "{before}");
    }
}
