//! When the kernel under test tells of a task that hangs: before the tests that wait for it, or the board, are given up, so that the report says why
//! they did not end.

use crate::board::heart::rule::Pace;
use crate::campaign::file::SmokeTest;
use std::time::Duration;

/// The shortest time that a task may wait for a disk or another task before it counts as hanging, seconds: slow cards take their time.
const AT_LEAST_S: u64 = 20;
/// From one look of the kernel's own checker at its tasks to the next, seconds.
const LOOK_EVERY_S: u64 = 5;
/// A kernel that tells later than this is not waited for by the heart, seconds.
const SOON_S: u64 = 40;
/// From the end of the kernel's patience to its words on the line, where everything is slow.
const WORDS: Duration = Duration::from_secs(5);

/// Half of what the test with the least time may take; none where there is no test.
pub fn sooner(tests: &[(&SmokeTest, i32)]) -> Option<u64> {
    let shortest = tests.iter().map(|(test, _)| test.limit_s).min()?;
    Some((shortest / 2).max(AT_LEAST_S))
}

/// The times of the heart beside tests on a kernel that tells after so many seconds: where that is soon, a board that is silent is not given up
/// before its kernel can have told. What hangs began to hang up to a beat after the last sign of life.
pub fn patient(pace: Pace, tells_after: Option<u64>) -> Pace {
    let Some(seconds) = tells_after.filter(|seconds| *seconds <= SOON_S) else {
        return pace;
    };
    let told = pace
        .every
        .saturating_add(Duration::from_secs(seconds.saturating_add(LOOK_EVERY_S)))
        .saturating_add(WORDS);
    Pace {
        silent: pace.silent.max(told),
        ..pace
    }
}

/// Shell that makes the kernel tell after so many seconds, where it has the checker (CONFIG_DETECT_HUNG_TASK) and would take longer; it prints what
/// holds then. Nothing of it outlives this boot. The files: Documentation/admin-guide/sysctl/kernel.rst.
pub fn script(seconds: u64) -> String {
    format!(
        "cd /proc/sys/kernel || exit 0\n\
         [ -w hung_task_timeout_secs ] || exit 0\n\
         now=$(cat hung_task_timeout_secs)\n\
         if [ \"$now\" -eq 0 ] || [ \"$now\" -gt {seconds} ]; then\n\
         echo {seconds} >hung_task_timeout_secs && echo {LOOK_EVERY_S} >hung_task_check_interval_secs && now={seconds}\nfi\n\
         echo \"$now\"\n"
    )
}

/// What it printed, in words.
pub fn sentence(said: &str) -> Option<String> {
    let seconds: u64 = said.trim().parse().ok()?;
    Some(format!(
        "the kernel tells of a task that hangs after {seconds} s, before the tests are given up"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_not_given_up_before_its_kernel_can_have_told() {
        let pace = Pace::default();
        let silent = |tells_after| patient(pace, tells_after).silent.as_secs();
        assert_eq!(silent(Some(30)), 45);
        assert_eq!(silent(Some(40)), 55);
        assert_eq!(silent(Some(41)), 20, "that would be too long");
        assert_eq!(silent(None), 20);
        assert_eq!(
            patient(pace, Some(30)),
            Pace {
                silent: Duration::from_secs(45),
                ..pace
            }
        );
    }

    #[test]
    fn it_is_told_before_the_shortest_test_is_given_up() {
        let test = |limit: u64| -> SmokeTest {
            toml::from_str(&format!("name = \"t\"\nrun = \"true\"\nlimit-s = {limit}\n")).unwrap()
        };
        let (long, short, tiny) = (test(600), test(60), test(10));
        assert_eq!(sooner(&[(&long, 0), (&short, 1)]), Some(30));
        assert_eq!(sooner(&[(&long, 0)]), Some(300));
        assert_eq!(
            sooner(&[(&short, 0), (&tiny, 0)]),
            Some(20),
            "never sooner than that"
        );
        assert_eq!(sooner(&[]), None);
        assert!(sentence("30\n").unwrap().contains("after 30 s"));
        assert_eq!(sentence(""), None, "a kernel without the checker");
    }
}
