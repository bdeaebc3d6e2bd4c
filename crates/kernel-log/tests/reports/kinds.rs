//! One report of each kind, as an arm64 kernel prints it (`logs/kinds.txt`), in every form in which a log may come.

use crate::layouts::{LAYOUTS, written};
use kernel_log::baseline::{self, Signature};
use kernel_log::baseline_file::id;
use kernel_log::finder;
use kernel_log::finding::Finding;
use kernel_log::reader;
use std::path::Path;

/// A block of the file.
#[derive(Debug, Default)]
pub struct Case {
    pub kind: String,
    pub title: String,
    pub at: Option<String>,
    pub who: Vec<String>,
    pub flags: String,
    pub lines: Vec<String>,
}

const HARDWARE: &str = "Hardware name: linux,dummy-virt (DT)";

pub fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs/kinds.txt");
    let mut cases: Vec<Case> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        if let Some(kind) = line.strip_prefix("== ") {
            cases.push(Case {
                kind: kind.to_string(),
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        let rest = |key: &str| {
            line.strip_prefix(key)
                .filter(|_| case.lines.is_empty())
                .map(String::from)
        };
        if let Some(title) = rest("title ") {
            case.title = title;
        } else if let Some(at) = rest("at ") {
            case.at = Some(at);
        } else if let Some(who) = rest("who ") {
            case.who = who.split(' ').map(String::from).collect();
        } else if let Some(flags) = rest("flags ") {
            case.flags = flags;
        } else if let Some(counter) = line.strip_prefix("@trap ") {
            case.lines.extend(registers(&case.who, counter));
            case.lines.push("Call trace:".into());
        } else if let Some(counter) = line.strip_prefix("@regs ") {
            case.lines.extend(registers(&case.who, counter));
        } else if line == "@stack" {
            case.lines.push(cpu_line(&case.who));
            case.lines.extend(
                [
                    HARDWARE,
                    "Call trace:",
                    " show_stack+0x20/0x40 (C)",
                    " dump_stack_lvl+0x60/0x80",
                    " dump_stack+0x18/0x28",
                ]
                .map(String::from),
            );
        } else if !(case.lines.is_empty() && line.is_empty()) {
            case.lines.push(line.to_string());
        }
    }
    assert!(cases.len() > 50, "the file was read");
    cases
}

/// `dump_stack_print_info()`: lib/dump_stack.c.
fn cpu_line(who: &[String]) -> String {
    let word = |at: usize, other: &'static str| who.get(at).map_or(other, String::as_str).to_string();
    format!(
        "CPU: {} UID: 0 PID: {} Comm: {} Not tainted 7.3.4+lockstep #1 PREEMPT  deadbeef",
        word(2, "1"),
        word(1, "412"),
        word(0, "v4l2-ctl")
    )
}

/// `show_regs()`: arch/arm64/kernel/process.c.
fn registers(who: &[String], counter: &str) -> Vec<String> {
    let mut lines = vec![cpu_line(who), HARDWARE.to_string()];
    lines.push("pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)".into());
    lines.push(format!("pc : {counter}"));
    lines.push("lr : some_caller+0x10/0x20".into());
    lines.push("sp : ffff800083d3bcc0".into());
    for register in (2..30).rev().step_by(3) {
        lines.push(format!(
            "x{register:<2}: ffff800083d3bcc0 x{:<2}: 0000000000000000 x{:<2}: ffff0000c5512018",
            register - 1,
            register - 2
        ));
    }
    lines
}

pub fn find(log: &str) -> Vec<Finding> {
    finder::find(&reader::read(log.as_bytes()), "serial")
}

pub fn shown(finding: &Finding) -> String {
    let mut flags = Vec::new();
    flags.extend(finding.lockdep_off.then_some("lockdep-off"));
    flags.extend(finding.panicked.then_some("panicked"));
    flags.extend(finding.damaged.then_some("damaged"));
    let module = finding
        .module
        .as_ref()
        .map_or(String::new(), |module| format!(" [{module}]"));
    let at = finding
        .function
        .as_ref()
        .map_or("-".into(), |function| format!("{function}{module}"));
    format!(
        "{} | {} | {at} | {}",
        finding.kind.name(),
        finding.title,
        flags.join(" ")
    )
}

pub fn expected(case: &Case) -> String {
    // The file writes the module in the title, too, so that it can be read at a glance.
    let title = case.title.trim_end_matches(" [vim2m]");
    format!(
        "{} | {title} | {} | {}",
        case.kind,
        case.at.as_deref().unwrap_or("-"),
        case.flags
    )
}

fn check(form: &str) {
    let mut wrong = Vec::new();
    for case in cases() {
        let found = find(&written(&case.lines, form));
        let said: Vec<String> = found.iter().map(shown).collect();
        if said != [expected(&case)] {
            wrong.push(format!(
                "{form}: expected {:?}\n  found {said:#?}",
                expected(&case)
            ));
            continue;
        }
        let finding = &found[0];
        let who = [
            finding.process.clone().unwrap_or("-".into()),
            finding.pid.map_or("-".into(), |pid| pid.to_string()),
            finding.cpu.map_or("-".into(), |cpu| cpu.to_string()),
        ];
        if !who.iter().zip(&case.who).all(|(said, told)| said == told) {
            wrong.push(format!(
                "{form}: {}: expected {:?}, found {who:?}",
                case.title, case.who
            ));
        }
        if !matches!(form, "bare" | "syslog") && finding.time.is_none() {
            wrong.push(format!("{form}: {}: no time", case.title));
        }
        // Exact: no line that is not the report's, and none missing but blank ones at the end.
        let told: Vec<&str> = case.lines.iter().map(|line| line.trim_end()).collect();
        let extra: Vec<&String> = finding
            .excerpt
            .iter()
            .filter(|line| !told.contains(&line.trim_end()) && !line.contains("left_over"))
            .collect();
        if !extra.is_empty() {
            wrong.push(format!("{form}: {}: not its own lines: {extra:#?}", case.title));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_serial_line_with_times() {
    check("plain");
}

#[test]
fn no_prefix_at_all() {
    check("bare");
}

#[test]
fn who_printed_is_told() {
    for form in ["caller", "crlf", "interleaved", "x86-leftovers"] {
        check(form);
    }
}

#[test]
fn other_sources() {
    for form in ["raw", "ansi", "syslog", "short-monotonic", "kmsg", "journal"] {
        check(form);
    }
}

/// With its level each line of a report is loud: none of them may be a finding of its own.
#[test]
fn dumps_and_other_sources_that_tell_levels() {
    for form in ["dump", "dump-anonymous", "kmsg-loud", "journal-loud"] {
        check(form);
    }
}

/// Each kind in each layout: one finding, with the same title, function and signature as on a serial line.
#[test]
fn every_kind_in_every_layout_is_the_same_finding() {
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let reference = find(&written(&case.lines, "plain"));
        let [reference] = reference.as_slice() else {
            panic!("{}: {reference:#?}", case.title);
        };
        for layout in LAYOUTS {
            // What a few lines share may be their own.
            if *layout == "unknown-bare" && case.lines.len() < 10 {
                continue;
            }
            let log = written(&case.lines, layout);
            let found = find(&log);
            let same = |finding: &Finding| {
                let signature = Signature::of(finding);
                shown(finding) == expected(case)
                    && signature == Signature::of(reference)
                    && id(&signature) == id(&Signature::of(reference))
            };
            if !matches!(found.as_slice(), [one] if same(one)) {
                let said: Vec<String> = found.iter().map(shown).collect();
                wrong.push(format!(
                    "{layout}: expected {:?}\n  found {said:#?}\n{log}",
                    expected(case)
                ));
            }
            let known = baseline::compare(&found, &found).new.iter().all(|new| {
                baseline::never_accepted(new) || Signature::of(new).rests_on == baseline::RestsOn::Kind
            });
            assert!(known, "{layout}: {}", case.title);
        }
    }
    let all = cases.len() * LAYOUTS.len();
    assert!(all > 2500, "{all}");
    assert!(
        wrong.is_empty(),
        "{} of {all} wrong\n{}",
        wrong.len(),
        wrong.into_iter().take(12).collect::<Vec<_>>().join("\n")
    );
}

/// Two CPUs report at once; each says who it is.
#[test]
fn two_reports_woven_line_by_line_come_apart() {
    let cases = cases();
    let weave = |one: &Case, other: &Case| -> String {
        let mut log = String::new();
        for at in 0..one.lines.len().max(other.lines.len()) {
            for (case, caller) in [(one, "  T412"), (other, "   T77")] {
                if let Some(line) = case.lines.get(at) {
                    log += &format!("[   12.{at:06}][{caller}] {line}\n");
                }
            }
        }
        log
    };
    let by = |kind: &str| cases.iter().find(|case| case.kind == kind).unwrap();
    for (one, other) in [
        ("null-dereference", "warning"),
        ("kasan", "hung-task"),
        ("circular-locking", "sleep-in-atomic"),
        ("ubsan", "refcount"),
    ] {
        let (one, other) = (by(one), by(other));
        let mut said: Vec<String> = find(&weave(one, other)).iter().map(shown).collect();
        let mut told = vec![expected(one), expected(other)];
        said.sort();
        told.sort();
        assert_eq!(said, told);
    }
}

/// What another run changes, and what the title may not show.
#[test]
fn titles_are_the_same_in_another_run() {
    for case in cases() {
        let there: Vec<String> = case
            .lines
            .iter()
            .map(|line| {
                line.replace("412", "90817")
                    .replace("CPU#1", "CPU#0")
                    .replace("CPU: 1", "CPU: 0")
                    .replace("ffff0000c551", "ffff00009a17")
                    .replace("+0x1c/0x90", "+0x44/0x128")
            })
            .collect();
        let said: Vec<String> = find(&written(&there, "caller"))
            .iter()
            .map(|found| found.title.clone())
            .collect();
        assert_eq!(said, [case.title.trim_end_matches(" [vim2m]")]);
    }
}
