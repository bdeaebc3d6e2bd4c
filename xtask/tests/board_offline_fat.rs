//! Rollback of a board's disk whose boot partition is a mounted FAT: by this machine's own kernel where it has vfat, else by fusefat
//! (Debian's package of that name), which writes the same format in user space.

use crate::local_board;

use local_board::{Bench, DEBUG, EXTLINUX, VANILLA};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::board::offline::Offline;
use xtask::host::{process, requirements};

const LIMIT: Duration = Duration::from_secs(60);

/// Unmounts what it mounted.
struct Mounted(PathBuf);

impl Mounted {
    fn fat(image: &Path, at: &Path) -> Self {
        let sh = Shell::new().unwrap();
        let by_kernel = cmd!(sh, "mount -t vfat -o loop {image} {at}");
        if !process::finish(by_kernel, LIMIT).unwrap().status.success() {
            let fusefat = requirements::find("fusefat").expect(
                "this machine's kernel has no vfat, and fusefat is not there: `apt-get install fusefat`",
            );
            process::run(cmd!(sh, "{fusefat} -o rw+ {image} {at}"), LIMIT).unwrap();
        }
        Mounted(at.to_path_buf())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let (sh, at) = (Shell::new().unwrap(), &self.0);
        drop(process::finish(cmd!(sh, "umount {at}"), LIMIT));
    }
}

fn run(program: &str, words: &[&str]) -> String {
    let sh = Shell::new().unwrap();
    let program = requirements::find(program).unwrap();
    process::run(cmd!(sh, "{program} {words...}"), LIMIT)
        .unwrap()
        .text()
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_mounted_fat_gets_vanilla_back() {
    let Bench {
        board, builds: work, ..
    } = Bench::in_a_campaign();
    let root = work.path().join("mnt");
    let boot = root.join("boot/firmware");
    fs::create_dir_all(root.join("usr/lib")).unwrap();
    fs::create_dir_all(&boot).unwrap();
    let shown = |path: &Path| path.to_str().unwrap().to_string();
    for (from, to) in [("/usr/lib/modules", "usr/lib/modules"), ("/etc", "etc")] {
        run("cp", &["-a", &shown(&board.at(from)), &shown(&root.join(to))]);
    }
    let image = work.path().join("fat.img");
    fs::File::create(&image).unwrap().set_len(40 << 20).unwrap();
    run("mkfs.vfat", &["-F", "32", "-s", "1", &shown(&image)]);
    for entry in fs::read_dir(board.at("/boot/firmware")).unwrap() {
        run(
            "mcopy",
            &[
                "-s",
                "-m",
                "-i",
                &shown(&image),
                &shown(&entry.unwrap().path()),
                "::/",
            ],
        );
    }
    let mounted = Mounted::fat(&image, &boot);
    let kind = run("stat", &["-f", "-c", "%T", &shown(&boot)]);
    assert!(kind == "msdos" || kind.starts_with("fuse"), "{kind}");
    fs::write(boot.join("extlinux/extlinux.conf"), "\0junk\nlabel").unwrap();
    fs::remove_file(boot.join("dtbs/virt.dtb")).unwrap();
    fs::write(
        root.join(format!("usr/lib/modules/{VANILLA}/kernel/a.ko")),
        "damaged",
    )
    .unwrap();
    let (name, campaign) = ("local".parse().unwrap(), "iter6".parse().unwrap());
    let offline = Offline::open(&root, &name, &campaign, &board.host()).unwrap();
    let plan = offline.plan().unwrap();
    assert_eq!((plan.restore.len(), plan.remove.len()), (2, 4), "{plan:#?}");
    offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(offline.plan().unwrap().is_empty());
    drop(mounted);

    // What is in the file system itself, without the driver that wrote it.
    let out = work.path().join("out");
    fs::create_dir(&out).unwrap();
    run("mcopy", &["-s", "-n", "-i", &shown(&image), "::/", &shown(&out)]);
    let mut names: Vec<String> = walkdir::WalkDir::new(&out)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| shown(entry.path().strip_prefix(&out).unwrap()))
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["Image-7.3.4-devices", "dtbs/virt.dtb", "extlinux/extlinux.conf"]
    );
    for name in &names[..2] {
        assert_eq!(
            fs::read(out.join(name)).unwrap(),
            fs::read(board.at(&format!("/boot/firmware/{name}"))).unwrap(),
            "{name}"
        );
    }
    assert_eq!(
        fs::read_to_string(out.join("extlinux/extlinux.conf")).unwrap(),
        EXTLINUX
    );
    assert!(!root.join(format!("usr/lib/modules/{DEBUG}")).exists());
    assert!(root.join("etc/sddm.conf.d/auto.conf").exists());
}
