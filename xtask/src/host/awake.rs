//! Keeps this machine awake while it drives a board: a host that sleeps in the middle of a campaign renews no lease and reads no line.

use super::process::{self, Held};
use std::path::Path;
use std::time::Duration;
use xshell::{Shell, cmd};

/// There where systemd is the init (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// systemd-inhibit answers within this when it cannot take the lock.
const GRACE: Duration = Duration::from_millis(300);

/// Whether this machine is kept awake, as long as the value lives.
#[derive(Debug)]
pub enum Awake {
    /// By systemd-logind: no sleep, no idle action, no lid switch.
    Held(Held),
    /// It is not: why, and what to do.
    No(String),
}

/// Takes the lock (systemd-inhibit(1)). It ends with the value, and by itself when this program dies.
pub fn hold(why: &str) -> Awake {
    hold_where(Path::new(BOOTED), why)
}

fn hold_where(booted: &Path, why: &str) -> Awake {
    let not = |reason: &str| {
        Awake::No(format!(
            "this machine is not kept awake ({reason}): see to it that it does not sleep before the end, by its power settings or its lid"
        ))
    };
    if !matches!(super::files::is_folder(booted), Ok(true)) {
        return not("systemd does not run here");
    }
    let Ok(sh) = Shell::new() else {
        return not("no folder to start from");
    };
    let inhibiting = cmd!(
        sh,
        "systemd-inhibit --what=sleep:idle:handle-lid-switch --who=Lockstep --why={why} --mode=block cat"
    );
    match process::hold(inhibiting, GRACE) {
        Ok(held) => Awake::Held(held),
        Err(error) => not(&format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_can_hold_it_awake_a_person_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let Awake::No(said) = hold_where(&folder.path().join("none"), "x") else {
            panic!("held")
        };
        assert!(
            said.contains("systemd does not run here") && said.contains("power settings"),
            "{said}"
        );
    }
}
