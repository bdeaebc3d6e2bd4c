//! A board over ssh, as a board file describes it: a peer of the virtual one.

use super::file::{BoardFile, Kind, Power};
use super::netconsole::{self, Network, Wire};
use super::ssh::Ssh;
use super::{Board, Description, SerialLine, heart, held};
use crate::capture::client::{Found, Recorder};
use crate::capture::control::{MenuEntry, Writer};
use crate::capture::source::Source;
use crate::host::files;
use crate::host::lock::Proof;
use crate::host::process::{self, BreakOff, Finished, Input};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use xshell::{Shell, cmd};

/// Longest time that a power or reset command may take.
const SWITCH: Duration = Duration::from_secs(120);

/// How long a line may take to open before the board counts as one without a line: a terminal server across a network.
const LINE_LIMIT: Duration = Duration::from_secs(6);

/// A board that answers over ssh, if it answers.
#[derive(Debug)]
pub struct SshBoard {
    description: Description,
    ssh: Ssh,
    power: Power,
    line: Option<RecordedLine>,
    netconsole: Option<Wire>,
    lock: Option<Proof>,
}

/// A line that a recorder has open; it is started at the first use, and outlives this program.
#[derive(Debug)]
pub struct RecordedLine {
    recorder: Recorder,
    source: Source,
    /// Why there is no line after all, once it was looked.
    problem: OnceLock<Option<String>>,
}

impl RecordedLine {
    /// The line of `source`, with the recorder's files in `folder`. Nothing is opened yet.
    pub fn new(source: Source, folder: &Path) -> Self {
        RecordedLine {
            recorder: Recorder::at(folder),
            source,
            problem: OnceLock::new(),
        }
    }

    /// Why the line cannot be used: no recorder could be started, or the line does not open. A recorder that was started for
    /// nothing is ended again.
    pub fn problem(&self) -> Option<&str> {
        let look = || {
            if let Source::Device { device, .. } = &self.source
                && matches!(files::is_there(device), Ok(false))
            {
                // No cable is the usual case, and no process is needed to see it.
                return Some(format!("{} is not there: connect the cable", device.display()));
            }
            let ready = self.recorder.ensure(&self.source, None).and_then(|found| {
                let connected = self.recorder.wait_connected(LINE_LIMIT);
                if connected.is_err() && found == Found::Started {
                    self.recorder.stop()?;
                }
                connected
            });
            ready.err().map(|error| format!("{error:#}"))
        };
        self.problem.get_or_init(look).as_deref()
    }

    /// The recorder.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl SerialLine for RecordedLine {
    fn log(&self) -> PathBuf {
        self.recorder.log()
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.recorder.write(bytes, Writer::Tool)
    }

    fn send_break(&self) -> Result<()> {
        self.recorder.send_break()
    }

    /// A tty and RFC 2217 have one; a bare connection carries bytes alone.
    fn has_break(&self) -> bool {
        matches!(self.source, Source::Device { .. } | Source::Rfc2217 { .. })
    }

    fn vanilla_is(&self, entry: &MenuEntry) -> Result<()> {
        self.recorder.vanilla_is(entry.clone())
    }
}

impl SshBoard {
    /// The board of a file. `folder` gets the control socket; it is made, for this user alone. Nothing is connected yet. Errors: the file is of
    /// another kind, or the folder cannot be made. It can only be looked at until it is
    /// [`SshBoard::held`].
    pub fn open(file: &BoardFile, folder: &Path) -> Result<Self> {
        let Kind::Ssh(reach) = &file.kind else {
            bail!("board `{}` is not reached over ssh alone", file.description.name);
        };
        let doing = || format!("making {}", folder.display());
        std::fs::create_dir_all(folder).with_context(doing)?;
        // Whoever can open the socket is root on the board.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder, private).with_context(doing)?;
        Ok(SshBoard {
            description: file.description.clone(),
            ssh: Ssh::new(reach.target(folder)),
            power: file.power.clone(),
            lock: None,
            netconsole: file.netconsole.as_ref().map(|asked| Wire {
                folder: folder.join("netconsole"),
                network: Network::Shared {
                    host: asked.host,
                    port: asked.port.unwrap_or(netconsole::PORT),
                },
            }),
            line: file
                .serial
                .clone()
                .map(|source| RecordedLine::new(source, &folder.join("serial"))),
        })
    }

    /// The line that its file names, working or not.
    pub fn line(&self) -> Option<&RecordedLine> {
        self.line.as_ref()
    }

    /// Asks whether the way leads to a root shell; returns the board's machine id, if it has one. Errors: it does not; with what to do
    /// about it.
    pub fn check_way(&self, limit: Duration) -> Result<Option<String>> {
        let asked = self
            .ssh
            .run_with_input("id -u; cat /etc/machine-id 2>/dev/null || :", &[], limit)?;
        let text = asked.text();
        let mut lines = text.lines();
        let who = lines.next().unwrap_or_default();
        ensure!(
            who == "0",
            "scripts run as user {} on board `{}`, and not as root: set `rights = \"sudo\"` in its file, or log in as root",
            who.escape_debug(),
            self.description.name
        );
        Ok(lines.next().map(String::from))
    }

    /// The same board over a connection of this name, which no one else shares.
    pub fn over(mut self, connection: &str) -> Result<Self> {
        self.ssh = self.ssh.beside(connection)?;
        Ok(self)
    }

    /// The same board, which may be changed for as long as its lock is held.
    pub fn held(self, lock: Proof) -> Self {
        SshBoard {
            lock: Some(lock),
            ..self
        }
    }

    /// The transport.
    pub fn ssh(&self) -> &Ssh {
        &self.ssh
    }

    fn switch(&self, what: &str, words: &[String]) -> Result<()> {
        let sh = Shell::new()?;
        let (program, arguments) = words.split_first().context("no program is named")?;
        process::run(cmd!(sh, "{program} {arguments...}"), SWITCH)
            .with_context(|| format!("{what} of board `{}`", self.description.name))?;
        Ok(())
    }
}

impl Board for SshBoard {
    fn description(&self) -> &Description {
        &self.description
    }

    fn run_unless(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> Result<Finished> {
        self.ssh.run_unless(script, input, limit, break_off)
    }

    fn second_way(&self) -> Option<Ssh> {
        self.ssh.beside(heart::NAME).ok()
    }

    fn answers(&self, limit: Duration) -> bool {
        self.ssh.answers(limit)
    }

    /// None, too, where the line that its file names does not open: no cable, no terminal server. See [`RecordedLine::problem`].
    fn serial(&self) -> Option<&dyn SerialLine> {
        let line = self.line.as_ref()?;
        line.problem().is_none().then_some(line as &dyn SerialLine)
    }

    fn netconsole(&self) -> Option<Wire> {
        self.netconsole.clone()
    }

    fn serial_problem(&self) -> Option<&str> {
        self.line.as_ref()?.problem()
    }

    fn may_change(&self) -> Result<()> {
        held(&self.description.name, self.lock.as_ref())
    }

    fn hard_reset(&self) -> Result<()> {
        self.may_change()?;
        match &self.power {
            Power {
                reset: Some(words), ..
            } => self.switch("the reset command", words)?,
            Power {
                off: Some(off),
                on: Some(on),
                ..
            } => {
                self.switch("the power-off command", off)?;
                // Capacitors keep some boards alive for a moment.
                std::thread::sleep(Duration::from_secs(3));
                self.switch("the power-on command", on)
                    .context("its power is off now: switch it on by hand")?;
            }
            _ => bail!(
                "board `{}` has no reset command and no power commands ([power] in its file): press its reset button",
                self.description.name
            ),
        }
        self.ssh.forget();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::lock;

    fn board(folder: &Path, power: &str) -> SshBoard {
        let text = include_str!("../../../boards/ampere.toml");
        let file = BoardFile::parse("ampere", &format!("{text}\n[power]\n{power}\n")).unwrap();
        SshBoard::open(&file, folder).unwrap()
    }

    #[test]
    fn a_board_is_reset_only_while_its_lock_is_held() {
        let (folder, locks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pulled = folder.path().join("pulled");
        let reset = format!("reset = [\"touch\", \"{}\"]", pulled.display());
        let lock = || {
            let place = lock::Place::at(locks.path()).unwrap();
            lock::take(&place, &[], &lock::Purpose::default()).unwrap()
        };
        let refused = |board: &SshBoard| {
            let error = board.hard_reset().unwrap_err().to_string();
            assert!(error.contains("does not hold the board's lock"), "{error}");
            assert!(!pulled.exists());
        };
        refused(&board(folder.path(), &reset));
        let held = lock();
        let mine = board(folder.path(), &reset).held(held.proof());
        drop(held);
        refused(&mine);
        let held = lock();
        mine.held(held.proof()).hard_reset().unwrap();
        assert!(pulled.exists());
    }

    #[test]
    fn a_board_that_was_left_without_power_is_told_as_that() {
        let folder = tempfile::tempdir().unwrap();
        let lock = lock::take(
            &lock::Place::at(folder.path()).unwrap(),
            &[],
            &lock::Purpose::default(),
        )
        .unwrap();
        let board = |folder: &Path, power: &str| board(folder, power).held(lock.proof());
        let plug = board(folder.path(), "off = [\"true\"]\non = [\"false\"]");
        let error = format!("{:#}", plug.hard_reset().unwrap_err());
        assert!(
            error.starts_with("its power is off now: switch it on by hand")
                && error.contains("the power-on command"),
            "{error}"
        );
        let wire = board(folder.path(), "reset = [\"false\"]");
        let error = format!("{:#}", wire.hard_reset().unwrap_err());
        assert!(
            error.starts_with("the reset command of board `ampere`"),
            "{error}"
        );
    }
}
