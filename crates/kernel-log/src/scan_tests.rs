use super::super::{completeness, finder, reader};
use super::*;

fn scan(bytes: &[u8], cuts: &[usize]) -> Scanned {
    let mut scan = Scan::new("x");
    let mut from = 0;
    for &cut in cuts {
        let cut = cut.clamp(from, bytes.len());
        scan.push(&bytes[from..cut]);
        from = cut;
    }
    scan.push(&bytes[from..]);
    scan.finish()
}

/// The scan of whole, cut and uncut logs is what reading it at once gives.
fn check(bytes: &[u8], cuts: &[usize]) {
    let log = reader::read(bytes);
    let scanned = scan(bytes, cuts);
    assert_eq!(scanned.format, log.format);
    assert_eq!(scanned.findings, finder::find(&log, "x"));
    assert_eq!(scanned.completeness, completeness::judge(&log));
    assert_eq!(scanned.lockdep, completeness::lockdep(&log));
    assert_eq!(scanned.bytes, bytes.len() as u64);
}

const LOG: &str = "[    0.000000] Booting Linux on physical CPU 0x0\r\n[    0.000000] Linux version 7\r\n\
login: [    1.000000] usb: x\r\n** 3 printk messages dropped **\n[    2.000000] a message that is cu** replaying previous printk message **\n\
[    2.000000] a message that is cut\n[    3.000000] Unable to handle kernel NULL pointer dereference at virtual address 0\r\n\
[    3.000000] pc : f+0x1/0x2 [m]\r[    3.000000] Call trace:\n[    3.000000]  f+0x1/0x2 [m]\n\n[    3.000000] ---[ end trace 0 ]---\n\
[    4.000000] reboot: Restarting system";

#[test]
fn a_log_may_be_cut_anywhere() {
    for at in 0..=LOG.len() {
        check(LOG.as_bytes(), &[at]);
        check(LOG.as_bytes(), &[at, at + 1, at + 3]);
    }
    check(LOG.as_bytes(), &(0..LOG.len()).collect::<Vec<usize>>());
}

#[test]
fn a_log_that_is_longer_than_what_tells_its_format_may_be_cut_anywhere() {
    let mut long = String::new();
    while long.len() < 3 * HEAD {
        long += LOG;
        long.push('\n');
    }
    for step in [1013, 65_535, 65_536, 65_537, 100_003] {
        check(
            long.as_bytes(),
            &(0..long.len()).step_by(step).collect::<Vec<usize>>(),
        );
    }
}

#[test]
fn a_line_without_an_end_does_not_grow() {
    let mut log = b"[    0.000000] Linux version 7\n[    1.000000] ".to_vec();
    log.resize(5 * LONGEST_LINE, b'x');
    log.extend(b"\n[    2.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n");
    check(&log, &(0..log.len()).step_by(1 << 18).collect::<Vec<usize>>());
    let mut endless = Scan::new("x");
    for _ in 0..64 {
        endless.push(&[b'y'; 1 << 18]);
        assert!(endless.rest.len() <= 3 * LONGEST_LINE);
    }
    assert!(endless.finish().findings.is_empty());
}

#[test]
fn the_same_again_and_again_is_counted_and_not_kept() {
    let mut scan = Scan::new("x");
    let line = "<4>[    1.000000] x: clock skew of 17 ms\n<3>[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n";
    for _ in 0..2000 {
        scan.push(line.as_bytes());
    }
    let scanned = scan.finish();
    assert!(scanned.findings.len() <= 250, "{}", scanned.findings.len());
    let times: usize = scanned.findings.iter().map(|finding| finding.times).sum();
    assert_eq!(times, 4000);
}
