use super::*;
use serde_json::json;

fn line(event: Event, step: &str, action: &str, detail: Value) -> Line {
    Line {
        schema_version: 2,
        time: format!("2026-11-22T10:00:0{}Z", step.len()),
        event,
        step: step.into(),
        action: action.into(),
        detail,
    }
}

fn begun(step: &str, inputs: &[(&str, &str)]) -> Line {
    let inputs: Vec<Input> = inputs.iter().map(|(name, hash)| Input::new(name, hash)).collect();
    let begun = RowBegun {
        title: "t".into(),
        inputs,
        head: "h".into(),
    };
    line(Event::RowBegun, step, "", serde_json::to_value(begun).unwrap())
}

fn judged(step: &str, action: &str, verdict: &str) -> Line {
    line(Event::Verdict, step, action, json!({ "verdict": verdict }))
}

#[test]
fn an_intent_that_stands_alone_is_the_open_action() {
    let mut lines = vec![
        begun("2.1", &[]),
        line(Event::Intent, "2.1", "apply", Value::Null),
    ];
    let past = fold(&lines).unwrap();
    assert_eq!(past.open.unwrap().action, "apply");
    assert_eq!(past.current.as_deref(), Some("2.1"));
    lines.push(line(Event::Done, "2.1", "apply", json!("c0ffee")));
    assert!(fold(&lines).unwrap().open.is_none());
}

#[test]
fn what_is_done_ahead_stands_beside_the_action_that_is_open() {
    let mut lines = vec![
        begun("2.1", &[]),
        line(Event::Intent, "2.2", APPLY_AHEAD, Value::Null),
        line(Event::Done, "2.2", APPLY_AHEAD, json!("c0ffee")),
        line(Event::Intent, "2.2", BUILD_AHEAD, Value::Null),
        line(Event::Intent, "2.1", "deploy", Value::Null),
    ];
    let past = fold(&lines).unwrap();
    assert_eq!(past.open.unwrap().action, "deploy");
    assert_eq!(past.ahead.as_deref(), Some("2.2"));
    let taken = begun("2.2", &[]);
    assert_eq!(fold(&[&lines[..], &[taken]].concat()).unwrap().ahead, None);
    lines.push(line(Event::Intent, "2.1", DROP_AHEAD, Value::Null));
    assert_eq!(fold(&lines).unwrap().ahead.as_deref(), Some("2.2"));
    lines.push(line(Event::Done, "2.1", DROP_AHEAD, json!(1)));
    assert_eq!(fold(&lines).unwrap().ahead, None);
}

#[test]
fn between_the_boot_and_the_way_back_the_board_may_run_our_label() {
    let mut lines = vec![line(Event::Intent, "2.1", BOOT_ONCE, Value::Null)];
    assert_eq!(fold(&lines).unwrap().left, Left::MaybeOurs);
    let fell_back = json!({ "outcome": { "fell-back-to-vanilla": {} } });
    lines.push(line(Event::Done, "2.1", BOOT_ONCE, fell_back));
    assert_eq!(fold(&lines).unwrap().left, Left::OnVanilla);
    lines[1].detail = json!({ "outcome": { "booted": {} } });
    assert_eq!(fold(&lines).unwrap().left, Left::MaybeOurs);
    lines.push(line(Event::Failed, "2.1", BOOT_VANILLA, "no".into()));
    assert_eq!(fold(&lines).unwrap().left, Left::MaybeOurs);
    lines.push(line(
        Event::Done,
        "2.1",
        BOOT_VANILLA,
        json!({ "outcome": { "booted": {} } }),
    ));
    assert_eq!(fold(&lines).unwrap().left, Left::OnVanilla);
}

#[test]
fn a_failing_verdict_stands_until_a_person_overrules_it_and_a_pass_does_not() {
    let mut lines = vec![begun("2.2", &[]), judged("2.2", JUDGE, "regression")];
    let past = fold(&lines).unwrap();
    assert!(past.row("2.2").unwrap().standing_failure().is_some());
    assert!(!past.row("2.2").unwrap().counts_as_done());
    let word = json!({ "verdict": "pass", "by": "Ann", "why": "known", "time": "t" });
    lines.push(line(Event::Overruled, "2.2", "", word));
    let past = fold(&lines).unwrap();
    assert!(past.row("2.2").unwrap().standing_failure().is_none());
    assert!(past.row("2.2").unwrap().counts_as_done());
    let past = fold(&[begun("2.2", &[]), judged("2.2", JUDGE, "pass")]).unwrap();
    assert!(past.row("2.2").unwrap().standing_failure().is_none());
    assert!(!past.row("2.2").unwrap().counts_as_done());
}

#[test]
fn single_boots_count_again_when_the_row_begins_anew_with_the_same_inputs_only() {
    let one = [("patch 0004", "aa")];
    let lines = [
        begun("2.1", &one),
        judged("2.1", ATTEMPT, "regression"),
        begun("2.1", &one),
    ];
    assert_eq!(fold(&lines).unwrap().rows[0].attempts.len(), 1);
    let changed = begun("2.1", &[("patch 0004", "bb")]);
    let lines = [lines[0].clone(), lines[1].clone(), changed];
    assert!(fold(&lines).unwrap().rows[0].attempts.is_empty());
}

#[test]
fn a_detail_that_is_not_what_its_event_promises_is_an_error() {
    let error = format!("{:#}", fold(&[line(Event::End, "", "", json!(7))]).unwrap_err());
    assert!(error.contains("in entry 1 (End)"), "{error}");
}
