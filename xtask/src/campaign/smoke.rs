//! Smoke tests: the script that runs on the board, and the rule that looks at what it left behind.

use super::file::{Output, SmokeTest};
use crate::board::quote;
use serde::{Deserialize, Serialize};

/// What one smoke test showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeResult {
    /// The test's name.
    pub name: String,
    /// Its exit status, 124 where the limit ended it (as timeout(1) has it).
    pub exit: i32,
    /// What it printed, standard output and error together.
    pub printed: String,
    /// Size and SHA-256 of the output file, if it has to leave one and did.
    pub output: Option<(u64, String)>,
    /// Why it failed; none is good.
    pub failure: Option<String>,
}

/// Line that separates what the test printed from what is known about its output file. A test that prints it itself
/// only hurts itself: the last one counts.
const MARK: &str = "--- lockstep: output ---";

/// The script for one test: runs it in `folder` on the board with its limit, then describes the output file.
/// The exit status of the script is the test's.
pub fn script(test: &SmokeTest, folder: &str) -> String {
    let folder = quote(folder);
    let file = test
        .output
        .as_ref()
        .map_or(String::new(), |output| quote(&output.file));
    let describe = match test.output {
        None => String::new(),
        Some(_) => format!("[ -f {file} ] && stat -c %s {file} && sha256sum < {file}; rm -f {file};"),
    };
    let remove = test
        .output
        .as_ref()
        .map_or(String::new(), |_| format!("rm -f {file};"));
    let command = quote(&test.run);
    format!(
        "LOCKSTEP={folder}; export LOCKSTEP; cd {folder} || exit 125; {remove} \
         timeout -k 5 {limit} sh -c {command} 2>&1; status=$?; echo; echo {mark}; {describe} exit $status",
        limit = test.limit_s,
        mark = quote(MARK),
    )
}

/// The rule: what the script printed and its exit status, against what is expected.
pub fn look(test: &SmokeTest, expected_exit: i32, exit: i32, stdout: &str) -> SmokeResult {
    let (printed, described) = stdout.rsplit_once(MARK).unwrap_or((stdout, ""));
    let mut described = described.split_whitespace();
    let output = match (described.next().map(str::parse::<u64>), described.next()) {
        (Some(Ok(size)), Some(sha256)) => Some((size, sha256.to_string())),
        _ => None,
    };
    let failure = if exit == 124 && expected_exit != 124 {
        Some(format!("did not end within {} s", test.limit_s))
    } else if exit != expected_exit {
        Some(format!("exit {exit}, expected {expected_exit}"))
    } else {
        test.output
            .as_ref()
            .and_then(|expected| output_failure(expected, output.as_ref()))
    };
    SmokeResult {
        name: test.name.clone(),
        exit,
        printed: printed.trim_end().to_string(),
        output,
        failure,
    }
}

fn output_failure(expected: &Output, seen: Option<&(u64, String)>) -> Option<String> {
    let Some((size, sha256)) = seen else {
        return Some(format!("it left no file {}", expected.file));
    };
    if *size != expected.size {
        return Some(format!(
            "{} has {size} bytes, expected {}",
            expected.file, expected.size
        ));
    }
    match &expected.sha256 {
        Some(wanted) if wanted != sha256 => Some(format!(
            "{} has the SHA-256 {sha256}, expected {wanted}",
            expected.file
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process;
    use std::time::Duration;
    use xshell::{Shell, cmd};

    fn test(run: &str) -> SmokeTest {
        SmokeTest {
            name: "t".into(),
            run: run.into(),
            limit_s: 1,
            exit: 0,
            output: Some(Output {
                file: "out".into(),
                size: 3,
                sha256: None,
            }),
        }
    }

    fn run(test: &SmokeTest) -> SmokeResult {
        let sh = Shell::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("out"), "old").unwrap();
        let script = script(test, folder.path().to_str().unwrap());
        let finished = process::finish(cmd!(sh, "sh -c {script}"), Duration::from_secs(20)).unwrap();
        look(
            test,
            0,
            finished.status.code().unwrap(),
            &String::from_utf8_lossy(&finished.stdout),
        )
    }

    #[test]
    fn a_right_output_passes() {
        let result = run(&test("echo hello; printf abc > out"));
        assert_eq!(result.failure, None);
        assert_eq!(result.printed, "hello");
        assert_eq!(result.output.unwrap().0, 3);
    }

    #[test]
    fn an_exit_of_0_with_an_empty_output_fails() {
        assert_eq!(
            run(&test(": > out")).failure.unwrap(),
            "out has 0 bytes, expected 3"
        );
    }

    #[test]
    fn a_file_from_an_earlier_run_does_not_count() {
        assert_eq!(run(&test("true")).failure.unwrap(), "it left no file out");
    }

    #[test]
    fn a_test_that_hangs_is_ended() {
        assert_eq!(run(&test("sleep 60")).failure.unwrap(), "did not end within 1 s");
    }

    #[test]
    fn a_wrong_hash_fails() {
        let mut test = test("printf abc > out");
        test.output.as_mut().unwrap().sha256 = Some("00".into());
        assert!(run(&test).failure.unwrap().contains("expected 00"));
    }
}
