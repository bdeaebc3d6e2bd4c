//! Deploy, boot once, prove, come back and roll back on the virtual board: the real U-Boot, the real FAT, the real reset.
//!
//! Needs the board (`cargo xtask setup`) and a debug kernel (`cargo xtask build-debug-kernel`), and fails without them.

use crate::virtual_bench;

use std::process::Command;
use std::time::Duration;
use virtual_bench::{Bench, tell};
use xtask::board::boot::{self, Limits, Method, Outcome, Reset, Why};
use xtask::board::deploy::{self, Request};
use xtask::board::proof::{self, Expected, Lockdep};
use xtask::board::{Board, SerialLine as _, preflight, rollback, slot};
use xtask::manifest::Manifest;

#[test]
fn a_slot_is_booted_once_proven_and_rolled_back() {
    let bench = Bench::open();
    let nonce = bench.deploy();
    let again = deploy::plan(&bench.board, &bench.request()).unwrap();
    assert!(
        again.send.is_empty() && again.remove.is_empty(),
        "the second deploy moves nothing: {again:?}"
    );

    let before = boot::look(&bench.board).unwrap();
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    let Outcome::Booted(answer) = &boot.outcome else {
        panic!("{boot:?}")
    };
    eprintln!("booted after {:.1} s: {:?}", answer.seconds, boot.seen);
    assert_eq!(boot.seen.answered.len(), 1);
    assert!(
        boot.seen
            .appends
            .iter()
            .any(|append| append.contains(nonce.as_str()))
    );

    bench
        .board
        .run("modprobe vim2m", Duration::from_secs(30))
        .unwrap();
    let seen = proof::gather(&bench.board).unwrap();
    let expected = Expected {
        manifest: &bench.manifest,
        nonce: nonce.as_str(),
        boot_id_before: Some(&before.boot_id),
        lockdep: Lockdep::Alive,
        modules: &["vim2m".into()],
    };
    let proof = proof::prove(&expected, &seen);
    assert!(proof.holds(), "{:#?}", proof.open().collect::<Vec<_>>());
    assert!(proof.facts.len() > 6, "{proof:?}");
    let other = Manifest {
        build_id: "00".into(),
        ..bench.manifest.clone()
    };
    assert!(
        !proof::prove(
            &Expected {
                manifest: &other,
                ..expected
            },
            &seen
        )
        .holds()
    );

    // A damaged slot is not booted, and not even the reboot happens.
    let damage = format!("printf x >>/boot/firmware/Image-{}; sync", bench.manifest.release);
    bench.board.run(&damage, Duration::from_secs(30)).unwrap();
    let refused = boot::boot_once(
        &bench.board,
        &bench.protected,
        Method::SerialMenu,
        Reset::Orderly,
        &bench.permit(),
        &mut tell,
    );
    assert!(refused.unwrap_err().to_string().contains("does not verify"));

    bench.boot_vanilla(Reset::Orderly);

    let plan = rollback::plan(
        &bench.board,
        bench.backup.manifest().campaign.as_str(),
        &bench.host,
    )
    .unwrap();
    eprintln!("{}", plan.lines().join("\n"));
    rollback::execute(&bench.board, &plan, &bench.host).unwrap();
    let plan = rollback::plan(
        &bench.board,
        bench.backup.manifest().campaign.as_str(),
        &bench.host,
    )
    .unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    assert!(slot::read(&bench.board, &bench.protected).unwrap().is_none());
    bench.boot_vanilla(Reset::Hard);
    let conf = bench
        .board
        .run(
            "cat /boot/firmware/extlinux/extlinux.conf",
            Duration::from_secs(30),
        )
        .unwrap();
    assert_eq!(
        conf.stdout,
        bench.protected.foreign().unwrap(),
        "our label is gone after a hard reset, too"
    );
}

/// As a person does it who does not boot vanilla first. The command has no backup of this campaign on this host and takes the one on the board.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_rollback_under_the_debug_kernel_asks_for_a_reboot_and_the_next_finds_vanilla() {
    let bench = Bench::open();
    bench.deploy();
    let booted = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(booted.outcome, Outcome::Booted(_)), "{booted:?}");
    let campaign = bench.backup.manifest().campaign.as_str();
    let xtask = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        let done = command.args(words).output().unwrap();
        let [said, told] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        eprintln!("{said}{told}");
        assert!(done.status.success(), "{}", done.status);
        (said, told)
    };
    let roll_back = || xtask(&["rollback", "--campaign", campaign, "--yes"]);
    let release = &bench.manifest.release;
    let reboot = format!(
        "the board still runs {release}, whose files are gone now: reboot it; vanilla is the default"
    );
    let (said, told) = roll_back();
    assert!(
        said.contains("restore extlinux.conf (every label of ours goes with it)")
            && said.contains(&format!("remove /boot/firmware/Image-{release}"))
            && said.contains(&format!("/lib/modules/{release}")),
        "{said}"
    );
    assert!(told.contains(&reboot), "{told}");
    let running = boot::look(&bench.board).unwrap();
    assert_eq!(&running.release, release, "a rollback reboots nothing");
    let left = format!(
        "find /boot/firmware /usr/lib/modules -name '*{release}*'; cat /boot/firmware/extlinux/extlinux.conf"
    );
    let left = bench.board.run(&left, Duration::from_secs(30)).unwrap();
    assert_eq!(
        left.stdout,
        bench.protected.foreign().unwrap(),
        "label, Image and modules are gone"
    );

    // The backup stays, and is listed.
    let (listed, _) = xtask(&["backup", "list", "--on-board"]);
    let folder = bench.backup.on_board().display().to_string();
    assert!(listed.lines().any(|line| line.ends_with(&folder)), "{listed}");

    // It pulls the power: what the rollback wrote is on the disk.
    bench.boot_vanilla(Reset::Hard);
    let (said, told) = roll_back();
    assert!(
        said.starts_with("vanilla is as the backup has it") && !told.contains("still runs"),
        "{said}{told}"
    );
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_kernel_that_dies_early_falls_back_and_says_so() {
    let bench = Bench::open();
    let request = Request {
        keep: 0,
        extra_append: vec!["root=/dev/nowhere".into(), "rootwait=0".into()],
        ..bench.request()
    };
    let plan = deploy::plan(&bench.board, &request).unwrap();
    deploy::execute(&bench.board, &request, &plan, &mut |_| {}).unwrap();
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    eprintln!("{boot:?}");
    match boot.outcome {
        Outcome::FellBackToVanilla {
            why: Why::ResetInTheMiddle { .. },
            ..
        } => {}
        Outcome::Wedged { .. } => bench.board.hard_reset().unwrap(),
        other => panic!("{other:?}"),
    }
    let limits = Limits::of(&bench.board);
    bench.board.wait_for_ssh(limits.kernel).unwrap();
    bench.protected.check(&bench.board).unwrap();
}

#[test]
fn a_menu_that_waits_is_answered_with_vanilla() {
    let bench = Bench::open();
    bench.deploy();
    // Noise in the countdown: the menu waits for ever.
    let mark = std::fs::metadata(bench.board.line().log()).unwrap().len();
    bench.board.hard_reset().unwrap();
    let mut answered = None;
    let mut noise = false;
    for _ in 0..600 {
        let log = std::fs::read(bench.board.line().log()).unwrap();
        let text = String::from_utf8_lossy(&log[mark as usize..]).into_owned();
        if !noise && text.ends_with("Enter choice: ") {
            bench.board.serial().unwrap().write(b"x").unwrap();
            noise = true;
            std::thread::sleep(Duration::from_secs(5));
        } else if noise {
            answered = boot::answer_waiting_menu(&bench.board, &bench.protected).unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        answered,
        Some(1),
        "vanilla's number, behind a carriage return that ends the noise"
    );
    bench.board.wait_for_ssh(Duration::from_secs(180)).unwrap();
    let answer = boot::look(&bench.board).unwrap();
    assert!(boot::is_vanilla(&answer, &bench.protected), "{answer:?}");
}

/// PID 1 still feeds the watchdog, and nothing answers: what a wedge in the network or the display looks like from outside.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_board_that_answers_nothing_is_reset_into_vanilla() {
    let bench = Bench::open();
    bench.deploy();
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
    let cut = "nohup sh -c 'sleep 1; for n in /sys/class/net/e*; do ip link set \"${n##*/}\" down; done' >/dev/null 2>&1 &";
    assert!(
        bench
            .board
            .run(cut, Duration::from_secs(20))
            .unwrap()
            .status
            .success()
    );
    std::thread::sleep(Duration::from_secs(4));
    assert!(
        !bench.board.answers(Duration::from_secs(4)),
        "the board is out of reach"
    );
    let orderly = boot::boot_vanilla(
        &bench.board,
        &bench.protected,
        Reset::Orderly,
        &bench.permit(),
        &mut tell,
    );
    assert!(
        orderly.is_err(),
        "an orderly restart needs a board that can be asked: {orderly:?}"
    );
    bench.boot_vanilla(Reset::Hard);
}

/// Invariants 1 and 7: others write, too. Whatever they change between a deploy and its boot is named and stays as they wrote it; nothing is
/// booted, and nothing of it is deployed over.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn somebody_elses_edit_between_deploy_and_boot_stops_both_and_stays() {
    const CONF: &str = "/boot/firmware/extlinux/extlinux.conf";
    let bench = Bench::open();
    bench.deploy();
    let limit = Duration::from_secs(30);
    let read = || {
        let script = format!("cat {CONF}");
        bench.board.run(&script, limit).unwrap().stdout
    };
    let good = read();
    let running = boot::look(&bench.board).unwrap().boot_id;
    for (edit, named) in [
        (
            format!("printf 'label theirs\\n\\tkernel /theirs\\n' >>{CONF}"),
            "`label theirs`, `\\tkernel /theirs` came in",
        ),
        (
            format!("sed -i 's/^default .*/default theirs/' {CONF}"),
            "`default arch_devices` became `default theirs`",
        ),
        (
            format!("sed -i '/^label arch_devices$/,/append/s/panic=10/panic=10 mem=512M/' {CONF}"),
            "panic=10 mem=512M`",
        ),
        (
            format!("sed -i 's/^timeout .*/timeout 0/' {CONF}"),
            "`timeout 20` became `timeout 0`",
        ),
    ] {
        bench.board.run(&format!("{edit}\nsync"), limit).unwrap();
        let theirs = read();
        assert_ne!(theirs, good, "{edit}");
        let (board, protected, permit) = (&bench.board, &bench.protected, bench.permit());
        let (method, reset) = (Method::SerialMenu, Reset::Orderly);
        let request = bench.request();
        let refused = [
            boot::boot_once(board, protected, method, reset, &permit, &mut tell).map(drop),
            boot::boot_vanilla(board, protected, reset, &permit, &mut tell).map(drop),
            deploy::plan(board, &request)
                .and_then(|plan| deploy::execute(board, &request, &plan, &mut |_| {}))
                .map(drop),
        ];
        for refused in refused {
            let error = format!("{:#}", refused.expect_err(&edit));
            assert!(error.contains(CONF) && error.contains(named), "{edit}: {error}");
            eprintln!("{error}");
        }
        assert_eq!(read(), theirs, "their edit stays: {edit}");
        assert_eq!(boot::look(&bench.board).unwrap().boot_id, running, "no reboot");
        let back = format!("cat >{CONF} && sync");
        bench.board.run_with_input(&back, &good, limit).unwrap();
    }
    bench.protected.check(&bench.board).unwrap();
    slot::verify(&bench.board, &bench.protected).unwrap();
}

/// As after an error of the file system (`errors=remount-ro`): the kernel itself makes all of them read-only.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_root_that_went_read_only_is_told_and_nothing_is_written() {
    let bench = Bench::open();
    let said = |script: &str| bench.board.run(script, Duration::from_secs(60)).unwrap().text();
    said("sync; echo u >/proc/sysrq-trigger; sleep 3");
    let touched = said("if touch /var/lib/x 2>/dev/null; then echo written; fi");
    let needed = preflight::Needed { boot: 0, root: 0 };
    let backup = preflight::Backup::Verified(&bench.backup);
    let report = preflight::run(&bench.board, &bench.protected, backup, needed);
    let refused = deploy::plan(&bench.board, &bench.request());
    let writable = said(
        "mount -o remount,rw / && mount -o remount,rw /boot/firmware && touch /var/lib/x && rm /var/lib/x && echo yes",
    );
    assert_eq!((touched.as_str(), writable.as_str()), ("", "yes"));
    let report = report.unwrap();
    assert!(!report.may_start());
    for (id, words) in [("root", "mounted read-only: /"), ("boot", "read-only")] {
        let row = report.checks.iter().find(|check| check.id == id).unwrap();
        assert!(
            row.status == preflight::Status::Fail
                && row.reason.contains(words)
                && row.fix.contains("remount"),
            "{row:?}"
        );
    }
    let error = format!("{:#}", refused.unwrap_err());
    assert!(
        error.contains("read-only") && error.contains("nothing was changed"),
        "{error}"
    );
    bench.protected.check(&bench.board).unwrap();
    bench.deploy();
    slot::verify(&bench.board, &bench.protected).unwrap();
}
