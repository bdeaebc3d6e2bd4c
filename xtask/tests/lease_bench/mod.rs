//! The slot's first user space on this host, as PID 1 of a PID and mount name space of its own: the
//! real program, but for what would restart this machine (`ends.c`), which writes to a file here
//! what it would have done. Needs root, as the boards do.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::host::process;

/// Stands for `ends.c`. Each means is noted with its time; what `HANGS` names never returns from
/// it, as in a kernel that is stuck.
const ENDS: &str = r#"
#include "slot_init.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void note(const char *means)
{
	char line[64];
	int log = open(LOG, O_WRONLY | O_APPEND);
	int length = snprintf(line, sizeof(line), "%s %ld\n", means, now());
	ssize_t written = write(log, line, (size_t)length);
	(void)written;
	close(log);
	while (strstr(HANGS, means) != NULL)
		pause();
}
int open_sysrq(void)
{
	return SYSRQ ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
}
void ask_and_crash(int trigger)
{
	(void)trigger;
	note("sysrq");
}
void restart(void)
{
	note("restart");
}
void starve_watchdog(void)
{
	note("watchdog");
}
"#;

/// Holds the inode lock of the folder `argv[1]` until it is killed: the kernel writes the folder's
/// entries to a page of this program whose fault is never answered. By userfaultfd(2); on a kernel
/// without it `argv[2]` is a file on a file system that is frozen, where the fault waits for the
/// thaw, and no signal ends that.
pub const WEDGE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static char *unanswered(const char *file)
{
	int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (faults >= 0) {
		char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct uffdio_api api = { .api = UFFD_API };
		struct uffdio_register range = { .range = { (unsigned long)page, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
		if (ioctl(faults, UFFDIO_API, &api) != 0 || ioctl(faults, UFFDIO_REGISTER, &range) != 0)
			return NULL;
		return page;
	}
	int backing = file == NULL ? -1 : open(file, O_RDWR | O_CREAT, 0600);
	if (backing < 0 || ftruncate(backing, 4096) != 0 || fsync(backing) != 0)
		return NULL;
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, backing, 0);
	if (page == MAP_FAILED || ioctl(backing, FIFREEZE, 0) != 0)
		return NULL;
	return page;
}
int main(int argc, char **argv)
{
	int folder = argc > 1 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	char *page = unanswered(argc > 2 ? argv[2] : NULL);
	if (folder < 0 || page == NULL) {
		perror("wedge");
		return 1;
	}
	puts("wedged");
	fflush(stdout);
	syscall(SYS_getdents64, folder, page, 4096);
	return 2;
}
"#;

/// Mounts what stands for the board and becomes the program. Its `/run` is empty and in memory, as
/// a board's.
const SET_UP: &str = r#"set -e
folder=$1 program=$2
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t proc proc /proc
mount --bind "$folder/kmsg" /dev/kmsg
mount --bind "$folder/cmdline" /proc/cmdline
exec "$program" >"$folder/out" 2>&1"#;

/// The same without a folder on which `/proc` could be mounted.
const WITHOUT_PROC: &str = r#"set -e
folder=$1 program=$2
mount --make-rprivate /
mkdir "$folder/root"
mount -t tmpfs tmpfs "$folder/root"
cd "$folder/root"
mkdir -p dev old ".$folder" sbin
mount --bind "$folder" ".$folder"
cp "$folder/init" sbin/init
cp "$program" program
mknod dev/kmsg c 1 3
pivot_root . old
exec /program"#;

/// What a boot came to.
#[derive(Debug)]
pub struct Seen {
    /// The means that were tried, each with the second since the kernel's start.
    pub tried: Vec<(String, u64)>,
    /// What it wrote to the kernel log.
    pub kmsg: String,
    /// What the board's own init printed.
    pub out: String,
}

impl Seen {
    /// The means alone.
    pub fn order(&self) -> Vec<&str> {
        self.tried.iter().map(|(means, _)| means.as_str()).collect()
    }

    /// When this means was tried first.
    pub fn at(&self, wanted: &str) -> u64 {
        let found = self.tried.iter().find(|(means, _)| means == wanted);
        found.unwrap_or_else(|| panic!("{wanted}: {self:?}")).1
    }
}

/// Whether the kernel has SysRq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysRq {
    There,
    Missing,
}

pub struct LeaseBench {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl LeaseBench {
    /// A program whose means named in `hangs` never return.
    pub fn new(sysrq: SysRq, hangs: &[&str]) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let at = |name: &str| folder.path().join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("slot-init");
        let parts = ["slot_init.c", "lease.c", "overlay.c", "restore.c"].map(|name| source.join(name));
        // As on a board, where the host looks for it (`renewal` in board/lease.rs).
        fs::create_dir(at("lockstep")).unwrap();
        let (ends, program) = (at("ends.c"), at("lockstep/init"));
        fs::write(&ends, ENDS).unwrap();
        let mut defines = vec![
            format!("-DLOG=\"{}\"", at("log").display()),
            format!("-DHANGS=\"{}\"", hangs.join(" ")),
            format!("-DSYSRQ={}", u8::from(sysrq == SysRq::There)),
        ];
        // Two seconds for each.
        defines.extend(["ASK", "WORDS", "RESTART"].map(|name| format!("-D{name}_SECONDS=2")));
        let sh = Shell::new().unwrap();
        let compiling = cmd!(
            sh,
            "cc -O2 -Wall -Wextra -Werror -static {defines...} -I {source} -o {program} {ends} {parts...}"
        );
        process::run(compiling, Duration::from_secs(60)).unwrap();
        let (wedge, out) = (at("wedge.c"), at("wedge"));
        fs::write(&wedge, WEDGE).unwrap();
        process::run(
            cmd!(sh, "cc -O2 -Wall -Wextra -Werror -static -o {out} {wedge}"),
            Duration::from_secs(60),
        )
        .unwrap();
        LeaseBench { folder, program }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Boots with this command line into `init`, a shell script; the boot is over when that ends.
    /// `$log` has what was tried.
    pub fn boot(&self, cmdline: &str, init: &str) -> Seen {
        self.boot_by(&["sh", "-c", SET_UP], cmdline, init)
    }

    /// The same where `/proc` cannot be mounted. A static init notes that it has run.
    pub fn boot_without_proc(&self) -> Seen {
        let (source, init) = (self.at("init.c"), self.at("init"));
        let log = self.at("log");
        let text = format!(
            "#include <fcntl.h>\n#include <unistd.h>\nint main(void) {{ return write(open(\"{}\", O_WRONLY | O_APPEND), \"init 0\\n\", 7) != 7; }}\n",
            log.display()
        );
        fs::write(&source, text).unwrap();
        let sh = Shell::new().unwrap();
        process::run(
            cmd!(sh, "cc -O2 -static -o {init} {source}"),
            Duration::from_secs(60),
        )
        .unwrap();
        self.boot_by(&["sh", "-c", WITHOUT_PROC], "", "")
    }

    /// The same after a script that takes rights away: it gets the folder, the program and the
    /// script that follows it.
    pub fn boot_after(&self, taking: &str, cmdline: &str, init: &str) -> Seen {
        self.boot_with(&["sh", "-c", taking], &[SET_UP], cmdline, init)
    }

    fn boot_by(&self, by: &[&str], cmdline: &str, init: &str) -> Seen {
        self.boot_with(by, &[], cmdline, init)
    }

    fn boot_with(&self, by: &[&str], more: &[&str], cmdline: &str, init: &str) -> Seen {
        let (script, log) = (self.at("init.sh"), self.at("log"));
        fs::write(
            &script,
            format!(
                "#!/bin/sh\nlog={}\nfolder={}\n{init}",
                log.display(),
                self.folder.path().display()
            ),
        )
        .unwrap();
        let sh = Shell::new().unwrap();
        process::run(cmd!(sh, "chmod 755 {script}"), Duration::from_secs(5)).unwrap();
        let line = cmdline.replace("INIT", script.to_str().unwrap());
        fs::write(self.at("cmdline"), format!("{line}\n")).unwrap();
        for name in ["log", "kmsg", "out"] {
            fs::write(self.at(name), "").unwrap();
        }
        let (folder, program) = (self.folder.path(), &self.program);
        let booting = cmd!(sh, "unshare -m -p -f {by...} sh {folder} {program} {more...}");
        // Its status is that of an init that ended.
        process::finish(booting, Duration::from_secs(90)).unwrap();
        let read = |name: &str| String::from_utf8_lossy(&fs::read(self.at(name)).unwrap()).into_owned();
        let tried = read("log")
            .lines()
            .map(|line| {
                let (means, second) = line.split_once(' ').unwrap();
                (means.to_string(), second.parse().unwrap())
            })
            .collect();
        Seen {
            tried,
            kmsg: read("kmsg"),
            out: read("out"),
        }
    }
}

/// Whole seconds since this machine's start.
pub fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split('.').next().unwrap().parse().unwrap()
}
