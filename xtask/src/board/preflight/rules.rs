//! The rules of pre-flight: facts in, checks out. Those about captures are in `capture`, those about the system in `system`.

use super::{Backup, Check, Facts, Status};
use crate::board::autologin::Active;
use crate::board::backup::{NO_HASH, Proof};
use crate::board::extlinux::{Behaviour, Config, lint};
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
        Backup::Verified(verified) if verified.proof() == Proof::None => {
            (Status::Warning, NO_HASH.to_string())
        }
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
            let status = match finding.breaks(&[&protected.vanilla_label]) {
                true => Status::Fail,
                false => Status::Warning,
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
        .unattended()
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
