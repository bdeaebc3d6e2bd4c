//! A step that wedges without a word: done again on other kernels, left out.

use super::*;
use crate::campaign::file::OnFailure;

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
