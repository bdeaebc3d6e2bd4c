//! The next step is built while the board tests this one, in runs that fail, stop and are killed.

use super::*;

/// What the journal says was done ahead of its turn: action and step.
pub(super) fn ahead(run: &Run) -> Vec<(String, String)> {
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
    let row = record.rows.iter().find(|row| row.id == "2.2").unwrap();
    assert_eq!(row.verdict, Some(Verdict::Regression));
    assert_eq!(
        row.reasons,
        [
            row.findings[0].title.as_str(),
            "the taint of a kernel that died",
            "stream: exit 1, expected 0"
        ],
        "what the kernel says itself comes first, and nothing is left out"
    );
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
fn a_step_that_asks_of_its_build_what_is_not_in_it_is_taken_back_and_never_booted() {
    let lacking = || World {
        lacking: vec!["0009"],
        ..world(&[])
    };
    let run = Run::new(lacking(), Options::default());
    let record = ended(run.process());
    let row = |id: &str| record.rows.iter().find(|row| row.id == id).unwrap();
    assert_eq!(row("2.2").verdict, Some(Verdict::Pass));
    assert_eq!(row("2.3").verdict, Some(Verdict::BuildFailed));
    assert_eq!(row("2.3").reasons[0], "0009 is not in this build");
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(run.world.borrow().tree, ["0004", "0008"]);
    assert_eq!(run.world.borrow().boots.len(), 3);
    each_instant(&Options::default(), lacking);
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
fn a_patch_that_does_not_apply_is_told_at_once_and_judged_in_its_own_turn() {
    let foreign = || World {
        unappliable: vec!["0009"],
        ..world(&[])
    };
    let run = Run::new(foreign(), Options::default());
    let record = ended(run.process());
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(run.world.borrow().tree, ["0004", "0008"], "those before it stay");
    let row = |id: &str| record.rows.iter().find(|row| row.id == id).unwrap();
    assert_eq!(row("2.2").verdict, Some(Verdict::Pass));
    assert_eq!(row("2.3").verdict, Some(Verdict::DoesNotApply));
    assert!(row("2.3").reasons[0].contains("0009 is made for another tree"));
    let told = row("0").facts.join("\n");
    assert!(told.contains("0009 is made for another tree"), "{told}");
    let expected = left(&run, &record);
    let instants = run.world.borrow().instant;
    for kill in 1..=instants {
        let run = Run::new(foreign(), Options::default());
        let record = to_its_end(&run, &[kill]);
        let left = Left {
            // A row that begins again takes the label out first, and deploys nothing here.
            label: expected.label,
            ..left(&run, &record)
        };
        assert_eq!(left, expected, "killed at {kill} of {instants}");
    }
}
