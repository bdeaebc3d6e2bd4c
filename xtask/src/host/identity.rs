//! A process that can be told from a later one with the same id.

use serde::{Deserialize, Serialize};

/// A process of this boot of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// When it began, in clock ticks since the host's boot: field 22 of `/proc/<pid>/stat` (proc_pid_stat(5)).
    pub start: u64,
    /// The host's boot: ticks of another boot say nothing.
    pub boot: String,
}

impl Identity {
    /// The process with this id, if there is one that has not ended.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Identity {
            pid,
            start: start(&stat)?,
            boot: boot.trim().to_string(),
        })
    }

    /// Whether it still runs. One that ended and was not waited for yet does not.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

/// Start time of a process that runs, from its `stat`. The second field, its name, may hold anything, blanks and parentheses too.
fn start(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace();
    let state = fields.next()?;
    // Zombie and dead.
    if ["Z", "X", "x"].contains(&state) {
        return None;
    }
    // State is field 3, so 18 more lie before field 22.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_hide_the_start() {
        let fields = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start(&format!("7 (a) R 1) S {fields}")), Some(4711));
        assert_eq!(start(&format!("7 (a) Z {fields}")), None);
        assert_eq!(start("7 (a"), None);
    }

    #[test]
    fn another_process_is_not_this_one() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let later = Identity {
            start: me.start + 1,
            ..me
        };
        assert!(!later.is_alive());
    }
}
