//! Every boot method, the lease, and every path of the way back, on the virtual board.
//!
//! Needs the board (`cargo xtask setup`) and a debug kernel (`cargo xtask build-debug-kernel`), and fails without them.

use crate::lease_bench;
use crate::virtual_bench;

use std::time::{Duration, Instant};
use virtual_bench::{Bench, tell};
use xtask::board::boot::{self, Method, Outcome, Progress, Reset};
use xtask::board::{Board, SerialLine as _, lease, script, state, way_back};
use xtask::kernel::toolchain::Toolchain;

/// The board runs our slot, with a lease, and vanilla is what boots next; then back.
fn runs_ours_and_goes_back(bench: &Bench, boot: &boot::Boot) {
    let Outcome::Booted(answer) = &boot.outcome else {
        panic!("{boot:?}")
    };
    assert_eq!(answer.release, bench.manifest.release);
    boot::default_is_vanilla(&bench.board, &bench.protected).unwrap();
    lease::renew(&bench.board, Duration::from_secs(300)).unwrap();
    let state = state::look(&bench.board, &bench.protected).unwrap();
    let held = state.seen.lease.as_ref().unwrap();
    assert!(held.is_complete(), "{held}");
    assert_eq!(state.label.as_deref(), Some(virtual_bench::LABEL));
    assert_eq!(state.lockdep_alive, Some(true), "{state:?}");
    assert!(
        state.lease_left.is_some_and(|left| (200..=300).contains(&left)),
        "{state:?}"
    );
    bench.boot_vanilla(Reset::Orderly);
    let state = state::look(&bench.board, &bench.protected).unwrap();
    assert_eq!(state.lease_left, None, "vanilla holds no lease");
    assert_eq!(
        boot::disarm(&bench.board, &bench.protected).unwrap(),
        [],
        "nothing is left to take back"
    );
}

/// The kernel waits so long before it looks for its root (Documentation/admin-guide/kernel-parameters.txt, `rootdelay`).
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_board_that_takes_ninety_seconds_is_waited_for() {
    let bench = Bench::open();
    bench.deploy_with(&["rootdelay=85"]);
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    let Outcome::Booted(answer) = &boot.outcome else {
        panic!("{boot:?}")
    };
    assert!(answer.seconds > 85.0 && !boot.seen.forced, "{boot:?}");
    runs_ours_and_goes_back(&bench, &boot);
}

/// What it writes to `/` is gone with its boot, and what it removes is there again.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_root_that_is_thrown_away_leaves_no_trace() {
    let bench = Bench::open();
    let limit = Duration::from_secs(30);
    let said = |script: &str| bench.board.run(script, limit).unwrap().text();
    said("echo theirs >/var/lib/theirs; rm -f /var/lib/mine; sync");
    bench.deploy_with(&[xtask::board::root::OVERLAY]);
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
    assert_eq!(
        said("stat -f -c %T /; systemctl is-system-running >/dev/null; cat /var/lib/theirs"),
        "overlayfs\ntheirs"
    );
    said("echo mine >/var/lib/mine; rm /var/lib/theirs; sync");
    assert_eq!(said("cat /var/lib/mine; ls /var/lib/theirs 2>/dev/null"), "mine");
    runs_ours_and_goes_back(&bench, &boot);
    assert_eq!(
        said("ls /var/lib/mine 2>/dev/null; cat /var/lib/theirs; rm /var/lib/theirs"),
        "theirs"
    );
}

#[test]
fn kexec_jumps_into_the_slot() {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::Kexec, Reset::Orderly);
    assert!(!boot.seen.banner, "U-Boot played no part: {:?}", boot.seen);
    runs_ours_and_goes_back(&bench, &boot);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_variable_of_u_boots_is_consumed() {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::UbootEnv, Reset::Orderly);
    assert!(
        boot.seen.left_alone && boot.seen.answered.is_empty(),
        "nobody answered the menu: {:?}",
        boot.seen
    );
    let printing = "fw_printenv lockstep_once lockstep_now pxe_label_override";
    let said = bench.board.run(printing, Duration::from_secs(30)).unwrap().text();
    assert_eq!(
        said,
        format!(
            "lockstep_once=\nlockstep_now={}\npxe_label_override=",
            virtual_bench::LABEL
        )
    );
    runs_ours_and_goes_back(&bench, &boot);
}

/// The promise behind `environment_defaults_boot_vanilla`: U-Boot with its built-in environment boots vanilla.
#[test]
fn a_lost_environment_boots_vanilla() {
    let bench = Bench::open();
    let saving =
        "dd if=/dev/mtd0 of=/var/tmp/env bs=262144 skip=256 count=1 2>/dev/null && sha256sum </var/tmp/env";
    let before = bench.board.run(saving, Duration::from_secs(60)).unwrap().text();
    let flash = bench.board.folder().join("flash.img");
    bench.board.cut_power().unwrap();
    let kept = std::fs::read(&flash).unwrap();
    std::fs::write(&flash, vec![0; kept.len()]).unwrap();
    let folders = xtask::host::folders::Folders::find().unwrap();
    bench.board.up(&folders).unwrap();
    let came = bench.board.wait_for_ssh(Duration::from_secs(180));
    let answer = boot::look(&bench.board);
    bench.board.cut_power().unwrap();
    std::fs::write(&flash, kept).unwrap();
    bench.board.up(&folders).unwrap();
    bench.board.wait_for_ssh(Duration::from_secs(180)).unwrap();
    came.unwrap();
    assert!(boot::is_vanilla(&answer.unwrap(), &bench.protected));
    assert_eq!(
        bench.board.run(saving, Duration::from_secs(60)).unwrap().text(),
        before
    );
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_swapped_default_is_put_back_by_the_slot() {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::DefaultSwap, Reset::Orderly);
    assert!(
        boot.seen.left_alone && boot.seen.answered.is_empty(),
        "nobody answered the menu: {:?}",
        boot.seen
    );
    runs_ours_and_goes_back(&bench, &boot);
}

/// What default-swap leaves open: the kernel dies before its first user space, and our label stays the default. While this program watches, the
/// next menu is answered with vanilla, and the default is put back then.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_swapped_default_of_a_kernel_that_dies_early_is_put_back_from_vanilla() {
    let bench = Bench::open();
    // A file system without an init: the kernel panics.
    bench.deploy_with(&["root=/dev/vda1"]);
    let boot = bench.boot(Method::DefaultSwap, Reset::Orderly);
    match &boot.outcome {
        Outcome::FellBackToVanilla { .. } => {}
        other => panic!("{other:?}"),
    }
    boot::default_is_vanilla(&bench.board, &bench.protected).unwrap();
    bench.boot_vanilla(Reset::Hard);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_person_picks_the_label() {
    let bench = Bench::open();
    bench.deploy();
    let mut asked = false;
    let boot = boot::boot_once(
        &bench.board,
        &bench.protected,
        Method::Manual,
        Reset::Orderly,
        &bench.permit(),
        &mut |progress| {
            tell(progress);
            match progress {
                Progress::Person(what) => {
                    assert!(what.contains(virtual_bench::LABEL), "{what}");
                    asked = true;
                }
                // The person's hand.
                Progress::Line(boot::serial::Event::Prompt(entries)) => {
                    let ours = entries.last().unwrap().number;
                    bench.board.line().write(format!("{ours}\r").as_bytes()).unwrap();
                }
                _ => {}
            }
        },
    )
    .unwrap();
    assert!(asked);
    runs_ours_and_goes_back(&bench, &boot);
}

/// PID 1 feeds the watchdog, nothing answers, and the host does nothing at all: the lease ends it.
#[test]
fn a_wedge_that_nobody_looks_at_is_ended_by_the_lease() {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
    lease::renew(&bench.board, Duration::from_secs(20)).unwrap();
    let before = boot::look(&bench.board).unwrap().boot_id;
    let log = bench.board.line().log();
    let mark = std::fs::metadata(&log).unwrap().len();
    let cut = "nohup sh -c 'sleep 1; for n in /sys/class/net/e*; do ip link set \"${n##*/}\" down; done' >/dev/null 2>&1 &";
    bench.board.run(cut, Duration::from_secs(20)).unwrap();
    let started = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    assert!(
        !bench.board.answers(Duration::from_secs(4)),
        "the board is out of reach"
    );
    bench
        .board
        .wait_for_ssh(Duration::from_secs(180))
        .expect("the lease reset the board");
    eprintln!("vanilla after {:.0} s", started.elapsed().as_secs_f64());
    let answer = boot::look(&bench.board).unwrap();
    assert!(
        boot::is_vanilla(&answer, &bench.protected) && answer.boot_id != before,
        "{answer:?}"
    );
    let said = String::from_utf8_lossy(&std::fs::read(&log).unwrap()[mark as usize..]).into_owned();
    for words in [
        "lockstep: the lease ran out",
        "sysrq: Show Blocked State",
        "sysrq: Trigger a crash",
    ] {
        assert!(said.contains(words), "the serial log has `{words}`:\n{said}");
    }
    // It crashed on purpose so that pstore has it all.
    let looking = "cat /sys/fs/pstore/dmesg* $(find /var/lib/systemd/pstore -type f -name 'dmesg*') 2>/dev/null | grep -ac 'the lease ran out'";
    let found = script::ask(&bench.board, "looking for the record", looking, script::LOOK).unwrap();
    assert_ne!(found.text().trim(), "0", "pstore has a record of it");
    bench.protected.check(&bench.board).unwrap();
}

/// A program for the board, put into memory there.
fn push(bench: &Bench, source: &str, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("source.c"), folder.path().join(name));
    std::fs::write(&file, source).unwrap();
    Toolchain::find().unwrap().compile_probe(&[&file], &out).unwrap();
    let path = format!("/dev/shm/{name}");
    let putting = format!("cat >{path} && chmod 755 {path}");
    let bytes = std::fs::read(&out).unwrap();
    let done = bench
        .board
        .run_with_input(&putting, &bytes, Duration::from_secs(120))
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    path
}

/// Waits until vanilla answers as another boot than `before`.
fn vanilla_comes_back(bench: &Bench, before: &str, limit: Duration) {
    let started = Instant::now();
    let answer = loop {
        assert!(started.elapsed() < limit, "nobody brought vanilla back");
        std::thread::sleep(Duration::from_secs(2));
        match boot::look(&bench.board) {
            Ok(answer) if answer.boot_id != before => break answer,
            _ => {}
        }
    };
    eprintln!("vanilla after {:.0} s", started.elapsed().as_secs_f64());
    assert!(boot::is_vanilla(&answer, &bench.protected), "{answer:?}");
    bench.protected.check(&bench.board).unwrap();
}

/// The disk is frozen and the lock of `/run` is held for ever: what looks anything up there waits,
/// and no signal ends that.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_run_whose_lock_is_held_for_ever_is_ended_by_the_lease() {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
    let wedge = push(&bench, lease_bench::WEDGE, "wedge");
    lease::renew(&bench.board, Duration::from_secs(30)).unwrap();
    let before = boot::look(&bench.board).unwrap().boot_id;
    // The lease would have to look a new name up in /run: nothing of ours is there.
    let wedging = format!(
        "rm -r /run/lockstep; nohup {wedge} /run /var/tmp/frozen >/dev/shm/said 2>&1 & sleep 2; cat /dev/shm/said; \
         (mkdir /run/x) >/dev/null 2>&1 & sleep 1; cat /run/lockstep/lease >/dev/null 2>&1 & sleep 3; \
         kill -0 $! && echo the lookup waits"
    );
    let said = bench.board.run(&wedging, Duration::from_secs(25));
    let text = said.map(|done| done.text()).unwrap_or_default();
    assert_eq!(text, "wedged\nthe lookup waits");
    vanilla_comes_back(&bench, &before, Duration::from_secs(300));
}

/// A lease of which each means but one is taken away: that one brings vanilla back.
fn ended_by_the_rest(gone: &str) {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
    lease::renew(&bench.board, Duration::from_secs(20)).unwrap();
    let before = boot::look(&bench.board).unwrap().boot_id;
    let killing = format!(
        "for comm in /proc/[0-9]*/comm; do case $(cat $comm) in {gone}) pid=${{comm%/comm}}; kill -9 ${{pid##*/}} ;; esac; done"
    );
    bench.board.run(&killing, Duration::from_secs(20)).unwrap();
    let held = state::look(&bench.board, &bench.protected).unwrap().seen.lease;
    assert_eq!(held.unwrap().ends.len(), 1);
    vanilla_comes_back(&bench, &before, Duration::from_secs(400));
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn reboot_alone_ends_a_lease() {
    ended_by_the_rest("lockstep-sysrq | lockstep-wdog");
}

/// systemd feeds the watchdog until the lease takes that from it.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn the_watchdog_alone_ends_a_lease() {
    ended_by_the_rest("lockstep-sysrq | lockstep-lease");
}

/// What was proven is kept for this vanilla alone. (A rehearsal tries every path.)
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_way_back_is_proven_for_one_vanilla() {
    let bench = Bench::open();
    let folder = tempfile::tempdir().unwrap();
    let paths = way_back::needed(&bench.board).unwrap();
    assert_eq!(
        paths,
        [Reset::Orderly, Reset::Crash, Reset::Hard, Reset::Watchdog]
    );
    let proven = way_back::prove(
        &bench.board,
        &bench.protected,
        Reset::Hard,
        &bench.permit(),
        folder.path(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(proven.pmsg, Some(true), "{proven:?}");
    assert_eq!(
        way_back::known(folder.path(), &bench.protected).unwrap(),
        [proven]
    );
    let mut other = bench.protected.clone();
    other.append.push_str(" other");
    assert_eq!(
        way_back::known(folder.path(), &other).unwrap(),
        [],
        "another vanilla has to be proven anew"
    );
}
