//! How much memory a test takes, for the tests that bound it.

use super::process;
use std::ffi::OsString;
use std::time::Duration;
use xshell::{Shell, cmd};

/// Set in the process of its own that a measured test runs in.
const VARIABLE: &str = "LOCKSTEP_TEST_IS_MEASURED";

/// Runs a test in a process of its own, where no other test takes memory, and asserts that it takes `megabytes` at most. `name` is its whole
/// name; `environment` is added to that of the process.
pub fn within(megabytes: u64, name: &str, environment: &[(&str, OsString)], test: impl FnOnce()) {
    if std::env::var_os(VARIABLE).is_some() {
        test();
        let most = peak();
        assert!(most < megabytes << 10, "it took {most} kB");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let sh = Shell::new().unwrap();
    let mut command = cmd!(sh, "{program} --exact {name} --test-threads=1")
        .env(VARIABLE, "1")
        .env("RUST_BACKTRACE", "0");
    for (variable, value) in environment {
        command = command.env(variable, value);
    }
    let said = process::run(command, Duration::from_secs(300)).unwrap().text();
    assert!(said.contains("1 passed"), "{name} was not found: {said}");
}

/// The most memory that this process had in use, kB (proc_pid_status(5), `VmHWM`).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
