//! The recorder of netconsole's datagrams, as a process of its own: each is kept apart with its time, and the lost ones are told.

use crate::recorded_line;

use recorded_line::{LIMIT, Line, wait};
use std::process::Command;
use xtask::capture::control::Writer;
use xtask::capture::index;
use xtask::capture::source::Source;

#[test]
fn datagrams_of_netconsole_are_recorded_apart_and_the_lost_ones_told() {
    let line = Line::new();
    let recorder = line.recorder();
    // A port that is free now.
    let address = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let board = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let source = Source::Udp {
        at: address,
        from: board.local_addr().unwrap().ip(),
    };
    recorder.ensure(&source, None).unwrap();
    recorder.wait_connected(LIMIT).unwrap();
    // The whole of 127.0.0.0/8 is this machine's (RFC 1122, section 3.2.1.3).
    let neighbour = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    for forged in [&b"4,12,2,-;BUG: forged\n"[..], b"6,13,2,-,ncfrag=0/9;forged"] {
        neighbour.send_to(forged, address).unwrap();
    }
    let packets = [
        &b"6,10,1,-;one\n"[..],
        b"6,11,2,-,ncfrag=0/8;four",
        b"6,11,2,-,ncfrag=4/8;teen",
        b"6,14,3,-;last\n",
    ];
    for packet in packets {
        board.send_to(packet, address).unwrap();
    }
    line.wait_for_log(b"last\n");
    let stamps = index::read(&std::fs::read(recorder.index()).unwrap());
    let log = line.log();
    let pieces = index::pieces(&log, &stamps);
    assert!(
        pieces.iter().map(|(_, piece)| piece).eq(&packets),
        "nobody else is heard: {pieces:?}"
    );
    wait("the dropped ones to be counted", || {
        let stamps = index::read(&std::fs::read(recorder.index()).unwrap());
        stamps.iter().filter_map(index::Stamp::dropped).sum::<u64>() == 2
    });
    assert!(pieces.is_sorted_by_key(|(came, _)| *came), "{pieces:?}");
    let received = kernel_log::netconsole::receive(pieces);
    assert_eq!(
        String::from_utf8_lossy(&received.log),
        "6,10,1,-;one\n6,11,2,-;fourteen\n6,14,3,-;last\n"
    );
    assert_eq!(received.lost, [(12, 13)]);
    assert!(recorder.write(b"x", Writer::Person).is_err());
}

/// UDP over IPv4 in an Ethernet frame, as the kernel's netconsole makes it.
fn frame(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = |header: usize| u16::try_from(payload.len() + header).unwrap().to_be_bytes();
    let mut frame = vec![
        0x52, 0x54, 0, 0x6c, 0x6f, 0x68, 0x52, 0x54, 0, 0x6c, 0x6f, 0x67, 8, 0,
    ];
    frame.extend([0x45, 0]);
    frame.extend(length(28));
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(6665u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend(length(8));
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

#[test]
fn frames_of_a_virtual_machine_are_opened_and_nobody_elses_are_heard() {
    let line = Line::new();
    let recorder = line.recorder();
    let machine = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let somebody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let source = Source::Frames {
        at: at.to_string(),
        from: machine.local_addr().unwrap().to_string(),
        port: 6666,
    };
    // It ends with what stands for the machine's process.
    let mut qemu = Command::new("sleep").arg("60").spawn().unwrap();
    let until = xtask::host::identity::Identity::of(qemu.id()).unwrap();
    recorder.ensure(&source, Some(&until)).unwrap();
    recorder.wait_connected(LIMIT).unwrap();
    somebody.send_to(&frame(6666, b"6,1,1,-;forged\n"), at).unwrap();
    for packet in [
        frame(6666, b"6,10,1,-;one\n"),
        frame(137, b"6,11,1,-;another port\n"),
        vec![0xff; 42],
        frame(6666, b"6,12,3,-;last\n"),
    ] {
        machine.send_to(&packet, at).unwrap();
    }
    line.wait_for_log(b"last\n");
    let stamps = index::read(&std::fs::read(recorder.index()).unwrap());
    let log = line.log();
    let pieces = index::pieces(&log, &stamps);
    let packets = [&b"6,10,1,-;one\n"[..], b"6,12,3,-;last\n"];
    assert!(pieces.iter().map(|(_, piece)| piece).eq(&packets), "{pieces:?}");
    qemu.kill().unwrap();
    qemu.wait().unwrap();
    wait("the recorder to end", || recorder.running().is_none());
}
