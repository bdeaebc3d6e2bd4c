//! `cargo xtask board netconsole`: the kernel's log over the network, recorded on this host by a process of its own.

use super::super::Context;
use super::super::hold_board::hold;
use crate::board::Board;
use crate::board::netconsole::{self, Network, Wire};
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::{Result, bail};
use std::net::Ipv4Addr;

/// Arguments of `cargo xtask board netconsole`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask board netconsole
  cargo xtask board netconsole --board ampere
  cargo xtask board netconsole --board ampere --host 192.168.1.2 --port 6667
  cargo xtask board netconsole --board ampere --off

Whether the interface can carry it is looked at first (wireless ones cannot). It is set up through configfs or a module's parameter, and
counts as working when a test packet has come. A kernel that has it built in without configfs takes it from its command line alone: the
parameter is printed. A panic that reboots sends no words of its own (Linux 7.3): they are in pstore and on the serial line. Packets are
neither encrypted nor secret: use a network that you trust. A campaign sets it up in each test boot of a board whose file has
[netconsole], and keeps its log with the evidence.")]
pub struct Netconsole {
    /// Address of this host that the board reaches [default: of the board's file, or where the board sees this connection come from]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<Ipv4Addr>,
    /// Port of the receiver [default: of the board's file, or 6666]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Take it away from the board, and end the receiver
    #[arg(long)]
    off: bool,
}

impl Netconsole {
    /// Runs the verb.
    pub(super) fn run(&self, name: &str, context: &Context) -> Result<Outcome> {
        let mut held = hold(context, name, None)?;
        let board = held.open(context)?;
        let wire = self.wire(board.as_ref(), context, name)?;
        if self.off {
            netconsole::take_away(board.as_ref())?;
            wire.recorder().stop()?;
            context.ui.line("netconsole is off");
            context.ui.json(&json!({ "off": true }))?;
            return Ok(Outcome::Success);
        }
        let armed = netconsole::arm(board.as_ref(), &wire)?;
        let log = armed.recorder.log();
        context.ui.json(&json!({
            "path": armed.path, "way": armed.way, "log": log, "from": armed.from
        }))?;
        context.ui.line(&format!(
            "a test packet came from {} over {}: netconsole works until the board's next reboot",
            armed.path.from, armed.path.device
        ));
        context.ui.line(&format!(
            "next: its packets are in {}; `cargo xtask board netconsole --board {name} --off` ends it",
            log.display()
        ));
        Ok(Outcome::Success)
    }

    /// The board's own way, where its file or its machine has one; else the network that it reaches this host by. Errors: an address for a
    /// network whose ends are known.
    fn wire(&self, board: &dyn Board, context: &Context, name: &str) -> Result<Wire> {
        let own = board.netconsole();
        let asked = self.host.is_some() || self.port.is_some();
        match own {
            Some(Wire {
                network: Network::Own(_),
                ..
            }) if asked => bail!(
                "board `{name}` has a network of its own for netconsole, and its ends are known: leave --host and --port out"
            ),
            Some(wire) if !asked => Ok(wire),
            own => {
                let (host, port) = match own.map(|wire| wire.network) {
                    Some(Network::Shared { host, port }) => (host, port),
                    _ => (None, netconsole::PORT),
                };
                Ok(Wire {
                    folder: context.folders.cache.join("boards").join(name).join("netconsole"),
                    network: Network::Shared {
                        host: self.host.or(host),
                        port: self.port.unwrap_or(port),
                    },
                })
            }
        }
    }
}
