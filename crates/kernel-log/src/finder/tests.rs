mod names;

use crate::finder;
use crate::finding::Finding;
use crate::reader;

/// Lines `level time caller text`, the time in seconds.
fn find(lines: &[(u8, &str, &str, &str)]) -> Vec<Finding> {
    let log: String = lines
        .iter()
        .map(|(level, time, caller, text)| format!("<{level}>[{time:>12}][{caller:>6}] {text}\n"))
        .collect();
    finder::find(&reader::read(log.as_bytes()), "test")
}

fn check(lines: &[(u8, &str, &str, &str)], expect: &[&str]) {
    let titles: Vec<String> = find(lines).into_iter().map(|finding| finding.title).collect();
    assert_eq!(titles, expect);
}

#[test]
fn a_stack_behind_a_message_is_the_messages() {
    let lines = [
        (3, "9.000000", "T7", "foo 1-0010: lost an interrupt"),
        (
            4,
            "9.000001",
            "T7",
            "CPU: 1 UID: 0 PID: 7 Comm: kworker/1:0 Not tainted 7.3.4 #1",
        ),
        (4, "9.000002", "T7", "Call trace:"),
        (4, "9.000003", "T7", " dump_stack+0x14/0x20"),
        (4, "9.000004", "T7", " foo_irq+0x14/0x20 [foo]"),
        (4, "9.100000", "T8", "bar: slow"),
    ];
    check(&lines, &["foo N-N: lost an interrupt", "bar: slow"]);
    let found = find(&lines);
    assert_eq!(
        (found[0].function.as_deref(), found[0].module.as_deref()),
        (Some("foo_irq"), Some("foo"))
    );
    assert_eq!(found[0].excerpt.len(), 5);
}

#[test]
fn a_stack_that_nothing_explains_is_one_finding() {
    check(
        &[
            (6, "9.000000", "T7", "hello"),
            (4, "9.000002", "T7", "Call trace:"),
            (4, "9.000003", "T7", " foo_irq+0x14/0x20 [foo]"),
            (4, "9.000004", "T7", " handle_irq_event+0x14/0x20"),
        ],
        &["report without its first line in foo_irq"],
    );
}

#[test]
fn lines_between_a_reports_own_are_its_own_where_it_is_known_who_prints() {
    let warning = [
        (
            4,
            "9.000000",
            "T7",
            "WARNING: CPU: 0 PID: 7 at foo.c:1 foo+0x1/0x2",
        ),
        (4, "9.000001", "T7", "foo holds 3 buffers"),
        (4, "9.000001", "T8", "bar: slow"),
        (4, "9.000002", "T7", "Call trace:"),
        (4, "9.000003", "T7", " foo+0x1/0x2"),
        (4, "9.000004", "T7", "---[ end trace 0000000000000000 ]---"),
        (4, "9.000005", "T7", "foo gives up"),
    ];
    check(&warning, &["WARNING in foo", "bar: slow", "foo gives up"]);
}

#[test]
fn what_announces_a_report_that_never_comes_is_a_message() {
    check(
        &[
            (
                3,
                "9.000000",
                "T7",
                "kobject: 'x' (00000000): tried to init an initialized object",
            ),
            (4, "9.000001", "T8", "------------[ cut here ]------------"),
            (4, "9.000002", "T8", "bar is upside down"),
        ],
        &[
            "kobject: 'x' (ADDR): tried to init an initialized object",
            "bar is upside down",
        ],
    );
}

#[test]
fn an_answer_is_over_with_a_silence_and_is_of_one_caller() {
    check(
        &[
            (6, "9.000000", "T7", "sysrq: Show Memory"),
            (4, "9.000001", "T7", "Mem-Info:"),
            (4, "9.000002", "T7", "262144 pages RAM"),
            (4, "9.000003", "T8", "bar: slow"),
            (4, "9.000004", "T7", "0 pages hwpoisoned"),
            (4, "11.000000", "T7", "foo: timeout"),
        ],
        &["bar: slow", "foo: timeout"],
    );
}

#[test]
fn what_sysrq_says_about_itself_is_no_question() {
    check(
        &[
            (6, "0.000000", "T0", "sysrq: sysrq always enabled."),
            (4, "0.000001", "T0", "foo: timeout"),
        ],
        &["foo: timeout"],
    );
}

#[test]
fn a_worker_answers_late() {
    check(
        &[
            (6, "9.000000", "T7", "sysrq: Emergency Sync"),
            (4, "19.000000", "T9", "Emergency Sync complete"),
            (4, "19.000001", "T9", "Emergency Thaw complete"),
        ],
        &["Emergency Thaw complete"],
    );
}

#[test]
fn a_dying_kernel_complains_of_nothing_more_and_the_next_one_does() {
    check(
        &[
            (6, "9.000000", "T7", "hello"),
            (0, "9.000001", "T7", "Kernel panic - not syncing: out of luck"),
            (2, "9.000002", "T7", "SMP: stopping secondary CPUs"),
            (4, "9.000003", "C1", "CPU1: stopping"),
            (0, "9.000004", "T7", "Memory Limit: none"),
            (4, "1.000000", "T1", "foo: timeout"),
        ],
        &["panic: out of luck", "foo: timeout"],
    );
}

/// Titles of a log whose lines tell times and nothing else.
fn titles(lines: &[(&str, &str)]) -> Vec<String> {
    let log: String = lines
        .iter()
        .map(|(time, text)| format!("[{time:>12}] {text}\n"))
        .collect();
    let found = finder::find(&reader::read(log.as_bytes()), "test");
    found.into_iter().map(|finding| finding.title).collect()
}

#[test]
fn a_panic_long_after_by_another_task_is_a_finding_of_its_own() {
    let lines = [
        ("9.000000", "WARNING: CPU: 0 PID: 7 at foo.c:1 foo+0x1/0x2"),
        ("9.000001", "Call trace:"),
        ("9.000002", " foo+0x1/0x2"),
        ("9.000003", "---[ end trace 0000000000000000 ]---"),
        (
            "40.000000",
            "Kernel panic - not syncing: VFS: Unable to mount root fs",
        ),
    ];
    assert_eq!(
        titles(&lines),
        ["WARNING in foo", "panic: VFS: Unable to mount root fs"]
    );
    let mut soon = lines;
    soon[4] = (
        "9.100000",
        "Kernel panic - not syncing: kernel: panic_on_warn set ...",
    );
    assert_eq!(titles(&soon), ["WARNING in foo"]);
}

#[test]
fn a_lockup_that_is_printed_through_a_warning_is_one_finding() {
    let lines = [
        ("9.000000", "------------[ cut here ]------------"),
        (
            "9.000001",
            "WARNING: CPU: 3 PID: 77 at kernel/watchdog.c:245 watchdog_overflow_callback+0x9c/0xd0()",
        ),
        ("9.000002", "Watchdog detected hard LOCKUP on cpu 3"),
        ("9.000003", "Modules linked in: foo"),
        ("9.000004", "CPU: 3 PID: 77 Comm: prog Not tainted 3.16.0 #1"),
        ("9.000005", "Call Trace:"),
        ("9.000006", " foo_spin+0x1/0x2 [foo]"),
        ("9.000007", "---[ end trace 0000000000000000 ]---"),
    ];
    assert_eq!(titles(&lines), ["hard lockup in foo_spin"]);
}

#[test]
fn a_fault_of_user_space_is_no_report() {
    let lines = [
        (
            "9.000000",
            "Alignment trap: not handling instruction e1928f9f at [<00010474>]",
        ),
        ("9.000001", "8<--- cut here ---"),
        (
            "9.000002",
            "Unhandled fault: alignment exception (0x001) at 0xbe9f5d33",
        ),
        ("9.000003", "[be9f5d33] *pgd=6f2a8831"),
        ("50.000000", "usb 1-1: new device"),
    ];
    assert!(titles(&lines).is_empty(), "{:?}", titles(&lines));
}

#[test]
fn a_report_goes_on_after_many_lines_of_others() {
    let mut lines = vec![
        (
            "9.000000".to_string(),
            "Unable to handle kernel NULL pointer dereference at virtual address 10".to_string(),
        ),
        ("9.000001".to_string(), "Mem abort info:".to_string()),
    ];
    for at in 2..60 {
        lines.push((format!("9.{at:06}"), format!("usb 1-{at}: new device")));
    }
    for text in [
        "pc : foo+0x1/0x2 [foo]",
        "Call trace:",
        " foo+0x1/0x2 [foo]",
        "---[ end trace 0 ]---",
    ] {
        lines.push(("9.000100".to_string(), text.to_string()));
    }
    let lines: Vec<(&str, &str)> = lines
        .iter()
        .map(|(time, text)| (time.as_str(), text.as_str()))
        .collect();
    assert_eq!(titles(&lines), ["NULL pointer dereference in foo"]);
}

#[test]
fn a_stack_behind_a_line_is_its_own_without_levels_too() {
    let lines = [
        ("8.000000", "hello"),
        ("9.000000", "foo 1-0010: lost an interrupt"),
        (
            "9.000001",
            "CPU: 1 UID: 0 PID: 7 Comm: kworker/1:0 Not tainted 7.3.4 #1",
        ),
        ("9.000002", "Call trace:"),
        ("9.000003", " dump_stack+0x14/0x20"),
        ("9.000004", " foo_irq+0x14/0x20 [foo]"),
    ];
    assert_eq!(titles(&lines), ["foo N-N: lost an interrupt"]);
}

/// Titles of a log as it stands.
fn told(log: &str) -> Vec<String> {
    let found = finder::find(&reader::read(log.as_bytes()), "test");
    found
        .into_iter()
        .filter(|finding| finding.severity == crate::kind::Severity::Error)
        .map(|finding| finding.title)
        .collect()
}

#[test]
fn a_script_that_calls_something_a_warning_is_no_fault() {
    assert!(told("[    9.000000] WARNING: next download is broken!\n[    9.100000] usb: x\n").is_empty());
    let stack =
        "[    9.000001] CPU: 0 PID: 1 Comm: init\n[    9.000002] Call trace:\n[    9.000003]  f+0x1/0x20\n";
    let own = "[    9.000000] WARNING: the foo is out of step\n";
    assert_eq!(told(&format!("{own}{stack}")), ["WARNING in f"]);
    // A capture may end right behind the first line of a `WARN()`.
    for cut in [
        "a.c:1 at f+0x1/0x2, CPU#0: init/1",
        "a.c:1 at f (a.c:1) , CPU#0: init/1",
        "a.c:1 at 0xffff0000, CPU#0: init/1",
        "CPU: 0 PID: 1 at a.c:1",
    ] {
        assert_eq!(
            told(&format!("[    9.000000] WARNING: {cut}\n")).len(),
            1,
            "{cut}"
        );
    }
    let unwinder = "[    9.000000] WARNING: kernel stack regs at 0 in init:1 has bad 'bp' value 0\n";
    assert_eq!(told(unwinder).len(), 1);
}

#[test]
fn firmware_may_fill_the_head_of_a_capture() {
    let firmware = "IMD: root @ 0xcb7fec00\n".repeat(600);
    let program = "WARNING: Optional imports not found, TAP output will be\n";
    let log =
        |text: &str| format!("{firmware}[    0.000000] Booting Linux on physical CPU 0x0\n{text}{program}");
    assert!(told(&log("")).is_empty());
    let bug = "[    9.100000] BUG: sleeping function called from invalid context at a.c:1\n";
    assert_eq!(told(&log(bug)).len(), 1);
}

/// Symbolizers and forums drop times, and not all of them.
#[test]
fn times_may_come_late() {
    let log = "BUG: KASAN: slab-out-of-bounds in f+0x1/0x20\nRead of size 4 at addr ffff8880 by task a/1\n\
               CPU: 1 PID: 1 Comm: a\nCall Trace:\n f+0x1/0x20\n g+0x1/0x20\n[    9.000000] usb: x\n";
    assert_eq!(told(log), ["KASAN: slab-out-of-bounds Read in f"]);
    let loader = "ERROR: of a loader\nWARNING: of a loader\n[    9.000000] usb: x\n";
    assert!(told(loader).is_empty());
}

#[test]
fn a_symbolizer_repeats_the_first_line_for_what_is_inlined() {
    let log = "[    9.000000] BUG: KASAN: use-after-free in memset include/linux/string.h:365 [inline]\n\
               [    9.000001] BUG: KASAN: use-after-free in f+0x1/0x20 net/f.c:9\n\
               [    9.000002] Write of size 4 at addr ffff8880 by task a/1\n\
               [    9.000003] CPU: 1 PID: 1 Comm: a\n[    9.000004] Call Trace:\n\
               [    9.000006]  f+0x1/0x20 net/f.c:9\n";
    assert_eq!(told(log), ["KASAN: use-after-free Write in f"]);
}

#[test]
fn a_trap_says_less_than_the_bug_that_made_it() {
    let log = "[    9.000001] invalid opcode: 0000 [#1] SMP\n[    9.000000] kernel BUG at a.c:1!\n\
               [    9.000002] CPU: 1 PID: 1 Comm: a\n[    9.000003] RIP: 0010:f+0x1/0x20\n\
               [    9.000004] Call Trace:\n[    9.000005]  g+0x1/0x20\n";
    assert_eq!(told(log), ["kernel BUG in f"]);
}
