//! Where a serial line is read from, as a value: from a board file, and as an argument of the recorder's process.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What the host reads a serial line from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// A tty of this host.
    Device {
        /// Its path.
        device: PathBuf,
        /// Baud.
        speed: u32,
    },
    /// A terminal server that gives the bare bytes: `host:port`. It cannot send a BREAK.
    Tcp(String),
    /// A terminal server with telnet's com port option (RFC 2217).
    Rfc2217 {
        /// `host:port`.
        address: String,
        /// Baud.
        speed: u32,
    },
    /// A unix socket, absolute.
    Socket(PathBuf),
    /// A program of this host whose standard input and output are the line.
    Command(Vec<String>),
    /// Datagrams that come from one machine to an address of this host, each with a time of its own: netconsole's.
    Udp {
        /// Address of this host.
        at: SocketAddr,
        /// The only sender that is heard; another machine can use its address, so what comes is not authenticated.
        from: IpAddr,
    },
    /// Ethernet frames, one in each UDP datagram that `from` sends to `at`, as a virtual machine's network does that leads nowhere else:
    /// the payload of each UDP packet for `port` in them.
    Frames {
        /// Address of this host.
        at: String,
        /// The only sender that is heard.
        from: String,
        /// UDP port inside the frames.
        port: u16,
    },
    /// A file that something else appends the line to: only times are added.
    File(PathBuf),
}

impl Source {
    /// Whether each read gives one message, whose time alone says where it begins.
    pub fn is_of_messages(&self) -> bool {
        matches!(self, Source::Udp { .. } | Source::Frames { .. })
    }

    /// In print.
    pub fn name(&self) -> String {
        match self {
            Source::Device { device, speed } => format!("{} at {speed} baud", device.display()),
            Source::Tcp(address) => format!("tcp {address}"),
            Source::Rfc2217 { address, speed } => format!("rfc2217 {address} at {speed} baud"),
            Source::Socket(path) => format!("unix socket {}", path.display()),
            Source::Command(words) => format!("`{}`", words.join(" ")),
            Source::Udp { at, from } => format!("udp from {from} at {at}"),
            Source::Frames { at, from, port } => format!("udp port {port} in frames from {from} at {at}"),
            Source::File(path) => path.display().to_string(),
        }
    }
}
