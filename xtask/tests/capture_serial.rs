//! The recorder as a process of its own, on a pty, on TCP, behind RFC 2217, on a program: what comes is in the log whatever dies, and
//! nothing is written that invariant 8 forbids.

use crate::recorded_line;

use recorded_line::{LIMIT, Line, wait};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Command;
use xtask::board::file::BoardFile;
use xtask::board::ssh_board::SshBoard;
use xtask::board::{Board as _, SerialLine};
use xtask::capture::client::{Found, Recorder};
use xtask::capture::control::Writer;
use xtask::capture::index;
use xtask::capture::source::Source;

const KERNEL: &[u8] = b"[    0.000000] Linux version 7.3.4 (x)\r\n";

/// A tty of this host with the board's end in our hand.
fn pty() -> (File, std::path::PathBuf, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&board).unwrap();
    unlockpt(&board).unwrap();
    let name = ptsname(&board, Vec::new()).unwrap().into_string().unwrap();
    // Without an open end the board's end reads as hung up.
    let keep = rustix::pty::ioctl_tiocgptpeer(&board, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    (File::from(board), name.into(), keep)
}

/// A terminal server on loopback.
fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn read_exactly(stream: &mut impl Read, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_tty_is_recorded_with_times_and_written_by_the_rule_alone() {
    let (mut board, device, _keep) = pty();
    let line = Line::new();
    let source = Source::Device {
        device,
        speed: 1_500_000,
    };
    let recorder = line.recorder();
    assert_eq!(recorder.ensure(&source, None).unwrap(), Found::Started);
    recorder.wait_connected(LIMIT).unwrap();
    assert_eq!(recorder.ensure(&source, None).unwrap(), Found::Running);

    // Raw: no byte is changed, and what comes is not echoed to the board.
    let raw: Vec<u8> = (0..=255).collect();
    board.write_all(&raw).unwrap();
    line.wait_for_log(&raw);
    board
        .write_all(b"\r\nU-Boot 2023.01 (x)\r\nHit any key to stop autoboot: 2")
        .unwrap();
    line.wait_for_log(b"autoboot: 2");
    for by in [b"\r", b"1"] {
        let refused = recorder.write(by, Writer::Tool).unwrap_err().to_string();
        assert!(refused.contains("it showed `boot loader` last"), "{refused}");
    }
    assert!(recorder.send_break().is_err());
    board.write_all(b"\r\n").unwrap();
    board.write_all(KERNEL).unwrap();
    line.wait_for_log(KERNEL);
    recorder.write(b"w", Writer::Tool).unwrap();
    recorder.send_break().unwrap();
    // Nothing but that one byte ever went to the board (a pty has no BREAK to show).
    assert_eq!(read_exactly(&mut board, 1), b"w");
    rustix::io::ioctl_fionbio(&board, true).unwrap();
    let more = board.read(&mut [0; 16]).unwrap_err();
    assert_eq!(more.kind(), ErrorKind::WouldBlock);

    let events = line.events();
    for expected in [
        "reset: a boot loader began",
        "phase boot loader",
        "linux 7.3.4",
        "phase kernel",
        "wrote w",
        "break",
    ] {
        assert!(
            events.iter().any(|event| event == expected),
            "{expected} in {events:?}"
        );
    }
    let times = std::fs::read(recorder.index()).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let last = index::times_of(times.as_slice(), &[u64::MAX]).unwrap()[0].unwrap();
    assert!(now.as_nanos() as u64 - last < 60_000_000_000, "{last}");
}

#[test]
fn the_log_goes_on_when_the_tool_is_killed() {
    let (listener, address) = server();
    let line = Line::new();
    // A tool that starts the recorder and is killed with its whole process group, as a terminal that closes does.
    let starter = r#""$0" serial-record --folder "$1" --source "$2" </dev/null >/dev/null 2>&1 & sleep 600"#;
    let mut tool = Command::new("sh");
    tool.args(["-c", starter, env!("CARGO_BIN_EXE_lockstep")])
        .arg(line.folder.path())
        .arg(format!(r#"{{"tcp":"{address}"}}"#));
    std::os::unix::process::CommandExt::process_group(&mut tool, 0);
    let mut tool = tool.spawn().unwrap();
    let (mut board, _) = listener.accept().unwrap();
    let group = rustix::process::Pid::from_raw(tool.id() as i32).unwrap();
    wait("the recorder's own session", || line.recorder().status().is_ok());
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    tool.wait().unwrap();
    board.write_all(b"after the tool's death").unwrap();
    line.wait_for_log(b"after the tool's death");
    // The next tool finds it again.
    assert_eq!(
        line.recorder().ensure(&Source::Tcp(address), None).unwrap(),
        Found::Running
    );
}

#[test]
fn a_recorder_that_is_killed_is_replaced_and_the_log_is_gone_on_with() {
    let (listener, address) = server();
    let line = Line::new();
    let (recorder, source) = (line.recorder(), Source::Tcp(address));
    recorder.ensure(&source, None).unwrap();
    let (mut board, _) = listener.accept().unwrap();
    board.write_all(b"before ").unwrap();
    line.wait_for_log(b"before ");
    let first = recorder.running().unwrap().identity;
    let pid = rustix::process::Pid::from_raw(first.pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait("its end", || recorder.running().is_none());
    assert_eq!(recorder.ensure(&source, None).unwrap(), Found::Started);
    let (mut board, _) = listener.accept().unwrap();
    board.write_all(b"after").unwrap();
    line.wait_for_log(b"before after");
}

#[test]
fn a_lost_line_is_connected_again_and_what_it_showed_is_forgotten() {
    let (listener, address) = server();
    let line = Line::new();
    let recorder = line.recorder();
    recorder.ensure(&Source::Tcp(address), None).unwrap();
    let (mut board, _) = listener.accept().unwrap();
    board.write_all(KERNEL).unwrap();
    line.wait_for_log(KERNEL);
    assert_eq!(recorder.status().unwrap().phase, "kernel");
    drop(board);
    let (mut board, _) = listener.accept().unwrap();
    recorder.wait_connected(LIMIT).unwrap();
    assert_eq!(recorder.status().unwrap().phase, "unknown");
    assert!(recorder.write(b"x", Writer::Tool).is_err());
    board.write_all(b"back").unwrap();
    line.wait_for_log(b"back");
    assert!(line.events().iter().any(|event| event == "lost: it was closed"));
}

#[test]
fn bare_tcp_cannot_send_a_break_and_says_so() {
    let (listener, address) = server();
    let line = Line::new();
    line.recorder().ensure(&Source::Tcp(address), None).unwrap();
    let (mut board, _) = listener.accept().unwrap();
    board.write_all(KERNEL).unwrap();
    line.wait_for_log(KERNEL);
    let error = line.recorder().send_break().unwrap_err().to_string();
    assert!(
        error.contains("cannot send a BREAK") && error.contains("rfc2217"),
        "{error}"
    );
}

#[test]
fn rfc2217_sets_the_line_and_sends_a_break() {
    let (listener, address) = server();
    let line = Line::new();
    let recorder = line.recorder();
    recorder
        .ensure(
            &Source::Rfc2217 {
                address,
                speed: 115_200,
            },
            None,
        )
        .unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(
        read_exactly(&mut server, 12),
        [255, 251, 0, 255, 253, 0, 255, 253, 3, 255, 251, 44]
    );
    // It agrees to binary and the com port: speed, size, parity, stop bits, no flow control.
    server
        .write_all(&[255, 253, 0, 255, 251, 0, 255, 253, 44])
        .unwrap();
    let settings = read_exactly(&mut server, 10 + 4 * 7);
    assert_eq!(settings[..10], [255, 250, 44, 1, 0, 1, 0xc2, 0, 255, 240]);
    server
        .write_all(&[255, 250, 44, 101, 0, 1, 0xc2, 0, 255, 240])
        .unwrap();
    server.write_all(KERNEL).unwrap();
    server.write_all(&[b'a', 255, 255, b'\r', 0]).unwrap();
    line.wait_for_log(b"a\xff\r\0");
    recorder.send_break().unwrap();
    let sent = read_exactly(&mut server, 14);
    assert_eq!(sent, [255, 250, 44, 5, 5, 255, 240, 255, 250, 44, 5, 6, 255, 240]);
}

#[test]
fn a_program_is_a_line_in_both_directions() {
    let line = Line::new();
    let recorder = line.recorder();
    let words = ["sh", "-c", "printf '[    1.000000] up\\r\\n'; exec cat"]
        .map(String::from)
        .to_vec();
    recorder.ensure(&Source::Command(words), None).unwrap();
    line.wait_for_log(b"up\r\n");
    recorder.write(b"echoed", Writer::Tool).unwrap();
    line.wait_for_log(b"echoed");
}

/// QEMU's own kind of line; with a whole life of a board on it.
#[test]
fn a_socket_is_a_line_and_each_phase_is_marked() {
    let line = Line::new();
    let socket = line.folder.path().join("qemu.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let recorder = line.recorder();
    recorder.ensure(&Source::Socket(socket), None).unwrap();
    let (mut board, _) = listener.accept().unwrap();
    board.set_read_timeout(Some(LIMIT)).unwrap();
    board
        .write_all(b"\r\nU-Boot 2023.01 (x)\r\nHit any key to stop autoboot: 2\r\n")
        .unwrap();
    board.write_all(KERNEL).unwrap();
    line.wait_for_log(KERNEL);
    board
        .write_all(b"\r\nDebian GNU/Linux 12 board ttyAMA0\r\n\r\nboard login: ")
        .unwrap();
    line.wait_for_log(b"login: ");
    recorder.write(b"w", Writer::Tool).unwrap();
    assert_eq!(read_exactly(&mut board, 1), b"w");
    let error = recorder.send_break().unwrap_err().to_string();
    assert!(
        error.contains("kind `socket`") && error.contains("cannot send a BREAK"),
        "{error}"
    );
    board
        .write_all(b"\r\n[   99.000000] Kernel panic - not syncing: Fatal exception\r\n")
        .unwrap();
    // The reset in the middle.
    board.write_all(b"\r\nU-Boot 2023.01 (x)\r\n").unwrap();
    line.wait_for_log(b"U-Boot 2023.01 (x)\r\n");
    let expected = [
        "reset: a boot loader began",
        "phase boot loader",
        "linux 7.3.4",
        "phase kernel",
        "phase login",
        "panic: Kernel panic - not syncing: Fatal exception",
        "phase panicked",
        "reset: a boot loader began",
        "phase boot loader",
    ];
    wait("every event", || {
        let events = line.events();
        let mut events = events.iter();
        expected.iter().all(|word| events.any(|event| event == word))
    });
    let refused = recorder.write(b"w", Writer::Tool).unwrap_err().to_string();
    assert!(refused.contains("it showed `boot loader` last"), "{refused}");
}

#[test]
fn a_file_that_something_else_writes_gets_times_and_its_recorder_ends_with_it() {
    let line = Line::new();
    let log = line.folder.path().join("qemu.log");
    std::fs::write(&log, b"old\n").unwrap();
    let mut writer = Command::new("sleep")
        .arg("600")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = xtask::host::identity::Identity::of(writer.id()).unwrap();
    let recorder = Recorder::at(&line.folder.path().join("recorder"));
    recorder.ensure(&Source::File(log.clone()), Some(&until)).unwrap();
    File::options()
        .append(true)
        .open(&log)
        .unwrap()
        .write_all(KERNEL)
        .unwrap();
    wait("the kernel in its index", || {
        recorder.status().unwrap().phase == "kernel"
    });
    let whole = [b"old\n", KERNEL].concat();
    assert_eq!(std::fs::read(&log).unwrap(), whole, "the log is not ours");
    assert_eq!(recorder.status().unwrap().offset, whole.len() as u64);
    writer.kill().unwrap();
    writer.wait().unwrap();
    wait("its end", || recorder.running().is_none());
}

fn board_file(serial: &str) -> BoardFile {
    let text = format!(
        "schema-version = 1\nkind = \"ssh\"\narchitecture = \"arm64\"\n[ssh]\nhost = \"nowhere.invalid\"\n[boot]\nfolder = \"/boot/firmware\"\n\
         extlinux = \"/boot/firmware/extlinux/extlinux.conf\"\nvanilla-label = \"a\"\nlimit-s = 60\n[serial]\n{serial}\n[backup]\n\
         folder = \"/var/backups/lockstep\"\n"
    );
    BoardFile::parse("test", &text).unwrap()
}

#[test]
fn a_board_over_ssh_has_the_line_of_its_file() {
    let (listener, address) = server();
    let folder = tempfile::tempdir().unwrap();
    let board = SshBoard::open(&board_file(&format!("tcp = \"{address}\"")), folder.path()).unwrap();
    let serial: &dyn SerialLine = board.serial().expect("the line opens");
    let (mut end, _): (TcpStream, _) = listener.accept().unwrap();
    end.write_all(KERNEL).unwrap();
    wait("the kernel's line", || {
        std::fs::read(serial.log()).is_ok_and(|log| log == KERNEL)
    });
    serial.write(b"x").unwrap();
    assert_eq!(read_exactly(&mut end, 1), b"x");
    board.line().unwrap().recorder().stop().unwrap();
}

#[test]
fn a_board_whose_line_does_not_open_has_none_and_leaves_no_process() {
    // A port that nobody listens at, and a tty that is not there.
    let closed = server().1;
    for (serial, words) in [
        (format!("tcp = \"{closed}\""), "onnection refused"),
        (
            "device = \"/dev/no-such-tty\"\nspeed = 1500000".to_string(),
            "connect the cable",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let board = SshBoard::open(&board_file(&serial), folder.path()).unwrap();
        assert!(board.serial().is_none(), "{serial}");
        let line = board.line().unwrap();
        let problem = line.problem().unwrap();
        assert!(problem.contains(words), "{problem}");
        assert!(line.recorder().running().is_none());
    }
}
