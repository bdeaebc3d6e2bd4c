//! The ends of simulated runs, as whoever ran them reads of them: on the terminal, in each report,
//! and what comes next.

use super::simulated::{Process, Run, World};
use crate::campaign::file::OnFailure;
use crate::campaign::record::{End, RunRecord};
use crate::campaign::report::gather::Material;
use crate::campaign::report::{closing, ends, html, issue, junit, markdown, summary};
use crate::campaign::walk::Options;

fn ended(run: &Run) -> RunRecord {
    match run.process() {
        Process::Ended(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn world(bad: &[&'static str]) -> World {
    World {
        bad: bad.to_vec(),
        reviewed: true,
        ..World::default()
    }
}

fn material(record: &RunRecord) -> Material {
    Material {
        record: record.clone(),
        attempt: 1,
        captured: Vec::new(),
    }
}

fn next(record: &RunRecord) -> Vec<String> {
    ends::next(record).iter().map(ToString::to_string).collect()
}

fn without(patch: &str) -> Options {
    Options {
        without: vec![patch.into()],
        ..Options::default()
    }
}

#[test]
fn a_run_that_goes_on_without_a_patch_names_every_step_that_failed() {
    let first = Run::new(world(&["0008", "0005"]), Options::default());
    let record = ended(&first);
    assert_eq!(record.end, Some(End::PartialSuccess));
    assert_eq!(
        next(&record),
        [
            "mend the patch 0008, then `cargo xtask resume` tests it again",
            "`cargo xtask resume --continue-without 0008` goes on with the rest, as a control",
            "`cargo xtask report --format issue` prints a mail for the people who know the code",
        ]
    );
    let mut rest = Run::new(World::default(), without("0008"));
    rest.world = first.world.clone();
    let record = ended(&rest);
    let failed: Vec<&str> = ends::failed(&record).iter().map(|row| row.id.as_str()).collect();
    assert_eq!(failed, ["2.2", "2.4"]);
    assert_eq!(
        next(&record)[1],
        "`cargo xtask resume --continue-without 0005` goes on with the rest, as a control"
    );
    let text = closing::page(&material(&record));
    for words in [
        "Failed: step 2.2 (0008), step 2.4 (0005). Each of these patches was taken back",
        ") failed, and the campaign went on without it: smoke test failed.**\n\n- stream: exit 1, expected 0\n",
        ") stopped the campaign: smoke test failed.**\n\n- stream: exit 1, expected 0\n",
        "## What failed tests printed in step 2.2\n\nstream printed:\n\n    streaming\n    it is bad\n",
        "## What failed tests printed in step 2.4\n",
        "- `cargo xtask resume --continue-without 0005`",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn steps_that_ask_to_be_left_out_are_all_named_at_the_end() {
    let mut run = Run::new(world(&["0008", "0009"]), Options::default());
    for step in &mut run.campaign.steps {
        step.on_failure = OnFailure::ContinueWithout;
    }
    let record = ended(&run);
    let named: Vec<(&str, bool)> = ends::failed(&record)
        .iter()
        .map(|row| (row.id.as_str(), row.left_out))
        .collect();
    assert_eq!(named, [("2.2", true), ("2.3", true)]);
    assert_eq!(
        next(&record)[0],
        "mend 0008, 0009, then `cargo xtask bisect-apply campaigns/rehearsal.toml` begins again"
    );
    assert!(
        next(&record)
            .iter()
            .all(|next| !next.contains("--continue-without"))
    );
}

#[test]
fn what_a_failed_test_printed_is_on_the_terminal_and_in_each_report() {
    let run = Run::new(world(&["0008"]), Options::default());
    let record = ended(&run);
    let material = material(&record);
    let terminal = run.world.borrow().said.join("\n");
    assert!(
        terminal.contains("    stream printed:\n      │ streaming\n      │ it is bad"),
        "{terminal}"
    );
    let reports = [
        ("summary", summary(&record).join("\n")),
        ("markdown", markdown::page(&record)),
        ("closing", closing::page(&material)),
        ("html", html::page(&material)),
        ("junit", junit::suite(&record)),
        ("issue", issue::text(&material).unwrap()),
    ];
    for (name, text) in reports {
        assert!(text.contains("it is bad"), "{name}\n{text}");
        assert!(!text.contains('\x1b') && !text.contains("[31m"), "{name}\n{text}");
    }
    assert!(html::page(&material).contains("<details open><summary>What stream printed"));
}

#[test]
fn behind_a_baseline_that_failed_no_patch_is_left_out_and_no_mail_is_written() {
    let run = Run::new(
        World {
            baseline_fails: true,
            ..world(&[])
        },
        Options::default(),
    );
    let record = ended(&run);
    assert_eq!(record.end, Some(End::Failure));
    assert_eq!(
        next(&record),
        ["mend the campaign file, then `cargo xtask bisect-apply campaigns/rehearsal.toml` begins again"]
    );
    assert_eq!(issue::text(&material(&record)), None);
    let text = closing::page(&material(&record));
    assert!(
        text.contains("The debug kernel failed without any patch")
            && text.contains("cannot open /dev/video0"),
        "{text}"
    );
}

#[test]
fn a_patch_that_does_not_apply_is_made_again_and_nobody_upstream_is_written_to() {
    let run = Run::new(
        World {
            unappliable: vec!["0009"],
            ..world(&[])
        },
        Options::default(),
    );
    let record = ended(&run);
    assert_eq!(
        next(&record),
        [
            "make the patch 0009 again on this tree, then `cargo xtask resume` goes on with it",
            "`cargo xtask resume --continue-without 0009` goes on with the rest, as a control",
        ]
    );
    assert_eq!(issue::text(&material(&record)), None);
}
