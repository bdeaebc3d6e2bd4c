//! A board whose vanilla is Debian's own arm64 kernel: no kexec_file_load, no console in pstore, most drivers in an initramfs. What it
//! lacks is told, another boot method works, and the slot's initramfs is made by the board's own tool. mkinitcpio is not tried here: Debian
//! has no package of it.
//!
//! Needs set-up (`cargo xtask setup`), a debug kernel (`cargo xtask build-debug-kernel`), root and this machine's Debian mirror.

use crate::debian_board;
use crate::virtual_bench;

use debian_board::DebianBoard;
use std::path::PathBuf;
use std::time::Duration;
use virtual_bench::{Bench, LABEL};
use xtask::board::boot::{self, Method, Outcome, Reset};
use xtask::board::deploy;
use xtask::board::file::BoardFile;
use xtask::board::preflight::Status;
use xtask::board::proof::{self, Expected, Lockdep};
use xtask::board::slot::{self, Tool};
use xtask::board::{Board as _, inventory, probe, rollback};

const LIMIT: Duration = Duration::from_secs(60);

fn said(bench: &Bench, script: &str) -> String {
    let done = bench.board.run(script, LIMIT).unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
    done.text()
}

/// What a board says of itself leaves no method that it cannot do.
fn what_it_lacks_is_told(bench: &Bench) {
    let asked = probe::Asked {
        name: "debian",
        host: "root@board",
        port: None,
        config: None,
    };
    let described = probe::describe(&said(bench, &probe::script()), &asked).unwrap();
    let file = BoardFile::parse("debian", &described.text).unwrap();
    assert_eq!(file.description.methods, [Method::Manual], "{}", described.text);
    assert!(
        described
            .notes
            .iter()
            .any(|note| note.contains("CONFIG_KEXEC_FILE is off")),
        "{:?}",
        described.notes
    );
    let row = |id: &str| bench.report.checks.iter().find(|check| check.id == id).unwrap();
    let features = &row("features").reason;
    assert!(
        !features.contains("kexec: yes") && features.contains("console in pstore: no"),
        "{features}"
    );
    let methods = row("methods");
    assert_eq!(methods.status, Status::Pass, "{methods:?}");
    assert!(
        methods.reason.starts_with("left: serial-menu")
            && methods
                .reason
                .contains("not kexec: vanilla's kernel cannot kexec_file_load"),
        "{methods:?}"
    );
    assert!(
        bench.capture.serial() && !bench.capture.ramoops(),
        "{:?}",
        bench.capture
    );
    for method in Method::ALL {
        eprintln!(
            "{}: {:?}",
            method.name(),
            boot::choose_for(&bench.board, &bench.protected, Some(method)).map_err(|error| error.to_string())
        );
    }
    let refused = boot::choose_for(&bench.board, &bench.protected, Some(Method::Kexec)).unwrap_err();
    assert!(
        refused.to_string().contains("CONFIG_KEXEC_FILE is off"),
        "{refused}"
    );
    let chosen = boot::choose_for(&bench.board, &bench.protected, None).unwrap();
    assert_eq!(chosen, Method::SerialMenu);
}

/// Takes what is ours away, as `cargo xtask rollback` does.
fn roll_back(bench: &Bench) {
    let campaign = bench.backup.manifest().campaign.as_str();
    let plan = rollback::plan(&bench.board, campaign, &bench.host).unwrap();
    rollback::execute(&bench.board, &plan, &bench.host).unwrap();
    let left = rollback::plan(&bench.board, campaign, &bench.host).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// The debug kernel is deployed beside it, boots once through an initramfs that `tool` made, is proven, and vanilla comes back hash for hash.
fn a_whole_round(bench: &Bench, tool: Tool) {
    // An earlier test may have failed half-way, and left its slot.
    roll_back(bench);
    let conf = bench.protected.foreign().unwrap();
    // Each on its own file system: an inventory leaves none.
    let folders = ["/boot", "/boot/firmware"].map(PathBuf::from);
    let boot_files = || inventory::take(&bench.board, &folders).unwrap();
    let before = boot_files();
    let nonce = bench.deploy();
    let record = slot::verify(&bench.board, &bench.protected).unwrap();
    let initramfs = record.initramfs.unwrap();
    assert_eq!((initramfs.tool, initramfs.listed), (tool, true), "{initramfs:?}");
    let place = slot::Place::of(&bench.protected, &bench.manifest.release).unwrap();
    let ours = [
        place.image.clone(),
        place.dtb.clone().unwrap(),
        place.initramfs.clone().unwrap(),
        slot::record_path(&bench.protected),
    ];
    assert!(
        before.contains_key(&bench.protected.image),
        "vanilla's own are seen"
    );
    // One initramfs, for our release alone, and no hook wrote anything: neither to the boot partition nor to /boot.
    let mut new: Vec<PathBuf> = boot_files()
        .into_iter()
        .filter(|(path, _)| !before.contains_key(path))
        .map(|(path, _)| path.into())
        .collect();
    let mut expected = ours.to_vec();
    new.sort();
    expected.sort();
    assert_eq!(new, expected);
    let again = deploy::plan(&bench.board, &bench.request()).unwrap();
    assert!(
        again.send.is_empty() && again.remove.is_empty() && again.initramfs.is_none(),
        "the second deploy moves nothing: {again:?}"
    );

    let old = boot::look(&bench.board).unwrap();
    let booted = bench.boot(Method::SerialMenu, Reset::Orderly);
    let Outcome::Booted(answer) = &booted.outcome else {
        panic!("{booted:?}")
    };
    eprintln!("booted after {:.1} s", answer.seconds);
    let log = said(bench, "dmesg");
    assert!(
        log.contains("unpack rootfs image as initramfs") || log.contains("Unpacking initramfs"),
        "{log}"
    );
    assert!(
        !log.contains("unpacking failed") && !log.contains("not configured"),
        "{log}"
    );
    assert!(log.contains("Freeing initrd memory"), "{log}");
    // The slot's own first user space ran behind it.
    assert!(log.contains("lockstep: lease: this boot ends"), "{log}");
    said(bench, "modprobe vim2m");
    let expected = Expected {
        manifest: &bench.manifest,
        nonce: nonce.as_str(),
        boot_id_before: Some(&old.boot_id),
        lockdep: Lockdep::Alive,
        modules: &["vim2m".into()],
    };
    let proof = proof::prove(&expected, &proof::gather(&bench.board).unwrap());
    assert!(proof.holds(), "{:#?}", proof.open().collect::<Vec<_>>());

    bench.boot_vanilla(Reset::Orderly);
    roll_back(bench);
    assert!(slot::read(&bench.board, &bench.protected).unwrap().is_none());
    bench.protected.check(&bench.board).unwrap();
    let left: Vec<PathBuf> = boot_files()
        .into_iter()
        .filter(|(path, _)| !before.contains_key(path))
        .map(|(path, _)| path.into())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    let now = bench
        .board
        .run("cat /boot/firmware/extlinux/extlinux.conf", LIMIT)
        .unwrap()
        .stdout;
    assert_eq!(now, conf, "without label {LABEL}");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn debians_own_kernel_lacks_kexec_and_is_served_by_the_menu_with_its_initramfs_tools() {
    let debian = DebianBoard::open();
    let bench = &debian.bench;
    assert!(
        bench.protected.release.ends_with("-arm64"),
        "{}",
        bench.protected.release
    );
    assert!(bench.protected.initramfs.is_some());
    what_it_lacks_is_told(bench);
    a_whole_round(bench, Tool::InitramfsTools);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn dracut_makes_the_initramfs_where_the_board_has_that() {
    let debian = DebianBoard::open();
    debian.leave_only_dracut();
    a_whole_round(&debian.bench, Tool::Dracut);
}
