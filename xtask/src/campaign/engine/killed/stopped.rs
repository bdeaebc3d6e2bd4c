//! Ctrl-C at every instant: the board rests on vanilla when the run stops, no boot is begun any
//! more, and the same command goes on to the end of a run that was not stopped.

use super::super::simulated::{Process, Run};
use super::{ended, left, no_second_verdict_behind_a_bad_one, to_its_end, world};
use crate::campaign::walk::Options;
use std::num::NonZeroU32;

fn stopped_at_every_instant(fresh: impl Fn() -> Run) {
    let whole = fresh();
    let record = ended(whole.process());
    let expected = left(&whole, &record);
    let instants = whole.world.borrow().instant;
    let boots = whole.world.borrow().boots.len();
    for instant in 1..=instants {
        let run = fresh();
        run.world.borrow_mut().stop_at = Some(instant);
        let record = ended(run.process());
        {
            let world = run.world.borrow();
            assert!(
                world.runs.is_none() && !world.silent,
                "stopped at {instant}: vanilla runs"
            );
            assert!(
                world.boots.len() <= world.boots_at_stop + 1,
                "stopped at {instant}: no boot but the one whose deploy had begun"
            );
        }
        let record = match record.end {
            Some(_) => record,
            None => {
                run.world.borrow_mut().stop_at = None;
                to_its_end(&run, &[])
            }
        };
        assert_eq!(
            left(&run, &record),
            expected,
            "stopped at {instant} of {instants}"
        );
        no_second_verdict_behind_a_bad_one(&run);
        assert_eq!(
            run.world.borrow().boots.len(),
            boots,
            "stopped at {instant}: no boot was wasted"
        );
    }
}

#[test]
fn a_run_that_succeeds_is_stopped_at_every_instant() {
    stopped_at_every_instant(|| Run::new(world(&[]), Options::default()));
}

#[test]
fn a_run_that_finds_a_bad_patch_is_stopped_at_every_instant() {
    stopped_at_every_instant(|| Run::new(world(&["0008"]), Options::default()));
}

#[test]
fn repeated_boots_are_stopped_and_those_that_were_judged_count() {
    let options = Options {
        repeat: NonZeroU32::new(3).unwrap(),
        ..Options::default()
    };
    stopped_at_every_instant(|| Run::new(world(&["0009"]), options.clone()));
}

#[test]
fn a_step_whose_build_has_not_begun_is_stopped_before_it() {
    let run = Run::new(world(&[]), Options::default());
    run.world.borrow_mut().stop_at = Some(1);
    let Process::Ended(record) = run.process() else {
        panic!("it was killed")
    };
    assert_eq!((record.end, run.world.borrow().boots.len()), (None, 0));
    let said = run.world.borrow().said.join("\n");
    assert!(said.contains("as asked"), "{said}");
}
