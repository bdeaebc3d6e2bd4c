use super::*;
use crate::prefix::Caller;

/// Each record as `boot time caller level text`, `-` for what is missing.
fn check(input: &[u8], expect: &[&str]) {
    let log = read(input);
    let shown: Vec<String> = log
        .records
        .iter()
        .filter(|record| !record.text.is_empty())
        .map(|record| {
            let time = record.time.map_or("-".into(), |time| time.to_string());
            let caller = match record.caller {
                Some(Caller::Task(id)) => format!("T{id}"),
                Some(Caller::Cpu(id)) => format!("C{id}"),
                None => "-".into(),
            };
            let level = record.level.map_or("-".into(), |level| level.to_string());
            format!("{} {time} {caller} {level} {}", record.boot, record.text)
        })
        .collect();
    assert_eq!(shown, expect);
}

#[test]
fn a_serial_capture_with_everything_in_it() {
    check(
        b"\x00\xff\r\nU-Boot 2024.01\r\n\x1b[1;31mEnter choice: \x1b[0m\r\n[    0.000000] Booting Linux on physical CPU 0x0\r\n[    0.000000][    T0] Linux version 7.3.4\r\n\r\nampere login: [   16.305150][   T12] usb: x\r\n",
        &[
            "0 - - - \u{fffd}",
            "0 - - - U-Boot 2024.01",
            "0 - - - Enter choice: ",
            "0 0 - - Booting Linux on physical CPU 0x0",
            "0 0 T0 - Linux version 7.3.4",
            "0 - - - ampere login:",
            "0 16305150 T12 - usb: x",
        ],
    );
}

#[test]
fn a_reset_in_the_middle_begins_a_new_boot() {
    let input = b"[    0.000000] Booting Linux on physical CPU 0x0\n[    0.000000] Linux version 7\n[    9.000000] a\nU-Boot SPL\n[    0.000000] Booting Linux on physical CPU 0x0\n[    0.000000] Linux version 7\n[    1.000000] b\n";
    let log = read(input);
    assert_eq!(log.boots, 2);
    assert_eq!(log.records.iter().find(|r| r.text == "b").unwrap().boot, 1);
}

#[test]
fn kmsg_with_a_gap_and_a_continuation_line() {
    let input = b"6,0,0,-;Booting Linux on physical CPU 0x0\n6,1,0,-;Linux version 7\n SUBSYSTEM=x\n4,4,5,-,caller=C1;one\\x0atwo\n";
    check(
        input,
        &[
            "0 0 - 6 Booting Linux on physical CPU 0x0",
            "0 0 - 6 Linux version 7",
            "0 5 C1 4 one",
            "0 5 C1 4 two",
        ],
    );
    assert_eq!(
        read(input).losses,
        [Loss::Gap {
            from: 2,
            to: 3,
            line: 4
        }]
    );
}

#[test]
fn journal_entries_of_two_boots() {
    check(
        br#"{"MESSAGE":"a","PRIORITY":"6","_SOURCE_MONOTONIC_TIMESTAMP":"5","_BOOT_ID":"x"}
{"MESSAGE":"b\nc","PRIORITY":"3","_SOURCE_MONOTONIC_TIMESTAMP":"6","_BOOT_ID":"y"}
"#,
        &["0 5 - 6 a", "1 6 - 3 b", "1 6 - 3 c"],
    );
}

#[test]
fn dropped_messages_are_told_and_what_stands_behind_them_is_read() {
    let input = b"** 4491 printk messages dropped ** [   50.750742] x\n** 3 printk messages dropped **\n";
    check(input, &["0 50750742 - - x"]);
    assert_eq!(
        read(input).losses,
        [
            Loss::Dropped { count: 4491, line: 1 },
            Loss::Dropped { count: 3, line: 2 }
        ]
    );
}

#[test]
fn a_replayed_message_replaces_its_half() {
    check(
        b"[    1.000000][   T31] INFO: t\n** replaying previous printk message **\n[    1.000000][   T31] INFO: task x\n",
        &["0 1000000 T31 - INFO: task x"],
    );
}

#[test]
fn levels_and_facilities() {
    let log = read(b"<14>[    1.000000] systemd: x\n<4>[    1.000000] y\n");
    assert_eq!((log.records[0].level, log.records[0].facility), (Some(6), 1));
    assert_eq!((log.records[1].level, log.records[1].facility), (Some(4), 0));
}

#[test]
fn offsets_point_at_the_line() {
    let log = read(b"a\r\nbc\n");
    assert_eq!((log.records[1].line, log.records[1].offset), (2, 3));
}
