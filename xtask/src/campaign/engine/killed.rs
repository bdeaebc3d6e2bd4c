//! Kills a run at every instant of a simulated world, and goes on with it (invariant 11): what comes out is what comes out of a run that nobody
//! killed, nothing that passed is done twice, and a verdict that was given stands.

mod reloaded;

use super::simulated::{Process, Run, World};
use crate::campaign::file::OnFailure;
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

/// What the journal says was done ahead of its turn: action and step.
fn ahead(run: &Run) -> Vec<(String, String)> {
    let is_ahead = |line: &Line| line.event == Event::Intent && line.action.ends_with("-ahead");
    let lines = lines(run).into_iter().filter(is_ahead);
    lines.map(|line| (line.action, line.step)).collect()
}

#[test]
fn each_step_is_built_while_the_board_tests_the_one_before_it() {
    let run = Run::new(world(&[]), Options::default());
    assert_eq!(ended(run.process()).end, Some(End::Success));
    let steps = ["2.1", "2.2", "2.3", "2.4", "2.5", "2.6"];
    assert_eq!(run.world.borrow().built_ahead, steps);
    let both =
        |step: &str| ["apply-ahead", "build-ahead"].map(|action| (action.to_string(), step.to_string()));
    assert_eq!(
        ahead(&run),
        steps.iter().copied().flat_map(both).collect::<Vec<_>>()
    );
    let alone = Options {
        prefetch: false,
        ..Options::default()
    };
    let run = Run::new(world(&[]), alone);
    assert_eq!(ended(run.process()).end, Some(End::Success));
    assert!(ahead(&run).is_empty() && run.world.borrow().built_ahead.is_empty());
}

#[test]
fn a_step_that_fails_takes_back_the_next_one_first() {
    let splat = || World {
        splats: true,
        ..world(&["0008"])
    };
    let run = Run::new(splat(), Options::default());
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(run.world.borrow().tree, ["0004"]);
    assert!(run.world.borrow().staged_ahead.is_none());
    let actions: Vec<String> = lines(&run)
        .into_iter()
        .filter(|line| line.event == Event::Intent && line.step == "2.2")
        .map(|line| line.action)
        .collect();
    let behind = actions.iter().skip_while(|action| *action != "drop-ahead");
    assert_eq!(
        behind.collect::<Vec<_>>(),
        ["drop-ahead", "revert", "withdraw-label"]
    );
    each_instant(&Options::default(), splat);
}

#[test]
fn a_next_step_that_does_not_build_is_judged_in_its_own_turn() {
    let broken = || World {
        unbuildable: vec!["0009"],
        ..world(&[])
    };
    let run = Run::new(broken(), Options::default());
    let record = ended(run.process());
    let verdict = |id: &str| record.rows.iter().find(|row| row.id == id).unwrap().verdict;
    assert_eq!(verdict("2.2"), Some(Verdict::Pass));
    assert_eq!(verdict("2.3"), Some(Verdict::BuildFailed));
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(run.world.borrow().tree, ["0004", "0008"]);
    assert_eq!(run.world.borrow().boots.len(), 3);
    each_instant(&Options::default(), broken);
}

#[test]
fn a_build_ahead_that_comes_to_no_end_is_done_again_in_its_turn() {
    let full = || World {
        ahead_fails: true,
        ..world(&[])
    };
    let run = Run::new(full(), Options::default());
    assert_eq!(ended(run.process()).end, Some(End::Success));
    assert!(run.world.borrow().built_ahead.is_empty());
    let last_two = Options {
        from: Some("2.5".into()),
        ..Options::default()
    };
    each_instant(&last_two, full);
}

#[test]
fn a_review_that_is_taken_back_meanwhile_stops_the_next_step_in_its_turn() {
    let mut run = Run::new(
        World {
            reviewed_until: Some(3),
            ..world(&[])
        },
        Options::default(),
    );
    run.campaign.steps[2].review = true;
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PersonNeeded));
    assert!(ahead(&run).contains(&("apply-ahead".into(), "2.3".into())));
    assert_eq!(run.world.borrow().tree, ["0004", "0008"], "0009 was taken back");
    run.world.borrow_mut().reviewed_until = None;
    assert_eq!(to_its_end(&run, &[25]).end, Some(End::Success));
}

#[test]
fn a_run_that_succeeds_is_killed_at_every_instant() {
    killed_at_every_instant(&[], &Options::default(), false);
}

fn boots_of_the_baseline(run: &Run) -> usize {
    let world = run.world.borrow();
    world.boots.iter().filter(|(row, _)| row == "1.8").count()
}

#[test]
fn a_run_with_the_baseline_of_an_earlier_one_boots_none_and_is_killed_at_every_instant() {
    let with_earlier = |bad: &[&'static str]| World {
        earlier: true,
        ..world(bad)
    };
    let run = Run::new(with_earlier(&[]), Options::default());
    let record = ended(run.process());
    assert_eq!(
        record.end,
        Some(End::Success),
        "what the kernel says without any patch is known"
    );
    assert_eq!(boots_of_the_baseline(&run), 0);
    let row = record.rows.iter().find(|row| row.id == "1.8").unwrap();
    assert_eq!(row.verdict, Some(Verdict::Pass));
    let from = row.taken_from.as_ref().unwrap();
    assert_eq!(from.boots[0].run, "20260101T000000");
    assert!(row.facts.contains(&from.sentence()), "{:?}", row.facts);
    for bad in [&[][..], &["0008"]] {
        each_instant(&Options::default(), || with_earlier(bad));
    }
}

#[test]
fn a_baseline_that_is_gone_when_the_run_goes_on_is_booted_and_one_that_was_taken_stays() {
    let fresh = || {
        let world = World {
            earlier: true,
            ..world(&[])
        };
        Run::new(world, Options::default())
    };
    let whole = fresh();
    ended(whole.process());
    let instants = whole.world.borrow().instant;
    let mut booted = 0;
    for kill in 1..=instants {
        let run = fresh();
        run.world.borrow_mut().kill_at = Some(kill);
        assert!(matches!(run.process(), Process::Killed));
        run.world.borrow_mut().earlier = false;
        let taken = run.past().row("1.8").is_some_and(|row| row.counts_as_done());
        assert_eq!(to_its_end(&run, &[]).end, Some(End::Success), "killed at {kill}");
        assert_eq!(
            boots_of_the_baseline(&run),
            usize::from(!taken),
            "killed at {kill}"
        );
        booted += usize::from(!taken);
    }
    assert!(booted > 10 && booted < instants / 2, "{booted} of {instants}");
}

#[test]
fn a_fresh_baseline_is_booted_whatever_an_earlier_run_showed() {
    let options = Options {
        fresh_baseline: true,
        ..Options::default()
    };
    let world = || World {
        earlier: true,
        ..world(&[])
    };
    let run = Run::new(world(), options.clone());
    let record = ended(run.process());
    assert_eq!(boots_of_the_baseline(&run), 1);
    let row = record.rows.iter().find(|row| row.id == "1.8").unwrap();
    assert!(row.taken_from.is_none());
    assert_eq!(row.facts[0], "it is booted: asked for with --fresh-baseline");
    each_instant(&options, world);
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
    assert!(!ahead(&run).contains(&("apply-ahead".into(), "2.3".into())));
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

/// 0008 falls silent under lockdep; the kernel of one profile may name the fault.
fn wedged(escalate: &[&str], names_it: Option<&'static str>) -> Run {
    wedged_with(escalate, names_it, Options::default())
}

fn wedged_with(escalate: &[&str], names_it: Option<&'static str>, options: Options) -> Run {
    let options = Options {
        escalate: escalate.iter().map(|profile| profile.to_string()).collect(),
        ..options
    };
    let world = World {
        wedges: vec!["0008"],
        names_it,
        ..world(&[])
    };
    Run::new(world, options)
}

fn verdict_of(record: &RunRecord, id: &str) -> Option<Verdict> {
    record.rows.iter().find(|row| row.id == id)?.verdict
}

#[test]
fn a_silent_wedge_is_done_again_on_each_kernel_and_its_own_verdict_stays() {
    let run = wedged(&["kasan", "kcsan"], Some("kcsan"));
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PartialSuccess));
    let rows: Vec<&str> = record.rows.iter().map(|row| row.id.as_str()).collect();
    let behind = [
        "2.2",
        "2.2+kasan-without",
        "2.2+kasan",
        "2.2+kcsan-without",
        "2.2+kcsan",
        "3",
    ];
    assert_eq!(rows[4..], behind, "{rows:?}");
    assert_eq!(verdict_of(&record, "2.2"), Some(Verdict::LostConnection));
    assert_eq!(verdict_of(&record, "2.2+kasan-without"), Some(Verdict::Pass));
    assert_eq!(verdict_of(&record, "2.2+kasan"), Some(Verdict::LostConnection));
    assert_eq!(verdict_of(&record, "2.2+kcsan"), Some(Verdict::Regression));
    let named = record.rows.iter().find(|row| row.id == "2.2+kcsan").unwrap();
    let titles: Vec<&str> = named
        .findings
        .iter()
        .map(|finding| finding.title.as_str())
        .collect();
    assert_eq!(
        titles.len(),
        1,
        "what this kernel says by itself is not new: {titles:?}"
    );
    assert_eq!(
        record.release, "lockdep",
        "the campaign's kernel is the one that the run is about"
    );
    let world = run.world.borrow();
    assert_eq!(world.tree, ["0004"]);
    assert!(!world.label, "no kernel of ours can be chosen");
}

#[test]
fn a_run_that_escalates_is_killed_at_every_instant() {
    any_run_killed_at_every_instant(|| wedged(&["kasan"], Some("kasan")));
}

#[test]
fn a_kernel_that_does_not_come_up_without_the_patch_says_nothing_about_it() {
    let run = wedged(&["kasan", "kcsan"], None);
    run.world.borrow_mut().never_up = Some("kasan");
    let record = ended(run.process());
    assert_eq!(
        verdict_of(&record, "2.2+kasan-without"),
        Some(Verdict::LostConnection)
    );
    assert_eq!(verdict_of(&record, "2.2+kasan"), None, "it was not tried");
    assert_eq!(verdict_of(&record, "2.2+kcsan"), Some(Verdict::LostConnection));
}

#[test]
fn a_run_that_ended_with_a_silent_wedge_goes_on_when_an_escalation_is_asked_for() {
    let run = wedged(&[], Some("kasan"));
    let record = ended(run.process());
    assert_eq!(verdict_of(&record, "2.2"), Some(Verdict::LostConnection));
    assert!(matches!(run.process(), Process::Said(Decision::Over { .. })));
    let boots = run.world.borrow().boots.len();
    let mut more = wedged(&["kasan"], None);
    more.world = run.world.clone();
    let record = to_its_end(&more, &[30, 40]);
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(verdict_of(&record, "2.2+kasan"), Some(Verdict::Regression));
    let world = more.world.borrow();
    let rows: Vec<&str> = world.boots[boots..].iter().map(|(row, _)| row.as_str()).collect();
    assert!(
        rows.iter().all(|row| row.starts_with("2.2+kasan")),
        "2.2 is not booted again: {rows:?}"
    );
    assert_eq!(world.tree, ["0004"]);
    drop(world);
    assert!(matches!(more.process(), Process::Said(Decision::Over { .. })));
}

#[test]
fn a_fault_that_has_a_name_is_not_escalated() {
    let run = wedged(&["kasan"], Some("lockdep"));
    let record = ended(run.process());
    assert_eq!(verdict_of(&record, "2.2"), Some(Verdict::Regression));
    assert!(!record.rows.iter().any(|row| row.id.contains('+')));
}

fn leaves_out(escalate: &[&str], bad: &'static str, options: Options) -> Run {
    let mut run = wedged_with(escalate, None, options);
    run.world.borrow_mut().wedges = vec![bad];
    for step in &mut run.campaign.steps {
        step.on_failure = OnFailure::ContinueWithout;
    }
    run
}

#[test]
fn a_step_that_may_be_left_out_is_and_the_rest_goes_on() {
    let run = leaves_out(&[], "0008", Options::default());
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(verdict_of(&record, "2.2"), Some(Verdict::LostConnection));
    assert_eq!(verdict_of(&record, "2.3"), Some(Verdict::Pass));
    assert_eq!(run.world.borrow().tree, ["0004", "0009", "0005", "0006", "0007"]);
    let last = leaves_out(&[], "0007", Options::default());
    assert_eq!(ended(last.process()).end, Some(End::PartialSuccess));
    assert_eq!(last.world.borrow().tree.len(), 5);
}

#[test]
fn a_run_that_leaves_a_patch_out_is_killed_at_every_instant() {
    let short = Options {
        without: ["0005", "0006", "0007"].map(String::from).to_vec(),
        ..Options::default()
    };
    any_run_killed_at_every_instant(|| leaves_out(&["kasan"], "0008", short.clone()));
    let its_end = Options {
        from: Some("2.5".into()),
        ..Options::default()
    };
    any_run_killed_at_every_instant(|| leaves_out(&[], "0007", its_end.clone()));
}
