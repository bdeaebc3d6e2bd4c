//! The slot's first user space on this host: what it puts back, what it leaves alone, and what is there when it dies. The real code in C, in a
//! folder instead of on the boot partition.

use crate::bare_board;
use crate::lease_bench;

use bare_board::{BareBoard, said};
use lease_bench::{LeaseBench, SysRq, uptime};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::board::lease::{self, End, Leased, Renewal};
use xtask::board::{Board, InFront, slot_init};
use xtask::host::process::{self, BreakOff, Finished, Input};

const VANILLA: &str = "default arch\nlabel arch\n\tkernel /Image\nlabel ours\n\tkernel /Image-ours\n";
const ARMED: &str = "default ours\nlabel arch\n\tkernel /Image\nlabel ours\n\tkernel /Image-ours\n";
const TARGET: &str = "extlinux/extlinux.conf";

/// `restore_in` with what it says on standard output.
const MAIN: &str = r#"
#include "slot_init.h"
#include <stdarg.h>
#include <stdio.h>
void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}
int main(int argc, char **argv)
{
	(void)argc;
	restore_in(argv[1], argv[2]);
	return 0;
}
"#;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// As the boot method leaves it.
    fn armed() -> Self {
        let bench = Bench {
            folder: tempfile::tempdir().unwrap(),
        };
        for name in ["kept", "boot/extlinux"] {
            fs::create_dir_all(bench.at(name)).unwrap();
        }
        fs::write(bench.at("kept/target"), format!("{TARGET}\n")).unwrap();
        fs::write(bench.at("kept/armed"), ARMED).unwrap();
        fs::write(bench.at("kept/extlinux.conf"), VANILLA).unwrap();
        bench.write(ARMED);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("slot-init");
        let (main, restore, out) = (bench.at("main.c"), source.join("restore.c"), bench.program());
        fs::write(&main, MAIN).unwrap();
        let sh = Shell::new().unwrap();
        let compiling = cmd!(
            sh,
            "cc -O2 -Wall -Wextra -Werror -I {source} -o {out} {main} {restore}"
        );
        process::run(compiling, Duration::from_secs(60)).unwrap();
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.at("restore")
    }

    fn write(&self, content: &str) {
        fs::write(self.at("boot").join(TARGET), content).unwrap();
    }

    fn now(&self) -> String {
        fs::read_to_string(self.at("boot").join(TARGET)).unwrap()
    }

    /// What it says.
    fn run(&self) -> String {
        let sh = Shell::new().unwrap();
        let (program, kept, root) = (self.program(), self.at("kept"), self.at("boot"));
        let said = process::run(cmd!(sh, "{program} {kept} {root}"), Duration::from_secs(20)).unwrap();
        said.text()
    }

    /// Names beside extlinux.conf.
    fn beside(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.at("boot/extlinux"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn vanilla_becomes_the_default_again_once() {
    let bench = Bench::armed();
    assert!(bench.run().contains("vanilla is the default again"));
    assert_eq!((bench.now().as_str(), bench.beside().len()), (VANILLA, 1));
    // The folder is still there at a second start, and there is nothing to do.
    assert!(bench.run().contains("it stays"));
    assert_eq!((bench.now().as_str(), bench.beside().len()), (VANILLA, 1));
}

#[test]
fn what_somebody_else_wrote_meanwhile_stays() {
    let bench = Bench::armed();
    let longer = format!("{ARMED}# mine\n");
    let other = ARMED.replace("/Image-ours", "/Image-mine");
    for theirs in [longer.as_str(), other.as_str(), &ARMED[..ARMED.len() - 1], ""] {
        bench.write(theirs);
        let said = bench.run();
        assert!(
            said.contains("extlinux.conf is not as the boot method left it"),
            "{said}"
        );
        assert_eq!((bench.now().as_str(), bench.beside().len()), (theirs, 1));
    }
}

#[test]
fn without_what_it_needs_to_know_nothing_is_written() {
    for (name, content) in [
        ("armed", None),
        ("armed", Some("")),
        ("target", None),
        ("extlinux.conf", Some("")),
    ] {
        let bench = Bench::armed();
        let path = bench.at("kept").join(name);
        match content {
            Some(content) => fs::write(path, content).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let said = bench.run();
        assert!(!said.contains("the default again"), "{name}: {said}");
        assert_eq!((bench.now().as_str(), bench.beside().len()), (ARMED, 1), "{name}");
    }
}

#[test]
fn an_attempt_that_died_leaves_the_old_file_whole_and_the_next_one_goes_on() {
    let bench = Bench::armed();
    let sh = Shell::new().unwrap();
    let (program, kept, root) = (bench.program(), bench.at("kept"), bench.at("boot"));
    // A file may not have a byte: the kernel ends it at its first write (SIGXFSZ).
    let dying = cmd!(
        sh,
        "sh -c 'ulimit -c 0; ulimit -f 0; exec \"$0\" \"$1\" \"$2\"' {program} {kept} {root}"
    );
    let died = process::finish(dying, Duration::from_secs(20)).unwrap();
    assert!(!died.status.success());
    assert_eq!((bench.now().as_str(), bench.beside().len()), (ARMED, 2));
    assert!(bench.run().contains("vanilla is the default again"));
    assert_eq!(bench.now(), VANILLA);
    // On FAT it may share clusters with the target by then: it is not touched.
    assert_eq!(bench.beside(), ["extlinux.conf", "extlinux.conf.lockstep0"]);
}

/// A program that makes its root an overlay, writes, and shows what it sees.
const THROWING_AWAY: &str = r#"
#include "slot_init.h"
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}
int main(void)
{
	if (!throw_away_root())
		return 1;
	FILE *file = fopen("/etc/mine", "w");
	if (file == NULL || fputs("written\n", file) < 0 || fclose(file) != 0)
		return 2;
	if (unlink("/etc/theirs") != 0)
		return 3;
	printf("mine %d, theirs %d, proc %d, tmp %d\n", access("/etc/mine", F_OK), access("/etc/theirs", F_OK),
	       access("/proc/self/mounts", F_OK), access("/tmp/root", F_OK));
	return 0;
}
"#;

/// A mount name space whose root is a tmpfs with a program in it; afterwards `$1` shows what is on that tmpfs. All mounts end with it.
const ON_A_ROOT_OF_ITS_OWN: &str = r#"set -e
seen=$1 program=$2 root=$1/own
mkdir "$root" "$seen/after"
mount -t tmpfs tmpfs "$root"
for name in dev proc sys run tmp etc old; do mkdir "$root/$name"; done
cp "$program" "$root/program"
echo theirs >"$root/etc/theirs"
mount -t proc proc "$root/proc"
mount --bind "$root" "$seen/after"
cd "$root"
unshare -m sh -c 'mount --make-rprivate / && pivot_root . old && exec /program' >"$seen/said" 2>&1 || echo "ended with $?" >>"$seen/said"
ls "$seen/after/etc" >"$seen/etc""#;

/// Needs root and an overlay file system, as the boards do.
#[test]
fn what_is_written_to_a_root_that_is_thrown_away_is_not_there_afterwards() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("slot-init");
    let at = |name: &str| folder.path().join(name);
    let (main, overlay, out) = (at("main.c"), source.join("overlay.c"), at("program"));
    fs::write(&main, THROWING_AWAY).unwrap();
    let sh = Shell::new().unwrap();
    let compiling = cmd!(
        sh,
        "cc -O2 -Wall -Wextra -Werror -static -I {source} -o {out} {main} {overlay}"
    );
    process::run(compiling, Duration::from_secs(60)).unwrap();
    let seen = folder.path();
    let running = cmd!(sh, "unshare -m sh -c {ON_A_ROOT_OF_ITS_OWN} sh {seen} {out}");
    process::run(running, Duration::from_secs(30)).unwrap();
    let said = fs::read_to_string(at("said")).unwrap();
    assert!(said.contains("mine 0, theirs -1, proc 0, tmp -1"), "{said}");
    assert_eq!(fs::read_to_string(at("etc")).unwrap(), "theirs\n");
}

/// Until the last means was tried, or for half a minute.
const AWAIT_ALL: &str = "for n in $(seq 60); do grep -q watchdog $log && break; sleep 0.5; done\n";

fn cmdline(until: u64, more: &str) -> String {
    format!("root=/dev/x {more} lockstep.init=INIT lockstep.lease={until} lockstep.nonce=n")
}

/// Invariant 4: each means is tried where the one before it did not end the boot, also where it
/// never returns.
#[test]
fn each_means_follows_the_one_before_it() {
    for (sysrq, hangs, order) in [
        (
            SysRq::There,
            &["sysrq", "restart"][..],
            &["sysrq", "restart", "watchdog"][..],
        ),
        (SysRq::There, &[], &["sysrq", "restart", "watchdog"]),
        // A kernel without SysRq has a lease all the same.
        (SysRq::Missing, &["restart"], &["restart", "watchdog"]),
    ] {
        let bench = LeaseBench::new(sysrq, hangs);
        let until = uptime() + 3;
        let seen = bench.boot(&cmdline(until, ""), AWAIT_ALL);
        assert_eq!(seen.order(), order, "{seen:?}");
        assert!(
            (until..until + 5).contains(&seen.at(order[0])),
            "{until}: {seen:?}"
        );
        assert!(seen.at("watchdog") > seen.at("restart"), "{seen:?}");
        assert!(seen.kmsg.contains("the lease ran out"), "{seen:?}");
    }
}

/// The lease looks nothing up: the lock of `/run` is held for ever, and every lookup of a new name
/// there waits.
#[test]
fn a_run_whose_lock_is_held_for_ever_does_not_stop_the_lease() {
    let bench = LeaseBench::new(SysRq::There, &["sysrq"]);
    let until = uptime() + 8;
    let wedging = "$folder/wedge /run & sleep 1; mkdir /run/x & sleep 0.5\n\
                   timeout -s KILL 2 cat /run/lockstep/lease; echo looked up: $?\n";
    let seen = bench.boot(&cmdline(until, ""), &[wedging, AWAIT_ALL].concat());
    assert!(
        seen.out.contains("wedged") && seen.out.contains("looked up: 137"),
        "a lookup hangs: {seen:?}"
    );
    assert_eq!(seen.order(), ["sysrq", "restart", "watchdog"], "{seen:?}");
    assert!(
        (until..until + 3).contains(&seen.at("sysrq")),
        "{until}: {seen:?}"
    );
}

/// Keeps the scripts that a board would run.
struct Scripts {
    bare: BareBoard,
    ran: RefCell<Vec<String>>,
}

impl InFront for Scripts {
    fn behind(&self) -> &dyn Board {
        &self.bare
    }

    fn pass_on(&self, script: &str, _: Input, _: Duration, _: &BreakOff) -> anyhow::Result<Finished> {
        self.ran.borrow_mut().push(script.to_string());
        Ok(said(""))
    }
}

/// The very script that comes with a command of the host, which may run for `limit`.
fn renewing(limit: Duration) -> String {
    let board = Scripts {
        bare: BareBoard::of("local", include_str!("../../boards/ampere.toml")),
        ran: RefCell::default(),
    };
    Leased::new(&board).run("true", limit).unwrap();
    board.ran.take().remove(0)
}

/// The host's own commands put the end off, also where somebody tries to truncate the page, or has
/// half of a line there.
#[test]
fn the_commands_of_the_host_renew_the_lease() {
    let bench = LeaseBench::new(SysRq::There, &[]);
    let (now, limit) = (uptime(), Duration::from_secs(30));
    fs::write(bench.at("renew"), renewing(limit)).unwrap();
    fs::write(bench.at("look"), lease::LOOKING).unwrap();
    // Past the first end; then one that ends at once.
    let init = "sh $folder/look; sh $folder/renew && sh $folder/renew; sh $folder/look | sed 's/^/later: /'\n\
                true >/run/lockstep/lease || echo kept; sleep 1.5; printf 0000000001 1<>/run/lockstep/lease\n\
                sleep 6; cat $log; echo before; sed -i 's/+ [0-9]*/+ 1/' $folder/renew; sh $folder/renew\n";
    let seen = bench.boot(&cmdline(now + 4, ""), &[init, AWAIT_ALL].concat());
    let (first, later) = seen.out.split_once("later: ").unwrap();
    let held = lease::held(first).unwrap();
    assert_eq!((held.until, held.renewal), (Some(now + 4), Renewal::Possible));
    assert!(
        held.ends.starts_with(&[End::SysRq, End::Restart]),
        "{:?}: {seen:?}",
        held.ends
    );
    let later = lease::held(&later.replace("later: ", "")).unwrap();
    // What a renewal adds to the limit: a minute.
    let until = now + 30 + 60;
    assert!(
        (until..until + 10).contains(&later.until.unwrap()),
        "{later:?}: {seen:?}"
    );
    assert!(
        seen.out.contains("kept\n") && seen.out.contains("before"),
        "{seen:?}"
    );
    assert!(!seen.out.contains("sysrq "), "it was put off: {seen:?}");
    assert_eq!(seen.order(), ["sysrq", "restart", "watchdog"], "{seen:?}");
    assert!(
        seen.at("sysrq") >= now + 6 && seen.at("sysrq") < until,
        "{seen:?}"
    );
}

/// Where no lease is held, as on vanilla, a command leaves nothing behind.
#[test]
fn nothing_is_written_where_no_lease_is_held() {
    let bench = LeaseBench::new(SysRq::There, &[]);
    fs::write(bench.at("renew"), renewing(Duration::from_secs(1))).unwrap();
    // The kernel's own line, below the one of the boot.
    let init = "umount /proc/cmdline; sh $folder/renew; ls -d /run/lockstep 2>/dev/null | wc -l\n";
    let seen = bench.boot(&cmdline(uptime() + 60, ""), init);
    assert_eq!(seen.out, "0\n", "{seen:?}");
}

/// A process of another user, or a program with set-user-ID that was started by a link of the lease's
/// name, has the lease's name and number of descriptor: a command would write to its file as root.
#[test]
fn nobody_else_s_file_is_taken_for_the_lease() {
    let bench = LeaseBench::new(SysRq::There, &[]);
    let now = uptime();
    fs::write(bench.at("renew"), renewing(Duration::from_secs(30))).unwrap();
    fs::write(bench.at("look"), lease::LOOKING).unwrap();
    let init = "chmod 755 $folder; ln -s \"$(command -v sleep)\" $folder/lockstep-lease\n\
                for user in 65534 0; do echo vanilla >$folder/of-$user\n\
                setpriv --reuid $user bash -c \"exec 700<$folder/of-$user; exec $folder/lockstep-lease 20\" &\n\
                done; sleep 1; grep -l lockstep-lease /proc/[0-9]*/comm | wc -l\n\
                sh $folder/renew; cat $folder/of-65534 $folder/of-0; sh $folder/look\n";
    let seen = bench.boot(&cmdline(now + 60, ""), init);
    assert!(seen.out.starts_with("3\nvanilla\nvanilla\n"), "{seen:?}");
    // It was renewed where it is.
    let renewed = format!("lockstep_lease_end={:010}", now + 30 + 60);
    let ends: Vec<&str> = seen
        .out
        .lines()
        .filter(|line| line.starts_with("lockstep_lease_end="))
        .collect();
    assert!(
        matches!(ends[..], [end] if end >= renewed.as_str()),
        "{renewed}: {seen:?}"
    );
}

/// What cannot be had as it was asked for ends the boot; the board's own init never runs.
#[test]
fn a_boot_that_would_be_weaker_than_promised_ends() {
    let bench = LeaseBench::new(SysRq::There, &[]);
    let long = "x".repeat(300);
    let good = cmdline(uptime() + 300, "");
    let ran = "echo \"init 0\" >>$log\n";
    assert_eq!(bench.boot(&good, ran).order(), ["init"], "as it should be");
    for bad in [
        // What is behind a cut is gone, and the nonce is last.
        good.replace(" lockstep.nonce=n", ""),
        good.replace("lockstep.lease=", "lockstep.lease=x"),
        good.replace("lockstep.lease=", "lease="),
        good.replace("lockstep.nonce", "lockstep.root=tmpfs lockstep.nonce"),
        good.replace("lockstep.nonce", &format!("lockstep.root={long} lockstep.nonce")),
        good.replace("lockstep.init=", &format!("lockstep.init=/{long}")),
        good.replace("lockstep.init=", "lockstep.init=/not-there"),
        // Longer than it can be read.
        format!("{} {good}", long.repeat(30)),
    ] {
        let seen = bench.boot(&bad, ran);
        assert_eq!(seen.order(), ["restart"], "{bad}: {seen:?}");
        assert!(seen.kmsg.contains("this boot ends"), "{seen:?}");
    }
    let seen = bench.boot_without_proc();
    assert_eq!(seen.order(), ["restart"], "/proc cannot be mounted: {seen:?}");
}

/// A lease that is not in locked memory, or waits for whoever spins, is none.
#[test]
fn a_lease_that_cannot_be_held_ends_the_boot() {
    let bench = LeaseBench::new(SysRq::There, &[]);
    let good = cmdline(uptime() + 300, "");
    let ran = "echo \"init 0\" >>$log\n";
    for (right, said) in [
        ("ipc_lock", "locked in memory"),
        ("sys_nice", "real-time priority"),
    ] {
        let before = format!("-{right}");
        let taking = format!(
            "ulimit -l 0; program=$2; printf '#!/bin/sh\\nexec setpriv --bounding-set={before} --inh-caps={before} %s\\n' \"$program\" >\"$1/weaker\"; \
             chmod 755 \"$1/weaker\"; exec sh -c \"$3\" sh \"$1\" \"$1/weaker\""
        );
        let seen = bench.boot_after(&taking, &good, ran);
        assert_eq!(seen.order(), ["restart"], "{right}: {seen:?}");
        assert!(seen.kmsg.contains(said), "{right}: {seen:?}");
    }
}

/// The folder is written in two languages.
#[test]
fn both_sides_know_the_same_folder() {
    let header = include_str!("../slot-init/slot_init.h");
    let line = format!("#define RESTORE_FOLDER \"{}\"", slot_init::RESTORE_FOLDER);
    assert!(header.contains(&line), "{line}");
}
