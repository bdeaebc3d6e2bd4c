//! Capture on the virtual board: times beside QEMU's log, a crash on purpose whose words come back, a wedge that is asked by BREAK and crashed.
//!
//! Needs the board (`cargo xtask setup`) and a debug kernel (`cargo xtask build-debug-kernel`), and fails without them.

use crate::virtual_bench;

use std::time::Duration;
use virtual_bench::Bench;
use xtask::board::boot::serial::Phase;
use xtask::board::boot::sysrq::{self, Way};
use xtask::board::boot::{Method, Outcome, Reset};
use xtask::board::{Board, SerialLine as _};
use xtask::campaign::capture_gate::Subject;
use xtask::campaign::rig::Rig;
use xtask::campaign::said::Said;
use xtask::campaign::{harvest_board, harvest_records, wedge};
use xtask::capture::index;
use xtask::host::folders::Folders;

const LOOK: Duration = Duration::from_secs(60);

fn rig(bench: &Bench) -> Rig<'_> {
    Rig {
        board: &bench.board,
        protected: &bench.protected,
        permit: bench.permit(),
        smoke_folder: "/tmp",
        slot_init: &bench.init,
        method: Method::SerialMenu,
    }
}

#[test]
fn a_recorder_that_is_killed_costs_no_byte_and_is_replaced() {
    let bench = Bench::open();
    let (line, recorder) = (bench.board.line(), bench.board.line().recorder());
    let first = recorder.running().expect("the log is followed").identity;
    let pid = rustix::process::Pid::from_raw(first.pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mark = line.mark();
    bench
        .board
        .run("echo lockstep-while-nobody-looks >/dev/kmsg", LOOK)
        .unwrap();
    line.wait_for(mark, "lockstep-while-nobody-looks", LOOK).unwrap();
    bench.board.up(&Folders::find().unwrap()).unwrap();
    let second = recorder.running().expect("it is replaced").identity;
    assert_ne!(first, second);
    bench.board.run("echo lockstep-after >/dev/kmsg", LOOK).unwrap();
    line.wait_for(mark, "lockstep-after", LOOK).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let index = std::fs::read(index::path_of(&line.log())).unwrap();
    let times = index::times_of(index.as_slice(), &[mark, u64::MAX]).unwrap();
    assert!(
        times[0].is_none() && times[1].is_some(),
        "when it was said while nobody looked is not known: {times:?}"
    );
    assert_eq!(recorder.status().unwrap().offset, line.mark());
}

#[test]
fn a_kernel_answers_a_break() {
    let bench = Bench::open();
    bench.board.run("sysctl -w kernel.sysrq=1", LOOK).unwrap();
    // Vanilla may be `quiet`, and a line of ours shows that a kernel runs.
    bench
        .board
        .run("echo 'lockstep: a line' >/dev/kmsg", LOOK)
        .unwrap();
    let mark = bench.board.line().mark();
    let asked = sysrq::ask(&bench.board, 'h', Way::Break).unwrap();
    assert!(asked.bytes.unwrap() > 0, "{asked:?}");
    let answer = bench.board.line().since(mark).unwrap();
    assert!(answer.contains("sysrq: HELP"), "{answer}");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_crash_on_purpose_comes_back_and_so_does_a_wedge() {
    let bench = Bench::open();
    bench.deploy();
    let rig = rig(&bench);
    let (backups, evidence) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let subject = Subject {
        rig: &rig,
        release: &bench.manifest.release,
        backups: backups.path(),
    };
    let mut say = |said: Said| eprintln!("{said}");
    let passed = subject.pass(evidence.path(), &mut say).unwrap();
    assert!(
        passed.proven.pstore && passed.proven.pmsg && passed.proven.serial && passed.proven.netconsole,
        "{:?}",
        passed.proven
    );
    let before = passed.records.expect("it was tried just now");
    let again = subject.pass(evidence.path(), &mut say).unwrap();
    assert!(again.records.is_none(), "once is enough");

    // No network, a kernel that lives: nothing but the line is left.
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
    let deaf =
        "(sleep 1; for link in /sys/class/net/*; do ip link set ${link##*/} down; done) >/dev/null 2>&1 &";
    bench.board.run(deaf, LOOK).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let wedged = Outcome::Wedged {
        phase: Phase::Login,
        panic: None,
    };
    let mut facts = Vec::new();
    let reset = wedge::way_down(
        &bench.board,
        &bench.protected,
        &wedge::Ending {
            outcome: &wedged,
            lost: &[],
            stopped: None,
        },
        evidence.path(),
        &mut facts,
        &mut say,
    );
    eprintln!("{}", facts.join("\n"));
    assert_eq!(reset, Some(Reset::BreakCrash));
    let said = facts.join("\n");
    for key in ["w", "d", "l", "m"] {
        let rung = facts
            .iter()
            .find(|fact| fact.starts_with(&format!("SysRq {key} ")));
        assert!(
            rung.is_some_and(|rung| rung.contains("bytes came over the line")),
            "{said}"
        );
    }
    bench.boot_vanilla(Reset::BreakCrash);
    std::thread::sleep(Duration::from_secs(5));
    let records = harvest_records::take(&bench.board, evidence.path()).unwrap();
    let new = records.new_since(&before);
    let last_words: Vec<String> = new
        .iter()
        .map(|dump| String::from_utf8_lossy(&dump.content).into_owned())
        .collect();
    assert!(
        last_words
            .iter()
            .any(|text| text.contains("Show Locks Held") && text.contains("sysrq triggered crash")),
        "{:?}",
        records.facts(&before)
    );

    let folder = evidence.path().join("harvest");
    let taken = harvest_board::take(&bench.board, &folder, 2).unwrap();
    assert!(taken.problems.is_empty(), "{:?}", taken.problems);
    assert!(
        taken
            .findings
            .iter()
            .any(|finding| finding.source.starts_with("pstore"))
    );
    assert!(taken.serial.unwrap().panics >= 2, "{:?}", taken.serial);
    let names: Vec<&str> = taken.files.iter().map(|file| file.name.as_str()).collect();
    for name in ["kmsg.log", "serial.log", "serial.log.index", "pstore.sha256"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
