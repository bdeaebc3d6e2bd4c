//! What came over netconsole against what the same kernel says in `/dev/kmsg`. Datagrams can be forged by whoever shares the network; the answer of
//! the board over ssh cannot. Each message has a number that is its own in a boot, so a number that `/dev/kmsg` gives to other words was not said.

use super::kmsg;
use super::netconsole::Received;
use std::collections::BTreeMap;

/// Takes the messages out of `received` whose number `/dev/kmsg` has with another time or other words, and gives them, in its form. They are
/// another machine's or another boot's. What `/dev/kmsg` does not reach, as the way down, stays, and nothing is known of it.
pub fn set_aside(received: &mut Received, kmsg: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(kmsg);
    let said: BTreeMap<u64, (u64, &str)> = text
        .lines()
        .filter_map(kmsg::parse)
        .map(|line| (line.seq, (line.time, line.text)))
        .collect();
    let log = std::mem::take(&mut received.log);
    let times = std::mem::take(&mut received.times);
    let ends = times.iter().skip(1).map(|(start, _)| *start).chain([log.len()]);
    let mut aside = Vec::new();
    for ((start, came), end) in times.iter().zip(ends) {
        let message = log.get(*start..end).unwrap_or_default();
        if is_contradicted(message, &said) {
            aside.extend_from_slice(message);
        } else {
            received.times.push((received.log.len(), *came));
            received.log.extend_from_slice(message);
        }
    }
    aside
}

fn is_contradicted(message: &[u8], said: &BTreeMap<u64, (u64, &str)>) -> bool {
    let first = message.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    kmsg::parse(&first).is_some_and(|line| {
        said.get(&line.seq)
            .is_some_and(|(time, text)| *time != line.time || text.trim_end() != line.text.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::super::netconsole::receive;
    use super::*;

    const KMSG: &[u8] = b"6,0,0,-;Booting Linux\n6,1,10,-,caller=T1;a \\x41\n SUBSYSTEM=pci\n4,2,20,-;b\n";

    fn check(packets: &[&str], kept: &str, aside: &str) {
        let packets = packets.iter().map(|packet| packet.as_bytes());
        let mut received = receive((1..).zip(packets));
        let set_aside = set_aside(&mut received, KMSG);
        assert_eq!(String::from_utf8_lossy(&received.log), kept);
        assert_eq!(String::from_utf8_lossy(&set_aside), aside);
        let starts: Vec<usize> = received.times.iter().map(|(start, _)| *start).collect();
        let lines = kept.match_indices('\n').map(|(at, _)| at + 1);
        let firsts: Vec<usize> = std::iter::once(0)
            .chain(lines)
            .filter(|at| kept.as_bytes().get(*at).is_some_and(u8::is_ascii_digit))
            .collect();
        assert_eq!(starts, firsts);
    }

    #[test]
    fn what_the_kernel_did_not_say_is_set_aside() {
        let splat = "4,1,10,-;WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";
        check(
            &["6,0,0,-;Booting Linux\n", splat, "4,2,20,-,caller=C0;b\n"],
            "6,0,0,-;Booting Linux\n4,2,20,-,caller=C0;b\n",
            splat,
        );
        // The right words at another time are another boot's.
        check(&["4,2,21,-;b\n"], "", "4,2,21,-;b\n");
    }

    #[test]
    fn what_it_did_say_and_what_came_behind_the_reading_stays() {
        let down = "6,3,30,-;reboot: Restarting system\n";
        let all = ["6,1,10,-;a \\x41\n SUBSYSTEM=pci\n", "4,2,20,-;b\n", down];
        check(&all, &all.concat(), "");
        check(&[], "", "");
    }
}
