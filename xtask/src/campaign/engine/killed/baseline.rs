//! The baseline of an earlier run, taken and gone.

use super::*;

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
