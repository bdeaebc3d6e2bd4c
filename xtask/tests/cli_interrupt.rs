//! Signals, and one board for two commands: the real tool, with an `ssh` that takes its time.

use crate::fake_ssh;
use crate::small_series;

use fake_ssh::{FakeSsh, text};
use rustix::process::{Pid, Signal, kill_process};
use small_series::Rig;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};
use xtask::host::interrupt::{Answers, Screen, Successor, Watch, guarded};
use xtask::host::process;

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

/// Waits until the tool has said this; gives all that it said until then.
fn wait_for_words(child: &mut Child, words: &str) -> String {
    let mut said = Vec::new();
    let stderr = child.stderr.as_mut().unwrap();
    while !String::from_utf8_lossy(&said).contains(words) {
        let mut byte = [0];
        let read = std::io::Read::read(stderr, &mut byte).unwrap();
        assert!(
            read > 0,
            "it never said `{words}`: {}",
            String::from_utf8_lossy(&said)
        );
        said.extend(byte);
    }
    String::from_utf8(said).unwrap()
}

const ASKS_TWICE: [&str; 4] = ["board", "status", "--board", "ampere"];

#[test]
fn the_first_signal_waits_for_the_program_that_runs_and_starts_no_other() {
    for first in [Signal::INT, Signal::TERM, Signal::HUP] {
        let fake = FakeSsh::new();
        fake.slow();
        let mut child = fake.at_work("cache", &ASKS_TWICE);
        signal(&child, first);
        wait_for_words(&mut child, "stopping when this has ended: `ssh …`");
        fake.go_on();
        let output = child.wait_with_output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(130), "{first:?}: {said}");
        assert_eq!(fake.log(), "begun\ndone\n", "{first:?}: {said}");
        assert!(said.contains("stopped as asked, before `ssh …`"), "{said}");
    }
    // The counter-check: without a signal it asks again.
    let fake = FakeSsh::new();
    fake.xtask("cache", &ASKS_TWICE).output().unwrap();
    assert!(fake.log().starts_with("begun\ndone\nbegun"), "{}", fake.log());
}

#[test]
fn the_second_signal_ends_the_program_that_runs_and_says_so() {
    for second in [Signal::INT, Signal::TERM] {
        let fake = FakeSsh::new();
        fake.slow();
        let mut child = fake.at_work("cache", &ASKS_TWICE);
        signal(&child, Signal::INT);
        wait_for_words(&mut child, "stopping when this has ended: `ssh …`");
        signal(&child, second);
        // Nothing lets the program go on: the tool comes back because it has ended it.
        let output = child.wait_with_output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("ended before it was done: `ssh …`"), "{said}");
        fake.waits_for_its_end().unwrap();
        assert_eq!(fake.log(), "begun\n", "it was left at work: {said}");
    }
}

#[test]
fn a_program_ends_with_a_tool_that_is_killed() {
    let fake = FakeSsh::new();
    fake.slow();
    let mut child = fake.at_work("cache", &ASKS_TWICE);
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    fake.waits_for_its_end().unwrap();
    assert_eq!(fake.log(), "begun\n", "it was left at work");
}

#[test]
fn what_a_killed_command_left_is_removed_by_the_next_one() {
    let rig = Rig::new();
    let (programs, temporary) = (rig.path("programs"), rig.path("tmp"));
    for folder in [&programs, &temporary] {
        std::fs::create_dir(folder).unwrap();
    }
    let git = which::which("git").unwrap();
    let killer = programs.join("git");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" am \"*) kill -9 $PPID; exit 1 ;; esac\nexec {} \"$@\"\n",
        git.display()
    );
    std::fs::write(&killer, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&killer, executable).unwrap();
    let left = || {
        let folders = std::fs::read_dir(&temporary).unwrap();
        let below = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        below.count()
    };
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let apply = || {
        let mut command = rig.on_tree(&["apply", "4"]);
        command.env("TMPDIR", &temporary);
        command
    };
    let killed = apply().env("PATH", path).output().unwrap();
    assert!(
        !killed.status.success() && killed.status.code().is_none(),
        "{killed:?}"
    );
    assert_eq!(left(), 1, "the counter-check");
    apply().assert().success();
    assert_eq!(left(), 0);
}

#[test]
fn every_verb_that_a_board_would_notice_is_refused_while_another_works_on_the_machine() {
    let mut fake = FakeSsh::new();
    fake.slow();
    fake.one_machine(&["ampere", "other-name"]);
    let other = fake.board_file("other-name");
    let stranger = fake.board_file("stranger");
    let mut holder = fake.at_work(
        "cache",
        &["preflight", "--board", "ampere", "--campaign", "none-x"],
    );
    fake.quick();
    let verbs: [&[&str]; 7] = [
        &["board", "reset"],
        &["board", "sysrq", "w"],
        &["board", "netconsole"],
        &["preflight"],
        &["rollback", "--campaign", "none-x"],
        &["rollback", "--campaign", "none-x", "--offline", "/nonexistent"],
        &["harvest", "--clear", "--to", "/nonexistent/x"],
    ];
    // Another user of this host, who has the board in a file of another name.
    for verb in verbs {
        let words = [verb, &["--board", &other, "--yes"][..]].concat();
        let said = fake.said("another-cache", &words, 1);
        for part in [
            format!("process {} of user", holder.id()),
            "(`preflight --board ampere --campaign none-x`) since 2".into(),
            "as board `ampere`, campaign none-x".into(),
            "by its ssh host key (ssh-ed25519".into(),
        ] {
            assert!(said.contains(&part), "{verb:?}: {part}: {said}");
        }
    }
    // The same address, from another checkout's cache.
    let said = fake.said(
        "another-cache",
        &["board", "reset", "--board", "ampere", "--yes"],
        1,
    );
    assert!(
        said.contains("taking board `ampere` for this command: it is in use"),
        "{said}"
    );
    // Another machine is not refused, and who only looks is not either.
    let said = fake.said(
        "another-cache",
        &["board", "reset", "--board", &stranger, "--yes"],
        1,
    );
    assert!(said.contains("has no reset command"), "{said}");
    let said = fake.said("another-cache", &["harvest", "--board", &other, "--dry-run"], 0);
    assert!(!said.contains("in use"), "{said}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    // It is free, and who held it is named.
    let said = fake.said(
        "another-cache",
        &["board", "reset", "--board", &other, "--yes"],
        1,
    );
    assert!(
        said.contains("has no reset command")
            && said.contains("that process has ended without giving it back"),
        "{said}"
    );
}

/// Most memory of any answer, harvest or refusal (kB): the greatest answer is 64 MiB, held as bytes
/// and as text, and the logs of a harvest.
const MOST_MEMORY: u64 = 300 << 10;

/// The most memory that a program had in use (proc_pid_status(5), `VmHWM`), kB, and its exit
/// status.
fn peak(mut child: std::process::Child) -> (u64, Option<i32>) {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let now = std::fs::read_to_string(&status).unwrap_or_default();
        let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(kilobytes.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            return (most, ended.code());
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn no_answer_of_a_board_fills_the_memory_of_this_host() {
    let fake = FakeSsh::new();
    let harvest = fake.at("harvest");
    let verbs: [&[&str]; 4] = [
        &["harvest", "--board", "ampere", "--to", harvest.to_str().unwrap()],
        &["preflight", "--board", "ampere", "--campaign", "none-x", "--yes"],
        &["board", "status", "--board", "ampere"],
        &["board", "netconsole", "--board", "ampere"],
    ];
    // More than is taken; and just less, of what takes most room in print.
    for flood in [
        "yes '[    1.000000] a line of words' | head -c 1000000000",
        "head -c 60000000 /dev/zero",
    ] {
        fake.prints(&format!("case $1 in *'id -u'*) ;; *) {flood} ;; esac"));
        for verb in verbs {
            drop(std::fs::remove_dir_all(&harvest));
            let mut command = fake.xtask("cache", verb);
            let nothing = std::process::Stdio::null;
            command.stdout(nothing()).stderr(nothing());
            let (most, code) = peak(command.spawn().unwrap());
            assert!(most < MOST_MEMORY, "{verb:?}, {flood}: {most} kB");
            assert!(most > 0 && code.is_some(), "{verb:?}, {flood}: {code:?}");
        }
    }
}

/// Where a test's child process says what it does.
const SAYS_TO: &str = "LOCKSTEP_TEST_INTERRUPT";

struct File(PathBuf);

impl Screen for File {
    fn say(&self, text: &str) {
        let line = format!("{}: {text}\n", std::process::id());
        let before = std::fs::read_to_string(&self.0).unwrap_or_default();
        std::fs::write(&self.0, before + &line).unwrap();
    }

    fn leave(&self) {}
}

struct OfATest;

impl Answers for OfATest {
    fn first(&self) -> String {
        "stopping after 2.1".into()
    }

    fn last(&self) -> Option<Successor> {
        let words = ["--exact", "cli_interrupt::a_successor", "--nocapture"];
        Some(Successor {
            start: process::become_again,
            words: words.map(Into::into).to_vec(),
            does: "the board is reset".into(),
        })
    }
}

/// Nothing in a run of all tests: the child of the next one.
#[test]
fn a_watched_process() {
    let Some(file) = std::env::var_os(SAYS_TO) else {
        return;
    };
    let screen = File(file.clone().into());
    screen.say("begun");
    let done = guarded(screen, || {
        let mut watch = Watch::begin();
        watch.answer_with(Arc::new(OfATest));
        let sh = Shell::new().unwrap();
        process::finish(cmd!(sh, "sleep 100"), Duration::from_secs(200)).unwrap();
    });
    File(file.into()).say(&format!("not reached: {done:?}"));
}

/// The same: what that becomes behind the second signal.
#[test]
fn a_successor() {
    if let Some(file) = std::env::var_os(SAYS_TO) {
        File(file.into()).say("the successor is at work");
    }
}

fn until_it_says(file: &Path, words: &str) -> String {
    let started = Instant::now();
    loop {
        let said = std::fs::read_to_string(file).unwrap_or_default();
        if said.contains(words) {
            return said;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{words} in {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_first_signal_is_answered_at_once_and_the_second_one_does_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cli_interrupt::a_watched_process", "--nocapture"])
        .env(SAYS_TO, &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until_it_says(&file, "begun");
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::INT);
    let asked = Instant::now();
    until_it_says(&file, "stopping after 2.1");
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    signal(&child, Signal::INT);
    let said = until_it_says(&file, "the successor is at work");
    assert!(child.wait().unwrap().success());
    let words: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|two| two.1)
        .collect();
    assert_eq!(words[1], "stopping after 2.1");
    assert!(
        words[3].starts_with("ended before it was done: `sleep 100`"),
        "{said}"
    );
    assert_eq!(words[4..], ["the board is reset", "the successor is at work"]);
    let own = format!("{}: ", child.id());
    assert!(
        said.lines().all(|line| line.starts_with(&own)),
        "it keeps its process id: {said}"
    );
}
