use crate::evidence::finder;
use crate::evidence::finding::Finding;
use crate::evidence::reader;

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
