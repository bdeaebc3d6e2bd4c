use super::view::FREE;
use super::*;
use crate::campaign::plan::Source;
use crate::campaign::verdict::Verdict;
use crate::ui::Format;

fn plan(count: usize) -> Vec<Planned> {
    let row = |number: usize| Planned {
        id: format!("2.{number}"),
        title: format!("000{number} a title that is long enough to be cut on a narrow terminal, at least"),
        verified_by: String::new(),
        parts: Vec::new(),
        gates: Vec::new(),
        needs: Vec::new(),
        on_failure: String::new(),
        action: Action::Patch(number),
        estimate: Duration::from_secs(60),
        estimated_from: Source::Plan,
        note: None,
        phases: Vec::new(),
    };
    (1..=count).map(row).collect()
}

pub(super) fn live(count: usize) -> Live {
    // The tests run without a terminal: nothing is drawn.
    Live::begin(&Ui::new(Format::Text), "small on virtual", &plan(count), None)
}

const PASS: RowOutcome = RowOutcome {
    text: "pass",
    tone: Tone::Good,
};

fn at(live: &Live, later: u64) -> View {
    hold(&live.state).view(Instant::now() + Duration::from_secs(later))
}

#[test]
fn what_is_left_counts_down_and_never_below_what_is_still_to_come() {
    let live = live(3);
    assert_eq!(live.left().as_deref(), Some("about 3 min left"));
    live.row("2.1");
    assert!((149..=150).contains(&at(&live, 30).left.as_secs()));
    assert_eq!(at(&live, 900).left.as_secs(), 120);
    live.ended("2.1", PASS, Duration::from_secs(70));
    live.row("2.2");
    live.ended("2.2", PASS, Duration::from_secs(70));
    live.row("2.3");
    live.ended("2.3", PASS, Duration::from_secs(70));
    assert_eq!(live.left(), None);
}

#[test]
fn a_phase_is_shown_while_it_lasts() {
    let live = live(2);
    live.row("2.1");
    live.watch().time(phase::BOOT, || ());
    let shown = lines(&at(&live, 12), 24, 80);
    let text: Vec<&str> = shown.iter().map(|line| line.text.as_str()).collect();
    assert!(
        text.iter()
            .any(|line| line.starts_with("   now: boot the debug kernel, 0:1")),
        "{text:#?}"
    );
    let beside = live.beside("building 2.2");
    live.watch().time(phase::BACK_TO_VANILLA, || ());
    let shown = lines(&at(&live, 65), 24, 80);
    let line = shown.iter().find(|line| line.text.contains("now:")).unwrap();
    assert!(
        line.text
            .contains("back to vanilla, 1:05; beside it: building 2.2, 1:05"),
        "{}",
        line.text
    );
    drop(beside);
    assert!(at(&live, 0).beside.is_none());
    live.ended("2.1", PASS, Duration::from_secs(70));
    assert!(at(&live, 0).phase.is_none());
}

#[test]
fn it_fits_every_terminal_and_the_current_row_is_always_there() {
    let live = live(40);
    for number in 1..=20 {
        live.row(&format!("2.{number}"));
        if number < 20 {
            live.ended(&format!("2.{number}"), PASS, Duration::from_secs(1));
        }
    }
    let mut view = at(&live, 1);
    view.kernel = vec!["[    1.0] x".repeat(40); 6];
    for height in 1..60 {
        for width in [1, 20, 80, 200] {
            let shown = lines(&view, height, width);
            assert!(shown.len() <= height.saturating_sub(FREE).max(2), "{height}");
            assert!(
                shown
                    .iter()
                    .any(|line| line.look == Look::Strong && line.text.contains('▸')),
                "{height} {width}"
            );
        }
    }
}

#[test]
fn what_one_step_took_corrects_the_estimate_of_the_next_ones() {
    let live = live(11);
    assert_eq!(at(&live, 0).left.as_secs(), 660);
    live.row("2.1");
    live.ended("2.1", PASS, Duration::from_secs(6));
    assert_eq!(at(&live, 0).left.as_secs(), 60);
    assert_eq!(at(&live, 0).rows[1].at_right.trim(), "0:06");
    live.row("2.2");
    assert!((57..=58).contains(&at(&live, 2).left.as_secs()));
    let failed = RowOutcome {
        text: "build failed",
        tone: Tone::Bad,
    };
    live.ended("2.2", failed, Duration::from_secs(1));
    assert_eq!(
        at(&live, 0).left.as_secs(),
        54,
        "what broke off early teaches nothing"
    );
    let applied = RowOutcome {
        text: "done",
        tone: Tone::Plain,
    };
    live.ended("2.3", applied, Duration::from_secs(1));
    assert_eq!(at(&live, 0).left.as_secs(), 48, "nor does what was only applied");
}

#[test]
fn rows_that_an_earlier_process_has_done_look_done_with_their_time() {
    let live = live(3);
    let record = RowRecord {
        id: "2.1".into(),
        verdict: Some(Verdict::Pass),
        took_s: 30.0,
        ..RowRecord::default()
    };
    let of_no_plan = RowRecord {
        id: "r1".into(),
        ..RowRecord::default()
    };
    live.done_before([record, of_no_plan].iter());
    let view = at(&live, 0);
    assert_eq!(
        (view.rows[0].mark, view.rows[0].at_right.as_str()),
        ('✔', "pass      0:30")
    );
    assert_eq!(view.left.as_secs(), 60, "they say how long the others take");
    live.row("2.1");
    assert_eq!(at(&live, 0).rows[0].mark, '▸', "unless it is done again");
}

#[test]
fn what_is_built_is_named_in_the_phase_and_made_safe() {
    let live = live(1);
    live.row("2.1");
    let watch = live.watch();
    let mut watch = watch;
    watch.time(phase::BUILD, || {
        live.doing("34 %, about 3 min left, CC drivers/media/\x1b[2Jvim2m.o")
    });
    let now = |live: &Live| {
        let shown = lines(&at(live, 0), 24, 100);
        let line = shown.iter().find(|line| line.text.contains("now:"));
        line.map(|line| line.text.clone()).unwrap()
    };
    assert_eq!(
        now(&live),
        "   now: build, 0:00: 34 %, about 3 min left, CC drivers/media/\\u{1b}[2Jvim2m.o"
    );
    watch.time(phase::STAGE, || ());
    assert_eq!(now(&live), "   now: stage, 0:00");
}

#[test]
fn there_is_one_clock() {
    let live = live(1);
    let head = |live: &Live| lines(&at(live, 61), 24, 80)[0].text.clone();
    assert!(
        head(&live).starts_with("── small on virtual ── 1:01 gone, about 1 min left ─"),
        "{}",
        head(&live)
    );
    // The bar of the whole command has both.
    hold(&live.state).is_a_part = true;
    assert!(
        head(&live).starts_with("── small on virtual ── ─"),
        "{}",
        head(&live)
    );
}
