//! The verbs about boards as a person meets them, without a board.

#[path = "cli_board/locks.rs"]
mod locks;

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use xtask::board::backup::{self, Hashes, Manifest};
use xtask::board::inventory::{Content, Entry, Inventory};
use xtask::board::protected::{self, Protected, UbootPaths};
use xtask::host::files::sha256;

const CONF: &str = "# mine\ndefault arch_devices\nlabel arch_devices\n\tkernel /Image\n\tfdt /t.dtb\n\tappend root=/dev/vda2 rw quiet\n# end";

fn xtask(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    command
        .args(words)
        .env("LOCKSTEP_CACHE", folder.join("cache"))
        .env("LOCKSTEP_LOCKS", folder);
    command
}

fn said(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_device_tree_below_a_fdtdir_is_looked_for_where_u_boot_does() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("boot");
    std::fs::create_dir_all(root.join("extlinux")).unwrap();
    std::fs::create_dir_all(root.join("dtbs-6.9/rockchip")).unwrap();
    std::fs::write(root.join("dtbs-6.9/rockchip/b.dtb"), "").unwrap();
    std::fs::write(root.join("Image"), "").unwrap();
    // For U-Boot an absolute link begins at the root of its partition.
    std::os::unix::fs::symlink("/dtbs-6.9", root.join("dtbs")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", root.join("outside")).unwrap();
    let conf = root.join("extlinux/extlinux.conf");
    let found = |text: &str, tree: &str, code: i32| {
        std::fs::write(&conf, text).unwrap();
        let (conf, root) = (conf.to_str().unwrap(), root.to_str().unwrap());
        let words = ["extlinux", "lint", conf, "--root", root, "--fdtfile", tree];
        said(&mut xtask(folder.path(), &words), code)
    };
    let label = "default Arch Linux ARM\nlabel Arch Linux ARM\n kernel ../Image\n append x\n fdtdir ";
    for dtbs in ["/dtbs", "/dtbs/", "../dtbs", "../dtbs-6.9/"] {
        let text = found(&format!("{label}{dtbs}\n"), "rockchip/b.dtb", 0);
        assert!(text.contains("0 errors, 1 warnings"), "{text}");
    }
    let text = found(&format!("{label}/dtbs\n"), "rockchip/c.dtb", 3);
    let missing =
        "ERROR [fdtdir-miss] device tree in `fdtdir` `/dtbs/rockchip/c.dtb` of label `Arch Linux ARM`";
    assert!(text.contains(missing), "{text}");
    let text = found("default a\nlabel a\n kernel /outside\n", "x", 3);
    assert!(
        text.contains("kernel `/outside` of label `a` is not there"),
        "{text}"
    );
}

#[test]
fn an_extlinux_conf_is_checked_with_line_and_rule() {
    let folder = tempfile::tempdir().unwrap();
    let (conf, root) = (
        folder.path().join("extlinux.conf"),
        folder.path().to_str().unwrap(),
    );
    let path = conf.to_str().unwrap();
    std::fs::write(&conf, CONF).unwrap();
    let text = said(&mut xtask(folder.path(), &["extlinux", "lint", path]), 0);
    assert!(
        text.contains("0 errors, 0 warnings") && text.contains("next: "),
        "{text}"
    );
    let text = said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--root", root]),
        3,
    );
    assert!(
        text.contains("extlinux.conf:3: ERROR [missing-file] kernel `/Image` of label `arch_devices`"),
        "{text}"
    );
    std::fs::write(folder.path().join("Image"), "").unwrap();
    std::fs::write(folder.path().join("t.dtb"), "").unwrap();
    said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--root", root]),
        0,
    );
    std::fs::write(&conf, format!("menu title x\ntimeout 50\n{CONF}")).unwrap();
    let text = said(&mut xtask(folder.path(), &["extlinux", "lint", path]), 0);
    assert!(text.contains(":1: warning [menu-prompt]"), "{text}");
    said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--strict"]),
        3,
    );
    std::fs::write(&conf, format!("prompt 0\ntimeout 50\n{CONF}")).unwrap();
    let text = said(&mut xtask(folder.path(), &["extlinux", "lint", path]), 0);
    assert!(text.contains(":2: warning [never-asks]"), "{text}");
    std::fs::write(&conf, format!("default\n{CONF}")).unwrap();
    let text = said(
        &mut xtask(folder.path(), &["extlinux", "lint", path, "--json"]),
        3,
    );
    let answer: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(answer["schema_version"], 1);
    let findings = answer["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["rule"] == "rejected" && finding["line"] == 1),
        "{text}"
    );
}

#[test]
fn our_label_comes_and_goes_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("extlinux.conf");
    let path = conf.to_str().unwrap();
    std::fs::write(&conf, CONF).unwrap();
    let add = [
        "extlinux",
        "add",
        path,
        "--name",
        "mine",
        "--kernel",
        "/I",
        "--append",
        "root=x panic=10",
    ];
    said(xtask(folder.path(), &add).arg("--dry-run"), 0);
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
    said(&mut xtask(folder.path(), &add), 0);
    let added = std::fs::read_to_string(&conf).unwrap();
    assert!(
        added.starts_with(CONF) && added.contains("label mine\n"),
        "{added}"
    );
    let text = said(&mut xtask(folder.path(), &["extlinux", "show", path]), 0);
    assert!(
        text.contains("* 1  arch_devices (line 3)") && text.contains("2  mine"),
        "{text}"
    );
    said(
        &mut xtask(folder.path(), &["extlinux", "remove", path, "--name", "mine"]),
        0,
    );
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
    let text = said(
        &mut xtask(
            folder.path(),
            &["extlinux", "remove", path, "--name", "arch_devices"],
        ),
        1,
    );
    assert!(text.contains("is not ours"), "{text}");
    let hostile = [
        "extlinux", "add", path, "--name", "a\nb", "--kernel", "/I", "--append", "x",
    ];
    assert!(said(&mut xtask(folder.path(), &hostile), 1).contains("only letters, digits"));
    let long = "x".repeat(2000);
    let text = said(
        &mut xtask(
            folder.path(),
            &["extlinux", "add", path, "--kernel", "/I", "--append", &long],
        ),
        1,
    );
    assert!(text.contains("nothing was changed"), "{text}");
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
}

#[test]
fn an_unknown_board_is_named_with_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        ["deploy", "--board", "amper"],
        ["preflight", "--board", "amper"],
        ["rollback", "--board", "amper"],
        ["board", "status", "--board=amper"],
    ] {
        let text = said(&mut xtask(folder.path(), &words), 1);
        assert!(text.contains("did you mean `ampere`"), "{words:?}: {text}");
    }
    let text = said(&mut xtask(folder.path(), &["preflight", "--board", "../x"]), 2);
    assert!(text.contains("no name of a board"), "{text}");
}

/// A campaign and a board are components of paths on this host and on the board.
#[test]
fn a_name_that_leads_elsewhere_is_refused_by_every_verb_that_takes_one() {
    let folder = tempfile::tempdir().unwrap();
    let offline = ["rollback", "--offline", "/nonexistent", "--dry-run"];
    for verb in [
        &offline[..],
        &["preflight"],
        &["deploy"],
        &["boot", "vanilla"],
        &["backup", "verify", "--offline"],
        &["backup", "show"],
        &["baseline", "show"],
        &["board", "state"],
        &["build-debug-kernel"],
    ] {
        for name in ["../x", "/abs", "..", ".hidden", "a/b", "a\nb", ""] {
            let flag = format!("--campaign={name}");
            let text = said(xtask(folder.path(), verb).arg(flag), 2);
            assert!(
                text.contains("no name of a board or campaign"),
                "{verb:?}: {text}"
            );
        }
    }
    for verb in [&offline[..], &["backup", "list"], &["deploy"]] {
        said(xtask(folder.path(), verb).arg("--board=../../x"), 2);
    }
    assert!(!folder.path().join("cache").exists(), "not even a lock was made");
}

#[test]
fn a_backup_that_is_not_there_is_said_with_what_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["backup", "show", "--board", "ampere", "--campaign", "none"];
    let text = said(&mut xtask(folder.path(), &words), 1);
    assert!(
        text.contains("cargo xtask preflight --board ampere --campaign none"),
        "{text}"
    );
    let words = [
        "rollback",
        "--board",
        "ampere",
        "--campaign",
        "none",
        "--offline",
        "/nonexistent",
    ];
    assert!(said(&mut xtask(folder.path(), &words), 1).contains("there is no backup"));
    let text = said(
        &mut xtask(folder.path(), &["backup", "list", "--board", "ampere"]),
        0,
    );
    assert!(text.contains("next: "), "{text}");
}

/// A backup's manifest of the board `ampere` in this checkout, as pre-flight writes it; gone with the value.
struct Known {
    campaign: String,
    folder: PathBuf,
}

impl Known {
    fn for_label(label: &str) -> Self {
        let campaign = format!("test-labels-{}", std::process::id());
        let state = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = state.join(".lockstep/backups/ampere").join(&campaign);
        let conf = format!("{CONF}\nlabel rescue\n\tkernel /r\n");
        let mut inventory = Inventory::new();
        let entry = Entry {
            content: Content::File {
                size: conf.len() as u64,
                sha256: sha256(conf.as_bytes()),
            },
            mode: 0o644,
            owner: (0, 0),
            modified: 0,
            filesystem: "vfat".into(),
        };
        inventory
            .add("/boot/firmware/extlinux/extlinux.conf", entry)
            .unwrap();
        let manifest = Manifest {
            schema_version: backup::SCHEMA_VERSION,
            campaign: campaign.clone(),
            protected: Protected {
                schema_version: protected::SCHEMA_VERSION,
                board: "ampere".into(),
                vanilla_label: "arch_devices".into(),
                test_label: label.into(),
                release: "7.0.0-rc3-devices+".into(),
                append: "root=/dev/vda2 rw quiet".into(),
                uboot_paths: UbootPaths {
                    kernel: "/Image".into(),
                    fdt: Some("/t.dtb".into()),
                    initrd: None,
                },
                image: "/boot/firmware/Image".into(),
                dtb: Some("/boot/firmware/t.dtb".into()),
                initramfs: None,
                modules: "/usr/lib/modules/7.0.0-rc3-devices+".into(),
                extlinux: "/boot/firmware/extlinux/extlinux.conf".into(),
                boot_mount: "/boot/firmware".into(),
                foreign_hex: hex::encode(conf),
                others: vec![],
                inventory: Inventory::new(),
            },
            inventory,
        };
        std::fs::create_dir_all(&folder).unwrap();
        let text = serde_json::to_vec(&manifest).unwrap();
        let hashes = Hashes::of_manifest(&sha256(&text)).text();
        std::fs::write(folder.join(backup::MANIFEST), text).unwrap();
        std::fs::write(folder.join(backup::HASHES), hashes).unwrap();
        Known { campaign, folder }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn a_label_that_is_not_there_is_refused_before_the_board_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let known = Known::for_label("arch_devices_lockdep");
    let boot = |label: &str, more: &[&str], code| {
        let words = ["boot", label, "--board", "ampere", "--campaign", &known.campaign];
        said(xtask(folder.path(), &words).args(more), code)
    };
    for more in [&["--yes"][..], &["--force", "--yes"], &["--dry-run"]] {
        let text = boot("arch_devices_lockdp", more, 1);
        assert!(
            text.contains("board `ampere` has no label `arch_devices_lockdp`")
                && text.contains("`arch_devices` (or `vanilla`)")
                && text.contains("did you mean `arch_devices_lockdep`?"),
            "{text}"
        );
    }
    let text = boot("rescue", &["--yes"], 1);
    assert!(text.contains("neither vanilla's nor ours"), "{text}");
    let text = boot("x;reboot\n$(reboot)", &["--yes"], 1);
    assert!(text.contains("no label `x;reboot\\n$(reboot)`"), "{text}");
    let json = boot("vanila", &["--yes", "--json"], 1);
    let line = json.lines().find(|line| line.starts_with('{')).unwrap();
    let answer: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(answer["schema_version"], 1);
    assert!(answer.to_string().contains("did you mean `vanilla`?"), "{answer}");

    // The label that the backup was made for, by every verb that takes one.
    let board = ["--board", "ampere", "--campaign", &known.campaign];
    for verb in [
        &["boot", "vanilla", "--label", "mine"][..],
        &["deploy", "--label", "mine"],
        &["preflight", "--label", "mine"],
        &["board", "state", "--label", "mine"],
        &["extlinux", "remove", "--name", "mine"],
        &[
            "extlinux", "add", "--name", "mine", "--kernel", "/I", "--append", "x",
        ],
    ] {
        let text = said(xtask(folder.path(), verb).args(board), 1);
        assert!(
            text.contains("for the test label `arch_devices_lockdep`, not `mine`"),
            "{verb:?}: {text}"
        );
    }
    // A name that no label of ours may have is one for no verb at all.
    for name in ["a;b", "$(x)", "../x", "a\nb", "", "kept-7.3.4"] {
        let words = ["preflight", "--label", name];
        let text = said(xtask(folder.path(), &words).args(board), 2);
        assert!(text.contains("only letters, digits"), "{name:?}: {text}");
    }
    let locks = || {
        let names = std::fs::read_dir(folder.path()).unwrap();
        names
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .ends_with(".lock")
            })
            .count()
    };
    assert_eq!(locks(), 0, "no board was opened, and none was locked");
    // The counter-check: a label that is there gets as far as the board, which is not reachable from here.
    let text = boot("vanilla", &["--yes"], 1);
    assert!(text.contains("does not answer"), "{text}");
    assert!(locks() > 0);
}
