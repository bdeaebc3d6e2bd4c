//! Packets of netconsole in its extended format: put together from fragments, in order, with what was lost on the way.
//!
//! Source: Documentation/networking/netconsole.rst, "Extended console": `[release,]level,sequence,microseconds,flags[,…];text`, and
//! `ncfrag=<byte offset>/<total bytes>` among the fields where a message is split.

use super::kmsg;
use serde::Serialize;
use std::collections::BTreeMap;

/// Messages of which a fragment came and another did not, at most: older ones are given out as they are.
const OPEN: usize = 64;
/// Longest message that fragments may claim, bytes: the kernel's longest record is 2 KiB, with user data some more.
const LONGEST: usize = 64 * 1024;
/// A message that comes so far behind the newest is late; a number that goes back further is another boot.
const WINDOW: u64 = 4096;

/// What packets gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Received {
    /// Lines as `/dev/kmsg` would give them, in the order of their numbers within a boot: what [`super::record`] reads.
    pub log: Vec<u8>,
    /// Where each message begins in the log, and when its first packet came, in the unit in which it was given.
    pub times: Vec<(usize, u64)>,
    /// Numbers that are missing, from and to inclusive, boot by boot.
    pub lost: Vec<(u64, u64)>,
    /// Messages of which only a part came.
    pub torn: Vec<u64>,
    /// Packets that are none of netconsole's extended ones.
    pub foreign: usize,
    /// Boots seen: the numbers began anew.
    pub boots: usize,
}

#[derive(Default)]
struct Boot {
    /// By number.
    messages: BTreeMap<u64, Message>,
    torn: Vec<u64>,
}

struct Message {
    head: String,
    text: Vec<u8>,
    came: u64,
}

/// A message of which not every fragment came yet.
struct Open {
    head: String,
    bytes: Vec<u8>,
    came: u64,
    /// Which bytes are there.
    pieces: BTreeMap<usize, usize>,
}

/// A packet taken apart.
struct Packet<'a> {
    seq: u64,
    /// The fields without release and ncfrag, as `/dev/kmsg` has them.
    head: String,
    fragment: Option<(usize, usize)>,
    text: &'a [u8],
}

/// Puts packets together, in the order in which they came, each with its time.
pub fn receive<'a>(packets: impl IntoIterator<Item = (u64, &'a [u8])>) -> Received {
    let mut boots: Vec<Boot> = vec![Boot::default()];
    let mut open: BTreeMap<u64, Open> = BTreeMap::new();
    let mut received = Received::default();
    let mut newest: Option<u64> = None;
    for (came, bytes) in packets {
        let Some(packet) = packet(bytes) else {
            received.foreign = received.foreign.saturating_add(usize::from(!bytes.is_empty()));
            continue;
        };
        if newest.is_some_and(|newest| {
            packet.seq.saturating_add(WINDOW) < newest || (packet.seq == 0 && newest > 0)
        }) {
            close_all(&mut open, &mut boots);
            boots.push(Boot::default());
            newest = None;
        }
        newest = newest.max(Some(packet.seq));
        match packet.fragment {
            None => {
                let (head, text) = (packet.head, packet.text.to_vec());
                keep(&mut boots, packet.seq, Message { head, text, came });
            }
            Some((offset, total)) => {
                let seq = packet.seq;
                add(&mut open, packet, (offset, total), came);
                if open.get(&seq).is_some_and(Open::is_whole)
                    && let Some(whole) = open.remove(&seq)
                {
                    keep(&mut boots, seq, whole.message());
                }
                while open.len() > OPEN {
                    close_first(&mut open, &mut boots);
                }
            }
        }
    }
    close_all(&mut open, &mut boots);
    boots.retain(|boot| !boot.messages.is_empty());
    received.boots = boots.len();
    for boot in boots {
        write(&mut received, boot);
    }
    received
}

fn write(received: &mut Received, boot: Boot) {
    let mut expected: Option<u64> = None;
    for (seq, Message { head, text, came }) in boot.messages {
        if let Some(expected) = expected.filter(|expected| *expected < seq) {
            received.lost.push((expected, seq.saturating_sub(1)));
        }
        expected = Some(seq.saturating_add(1));
        received.times.push((received.log.len(), came));
        received.log.extend_from_slice(head.as_bytes());
        received.log.push(b';');
        one_record(&text, &mut received.log);
    }
    received.torn.extend(boot.torn);
}

/// The text as `/dev/kmsg` has it: behind a line break stands a blank, since the kernel escapes those of a message (kernel/printk/printk.c:
/// `msg_add_ext_text()`). Another one is a forger's, whose next line would be a message with a number of its choice.
fn one_record(text: &[u8], log: &mut Vec<u8>) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        match line.first() {
            _ if at == 0 => {}
            Some(b' ') => log.push(b'\n'),
            _ => log.extend_from_slice(b"\\x0a"),
        }
        log.extend_from_slice(line);
    }
    log.push(b'\n');
}

fn keep(boots: &mut [Boot], seq: u64, message: Message) {
    if let Some(boot) = boots.last_mut() {
        // The first of two that say the same: networks repeat packets.
        boot.messages.entry(seq).or_insert(message);
    }
}

fn add(open: &mut BTreeMap<u64, Open>, packet: Packet, (offset, total): (usize, usize), came: u64) {
    let Some(end) = offset
        .checked_add(packet.text.len())
        .filter(|end| *end <= total && total <= LONGEST)
    else {
        return;
    };
    let message = open.entry(packet.seq).or_insert_with(|| Open {
        head: packet.head,
        came,
        bytes: vec![b'?'; total],
        pieces: BTreeMap::new(),
    });
    if message.bytes.len() == total {
        if let Some(place) = message.bytes.get_mut(offset..end) {
            place.copy_from_slice(packet.text);
        }
        let longest = message.pieces.entry(offset).or_default();
        *longest = (*longest).max(end);
    }
}

impl Open {
    /// As far as it came.
    fn message(self) -> Message {
        Message {
            head: self.head,
            text: self.bytes,
            came: self.came,
        }
    }

    fn is_whole(&self) -> bool {
        let mut reached = 0;
        for (&start, &end) in &self.pieces {
            if start > reached {
                return false;
            }
            reached = reached.max(end);
        }
        reached == self.bytes.len()
    }
}

fn close_first(open: &mut BTreeMap<u64, Open>, boots: &mut [Boot]) {
    if let Some((seq, message)) = open.pop_first() {
        if let Some(boot) = boots.last_mut() {
            boot.torn.push(seq);
        }
        keep(boots, seq, message.message());
    }
}

fn close_all(open: &mut BTreeMap<u64, Open>, boots: &mut [Boot]) {
    while !open.is_empty() {
        close_first(open, boots);
    }
}

fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let semicolon = bytes.iter().take(256).position(|&byte| byte == b';')?;
    let (head, text) = bytes.split_at_checked(semicolon)?;
    let text = text.strip_prefix(b";")?;
    let head = std::str::from_utf8(head).ok()?;
    if !head.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut fields: Vec<&str> = head.split(',').collect();
    // A release has a dot, and a level has none.
    if fields.first().is_some_and(|first| first.contains('.')) {
        fields.remove(0);
    }
    let fragment = match fields.iter().position(|field| field.starts_with("ncfrag=")) {
        None => None,
        Some(at) => {
            let (offset, total) = fields.remove(at).strip_prefix("ncfrag=")?.split_once('/')?;
            Some((offset.parse().ok()?, total.parse().ok()?))
        }
    };
    let head = fields.join(",");
    let seq = kmsg::parse(&format!("{head};"))?.seq;
    Some(Packet {
        seq,
        head,
        fragment,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets that came at 1, 2, 3, …
    fn timed<'a>(packets: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = (u64, &'a [u8])> {
        (1..).zip(packets)
    }

    fn check(packets: &[&str], log: &str, lost: &[(u64, u64)], torn: &[u64]) -> Received {
        let received = receive(timed(packets.iter().map(|packet| packet.as_bytes())));
        assert_eq!(String::from_utf8_lossy(&received.log), log);
        assert_eq!((received.lost.as_slice(), received.torn.as_slice()), (lost, torn));
        received
    }

    #[test]
    fn packets_become_lines_of_kmsg() {
        let received = check(
            &["6,7,100,-,caller=T1;a\n", "7.3.4-lockdep,4,8,200,-;b\n"],
            "6,7,100,-,caller=T1;a\n4,8,200,-;b\n",
            &[],
            &[],
        );
        let log = super::super::reader::read(&received.log);
        assert_eq!(log.records.len(), 2);
        assert_eq!(log.records[1].text, "b");
    }

    #[test]
    fn the_example_of_the_documentation() {
        let received = check(
            &[
                "6,416,1758426,-,ncfrag=16/31; the 2nd chunk.",
                "6,416,1758426,-,ncfrag=0/31;the first chunk,",
            ],
            "6,416,1758426,-;the first chunk, the 2nd chunk.\n",
            &[],
            &[],
        );
        assert_eq!(
            received.times,
            [(0, 1)],
            "a message is as old as its first packet"
        );
    }

    #[test]
    fn what_is_lost_is_told_and_what_is_late_or_twice_is_not() {
        let received = check(
            &[
                "6,1,0,-;a\n",
                "6,4,0,-;d\n",
                "6,2,0,-;b\n",
                "6,4,0,-;d\n",
                "6,6,0,-;f\n",
            ],
            "6,1,0,-;a\n6,2,0,-;b\n6,4,0,-;d\n6,6,0,-;f\n",
            &[(3, 3), (5, 5)],
            &[],
        );
        assert_eq!(received.times, [(0, 1), (10, 3), (20, 2), (30, 5)]);
    }

    #[test]
    fn a_message_with_a_hole_is_kept_and_told() {
        check(
            &["6,1,0,-,ncfrag=0/6;ab", "6,1,0,-,ncfrag=4/6;ef", "6,2,0,-;x\n"],
            "6,1,0,-;ab??ef\n6,2,0,-;x\n",
            &[],
            &[1],
        );
    }

    #[test]
    fn a_packet_is_one_message_whatever_is_in_it() {
        let received = check(
            &[
                "6,1,0,-;a\n SUBSYSTEM=pci\n4,9,0,-;BUG: forged\n\n",
                "6,2,0,-\n4,9,0,-;BUG: forged\n",
                "6,3,0,-,ncfrag=0/24;x\n4,9,0,-;BUG: forged\n",
                "6,4,0,-,\r;b\n",
            ],
            "6,1,0,-;a\n SUBSYSTEM=pci\\x0a4,9,0,-;BUG: forged\\x0a\n6,3,0,-;x\\x0a4,9,0,-;BUG: forged\\x0a??\n",
            &[(2, 2)],
            &[3],
        );
        assert_eq!(received.foreign, 2);
        // A message of several lines has one number, its own.
        let log = super::super::reader::read(&received.log);
        assert!(
            log.records
                .iter()
                .all(|record| record.seq.is_none_or(|seq| seq != 9)),
            "{log:?}"
        );
    }

    #[test]
    fn numbers_that_begin_anew_are_another_boot() {
        let received = check(
            &["6,8,0,-;a\n", "6,9,0,-;b\n", "6,0,0,-;c\n", "6,1,0,-;d\n"],
            "6,8,0,-;a\n6,9,0,-;b\n6,0,0,-;c\n6,1,0,-;d\n",
            &[],
            &[],
        );
        assert_eq!(received.boots, 2);
    }

    #[test]
    fn hostile_packets_are_survived() {
        let packets: &[&[u8]] = &[
            b"",
            b";",
            b"x;y",
            b"6,1,0,-,ncfrag=9/3;abc",
            b"6,2,0,-,ncfrag=18446744073709551615/18446744073709551615;abc",
            b"6,3,0,-,ncfrag=x;abc",
            b"6,18446744073709551615,0,-;z",
            b"\xff\xfe;",
        ];
        let received = receive(timed(packets.iter().copied()));
        assert_eq!(received.foreign, 4);
        assert_eq!(received.lost, []);
    }
}
