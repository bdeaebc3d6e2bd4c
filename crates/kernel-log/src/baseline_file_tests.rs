use super::super::{finder, reader};
use super::*;

fn find(lines: &[&str]) -> Vec<Finding> {
    let log: String = lines
        .iter()
        .enumerate()
        .map(|(at, line)| format!("<4>[ {:4}.000000] {line}\n", at * 100))
        .collect();
    finder::find(&reader::read(log.as_bytes()), "serial")
}

const NOISE: &str = "x: clock skew of 17 ms";
const WARN: &str = "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2";
const LOCK: &str = "WARNING: possible recursive locking detected";
const BY: Person = Person {
    why: "a known race of the clock driver",
    by: "Ann Other",
    when: "2026-11-22T18:00:00Z",
};

fn conditions() -> Conditions {
    Conditions::new("menu", &["play".into(), "decode".into()], 600)
}

fn boot(id: &str, lines: &[&str]) -> Boot {
    Boot {
        id: id.into(),
        release: "7.3.4+lockstep".into(),
        when: BY.when.into(),
        findings: find(lines),
    }
}

fn file(boots: &[(&str, &[&str])]) -> BaselineFile {
    let mut file = BaselineFile::new("fences", "ampere");
    for (id, lines) in boots {
        file.record(&conditions(), boot(id, lines));
    }
    file
}

#[test]
fn what_is_written_is_what_was() {
    let mut file = file(&[("1", &[NOISE, WARN])]);
    file.accept(&conditions(), &find(&["y: x"])[0], BY).unwrap();
    assert_eq!(BaselineFile::parse(&file.bytes()), Ok(file));
}

#[test]
fn another_version_and_another_content_are_refused() {
    let mut newer = file(&[]);
    newer.schema_version = 2;
    assert_eq!(
        BaselineFile::parse(&newer.bytes()),
        Err("schema-version is 2, and this program reads 1".into())
    );
    for bytes in [
        "",
        "{}",
        "[]",
        "{\"schema-version\": 1}",
        "{\"schema-version\": 1, \"x\": 2}",
    ] {
        assert!(BaselineFile::parse(bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn it_counts_only_under_the_same_conditions() {
    let file = file(&[("1", &[NOISE])]);
    assert!(file.why_none(&conditions()).is_none());
    // The order of tests is no condition.
    assert!(
        file.under(&Conditions::new("menu", &["decode".into(), "play".into()], 600))
            .is_some()
    );
    for (other, said) in [
        (
            Conditions::new("kexec", &conditions().tests, 600),
            "boot method menu and not kexec",
        ),
        (
            Conditions::new("menu", &["play".into()], 600),
            "tests decode, play and not play",
        ),
        (
            Conditions::new("menu", &conditions().tests, 900),
            "600 s of soak and not 900 s",
        ),
    ] {
        assert!(file.under(&other).is_none());
        assert_eq!(
            file.why_none(&other),
            Some(format!("no baseline counts here: one was made with {said}"))
        );
    }
    let empty = BaselineFile::new("fences", "ampere");
    assert_eq!(
        empty.why_none(&conditions()),
        Some("there is no baseline of fences on ampere".into())
    );
}

#[test]
fn several_boots_are_one_baseline_and_the_loudest_counts() {
    let file = file(&[("1", &[NOISE]), ("2", &[NOISE, NOISE, WARN]), ("1", &[NOISE])]);
    let recorded = file.under(&conditions()).unwrap();
    assert_eq!(recorded.boots.len(), 2);
    let table = recorded.table();
    assert_eq!(table[0].severity, Severity::Error);
    let noise = table
        .iter()
        .find(|row| row.severity == Severity::Warning)
        .unwrap();
    assert_eq!((noise.boots, noise.loudest), (2, 2));
    assert!(recorded.compare(&find(&[NOISE, WARN])).is_clean());
    assert!(recorded.compare(&find(&[NOISE; 8])).is_clean());
    assert_eq!(recorded.compare(&find(&[NOISE; 9])).more_frequent.len(), 1);
    assert_eq!(recorded.compare(&[]).gone.len(), 2);
}

#[test]
fn what_a_person_accepted_is_known_and_stays_visible() {
    let mut file = file(&[("1", &[NOISE])]);
    let now = find(&[NOISE, WARN]);
    assert_eq!(file.under(&conditions()).unwrap().compare(&now).new.len(), 1);
    let new = now
        .iter()
        .find(|finding| finding.severity == Severity::Error)
        .unwrap();
    file.accept(&conditions(), new, BY).unwrap();
    let recorded = file.under(&conditions()).unwrap();
    let comparison = recorded.compare(&now);
    assert!(comparison.is_clean());
    assert_eq!(comparison.known.len(), 2);
    assert_eq!(recorded.acceptance(&Signature::of(new)).unwrap().by, "Ann Other");
    // Under other conditions nobody has accepted it.
    assert!(file.under(&Conditions::new("menu", &[], 600)).is_none());
}

#[test]
fn what_switches_lockdep_off_is_never_accepted() {
    let mut file = file(&[("1", &[LOCK])]);
    let now = find(&[LOCK]);
    assert_eq!(file.accept(&conditions(), &now[0], BY), Err(Refusal::LockdepOff));
    assert!(file.under(&conditions()).unwrap().accepted.is_empty());
    assert_eq!(file.under(&conditions()).unwrap().compare(&now).new.len(), 1);
    // Nor when the same title was accepted from a log in which it left lockdep on.
    let mut harmless = now[0].clone();
    harmless.lockdep_off = false;
    assert_eq!(
        file.accept(&conditions(), &harmless, BY),
        Err(Refusal::NothingToKnowItBy)
    );
    let mut now = now;
    now[0].function = Some("f".into());
    harmless.function = Some("f".into());
    file.accept(&conditions(), &harmless, BY).unwrap();
    assert_eq!(file.under(&conditions()).unwrap().compare(&now).new.len(), 1);
}

#[test]
fn nobody_accepts_without_a_name_and_a_reason() {
    let mut file = file(&[]);
    let found = &find(&[WARN])[0];
    assert_eq!(
        file.accept(&conditions(), found, Person { why: " ", ..BY }),
        Err(Refusal::NoReason)
    );
    assert_eq!(
        file.accept(&conditions(), found, Person { by: "", ..BY }),
        Err(Refusal::NoName)
    );
}

#[test]
fn an_id_is_short_and_the_same_in_another_run() {
    let one = Signature::of(&find(&[NOISE])[0]);
    let other = Signature::of(&find(&["x: clock skew of 3 ms"])[0]);
    assert_eq!(id(&one), id(&other));
    assert_eq!(id(&one).len(), 8);
    assert_ne!(id(&one), id(&Signature::of(&find(&[WARN])[0])));
}
