//! Ports on 127.0.0.1 that belong to the virtual board: to its sshd, and to its second network.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Ports on 127.0.0.1 that QEMU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ports {
    /// To its sshd.
    pub ssh: u16,
    /// To a port where nothing listens. A board whose network is up refuses a connection there, at the price of one
    /// packet; a look at sshd would cost it a process each, which a booting board has no time for.
    pub closed: u16,
    /// The second network. None: a board that an older version of this tool started has none.
    #[serde(default)]
    pub log: Option<LogNetwork>,
}

/// The second network: it leads to one UDP socket of this host and nowhere else, a frame in each datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogNetwork {
    /// UDP port of 127.0.0.1 that QEMU sends from.
    pub machine: u16,
    /// UDP port of 127.0.0.1 that it sends to.
    pub host: u16,
}

impl Ports {
    /// Ports that are free now.
    pub(super) fn free() -> Result<Self> {
        let doing = "looking for a free port";
        let listen = || TcpListener::bind(("127.0.0.1", 0)).context(doing);
        let bind = || UdpSocket::bind(("127.0.0.1", 0)).context(doing);
        // All are held until all are known, so that they differ.
        let (ssh, closed) = (listen()?, listen()?);
        let (machine, host) = (bind()?, bind()?);
        Ok(Ports {
            ssh: ssh.local_addr()?.port(),
            closed: closed.local_addr()?.port(),
            log: Some(LogNetwork {
                machine: machine.local_addr()?.port(),
                host: host.local_addr()?.port(),
            }),
        })
    }
}

/// Whether QEMU says that a port is another program's (net/slirp.c, net/dgram.c).
pub(super) fn is_taken(said: &str) -> bool {
    said.contains("host forwarding") || said.contains("can't bind")
}

/// Whether the board's network is up: it refuses a connection to a port where nothing listens. QEMU itself accepts every
/// connection, and closes it when the board has refused.
pub(super) fn refuses(port: u16, limit: Duration) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), limit) else {
        return false;
    };
    if stream.set_read_timeout(Some(limit)).is_err() {
        return false;
    }
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_an_older_version_are_read() {
        let ports: Ports = serde_json::from_str(r#"{"ssh": 1, "closed": 2}"#).unwrap();
        assert_eq!(ports.log, None);
        let free = Ports::free().unwrap();
        let text = serde_json::to_string(&free).unwrap();
        assert_eq!(serde_json::from_str::<Ports>(&text).unwrap(), free);
    }
}
