//! A command over ssh whose board is reset under it, with no heart beside it: OpenSSH's client and server, the sessions of the earlier boot silent as
//! they are behind a reset (no end of the connection comes), and a kernel that says that it is young.

use crate::loopback;

use loopback::Loopback;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::board::ssh::Ssh;
use xtask::host::process::{BreakOff, Input};

/// Less than ssh's own patience, with which it would end, too.
const LIMIT: Duration = Duration::from_secs(80);

struct Bench {
    loopback: Loopback,
    ssh: Ssh,
}

impl Bench {
    fn new() -> Self {
        let loopback = Loopback::start();
        let board = loopback.board(&loopback.way("known", "login"));
        let ssh = board.ssh().clone().looking_every(Duration::from_secs(2));
        ssh.run_with_input("true", &[], LIMIT).unwrap();
        Bench { loopback, ssh }
    }

    /// What another thread does to the board.
    fn hand(&self) -> Hand {
        let [folder, ..] = self.loopback.local.folders();
        Hand {
            server: self.loopback.server(),
            uptime: folder.join("uptime"),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.hand().sessions("-KILL");
    }
}

struct Hand {
    server: u32,
    uptime: PathBuf,
}

impl Hand {
    /// From now on its kernel says that it is up for so long.
    fn up_for(&self, seconds: &str) {
        fs::write(&self.uptime, format!("{seconds} 1.00\n")).unwrap();
    }

    /// A signal to every session, and not to the server, which lets new ones in.
    fn sessions(&self, signal: &str) {
        let pids = Loopback::processes(self.server);
        let words = pids[1..].iter().map(u32::to_string);
        drop(Command::new("kill").arg(signal).args(words).output());
    }
}

#[test]
fn a_board_that_came_back_as_another_boot_ends_what_was_asked_of_the_one_before() {
    let bench = Bench::new();
    let hand = bench.hand();
    let started = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            hand.sessions("-STOP");
            hand.up_for("0.50");
        });
        bench.ssh.run_with_input("sleep 300", &[], LIMIT).unwrap_err()
    });
    let said = format!("{error:#}");
    assert!(
        said.contains("the board has restarted under this command"),
        "{said}"
    );
    assert!(started.elapsed() < LIMIT / 2, "{:?}", started.elapsed());
    // The next command is not sent down the old connection.
    let next = Instant::now();
    assert_eq!(
        bench.ssh.run_with_input("echo back", &[], LIMIT).unwrap().text(),
        "back"
    );
    assert!(next.elapsed() < LIMIT / 2, "{:?}", next.elapsed());
}

#[test]
fn a_board_that_is_silent_and_the_same_is_waited_for() {
    let bench = Bench::new();
    let hand = bench.hand();
    let said = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            hand.sessions("-STOP");
            std::thread::sleep(Duration::from_secs(8));
            hand.sessions("-CONT");
        });
        bench
            .ssh
            .run_with_input("sleep 2; echo done", &[], LIMIT)
            .unwrap()
            .text()
    });
    assert_eq!(said, "done");
}

/// What a clock that was set makes of a connection's age: it looks older than the kernel, and answers all the same.
#[test]
fn a_connection_that_answers_is_none_of_an_earlier_boot() {
    let bench = Bench::new();
    bench.hand().up_for("0.50");
    let said = bench
        .ssh
        .run_with_input("sleep 9; echo done", &[], LIMIT)
        .unwrap()
        .text();
    assert_eq!(said, "done");
    let logins = || bench.loopback.log().matches("Accepted publickey").count();
    let before = logins();
    assert!(before > 2, "it was looked: {before} logins");
    // Where a heart listens nobody else looks.
    let heart = BreakOff::of_a_watch();
    bench
        .ssh
        .run_unless("sleep 5", Input::NOTHING, LIMIT, &heart)
        .unwrap();
    assert_eq!(logins(), before);
}
