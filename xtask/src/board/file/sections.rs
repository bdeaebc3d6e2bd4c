//! The sections of a board file as they are written, and what each becomes.

use super::checker::Checker;
use super::{Kind, Method, Netconsole, Power, Reach, Root, SecondHost, SerialSource, Watchdog};
use crate::board::ssh::{KnownHost, Rights};
use ::toml::Spanned;
use anyhow::Result;
use serde::Deserialize;
use std::path::{Component, PathBuf};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Raw {
    pub schema_version: Spanned<u32>,
    pub kind: Spanned<RawKind>,
    pub architecture: Spanned<String>,
    pub ssh: Option<RawSsh>,
    pub boot: RawBoot,
    pub serial: Option<Spanned<RawSerial>>,
    pub power: Option<Spanned<Power>>,
    pub netconsole: Option<Spanned<Netconsole>>,
    pub watchdog: Option<Watchdog>,
    pub backup: RawBackup,
    pub services: Option<RawServices>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawKind {
    Ssh,
    Virtual,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawSsh {
    pub host: Spanned<String>,
    pub port: Option<u16>,
    pub jump: Option<Spanned<String>>,
    pub config: Option<Spanned<PathBuf>>,
    pub key: Option<Spanned<PathBuf>>,
    pub known_hosts: Option<Spanned<PathBuf>>,
    pub known_hosts_name: Option<Spanned<String>>,
    #[serde(default)]
    pub rights: Rights,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawBoot {
    pub folder: Spanned<PathBuf>,
    pub extlinux: Spanned<PathBuf>,
    pub vanilla_label: Spanned<String>,
    pub limit_s: Spanned<u64>,
    #[serde(default)]
    pub methods: Vec<Method>,
    #[serde(default)]
    pub environment_defaults_boot_vanilla: bool,
    #[serde(default)]
    pub root: Root,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawSerial {
    pub console: Option<String>,
    pub device: Option<PathBuf>,
    pub speed: Option<u32>,
    pub tcp: Option<String>,
    pub rfc2217: Option<String>,
    pub socket: Option<PathBuf>,
    pub command: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawBackup {
    pub folder: Spanned<PathBuf>,
    pub second_host: Option<Spanned<String>>,
    pub second_folder: Option<Spanned<PathBuf>>,
    pub second_config: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawServices {
    pub look_at: Spanned<Vec<String>>,
}

pub(super) fn kind(check: &Checker, raw: &Raw) -> Result<Kind> {
    match (raw.kind.get_ref(), &raw.ssh) {
        (RawKind::Virtual, None) => Ok(Kind::Virtual),
        (RawKind::Virtual, Some(ssh)) => check.wrong(
            &ssh.host,
            "a board of kind \"virtual\" has no [ssh]: the program knows the way to it",
        ),
        (RawKind::Ssh, None) => check.wrong(&raw.kind, "a board of kind \"ssh\" needs [ssh] with `host`"),
        (RawKind::Ssh, Some(ssh)) => {
            let known_host = match (
                check.host_file(&ssh.known_hosts, "known-hosts")?,
                &ssh.known_hosts_name,
            ) {
                (Some(file), Some(name)) => Some(KnownHost {
                    file,
                    alias: check.plain(name, "known-hosts-name", ":[]")?,
                }),
                (None, None) => None,
                _ => {
                    return check.wrong(
                        &ssh.host,
                        "`known-hosts` and `known-hosts-name` are given both, or neither",
                    );
                }
            };
            Ok(Kind::Ssh(Reach {
                host: check.plain(&ssh.host, "host", "@:")?,
                port: ssh.port,
                jump: ssh
                    .jump
                    .as_ref()
                    .map(|jump| check.plain(jump, "jump", "@:,"))
                    .transpose()?,
                config: check.host_file(&ssh.config, "config")?,
                key: check.host_file(&ssh.key, "key")?,
                known_host,
                rights: ssh.rights,
            }))
        }
    }
}

/// Only what the debug kernel is built for.
pub(super) fn architecture(check: &Checker, at: &Spanned<String>) -> Result<String> {
    match at.get_ref().as_str() {
        "arm64" => Ok("arm64".into()),
        other => check.wrong(
            at,
            &format!("architecture `{}`: only `arm64` is built", other.escape_debug()),
        ),
    }
}

pub(super) fn second_host(check: &Checker, raw: &RawBackup) -> Result<Option<SecondHost>> {
    match (&raw.second_host, &raw.second_folder) {
        (None, None) => Ok(None),
        (Some(host), Some(folder)) => {
            let text = folder.get_ref().to_string_lossy().into_owned();
            let plain = !text.is_empty()
                && !text.starts_with('-')
                && !text.chars().any(char::is_control)
                && !folder
                    .get_ref()
                    .components()
                    .any(|part| part == Component::ParentDir);
            if !plain {
                return check.wrong(
                    folder,
                    "`second-folder` is a folder on the second host, without `..`",
                );
            }
            Ok(Some(SecondHost {
                host: check.plain(host, "second-host", "@:")?,
                folder: folder.get_ref().clone(),
                config: check.host_file(&raw.second_config, "second-config")?,
            }))
        }
        (Some(host), None) => check.wrong(host, "`second-host` needs `second-folder`, too"),
        (None, Some(folder)) => check.wrong(folder, "`second-folder` needs `second-host`, too"),
    }
}

pub(super) fn services(check: &Checker, raw: Option<&RawServices>) -> Result<Vec<String>> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let plain = |name: &String| {
        !name.starts_with('-')
            && !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c))
    };
    if let Some(bad) = raw.look_at.get_ref().iter().find(|name| !plain(name)) {
        return check.wrong(
            &raw.look_at,
            &format!("`{}` is no name of a unit", bad.escape_debug()),
        );
    }
    Ok(raw.look_at.get_ref().clone())
}

pub(super) fn serial_source(check: &Checker, raw: &Spanned<RawSerial>) -> Result<Option<SerialSource>> {
    let serial = raw.get_ref();
    let host = |address: &str| address.contains(':') && !address.starts_with('-');
    let sources = (
        &serial.device,
        &serial.tcp,
        &serial.rfc2217,
        &serial.socket,
        &serial.command,
    );
    let found = match (sources, serial.speed) {
        ((None, None, None, None, None), None) => return Ok(None),
        ((Some(device), None, None, None, None), Some(speed)) => Some(SerialSource::Device {
            device: device.clone(),
            speed,
        }),
        ((None, Some(address), None, None, None), None) if host(address) => {
            Some(SerialSource::Tcp(address.clone()))
        }
        ((None, None, Some(address), None, None), Some(speed)) if host(address) => {
            Some(SerialSource::Rfc2217 {
                address: address.clone(),
                speed,
            })
        }
        ((None, None, None, Some(path), None), None) if path.is_absolute() => {
            Some(SerialSource::Socket(path.clone()))
        }
        ((None, None, None, None, Some(words)), None) if !words.is_empty() => {
            Some(SerialSource::Command(words.clone()))
        }
        _ => None,
    };
    match found {
        Some(source) => Ok(Some(source)),
        None => check.wrong(
            raw,
            "[serial] has one source: `device` with `speed`, or `tcp = \"host:port\"`, or `rfc2217 = \"host:port\"` with `speed`, or \
             `socket = \"/path\"`, or `command = [\"program\", \"word\"]`",
        ),
    }
}

pub(super) fn netconsole(
    check: &Checker,
    kind: RawKind,
    raw: Option<&Spanned<Netconsole>>,
) -> Result<Option<Netconsole>> {
    let Some(raw) = raw else { return Ok(None) };
    if kind == RawKind::Virtual && *raw.get_ref() != Netconsole::default() {
        return check.wrong(
            raw,
            "a board of kind \"virtual\" has a network of its own for netconsole, whose ends are known: leave [netconsole] empty",
        );
    }
    if raw.get_ref().port == Some(0) {
        return check.wrong(raw, "[netconsole] `port` is 1 to 65535");
    }
    Ok(Some(raw.get_ref().clone()))
}

pub(super) fn commands(check: &Checker, power: &Spanned<Power>) -> Result<Power> {
    let Power { reset, off, on } = power.get_ref();
    for (key, words) in [("reset", reset), ("off", off), ("on", on)] {
        if words
            .as_ref()
            .is_some_and(|words| words.first().is_none_or(String::is_empty))
        {
            return check.wrong(power, &format!("[power] `{key}` names no program"));
        }
    }
    Ok(power.get_ref().clone())
}
