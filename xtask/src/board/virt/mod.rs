//! The virtual board: QEMU `virt` with real U-Boot, a real extlinux.conf on FAT, a real Debian, ramoops, a hardware
//! watchdog and a serial line. A peer of every other board: the engine sees [`Board`] only.
//!
//! It lives in `<cache>/boards/virtual`. QEMU runs in the background and outlives this tool.

mod create;
mod disk;
mod environment;
mod lock;
mod ports;
mod power;
mod qemu;
mod qmp;
mod removal;
mod rootfs;
mod serial;
mod status;
mod tools;

pub use create::{Different, create, make_user_land};
pub use disk::VANILLA_LABEL;
pub use lock::machine_name;
pub use ports::{LogNetwork, Ports};
pub use qemu::Machine;
pub use removal::destroy;
pub use serial::{Connection, Serial};
pub use status::Status;

use super::file::BoardFile;
use super::netconsole::{Network, Own, Wire};
use super::ssh::{KnownHost, Rights, Ssh, Target};
use super::{Board, Description, SerialLine, heart, netconsole};
use crate::capture::source::Source;
use crate::document::Format;
use crate::host::folders::Folders;
use crate::host::identity::Identity;
use crate::host::lock::Proof;
use crate::host::process::{BreakOff, Finished, Input};
use crate::host::requirements;
use crate::host::{bounded, files};
use crate::manifest::Manifest;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Version of [`State`] that this code writes.
const SCHEMA_VERSION: u32 = 1;
const STATE: &str = "board.json";
const PORTS: &str = "ports.json";
const LOGIN_KEY: &str = "key";
const KNOWN_HOSTS: &str = "known_hosts";
const HOST_ALIAS: &str = "lockstep-virtual-board";
/// Folder of the recorder of netconsole's packets.
const NETCONSOLE: &str = "netconsole";
/// Board and host on the second network: addresses that are nobody's (RFC 5737), in frames for nobody's card.
const LOG_ENDS: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
const LOG_PEER: &str = "52:54:00:6c:6f:68";
/// Longest way down after `systemctl poweroff`: DefaultTimeoutStopSec of the board, and some for a busy host.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(40);

/// The virtual board of this user's cache. It was made; whether it is on is another question.
#[derive(Debug)]
pub struct VirtualBoard {
    folder: PathBuf,
    description: Description,
    serial: Serial,
    state: State,
    instance: String,
    /// See [`VirtualBoard::over`].
    connection: Option<&'static str>,
    lock: Option<Proof>,
}

/// What a board was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct State {
    schema_version: u32,
    /// Hash of everything that it was made from.
    key: String,
    /// Release of vanilla.
    release: String,
    /// The QEMU that its device tree was dumped from.
    qemu: String,
}

impl State {
    fn write(&self, folder: &Path) -> Result<()> {
        files::write_atomic(&folder.join(STATE), &serde_json::to_vec_pretty(self)?)
    }
}

/// What [`VirtualBoard::up`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// It was on already.
    WasOn,
    /// It has power since just now.
    Started,
}

/// How [`VirtualBoard::down`] ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// It was off already.
    WasOff,
    /// It shut itself down: everything is on its disk.
    Shutdown,
    /// It did not answer or not obey, and the power was cut.
    Cut,
}

/// How long a board whose network is up may take to refuse a connection at first; each try has more time.
const NETWORK: Duration = Duration::from_millis(250);
/// Longest time from a reset to U-Boot's first line, on a busy host.
const RESET_LIMIT: Duration = Duration::from_secs(20);

impl VirtualBoard {
    /// The board that was made. It can only be looked at until it is [`VirtualBoard::held`].
    /// Errors: none was made.
    pub fn open(folders: &Folders) -> Result<Self> {
        let folder = folder(folders);
        let path = folder.join(STATE);
        let Some(bytes) = bounded::read_if_there(&path, bounded::RECORD)? else {
            bail!("there is no virtual board yet: make it with `cargo xtask board up`");
        };
        const FORMAT: Format = Format {
            what: "the state of the virtual board",
            oldest: 1,
            newest: SCHEMA_VERSION,
        };
        let state: State = FORMAT.read(&bytes).with_context(|| {
            format!(
                "reading {} (another version wrote it? `cargo xtask board destroy`)",
                path.display()
            )
        })?;
        let keys = folder.join(KNOWN_HOSTS);
        let keys = fs::read(&keys).with_context(|| {
            format!(
                "reading {} (a board that is not whole? `cargo xtask board destroy`)",
                keys.display()
            )
        })?;
        Ok(VirtualBoard {
            instance: files::sha256(&keys).chars().take(8).collect(),
            serial: Serial::new(&folder),
            description: description()?,
            folder,
            state,
            connection: None,
            lock: None,
        })
    }

    /// The same board with what a board file says of it, instead of what this program was built with.
    pub fn described(self, description: Description) -> Self {
        VirtualBoard { description, ..self }
    }

    /// The same board over a connection of this name, which no one else shares.
    pub fn over(self, connection: &'static str) -> Self {
        VirtualBoard {
            connection: Some(connection),
            ..self
        }
    }

    /// The same board, which may be changed for as long as its lock is held.
    pub fn held(self, lock: Proof) -> Self {
        VirtualBoard {
            lock: Some(lock),
            ..self
        }
    }

    /// Its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Names this very board, by its host key: one that is made again has other files, though it is made from the same things.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Release of vanilla.
    pub fn vanilla_release(&self) -> &str {
        &self.state.release
    }

    /// Its disk image, to look at while it is off.
    pub fn disk(&self) -> PathBuf {
        self.folder.join(qemu::DISK)
    }

    /// The line, with more than [`SerialLine`] has.
    pub fn line(&self) -> &Serial {
        &self.serial
    }

    /// Gives it power, if it has none; does not wait for it. Errors: QEMU is missing, is another one than its device tree
    /// was dumped from, or refuses. Dies half-way: it is on or off, and [`VirtualBoard::status`] knows.
    pub fn up(&self, folders: &Folders) -> Result<Up> {
        self.up_recording(folders, None)
    }

    /// [`VirtualBoard::up`], with every write and flush of its disk recorded in order in `write_log` (absolute; the kernel's
    /// dm-log-writes format), for tests that cut its power at any instant.
    pub fn up_recording(&self, folders: &Folders, write_log: Option<&Path>) -> Result<Up> {
        let _lock = lock::wait(folders)?;
        if let Some(pid) = power::running(&self.folder) {
            self.serial.record(pid)?;
            return Ok(Up::WasOn);
        }
        let version = tools::qemu_version()?;
        if version != self.state.qemu {
            bail!(
                "the virtual board was made with {:?}, and this machine has {version:?} now: its device tree may not \
                 fit, so make it anew (`cargo xtask board destroy`, then `cargo xtask board up`)",
                self.state.qemu
            );
        }
        // Another program may take the port between the look and the start; so try again with another one.
        for tries_left in (0..3).rev() {
            let ports = Ports::free()?;
            files::write_atomic(&self.folder.join(PORTS), &serde_json::to_vec_pretty(&ports)?)?;
            let machine = Machine {
                write_log: write_log.map(Path::to_path_buf),
                ..machine(&self.folder, ports)?
            };
            match power::start(&machine) {
                Ok(()) => {
                    if let Some(pid) = power::running(&self.folder) {
                        self.serial.record(pid)?;
                    }
                    return Ok(Up::Started);
                }
                Err(error) if tries_left > 0 && ports::is_taken(&format!("{error:#}")) => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no free port was found for the virtual board")
    }

    /// Waits until it answers over ssh; gives the time that it took. Errors: it went off, or did not answer within
    /// `limit`; both carry the end of the serial log.
    pub fn wait_for_ssh(&self, limit: Duration) -> Result<Duration> {
        let started = Instant::now();
        let end = || serial::end(&self.serial.since(0).unwrap_or_default());
        loop {
            let Some(ports) = self.ports().filter(|_| self.is_on()) else {
                bail!("the virtual board is off; its serial line ended with:\n{}", end());
            };
            if ports::refuses(ports.closed, Duration::from_millis(500)) {
                break;
            }
            if started.elapsed() >= limit {
                let seconds = limit.as_secs();
                bail!(
                    "the virtual board did not answer within {seconds} s; its serial line ends with:\n{}",
                    end()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let left = limit.saturating_sub(started.elapsed());
        self.ssh()?
            .wait(left)
            .with_context(|| format!("the serial line ends with:\n{}", end()))?;
        self.set_clock()?;
        Ok(started.elapsed())
    }

    /// Gives it the time of the host: a kernel without RTC_HCTOSYS starts at its user land's oldest possible time.
    fn set_clock(&self) -> Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("reading the clock")?
            .as_secs();
        // systemd starts no boot earlier than the time of that file (systemd(1), /usr/lib/clock-epoch).
        let script = format!("date -u -s @{now} > /dev/null && touch /usr/lib/clock-epoch");
        let done = self.run(&script, Duration::from_secs(30))?;
        if !done.status.success() {
            bail!(
                "setting the virtual board's clock: {}",
                String::from_utf8_lossy(&done.stderr).trim()
            );
        }
        Ok(())
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        power::running(&self.folder).is_some()
    }

    /// Takes its power: asks it to shut down first, and cuts if it does not. Errors: QEMU does not end.
    pub fn down(&self, folders: &Folders) -> Result<Down> {
        let _lock = lock::wait(folders)?;
        self.switch_off()
    }

    /// Takes its power at once: what it has not flushed is lost.
    pub fn cut_power(&self) -> Result<()> {
        if self.is_on() {
            power::cut(&self.folder)?;
        }
        Ok(())
    }

    fn switch_off(&self) -> Result<Down> {
        if !self.is_on() {
            return Ok(Down::WasOff);
        }
        let asked = self.run("systemctl poweroff", Duration::from_secs(15));
        if let Ok(ssh) = self.ssh() {
            ssh.forget();
        }
        if asked.is_ok() && power::wait_until_off(&self.folder, SHUTDOWN_LIMIT) {
            return Ok(Down::Shutdown);
        }
        power::cut(&self.folder)?;
        Ok(Down::Cut)
    }

    /// The way in. Errors: it never had power.
    pub fn ssh(&self) -> Result<Ssh> {
        let ports = self
            .ports()
            .context("the virtual board is off: `cargo xtask board up`")?;
        let ssh = Ssh::new(Target {
            destination: "root@127.0.0.1".into(),
            port: Some(ports.ssh),
            jump: None,
            config: None,
            rights: Rights::Root,
            key: Some(self.folder.join(LOGIN_KEY)),
            known_host: Some(KnownHost {
                file: self.folder.join(KNOWN_HOSTS),
                alias: HOST_ALIAS.into(),
            }),
            folder: self.folder.clone(),
        });
        match self.connection {
            Some(name) => ssh.beside(name),
            None => Ok(ssh),
        }
    }

    /// The ports of the last start.
    fn ports(&self) -> Option<Ports> {
        serde_json::from_slice(&fs::read(self.folder.join(PORTS)).ok()?).ok()
    }
}

impl Board for VirtualBoard {
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
        if !self.is_on() {
            bail!("the virtual board is off: `cargo xtask board up`");
        }
        self.ssh()?.run_unless(script, input, limit, break_off)
    }

    fn second_way(&self) -> Option<Ssh> {
        self.ssh().ok()?.beside(heart::NAME).ok()
    }

    /// A connection that is made before its network is up hangs for as long as it may (QEMU takes it, and asks the board's card once where it is), so
    /// that is waited for first: the price is a packet.
    fn answers(&self, limit: Duration) -> bool {
        let started = Instant::now();
        let mut one_try = NETWORK;
        while self.is_on() {
            let closed = self.ports().map(|ports| ports.closed);
            if closed.is_some_and(|port| ports::refuses(port, one_try)) {
                return self.ssh().is_ok_and(|ssh| ssh.answers(limit));
            }
            if started.elapsed() >= limit {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            one_try = one_try.mul_f32(1.5).min(limit);
        }
        false
    }

    fn serial(&self) -> Option<&dyn SerialLine> {
        Some(&self.serial)
    }

    /// The second network: ssh goes on undisturbed, and nothing outside is reached.
    fn netconsole(&self) -> Option<Wire> {
        let LogNetwork { machine, host } = self.ports()?.log?;
        let qemu = power::running(&self.folder).and_then(Identity::of)?;
        Some(Wire {
            folder: self.folder.join(NETCONSOLE),
            network: Network::Own(Own {
                device: qemu::LOG_MAC.into(),
                from: LOG_ENDS.0,
                to: LOG_ENDS.1,
                port: netconsole::PORT,
                mac: LOG_PEER.into(),
                source: Source::Frames {
                    at: format!("127.0.0.1:{host}"),
                    from: format!("127.0.0.1:{machine}"),
                    port: netconsole::PORT,
                },
                until: qemu,
            }),
        })
    }

    /// QEMU is this machine's own: its line is there whenever it has power.
    fn serial_problem(&self) -> Option<&str> {
        None
    }

    fn may_change(&self) -> Result<()> {
        super::held(&self.description.name, self.lock.as_ref())
    }

    fn hard_reset(&self) -> Result<()> {
        self.may_change()?;
        let mark = self.serial.mark();
        power::reset(&self.folder).context("resetting the virtual board")?;
        self.ssh()?.forget();
        // QEMU has only taken note of it: until the firmware speaks, the old system may still answer.
        let started = Instant::now();
        while !self.serial.since(mark)?.contains("U-Boot") {
            if started.elapsed() > RESET_LIMIT {
                bail!("the virtual board was told to reset, and U-Boot says nothing");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The vanilla kernel that set-up built: `<cache>/vanilla/manifest.json`. Errors: it is not there; names the command
/// that makes it.
pub fn vanilla_manifest(folders: &Folders) -> Result<Manifest> {
    let path = folders.cache.join("vanilla/manifest.json");
    let Some(bytes) = bounded::read_if_there(&path, bounded::RECORD)? else {
        bail!(
            "the virtual board needs a vanilla kernel, and {} is not there: `cargo xtask setup`",
            path.display()
        );
    };
    Manifest::parse(&bytes).with_context(|| format!("reading {}", path.display()))
}

fn machine(folder: &Path, ports: Ports) -> Result<Machine> {
    Ok(Machine {
        firmware: PathBuf::from(requirements::U_BOOT),
        folder: folder.to_path_buf(),
        ports,
        write_log: None,
    })
}

fn folder(folders: &Folders) -> PathBuf {
    folders.cache.join("boards/virtual")
}

/// `boards/virtual.toml`, as it was when this program was built.
fn description() -> Result<Description> {
    let text = include_str!("../../../../boards/virtual.toml");
    Ok(BoardFile::parse("virtual", text)
        .context("in boards/virtual.toml")?
        .description)
}

#[cfg(test)]
mod tests;
