//! What is expected of a step's tests where patches before it were left out. The file says of each step what its tests come to with all patches
//! before it; where one of them changed that and is not there, the tests come to what they came to before it.

use super::file::{Campaign, Step};
use std::collections::BTreeMap;

/// Exit status that passes of every smoke test behind the first `steps` steps, without those that `is_left_out`.
fn exits(campaign: &Campaign, steps: usize, is_left_out: impl Fn(&Step) -> bool) -> BTreeMap<String, i32> {
    let of_test = |test: &super::file::SmokeTest| {
        let named = |exits: &BTreeMap<String, i32>| exits.get(&test.name).copied().unwrap_or(test.exit);
        let mut before = named(&campaign.baseline.exit);
        let mut expected = before;
        for step in campaign.steps.iter().take(steps) {
            let own = named(&step.exit);
            if own != before && !is_left_out(step) {
                expected = own;
            }
            before = own;
        }
        (test.name.clone(), expected)
    };
    campaign.smoke_tests.iter().map(of_test).collect()
}

/// The step with what is expected of its tests without the patches that `is_left_out`; as it is, where that changes nothing for it: its verdict
/// of an earlier process stands then. So is a step that is not of this campaign.
pub fn expected(campaign: &Campaign, step: &Step, is_left_out: impl Fn(&Step) -> bool) -> Step {
    let at = campaign.steps.iter().position(|known| known.id == step.id);
    let Some(at) = at else { return step.clone() };
    let with_all = exits(campaign, at.saturating_add(1), |_| false);
    let mut step = step.clone();
    step.smoke = tests_without(campaign, &step, &is_left_out);
    let without = exits(campaign, at.saturating_add(1), is_left_out).into_iter();
    step.exit
        .extend(without.filter(|(test, exit)| with_all.get(test) != Some(exit)));
    step
}

/// The tests of a step without those that begin with a step whose patch is not there: what they
/// need is not there either.
fn tests_without(campaign: &Campaign, step: &Step, is_missing: impl Fn(&Step) -> bool) -> Vec<String> {
    let needs_missing = |name: &String| {
        let test = campaign.smoke_tests.iter().find(|test| test.name == *name);
        let from = test.and_then(|test| test.from.as_ref());
        from.is_some_and(|from| {
            campaign
                .steps
                .iter()
                .any(|step| step.id == *from && is_missing(step))
        })
    };
    let kept = step.smoke.iter().filter(|name| !needs_missing(name));
    kept.cloned().collect()
}

/// The step as it is asked of a kernel without its patch: the same tests and soak, with the results that they had before it.
pub fn before(campaign: &Campaign, step: &Step, is_left_out: impl Fn(&Step) -> bool) -> Step {
    let at = campaign.steps.iter().position(|known| known.id == step.id);
    let smoke = tests_without(campaign, step, |known| known.id == step.id || is_left_out(known));
    Step {
        smoke,
        exit: exits(campaign, at.unwrap_or(0), is_left_out),
        exercise: Vec::new(),
        tamper: None,
        ..step.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn campaign() -> Campaign {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns/rehearsal.toml");
        Campaign::load(&path).unwrap()
    }

    fn fences(step: &Step) -> [i32; 2] {
        ["vim2m-fence", "vicodec-fence"].map(|name| step.exit.get(name).copied().unwrap_or(0))
    }

    #[test]
    fn a_test_comes_to_what_it_came_to_before_a_patch_that_is_not_there() {
        let campaign = campaign();
        let without = |left_out: &'static str| {
            let of = |step| fences(&expected(&campaign, step, |step| step.patch == left_out));
            campaign.steps.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(without("none"), [[1, 1], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]);
        // 0008 gives vim2m its fence, 0009 gives vicodec its own. The left-out step itself is not booted.
        assert_eq!(without("0008")[2..], [[1, 0]; 4]);
        assert_eq!(without("0009")[3..], [[0, 1]; 3]);
        assert_eq!(without("0005")[4..], [[0, 0]; 2]);
    }

    #[test]
    fn a_step_that_a_left_out_patch_changes_nothing_for_is_as_it_is() {
        let campaign = campaign();
        let unchanged = |left_out: &str| -> Vec<bool> {
            let is_the_same = |step| expected(&campaign, step, |step| step.patch == left_out) == *step;
            campaign.steps.iter().map(is_the_same).collect()
        };
        assert_eq!(unchanged("0005"), [true; 6]);
        // Those before it, whose verdicts stand when a run goes on without it.
        assert!(unchanged("0008")[0] && !unchanged("0008")[2]);
        assert_eq!(unchanged("0009")[..2], [true; 2]);
    }

    #[test]
    fn a_test_that_begins_with_a_patch_is_not_run_without_it() {
        let mut campaign = campaign();
        campaign.smoke_tests[1].from = Some("2.2".into());
        let name = campaign.smoke_tests[1].name.clone();
        campaign.steps[2].smoke = vec![name.clone(), "vim2m-fence".into()];
        campaign.steps[1].smoke = vec![name.clone()];
        assert!(
            campaign
                .tests_of_baseline()
                .tests
                .iter()
                .all(|(test, _)| test.name != name)
        );
        let third = &campaign.steps[2];
        assert_eq!(
            expected(&campaign, third, |step| step.id == "2.2").smoke,
            ["vim2m-fence"]
        );
        assert_eq!(
            expected(&campaign, third, |step| step.id == "2.1").smoke,
            third.smoke
        );
        assert!(before(&campaign, &campaign.steps[1], |_| false).smoke.is_empty());
        assert_eq!(before(&campaign, third, |_| false).smoke, third.smoke);
    }

    #[test]
    fn before_a_step_its_tests_come_to_what_the_step_before_it_says() {
        let campaign = campaign();
        let of = |at: usize| fences(&before(&campaign, &campaign.steps[at], |_| false));
        assert_eq!([of(0), of(1), of(2)], [[1, 1], [1, 1], [0, 1]]);
        assert_eq!(
            fences(&before(&campaign, &campaign.steps[2], |step| step.patch == "0008")),
            [1, 1],
            "and not what a patch brought that is not there"
        );
    }
}
