//! What ends a test boot by itself (invariant 4), from its first instruction on: the lease once
//! user space runs, before that the kernel's own panic, and before that only what is outside of the
//! kernel.

use super::super::file::StartedBy;
use super::super::lease::{self, Built, End};
use super::super::{Board, Description};
use super::rules::{check, pass_if};
use super::{Check, Facts, Status, tail};
use serde::Serialize;
use std::fmt;

/// What ends a boot whose kernel dies before it can panic: before its console, in its first
/// assembler, or without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyEnd {
    /// A watchdog that firmware leaves running.
    FirmwareWatchdog,
    /// This host, by the board's reset line or power switch.
    Reset,
}

impl fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            EarlyEnd::FirmwareWatchdog => "the watchdog, which firmware leaves running",
            EarlyEnd::Reset => "this host, by the board's reset line or power switch",
        })
    }
}

/// What ends a test boot on this board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ends {
    /// What the lease of a test kernel has: each profile asks for SysRq and the watchdog's core,
    /// and a build without them fails.
    pub lease: Vec<End>,
    /// What ends a boot that dies before any of it; empty: a person.
    pub early: Vec<EarlyEnd>,
}

/// Bytes of the serial log that are read for what firmware said last.
const LAST: u64 = 1 << 20;

impl Ends {
    /// What ends a test boot on `board`, as it runs vanilla.
    pub(super) fn of(board: &dyn Board, facts: &Facts) -> Self {
        let log = board.serial().and_then(|line| {
            let length = std::fs::metadata(line.log()).ok()?.len();
            tail(&line.log(), length.saturating_sub(LAST)).ok()
        });
        Self::seen(board.description(), facts, log.as_deref().unwrap_or_default())
    }

    fn seen(description: &Description, facts: &Facts, serial: &str) -> Self {
        let watchdog = description.watchdog.as_ref();
        let firmware = starts_watchdog(serial)
            .unwrap_or(watchdog.is_some_and(|watchdog| watchdog.started_by == StartedBy::Firmware));
        let has = |end: &End| match end {
            End::SysRq | End::Restart => true,
            End::Watchdog => !facts.all("watchdog").is_empty(),
        };
        let mut early = Vec::new();
        if firmware {
            early.push(EarlyEnd::FirmwareWatchdog);
        }
        if description.has_reset {
            early.push(EarlyEnd::Reset);
        }
        Ends {
            lease: End::ALL.into_iter().filter(has).collect(),
            early,
        }
    }

    /// The rows of it.
    pub(super) fn checks(&self) -> [Check; 2] {
        let lacks = lease::lacking(&self.lease);
        let mut lease = format!("a test boot ends by {}", lease::listed(&self.lease));
        if !lacks.is_empty() {
            lease += &format!("; this board lacks {}", lease::listed(&lacks));
        }
        let early: Vec<String> = self.early.iter().map(EarlyEnd::to_string).collect();
        let early = match early.as_slice() {
            [] => "nothing ends a boot that dies before its kernel can panic: it waits for a person".into(),
            early => format!("ended by {}", early.join(", or ")),
        };
        [
            check(
                "lease",
                "means of the lease",
                pass_if(lacks.is_empty().into(), Status::Warning),
                lease,
                "load the watchdog's driver on vanilla (`lsmod`, `ls /dev/watchdog*`); without one, a kernel whose reboot hangs waits for a \
                 person",
            ),
            check(
                "early-death",
                "a kernel that dies before it can panic",
                pass_if((!self.early.is_empty()).into(), Status::Warning),
                early,
                "a switch for the board's reset line or power ([power] in its file), or firmware that starts the watchdog (U-Boot: \
                 CONFIG_WATCHDOG_AUTOSTART) and `started-by = \"firmware\"` under [watchdog]",
            ),
        ]
    }
}

/// Whether U-Boot started the watchdog, by the last line of its that says so
/// (drivers/watchdog/wdt-uclass.c); `None` without such a line.
fn starts_watchdog(serial: &str) -> Option<bool> {
    let said = serial
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("WDT:   "))?;
    Some(said.starts_with("Started "))
}

/// Whether the lease of a kernel that was built is complete, and whether an early panic ends, by
/// its final `.config`; `None` where the build kept none.
pub fn built(config: Option<&str>) -> Check {
    let built = config.map(Built::of);
    let complete = built.as_ref().is_some_and(Built::is_complete);
    let unknown = "its build kept no configuration: what ends its boots is not known";
    check(
        "built",
        "lease of the kernel that was built last",
        pass_if(complete.into(), Status::Warning),
        built.map_or(unknown.into(), |built| built.to_string()),
        "build it again: each debug profile asks for kconfig-fragments/test-boot.config",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::file::BoardFile;

    fn description(name: &str, text: &str) -> Description {
        BoardFile::parse(name, text).unwrap().description
    }

    #[test]
    fn what_ends_a_boot_is_known_for_each_board() {
        let ampere = include_str!("../../../../boards/ampere.toml");
        let mine = description("ampere", ampere);
        let dog = Facts::of("watchdog=watchdog0 dw_wdt active timeout 44\n");
        let ends = Ends::seen(&mine, &dog, "");
        assert_eq!(
            (ends.lease.as_slice(), ends.early.as_slice()),
            (&End::ALL[..], &[][..])
        );
        let [lease, early] = ends.checks();
        assert_eq!((lease.status, early.status), (Status::Pass, Status::Warning));
        assert!(early.reason.contains("waits for a person"), "{early:?}");

        let firmware = ampere.replace(
            "driver = \"dw_wdt\"",
            "driver = \"dw_wdt\"\nstarted-by = \"firmware\"",
        );
        let ends = Ends::seen(&description("ampere", &firmware), &Facts::of(""), "");
        assert_eq!(ends.lease, [End::SysRq, End::Restart]);
        assert_eq!(ends.early, [EarlyEnd::FirmwareWatchdog]);
        let [lease, early] = ends.checks();
        assert_eq!((lease.status, early.status), (Status::Warning, Status::Pass));
        assert!(
            lease.reason.ends_with("this board lacks the watchdog"),
            "{lease:?}"
        );

        let virt = description("virtual", include_str!("../../../../boards/virtual.toml"));
        assert_eq!(Ends::seen(&virt, &dog, "").early, [EarlyEnd::Reset]);
    }

    /// What firmware prints counts for more than what the board's file says.
    #[test]
    fn u_boot_says_whether_it_starts_the_watchdog() {
        let started = "WDT:   Started watchdog@feaf0000 with servicing every 1000ms (60s timeout)\r\n";
        let not = "WDT:   Not starting watchdog@feaf0000\r\n";
        assert_eq!(starts_watchdog(started), Some(true));
        assert_eq!(
            starts_watchdog(&[started, "Net: eth0\r\n", not].concat()),
            Some(false)
        );
        assert_eq!(starts_watchdog(&[not, started].concat()), Some(true));
        assert_eq!(starts_watchdog("U-Boot 2023.01\n"), None);
    }

    #[test]
    fn a_kernel_that_was_built_without_an_end_is_told() {
        let all = "CONFIG_MAGIC_SYSRQ=y\nCONFIG_PROC_FS=y\nCONFIG_WATCHDOG=y\nCONFIG_TMPFS=y\nCONFIG_PANIC_TIMEOUT=10\n";
        assert_eq!(built(Some(all)).status, Status::Pass);
        assert_eq!(built(None).status, Status::Warning);
        for (gone, told) in [
            ("CONFIG_MAGIC_SYSRQ=y", "it lacks SysRq"),
            ("CONFIG_WATCHDOG=y", "it lacks the watchdog"),
            ("CONFIG_TMPFS=y", "cannot be renewed"),
            ("CONFIG_PANIC_TIMEOUT=10", "waits for ever"),
        ] {
            let row = built(Some(&all.replace(gone, "")));
            assert!(
                row.status == Status::Warning && row.reason.contains(told),
                "{row:?}"
            );
        }
    }
}
