//! A ramoops region as `cargo xtask board ramoops` proposes it, booted: on a virtual board of its own, whose device tree has none at first, the
//! overlay is merged into vanilla's tree, and what the kernel said lives through a crash.
//!
//! Needs what set-up makes (`cargo xtask setup`), and fails without it. The board is made for the test and removed behind it.

use crate::held_lock;

use assert_cmd::Command;
use kernel_log::pstore::Type;
use std::path::Path;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};
use xtask::board::Board as _;
use xtask::board::virt::{self, Different, VirtualBoard};
use xtask::campaign::harvest_records;
use xtask::host::folders::Folders;

const LOOK: Duration = Duration::from_secs(60);
const BOOT: Duration = Duration::from_secs(240);
const MIB: u64 = 1 << 20;

/// A board of its own beside the one of the cache.
struct Bare {
    board: VirtualBoard,
    folders: Folders,
}

impl Bare {
    /// On vanilla, whose tree is the machine's own, without a region.
    fn made() -> Self {
        let main = Folders::find().unwrap();
        let folders = Folders {
            cache: main.cache.join("bare-board"),
            ..main.clone()
        };
        std::fs::create_dir_all(&folders.cache).unwrap();
        // The same user land as the other board's.
        let shared = folders.cache.join("rootfs");
        if !shared.exists() {
            std::os::unix::fs::symlink(main.cache.join("rootfs"), &shared).unwrap();
        }
        if folders.cache.join("boards/virtual").exists() {
            virt::destroy(&folders).unwrap();
        }
        let vanilla = virt::vanilla_manifest(&main).unwrap();
        let mut told = |line: &str| eprintln!("{line}");
        let board = virt::create(&folders, &vanilla, Different::Replace, &mut told).unwrap();
        let board = board.held(held_lock::proof());
        let bare = Bare { board, folders };
        bare.board.up(&bare.folders).unwrap();
        bare.board.wait_for_ssh(BOOT).unwrap();
        bare.boot_with(&bare.board.folder().join("machine.dtb"));
        bare
    }

    fn said(&self, script: &str) -> String {
        let done = self.board.run(script, LOOK).unwrap();
        assert!(done.status.success(), "{script}: {done:?}");
        done.text().trim().to_string()
    }

    /// Makes this device tree vanilla's, and boots it.
    fn boot_with(&self, tree: &Path) {
        let target = format!("/boot/firmware/dtbs/{}/virt.dtb", self.board.vanilla_release());
        let writing = format!("cat >{target} && sync");
        let bytes = std::fs::read(tree).unwrap();
        let done = self.board.run_with_input(&writing, &bytes, LOOK).unwrap();
        assert!(done.status.success(), "{done:?}");
        self.reset("echo b >/proc/sysrq-trigger");
    }

    /// The machine goes down by this, and comes back by itself.
    fn reset(&self, trigger: &str) {
        let id = || self.board.run("cat /proc/sys/kernel/random/boot_id", LOOK);
        let before = id().unwrap().text();
        let going = format!("(sleep 1; {trigger}) >/dev/null 2>&1 </dev/null &");
        self.said(&going);
        let started = Instant::now();
        loop {
            std::thread::sleep(Duration::from_secs(2));
            assert!(
                started.elapsed() < BOOT,
                "the board does not come back: {trigger}"
            );
            if id().is_ok_and(|now| now.status.success() && now.text() != before) {
                return;
            }
        }
    }

    /// What the kernel's ramoops uses: address and size, 0 where there is none.
    fn region(&self) -> (u64, u64) {
        let number = |name: &str| {
            let text = self.said(&format!("cat /sys/module/ramoops/parameters/{name}"));
            match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
                None => text.parse().unwrap(),
            }
        };
        (number("mem_address"), number("mem_size"))
    }

    /// What `cargo xtask board ramoops` answers, and the overlay that it writes.
    fn proposal(&self, overlay: &Path) -> serde_json::Value {
        let mut proposing = Command::cargo_bin("lockstep").unwrap();
        let output = proposing
            .env("LOCKSTEP_CACHE", &self.folders.cache)
            .args(["--json", "board", "ramoops", "--board", "virtual", "--out"])
            .arg(overlay)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.board.down(&self.folders));
        if !std::thread::panicking() {
            drop(virt::destroy(&self.folders));
        }
    }
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_proposed_region_keeps_what_a_kernel_said_through_its_crash() {
    let bare = Bare::made();
    assert_eq!(bare.region(), (0, 0), "the machine's own tree has none");

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let proposal = bare.proposal(&at("ramoops.dtso"));
    assert!(proposal["there_already"].is_null(), "{proposal}");
    let address = proposal["address"].as_u64().unwrap();
    eprintln!("proposed: {address:#x}");
    let (source, overlay, merged) = (at("ramoops.dtso"), at("ramoops.dtbo"), at("merged.dtb"));
    let own = bare.board.folder().join("machine.dtb");
    let sh = Shell::new().unwrap();
    cmd!(sh, "dtc -q -I dts -O dtb -o {overlay} {source}")
        .run()
        .unwrap();
    cmd!(sh, "fdtoverlay -i {own} -o {merged} {overlay}")
        .run()
        .unwrap();

    bare.boot_with(&merged);
    assert_eq!(bare.region(), (address, 2 * MIB));
    let log = bare.said("dmesg");
    assert!(
        log.contains(&format!("ramoops: using 0x200000@{address:#x}")),
        "{log}"
    );
    let word = format!("lockstep-survives-{}", std::process::id());
    bare.said(&format!("echo {word} >/dev/pmsg0"));
    bare.reset("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger");

    let records = harvest_records::take(&bare.board, folder.path()).unwrap();
    let names: Vec<&str> = records.files.iter().map(|file| file.path.as_str()).collect();
    let holds = |text: &str, bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
    assert!(
        records.files.iter().any(|file| holds(&word, &file.bytes)),
        "{names:?}"
    );
    let dump = records.dumps.iter().find(|dump| dump.kind == Type::Dmesg);
    let dump = dump.unwrap_or_else(|| panic!("no dump: {names:?}"));
    assert!(holds("sysrq triggered crash", &dump.content), "{dump:?}");
    assert_eq!(
        bare.proposal(&at("again.dtso"))["there_already"],
        format!("ramoops@{address:x}")
    );
}
