//! The timeline on the page: a lane for each row, its words as text that wraps, its stretches as
//! parts of the width. So it can be read on a phone and on a wide screen.

use super::super::timeline::{self, Stretch, Timeline};
use super::super::{minutes, one_line, outcome, spent};
use crate::campaign::phase::Kind;
use crate::campaign::record::{RowRecord, RunRecord};
use crate::ui;
use maud::{Markup, html};
use std::time::Duration;

/// Width of the lanes on a wide screen and on a phone, in pixels: what decides whether a name fits
/// into its stretch.
const WIDTHS: (f64, f64) = (1000.0, 360.0);
/// Width of a character of a name in a stretch, in pixels, at the size that style.css gives it.
const CHARACTER: f64 = 7.5;

/// The run as lanes below an axis.
pub fn timeline(run: &RunRecord, timeline: &Timeline) -> Markup {
    let length = timeline.length.max(1.0);
    html! {
        div.timeline {
            div.axis aria-hidden="true" {
                @for tick in timeline::ticks(timeline.length) {
                    i.grid style=(at(tick, length)) {}
                    span.tick.end[part(tick, length) > 95.0] style=(at(tick, length)) { (minutes(tick)) }
                }
                @for (seconds, paused) in &timeline.pauses {
                    i.pause style=(at(*seconds, length)) title=(nothing_ran(*paused)) {}
                }
            }
            @for bar in &timeline.bars {
                @if let Some(row) = run.rows.get(bar.row) {
                    div.lane {
                        (words(row))
                        div.track {
                            @for stretch in &bar.stretches { (one_stretch(stretch, length)) }
                        }
                        i.estimate style=(span(bar.from, bar.from + row.estimated_s.max(0.0), length))
                            title=(format!("estimated {}, {}", minutes(row.estimated_s), row.estimated_from.text())) {}
                    }
                }
            }
        }
        p.legend {
            @for kind in Kind::ALL {
                span { i class=(format!("key {}", kind.name())) {} (kind.name()) }
            }
            span { i.key.estimate {} "estimated" }
            @if !timeline.pauses.is_empty() {
                span { i.key.paused {} "nothing ran" }
            }
        }
    }
}

fn nothing_ran(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    format!("nothing ran for {}", ui::short(time))
}

fn words(row: &RowRecord) -> Markup {
    let outcome = outcome(row);
    html! {
        p.row {
            span.what { b { (one_line(&row.id)) } " " (one_line(&row.title)) }
            " " span.outcome.(outcome.tone.class()) { (outcome.text) " · " (minutes(row.took_s)) }
        }
    }
}

fn one_stretch(stretch: &Stretch, length: f64) -> Markup {
    let phase = one_line(&stretch.phase);
    let width = part(stretch.to, length) - part(stretch.from, length);
    let needed = CHARACTER * phase.chars().count() as f64 + 10.0;
    let fits = |pixels: f64| !stretch.below && width / 100.0 * pixels > needed;
    html! {
        i.stretch.(stretch.kind.name()).below[stretch.below].narrow[fits(WIDTHS.1)]
            style=(span(stretch.from, stretch.to, length))
            title=(format!("{phase}: {}", spent(stretch.to - stretch.from))) {
            @if fits(WIDTHS.0) { (phase) }
        }
    }
}

/// Percent of the axis, within it.
fn part(seconds: f64, length: f64) -> f64 {
    (100.0 * seconds / length).clamp(0.0, 100.0)
}

fn at(seconds: f64, length: f64) -> String {
    format!("left:{:.2}%", part(seconds, length))
}

fn span(from: f64, to: f64, length: f64) -> String {
    let (from, to) = (part(from, length), part(to, length));
    format!("left:{from:.2}%;width:{:.2}%", (to - from).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{check_characters, hostile, regression, run};
    use super::*;

    fn drawn(run: &RunRecord) -> String {
        super::timeline(run, &timeline::of(run)).into_string()
    }

    #[test]
    fn every_stretch_is_inside_its_lane() {
        let mut long = regression();
        long.estimated_s = 1e9;
        let picture = drawn(&run(vec![regression(), long]));
        let edges = regex::Regex::new(r"left:([0-9.]+)%;width:([0-9.]+)%").unwrap();
        let mut seen = 0;
        for found in edges.captures_iter(&picture) {
            let right: f64 = found[1].parse::<f64>().unwrap() + found[2].parse::<f64>().unwrap();
            assert!(right <= 100.01, "{right}");
            seen += 1;
        }
        assert_eq!(seen, 6, "two stretches and an estimate for each row: {picture}");
        assert!(!picture.contains("NaN"), "{picture}");
    }

    #[test]
    fn a_name_is_written_where_it_fits() {
        let picture = drawn(&run(vec![regression()]));
        let named = |class: &str, phase: &str| {
            picture.contains(&format!("class=\"stretch {class}\"")) && picture.contains(phase)
        };
        assert!(
            named("boot narrow", ">boot the debug kernel</i>") || named("boot", ">boot the debug kernel</i>")
        );
        let mut short = regression();
        short.took_s = 3600.0;
        assert!(!drawn(&run(vec![short])).contains(">build</i>"));
    }

    #[test]
    fn titles_cannot_leave_the_picture() {
        let picture = drawn(&hostile());
        check_characters(&picture);
        assert!(!picture.contains("<script"), "{picture}");
    }

    #[test]
    fn nonsense_in_a_record_is_no_style() {
        let mut row = regression();
        (row.took_s, row.estimated_s) = (f64::NAN, f64::INFINITY);
        row.spans[0].to_s = f64::NAN;
        let picture = drawn(&run(vec![row]));
        assert!(!picture.contains("NaN") && !picture.contains("inf%"), "{picture}");
    }
}
