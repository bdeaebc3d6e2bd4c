//! What can be told of the virtual board, made or not, on or off.

use super::{VirtualBoard, folder, ports, power};
use crate::board::only_look::CONNECTION;
use crate::board::{Board as _, SerialLine as _};
use crate::host::folders::Folders;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What `cargo xtask board status` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether the board was made.
    pub made: bool,
    /// Process id of QEMU, when it is on.
    pub pid: Option<u32>,
    /// Whether it answers over ssh.
    pub answers: bool,
    /// Release of the kernel that runs, when it answers.
    pub release: Option<String>,
    /// Release of vanilla.
    pub vanilla: Option<String>,
    /// Port on 127.0.0.1, when it is on.
    pub ssh_port: Option<u16>,
    /// Every byte of the serial line.
    #[serde(serialize_with = "crate::host::json::named")]
    pub serial_log: Option<PathBuf>,
    /// Its files.
    #[serde(serialize_with = "crate::host::json::named")]
    pub folder: PathBuf,
}

impl VirtualBoard {
    /// What can be told of the board of this cache; asks it over ssh only if it has power.
    pub fn status(folders: &Folders) -> Status {
        let mut status = Status {
            made: false,
            pid: None,
            answers: false,
            release: None,
            vanilla: None,
            ssh_port: None,
            serial_log: None,
            folder: folder(folders),
        };
        let Ok(board) = VirtualBoard::open(folders) else {
            return status;
        };
        let board = board.over(CONNECTION);
        status.made = true;
        status.vanilla = Some(board.state.release.clone());
        status.serial_log = Some(board.serial.log());
        status.pid = power::running(&board.folder);
        let ports = status.pid.and_then(|_| board.ports());
        status.ssh_port = ports.map(|ports| ports.ssh);
        // A board whose network is not up would hold a login until the limit.
        if ports.is_some_and(|ports| ports::refuses(ports.closed, Duration::from_secs(2)))
            && let Ok(said) = board.run("uname -r", Duration::from_secs(15))
        {
            status.answers = true;
            status.release = Some(said.text());
        }
        status
    }
}
