//! Campaign files as a person meets them: `campaign new`, `check`, `show`, and `plan`. No board and no kernel tree is needed.

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    // Whether a tree was imported here must not matter: what one shows is in `foresight`.
    command
        .current_dir(PROJECT)
        .env("LOCKSTEP_CACHE", std::env::temp_dir().join("lockstep-no-cache"))
        .args(arguments);
    command
}

fn run(arguments: &[&str], code: i32) -> String {
    let output = xtask(arguments).assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

fn json(arguments: &[&str], code: i32) -> Value {
    let output = xtask(arguments)
        .arg("--json")
        .assert()
        .code(code)
        .get_output()
        .clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The rehearsal's file with an edit, in a folder of its own.
fn edited(folder: &Path, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(Path::new(PROJECT).join("campaigns/rehearsal.toml")).unwrap();
    assert!(text.contains(from));
    let path = folder.join("mine.toml");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    path
}

#[test]
fn the_campaigns_of_this_repository_have_no_mistake() {
    let said = run(&["campaign", "check"], 0);
    assert!(
        said.contains("campaigns/iter6.toml: 4 steps") && said.contains("campaigns/rehearsal.toml: 6 steps"),
        "{said}"
    );
}

#[test]
fn a_mistake_is_told_with_file_line_column_and_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = edited(
        folder.path(),
        "vim2m-fence = 1, vicodec-fence",
        "vim2m-fense = 1, vicodec-fence",
    );
    let file = path.to_str().unwrap();
    let said = run(&["campaign", "check", file], 3);
    let text = std::fs::read_to_string(&path).unwrap();
    let (line, column) = text
        .lines()
        .enumerate()
        .find_map(|(number, line)| Some((number + 1, line.find("1, vicodec")? + 1)))
        .unwrap();
    assert!(
        said.contains(&format!(
            "mine.toml:{line}:{column}: there is no smoke test \"vim2m-fense\""
        )),
        "{said}"
    );
    assert!(said.contains("did you mean `vim2m-fence`?"), "{said}");
    let answer = json(&["campaign", "check", file], 3);
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(answer["files"][0]["problems"][0]["line"], line);
    assert_eq!(answer["files"][0]["problems"][0]["meant"], "vim2m-fence");
    // What is run is refused with the same words.
    let said = run(&["bisect-apply", file, "--dry-run"], 1);
    assert!(said.contains(&format!("mine.toml:{line}:{column}: ")), "{said}");
}

#[test]
fn what_a_campaign_names_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = edited(folder.path(), "patch = \"0009\"", "patch = \"0090\"");
    let said = run(&["campaign", "check", path.to_str().unwrap()], 3);
    assert!(said.contains("there is no patch `0090`"), "{said}");
    let path = edited(folder.path(), "board = \"virtual\"", "board = \"virtul\"");
    let said = run(&["campaign", "check", path.to_str().unwrap()], 3);
    assert!(
        said.contains("mine.toml:9:9:") && said.contains("did you mean `virtual`?"),
        "{said}"
    );
    // A smoke test that was copied without the program that it starts.
    let path = edited(folder.path(), "pixels = \"xtask/pixels\"", "");
    let said = run(&["campaign", "check", path.to_str().unwrap()], 3);
    assert!(
        said.contains("`./pixels` is a program that nothing puts into $LOCKSTEP"),
        "{said}"
    );
}

#[test]
fn a_new_campaign_is_valid_and_is_not_written_by_a_dry_run() {
    let said = run(&["campaign", "new", "never-written", "--dry-run"], 0);
    for word in [
        "#:schema ./campaign.schema.json",
        "id = \"2.4\"",
        "exercise = [",
        "board = \"virtual\"",
    ] {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
    assert!(!Path::new(PROJECT).join("campaigns/never-written.toml").exists());
    let said = run(&["campaign", "new", "rehearsal", "--dry-run"], 1);
    assert!(said.contains("is there already"), "{said}");
    let said = run(&["campaign", "new", "../x"], 1);
    assert!(said.contains("only letters, digits"), "{said}");
}

/// What `status NAME`, `--campaign NAME`, a run's folder or the evidence of a step could not have as its name.
#[test]
fn a_name_that_no_folder_or_flag_can_have_is_a_mistake() {
    let text = std::fs::read_to_string(Path::new(PROJECT).join("campaigns/rehearsal.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let long = "n".repeat(300);
    for name in ["-x", "--help", &long] {
        for key in ["name = \"rehearsal\"", "board = \"virtual\"", "id = \"2.1\""] {
            let (key, value) = key.split_once(" = ").unwrap();
            let line = format!("{key} = {value}");
            assert!(text.contains(&line), "{line}");
            std::fs::write(&path, text.replacen(&line, &format!("{key} = \"{name}\""), 1)).unwrap();
            let said = run(&["campaign", "check", path.to_str().unwrap()], 3);
            assert!(said.contains(&format!("{key} is \"{}", &name[..2])), "{said}");
        }
    }
}

#[test]
fn show_puts_in_what_a_file_leaves_out_and_can_be_read_again() {
    let said = run(&["campaign", "show", "campaigns/rehearsal.toml"], 0);
    for word in [
        "idle-min = 15",
        "closing = \"close.md\"",
        "repeat = 1",
        "on-failure = \"stop\"",
    ] {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shown.toml");
    std::fs::write(&path, said).unwrap();
    run(&["campaign", "check", path.to_str().unwrap()], 0);
}

#[test]
fn the_plan_is_what_a_dry_run_prints() {
    let plan = json(&["plan", "campaigns/rehearsal.toml"], 0);
    let dry_run = json(&["bisect-apply", "campaigns/rehearsal.toml", "--dry-run"], 0);
    assert_eq!(plan, dry_run);
    let ids: Vec<&str> = plan["plan"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        ["0", "1.3", "1.8", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3"]
    );
}

#[test]
fn the_plan_of_another_board_needs_neither_board_nor_tree() {
    let cache = tempfile::tempdir().unwrap();
    let empty = cache.path().join("cache");
    let output = xtask(&["plan", "campaigns/iter6.toml", "--format", "markdown"])
        .env("LOCKSTEP_CACHE", &empty)
        .assert()
        .success()
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "# Plan of campaign iter6",
        "| 0.1 |",
        "| 1.8 |",
        "| 2.4 |",
        "## Risks",
        "iter6_attempt2_close.md",
    ] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
    assert!(!empty.exists());
}

/// Runs it with 300 MB of memory at most (setrlimit(2), RLIMIT_DATA, in KiB), and 60 s of a processor, however many others want it.
fn in_300_mb(words: &[&str], code: i32) -> String {
    let begun = std::time::Instant::now();
    let output = Command::new("sh")
        .current_dir(PROJECT)
        .env("LOCKSTEP_CACHE", std::env::temp_dir().join("lockstep-no-cache"))
        .args([
            "-c",
            "ulimit -d 300000 && ulimit -t 60 && exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_lockstep"),
        ])
        .args(words)
        .timeout(std::time::Duration::from_secs(600))
        .assert()
        .code(code)
        .get_output()
        .clone();
    eprintln!("{words:?} took {:?}", begun.elapsed());
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// The rehearsal's file with other steps behind its first one.
fn with_steps(folder: &Path, count: usize, step: impl Fn(usize) -> String) -> PathBuf {
    let text = std::fs::read_to_string(Path::new(PROJECT).join("campaigns/rehearsal.toml")).unwrap();
    let mut text = text
        .split("[[step]]")
        .take(2)
        .collect::<Vec<_>>()
        .join("[[step]]");
    text.extend((0..count).map(step));
    let path = folder.join("many.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn twenty_thousand_steps_are_read_and_their_mistakes_told() {
    let folder = tempfile::tempdir().unwrap();
    let step = |id: usize, rest: &str| {
        format!("\n[[step]]\nid = \"9.{id}\"\npatch = \"9{id}\"\nexercise = [\"f\"]\n{rest}\n")
    };
    // Each mistake has a place in the file, and a name that was meant.
    let path = with_steps(folder.path(), 20_000, |id| step(id, "smoke = [\"vim2m-fense\"]"));
    let said = in_300_mb(&["campaign", "check", path.to_str().unwrap()], 3);
    assert!(said.contains("did you mean `vim2m-fence`?"), "{:.2000}", said);
    assert!(
        said.contains("19800 more mistakes") && said.lines().count() < 300,
        "{:.2000}",
        said
    );
    // Their names twice.
    let path = with_steps(folder.path(), 20_000, |_| step(1, ""));
    let said = in_300_mb(&["campaign", "check", path.to_str().unwrap()], 3);
    assert!(said.contains("two steps have the id 9.1"), "{:.2000}", said);
    // A `*` for each.
    let path = with_steps(folder.path(), 60_000, |id| step(id, "smoke = [\"*\"]"));
    let said = in_300_mb(&["campaign", "check", path.to_str().unwrap()], 3);
    assert!(
        said.contains("runs of smoke tests, and 200000 are allowed"),
        "{:.2000}",
        said
    );
}

#[test]
fn what_is_no_file_or_too_large_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.toml");
    std::fs::write(&key, format!("{} = 1\n", "k".repeat(7 << 20))).unwrap();
    let said = in_300_mb(&["campaign", "check", key.to_str().unwrap()], 3);
    assert!(
        said.contains("more bytes") && said.len() < 10_000,
        "{:.2000}",
        said
    );
    let said = in_300_mb(&["plan", key.to_str().unwrap(), "--json"], 1);
    assert!(
        said.contains("more bytes") && said.len() < 20_000,
        "{:.2000}",
        said
    );
    let large = folder.path().join("large.toml");
    std::fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
    let pipe = folder.path().join("pipe.toml");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let (large, pipe) = (large.to_str().unwrap(), pipe.to_str().unwrap());
    for words in [
        &["campaign", "check"][..],
        &["plan"],
        &["extlinux", "lint"],
        &["symbolise"],
    ] {
        let said = in_300_mb(&[words, &[large]].concat(), 1);
        assert!(
            said.contains("are the most that is read") || said.contains("a regular file is needed"),
            "{words:?}: {said}"
        );
        for other in [pipe, "/dev/zero"] {
            let said = in_300_mb(&[words, &[other]].concat(), 1);
            assert!(said.contains("a regular file is needed"), "{words:?}: {said}");
        }
    }
    // A log may have any length.
    let said = in_300_mb(&["logs", pipe], 1);
    assert!(
        said.contains("a regular file is needed") && said.contains("`-` reads standard input"),
        "{said}"
    );
}
