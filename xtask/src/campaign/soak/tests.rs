use super::super::file::SmokeTest;
use super::*;
use crate::host::process;
use std::path::Path;
use xshell::{Shell, cmd};

fn test(name: &str, rest: &str) -> SmokeTest {
    toml::from_str(&format!("name = {name:?}\nlimit-s = 2\n{rest}")).unwrap()
}

fn asked(tests: &[SmokeTest], seconds: u64, parallel: bool) -> SoakAsked<'_> {
    SoakAsked {
        tests: tests.iter().map(|test| (test, test.exit)).collect(),
        length: Duration::from_secs(seconds),
        parallel,
    }
}

/// Runs the script of a soak with this machine's shell; gives its lines and what tests printed.
fn run(asked: &SoakAsked, folder: &Path) -> (String, BTreeMap<usize, String>) {
    let (tests, results) = (folder.join("tests"), folder.join("results"));
    std::fs::create_dir_all(&tests).unwrap();
    std::fs::write(tests.join("pushed"), "here").unwrap();
    let paths = Paths {
        tests: tests.to_str().unwrap(),
        results: results.to_str().unwrap(),
        beat_s: 1,
    };
    let script = script(asked, &paths);
    let sh = Shell::new().unwrap();
    let finished = process::finish(cmd!(sh, "sh -c {script}"), Duration::from_secs(30)).unwrap();
    assert!(
        finished.status.success(),
        "{}",
        String::from_utf8_lossy(&finished.stderr)
    );
    let left: Vec<_> = std::fs::read_dir(&tests).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "the workers' folders are gone");
    let printed = (0..asked.tests.len()).map(|index| {
        let failed = std::fs::read_to_string(results.join(format!("{index}.failed")));
        let last = || std::fs::read_to_string(results.join(format!("{index}.printed")));
        (index, failed.or_else(|_| last()).unwrap_or_default())
    });
    (
        std::fs::read_to_string(results.join("lines")).unwrap(),
        printed.collect(),
    )
}

#[test]
fn tests_run_at_once_and_every_iteration_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let tests = [
        test(
            "quick",
            "run = 'cat pushed; printf abc > out; sleep 0.2'\noutput = { file = 'out', size = 3 }",
        ),
        test(
            "other",
            "run = 'printf abcd > out; sleep 0.2'\noutput = { file = 'out', size = 4 }",
        ),
    ];
    let asked = asked(&tests, 2, true);
    let (lines, printed) = run(&asked, folder.path());
    let soaked = read(&asked, &lines);
    assert!(soaked.ended && soaked.memory_mb.is_some(), "{lines}");
    assert!(
        soaked.tests.iter().all(|of| of.runs >= 3 && of.failed == 0),
        "{lines}"
    );
    let results = soaked.results(&asked, &printed);
    assert_eq!(
        (results[0].failure.clone(), results[1].failure.clone()),
        (None, None)
    );
    assert_eq!(
        results[0].printed, "here",
        "pushed files are in each worker's folder"
    );
    assert!(
        soaked.sentence(&asked).contains("at once: quick"),
        "{}",
        soaked.sentence(&asked)
    );
}

#[test]
fn the_first_failure_is_kept_with_its_output_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("n");
    let flaky = format!(
        "run = 'echo x >>{0}; n=$(wc -l <{0}); echo number $n; sleep 0.1; [ $n -ne 2 ] && [ $n -ne 4 ]'",
        mark.display()
    );
    let tests = [test("flaky", &flaky)];
    let asked = asked(&tests, 2, true);
    let (lines, printed) = run(&asked, folder.path());
    let soaked = read(&asked, &lines);
    let of = &soaked.tests[0];
    assert!(of.runs > 4 && of.failed == 2, "{lines}");
    let result = &soaked.results(&asked, &printed)[0];
    assert_eq!(result.printed, "number 2");
    let failure = result.failure.clone().unwrap();
    assert!(
        failure.contains("2 of ") && failure.ends_with("the first was number 2: exit 1, expected 0"),
        "{failure}"
    );
}

#[test]
fn one_after_the_other_with_setup_and_teardown() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let say = |word: &str| format!("echo {word} >>{}", log.display());
    let rest = |name: &str| {
        format!(
            "run = '{}; sleep 0.3'\nsetup = '{}'\nteardown = '{}'",
            say(name),
            say(&format!("setup-{name}")),
            say(&format!("teardown-{name}"))
        )
    };
    let tests = [test("a", &rest("a")), test("b", &rest("b"))];
    let asked = asked(&tests, 2, false);
    let (lines, _) = run(&asked, folder.path());
    assert!(read(&asked, &lines).ended);
    let order = std::fs::read_to_string(log).unwrap().replace('\n', " ");
    assert!(order.starts_with("setup-a setup-b a b "), "{order}");
    assert!(order.ends_with("a b teardown-a teardown-b "), "{order}");
}

#[test]
fn a_setup_that_fails_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tests = [test("a", "run = 'true'\nsetup = 'echo no device; exit 3'")];
    let asked = asked(&tests, 1, true);
    let (lines, printed) = run(&asked, folder.path());
    let soaked = read(&asked, &lines);
    assert_eq!(soaked.tests[0].runs, 0);
    assert_eq!(
        soaked.results(&asked, &printed)[0].failure.as_deref(),
        Some("its setup failed")
    );
}

#[test]
fn lines_are_read_as_far_as_they_are_whole() {
    let tests = [test("a", "run = 'x'\noutput = { file = 'o' }")];
    let asked = asked(&tests, 60, true);
    let lines = "beat 100 800000 45000\nrun 0 1 0 103 7 ab\nrun 9 1 0 103\ngarbage\nbeat 105 700000 51500\nrun 0 2 0 106 0 e3\nrun 0 3 1 1";
    let soaked = read(&asked, lines);
    assert_eq!(
        (soaked.memory_mb, soaked.celsius, soaked.ended),
        (Some(700), Some(51), false)
    );
    assert_eq!((soaked.tests[0].runs, soaked.tests[0].failed), (2, 1));
    assert_eq!(soaked.tests[0].first.clone().unwrap(), (2, "o is empty".into()));
    assert_eq!(soaked.length(), Duration::from_secs(6));
    let cut = read(&asked, "run 0 1 0 103 7 ab\n").results(&asked, &BTreeMap::new());
    assert_eq!(
        cut[0].failure.as_deref(),
        Some("the soak did not come to its end; 1 iteration of it ended")
    );
}
