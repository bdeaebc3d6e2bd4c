//! The receiver on this host, and the test packet that proves the whole way.

use super::{Network, Path, Situation, Way, set_up, take_away};
use crate::board::nonce::Nonce;
use crate::board::{Board, script};
use crate::capture::client::Recorder;
use crate::capture::source::Source;
use crate::host::identity::Identity;
use crate::host::one_line::one_line;
use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest time that a test packet takes: a kernel under test on a busy emulator prints from a thread of its own.
const PACKET: Duration = Duration::from_secs(10);
/// Longest time that a socket takes to open.
const OPEN: Duration = Duration::from_secs(5);

/// How the packets of a board come to this host.
#[derive(Debug, Clone)]
pub struct Wire {
    /// The receiver's files.
    pub folder: PathBuf,
    /// What the packets take.
    pub network: Network,
}

/// netconsole that works: a test packet came.
#[derive(Debug, Clone)]
pub struct Armed {
    /// How it was set up.
    pub way: Way,
    /// The way of the packets.
    pub path: Path,
    /// Whether a number that is missing was lost for sure ([`Situation::everything`]).
    pub everything: bool,
    /// Who writes the packets down.
    pub recorder: Recorder,
    /// Length of the receiver's log before the first packet of this set-up, bytes.
    pub from: u64,
}

impl Wire {
    /// Who writes the packets down.
    pub fn recorder(&self) -> Recorder {
        Recorder::at(&self.folder)
    }

    /// This host's address on that network.
    fn host(&self, board: &dyn Board) -> Result<Ipv4Addr> {
        match &self.network {
            Network::Own(own) => Ok(own.to),
            Network::Shared { host: Some(host), .. } => Ok(*host),
            Network::Shared { host: None, .. } => seen_by(board),
        }
    }

    /// What the receiver reads, and with which process it ends.
    fn source(&self, path: &Path) -> (Source, Option<&Identity>) {
        match &self.network {
            Network::Own(own) => (own.source.clone(), Some(&own.until)),
            Network::Shared { port, .. } => {
                let (at, from) = ((path.to, *port).into(), path.from.into());
                (Source::Udp { at, from }, None)
            }
        }
    }
}

/// Where the board sees this connection come from.
fn seen_by(board: &dyn Board) -> Result<Ipv4Addr> {
    let doing = "asking where this connection comes from";
    let said = script::ask(board, doing, "echo ${SSH_CONNECTION%% *}", script::LOOK)?.text();
    said.trim().parse().with_context(|| {
        format!(
            "the board does not say over IPv4 where this connection comes from (`{}`): name an address of this host that it reaches with \
             --host, or with `host` of [netconsole] in its file",
            one_line(said.trim())
        )
    })
}

/// Starts the receiver, sets netconsole up in the kernel that runs, and waits for a test packet. It lasts as long as this boot, and nothing
/// is written to the board's disk. Errors: the network or the kernel cannot, or the packet did not come; then nothing of it is left on.
/// Dies half-way: the receiver runs, and the kernel may send; the next call begins anew.
pub fn arm(board: &dyn Board, wire: &Wire) -> Result<Armed> {
    let host = wire.host(board)?;
    let situation = Situation::of(board, &wire.network, host)?;
    let (way, path) = situation.way()?;
    let recorder = wire.recorder();
    let (source, until) = wire.source(path);
    recorder.ensure(&source, until)?;
    recorder
        .wait_connected(OPEN)
        .with_context(|| format!("listening: {}", source.name()))?;
    let from = std::fs::metadata(recorder.log()).map_or(0, |log| log.len());
    let armed = Armed {
        way,
        path: path.clone(),
        everything: situation.everything,
        recorder,
        from,
    };
    let word = format!("lockstep-netconsole-{}", Nonce::fresh()?.as_str());
    let proven = set_up(board, way, path, &word).and_then(|()| armed.wait_for(&word));
    if proven.is_err() {
        // Why it does not work is told; that it could not be taken back, too, says nothing more.
        let _ = take_away(board);
    }
    proven.map(|()| armed)
}

impl Armed {
    /// Waits until the packet with this word has come.
    fn wait_for(&self, word: &str) -> Result<()> {
        let started = Instant::now();
        while !String::from_utf8_lossy(&self.recorder.since(self.from)?).contains(word) {
            if started.elapsed() > PACKET {
                bail!(
                    "netconsole is set up, and the test packet did not come from {} within {} s: a firewall on this host, another address than \
                     the board's way leads to (--host, or `host` of [netconsole] in its file), a network that drops it, or one that translates \
                     the board's address (only packets from that address are accepted)",
                    self.path.from,
                    PACKET.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}
