//! The verbs of a series on a small repository that looks like a kernel: real git and the program itself.

use crate::{small_git, small_series};

use small_git::git;
use small_series::{CORE, Rig, error, log, mailbox};
use std::fs;
use std::path::Path;

#[test]
fn the_list_tells_all_of_it_within_a_hundred_columns() {
    let rig = Rig::new();
    rig.on_tree(&["apply", "4"]).assert().success();
    let text = rig.text(&["series"]);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(
        text.contains("kernel, v_core") && text.contains("v: add a function"),
        "{text}"
    );
    let list = rig.json(&["series"]);
    let first = &list["patches"][0];
    assert_eq!(first["number"], 4);
    assert_eq!(first["kconfig"], serde_json::json!(["V_NEW"]));
    assert_eq!(first["rebuilds"]["modules"]["v_core"], "CONFIG_V");
    assert_eq!(first["rebuilds"]["configuration"], true);
    assert_eq!(first["reviewed_by"][0], "Ann Other <ann@x.org>");
    assert_eq!(first["review"]["state"], "none");
    assert!(first["applied"].is_string() && list["patches"][1]["applied"].is_null());
    assert_eq!(
        list["patches"][1]["uses"],
        serde_json::json!([["0004", ["v_new_function"]]])
    );
    let long = rig.text(&["series", "show", "0005"]);
    for word in [
        "uses         v_new_function of 0004",
        "rebuilds     w (CONFIG_W)",
        "changes      drivers/v/w.c",
        "\nBecause.",
    ] {
        assert!(long.contains(word), "{word}\n{long}");
    }
    assert!(rig.text(&["series", "--long"]).contains("patch-id"));
}

#[test]
fn order_is_explained_by_what_is_used() {
    let rig = Rig::new();
    let said = error(&mut rig.on_tree(&["apply", "5"]));
    assert!(
        said.contains("0005 uses v_new_function, which 0004 adds"),
        "{said}"
    );
    assert!(!rig.path("cache").exists());
}

#[test]
fn a_patch_that_others_use_is_taken_back_with_them_or_alone() {
    let rig = Rig::new();
    rig.on_tree(&["apply", "4", "5", "6"]).assert().success();
    let before = rig.log();
    for more in [&["revert", "4"][..], &["revert", "4", "--yes"]] {
        let said = error(&mut rig.on_tree(more));
        assert!(
            said.contains("0005 uses v_new_function; nothing was changed")
                && said.contains("revert 0004 --with-later"),
            "{said}"
        );
    }
    // 0006 is of lines beside those of 0005, but not of them: it stays.
    rig.on_tree(&["revert", "5"]).assert().success();
    assert!(rig.json(&["series"])["patches"][2]["applied"].is_string());
    rig.on_tree(&["revert", "6"]).assert().success();
    rig.on_tree(&["apply", "5", "6"]).assert().success();
    assert_eq!(rig.log(), before);
    let taken = rig.json(&["revert", "4", "--with-later"]);
    assert_eq!(
        taken["taken_along"],
        serde_json::json!(["w: use it", "w: reword"])
    );
    assert_eq!(rig.log(), "");
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    rig.on_tree(&["apply", "4", "5"]).assert().success();
    rig.on_tree(&["revert", "4", "--alone"]).assert().success();
    assert!(
        fs::read_to_string(rig.worktree().join("drivers/v/w.c"))
            .unwrap()
            .contains("v_new_function")
    );
}

#[test]
fn what_is_exported_makes_the_same_trees_with_git_am() {
    let rig = Rig::new();
    let said = error(&mut rig.xtask(&[
        "series",
        "export",
        rig.path("out").to_str().unwrap(),
        "--kernel",
        rig.kernel.to_str().unwrap(),
    ]));
    assert!(said.contains("no patch is applied"), "{said}");
    rig.on_tree(&["apply", "4", "5", "6"]).assert().success();
    let out = rig.path("out");
    rig.on_tree(&["series", "export", out.to_str().unwrap()])
        .assert()
        .success();
    let list = fs::read_to_string(out.join("series")).unwrap();
    assert_eq!(list.lines().count(), 3);
    let text = fs::read_to_string(out.join(list.lines().next().unwrap())).unwrap();
    assert!(
        text.contains("Subject: [PATCH 1/3] v: add a function") && text.contains(" 3 files changed"),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("index ") && line.len() > 80),
        "{text}"
    );
    git(&rig.kernel, &["checkout", "-q", "-b", "am"]);
    for name in list.lines() {
        git(&rig.kernel, &["am", "-q", out.join(name).to_str().unwrap()]);
    }
    assert_eq!(log(&rig.kernel, "main..am"), rig.log());
    let said = error(&mut rig.on_tree(&["series", "export", out.to_str().unwrap()]));
    assert!(said.contains("the folder is not empty"), "{said}");
}

#[test]
fn edits_go_into_the_patch_on_top() {
    let rig = Rig::new();
    rig.on_tree(&["apply", "4", "5"]).assert().success();
    let approve = ["review", "5", "--approve", "--by", "Ann", "--series"];
    rig.xtask(&approve).arg(rig.path("series")).assert().success();
    let notes = fs::read_to_string(rig.patch("0005")).unwrap().replacen(
        "---\n",
        "---\nSPDX-License-Identifier: GPL-2.0-only\n\n",
        1,
    );
    fs::write(rig.patch("0005"), &notes).unwrap();
    let file = rig.worktree().join("drivers/v/w.c");
    let edited = fs::read_to_string(&file)
        .unwrap()
        .replace("\tv_new_function();\n", "\tv_new_function();\n\tmore();\n");
    fs::write(&file, &edited).unwrap();
    fs::write(rig.worktree().join("notes.txt"), "mine\n").unwrap();
    let done = rig.json(&["series", "refresh"]);
    assert_eq!(
        (&done["files"], &done["left_out"]),
        (
            &serde_json::json!(["drivers/v/w.c"]),
            &serde_json::json!(["notes.txt"])
        )
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "?? notes.txt");
    let text = fs::read_to_string(rig.patch("0005")).unwrap();
    assert!(
        text.contains("+\tmore();\n")
            && text.contains("SPDX-License-Identifier")
            && text.contains(" | 2 ++\n"),
        "{text}"
    );
    assert!(
        !text.contains(" | 1 +\n") && text.ends_with(&notes[notes.rfind("-- \n").unwrap()..]),
        "{text}"
    );
    // The file is the commit: it is known as applied, git takes it, and the approval is gone.
    let row = &rig.json(&["series"])["patches"][1];
    assert_eq!(row["applied"], done["commit"]);
    assert_eq!(
        (&row["review"]["state"], &row["review"]["changed"]),
        (&"stale".into(), &"diff".into())
    );
    git(&rig.kernel, &["checkout", "-q", "-b", "am"]);
    git(
        &rig.kernel,
        &[
            "am",
            "-q",
            rig.patch("0004").to_str().unwrap(),
            rig.patch("0005").to_str().unwrap(),
        ],
    );
    assert_eq!(log(&rig.kernel, "main..am"), rig.log());
    let said = error(&mut rig.on_tree(&["series", "refresh"]));
    assert!(
        said.contains("no file of") && said.contains("was edited"),
        "{said}"
    );
}

#[test]
fn edits_go_into_a_lower_patch_and_the_later_ones_follow() {
    let rig = Rig::new();
    rig.on_tree(&["apply", "4", "5", "6"]).assert().success();
    let core = rig.worktree().join("drivers/v/core.c");
    let text = fs::read_to_string(&core).unwrap().replace(
        "void v_new_function(void)\n{\n",
        "void v_new_function(void)\n{\n\tfix();\n",
    );
    fs::write(&core, &text).unwrap();
    let done = rig.json(&["series", "refresh", "4"]);
    assert_eq!(done["restacked"], serde_json::json!(["w: use it", "w: reword"]));
    assert_eq!(fs::read_to_string(&core).unwrap(), text);
    assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    assert!(
        fs::read_to_string(rig.patch("0004"))
            .unwrap()
            .contains("+\tfix();\n")
    );
    assert!(
        rig.json(&["series"])["patches"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["applied"].is_string())
    );
    // Lines that 0005 brought do not belong to 0004.
    let (head, w) = (rig.log(), rig.worktree().join("drivers/v/w.c"));
    let edited = fs::read_to_string(&w)
        .unwrap()
        .replace("\tv_new_function();\n", "\tv_new_function(1);\n");
    fs::write(&w, &edited).unwrap();
    let said = error(&mut rig.on_tree(&["series", "refresh", "4"]));
    assert!(
        said.contains("drivers/v/w.c are of lines that a later patch brought; nothing was changed"),
        "{said}"
    );
    assert_eq!((rig.log(), fs::read_to_string(&w).unwrap()), (head, edited));
}

#[test]
fn a_mailbox_becomes_a_series_and_nothing_is_overwritten() {
    let rig = Rig::new();
    let mbox = rig.path("v3.mbx");
    fs::write(&mbox, mailbox(&rig)).unwrap();
    let into = rig.path("imported");
    let import = |more: &[&str]| {
        let mut command = rig.xtask(&[
            "series",
            "import",
            mbox.to_str().unwrap(),
            "--into",
            into.to_str().unwrap(),
        ]);
        command.args(more);
        command
    };
    import(&["--dry-run"]).assert().success();
    assert!(!into.exists());
    let output = import(&["--json"]).assert().success().get_output().stdout.clone();
    let done: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(
        done["patches"],
        serde_json::json!([
            "0001-v-add-a-function.patch",
            "0002-w-use-it.patch",
            "0003-w-reword.patch"
        ])
    );
    assert_eq!(done["left_out"].as_array().unwrap().len(), 2);
    assert!(
        fs::read_to_string(into.join("0002-w-use-it.patch"))
            .unwrap()
            .contains("\nFrom what 5 says.\n")
    );
    let said = error(&mut import(&[]));
    assert!(
        said.contains("is there and not empty, and nothing is overwritten"),
        "{said}"
    );
    // What was imported is what git am makes of the same mailbox.
    let mut command = rig.xtask(&[
        "apply",
        "1",
        "2",
        "3",
        "--series",
        into.to_str().unwrap(),
        "--kernel",
    ]);
    command.arg(&rig.kernel).assert().success();
    git(&rig.kernel, &["checkout", "-q", "-b", "am"]);
    for name in [
        "0001-v-add-a-function.patch",
        "0002-w-use-it.patch",
        "0003-w-reword.patch",
    ] {
        git(&rig.kernel, &["am", "-q", into.join(name).to_str().unwrap()]);
    }
    assert_eq!(log(&rig.kernel, "main..am"), rig.log());
    // A mailbox that lacks a patch is no series.
    fs::write(
        &mbox,
        mailbox(&rig).replacen("Subject: [PATCH 1/3]", "Subject: [PATCH 4/4]", 1),
    )
    .unwrap();
    fs::remove_dir_all(&into).unwrap();
    let said = error(&mut import(&[]));
    assert!(
        said.contains("v3.mbx: line ") && said.contains("has to hold one series"),
        "{said}"
    );
    assert!(!into.exists());
}

#[test]
fn checkpatch_of_the_tree_looks_at_each_patch() {
    let rig = Rig::new();
    rig.on_tree(&["series", "check"]).assert().success();
    let kept = fs::read_to_string(format!("{}.check", rig.patch("0004").display())).unwrap();
    assert!(
        kept.contains("total: 0 errors") && kept.contains("# checked: sha256 "),
        "{kept}"
    );
    assert_eq!(
        rig.json(&["series"])["patches"][0]["checkpatch"],
        "total: 0 errors, 0 warnings, 7 lines checked"
    );
    let text = fs::read_to_string(rig.patch("0005")).unwrap();
    fs::write(rig.patch("0005"), text.replace("Because.", "MISTAKE.")).unwrap();
    // What it said of another content is not shown.
    assert!(rig.json(&["series"])["patches"][1]["checkpatch"].is_null());
    let output = rig
        .on_tree(&["series", "check", "5"])
        .assert()
        .code(3)
        .get_output()
        .clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("total: 1 errors") && said.contains("ERROR:MISTAKE: there is one"),
        "{said}"
    );
}

#[test]
fn an_approval_is_for_one_content() {
    let rig = Rig::new();
    let series = rig.path("series");
    let review = |arguments: &[&str]| {
        let mut command = rig.xtask(&["review"]);
        command.args(arguments).arg("--series").arg(&series);
        command
    };
    let state = |changed: &str| {
        let output = review(&["5", "--json"])
            .assert()
            .success()
            .get_output()
            .stdout
            .clone();
        let list: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let review = &list["patches"][0]["review"];
        assert_eq!(review["changed"].as_str().unwrap_or_default(), changed);
        review["state"].as_str().unwrap().to_string()
    };
    assert!(error(&mut review(&["5", "--approve"])).contains("`--by NAME`"));
    assert!(error(&mut review(&["5", "--reject", "--by", "Ann"])).contains("`--note TEXT`"));
    assert!(error(&mut review(&["9", "--approve", "--by", "Ann"])).contains("there is no patch `9`"));
    review(&["5", "--approve", "--by", "Ann", "--dry-run"])
        .assert()
        .success();
    assert!(!series.join("reviews.toml").exists());
    assert_eq!(state(""), "none");
    review(&["0005", "--approve", "--by", "Ann Other", "--note", "seven places"])
        .assert()
        .success();
    assert_eq!(state(""), "approved");
    let text = fs::read_to_string(rig.patch("0005")).unwrap();
    fs::write(rig.patch("0005"), text.replace("Because.", "Because of it.")).unwrap();
    assert_eq!(state("message"), "stale");
    fs::write(rig.patch("0005"), text.replace("+\tv_new", "+\t\tv_new_2")).unwrap();
    assert_eq!(state("diff"), "stale");
    fs::write(rig.patch("0005"), &text).unwrap();
    assert_eq!(state(""), "approved");
    review(&["5", "--reject", "--by", "Bob", "--note", "no"])
        .assert()
        .success();
    assert_eq!(state(""), "rejected");
    let kept = fs::read_to_string(series.join("reviews.toml")).unwrap();
    assert_eq!(kept.matches("[[review]]").count(), 2, "{kept}");
}

#[test]
fn patches_without_index_lines_are_merged_from_the_commit_that_they_were_made_on() {
    let rig = Rig::new();
    let text = fs::read_to_string(rig.patch("0006")).unwrap();
    let text: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("index "))
        .collect();
    fs::create_dir(rig.path("one")).unwrap();
    fs::write(rig.path("one/0001-x.patch"), text).unwrap();
    git(&rig.kernel, &["tag", "made-on"]);
    let file = rig.kernel.join("drivers/v/w.c");
    fs::write(&file, CORE.replace("int five;\n", "int fifth;\n")).unwrap();
    git(&rig.kernel, &["commit", "-qam", "v: count"]);
    let apply = |more: &[&str]| {
        let mut command = rig.xtask(&[
            "apply",
            "1",
            "--series",
            rig.path("one").to_str().unwrap(),
            "--kernel",
        ]);
        command.arg(&rig.kernel).args(more);
        command
    };
    let said = error(&mut apply(&[]));
    assert!(
        said.contains("`int five;`, but there is `int fifth;`; ") && said.contains("\"v: count\" (T, "),
        "{said}"
    );
    assert!(!rig.path("cache").exists());
    assert!(error(&mut apply(&["--made-on", "v9"])).contains("`v9` names no commit"));
    apply(&["--made-on", "made-on"]).assert().success();
    let merged = fs::read_to_string(rig.worktree().join("drivers/v/w.c")).unwrap();
    assert!(
        merged.contains("int fifth;") && merged.contains("int 7th;"),
        "{merged}"
    );
}

#[test]
fn bare_shallow_and_dirty_trees_will_do() {
    let mut rig = Rig::new();
    let source = rig.kernel.clone();
    fs::write(source.join("drivers/v/core.c"), "all my work\n").unwrap();
    rig.on_tree(&["apply", "4", "5"]).assert().success();
    let wanted = rig.log();
    assert_eq!(
        fs::read_to_string(source.join("drivers/v/core.c")).unwrap(),
        "all my work\n"
    );
    let from = format!("file://{}", source.display());
    for (name, arguments) in [
        ("bare", ["--bare", "--single-branch"]),
        ("shallow", ["--depth=1", "--single-branch"]),
    ] {
        fs::remove_dir_all(rig.path("cache")).unwrap();
        let to = rig.path(name);
        git(
            rig.folder.path(),
            &[
                &["clone", "-q", "--branch=main"][..],
                &arguments,
                &[&from, to.to_str().unwrap()],
            ]
            .concat(),
        );
        rig.kernel = to;
        rig.on_tree(&["apply", "4", "5"]).assert().success();
        assert_eq!(rig.log(), wanted, "{name}");
        rig.on_tree(&["revert", "5"]).assert().success();
        assert_eq!(git(&rig.worktree(), &["status", "--porcelain"]), "");
    }
}

#[test]
fn series_that_are_none_are_refused_before_anything_is_made() {
    let rig = Rig::new();
    let empty = rig.path("empty");
    fs::create_dir(&empty).unwrap();
    let apply = |folder: &Path| {
        let mut command = rig.xtask(&["apply", "4", "--series", folder.to_str().unwrap(), "--kernel"]);
        command.arg(&rig.kernel);
        error(&mut command)
    };
    assert!(apply(&empty).contains("the series is empty"));
    fs::write(empty.join("series"), "# nothing\n").unwrap();
    assert!(apply(&empty).contains("the series is empty"));
    fs::copy(rig.patch("0004"), rig.path("series/0004-again.patch")).unwrap();
    let said = apply(&rig.path("series"));
    assert!(said.contains("both have the number 0004"), "{said}");
    fs::remove_file(rig.path("series/0004-again.patch")).unwrap();
    // A patch for another tree: nothing of it is here.
    let text = fs::read_to_string(rig.patch("0004"))
        .unwrap()
        .replace("drivers/v/", "drivers/elsewhere/");
    fs::write(rig.patch("0004"), text).unwrap();
    let said = apply(&rig.path("series"));
    assert!(
        said.contains("the patch changes this file, but the tree does not have it"),
        "{said}"
    );
    git(&rig.kernel, &["rm", "-q", "Makefile"]);
    git(&rig.kernel, &["commit", "-qm", "no Makefile"]);
    assert!(apply(&rig.path("series")).contains("holds no Linux kernel"));
    assert!(!rig.path("cache").exists());
    assert!(!rig.kernel.join(".git/refs/heads/lockstep").exists());
}
