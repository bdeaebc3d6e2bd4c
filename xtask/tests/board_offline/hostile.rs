//! Disks that lie, and a host that is full, in a hurry or read-only. Nothing outside of the disk is
//! ever touched, and what could not be read is never taken for empty.

use super::image::{BOOT, Boot, ROOT, debugfs, disk_of, files_below, forge, has_vfat, loops, run};
use super::{failure, open};
use crate::local_board::{Bench, EXTLINUX, LocalBoard, VANILLA};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xtask::board::filesystem_state::State;
use xtask::board::offline::Offline;
use xtask::board::ours;
use xtask::board::rollback::{ExtlinuxChange, Plan};
use xtask::host::interrupt::Stop;

/// A disk with a file of these names in vanilla's folder of modules, in which a test forges others.
struct Disk {
    bench: Bench,
    disk: PathBuf,
}

impl Disk {
    fn with(names: &[&str]) -> Self {
        let bench = Bench::in_a_campaign();
        for name in names {
            bench
                .board
                .file(&format!("/usr/lib/modules/{VANILLA}/{name}"), "forged", 0o644);
        }
        let disk = disk_of(&bench.board, bench.builds.path(), Boot::Ext);
        Disk { bench, disk }
    }

    fn board(&self) -> &LocalBoard {
        &self.bench.board
    }

    fn open(&self) -> anyhow::Result<Offline> {
        open(&self.disk, self.board())
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        self.open()?.plan()
    }
}

/// Runs with a partition of the disk mounted at a folder, by a loop device.
fn mounted(disk: &Path, offset: u64, options: &str, work: impl FnOnce(&Path)) {
    let at = tempfile::tempdir().unwrap();
    mounted_at(disk, offset, options, at.path(), || work(at.path()));
}

fn mounted_at(disk: &Path, offset: u64, options: &str, at: &Path, work: impl FnOnce()) {
    // As disk_of makes them; without a limit two loop devices of one file overlap, which mount(8)
    // refuses.
    let size = if offset == BOOT { 30 << 20 } else { 40 << 20 };
    let options = format!("loop,offset={offset},sizelimit={size},{options}");
    let (disk, at) = (disk.to_str().unwrap(), at.to_str().unwrap());
    run("mount", &["-t", "ext4", "-o", &options, disk, at], "");
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    run("umount", &[at], "");
    done.unwrap();
}

#[test]
fn a_name_that_leads_out_of_its_folder_is_an_error_and_writes_nothing() {
    for (real, forged) in [
        ("XXXXescape", "/../escape"),
        ("XXXX", "/../"),
        ("XXXXXXXX", "/tmp/own"),
    ] {
        let disk = Disk::with(&[real]);
        forge(&disk.disk, real, forged);
        let before = fs::read(&disk.disk).unwrap();
        let around = files_below(disk.bench.builds.path());
        let error = failure(disk.plan());
        assert!(
            error.contains(VANILLA) && error.contains("damaged"),
            "{forged}: {error}"
        );
        assert!(
            before == fs::read(&disk.disk).unwrap(),
            "{forged}: the disk is as it was"
        );
        assert_eq!(around, files_below(disk.bench.builds.path()));
        assert_eq!(loops(&disk.disk), "", "nothing is left mounted");
    }
}

#[test]
fn two_entries_of_one_name_are_an_error_that_names_the_folder() {
    let disk = Disk::with(&["twin-aaaa", "twin-bbbb"]);
    forge(&disk.disk, "twin-bbbb", "twin-aaaa");
    let error = failure(disk.plan());
    assert!(
        error.contains("two entries have one name (`twin-aaaa`)") && error.contains(VANILLA),
        "{error}"
    );
    let disk = Disk::with(&["dots-a"]);
    forge(&disk.disk, "dots-a", "..\0\0\0\0");
    failure(disk.plan());
}

/// A folder that goes as a whole is listed for the first time when it is removed.
#[test]
fn a_name_that_leads_out_of_a_folder_that_is_removed_removes_nothing_else() {
    let disk = Disk::with(&["stranger/XXXXmodules.dep", "stranger/plain"]);
    forge(&disk.disk, "XXXXmodules.dep", "/../modules.dep");
    let offline = disk.open().unwrap();
    let plan = offline.plan().unwrap();
    let stranger = PathBuf::from(format!("/usr/lib/modules/{VANILLA}/stranger"));
    assert!(plan.strangers.contains(&stranger), "{plan:#?}");
    let error = failure(offline.execute(&plan));
    assert!(error.contains("stranger") && error.contains("damaged"), "{error}");
    let dep = debugfs(
        &disk.disk,
        ROOT,
        &format!("stat /usr/lib/modules/{VANILLA}/modules.dep\n"),
    );
    assert!(dep.contains("Type: regular"), "{dep}");
    assert_eq!(loops(&disk.disk), "");
}

#[test]
fn a_journal_is_not_replayed_for_a_plan_and_a_plan_that_it_changes_is_not_executed() {
    let disk = Disk::with(&[]);
    // A copy of a mounted file system is what a power cut leaves.
    let copy = disk.disk.with_file_name("cut-off");
    mounted(&disk.disk, ROOT, "rw", |at| {
        let modules = at.join(format!("usr/lib/modules/{VANILLA}"));
        fs::remove_file(modules.join("modules.dep")).unwrap();
        // Into the journal, and not to its place: syncfs would do that, too.
        fs::File::open(modules).unwrap().sync_all().unwrap();
        run("cp", &[disk.disk.to_str().unwrap(), copy.to_str().unwrap()], "");
    });
    let before = fs::read(&copy).unwrap();
    let offline = open(&copy, disk.board()).unwrap();
    let plan = offline.plan().unwrap();
    let states: Vec<State> = plan.unclean.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::JournalNotReplayed]);
    assert!(
        plan.lines()[0].contains("journal was not replayed"),
        "{:?}",
        plan.lines()
    );
    assert!(before == fs::read(&copy).unwrap(), "a plan changes nothing");
    assert!(
        plan.restore.is_empty(),
        "the change is in the journal only: {:?}",
        plan.restore
    );

    let error = failure(offline.execute(&plan));
    assert!(error.contains("its journal was replayed"), "{error}");
    drop(offline);
    let offline = open(&copy, disk.board()).unwrap();
    let plan = offline.plan().unwrap();
    assert!(plan.unclean.is_empty() && plan.restore.len() == 1, "{plan:#?}");
    offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(offline.plan().unwrap().is_empty());
    run(
        "e2fsck",
        &["-fn", &format!("{}?offset={ROOT}", copy.display())],
        "",
    );
}

#[test]
fn a_file_system_with_errors_or_wishes_of_its_own_is_not_written() {
    let disk = Disk::with(&[]);
    debugfs(&disk.disk, ROOT, "ssv state 3\n");
    let offline = disk.open().unwrap();
    let plan = offline.plan().unwrap();
    assert_eq!(plan.unclean[0].state, State::NeedsCheck);
    let before = fs::read(&disk.disk).unwrap();
    let error = failure(offline.execute(&plan));
    assert!(
        error.contains("e2fsck -p") && error.contains("nothing was changed"),
        "{error}"
    );
    assert!(before == fs::read(&disk.disk).unwrap());
    drop(offline);
    // Its journal on another device would be one of this host.
    debugfs(&disk.disk, ROOT, "ssv state 1\nssv journal_dev 0x801\n");
    let error = failure(disk.plan());
    assert!(error.contains("another device for its journal"), "{error}");
}

#[test]
fn what_is_no_file_is_never_read_and_no_link_is_followed() {
    let Disk { bench, disk } = Disk::with(&[]);
    // What a pipe or a device in the place of a file would do: wait for ever, or start a watchdog.
    debugfs(
        &disk,
        BOOT,
        "rm extlinux/extlinux.conf\ncd extlinux\nmknod extlinux.conf p\ncd /\nrm dtbs/virt.dtb\ncd dtbs\nmknod virt.dtb c 10 130\n\
         cd /\nmknod lockstep-kept-7.3.4-x+.json p\nmknod lockstep-pipe.json p\n",
    );
    let offline = open(&disk, &bench.board).unwrap();
    let plan = offline.plan().unwrap();
    assert_eq!(
        (plan.extlinux, plan.restore.as_slice()),
        (
            ExtlinuxChange::Restore,
            &[PathBuf::from("/boot/firmware/dtbs/virt.dtb")][..]
        )
    );
    let record = PathBuf::from("/boot/firmware/lockstep-pipe.json");
    assert!(plan.remove.contains(&record), "{:?}", plan.remove);
    offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
    let conf = debugfs(&disk, BOOT, "cat extlinux/extlinux.conf\n");
    assert!(conf.contains(EXTLINUX.trim_end()), "{conf}");

    // Links in the place of folders.
    let target = bench.builds.path().join("outside");
    fs::create_dir_all(target.join(VANILLA)).unwrap();
    fs::write(target.join(VANILLA).join("kept"), "x").unwrap();
    mounted(&disk, ROOT, "rw", |at| {
        fs::remove_dir_all(at.join("usr/lib/modules")).unwrap();
        std::os::unix::fs::symlink(&target, at.join("usr/lib/modules")).unwrap();
    });
    let error = failure(open(&disk, &bench.board).and_then(|offline| offline.plan()));
    assert!(error.contains("symbolic link"), "{error}");
    assert_eq!(files_below(&target), [format!("{VANILLA}/kept")]);

    let folder = bench.builds.path().join("mnt");
    fs::create_dir(&folder).unwrap();
    for (link, to) in [("boot", bench.board.at("/boot")), ("boot", "/".into())] {
        std::os::unix::fs::symlink(to, folder.join(link)).unwrap();
        let error = failure(open(&folder, &bench.board));
        assert!(error.contains("symbolic link"), "{error}");
        fs::remove_file(folder.join(link)).unwrap();
    }
    fs::create_dir(folder.join("boot")).unwrap();
    std::os::unix::fs::symlink("/dev/shm", folder.join("boot/firmware")).unwrap();
    failure(open(&folder, &bench.board));
    let error = failure(open(Path::new("/"), &bench.board));
    assert!(error.contains("this host's own root"), "{error}");
}

/// Helper of the next test, in a process of its own: does nothing otherwise.
#[test]
fn a_plan_in_a_process_of_its_own() {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(disk), Some(host), Some(answer)) = (
        variable("LOCKSTEP_TEST_DISK"),
        variable("LOCKSTEP_TEST_HOST"),
        variable("LOCKSTEP_TEST_ANSWER"),
    ) else {
        return;
    };
    let (board, campaign) = ("local".parse().unwrap(), "iter6".parse().unwrap());
    let plan = Offline::open(&disk, &board, &campaign, &host)
        .unwrap()
        .plan()
        .unwrap();
    fs::write(answer, serde_json::to_vec(&plan).unwrap()).unwrap();
}

#[test]
fn a_full_temporary_folder_makes_no_disk_look_empty() {
    let disk = Disk::with(&[]);
    let plan = serde_json::to_value(disk.plan().unwrap()).unwrap();
    let full = tempfile::tempdir().unwrap();
    let word = full.path().to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", word], "");
    let filled = fs::write(full.path().join("all"), vec![1; 1 << 20]);
    let answer = disk.disk.with_file_name("answer");
    let done = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "board_offline::hostile::a_plan_in_a_process_of_its_own",
        ])
        .env("TMPDIR", full.path())
        .env("LOCKSTEP_TEST_DISK", &disk.disk)
        .env("LOCKSTEP_TEST_HOST", disk.board().host())
        .env("LOCKSTEP_TEST_ANSWER", &answer)
        .output();
    run("umount", &[word], "");
    assert!(filled.is_err(), "it was full");
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let there: serde_json::Value = serde_json::from_slice(&fs::read(answer).unwrap()).unwrap();
    assert_eq!(there, plan);
}

#[test]
fn a_disk_that_can_only_be_read_or_is_in_use_is_told_and_left() {
    let disk = Disk::with(&["stranger.ko"]);
    let shown = disk.disk.to_str().unwrap();
    let device = run(
        "losetup",
        &["--find", "--show", "--read-only", "--partscan", shown],
        "",
    );
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let error = failure(disk.open());
        assert!(error.contains("is in use") && error.contains(&device), "{error}");
        let offline = open(Path::new(&device), disk.board()).unwrap();
        let plan = offline.plan().unwrap();
        assert_eq!(plan.strangers.len(), 1);
        let before = fs::read(&disk.disk).unwrap();
        let error = failure(offline.execute(&plan));
        assert!(error.contains("nothing was changed"), "{error}");
        assert!(before == fs::read(&disk.disk).unwrap());
        // As long as it is worked on nobody else mounts it.
        let at = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "ext4", "-o", "ro,noload", &device])
            .arg(at.path());
        assert!(!mount.output().unwrap().status.success());
    }));
    run("losetup", &["--detach", &device], "");
    checked.unwrap();
}

/// QEMU locks the image that its machine runs from, and so does this.
const LOCKS: &str = r#"open F, "+<", $ARGV[0] or die; $l = pack("s s x4 q q i x4", F_RDLCK, 0, 100, 1, 0); fcntl(F, F_SETLK, $l) or die; $| = 1; print "held\n"; <STDIN>"#;

#[test]
fn an_image_that_a_machine_runs_from_is_not_written() {
    let disk = Disk::with(&["stranger.ko"]);
    let offline = disk.open().unwrap();
    let plan = offline.plan().unwrap();
    let before = fs::read(&disk.disk).unwrap();
    let mut machine = Command::new("perl")
        .args(["-MFcntl", "-e", LOCKS])
        .arg(&disk.disk)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    machine.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let error = failure(offline.execute(&plan));
    assert!(error.contains("another program works on it"), "{error}");
    assert!(before == fs::read(&disk.disk).unwrap());
    drop(machine.stdin.take());
    machine.wait().unwrap();
    offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn a_stop_between_two_writes_leaves_nothing_mounted_and_the_rest_is_done_later() {
    let disk = Disk::with(&["stranger.ko"]);
    let offline = disk.open().unwrap();
    let plan = offline.plan().unwrap();
    let stop = Stop::default();
    stop.rule_this_thread();
    stop.ask();
    let error = failure(offline.execute(&plan));
    assert!(error.contains("stopped, as asked"), "{error}");
    assert_eq!(loops(&disk.disk), "");
    mounted(&disk.disk, ROOT, "rw", |root| {
        mounted_at(&disk.disk, BOOT, "rw", &root.join("boot/firmware"), || {
            Stop::default().rule_this_thread();
            let offline = open(root, disk.board()).unwrap();
            let plan = offline.plan().unwrap();
            stop.rule_this_thread();
            let error = failure(offline.execute(&plan));
            assert!(error.contains("stopped between two writes"), "{error}");
            Stop::default().rule_this_thread();
            assert_eq!(
                offline.plan().unwrap(),
                plan,
                "before the first one nothing was changed"
            );
        });
    });
    let plan = offline.plan().unwrap();
    offline.execute(&plan).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(offline.plan().unwrap().is_empty());
    assert_eq!(loops(&disk.disk), "");
}

#[test]
fn a_backup_of_another_board_or_campaign_is_refused() {
    let disk = Disk::with(&[]);
    let host = disk.board().host();
    for (board, campaign, said) in [
        ("other", "iter6", "of board `local`"),
        ("local", "iter7", "of campaign `iter6`"),
    ] {
        let opened = Offline::open(
            &disk.disk,
            &board.parse().unwrap(),
            &campaign.parse().unwrap(),
            &host,
        );
        let error = failure(opened);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_name_on_the_disk_forges_no_line_of_the_plan() {
    let disk = Disk::with(&["a\nremove nothing else", "b\u{1b}[2K\u{202e}"]);
    let plan = disk.plan().unwrap();
    assert_eq!(plan.strangers.len(), 2);
    for line in plan.lines() {
        assert!(!line.contains(['\n', '\u{1b}', '\u{202e}']), "{line:?}");
    }
    assert_eq!(plan.lines().len(), 2 + plan.remove.len() + plan.rename.len() + 1);
}

#[test]
fn a_fat_without_a_driver_is_told_with_what_to_do() {
    let bench = Bench::in_a_campaign();
    let disk = disk_of(&bench.board, bench.builds.path(), Boot::Fat);
    let before = fs::read(&disk).unwrap();
    let opened = open(&disk, &bench.board);
    if has_vfat() {
        opened.unwrap().plan().unwrap();
    } else {
        let error = failure(opened);
        assert!(
            error.contains("kernel has no vfat") && error.contains("fusefat"),
            "{error}"
        );
    }
    assert!(before == fs::read(&disk).unwrap());
    assert_eq!(loops(&disk), "");
}

/// On a board that runs, too, what cannot be listed is not empty.
#[test]
fn a_folder_of_backups_that_cannot_be_listed_is_not_an_empty_one() {
    let board = LocalBoard::new();
    assert!(ours::backups(&board).unwrap().is_empty(), "it is not there");
    let folder = board.at("/var/lib/lockstep/backups");
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/nowhere", &folder).unwrap();
    let error = failure(ours::backups(&board));
    assert!(error.contains("cannot be read as a folder"), "{error}");
}
