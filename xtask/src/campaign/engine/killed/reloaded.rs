//! `reload = true`: what a try shows is told and judges nothing, also in a run that is killed at any instant.

use super::*;

/// Two steps ask for it.
fn reloading(world: World) -> Run {
    let mut run = Run::new(world, Options::default());
    for step in &mut run.campaign.steps {
        step.reload = ["2.2", "2.3"].contains(&step.id.as_str());
    }
    run
}

fn facts(record: &RunRecord, id: &str) -> String {
    let row = record.rows.iter().find(|row| row.id == id).unwrap();
    row.facts.join("\n")
}

#[test]
fn each_step_that_asks_for_it_is_tried_once_in_the_kernel_of_the_step_before() {
    let run = reloading(world(&[]));
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::Success));
    let world = run.world.borrow();
    let commit = |row: &str| world.boots.iter().find(|boot| boot.0 == row).unwrap().1.clone();
    let tried = [("2.2", commit("2.1")), ("2.3", commit("2.2"))].map(|(row, of)| (row.to_string(), of));
    assert_eq!(world.reloads, tried);
    assert_eq!(world.boots.len(), 7, "and each is booted all the same");
    let told = facts(&record, "2.2");
    assert!(
        told.contains("nothing new in the kernel log; the reboot gives the verdict"),
        "{told}"
    );
    assert!(!facts(&record, "2.1").contains("reload"));
}

#[test]
fn the_journal_has_the_intent_and_the_outcome_of_the_try_and_of_its_boot() {
    let run = reloading(world(&[]));
    ended(run.process());
    let of_2_2 = |line: &Line| line.step == "2.2" && line.event != Event::Verdict;
    let all = lines(&run);
    let told: Vec<(Event, &str)> = all
        .iter()
        .filter(|line| of_2_2(line))
        .map(|line| (line.event, line.action.as_str()))
        .skip_while(|(_, action)| *action != "reload")
        .take(8)
        .collect();
    let pair = |action| [(Event::Intent, action), (Event::Done, action)];
    let within = [pair("boot-once"), pair("boot-vanilla")].concat();
    let (reload, deploy) = (pair("reload"), pair("deploy"));
    assert_eq!(told, [&reload[..1], &within, &reload[1..], &deploy].concat());
}

#[test]
fn an_early_warning_is_told_and_changes_no_verdict() {
    for bad in [&[][..], &["0009"]] {
        let with = |reload_warns| {
            reloading(World {
                reload_warns,
                ..world(bad)
            })
        };
        let (warned, quiet) = (with(true), with(false));
        let (of_warned, of_quiet) = (ended(warned.process()), ended(quiet.process()));
        assert_eq!(left(&warned, &of_warned), left(&quiet, &of_quiet));
        let told = facts(&of_warned, "2.2");
        let warning = "early warning, by reloading the modules (the reboot gives the verdict): ";
        assert!(
            told.contains(&format!("{warning}it fails when it is reloaded")),
            "{told}"
        );
        assert!(
            told.contains(&format!("{warning}the kernel said what the baseline lacks")),
            "{told}"
        );
        let row = of_warned.rows.iter().find(|row| row.id == "2.2").unwrap();
        assert!(row.reasons.is_empty() && row.findings.is_empty() && row.tests.is_empty());
    }
}

#[test]
fn a_good_try_is_no_pass() {
    let run = reloading(world(&["0008"]));
    let record = ended(run.process());
    assert_eq!(run.world.borrow().reloads.len(), 1);
    assert!(facts(&record, "2.2").contains("as expected"));
    let row = record.rows.iter().find(|row| row.id == "2.2").unwrap();
    assert_eq!(row.verdict, Some(Verdict::SmokeFailed));
    assert_eq!(record.end, Some(End::PartialSuccess));
}

#[test]
fn a_run_that_reloads_is_killed_at_every_instant() {
    any_run_killed_at_every_instant(|| {
        reloading(World {
            reload_warns: true,
            ..world(&["0009"])
        })
    });
}

#[test]
fn a_slot_that_is_not_of_the_step_before_is_not_booted_for_it() {
    let fresh = || reloading(world(&[]));
    let whole = fresh();
    ended(whole.process());
    let instants = whole.world.borrow().instant;
    let mut not_tried = 0;
    for kill in (1..=instants).step_by(7) {
        let run = fresh();
        let record = to_its_end(&run, &[kill]);
        for (row, commit) in &run.world.borrow().reloads {
            let before = ["2.1", "2.2"][usize::from(row == "2.3")];
            let boots = &run.world.borrow().boots;
            assert!(
                boots.iter().any(|boot| boot.0 == before && boot.1 == *commit),
                "{row} was tried in the kernel of {before}"
            );
        }
        let why = "it was not tried by reloading its modules: the slot on the board is another one";
        not_tried += usize::from(
            record
                .rows
                .iter()
                .any(|row| row.facts.iter().any(|fact| fact == why)),
        );
    }
    assert!(
        not_tried > 2,
        "a row that begins again finds no label: {not_tried}"
    );
}

#[test]
fn a_board_that_does_not_come_back_from_it_needs_a_person_and_the_step_is_done_again() {
    let run = reloading(World {
        lost_at_reload: Some("2.2"),
        ..world(&[])
    });
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PersonNeeded));
    let row = record.rows.iter().find(|row| row.id == "2.2").unwrap();
    assert_eq!(row.verdict, None);
    assert!(
        row.reasons[0].contains("after the modules were reloaded"),
        "{:?}",
        row.reasons
    );
    assert_eq!(run.world.borrow().tree, ["0004"], "its patch was taken back");
    assert_eq!(to_its_end(&run, &[]).end, Some(End::Success));
    let boots = run.world.borrow().boots.clone();
    assert_eq!(boots.iter().filter(|(row, _)| row == "2.2").count(), 1);
}
