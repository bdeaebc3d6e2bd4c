//! A board in a folder: the real scripts run with the real programs on real files, in a mount name space and a root folder of
//! their own. What it is not: no FAT, no U-Boot, no reboot; `uname` and `depmod` are stand-ins. Needs root, as the boards do.

// Each test file uses its own part of this.
#![allow(dead_code)]

use crate::bare_board::BareBoard;
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::board::autologin;
use xtask::board::backup::{self, Modules};
use xtask::board::deploy::{self, Deployed, Dtb, Request};
use xtask::board::nonce::Nonce;
use xtask::board::protected::Protected;
use xtask::board::{Board, InFront};
use xtask::host::files::sha256;
use xtask::host::process::{self, BreakOff, Finished, Input};
use xtask::manifest::{File, Kind, Manifest};

pub const LABEL: &str = "arch_devices_lockdep";
pub const VANILLA: &str = "7.3.4-devices";
pub const DEBUG: &str = "7.3.4-lockdep+";
pub const EXTLINUX: &str = "# mine\nprompt 1\ntimeout 20\ndefault arch_devices\n\nlabel arch_devices\n\tkernel /Image-7.3.4-devices\n\tfdt /dtbs/virt.dtb\n\tappend root=/dev/vda2 rw quiet\n# end";

/// The board as a file describes it. Nobody connects to that host: the scripts run here.
pub const BOARD_FILE: &str = r#"
schema-version = 1
kind = "ssh"
architecture = "arm64"
[ssh]
host = "local"
[boot]
folder = "/boot/firmware"
extlinux = "/boot/firmware/extlinux/extlinux.conf"
vanilla-label = "arch_devices"
limit-s = 30
[backup]
folder = "/var/lib/lockstep/backups"
"#;

/// Puts the board together in a mount name space of its own and runs the words behind the first three on it.
pub const SET_UP: &str = r#"set -e
folder=$1 root=$2 firmware=$3
shift 3
# A root that is a mount point, as every board's is: unshare(1) wants one.
mount --bind "$root" "$root"
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$folder/upper,workdir=$folder/work" "$root/usr"
mount --bind "$firmware" "$root/boot/firmware"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$folder/cmdline" "$root/proc/cmdline"
[ ! -e "$folder/uptime" ] || mount --bind "$folder/uptime" "$root/proc/uptime"
exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin chroot "$root" "$@""#;

/// When a script is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Before the script with this number (from 0) starts; and nothing answers from then on.
    Before(usize),
    /// In the script with this number, before this command of it.
    Within(usize, usize),
}

pub struct LocalBoard {
    folder: tempfile::TempDir,
    /// `/boot/firmware`, on a file system of its own as on a board.
    firmware: tempfile::TempDir,
    bare: BareBoard,
    calls: Cell<usize>,
    death: Cell<Option<Death>>,
    writing: RefCell<Vec<usize>>,
}

impl LocalBoard {
    pub fn new() -> Self {
        // In memory: hundreds of flushes to a busy disk would take minutes.
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let board = LocalBoard {
            bare: BareBoard::of("local", BOARD_FILE),
            folder,
            // Another one than the root's, and in memory where there is one.
            firmware: tempfile::tempdir_in("/run")
                .or_else(|_| tempfile::tempdir())
                .unwrap(),
            calls: Cell::new(0),
            death: Cell::new(None),
            writing: RefCell::new(Vec::new()),
        };
        for name in [
            "root/boot/firmware",
            "root/var/lib",
            "root/tmp",
            "root/run",
            "root/proc",
            "root/dev",
            "root/etc",
            "root/usr",
            "upper/lib/modules",
            "upper/local/bin",
            "work",
        ] {
            fs::create_dir_all(board.folder.path().join(name)).unwrap();
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), board.at("/").join(name)).unwrap();
        }
        board.file(
            "/usr/local/bin/uname",
            &format!("#!/bin/sh\necho {VANILLA}\n"),
            0o755,
        );
        // Debian's awk is a link into /etc, which this board does not have.
        let awk = fs::canonicalize("/usr/bin/awk").unwrap();
        std::os::unix::fs::symlink(awk, board.at("/usr/local/bin/awk")).unwrap();
        let depmod = "#!/bin/sh\ncd \"/lib/modules/$1\" && find . -name '*.ko' | sort >modules.dep.new && mv modules.dep.new modules.dep\n";
        board.file("/usr/local/bin/depmod", depmod, 0o755);
        fs::write(board.folder.path().join("cmdline"), "root=/dev/vda2 rw quiet\n").unwrap();
        board.file("/boot/firmware/extlinux/extlinux.conf", EXTLINUX, 0o644);
        board.file(
            "/boot/firmware/Image-7.3.4-devices",
            "vanilla image Linux version 7.3.4-devices (x)",
            0o755,
        );
        board.file("/boot/firmware/dtbs/virt.dtb", "vanilla dtb", 0o644);
        for name in ["kernel/a.ko", "kernel/b c.ko", "modules.dep"] {
            board.file(
                &format!("/usr/lib/modules/{VANILLA}/{name}"),
                &format!("vanilla {name}"),
                0o644,
            );
        }
        board
    }

    /// The same board, whose file says that the test kernel's root is thrown away.
    pub fn with_root_overlay() -> Self {
        let mut board = Self::new();
        board.bare.description.root = xtask::board::file::Root::Overlay;
        board
    }

    /// A path of the board, on the host.
    pub fn at(&self, path: &str) -> PathBuf {
        let below = path.trim_start_matches('/');
        let firmware = below.strip_prefix("boot/firmware");
        match (below.strip_prefix("usr/"), firmware) {
            (Some(below), _) => self.folder.path().join("upper").join(below),
            (_, Some(below)) => self.firmware.path().join(below.trim_start_matches('/')),
            (None, None) => self.folder.path().join("root").join(below),
        }
    }

    pub fn file(&self, path: &str, content: &str, mode: u32) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        // Always the same time, so that a file that gets its old content back is the old file.
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    /// What the kernel that runs was started with.
    pub fn runs_with(&self, cmdline: &str) {
        fs::write(self.folder.path().join("cmdline"), format!("{cmdline}\n")).unwrap();
    }

    /// The folders that [`SET_UP`] takes.
    pub fn folders(&self) -> [PathBuf; 3] {
        let folder = self.folder.path();
        [folder.into(), folder.join("root"), self.firmware.path().into()]
    }

    pub fn host(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    /// Numbers of the scripts since the last [`LocalBoard::kill`] that wrote something: all of those flush.
    pub fn writing(&self) -> Vec<usize> {
        self.writing.borrow().clone()
    }

    /// Sets when the next scripts die; counts from 0 again.
    pub fn kill(&self, death: Option<Death>) {
        self.death.set(death);
        self.calls.set(0);
        self.writing.borrow_mut().clear();
    }
}

impl InFront for LocalBoard {
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
        let call = self.calls.replace(self.calls.get() + 1);
        if script.contains("sync") {
            self.writing.borrow_mut().push(call);
        }
        let mut shell = "sh".to_string();
        let mut trap = String::new();
        match self.death.get() {
            Some(Death::Before(dead)) | Some(Death::Within(dead, _)) if call > dead => {
                anyhow::bail!("the board is dead")
            }
            Some(Death::Before(dead)) if call == dead => anyhow::bail!("the board died"),
            Some(Death::Within(dead, command)) if call == dead => {
                shell = "bash".into();
                trap = format!("n=0\ntrap '[ $((n++)) -lt {command} ] || kill -9 $$' DEBUG\n");
            }
            _ => {}
        }
        let folder = self.folder.path();
        let script = without_kernel_log(script);
        fs::write(folder.join("root/tmp/script"), format!("{trap}{script}"))?;
        let (root, firmware) = (folder.join("root"), self.firmware.path());
        let sh = Shell::new()?;
        process::finish_unless(
            cmd!(
                sh,
                "unshare -m sh -c {SET_UP} sh {folder} {root} {firmware} {shell} /tmp/script"
            ),
            input,
            limit,
            break_off,
        )
    }
}

/// A script without its lines that write to the kernel's log or to pstore: both are this machine's own.
fn without_kernel_log(script: &str) -> String {
    let writes = |line: &&str| line.contains(">/dev/kmsg") || line.contains(">/dev/pmsg0");
    script
        .split_inclusive('\n')
        .filter(|line| !writes(line))
        .collect()
}

/// A build in a folder: Image, two modules and an index.
pub fn build(folder: &Path, release: &str, content: &str) -> Manifest {
    let mut files = Vec::new();
    let modules = format!("lib/modules/{release}");
    for (kind, name) in [
        (Kind::Image, "Image".to_string()),
        (Kind::Module, format!("{modules}/kernel/drivers/vim2m.ko")),
        (Kind::Module, format!("{modules}/kernel/drivers/v4l2-mem2mem.ko")),
        (Kind::ModuleIndex, format!("{modules}/modules.order")),
        (Kind::ModuleIndex, format!("{modules}/modules.dep")),
    ] {
        let bytes = format!("{name} {content}");
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
        files.push(File {
            kind,
            source: name.into(),
            size: bytes.len() as u64,
            sha256: sha256(bytes.as_bytes()),
            mode: 0o644,
            build_id: None,
            content_sha256: None,
        });
    }
    Manifest {
        schema_version: 1,
        release: release.into(),
        build_id: "aa".into(),
        profile: "lockdep".into(),
        append: Vec::new(),
        commit: "c".into(),
        root: folder.into(),
        files,
    }
}

/// The build goes on: one of its files has other bytes.
pub fn change(manifest: &mut Manifest, name: &str, content: &[u8]) {
    let file = manifest
        .files
        .iter_mut()
        .find(|file| file.source.ends_with(name))
        .unwrap();
    fs::write(manifest.root.join(&file.source), content).unwrap();
    (file.sha256, file.size) = (sha256(content), content.len() as u64);
}

/// A deploy as most tests want it: vanilla's device tree, no first user space, nothing kept.
pub fn request<'a>(manifest: &'a Manifest, protected: &'a Protected) -> Request<'a> {
    Request {
        manifest,
        protected,
        nonce: Nonce::fresh().unwrap(),
        dtb: Dtb::Vanilla,
        extra_append: vec![],
        keep: 0,
        init: None,
    }
}

pub fn install(board: &dyn Board, manifest: &Manifest, protected: &Protected) -> anyhow::Result<Deployed> {
    let request = request(manifest, protected);
    let plan = deploy::plan(board, &request)?;
    deploy::execute(board, &request, &plan, &mut |_| {})
}

/// A board, what must survive on it, and a build for it.
pub struct Bench {
    pub board: LocalBoard,
    pub protected: Protected,
    pub manifest: Manifest,
    pub builds: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self::on(LocalBoard::new())
    }

    fn on(board: LocalBoard) -> Self {
        let protected = Protected::compute(&board, LABEL).unwrap();
        let builds = tempfile::tempdir().unwrap();
        let manifest = build(&builds.path().join("1"), DEBUG, "one");
        Bench {
            board,
            protected,
            manifest,
            builds,
        }
    }

    /// With a backup, a slot of ours, and an automatic log-in that was switched off.
    pub fn in_a_campaign() -> Self {
        let board = LocalBoard::new();
        board.file("/etc/sddm.conf.d/auto.conf", "[Autologin]\nUser=lei\n", 0o644);
        let bench = Self::on(board);
        bench.back_up().unwrap();
        let found = autologin::active(&bench.board).unwrap();
        assert_eq!((found.len(), found[0].user.as_str()), (1, "lei"));
        autologin::disable(&bench.board, &bench.protected, "iter6", &found).unwrap();
        assert!(autologin::active(&bench.board).unwrap().is_empty());
        bench.install();
        bench
    }

    pub fn install(&self) -> Deployed {
        install(&self.board, &self.manifest, &self.protected).unwrap()
    }

    pub fn back_up(&self) -> anyhow::Result<backup::Verified> {
        backup::make(
            &self.board,
            &self.protected,
            "iter6",
            &Modules::All,
            &self.board.host(),
        )
    }

    pub fn extlinux(&self) -> String {
        fs::read_to_string(self.board.at("/boot/firmware/extlinux/extlinux.conf")).unwrap()
    }
}
