//! Pre-flight of a board that has nothing but netconsole, with real packets to a real recorder. The board is a folder, and says what a board on a
//! cable would say; its kernel's network is a socket of this test. Needs root, as `local_board` says.

use crate::local_board;

use crate::bare_board::BareBoard;
use local_board::{BOARD_FILE, LABEL, LocalBoard};
use std::cell::RefCell;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;
use xtask::board::netconsole::{Network, Wire};
use xtask::board::preflight::{self, Backup, Check, Needed, Status};
use xtask::board::protected::Protected;
use xtask::board::{Board, InFront};
use xtask::host::process::{BreakOff, Finished, Input};

/// What a board answers that reaches this host over a cable.
const WIRED: &str = "echo device=end0; echo from=127.0.0.1; echo mac=aa:bb:cc:dd:ee:ff; echo dynamic=1";

struct Cabled {
    inner: LocalBoard,
    /// The same board as far as its file goes, with a cable.
    bare: BareBoard,
    wire: Wire,
    /// What it says of its network.
    says: &'static str,
    /// Whether its packets go anywhere.
    cut: bool,
    ran: RefCell<Vec<String>>,
    _folder: tempfile::TempDir,
}

impl Cabled {
    fn new(says: &'static str) -> Self {
        let inner = LocalBoard::new();
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let wire = Wire {
            folder: PathBuf::from(folder.path()).join("netconsole"),
            network: Network::Shared {
                host: Some(Ipv4Addr::LOCALHOST),
                port,
            },
        };
        let mut bare = BareBoard::of("local", BOARD_FILE);
        bare.description.netconsole = true;
        bare.netconsole = Some(wire.clone());
        Cabled {
            bare,
            wire,
            inner,
            says,
            cut: false,
            ran: RefCell::default(),
            _folder: folder,
        }
    }

    /// The row of the capture, and whether a campaign would find netconsole alone.
    fn look(&self) -> (Check, Option<bool>) {
        let protected = Protected::compute(self, LABEL).unwrap();
        let needed = Needed { boot: 0, root: 0 };
        let report = preflight::run(self, &protected, Backup::Missing("not asked".into()), needed).unwrap();
        let row = report.checks.into_iter().find(|check| check.id == "capture");
        (
            row.unwrap(),
            report.capture.map(|capture| capture.netconsole_alone()),
        )
    }

    fn ran(&self, word: &str) -> bool {
        self.ran.borrow().iter().any(|script| script.contains(word))
    }

    fn send(&self, word: &str) {
        let Network::Shared { port, .. } = self.wire.network else {
            unreachable!("as it was made")
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let packet = format!("1,7,1,-;{word}\n");
        socket.send_to(packet.as_bytes(), ("127.0.0.1", port)).unwrap();
    }
}

impl Drop for Cabled {
    fn drop(&mut self) {
        drop(self.wire.recorder().stop());
    }
}

impl InFront for Cabled {
    fn behind(&self) -> &dyn Board {
        &self.bare
    }

    fn pass_on(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> anyhow::Result<Finished> {
        self.ran.borrow_mut().push(script.into());
        // This machine's own network and configfs are left alone.
        let instead = match script {
            script if script.contains("ip -4 -o route get") => self.says,
            script if script.contains("'<1>lockstep-netconsole-") => {
                let (_, word) = script.split_once("'<1>").unwrap();
                let (word, _) = word.split_once('\'').unwrap();
                if !self.cut {
                    self.send(word);
                }
                "true"
            }
            script if script.contains("/sys/kernel/config/netconsole/lockstep") => "true",
            _ => script,
        };
        self.inner.run_unless(instead, input, limit, break_off)
    }
}

#[test]
fn it_is_enough_with_a_warning_and_is_taken_away_again() {
    let board = Cabled::new(WIRED);
    let (row, alone) = board.look();
    assert_eq!((row.status, alone), (Status::Warning, Some(true)), "{row:?}");
    assert!(row.reason.contains("panic's own words do not come"), "{row:?}");
    assert!(board.ran("rmdir /sys/kernel/config/netconsole/lockstep"));
}

#[test]
fn a_network_that_cannot_carry_it_and_packets_that_do_not_come_are_no_capture() {
    let wireless = "echo device=wlan0; echo from=127.0.0.1; echo mac=aa:bb:cc:dd:ee:ff; echo dynamic=1; echo unfit=wireless";
    let board = Cabled::new(wireless);
    let (row, alone) = board.look();
    assert_eq!((row.status, alone), (Status::Fail, None), "{row:?}");
    assert!(row.reason.contains("over wlan0 (wireless)"), "{row:?}");

    let mut board = Cabled::new(WIRED);
    board.cut = true;
    let (row, alone) = board.look();
    assert_eq!((row.status, alone), (Status::Fail, None), "{row:?}");
    assert!(row.reason.contains("the test packet did not come"), "{row:?}");
    assert!(
        board.ran("rmdir /sys/kernel/config/netconsole/lockstep"),
        "nothing is left on"
    );
}

#[test]
fn who_has_not_asked_for_it_gets_none() {
    let mut board = Cabled::new(WIRED);
    board.bare.description.netconsole = false;
    let (row, alone) = board.look();
    assert_eq!((row.status, alone), (Status::Fail, None), "{row:?}");
    assert!(row.reason.contains("has no [netconsole]"), "{row:?}");
    assert!(!board.ran("ip -4 -o route get"), "its network is left alone");
}
