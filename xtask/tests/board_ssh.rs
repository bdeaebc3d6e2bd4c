//! The board over ssh, for real: OpenSSH's own client and server, and the real scripts behind them.

#[path = "board_ssh/hostile.rs"]
mod hostile;

use crate::local_board;
use crate::loopback;

use local_board::{DEBUG, EXTLINUX, LABEL, VANILLA, build, change, install, request};
use loopback::Loopback;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use xtask::board::backup::{self, Made, Modules};
use xtask::board::extlinux::Config;
use xtask::board::file::SecondHost;
use xtask::board::only_look::{CONNECTION, OnlyLook};
use xtask::board::ours::SMOKE_FOLDER;
use xtask::board::protected::Protected;
use xtask::board::slot_init::RESTORE_FOLDER;
use xtask::board::ssh::machine_id;
use xtask::board::{Board, deploy, inventory, rollback, second_host, slot};
use xtask::host::files::sha256;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn backup_deploy_verify_and_rollback_over_ssh() {
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known", "login"));
    board
        .check_way(LIMIT)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", loopback.log()));
    let protected = Protected::compute(&board, LABEL).unwrap();
    assert_eq!(protected.release, VANILLA);
    let host = loopback.local.host();
    let made = backup::make(&board, &protected, "iter6", &Modules::All, &host).unwrap();
    assert_eq!(made.made(), Made::New);
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, &"one ".repeat(2000));
    let first = install(&board, &manifest, &protected).unwrap();
    assert!(
        first.sent.wire_bytes < first.sent.bytes,
        "it is compressed: {:?}",
        first.sent
    );
    let second = install(&board, &manifest, &protected).unwrap();
    assert_eq!(second.unchanged, 5, "{second:?}");
    assert!(
        second.sent.wire_bytes < 4096,
        "only record and label: {:?}",
        second.sent
    );
    slot::verify(&board, &protected).unwrap();
    let left = [
        format!("{SMOKE_FOLDER}/test clip"),
        format!("{RESTORE_FOLDER}/device"),
        "/var/lib/lockstep/backups/.new-iter6/x".into(),
    ];
    for path in &left {
        loopback.local.file(path, "x", 0o644);
    }
    // Twice: the second finds nothing to do, and both tell what stays.
    for round in 0..2 {
        let plan = rollback::plan(&board, "iter6", &host).unwrap();
        assert_eq!(plan.is_empty(), round == 1, "{plan:?}");
        let done = rollback::execute(&board, &plan, &host).unwrap();
        let places: Vec<&str> = done.kept.iter().map(|kept| kept.place.as_str()).collect();
        let archive = host.display().to_string();
        assert_eq!(places, ["/var/lib/lockstep/backups/iter6", &archive]);
    }
    for path in &left {
        assert!(!loopback.local.at(path).parent().unwrap().exists(), "{path}");
    }
    backup::verify(&board, "iter6", &host).unwrap();
    assert!(protected.compare(&board).unwrap().is_empty());
    let conf = fs::read_to_string(loopback.local.at("/boot/firmware/extlinux/extlinux.conf")).unwrap();
    assert_eq!(conf, EXTLINUX);
    assert!(!loopback.local.at(&format!("/usr/lib/modules/{DEBUG}")).exists());
}

/// Bytes that no packing makes fewer.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let blocks = (0..).flat_map(|number| hex::decode(sha256(format!("{seed} {number}").as_bytes())).unwrap());
    blocks.take(length).collect()
}

/// The step of a patch that changes one module: that module crosses the line, and the kernel is left alone.
#[test]
fn one_changed_module_is_all_that_crosses_the_line() {
    const MODULE: u64 = 40_000;
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known", "login"));
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let mut manifest = build(builds.path(), DEBUG, "one");
    change(&mut manifest, "Image", &noise("Image", 1 << 20));
    for name in ["vim2m.ko", "v4l2-mem2mem.ko"] {
        change(&mut manifest, name, &noise(name, MODULE as usize));
    }
    let whole = install(&board, &manifest, &protected).unwrap().sent;
    let kernel = (1 << 20) + 2 * MODULE;
    assert!(whole.bytes >= kernel && whole.wire_bytes >= kernel, "{whole:?}");
    let modules = format!("/usr/lib/modules/{DEBUG}/kernel/drivers");
    let on_board = |path: &str| {
        let at = loopback.local.at(path);
        (at.metadata().unwrap().ino(), fs::read(at).unwrap())
    };
    let others = [
        format!("/boot/firmware/Image-{DEBUG}"),
        format!("{modules}/v4l2-mem2mem.ko"),
    ];
    let before = others.each_ref().map(|path| on_board(path));

    let patched = noise("patched", MODULE as usize);
    change(&mut manifest, "vim2m.ko", &patched);
    let request = request(&manifest, &protected);
    let plan = deploy::plan(&board, &request).unwrap();
    let vim2m = format!("{modules}/vim2m.ko");
    assert_eq!(plan.send, [Path::new(&vim2m)]);
    assert_eq!((plan.send_bytes, plan.unchanged), (MODULE, 4), "{plan:?}");
    let done = deploy::execute(&board, &request, &plan, &mut |_| {}).unwrap();
    // Beside the module: the label out and in again, and the record of a slot that changes and of one that is whole.
    assert!(done.sent.files <= 5 && done.unchanged == 4, "{done:?}");
    for bytes in [done.sent.bytes, done.sent.wire_bytes] {
        assert!((MODULE..MODULE + 6000).contains(&bytes), "{done:?}");
    }
    assert_eq!(on_board(&vim2m).1, patched);
    let after = others.each_ref().map(|path| on_board(path));
    assert!(after == before, "what did not change is not written again");
    slot::verify(&board, &protected).unwrap();
}

#[test]
fn a_connection_may_be_cut_anywhere_in_a_deploy() {
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known", "login"));
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    let one = build(&builds.path().join("1"), DEBUG, "one");
    let two = build(&builds.path().join("2"), DEBUG, "two");
    install(&board, &one, &protected).unwrap();
    let mut cut = 0;
    for command in [2, 12, 22, 32, 42] {
        loopback.cut(command);
        let outcome = install(&board, &two, &protected);
        if let Err(error) = &outcome {
            assert!(format!("{error:#}").contains("no connection"), "{error:#}");
            cut += 1;
        }
        // What was left running on the board ends first: it holds the lock.
        let waited = board.run("flock -w 60 /run/lockstep.lock true", LIMIT).unwrap();
        assert!(waited.status.success());
        let found = protected.compare(&board).unwrap();
        assert!(found.is_empty(), "cut at {command}: {found:?}");
        let conf = fs::read(loopback.local.at("/boot/firmware/extlinux/extlinux.conf")).unwrap();
        let config = Config::parse(&conf);
        assert_eq!(config.default_label().unwrap().name, "arch_devices");
        if config.label(LABEL).is_some() {
            let record = slot::read(&board, &protected).unwrap().unwrap();
            let place = slot::Place::of(&protected, &record.release).unwrap();
            let seen = inventory::take(&board, &place.roots()).unwrap();
            let found = inventory::other_content(&record.inventory, &seen);
            assert!(
                found.is_empty(),
                "cut at {command}, and the label is there: {found:?}"
            );
        }
        install(&board, &one, &protected).unwrap();
        slot::verify(&board, &protected).unwrap();
    }
    assert!(cut >= 3, "{cut} connections were cut in the middle");
}

#[test]
fn the_shared_connection_may_die_in_the_middle_of_a_transfer() {
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known", "login"));
    let protected = Protected::compute(&board, LABEL).unwrap();
    let builds = tempfile::tempdir().unwrap();
    // Nothing that could be compressed to less than what passes before the pause.
    let noise = |seed: &str| {
        let lines = (0..2000).map(|number| sha256(format!("{seed} {number}").as_bytes()));
        lines.collect::<String>()
    };
    let one = build(&builds.path().join("1"), DEBUG, &noise("one"));
    let two = build(&builds.path().join("2"), DEBUG, &noise("two"));
    install(&board, &one, &protected).unwrap();
    let folder = loopback.at("");
    let killer = std::thread::spawn(move || Loopback::kill_master_in_transfer(&folder));
    while !loopback.at("pause").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = Instant::now();
    let error = format!("{:#}", install(&board, &two, &protected).unwrap_err());
    assert!(killer.join().unwrap(), "nothing was transferred: {error}");
    assert!(started.elapsed() < Duration::from_secs(60));
    assert!(
        error.contains("no connection") && error.contains("127.0.0.1"),
        "{error}"
    );
    let waited = board.run("flock -w 60 /run/lockstep.lock true", LIMIT).unwrap();
    assert!(waited.status.success());
    assert!(protected.compare(&board).unwrap().is_empty());
    // Nothing half: what is there is of the first build, byte for byte.
    for file in &one.files {
        let place = match file.source.strip_prefix("lib") {
            Ok(below) => loopback.local.at("/usr/lib").join(below),
            Err(_) => loopback.local.at(&format!("/boot/firmware/Image-{DEBUG}")),
        };
        if file.source.ends_with("modules.dep") {
            continue;
        }
        assert_eq!(
            sha256(&fs::read(&place).unwrap()),
            file.sha256,
            "{}",
            place.display()
        );
    }
    // The second run goes on by itself, over a new connection.
    install(&board, &two, &protected).unwrap();
    slot::verify(&board, &protected).unwrap();
}

#[test]
fn a_wrong_host_key_is_refused_with_what_to_do() {
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known_wrong", "login"));
    let error = format!("{:#}", board.check_way(LIMIT).unwrap_err());
    assert!(
        error.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "{error}"
    );
    assert!(
        error.contains("ssh-keygen -R") && error.contains("only if they agree"),
        "{error}"
    );
    let board = loopback.board(&loopback.way("known_nothing", "login"));
    let error = format!("{:#}", board.check_way(LIMIT).unwrap_err());
    assert!(error.contains("not known yet: connect once by hand"), "{error}");
    assert_eq!(loopback.sessions(), 0, "nothing was run");
}

#[test]
fn a_password_is_never_asked_for_and_nothing_hangs() {
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known", "stranger"));
    let started = Instant::now();
    let error = format!("{:#}", board.check_way(LIMIT).unwrap_err());
    assert!(
        error.contains("Permission denied (publickey,password") && error.contains("ssh-copy-id"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(15));
    let nowhere = loopback.board("host = \"lockstep-nowhere.invalid\"");
    let error = format!("{:#}", nowhere.check_way(LIMIT).unwrap_err());
    assert!(error.contains("check `host` in the board's file"), "{error}");
}

#[test]
fn without_the_right_to_become_root_nothing_is_run() {
    let loopback = Loopback::start();
    let sudo = "/usr/local/bin/sudo";
    let way = format!("{}\nrights = \"sudo\"", loopback.way("known", "login"));
    let board = loopback.board(&way);
    // What sudo(8) says and gives back without a rule for this user; this board has no users.
    loopback.local.file(
        sudo,
        "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n",
        0o755,
    );
    let error = format!("{:#}", board.run("echo x >/tmp/ran", LIMIT).unwrap_err());
    assert!(
        error.contains("may not become root") && error.contains("NOPASSWD"),
        "{error}"
    );
    assert!(!loopback.local.at("/tmp/ran").exists());
    loopback.local.file(
        sudo,
        "#!/bin/sh\n[ \"$1 $2\" = '-n --' ] || exit 9\nshift 2\nexec \"$@\"\n",
        0o755,
    );
    board.check_way(LIMIT).unwrap();
    let failed = board.run("exit 1", LIMIT).unwrap();
    assert_eq!(
        failed.status.code(),
        Some(1),
        "a script's own status is an answer"
    );
}

#[test]
fn the_users_own_ssh_config_and_a_jump_host_lead_there() {
    let loopback = Loopback::start();
    let config = format!(
        "Host board hop\n    HostName 127.0.0.1\n    User root\n    Port {}\n    IdentityFile {}\n    IdentitiesOnly yes\n    \
         UserKnownHostsFile {}\n",
        loopback.port,
        loopback.at("login").display(),
        loopback.at("known").display()
    );
    fs::write(loopback.at("config"), config).unwrap();
    let way = format!(
        "host = \"board\"\nconfig = \"{}\"\njump = \"hop\"",
        loopback.at("config").display()
    );
    let board = loopback.board(&way);
    board
        .check_way(LIMIT)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", loopback.log()));
}

#[test]
fn a_backup_is_pushed_on_to_a_second_host_and_never_over_another() {
    let loopback = Loopback::start();
    let local = &loopback.local;
    let protected = Protected::compute(local, LABEL).unwrap();
    let host = local.host();
    backup::make(local, &protected, "iter6", &Modules::All, &host).unwrap();
    let config = format!(
        "Host second\n    HostName 127.0.0.1\n    User root\n    Port {}\n    IdentityFile {}\n    IdentitiesOnly yes\n    \
         UserKnownHostsFile {}\n",
        loopback.port,
        loopback.at("login").display(),
        loopback.at("known").display()
    );
    fs::write(loopback.at("config"), config).unwrap();
    let second = SecondHost {
        host: "second".into(),
        folder: "/var/lib/second host".into(),
        config: Some(loopback.at("config")),
    };
    let archive = local.at("/var/lib/second host/local/iter6").join(backup::ARCHIVE);
    let sent = second_host::push(&second, "local", "iter6", &host).unwrap();
    assert_eq!(
        fs::read(&archive).unwrap(),
        fs::read(host.join(backup::ARCHIVE)).unwrap()
    );
    assert!(sent > 0);
    second_host::verify(&second, "local", "iter6", &host).unwrap();
    second_host::push(&second, "local", "iter6", &host).unwrap();
    // The manifest and the hashes of both are there, too; and damage here is not taken for damage there, nor pushed on.
    for name in [backup::MANIFEST, backup::HASHES] {
        assert_eq!(
            fs::read(archive.with_file_name(name)).unwrap(),
            fs::read(host.join(name)).unwrap()
        );
    }
    let own = fs::read(host.join(backup::ARCHIVE)).unwrap();
    fs::write(host.join(backup::ARCHIVE), "damaged").unwrap();
    second_host::verify(&second, "local", "iter6", &host).unwrap();
    let error = format!(
        "{:#}",
        second_host::push(&second, "local", "iter6", &host).unwrap_err()
    );
    assert!(error.contains("is damaged, so it is not pushed on"), "{error}");
    fs::write(host.join(backup::ARCHIVE), own).unwrap();
    fs::write(&archive, "another").unwrap();
    assert!(second_host::verify(&second, "local", "iter6", &host).is_err());
    let error = format!(
        "{:#}",
        second_host::push(&second, "local", "iter6", &host).unwrap_err()
    );
    assert!(
        error.contains("another backup") && error.contains("not overwritten"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&archive).unwrap(), "another");
}

#[test]
fn a_machine_is_known_by_its_host_key_under_every_address_and_by_its_own_id_once_it_answers() {
    let ssh = Loopback::start();
    let here = ssh.way("known", "login");
    let board = ssh.board(&here);
    // Another name for the address, and another name for the key.
    let other = ssh.board(&here.replace("root@127.0.0.1", "root@localhost"));
    let names = board.ssh().machine_names().unwrap();
    let others = other.ssh().machine_names().unwrap();
    let common: Vec<_> = names.iter().filter(|name| others.contains(name)).collect();
    assert_eq!(common.len(), 1, "{names:?} {others:?}");
    assert!(
        common[0].shown.contains("ssh host key (ssh-ed25519"),
        "{common:?}"
    );
    let wrong = ssh.board(&here.replace("/known\"", "/known_wrong\""));
    assert!(
        !wrong.ssh().machine_names().unwrap().contains(common[0]),
        "another machine's key"
    );
    let nothing = ssh.board(&here.replace("/known\"", "/known_nothing\""));
    assert_eq!(
        nothing.ssh().machine_names().unwrap().len(),
        1,
        "the address alone"
    );
    assert_eq!(
        board.check_way(LIMIT).unwrap(),
        None,
        "this board has no machine id"
    );
    let id = "0123456789abcdef0123456789abcdef";
    let etc = ssh.local.folders()[1].join("etc");
    fs::create_dir_all(&etc).unwrap();
    fs::write(etc.join("machine-id"), format!("{id}\n")).unwrap();
    assert_eq!(board.check_way(LIMIT).unwrap().as_deref(), Some(id));
    assert!(machine_id(id).unwrap().shown.contains(id));
}

#[test]
fn who_only_looks_cannot_reset_or_type_and_leaves_the_connection_of_others_alone() {
    let ssh = Loopback::start();
    let board = ssh.board(&ssh.way("known", "login"));
    board.check_way(LIMIT).unwrap();
    let shared = ssh.at("control/ssh.sock");
    assert!(shared.exists());
    let look = OnlyLook(Box::new(
        ssh.board(&ssh.way("known", "login")).over(CONNECTION).unwrap(),
    ));
    // To ask whether it answers, the connection is made again.
    assert!(
        look.answers(LIMIT) && shared.exists(),
        "the other one is left alone"
    );
    let error = format!("{:#}", look.hard_reset().unwrap_err());
    assert!(error.contains("does not hold the board's lock"), "{error}");
    assert!(look.run("id -u", LIMIT).is_ok());
}
