//! A second host for backups: the archive, its manifest and their hashes are pushed on over ssh and hashed there. The user's own ssh_config leads to
//! it; a password is never asked for. Nothing that is there is ever taken for what is here.

use super::backup::{ARCHIVE, Copies, HASHES, Hashes, MANIFEST, Proof};
use super::file::SecondHost;
use super::quote;
use super::script::THERE;
use super::ssh::{Rights, Ssh, Target};
use crate::host::bounded;
use crate::host::files::{sha256, sha256_of};
use crate::host::process::{BreakOff, Finished, Input};
use crate::host::scratch;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Longest time of a push: an archive over a slow line.
const LIMIT: Duration = Duration::from_secs(1800);
/// Exit status of a script that found another backup under the name.
const ANOTHER: i32 = 73;

/// What has to be there: names, and the hash of each.
type Expected = Vec<(&'static str, String)>;

/// By the hashes that were kept when the backup was made, and not by what lies on this host by now: damage here is not to be taken for damage there.
/// Errors: no backup is here, or its manifest cannot be relied on.
fn expected(host_folder: &Path) -> Result<Expected> {
    let copies = Copies::find_here(host_folder)?
        .with_context(|| format!("there is no backup in {}", host_folder.display()))?;
    if copies.known.proof == Proof::None {
        let of =
            |name| -> Result<_> { Ok((name, crate::host::files::sha256_file(&host_folder.join(name))?)) };
        return Ok(vec![of(ARCHIVE)?, of(MANIFEST)?]);
    }
    let text = bounded::read(&host_folder.join(HASHES), bounded::MIB)?;
    let hashes = Hashes::parse(&text).with_context(|| format!("in {}", host_folder.display()))?;
    let archive = hashes
        .archive
        .with_context(|| format!("{HASHES} in {} does not name {ARCHIVE}", host_folder.display()))?;
    Ok(vec![
        (ARCHIVE, archive),
        (MANIFEST, hashes.manifest),
        (HASHES, sha256(&text)),
    ])
}

/// Puts `vanilla.tar.zst`, `manifest.json` and `manifest.sha256` of `host_folder` into `<folder>/<board>/<campaign>` there, each written beside its
/// target, flushed, hashed, renamed. What is there with the same hash stays. When it dies partway a file with `.new` at its end is left, and the next
/// push replaces it. Errors: no connection; the copy here is damaged; another backup has that name: nothing is overwritten.
pub fn push(second: &SecondHost, board: &str, campaign: &str, host_folder: &Path) -> Result<u64> {
    send(second, board, campaign, host_folder, &expected(host_folder)?)
}

fn send(
    second: &SecondHost,
    board: &str,
    campaign: &str,
    host_folder: &Path,
    expected: &Expected,
) -> Result<u64> {
    each(second, board, campaign, expected, |name, hash, target| {
        let path = host_folder.join(name);
        let file = bounded::open(&path)?;
        let (found, _) = sha256_of(&file).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            found == hash,
            "{} is damaged, so it is not pushed on: its SHA-256 is not the one that was kept",
            path.display()
        );
        let pushing = format!(
            "set -eu\numask 077\n{THERE}target={target}\nfolder=$(dirname -- \"$target\")\nmkdir -p -- \"$folder\"\n\
             if there \"$target\"; then\n    printf '%s  %s\\n' {hash} \"$target\" | sha256sum --quiet -c - >/dev/null 2>&1 || exit {ANOTHER}\n    \
             cat >/dev/null\n    exit 0\nfi\n\
             cat >\"$target.new\"\nsync \"$target.new\" 2>/dev/null || sync\n\
             printf '%s  %s\\n' {hash} \"$target.new\" | sha256sum --quiet -c - >&2\nmv -- \"$target.new\" \"$target\"\nsync\n"
        );
        Ok((pushing, Some(file)))
    })
}

/// Hashes all files there. Errors: one is missing or differs.
pub fn verify(second: &SecondHost, board: &str, campaign: &str, host_folder: &Path) -> Result<()> {
    each(
        second,
        board,
        campaign,
        &expected(host_folder)?,
        |_, hash, target| {
            let checking = format!("printf '%s  %s\\n' {hash} {target} | sha256sum --quiet -c - >&2");
            Ok((checking, None))
        },
    )?;
    Ok(())
}

/// Runs a script there for each file, which may have a file for its standard input; returns how many bytes were sent.
fn each(
    second: &SecondHost,
    board: &str,
    campaign: &str,
    expected: &Expected,
    script: impl Fn(&str, &str, &str) -> Result<(String, Option<File>)>,
) -> Result<u64> {
    let control = scratch::folder().context("making a folder for the connection")?;
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
    for (name, hash) in expected {
        let target = second.folder.join(board).join(campaign).join(name);
        outcome = script(name, hash, &quote(&target.to_string_lossy())).and_then(|(text, input)| {
            let size = input
                .as_ref()
                .map_or(Ok(0), |file| file.metadata().map(|found| found.len()))?;
            sent = u64::saturating_add(sent, size);
            let input = input.as_ref().map_or(Input::NOTHING, Input::File);
            let finished = ssh.run_unless(&text, input, LIMIT, &BreakOff::default())?;
            succeeded(&finished, &second.host, &target)
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::sha256_file;
    use crate::host::measured;

    /// Runs what would run there on this host.
    const SSH: &str = "#!/bin/sh\nfor word; do :; done\nexec sh -c \"$word\"\n";

    #[test]
    fn an_archive_is_pushed_without_being_held_in_memory() {
        let name = "board::second_host::tests::an_archive_is_pushed_without_being_held_in_memory";
        let programs = tempfile::tempdir().unwrap();
        let ssh = programs.path().join("ssh");
        std::fs::write(&ssh, SSH).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&ssh, executable).unwrap();
        let mut path = programs.path().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        measured::within(100, name, &[("PATH", path)], || {
            let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let archive = here.path().join(ARCHIVE);
            let size = 256 * bounded::MIB;
            File::create(&archive).unwrap().set_len(size).unwrap();
            let hash = sha256_file(&archive).unwrap();
            let second = SecondHost {
                host: "second".into(),
                folder: there.path().to_path_buf(),
                config: None,
            };
            let expected = vec![(ARCHIVE, hash)];
            let sent = send(&second, "b", "c", here.path(), &expected).unwrap();
            let copy = there.path().join("b/c").join(ARCHIVE);
            assert_eq!((sent, std::fs::metadata(copy).unwrap().len()), (size, size));
        });
    }
}
