//! The lease: a test boot ends by itself unless the host renews it (invariant 4).
//! `xtask/slot-init/lease.c` holds it on the board; this is the host's side.

use super::{Board, Description, InFront};
use crate::host::process::{BreakOff, Finished, Input};
use anyhow::{Result, bail};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What a renewal adds to the limit of the command that it comes with: time for the next command to be thought of.
const MARGIN: Duration = Duration::from_secs(60);
/// Where the host's commands find the page of memory that the board's side reads: a link to
/// `/proc/PID/fd/700` (`PAGE_FD` in lease.c). The first command of a boot makes it. The board's
/// side does not know of it.
macro_rules! page {
    () => {
        "/run/lockstep/lease"
    };
}

/// The first end of a lease, in seconds since the kernel's start: as long as a boot may take, and some to connect.
pub fn first(board: &Description) -> u64 {
    board.boot_limit.saturating_add(MARGIN).as_secs()
}

/// A means by which the lease ends a boot (`xtask/slot-init/ends.c`), in the order in which they
/// are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The kernel is asked what it waits for, then crashed on purpose, so that pstore keeps it.
    SysRq,
    /// `reboot(2)`.
    Restart,
    /// The hardware watchdog is no longer fed.
    Watchdog,
}

impl End {
    /// All of them, in their order.
    pub const ALL: [End; 3] = [End::SysRq, End::Restart, End::Watchdog];
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            End::SysRq => "SysRq",
            End::Restart => "reboot(2)",
            End::Watchdog => "the watchdog",
        })
    }
}

/// Whether the host can put the end of a lease off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Renewal {
    /// It can.
    Possible,
    /// The board's side has no page of memory that the host could write: the boot ends at the
    /// lease's first end.
    Impossible,
}

/// The lease of a kernel: what it can do there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Held {
    /// The means that it has, in the order of [`End::ALL`].
    pub ends: Vec<End>,
    /// Whether it can be renewed.
    pub renewal: Renewal,
    /// When it ends, in seconds since the kernel's start, where that could be read.
    pub until: Option<u64>,
}

impl Held {
    /// The means that it lacks.
    pub fn lacks(&self) -> Vec<End> {
        lacking(&self.ends)
    }

    /// Whether it has every means, and can be renewed.
    pub fn is_complete(&self) -> bool {
        self.lacks().is_empty() && self.renewal == Renewal::Possible
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the lease can end this boot by {}", listed(&self.ends))?;
        match self.lacks().as_slice() {
            [] => {}
            lacks => write!(f, "; this kernel or board lacks {}", listed(lacks))?,
        }
        match self.renewal {
            Renewal::Possible => Ok(()),
            Renewal::Impossible => write!(f, "; it cannot be renewed"),
        }
    }
}

/// The means of [`End::ALL`] that are not among `ends`.
pub fn lacking(ends: &[End]) -> Vec<End> {
    End::ALL.into_iter().filter(|end| !ends.contains(end)).collect()
}

/// Means in words.
pub fn listed(ends: &[End]) -> String {
    let names: Vec<String> = ends.iter().map(End::to_string).collect();
    match names.as_slice() {
        [] => "nothing".into(),
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.join(""),
    }
}

/// What a kernel's final `.config` says of the lease that it will have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Built {
    /// The means that this kernel leaves to its lease. Whether the board has a watchdog is not in
    /// it.
    pub ends: Vec<End>,
    /// Whether it can be renewed (`memfd_create`).
    pub renewal: Renewal,
    /// `CONFIG_PANIC_TIMEOUT`: what ends a panic that comes before `panic=` of the command line is
    /// read. 0 waits for ever.
    pub panic_timeout: i64,
}

impl Built {
    /// Reads a `.config`. A symbol that is not in it is off.
    pub fn of(config: &str) -> Self {
        let value = |symbol: &str| {
            config.lines().find_map(|line| {
                line.strip_prefix("CONFIG_")?
                    .strip_prefix(symbol)?
                    .strip_prefix('=')
            })
        };
        let on = |symbol: &str| value(symbol) == Some("y");
        // SysRq's trigger is a file of /proc. A driver of the watchdog may be a module, the core is
        // not (drivers/watchdog/Kconfig).
        let has = |end: &End| match end {
            End::SysRq => on("MAGIC_SYSRQ") && on("PROC_FS"),
            End::Restart => true,
            End::Watchdog => on("WATCHDOG"),
        };
        Built {
            ends: End::ALL.into_iter().filter(has).collect(),
            renewal: match on("TMPFS") && on("PROC_FS") {
                true => Renewal::Possible,
                false => Renewal::Impossible,
            },
            panic_timeout: value("PANIC_TIMEOUT").map_or(0, |text| text.parse().unwrap_or(0)),
        }
    }
}

impl Built {
    /// Whether the lease has every means that a kernel can give it and can be renewed, and an early
    /// panic ends.
    pub fn is_complete(&self) -> bool {
        lacking(&self.ends).is_empty() && self.renewal == Renewal::Possible && self.panic_timeout != 0
    }
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "its lease ends a boot by {}", listed(&self.ends))?;
        match lacking(&self.ends).as_slice() {
            [] => {}
            lacks => write!(f, "; it lacks {}", listed(lacks))?,
        }
        if self.renewal == Renewal::Impossible {
            f.write_str("; its lease cannot be renewed")?;
        }
        // Negative: at once (kernel/panic.c).
        match self.panic_timeout {
            0 => f.write_str(
                "; a panic before the command line is read waits for ever (CONFIG_PANIC_TIMEOUT=0)",
            ),
            seconds => write!(f, "; an early panic ends after {} s", seconds.max(0)),
        }
    }
}

/// A board whose lease is renewed by each command, for as long as the command may take.
pub struct Leased<'a> {
    board: &'a dyn Board,
}

impl<'a> Leased<'a> {
    /// Renews with every command from now on.
    pub fn new(board: &'a dyn Board) -> Self {
        Leased { board }
    }
}

impl InFront for Leased<'_> {
    fn behind(&self) -> &dyn Board {
        self.board
    }

    fn pass_on(&self, script: &str, input: Input, limit: Duration, break_off: &BreakOff) -> Result<Finished> {
        let renewing = renewal(limit.saturating_add(MARGIN));
        let script = format!("{{ {renewing}; }} 2>/dev/null\n{script}");
        self.board.run_unless(&script, input, limit, break_off)
    }
}

/// The shell commands that let the lease end so long from now. Only the first of a boot starts
/// programs: they come with each command, and starting a program costs a slow board more than many
/// a command. The page is written in place (`1<>`), with the same number twice: what the board's
/// side sees of a write in progress, it ignores (`deadline` in lease.c). Where no lease is held
/// nothing is written.
///
/// A user of the board may name a process like the lease's and give it a descriptor 700 of any file
/// that it can read: root would write to that file. Hence the process is root's, runs the slot's
/// own program, and has a memfd there. A program with set-user-ID is root's, too, and its name is
/// that of the link by which it was started: its `exe` is not the slot's.
pub(super) fn renewal(left: Duration) -> String {
    let find = r#"{ read -r lockstep_line </proc/cmdline; case $lockstep_line in *lockstep.lease=*)
for lockstep_comm in /proc/[0-9]*/comm; do { read -r lockstep_name <"$lockstep_comm"; } || continue;
lockstep_of=${lockstep_comm%/comm}; [ "$lockstep_name" = lockstep-lease ] && [ -O "$lockstep_of" ] || continue;
[ "$(readlink "$lockstep_of/fd/700")" = "/memfd:lockstep-lease (deleted)" ] || continue;
case $(readlink "$lockstep_of/exe") in */lockstep/init) ;; *) continue ;; esac;
mkdir -p /run/lockstep && ln -sfn "$lockstep_of/fd/700" /run/lockstep/lease; break; done;; esac; }"#;
    // One line: messages leave it out (`shortened` in ssh.rs).
    let find = find.replace('\n', " ");
    let page = page!();
    format!(
        "[ -e {page} ] || {find}; [ -e {page} ] && read -r lockstep_up lockstep_rest </proc/uptime && \
         lockstep_end=$((${{lockstep_up%%.*}} + {})) && printf '%010d %010d\\n' $lockstep_end $lockstep_end 1<>{page}",
        left.as_secs()
    )
}

/// The text of [`LOOKING`], for a constant that has more than this.
macro_rules! looking {
    () => {
        r#"for lockstep_comm in /proc/[0-9]*/comm; do
    { read -r lockstep_name <"$lockstep_comm"; } 2>/dev/null || continue
    case $lockstep_name in lockstep-lease | lockstep-sysrq | lockstep-says | lockstep-wdog) ;; *) continue ;; esac
    [ -O "${lockstep_comm%/comm}" ] || continue
    echo "lockstep_lease=$lockstep_name"
    [ "$lockstep_name" = lockstep-lease ] || continue
    [ "$(readlink "${lockstep_comm%comm}fd/700")" = "/memfd:lockstep-lease (deleted)" ] || continue
    { read -r lockstep_end lockstep_rest <"${lockstep_comm%comm}fd/700"; } 2>/dev/null &&
        echo "lockstep_lease_end=$lockstep_end"
done
[ -c /dev/watchdog ] || [ -c /dev/watchdog0 ] && echo lockstep_lease=device
"#
    };
}
pub(super) use looking;

/// A script that says what lease is held, for one that asks more than this. Its last status means
/// nothing.
pub const LOOKING: &str = looking!();

/// The lease, by the answer to [`LOOKING`], wherever it stands; `None` where none is held.
pub fn held(answer: &str) -> Option<Held> {
    let word = |wanted: &str| {
        answer
            .lines()
            .any(|line| line.strip_prefix("lockstep_lease=") == Some(wanted))
    };
    let until = answer
        .lines()
        .find_map(|line| line.strip_prefix("lockstep_lease_end="));
    let has = |end: &End| match end {
        End::SysRq => word("lockstep-sysrq"),
        End::Restart => word("lockstep-lease"),
        End::Watchdog => word("lockstep-wdog") && word("device"),
    };
    let ends: Vec<End> = End::ALL.into_iter().filter(has).collect();
    // A device alone is not a lease.
    (!ends.is_empty()).then(|| Held {
        ends,
        renewal: match until {
            Some(_) => Renewal::Possible,
            None => Renewal::Impossible,
        },
        until: until.and_then(|seconds| seconds.parse().ok()),
    })
}

/// What the lease that is held means for this boot, or that none is.
pub fn sentence(held: Option<&Held>) -> String {
    match held {
        Some(held) => held.to_string(),
        None => "no lease is held: a wedge that feeds the watchdog stays until this host resets it".into(),
    }
}

/// Lets the lease of the boot that runs end so long from now. Errors: the board does not answer, no
/// lease is held there, or it cannot be renewed.
pub fn renew(board: &dyn Board, left: Duration) -> Result<Held> {
    let name = &board.description().name;
    let script = format!("{{ {}; }} 2>/dev/null\n{LOOKING}", renewal(left));
    let done = board.run(&script, Duration::from_secs(30))?;
    match held(&done.text()) {
        Some(held) if held.renewal == Renewal::Possible => Ok(held),
        Some(held) => bail!("renewing the lease on board `{name}`: {held}"),
        None => bail!(
            "renewing the lease on board `{name}`: none is held there; what runs there was not booted by Lockstep"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lease_has_is_read_from_its_processes() {
        let all = "lockstep_lease=lockstep-sysrq\nlockstep_lease=lockstep-lease\nlockstep_lease_end=0000000240\n\
                   lockstep_lease=lockstep-wdog\nlockstep_lease=device\n";
        let lease = held(all).unwrap();
        assert!(lease.is_complete() && lease.until == Some(240), "{lease:?}");
        assert_eq!(
            lease.to_string(),
            "the lease can end this boot by SysRq, reboot(2) and the watchdog"
        );
        for (missing, lacks) in [
            ("lockstep_lease=lockstep-sysrq\n", End::SysRq),
            ("lockstep_lease=lockstep-lease\n", End::Restart),
            ("lockstep_lease=lockstep-wdog\n", End::Watchdog),
            ("lockstep_lease=device\n", End::Watchdog),
        ] {
            let lease = held(&all.replace(missing, "")).unwrap();
            assert_eq!((lease.lacks(), lease.is_complete()), (vec![lacks], false));
        }
        let fixed = held(&all.replace("lockstep_lease_end", "x")).unwrap();
        assert!(!fixed.is_complete() && fixed.renewal == Renewal::Impossible);
        assert_eq!(
            held("lockstep_lease=device\nx=lockstep_lease=lockstep-lease\n"),
            None
        );
        assert!(sentence(None).starts_with("no lease is held"));
    }

    #[test]
    fn what_a_configuration_leaves_to_the_lease() {
        let all = "CONFIG_MAGIC_SYSRQ=y\nCONFIG_PROC_FS=y\nCONFIG_WATCHDOG=y\nCONFIG_TMPFS=y\nCONFIG_PANIC_TIMEOUT=10\n";
        assert_eq!(
            Built::of(all),
            Built {
                ends: End::ALL.to_vec(),
                renewal: Renewal::Possible,
                panic_timeout: 10
            }
        );
        let without = Built::of(
            "# CONFIG_MAGIC_SYSRQ is not set\nCONFIG_MAGIC_SYSRQ_SERIAL=y\nCONFIG_WATCHDOG_CORE=y\n",
        );
        assert_eq!(lacking(&without.ends), [End::SysRq, End::Watchdog]);
        assert_eq!(listed(&without.ends), "reboot(2)");
        assert_eq!((without.panic_timeout, without.renewal), (0, Renewal::Impossible));
    }
}
