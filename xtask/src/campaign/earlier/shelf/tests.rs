use super::*;
use crate::campaign::journal::past::{self, Begin, Judged, RowBegun, RowEnded, Way};
use crate::campaign::journal::{Event, FILE, Journal};
use crate::campaign::record::RowRecord;
use crate::campaign::verdict::Verdict;

const LOG: &str = "evidence/1.8/serial.log";

fn inputs() -> Vec<Input> {
    vec![Input::new("the build", "a")]
}

fn begin() -> Begin {
    Begin {
        campaign: "c".into(),
        file: "campaigns/c.toml".into(),
        board: "virtual".into(),
        tool: "t".into(),
        options: Options::default(),
        break_with: None,
        kernel: None,
        rows: Vec::new(),
    }
}

/// A run in which the baseline was booted and has this verdict.
fn run(state: &Path, name: &str, verdict: Verdict) -> PathBuf {
    let folder = state.join("runs/c").join(name);
    files::write_atomic(&folder.join(LOG), name.as_bytes()).unwrap();
    let booted = BootedBaseline {
        schema_version: crate::campaign::earlier::SCHEMA_VERSION,
        when: Timestamp::now().to_string(),
        inputs: inputs(),
        evidence: captured(&folder, &folder.join("evidence/1.8")).unwrap(),
        findings: Vec::new(),
    };
    let bytes = serde_json::to_vec(&booted).unwrap();
    files::write_atomic(&folder.join(BOOTED), &bytes).unwrap();
    let mut journal = Journal::open(&folder.join(FILE)).unwrap();
    journal.note(Event::Begin, "", &begin()).unwrap();
    let begun = RowBegun {
        title: String::new(),
        inputs: Vec::new(),
        head: String::new(),
    };
    journal.note(Event::RowBegun, "1.8", &begun).unwrap();
    let judged = Judged {
        verdict,
        reasons: Vec::new(),
        as_declared: false,
        lockdep_off: Vec::new(),
        record: None,
        seen: None,
    };
    let judged = serde_json::to_value(judged).unwrap();
    journal.write(Event::Verdict, "1.8", past::JUDGE, judged).unwrap();
    let ended = RowEnded {
        record: RowRecord::default(),
        way: if verdict == Verdict::Pass {
            Way::Go
        } else {
            Way::Stop
        },
        end: None,
        head: String::new(),
        kept: vec![Kept {
            name: BOOTED.into(),
            sha256: files::sha256(&bytes),
        }],
    };
    journal.note(Event::RowEnded, "1.8", &ended).unwrap();
    folder
}

fn take(state: &Path, inputs: &[Input]) -> (PathBuf, Found) {
    let own = state.join("runs/c/now");
    let shelf = Shelf {
        state,
        campaign: "c",
        board: "virtual",
        row: "1.8",
        own: Some(&own),
    };
    let found = shelf.take(inputs, &own, Timestamp::now()).unwrap();
    (own, found)
}

fn why(found: Found) -> String {
    match found {
        Found::Boot(why) => why,
        Found::Taken(taken) => panic!("{taken:?}"),
    }
}

#[test]
fn the_newest_boot_is_taken_with_its_evidence_and_the_older_ones_are_named() {
    let state = tempfile::tempdir().unwrap();
    run(state.path(), "1", Verdict::Pass);
    run(state.path(), "2", Verdict::Pass);
    let (own, found) = take(state.path(), &inputs());
    let Found::Taken(taken) = found else {
        panic!("{found:?}")
    };
    let runs: Vec<&str> = taken.from.boots.iter().map(|boot| boot.run.as_str()).collect();
    assert_eq!(runs, ["2", "1"]);
    assert_eq!(std::fs::read_to_string(own.join(LOG)).unwrap(), "2");
    let note = std::fs::read_to_string(own.join("evidence/1.8").join(NOTE)).unwrap();
    assert!(note.contains("captured in run 2"), "{note}");
}

#[test]
fn evidence_that_is_gone_or_changed_is_named_and_nothing_is_copied() {
    let state = tempfile::tempdir().unwrap();
    let folder = run(state.path(), "1", Verdict::Pass);
    std::fs::write(folder.join(LOG), "something else").unwrap();
    let (own, found) = take(state.path(), &inputs());
    let said = why(found);
    assert!(said.contains("serial.log was changed"), "{said}");
    std::fs::remove_file(folder.join(LOG)).unwrap();
    let said = why(take(state.path(), &inputs()).1);
    assert!(said.contains("serial.log is gone"), "{said}");
    assert!(!own.join("evidence/1.8").exists());
    std::fs::write(folder.join(BOOTED), "{}").unwrap();
    let said = why(take(state.path(), &inputs()).1);
    assert!(said.contains("is not what the run's journal says"), "{said}");
}

#[test]
fn a_failure_since_and_another_build_are_reasons_to_boot() {
    let state = tempfile::tempdir().unwrap();
    run(state.path(), "1", Verdict::Pass);
    let other = [Input::new("the build", "b")];
    assert_eq!(
        why(take(state.path(), &other).1),
        "that of run 1 does not count: the build changed"
    );
    run(state.path(), "2", Verdict::Regression);
    assert_eq!(
        why(take(state.path(), &inputs()).1),
        "the debug kernel failed in run 2, its verdict was: regression"
    );
}

#[test]
fn copies_that_an_earlier_attempt_left_are_taken_away_and_what_was_captured_is_not() {
    let state = tempfile::tempdir().unwrap();
    let folder = run(state.path(), "1", Verdict::Pass);
    let (own, _) = take(state.path(), &inputs());
    std::fs::remove_dir_all(&folder).unwrap();
    why(take(state.path(), &inputs()).1);
    assert!(!own.join(LOG).exists(), "a boot begins with an empty folder");
    files::write_atomic(&own.join(LOG), b"captured").unwrap();
    why(take(state.path(), &inputs()).1);
    assert!(own.join(LOG).exists());
}

#[test]
fn a_name_in_a_record_leads_nowhere_else() {
    for name in ["../x", "/etc/passwd", "evidence/../../x", "kept/baseline.json"] {
        assert!(below(Path::new("/run"), name).is_err(), "{name}");
    }
}

#[test]
fn a_plan_says_whether_it_would_be_booted() {
    let state = tempfile::tempdir().unwrap();
    let text = "schema-version = 1\nname = 'c'\ngoal = 'g'\nseries = 's'\n[[step]]\nid = '2.1'\npatch = '1'\nexercise = ['f']\n";
    let campaign = Campaign::parse(text).unwrap();
    let note = |options: &Options| {
        let mut plan = crate::campaign::plan::plan(&campaign, |_| String::new());
        foretell(&mut plan, &campaign, options, state.path(), Ok(Vec::new())).unwrap();
        let row = plan.into_iter().find(|row| row.id == "1.8").unwrap();
        row.note.unwrap()
    };
    assert_eq!(
        note(&Options::default()),
        "it is booted: no earlier run of this campaign has one for this board"
    );
    let fresh = Options {
        fresh_baseline: true,
        ..Options::default()
    };
    assert_eq!(note(&fresh), "it is booted: asked for with --fresh-baseline");
}
