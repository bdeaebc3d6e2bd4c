//! `cargo xtask board netconsole`: the kernel's log over the network, recorded on this host by a process of its own.

use super::super::Context;
use super::super::open_board::open;
use crate::board::deploy::Nonce;
use crate::board::netconsole::{self, Situation};
use crate::board::{Board, script};
use crate::capture::client::Recorder;
use crate::capture::index;
use crate::capture::source::Source;
use crate::evidence::netconsole::{Received, receive};
use crate::exit::Outcome;
use anyhow::{Context as _, Result, bail};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Arguments of `cargo xtask board netconsole`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask board netconsole --board ampere
  cargo xtask board netconsole --board ampere --host 192.168.1.2 --port 6667
  cargo xtask board netconsole --board ampere --off

Whether the interface can carry it is looked at first (wireless ones cannot). It is set up through configfs or a module's parameter, and
counts as working when a test packet has come. A kernel that has it built in without configfs takes it from its command line alone: the
parameter is printed. Packets are neither encrypted nor secret: use a network that you trust.")]
pub struct Netconsole {
    /// Address of this host that the board reaches [default: where the board sees this connection come from]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<Ipv4Addr>,
    /// Port of the receiver
    #[arg(long, value_name = "PORT", default_value_t = 6666)]
    port: u16,
    /// Take it away from the board, and end the receiver
    #[arg(long)]
    off: bool,
}

/// Longest time that a test packet takes.
const PACKET: Duration = Duration::from_secs(5);

impl Netconsole {
    /// Runs the verb.
    pub(super) fn run(&self, name: &str, context: &Context) -> Result<Outcome> {
        let board = open(context, name)?;
        let folder = context.folders.cache.join("boards").join(name).join("netconsole");
        let recorder = Recorder::at(&folder);
        if self.off {
            netconsole::take_away(board.as_ref())?;
            recorder.stop()?;
            context.ui.line("netconsole is off");
            context.ui.json(&serde_json::json!({ "off": true }))?;
            return Ok(Outcome::Success);
        }
        let host = self.host(board.as_ref())?;
        let situation = Situation::of(board.as_ref(), host, self.port)?;
        let (way, path) = situation.way()?;
        recorder.ensure(&Source::Udp(format!("{host}:{}", self.port)), None)?;
        recorder
            .wait_connected(PACKET)
            .with_context(|| format!("listening at {host}:{}", self.port))?;
        netconsole::set_up(board.as_ref(), way, path)?;
        let from = std::fs::metadata(recorder.log()).map_or(0, |log| log.len());
        let received = test(board.as_ref(), &recorder, from)?;
        let lost: u64 = received.lost.iter().map(|(from, to)| to - from + 1).sum();
        context.ui.json(&serde_json::json!({
            "path": path, "way": way, "log": recorder.log(), "lost": received.lost, "boots": received.boots
        }))?;
        context.ui.line(&format!(
            "a test packet came from {} over {}: netconsole works; {lost} messages were lost so far",
            path.from, path.device
        ));
        context.ui.line(&format!(
            "next: `cargo xtask board netconsole --board {name} --off` ends it; its packets are in {}",
            recorder.log().display()
        ));
        Ok(Outcome::Success)
    }

    fn host(&self, board: &dyn Board) -> Result<Ipv4Addr> {
        if let Some(host) = self.host {
            return Ok(host);
        }
        let said = script::ask(
            board,
            "asking where this connection comes from",
            "echo ${SSH_CONNECTION%% *}",
            script::LOOK,
        )?
        .text();
        said.trim().parse().with_context(|| {
            format!(
                "the board does not say over IPv4 where this connection comes from (`{}`): name an address of this host that it reaches with \
                 --host",
                said.trim().escape_debug()
            )
        })
    }
}

/// Writes a word to the board's kernel log and waits until it comes.
fn test(board: &dyn Board, recorder: &Recorder, from: u64) -> Result<Received> {
    let word = format!("lockstep-netconsole-{}", Nonce::fresh()?.as_str());
    // Level 4 passes the console's usual level.
    let writing = format!("echo '<4>{word}' >/dev/kmsg");
    script::ask(board, "sending a test packet", &writing, script::LOOK)?;
    let started = Instant::now();
    loop {
        let log = std::fs::read(recorder.log()).context("reading the packets")?;
        let new = log.get(usize::try_from(from)?..).unwrap_or_default();
        if String::from_utf8_lossy(new).contains(&word) {
            let stamps = index::read(&std::fs::read(recorder.index())?);
            return Ok(receive(index::pieces(&log, &stamps)));
        }
        if started.elapsed() > PACKET {
            bail!(
                "netconsole is set up, and the test packet did not come within {} s: a firewall on this host, another address than the board's \
                 way leads to (--host), or a network that drops it (the virtual board's reaches nothing outside)",
                PACKET.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
