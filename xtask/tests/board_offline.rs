//! Rollback of a board that does not boot: real partitions (GPT, ext4, FAT where this kernel has it) in a disk image, and a mount point.

use crate::local_board;

#[path = "board_offline/hostile.rs"]
mod hostile;
#[path = "board_offline/image.rs"]
mod image;

use image::{BOOT, Boot, ROOT, debugfs, disk_of, files_below as names, run};
use local_board::{Bench, DEBUG, EXTLINUX, LocalBoard, VANILLA};
use std::fs;
use std::path::{Path, PathBuf};
use xtask::board::offline::Offline;
use xtask::board::ours::SMOKE_FOLDER;
use xtask::board::slot_init::RESTORE_FOLDER;

/// The board's disk, with its backup on this host.
fn open(target: &Path, board: &LocalBoard) -> anyhow::Result<Offline> {
    let (name, campaign) = ("local".parse()?, "iter6".parse()?);
    Offline::open(target, &name, &campaign, &board.host())
}

/// What an error says, with its causes.
fn failure<T>(done: anyhow::Result<T>) -> String {
    format!("{:#}", done.err().expect("it is refused"))
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
    let boot = Boot::of_this_machine();
    let disk = disk_of(&board, work.path(), boot);
    let junk = work.path().join("junk");
    fs::write(&junk, "\0junk\nlabel").unwrap();
    let (image, shown) = (format!("{}@@{BOOT}", disk.display()), junk.to_str().unwrap());
    match boot {
        Boot::Fat => {
            run(
                "mcopy",
                &["-o", "-i", &image, shown, "::/extlinux/extlinux.conf"],
                "",
            );
            run("mdel", &["-i", &image, "::/dtbs/virt.dtb"], "");
        }
        Boot::Ext => drop(debugfs(
            &disk,
            BOOT,
            &format!(
                "rm extlinux/extlinux.conf\ncd extlinux\nwrite {shown} extlinux.conf\ncd /\nrm dtbs/virt.dtb\n"
            ),
        )),
    }
    let modules = format!("/usr/lib/modules/{VANILLA}");
    debugfs(
        &disk,
        ROOT,
        &format!(
            "rm {modules}/modules.dep\nrm \"{modules}/kernel/b c.ko\"\nrm {modules}/kernel/a.ko\nrmdir {modules}/kernel\n\
             write {shown} {modules}/stranger.ko\n"
        ),
    );
    let backups = PathBuf::from("/var/lib/lockstep/backups");
    let offline = open(&disk, &board).unwrap().with_backups(backups);
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
    match boot {
        Boot::Fat => drop(run(
            "mcopy",
            &["-s", "-n", "-i", &image, "::/", out.to_str().unwrap()],
            "",
        )),
        Boot::Ext => {
            debugfs(&disk, BOOT, &format!("rdump / {}\n", out.display()));
            fs::remove_dir_all(out.join("lost+found")).unwrap();
        }
    }
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
        ROOT,
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
        &["-fn", &format!("{}?offset={ROOT}", disk.display())],
        "",
    );
    assert_eq!(image::loops(&disk), "", "nothing is left mounted");
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
    let disk = disk_of(&other, work.path(), Boot::Ext);
    let error = failure(open(&disk, &board));
    assert!(error.contains("is it the disk of board `local`"), "{error}");
    let empty = work.path().join("empty");
    fs::write(&empty, vec![0; 1 << 20]).unwrap();
    failure(open(&empty, &board));
    let (name, campaign) = ("local".parse().unwrap(), "iter6".parse().unwrap());
    let error = failure(Offline::open(
        &disk,
        &name,
        &campaign,
        &work.path().join("nowhere"),
    ));
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
    let error = failure(open(&root, &board));
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
        let offline = open(&root, &board).unwrap();
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
        let offline = open(&root, &board).unwrap();
        let refused = offline.plan().and_then(|plan| offline.execute(&plan));
        assert!(refused.is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(protected.release, VANILLA);
    }));
    run("umount", &[boot.to_str().unwrap()], "");
    checked.unwrap();
}
