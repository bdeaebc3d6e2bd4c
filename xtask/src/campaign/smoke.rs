//! Smoke tests: the script that runs on the board ([`script`]), and the rule that looks at what it left behind.

pub mod broken;
pub mod checkers;
pub mod hung;
mod parts;
mod script;

pub use script::{Hangs, longest, script};

use super::file::{Frames, Output, SmokeTest};
use checkers::Checkers;
use parts::Parts;
use regex::Regex;
use serde::{Deserialize, Serialize};

/// What one smoke test showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmokeResult {
    /// The test's name.
    pub name: String,
    /// Shell that was run, what prepares it included; empty in records of version 1.
    #[serde(default)]
    pub run: String,
    /// Its exit status, 124 where the limit ended it (as timeout(1) has it); [`NOT_RUN`] where it did not come to be run.
    pub exit: i32,
    /// What it printed, standard output and error together; of a test that was not run, what its
    /// set-up printed.
    pub printed: String,
    /// Size and SHA-256 of the output file, if it has to leave one and did.
    pub output: Option<(u64, String)>,
    /// Why it failed; none is good.
    pub failure: Option<String>,
}

/// Exit status of a test whose setup or condition failed.
pub const NOT_RUN: i32 = -1;

/// A result, and what else was seen while the test ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The result.
    pub result: SmokeResult,
    /// The checkers before the test.
    pub before: Checkers,
    /// And after it.
    pub after: Checkers,
    /// SHA-256 of each frame of the output, where it has frames.
    pub frames: Vec<String>,
    /// What the kernel said during the test, as dmesg prints it.
    pub kernel: String,
}

/// The rule: what the script printed, against what is expected.
pub fn look(test: &SmokeTest, expected_exit: i32, stdout: &str) -> Look {
    let parts = Parts::of(stdout);
    let fact = |key: &str| parts.fact(key);
    let exit = fact("run").and_then(|status| status.parse().ok());
    let output = fact("output").and_then(|described| {
        let (size, sha256) = described.split_once(' ')?;
        Some((size.parse().ok()?, sha256.to_string()))
    });
    let frames: Vec<String> = parts.text("frames").lines().map(String::from).collect();
    let failure = not_run(test, &parts)
        .or_else(|| {
            let what = match fact("broke")? {
                "hung" => "a task hangs, says the kernel's own checker",
                _ => "the kernel died while it ran",
            };
            Some(format!("it was ended: {what}"))
        })
        .or_else(|| exit_failure(test, expected_exit, exit))
        .or_else(|| condition_failure("after", &test.after, &parts))
        .or_else(|| {
            let expected = test.output.as_ref()?;
            output_failure(expected, output.as_ref())
                .or_else(|| frames_failure(expected, output.as_ref(), &frames))
        })
        .or_else(|| printed_failure(test, parts.text("printed")))
        .or_else(|| kernel_failure(test, parts.text("kernel")))
        .or_else(|| {
            let status = fact("teardown").filter(|status| *status != "0")?;
            Some(format!(
                "teardown ended with {status}: {}",
                last_line(parts.text("teardown"))
            ))
        });
    Look {
        result: SmokeResult {
            name: test.name.clone(),
            run: test.commands(),
            exit: exit.unwrap_or(NOT_RUN),
            printed: printed(&parts).trim_end().to_string(),
            output,
            failure,
        },
        before: Checkers::of(&parts, "before"),
        after: Checkers::of(&parts, "after"),
        frames,
        kernel: parts.text("kernel").to_string(),
    }
}

/// What the test printed; where it was not run, what its set-up and its conditions did.
fn printed<'a>(parts: &Parts<'a>) -> &'a str {
    match parts.fact("run") {
        Some(_) => parts.text("printed"),
        None => parts.text("said"),
    }
}

fn not_run(test: &SmokeTest, parts: &Parts) -> Option<String> {
    if !parts.are_whole() {
        return Some("the board's answer is cut off".into());
    }
    if let Some(status) = parts.fact("setup").filter(|status| *status != "0") {
        return Some(format!(
            "setup ended with {status}: {}",
            last_line(parts.text("said"))
        ));
    }
    condition_failure("before", &test.before, parts)
}

fn condition_failure(when: &str, conditions: &[String], parts: &Parts) -> Option<String> {
    conditions.iter().enumerate().find_map(|(index, condition)| {
        let status = parts
            .fact(&format!("{when}.{index}"))
            .filter(|status| *status != "0")?;
        let said = last_line(parts.text("said"));
        Some(format!(
            "the condition {when} it, `{condition}`, ended with {status}: {said}"
        ))
    })
}

fn exit_failure(test: &SmokeTest, expected: i32, exit: Option<i32>) -> Option<String> {
    match exit {
        None => Some("it was not run".into()),
        Some(124) if expected != 124 => Some(format!("did not end within {} s", test.limit_s)),
        Some(exit) if exit != expected => Some(format!("exit {exit}, expected {expected}")),
        Some(_) => None,
    }
}

/// Why an output file, with its size and SHA-256, is not as it has to be.
pub fn output_failure(expected: &Output, seen: Option<&(u64, String)>) -> Option<String> {
    let file = &expected.file;
    let Some((size, sha256)) = seen else {
        return Some(format!("it left no file {file}"));
    };
    let frames = expected.frames.as_ref();
    let wanted = expected.size.or(frames.map(Frames::size));
    match (wanted, frames) {
        (Some(wanted), _) if *size == wanted => {}
        (Some(_), Some(frames)) if size.is_multiple_of(frames.bytes) => {
            let seen = size.checked_div(frames.bytes).unwrap_or(0);
            return Some(format!("{file} has {seen} frames, expected {}", frames.count));
        }
        (Some(wanted), _) => return Some(format!("{file} has {size} bytes, expected {wanted}")),
        (None, _) if *size == 0 => return Some(format!("{file} is empty")),
        (None, _) => {}
    }
    match &expected.sha256 {
        Some(wanted) if wanted != sha256 => {
            Some(format!("{file} has the SHA-256 {sha256}, expected {wanted}"))
        }
        _ => None,
    }
}

fn frames_failure(expected: &Output, seen: Option<&(u64, String)>, hashes: &[String]) -> Option<String> {
    let wanted = expected.frames.as_ref().filter(|frames| frames.distinct > 1)?;
    seen?;
    let distinct = hashes.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
    (distinct < wanted.distinct).then(|| {
        format!(
            "{} has {distinct} different frames, expected at least {}",
            expected.file, wanted.distinct
        )
    })
}

/// Why what a test printed is not as it has to be. The expressions were checked when the campaign was read; one that is none matches nothing.
pub fn printed_failure(test: &SmokeTest, printed: &str) -> Option<String> {
    let matching = |expression: &str| -> Option<String> {
        let expression = Regex::new(expression).ok()?;
        printed
            .lines()
            .find(|line| expression.is_match(line))
            .map(String::from)
    };
    let missing = test
        .prints
        .iter()
        .find(|expression| matching(expression).is_none());
    if let Some(expression) = missing {
        let last = last_line(printed);
        return Some(format!(
            "no line that it printed matches `{expression}`; the last one is {last:?}"
        ));
    }
    test.prints_not.iter().find_map(|expression| {
        Some(format!(
            "it printed {:?}, which `{expression}` forbids",
            matching(expression)?
        ))
    })
}

fn kernel_failure(test: &SmokeTest, log: &str) -> Option<String> {
    let rules = &test.log;
    if rules.expect.is_empty() && rules.forbid.is_empty() {
        return None;
    }
    // The script's own mark is the first line: without it nobody knows where the test began.
    if log.is_empty() {
        return Some("the kernel log of the test could not be read".into());
    }
    let lines: Vec<&str> = log.lines().skip(1).collect();
    let holds = |word: &str| lines.iter().find(|line| line.contains(word));
    if let Some(word) = rules.expect.iter().find(|word| holds(word).is_none()) {
        return Some(format!("the kernel did not say {word:?}"));
    }
    rules.forbid.iter().find_map(|word| {
        let line = holds(word)?.trim();
        Some(format!("the kernel said {word:?}: {line}"))
    })
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it printed nothing")
}

#[cfg(test)]
mod tests;
