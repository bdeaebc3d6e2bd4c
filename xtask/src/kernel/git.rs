//! git, run so that only its arguments decide what it does: no configuration of the user or of the system, no
//! variable of this process's environment, no hook, no pager, no network.
//!
//! The configuration of a repository itself still counts, apart from what is set here: the repository is the user's.

use crate::host::one_line::one_line;
use crate::host::process;
use anyhow::{Result, bail};
use std::path::Path;
use std::time::Duration;
use xshell::{Cmd, Shell, cmd};

/// Settings that win over those of the repository (git-config(1)).
const SETTINGS: [&str; 16] = [
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.splitIndex=false",
    "core.quotePath=true",
    "core.pager=cat",
    "core.editor=false",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "apply.whitespace=nowarn",
    "mailinfo.quotedCr=nowarn",
    "advice.mergeConflict=false",
    // Whether the user trusts the repository was decided when it was opened.
    "safe.directory=*",
];

/// The oldest git that does what is asked of it here: `GIT_CONFIG_GLOBAL` (git-config(1)) is of 2.32.
const OLDEST: (u32, u32) = (2, 32);

/// Errors: git cannot be started, or is older than [`OLDEST`]: the user's configuration would count.
pub(super) fn refuse_old(sh: &Shell) -> Result<()> {
    let said = process::read(cmd!(sh, "git version"), Duration::from_secs(60))?;
    let version = said.strip_prefix("git version ").unwrap_or(&said);
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let found = numbers.next().flatten().zip(numbers.next().flatten());
    match found {
        Some(found) if found >= OLDEST => Ok(()),
        _ => bail!(
            "`git version` prints `{}`; Lockstep needs git {}.{} or newer",
            one_line(&said),
            OLDEST.0,
            OLDEST.1
        ),
    }
}

/// A git command that works in `folder`; arguments are added by the caller.
pub(super) fn git<'s>(sh: &'s Shell, folder: &Path) -> Cmd<'s> {
    let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
    let mut git = cmd!(sh, "git").arg("-C").arg(folder).args(settings);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        git = git.env_remove(name);
    }
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
}
