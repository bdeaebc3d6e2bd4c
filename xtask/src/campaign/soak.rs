//! The soak: smoke tests again and again for a given time, all at once, while somebody counts. One script on the board does it
//! ([`script`]), so that a connection that is lost loses nothing; this is the reader of its lines, and the host's side that watches it.

mod script;
mod watch;

pub use script::{Paths, script};
pub use watch::{Watched, watch};

use super::file::SoakAsked;
use super::smoke::{SmokeResult, output_failure, printed_failure};
use crate::ui::{count, short};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a soak came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Soaked {
    /// One for each test, in their order.
    pub tests: Vec<Iterations>,
    /// Seconds since the board's start of the first and of the last line.
    pub from_to: Option<(u64, u64)>,
    /// Lowest free memory that a heartbeat saw, MB (`MemAvailable` of /proc/meminfo).
    pub memory_mb: Option<u64>,
    /// Highest temperature that a heartbeat saw, °C; none where the board has no sensor.
    pub celsius: Option<u64>,
    /// The script came to its end.
    pub ended: bool,
}

/// The iterations of one test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Iterations {
    /// How many came to an end.
    pub runs: u64,
    /// How many failed.
    pub failed: u64,
    /// The first that failed, and why.
    pub first: Option<(u64, String)>,
    /// Setup did not succeed: nothing was run.
    pub not_set_up: bool,
    /// Exit status, size and SHA-256 of the output of the first failure, else of the last run.
    pub shown: Option<(i32, Option<(u64, String)>)>,
}

/// Reads the lines of a soak. A line:
///
/// ```text
/// run TEST NUMBER STATUS UPTIME [SIZE SHA256]     one iteration ended
/// setup TEST STATUS UPTIME                        a setup that failed
/// beat UPTIME KILOBYTES MILLICELSIUS              heartbeat; `-` for what the board does not have
/// end UPTIME                                      all workers have ended
/// ```
///
/// A line that is cut off is left out: nothing follows from it.
pub fn read(asked: &SoakAsked, lines: &str) -> Soaked {
    let mut soaked = Soaked {
        tests: vec![Iterations::default(); asked.tests.len()],
        ..Soaked::default()
    };
    let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let up = match words.as_slice() {
            ["run", test, number, status, up, output @ ..] => {
                soaked.iteration(asked, (test, number, status), output);
                up
            }
            ["setup", test, _, up] => {
                if let Some(of) = test
                    .parse()
                    .ok()
                    .and_then(|test: usize| soaked.tests.get_mut(test))
                {
                    of.not_set_up = true;
                }
                up
            }
            ["beat", up, kilobytes, millicelsius] => {
                let memory = kilobytes.parse::<u64>().ok().map(|kilobytes| kilobytes / 1000);
                soaked.memory_mb = soaked.memory_mb.into_iter().chain(memory).min();
                let celsius = millicelsius.parse::<u64>().ok().map(|milli| milli / 1000);
                soaked.celsius = soaked.celsius.max(celsius);
                up
            }
            ["end", up] => {
                soaked.ended = true;
                up
            }
            _ => continue,
        };
        if let Ok(up) = up.parse() {
            soaked.from_to = Some((soaked.from_to.map_or(up, |(from, _)| from), up));
        }
    }
    soaked
}

impl Soaked {
    fn iteration(&mut self, asked: &SoakAsked, (test, number, status): (&str, &str, &str), output: &[&str]) {
        let (Ok(test), Ok(number), Ok(status)) =
            (test.parse::<usize>(), number.parse(), status.parse::<i32>())
        else {
            return;
        };
        let (Some(of), Some((known, exit))) = (self.tests.get_mut(test), asked.tests.get(test)) else {
            return;
        };
        let output = match output {
            [size, sha256] => size.parse().ok().map(|size| (size, sha256.to_string())),
            _ => None,
        };
        of.runs = of.runs.saturating_add(1);
        let why = if status == 124 && *exit != 124 {
            Some(format!("did not end within {} s", known.limit_s))
        } else if status != *exit {
            Some(format!("exit {status}, expected {exit}"))
        } else {
            known
                .output
                .as_ref()
                .and_then(|expected| output_failure(expected, output.as_ref()))
        };
        of.failed = of.failed.saturating_add(u64::from(why.is_some()));
        if of.first.is_none() {
            of.shown = Some((status, output));
            of.first = why.map(|why| (number, why));
        }
    }

    /// How long it went on.
    pub fn length(&self) -> Duration {
        self.from_to.map_or(Duration::ZERO, |(from, to)| {
            Duration::from_secs(to.saturating_sub(from))
        })
    }

    /// One sentence for the report.
    pub fn sentence(&self, asked: &SoakAsked) -> String {
        let tests = asked.tests.iter().zip(&self.tests);
        let counts: Vec<String> = tests
            .map(|((test, _), of)| format!("{} {}", test.name, count(of.runs as usize, "time")))
            .collect();
        let how = if asked.parallel { "at once" } else { "in turn" };
        let memory = self.memory_mb.map_or(String::new(), |memory| {
            format!("; lowest free memory {memory} MB")
        });
        let celsius = self.celsius.map_or(String::new(), |celsius| {
            format!("; highest temperature {celsius} °C")
        });
        format!(
            "soak of {}, {how}: {}{memory}{celsius}",
            short(self.length()),
            counts.join(", ")
        )
    }

    /// Results as those of smoke tests, one for each test. `printed` has what the first failure of a test printed, or else its last run, by its index.
    pub fn results(&self, asked: &SoakAsked, printed: &BTreeMap<usize, String>) -> Vec<SmokeResult> {
        let tests = asked.tests.iter().zip(&self.tests).enumerate();
        tests
            .map(|(index, ((test, _), of))| {
                let said = printed.get(&index).map_or("", String::as_str);
                let why = match &of.first {
                    Some((number, why)) => Some(format!(
                        "{} of {} iterations failed; the first was number {number}: {why}",
                        of.failed, of.runs
                    )),
                    None if of.not_set_up => Some("its setup failed".to_string()),
                    None if of.runs == 0 => Some("not one iteration came to an end".to_string()),
                    None if !self.ended => Some(format!(
                        "the soak did not come to its end; {} of it ended",
                        count(of.runs as usize, "iteration")
                    )),
                    None => printed_failure(test, said),
                };
                let (exit, output) = of.shown.clone().unwrap_or_default();
                SmokeResult {
                    name: format!("soak: {}", test.name),
                    run: test.commands(),
                    exit,
                    printed: said.trim_end().to_string(),
                    output,
                    failure: why,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
