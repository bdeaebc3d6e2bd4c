//! Backups that were damaged, or that somebody else made up.

use super::everything;
use crate::local_board::{Bench, EXTLINUX, LocalBoard};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xtask::board::backup::{self, ARCHIVE, Copies, HASHES, Hashes, MANIFEST, Made, Manifest, Modules, Proof};
use xtask::board::inventory::BoardPath;
use xtask::board::protected::Protected;
use xtask::board::rollback::{self, Copy};
use xtask::board::{Board, InFront};
use xtask::host::files::sha256;
use xtask::host::process::{BreakOff, Finished, Input};

const ON_BOARD: &str = "/var/lib/lockstep/backups/iter6";
const DTB: &str = "/boot/firmware/dtbs/virt.dtb";

fn at(bench: &Bench, name: &str) -> PathBuf {
    bench.board.at(&format!("{ON_BOARD}/{name}"))
}

fn said<T>(result: anyhow::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it was taken"),
        Err(error) => format!("{error:#}"),
    }
}

/// Reads the copy on this host as `backup verify --offline` does.
fn whole_here(folder: &Path) -> bool {
    match Copies::find_here(folder) {
        Ok(Some(copies)) => copies.known.proof == Proof::Hash && copies.check_host().is_ok(),
        Ok(None) | Err(_) => false,
    }
}

/// Every byte of the three files, a bit at a time in turn: none of them passes.
#[test]
fn any_flipped_bit_of_a_backup_is_found() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    let host = bench.board.host();
    assert!(whole_here(&host));
    let (mut flips, mut passed) = (0, Vec::new());
    for name in [MANIFEST, HASHES, ARCHIVE] {
        let path = host.join(name);
        let before = fs::read(&path).unwrap();
        for at in 0..before.len() {
            let mut flipped = before.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            flips += 1;
            if whole_here(&host) {
                passed.push((name, at));
            }
        }
        fs::write(&path, &before[..before.len() - 1]).unwrap();
        assert!(!whole_here(&host), "{name} cut off");
        fs::remove_file(&path).unwrap();
        assert!(!whole_here(&host), "{name} gone");
        fs::write(&path, &before).unwrap();
    }
    assert!(whole_here(&host));
    println!("{flips} flipped bits, {} passed", passed.len());
    assert!(flips > 2000 && passed.is_empty(), "{flips}: {passed:?}");
}

/// The bytes from which extlinux.conf is restored, and their hash, are in the manifest alone; and so it is found without a hash of the manifest.
#[test]
fn the_bytes_of_extlinux_conf_are_compared_with_their_hash() {
    let bench = Bench::new();
    let bytes = serde_json::to_string(bench.back_up().unwrap().manifest()).unwrap();
    Manifest::parse(bytes.as_bytes()).unwrap();
    let kept = hex::encode(EXTLINUX);
    let other = kept.replacen("61", "62", 1);
    let flipped = bytes.replace(&kept, &other);
    assert_ne!(flipped, bytes);
    let error = said(Manifest::parse(flipped.as_bytes()));
    assert!(
        error.contains("extlinux.conf is not what its hash says"),
        "{error}"
    );
}

#[test]
fn with_one_damaged_copy_the_good_one_is_named_and_used() {
    for (name, copy_is_on_host) in [
        (MANIFEST, false),
        (HASHES, false),
        (MANIFEST, true),
        (HASHES, true),
    ] {
        let bench = Bench::new();
        bench.back_up().unwrap();
        let before = everything(&bench);
        let damaged = match copy_is_on_host {
            true => bench.board.host().join(name),
            false => at(&bench, name),
        };
        let mut bytes = fs::read(&damaged).unwrap();
        // In the middle of a hash.
        let middle = bytes
            .windows(12)
            .position(|part| part.iter().all(u8::is_ascii_hexdigit));
        bytes[middle.unwrap() + 6] ^= 1;
        fs::write(&damaged, &bytes).unwrap();

        let error = said(backup::verify(&bench.board, "iter6", &bench.board.host()));
        let (good, bad) = match copy_is_on_host {
            true => ("the backup on the board", "the backup on this host"),
            false => ("the backup on this host", "the backup on the board"),
        };
        assert!(error.starts_with(bad), "{name}: {error}");
        assert!(error.contains(&format!("whole: {good}")), "{name}: {error}");

        bench.install();
        bench.board.file(DTB, "damaged", 0o644);
        let plan = rollback::plan(&bench.board, "iter6", &bench.board.host()).unwrap();
        assert_eq!(matches!(plan.copy, Copy::OnBoard(_)), copy_is_on_host, "{name}");
        rollback::execute(&bench.board, &plan, &bench.board.host()).unwrap();
        assert_eq!(everything(&bench), before);
        assert_eq!(fs::read(&damaged).unwrap(), bytes, "nothing is mended in silence");
    }
}

#[test]
fn a_copy_that_is_damaged_between_the_plan_and_the_first_write_is_not_used() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    let before = everything(&bench);
    bench.install();
    bench.board.file(DTB, "damaged", 0o644);
    let host = bench.board.host();
    let plan = rollback::plan(&bench.board, "iter6", &host).unwrap();
    assert!(matches!(plan.copy, Copy::OnBoard(_)));
    let copy = format!("{ON_BOARD}/files{DTB}");
    bench.board.file(&copy, "bad", 0o644);
    let archive = fs::read(host.join(ARCHIVE)).unwrap();
    fs::write(host.join(ARCHIVE), "bad").unwrap();
    let now = (everything(&bench), bench.extlinux());
    let error = said(rollback::execute(&bench.board, &plan, &host));
    assert!(error.contains("no copy of the backup is whole"), "{error}");
    assert_eq!((everything(&bench), bench.extlinux()), now, "nothing was written");
    fs::write(host.join(ARCHIVE), archive).unwrap();
    rollback::execute(&bench.board, &plan, &host).unwrap();
    assert_eq!(everything(&bench), before, "from the archive");
}

/// A second backup that is whole by itself lies on the board under the name of the first.
#[test]
fn a_manifest_of_the_board_never_replaces_this_hosts() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    let host = bench.board.host();
    let own = fs::read(host.join(MANIFEST)).unwrap();
    let before = everything(&bench);
    let forged = String::from_utf8(own.clone()).unwrap().replace("quiet", "debug");
    fs::write(at(&bench, MANIFEST), &forged).unwrap();
    let hashes = Hashes::of_manifest(&sha256(forged.as_bytes())).text();
    fs::write(at(&bench, HASHES), hashes).unwrap();
    for error in [
        said(bench.back_up()),
        said(backup::verify(&bench.board, "iter6", &host)),
    ] {
        assert!(
            error.contains("the backup on the board") && error.contains("is that of another backup"),
            "{error}"
        );
    }
    bench.board.file(DTB, "damaged", 0o644);
    let plan = rollback::plan(&bench.board, "iter6", &host).unwrap();
    assert_eq!(plan.copy, Copy::OnHost(host.clone()));
    rollback::execute(&bench.board, &plan, &host).unwrap();
    assert_eq!(everything(&bench), before);
    assert_eq!(fs::read(host.join(MANIFEST)).unwrap(), own);

    // With this host's own damaged, nothing proves that the board's is the same one.
    fs::remove_file(host.join(HASHES)).unwrap();
    let damaged = own.strip_suffix(b"}").unwrap();
    fs::write(host.join(MANIFEST), damaged).unwrap();
    let error = said(rollback::plan(&bench.board, "iter6", &host));
    assert!(
        error.contains("never replaces what is on this host")
            && error.contains("on the board, it is whole by itself"),
        "{error}"
    );
}

/// Passes what a board answers through, with one word of its lists of files replaced by another.
struct Liar<'a> {
    board: &'a LocalBoard,
    word: &'static str,
    lie: &'static str,
}

impl InFront for Liar<'_> {
    fn behind(&self) -> &dyn Board {
        self.board
    }

    fn pass_on(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        off: &BreakOff,
    ) -> anyhow::Result<Finished> {
        let mut finished = self.board.run_unless(script, input, limit, off)?;
        if let Ok(text) = std::str::from_utf8(&finished.stdout)
            && text.contains("end\0")
        {
            finished.stdout = text.replace(self.word, self.lie).into_bytes();
        }
        Ok(finished)
    }
}

#[test]
fn what_a_board_lists_outside_of_what_it_was_asked_for_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    for (lie, why) in [
        ("/../../../../tmp/x\0", "empty, `.` or `..`"),
        ("/..\0", "empty, `.` or `..`"),
        ("//a.ko\0", "empty, `.` or `..`"),
    ] {
        let board = Liar {
            board: &bench.board,
            word: "/a.ko\0",
            lie,
        };
        let host = bench.board.host();
        for error in [
            said(Protected::compute(&board, "other")),
            said(backup::make(
                &board,
                &bench.protected,
                "iter6",
                &Modules::All,
                &host,
            )),
        ] {
            assert!(error.contains(why), "{lie:?}: {error}");
        }
        assert!(!host.exists());
    }
    let elsewhere = Liar {
        board: &bench.board,
        word: "/usr/lib/modules/7.3.4-devices/kernel/a.ko\0",
        lie: "/etc/passwd\0",
    };
    let error = said(Protected::compute(&elsewhere, "other"));
    assert!(error.contains("/etc/passwd lies outside"), "{error}");
    let roots = Liar {
        board: &bench.board,
        word: "end\0",
        lie: "end\0",
    };
    Protected::compute(&roots, "other").unwrap();
}

/// This host lost its checkout, and the board has a manifest that leads out of its folders, with the right hash beside it.
#[test]
fn a_manifest_that_leads_elsewhere_is_refused_wherever_it_lies() {
    let bench = Bench::new();
    let manifest = bench.back_up().unwrap().manifest().clone();
    let text = serde_json::to_string(&manifest).unwrap();
    let lost = bench.board.host().join("lost");
    bench.install();
    let module = "/usr/lib/modules/7.3.4-devices/kernel/a.ko";
    for (lie, why) in [
        (
            "/usr/lib/modules/7.3.4-devices/../../../../etc/x",
            "empty, `.` or `..`",
        ),
        ("/etc/x", "outside of what was asked for"),
        ("etc/x", "not absolute"),
        ("/boot/firmware/x", "outside of what was asked for"),
    ] {
        let forged = text.replace(module, lie);
        assert_ne!(forged, text);
        fs::write(at(&bench, MANIFEST), &forged).unwrap();
        fs::write(
            at(&bench, HASHES),
            Hashes::of_manifest(&sha256(forged.as_bytes())).text(),
        )
        .unwrap();
        let error = said(rollback::plan(&bench.board, "iter6", &lost));
        assert!(error.contains(why), "{lie}: {error}");
        fs::create_dir_all(&lost).unwrap();
        for name in [MANIFEST, HASHES] {
            fs::copy(at(&bench, name), lost.join(name)).unwrap();
        }
        let error = said(backup::host_manifest(&lost));
        assert!(error.contains(why), "{lie}: {error}");
        fs::remove_dir_all(&lost).unwrap();
    }
    assert!(BoardPath::new(module).is_ok());
}

/// A plan is a value: whoever made one up removes and writes nothing outside of what the backup covers.
#[test]
fn a_rollback_writes_and_removes_nothing_outside_of_its_backup() {
    let bench = Bench::new();
    bench.back_up().unwrap();
    let host = bench.board.host();
    let theirs = [
        "/etc/hostname",
        "/boot/firmware/theirs",
        "/usr/lib/modules/theirs",
    ];
    for path in theirs {
        bench.board.file(path, "theirs", 0o644);
    }
    let plan = rollback::plan(&bench.board, "iter6", &host).unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    let vanilla = "/usr/lib/modules/7.3.4-devices";
    let crooked = format!("{vanilla}/../theirs");
    let around = ["/usr/lib/modules", "/boot/firmware", vanilla, &crooked, "/"];
    for path in theirs.into_iter().chain(around) {
        let mut forged = plan.clone();
        forged.strangers = vec![path.into()];
        let error = said(rollback::execute(&bench.board, &forged, &host));
        assert!(
            error.contains("not removed") || error.contains("can have"),
            "{path}: {error}"
        );
        let mut forged = plan.clone();
        forged.restore = vec![path.into()];
        let error = said(rollback::execute(&bench.board, &forged, &host));
        assert!(!error.is_empty());
    }
    for path in theirs {
        assert_eq!(
            fs::read_to_string(bench.board.at(path)).unwrap(),
            "theirs",
            "{path}"
        );
    }
    assert!(rollback::plan(&bench.board, "iter6", &host).unwrap().is_empty());
}

/// As the version before this one left it: no hash beside the manifest, and one less in its number.
#[test]
fn a_backup_of_an_older_version_is_read_and_used_and_never_called_complete() {
    let bench = Bench::new();
    let board = &bench.board;
    bench.back_up().unwrap();
    let host = board.host();
    let newer = fs::read_to_string(host.join(MANIFEST)).unwrap();
    let older = newer.replacen("\"schema-version\": 2", "\"schema-version\": 1", 1);
    assert_ne!(older, newer);
    for path in [host.join(MANIFEST), at(&bench, MANIFEST)] {
        fs::write(path, &older).unwrap();
    }
    for path in [host.join(HASHES), at(&bench, HASHES), host.join(ARCHIVE)] {
        fs::remove_file(path).unwrap();
    }
    // The archive is pulled again, and the rest stays as it is.
    let made = bench.back_up().unwrap();
    assert_eq!((made.made(), made.proof()), (Made::Archive, Proof::None));
    assert_eq!(fs::read_to_string(host.join(MANIFEST)).unwrap(), older);
    assert!(!host.join(HASHES).exists() && !at(&bench, HASHES).exists());
    assert_eq!(
        backup::verify_archive(board, "iter6", &host).unwrap().proof(),
        Proof::None
    );
    assert!(backup::NO_HASH.contains("made by an older version; make a new backup"));

    let before = everything(&bench);
    bench.install();
    bench.board.file(DTB, "damaged", 0o644);
    let plan = rollback::plan(board, "iter6", &host).unwrap();
    rollback::execute(board, &plan, &host).unwrap();
    assert_eq!(everything(&bench), before);

    // One of the newer version whose hash was lost is none of the older version.
    fs::write(host.join(MANIFEST), &newer).unwrap();
    let error = said(backup::host_manifest(&host));
    assert!(error.contains("manifest.sha256 is gone"), "{error}");
}

/// A backup in this checkout, where the verb looks for it; gone with the value.
struct InCheckout(PathBuf);

impl Drop for InCheckout {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn the_verb_calls_complete_only_what_an_independent_hash_vouches_for() {
    let bench = Bench::new();
    let campaign = format!("test-verify-{}", std::process::id());
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let host = InCheckout(checkout.join(".lockstep/backups/local").join(&campaign));
    backup::make(&bench.board, &bench.protected, &campaign, &Modules::All, &host.0).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let verify = |board: &str, code: i32| {
        let words = [
            "backup",
            "verify",
            "--offline",
            "--board",
            board,
            "--campaign",
            &campaign,
        ];
        let mut command = assert_cmd::Command::cargo_bin("lockstep").unwrap();
        let output = command
            .args(words)
            .env("LOCKSTEP_CACHE", cache.path())
            .assert()
            .code(code);
        let output = output.get_output().clone();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let text = verify("local", 0);
    assert!(
        text.contains("on this host: whole: every byte was read back"),
        "{text}"
    );

    let archive = fs::read(host.0.join(ARCHIVE)).unwrap();
    let mut flipped = archive.clone();
    flipped[archive.len() / 2] ^= 1;
    fs::write(host.0.join(ARCHIVE), flipped).unwrap();
    let text = verify("local", 3);
    assert!(
        text.contains("NOT WHOLE") && text.contains("no copy is whole"),
        "{text}"
    );

    // As an older version left it: no hash, and the manifest in the archive is of that version, too.
    let newer = fs::read_to_string(host.0.join(MANIFEST)).unwrap();
    let older = newer.replacen("\"schema-version\": 2", "\"schema-version\": 1", 1);
    let on_board = bench.board.at("/var/lib/lockstep/backups").join(&campaign);
    for folder in [&host.0, &on_board] {
        fs::write(folder.join(MANIFEST), &older).unwrap();
        fs::remove_file(folder.join(HASHES)).unwrap();
    }
    fs::remove_file(host.0.join(ARCHIVE)).unwrap();
    backup::make(&bench.board, &bench.protected, &campaign, &Modules::All, &host.0).unwrap();
    let text = verify("local", 3);
    assert!(
        text.contains("no independent hash: made by an older version; make a new backup")
            && !text.contains("whole: every"),
        "{text}"
    );
}
