//! A second host for backups: the archive and its manifest are pushed on over ssh and hashed there. The user's own ssh_config leads to it; a password is
//! never asked for.

use super::backup::{ARCHIVE, MANIFEST};
use super::file::SecondHost;
use super::quote;
use super::ssh::{Rights, Ssh, Target};
use crate::host::files::sha256;
use crate::host::process::Finished;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// Longest time of a push: an archive over a slow line.
const LIMIT: Duration = Duration::from_secs(1800);
/// Exit status of a script that found another backup under the name.
const ANOTHER: i32 = 73;

/// Puts `vanilla.tar.zst` and `manifest.json` of `host_folder` into `<folder>/<board>/<campaign>` there, each written beside its target, flushed, hashed,
/// renamed. What is there with the same hash stays. When it dies half-way a file with `.new` at its end is left, and the next push replaces it.
/// Errors: no connection, or another backup has that name: nothing is overwritten.
pub fn push(second: &SecondHost, board: &str, campaign: &str, host_folder: &Path) -> Result<u64> {
    each(second, board, campaign, host_folder, |target, bytes| {
        let hash = sha256(bytes);
        let pushing = format!(
            "set -eu\numask 077\ntarget={target}\nfolder=$(dirname -- \"$target\")\nmkdir -p -- \"$folder\"\n\
             if [ -e \"$target\" ]; then\n    printf '%s  %s\\n' {hash} \"$target\" | sha256sum --quiet -c - >/dev/null 2>&1 || exit {ANOTHER}\n    \
             cat >/dev/null\n    exit 0\nfi\n\
             cat >\"$target.new\"\nsync \"$target.new\" 2>/dev/null || sync\n\
             printf '%s  %s\\n' {hash} \"$target.new\" | sha256sum --quiet -c - >&2\nmv -- \"$target.new\" \"$target\"\nsync\n"
        );
        (pushing, bytes.to_vec())
    })
}

/// Hashes both files there. Errors: one is missing or differs.
pub fn verify(second: &SecondHost, board: &str, campaign: &str, host_folder: &Path) -> Result<()> {
    each(second, board, campaign, host_folder, |target, bytes| {
        let hash = sha256(bytes);
        (
            format!("printf '%s  %s\\n' {hash} {target} | sha256sum --quiet -c - >&2"),
            Vec::new(),
        )
    })?;
    Ok(())
}

/// Runs a script there for each file; gives the bytes that were sent.
fn each(
    second: &SecondHost,
    board: &str,
    campaign: &str,
    host_folder: &Path,
    script: impl Fn(&str, &[u8]) -> (String, Vec<u8>),
) -> Result<u64> {
    let control = tempfile::tempdir().context("making a folder for the connection")?;
    let ssh = Ssh::new(Target {
        destination: second.host.clone(),
        port: None,
        jump: None,
        config: second.config.clone(),
        rights: Rights::Root,
        key: None,
        known_host: None,
        folder: control.path().to_path_buf(),
    });
    let mut sent = 0;
    let mut outcome = Ok(());
    for name in [ARCHIVE, MANIFEST] {
        let path = host_folder.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let target = second.folder.join(board).join(campaign).join(name);
        let (text, input) = script(&quote(&target.to_string_lossy()), &bytes);
        sent += input.len() as u64;
        outcome = ssh
            .run_with_input(&text, &input, LIMIT)
            .and_then(|finished| succeeded(&finished, &second.host, &target));
        if outcome.is_err() {
            break;
        }
    }
    ssh.forget();
    outcome.map(|()| sent)
}

fn succeeded(finished: &Finished, host: &str, target: &Path) -> Result<()> {
    let said = String::from_utf8_lossy(&finished.stderr);
    match finished.status.code() {
        Some(0) => Ok(()),
        Some(ANOTHER) => bail!(
            "{host} has another backup in {}: it is not overwritten; choose another campaign name, or move it away",
            target.display()
        ),
        _ => bail!("{} on {host}: {}", target.display(), said.trim()),
    }
}
