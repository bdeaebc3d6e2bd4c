//! The board file, `boards/*.toml`: a private raw form that becomes a validated [`BoardFile`].
//!
//! Unknown keys are refused; errors name line and column, what was found and what is allowed. A host, a folder or a label from it
//! may be used in a command line: nothing that could be read as an option or by a shell passes.

mod checker;
mod sections;

use super::Description;
use super::ssh::{KnownHost, Rights, Target};
pub use crate::capture::source::Source as SerialSource;
use crate::host::bounded;
use crate::host::toml as toml_file;
use anyhow::{Context, Result, bail};
use checker::Checker;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the format that this code reads.
pub const SCHEMA_VERSION: u32 = 1;

/// A validated board file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardFile {
    /// What every part of the program knows of the board.
    pub description: Description,
    /// How it is reached.
    pub kind: Kind,
    /// What the host reads its serial line from.
    pub serial: Option<SerialSource>,
    /// Commands of this host that switch it.
    pub power: Power,
    /// Where its netconsole sends to, where a campaign uses it.
    pub netconsole: Option<Netconsole>,
}

/// Where a board's netconsole sends to, over the network that it reaches this host by. Nothing of it is said where the board has a network of
/// its own for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Netconsole {
    /// Address of this host; none: where the board sees the connection of ssh come from.
    pub host: Option<Ipv4Addr>,
    /// UDP port of this host; none: netconsole's own.
    pub port: Option<u16>,
}

/// How a board is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// QEMU on this host.
    Virtual,
    /// Over ssh.
    Ssh(Reach),
}

/// The way to a board over ssh; what is absent is left to the user's ssh_config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `user@host`, or a name from the ssh_config.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// A host that the connection goes through.
    pub jump: Option<String>,
    /// The ssh_config that is read.
    pub config: Option<PathBuf>,
    /// Private key that is used alone.
    pub key: Option<PathBuf>,
    /// A known_hosts file of its own, and the board's name in it.
    pub known_host: Option<KnownHost>,
    /// How the user becomes root.
    pub rights: Rights,
}

impl Reach {
    /// The target of the transport, with its control socket in `folder`.
    pub fn target(&self, folder: &Path) -> Target {
        Target {
            destination: self.host.clone(),
            port: self.port,
            jump: self.jump.clone(),
            config: self.config.clone(),
            rights: self.rights,
            key: self.key.clone(),
            known_host: self.known_host.clone(),
            folder: folder.to_path_buf(),
        }
    }
}

/// Programs of this host with their words (no shell) that switch a board.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Power {
    /// Pulls the reset line, or cuts the power for a moment.
    pub reset: Option<Vec<String>>,
    /// Takes the power.
    pub off: Option<Vec<String>>,
    /// Gives the power.
    pub on: Option<Vec<String>>,
}

/// What a test kernel has as its root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// The board's own, as vanilla has it: what the test kernel writes or damages there is written or damaged.
    #[default]
    Own,
    /// An overlay in memory over the board's own, which stays read-only: gone with the boot.
    Overlay,
}

/// The boot methods, in the order in which they are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Picks the label's number at U-Boot's menu on the serial line.
    SerialMenu,
    /// Jumps from vanilla straight into the slot's kernel.
    Kexec,
    /// A variable of U-Boot's that it consumes before it starts the kernel.
    UbootEnv,
    /// Our label is the default for one boot, and puts vanilla's back itself.
    DefaultSwap,
    /// A person picks the label.
    Manual,
}

impl Method {
    /// All of them, best first.
    pub const ALL: [Method; 5] = [
        Method::SerialMenu,
        Method::Kexec,
        Method::UbootEnv,
        Method::DefaultSwap,
        Method::Manual,
    ];

    /// The name that files and flags have.
    pub fn name(self) -> &'static str {
        match self {
            Method::SerialMenu => "serial-menu",
            Method::Kexec => "kexec",
            Method::UbootEnv => "uboot-env",
            Method::DefaultSwap => "default-swap",
            Method::Manual => "manual",
        }
    }

    /// Whether a campaign may use it with nobody at the board.
    pub fn is_unattended(self) -> bool {
        !matches!(self, Method::DefaultSwap | Method::Manual)
    }
}

/// The hardware watchdog of a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Watchdog {
    /// Kernel driver.
    pub driver: String,
    /// Seconds until it resets.
    pub timeout_s: Option<u32>,
    /// Who starts it.
    #[serde(default)]
    pub started_by: StartedBy,
}

/// Who starts the hardware watchdog of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartedBy {
    /// The board's user space, once it runs.
    #[default]
    UserSpace,
    /// The firmware, which leaves it running for the kernel (U-Boot: CONFIG_WATCHDOG_AUTOSTART).
    Firmware,
}

/// A second host for backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecondHost {
    /// `user@host`, or a name from the ssh_config.
    pub host: String,
    /// Folder there, below the home folder where it is relative.
    #[serde(serialize_with = "crate::host::json::named")]
    pub folder: PathBuf,
    /// The ssh_config that leads there, where it is not the user's own.
    #[serde(serialize_with = "crate::host::json::named")]
    pub config: Option<PathBuf>,
}

impl BoardFile {
    /// Reads and checks `boards/<name>.toml`.
    pub fn load(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.toml"));
        let text = match bounded::read_text_if_there(&path, bounded::WRITTEN)? {
            Some(text) => text,
            None => {
                let there = names(folder);
                let hint = toml_file::nearest(name, there.iter().map(String::as_str))
                    .map_or(String::new(), |meant| format!(" (did you mean `{meant}`?)"));
                bail!(
                    "there is no board `{}`{hint}: {} is not there (there are: {}); `cargo xtask board probe --ssh HOST --write \
                     {}` writes one",
                    name.escape_debug(),
                    path.display(),
                    there.join(", "),
                    path.display()
                )
            }
        };
        Self::parse(name, &text).with_context(|| format!("in the board file {}", path.display()))
    }

    /// Parses and checks the text of the file of board `name`.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let check = Checker(text);
        toml_file::refuse_newer(text, SCHEMA_VERSION)?;
        let raw: sections::Raw = toml_file::parse(text)?;
        if *raw.schema_version.get_ref() != SCHEMA_VERSION {
            let what = format!("schema-version is not {SCHEMA_VERSION}, which this program reads");
            return check.wrong(&raw.schema_version, &what);
        }
        let kind = sections::kind(&check, &raw)?;
        let folder = check.absolute(&raw.boot.folder, "folder")?;
        let extlinux = check.absolute(&raw.boot.extlinux, "extlinux")?;
        if !extlinux.starts_with(&folder) {
            let what = format!("`extlinux` is not below the boot folder {}", folder.display());
            return check.wrong(&raw.boot.extlinux, &what);
        }
        if !(10..=3600).contains(raw.boot.limit_s.get_ref()) {
            return check.wrong(
                &raw.boot.limit_s,
                "`limit-s` is the longest time of a boot: 10 to 3600 seconds",
            );
        }
        let backup_folder = check.absolute(&raw.backup.folder, "folder")?;
        let modules = ["/lib/modules", "/usr/lib/modules"];
        if backup_folder.starts_with(&folder) || modules.iter().any(|at| backup_folder.starts_with(at)) {
            return check.wrong(
                &raw.backup.folder,
                "backups never lie inside what they are backups of",
            );
        }
        let power = raw
            .power
            .as_ref()
            .map_or(Ok(Power::default()), |power| sections::commands(&check, power))?;
        let switched = power.reset.is_some() || (power.off.is_some() && power.on.is_some());
        let description = Description {
            name: name.to_string(),
            boot_folder: folder,
            extlinux,
            vanilla_label: check.label(&raw.boot.vanilla_label, "vanilla-label")?,
            backup_folder,
            boot_limit: Duration::from_secs(*raw.boot.limit_s.get_ref()),
            architecture: sections::architecture(&check, &raw.architecture)?,
            methods: raw.boot.methods.clone(),
            environment_defaults_boot_vanilla: raw.boot.environment_defaults_boot_vanilla,
            root: raw.boot.root,
            has_reset: kind == Kind::Virtual || switched,
            console: raw
                .serial
                .as_ref()
                .and_then(|serial| serial.get_ref().console.clone()),
            watchdog: raw.watchdog.clone(),
            second_host: sections::second_host(&check, &raw.backup)?,
            netconsole: raw.netconsole.is_some(),
            services: sections::services(&check, raw.services.as_ref())?,
        };
        Ok(BoardFile {
            description,
            kind,
            serial: raw
                .serial
                .as_ref()
                .map_or(Ok(None), |serial| sections::serial_source(&check, serial))?,
            power,
            netconsole: sections::netconsole(&check, *raw.kind.get_ref(), raw.netconsole.as_ref())?,
        })
    }
}

/// Boards that have a file in `folder`.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            Some(
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .strip_suffix(".toml")?
                    .to_string(),
            )
        })
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
