use super::*;
use crate::campaign::phase;
use crate::campaign::record::{
    Closing, DecodedFrame, DecodedPlace, FindingRecord, PatchRecord, PlannedRow, SCHEMA_VERSION, SourcePlace,
};
use crate::campaign::smoke::SmokeResult;
use crate::campaign::stopwatch::Span;
use crate::kernel::symbolise::touched::Mark;
use kernel_log::suspect::{Suspect, Why};
use kernel_log::wall::Wall;

/// A run of these rows.
pub fn run(rows: Vec<RowRecord>) -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        campaign: "small".into(),
        goal: "Find out.".into(),
        board: "virtual".into(),
        tree: "7.3.4 at 8e39453d8690".into(),
        release: "7.3.4-lockdep".into(),
        started: "2026-01-01T00:00:00Z".into(),
        end: Some(End::PartialSuccess),
        rows,
        closing: Closing {
            file: "small_close.md".into(),
            ..Closing::default()
        },
        planned: vec![PlannedRow {
            id: "2.3".into(),
            title: "0009 never reached".into(),
        }],
    }
}

/// A step that stopped the campaign with a lock-order inversion in its own function.
pub fn regression() -> RowRecord {
    RowRecord {
        id: "2.2".into(),
        title: "0008 a | b".into(),
        verdict: Some(Verdict::Regression),
        reasons: vec!["lock_a against lock_b".into()],
        started: "2026-01-01T00:01:00Z".into(),
        took_s: 65.0,
        estimated_s: 120.0,
        phases: vec![("build".into(), 20.0), ("boot the debug kernel".into(), 40.0)],
        spans: vec![
            Span {
                phase: "build".into(),
                kind: None,
                from_s: 1.0,
                to_s: 21.0,
            },
            Span {
                phase: phase::BOOT.name.into(),
                kind: Some(phase::BOOT.kind),
                from_s: 22.0,
                to_s: 62.0,
            },
        ],
        patch: Some(PatchRecord {
            name: "0008".into(),
            subject: "media: vim2m: take b".into(),
            commit: "c7cbfd157255405a133bf3ae08b61eaa8ae30ca4".into(),
            sha256: "352c1c".into(),
            author: "A B <a@b.example>".into(),
            files: vec!["drivers/media/test-drivers/vim2m.c".into()],
            functions: vec!["take_b".into()],
            modules: vec!["vim2m".into()],
        }),
        tests: vec![SmokeResult {
            name: "stream".into(),
            run: "set -e\nv4l2-ctl --stream-mmap".into(),
            exit: 0,
            printed: "ok".into(),
            output: Some((12, "ab".repeat(32))),
            failure: None,
        }],
        findings: vec![FindingRecord {
            title: "possible circular locking dependency".into(),
            severity: "error".into(),
            source: "serial".into(),
            time: Some(41_250_000),
            wall: Some(Wall::of_host(1_767_225_702_500_000_000)),
            excerpt: "WARNING: possible circular\n```\nlock_a\nCall trace:\n take_b+0x10/0x20 [vim2m] (P)\n other+0x1/0x2 [vim2m]\n device_run+0x1/0x2".into(),
            decoded: vec![DecodedFrame {
                line: 4,
                frame: "take_b+0x10/0x20".into(),
                places: vec![DecodedPlace::Source(SourcePlace {
                    file: "drivers/media/test-drivers/vim2m.c".into(),
                    line: Some(612),
                    function: "take_b".into(),
                    mark: Some(Mark::Line),
                    code: Some("spin_lock(&ctx->b);".into()),
                    ..SourcePlace::default()
                })],
            }],
            suspect: Some(Suspect {
                function: "take_b".into(),
                module: Some("vim2m".into()),
                file: Some("drivers/media/test-drivers/vim2m.c".into()),
                why: Why::TouchedFunction,
            }),
        }],
        ..RowRecord::default()
    }
}

/// Text that tries to get out of every format.
pub const HOSTILE: &str =
    "</pre><script>alert(1)</script>\x1b[2J\x1b]0;t\x07\u{202e}]]>&\"'`|![x](http://x)\0\u{ffff}<!--";

/// A run in which every text that somebody else wrote is hostile.
pub fn hostile() -> RunRecord {
    let bad = || HOSTILE.to_string();
    let mut row = regression();
    row.title = bad();
    row.reasons = vec![bad()];
    row.facts = vec![bad()];
    row.exercised = vec![(bad(), 1)];
    row.evidence = Some(HOSTILE.into());
    row.phases.push((bad(), 1.0));
    row.spans[0].phase = bad();
    row.tests[0].name = bad();
    row.tests[0].run = bad();
    row.load = vec![bad()];
    row.tests[0].printed = bad();
    row.tests[0].failure = Some(bad());
    row.tests[0].output = Some((1, bad()));
    row.findings[0].title = bad();
    row.findings[0].source = bad();
    row.findings[0].excerpt = format!("{HOSTILE}\n take_b+0x10/0x20 {HOSTILE}\n```\n# x");
    row.findings[0].decoded = vec![DecodedFrame {
        line: 1,
        frame: "take_b+0x10/0x20".into(),
        places: vec![
            DecodedPlace::Source(SourcePlace {
                file: bad(),
                function: bad(),
                code: Some(bad()),
                mark: Some(Mark::Line),
                ..SourcePlace::default()
            }),
            DecodedPlace::Note(bad()),
        ],
    }];
    let patch = row.patch.as_mut().unwrap();
    (patch.name, patch.subject, patch.commit, patch.author) = (bad(), bad(), bad(), bad());
    patch.files = vec![bad()];
    patch.modules = vec![bad()];
    let mut run = run(vec![row]);
    (run.campaign, run.goal, run.board) = (bad(), bad(), bad());
    (run.tree, run.release, run.started) = (bad(), bad(), bad());
    run.planned[0].title = bad();
    run
}

/// No character that a terminal, a browser or an editor obeys instead of showing it.
pub fn check_characters(text: &str) {
    for c in text.chars() {
        let harmless = c == '\n' || c == '\t' || !c.is_control();
        assert!(
            harmless && !crate::host::one_line::is_invisible(c),
            "{c:?} in\n{text}"
        );
    }
}

#[test]
fn not_exercised_is_no_pass_even_where_it_is_declared() {
    let mut row = RowRecord {
        verdict: Some(Verdict::NotExercised),
        as_declared: true,
        ..RowRecord::default()
    };
    assert_eq!(outcome(&row).tone, Tone::Doubt);
    row.as_declared = false;
    assert_eq!(outcome(&row).tone, Tone::Bad);
}

#[test]
fn a_person_s_word_stands_beside_the_original_verdict() {
    let mut row = regression();
    row.overruled = Some(crate::campaign::record::Overruled {
        verdict: Verdict::Pass,
        by: "Dana <b>".into(),
        why: "known".into(),
        time: "2026-01-02T00:00:00Z".into(),
    });
    let run = run(vec![row]);
    assert!(stopped_at(&run).is_none());
    let page = html::page(&Material::of(run.clone(), Path::new("/does/not/exist")));
    let word = "overruled: counts as pass, says Dana &lt;b&gt; (2026-01-02T00:00:00Z): known";
    assert!(
        page.contains(word) && page.contains(">regression</span>"),
        "{page}"
    );
    assert!(markdown::page(&run).contains("overruled: counts as pass, says Dana \\<b>"));
    assert!(junit::suite(&run).contains("<skipped message=\"regression, overruled: counts as pass"));
}

#[test]
fn every_report_of_a_run_is_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = run(vec![regression()]);
    write_all(folder.path(), &record).unwrap();
    for name in [MARKDOWN, HTML, JUNIT, issue::FILE, "small_close.md"] {
        assert!(folder.path().join(name).metadata().unwrap().len() > 100, "{name}");
    }
    let running = tempfile::tempdir().unwrap();
    record.end = None;
    write_all(running.path(), &record).unwrap();
    assert!(
        !running.path().join("small_close.md").exists(),
        "it has not ended"
    );
}

#[test]
fn a_finding_tells_where_and_when_it_was_said() {
    let run = run(vec![regression()]);
    let page = html::page(&Material::of(run.clone(), Path::new("/does/not/exist")));
    for text in [page, markdown::page(&run)] {
        let place = "serial, 41.250000 s, 2026-01-01T00:01:42.500Z by the host";
        assert!(text.contains(place), "{text}");
    }
}

#[test]
fn a_result_of_an_earlier_run_is_told_as_such_everywhere() {
    let from = crate::campaign::record::TakenFrom {
        boots: vec![crate::campaign::record::EarlierBoot {
            run: "20260101T090000".into(),
            when: "2026-01-01T09:00:00Z".into(),
        }],
    };
    let sentence = from.sentence();
    assert_eq!(
        sentence,
        "taken from run 20260101T090000 of 2026-01-01T09:00: same build, same board, same tests; it was not booted in this run"
    );
    let row = RowRecord {
        id: "1.8".into(),
        verdict: Some(Verdict::Pass),
        facts: vec![sentence.clone()],
        taken_from: Some(from),
        ..RowRecord::default()
    };
    let run = run(vec![row]);
    assert!(stopped_at(&run).is_none());
    let told = summary(&run).join("\n");
    assert!(
        told.contains("1.8  pass (taken over)") && told.contains(&sentence),
        "{told}"
    );
    let page = html::page(&Material::of(run.clone(), Path::new("/does/not/exist")));
    for text in [page, markdown::page(&run)] {
        assert!(
            text.contains("pass (taken over)") && text.contains(&sentence),
            "{text}"
        );
    }
    let junit = junit::suite(&run);
    assert!(
        junit.contains(&format!("<skipped message=\"pass (taken over), {sentence}\"/>")),
        "what this run did not boot it did not test: {junit}"
    );
}

#[test]
fn what_is_told_at_the_end_names_what_was_not_reached() {
    let text = summary(&run(vec![regression()])).join("\n");
    assert!(text.contains("2.2  regression"), "{text}");
    assert!(text.contains("Not reached: 2.3."), "{text}");
}
