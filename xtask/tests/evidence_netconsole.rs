//! What a real arm64 kernel (7.3.4, lockdep) sent over netconsole on the virtual board, from its first message to a crash: with a warning on
//! purpose (lkdtm), and five messages that nobody received.

use kernel_log::finder;
use kernel_log::kind::Kind;
use kernel_log::netconsole::receive;
use kernel_log::reader;
use std::path::Path;
use xtask::capture::index;

#[test]
fn a_real_boot_is_put_together_and_what_is_lost_is_told() {
    let packets =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netconsole/virtual-7.3.4-lockdep.packets");
    let stamps = index::read(&std::fs::read(index::path_of(&packets)).unwrap());
    let packets = std::fs::read(packets).unwrap();
    let pieces = index::pieces(&packets, &stamps);
    let received = receive(pieces.iter().copied());
    assert_eq!(received.times.len(), pieces.len());
    assert_eq!(received.lost, [(300, 304)]);
    assert_eq!((received.boots, received.foreign), (1, 0));
    assert!(received.torn.is_empty(), "{:?}", received.torn);
    assert_eq!(
        pieces.len(),
        346,
        "a packet for each message: 0 to 350 without five"
    );

    let log = reader::read(&received.log);
    assert!(log.records[0].text.starts_with("Booting Linux on physical CPU"));
    let findings = finder::find(&log, "netconsole");
    let titles: Vec<(&str, Kind)> = findings
        .iter()
        .filter(|finding| finding.kind != Kind::Message)
        .map(|finding| (finding.title.as_str(), finding.kind))
        .collect();
    assert_eq!(
        titles,
        [
            ("WARNING in lkdtm_WARNING_MESSAGE", Kind::Warning),
            // A crash on purpose makes the file systems read-only, and journald writes on.
            ("WARNING in ext4_journal_check_start", Kind::Warning),
        ]
    );
}
