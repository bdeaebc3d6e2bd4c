//! Boot folders on real file systems: mounted read-only, full, of a kind that U-Boot does not read. Needs root and loop devices.

use crate::local_board;

use local_board::{DEBUG, EXTLINUX, LABEL, LocalBoard, build, install};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::board::Board;
use xtask::board::preflight::{self, Backup, Check, Needed, Status};
use xtask::board::protected::Protected;
use xtask::host::process;

const LIMIT: Duration = Duration::from_secs(30);

fn run(program: &str, words: &[&str]) {
    let sh = Shell::new().unwrap();
    process::run(cmd!(sh, "{program} {words...}"), LIMIT).unwrap();
}

/// A board whose boot folder is an ext4 of its own.
struct OnExt4 {
    local: LocalBoard,
    _image: tempfile::TempDir,
    mount: PathBuf,
}

impl OnExt4 {
    fn new(megabytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("boot.img");
        fs::File::create(&image)
            .unwrap()
            .set_len(megabytes << 20)
            .unwrap();
        run("mke2fs", &["-q", "-t", "ext4", image.to_str().unwrap()]);
        let local = LocalBoard::new();
        let mount = local.at("/boot/firmware");
        let kept = folder.path().join("kept");
        run("cp", &["-a", mount.to_str().unwrap(), kept.to_str().unwrap()]);
        run(
            "mount",
            &["-o", "loop", image.to_str().unwrap(), mount.to_str().unwrap()],
        );
        let from = format!("{}/.", kept.display());
        run("cp", &["-a", &from, mount.to_str().unwrap()]);
        OnExt4 {
            local,
            _image: folder,
            mount,
        }
    }

    fn extlinux(&self) -> String {
        fs::read_to_string(self.local.at("/boot/firmware/extlinux/extlinux.conf")).unwrap()
    }
}

impl Drop for OnExt4 {
    fn drop(&mut self) {
        let sh = Shell::new().unwrap();
        let mount = &self.mount;
        drop(process::finish(cmd!(sh, "umount {mount}"), LIMIT));
    }
}

/// The row of the boot folder, with room for `needed` bytes.
fn boot_row(board: &dyn Board, protected: &Protected, needed: u64) -> Check {
    let needed = Needed {
        boot: needed,
        root: 0,
    };
    let report = preflight::run(board, protected, Backup::Missing("not asked".into()), needed).unwrap();
    report
        .checks
        .into_iter()
        .find(|check| check.id == "boot")
        .unwrap()
}

/// Everything below a folder, with contents.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (entry.path().to_path_buf(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_boot_folder_that_is_read_only_is_told_and_never_written() {
    let board = OnExt4::new(16);
    let protected = Protected::compute(&board.local, LABEL).unwrap();
    let row = boot_row(&board.local, &protected, 1 << 20);
    assert_eq!(row.status, Status::Pass, "{row:?}");
    assert!(row.reason.contains("ext4 on /boot/firmware"), "{row:?}");

    run("mount", &["-o", "remount,ro", board.mount.to_str().unwrap()]);
    let row = boot_row(&board.local, &protected, 1 << 20);
    assert_eq!(row.status, Status::Fail, "{row:?}");
    assert!(row.reason.contains("read-only") && !row.fix.is_empty(), "{row:?}");
    let before = content(&board.mount);
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    let error = format!("{:#}", install(&board.local, &manifest, &protected).unwrap_err());
    assert!(error.to_lowercase().contains("read-only"), "{error}");
    assert_eq!(content(&board.mount), before);
    assert!(protected.compare(&board.local).unwrap().is_empty());

    run("mount", &["-o", "remount,rw", board.mount.to_str().unwrap()]);
    install(&board.local, &manifest, &protected).unwrap();
    assert!(board.extlinux().contains(LABEL));
}

#[test]
fn a_boot_folder_that_is_full_is_told_before_anything_is_sent() {
    let board = OnExt4::new(8);
    let protected = Protected::compute(&board.local, LABEL).unwrap();
    let filler = board.mount.join("filler");
    let sh = Shell::new().unwrap();
    // It ends when the disk is full.
    let filling = cmd!(sh, "dd if=/dev/zero of={filler} bs=4096");
    assert!(!process::finish(filling, LIMIT).unwrap().status.success());
    let row = boot_row(&board.local, &protected, 1 << 20);
    assert!(
        row.status == Status::Fail && row.reason.contains("MB needed"),
        "{row:?}"
    );
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    let error = format!("{:#}", install(&board.local, &manifest, &protected).unwrap_err());
    assert!(
        error.contains("MB free and the deploy needs") && error.contains("nothing was changed"),
        "{error}"
    );
    assert_eq!(board.extlinux(), EXTLINUX);
}

#[test]
fn a_boot_folder_that_u_boot_does_not_read_is_told() {
    let board = OnExt4::new(8);
    let protected = Protected::compute(&board.local, LABEL).unwrap();
    // Something is mounted over it, with the same files in it.
    let kept = tempfile::tempdir().unwrap();
    let (mount, from) = (
        board.mount.to_str().unwrap(),
        format!("{}/.", kept.path().display()),
    );
    run(
        "cp",
        &["-a", &format!("{mount}/."), kept.path().to_str().unwrap()],
    );
    run("mount", &["-t", "tmpfs", "tmpfs", mount]);
    run("cp", &["-a", &from, mount]);
    let row = boot_row(&board.local, &protected, 1 << 20);
    run("umount", &[mount]);
    assert_eq!(row.status, Status::Fail, "{row:?}");
    assert!(
        row.reason.contains("tmpfs, which U-Boot does not read"),
        "{row:?}"
    );
}
