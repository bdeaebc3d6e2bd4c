//! pstore's records on a board in a folder: every kind and both places, copied off by the real script, and removed only as they were copied.
//! Needs root, as `local_board` says.

use crate::local_board;

use kernel_log::pstore::Type;
use local_board::LocalBoard;
use std::fs;
use std::path::Path;
use xtask::campaign::harvest_records;
use xtask::host::files::sha256;

const LIVE: &str = "/sys/fs/pstore";
/// Where systemd-pstore(8) puts what it found at boot.
const MOVED: &str = "/var/lib/systemd/pstore";

fn put(board: &LocalBoard, path: &str, content: &[u8]) {
    let at = board.at(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, content).unwrap();
}

fn board() -> LocalBoard {
    let board = LocalBoard::new();
    // A binary record, and one with the notice that ECC leaves.
    let raw: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for (name, content) in [
        (
            "dmesg-ramoops-0",
            &b"Oops#1 Part1\n[   12.000000] the newer half\n"[..],
        ),
        (
            "dmesg-ramoops-1",
            &b"Oops#1 Part2\n[   11.000000] the older half\n"[..],
        ),
        (
            "console-ramoops-0",
            &b"[    1.000000] up\n\nECC: 3 Corrected bytes, 1 unrecoverable blocks\n"[..],
        ),
        ("pmsg-ramoops-0", &b"lockstep-nonce\n"[..]),
        ("ftrace-ramoops-0", &raw),
    ] {
        put(&board, &format!("{LIVE}/{name}"), content);
    }
    put(
        &board,
        &format!("{MOVED}/7520/dmesg-ramoops-0"),
        b"Panic#1 Part1\n[    9.000000] of an earlier boot\n",
    );
    board
}

fn left(board: &LocalBoard, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(board.at(folder))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What `sha256sum -c` would say of the copies.
fn check_copies(folder: &Path, count: usize) {
    let sums = fs::read_to_string(folder.join("pstore.sha256")).unwrap();
    assert_eq!(sums.lines().count(), count);
    for line in sums.lines() {
        let (sum, file) = line.split_once("  ").unwrap();
        assert_eq!(sum, sha256(&fs::read(folder.join(file)).unwrap()), "{file}");
    }
}

#[test]
fn every_kind_is_copied_from_both_places_and_nothing_is_removed_by_that() {
    let board = board();
    let folder = tempfile::tempdir().unwrap();
    let records = harvest_records::take(&board, folder.path()).unwrap();
    check_copies(folder.path(), 6);
    for kind in [Type::Dmesg, Type::Console, Type::Pmsg, Type::Ftrace] {
        assert!(
            records.dumps.iter().any(|dump| dump.kind == kind),
            "{kind:?} in {:?}",
            records.dumps
        );
    }
    let oops = records
        .dumps
        .iter()
        .find(|dump| dump.kind == Type::Dmesg && dump.files.len() == 2)
        .expect("two parts are one dump");
    let text = String::from_utf8_lossy(&oops.content).into_owned();
    assert!(text.find("older half") < text.find("newer half"), "{text}");
    assert!(records.pmsg_has("lockstep-nonce"));
    assert_eq!((left(&board, LIVE).len(), left(&board, MOVED).len()), (5, 1));
}

#[test]
fn a_record_that_is_not_what_was_copied_stays() {
    let board = board();
    let folder = tempfile::tempdir().unwrap();
    let records = harvest_records::take(&board, folder.path()).unwrap();
    // The kernel writes another one under the same name, and one that nobody has copied.
    put(
        &board,
        &format!("{LIVE}/dmesg-ramoops-0"),
        b"Oops#2 Part1\nanother\n",
    );
    put(&board, &format!("{LIVE}/dmesg-ramoops-2"), b"Oops#3 Part1\nnew\n");
    assert_eq!(harvest_records::clear(&board, &records).unwrap(), 4);
    assert_eq!(left(&board, LIVE), ["dmesg-ramoops-0", "dmesg-ramoops-2"]);
    assert_eq!(
        left(&board, MOVED),
        ["dmesg-ramoops-0"],
        "what systemd moved is not ours"
    );
    check_copies(folder.path(), 6);
}
