//! Real dumps that ramoops kept of the virtual board (`logs/dumps/`, cut to their first lines and their end): what a kernel says while it answers
//! SysRq, warns and dies belongs to that, and is no complaint of its own, wherever the dump begins.

use kernel_log::finder;
use kernel_log::finding::Finding;
use kernel_log::kind::{Kind, Severity};
use kernel_log::{pstore, reader};
use std::path::Path;

fn dump(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/logs/dumps")
        .join(name);
    let bytes = std::fs::read(path).unwrap();
    let dumps = pstore::join(&[("dmesg-ramoops-0", &bytes)]);
    String::from_utf8(dumps[0].content.clone()).unwrap()
}

fn find(log: &str) -> Vec<Finding> {
    finder::find(&reader::read(log.as_bytes()), "pstore")
}

fn titles(log: &str) -> Vec<String> {
    find(log).into_iter().map(|finding| finding.title).collect()
}

#[test]
fn answers_of_a_wedged_kernel_are_no_findings() {
    let log = dump("dmesg-wedge");
    for words in [
        "Showing all locks held",
        "NMI backtrace for cpu 1",
        "262144 pages RAM",
        "Memory Limit: none",
    ] {
        assert!(log.contains(words), "{words}");
    }
    let found = find(&log);
    assert_eq!(titles(&log), ["panic: sysrq triggered crash"]);
    assert!(!found[0].damaged, "{found:#?}");
}

#[test]
fn a_crash_on_purpose_is_not_blamed_on_a_warning_before_it() {
    let log = dump("dmesg-crash");
    let found = find(&log);
    let told: Vec<(&str, bool)> = found
        .iter()
        .map(|finding| (finding.title.as_str(), finding.panicked))
        .collect();
    assert_eq!(
        told,
        [
            ("WARNING in ext4_journal_check_start", false),
            ("panic: sysrq triggered crash", true)
        ]
    );
    let excerpt = &found[1].excerpt;
    assert_eq!(excerpt.last().map(String::as_str), Some("Memory Limit: none"));
}

#[test]
fn the_words_and_the_end_of_a_warning_are_part_of_it() {
    let found = find(&dump("dmesg-bug"));
    let told: Vec<(&str, bool)> = found
        .iter()
        .map(|finding| (finding.title.as_str(), finding.panicked))
        .collect();
    assert_eq!(
        told,
        [
            ("kernel BUG in dma_fence_init_stub", false),
            ("WARNING in __switch_to", true)
        ]
    );
    assert!(found[0].excerpt.last().unwrap().starts_with("---[ end trace"));
    assert_eq!(found[1].excerpt[0], "------------[ cut here ]------------");
    assert_eq!(
        found[1].excerpt[1],
        "Unexpected DAIF value: 0x3c0 (expected 0xc0)"
    );
}

#[test]
fn what_was_said_before_a_panic_is_still_told() {
    let log = dump("dmesg-rootless");
    let found = find(&log);
    let (errors, messages): (Vec<&Finding>, Vec<&Finding>) = found
        .iter()
        .partition(|finding| finding.severity == Severity::Error);
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].title,
        "panic: VFS: Unable to mount root fs on unknown-block(N,N)"
    );
    assert!(!errors[0].damaged);
    assert_eq!(messages[0].title, "/dev/root: Can't lookup blockdev");
    assert_eq!(messages.last().unwrap().title, "vfat");
}

/// A dump begins where its zone was full: in the middle of anything.
#[test]
fn a_dump_that_begins_in_the_middle_of_a_report_has_no_loose_lines() {
    for name in ["dmesg-wedge", "dmesg-crash", "dmesg-bug"] {
        let log = dump(name);
        let whole = titles(&log);
        let lines: Vec<&str> = log.lines().collect();
        let panic = lines.iter().position(|line| line.contains("Kernel panic"));
        for from in 0..=panic.unwrap() {
            let rest = &lines[from..];
            // An answer whose question is cut off cannot be told from anything else.
            let unasked = rest.iter().take_while(|line| !line.contains("sysrq: ")).count();
            let late = |title: &str| {
                let question = title
                    .strip_suffix(" complete")
                    .map(|name| format!("sysrq: {name}"));
                question.is_some_and(|question| !rest.iter().any(|line| line.contains(&question)))
            };
            for finding in find(&rest.join("\n")) {
                let fragment = finding.damaged && finding.title.starts_with("report without its first line");
                let alone = finding.kind == Kind::Message && !finding.damaged;
                let unasked = alone && (finding.line <= unasked || late(&finding.title));
                let known = whole.contains(&finding.title) || finding.severity == Severity::Error;
                assert!(known || fragment || unasked, "{name} from {from}: {finding:#?}");
            }
        }
    }
}

#[test]
fn a_dump_without_levels_tells_the_same_errors() {
    for name in ["dmesg-wedge", "dmesg-crash", "dmesg-bug", "dmesg-rootless"] {
        let log = dump(name);
        let plain: String = log
            .lines()
            .map(|line| line.split_once('>').map_or(line, |(_, rest)| rest))
            .fold(String::new(), |all, line| all + line + "\n");
        let errors: Vec<String> = find(&log)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.title)
            .collect();
        assert_eq!(titles(&plain), errors, "{name}");
    }
}
