//! The virtual board with a backup, a proven capture and a debug kernel to deploy, for tests.

#![allow(
    dead_code,
    reason = "each test file is a program of its own, and none uses all of it"
)]

use crate::held_lock;

use std::path::{Path, PathBuf};
use std::time::Duration;
use xtask::board::backup::{self, Modules};
use xtask::board::boot::{self, ConsentGiven, Method, Outcome, Permit, Progress, Reset};
use xtask::board::deploy::{self, Dtb, Request};
use xtask::board::nonce::{self, Nonce};
use xtask::board::preflight::{self, Backup};
use xtask::board::protected::Protected;
use xtask::board::virt::VirtualBoard;
use xtask::board::{Board as _, quote};
use xtask::host::folders::Folders;
use xtask::kernel::place::Place;
use xtask::kernel::stage;
use xtask::kernel::toolchain::Toolchain;
use xtask::manifest::Manifest;

pub const LABEL: &str = "arch_devices_lockdep";

/// The slot's first user space, built for the board.
fn slot_init(folders: &Folders) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("slot-init");
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&source)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    let out = folders.cache.join("probe/slot_init");
    let sources: Vec<&Path> = sources.iter().map(PathBuf::as_path).collect();
    Toolchain::find().unwrap().compile_probe(&sources, &out).unwrap();
    out
}

pub struct Bench {
    pub board: VirtualBoard,
    pub protected: Protected,
    pub backup: backup::Verified,
    pub report: preflight::Report,
    pub capture: preflight::ProvenCapture,
    pub manifest: Manifest,
    pub host: PathBuf,
    pub init: PathBuf,
    _host: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What a test that failed leaves is for whoever looks why.
        if !std::thread::panicking() {
            self.remove_backup();
        }
    }
}

impl Bench {
    pub fn open() -> Self {
        let folders = Folders::find().unwrap();
        let board = VirtualBoard::open(&folders)
            .expect("the virtual board is made: `cargo xtask board up`")
            .held(held_lock::proof());
        board.up(&folders).unwrap();
        // An earlier test may have failed half-way, and left it wedged or with our slot.
        let lost = board.wait_for_ssh(Duration::from_secs(90)).is_err();
        if lost || nonce::is_of_ours(&boot::look(&board).unwrap().cmdline) {
            board.hard_reset().unwrap();
            board.wait_for_ssh(Duration::from_secs(180)).unwrap();
        }
        let bench = Self::on(board, &folders);
        assert!(
            bench.capture.serial() && bench.capture.ramoops(),
            "{:?}",
            bench.report
        );
        bench
    }

    /// On a board that runs vanilla; the debug kernel is that of `folders`.
    pub fn on(board: VirtualBoard, folders: &Folders) -> Self {
        let staging = Place::of(&folders.cache, None).unwrap().staging.join("lockdep");
        let manifest = stage::read_manifest(&staging)
            .expect("a debug kernel is built: `cargo xtask build-debug-kernel`");
        let _host = tempfile::tempdir().unwrap();
        let host = _host.path().join("backup");
        let campaign = format!("test-{}", std::process::id());
        let protected = Protected::compute(&board, LABEL).unwrap();
        let backup = backup::make(&board, &protected, &campaign, &Modules::All, &host).unwrap();
        let report = preflight::run(
            &board,
            &protected,
            Backup::Verified(&backup),
            preflight::Needed { boot: 0, root: 0 },
        )
        .unwrap();
        let capture = report.capture.expect("a capture works");
        Bench {
            board,
            protected,
            backup,
            report,
            capture,
            manifest,
            init: slot_init(folders),
            host,
            _host,
        }
    }

    /// Takes the test's own backup off a board that is on, and nothing else. Errors end the test: what stays is there for every test after it.
    pub fn remove_backup(&self) {
        if !self.board.is_on() {
            return;
        }
        let folder = quote(self.backup.on_board().to_str().unwrap());
        let removed = self
            .board
            .run(&format!("rm -r {folder}"), Duration::from_secs(60));
        let removed = removed.unwrap();
        assert!(removed.status.success(), "{removed:?}");
    }

    pub fn permit(&self) -> Permit<'_> {
        Permit {
            backup: &self.backup,
            capture: boot::Capture::Proven(self.capture),
            consent: ConsentGiven::after_asking(),
        }
    }

    pub fn request(&self) -> Request<'_> {
        Request {
            manifest: &self.manifest,
            protected: &self.protected,
            nonce: Nonce::fresh().unwrap(),
            dtb: Dtb::Vanilla,
            extra_append: vec![],
            init: Some(self.init.clone()),
            keep: 0,
        }
    }

    pub fn deploy(&self) -> Nonce {
        self.deploy_with(&[])
    }

    /// Deploys with more words at the end of the command line.
    pub fn deploy_with(&self, words: &[&str]) -> Nonce {
        let request = Request {
            extra_append: words.iter().map(|word| word.to_string()).collect(),
            ..self.request()
        };
        let plan = deploy::plan(&self.board, &request).unwrap();
        let deployed = deploy::execute(&self.board, &request, &plan, &mut |stage| {
            eprintln!("deploy: {stage:?}")
        })
        .unwrap();
        eprintln!("{deployed:?}");
        assert!(deployed.sent.remarks.is_empty());
        deployed.nonce
    }

    pub fn boot(&self, method: Method, reset: Reset) -> boot::Boot {
        boot::boot_once(
            &self.board,
            &self.protected,
            method,
            reset,
            &self.permit(),
            &mut tell,
        )
        .unwrap()
    }

    pub fn boot_vanilla(&self, reset: Reset) {
        let boot =
            boot::boot_vanilla(&self.board, &self.protected, reset, &self.permit(), &mut tell).unwrap();
        let Outcome::Booted(answer) = boot.outcome else {
            panic!("{boot:?}")
        };
        eprintln!("vanilla after {:.1} s", answer.seconds);
        self.protected.check(&self.board).unwrap();
    }
}

pub fn tell(progress: &Progress) {
    eprintln!("boot: {progress:?}");
}
