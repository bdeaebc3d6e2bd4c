//! How well the finder does on logs whose answer is known.
//!
//! A file is a header of `KEY: value` lines up to the first empty line, then the log, then maybe an empty line,
//! `REPORT:` and an extract. `TITLE` says what is wrong and where (absent: nothing is), `ALT` other right titles, `TYPE` the
//! kind, `FRAME` the guilty function, `CORRUPTED: Y` that the report is damaged, `SUPPRESSED: Y` that it is not
//! worth reporting. (The layout of the report tests of google/syzkaller, `pkg/report/testdata`.)

use kernel_log::finding::Finding;
use kernel_log::kind::{Kind, Severity};
use kernel_log::{finder, reader};
use serde::Serialize;

/// What a log should give.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Right titles; none: nothing may be found.
    pub titles: Vec<String>,
    /// Kind in the corpus's own words.
    pub kind: Option<String>,
    /// Guilty function.
    pub frame: Option<String>,
    /// The report is damaged.
    pub damaged: bool,
    /// Left out of the score.
    pub left_out: bool,
}

/// Verdicts on one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Name of the log.
    pub name: String,
    /// Something wrong is expected.
    pub positive: bool,
    /// Found where expected, or nothing found where nothing is.
    pub found: bool,
    /// Kind is right; `None` when none is expected.
    pub kind: Option<bool>,
    /// Function is right; `None` when none is expected.
    pub function: Option<bool>,
    /// Damaged or not, as expected; `None` for a log without a fault.
    pub damaged: Option<bool>,
    /// What was expected and what was found.
    pub shown: String,
}

/// Splits a file of the corpus into the answer and the log.
pub fn split(file: &[u8]) -> (Expected, Vec<u8>) {
    let bytes: Vec<u8> = file.iter().copied().filter(|&byte| byte != b'\r').collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut expected = Expected::default();
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.len();
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().to_string();
        match key {
            "TITLE" | "ALT" if !value.is_empty() => expected.titles.push(value),
            "TYPE" => {
                expected.left_out |= value == "SYZ_FAILURE";
                expected.kind = Some(value);
            }
            "FRAME" => expected.frame = Some(value),
            "CORRUPTED" => expected.damaged = value == "Y",
            "SUPPRESSED" => expected.left_out |= value == "Y",
            _ => {}
        }
    }
    let log = text.get(length..).unwrap_or_default();
    let log = log.split_once("\nREPORT:\n").map_or(log, |(log, _)| log);
    (expected, log.as_bytes().to_vec())
}

/// Judges one file of the corpus; `None` when it is left out.
pub fn judge(name: &str, file: &[u8]) -> Option<Mark> {
    let (expected, log) = split(file);
    if expected.left_out {
        return None;
    }
    let findings = finder::find(&reader::read(&log), name);
    let first = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error);
    let positive = !expected.titles.is_empty();
    let functions = functions(&expected);
    Some(Mark {
        name: name.to_string(),
        positive,
        found: first.is_some() == positive,
        kind: expected
            .kind
            .as_ref()
            .map(|kind| first.is_some_and(|found| is_kind(found.kind, kind))),
        function: (!functions.is_empty()).then(|| {
            first
                .and_then(|found| found.function.as_deref())
                .is_some_and(|found| functions.iter().any(|name| same_function(name, found)))
        }),
        damaged: positive.then(|| first.is_some_and(|found| found.damaged == expected.damaged)),
        shown: format!(
            "{} | {}",
            expected.titles.first().map_or("nothing", String::as_str),
            show(first)
        ),
    })
}

fn show(finding: Option<&Finding>) -> String {
    finding.map_or("nothing".into(), |finding| {
        format!(
            "{} [{}{}]",
            finding.title,
            finding.kind.name(),
            if finding.damaged { ", damaged" } else { "" }
        )
    })
}

/// Functions that the right titles name.
fn functions(expected: &Expected) -> Vec<String> {
    expected
        .titles
        .iter()
        .filter_map(|title| title.rsplit_once(" in ").map(|(_, function)| function))
        .chain(expected.frame.as_deref())
        .flat_map(|function| function.split('/'))
        .map(|function| {
            function
                .split(" at addr")
                .next()
                .unwrap_or(function)
                .split(" age=")
                .next()
                .unwrap_or(function)
        })
        .filter(|function| *function != "corrupted" && !function.contains(' '))
        .map(String::from)
        .collect()
}

/// Equal but for the prefix that an architecture gives its system calls.
fn same_function(one: &str, other: &str) -> bool {
    fn plain(name: &str) -> &str {
        const PREFIXES: [&str; 11] = [
            "__x64_sys_",
            "__ia32_sys_",
            "__arm64_sys_",
            "__ia32_compat_sys_",
            "__se_sys_",
            "__do_sys_",
            "compat_SyS_",
            "SyS_",
            "ksys_",
            "__sys_",
            "sys_",
        ];
        let name = name.split('.').next().unwrap_or(name);
        PREFIXES
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name)
    }
    plain(one) == plain(other) || other.starts_with(one) && one == "smp_call_function"
}

/// Whether our kind is what the corpus calls by this name.
fn is_kind(kind: Kind, name: &str) -> bool {
    use Kind::*;
    match name {
        "LOCKDEP" => kind.is_about_locks() || matches!(kind, SuspiciousRcu | PreemptibleCpuUse),
        "WARNING" => matches!(
            kind,
            Warning | DebugObjects | DmaFence | CircularLocking | SuspiciousRcu | Usercopy
        ),
        "HANG" => matches!(
            kind,
            HungTask | SoftLockup | HardLockup | RcuStall | WorkqueueLockup
        ),
        "DoS" => matches!(
            kind,
            GeneralProtection
                | DivideError
                | Oops
                | Serror
                | Panic
                | StackOverflow
                | SlabCorruption
                | OtherBug
                | PagingRequest
        ),
        "MEMORY_SAFETY_BUG" => matches!(kind, PagingRequest | ListCorruption),
        "NULL-POINTER-DEREFERENCE" => kind == NullDereference,
        "BUG" => matches!(kind, KernelBug | Usercopy),
        "LEAK" => kind == MemoryLeak,
        "ATOMIC_SLEEP" => matches!(kind, SleepInAtomic | SchedulingWhileAtomic),
        "REFCOUNT_WARNING" => kind == Refcount,
        "UBSAN" | "MEMORY_SAFETY_UBSAN" => kind == Ubsan,
        _ if name.starts_with("KASAN") => kind == Kasan,
        _ if name.starts_with("KMSAN") => kind == Kmsan,
        _ if name.starts_with("KCSAN") => kind == Kcsan,
        _ if name.starts_with("KFENCE") => kind == Kfence,
        _ => false,
    }
}

/// Counts over many logs: (right, of all that ask).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Score {
    /// Logs with a fault in which one was found.
    pub positives: (usize, usize),
    /// Logs without a fault in which none was found.
    pub negatives: (usize, usize),
    /// Right kinds.
    pub kinds: (usize, usize),
    /// Right functions.
    pub functions: (usize, usize),
    /// Damaged or not, as expected.
    pub damaged: (usize, usize),
}

/// Adds up.
pub fn total(marks: &[Mark]) -> Score {
    let count = |asks: &dyn Fn(&Mark) -> Option<bool>| {
        let answers: Vec<bool> = marks.iter().filter_map(asks).collect();
        (answers.iter().filter(|&&right| right).count(), answers.len())
    };
    Score {
        positives: count(&|mark| mark.positive.then_some(mark.found)),
        negatives: count(&|mark| (!mark.positive).then_some(mark.found)),
        kinds: count(&|mark| mark.kind),
        functions: count(&|mark| mark.function),
        damaged: count(&|mark| mark.damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_an_answer() {
        let (expected, log) = split(
            b"TITLE: WARNING in f\nALT: x in g\nTYPE: WARNING\nCORRUPTED: Y\n\nlog\r\nmore\n\nREPORT:\nlog\n",
        );
        assert_eq!(functions(&expected), ["f", "g"]);
        assert!(expected.damaged);
        assert_eq!(log, b"log\nmore\n");
    }

    #[test]
    fn a_file_without_a_fault_begins_with_an_empty_line() {
        let (expected, log) = split(b"\nTITLE: not a header\n");
        assert_eq!(expected, Expected::default());
        assert_eq!(log, b"TITLE: not a header\n");
    }

    #[test]
    fn a_warning_that_is_found_scores() {
        let mark = judge("x", b"TITLE: WARNING in f\nTYPE: WARNING\n\n[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n[    1.000000] Call trace:\n[    1.000000]  f+0x1/0x2\n").unwrap();
        assert_eq!(
            (mark.found, mark.kind, mark.function, mark.damaged),
            (true, Some(true), Some(true), Some(true))
        );
        let mark = judge("x", b"\n[    1.000000] hello\n").unwrap();
        assert!(mark.found && !mark.positive);
    }
}
