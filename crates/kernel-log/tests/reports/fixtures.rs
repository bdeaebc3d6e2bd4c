//! Real arm64 splats, captured from a lockdep kernel: what is found in them, and that no damage done to them makes the parsers
//! panic or hang.

use kernel_log::finder;
use kernel_log::finding::Finding;
use kernel_log::{baseline, completeness, pstore, reader, serial};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.log"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

fn find(bytes: &[u8]) -> Vec<Finding> {
    finder::find(&reader::read(bytes), "serial")
}

/// Titles, each with its module and what is to be known about it.
fn check(name: &str, expect: &[&str]) {
    let shown: Vec<String> = find(&fixture(name))
        .iter()
        .map(|finding| {
            let module = finding
                .module
                .as_ref()
                .map_or(String::new(), |module| format!(" [{module}]"));
            let damaged = if finding.damaged { ", damaged" } else { "" };
            let panicked = if finding.panicked { ", panicked" } else { "" };
            let off = if finding.lockdep_off { ", lockdep off" } else { "" };
            format!("{}{module}{damaged}{panicked}{off}", finding.title)
        })
        .collect();
    assert_eq!(shown, expect, "{name}");
}

#[test]
fn lockdep_reports() {
    check(
        "abba",
        &[
            "possible circular locking dependency: vim2m_fence_a vs vim2m_fence_b [lockstep_splat], lockdep off",
        ],
    );
    check(
        "recursive",
        &["possible recursive locking: &two[i] in take_twice [lockstep_splat], lockdep off"],
    );
    check(
        "inconsistent",
        &["inconsistent lock state: irq_lock in splat_init [lockstep_splat], lockdep off"],
    );
    check(
        "unbalanced",
        &["bad unlock balance: vim2m_fence_a in splat_init [lockstep_splat], lockdep off"],
    );
    check(
        "freed",
        &["held lock freed: m in splat_init [lockstep_splat], lockdep off"],
    );
    check(
        "held",
        &["lock held when returning to user space: vim2m_fence_a, lockdep off"],
    );
    check("rcu", &["suspicious RCU usage in deref_rcu [lockstep_splat]"]);
}

#[test]
fn the_locks_of_a_circular_report_are_a_structure() {
    let found = find(&fixture("abba")).remove(0);
    let locks = found.locks.expect("a lockdep report names its locks");
    assert_eq!(locks.task.as_deref(), Some("init"));
    let wanted = locks.wanted.expect("wanted");
    assert_eq!(
        (wanted.name.as_str(), wanted.at.as_deref()),
        ("vim2m_fence_a", Some("take_ba"))
    );
    assert_eq!(locks.held.expect("held").name, "vim2m_fence_b");
    let chain: Vec<(&str, &str)> = locks
        .chain
        .iter()
        .map(|link| (link.lock.as_str(), link.taken_by[0].as_str()))
        .collect();
    assert_eq!(
        chain,
        [("vim2m_fence_b", "take_ab"), ("vim2m_fence_a", "take_ba")]
    );
}

#[test]
fn atomic_context() {
    check(
        "sleep",
        &[
            "sleeping function called from invalid context in mutex_under_lock [lockstep_splat]",
            "invalid wait context: vim2m_fence_a in mutex_under_lock [lockstep_splat], lockdep off",
        ],
    );
    check(
        "sched",
        &[
            "scheduling while atomic in sleep_under_lock [lockstep_splat]",
            "WARNING in do_one_initcall",
        ],
    );
}

#[test]
fn warnings_and_oopses() {
    check("warn", &["WARNING in publish_fence_warn [lockstep_splat]"]);
    check(
        "null",
        &["NULL pointer dereference in read_job [lockstep_splat], lockdep off"],
    );
    check(
        "wild",
        &["bad paging request in read_job [lockstep_splat], lockdep off"],
    );
    check("lkdtm_WARNING", &["WARNING in lkdtm_WARNING [lkdtm]"]);
    check(
        "lkdtm_EXCEPTION",
        &["NULL pointer dereference in lkdtm_EXCEPTION [lkdtm], lockdep off"],
    );
}

#[test]
fn ends_of_the_kernel() {
    check("lkdtm_PANIC", &["panic: dumptest, panicked, lockdep off"]);
    check(
        "lkdtm_EXHAUST_STACK",
        &["stack overflow in recursive_loop [lkdtm], panicked, lockdep off"],
    );
    check(
        "lkdtm_WRITE_RO",
        &["bad paging request in lkdtm_WRITE_RO [lkdtm], lockdep off"],
    );
    check(
        "lkdtm_BUG",
        &[
            "kernel BUG in lkdtm_BUG [lkdtm], lockdep off",
            "WARNING in __switch_to",
            "WARNING in ct_kernel_exit",
        ],
    );
}

#[test]
fn hangs() {
    check(
        "lkdtm_HUNG_TASK",
        &[
            "task hung in lkdtm_HUNG_TASK [lkdtm]",
            "task hung in lkdtm_HUNG_TASK [lkdtm]",
        ],
    );
    check("lkdtm_SOFTLOCKUP", &["soft lockup in lkdtm_SOFTLOCKUP [lkdtm]"]);
}

#[test]
fn an_excerpt_is_the_report_and_nothing_else() {
    let found = find(&fixture("null")).remove(0);
    assert!(found.excerpt[0].starts_with("Unable to handle kernel NULL pointer dereference"));
    assert!(
        found.excerpt.last().unwrap().starts_with("---[ end trace"),
        "{:#?}",
        found.excerpt
    );
    let found = find(&fixture("abba")).remove(0);
    assert!(found.excerpt[0].starts_with("====="), "{:#?}", found.excerpt);
    assert!(
        !found.excerpt.iter().any(|line| line.contains("debug_locks:")),
        "{:#?}",
        found.excerpt
    );
}

#[test]
fn the_same_fault_in_another_run_has_the_same_title() {
    let here = fixture("null");
    let there = String::from_utf8_lossy(&here)
        .replace("   T46]", "  T812]")
        .replace("[    2.6", "[   99.6")
        .replace("CPU: 0", "CPU: 1")
        .replace("PID: 46", "PID: 812")
        .replace("read_job+0x8/0x18", "read_job+0x4c/0x90");
    assert!(there.contains("T812") && there.contains("0x4c/0x90"));
    let comparison = baseline::compare(&find(&here), &find(there.as_bytes()));
    assert!(comparison.gone.is_empty(), "{comparison:#?}");
}

#[test]
fn a_boot_log_that_ends_with_a_reboot_is_complete() {
    let bytes = fixture("warn");
    let judged = completeness::judge(&reader::read(&bytes));
    assert!(judged.has_no_gap());
    assert_eq!(judged.end, completeness::End::Orderly);
    assert_eq!(serial::count(&serial::phases(&bytes)).boots, 1);
}

/// A small generator with a fixed seed: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

fn everything(bytes: &[u8]) {
    let log = reader::read(bytes);
    for finding in finder::find(&log, "x") {
        assert!(!finding.excerpt.is_empty());
        assert!(finding.line <= bytes.len() + 1);
    }
    completeness::judge(&log);
    completeness::lockdep(&log);
    completeness::debug_locks(bytes);
    serial::count(&serial::phases(bytes));
    for name in [
        "dmesg-ramoops-0",
        "console-ramoops-0",
        "dmesg-efi-1.enc.z",
        "x/pmsg-ramoops-0",
        "-",
        "",
    ] {
        pstore::join(&[(name, bytes), (name, bytes)]);
    }
}

#[test]
fn damaged_logs_make_nothing_panic() {
    let mut random = Random(0x5eed_1234_5678_9abc);
    for name in ["abba", "null", "sleep", "lkdtm_HUNG_TASK"] {
        let whole = fixture(name);
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.next(200) {
                let at = random.next(bytes.len());
                match random.next(4) {
                    0 => bytes[at] = random.next(256) as u8,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, b"\n[]()#:{}+0x\x1b\xff*"[random.next(15)]),
                    _ => bytes.truncate(at.max(200)),
                }
            }
            everything(&bytes);
        }
    }
}

#[test]
fn arbitrary_bytes_make_nothing_panic() {
    let mut random = Random(0x0bad_cafe_dead_beef);
    const WORDS: [&str; 24] = [
        "BUG: ",
        "WARNING: ",
        "INFO: ",
        "[    1.000000]",
        "[   T1]",
        "<4>",
        "+0x1/0x2",
        "Call trace:\n",
        "\n",
        " ",
        "RIP: ",
        "pc : ",
        "KASAN: ",
        "1,2,3,-;",
        "{\"MESSAGE\":",
        "(",
        "){",
        "at: ",
        "-> #1 ",
        "Panic#1 Part1\n",
        "\r",
        "\x1b[",
        "é",
        "lock",
    ];
    for _ in 0..400 {
        let mut bytes = Vec::new();
        for _ in 0..random.next(300) {
            match random.next(3) {
                0 => bytes.push(random.next(256) as u8),
                _ => bytes.extend(WORDS[random.next(WORDS.len())].as_bytes()),
            }
        }
        everything(&bytes);
    }
}
