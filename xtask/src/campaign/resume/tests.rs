use super::*;
use crate::campaign::journal::past::{Begin, Ended, Judged, Open, RowEnded};
use crate::campaign::record::RowRecord;

fn inputs(content: &str) -> Vec<Input> {
    vec![Input::new("patch", content)]
}

fn plan() -> Vec<Row> {
    let row = |id: &str, kind, content: &str| Row {
        id: id.into(),
        kind,
        inputs: inputs(content),
        escalate: Vec::new(),
    };
    vec![
        row("0", Kind::Preflight, "p"),
        row("1.1", Kind::Build, "k"),
        row("1.2", Kind::Baseline, "k"),
        row("2.1", Kind::Patch, "a"),
        row("2.2", Kind::Patch, "b"),
        row("3", Kind::Close, "c"),
    ]
}

fn done(id: &str, content: &str, head: &str) -> PastRow {
    PastRow {
        id: id.into(),
        inputs: inputs(content),
        ended: Some(RowEnded {
            record: RowRecord::default(),
            way: Way::Go,
            end: None,
            head: head.into(),
            kept: Vec::new(),
        }),
        ..PastRow::default()
    }
}

/// Everything up to 2.1 is done, and 2.2 was cut off in its build.
fn past() -> Past {
    Past {
        begin: Some(Begin {
            campaign: "c".into(),
            file: "c.toml".into(),
            board: "b".into(),
            tool: "t".into(),
            options: Default::default(),
            break_with: None,
            kernel: None,
            rows: Vec::new(),
        }),
        rows: vec![
            done("0", "p", "base"),
            done("1.1", "k", "base"),
            done("1.2", "k", "base"),
            done("2.1", "a", "one"),
            PastRow {
                id: "2.2".into(),
                inputs: inputs("b"),
                head: "one".into(),
                ..PastRow::default()
            },
        ],
        current: Some("2.2".into()),
        open: Some(Open {
            step: "2.2".into(),
            action: "build".into(),
            since: "10:00".into(),
        }),
        ..Past::default()
    }
}

fn seen() -> Seen {
    Seen {
        board: BoardSeen::Vanilla,
        label_offered: Some(true),
        stack: ["base", "one", "two"].map(String::from).to_vec(),
        staged: vec!["1.1".into()],
        kept: Vec::new(),
    }
}

fn judged(verdict: Verdict) -> Option<Judged> {
    Some(Judged {
        verdict,
        reasons: Vec::new(),
        as_declared: false,
        lockdep_off: Vec::new(),
        record: None,
        seen: None,
    })
}

fn person(decision: Decision) -> String {
    match decision {
        Decision::Person { what, why } => format!("{what}: {why}"),
        other => panic!("{other:?}"),
    }
}

fn anew(decision: Decision) -> String {
    match decision {
        Decision::Anew { why, .. } => why.join("; "),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_row_that_was_cut_off_is_done_again_behind_what_it_left() {
    let Decision::Go {
        row,
        take_back,
        reapply,
        why,
    } = decide(&plan(), &past(), &seen())
    else {
        panic!()
    };
    assert_eq!((row.as_str(), reapply.len()), ("2.2", 0));
    assert_eq!(take_back.tree_to.as_deref(), Some("one"));
    assert!(take_back.label && take_back.vanilla.is_none());
    assert!(why.contains("cut off in `build`"), "{why}");
}

#[test]
fn a_row_that_was_not_begun_needs_nothing_taken_back() {
    let mut past = past();
    past.rows.pop();
    let mut seen = seen();
    seen.stack.pop();
    let Decision::Go { row, take_back, .. } = decide(&plan(), &past, &seen) else {
        panic!()
    };
    assert_eq!((row.as_str(), take_back), ("2.2", TakeBack::default()));
}

#[test]
fn a_bad_verdict_stands_and_a_pass_whose_row_was_cut_off_does_not() {
    let mut past = past();
    past.rows[4].judged = judged(Verdict::Regression);
    assert!(matches!(decide(&plan(), &past, &seen()), Decision::Finish { row, .. } if row == "2.2"));
    past.rows[4].judged = judged(Verdict::Pass);
    assert!(matches!(decide(&plan(), &past, &seen()), Decision::Go { row, .. } if row == "2.2"));
}

#[test]
fn a_changed_input_of_what_is_done_begins_anew_and_of_what_is_not_goes_on() {
    let mut changed = plan();
    changed[3].inputs = inputs("other");
    assert_eq!(anew(decide(&changed, &past(), &seen())), "patch changed");
    let mut past = past();
    past.rows[4].judged = judged(Verdict::Regression);
    let mut mended = plan();
    mended[4].inputs = inputs("mended");
    assert!(matches!(decide(&mended, &past, &seen()), Decision::Go { row, .. } if row == "2.2"));
}

#[test]
fn what_was_kept_is_compared_by_its_hash() {
    let mut past = past();
    let kept = Kept {
        name: "kept/baseline.json".into(),
        sha256: "aa".into(),
    };
    past.rows[2].ended.as_mut().unwrap().kept.push(kept.clone());
    let mut seen = seen();
    seen.kept.push(Kept {
        sha256: "bb".into(),
        ..kept.clone()
    });
    let why = anew(decide(&plan(), &past, &seen));
    assert!(why.contains("kept/baseline.json, which step 1.2 left"), "{why}");
    seen.kept[0] = kept;
    assert!(matches!(decide(&plan(), &past, &seen), Decision::Go { .. }));
}

#[test]
fn a_baseline_that_is_still_to_be_booted_needs_its_own_build() {
    let mut past = past();
    past.rows.truncate(2);
    let mut seen = seen();
    seen.stack.truncate(1);
    assert!(matches!(decide(&plan(), &past, &seen), Decision::Go { row, .. } if row == "1.2"));
    seen.staged.clear();
    assert!(matches!(decide(&plan(), &past, &seen), Decision::Go { row, .. } if row == "1.1"));
}

#[test]
fn a_board_in_our_kernel_is_rebooted_and_a_silent_one_is_reset_only_where_this_run_left_it_so() {
    let vanilla = |board: BoardSeen, left: Left| {
        let seen = Seen { board, ..seen() };
        decide(&plan(), &Past { left, ..past() }, &seen)
    };
    let reset = |decision: Decision| match decision {
        Decision::Go { take_back, .. } => take_back.vanilla,
        other => panic!("{other:?}"),
    };
    let ours = BoardSeen::Ours { release: "r".into() };
    assert_eq!(reset(vanilla(ours, Left::MaybeOurs)), Some(Reset::Orderly));
    let silent = |has_reset| BoardSeen::Silent { has_reset };
    assert_eq!(reset(vanilla(silent(true), Left::MaybeOurs)), Some(Reset::Hard));
    assert!(person(vanilla(silent(true), Left::OnVanilla)).contains("had left it on vanilla"));
    assert!(person(vanilla(silent(false), Left::MaybeOurs)).contains("reset the board by hand"));
    let other = BoardSeen::Other {
        release: "6.1".into(),
    };
    assert!(person(vanilla(other, Left::OnVanilla)).contains("the board runs 6.1"));
}

#[test]
fn a_tree_that_somebody_else_moved_is_a_person_s() {
    let mut seen = seen();
    seen.stack = ["base", "strange"].map(String::from).to_vec();
    let said = person(decide(&plan(), &past(), &seen));
    assert!(
        said.contains("--anew") && said.contains("somebody else moved it"),
        "{said}"
    );
}

#[test]
fn a_patch_that_a_person_let_pass_is_applied_again_until_a_later_row_has_it() {
    let mut past = past();
    past.rows[3].ended.as_mut().unwrap().way = Way::Stop;
    past.rows[3].ended.as_mut().unwrap().head = "base".into();
    past.rows[3].judged = judged(Verdict::Regression);
    past.rows[3].overruled = Some(crate::campaign::record::Overruled {
        verdict: Verdict::Pass,
        by: "Ann".into(),
        why: "known".into(),
        time: String::new(),
    });
    let Decision::Go {
        row,
        reapply,
        take_back,
        ..
    } = decide(&plan(), &past, &seen())
    else {
        panic!()
    };
    assert_eq!((row.as_str(), reapply), ("2.2", vec!["2.1".to_string()]));
    assert_eq!(take_back.tree_to.as_deref(), Some("base"));
    past.rows[4] = done("2.2", "b", "two");
    assert!(matches!(decide(&plan(), &past, &seen()), Decision::Close { .. }));
}

#[test]
fn a_run_that_is_over_says_what_would_let_it_go_on() {
    let over = |past: &Past| match decide(&plan(), past, &seen()) {
        Decision::Over { why, .. } => why,
        other => panic!("{other:?}"),
    };
    let end = |end| Some(Ended { end, person: None });
    let mut past = past();
    past.rows[4].judged = judged(Verdict::Regression);
    past.end = end(End::PartialSuccess);
    let why = over(&past);
    assert!(
        why.contains("--continue-without 2.2") && why.contains("--overrule pass"),
        "{why}"
    );
    past.end = end(End::Aborted);
    assert!(over(&past).contains("given up"));
    past.end = end(End::Success);
    assert!(over(&past).contains("nothing is left"));
    past.end = end(End::PersonNeeded);
    assert!(matches!(decide(&plan(), &past, &seen()), Decision::Finish { .. }));
}

#[test]
fn a_patch_that_left_the_plan_is_taken_back_and_what_a_person_applied_stays() {
    let close = |past: &Past| {
        let plan: Vec<Row> = plan().into_iter().filter(|row| row.id != "2.2").collect();
        match decide(&plan, past, &seen()) {
            Decision::Close { take_back } => take_back.tree_to,
            other => panic!("{other:?}"),
        }
    };
    // Its row had begun.
    let mut left = past();
    assert_eq!(close(&left).as_deref(), Some("one"));
    // It was applied ahead of its turn.
    left.rows.pop();
    left.ahead = Some("2.2".into());
    assert_eq!(close(&left).as_deref(), Some("one"));
    // Not of this run.
    left.ahead = None;
    assert_eq!(close(&left), None);
}

#[test]
fn a_journal_of_the_first_format_begins_anew() {
    let old = Past {
        begin: None,
        ..past()
    };
    assert!(anew(decide(&plan(), &old, &seen())).contains("older format"));
}
