//! The heart of a board over ssh, for real: OpenSSH's client and server, a server that is frozen in the middle, a serial log that grows.

use crate::loopback;

use crate::bare_board::{BareBoard, FileLine};
use anyhow::Result;
use loopback::Loopback;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::board::heart::rule::{Pace, State};
use xtask::board::heart::{Heart, Stopped};
use xtask::board::ssh_board::SshBoard;
use xtask::board::{Board, InFront};
use xtask::host::process::{BreakOff, BrokenOff, Finished, Input};

/// A board that is to be given up: the rule's times, but for one that answers in a moment. This machine may be busy, so what it has shown to be
/// slow counts as in a campaign.
fn quick() -> Pace {
    Pace {
        every: Duration::from_millis(200),
        held: Duration::from_millis(1500),
        fresh: Duration::from_millis(1500),
        silent: Duration::from_secs(4),
        ..Pace::default()
    }
}

/// A board that is not to be given up: a campaign's own times, with more beats.
fn patient() -> Pace {
    Pace {
        every: Duration::from_millis(200),
        ..Pace::default()
    }
}

const LIMIT: Duration = Duration::from_secs(240);
/// A test that runs until the other thread says so, or its board is gone.
const UNTIL_GO: &str = "while [ -d /tmp ] && [ ! -e /tmp/go ]; do sleep 0.1; done; echo done";

/// A board over ssh whose serial line is a file that the test writes.
struct Lined {
    ssh: SshBoard,
    /// What it has beside that: the line, and the second way over ssh.
    bare: BareBoard,
}

impl InFront for Lined {
    fn behind(&self) -> &dyn Board {
        &self.bare
    }

    fn pass_on(&self, script: &str, input: Input, limit: Duration, break_off: &BreakOff) -> Result<Finished> {
        self.ssh.run_unless(script, input, limit, break_off)
    }
}

struct Bench {
    loopback: Loopback,
    board: Lined,
}

impl Bench {
    fn new() -> Self {
        let loopback = Loopback::start();
        let ssh = loopback.board(&loopback.way("known", "login"));
        let line = loopback.at("serial.log");
        fs::write(
            &line,
            "[    1.000000] a kernel runs\r\nDebian GNU/Linux 12 board ttyS2\r\n\r\nboard login: ",
        )
        .unwrap();
        let mut bare = BareBoard::ampere();
        bare.description = ssh.description().clone();
        bare.second_way = ssh.second_way();
        bare.line = Some(FileLine(line));
        Bench {
            board: Lined { ssh, bare },
            loopback,
        }
    }

    /// Runs a script beside a heart while something else happens; gives its outcome, how long it took, and the heart's end.
    fn beside(&self, script: &str, pace: Pace, meanwhile: impl FnOnce() + Send) -> Ran {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let heart = Heart::begin(&self.board, boot_id.trim(), &self.beats(), pace).unwrap();
        let watching = heart.watching(&self.board);
        let started = Instant::now();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(meanwhile);
            watching.run(script, LIMIT)
        });
        let took = started.elapsed();
        let after = watching.run("true", LIMIT).map(|_| ());
        let (sentence, stopped) = heart.end();
        Ran {
            outcome,
            took,
            after,
            sentence,
            stopped,
            beats: fs::read_to_string(self.beats()).unwrap(),
        }
    }

    fn beats(&self) -> PathBuf {
        self.loopback.at("heartbeat.txt")
    }

    /// What another thread does to the board.
    fn hand(&self) -> Hand {
        Hand {
            server: self.loopback.server(),
            line: self.board.serial().unwrap().log(),
            beats: self.beats(),
            go: self.loopback.local.at("/tmp/go"),
            wedge: self.loopback.at("wedge"),
        }
    }

    /// Connections that were made so far.
    fn connections(&self) -> usize {
        self.loopback.log().matches("Accepted publickey").count()
    }
}

struct Ran {
    outcome: Result<Finished>,
    took: Duration,
    after: Result<()>,
    sentence: String,
    stopped: Option<Stopped>,
    beats: String,
}

/// Processes of ssh that were started in this folder: its clients and the process that holds its connection.
fn clients(folder: &Path) -> Vec<PathBuf> {
    let folder = fs::canonicalize(folder).unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == folder))
        .collect()
}

fn within(mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(90) {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

struct Hand {
    server: u32,
    line: PathBuf,
    beats: PathBuf,
    go: PathBuf,
    wedge: PathBuf,
}

impl Hand {
    /// Sends a signal to the server and to everything that it has started, scripts and all: the board of a loopback server is its processes.
    fn signal(&self, name: &str) {
        let pids = Loopback::processes(self.server);
        assert!(pids.len() > 1, "a server and a session: {pids:?}");
        // One that has just ended is no matter.
        let words = pids.iter().map(u32::to_string);
        drop(Command::new("kill").arg(name).args(words).output());
    }

    /// Waits until the beats say so this many times.
    fn after(&self, words: &str, times: usize) {
        let beats = || fs::read_to_string(&self.beats).unwrap_or_default();
        let said = || beats().matches(words).count() >= times;
        if !within(said) {
            panic!("{words:?} does not come {times} times:\n{}", beats());
        }
    }

    /// Nothing is started there any more.
    fn wedge(&self) {
        fs::write(&self.wedge, "").unwrap();
    }

    /// Lets [`UNTIL_GO`] end.
    fn go(&self) {
        drop(fs::write(&self.go, ""));
    }

    fn shows(&self, text: &str) {
        let mut line = fs::File::options().append(true).open(&self.line).unwrap();
        line.write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Hand {
    /// What is frozen could not be ended with its server, and nothing may outlive the test.
    fn drop(&mut self) {
        let pids = Loopback::processes(self.server);
        let words = pids.iter().map(u32::to_string);
        drop(Command::new("kill").arg("-CONT").args(words).output());
        // What could not start ends at once.
        drop(fs::remove_file(&self.wedge));
        self.go();
    }
}

#[test]
fn a_board_that_lives_is_left_alone_over_one_connection_of_the_hearts_own() {
    let bench = Bench::new();
    let hand = bench.hand();
    let ran = bench.beside(UNTIL_GO, patient(), || {
        hand.after("answered after", 4);
        hand.go();
    });
    assert_eq!(ran.outcome.unwrap().text(), "done");
    ran.after.unwrap();
    assert_eq!(ran.stopped, None, "{}", ran.beats);
    assert!(ran.sentence.contains("beats were answered"), "{}", ran.sentence);
    if !ran.beats.contains("missed") {
        assert_eq!(bench.connections(), 2, "the test's, and the heart's");
    }
    let heart = bench.loopback.at("control/heart");
    assert!(
        within(|| clients(&heart).is_empty()),
        "the heart's connection is let go"
    );
}

#[test]
fn what_runs_on_a_board_that_froze_is_broken_off_and_nothing_is_left_here() {
    let bench = Bench::new();
    let hand = bench.hand();
    let ran = bench.beside(UNTIL_GO, quick(), || {
        hand.after("answered after", 2);
        hand.signal("-STOP");
    });
    let error = ran.outcome.unwrap_err();
    assert!(BrokenOff::is(&error), "{error:#}\n{}", ran.beats);
    assert!(ran.took < LIMIT, "{:?}\n{}", ran.took, ran.beats);
    assert!(
        ran.after.is_err_and(|error| BrokenOff::is(&error)),
        "nothing more is sent there"
    );
    let stopped = ran.stopped.unwrap();
    assert!(
        matches!(stopped.state, State::Wedged { talks: false, .. }),
        "{stopped:?}"
    );
    for words in [
        "the board's heart has stopped: no answer over ssh for",
        "last sign of life over ssh 20",
        "first beat missed 20",
        "declared 20",
    ] {
        assert!(
            stopped.why.contains(words) && format!("{error:#}").contains(words),
            "{words}: {}",
            stopped.why
        );
    }
    assert!(ran.beats.matches("missed (Silent)").count() >= 3, "{}", ran.beats);
    for folder in ["control", "control/heart"] {
        let folder = bench.loopback.at(folder);
        assert!(within(|| clients(&folder).is_empty()), "no ssh is left");
    }
}

/// PID 1 feeds the watchdog, connections are held and answer their own questions, and no program starts: nothing but the heart sees it.
#[test]
fn a_wedge_that_keeps_its_connections_is_seen_all_the_same() {
    let bench = Bench::new();
    let hand = bench.hand();
    let ran = bench.beside(UNTIL_GO, quick(), || {
        hand.after("answered after", 2);
        hand.wedge();
    });
    assert!(BrokenOff::is(&ran.outcome.unwrap_err()), "{}", ran.beats);
    assert!(ran.took < LIMIT, "{:?}\n{}", ran.took, ran.beats);
    let state = ran.stopped.unwrap().state;
    assert!(matches!(state, State::Wedged { .. }), "{state:?}");
}

#[test]
fn a_board_that_is_silent_for_a_while_and_comes_back_is_not_given_up() {
    let bench = Bench::new();
    let hand = bench.hand();
    let ran = bench.beside(UNTIL_GO, patient(), || {
        hand.after("answered after", 2);
        hand.signal("-STOP");
        hand.after("missed (Silent)", 1);
        hand.signal("-CONT");
        hand.after("answered after", 4);
        hand.go();
    });
    assert_eq!(ran.outcome.unwrap().text(), "done", "{}", ran.beats);
    assert_eq!(ran.stopped, None, "{}", ran.beats);
}

#[test]
fn ssh_itself_forgives_ten_seconds_of_silence() {
    let bench = Bench::new();
    let hand = bench.hand();
    bench.board.run("true", LIMIT).unwrap();
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            hand.signal("-STOP");
            std::thread::sleep(Duration::from_secs(10));
            hand.signal("-CONT");
            hand.go();
        });
        bench.board.run(UNTIL_GO, LIMIT)
    });
    assert_eq!(done.unwrap().text(), "done");
}

#[test]
fn a_reset_in_the_middle_is_noticed_at_once() {
    let bench = Bench::new();
    let hand = bench.hand();
    let ran = bench.beside(UNTIL_GO, quick(), || {
        hand.after("answered after", 2);
        hand.signal("-STOP");
        hand.shows("\r\nU-Boot 2024.01 (Jan 01 2024 - 00:00:00 +0000)\r\n");
    });
    assert!(BrokenOff::is(&ran.outcome.unwrap_err()));
    let stopped = ran.stopped.unwrap();
    assert_eq!(
        stopped.state,
        State::Restarted("U-Boot started on the serial line".into()),
        "and not for its silence: {}",
        ran.beats
    );
    assert!(stopped.why.contains("restarted in the middle"), "{}", stopped.why);
}

#[test]
fn the_words_of_a_panic_on_a_board_that_goes_on_are_only_words() {
    let bench = Bench::new();
    let hand = bench.hand();
    let ran = bench.beside(UNTIL_GO, patient(), || {
        hand.after("answered after", 2);
        hand.shows("\r\n[   60.000000] test: Kernel panic - not syncing: not really\r\n");
        hand.after("answered after", 6);
        std::thread::sleep(Duration::from_secs(5));
        hand.go();
    });
    assert_eq!(ran.outcome.unwrap().text(), "done", "{}", ran.beats);
    assert_eq!(ran.stopped, None, "{}", ran.beats);
}
