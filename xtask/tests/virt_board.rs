//! The virtual board itself, for real: power, U-Boot's menu, ramoops, the watchdog, the serial line, ssh.
//!
//! Needs what `cargo xtask setup` makes, in the cache folder (`LOCKSTEP_CACHE`); without it each test fails and says so.
//! One board, so one test at a time, whatever `--test-threads` says.

use crate::held_lock;

use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use xtask::board::Board;
use xtask::board::virt::{self, Different, Down, Up, VirtualBoard};
use xtask::host::folders::Folders;

const BOOT: Duration = Duration::from_secs(180);
const QUICK: Duration = Duration::from_secs(30);

static ONE_BOARD: Mutex<()> = Mutex::new(());

struct Rig {
    board: VirtualBoard,
    folders: Folders,
    _one: MutexGuard<'static, ()>,
}

/// The board of the cache, running vanilla.
fn rig() -> Rig {
    let one = ONE_BOARD.lock().unwrap_or_else(PoisonError::into_inner);
    let folders = Folders::find().unwrap();
    let vanilla = virt::vanilla_manifest(&folders).expect("these tests need a vanilla kernel");
    let board = virt::create(&folders, &vanilla, Different::Replace, &mut |line| {
        eprintln!("{line}")
    })
    .expect("these tests need a virtual board");
    let board = board.held(held_lock::proof());
    board.up(&folders).expect("the virtual board does not start");
    board.wait_for_ssh(BOOT).expect("the virtual board does not boot");
    Rig {
        board,
        folders,
        _one: one,
    }
}

impl Rig {
    fn says(&self, script: &str) -> String {
        let finished = self.board.run(script, QUICK).unwrap();
        assert!(
            finished.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&finished.stderr)
        );
        finished.text()
    }

    fn boot_id(&self) -> String {
        self.says("cat /proc/sys/kernel/random/boot_id")
    }

    /// Waits for U-Boot behind `mark`, then for ssh; the boot must be another one than `before`.
    fn boots_again(&self, mark: u64, before: &str) {
        self.board.line().wait_for(mark, "Enter choice:", BOOT).unwrap();
        self.board.wait_for_ssh(BOOT).unwrap();
        assert_ne!(self.boot_id(), before);
    }
}

#[test]
fn vanilla_boots_by_itself_with_its_own_device_tree() {
    let rig = rig();
    assert_eq!(rig.says("uname -r"), rig.board.vanilla_release());
    assert!(
        rig.says("cat /proc/cmdline")
            .starts_with("console=ttyAMA0,115200 root=/dev/vda2 rw")
    );
    assert_eq!(
        rig.says("ls -d /proc/device-tree/reserved-memory/ramoops@*")
            .lines()
            .count(),
        1
    );
    assert!(
        rig.says("grep ' /boot/firmware ' /proc/mounts")
            .contains("dirsync")
    );
    assert!(rig.says("grep pstore /proc/mounts").contains("/sys/fs/pstore"));
    // Units that fail would be found by every campaign.
    assert_eq!(
        rig.says("systemctl is-system-running --wait || systemctl --failed"),
        "running"
    );
    let modules = rig.says("find /lib/modules/$(uname -r)/ -name '*.ko*' | wc -l");
    assert_ne!(modules, "0");
    rig.says("modprobe vim2m && modprobe -r vim2m");
}

#[test]
fn it_is_made_and_switched_on_only_once() {
    let rig = rig();
    assert_eq!(rig.board.up(&rig.folders).unwrap(), Up::WasOn);
    let boot = rig.boot_id();
    let vanilla = virt::vanilla_manifest(&rig.folders).unwrap();
    virt::create(&rig.folders, &vanilla, Different::Refuse, &mut |_| {}).unwrap();
    assert_eq!(rig.boot_id(), boot);
    let mut other = vanilla;
    other.commit = "f".repeat(40);
    let error = virt::create(&rig.folders, &other, Different::Refuse, &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("cargo xtask board destroy"),
        "{error:#}"
    );
    assert_eq!(rig.boot_id(), boot);
}

#[test]
fn scripts_get_input_and_exit_statuses_are_answers() {
    let rig = rig();
    let input = vec![b'x'; 300_000];
    let finished = rig.board.run_with_input("wc -c; exit 7", &input, QUICK).unwrap();
    assert_eq!(
        (finished.text().as_str(), finished.status.code()),
        ("300000", Some(7))
    );
    let error = rig.board.run("sleep 60", Duration::from_secs(3)).unwrap_err();
    assert!(
        format!("{error:#}").contains("did not end within 3 s"),
        "{error:#}"
    );
    assert_eq!(rig.says("echo \"a  'b'\""), "a  'b'");
}

#[test]
fn nothing_listens_beyond_loopback_and_the_guest_reaches_nothing() {
    let rig = rig();
    let port = VirtualBoard::status(&rig.folders).ssh_port.unwrap();
    let listening = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let wanted = format!(":{port:04X} ");
    // proc(5): local address in hexadecimal, 127.0.0.1 as 0100007F; state 0A is LISTEN.
    let lines: Vec<&str> = listening
        .lines()
        .filter(|line| line.contains(&wanted) && line.contains(" 0A "))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].contains(&format!("0100007F{wanted}")),
        "{lines:?}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().port();
    let script = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/10.0.2.2/{host}' 2>/dev/null; echo $?");
    assert_ne!(rig.says(&script), "0");
}

#[test]
fn a_hard_reset_boots_vanilla_again_and_no_connection_hangs() {
    let rig = rig();
    let (before, mark) = (rig.boot_id(), rig.board.line().mark());
    rig.board.hard_reset().unwrap();
    rig.boots_again(mark, &before);
    assert_eq!(rig.says("uname -r"), rig.board.vanilla_release());
}

#[test]
fn the_menu_takes_an_answer_from_the_serial_line() {
    let rig = rig();
    let (before, mark) = (rig.boot_id(), rig.board.line().mark());
    rig.board.hard_reset().unwrap();
    rig.board.line().wait_for(mark, "Enter choice:", BOOT).unwrap();
    rig.board.serial().unwrap().write(b"1\r").unwrap();
    // U-Boot repeats the choice.
    rig.board.line().wait_for(mark, "Enter choice: 1", BOOT).unwrap();
    rig.board.wait_for_ssh(BOOT).unwrap();
    assert_ne!(rig.boot_id(), before);
}

#[test]
fn a_break_and_c_crash_it_and_ramoops_keeps_the_record() {
    let rig = rig();
    rig.says("rm -rf /var/lib/systemd/pstore/*; sync");
    let (before, mark) = (rig.boot_id(), rig.board.line().mark());
    let serial = rig.board.serial().unwrap();
    serial.send_break().unwrap();
    serial.write(b"c").unwrap();
    rig.board
        .line()
        .wait_for(mark, "sysrq triggered crash", QUICK)
        .unwrap();
    rig.boots_again(mark, &before);
    // systemd-pstore moves the records at boot, about when sshd starts.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do \
                  grep -rl 'sysrq triggered crash' /var/lib/systemd/pstore /sys/fs/pstore && exit; sleep 1; done";
    assert!(rig.says(script).contains("dmesg-ramoops"));
}

#[test]
fn a_silent_wedge_is_ended_by_the_watchdog() {
    let rig = rig();
    let (before, mark) = (rig.boot_id(), rig.board.line().mark());
    // One after the other holds its processor with interrupts off: nobody is left to feed the dog.
    let wedge = "modprobe lkdtm; for cpu in 1 0; do \
                 (sleep 1; taskset -c $cpu sh -c 'echo HARDLOCKUP > /sys/kernel/debug/provoke-crash/DIRECT') \
                 > /dev/null 2>&1 < /dev/null & done";
    rig.says(wedge);
    rig.boots_again(mark, &before);
    assert_eq!(rig.says("uname -r"), rig.board.vanilla_release());
}

#[test]
fn a_power_cut_is_survived_and_the_journal_reaches_back() {
    let rig = rig();
    let before = rig.boot_id();
    rig.says("logger -t lockstep before-the-cut; journalctl --sync; sync");
    rig.board.cut_power().unwrap();
    assert!(!rig.board.is_on());
    assert!(
        rig.board
            .run("true", QUICK)
            .unwrap_err()
            .to_string()
            .contains("is off")
    );
    assert_eq!(rig.board.up(&rig.folders).unwrap(), Up::Started);
    rig.board.wait_for_ssh(BOOT).unwrap();
    assert_ne!(rig.boot_id(), before);
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do \
                  journalctl -q -b -1 -t lockstep -o cat && exit; sleep 1; done";
    assert_eq!(rig.says(script), "before-the-cut");
}

#[test]
fn it_shuts_itself_down_when_asked() {
    let rig = rig();
    assert_eq!(rig.board.down(&rig.folders).unwrap(), Down::Shutdown);
    assert_eq!(rig.board.down(&rig.folders).unwrap(), Down::WasOff);
    let status = VirtualBoard::status(&rig.folders);
    assert!(status.made && status.pid.is_none() && !status.answers);
}
