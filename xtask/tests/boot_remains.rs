//! What an interrupted boot attempt leaves on a board is taken back before the next one, and before a way back. The real scripts on real files;
//! nothing is restarted.

use crate::local_board;

use local_board::{EXTLINUX, LABEL, LocalBoard};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xtask::board::backup::{self, Modules};
use xtask::board::boot::{self, Capture, ConsentGiven, Method, Permit, Reset};
use xtask::board::extlinux::{self, Block, Config};
use xtask::board::preflight::{self, Backup, Needed, ProvenCapture};
use xtask::board::protected::Protected;
use xtask::board::slot_init::{self, RESTORE_FOLDER};
use xtask::board::writer::Writer;
use xtask::board::{Board, InFront};
use xtask::host::process::{BreakOff, Finished, Input};

/// A board with ramoops, as far as pre-flight asks; and one that never restarts this machine.
struct Standing {
    inner: LocalBoard,
    scripts: RefCell<Vec<String>>,
}

impl InFront for Standing {
    fn behind(&self) -> &dyn Board {
        &self.inner
    }

    fn pass_on(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> anyhow::Result<Finished> {
        self.scripts.borrow_mut().push(script.to_string());
        assert!(!script.contains("reboot"), "no test comes so far: {script}");
        let script = match script.contains("pstore_backend=") {
            true => "echo pstore=rw; echo pstore_backend=ramoops; echo end=1",
            false => script,
        };
        self.inner.run_unless(script, input, limit, break_off)
    }
}

struct Bench {
    board: Standing,
    protected: Protected,
    backup: backup::Verified,
    capture: ProvenCapture,
    /// extlinux.conf with our label, vanilla the default.
    quiet: Vec<u8>,
    /// The same with our label the default.
    armed: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let inner = LocalBoard::new();
        let block = Block {
            name: LABEL.into(),
            menu_label: None,
            kernel: "/Image-ours".into(),
            fdt: None,
            initrd: None,
            append: "root=/dev/vda2 rw".into(),
        };
        let quiet = extlinux::set(&Config::parse(EXTLINUX.as_bytes()), &block)
            .unwrap()
            .bytes;
        let board = Standing {
            inner,
            scripts: RefCell::new(Vec::new()),
        };
        let protected = Protected::compute(&board, LABEL).unwrap();
        let backup = backup::make(&board, &protected, "iter6", &Modules::All, &board.inner.host()).unwrap();
        let needed = Needed { boot: 0, root: 0 };
        let report = preflight::run(&board, &protected, Backup::Verified(&backup), needed).unwrap();
        let armed = extlinux::default_once(&Config::parse(&quiet), LABEL).unwrap();
        let bench = Bench {
            capture: report.capture.unwrap(),
            quiet,
            board,
            protected,
            backup,
            armed,
        };
        bench.write(&bench.quiet);
        bench
    }

    fn permit(&self) -> Permit<'_> {
        Permit {
            backup: &self.backup,
            capture: Capture::Proven(self.capture),
            consent: ConsentGiven::after_asking(),
        }
    }

    fn extlinux(&self) -> PathBuf {
        self.board.inner.at("/boot/firmware/extlinux/extlinux.conf")
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(self.extlinux(), bytes).unwrap();
    }

    fn now(&self) -> Vec<u8> {
        fs::read(self.extlinux()).unwrap()
    }

    fn kept(&self) -> bool {
        self.board.inner.at(RESTORE_FOLDER).exists()
    }

    /// As an attempt by `default-swap` leaves it that was cut off before the restart.
    fn arm(&self) {
        let puts = slot_init::restore_files(&self.board, &self.protected, &self.quiet, &self.armed).unwrap();
        let writer = Writer::new(&self.board, &self.protected);
        writer.put(Path::new(RESTORE_FOLDER), &puts).unwrap();
        self.write(&self.armed);
        assert!(self.kept() && self.armed != self.quiet);
    }

    fn disarm(&self) -> Vec<Method> {
        boot::disarm(&self.board, &self.protected).unwrap()
    }
}

#[test]
fn a_default_that_was_swapped_is_put_back_once() {
    let bench = Bench::new();
    assert_eq!(bench.disarm(), [], "there is nothing to take back");
    bench.arm();
    assert_eq!(bench.disarm(), [Method::DefaultSwap]);
    assert_eq!((bench.now(), bench.kept()), (bench.quiet.clone(), false));
    assert_eq!(bench.disarm(), []);
}

#[test]
fn an_attempt_that_died_before_the_swap_leaves_only_its_folder_to_remove() {
    let bench = Bench::new();
    bench.arm();
    bench.write(&bench.quiet);
    assert_eq!(bench.disarm(), []);
    assert_eq!((bench.now(), bench.kept()), (bench.quiet.clone(), false));
}

#[test]
fn what_somebody_else_wrote_since_then_stays() {
    let bench = Bench::new();
    bench.arm();
    let theirs = [&bench.armed[..], b"\n# mine\n"].concat();
    bench.write(&theirs);
    assert_eq!(bench.disarm(), []);
    assert_eq!((bench.now(), bench.kept()), (theirs, false));
    let unattended = boot::default_is_vanilla(&bench.board, &bench.protected).unwrap_err();
    assert!(format!("{unattended:#}").contains(LABEL), "{unattended:#}");
}

#[test]
fn a_variable_of_u_boots_is_cleared() {
    let bench = Bench::new();
    let environment = bench.board.inner.at("/var/lib/once");
    let tool = |name: &str, script: &str| {
        bench.board.inner.file(
            &format!("/usr/local/bin/{name}"),
            &format!("#!/bin/sh\n{script}\n"),
            0o755,
        );
    };
    tool("fw_printenv", "cat /var/lib/once 2>/dev/null");
    tool("fw_setenv", "[ \"$1\" = lockstep_once ] && rm /var/lib/once");
    fs::write(&environment, LABEL).unwrap();
    assert_eq!(bench.disarm(), [Method::UbootEnv]);
    assert!(!environment.exists());
    assert_eq!(bench.disarm(), []);
}

#[test]
fn each_boot_begins_by_taking_back_what_an_interrupted_one_left() {
    let bench = Bench::new();
    bench.arm();
    // There is no slot: the attempt ends before anything is prepared for it.
    let error = boot::boot_once(
        &bench.board,
        &bench.protected,
        Method::SerialMenu,
        Reset::Orderly,
        &bench.permit(),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(format!("{error:#}").contains("slot"), "{error:#}");
    assert_eq!((bench.now(), bench.kept()), (bench.quiet.clone(), false));

    bench.arm();
    // Vanilla was changed by somebody: the way back ends at its check.
    bench
        .board
        .inner
        .file("/boot/firmware/Image-7.3.4-devices", "another", 0o755);
    let error = boot::boot_vanilla(
        &bench.board,
        &bench.protected,
        Reset::Orderly,
        &bench.permit(),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(format!("{error:#}").contains("Image-7.3.4-devices"), "{error:#}");
    assert_eq!((bench.now(), bench.kept()), (bench.quiet.clone(), false));
}
