use super::super::tests::{regression, run};
use super::*;
use crate::campaign::record::PatchRecord;
use crate::campaign::smoke::SmokeResult;

fn row(id: &str, verdict: Option<Verdict>) -> RowRecord {
    RowRecord {
        id: id.into(),
        title: format!("{id} a title"),
        verdict,
        reasons: vec!["why".into()],
        ..RowRecord::default()
    }
}

fn step(id: &str, verdict: Verdict) -> RowRecord {
    RowRecord {
        patch: Some(PatchRecord {
            name: format!("patch-{id}"),
            ..PatchRecord::default()
        }),
        ..row(id, Some(verdict))
    }
}

fn failing(exits: &[i32]) -> RowRecord {
    let test = |exit: &i32| SmokeResult {
        exit: *exit,
        failure: Some("why".into()),
        ..SmokeResult::default()
    };
    RowRecord {
        tests: exits.iter().map(test).collect(),
        ..step("2.1", Verdict::SmokeFailed)
    }
}

#[test]
fn each_verdict_has_its_fault() {
    use Verdict::{
        DeadChecker, DoesNotApply, IncompleteLog, LostConnection, NotExercised, Regression, ReviewMissing,
        SmokeFailed, WrongKernel,
    };
    for (row, fault) in [
        (step("2.1", Verdict::Pass), None),
        (row("1.1", None), Some(Fault::Circumstances)),
        (regression(), Some(Fault::Patch)),
        (step("2.1", LostConnection), Some(Fault::Patch)),
        (step("2.1", WrongKernel), Some(Fault::Circumstances)),
        (step("2.1", IncompleteLog), Some(Fault::Circumstances)),
        (step("2.1", NotExercised), Some(Fault::CampaignFile)),
        (row("2.1", Some(DoesNotApply)), Some(Fault::Series)),
        (row("2.1", Some(ReviewMissing)), Some(Fault::Review)),
        (row("1.3", Some(Regression)), Some(Fault::DebugKernel)),
        (row("1.3", Some(DeadChecker)), Some(Fault::DebugKernel)),
        (row("1.3", Some(SmokeFailed)), Some(Fault::CampaignFile)),
        (failing(&[1]), Some(Fault::Patch)),
        // No such program on the board; its set-up failed.
        (failing(&[127]), Some(Fault::CampaignFile)),
        (failing(&[126, NOT_RUN]), Some(Fault::CampaignFile)),
        (failing(&[127, 1]), Some(Fault::Patch)),
    ] {
        assert_eq!(Fault::of(&row), fault, "{} {:?}", row.id, row.verdict);
    }
    let mut splat = failing(&[127]);
    splat.findings = regression().findings;
    assert_eq!(Fault::of(&splat), Some(Fault::Patch));
}

#[test]
fn what_was_gone_on_with_later_failed_nothing() {
    let mut record = run(vec![row("r1", None), step("2.1", Verdict::Pass)]);
    assert!(failed(&record).is_empty());
    record.rows.push(row("3", None));
    assert_eq!(failed(&record)[0].id, "3");
}

#[test]
fn a_search_names_the_first_bad_patch_alone() {
    let rows = [
        step("s6", Verdict::Regression),
        step("s3", Verdict::Regression),
        step("s1", Verdict::Pass),
    ];
    let record = run(rows.to_vec());
    let ids: Vec<&str> = failed(&record).iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["s3"]);
    let mend = Next::MendPatch("patch-s3".into());
    assert_eq!(next(&record), [mend, Next::Mail]);
}

#[test]
fn a_part_of_a_series_that_passed_names_no_patch_that_was_taken_back() {
    let record = run(vec![step("2.1", Verdict::Pass)]);
    let text = meaning(&record);
    assert!(text.contains("not the whole series was run"), "{text}");
    assert_eq!(next(&record), [Next::History]);
}

#[test]
fn an_end_without_a_verdict_says_how_to_go_on() {
    let mut record = run(vec![step("2.1", Verdict::Pass)]);
    record.end = None;
    assert_eq!(next(&record), [Next::Resume, Next::GiveUp]);
    record.end = Some(End::PersonNeeded);
    assert_eq!(next(&record), [Next::AskStatus]);
    record.rows.push(RowRecord {
        of_patch: Some("0005".into()),
        ..row("2.2", Some(Verdict::ReviewMissing))
    });
    assert_eq!(
        next(&record)[0].to_string(),
        "`cargo xtask review 0005 --approve --by NAME`, then `cargo xtask resume`"
    );
}

#[test]
fn the_last_step_cannot_be_left_out_and_gone_on_without() {
    let mut record = run(vec![step("2.2", Verdict::Regression)]);
    assert!(next(&record).contains(&Next::ContinueWithout("patch-2.2".into())));
    record.planned.clear();
    assert_eq!(next(&record), [Next::MendPatch("patch-2.2".into()), Next::Mail]);
}

/// The board booted something else: there is nothing to mend in the patch.
#[test]
fn a_patch_of_which_nothing_was_shown_is_tested_again_and_not_mended() {
    for verdict in [Verdict::WrongKernel, Verdict::IncompleteLog] {
        let mut record = run(vec![step("2.2", verdict)]);
        record.planned.clear();
        let again = Next::TestAgain("2.2".into(), "campaigns/small.toml".into());
        assert_eq!(next(&record), [again]);
    }
}

#[test]
fn the_campaign_file_is_the_one_that_was_run() {
    let mut record = run(Vec::new());
    assert_eq!(campaign_file(&record), "campaigns/small.toml");
    record.closing.campaign_file = "../mine/first\n.toml".into();
    assert_eq!(campaign_file(&record), "../mine/first\\n.toml");
}
