//! Tries to break each promise about what is written to a board, with the real scripts on real files.

use crate::local_board;

use local_board::{Bench, DEBUG, Death, EXTLINUX, LABEL, LocalBoard, VANILLA, build, install, request};
use std::fs;
use std::path::{Path, PathBuf};
use xtask::board::deploy;
use xtask::board::extlinux::Config;
use xtask::board::protected::Protected;
use xtask::board::writer::{Order, Put, Source, Writer};
use xtask::board::{inventory, slot};
use xtask::host::files::sha256;
use xtask::manifest::Manifest;

fn put(target: &str, content: &str) -> Put {
    Put {
        target: target.into(),
        source: Source::Bytes(content.into()),
        sha256: sha256(content.as_bytes()),
        size: content.len() as u64,
        mode: 0o640,
        keep: None,
    }
}

#[test]
fn vanilla_is_known_with_its_links_resolved() {
    let bench = Bench::new();
    let protected = &bench.protected;
    assert_eq!(protected.release, VANILLA);
    assert_eq!(protected.modules, Path::new("/usr/lib/modules/7.3.4-devices"));
    assert_eq!(protected.boot_mount, Path::new("/boot/firmware"));
    assert_eq!(protected.image, Path::new("/boot/firmware/Image-7.3.4-devices"));
    assert_eq!(protected.inventory.len(), 7, "{:?}", protected.inventory.keys());
}

#[test]
fn a_board_that_does_not_run_vanilla_is_refused() {
    let board = LocalBoard::new();
    board.file(
        "/boot/firmware/Image-7.3.4-devices",
        "Linux version 7.0.0-other (x)",
        0o755,
    );
    assert!(
        Protected::compute(&board, LABEL)
            .unwrap_err()
            .to_string()
            .contains("7.0.0-other")
    );
    board.file("/boot/firmware/Image-7.3.4-devices", "compressed", 0o755);
    board.file(
        "/boot/firmware/extlinux/extlinux.conf",
        &EXTLINUX.replace("rw quiet", "rw debug"),
        0o644,
    );
    let error = Protected::compute(&board, LABEL).unwrap_err().to_string();
    assert!(
        error.contains("was not booted by label `arch_devices`"),
        "{error}"
    );
}

#[test]
fn the_writer_refuses_every_way_to_vanilla() {
    let bench = Bench::new();
    let board = &bench.board;
    std::os::unix::fs::symlink("/usr/lib/modules/7.3.4-devices", board.at("/boot/firmware/link")).unwrap();
    std::os::unix::fs::symlink("Image-7.3.4-devices", board.at("/boot/firmware/other")).unwrap();
    std::os::unix::fs::symlink("/boot", board.at("/var/lib/boot")).unwrap();
    let writer = Writer::new(board, &bench.protected);
    for (base, target) in [
        ("/boot/firmware", "Image-7.3.4-devices"),
        ("/boot/firmware", "IMAGE-7.3.4-DEVICES"),
        ("/boot/firmware", "IMAGE-~1"),
        ("/boot/firmware/x/..", "Image-7.3.4-devices"),
        ("/boot/firmware/x/../dtbs", "virt.dtb"),
        ("/boot/firmware", "other"),
        ("/boot/firmware/link", "kernel/a.ko"),
        ("/boot/firmware", "link/kernel/new.ko"),
        ("/boot/firmware", "link"),
        ("/var/lib/boot/firmware", "Image-7.3.4-devices"),
        ("/lib/modules", "7.3.4-devices/kernel/a.ko"),
        ("/lib/modules", "7.3.4-devices/kernel/new.ko"),
        ("/boot/firmware/extlinux", "extlinux.conf"),
        ("/boot/firmware/extlinux", "EXTLINUX.CONF"),
        ("/boot/firmware", "a/../Image-7.3.4-devices"),
    ] {
        let error = writer.put(Path::new(base), &[put(target, "bad")]);
        assert!(error.is_err(), "{base} {target}");
    }
    for path in [
        "/boot/firmware",
        "/boot/firmware/link/kernel",
        "/",
        "/usr/lib/modules",
        "/var/lib/boot/firmware/dtbs/virt.dtb",
    ] {
        assert!(writer.remove(&[PathBuf::from(path)]).is_err(), "{path}");
    }
    assert!(
        writer
            .depmod(Path::new("/lib/modules/7.3.4-devices"), VANILLA)
            .is_err()
    );
    // What excuses extlinux.conf excuses nothing that is written with it.
    let conf = bench.extlinux();
    for path in [
        "/boot/firmware/Image-7.3.4-devices",
        "/boot/firmware/other",
        "/boot/firmware/link/kernel/new.ko",
        "/boot/firmware/dtbs",
        "/boot/firmware/IMAGE-~1",
        "/boot/firmware/extlinux/EXTLINUX.CONF",
    ] {
        for order in [Order::ExtlinuxFirst, Order::ExtlinuxLast] {
            let written = writer.put_extlinux_and(conf.as_bytes(), put(path, "bad"), order);
            assert!(written.is_err(), "{path}");
        }
    }
    assert_eq!(bench.extlinux(), conf);
    for (puts, modules) in [
        (vec![], "/usr/lib/modules/7.3.4-devices"),
        (vec![put("ours/a.ko", "1")], "/usr/lib/modules/7.3.4-devices"),
        (vec![put("7.3.4-devices/a.ko", "1")], "/usr/lib/modules/ours"),
    ] {
        let base = Path::new("/usr/lib/modules");
        assert!(
            writer
                .put_modules(base, &puts, Path::new(modules), VANILLA)
                .is_err(),
            "{puts:?}"
        );
    }
    assert!(
        writer
            .take_snapshot(&[], Path::new("/lib/modules/7.3.4-devices/backup"))
            .is_err()
    );
    assert!(bench.protected.compare(board).unwrap().is_empty());
}

#[test]
fn what_is_written_arrives_whole_or_not_at_all() {
    let bench = Bench::new();
    let writer = Writer::new(&bench.board, &bench.protected);
    let base = Path::new("/var/lib/ours");
    let sent = writer
        .put(
            base,
            &[put("a/one", "1"), put("a/b/two", "22"), put("three", "333")],
        )
        .unwrap();
    assert_eq!((sent.files, sent.bytes), (3, 6));
    assert_eq!(
        fs::read_to_string(bench.board.at("/var/lib/ours/a/b/two")).unwrap(),
        "22"
    );
    writer.put(base, &[put("a/one", "new")]).unwrap();
    assert_eq!(
        fs::read_to_string(bench.board.at("/var/lib/ours/a/one")).unwrap(),
        "new"
    );
    let lying = Put {
        sha256: sha256(b"x"),
        ..put("a/one", "y")
    };
    assert!(
        writer
            .put(base, &[lying])
            .unwrap_err()
            .to_string()
            .contains("changed on this host")
    );
    let lying = Put {
        source: Source::BoardFile("/var/lib/ours/three".into()),
        ..put("a/one", "y")
    };
    assert!(format!("{:#}", writer.put(base, &[lying]).unwrap_err()).contains("not what was sent"));
    assert_eq!(
        fs::read_to_string(bench.board.at("/var/lib/ours/a/one")).unwrap(),
        "new"
    );
    let left: Vec<_> = fs::read_dir(bench.board.at("/var/lib/ours"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn extlinux_conf_changes_in_our_label_only() {
    let bench = Bench::new();
    let writer = Writer::new(&bench.board, &bench.protected);
    for bad in [
        EXTLINUX.replace("arch_devices\n\n", "arch_devices_lockdep\n\n"),
        format!("{EXTLINUX}\n"),
        String::new(),
    ] {
        assert!(writer.put_extlinux(bad.as_bytes()).is_err());
    }
    assert_eq!(bench.extlinux(), EXTLINUX);
}

#[test]
fn a_deploy_installs_a_slot_and_the_second_moves_nothing() {
    let bench = Bench::new();
    let first = bench.install();
    let record = slot::verify(&bench.board, &bench.protected).unwrap();
    assert_eq!(record.nonce, first.nonce.as_str());
    assert_eq!(first.unchanged, 0);
    let config = Config::parse(bench.extlinux().as_bytes());
    assert_eq!(config.default_label().unwrap().name, "arch_devices");
    let label = config.label(LABEL).unwrap();
    assert_eq!(label.kernel.as_deref(), Some("/Image-7.3.4-lockdep+"));
    let append = &label.append.as_ref().unwrap().value;
    assert!(
        append.starts_with("root=/dev/vda2 rw ignore_loglevel") && append.contains(first.nonce.as_str()),
        "{append}"
    );
    let dtb = fs::read_to_string(bench.board.at("/boot/firmware/virt-7.3.4-lockdep+.dtb")).unwrap();
    assert_eq!(
        dtb, "vanilla dtb",
        "the slot has a copy of the board's own device tree"
    );

    let plan = deploy::plan(&bench.board, &request(&bench.manifest, &bench.protected)).unwrap();
    assert!(plan.send.is_empty() && plan.remove.is_empty(), "{plan:?}");
    let second = bench.install();
    assert_ne!(second.nonce, first.nonce);
    assert_eq!(
        slot::verify(&bench.board, &bench.protected).unwrap().nonce,
        second.nonce.as_str()
    );
    assert!(bench.protected.compare(&bench.board).unwrap().is_empty());
}

#[test]
fn only_what_differs_is_sent_and_what_is_gone_is_removed() {
    let bench = Bench::new();
    bench.install();
    let mut changed = build(&bench.builds.path().join("2"), DEBUG, "one");
    let module = changed
        .files
        .iter_mut()
        .find(|file| file.source.ends_with("vim2m.ko"))
        .unwrap();
    // Bytes that do not pack well, as those of a module that was packed already.
    let mut seed = 1_u32;
    let patched: Vec<u8> = (0..100_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .collect();
    fs::write(changed.root.join(&module.source), &patched).unwrap();
    (module.sha256, module.size) = (sha256(&patched), patched.len() as u64);
    changed
        .files
        .retain(|file| !file.source.ends_with("v4l2-mem2mem.ko"));
    let plan = deploy::plan(&bench.board, &request(&changed, &bench.protected)).unwrap();
    let modules = Path::new("/usr/lib/modules/7.3.4-lockdep+/kernel/drivers");
    assert_eq!(plan.send, [modules.join("vim2m.ko")]);
    assert_eq!(plan.remove, [modules.join("v4l2-mem2mem.ko")]);
    let done = install(&bench.board, &changed, &bench.protected).unwrap();
    let (module, wire) = (patched.len() as u64, done.sent.wire_bytes);
    // The module, and beside it the slot's record (twice) and extlinux.conf (twice).
    assert_eq!(done.sent.files, 5, "{done:?}");
    assert!(
        (module..module + 16_384).contains(&wire),
        "{wire} bytes for {module}"
    );
    slot::verify(&bench.board, &bench.protected).unwrap();

    let other = build(&bench.builds.path().join("3"), "7.3.4-kasan+", "two");
    install(&bench.board, &other, &bench.protected).unwrap();
    assert!(
        !bench.board.at("/usr/lib/modules/7.3.4-lockdep+").exists(),
        "the older slot of the label is gone"
    );
    assert!(!bench.board.at("/boot/firmware/Image-7.3.4-lockdep+").exists());
}

#[test]
fn releases_that_collide_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    bench
        .board
        .file("/usr/lib/modules/7.3.4-other/x.ko", "somebody's", 0o644);
    for release in [VANILLA, "7.3.4-DEVICES", "7.3.4-other", "..", "a/b", "", "x\n"] {
        let manifest = Manifest {
            release: release.into(),
            ..bench.manifest.clone()
        };
        assert!(
            install(&bench.board, &manifest, &bench.protected).is_err(),
            "{release:?}"
        );
    }
    assert_eq!(bench.extlinux(), EXTLINUX);
    assert_eq!(
        fs::read_to_string(bench.board.at("/usr/lib/modules/7.3.4-other/x.ko")).unwrap(),
        "somebody's"
    );
}

#[test]
fn a_flipped_byte_anywhere_in_the_slot_refuses_the_boot() {
    let bench = Bench::new();
    bench.install();
    let record = slot::verify(&bench.board, &bench.protected).unwrap();
    for path in record
        .inventory
        .iter()
        .filter(|(_, entry)| entry.sha256().is_some())
        .map(|(path, _)| path)
    {
        let file = bench.board.at(path.to_str().unwrap());
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[0] ^= 1;
        fs::write(&file, &bad).unwrap();
        let error = slot::verify(&bench.board, &bench.protected)
            .unwrap_err()
            .to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        fs::write(&file, &good).unwrap();
    }
    bench
        .board
        .file("/usr/lib/modules/7.3.4-lockdep+/kernel/stranger.ko", "x", 0o644);
    assert!(slot::verify(&bench.board, &bench.protected).is_err());
    bench.install();
    slot::verify(&bench.board, &bench.protected).unwrap();
    for (from, to) in [
        ("default arch_devices\n", "default arch_devices_lockdep\n"),
        ("/Image-7.3.4-lockdep+", "/Image-7.3.4-devices"),
        ("lockstep.nonce=", "lockstep.nonce=0"),
    ] {
        let good = bench.extlinux();
        bench.board.file(
            "/boot/firmware/extlinux/extlinux.conf",
            &good.replace(from, to),
            0o644,
        );
        assert!(slot::verify(&bench.board, &bench.protected).is_err(), "{from}");
        bench
            .board
            .file("/boot/firmware/extlinux/extlinux.conf", &good, 0o644);
    }
}

#[test]
fn somebody_elses_change_to_vanilla_stops_the_deploy() {
    let bench = Bench::new();
    bench
        .board
        .file("/usr/lib/modules/7.3.4-devices/kernel/a.ko", "upgraded", 0o644);
    let error = install(&bench.board, &bench.manifest, &bench.protected)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/usr/lib/modules/7.3.4-devices/kernel/a.ko has other bytes"),
        "{error}"
    );
    bench.board.file(
        "/usr/lib/modules/7.3.4-devices/kernel/a.ko",
        "vanilla kernel/a.ko",
        0o644,
    );
    bench.board.file(
        "/boot/firmware/extlinux/extlinux.conf",
        &format!("{EXTLINUX} # me\n"),
        0o644,
    );
    assert!(install(&bench.board, &bench.manifest, &bench.protected).is_err());
}

/// What must hold whenever a deploy dies: vanilla is untouched and the default; our label is absent, or its slot is whole.
fn safe(bench: &Bench, when: &str) {
    let found = bench.protected.compare(&bench.board).unwrap();
    assert!(found.is_empty(), "{when}: {found:?}");
    let config = Config::parse(bench.extlinux().as_bytes());
    assert_eq!(
        config.default_label().map(|label| label.name.as_str()),
        Some("arch_devices"),
        "{when}"
    );
    if config.label(LABEL).is_some() {
        let record = slot::read(&bench.board, &bench.protected).unwrap().unwrap();
        let place = slot::Place::of(&bench.protected, &record.release).unwrap();
        let seen = inventory::take(&bench.board, &place.roots()).unwrap();
        let found = inventory::other_content(&record.inventory, &seen);
        assert!(
            found.is_empty(),
            "{when}: the label is there and the slot is not whole: {found:?}"
        );
    }
}

#[test]
fn a_deploy_may_die_between_any_two_scripts() {
    let bench = Bench::new();
    bench.install();
    let other = build(&bench.builds.path().join("2"), DEBUG, "two");
    let mut died = 0;
    for call in 0.. {
        bench.board.kill(Some(Death::Before(call)));
        let outcome = install(&bench.board, &other, &bench.protected);
        bench.board.kill(None);
        safe(&bench, &format!("before script {call}"));
        if outcome.is_ok() {
            break;
        }
        died += 1;
        // Back to the first build, so that each death has the whole way before it; this also proves that a deploy goes on
        // from whatever a dead one left.
        bench.install();
        slot::verify(&bench.board, &bench.protected).unwrap();
    }
    // Each of its scripts, those that only look among them.
    assert!(died > 8, "{died}");
}

#[test]
fn a_deploy_may_die_within_a_script() {
    let bench = Bench::new();
    bench.install();
    let other = build(&bench.builds.path().join("2"), DEBUG, "two");
    install(&bench.board, &other, &bench.protected).unwrap();
    bench.board.kill(None);
    install(&bench.board, &bench.manifest, &bench.protected).unwrap();
    let calls = bench.board.writing();
    let mut died = 0;
    for call in calls {
        for command in [3, 9, 17, 26, 34, 45, 58, 72] {
            bench.board.kill(Some(Death::Within(call, command)));
            let outcome = install(&bench.board, &other, &bench.protected);
            bench.board.kill(None);
            safe(&bench, &format!("script {call}, command {command}"));
            died += usize::from(outcome.is_err());
            if outcome.is_ok() {
                bench.install();
                break;
            }
            bench.install();
        }
    }
    assert!(died > 20, "{died}");
}
