//! Rollback of a board that does not boot: real partitions (GPT, FAT, ext4) in a disk image, and a mount point.

mod local_board;

use local_board::{Bench, DEBUG, EXTLINUX, LocalBoard, VANILLA};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::board::offline::Offline;
use xtask::board::ours::SMOKE_FOLDER;
use xtask::board::slot_init::RESTORE_FOLDER;
use xtask::host::requirements;

fn run(program: &str, words: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut child = Command::new(requirements::find(program).unwrap())
        .args(words)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
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
    String::from_utf8_lossy(&done.stdout).into_owned()
}

const FAT: u64 = 1 << 20;
const EXT: u64 = 33 << 20;

/// Everything of a [`LocalBoard`] on a disk with a FAT and an ext4 partition.
fn disk_of(board: &LocalBoard, folder: &Path) -> PathBuf {
    let disk = folder.join("disk");
    fs::File::create(&disk).unwrap().set_len(80 << 20).unwrap();
    let shown = disk.to_str().unwrap();
    run(
        "sfdisk",
        &["--quiet", shown],
        "label: gpt\nstart=2048, size=65536, type=U\nstart=67584, size=92160, type=L\n",
    );
    run("mkfs.vfat", &["-F", "16", "--offset=2048", shown, "32768"], "");
    let image = format!("{shown}@@{FAT}");
    for entry in fs::read_dir(board.at("/boot/firmware")).unwrap() {
        run(
            "mcopy",
            &[
                "-s",
                "-m",
                "-i",
                &image,
                entry.unwrap().path().to_str().unwrap(),
                "::/",
            ],
            "",
        );
    }
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("usr/lib")).unwrap();
    fs::create_dir_all(tree.join("var/lib")).unwrap();
    let copy = |from: PathBuf, to: &str| {
        run(
            "cp",
            &["-a", from.to_str().unwrap(), tree.join(to).to_str().unwrap()],
            "",
        )
    };
    copy(board.at("/usr/lib/modules"), "usr/lib/modules");
    copy(board.at("/var/lib/lockstep"), "var/lib/lockstep");
    copy(board.at("/etc"), "etc");
    let (root, device) = (folder.join("root.ext4"), format!("of={shown}"));
    run(
        "mke2fs",
        &[
            "-q",
            "-t",
            "ext4",
            "-d",
            tree.to_str().unwrap(),
            root.to_str().unwrap(),
            "40M",
        ],
        "",
    );
    run(
        "dd",
        &[
            &format!("if={}", root.display()),
            &device,
            "bs=1M",
            &format!("seek={}", EXT >> 20),
            "conv=notrunc",
            "status=none",
        ],
        "",
    );
    disk
}

fn debugfs(disk: &Path, commands: &str) -> String {
    run(
        "debugfs",
        &["-w", "-f", "-", &format!("{}?offset={EXT}", disk.display())],
        commands,
    )
}

#[test]
fn a_damaged_disk_image_gets_vanilla_back_hash_for_hash() {
    let Bench {
        board,
        protected,
        builds: work,
        ..
    } = Bench::in_a_campaign();
    let left = [
        SMOKE_FOLDER,
        RESTORE_FOLDER,
        "/var/lib/lockstep/backups/.new-iter6",
    ];
    for folder in left {
        board.file(&format!("{folder}/x"), "x", 0o644);
    }
    let disk = disk_of(&board, work.path());
    let junk = work.path().join("junk");
    fs::write(&junk, "\0junk\nlabel").unwrap();
    let (image, shown) = (format!("{}@@{FAT}", disk.display()), junk.to_str().unwrap());
    run(
        "mcopy",
        &["-o", "-i", &image, shown, "::/extlinux/extlinux.conf"],
        "",
    );
    run("mdel", &["-i", &image, "::/dtbs/virt.dtb"], "");
    let modules = format!("/usr/lib/modules/{VANILLA}");
    debugfs(
        &disk,
        &format!(
            "rm {modules}/modules.dep\nrm \"{modules}/kernel/b c.ko\"\nrm {modules}/kernel/a.ko\nrmdir {modules}/kernel\n\
             write {shown} {modules}/stranger.ko\n"
        ),
    );
    let backups = PathBuf::from("/var/lib/lockstep/backups");
    let offline = Offline::open(&disk, "iter6", &board.host())
        .unwrap()
        .with_backups(backups);
    let before = fs::read(&disk).unwrap();
    let plan = offline.plan().unwrap();
    assert_eq!(before, fs::read(&disk).unwrap(), "a plan changes nothing");
    assert_eq!(
        (plan.restore.len(), plan.strangers.len(), plan.rename.len()),
        (4, 1, 1),
        "{plan:#?}"
    );
    assert_eq!(
        plan.remove.len(),
        4 + left.len(),
        "Image, device tree, modules and record of the slot, and what work left: {:?}",
        plan.remove
    );
    assert!(left.iter().all(|path| plan.remove.contains(&PathBuf::from(path))));
    let kept: Vec<&str> = plan.kept.iter().map(|kept| kept.place.as_str()).collect();
    let archive = board.host().display().to_string();
    assert_eq!(kept, ["/var/lib/lockstep/backups/iter6", &archive]);
    offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
    let again = offline.plan().unwrap();
    assert!(again.is_empty(), "{again:#?}");
    offline.execute(&again).unwrap();

    let out = work.path().join("out");
    fs::create_dir(&out).unwrap();
    run(
        "mcopy",
        &["-s", "-n", "-i", &image, "::/", out.to_str().unwrap()],
        "",
    );
    let names = |folder: &Path| -> Vec<String> {
        let mut names: Vec<String> = walkdir::WalkDir::new(folder)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(folder).unwrap().display().to_string())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&out),
        ["Image-7.3.4-devices", "dtbs/virt.dtb", "extlinux/extlinux.conf"]
    );
    assert_eq!(
        fs::read_to_string(out.join("extlinux/extlinux.conf")).unwrap(),
        EXTLINUX
    );
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir(&out).unwrap();
    debugfs(
        &disk,
        &format!(
            "rdump /usr/lib/modules {0}\nrdump /etc/sddm.conf.d {0}\n",
            out.display()
        ),
    );
    assert_eq!(
        names(&out.join("modules")),
        names(&board.at("/usr/lib/modules"))
            .into_iter()
            .filter(|name| name.starts_with(VANILLA))
            .collect::<Vec<_>>()
    );
    for (path, entry) in protected
        .inventory
        .iter()
        .filter(|(path, _)| path.starts_with("/usr"))
    {
        let at = out
            .join("modules")
            .join(path.strip_prefix("/usr/lib/modules").unwrap());
        if let Some(hash) = entry.sha256() {
            assert_eq!(xtask::host::files::sha256_file(&at).unwrap(), hash);
        }
    }
    assert_eq!(names(&out.join("sddm.conf.d")), ["auto.conf"]);
    run(
        "e2fsck",
        &["-fn", &format!("{}?offset={EXT}", disk.display())],
        "",
    );
}

#[test]
fn a_disk_of_another_board_or_none_is_refused() {
    let Bench {
        board, builds: work, ..
    } = Bench::in_a_campaign();
    let other = LocalBoard::new();
    let _ = fs::remove_dir_all(other.at("/usr/lib/modules"));
    other.file("/usr/lib/modules/6.1.0-other/a.ko", "x", 0o644);
    other.file("/var/lib/lockstep/x", "x", 0o644);
    for name in ["Image-7.3.4-devices", "extlinux/extlinux.conf", "dtbs/virt.dtb"] {
        fs::remove_file(other.at(&format!("/boot/firmware/{name}"))).unwrap();
    }
    let disk = disk_of(&other, work.path());
    let error = format!(
        "{:#}",
        Offline::open(&disk, "iter6", &board.host()).err().unwrap()
    );
    assert!(error.contains("is it the disk of board `local`"), "{error}");
    let empty = work.path().join("empty");
    fs::write(&empty, vec![0; 1 << 20]).unwrap();
    assert!(Offline::open(&empty, "iter6", &board.host()).is_err());
    let error = format!(
        "{:#}",
        Offline::open(&disk, "iter6", &work.path().join("nowhere"))
            .err()
            .unwrap()
    );
    assert!(error.contains("there is no backup"), "{error}");
}

#[test]
fn a_mount_point_works_too_and_no_link_on_it_is_followed() {
    let Bench {
        board,
        protected,
        builds: work,
        ..
    } = Bench::in_a_campaign();
    let root = work.path().join("mnt");
    fs::create_dir_all(root.join("usr/lib")).unwrap();
    fs::create_dir_all(root.join("boot/firmware")).unwrap();
    let copy = |from: &str, to: &str| {
        run(
            "cp",
            &[
                "-a",
                board.at(from).to_str().unwrap(),
                root.join(to).to_str().unwrap(),
            ],
            "",
        )
    };
    copy("/usr/lib/modules", "usr/lib/modules");
    copy("/etc", "etc");
    let error = format!(
        "{:#}",
        Offline::open(&root, "iter6", &board.host()).err().unwrap()
    );
    assert!(error.contains("the boot partition is not mounted"), "{error}");
    let boot = root.join("boot/firmware");
    run("mount", &["-t", "tmpfs", "tmpfs", boot.to_str().unwrap()], "");
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let from = format!("{}/.", board.at("/boot/firmware").display());
        run("cp", &["-a", &from, boot.to_str().unwrap()], "");
        fs::write(
            root.join(format!("usr/lib/modules/{VANILLA}/kernel/a.ko")),
            "damaged",
        )
        .unwrap();
        fs::remove_file(boot.join("extlinux/extlinux.conf")).unwrap();
        let offline = Offline::open(&root, "iter6", &board.host()).unwrap();
        let plan = offline.plan().unwrap();
        offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(offline.plan().unwrap().is_empty());
        assert_eq!(
            fs::read_to_string(boot.join("extlinux/extlinux.conf")).unwrap(),
            EXTLINUX
        );
        assert!(!root.join(format!("usr/lib/modules/{DEBUG}")).exists());
        assert!(root.join("etc/sddm.conf.d/auto.conf").exists());
        // A link in the place of a folder would lead onto this host.
        let elsewhere = work.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let modules = root.join(format!("usr/lib/modules/{VANILLA}"));
        fs::remove_dir_all(&modules).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &modules).unwrap();
        let offline = Offline::open(&root, "iter6", &board.host()).unwrap();
        let refused = offline.plan().and_then(|plan| offline.execute(&plan));
        assert!(refused.is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(protected.release, VANILLA);
    }));
    run("umount", &[boot.to_str().unwrap()], "");
    checked.unwrap();
}
