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
