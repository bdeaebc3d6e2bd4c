//! Kills a run at every instant of a simulated world, and goes on with it (invariant 11): what comes out is what comes out of a run that nobody
//! killed, nothing that passed is done twice, and a verdict that was given stands.

mod ahead;
mod baseline;
mod reloaded;
mod stopped;
mod wedged;

use super::simulated::{Process, Run, World};
use crate::campaign::journal::past::Past;
use crate::campaign::journal::{Event, Line, read};
use crate::campaign::record::{End, Overruled, RunRecord};
use crate::campaign::resume::Decision;
use crate::campaign::verdict::Verdict;
use crate::campaign::walk::Options;
use std::num::NonZeroU32;

fn world(bad: &[&'static str]) -> World {
    World {
        bad: bad.to_vec(),
        reviewed: true,
        ..World::default()
    }
}

fn ended(process: Process) -> RunRecord {
    match process {
        Process::Ended(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn verdicts(record: &RunRecord) -> Vec<(String, Option<Verdict>)> {
    record
        .rows
        .iter()
        // How often it was gone on with differs.
        .filter(|row| !row.id.starts_with('r'))
        .map(|row| (row.id.clone(), row.verdict))
        .collect()
}

/// What a run leaves, apart from how long it took.
#[derive(Debug, PartialEq)]
struct Left {
    verdicts: Vec<(String, Option<Verdict>)>,
    end: Option<End>,
    tree: Vec<String>,
    /// The commit that is staged.
    staged: Option<String>,
    label: bool,
}

fn left(run: &Run, record: &RunRecord) -> Left {
    let world = run.world.borrow();
    assert!(world.runs.is_none() && !world.silent, "vanilla runs at the end");
    Left {
        verdicts: verdicts(record),
        end: record.end,
        tree: world.tree.clone(),
        staged: world.staged.as_ref().map(|manifest| manifest.commit.clone()),
        label: world.label,
    }
}

fn lines(run: &Run) -> Vec<Line> {
    read::parse("journal", &run.world.borrow().journal).unwrap().lines
}

/// Each verdict on the patched kernel was given once: no boot was tried again behind a bad one.
fn no_second_verdict_behind_a_bad_one(run: &Run) {
    let mut bad: Vec<String> = Vec::new();
    for line in lines(run)
        .iter()
        .filter(|line| line.event == Event::Verdict && line.action == "judge")
    {
        assert!(
            !bad.contains(&line.step),
            "{} was judged again behind a bad verdict",
            line.step
        );
        let verdict: Verdict = serde_json::from_value(line.detail["verdict"].clone()).unwrap();
        if verdict.is_a_failure() && line.detail["as_declared"] != true {
            bad.push(line.step.clone());
        }
    }
}

/// Rows that are over when a process begins; by the journal.
fn over(past: &Past) -> Vec<String> {
    let done = past.rows.iter().filter(|row| row.counts_as_done());
    done.map(|row| row.id.clone()).collect()
}

/// Goes on until the run is over; checks at each beginning that what has passed is not booted again.
fn to_its_end(run: &Run, kills: &[usize]) -> RunRecord {
    let mut kills = kills.iter();
    loop {
        let done = over(&run.past());
        let boots = {
            let mut world = run.world.borrow_mut();
            world.kill_at = kills.next().map(|kill| world.instant + kill);
            world.boots.len()
        };
        let process = run.process();
        for (row, _) in &run.world.borrow().boots[boots..] {
            assert!(!done.contains(row), "{row} had passed, and was booted again");
        }
        match process {
            Process::Killed => {}
            Process::Ended(record) => return *record,
            // Killed behind the last write: there is nothing left to do, and the journal has it all.
            Process::Said(Decision::Over { end, .. }) => {
                let past = run.past();
                let record = RunRecord {
                    schema_version: 1,
                    campaign: String::new(),
                    goal: String::new(),
                    board: String::new(),
                    tree: String::new(),
                    release: String::new(),
                    started: String::new(),
                    end: Some(end),
                    rows: past.records(),
                    planned: Vec::new(),
                    closing: Default::default(),
                };
                return record;
            }
            Process::Said(other) => panic!("{other:?}"),
        }
    }
}

fn killed_at_every_instant(bad: &[&'static str], options: &Options, flaky: bool) {
    let fresh = || World { flaky, ..world(bad) };
    let (expected, instants) = each_instant(options, fresh);
    for kill in (1..=instants).step_by(17) {
        for again in (1..=60).step_by(11) {
            let run = Run::new(fresh(), options.clone());
            let record = to_its_end(&run, &[kill, again]);
            assert_eq!(
                left(&run, &record),
                expected,
                "killed at {kill}, and {again} later"
            );
            no_second_verdict_behind_a_bad_one(&run);
        }
    }
}

fn each_instant(options: &Options, world: impl Fn() -> World) -> (Left, usize) {
    any_run_killed_at_every_instant(|| Run::new(world(), options.clone()))
}

/// Kills at every instant; gives what every run has to leave, and how many instants there are.
fn any_run_killed_at_every_instant(fresh: impl Fn() -> Run) -> (Left, usize) {
    let whole = fresh();
    let record = ended(whole.process());
    let expected = left(&whole, &record);
    let (instants, boots) = {
        let world = whole.world.borrow();
        (world.instant, world.boots.len())
    };
    assert!(instants > 100, "{instants}");
    for kill in 1..=instants {
        let run = fresh();
        let record = to_its_end(&run, &[kill]);
        assert_eq!(left(&run, &record), expected, "killed at {kill} of {instants}");
        no_second_verdict_behind_a_bad_one(&run);
        assert!(
            run.world.borrow().boots.len() <= boots + 1,
            "one kill costs one boot at most"
        );
    }
    (expected, instants)
}

#[test]
fn a_run_that_succeeds_is_killed_at_every_instant() {
    killed_at_every_instant(&[], &Options::default(), false);
}

#[test]
fn a_run_that_finds_a_bad_patch_is_killed_at_every_instant() {
    killed_at_every_instant(&["0008"], &Options::default(), false);
}

#[test]
fn a_bisection_is_killed_at_every_instant() {
    let options = Options {
        search: true,
        ..Options::default()
    };
    killed_at_every_instant(&["0009"], &options, false);
    let run = Run::new(world(&["0009"]), options);
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(run.world.borrow().tree, ["0004", "0008"], "the good ones stay");
    let found = record.rows.iter().find(|row| row.id == "search").unwrap();
    assert!(
        found.facts[0].contains("0009 is the first bad patch"),
        "{:?}",
        found.facts
    );
    let boots = record
        .rows
        .iter()
        .filter(|row| row.id.starts_with('s') && row.verdict.is_some());
    assert_eq!(boots.count(), 4, "the whole series, and log2 of 6");
}

#[test]
fn repeated_boots_are_killed_and_none_of_them_is_forgotten() {
    let options = Options {
        repeat: NonZeroU32::new(3).unwrap(),
        only: Some("2.2".into()),
        ..Options::default()
    };
    let run = Run::new(world(&[]), options.clone());
    let record = ended(run.process());
    assert_eq!(
        record.rows.iter().find(|row| row.id == "2.2").unwrap().verdict,
        Some(Verdict::Pass)
    );
    assert_eq!(
        run.world
            .borrow()
            .boots
            .iter()
            .filter(|(row, _)| row == "2.2")
            .count(),
        3
    );
    assert!(
        !run.world.borrow().boots.iter().any(|(row, _)| row == "2.1"),
        "2.1 is not judged"
    );
    let flaky = Run::new(
        World {
            flaky: true,
            ..world(&["0008"])
        },
        options.clone(),
    );
    let record = ended(flaky.process());
    let row = record.rows.iter().find(|row| row.id == "2.2").unwrap();
    assert_eq!(row.verdict, Some(Verdict::Flaky));
    assert!(
        row.reasons[0].contains("2 of 3 boots were bad"),
        "{:?}",
        row.reasons
    );
    killed_at_every_instant(&["0008"], &options, false);
}

#[test]
fn a_person_s_word_applies_the_patch_again_and_goes_on_behind_it() {
    let run = Run::new(world(&["0008"]), Options::default());
    assert_eq!(ended(run.process()).end, Some(End::PartialSuccess));
    assert_eq!(run.world.borrow().tree, ["0004"]);
    assert!(matches!(run.process(), Process::Said(Decision::Over { .. })));
    let word = Overruled {
        verdict: Verdict::Pass,
        by: "Ann".into(),
        why: "known".into(),
        time: String::new(),
    };
    let line = Line {
        schema_version: 2,
        time: "2026-11-22T10:00:00Z".into(),
        event: Event::Overruled,
        step: "2.2".into(),
        action: String::new(),
        detail: serde_json::to_value(word).unwrap(),
    };
    let line = serde_json::to_string(&line).unwrap() + "\n";
    {
        let mut world = run.world.borrow_mut();
        world.journal.extend(line.bytes());
        world.bad.clear();
    }
    let record = to_its_end(&run, &[20, 30, 40]);
    assert_eq!(record.end, Some(End::Success));
    assert_eq!(run.world.borrow().tree.len(), 6);
    assert_eq!(
        run.world
            .borrow()
            .boots
            .iter()
            .filter(|(row, _)| row == "2.2")
            .count(),
        1
    );
    let row = record.rows.iter().find(|row| row.id == "2.2").unwrap();
    assert_eq!(row.verdict, Some(Verdict::SmokeFailed), "the original stays");
    assert_eq!(row.overruled.as_ref().unwrap().by, "Ann");
}

#[test]
fn what_stopped_a_run_is_left_out_and_the_rest_goes_on() {
    let run = Run::new(world(&["0008"]), Options::default());
    assert_eq!(ended(run.process()).end, Some(End::PartialSuccess));
    let mut rest = Run::new(
        World::default(),
        Options {
            without: vec!["0008".into()],
            ..Options::default()
        },
    );
    rest.world = run.world.clone();
    let record = to_its_end(&rest, &[]);
    assert_eq!(
        record.end,
        Some(End::PartialSuccess),
        "the series as a whole has not passed"
    );
    assert_eq!(rest.world.borrow().tree, ["0004", "0009", "0005", "0006", "0007"]);
}

#[test]
fn a_missing_review_waits_for_a_person_before_anything_is_applied() {
    let mut run = Run::new(world(&[]), Options::default());
    run.campaign.steps[2].review = true;
    run.world.borrow_mut().reviewed = false;
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PersonNeeded));
    assert_eq!(run.world.borrow().tree, ["0004", "0008"], "0009 was not applied");
    assert!(!ahead::ahead(&run).contains(&("apply-ahead".into(), "2.3".into())));
    let row = record.rows.iter().find(|row| row.id == "2.3").unwrap();
    assert_eq!(row.verdict, Some(Verdict::ReviewMissing));
    assert!(
        run.past()
            .end
            .unwrap()
            .person
            .unwrap()
            .contains("cargo xtask review 0009")
    );
    assert_eq!(ended(run.process()).end, Some(End::PersonNeeded), "still none");
    run.world.borrow_mut().reviewed = true;
    assert_eq!(to_its_end(&run, &[25]).end, Some(End::Success));
}

#[test]
fn a_board_that_did_not_come_back_is_reset_and_its_row_is_done_again_unless_it_was_bad() {
    for (bad, end, boots) in [(&[][..], End::Success, 2), (&["0008"], End::PartialSuccess, 1)] {
        let lost = World {
            lost_at: Some("2.2"),
            ..world(bad)
        };
        let run = Run::new(lost, Options::default());
        assert_eq!(ended(run.process()).end, Some(End::PersonNeeded));
        let record = to_its_end(&run, &[]);
        assert_eq!(record.end, Some(end));
        let booted = run
            .world
            .borrow()
            .boots
            .iter()
            .filter(|(row, _)| row == "2.2")
            .count();
        assert_eq!(booted, boots, "a bad verdict stands");
        assert!(run.world.borrow().runs.is_none());
    }
}

#[test]
fn ctrl_c_stops_between_two_rows_and_the_same_command_goes_on() {
    let run = Run::new(
        World {
            stop_after: Some(3),
            ..world(&[])
        },
        Options::default(),
    );
    let record = ended(run.process());
    assert_eq!(record.end, None);
    assert!(run.world.borrow().runs.is_none(), "the board rests on vanilla");
    assert_eq!(
        run.world.borrow().tree,
        ["0004", "0008"],
        "what was begun ahead is taken back"
    );
    run.world.borrow_mut().stop_after = None;
    assert_eq!(to_its_end(&run, &[]).end, Some(End::Success));
    assert_eq!(run.world.borrow().boots.len(), 7, "no boot was wasted");
}
