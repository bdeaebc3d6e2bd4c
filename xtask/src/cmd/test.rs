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
    /// Only format, lint and fast tests; nothing is installed for them (`cargo xtask setup --packages`)
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
        context.ui.line(&format!(
            "{} passed, {} failed, {} left out (`cargo xtask test --long`)",
            counts.passed, counts.failed, counts.ignored
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
        let fast = cmd!(
            sh,
            "cargo test --no-fail-fast --package xtask --lib --bins --test fast"
        );
        let mut stages = vec![
            ("format", cmd!(sh, "cargo fmt --all --check")),
            (
                "lint",
                cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings"),
            ),
        ];
        if self.fast {
            stages.extend([("logs", logs), ("fast tests", fast)]);
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
    /// Adds a closing line of libtest: `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let rest = rest.split_once(". ").map_or("", |(_, rest)| rest);
        for part in rest.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => {
                    self.passed = self.passed.saturating_add(number.parse().unwrap_or(0))
                }
                Some((number, "failed")) => {
                    self.failed = self.failed.saturating_add(number.parse().unwrap_or(0))
                }
                Some((number, "ignored")) => {
                    self.ignored = self.ignored.saturating_add(number.parse().unwrap_or(0))
                }
                _ => {}
            }
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
    }
}
