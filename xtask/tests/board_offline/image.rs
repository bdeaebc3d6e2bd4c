//! A board's disk as an image: GPT, boot files on FAT or ext4, the root on ext4.

use crate::local_board::LocalBoard;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xtask::host::requirements;

/// Where the boot partition and the root begin.
pub const BOOT: u64 = 1 << 20;
pub const ROOT: u64 = 33 << 20;

/// What the boot partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    Fat,
    Ext,
}

impl Boot {
    /// FAT as on most boards, where this machine's kernel can mount it.
    pub fn of_this_machine() -> Self {
        match has_vfat() {
            true => Boot::Fat,
            false => Boot::Ext,
        }
    }
}

/// Whether this machine's kernel can mount FAT, with its modules.
pub fn has_vfat() -> bool {
    let flags = rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC;
    rustix::mount::fsopen("vfat", flags).is_ok()
}

pub fn run(program: &str, words: &[&str], input: &str) -> String {
    let mut child = Command::new(requirements::find(program).unwrap())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{program} {words:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).trim().to_string()
}

/// Everything of a [`LocalBoard`] on a disk with two partitions.
pub fn disk_of(board: &LocalBoard, folder: &Path, boot: Boot) -> PathBuf {
    let disk = folder.join("disk");
    fs::File::create(&disk).unwrap().set_len(80 << 20).unwrap();
    let shown = disk.to_str().unwrap();
    run(
        "sfdisk",
        &["--quiet", shown],
        "label: gpt\nstart=2048, size=65536, type=U\nstart=67584, size=92160, type=L\n",
    );
    let boot_files = board.at("/boot/firmware");
    match boot {
        Boot::Fat => {
            run("mkfs.vfat", &["-F", "16", "--offset=2048", shown, "32768"], "");
            let image = format!("{shown}@@{BOOT}");
            for entry in fs::read_dir(boot_files).unwrap() {
                let from = entry.unwrap().path();
                run(
                    "mcopy",
                    &["-s", "-m", "-i", &image, from.to_str().unwrap(), "::/"],
                    "",
                );
            }
        }
        Boot::Ext => ext(&boot_files, &disk, BOOT, "30M"),
    }
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("usr/lib")).unwrap();
    fs::create_dir_all(tree.join("var/lib")).unwrap();
    fs::create_dir_all(tree.join("boot/firmware")).unwrap();
    for (from, to) in [
        ("/usr/lib/modules", "usr/lib/modules"),
        ("/var/lib/lockstep", "var/lib/lockstep"),
        ("/etc", "etc"),
    ] {
        let (from, to) = (board.at(from), tree.join(to));
        run("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()], "");
    }
    ext(&tree, &disk, ROOT, "40M");
    disk
}

/// Without checksums of its folders: tests forge names in them.
fn ext(tree: &Path, disk: &Path, offset: u64, size: &str) {
    let image = disk.with_file_name(format!("part-{offset}"));
    let (tree, shown) = (tree.to_str().unwrap(), image.to_str().unwrap());
    let features = [
        "-q",
        "-t",
        "ext4",
        "-O",
        "^metadata_csum",
        "-d",
        tree,
        shown,
        size,
    ];
    run("mke2fs", &features, "");
    let (from, to) = (format!("if={shown}"), format!("of={}", disk.display()));
    let seek = format!("seek={}", offset >> 20);
    run(
        "dd",
        &[&from, &to, "bs=1M", &seek, "conv=notrunc", "status=none"],
        "",
    );
    fs::remove_file(image).unwrap();
}

/// Changes an ext4 on the disk without mounting it.
pub fn debugfs(disk: &Path, offset: u64, commands: &str) -> String {
    let device = format!("{}?offset={offset}", disk.display());
    run("debugfs", &["-w", "-f", "-", &device], commands)
}

/// Gives a name in a folder of the disk other bytes, as no kernel would.
pub fn forge(disk: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(disk).unwrap();
    let found = memchr_all(&bytes, from.as_bytes());
    assert!(!found.is_empty(), "{from} is on the disk");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    fs::write(disk, bytes).unwrap();
}

fn memchr_all(bytes: &[u8], word: &[u8]) -> Vec<usize> {
    let first = word[0];
    (0..bytes.len() - word.len())
        .filter(|at| bytes[*at] == first && bytes[*at..].starts_with(word))
        .collect()
}

/// Loop devices that are still attached to a disk after ten seconds. A device that detaches itself does so when its last user
/// closes it, and that may be another `losetup` which lists all devices (loop(4), LO_FLAGS_AUTOCLEAR).
pub fn loops(disk: &Path) -> String {
    let words = [
        "--noheadings",
        "--output",
        "NAME",
        "--associated",
        disk.to_str().unwrap(),
    ];
    let begun = std::time::Instant::now();
    loop {
        let attached = run("losetup", &words, "");
        if attached.is_empty() || begun.elapsed() > std::time::Duration::from_secs(10) {
            return attached;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Regular files below a folder, by their paths in it.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).unwrap().display().to_string())
        .collect();
    names.sort();
    names
}
