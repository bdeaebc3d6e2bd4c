//! `cargo xtask test`.

use super::Context;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::host::process;
use anyhow::{Result, bail};
use std::time::Duration;
use xshell::{Cmd, Shell, cmd};

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The order is: format and lint, missing packages, fast tests, set-up, tests that need the kernel tree or the \
                        virtual board, and the rehearsals. It stops after the first of these stages that fails.\n\n\
                        Example:\n  cargo xtask test --yes\n  cargo xtask test --fast\n  cargo xtask test --long --yes"
)]
pub struct Test {
    /// What to run after each edit: format, lint and the tests that take less than a second or so; nothing is installed for them
    /// (`cargo xtask setup --packages`)
    #[arg(long)]
    fast: bool,
    /// The tests that take too long for every change, too: each broken variant of a patch, each boot method (about two hours)
    #[arg(long, conflicts_with = "fast")]
    long: bool,
}

/// Longest time of one stage: more than the slowest has ever taken, so that a hang ends.
const LIMIT: Duration = Duration::from_secs(120 * 60);

/// Modules of `xtask/tests/board.rs`, in their order: `breaks` takes the baseline that `rehearsal`
/// boots, and `first_campaign` leaves a debug kernel of its own.
const AFTER_SETUP: &[&str] = &[
    "kernel_real",
    "kernel_kconfig",
    "extlinux_uboot",
    "virt_board",
    "rehearsal",
    "breaks",
    "ssh_board_campaign",
    "board_virtual",
    "boot_methods",
    "board_debian",
    "board_offline_fat",
    "fat_power_cut",
    "virt_capture",
    "virt_netconsole",
    "virt_ramoops",
    "virt_heart",
    "first_campaign",
];

/// Left out of `--fast`, by a part of their names (`--skip` of libtest): what kills a run at each of its instants, and what talks to a real sshd,
/// mounts disk images, runs make or waits for a time limit. Together they take ten times as long as all others.
const SLOW: &[&str] = &[
    "campaign::engine::killed::",
    "campaign::smoke::tests::",
    "campaign::soak::tests::",
    "host::process::tests::",
    "board_backup::",
    "board_deploy::",
    "board_heart::",
    "board_mounts::",
    "board_offline::",
    "board_safety::",
    "board_situation::",
    "board_ssh::",
    "boot_remains::",
    "campaign_file::",
    "capture_serial::",
    "circles::",
    "cli_interrupt::",
    "hostile_input::",
    "kernel_am::",
    "kernel_build::",
    "kernel_hostile_patch::",
    "kernel_input::",
    "kernel_series::",
    "kernel_tree::",
    "only_netconsole::",
    "report::no_planted",
    "slot_init::",
    "ssh_restarted::",
];

impl Test {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let sh = Shell::new()?;
        let project = &context.folders.project;
        sh.change_dir(project);
        let log = context.folders.state.join("test.log");
        let stages = self.stages(&sh);
        if context.global.dry_run {
            for (title, cmd) in stages {
                context.ui.line(&format!("{title}: {cmd}"));
            }
            return Ok(Outcome::Success);
        }
        let mut counts = Counts::default();
        let outcome = stages.into_iter().try_for_each(|(title, cmd)| {
            context.ui.say(&format!("{title}: {cmd}"));
            process::run_logged(cmd, &log, LIMIT, |line| {
                context.ui.say(line);
                counts.read(line);
            })
        });
        let (passed, failed, ignored) = (counts.passed, counts.failed, counts.ignored);
        let all = if self.fast { "" } else { " --long" };
        context.ui.line(&format!(
            "{passed} passed, {failed} failed, {ignored} left out (`cargo xtask test{all}`)"
        ));
        context
            .ui
            .json(&json!({ "passed": counts.passed, "failed": counts.failed, "ignored": counts.ignored }))?;
        outcome?;
        if counts.passed == 0 || counts.failed > 0 {
            bail!("{} tests passed and {} failed", counts.passed, counts.failed);
        }
        Ok(Outcome::Success)
    }

    /// What is run, in this order, with the title of each.
    fn stages<'a>(&self, sh: &'a Shell) -> Vec<(&'static str, Cmd<'a>)> {
        let logs = cmd!(sh, "cargo test --no-fail-fast --package kernel-log");
        // nextest runs the tests of both programs side by side, where it is installed.
        let runner: &[&str] =
            match process::read(cmd!(sh, "cargo nextest --version"), Duration::from_secs(60)) {
                Ok(_) => &[
                    "nextest",
                    "run",
                    "--status-level",
                    "slow",
                    "--final-status-level",
                    "fail",
                ],
                Err(_) => &["test"],
            };
        let fast = cmd!(
            sh,
            "cargo {runner...} --no-fail-fast --package xtask --lib --bins --test fast"
        );
        let mut stages = vec![
            ("format", cmd!(sh, "cargo fmt --all --check")),
            (
                "lint",
                cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings"),
            ),
        ];
        if self.fast {
            let skipped = SLOW.iter().flat_map(|name| ["--skip", name]);
            stages.extend([("logs", logs), ("fast tests", fast.arg("--").args(skipped))]);
            return stages;
        }
        stages.extend([
            // Tests of real programs (dtc, mtools, make) come before the rest of set-up.
            ("packages", cmd!(sh, "cargo xtask setup --packages --yes")),
            ("logs", logs),
            ("fast tests", fast),
            ("set-up", cmd!(sh, "cargo xtask setup --yes")),
        ]);
        let ignored: &[&str] = if self.long { &["--include-ignored"] } else { &[] };
        stages.extend(AFTER_SETUP.iter().map(|name| {
            let module = format!("{name}::");
            let test = cmd!(
                sh,
                "cargo test --no-fail-fast --package xtask --test board -- {module} --test-threads=1 --nocapture {ignored...}"
            );
            ("virtual board", test)
        }));
        stages
    }
}

/// What cargo's test runner counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    /// Left out, as libtest says it.
    ignored: u64,
}

impl Counts {
    /// Adds a closing line of libtest: `test result: ok. 3 passed; 0 failed; 0 ignored; …`, or of nextest:
    /// `     Summary [   1.2s] 6 tests run: 3 passed (1 slow), 1 failed, 2 timed out, 4 skipped`.
    fn read(&mut self, line: &str) {
        let parts = match line.strip_prefix("test result: ") {
            Some(rest) => rest.split_once(". "),
            None => line
                .trim_start()
                .strip_prefix("Summary [")
                .and_then(|rest| rest.split_once("run: ")),
        };
        let Some((_, parts)) = parts else {
            return;
        };
        for part in parts.split([';', ',']) {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            let sum = match words.next() {
                Some("passed") => &mut self.passed,
                // Each of nextest's other words is a test that did not pass.
                Some("failed" | "timed" | "exec") => &mut self.failed,
                Some("ignored" | "skipped") => &mut self.ignored,
                _ => continue,
            };
            *sum = u64::saturating_add(*sum, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// A module that is in no list would never run, and one that is only in the list runs nothing.
    #[test]
    fn each_file_of_tests_is_in_one_program_and_each_stage_has_one() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let modules = |root: &str| -> BTreeSet<String> {
            let text = std::fs::read_to_string(folder.join(root)).unwrap();
            let names = text
                .lines()
                .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
            names
                .filter(|name| folder.join(format!("{name}.rs")).is_file())
                .map(String::from)
                .collect()
        };
        let (fast, board) = (modules("fast.rs"), modules("board.rs"));
        let files = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
        let files = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_string());
        let files: BTreeSet<String> = files.filter(|name| name != "fast" && name != "board").collect();
        assert_eq!(fast.union(&board).cloned().collect::<BTreeSet<_>>(), files);
        assert!(fast.is_disjoint(&board));
        assert_eq!(
            super::AFTER_SETUP
                .iter()
                .map(ToString::to_string)
                .collect::<BTreeSet<_>>(),
            board
        );
    }

    /// A name that fits nothing leaves nothing out.
    #[test]
    fn what_is_left_out_of_the_fast_tests_is_there() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in super::SLOW {
            let path = name
                .trim_end_matches("::")
                .trim_end_matches("::tests")
                .replace("::", "/");
            let places = [
                folder.join(format!("src/{path}.rs")),
                folder.join(format!("tests/{path}.rs")),
                // One test of a file.
                folder
                    .join("tests")
                    .join(path.split('/').next().unwrap())
                    .with_extension("rs"),
            ];
            assert!(places.iter().any(|place| place.is_file()), "{name}");
        }
    }

    #[test]
    fn closing_lines_are_added_up() {
        let mut counts = super::Counts::default();
        counts.read("test a ... ok");
        counts.read("test result: ok. 24 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.read("test result: FAILED. 1 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out");
        assert_eq!(
            counts,
            super::Counts {
                passed: 25,
                failed: 2,
                ignored: 3
            }
        );
        let mut counts = super::Counts::default();
        counts.read(
            "     Summary [ 101.513s] 9 tests run: 6 passed (1 slow), 1 failed, 2 timed out, 4 skipped",
        );
        counts.read("Summary of something else: 3 passed");
        assert_eq!((counts.passed, counts.failed, counts.ignored), (6, 3, 4));
    }
}
