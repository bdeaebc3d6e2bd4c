//! What a datagram says inside an Ethernet frame: the payload of UDP over IPv4, which netconsole sends.
//!
//! Sources: Ethernet II as Linux counts its header (include/uapi/linux/if_ether.h), RFC 791 (IPv4), RFC 768 (UDP). Checksums are not
//! looked at: a frame from a machine on this host has passed no wire.

/// Length of two addresses and the kind (`ETH_HLEN`).
const ETHERNET: usize = 14;
/// Kind of IPv4 (`ETH_P_IP`).
const IPV4: [u8; 2] = [0x08, 0x00];
/// Protocol number of UDP (RFC 768).
const UDP: u8 = 17;
/// Length of UDP's header.
const UDP_HEADER: usize = 8;

/// The payload of a frame, and the port that it is for. `None`: it is no whole UDP datagram over IPv4 (ARP, another protocol, a fragment,
/// cut).
pub fn udp(frame: &[u8]) -> Option<(u16, &[u8])> {
    let kind = frame.get(12..ETHERNET)?;
    let packet = frame.get(ETHERNET..)?;
    let first = *packet.first()?;
    let header = usize::from(first & 0xf) * 4;
    if kind != IPV4 || first >> 4 != 4 || header < 20 || *packet.get(9)? != UDP {
        return None;
    }
    // The flag "more fragments", and the offset of one that is not the first.
    if u16_at(packet, 6)? & 0x3fff != 0 {
        return None;
    }
    // A frame of less than 60 bytes is filled up: only the lengths say where the payload ends.
    let packet = packet.get(..usize::from(u16_at(packet, 2)?))?;
    let datagram = packet.get(header..)?;
    let length = usize::from(u16_at(datagram, 4)?);
    Some((u16_at(datagram, 2)?, datagram.get(UDP_HEADER..length)?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as netpoll makes it (drivers/net/netconsole.c: `push_udp()`, `push_ipv4()`, `push_eth()`).
    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x52, 0x55, 10, 0, 9, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x57, 8, 0];
        let length = |header: usize| ((payload.len() + header) as u16).to_be_bytes();
        frame.extend([0x45, 0]);
        frame.extend(length(28));
        frame.extend([0, 1, 0, 0, 64, UDP, 0, 0, 10, 0, 9, 1, 10, 0, 9, 2]);
        frame.extend([0x1a, 0x09, 0x1a, 0x0a]);
        frame.extend(length(8));
        frame.extend([0, 0]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn a_datagram_is_found_and_its_filling_is_none_of_it() {
        let mut bytes = frame(b"6,1,2,-;a\n");
        bytes.resize(60, 0);
        assert_eq!(udp(&bytes), Some((6666, &b"6,1,2,-;a\n"[..])));
        assert_eq!(udp(&frame(b"")), Some((6666, &b""[..])));
    }

    #[test]
    fn what_is_no_whole_datagram_is_none() {
        let check = |at: usize, byte: u8| {
            let mut bytes = frame(b"text");
            bytes[at] = byte;
            assert_eq!(udp(&bytes), None, "byte {at} is {byte}");
        };
        check(13, 6); // ARP
        check(14, 0x65); // IPv6
        check(14, 0x44); // a header shorter than any
        check(14, 0x4f); // a header longer than the packet
        check(17, 200); // longer than the frame
        check(17, 4); // shorter than its own header
        check(20, 0x20); // the first of several fragments
        check(21, 1); // another fragment
        check(23, 6); // TCP
        check(39, 7); // a datagram shorter than its header
        check(39, 200); // a datagram longer than its packet
        let whole = frame(b"text");
        for cut in 0..whole.len() {
            assert_eq!(udp(&whole[..cut]), None, "{cut} bytes");
        }
    }
}
