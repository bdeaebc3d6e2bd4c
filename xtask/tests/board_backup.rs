//! Backups and the way back from them, with the real scripts on real files.

mod local_board;

use local_board::{Bench, Death, EXTLINUX};
use std::fs;
use std::path::PathBuf;
use xtask::board::backup::{self, Made, Modules};
use xtask::board::extlinux::Config;
use xtask::board::rollback;

#[test]
fn a_backup_is_made_once_verified_ever_after_and_never_overwritten() {
    let bench = Bench::new();
    assert_eq!(bench.back_up().unwrap().made(), Made::New);
    let archive = bench.board.host().join(backup::ARCHIVE);
    let before = fs::read(&archive).unwrap();
    let copy = "/var/lib/lockstep/backups/iter6/files/usr/lib/modules/7.3.4-devices/kernel/b c.ko";
    assert_eq!(
        fs::read_to_string(bench.board.at(copy).as_path()).unwrap(),
        "vanilla kernel/b c.ko"
    );
    bench.install();
    assert_eq!(
        bench.back_up().unwrap().made(),
        Made::Nothing,
        "our label is no reason for a new backup"
    );

    // Vanilla changed: the backup is not brought up to date behind anybody's back.
    bench
        .board
        .file("/usr/lib/modules/7.3.4-devices/kernel/a.ko", "changed", 0o644);
    assert!(
        bench
            .back_up()
            .unwrap_err()
            .to_string()
            .contains("never overwritten")
    );
    bench.board.file(
        "/usr/lib/modules/7.3.4-devices/kernel/a.ko",
        "vanilla kernel/a.ko",
        0o644,
    );

    bench.board.file(copy, "damaged", 0o644);
    let error = bench.back_up().unwrap_err().to_string();
    assert!(
        error.contains("the backup on the board") && error.contains("b c.ko has other bytes"),
        "{error}"
    );
    bench.board.file(copy, "vanilla kernel/b c.ko", 0o644);

    fs::remove_file(&archive).unwrap();
    assert_eq!(bench.back_up().unwrap().made(), Made::Archive);
    fs::remove_dir_all(bench.board.at("/var/lib/lockstep/backups/iter6")).unwrap();
    assert_eq!(bench.back_up().unwrap().made(), Made::BoardCopy);

    let mut damaged = before.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    fs::write(&archive, damaged).unwrap();
    assert!(bench.back_up().is_err());
    fs::write(&archive, before).unwrap();
    assert_eq!(bench.back_up().unwrap().made(), Made::Nothing);
}

#[test]
fn a_backup_of_some_modules_holds_those_and_the_boot_files() {
    let bench = Bench::new();
    let folders = Modules::Folders(vec!["kernel".into()]);
    let made = backup::make(
        &bench.board,
        &bench.protected,
        "some",
        &folders,
        &bench.board.host(),
    )
    .unwrap();
    let names: Vec<_> = made
        .manifest()
        .inventory
        .keys()
        .filter(|path| path.starts_with("/usr"))
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let outside = Modules::Folders(vec!["../7.3.4-other".into()]);
    assert!(
        backup::make(
            &bench.board,
            &bench.protected,
            "x",
            &outside,
            &bench.board.host().join("x")
        )
        .is_err()
    );
    assert!(
        backup::make(
            &bench.board,
            &bench.protected,
            "../x",
            &folders,
            &bench.board.host().join("x")
        )
        .is_err()
    );
}

#[test]
fn a_rollback_leaves_vanilla_hash_for_hash_and_nothing_of_ours() {
    for damaged_copy in [false, true] {
        let bench = Bench::new();
        bench.back_up().unwrap();
        let before = everything(&bench);
        bench.install();
        bench
            .board
            .file("/usr/lib/modules/7.3.4-devices/kernel/a.ko", "damaged", 0o600);
        fs::remove_file(bench.board.at("/boot/firmware/dtbs/virt.dtb")).unwrap();
        bench
            .board
            .file("/usr/lib/modules/7.3.4-devices/kernel/stranger.ko", "x", 0o644);
        let conf = bench
            .extlinux()
            .replace("default arch_devices\n", "default arch_devices_lockdep\n");
        bench
            .board
            .file("/boot/firmware/extlinux/extlinux.conf", &conf, 0o644);
        if damaged_copy {
            bench.board.file(
                "/var/lib/lockstep/backups/iter6/files/boot/firmware/dtbs/virt.dtb",
                "bad",
                0o644,
            );
        }
        let plan = rollback::plan(&bench.board, "iter6", &bench.board.host()).unwrap();
        assert_eq!(matches!(plan.copy, rollback::Copy::OnHost(_)), damaged_copy);
        assert_eq!(
            (plan.restore.len(), plan.strangers.len(), plan.remove.len()),
            (2, 1, 4),
            "{plan:?}"
        );
        rollback::execute(&bench.board, &plan, &bench.board.host()).unwrap();
        assert_eq!(everything(&bench), before);
        assert_eq!(bench.extlinux(), EXTLINUX);
        let again = rollback::plan(&bench.board, "iter6", &bench.board.host()).unwrap();
        assert!(again.is_empty(), "{again:?}");
        rollback::execute(&bench.board, &again, &bench.board.host()).unwrap();
    }
}

#[test]
fn a_rollback_that_dies_is_finished_by_the_next() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    let before = everything(&bench);
    for call in 0.. {
        bench.install();
        bench
            .board
            .file("/usr/lib/modules/7.3.4-devices/kernel/a.ko", "damaged", 0o644);
        let plan = rollback::plan(&bench.board, "iter6", &bench.board.host()).unwrap();
        bench.board.kill(Some(Death::Before(call)));
        let outcome = rollback::execute(&bench.board, &plan, &bench.board.host());
        bench.board.kill(None);
        let config = Config::parse(bench.extlinux().as_bytes());
        assert_eq!(
            config.default_label().map(|label| label.name.as_str()),
            Some("arch_devices")
        );
        let rest = rollback::plan(&bench.board, "iter6", &bench.board.host()).unwrap();
        rollback::execute(&bench.board, &rest, &bench.board.host()).unwrap();
        assert_eq!(everything(&bench), before, "after script {call}");
        if outcome.is_ok() {
            assert!(call > 4);
            break;
        }
    }
}

#[test]
fn a_rollback_works_without_the_hosts_copy_and_not_without_any() {
    let bench = Bench::new();
    let nowhere = bench.board.host().join("lost");
    assert!(
        rollback::plan(&bench.board, "iter6", &nowhere)
            .unwrap_err()
            .to_string()
            .contains("there is no backup")
    );
    bench.back_up().unwrap();
    bench.install();
    let plan = rollback::plan(&bench.board, "iter6", &nowhere).unwrap();
    rollback::execute(&bench.board, &plan, &nowhere).unwrap();
    assert_eq!(bench.extlinux(), EXTLINUX);
    bench.board.file(
        "/var/lib/lockstep/backups/iter6/files/boot/firmware/dtbs/virt.dtb",
        "bad",
        0o644,
    );
    assert!(rollback::plan(&bench.board, "iter6", &nowhere).is_err());
}

/// Everything on the board that is not the backup: paths, bytes, modes.
fn everything(bench: &Bench) -> Vec<(PathBuf, String, u32)> {
    let mut all: Vec<_> = ["/boot/firmware", "/usr/lib/modules"]
        .iter()
        .flat_map(|root| {
            walkdir::WalkDir::new(bench.board.at(root))
                .into_iter()
                .map(Result::unwrap)
        })
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
            (
                entry.path().to_path_buf(),
                fs::read_to_string(entry.path()).unwrap(),
                mode,
            )
        })
        .collect();
    all.sort();
    all
}
