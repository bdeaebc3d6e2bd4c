//! Which machine a way leads to, in names that do not depend on who wrote the way down: two board files, two checkouts or two users that mean
//! one board share at least one of them. None of this connects to the board.

use super::{Connection, Ssh};
use crate::host::files;
use crate::host::lock::Alias;
use crate::host::process;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::cmd;

/// Both programs only read files of this host.
const LIMIT: Duration = Duration::from_secs(20);

/// What ssh makes of its arguments and its configuration files (`ssh -G`; ssh_config(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct Resolved {
    host: String,
    port: String,
    through: Vec<String>,
    alias: Option<String>,
    known_hosts: Vec<PathBuf>,
}

impl Ssh {
    /// The address as ssh resolves it, and every host key that ssh accepts there: with `BatchMode` a key that is not in a known_hosts file is
    /// refused (ssh_config(5), StrictHostKeyChecking), so they are known while the board is off. Errors: ssh does not understand its configuration;
    /// a known_hosts file cannot be read.
    pub fn machine_names(&self) -> Result<Vec<Alias>> {
        let doing = || format!("looking up which machine {} is", self.target.destination);
        let arguments = self.arguments(Connection::OfItsOwn);
        let sh = self.shell()?;
        let said = process::read(cmd!(sh, "ssh -G {arguments...}"), LIMIT).with_context(doing)?;
        let mut resolved = resolved(&said);
        ensure!(
            !resolved.host.is_empty(),
            "{}: `ssh -G` prints no host name",
            doing()
        );
        if let Some(known) = &self.target.known_host {
            // Its name may have blanks, which `ssh -G` does not quote.
            resolved.known_hosts = vec![known.file.clone()];
        }
        let mut names = vec![address(&resolved)];
        for file in &resolved.known_hosts {
            for key in self.keys_in(file, &looked_up(&resolved)).with_context(doing)? {
                names.push(host_key(&key));
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Lines `TYPE KEY` of a known_hosts file for a name. ssh-keygen knows hashed names, patterns and negations.
    fn keys_in(&self, file: &Path, name: &str) -> Result<Vec<String>> {
        if !file
            .try_exists()
            .with_context(|| format!("looking for {}", file.display()))?
        {
            return Ok(Vec::new());
        }
        let sh = self.shell()?;
        let found = process::finish(cmd!(sh, "ssh-keygen -F {name} -f {file}"), LIMIT)?;
        // 1: no such host (ssh-keygen.c, do_known_hosts).
        ensure!(
            matches!(found.status.code(), Some(0 | 1)),
            "reading {}: `ssh-keygen -F` ended with {}: {}",
            file.display(),
            found.status,
            String::from_utf8_lossy(&found.stderr).trim()
        );
        Ok(keys(&found.text()))
    }
}

/// The name of a board by its machine id (machine-id(5)); none where this is not one.
pub fn machine_id(text: &str) -> Option<Alias> {
    let id = text.trim();
    let is_id = id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit());
    is_id.then(|| Alias {
        key: format!("machine-id {}", id.to_lowercase()),
        shown: format!("its machine id {id}"),
    })
}

fn address(resolved: &Resolved) -> Alias {
    let Resolved {
        host, port, through, ..
    } = resolved;
    let through = match through.is_empty() {
        true => String::new(),
        false => format!(" through {}", through.join(", ")),
    };
    Alias {
        key: format!("address {host} {port}{through}"),
        shown: format!("its address {host}, port {port}{through}"),
    }
}

fn host_key(key: &str) -> Alias {
    let kind = key.split(' ').next().unwrap_or_default();
    let hash = files::sha256(key.as_bytes());
    Alias {
        key: format!("host-key {key}"),
        shown: format!(
            "its ssh host key ({kind}, hash {})",
            hash.get(..16).unwrap_or(&hash)
        ),
    }
}

/// The name under which ssh looks for a host key (sshconnect.c, get_hostfile_hostname_ipaddr).
fn looked_up(resolved: &Resolved) -> String {
    match (&resolved.alias, resolved.port.as_str()) {
        (Some(alias), _) => alias.clone(),
        (None, "22") => resolved.host.clone(),
        (None, port) => format!("[{}]:{port}", resolved.host),
    }
}

fn resolved(said: &str) -> Resolved {
    let mut found = Resolved::default();
    for line in said.lines() {
        let Some((key, value)) = line.trim().split_once(' ') else {
            continue;
        };
        match key {
            "hostname" => found.host = value.to_lowercase(),
            "port" => found.port = value.to_string(),
            "hostkeyalias" => found.alias = Some(value.to_string()),
            "proxyjump" | "proxycommand" if value != "none" => found.through.push(value.to_string()),
            "userknownhostsfile" | "globalknownhostsfile" => found
                .known_hosts
                .extend(value.split(' ').filter(|name| *name != "none").map(at_home)),
            _ => {}
        }
    }
    found
}

fn at_home(name: &str) -> PathBuf {
    match (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(name),
    }
}

/// Keys in the answer of `ssh-keygen -F`: `NAMES TYPE KEY [comment]`, after an optional marker (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). A revoked key, and
/// one of an authority that signs for many hosts, is not a machine's.
fn keys(answer: &str) -> Vec<String> {
    let key = |line: &str| {
        let mut words = line.split_whitespace();
        let names = words.next()?;
        let is_key = !names.starts_with(['#', '@']);
        let (kind, key) = (words.next()?, words.next()?);
        is_key.then(|| format!("{kind} {key}"))
    };
    answer.lines().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_resolves_names_address_and_known_hosts() {
        let said = "host ampere\nuser me\nhostname Ampere.Lan\nport 2222\nproxyjump gate\nuserknownhostsfile /h/known /h/known2\n\
                    globalknownhostsfile none\nproxycommand none\n";
        let found = resolved(said);
        assert_eq!(address(&found).key, "address ampere.lan 2222 through gate");
        assert_eq!(looked_up(&found), "[ampere.lan]:2222");
        assert_eq!(found.known_hosts, [Path::new("/h/known"), Path::new("/h/known2")]);
        let named = resolved("hostname a\nport 22\nhostkeyalias board\n");
        assert_eq!(looked_up(&named), "board");
        assert_eq!(looked_up(&Resolved { alias: None, ..named }), "a");
    }

    #[test]
    fn keys_of_authorities_and_revoked_ones_are_not_a_machine() {
        let answer = "# Host a found: line 1 \n|1|salt|hash ssh-ed25519 AAAA me@x\n@revoked a ssh-rsa BBBB\n@cert-authority * ssh-rsa CCCC\n\na ssh-rsa DDDD\n";
        assert_eq!(keys(answer), ["ssh-ed25519 AAAA", "ssh-rsa DDDD"]);
    }

    #[test]
    fn a_machine_id_is_32_digits_or_none() {
        assert!(machine_id("0123456789abcdef0123456789ABCDEF\n").is_some());
        for text in [
            "",
            "uninitialized",
            "0123",
            "0123456789abcdef0123456789abcdeg",
            "\0\0",
        ] {
            assert_eq!(machine_id(text), None, "{text:?}");
        }
    }
}
