//! The command line as a person meets it.

use assert_cmd::Command;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    command.args(arguments);
    command
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// Every verb that `--help` lists.
fn verbs() -> Vec<String> {
    let help = stdout(&mut xtask(&["--help"]));
    let commands = help.split("Options:").next().unwrap();
    let verbs: Vec<String> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(String::from))
        .filter(|verb| verb != "help")
        .collect();
    assert!(verbs.len() >= 14, "{verbs:?}");
    verbs
}

#[test]
fn every_verb_has_help_with_an_example() {
    for verb in verbs() {
        let help = stdout(&mut xtask(&[&verb, "--help"]));
        assert!(
            help.contains("Example"),
            "{verb} --help shows no example:\n{help}"
        );
        assert!(
            help.contains(&format!("cargo xtask {verb}")),
            "{verb} --help shows no use of itself:\n{help}"
        );
    }
}

#[test]
fn an_unknown_verb_is_refused_with_exit_code_2() {
    let output = xtask(&["rehears"]).assert().code(2).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("rehearse"), "it says what was meant:\n{said}");
}

#[test]
fn doctor_answers_as_one_json_object() {
    let output = xtask(&["doctor", "--json"]).assert().get_output().clone();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(
        answer.as_object().unwrap().keys().next().unwrap(),
        "schema_version"
    );
    assert!(answer["present"].as_array().unwrap().len() + answer["missing"].as_array().unwrap().len() > 30);
}

#[test]
fn an_empty_path_makes_doctor_name_package_and_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = xtask(&["doctor"])
        .env("PATH", folder.path())
        .assert()
        .code(3)
        .get_output()
        .clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("MISSING  aarch64-linux-gnu-gcc"), "{said}");
    assert!(said.contains("gcc-aarch64-linux-gnu"), "{said}");
}

#[test]
fn a_rehearsal_s_dry_run_prints_the_plan_and_touches_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let empty = cache.path().join("cache");
    let text = stdout(xtask(&["rehearse", "--dry-run"]).env("LOCKSTEP_CACHE", &empty));
    for word in ["pre-flight", "0004", "0008", "close", "arch_devices_lockdep"] {
        assert!(text.contains(word), "the plan does not mention {word}:\n{text}");
    }
    assert!(!empty.exists(), "a dry run wrote into the cache");
}

#[test]
fn a_dry_run_of_the_tests_names_the_stages_and_runs_none() {
    let text = stdout(&mut xtask(&["test", "--dry-run"]));
    for word in [
        "cargo fmt",
        "cargo clippy",
        "--test fast",
        "setup --yes",
        "rehearsal::",
    ] {
        assert!(text.contains(word), "{word} is not named:\n{text}");
    }
    assert!(!text.contains("passed"), "{text}");
}

#[test]
fn an_unknown_broken_variant_is_refused_with_what_there_is() {
    let output = xtask(&["rehearse", "--dry-run", "--break", "everything"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("everything") && said.contains("lock-inversion"),
        "{said}"
    );
}

#[test]
fn without_qemu_the_board_is_not_made_and_the_package_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    std::fs::create_dir_all(cache.join("vanilla")).unwrap();
    let manifest = r#"{"schema-version":1,"release":"7.3.4-devices","build-id":"00","profile":"vanilla","commit":"00",
                      "root":"/nowhere","files":[]}"#;
    std::fs::write(cache.join("vanilla/manifest.json"), manifest).unwrap();
    let mut command = xtask(&["board", "up"]);
    let output = command
        .env("PATH", folder.path())
        .env("LOCKSTEP_CACHE", &cache)
        .assert()
        .code(1)
        .get_output()
        .clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("qemu-system-aarch64") && said.contains("qemu-system-arm"),
        "{said}"
    );
    assert!(!cache.join("boards").exists(), "nothing was made");
}

#[test]
fn a_rehearsal_with_a_tree_that_is_none_says_so_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let mut command = xtask(&["rehearse", "--yes", "--kernel", folder.path().to_str().unwrap()]);
    let output = command
        .env("LOCKSTEP_CACHE", &cache)
        .assert()
        .code(1)
        .get_output()
        .clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no git repository"), "{said}");
    assert!(!cache.exists(), "nothing was made");
}

fn refused(arguments: &[&str]) -> String {
    let cache = tempfile::tempdir().unwrap();
    let empty = cache.path().join("cache");
    let output = xtask(arguments)
        .env("LOCKSTEP_CACHE", &empty)
        .assert()
        .code(1)
        .get_output()
        .clone();
    assert!(!empty.exists(), "nothing was made");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_unknown_profile_is_refused_with_those_that_there_are() {
    for command in [&["build-debug-kernel"][..], &["config", "verify"]] {
        let said = refused(&[command, &["--profile", "kassan"]].concat());
        assert!(
            said.contains("no profile `kassan`") || said.contains("no kernel tree"),
            "{said}"
        );
    }
    let said = refused(&["config", "diff", "vanila", "lockdep"]);
    assert!(said.contains("did you mean vanilla?"), "{said}");
}

#[test]
fn configurations_are_compared_line_for_line() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    std::fs::write(&a, "CONFIG_A=y\n# CONFIG_B is not set\n").unwrap();
    std::fs::write(&b, "CONFIG_B=m\nCONFIG_C=\"x\"\n").unwrap();
    let files = [a.to_str().unwrap(), b.to_str().unwrap()];
    let arguments = [&["config", "diff"][..], &files[..]].concat();
    assert_eq!(stdout(&mut xtask(&arguments)), "-A y\n B n -> m\n+C \"x\"\n");
    let json = stdout(&mut xtask(&[&arguments[..], &["--json"]].concat()));
    let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(answer["differences"][1]["after"], "m");
}

#[test]
fn a_fragment_with_a_mistake_or_a_contradiction_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let fragment = folder.path().join("f.config");
    let path = fragment.to_str().unwrap();
    std::fs::write(&fragment, "CONFIG_A=y\nCONFIG_B=yes\n").unwrap();
    let said = refused(&["config", "verify", "--fragment", path]);
    assert!(said.contains("f.config:2:10: found `yes`; allowed are"), "{said}");
    std::fs::write(&fragment, "CONFIG_KCSAN=y\n").unwrap();
    let said = refused(&["config", "verify", "--profile", "kasan", "--fragment", path]);
    assert!(said.contains("Build a kernel for each"), "{said}");
}

#[test]
fn bad_usage_is_told_as_one_json_object_too() {
    for words in [
        &["rehears", "--json"][..],
        &["--json", "board", "up", "--no-such-flag"],
        &["test", "--json", "--long", "--fast"],
    ] {
        let output = xtask(words).assert().code(2).get_output().clone();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with(r#"{"schema_version":1,"error":""#), "{text}");
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("--help") && !error.starts_with("error"), "{error}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(error));
    }
    // What stands behind `--` is another program's.
    let output = xtask(&["rehears", "--", "--json"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    assert!(output.stdout.is_empty());
    let help = stdout(&mut xtask(&["board", "--help", "--json"]));
    assert!(help.starts_with("Describe, probe"), "{help}");
}

/// A result that was ready, and then the files of it could not be written.
#[test]
fn a_command_that_fails_late_prints_one_json_object_with_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = folder.path().join("x.mbx");
    let diff = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n a\n+b\n";
    std::fs::write(
        &mailbox,
        format!("From x Thu Jan  1 00:00:00 1970\nFrom: A <a@example.org>\nSubject: [PATCH] x: y\n\nz\n---\n{diff}-- \n2\n"),
    )
    .unwrap();
    let words = [
        "series",
        "import",
        "--json",
        "--into",
        "/proc/x",
        mailbox.to_str().unwrap(),
    ];
    let output = xtask(&words).assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(answer["error"].as_str().unwrap().contains("/proc/x"), "{answer}");
}

/// `logs --json >baseline.json` on a disk that is full: an exit code of 0 or 3 would make half a file a result.
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    for words in [&["campaign", "check"][..], &["campaign", "check", "--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lockstep"));
        let output = command.args(words).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("writing the result to standard output"), "{said}");
    }
    // Who reads no further has what they want.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lockstep"));
    let output = command
        .args(["campaign", "check"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_word_of_the_command_line_makes_no_line_of_an_error() {
    for word in ["--a\nFORGED", "\u{202e}\u{9b}2J\rx\nFORGED", "--board=a\nFORGED"] {
        let output = xtask(&["deploy", word]).assert().code(2).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("FORGED") && !said.contains(['\r', '\u{9b}', '\u{202e}']),
            "{said}"
        );
        assert!(!said.lines().any(|line| line.starts_with("FORGED")), "{said}");
    }
}

#[test]
fn words_of_others_make_neither_a_line_nor_a_colour() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x\nerror: forged\u{9b}31m\u{202e}.config");
    let path = path.to_str().unwrap();
    let output = xtask(&["config", "diff", path, path, "--json"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(text.clone()).unwrap();
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text}");
        assert!(
            !text.lines().any(|line| line.starts_with("error: forged")),
            "{text}"
        );
    }
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["error"].as_str().unwrap().contains("forged"), "{answer}");
    // A result is one line.
    std::fs::write(path, "a").unwrap();
    let list = folder.path().join("extlinux.conf");
    std::fs::write(&list, "label a\u{9b}b\r0 errors\n kernel /I\n").unwrap();
    let shown = stdout(&mut xtask(&["extlinux", "show", list.to_str().unwrap()]));
    assert!(!shown.contains(['\r', '\u{9b}']), "{shown}");
}

/// Run where there is no project, by the name of the installed program.
#[test]
fn outside_of_the_project_it_says_which_one_it_uses_and_suggests_commands_that_can_be_typed_there() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut history = xtask(&["history"]);
    history.current_dir(elsewhere.path()).env_remove("CARGO_PKG_NAME");
    let output = history.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("this program was built from it"), "{said}");

    let mut help = xtask(&["history", "--help"]);
    help.env_remove("CARGO_PKG_NAME");
    let help = stdout(&mut help);
    assert!(
        help.contains("lockstep history") && !help.contains("cargo xtask"),
        "{help}"
    );

    let mut wrong = xtask(&["history"]);
    wrong
        .current_dir(elsewhere.path())
        .env("LOCKSTEP_PROJECT", elsewhere.path());
    let said = String::from_utf8(wrong.assert().code(1).get_output().stderr.clone()).unwrap();
    assert!(said.contains("LOCKSTEP_PROJECT is "), "{said}");
}

#[test]
fn completions_and_manual_pages_need_no_project_and_know_every_verb() {
    let elsewhere = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let mut completions = xtask(&["completions", shell]);
        let script = stdout(completions.current_dir(elsewhere.path()));
        assert!(script.contains("bisect-apply"), "{shell}");
    }
    let pages = elsewhere.path().join("man1");
    let mut man = xtask(&["man", "--to", pages.to_str().unwrap()]);
    stdout(man.current_dir(elsewhere.path()));
    for verb in verbs() {
        assert!(pages.join(format!("lockstep-{verb}.1")).is_file(), "{verb}");
    }
}

#[test]
fn yes_together_with_no_input_is_yes() {
    stdout(&mut xtask(&["--yes", "--no-input", "history", "--help"]));
    xtask(&["plan", "--yes", "--no-input", "no-such-campaign"])
        .assert()
        .code(1);
}

/// JSON cannot hold a name that is not UTF-8, and folders and files of a user may have one.
#[test]
fn a_name_that_is_not_utf8_is_one_json_object_in_every_answer() {
    let top = tempfile::tempdir().unwrap();
    let bad = top.path().join(OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(
        bad.join("log"),
        "[    0.000000] Linux version 7.3.4 (a@b) #1 SMP\n[    1.0] BUG: x\n",
    )
    .unwrap();
    std::fs::write(bad.join("extlinux.conf"), "default a\nlabel a\n kernel /Image\n").unwrap();
    std::fs::write(bad.join(".config"), "CONFIG_A=y\n").unwrap();
    std::fs::write(bad.join("bdinfo"), "relocaddr   = 0x00000000bf000000\n").unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let series = bad.join("series-of");
    std::fs::create_dir(&series).unwrap();
    for entry in std::fs::read_dir(project.join("patches/release-fences")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, series.join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::create_dir(bad.join("run")).unwrap();
    std::fs::copy(
        project.join("xtask/tests/documents/run.json"),
        bad.join("run/run.json"),
    )
    .unwrap();
    let words = |text: &str| -> Vec<OsString> {
        let place = |word: &str| match word.strip_prefix("BAD") {
            Some(rest) => {
                let mut path = bad.clone().into_os_string();
                path.push(rest);
                path
            }
            None => word.into(),
        };
        text.split(' ').map(place).collect()
    };
    let cache = top.path().join("cache");
    // What is answered, and what is refused: either way it is one object, and the program does not panic.
    let mut other = Vec::new();
    for (line, answered) in [
        ("logs BAD/log", true),
        ("logs BAD/log --baseline BAD/log", true),
        ("extlinux lint BAD/extlinux.conf --root BAD", true),
        ("extlinux show BAD/extlinux.conf", true),
        ("config diff BAD/.config BAD", false),
        ("series --series BAD/series-of", true),
        ("series show 4 --series BAD/series-of", true),
        ("review --series BAD/series-of", true),
        ("campaign check BAD/log", true),
        ("symbolise BAD/log --build BAD", false),
        ("report BAD/run", true),
        ("report BAD/run --bundle BAD/out.tar.zst", true),
        ("report BAD/run --bundle BAD/no.tar.zst -n", true),
        ("report BAD/run --format html", true),
        ("report BAD/run --format json", true),
        ("harvest -n --to BAD/new", true),
        ("deploy -n --manifest BAD", false),
        ("rollback -n --offline BAD", false),
        ("series import -n BAD/log --into BAD/new", false),
        ("apply -n 1 --series BAD/series-of --kernel BAD", false),
        ("build-debug-kernel -n --kernel BAD", false),
        ("config why A --kernel BAD", false),
        ("bisect-apply -n --kernel BAD", true),
        ("board ramoops --bdinfo BAD/bdinfo --out BAD/overlay", false),
        (
            "board probe -n --ssh nobody@invalid.invalid --write BAD/x.toml",
            true,
        ),
    ] {
        let mut command = xtask(&["--json", "--no-input"]);
        let output = command
            .args(words(line))
            .env("LOCKSTEP_CACHE", &cache)
            .output()
            .unwrap();
        let answer = one_object(line, &output);
        if answer.get("error").is_none() != answered {
            other.push(format!("{line}: {answer}"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
    for verb in [
        "doctor",
        "status",
        "history",
        "board status",
        "backup list",
        "build-debug-kernel -n",
        "plan",
    ] {
        let mut command = xtask(&["--json", "--no-input"]);
        let output = command
            .args(words(verb))
            .env("LOCKSTEP_CACHE", &bad)
            .output()
            .unwrap();
        let error = one_object(verb, &output)["error"].to_string();
        assert!(
            error.contains("LOCKSTEP_CACHE") && error.contains("not UTF-8"),
            "{verb}: {error}"
        );
    }
}

/// The only thing on standard output of a program that did not panic.
fn one_object(line: &str, output: &std::process::Output) -> serde_json::Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code().is_some_and(|code| code != 101),
        "{line}: {said}"
    );
    let answer: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {said}"));
    assert_eq!(answer["schema_version"], 1, "{line}: {answer}");
    answer
}
