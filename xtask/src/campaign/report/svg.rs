//! Pictures of the web page: the timeline, and a measured time beside the estimated one. Colours are the page's classes.

use super::timeline::{Bar, Stretch, Timeline};
use super::{minutes, one_line, outcome, spent};
use crate::campaign::phase::Kind;
use crate::campaign::record::{RowRecord, RunRecord};
use crate::ui;
use maud::{Markup, html};
use std::time::Duration;

/// Width of the picture in its own units.
const WIDTH: f64 = 1000.0;
/// Height of a row, its title included.
const ROW: f64 = 46.0;
/// Room for the axis.
const AXIS: f64 = 26.0;
/// Characters of a title that fit above its bar.
const TITLE: usize = 96;
/// A name is written into a stretch that is at least this wide for each of its characters.
const CHARACTER: f64 = 7.5;

/// The run as a picture: a row for each step, its stretches at their time.
pub fn timeline(run: &RunRecord, timeline: &Timeline) -> Markup {
    let height = AXIS + ROW * timeline.bars.len() as f64 + 6.0;
    let scale = (WIDTH - 2.0) / timeline.length.max(1.0);
    let x = |seconds: f64| 1.0 + seconds * scale;
    html! {
        svg.timeline viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="Timeline of the steps" {
            @for tick in super::timeline::ticks(timeline.length) {
                line.grid x1=(at(x(tick))) x2=(at(x(tick))) y1="20" y2=(at(height)) {}
                @let anchor = if x(tick) > WIDTH - 30.0 { "end" } else { "start" };
                text.tick x=(at(x(tick) + 2.0)) y="14" text-anchor=(anchor) { (minutes(tick)) }
            }
            @for (index, bar) in timeline.bars.iter().enumerate() {
                @if let Some(row) = run.rows.get(bar.row) {
                    (one_row(row, bar, AXIS + ROW * index as f64, scale))
                }
            }
            @for (seconds, length) in &timeline.pauses {
                line.pause x1=(at(x(*seconds))) x2=(at(x(*seconds))) y1="20" y2=(at(height)) {
                    title { (format!("nothing ran for {}", ui::short(Duration::try_from_secs_f64(*length).unwrap_or_default()))) }
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

fn one_row(row: &RowRecord, bar: &Bar, y: f64, scale: f64) -> Markup {
    let x = |seconds: f64| 1.0 + seconds * scale;
    let outcome = outcome(row);
    let title: String = one_line(&row.title).chars().take(TITLE).collect();
    let estimate = (bar.from + row.estimated_s.max(0.0)).min(WIDTH / scale);
    let verdict = format!("{} · {}", outcome.text, minutes(row.took_s));
    html! {
        text.row x="2" y=(at(y + 13.0)) { tspan.id { (one_line(&row.id)) } " " (title) }
        text.outcome.(outcome.tone.class()) x=(at(WIDTH - 2.0)) y=(at(y + 13.0)) text-anchor="end" { (verdict) }
        rect.track x="0" y=(at(y + 19.0)) width=(WIDTH) height="18" {}
        @for stretch in &bar.stretches {
            (one_stretch(stretch, y + 19.0, scale))
        }
        line.estimate x1=(at(x(bar.from))) x2=(at(x(estimate))) y1=(at(y + 40.0)) y2=(at(y + 40.0)) {
            title { (format!("estimated {}, {}", minutes(row.estimated_s), row.estimated_from.text())) }
        }
    }
}

fn one_stretch(stretch: &Stretch, y: f64, scale: f64) -> Markup {
    let width = ((stretch.to - stretch.from) * scale).max(1.0);
    let left = 1.0 + stretch.from * scale;
    let (top, height) = if stretch.below { (y + 9.0, 9.0) } else { (y, 18.0) };
    let phase = one_line(&stretch.phase);
    let fits = !stretch.below && width > CHARACTER * phase.chars().count() as f64 + 6.0;
    html! {
        rect.stretch.(stretch.kind.name()) x=(at(left)) y=(at(top)) width=(at(width)) height=(at(height)) {
            title { (format!("{phase}: {}", spent(stretch.to - stretch.from))) }
        }
        @if fits {
            text.inside x=(at(left + 5.0)) y=(at(y + 13.0)) { (phase) }
        }
    }
}

/// A measured time as a bar, the estimated one as a mark in it; both as parts of `longest` seconds.
pub fn measured(row: &RowRecord, longest: f64) -> Markup {
    let part = |seconds: f64| (100.0 * seconds.max(0.0) / longest.max(1.0)).min(100.0);
    let class = if row.took_s > row.estimated_s * 1.2 && row.estimated_s > 0.0 {
        "over"
    } else {
        "within"
    };
    html! {
        svg.measured viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="2" width="100" height="6" {}
            rect.(class) x="0" y="2" width=(at(part(row.took_s).max(0.5))) height="6" {}
            line.mark x1=(at(part(row.estimated_s))) x2=(at(part(row.estimated_s))) y1="0" y2="10" {}
        }
    }
}

/// A coordinate: two decimals are enough for any screen.
fn at(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_characters, hostile, regression, run};
    use super::super::timeline;
    use super::*;

    #[test]
    fn every_stretch_is_inside_the_picture() {
        let run = run(vec![regression(), regression()]);
        let picture = super::timeline(&run, &timeline::of(&run)).into_string();
        let edges =
            regex::Regex::new(r#"class="stretch[^"]*" x="([0-9.]+)" y="[0-9.]+" width="([0-9.]+)""#).unwrap();
        let mut seen = 0;
        for found in edges.captures_iter(&picture) {
            let right: f64 = found[1].parse::<f64>().unwrap() + found[2].parse::<f64>().unwrap();
            assert!(right <= WIDTH + 0.01, "{right}");
            seen += 1;
        }
        assert_eq!(seen, 4, "{picture}");
    }

    #[test]
    fn titles_cannot_leave_the_picture() {
        let run = hostile();
        let picture = super::timeline(&run, &timeline::of(&run)).into_string();
        check_characters(&picture);
        assert!(!picture.contains("<script"), "{picture}");
    }
}
