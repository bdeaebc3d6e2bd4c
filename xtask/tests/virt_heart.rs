//! The heart of the virtual board, with the times that a campaign uses: left alone under load, a panic noticed in the middle of a command, a network
//! that is gone with a kernel that lives.

use crate::held_lock;

use std::path::Path;
use std::time::{Duration, Instant};
use xtask::board::Board;
use xtask::board::boot::{self, Outcome, Reset};
use xtask::board::heart::rule::{Pace, State};
use xtask::board::heart::{Heart, Stopped};
use xtask::board::protected::Protected;
use xtask::board::virt::VirtualBoard;
use xtask::campaign::said::Said;
use xtask::campaign::wedge;
use xtask::host::folders::Folders;

/// What a smoke test may have, and what was waited for before there was a heart.
const LIMIT: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_secs(60);
/// As a debug kernel is set up, and some lines on the console, which vanilla may keep quiet.
const SET_UP: &str =
    "sysctl -w kernel.sysrq=1 kernel.panic=10 kernel.printk='7 4 1 7'; echo 'lockstep: a line' >/dev/kmsg";

fn open() -> VirtualBoard {
    let folders = Folders::find().unwrap();
    let board = VirtualBoard::open(&folders)
        .expect("the virtual board is made: `cargo xtask board up`")
        .held(held_lock::proof());
    board.up(&folders).unwrap();
    if board.wait_for_ssh(Duration::from_secs(90)).is_err() {
        board.hard_reset().unwrap();
        board.wait_for_ssh(Duration::from_secs(180)).unwrap();
    }
    board
}

/// Runs a script beside a heart: how long it was waited for, what came, the heart's sentence and why it stopped.
fn beside(
    board: &VirtualBoard,
    script: &str,
    folder: &Path,
) -> (Duration, Option<String>, Option<Stopped>, String) {
    board.run(SET_UP, LOOK).unwrap();
    let boot_id = boot::look(board).unwrap().boot_id;
    let log = folder.join("heartbeat.txt");
    let heart = Heart::begin(board, &boot_id, &log, Pace::default()).unwrap();
    let started = Instant::now();
    let outcome = heart.watching(board).run(script, LIMIT);
    let took = started.elapsed();
    let (sentence, stopped) = heart.end();
    let beats = std::fs::read_to_string(log).unwrap();
    eprintln!(
        "after {:.1} s: {sentence}\n{stopped:?}\n{beats}",
        took.as_secs_f64()
    );
    (took, outcome.ok().map(|done| done.text()), stopped, beats)
}

/// Brings it down behind such a heart: the reset that is asked for, and what the report says.
fn way_down(
    board: &VirtualBoard,
    protected: &Protected,
    stopped: &Stopped,
    folder: &Path,
) -> (Option<Reset>, String) {
    let outcome = Outcome::Booted(boot::Answer {
        release: "the debug kernel".into(),
        boot_id: "its own".into(),
        cmdline: String::new(),
        seconds: 0.0,
    });
    let ending = wedge::Ending {
        outcome: &outcome,
        lost: &["it was lost".to_string()],
        stopped: Some(stopped),
    };
    let (mut facts, mut say) = (Vec::new(), |said: Said| eprintln!("{said}"));
    let reset = wedge::way_down(board, protected, &ending, folder, &mut facts, &mut say);
    let facts = facts.join("\n");
    eprintln!("{facts}");
    (reset, facts)
}

/// Eight times as much as its two CPUs can do, for longer than a board may be silent.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn under_load_it_beats() {
    let board = open();
    let folder = tempfile::tempdir().unwrap();
    let load = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do (timeout 60 sh -c 'while :; do :; done') & done\n\
                for n in 1 2; do (timeout 60 sh -c 'while :; do sort -R /usr/bin/* 2>/dev/null | md5sum; done >/dev/null') & done\n\
                wait; echo done";
    let (_, said, stopped, _) = beside(&board, load, folder.path());
    assert_eq!((said.as_deref(), stopped), (Some("done"), None));
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_panic_in_the_middle_is_noticed_and_the_board_comes_back_by_itself() {
    let board = open();
    let protected = Protected::compute(&board, "arch_devices_lockdep").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let panics = "(sleep 3; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 & sleep 290";
    let (took, said, stopped, beats) = beside(&board, panics, folder.path());
    assert_eq!(said, None);
    let stopped = stopped.unwrap_or_else(|| panic!("{beats}"));
    assert!(
        matches!(stopped.state, State::Panicked(_) | State::Restarted(_)),
        "{stopped:?}"
    );
    assert!(took < Duration::from_secs(40), "{took:?}\n{beats}");
    let (reset, facts) = way_down(&board, &protected, &stopped, folder.path());
    assert_eq!(reset, None, "vanilla runs, and was not reset once more");
    assert!(facts.contains("restarted by itself"), "{facts}");
}

/// Its kernel lives, and is asked over the line long before the command's own limit.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_network_that_is_gone_leads_to_the_ladder() {
    let board = open();
    let protected = Protected::compute(&board, "arch_devices_lockdep").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let deaf = "(sleep 3; for link in /sys/class/net/*; do ip link set ${link##*/} down; done) >/dev/null 2>&1 & sleep 290";
    let (took, said, stopped, beats) = beside(&board, deaf, folder.path());
    assert_eq!(said, None);
    let stopped = stopped.unwrap_or_else(|| panic!("{beats}"));
    assert!(matches!(stopped.state, State::Wedged { .. }), "{stopped:?}");
    assert!(took < Duration::from_secs(120), "{took:?}\n{beats}");
    let (reset, facts) = way_down(&board, &protected, &stopped, folder.path());
    assert_eq!(reset, Some(Reset::BreakCrash));
    assert!(facts.contains("SysRq w (blocked tasks) by BREAK"), "{facts}");
    board.hard_reset().unwrap();
    board.wait_for_ssh(Duration::from_secs(180)).unwrap();
}
