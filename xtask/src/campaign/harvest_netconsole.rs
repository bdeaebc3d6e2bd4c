//! What netconsole sent of one boot: the packets as they came, the log that they make, and what was lost on the way.

use super::harvest::{Harvest, Source};
use crate::board::Board;
use crate::board::boot::{Capture, Permit};
use crate::board::netconsole::{self, Armed};
use crate::capture::client::Recorder;
use crate::capture::index::{self, Stamp};
use crate::host::files;
use crate::ui::count;
use anyhow::Result;
use kernel_log::contradicted;
use kernel_log::netconsole::{Received, receive};
use std::path::Path;

/// Name of the file with the packets, one behind the other; where each begins is in the index beside it.
pub const PACKETS: &str = "netconsole.packets";
/// Name of the file with the log that they make, as [`Harvest::keep`] names it.
const LOG: &str = "netconsole.log";
/// Name of the file with the messages that `/dev/kmsg` contradicts.
const ASIDE: &str = "netconsole.contradicted";
/// How many ranges of lost messages are named.
const NAMED: usize = 4;

/// Sets netconsole up in the kernel that runs, where the board's file asks for it; what came of that is in `facts`. It is one more source: a
/// kernel that cannot is told, and no failure. Nothing outlives the boot.
pub fn arm(board: &dyn Board, facts: &mut Vec<String>) -> Option<Armed> {
    let wire = board.netconsole().filter(|_| board.description().netconsole)?;
    match netconsole::arm(board, &wire) {
        Ok(armed) => Some(armed),
        Err(error) => {
            facts.push(format!("netconsole: not captured: {error:#}"));
            None
        }
    }
}

/// Whether nothing else captures this board: a boot without it proves nothing then (invariants 9 and 16).
pub fn is_all(permit: Permit) -> bool {
    matches!(permit.capture, Capture::Proven(capture) if capture.netconsole_alone())
}

/// Adds what came since it was set up, down to the end of that kernel. Files are in `folder` before anything reads them. Gives a fact for
/// the report.
pub fn take(armed: &Armed, harvest: &mut Harvest, folder: &Path) -> Result<String> {
    let Kept {
        mut received,
        dropped,
    } = keep(&armed.recorder, armed.from, folder)?;
    let mut fact = sentence(&received, armed);
    if dropped > 0 {
        let packets = count(usize::try_from(dropped).unwrap_or(usize::MAX), "packet");
        fact.push_str(&format!(", dropped as another sender's: {packets}"));
    }
    let aside = contradicted::set_aside(&mut received, harvest.log(Source::Kmsg).unwrap_or_default());
    if !aside.is_empty() {
        files::write_atomic(&folder.join(ASIDE), &aside)?;
        let messages = count(messages_of(&aside), "message");
        fact.push_str(&format!(
            ", set aside, since /dev/kmsg has other words under their numbers (another machine's, or another boot's): {messages} in {ASIDE}"
        ));
    }
    keep_times(&received, folder)?;
    harvest.keep(Source::Netconsole, received.log, folder)?;
    Ok(fact)
}

/// Keeps the end of everything that ever came, of any boot, in `folder`; nothing where nothing came.
pub fn take_end(recorder: &Recorder, longest: u64, folder: &Path) -> Result<()> {
    let length = std::fs::metadata(recorder.log()).map_or(0, |log| log.len());
    if length == 0 {
        return Ok(());
    }
    let received = keep(recorder, length.saturating_sub(longest), folder)?.received;
    keep_times(&received, folder)?;
    files::write_atomic(&folder.join(LOG), &received.log)
}

/// Keeps when each message of the log came.
fn keep_times(received: &Received, folder: &Path) -> Result<()> {
    let line = |&(offset, nanoseconds): &(usize, u64)| {
        let stamp = Stamp {
            offset: offset as u64,
            nanoseconds,
            event: None,
        };
        stamp.line()
    };
    let times: String = received.times.iter().map(line).collect();
    files::write_atomic(&index::path_of(&folder.join(LOG)), times.as_bytes())
}

/// Keeps the packets from an offset of the recorder's log on, with their times, and puts them together.
fn keep(recorder: &Recorder, from: u64, folder: &Path) -> Result<Kept> {
    let packets = recorder.since(from)?;
    // Read behind the packets: what is not in them yet is cut off.
    let end = from.saturating_add(packets.len() as u64);
    let part = index::part_of(&recorder.log(), from, end)?;
    let file = folder.join(PACKETS);
    files::write_atomic(&file, &packets)?;
    files::write_atomic(&index::path_of(&file), part.as_bytes())?;
    let stamps = index::read(part.as_bytes());
    Ok(Kept {
        dropped: stamps
            .iter()
            .filter_map(Stamp::dropped)
            .fold(0, u64::saturating_add),
        received: receive(index::pieces(&packets, &stamps)),
    })
}

/// What came, and how many packets of other senders did not.
struct Kept {
    received: Received,
    dropped: u64,
}

/// What begins with a blank belongs to the message before (Documentation/ABI/testing/dev-kmsg).
fn messages_of(log: &[u8]) -> usize {
    log.split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !line.starts_with(b" "))
        .count()
}

fn sentence(received: &Received, armed: &Armed) -> String {
    let messages = messages_of(&received.log);
    let mut sentence = format!(
        "netconsole: {} over {}",
        count(messages, "message"),
        armed.path.device
    );
    let lost: u64 = received
        .lost
        .iter()
        .map(|(from, to)| to.saturating_sub(*from).saturating_add(1))
        .fold(0, u64::saturating_add);
    if lost == 0 {
        sentence.push_str(", none was lost");
    } else {
        let named: Vec<String> = received
            .lost
            .iter()
            .take(NAMED)
            .map(|(from, to)| match from == to {
                true => format!("{from}"),
                false => format!("{from} to {to}"),
            })
            .collect();
        let more = if received.lost.len() > NAMED {
            " and more"
        } else {
            ""
        };
        let doubt = match armed.everything {
            true => "",
            false => " or below the console's level",
        };
        sentence.push_str(&format!(
            ", lost on the way{doubt}: {} (numbered {}{more})",
            count(usize::try_from(lost).unwrap_or(usize::MAX), "message"),
            named.join(", ")
        ));
    }
    if !received.torn.is_empty() {
        sentence.push_str(&format!(", {} came only in part", received.torn.len()));
    }
    if received.foreign > 0 {
        sentence.push_str(&format!(", not its own: {}", count(received.foreign, "packet")));
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::netconsole::{Path as Wired, Way};
    use crate::campaign::harvest;
    use kernel_log::finding::Finding;
    use kernel_log::wall::Wall;
    use std::net::Ipv4Addr;

    /// What a receiver wrote down: another boot's packet, then these.
    fn armed(folder: &Path, packets: &[&str], everything: bool) -> Armed {
        let recorder = Recorder::at(folder);
        let mut log = "6,900,0,-;of another boot\n".to_string();
        let from = log.len() as u64;
        let mut times = String::new();
        let mut stamp = |offset: usize| {
            let offset = offset as u64;
            let stamp = Stamp {
                offset,
                nanoseconds: offset * 1000,
                event: None,
            };
            times.push_str(&stamp.line());
        };
        stamp(0);
        for packet in packets {
            stamp(log.len());
            log.push_str(packet);
        }
        std::fs::write(recorder.log(), log).unwrap();
        std::fs::write(recorder.index(), times).unwrap();
        Armed {
            way: Way::Configfs,
            path: Wired {
                device: "eth1".into(),
                from: Ipv4Addr::LOCALHOST,
                to: Ipv4Addr::LOCALHOST,
                port: 6666,
                mac: "aa:bb:cc:dd:ee:ff".into(),
            },
            everything,
            recorder,
            from,
        }
    }

    const SPLAT: &str = "4,12,9,-;WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";

    /// What the harvest found.
    fn check(packets: &[&str], everything: bool, fact: &str) -> Vec<Finding> {
        let (receiver, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut harvest = Harvest::default();
        let armed = armed(receiver.path(), packets, everything);
        assert_eq!(take(&armed, &mut harvest, folder.path()).unwrap(), fact);
        let kept = std::fs::read_to_string(folder.path().join(PACKETS)).unwrap();
        assert_eq!(kept, packets.concat());
        harvest.findings()
    }

    #[test]
    fn a_splat_that_came_over_the_network_is_found() {
        let findings = check(
            &["6,11,1,-;a\n", SPLAT],
            true,
            "netconsole: 2 messages over eth1, none was lost",
        );
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].source, "netconsole");
        // The stamps of `armed` count bytes: the packet before it, and another boot's.
        let came = Wall::of_host("6,900,0,-;of another boot\n6,11,1,-;a\n".len() as u64 * 1000);
        assert_eq!(findings[0].wall, Some(came));
    }

    #[test]
    fn a_forged_splat_fails_nothing_where_the_kernel_said_something_else() {
        let (receiver, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let armed = armed(receiver.path(), &["6,11,1,-;a\n", SPLAT], true);
        let index = armed.recorder.index();
        let mut times = std::fs::read_to_string(&index).unwrap();
        let end = std::fs::metadata(armed.recorder.log()).unwrap().len();
        times.push_str(&format!("{end} 9 {}\n", index::dropped(3)));
        std::fs::write(&index, times).unwrap();
        let mut harvest = Harvest::default();
        let kmsg = b"6,11,1,-;a\n6,12,9,-;b\n".to_vec();
        harvest.keep(Source::Kmsg, kmsg, folder.path()).unwrap();
        let fact = take(&armed, &mut harvest, folder.path()).unwrap();
        assert!(
            fact.contains("dropped as another sender's: 3 packets")
                && fact.contains("numbers (another machine's, or another boot's): 1 message in"),
            "{fact}"
        );
        assert_eq!(harvest.findings(), []);
        let aside = std::fs::read_to_string(folder.path().join(ASIDE)).unwrap();
        assert_eq!(aside, SPLAT, "it is kept for a person");
        // What /dev/kmsg does not reach is a finding, and says whose word it is.
        let found = check(&[SPLAT], true, "netconsole: 1 message over eth1, none was lost");
        assert_eq!(harvest::shown(&found[0].source), "netconsole (not authenticated)");
    }

    #[test]
    fn what_was_lost_is_told() {
        check(
            &["6,8,1,-;a\n", SPLAT, "6,14,1,-,ncfrag=0/6;abc"],
            true,
            "netconsole: 3 messages over eth1, lost on the way: 4 messages (numbered 9 to 11, 13), 1 came only in part",
        );
        check(
            &["6,10,1,-;a\n", SPLAT, "knock"],
            false,
            "netconsole: 2 messages over eth1, lost on the way or below the console's level: 1 message (numbered 11), not its own: 1 packet",
        );
    }
}
