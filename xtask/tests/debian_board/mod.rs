//! A virtual board whose vanilla is Debian's own arm64 kernel, with the initramfs that initramfs-tools made of it: the vanilla that
//! lacks things, as real ones do. A board of its own beside the one of the cache; made once, from packages (about 80 MB).

#![allow(
    dead_code,
    reason = "each test file is a program of its own, and none uses all of it"
)]

use crate::held_lock;
use crate::virtual_bench::Bench;
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::board::Board as _;
use xtask::board::virt::{self, Different, VirtualBoard};
use xtask::host::files::sha256;
use xtask::host::folders::Folders;
use xtask::host::process;

/// As on a board whose owner installed dracut in its place.
const WITHOUT_INITRAMFS_TOOLS: &str = "mv /usr/sbin/mkinitramfs /usr/sbin/mkinitramfs.away";
const AS_IT_WAS: &str =
    "if [ -e /usr/sbin/mkinitramfs.away ]; then mv /usr/sbin/mkinitramfs.away /usr/sbin/mkinitramfs; fi";
/// With an initramfs, on a host whose cores are busy.
const BOOT: Duration = Duration::from_secs(300);

pub struct DebianBoard {
    pub bench: Bench,
    folders: Folders,
}

impl DebianBoard {
    /// Made if it is not there, with power, on vanilla.
    pub fn open() -> Self {
        let main = Folders::find().unwrap();
        let folders = Folders {
            cache: main.cache.join("debian-board"),
            ..main.clone()
        };
        let board = made(&main, &folders);
        board.up(&folders).unwrap();
        board.wait_for_ssh(BOOT).unwrap();
        // Backups of tests that failed: this board is the tests' alone, and its disk is small.
        let old = format!("rm -rf {}/test-*", board.description().backup_folder.display());
        for script in [AS_IT_WAS, &old] {
            board.run(script, Duration::from_secs(60)).unwrap();
        }
        DebianBoard {
            bench: Bench::on(board, &main),
            folders,
        }
    }

    /// mkinitramfs is away until the board is dropped.
    pub fn leave_only_dracut(&self) {
        let done = self
            .bench
            .board
            .run(WITHOUT_INITRAMFS_TOOLS, Duration::from_secs(60))
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

impl Drop for DebianBoard {
    fn drop(&mut self) {
        drop(self.bench.board.run(AS_IT_WAS, Duration::from_secs(60)));
        if !std::thread::panicking() {
            self.bench.remove_backup();
        }
        drop(self.bench.board.down(&self.folders));
    }
}

/// The marker that it is complete is written last; without it the board is made anew.
fn made(main: &Folders, folders: &Folders) -> VirtualBoard {
    std::fs::create_dir_all(&folders.cache).unwrap();
    // The same user land as the other board's.
    let shared = folders.cache.join("rootfs");
    if !shared.exists() {
        std::os::unix::fs::symlink(main.cache.join("rootfs"), &shared).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/debian_board/make.sh");
    let key = sha256(&std::fs::read(&script).unwrap());
    let marker = folders.cache.join("boards/virtual/debian");
    if std::fs::read_to_string(&marker).is_ok_and(|made| made == key) {
        return VirtualBoard::open(folders).unwrap().held(held_lock::proof());
    }
    if folders.cache.join("boards/virtual").exists() {
        virt::destroy(folders).unwrap();
    }
    let vanilla = virt::vanilla_manifest(main).unwrap();
    let board = virt::create(folders, &vanilla, Different::Replace, &mut |line| {
        eprintln!("{line}")
    })
    .unwrap();
    let work = folders.cache.join("work");
    if work.exists() {
        std::fs::remove_dir_all(&work).unwrap();
    }
    std::fs::create_dir_all(&work).unwrap();
    let (disk, tree) = (board.disk(), board.folder().join("virt.dtb"));
    let sh = Shell::new().unwrap();
    process::run_logged(
        cmd!(sh, "unshare -m sh -eu {script} {disk} {tree} {work}"),
        &folders.cache.join("make.log"),
        Duration::from_secs(1800),
        |line| eprintln!("{line}"),
    )
    .unwrap();
    std::fs::remove_dir_all(&work).unwrap();
    std::fs::write(marker, key).unwrap();
    board.held(held_lock::proof())
}
