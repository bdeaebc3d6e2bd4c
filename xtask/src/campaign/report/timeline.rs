//! When what happened in a run, as a value that can be drawn.

use super::old_records;
use crate::campaign::phase::Kind;
use crate::campaign::record::{RowRecord, RunRecord};
use jiff::Timestamp;

/// A pause in which nothing ran (the tool was killed, and somebody ran it again) is drawn no longer than this, in seconds.
const PAUSE_SHOWN: f64 = 20.0;
/// What is shorter is no pause.
const PAUSE: f64 = 120.0;

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Rows in their order.
    pub bars: Vec<Bar>,
    /// Where nothing ran for a while: seconds on the axis, and how long it really was.
    pub pauses: Vec<(f64, f64)>,
    /// Seconds on the axis.
    pub length: f64,
}

/// One row of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Index of the row in the record.
    pub row: usize,
    /// Seconds on the axis.
    pub from: f64,
    /// Seconds on the axis.
    pub to: f64,
    /// Phases in it, in the order in which they began.
    pub stretches: Vec<Stretch>,
}

/// A stretch of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The phase.
    pub phase: String,
    /// What kind of work it is.
    pub kind: Kind,
    /// Seconds on the axis.
    pub from: f64,
    /// Seconds on the axis.
    pub to: f64,
    /// Another phase of the row goes on at the same time, above this one.
    pub below: bool,
}

/// Lays a run out. Rows of earlier records, which do not say when they began, follow one upon the other.
pub fn of(run: &RunRecord) -> Timeline {
    let origin: Option<Timestamp> = run.started.parse().ok();
    let mut timeline = Timeline {
        bars: Vec::new(),
        pauses: Vec::new(),
        length: 0.0,
    };
    let mut skipped = 0.0;
    for (index, row) in run.rows.iter().enumerate() {
        let end = timeline.length;
        let told = origin
            .and_then(|origin| offset(row, origin))
            .map(|from| from - skipped);
        // Two rows never overlap; a clock that was set back must not say so.
        let mut from = told.unwrap_or(end).max(end);
        if from - end > PAUSE {
            timeline.pauses.push((end + PAUSE_SHOWN / 2.0, from - end));
            skipped += from - end - PAUSE_SHOWN;
            from = end + PAUSE_SHOWN;
        }
        let took = seconds(row.took_s);
        timeline.bars.push(Bar {
            row: index,
            from,
            to: from + took,
            stretches: stretches(row, from, took),
        });
        timeline.length = from + took;
    }
    timeline
}

fn offset(row: &RowRecord, origin: Timestamp) -> Option<f64> {
    let started: Timestamp = row.started.parse().ok()?;
    Some(seconds(started.duration_since(origin).as_secs_f64()))
}

/// What a record says, if it is a time at all.
fn seconds(told: f64) -> f64 {
    if told.is_finite() { told.max(0.0) } else { 0.0 }
}

fn stretches(row: &RowRecord, from: f64, took: f64) -> Vec<Stretch> {
    let mut at = 0.0;
    let mut spans: Vec<(String, Kind, f64, f64)> = match row.spans.is_empty() {
        false => row
            .spans
            .iter()
            .map(|span| {
                let kind = span.kind.unwrap_or_else(|| old_records::kind_of(&span.phase));
                (span.phase.clone(), kind, seconds(span.from_s), seconds(span.to_s))
            })
            .collect(),
        true => row
            .phases
            .iter()
            .map(|(phase, length)| {
                let begin = at;
                at += seconds(*length);
                (phase.clone(), old_records::kind_of(phase), begin, at)
            })
            .collect(),
    };
    spans.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut end = 0.0_f64;
    spans
        .into_iter()
        .map(|(phase, kind, begin, stop)| {
            // Half a second of overlap is rounding, not another lane.
            let below = begin + 0.5 < end;
            end = end.max(stop);
            Stretch {
                kind,
                phase,
                from: from + begin.min(took),
                to: from + stop.clamp(begin.min(took), took.max(begin.min(took))),
                below,
            }
        })
        .collect()
}

/// Marks of an axis of `length` seconds: as many as can be read, at times that a person would choose.
pub fn ticks(length: f64) -> Vec<f64> {
    const STEPS: [f64; 13] = [
        1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| length / step <= 10.0)
        .unwrap_or((length / 10.0).max(1.0));
    let mut ticks = Vec::new();
    let mut at = 0.0;
    while at <= length && ticks.len() < 12 {
        ticks.push(at);
        at += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::super::tests::{regression, run};
    use super::*;

    #[test]
    fn rows_stand_where_they_began() {
        let timeline = of(&run(vec![regression()]));
        assert_eq!((timeline.bars[0].from, timeline.bars[0].to), (60.0, 125.0));
        let first = &timeline.bars[0].stretches[0];
        assert_eq!((first.from, first.to, first.kind), (61.0, 81.0, Kind::Build));
        assert_eq!(timeline.bars[0].stretches[1].kind, Kind::Boot);
    }

    #[test]
    fn a_kind_is_what_the_record_says_and_not_what_the_name_of_the_phase_sounds_like() {
        let mut row = regression();
        row.spans[0].phase = "boot and test what was deployed".into();
        row.spans[0].kind = Some(Kind::Other);
        assert_eq!(of(&run(vec![row])).bars[0].stretches[0].kind, Kind::Other);
    }

    #[test]
    fn old_records_are_laid_end_to_end() {
        let mut row = regression();
        row.started.clear();
        row.spans.clear();
        let timeline = of(&run(vec![row.clone(), row]));
        assert_eq!(timeline.bars[1].from, 65.0);
        assert_eq!(timeline.bars[1].stretches[1].from, 85.0);
        assert_eq!(timeline.length, 130.0);
    }

    #[test]
    fn a_night_between_two_rows_is_a_pause() {
        let mut late = regression();
        late.started = "2026-01-01T09:00:00Z".into();
        let timeline = of(&run(vec![regression(), late]));
        assert_eq!(timeline.pauses.len(), 1);
        assert!(
            (timeline.pauses[0].1 - (9.0 * 3600.0 - 125.0)).abs() < 1.0,
            "{timeline:?}"
        );
        assert!(timeline.length < 300.0, "{timeline:?}");
    }

    #[test]
    fn what_runs_beside_something_else_is_drawn_below_it() {
        let mut row = regression();
        row.spans[1].from_s = 5.0;
        let timeline = of(&run(vec![row]));
        assert!(!timeline.bars[0].stretches[0].below && timeline.bars[0].stretches[1].below);
    }

    #[test]
    fn nonsense_in_a_record_is_drawn_as_nothing() {
        let mut row = regression();
        row.took_s = f64::NAN;
        row.spans[0].to_s = f64::INFINITY;
        row.spans[1].from_s = -4.0;
        let timeline = of(&run(vec![row]));
        assert!(timeline.length.is_finite());
        for stretch in &timeline.bars[0].stretches {
            assert!(
                stretch.from.is_finite() && stretch.to >= stretch.from,
                "{stretch:?}"
            );
        }
    }

    #[test]
    fn an_axis_has_marks_that_can_be_read() {
        assert_eq!(
            ticks(45.0),
            [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0]
        );
        for length in [0.0, 3.0, 600.0, 9000.0, 1e7] {
            assert!((1..=12).contains(&ticks(length).len()), "{length}");
        }
    }
}
