//! The way to a board: the system's `ssh` over one control connection that a reset may break at any time.
//!
//! Every call has a limit of its own. A control connection does not notice that the board behind it was reset, and
//! everything that is asked through it then hangs: so the connection looks after itself (`ServerAliveInterval`), a long command is
//! [watched](restarted), and [`Ssh::forget`] drops it without waiting for anybody.

mod machine;
mod restarted;

pub use machine::machine_id;

use super::quote;
use crate::host::files;
use crate::host::one_line;
use crate::host::process::{self, BreakOff, Finished, Input};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Name of the control socket, relative to [`Target::folder`], where `ssh` is started: the path of a Unix socket must
/// fit into 107 bytes (unix(7)), and `ssh` needs 17 of them for the name of its temporary one.
const CONTROL_SOCKET: &str = "ssh.sock";
/// Exit status of `ssh` itself when there is no connection (ssh(1), EXIT STATUS).
const NO_CONNECTION: i32 = 255;
/// So many characters of each line of ssh's own words, and so many lines: a server may greet with as many as it likes.
const SAID: (usize, usize) = (400, 20);
/// Longest time that `ssh -O exit` may take; it only talks to a process of this machine.
const FORGET_LIMIT: Duration = Duration::from_secs(2);

/// Where a board is and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `user@host`, or a name from the user's ssh configuration.
    pub destination: String,
    /// Port, where it is not the configured one.
    pub port: Option<u16>,
    /// A host that the connection goes through (`ssh -J`).
    pub jump: Option<String>,
    /// The ssh_config that is read instead of the user's own.
    pub config: Option<PathBuf>,
    /// How the user that logs in becomes root.
    pub rights: Rights,
    /// Private key that is used alone; `None`: what the user's configuration says.
    pub key: Option<PathBuf>,
    /// File with the board's host key, the name that it has there (`HostKeyAlias`), and nothing else is trusted;
    /// `None`: the user's own known_hosts.
    pub known_host: Option<KnownHost>,
    /// Existing folder for the control socket, private to the user.
    pub folder: PathBuf,
}

/// How scripts get root's rights on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    /// The user that logs in is root.
    #[default]
    Root,
    /// `sudo -n`: it never asks, so a missing right is an error at once and not a prompt that nobody sees.
    Sudo,
}

/// A host key in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHost {
    /// The known_hosts file.
    pub file: PathBuf,
    /// Name of the host in it, whatever address and port it has today.
    pub alias: String,
}

/// Connections to one board.
#[derive(Debug, Clone)]
pub struct Ssh {
    target: Target,
    /// See [`Ssh::looking_every`].
    look_every: Duration,
}

impl Ssh {
    /// A way to `target`. Nothing is connected yet.
    pub fn new(target: Target) -> Self {
        Ssh {
            target,
            look_every: restarted::QUIET,
        }
    }

    /// The same, where a command that nobody else watches is left alone for so long, before it is looked each time whether the board is still
    /// the one that it began on.
    pub fn looking_every(self, every: Duration) -> Self {
        Ssh {
            look_every: every,
            ..self
        }
    }

    /// A second way to the same place, with a connection of its own: what breaks the one leaves the other. Errors: the folder for its control
    /// socket, `name` in this one's folder, cannot be made.
    pub fn beside(&self, name: &str) -> Result<Self> {
        let folder = self.target.folder.join(name);
        let doing = || format!("making {}", folder.display());
        std::fs::create_dir_all(&folder).with_context(doing)?;
        // Whoever can open the socket is root on the board.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&folder, private).with_context(doing)?;
        Ok(Ssh::new(Target {
            folder,
            ..self.target.clone()
        }))
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Runs a POSIX shell script on the board with `input` on its standard input; any exit status is an answer,
    /// except 255, which `ssh` also uses for itself. Errors: no connection, no end within `limit`, or the board has restarted in the
    /// meantime; the connection is forgotten then, and what was started on the board may still run there.
    pub fn run_with_input(&self, script: &str, input: &[u8], limit: Duration) -> Result<Finished> {
        self.run_unless(script, Input::Bytes(input), limit, &BreakOff::default())
    }

    /// [`Ssh::run_with_input`] that is given up as soon as `break_off` is said (`BrokenOff` is the error then), in the same way as at its limit.
    /// Where that is the word of somebody who watches the board, nobody else does.
    pub fn run_unless(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> Result<Finished> {
        // The shared connection is forgotten where it fails, and not before its command is told why: see `restarted`.
        let shared = |break_off: &BreakOff| {
            let asked = self.ask(Connection::Shared, script, input, limit, break_off);
            if asked.is_err() {
                self.forget();
            }
            asked
        };
        if limit <= self.look_every || break_off.is_of_a_watch() {
            return shared(break_off);
        }
        restarted::beside(self, break_off, shared)
    }

    /// Runs a script over `connection`, and leaves that as it is: who forgets the shared one ends whatever else goes through it.
    fn ask(
        &self,
        connection: Connection,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> Result<Finished> {
        let ssh = self.arguments(connection);
        let remote = remote_command(script, self.target.rights);
        let sh = self.shell()?;
        let command = cmd!(sh, "ssh {ssh...} {remote}").secret();
        let doing = || format!("on {}: `{}`", self.target.destination, shortened(script));
        let finished = process::finish_unless(command, input, limit, break_off).with_context(doing)?;
        let said = String::from_utf8_lossy(&finished.stderr);
        if finished.status.code() == Some(NO_CONNECTION) {
            let advice = advice(&said, &self.target.destination);
            let words = one_line::indented(words(&said), SAID.0, SAID.1);
            bail!("{}: no connection: {words}{advice}", doing());
        }
        if self.target.rights == Rights::Sudo
            && finished.status.code() == Some(1)
            && let Some(refusal) = said.lines().find(|line| line.starts_with("sudo: "))
        {
            bail!(
                "{}: the user may not become root without a password ({}): allow it (visudo: `USER ALL=(ALL) \
                 NOPASSWD: ALL`), or let root log in with a key and set `rights = \"root\"`; nothing was run",
                doing(),
                one_line::one_line(refusal)
            );
        }
        Ok(finished)
    }

    /// Whether the board answers within `limit`, over a new connection, which later calls share.
    pub fn answers(&self, limit: Duration) -> bool {
        self.forget();
        self.run_with_input("true", &[], limit)
            .is_ok_and(|finished| finished.status.success())
    }

    /// Waits until the board answers. Errors: not within `limit`; carries the last refusal.
    pub fn wait(&self, limit: Duration) -> Result<Duration> {
        let started = Instant::now();
        self.forget();
        loop {
            let left = limit.saturating_sub(started.elapsed());
            // One try must not eat the whole limit: a connection that a booting board swallowed never answers.
            let one_try = left.clamp(Duration::from_secs(1), Duration::from_secs(30));
            match self.run_with_input("true", &[], one_try) {
                Ok(_) => return Ok(started.elapsed()),
                Err(error) if started.elapsed() >= limit => {
                    let seconds = limit.as_secs();
                    return Err(error.context(format!("no answer over ssh within {seconds} s")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// Drops the control connection. To be called when the board was reset: whatever hangs in the old one is let
    /// go within seconds, and the next call connects anew.
    pub fn forget(&self) {
        let socket = self.target.folder.join(CONTROL_SOCKET);
        // One that cannot be looked at is asked to end, too.
        if matches!(files::is_there(&socket), Ok(false)) {
            return;
        }
        let ssh = self.arguments(Connection::Shared);
        if let Ok(sh) = self.shell() {
            drop(process::finish(cmd!(sh, "ssh -O exit {ssh...}"), FORGET_LIMIT));
        }
        // A process that did not listen has lost its socket now and ends by itself after some missed answers.
        drop(std::fs::remove_file(socket));
    }

    /// Runs a command (or, without one, a login shell) on this terminal and gives its exit status.
    pub fn interactive(&self, words: &[String], terminal: Terminal) -> Result<ExitStatus> {
        let ssh = self.arguments(Connection::OfItsOwn);
        let terminal = match terminal {
            Terminal::Allocate => "-t",
            Terminal::Without => "-T",
        };
        let remote = (!words.is_empty()).then(|| words.join(" "));
        let sh = self.shell()?;
        process::run_interactive(cmd!(sh, "ssh {terminal} {ssh...} {remote...}"))
    }

    /// `ssh` is started in the target's folder, so that the control socket has a short name.
    fn shell(&self) -> Result<Shell> {
        let sh = Shell::new().context("preparing to start ssh")?;
        sh.change_dir(&self.target.folder);
        Ok(sh)
    }

    /// Options and destination.
    fn arguments(&self, connection: Connection) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut option = |text: String| words.extend(["-o".into(), OsString::from(text)]);
        option("BatchMode=yes".into());
        // Covers the greeting, too. A board that boots needs its time for it, and each new try costs it more.
        option("ConnectTimeout=30".into());
        // A board under load may be silent for a while and come back: whether its heart has stopped is for `heart` to decide, and that takes
        // it longer the slower the board is. This only keeps a connection to a board that does not come back from hanging for ever; one that
        // comes back as another boot is found by `restarted`.
        option("ServerAliveInterval=10".into());
        option("ServerAliveCountMax=10".into());
        match connection {
            Connection::Shared => {
                option("ControlMaster=auto".into());
                option(format!("ControlPath={CONTROL_SOCKET}"));
                option("ControlPersist=60".into());
            }
            Connection::OfItsOwn => option("ControlPath=none".into()),
        }
        if let Some(known) = &self.target.known_host {
            option(format!("UserKnownHostsFile={}", option_path(&known.file)));
            option("GlobalKnownHostsFile=/dev/null".into());
            option(format!("HostKeyAlias={}", known.alias));
            option("StrictHostKeyChecking=yes".into());
        }
        if let Some(key) = &self.target.key {
            option(format!("IdentityFile={}", option_path(key)));
            option("IdentitiesOnly=yes".into());
        }
        if self.target.key.is_some() && self.target.known_host.is_some() && self.target.config.is_none() {
            // Key and host key are the whole configuration: nothing from the user's files may redirect this connection.
            words.extend(["-F".into(), "none".into()]);
        }
        if let Some(config) = &self.target.config {
            words.extend(["-F".into(), config.clone().into()]);
        }
        if let Some(jump) = &self.target.jump {
            words.extend(["-J".into(), jump.into()]);
        }
        if let Some(port) = self.target.port {
            words.extend(["-p".into(), port.to_string().into()]);
        }
        // Behind `--` a name is a name, whatever it begins with.
        words.push("--".into());
        words.push(self.target.destination.clone().into());
        words
    }
}

/// Whether a command on the board gets a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// A person sits here.
    Allocate,
    /// Output goes into a pipe or a file.
    Without,
}

enum Connection {
    Shared,
    OfItsOwn,
}

/// The word that the login shell on the board gets: the script as *one* argument, so that standard input stays
/// free for data.
fn remote_command(script: &str, rights: Rights) -> String {
    let root = match rights {
        Rights::Root => "",
        Rights::Sudo => "sudo -n -- ",
    };
    format!("exec {root}sh -c {}", quote(script))
}

/// What to do about a connection that failed, from `ssh`'s own words (OpenSSH: sshconnect.c, sshconnect2.c, misc.c).
fn advice(said: &str, destination: &str) -> String {
    let text = if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        "the host key is not the one that is known: the board was installed anew, or another machine answers in its place. \
         Compare `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the board's own console with what ssh says above; only \
         if they agree, remove the old key with `ssh-keygen -R` and the name of the host"
    } else if said.contains("Host key verification failed") {
        "this host key is not known yet: connect once by hand and compare the fingerprint with the board's own \
         (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console)"
    } else if said.contains("Permission denied") {
        "no key was accepted, and a password is never asked for: put your key there (`ssh-copy-id`), or load it into the \
         agent (`ssh-add`)"
    } else if said.contains("Could not resolve hostname") {
        "check `host` in the board's file, and your ssh_config"
    } else if said.contains("Connection refused") {
        "the machine is there and its sshd is not: it may still be booting"
    } else if said.contains("No route to host") || said.contains("timed out") {
        "check the board's power and network"
    } else {
        return String::new();
    };
    format!("\n    what to do about {destination}: {text}")
}

/// A path in an option: ssh splits values at spaces unless they are quoted, and expands `%`.
fn option_path(path: &std::path::Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('%', "%%"))
}

/// What ssh said; it says nothing where the shared connection died under it.
fn words(said: &str) -> &str {
    match said.trim() {
        "" => {
            "it was lost, and ssh says no more: the board was reset, or it or its network does not answer any more"
        }
        said => said,
    }
}

/// The first line of a script, for a message. The renewal of a lease stands before many (`board::lease`) and is not what they are about.
fn shortened(script: &str) -> String {
    let script = match script.trim().split_once('\n') {
        Some((first, rest)) if first.contains("/run/lockstep/lease") => rest,
        _ => script,
    };
    let first = script.trim().lines().next().unwrap_or_default();
    match first.char_indices().nth(100) {
        Some((end, _)) => format!("{} …", one_line::one_line(first.get(..end).unwrap_or(first))),
        None if first.len() < script.trim().len() => format!("{} …", one_line::one_line(first)),
        None => one_line::one_line(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh() -> Ssh {
        Ssh::new(Target {
            destination: "root@127.0.0.1".into(),
            port: Some(2222),
            jump: None,
            config: None,
            rights: Rights::Root,
            key: Some("/cache of mine/100%/key".into()),
            known_host: Some(KnownHost {
                file: "/k".into(),
                alias: "lockstep".into(),
            }),
            folder: "/tmp".into(),
        })
    }

    #[test]
    fn a_script_is_one_argument() {
        assert_eq!(
            remote_command("echo 'a b' | cat", Rights::Root),
            r"exec sh -c 'echo '\''a b'\'' | cat'"
        );
        assert_eq!(
            remote_command("id -u", Rights::Sudo),
            "exec sudo -n -- sh -c 'id -u'"
        );
    }

    #[test]
    fn only_the_given_key_and_host_are_trusted() {
        let words = ssh().arguments(Connection::Shared);
        let shown = words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            shown.contains("StrictHostKeyChecking=yes") && shown.contains("-F none"),
            "{shown}"
        );
        assert!(
            shown.contains("IdentityFile=\"/cache of mine/100%%/key\""),
            "{shown}"
        );
        assert!(shown.ends_with("-p 2222 -- root@127.0.0.1"), "{shown}");
    }

    #[test]
    fn the_control_socket_has_a_short_name() {
        let words = ssh().arguments(Connection::Shared);
        assert!(words.contains(&"ControlPath=ssh.sock".into()));
        assert!(
            ssh()
                .arguments(Connection::OfItsOwn)
                .contains(&"ControlPath=none".into())
        );
    }

    #[test]
    fn messages_show_the_start_of_a_script() {
        assert_eq!(shortened("set -e\nrm x"), "set -e …");
        assert_eq!(shortened("uname -r"), "uname -r");
        let leased = format!(
            "({}) 2>/dev/null\nuname -r",
            crate::board::lease::renewal(Duration::from_secs(9))
        );
        assert_eq!(shortened(&leased), "uname -r");
        assert!(words(" \n").starts_with("it was lost"), "an end without a word");
    }

    #[test]
    fn nobody_there_is_an_error_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = ssh().target().clone();
        target.folder = folder.path().to_path_buf();
        target.port = Some(1);
        let error = Ssh::new(target)
            .run_with_input("true", &[], Duration::from_secs(10))
            .unwrap_err();
        assert!(format!("{error:#}").contains("Connection refused"), "{error:#}");
    }
}
