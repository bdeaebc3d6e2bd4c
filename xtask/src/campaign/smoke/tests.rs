use super::super::file::{Frames, TestLog};
use super::*;
use crate::host::process;
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

fn test(run: &str) -> SmokeTest {
    let text = format!("name = \"t\"\nrun = {run:?}\nlimit-s = 2\noutput = {{ file = \"out\", size = 3 }}\n");
    toml::from_str(&text).unwrap()
}

fn plain(run: &str) -> SmokeTest {
    SmokeTest {
        output: None,
        ..test(run)
    }
}

fn run_in(test: &SmokeTest, folder: &Path) -> Look {
    let sh = Shell::new().unwrap();
    let script = script(test, folder.to_str().unwrap(), Hangs::End);
    let finished = process::finish(cmd!(sh, "sh -c {script}"), Duration::from_secs(20)).unwrap();
    assert!(
        finished.status.success(),
        "{}",
        String::from_utf8_lossy(&finished.stderr)
    );
    look(test, 0, &String::from_utf8_lossy(&finished.stdout))
}

fn run(test: &SmokeTest) -> SmokeResult {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out"), "old").unwrap();
    run_in(test, folder.path()).result
}

fn failure(test: &SmokeTest) -> String {
    run(test).failure.expect("it has to fail")
}

#[test]
fn a_right_output_passes() {
    let result = run(&test("echo hello; printf abc > out"));
    assert_eq!(result.failure, None);
    assert_eq!(result.printed, "hello");
    assert_eq!(result.output.unwrap().0, 3);
}

#[test]
fn an_exit_of_0_with_an_empty_output_fails() {
    assert_eq!(failure(&test(": > out")), "out has 0 bytes, expected 3");
    let mut any_size = test(": > out");
    any_size.output.as_mut().unwrap().size = None;
    assert_eq!(failure(&any_size), "out is empty");
}

#[test]
fn a_file_from_an_earlier_run_does_not_count() {
    assert_eq!(failure(&test("true")), "it left no file out");
}

#[test]
fn a_test_that_hangs_is_ended() {
    assert_eq!(failure(&test("sleep 60")), "did not end within 2 s");
}

/// Runs a test that changes the signs of its kernel, and then goes on for a while.
fn on_a_kernel(taint: (u64, u64), hung: (u64, u64), hangs: Hangs) -> SmokeResult {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    for (name, before) in [("taint", taint.0), ("hung", hung.0)] {
        std::fs::write(path(name), format!("{before}\n")).unwrap();
    }
    let mut test = plain(&format!(
        "echo {} >taint; echo {} >hung; sleep 4; echo whole",
        taint.1, hung.1
    ));
    test.limit_s = 60;
    test.teardown = "echo 0 >torn".into();
    let signs = script::Signs {
        taint: &path("taint"),
        hung: &path("hung"),
    };
    let sh = Shell::new().unwrap();
    let script = script::script_with(&test, folder.path().to_str().unwrap(), hangs, &signs);
    let finished = process::finish(cmd!(sh, "sh -c {script}"), Duration::from_secs(30)).unwrap();
    assert!(folder.path().join("torn").exists());
    let seen = look(&test, 0, &String::from_utf8_lossy(&finished.stdout));
    assert_eq!(
        (seen.before.taint, seen.after.taint),
        (Some(taint.0), Some(taint.1))
    );
    assert_eq!(
        seen.result.printed.contains("whole"),
        seen.result.failure.is_none()
    );
    seen.result
}

/// dash's `read` gets one digit of such a file.
#[test]
fn a_number_of_the_kernel_is_read_whole() {
    const REAL: &str = "/proc/sys/kernel/pid_max";
    let number: u64 = std::fs::read_to_string(REAL).unwrap().trim().parse().unwrap();
    assert!(number > 9, "{REAL} has more than one digit");
    let folder = tempfile::tempdir().unwrap();
    let signs = script::Signs {
        taint: REAL,
        hung: REAL,
    };
    let test = plain("true");
    let script = script::script_with(&test, folder.path().to_str().unwrap(), Hangs::End, &signs);
    let sh = Shell::new().unwrap();
    let finished = process::finish(cmd!(sh, "sh -c {script}"), Duration::from_secs(30)).unwrap();
    let seen = look(&test, 0, &String::from_utf8_lossy(&finished.stdout));
    assert_eq!(
        (seen.before.taint, seen.after.taint),
        (Some(number), Some(number))
    );

    let ask = checkers::ASK;
    let asked = process::finish(cmd!(sh, "sh -c {ask}"), Duration::from_secs(30)).unwrap();
    let tainted = std::fs::read_to_string("/proc/sys/kernel/tainted").unwrap();
    let line = format!("taint={}", tainted.trim());
    assert!(asked.text().lines().any(|said| said == line), "{}", asked.text());
}

const DIED: u64 = 1 << 7;
const WARNED: u64 = 1 << 9;

#[test]
fn a_test_on_a_kernel_that_breaks_is_ended_before_its_limit() {
    let died = on_a_kernel((0, DIED | WARNED), (0, 0), Hangs::AreLeft);
    assert_eq!(
        died.failure.unwrap(),
        "it was ended: the kernel died while it ran"
    );
    let hung = on_a_kernel((0, 0), (1, 2), Hangs::End);
    assert!(hung.failure.unwrap().starts_with("it was ended: a task hangs"));
}

#[test]
fn what_was_so_before_and_what_is_no_end_of_a_kernel_ends_no_test() {
    let before = on_a_kernel((DIED, DIED | WARNED), (3, 3), Hangs::End);
    assert_eq!(before.failure, None);
    assert_eq!(on_a_kernel((0, 0), (0, 1), Hangs::AreLeft).failure, None);
}

#[test]
fn a_wrong_hash_fails() {
    let mut test = test("printf abc > out");
    test.output.as_mut().unwrap().sha256 = Some("00".into());
    assert!(failure(&test).contains("expected 00"));
}

#[test]
fn no_number_of_a_file_or_of_a_board_is_added_up_unchecked() {
    let frames = Frames {
        bytes: u64::MAX,
        count: 2,
        distinct: 0,
    };
    assert_eq!(frames.size(), u64::MAX);
    let test = SmokeTest {
        limit_s: u64::MAX,
        ..test("true")
    };
    assert_eq!(longest(&test), u64::MAX);
    // Sizes of an ELF note that reach behind the end of the address space of a 32-bit host.
    let note = [&[0xff; 8][..], &3_u32.to_le_bytes(), b"GNU\0"].concat();
    assert_eq!(crate::board::proof::build_id_of(&note), None);
}

#[test]
fn frames_are_counted_and_have_to_differ() {
    let frames = |run: &str| {
        let mut test = test(run);
        test.output = Some(Output {
            file: "out".into(),
            frames: Some(Frames {
                bytes: 4,
                count: 3,
                distinct: 2,
            }),
            ..Output::default()
        });
        test
    };
    assert_eq!(run(&frames("printf aaaabbbbaaaa > out")).failure, None);
    assert_eq!(
        failure(&frames("printf aaaabbbb > out")),
        "out has 2 frames, expected 3"
    );
    assert_eq!(
        failure(&frames("printf aaaabbbbaa > out")),
        "out has 10 bytes, expected 12"
    );
    assert_eq!(
        failure(&frames("printf aaaaaaaaaaaa > out")),
        "out has 1 different frames, expected at least 2"
    );
}

#[test]
fn what_is_printed_is_looked_at() {
    let mut test = plain("echo frame= 30; echo speed=2x >&2");
    test.prints = vec!["^frame= *30$".into(), "speed=[0-9]+x".into()];
    assert_eq!(run(&test).failure, None);
    test.prints_not = vec!["sp.ed".into()];
    assert!(failure(&test).contains("it printed \"speed=2x\", which `sp.ed` forbids"));
    test.prints = vec!["frame= 31".into()];
    assert!(
        failure(&test).contains("no line that it printed matches `frame= 31`; the last one is \"speed=2x\"")
    );
}

#[test]
fn conditions_stand_around_the_test_and_teardown_is_always_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut test = plain("echo ran >> log");
    test.setup = "echo setup >> log".into();
    test.before = vec!["echo before >> log".into()];
    test.after = vec!["echo after >> log".into()];
    test.teardown = "echo teardown >> log".into();
    assert_eq!(run_in(&test, folder.path()).result.failure, None);
    let log = |folder: &Path| {
        std::fs::read_to_string(folder.join("log"))
            .unwrap()
            .replace('\n', " ")
    };
    assert_eq!(log(folder.path()), "setup before ran after teardown ");

    let folder = tempfile::tempdir().unwrap();
    test.before = vec!["true".into(), "echo no camera; exit 3".into()];
    let result = run_in(&test, folder.path()).result;
    assert_eq!(
        result.failure.unwrap(),
        "the condition before it, `echo no camera; exit 3`, ended with 3: no camera"
    );
    assert_eq!(result.exit, NOT_RUN);
    assert_eq!(
        log(folder.path()),
        "setup teardown ",
        "the test was not run, teardown was"
    );

    let folder = tempfile::tempdir().unwrap();
    test.before.clear();
    test.after = vec!["echo gone; false".into(), "true".into()];
    let failed = run_in(&test, folder.path()).result.failure.unwrap();
    assert_eq!(
        failed,
        "the condition after it, `echo gone; false`, ended with 1: gone"
    );
    assert_eq!(log(folder.path()), "setup ran teardown ");

    test.setup = "echo looking; echo no such device; exit 2".into();
    let result = run_in(&test, folder.path()).result;
    assert_eq!(result.failure.unwrap(), "setup ended with 2: no such device");
    assert_eq!(
        result.printed, "looking\nno such device",
        "what there is to see of a test that was not run"
    );
}

#[test]
fn teardown_is_done_when_the_script_is_ended_from_outside() {
    let sh = Shell::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut test = plain("sleep 1");
    test.teardown = "touch torn".into();
    let script = script(&test, folder.path().to_str().unwrap(), Hangs::End);
    let killed = format!(
        "sh -c {} & sleep 0.3; kill -TERM $!; wait",
        crate::board::quote(&script)
    );
    process::finish(cmd!(sh, "sh -c {killed}"), Duration::from_secs(20)).unwrap();
    assert!(folder.path().join("torn").exists());
}

#[test]
fn kernel_lines_are_expected_and_forbidden() {
    let mut test = plain("true");
    test.log = TestLog {
        expect: vec!["DEC_RDY=1".into()],
        forbid: vec!["is locked".into()],
    };
    let says = |kernel: &str| {
        let answer = format!(
            "lockstep-part facts 6\nrun=0\n\nlockstep-part kernel {}\n{kernel}\nlockstep-part end 0\n",
            kernel.len()
        );
        look(&test, 0, &answer).result.failure
    };
    let mark = "lockstep: smoke test t begins 7 1.2 (is locked, DEC_RDY=1)";
    assert_eq!(says(&format!("{mark}\nrkvdec: DEC_RDY=1\n")), None);
    assert_eq!(says(mark).unwrap(), "the kernel did not say \"DEC_RDY=1\"");
    assert!(
        says(&format!("{mark}\nDEC_RDY=1\nbuffer 3 is locked\n"))
            .unwrap()
            .contains("buffer 3 is locked")
    );
    assert_eq!(says("").unwrap(), "the kernel log of the test could not be read");
}

#[test]
fn the_state_of_the_checkers_comes_with_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let seen = run_in(&plain("true"), folder.path());
    assert!(
        seen.before.taint.is_some(),
        "this machine's kernel has a taint, too"
    );
    assert_eq!(seen.before.taint, seen.after.taint);
}

#[test]
fn an_answer_that_was_cut_off_is_no_pass() {
    let test = plain("true");
    let cut = "lockstep-part facts 6\nrun=0\n";
    assert_eq!(
        look(&test, 0, cut).result.failure.unwrap(),
        "the board's answer is cut off"
    );
}
