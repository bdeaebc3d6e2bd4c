//! The rules of pre-flight: facts in, checks out.

use super::{Backup, Check, Facts, ProvenCapture, Status};
use crate::board::autologin::Active;
use crate::board::extlinux::{Behaviour, Config, Severity, lint};
use crate::board::protected::Protected;
use std::path::Path;

pub(super) fn check(id: &str, title: &str, status: Status, reason: impl Into<String>, fix: &str) -> Check {
    let fix = if status == Status::Pass { "" } else { fix };
    Check {
        id: id.into(),
        title: title.into(),
        status,
        reason: reason.into(),
        fix: fix.into(),
    }
}

pub(super) fn pass_if(good: Good, worse: Status) -> Status {
    match good {
        Good::Yes => Status::Pass,
        Good::No => worse,
    }
}

/// Whether a rule is met.
#[derive(Clone, Copy)]
pub(super) enum Good {
    Yes,
    No,
}

impl From<bool> for Good {
    fn from(good: bool) -> Self {
        if good { Good::Yes } else { Good::No }
    }
}

pub(super) fn auto_login(active: &[Active]) -> Check {
    let found: Vec<String> = active
        .iter()
        .map(|one| format!("{} logs {} in ({})", one.manager, one.user, one.file.display()))
        .collect();
    let reason = if found.is_empty() {
        "nobody is logged in by SDDM's, GDM's or LightDM's files".to_string()
    } else {
        found.join("; ")
    };
    check(
        "0.1",
        "display manager does not log in by itself",
        pass_if(active.is_empty().into(), Status::Fail),
        reason,
        "run `cargo xtask preflight --fix`: it renames the file to *.disabled-<campaign>, and a rollback gives it its name back",
    )
}

pub(super) fn backup(backup: &Backup) -> Check {
    let (status, reason) = match backup {
        Backup::Verified(verified) => (
            Status::Pass,
            format!(
                "{} files on the board in {} and on this host in {}, both read back",
                verified.manifest().inventory.len(),
                verified.on_board().display(),
                verified.on_host().display()
            ),
        ),
        Backup::Missing(why) => (Status::Fail, why.clone()),
    };
    check(
        "0.2, 0.3",
        "vanilla's files are backed up, on the board and off it",
        status,
        reason,
        "run `cargo xtask preflight --yes`",
    )
}

pub(super) fn pstore(facts: &Facts) -> Vec<Check> {
    let options = facts.get("pstore");
    let mounted = check(
        "0.4",
        "pstore is mounted",
        pass_if((!options.is_empty()).into(), Status::Warning),
        if options.is_empty() {
            "/sys/fs/pstore is not mounted".into()
        } else {
            format!("mounted ({options})")
        },
        "mount -t pstore pstore /sys/fs/pstore; systemd does it where the kernel has CONFIG_PSTORE",
    );
    let size = |name: &str| facts.number(name).unwrap_or(0);
    let (total, console, pmsg) = (
        size("ramoops_mem_size"),
        size("ramoops_console_size"),
        size("ramoops_pmsg_size"),
    );
    let backend = check(
        "0.4",
        "ramoops keeps the kernel's last words across a reset",
        pass_if((has_ramoops(facts) && console > 0).into(), Status::Warning),
        format!(
            "backend `{}`, region {} KiB, console {} KiB, pmsg {} KiB{}",
            facts.get("pstore_backend"),
            total / 1024,
            console / 1024,
            pmsg / 1024,
            if facts.get("pmsg") == "yes" {
                ", /dev/pmsg0 takes lines"
            } else {
                ""
            }
        ),
        "reserve a region in the device tree (reserved-memory, compatible \"ramoops\", 2 MiB, console-size and pmsg-size 256 KiB) and build \
         PSTORE_RAM, PSTORE_CONSOLE and PSTORE_PMSG",
    );
    vec![mounted, backend]
}

fn has_ramoops(facts: &Facts) -> bool {
    facts.get("pstore_backend").contains("ramoops") && !facts.get("pstore").is_empty()
}

/// The serial line, as it is before a word was written.
pub(super) enum Line<'a> {
    /// It is open.
    There {
        /// A BREAK can be sent on it.
        has_break: bool,
    },
    /// The board's file names one that does not open; why.
    Unusable(&'a str),
    /// The board's file names none.
    None,
}

pub(super) fn serial(line: &Line, sees: bool, facts: &Facts) -> Check {
    let consoles: Vec<&str> = facts
        .get("cmdline")
        .split_whitespace()
        .filter(|word| word.starts_with("console="))
        .collect();
    let (status, reason) = match (line, sees) {
        (Line::There { has_break: true }, true) => (
            Status::Pass,
            "a line written on the board arrived in the log".to_string(),
        ),
        (Line::There { has_break: false }, true) => (
            Status::Pass,
            "a line written on the board arrived in the log; it has no BREAK (a tty of this host and RFC 2217 have one), so a kernel that ssh \
             does not reach cannot be asked for its locks"
                .to_string(),
        ),
        (Line::There { .. }, false) => (
            Status::Fail,
            format!(
                "nothing of a line written on the board arrived in the log ({})",
                consoles.join(" ")
            ),
        ),
        (Line::Unusable(problem), _) => (
            Status::Warning,
            format!("the line that the board's file names cannot be used: {problem}"),
        ),
        (Line::None, _) => (
            Status::Warning,
            "no serial cable: the board's file names none in [serial]".to_string(),
        ),
    };
    check(
        "0.5",
        "the serial line is captured",
        status,
        reason,
        match line {
            Line::None => {
                "connect one and name it in [serial] of the board's file; without it ramoops alone keeps what a dying kernel says"
            }
            Line::There { .. } | Line::Unusable(_) => {
                "check the cable, the speed, and `console=` in vanilla's append"
            }
        },
    )
}

/// The captures that work.
pub(super) fn capture(facts: &Facts, serial: bool, netconsole: bool) -> Option<ProvenCapture> {
    let ramoops = has_ramoops(facts);
    (serial || ramoops || netconsole).then_some(ProvenCapture {
        serial,
        ramoops,
        netconsole,
    })
}

/// No capture path that works means no campaign: a silent reset would teach nothing. `network` is what came of netconsole, where it was tried.
pub(super) fn some_capture(capture: Option<ProvenCapture>, network: Option<&anyhow::Result<()>>) -> Check {
    let (status, reason) = match (capture, network) {
        (Some(capture), _) if capture.netconsole_alone() => (
            Status::Warning,
            "netconsole alone: a test packet came. A panic's own words do not come over it, nor anything of a kernel that has lost its network"
                .to_string(),
        ),
        (Some(capture), _) => {
            let names = [(capture.serial, "serial line"), (capture.ramoops, "ramoops")];
            let works = names.iter().filter(|(works, _)| *works);
            let works: Vec<&str> = works.map(|(_, name)| *name).collect();
            (Status::Pass, works.join(", "))
        }
        (None, Some(Err(error))) => (
            Status::Fail,
            format!("neither the serial line nor ramoops works, nor does netconsole in the kernel that runs: {error:#}"),
        ),
        (None, _) => (
            Status::Fail,
            "neither the serial line nor ramoops works, and the board's file has no [netconsole]".to_string(),
        ),
    };
    check(
        "capture",
        "something tells what happens when the kernel dies",
        status,
        reason,
        "connect a serial cable, or reserve a ramoops region (`cargo xtask board ramoops`)",
    )
}

pub(super) fn boot_folder(facts: &Facts, needed: u64, mount: &Path) -> Check {
    let source = facts.get("boot_source");
    let parts: Vec<&str> = source.split_whitespace().collect();
    let free: u64 = parts.get(1).and_then(|free| free.parse().ok()).unwrap_or(0);
    let read_only = facts.get("boot_options").split(',').any(|option| option == "ro");
    let kind = parts.first().copied().unwrap_or_default();
    let wrong = [
        "overlay", "tmpfs", "nfs", "nfs4", "cifs", "9p", "squashfs", "iso9660",
    ]
    .contains(&kind);
    let (status, reason) = if Path::new(facts.get("boot_mount")) != mount {
        (
            Status::Fail,
            format!(
                "the boot folder is on the file system of {}, not of {}: the boot partition is not mounted",
                facts.get("boot_mount"),
                mount.display()
            ),
        )
    } else if wrong {
        (
            Status::Fail,
            format!("the boot folder is on {kind}, which U-Boot does not read"),
        )
    } else if read_only {
        (
            Status::Fail,
            "mounted read-only (after an error on FAT, too: fsck.vfat)".to_string(),
        )
    } else if free < needed {
        (
            Status::Fail,
            format!(
                "{:.1} MB free, {:.1} MB needed",
                free as f64 / 1e6,
                needed as f64 / 1e6
            ),
        )
    } else {
        (
            Status::Pass,
            format!(
                "{} on {}, {:.1} MB free",
                parts.first().unwrap_or(&"?"),
                facts.get("boot_mount"),
                free as f64 / 1e6
            ),
        )
    };
    check(
        "boot",
        "the boot folder is mounted, writable and has room",
        status,
        reason,
        "remount it, or make room",
    )
}

/// Modules and the backup. The kernel makes a file system read-only after an error (`errors=remount-ro`, ext4(5)), and an image may be so by
/// design: then nothing can be deployed or backed up, and a slot's own depmod fails.
pub(super) fn root_space(facts: &Facts, needed: u64) -> Check {
    let free = facts.number("root_free").unwrap_or(0);
    let mut read_only: Vec<String> = facts
        .all("written")
        .iter()
        .filter_map(|line| line.split_once(' '))
        .filter(|(options, _)| options.split(',').any(|option| option == "ro"))
        .map(|(_, mount)| mount.to_string())
        .collect();
    read_only.dedup();
    let (status, reason, fix) = if !read_only.is_empty() {
        (
            Status::Fail,
            format!("mounted read-only: {}", read_only.join(", ")),
            "look at the kernel log first: it does so after an error (then fsck, from another system); otherwise `mount -o remount,rw` with \
             the mount point",
        )
    } else {
        (
            if free > needed { Status::Pass } else { Status::Fail },
            format!(
                "{:.1} MB free, {:.1} MB needed",
                free as f64 / 1e6,
                needed as f64 / 1e6
            ),
            "make room on the file system of /lib/modules",
        )
    };
    check(
        "root",
        "modules and the backup can be written, and there is room",
        status,
        reason,
        fix,
    )
}

/// A wrong clock makes logs hard to order; time stamps of files are not relied on.
pub(super) fn clock(facts: &Facts, host_now: u64) -> Check {
    let off = facts.number("clock").map(|clock| clock.abs_diff(host_now));
    let reason = off.map_or("the board did not say its time".to_string(), |off| {
        format!("{off} s off this host's")
    });
    check(
        "clock",
        "the board's clock is right",
        pass_if(off.is_some_and(|off| off < 120).into(), Status::Warning),
        reason,
        "date -s @$(date +%s), or a time service",
    )
}

/// What a panic and an oops lead to (Documentation/admin-guide/sysctl/kernel.rst).
pub(super) fn panic(facts: &Facts) -> Check {
    let value = |key: &str| facts.get(key).trim().to_string();
    let waits = facts.get("kernel_panic").trim() == "0";
    check(
        "panic",
        "a panic ends in a reset",
        pass_if((!waits).into(), Status::Warning),
        format!(
            "panic={} panic_on_oops={} sysrq={}",
            value("kernel_panic"),
            value("kernel_panic_on_oops"),
            value("kernel_sysrq")
        ),
        "vanilla waits for ever at a panic; the test label gets panic=10",
    )
}

/// Invariant 4: a silent wedge has to end by itself.
pub(super) fn watchdog(facts: &Facts) -> Check {
    let shown = |dog: &String| {
        let words: Vec<&str> = dog.split_whitespace().collect();
        match words.as_slice() {
            // Without CONFIG_WATCHDOG_SYSFS there is a name and nothing else.
            [name, "timeout"] => (*name).to_string(),
            words => words.join(" "),
        }
    };
    let dogs: Vec<String> = facts.all("watchdog").iter().map(shown).collect();
    let fed = !matches!(facts.get("runtime_watchdog").trim(), "" | "0" | "infinity");
    check(
        "watchdog",
        "a hardware watchdog runs and systemd feeds it",
        pass_if((!dogs.is_empty() && fed).into(), Status::Warning),
        format!(
            "{}; RuntimeWatchdogSec {}",
            if dogs.is_empty() {
                "no watchdog".into()
            } else {
                dogs.join(", ")
            },
            facts.get("runtime_watchdog").trim()
        ),
        "set RuntimeWatchdogSec=20 in /etc/systemd/system.conf; without it a wedged kernel waits for a person",
    )
}

pub(super) fn tools(facts: &Facts) -> Check {
    let missing = facts.all("missing");
    let only_zstd = missing == ["zstd"];
    let status = match (missing.is_empty(), only_zstd) {
        (true, _) => Status::Pass,
        (false, true) => Status::Warning,
        (false, false) => Status::Fail,
    };
    let reason = if missing.is_empty() {
        "all there".to_string()
    } else {
        format!("missing: {}", missing.join(", "))
    };
    check(
        "tools",
        "the programs that a deploy needs are on the board",
        status,
        reason,
        "install them (zstd only saves time)",
    )
}

pub(super) fn extlinux(protected: &Protected) -> Vec<Check> {
    let Ok(bytes) = protected.foreign() else {
        return Vec::new();
    };
    let config = Config::parse(&bytes);
    let mut checks: Vec<Check> = lint(&config)
        .into_iter()
        .map(|finding| {
            let status = if finding.severity == Severity::Error {
                Status::Fail
            } else {
                Status::Warning
            };
            let title = format!("extlinux.conf, line {}: {}", finding.line, finding.rule);
            check(
                "extlinux",
                &title,
                status,
                finding.what,
                "edit extlinux.conf by hand; only our own label is edited for you",
            )
        })
        .collect();
    let default_is_vanilla = config
        .default_label()
        .or(config.menu.labels.first())
        .is_some_and(|label| label.name == protected.vanilla_label);
    checks.push(check(
        "extlinux",
        "vanilla is the default label",
        pass_if(default_is_vanilla.into(), Status::Fail),
        format!("unattended, U-Boot {}", config.behaviour()),
        "make vanilla's label the default",
    ));
    let menu = matches!(config.behaviour(), Behaviour::Asks { .. });
    checks.push(check(
        "extlinux",
        "U-Boot shows a menu with a timeout (for the method serial-menu)",
        pass_if(menu.into(), Status::Warning),
        format!("U-Boot {}", config.behaviour()),
        "set `prompt 1` and `timeout 30`, or use another boot method",
    ));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Facts<'_> {
        Facts::of(text)
    }

    #[test]
    fn auto_login_fails_and_names_the_file() {
        assert_eq!(auto_login(&[]).status, Status::Pass);
        let found = auto_login(&[Active {
            manager: "SDDM".into(),
            file: "/etc/sddm.conf".into(),
            user: "lei".into(),
        }]);
        assert_eq!(
            (found.status, found.reason.as_str()),
            (Status::Fail, "SDDM logs lei in (/etc/sddm.conf)")
        );
    }

    #[test]
    fn no_capture_no_campaign() {
        let nothing = facts("pstore_backend=(null)\n");
        assert_eq!(capture(&nothing, false, false), None);
        let refused = Err(anyhow::anyhow!("the kernel that runs has no netconsole"));
        for (network, words) in [
            (None, "has no [netconsole]"),
            (Some(&refused), "kernel that runs has no netconsole"),
        ] {
            let check = some_capture(None, network);
            assert!(
                check.status == Status::Fail && check.reason.contains(words),
                "{check:?}"
            );
        }
        let ramoops = facts("pstore=rw\npstore_backend=ramoops\n");
        let works = capture(&ramoops, false, false).unwrap();
        assert!(works.ramoops() && !works.serial() && !works.netconsole_alone());
        assert_eq!(some_capture(Some(works), None).status, Status::Pass);
        let unmounted = facts("pstore_backend=ramoops\n");
        assert_eq!(capture(&unmounted, false, false), None);
        assert!(capture(&nothing, true, false).is_some_and(ProvenCapture::serial));
        // The plan counts it; what it cannot is said.
        let alone = capture(&nothing, false, true).unwrap();
        assert!(alone.netconsole_alone());
        let check = some_capture(Some(alone), Some(&Ok(())));
        assert!(
            check.status == Status::Warning && check.reason.contains("panic's own words"),
            "{check:?}"
        );
    }

    #[test]
    fn a_line_that_is_not_there_says_why() {
        let check = |line: Line, sees: bool, status: Status, says: &str| {
            let found = serial(&line, sees, &facts("cmdline=console=ttyS2,1500000 quiet\n"));
            assert!(found.status == status && found.reason.contains(says), "{found:?}");
        };
        let there = |has_break| Line::There { has_break };
        check(there(true), true, Status::Pass, "arrived in the log");
        check(there(false), true, Status::Pass, "no BREAK");
        check(there(true), false, Status::Fail, "console=ttyS2,1500000");
        check(
            Line::Unusable("refused"),
            false,
            Status::Warning,
            "cannot be used: refused",
        );
        check(Line::None, false, Status::Warning, "no serial cable");
    }

    #[test]
    fn a_boot_folder_that_is_full_or_read_only_fails() {
        let text = "boot_source=vfat 1000 /boot/firmware\nboot_options=rw,sync\nboot_mount=/boot/firmware\n";
        let boot_folder =
            |facts: &Facts, needed| super::boot_folder(facts, needed, Path::new("/boot/firmware"));
        assert_eq!(boot_folder(&facts(text), 1000).status, Status::Pass);
        assert_eq!(boot_folder(&facts(text), 1001).status, Status::Fail);
        for (from, to, says) in [
            ("boot_mount=/boot/firmware", "boot_mount=/", "not mounted"),
            ("vfat", "overlay", "U-Boot does not read"),
        ] {
            let text = text.replace(from, to);
            let found = boot_folder(&facts(&text), 1);
            assert!(
                found.status == Status::Fail && found.reason.contains(says),
                "{found:?}"
            );
        }
        assert_eq!(
            boot_folder(&facts(&text.replace("rw,", "ro,")), 1).status,
            Status::Fail
        );
    }

    #[test]
    fn a_root_that_is_full_or_read_only_fails_with_what_to_do() {
        let text = "root_free=1000\nwritten=rw,relatime /\nwritten=rw,relatime /\n";
        let root = |text: &str, needed| root_space(&facts(text), needed);
        assert_eq!(root(text, 999).status, Status::Pass);
        let full = root(text, 1000);
        assert!(
            full.status == Status::Fail && full.fix.contains("make room"),
            "{full:?}"
        );
        // Both are on the root; only the backup is on a disk of its own.
        for (from, said) in [
            ("rw,relatime /\n", "mounted read-only: /"),
            ("written=rw,relatime /\nwritten=rw", "mounted read-only: /var"),
        ] {
            let text = match from.starts_with("written") {
                true => text
                    .replace(from, "written=rw /\nwritten=ro")
                    .replace("relatime /\n", "relatime /var\n"),
                false => text.replace(from, "ro,relatime /\n"),
            };
            let found = root(&text, 1);
            assert_eq!((found.status, found.reason.as_str()), (Status::Fail, said));
            assert!(
                found.fix.contains("remount,rw") && found.fix.contains("fsck"),
                "{found:?}"
            );
        }
        // Not an option that only begins so.
        assert_eq!(
            root("root_free=1000\nwritten=rw,root_squash /\n", 1).status,
            Status::Pass
        );
    }

    #[test]
    fn a_watchdog_that_nobody_feeds_warns() {
        let dog = "watchdog=i6300ESB timer active timeout 20\n";
        assert_eq!(
            watchdog(&facts(&format!("{dog}runtime_watchdog=20s\n"))).status,
            Status::Pass
        );
        assert_eq!(
            watchdog(&facts(&format!("{dog}runtime_watchdog=0\n"))).status,
            Status::Warning
        );
        assert_eq!(watchdog(&facts("runtime_watchdog=20s\n")).status, Status::Warning);
        let silent = watchdog(&facts("watchdog=watchdog0   timeout \nruntime_watchdog=20s\n"));
        assert_eq!(silent.reason, "watchdog0; RuntimeWatchdogSec 20s");
    }
}
