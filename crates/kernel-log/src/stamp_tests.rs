use super::*;

const NEW_YEAR: u64 = 1_735_689_600_000_000;

fn check(line: &str, daemon: Daemon, writer: Writer, text: &str) -> Stamp {
    let found = take(line, daemon).unwrap_or_else(|| panic!("no stamp in {line}"));
    assert_eq!(
        (found.writer, line.get(found.length..)),
        (writer, Some(text)),
        "{line}"
    );
    found
}

#[test]
fn lines_of_terminals_and_ci() {
    for stamp in [
        "> > ",
        ">>> ",
        "[2026-11-30T01:00:00.123Z] ",
        "2026-11-30T01:00:00.1234567Z ",
        "[2026-11-30 01:00:00.123] ",
        "2026-11-30 01:00:00 ",
        "2026/11/30 01:00:00: ",
        "[01:00:00.123] ",
        "01:00:00 ",
        "Nov 30 01:00:00 ",
        "[Mon Nov 30 01:00:00.123 2026] ",
        "2026-11-30T01:00:00.123456Z 00O ",
        "[0.000001 0.000001] ",
        "01:00:00.123| ",
    ] {
        for text in ["[    1.000000] x", " f+0x1/0x2", "usb 1-1: new device", ""] {
            // A mail program ends an empty line where its blank would be.
            check(
                &format!("{stamp}{text}"),
                Daemon::Unseen,
                Writer::Anyone,
                text.strip_prefix(' ').filter(|_| stamp == ">>>").unwrap_or(text),
            );
        }
    }
}

#[test]
fn records_of_log_daemons() {
    for date in [
        "Dec  4 17:33:13",
        "Dec 14 17:33:13.123456",
        "2025-01-01T00:00:00+0000",
        "2025-01-01T00:00:00",
        "Mon 2026-11-30 01:00:00 UTC",
        "Mon 2026-11-30 01:00:00.123456 CET",
        "1795412760.123456",
    ] {
        check(
            &format!("{date} host kernel: x"),
            Daemon::Unseen,
            Writer::Kernel,
            "x",
        );
        check(
            &format!("{date} host kernel:  f+0x1/0x2"),
            Daemon::Unseen,
            Writer::Kernel,
            " f+0x1/0x2",
        );
        check(
            &format!("{date} host sshd[1]: kernel: x"),
            Daemon::Syslog,
            Writer::Program,
            "kernel: x",
        );
    }
    let zoned = check(
        "2025-01-01T12:00:00.123456+12:00 host kernel: x",
        Daemon::Unseen,
        Writer::Kernel,
        "x",
    );
    assert_eq!(zoned.wall, Some(NEW_YEAR + 123_456));
    let wire = check(
        "<4>1 2025-01-01T00:00:00.1Z host kernel - - - x",
        Daemon::Unseen,
        Writer::Kernel,
        "x",
    );
    assert_eq!((wire.priority, wire.wall), (Some(4), Some(NEW_YEAR + 100_000)));
    check(
        "<30>1 - host sshd 1 - [a b=\"c\\]\"][d] x",
        Daemon::Unseen,
        Writer::Program,
        "x",
    );
    check(
        "<4>Nov 30 01:00:00 host kernel: x",
        Daemon::Unseen,
        Writer::Kernel,
        "x",
    );
}

#[test]
fn what_is_not_a_stamp() {
    for line in [
        "",
        "x",
        "[drm] x",
        "[1.0] x",
        "12",
        "Nov",
        "Mon",
        "<4>x",
        "<4>[    1.000000] x",
        ">ffff0000c5512000: fa fb",
        "2026",
        "99:99",
        "WARNING: x",
    ] {
        assert_eq!(take(line, Daemon::Unseen), None, "{line}");
    }
}

#[test]
fn lines_of_logcat() {
    let check = |line: &str, level: u32, text: &str| {
        assert_eq!(logcat(line), Some((level, text.to_string())), "{line}")
    };
    check(
        "11-30 01:00:00.101     0     0 W         :  f+0x1/0x2",
        4,
        " f+0x1/0x2",
    );
    check(
        "2026-11-30 01:00:00.101     0     0 W WARNING : CPU: 2",
        4,
        "WARNING: CPU: 2",
    );
    check(
        "11-30 01:00:00.201     0     0 F Unable to handle: ",
        2,
        "Unable to handle",
    );
    check(
        "11-30 01:00:00.201 W/pc      (    0): f+0x1/0x2",
        4,
        "pc: f+0x1/0x2",
    );
    check("E/        (    0): x", 3, "x");
    for line in [
        "",
        "W",
        "11-30",
        "11-30 01:00:00.201 x",
        "E x",
        "WARNING: x",
        "--------- beginning of kernel",
    ] {
        assert_eq!(logcat(line), None, "{line}");
    }
}
