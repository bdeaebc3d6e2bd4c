//! Backups and the way back from them, with the real scripts on real files.

#[path = "board_backup/damage.rs"]
mod damage;
use crate::local_board;

use local_board::{Bench, DEBUG, Death, EXTLINUX, LABEL, VANILLA, build, install, request};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use xtask::board::backup::{self, Made, Modules};
use xtask::board::boot::Method;
use xtask::board::extlinux::{self, Config};
use xtask::board::ours::{self, SMOKE_FOLDER};
use xtask::board::protected::Protected;
use xtask::board::slot_init::RESTORE_FOLDER;
use xtask::board::{deploy, rollback, slot};

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

#[test]
fn a_rollback_takes_what_tests_and_interrupted_work_left_and_tells_what_stays() {
    let bench = Bench::new();
    let board = &bench.board;
    bench.back_up().unwrap();
    let before = everything(&bench);
    bench.install();
    // The method default-swap was armed when the tool died, and U-Boot's variable, too.
    let swapped = extlinux::default_once(&Config::parse(bench.extlinux().as_bytes()), LABEL).unwrap();
    let quiet = bench.extlinux();
    let swapped = String::from_utf8(swapped).unwrap();
    for (name, text) in [("extlinux.conf", quiet.as_str()), ("armed", &swapped)] {
        board.file(&format!("{RESTORE_FOLDER}/{name}"), text, 0o644);
    }
    board.file("/boot/firmware/extlinux/extlinux.conf", &swapped, 0o644);
    let tool = |name: &str, script: &str| {
        board.file(
            &format!("/usr/local/bin/{name}"),
            &format!("#!/bin/sh\n{script}\n"),
            0o755,
        );
    };
    tool(
        "fw_printenv",
        "[ \"$2\" = lockstep_once ] && cat /var/lib/once 2>/dev/null",
    );
    tool("fw_setenv", "[ \"$1\" = lockstep_once ] && rm /var/lib/once");
    board.file("/var/lib/once", LABEL, 0o644);
    let ours = [
        format!("{SMOKE_FOLDER}/clip.h265"),
        "/var/lib/lockstep/backups/.initramfs/out".into(),
        "/var/lib/lockstep/backups/.new-iter6/files/x".into(),
        "/boot/firmware/.lockstep-0123456789ab/Image".into(),
        "/boot/firmware/extlinux/extlinux.conf.lockstep0".into(),
        "/usr/lib/modules/.lockstep-00ff00ff00ff/x.ko".into(),
    ];
    let theirs = [
        "/var/lib/lockstep/backups/another/manifest.json",
        "/boot/firmware/.lockstep-notes",
    ];
    for path in ours.iter().map(String::as_str).chain(theirs) {
        board.file(path, "x", 0o644);
    }
    let plan = rollback::plan(board, "iter6", &board.host()).unwrap();
    assert_eq!(plan.boot_once, [Method::UbootEnv, Method::DefaultSwap]);
    let kept = |plan: &rollback::Plan| {
        let mut places: Vec<_> = plan.kept.iter().map(|kept| kept.place.clone()).collect();
        places.sort();
        places
    };
    let backups = [
        board.host().display().to_string(),
        "/var/lib/lockstep/backups/another".into(),
        "/var/lib/lockstep/backups/iter6".into(),
    ];
    assert_eq!(kept(&plan), backups);
    let line = plan
        .kept
        .iter()
        .find(|kept| kept.place.ends_with("iter6"))
        .unwrap()
        .line();
    assert!(
        line.contains("a backup stays on the board") && line.contains("rm -r"),
        "{line}"
    );
    rollback::execute(board, &plan, &board.host()).unwrap();
    for path in &ours {
        assert!(!board.at(path).exists(), "{path}");
    }
    assert!(!board.at(SMOKE_FOLDER).exists() && !board.at(RESTORE_FOLDER).exists());
    assert!(!board.at("/var/lib/once").exists());
    for path in theirs {
        fs::remove_file(board.at(path)).unwrap();
    }
    assert_eq!(everything(&bench), before);
    // Once more: nothing is left to do, and what stays is told again.
    let again = rollback::plan(board, "iter6", &board.host()).unwrap();
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(kept(&again), backups);
    rollback::execute(board, &again, &board.host()).unwrap();
    // The backup that was kept is whole.
    assert_eq!(bench.back_up().unwrap().made(), Made::Nothing);
}

#[test]
fn many_backups_of_other_campaigns_are_told_in_one_line_with_the_newest() {
    let bench = Bench::new();
    let board = &bench.board;
    bench.back_up().unwrap();
    let folder = Path::new("/var/lib/lockstep/backups");
    let others = ["a b", "iter4", "iter5", "test-17"];
    for (name, day) in others.iter().zip([2, 9, 4, 1]) {
        let copy = folder.join(name);
        board.file(copy.join("manifest.json").to_str().unwrap(), "x", 0o644);
        let made = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + 86_400 * day);
        let at = fs::File::open(board.at(copy.to_str().unwrap())).unwrap();
        at.set_modified(made).unwrap();
    }
    // One that was never finished is no backup.
    board.file("/var/lib/lockstep/backups/.new-iter7/files/x", "x", 0o644);

    let plan = rollback::plan(board, "iter6", &board.host()).unwrap();
    let lines = ours::lines(&plan.kept, "iter6", "LIST");
    let begins = [
        "a backup that was not finished stays on the board: /var/lib/lockstep/backups/.new-iter7; "
            .to_string(),
        "a backup stays on the board: /var/lib/lockstep/backups/iter6; ".into(),
        format!(
            "the archive stays on this host, with the rescue card: {}; ",
            board.host().display()
        ),
        "4 backups of other campaigns stay on the board, the newest `iter4` of 2023-11-23 22:13 UTC: \
         /var/lib/lockstep/backups; `LIST` names each and how to remove it"
            .into(),
    ];
    assert_eq!(lines.len(), begins.len(), "{lines:#?}");
    for (line, begin) in lines.iter().zip(&begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    let listed = ours::backups(board).unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|kept| kept.backup.as_ref().unwrap().campaign.as_str())
        .collect();
    assert_eq!(names, ["iter6", "iter4", "iter5", "a b", "test-17"]);
    assert!(
        listed[3]
            .remove
            .ends_with("`rm -r '/var/lib/lockstep/backups/a b'`")
    );
    let json = serde_json::to_value(&listed[1]).unwrap();
    assert_eq!(json["backup"]["made"], "2023-11-23T22:13:20Z");
}

#[test]
fn another_campaigns_label_is_ours_and_never_vanillas() {
    let bench = Bench::new();
    let board = &bench.board;
    let before = everything(&bench);
    let pristine = bench.back_up().unwrap().manifest().inventory.clone();
    bench.install();
    // A second campaign starts while the first one's slot is there.
    let protected = Protected::compute(board, "second").unwrap();
    assert_eq!(protected.inventory, bench.protected.inventory);
    assert_eq!(protected.foreign().unwrap(), EXTLINUX.as_bytes());
    let host = board.host().join("two");
    let made = backup::make(board, &protected, "two", &Modules::All, &host).unwrap();
    let mut copy = made.manifest().inventory.clone();
    let conf = PathBuf::from("/boot/firmware/extlinux/extlinux.conf");
    // Its time is that of the first campaign's label.
    copy.get_mut(&conf).unwrap().modified = pristine[&conf].modified;
    assert_eq!(
        copy, pristine,
        "vanilla's own files, all of them, and nothing else"
    );
    let names: Vec<_> = made.manifest().inventory.keys().collect();
    for name in [
        "Image-7.3.4-devices",
        "virt.dtb",
        "a.ko",
        "b c.ko",
        "modules.dep",
        "extlinux.conf",
    ] {
        assert!(names.iter().any(|path| path.ends_with(name)), "{name}: {names:?}");
    }
    assert!(
        names.iter().all(|path| !path.to_string_lossy().contains(DEBUG)),
        "{names:?}"
    );

    // It may not change what the first one's label boots, also when its own record still claims those files.
    let same = build(&bench.builds.path().join("same"), DEBUG, "another build");
    let error = format!("{:#}", install(board, &same, &protected).unwrap_err());
    assert!(error.contains(&format!("release `{DEBUG}`")), "{error}");
    let record = slot::record_path(&protected);
    let own = fs::read_to_string(board.at(slot::record_path(&bench.protected).to_str().unwrap())).unwrap();
    board.file(record.to_str().unwrap(), &own, 0o644);
    let error = format!("{:#}", install(board, &same, &protected).unwrap_err());
    assert!(
        error.contains(&format!(
            "label `{LABEL}` of another campaign boots release `{DEBUG}`"
        )),
        "{error}"
    );
    let other = build(&bench.builds.path().join("other"), "7.3.4-kasan", "kasan");
    let error = format!(
        "{:#}",
        deploy::plan(board, &request(&other, &protected)).unwrap_err()
    );
    assert!(
        error.contains("would change its"),
        "an older slot that is not its own any more: {error}"
    );
    slot::verify(board, &bench.protected).unwrap();
    fs::remove_file(board.at(record.to_str().unwrap())).unwrap();

    // With a release of its own both are there, and neither counts as a change of vanilla.
    install(board, &other, &protected).unwrap();
    slot::verify(board, &protected).unwrap();
    for one in [&bench.protected, &protected] {
        assert_eq!(one.compare(board).unwrap(), []);
    }
    // A backup that an older version made with the first one's label: that label is no vanilla's all the same.
    let with_label = Protected {
        foreign_hex: hex::encode(bench.extlinux()),
        ..protected.clone()
    };
    assert_eq!(with_label.foreign().unwrap(), EXTLINUX.as_bytes());
    assert_eq!(with_label.compare(board).unwrap(), []);

    // A rollback of either leaves vanilla alone: no label, slot or record of ours.
    let plan = rollback::plan(board, "two", &host).unwrap();
    assert!(
        plan.lines()[0].contains("every label of ours"),
        "{:?}",
        plan.lines()
    );
    rollback::execute(board, &plan, &host).unwrap();
    assert_eq!(bench.extlinux(), EXTLINUX);
    assert_eq!(everything(&bench), before);
    assert!(!board.at(&format!("/usr/lib/modules/{DEBUG}")).exists());
    assert!(board.at(&format!("/usr/lib/modules/{VANILLA}")).exists());
    assert!(rollback::plan(board, "iter6", &board.host()).unwrap().is_empty());
}

#[test]
fn a_record_that_lies_takes_nothing_of_vanillas_away() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    let before = everything(&bench);
    bench.install();
    let path = slot::record_path(&bench.protected);
    let record = bench.board.at(path.to_str().unwrap());
    let lie = fs::read_to_string(&record).unwrap().replace(DEBUG, VANILLA);
    fs::write(&record, lie).unwrap();
    let plan = rollback::plan(&bench.board, "iter6", &bench.board.host()).unwrap();
    assert!(
        plan.remove
            .iter()
            .all(|path| !path.to_string_lossy().contains(VANILLA)),
        "{plan:?}"
    );
    rollback::execute(&bench.board, &plan, &bench.board.host()).unwrap();
    assert_eq!(
        everything(&bench),
        before,
        "the label told where the slot really was"
    );
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
