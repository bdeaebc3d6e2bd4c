//! netconsole of a real kernel: set up in the booted debug kernel over the virtual board's second network, a splat and the way down received,
//! and what nobody received told as lost.
//!
//! Needs the board (`cargo xtask setup`) and a debug kernel (`cargo xtask build-debug-kernel`), and fails without them; for Debian's own kernel
//! root and this machine's Debian mirror, too.

use crate::debian_board;
use crate::virtual_bench;

use assert_cmd::Command;
use debian_board::DebianBoard;
use kernel_log::kind::Kind;
use std::path::Path;
use std::time::{Duration, Instant};
use virtual_bench::{Bench, LABEL};
use xtask::board::Board;
use xtask::board::boot::{Method, Outcome, Reset};
use xtask::board::netconsole::{self, Armed, Network, Situation, Way};
use xtask::campaign::harvest::Harvest;
use xtask::campaign::harvest_netconsole;

const LOOK: Duration = Duration::from_secs(60);

fn run(bench: &Bench, script: &str) {
    let done = bench.board.run(script, LOOK).unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{script}: {said}");
}

fn wait_for(armed: &Armed, word: &str) {
    let started = Instant::now();
    while !String::from_utf8_lossy(&armed.recorder.since(armed.from).unwrap()).contains(word) {
        assert!(started.elapsed() < LOOK, "{word} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn taken(armed: &Armed, folder: &Path) -> (Harvest, String) {
    let mut harvest = Harvest::default();
    let fact = harvest_netconsole::take(armed, &mut harvest, folder).unwrap();
    eprintln!("{fact}");
    (harvest, fact)
}

/// A splat, lost packets and the crash of the kernel that runs.
fn receive_all_of(bench: &Bench, armed: &Armed) {
    run(
        bench,
        "modprobe lkdtm && echo WARNING_MESSAGE >/sys/kernel/debug/provoke-crash/DIRECT",
    );
    run(bench, "echo lockstep-behind-the-splat >/dev/kmsg");
    wait_for(armed, "lockstep-behind-the-splat");
    let folder = tempfile::tempdir().unwrap();
    let (harvest, fact) = taken(armed, folder.path());
    assert!(fact.contains("none was lost"), "{fact}");
    let findings = harvest.findings();
    let warning = findings.iter().find(|finding| finding.kind == Kind::Warning);
    let warning = warning.expect("the splat is found");
    assert!(warning.excerpt.join(" ").contains("lkdtm"), "{warning:?}");
    let lockdep = bench.board.run("cat /proc/lockdep_stats", LOOK).unwrap().text();
    assert_eq!(
        kernel_log::completeness::debug_locks(lockdep.as_bytes()),
        Some(true)
    );

    // Nobody receives for a while. Whether it can be set up again is all one: a receiver comes back.
    let pid = armed.recorder.running().unwrap().identity.pid;
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let unheard = "for i in 1 2 3 4 5; do echo lockstep-unheard >/dev/kmsg; sleep 0.2; done";
    run(bench, unheard);
    let wire = bench.board.netconsole().unwrap();
    if let Err(error) = netconsole::arm(&bench.board, &wire) {
        eprintln!("{error:#}");
    }
    run(bench, "echo lockstep-heard-again >/dev/kmsg");
    wait_for(armed, "lockstep-heard-again");
    let (_, fact) = taken(armed, folder.path());
    assert!(fact.contains("lost on the way: "), "{fact}");
    let log = std::fs::read_to_string(folder.path().join("netconsole.log")).unwrap();
    assert!(!log.contains("lockstep-unheard"), "{log}");

    // The way down of a kernel that dies, up to the panic, whose own words are not sent (see `board::netconsole`).
    bench.boot_vanilla(Reset::Crash);
    let (_, fact) = taken(armed, folder.path());
    let log = std::fs::read_to_string(folder.path().join("netconsole.log")).unwrap();
    assert!(log.contains("sysrq: Emergency Remount R/O"), "{fact}\n{log}");
}

fn boot_the_slot(bench: &Bench) {
    let boot = bench.boot(Method::SerialMenu, Reset::Orderly);
    assert!(matches!(boot.outcome, Outcome::Booted(_)), "{boot:?}");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_splat_comes_over_the_network_and_lost_packets_are_told() {
    let bench = Bench::open();
    bench.deploy();
    boot_the_slot(&bench);
    let wire = bench.board.netconsole().expect("the board has a network for it");
    let started = Instant::now();
    let armed = netconsole::arm(&bench.board, &wire).unwrap();
    eprintln!("set up and proven in {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(armed.way, Way::Configfs);
    assert!(armed.everything, "a debug kernel says everything");
    receive_all_of(&bench, &armed);
}

/// Vanilla of the virtual board has netconsole without configfs: the parameter that it would need is good for the slot.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn the_command_line_sets_it_up_from_the_first_message_on() {
    let bench = Bench::open();
    let wire = bench.board.netconsole().expect("the board has a network for it");
    let error = netconsole::arm(&bench.board, &wire).unwrap_err().to_string();
    let parameter = error.split('`').nth(1).expect("the parameter is told");
    let Network::Own(own) = &wire.network else {
        panic!("{wire:?}")
    };
    let situation = Situation::of(&bench.board, &wire.network, own.to).unwrap();
    let recorder = wire.recorder();
    let armed = Armed {
        way: Way::CommandLine,
        path: situation.path.expect("there is a way"),
        everything: true,
        from: std::fs::metadata(recorder.log()).map_or(0, |log| log.len()),
        recorder,
    };
    bench.deploy_with(&[parameter]);
    boot_the_slot(&bench);
    wait_for(&armed, "Linux version");
    receive_all_of(&bench, &armed);
}

/// Debian's own kernel has netconsole as a module. Loaded with a parameter it sends what the kernel said so far, too.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_module_is_loaded_with_its_parameter_and_taken_away_again() {
    let debian = DebianBoard::open();
    let bench = &debian.bench;
    let wire = bench.board.netconsole().expect("the board has a network for it");
    let armed = netconsole::arm(&bench.board, &wire).unwrap();
    assert_eq!(armed.way, Way::Module);
    let folder = tempfile::tempdir().unwrap();
    let (_, fact) = taken(&armed, folder.path());
    assert!(fact.contains(&format!("over {}", armed.path.device)), "{fact}");
    let log = || std::fs::read_to_string(folder.path().join("netconsole.log")).unwrap();
    assert!(log().contains("Linux version "), "{}", log());

    // Set up once more, it sends each message once.
    let armed = netconsole::arm(&bench.board, &wire).unwrap();
    assert_eq!(armed.way, Way::Module);
    run(bench, "echo lockstep-once >/dev/kmsg");
    wait_for(&armed, "lockstep-once");
    std::thread::sleep(Duration::from_secs(2));
    let packets = armed.recorder.since(armed.from).unwrap();
    let packets = String::from_utf8_lossy(&packets).into_owned();
    assert_eq!(packets.matches("lockstep-once").count(), 1, "{packets}");

    netconsole::take_away(&bench.board).unwrap();
    run(bench, "! grep -q ^netconsole /proc/modules");
    // Somebody else's is left alone.
    run(bench, "modprobe netconsole");
    netconsole::take_away(&bench.board).unwrap();
    run(
        bench,
        "grep -q ^netconsole /proc/modules && modprobe -r netconsole",
    );
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn the_verb_boot_sets_it_up_and_says_where_its_log_is() {
    let bench = Bench::open();
    let xtask = |words: &[&str]| {
        let mut command = Command::cargo_bin("lockstep").unwrap();
        let output = command.args(["--json", "--yes"]).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    // The backup that the verb asks for.
    xtask(&["preflight"]);
    bench.deploy();
    let answer = xtask(&["boot", LABEL]);
    let told = &answer["netconsole"];
    assert_eq!(told["way"], "configfs", "{answer}");
    let (log, from) = (told["log"].as_str().unwrap(), told["from"].as_u64().unwrap());
    let packets = std::fs::read(log).unwrap();
    let packets = String::from_utf8_lossy(&packets[from as usize..]).into_owned();
    assert!(packets.contains("lockstep-netconsole-"), "{packets}");
    bench.boot_vanilla(Reset::Orderly);
}
