//! What a deploy refuses, keeps and makes on the board, with the real scripts on real files.

use crate::local_board;

use local_board::{Bench, DEBUG, EXTLINUX, LABEL, LocalBoard, VANILLA, build};
use std::fs;
use std::path::PathBuf;
use xtask::board::deploy::{self, Deployed, Plan, Request};
use xtask::board::extlinux::Config;
use xtask::board::protected::Protected;
use xtask::board::{autologin, backup, inventory, rescue_card, rollback, script, slot};
use xtask::manifest::Manifest;

fn request<'a>(manifest: &'a Manifest, protected: &'a Protected, keep: usize) -> Request<'a> {
    Request {
        keep,
        ..local_board::request(manifest, protected)
    }
}

fn install(board: &LocalBoard, manifest: &Manifest, protected: &Protected, keep: usize) -> (Plan, Deployed) {
    let request = request(manifest, protected, keep);
    let plan = deploy::plan(board, &request).unwrap();
    let done =
        deploy::execute(board, &request, &plan, &mut |_| {}).unwrap_or_else(|error| panic!("{error:#}"));
    (plan, done)
}

#[test]
fn old_slots_are_kept_by_rule_and_a_rollback_takes_all_of_them() {
    let board = LocalBoard::new();
    let protected = Protected::compute(&board, LABEL).unwrap();
    backup::make(&board, &protected, "iter6", &backup::Modules::All, &board.host()).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let made = |name: &str| build(&builds.path().join(name), &format!("7.3.4-{name}"), name);
    let there = |name: &str| {
        let image = board.at(&format!("/boot/firmware/Image-7.3.4-{name}")).exists();
        let modules = board.at(&format!("/usr/lib/modules/7.3.4-{name}")).exists();
        assert_eq!(image, modules, "{name} is whole or gone");
        image
    };
    for name in ["one", "two", "three"] {
        install(&board, &made(name), &protected, 1);
        slot::verify(&board, &protected).unwrap();
    }
    assert_eq!([there("one"), there("two"), there("three")], [false, true, true]);
    assert_eq!(slot::kept(&board, &protected).unwrap().len(), 1);
    // The kept one comes back without moving a file, and the other is kept instead.
    let (plan, _) = install(&board, &made("two"), &protected, 1);
    assert!(plan.send.is_empty(), "{plan:?}");
    assert_eq!(plan.keep, ["7.3.4-three"]);
    slot::verify(&board, &protected).unwrap();
    assert_eq!([there("two"), there("three")], [true, true]);
    let config = Config::parse(&fs::read(board.at("/boot/firmware/extlinux/extlinux.conf")).unwrap());
    assert_eq!(config.menu.labels.len(), 2, "a kept slot has no label");
    let plan = rollback::plan(&board, "iter6", &board.host()).unwrap();
    rollback::execute(&board, &plan, &board.host()).unwrap();
    assert_eq!([there("two"), there("three")], [false, false]);
    let left: Vec<_> = fs::read_dir(board.at("/boot/firmware"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(protected.compare(&board).unwrap().is_empty());
}

#[test]
fn what_the_profile_wants_on_the_command_line_is_there_once() {
    let board = LocalBoard::new();
    let protected = Protected::compute(&board, LABEL).unwrap();
    backup::make(&board, &protected, "iter6", &backup::Modules::All, &board.host()).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let mut manifest = build(&builds.path().join("kasan"), "7.3.4-kasan", "one");
    manifest.append = vec!["kasan_multi_shot".into()];
    let words = |manifest: &Manifest| {
        install(&board, manifest, &protected, 0);
        let bytes = fs::read(board.at("/boot/firmware/extlinux/extlinux.conf")).unwrap();
        let append = Config::parse(&bytes)
            .label(LABEL)
            .unwrap()
            .append
            .clone()
            .unwrap()
            .value;
        append
            .split(' ')
            .filter(|word| *word == "kasan_multi_shot")
            .count()
    };
    assert_eq!(words(&manifest), 1);
    assert_eq!(words(&manifest), 1, "a second deploy adds nothing");
    let other = build(&builds.path().join("other"), "7.3.4-other", "two");
    assert_eq!(words(&other), 0, "another kernel does not inherit it");
}

/// The build refuses it as well; what is deployed need not come from a build of a debug profile.
#[test]
fn a_kernel_whose_early_panic_never_ends_is_refused_and_a_lease_with_gaps_is_told() {
    let board = LocalBoard::new();
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    let config = |text: &str| fs::write(builds.path().join("config"), text).unwrap();
    let planned = || deploy::plan(&board, &request(&manifest, &protected, 0));
    for text in ["CONFIG_PANIC_TIMEOUT=0\n", "CONFIG_PROC_FS=y\n"] {
        config(text);
        let error = planned().unwrap_err().to_string();
        assert!(error.contains("CONFIG_PANIC_TIMEOUT=0"), "{error}");
        let error = deploy::install(&board, &request(&manifest, &protected, 0)).unwrap_err();
        assert!(error.to_string().contains("nothing was changed"), "{error:#}");
    }
    config("CONFIG_PANIC_TIMEOUT=10\nCONFIG_PROC_FS=y\nCONFIG_TMPFS=y\n");
    let doubt = planned().unwrap().doubt().unwrap();
    assert!(doubt.contains("it lacks SysRq and the watchdog"), "{doubt}");
    let (_, done) = install(&board, &manifest, &protected, 0);
    assert!(done.notes.contains(&doubt), "{done:?}");
    fs::remove_file(builds.path().join("config")).unwrap();
    assert!(planned().unwrap().doubt().unwrap().contains("is not known"));
    // Neither here nor not here.
    fs::create_dir(builds.path().join("config")).unwrap();
    let error = format!("{:#}", planned().unwrap_err());
    assert!(error.contains("a regular file is needed"), "{error}");
}

/// Links that lead round in a circle stand for a dead disk or mount: what lies there cannot be
/// looked at, as root neither.
#[test]
fn what_cannot_be_looked_at_is_never_taken_for_what_is_not_there() {
    let board = LocalBoard::new();
    let protected = Protected::compute(&board, LABEL).unwrap();
    fs::create_dir_all(board.at("/var/lib/lockstep")).unwrap();
    let round = |path: &str| std::os::unix::fs::symlink("backups", board.at(path)).unwrap();
    round("/var/lib/lockstep/backups");
    let below = PathBuf::from("/var/lib/lockstep/backups/iter6/manifest.json");
    let refused = |error: anyhow::Error| {
        let error = format!("{error:#}");
        assert!(error.contains("cannot be told whether"), "{error}");
    };
    refused(script::read(&board, &below).unwrap_err());
    refused(inventory::take(&board, std::slice::from_ref(&below)).unwrap_err());
    // There is a backup, or there is none: a second one may not be begun.
    let made = backup::make(&board, &protected, "iter6", &backup::Modules::All, &board.host());
    refused(made.unwrap_err());
    fs::remove_file(board.at("/var/lib/lockstep/backups")).unwrap();
    assert_eq!(script::read(&board, &below).unwrap(), None);
    backup::make(&board, &protected, "iter6", &backup::Modules::All, &board.host()).unwrap();

    // Nor is a pipe waited for where a record should be.
    let record = board.at(slot::record_path(&protected).to_str().unwrap());
    let sh = xshell::Shell::new().unwrap();
    xshell::cmd!(sh, "mkfifo {record}").quiet().run().unwrap();
    let begun = std::time::Instant::now();
    let error = format!("{:#}", slot::read(&board, &protected).unwrap_err());
    assert!(error.contains("not a regular file"), "{error}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_root_that_is_thrown_away_is_refused_before_anything_is_written_where_it_cannot_be_made() {
    let board = LocalBoard::with_root_overlay();
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    let init = builds.path().join("init");
    fs::write(&init, "first user space").unwrap();
    let planned = || {
        let request = Request {
            init: Some(init.clone()),
            ..request(&manifest, &protected, 0)
        };
        deploy::plan(&board, &request).map(|plan| plan.append)
    };
    fs::write(
        builds.path().join("config"),
        "CONFIG_TMPFS=y\nCONFIG_PANIC_TIMEOUT=10\n",
    )
    .unwrap();
    let error = planned().unwrap_err().to_string();
    assert!(error.contains("without CONFIG_OVERLAY_FS=y"), "{error}");
    fs::write(
        builds.path().join("config"),
        "CONFIG_TMPFS=y\nCONFIG_OVERLAY_FS=y\nCONFIG_PANIC_TIMEOUT=10\n",
    )
    .unwrap();
    let append = planned().unwrap();
    assert!(append.contains(" lockstep.root=overlay"), "{append}");
    assert!(!append.split(' ').any(|word| word == "rw"), "{append}");
}

#[test]
fn a_full_or_unmounted_boot_folder_is_refused_before_anything_is_written() {
    let board = LocalBoard::new();
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let mut huge = build(builds.path(), DEBUG, "one");
    huge.files[0].size = 1 << 50;
    let error = deploy::plan(&board, &request(&huge, &protected, 0))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("MB free and the deploy needs") && error.contains("nothing was changed"),
        "{error}"
    );
    let elsewhere = Protected {
        boot_mount: "/boot".into(),
        ..protected.clone()
    };
    let good = build(builds.path(), DEBUG, "one");
    let error = deploy::plan(&board, &request(&good, &elsewhere, 0))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the boot partition is not mounted") || error.contains("is already on the board"),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(board.at("/boot/firmware/extlinux/extlinux.conf")).unwrap(),
        EXTLINUX
    );
}

/// What a kernel needs for an initramfs.
const INITRD_CONFIG: &str = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_PANIC_TIMEOUT=10\n";

/// Packs the names of the release's modules, as initramfs-tools' own programs pack the files. Like the real one it makes none without
/// `/boot/config-<release>`; and a hook of it writes to the boot folder.
fn with_initramfs() -> LocalBoard {
    let board = LocalBoard::new();
    let conf = EXTLINUX.replace("\tfdt /dtbs", "\tinitrd /initrd.img\n\tfdt /dtbs");
    board.file("/boot/firmware/extlinux/extlinux.conf", &conf, 0o644);
    board.file("/boot/firmware/initrd.img", "vanilla initramfs", 0o644);
    board.file(
        "/usr/local/bin/mkinitramfs",
        "#!/bin/sh\n[ \"$1\" = -o ] || exit 9\necho run >>/var/lib/made\ngrep -q '^CONFIG_RD_GZIP=y' \"/boot/config-$3\" || exit 1\n\
         mkdir -p /boot/firmware && echo hook >/boot/firmware/initrd.img\ncd \"/usr/lib/modules/$3\" && find . -name 'vim2m.ko' \
         | sed \"s,^\\.,usr/lib/modules/$3,\" >\"$2\"\ncat kernel/drivers/vim2m.ko >>\"$2\"\n",
        0o755,
    );
    board.file(
        "/usr/local/bin/lsinitramfs",
        "#!/bin/sh\ngrep ^usr/ \"$1\"\n",
        0o755,
    );
    for name in ["update-initramfs", "flash-kernel", "u-boot-update"] {
        board.file(
            &format!("/usr/local/bin/{name}"),
            "#!/bin/sh\necho hook >>/var/lib/made\n",
            0o755,
        );
    }
    board
}

#[test]
fn the_slots_initramfs_is_made_by_the_boards_tool_when_a_module_in_it_changed() {
    let board = with_initramfs();
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let mut manifest = build(builds.path(), DEBUG, "one");
    fs::write(builds.path().join("config"), INITRD_CONFIG).unwrap();
    let made = || fs::read_to_string(board.at("/var/lib/made")).unwrap();
    let (plan, _) = install(&board, &manifest, &protected, 0);
    assert_eq!(plan.initramfs.as_deref(), Some("the slot has none yet"));
    let record = slot::verify(&board, &protected).unwrap();
    assert_eq!(record.initramfs.unwrap().modules.len(), 1);
    let config = Config::parse(&fs::read(board.at("/boot/firmware/extlinux/extlinux.conf")).unwrap());
    let initrd = config.label(LABEL).unwrap().initrd.clone().unwrap();
    assert_eq!(initrd, "/initramfs-7.3.4-lockdep+.img");
    assert!(board.at("/boot/firmware/initramfs-7.3.4-lockdep+.img").exists());
    assert_eq!(made(), "run\n");

    let (plan, _) = install(&board, &manifest, &protected, 0);
    assert_eq!(
        (plan.initramfs, made().as_str()),
        (None, "run\n"),
        "nothing changed"
    );

    let mut change = |name: &str, content: &str| {
        local_board::change(&mut manifest, name, content.as_bytes());
        install(&board, &manifest, &protected, 0).0
    };
    assert_eq!(
        change("v4l2-mem2mem.ko", "other").initramfs,
        None,
        "that one is not in it"
    );
    assert_eq!(
        change("vim2m.ko", "new").initramfs.as_deref(),
        Some("vim2m.ko changed, which is in it")
    );
    assert_eq!(made(), "run\nrun\n", "no hook was run");
    slot::verify(&board, &protected).unwrap();
    assert_eq!(
        fs::read_to_string(board.at("/boot/firmware/initrd.img")).unwrap(),
        "vanilla initramfs"
    );
    assert!(protected.compare(&board).unwrap().is_empty());
    assert!(!board.at("/var/lib/lockstep/backups/.initramfs").exists());
}

/// lsinitramfs names no module of the release: there is none in it, and that is known.
#[test]
fn an_initramfs_without_modules_is_made_once() {
    let board = with_initramfs();
    board.file(
        "/usr/local/bin/lsinitramfs",
        "#!/bin/sh\necho usr/bin/sh\n",
        0o755,
    );
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    fs::write(builds.path().join("config"), INITRD_CONFIG).unwrap();
    install(&board, &manifest, &protected, 0);
    let (plan, done) = install(&board, &manifest, &protected, 0);
    assert_eq!(plan.initramfs, None);
    // The label and the slot's record: the nonce is new.
    assert_eq!(done.sent.files, 2, "{done:?}");
}

#[test]
fn an_initramfs_that_the_kernel_could_not_unpack_gets_no_label() {
    let board = with_initramfs();
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    let tried = |config: &str| {
        fs::write(
            builds.path().join("config"),
            format!("{config}CONFIG_PANIC_TIMEOUT=10\n"),
        )
        .unwrap();
        let request = request(&manifest, &protected, 0);
        let plan = deploy::plan(&board, &request)?;
        deploy::execute(&board, &request, &plan, &mut |_| {}).map(drop)
    };
    let error = tried("CONFIG_RD_GZIP=y\n").unwrap_err().to_string();
    assert!(
        error.contains("CONFIG_BLK_DEV_INITRD=y") && error.contains("nothing was changed"),
        "{error}"
    );
    assert!(!board.at(&format!("/usr/lib/modules/{DEBUG}")).exists());
    // The first bytes of a file that zstd made.
    board.file(
        "/usr/local/bin/mkinitramfs",
        "#!/bin/sh\nprintf '\\050\\265\\057\\375' >\"$2\"\n",
        0o755,
    );
    let error = format!("{:#}", tried(INITRD_CONFIG).unwrap_err());
    assert!(error.contains("CONFIG_RD_ZSTD is off"), "{error}");
    let config = Config::parse(&fs::read(board.at("/boot/firmware/extlinux/extlinux.conf")).unwrap());
    assert!(config.label(LABEL).is_none());
    assert!(protected.compare(&board).unwrap().is_empty());
    tried(&format!("{INITRD_CONFIG}CONFIG_RD_ZSTD=y\n")).unwrap();
}

#[test]
fn without_a_tool_for_the_initramfs_nothing_is_changed() {
    let board = with_initramfs();
    fs::remove_file(board.at("/usr/local/bin/mkinitramfs")).unwrap();
    // This host's own tools shine through; a board with them would be served by them.
    let has_tool = ["mkinitramfs", "dracut", "mkinitcpio"]
        .iter()
        .any(|name| which::which(name).is_ok());
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    let plan = deploy::plan(&board, &request(&manifest, &protected, 0));
    assert_eq!(plan.is_ok(), has_tool);
    assert!(board.at(&format!("/usr/lib/modules/{VANILLA}")).exists());
}

#[test]
fn a_rollback_brings_back_links_folders_owners_times_and_the_automatic_log_in() {
    let board = LocalBoard::new();
    let modules = format!("/usr/lib/modules/{VANILLA}");
    std::os::unix::fs::symlink("/usr/src/linux", board.at(&format!("{modules}/build"))).unwrap();
    board.file(
        "/etc/gdm3/daemon.conf",
        "[daemon]\nAutomaticLoginEnable=true\nAutomaticLogin=lei\n",
        0o644,
    );
    let protected = Protected::compute(&board, LABEL).unwrap();
    let made = backup::make(&board, &protected, "iter6", &backup::Modules::All, &board.host()).unwrap();
    let (card, text) = rescue_card::save(&board, &made).unwrap();
    assert_eq!(fs::read_to_string(card).unwrap(), text);
    assert!(
        text.contains("load ${d} ${kernel_addr_r} /Image-7.3.4-devices") && text.contains("type `1`"),
        "{text}"
    );
    let found = autologin::active(&board).unwrap();
    autologin::disable(&board, &protected, "iter6", &found).unwrap();
    assert!(!board.at("/etc/gdm3/daemon.conf").exists());

    let at = |name: &str| board.at(&format!("{modules}/{name}"));
    fs::remove_file(at("build")).unwrap();
    fs::create_dir(at("build")).unwrap();
    fs::set_permissions(at("kernel"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(at("kernel/a.ko"), Some(1000), Some(1000)).unwrap();
    fs::File::options()
        .write(true)
        .open(at("modules.dep"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    let differences = protected.compare(&board).unwrap();
    let said = differences
        .iter()
        .map(|one| one.what.clone())
        .collect::<Vec<_>>()
        .join("; ");
    for words in [
        "belongs to 1000:1000, was 0:0",
        "was written again with the same bytes",
        "mode 700, was 755",
        "is a folder, was a link to /usr/src/linux",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }

    let plan = rollback::plan(&board, "iter6", &board.host()).unwrap();
    assert_eq!(
        (plan.restore.len(), plan.reshape.len(), plan.rename.len()),
        (2, 2, 1),
        "{plan:#?}"
    );
    assert!(plan.by_hand.is_empty());
    rollback::execute(&board, &plan, &board.host()).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(protected.compare(&board).unwrap().is_empty());
    assert!(board.at("/etc/gdm3/daemon.conf").exists());
    assert!(rollback::plan(&board, "iter6", &board.host()).unwrap().is_empty());
}

#[test]
fn nothing_that_is_to_last_is_written_to_a_root_that_is_thrown_away() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    bench.install();
    let before = bench.extlinux();
    bench
        .board
        .runs_with("root=/dev/vda2 quiet lockstep.nonce=1 lockstep.root=overlay lockstep.lease=240");
    let says = |error: anyhow::Error| {
        let error = format!("{error:#}");
        assert!(
            error.contains("root that is thrown away") && error.contains("cargo xtask boot vanilla"),
            "{error}"
        );
    };
    let host = bench.board.host();
    says(
        rollback::plan(&bench.board, "iter6", &host)
            .map(drop)
            .unwrap_err(),
    );
    let request = request(&bench.manifest, &bench.protected, 0);
    says(deploy::plan(&bench.board, &request).map(drop).unwrap_err());
    // Verifying what is there goes on, since the way back to vanilla asks for it; a new copy is refused.
    bench.back_up().unwrap();
    fs::remove_dir_all(bench.board.at("/var/lib/lockstep/backups/iter6")).unwrap();
    says(bench.back_up().unwrap_err());
    assert_eq!(bench.extlinux(), before);
    assert!(!bench.board.at("/var/lib/lockstep/backups/iter6").exists());
    // A word that only begins so is another one; and the same kernel on the board's own root is no obstacle.
    bench
        .board
        .runs_with("root=/dev/vda2 lockstep.nonce=1 lockstep.root=overlays");
    bench.back_up().unwrap();
    let plan = rollback::plan(&bench.board, "iter6", &host).unwrap();
    rollback::execute(&bench.board, &plan, &host).unwrap();
}
