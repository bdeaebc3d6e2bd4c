use super::*;
use crate::campaign::journal::past::{Judged, RowEnded};
use kernel_log::{finder, reader};

const NOW: &str = "2026-01-02T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn inputs(build: &str) -> Vec<Input> {
    vec![
        Input::new("the build", build),
        Input::new("the boot method", "menu"),
    ]
}

fn booted(when: &str, build: &str) -> BootedBaseline {
    BootedBaseline {
        schema_version: SCHEMA_VERSION,
        when: when.into(),
        inputs: inputs(build),
        evidence: vec![Kept {
            name: "evidence/1.8/serial.log".into(),
            sha256: "00".into(),
        }],
        findings: Vec::new(),
    }
}

fn passed(run: &str, when: &str, build: &str) -> Earlier {
    Earlier {
        run: run.into(),
        since: when.into(),
        said: Said::Passed(Box::new(Passed {
            booted: booted(when, build),
            row: RowRecord::default(),
        })),
    }
}

fn failed(run: &str) -> Earlier {
    Earlier {
        run: run.into(),
        since: String::new(),
        said: Said::Failed("its verdict was: regression".into()),
    }
}

fn why(earlier: &[Earlier]) -> String {
    choose(earlier, &inputs("a"), now()).unwrap_err()
}

#[test]
fn every_boot_of_the_same_build_under_the_same_conditions_counts_the_newest_first() {
    let earlier = [
        passed("3", "2026-01-02T10:00:00Z", "b"),
        passed("2", "2026-01-02T09:00:00Z", "a"),
        passed("1", "2026-01-02T08:00:00Z", "a"),
    ];
    assert_eq!(choose(&earlier, &inputs("a"), now()).unwrap(), [1, 2]);
}

#[test]
fn what_differs_is_named_and_the_kernel_is_booted() {
    assert_eq!(
        why(&[passed("1", "2026-01-02T10:00:00Z", "b")]),
        "that of run 1 does not count: the build changed"
    );
    assert_eq!(why(&[]), "no earlier run of this campaign has one for this board");
    let mut silent = passed("1", "2026-01-02T10:00:00Z", "a");
    if let Said::Passed(passed) = &mut silent.said {
        passed.booted.evidence.clear();
        passed.booted.inputs.push(Input::new("vanilla", "x"));
    }
    assert_eq!(
        why(&[silent]),
        "that of run 1 does not count: vanilla is not used any more; nothing was captured of it"
    );
}

#[test]
fn a_baseline_holds_for_a_day_and_none_is_from_tomorrow() {
    assert!(choose(&[passed("1", "2026-01-01T12:00:00Z", "a")], &inputs("a"), now()).is_ok());
    assert_eq!(
        why(&[passed("1", "2026-01-01T09:59:59Z", "a")]),
        "that of run 1 does not count: it is 26 h old, and one holds for 24 h"
    );
    assert!(why(&[passed("1", "2026-01-03T00:00:00Z", "a")]).contains("clock was changed"));
    assert!(why(&[passed("1", "yesterday", "a")]).contains("is no time"));
}

#[test]
fn a_kernel_that_failed_since_is_booted_again_whatever_passed_before() {
    let good = || passed("1", "2026-01-02T08:00:00Z", "a");
    assert_eq!(
        why(&[failed("2"), good()]),
        "the debug kernel failed in run 2, its verdict was: regression"
    );
    let again = [passed("3", "2026-01-02T10:00:00Z", "a"), failed("2"), good()];
    assert_eq!(
        choose(&again, &inputs("a"), now()).unwrap(),
        [0],
        "what passed before the failure does not count"
    );
    let unread = Earlier {
        said: Said::Unreadable("it is gone".into()),
        ..good()
    };
    assert_eq!(why(&[unread]), "that of run 1 does not count: it is gone");
}

fn row(verdict: Verdict, way: Way) -> PastRow {
    let judged = Judged {
        verdict,
        reasons: Vec::new(),
        as_declared: false,
        lockdep_off: Vec::new(),
        record: None,
        seen: None,
    };
    let ended = RowEnded {
        record: RowRecord::default(),
        way,
        end: None,
        head: String::new(),
        kept: vec![Kept {
            name: BOOTED.into(),
            sha256: "aa".into(),
        }],
    };
    PastRow {
        judged: Some(judged),
        ended: Some(ended),
        ..PastRow::default()
    }
}

#[test]
fn only_a_row_that_was_booted_and_came_to_its_end_is_offered() {
    let pass = row(Verdict::Pass, Way::Go);
    assert!(matches!(offered(&pass), Some(Offered::Passed(..))));
    let mut taken = pass.clone();
    taken.ended.as_mut().unwrap().record.taken_from = Some(TakenFrom { boots: Vec::new() });
    assert!(
        offered(&taken).is_none(),
        "its age is that of the boot, which another run offers"
    );
    let cut_off = PastRow {
        ended: None,
        ..pass.clone()
    };
    assert!(offered(&cut_off).is_none());
    assert!(offered(&PastRow::default()).is_none());
    for bad in [row(Verdict::Regression, Way::Stop), row(Verdict::Pass, Way::Lost)] {
        assert!(matches!(offered(&bad), Some(Offered::Failed(_))), "{bad:?}");
    }
    let mut word = row(Verdict::Regression, Way::Stop);
    word.overruled = Some(crate::campaign::record::Overruled {
        verdict: Verdict::Pass,
        by: "Ann".into(),
        why: "known".into(),
        time: String::new(),
    });
    assert!(
        matches!(offered(&word), Some(Offered::Failed(_))),
        "a person's word is for that run"
    );
}

#[test]
fn a_plan_says_what_is_likely_from_what_it_knows() {
    let earlier = [passed("1", "2026-01-02T10:00:00Z", "a")];
    let known = [Input::new("the boot method", "menu")];
    assert_eq!(
        likely(&earlier, &known, now()).unwrap(),
        "run 1 of 2026-01-02T10:00"
    );
    let other = [Input::new("the boot method", "kexec")];
    assert!(
        likely(&earlier, &other, now())
            .unwrap_err()
            .contains("the boot method changed")
    );
}

#[test]
fn several_boots_are_counted_one_by_one() {
    let log = b"[    1.000000] WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";
    let one = BootedBaseline {
        findings: finder::find(&reader::read(log), "serial"),
        ..booted(NOW, "a")
    };
    let all = joined([&one, &booted(NOW, "a"), &one].into_iter());
    assert_eq!(all.len(), 2);
    assert_ne!(all[0].boot, all[1].boot);
    let loudest = kernel_log::baseline::loudest(&all, &kernel_log::baseline::Signature::of(&all[0]));
    assert_eq!(loudest, 1, "once in each boot");
}
