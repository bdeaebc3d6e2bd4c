//! The slot's first user space on this host: what it puts back, what it leaves alone, and what is there when it dies. The real code in C, in a
//! folder instead of on the boot partition.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::host::process;

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
