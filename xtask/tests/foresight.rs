//! What a campaign file will do wrong is told before anything is built: `campaign new` writes a
//! file that is right for each step's tree, and `campaign check` names all that is wrong with
//! another one at once. On a small tree, without a board and without make.

use crate::small_git::git;
use crate::small_series::Rig;
use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A project, a cache with a small tree, and three patches: 0001 changes a driver that is on, 0002
/// one that is off, 0003 adds one.
struct Bench {
    folder: tempfile::TempDir,
}

const TREE: &[(&str, &str)] = &[
    ("Makefile", "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n"),
    ("Kbuild", "obj-y += drivers/\n"),
    (
        "Kconfig",
        "mainmenu \"x\"\n\nconfig MODULES\n\tbool \"Modules\"\n\tmodules\n\nsource \"drivers/v/Kconfig\"\n",
    ),
    ("drivers/Makefile", "obj-y += v/\n"),
    (
        "drivers/v/Makefile",
        "obj-$(CONFIG_VIDEO_V) += vid.o\nobj-$(CONFIG_VIDEO_W) += wid.o\n",
    ),
    (
        "drivers/v/Kconfig",
        "config BUS\n\tbool \"Bus\"\n\nconfig VIDEO_V\n\ttristate \"v\"\n\nconfig VIDEO_W\n\ttristate \"w\"\n\tdepends on BUS\n",
    ),
    (
        "drivers/v/vid.c",
        "static void vid_run(void *priv)\n{\n\tstart(priv);\n}\n\nstruct ops vid_ops = {\n\t.run = vid_run,\n};\n",
    ),
    ("drivers/v/wid.c", "void wid_run(void)\n{\n\tstart(0);\n}\n"),
];

const NEW_DRIVER: &str = "static int xid_set(int level)\n{\n\treturn level;\n}\n\nstruct ops xid_ops = {\n\t.set = xid_set,\n};\n\n\
    static int __init xid_init(void)\n{\n\treturn 0;\n}\n";

fn write(folder: &Path, file: &str, text: &str) {
    fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
    fs::write(folder.join(file), text).unwrap();
}

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{file}: {from}");
    fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
}

impl Bench {
    fn new() -> Self {
        let bench = Bench {
            folder: tempfile::tempdir().unwrap(),
        };
        let tree = bench.path("work");
        TREE.iter().for_each(|(file, text)| write(&tree, file, text));
        git(&tree, &["init", "-q", "-b", "main"]);
        git(&tree, &["add", "-A"]);
        git(&tree, &["commit", "-qm", "base"]);
        git(&tree, &["clone", "-q", "--bare", ".", "../cache/linux/7.3.4-1"]);
        edit(
            &tree,
            "drivers/v/vid.c",
            "static void vid_run(void *priv)\n{\n\tstart(priv);\n",
            "static void vid_begin(void *priv)\n{\n\tstart(priv);\n}\n\nstatic void vid_run(void *priv)\n{\n\tvid_begin(priv);\n",
        );
        git(&tree, &["commit", "-qam", "vid: begin by a function"]);
        edit(&tree, "drivers/v/wid.c", "start(0)", "start(1)");
        git(&tree, &["commit", "-qam", "wid: start at one"]);
        edit(
            &tree,
            "drivers/v/Makefile",
            "obj-$(CONFIG_VIDEO_W)",
            "obj-$(CONFIG_VIDEO_X) += xid.o\nobj-$(CONFIG_VIDEO_W)",
        );
        edit(
            &tree,
            "drivers/v/Kconfig",
            "config VIDEO_W",
            "config CLOCK\n\tbool \"Clock\"\n\nconfig VIDEO_X\n\ttristate \"x\"\n\tdepends on CLOCK\n\nconfig VIDEO_W",
        );
        write(&tree, "drivers/v/xid.c", NEW_DRIVER);
        git(&tree, &["add", "-A"]);
        git(&tree, &["commit", "-qm", "xid: a new driver"]);
        git(&tree, &["format-patch", "-q", "-o", "../project/mine", "main~3"]);

        let project = bench.path("project");
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in fs::read_dir(ours.join("kconfig-fragments")).unwrap() {
            let name = entry.unwrap().file_name();
            write(
                &project,
                &format!("kconfig-fragments/{}", name.to_str().unwrap()),
                "",
            );
        }
        write(
            &project,
            "kconfig-fragments/virtual-board.config",
            "CONFIG_MODULES=y\nCONFIG_VIDEO_V=m\n",
        );
        let board = fs::read_to_string(ours.join("boards/virtual.toml")).unwrap();
        write(&project, "boards/virtual.toml", &board);
        fs::create_dir_all(project.join("campaigns")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn xtask(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).assert().code(code).get_output().clone();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("lockstep").unwrap();
        command
            .current_dir(self.path("project"))
            .env("LOCKSTEP_CACHE", self.path("cache"))
            .env("NO_COLOR", "1")
            .args(arguments);
        command
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path("project").join(file)).unwrap()
    }

    /// The new campaign, and its steps as the tool reads them.
    fn campaign(&self) -> Value {
        self.xtask(&["campaign", "new", "mine", "--series", "mine"], 0);
        let shown = self.command(&["campaign", "show", "campaigns/mine.toml", "--json"]);
        let output = { shown }.assert().success().get_output().stdout.clone();
        serde_json::from_slice(&output).unwrap()
    }

    fn edit(&self, from: &str, to: &str) {
        edit(&self.path("project"), "campaigns/mine.toml", from, to);
    }

    /// What `campaign check` says, a mistake a line, without the place.
    fn mistakes(&self) -> Vec<String> {
        let said = self.xtask(&["campaign", "check", "campaigns/mine.toml"], 3);
        let lines = said
            .lines()
            .filter_map(|line| line.strip_prefix("campaigns/mine.toml:"));
        lines
            .map(|line| line.splitn(3, ':').nth(2).unwrap().trim().to_string())
            .collect()
    }
}

#[test]
fn a_new_campaign_is_right_for_the_tree_after_each_patch() {
    let bench = Bench::new();
    let campaign = bench.campaign();
    let step = |at: usize, key: &str| campaign["step"][at][key].clone();
    // Each module from the step on that has it; what was off is on in every kernel, so that the
    // baseline has it.
    assert_eq!(step(0, "load"), serde_json::json!(["vid", "wid"]));
    assert_eq!(step(1, "load"), serde_json::json!(["vid", "wid"]));
    assert_eq!(step(2, "load"), serde_json::json!(["vid", "wid", "xid"]));
    assert!(
        bench
            .read("kconfig-fragments/mine.config")
            .ends_with("\n\nCONFIG_BUS=y\nCONFIG_VIDEO_W=m\n")
    );
    let fragments = campaign["kernel"]["fragments"].as_array().unwrap();
    assert!(
        fragments.contains(&"kconfig-fragments/mine.config".into()),
        "{fragments:?}"
    );
    // What a patch brings is in its step's fragment, with what it depends on.
    assert_eq!(
        step(2, "fragments"),
        serde_json::json!(["kconfig-fragments/mine-0003.config"])
    );
    assert!(
        bench
            .read("kconfig-fragments/mine-0003.config")
            .ends_with("\n\nCONFIG_CLOCK=y\nCONFIG_VIDEO_X=m\n")
    );
    // A function that is called once is its caller's; one that is gone after the start is none.
    assert_eq!(step(0, "exercise"), serde_json::json!(["vid_run"]));
    assert_eq!(step(1, "exercise"), serde_json::json!(["wid_run"]));
    assert_eq!(step(2, "exercise"), serde_json::json!(["xid_set"]));
    // A test of the new module is run once it is there.
    assert_eq!(step(0, "smoke"), serde_json::json!(["replace-me"]));
    assert_eq!(step(2, "smoke"), serde_json::json!(["replace-me", "xid"]));
    for at in 0..2 {
        assert_eq!(step(at, "on-failure"), "continue-without");
    }
    assert_eq!(step(2, "on-failure"), "stop");
    let said = bench.xtask(&["campaign", "check", "campaigns/mine.toml"], 0);
    assert!(said.contains("3 steps, 2 smoke tests, nothing wrong"), "{said}");
    // Nothing is written over.
    let said = bench.xtask(&["campaign", "new", "mine", "--series", "mine"], 1);
    assert!(said.contains("is there already"), "{said}");
}

#[test]
fn a_fragment_of_the_project_that_has_it_all_is_used() {
    let bench = Bench::new();
    write(
        &bench.path("project"),
        "kconfig-fragments/x.config",
        "CONFIG_VIDEO_X=m\nCONFIG_CLOCK=y\n",
    );
    let campaign = bench.campaign();
    assert_eq!(
        campaign["step"][2]["fragments"],
        serde_json::json!(["kconfig-fragments/x.config"])
    );
    assert!(!bench.path("project/kconfig-fragments/mine-0003.config").exists());
}

#[test]
fn a_dry_run_shows_the_fragments_and_writes_nothing() {
    let bench = Bench::new();
    let said = bench.xtask(&["campaign", "new", "mine", "--series", "mine", "--dry-run"], 0);
    assert!(
        said.contains("# kconfig-fragments/mine-0003.config:") && said.contains("CONFIG_CLOCK=y"),
        "{said}"
    );
    for file in [
        "campaigns/mine.toml",
        "kconfig-fragments/mine.config",
        "kconfig-fragments/mine-0003.config",
    ] {
        assert!(!bench.path("project").join(file).exists(), "{file}");
    }
}

#[test]
fn without_a_tree_it_says_what_is_not_filled_in() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("cache/linux")).unwrap();
    let said = bench.xtask(&["campaign", "new", "mine", "--series", "mine"], 0);
    assert!(said.contains("there is no kernel tree yet"), "{said}");
    let said = bench.xtask(&["campaign", "check", "campaigns/mine.toml"], 0);
    assert!(said.contains("nothing wrong in what was looked at"), "{said}");
    assert!(
        said.contains("warning: campaigns/mine.toml: not looked at: the patches, and which modules"),
        "{said}"
    );
}

#[test]
fn every_mistake_is_told_in_one_round() {
    let bench = Bench::new();
    bench.campaign();
    bench.edit("goal = ", "gaol = 1\ngoal = ");
    bench.edit(
        "load = [\"vid\", \"wid\"]",
        "load = [\"vid\", \"xid\", \"vidd\"]\nestimate-min = \"2\"",
    );
    bench.edit(
        "rebuild = [\"wid\"]",
        "rebuild = [\"widd\"]\nnot-built = [\"drivers/v/wid.h\"]",
    );
    bench.edit("exercise = [\"wid_run\"]", "exercise = [\"wid_rnu\"]");
    bench.edit(
        "exercise = [\"xid_set\"]",
        "exercise = [\"xid_init\"]\nsmoke = [\"xyd\"]",
    );
    bench.edit(
        "kconfig-fragments/mine-0003.config",
        "kconfig-fragments/nowhere.config",
    );
    let told = bench.mistakes();
    let expected = [
        "unknown field `gaol`, expected one of",
        "the module xid comes with 0003 (step 2.3): it is not there yet",
        "no Makefile of the tree makes a module vidd; did you mean `vid`?",
        "invalid type: string \"2\", expected u32",
        "no file of the patches has a function wid_rnu; did you mean `wid_run`?",
        "no Makefile of the tree makes a module widd; did you mean `wid`?",
        "the patch changes nothing in drivers/v/wid.h; did you mean `drivers/v/wid.c`?",
        "drivers/v/xid.c is not built: CONFIG_VIDEO_X is off; to have it: CONFIG_CLOCK=y, CONFIG_VIDEO_X=m. Put that into a fragment of the step",
        "there is no file kconfig-fragments/nowhere.config",
        "xid_init is gone once its module has begun (`__init`)",
        "there is no smoke test \"xyd\"",
        "xid hangs on CONFIG_VIDEO_X, which is off in this kernel; to have it: CONFIG_CLOCK=y, CONFIG_VIDEO_X=m",
    ];
    for words in expected {
        assert!(
            told.iter().any(|line| line.starts_with(words)),
            "{words}\n{told:#?}"
        );
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_symbol_that_comes_with_a_patch_cannot_be_asked_for_before_it() {
    let bench = Bench::new();
    bench.campaign();
    bench.edit(
        "\"kconfig-fragments/mine.config\",\n",
        "\"kconfig-fragments/mine.config\",\n    \"kconfig-fragments/mine-0003.config\",\n",
    );
    write(
        &bench.path("project"),
        "kconfig-fragments/mine.config",
        "CONFIG_BUS=y\nCONFIG_VIDEO_W=m\nCONFIG_VIDEO_WW=m\n",
    );
    let told = bench.mistakes();
    for words in [
        "CONFIG_CLOCK (mine-0003.config:5) comes with 0003 (step 2.3), and this is read before that: put it into that step's `fragments`",
        "no Kconfig file of the tree defines CONFIG_VIDEO_WW (mine.config:3); did you mean `VIDEO_W`?",
    ] {
        assert!(told.iter().any(|line| line == words), "{words}\n{told:#?}");
    }
}

#[test]
fn code_that_is_not_meant_to_be_built_is_declared() {
    let bench = Bench::new();
    bench.campaign();
    bench.edit("fragments = [\"kconfig-fragments/mine-0003.config\"]", "");
    bench.edit(
        "exercise = [\"xid_set\"]",
        "not-built = [\"drivers/v/xid.c\"]\nexpect = \"not-exercised\"",
    );
    bench.edit("load = [\"vid\", \"wid\", \"xid\"]", "load = [\"vid\", \"wid\"]");
    let said = bench.xtask(&["campaign", "check", "campaigns/mine.toml"], 0);
    assert!(said.contains("nothing wrong"), "{said}");
}

#[test]
fn code_that_cannot_be_built_here_is_declared_by_a_new_campaign() {
    let bench = Bench::new();
    edit(
        &bench.path("project/mine"),
        "0003-xid-a-new-driver.patch",
        "depends on CLOCK",
        "depends on X86XX",
    );
    let campaign = bench.campaign();
    assert_eq!(
        campaign["step"][2]["not-built"],
        serde_json::json!(["drivers/v/xid.c"])
    );
    assert!(
        bench
            .read("campaigns/mine.toml")
            .contains("# drivers/v/xid.c: CONFIG_VIDEO_X cannot be on here")
    );
}

#[test]
fn a_patch_that_lacks_a_file_or_does_not_apply_is_told() {
    let bench = Bench::new();
    bench.campaign();
    let patch = "0003-xid-a-new-driver.patch";
    let text = bench.read(&format!("mine/{patch}"));
    let (before, file) = text.split_once("diff --git a/drivers/v/xid.c").unwrap();
    let lines = file
        .lines()
        .filter(|line| line.starts_with('+') && !line.starts_with("+++"))
        .count();
    assert!(lines > 5);
    write(&bench.path("project/mine"), patch, before);
    let told = bench.mistakes();
    assert!(
        told.iter().any(|line| line.starts_with(
            "the patch lacks a file: drivers/v/Makefile lists xid.o, and there is no source of it"
        )),
        "{told:#?}"
    );
    edit(
        &bench.path("project/mine"),
        "0002-wid-start-at-one.patch",
        "-\tstart(0);",
        "-\tstart(7);",
    );
    let told = bench.mistakes();
    assert!(
        told.iter()
            .any(|line| line.starts_with("it does not apply on what stands before it: ")),
        "{told:#?}"
    );
}

#[test]
fn a_run_is_refused_for_a_mistake_in_the_file_before_the_board_is_touched() {
    let bench = Bench::new();
    bench.campaign();
    bench.edit("load = [\"vid\", \"wid\"]", "load = [\"xid\"]");
    let said = bench.xtask(&["bisect-apply", "campaigns/mine.toml", "--yes"], 1);
    assert!(
        said.contains("the campaign would go wrong; nothing was touched")
            && said.contains("it is not there yet"),
        "{said}"
    );
    assert!(!bench.path("project/.lockstep").exists());
}

/// What the tool says on both its channels.
fn said(command: &mut Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn apply_names_what_is_underneath_and_revert_what_it_applied_again() {
    let rig = Rig::new();
    let first = said(&mut rig.on_tree(&["apply", "4", "5", "6"]));
    assert!(!first.contains("on top of what is applied"), "{first}");
    assert!(
        first.contains("new Kconfig symbols: V_NEW;")
            && first.contains("next: ")
            && first.contains("--fragment FILE"),
        "{first}"
    );
    let text = said(&mut rig.on_tree(&["revert", "5"]));
    assert!(text.contains("applied again without it: w: reword"), "{text}");

    // Another series on the same tree.
    let other = rig.path("other");
    fs::create_dir_all(&other).unwrap();
    let name = "0001-v-two.patch";
    let patch = "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: [PATCH] v: a header\n\nWhy.\n\n---\n\
        diff --git a/drivers/v/Makefile b/drivers/v/Makefile\n--- a/drivers/v/Makefile\n+++ b/drivers/v/Makefile\n@@ -1,3 +1,4 @@\n \
        obj-$(CONFIG_V) += v-core.o\n v-core-y := core.o\n obj-$(CONFIG_W) += w.o\n+obj-$(CONFIG_V) += forgotten.o\n";
    fs::write(other.join(name), patch).unwrap();
    let mut command = rig.xtask(&["apply", "1", "--series"]);
    let text = said(command.arg(&other).arg("--kernel").arg(&rig.kernel));
    assert!(text.contains("on top of what is applied and not of"), "{text}");
    assert!(text.contains("v: add a function; w: reword"), "{text}");
    assert!(
        text.contains(
            "the patch lacks a file: drivers/v/Makefile lists forgotten.o, and there is no source of it"
        ),
        "{text}"
    );
    let mut command = rig.xtask(&["series", "check", "--series"]);
    let output = command
        .arg(&other)
        .arg("--kernel")
        .arg(&rig.kernel)
        .assert()
        .code(3)
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("lists forgotten.o"), "{text}");
}

#[test]
fn the_place_of_the_source_is_told() {
    let bench = Bench::new();
    let repository = bench.path("cache/linux/7.3.4-1");
    for words in [&["doctor"][..], &["series", "--series", "mine"]] {
        let output = bench.command(words).assert().get_output().clone();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains(&format!("git repository {}", repository.display())),
            "{words:?}: {text}"
        );
    }
}
