//! Pre-flight (plan 0.1 to 0.5 and what people learned the hard way): looks at a board, changes nothing except for one line in the
//! pmsg record, and says what passes, what warns and what fails, with the reason and the fix.

mod capture;
mod ends;
mod gather;
mod rules;
mod system;

use super::backup;
use super::protected::Protected;
use super::{Board, autologin, boot, netconsole, script};
use crate::capture::client::Recorder;
use crate::manifest::{Kind, Manifest};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;

pub use ends::{EarlyEnd, Ends, built};
pub use system::root_at_risk;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// Row of the plan (`0.1`) or a name.
    pub id: String,
    /// What is checked.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// What was seen.
    pub reason: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// A campaign may start, and somebody should know this.
    Warning,
    /// No campaign on this board as it is.
    Fail,
}

/// A capture of which something was seen to work (invariant 9). Only [`run`] gives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProvenCapture {
    /// Bytes of the board were seen in the serial log.
    serial: bool,
    /// A ramoops region is registered with pstore.
    ramoops: bool,
    /// A test packet of the running kernel's netconsole came. Looked for only where neither of the others works.
    netconsole: bool,
}

impl ProvenCapture {
    /// Whether the serial line is captured.
    pub fn serial(self) -> bool {
        self.serial
    }

    /// Whether ramoops keeps what the kernel says across a reset. That a record survives is proven by a deliberate crash, which
    /// is not done here.
    pub fn ramoops(self) -> bool {
        self.ramoops
    }

    /// Whether netconsole is all that there is: then each test boot has to have it.
    pub fn netconsole_alone(self) -> bool {
        self.netconsole && !self.serial && !self.ramoops
    }
}

/// What pre-flight found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Every check, in the plan's order.
    pub checks: Vec<Check>,
    /// The captures that work; none without at least one of them.
    pub capture: Option<ProvenCapture>,
    /// What ends a test boot by itself.
    pub ends: Ends,
    /// Users that are logged in.
    pub logged_in: Vec<String>,
    /// pstore records that lie on the board already, by file name.
    pub pstore_records: Vec<String>,
}

impl Report {
    /// Whether a campaign may start.
    pub fn may_start(&self) -> bool {
        self.capture.is_some() && self.checks.iter().all(|check| check.status != Status::Fail)
    }
}

/// Bytes that a deploy will need on each file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Needed {
    /// Image, device tree and initramfs, new beside old.
    pub boot: u64,
    /// Modules, new beside old.
    pub root: u64,
}

impl Needed {
    /// Room that has to be left.
    const MARGIN: u64 = 8 << 20;

    /// Measured on what will be deployed. An initramfs is made on the board: it counts as vanilla's, and half of it.
    pub fn of(build: &Manifest, protected: &Protected) -> Self {
        let sum = |kinds: &[Kind]| -> u64 {
            let files = build.files.iter().filter(|file| kinds.contains(&file.kind));
            files.fold(0, |sum, file| sum.saturating_add(file.size))
        };
        let size = |path: &Option<std::path::PathBuf>| {
            let entry = path.as_ref().and_then(|path| protected.inventory.get(path));
            entry.map_or(0, |entry| entry.size())
        };
        Needed {
            boot: sum(&[Kind::Image])
                .saturating_add(size(&protected.dtb))
                .saturating_add(size(&protected.initramfs).saturating_mul(3) / 2)
                .saturating_add(Self::MARGIN),
            root: sum(&[Kind::Module, Kind::ModuleIndex]).saturating_add(Self::MARGIN),
        }
    }

    /// Before anything was built: a trimmed debug kernel has an Image of 20 to 40 MB and modules of a few MB; a distribution's has 200 MB of them.
    pub const GUESS: Needed = Needed {
        boot: 64 << 20,
        root: 64 << 20,
    };
}

/// Whether the backups were made and read back.
pub enum Backup<'a> {
    /// They were, just now.
    Verified(&'a backup::Verified),
    /// They were not; why.
    Missing(String),
}

/// Runs every check. Writes a line to the kernel log of the board, so that the serial capture can be seen to work, and one to
/// `/dev/pmsg0`; nothing else. Only where neither serial line nor ramoops works, and the board's file has `[netconsole]`, that is set up in the
/// running kernel, tried with a packet, and taken away.
pub fn run(board: &dyn Board, protected: &Protected, backup: Backup, needed: Needed) -> Result<Report> {
    let word = format!("lockstep-preflight-{}", super::nonce::Nonce::fresh()?.as_str());
    let serial_before = serial_length(board);
    let script = gather::script(protected, board.description(), &word)?;
    let text = script::ask(board, "looking at the board", &script, script::LOOK)?.text();
    let facts = Facts::of(&text);
    let serial = serial_sees(board, serial_before, &word);
    let logged_in = facts.all("who");
    let records = facts.all("record");
    let host_now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let network = match capture::capture(&facts, serial, false) {
        Some(_) => None,
        None => over_network(board),
    };
    let capture = capture::capture(&facts, serial, matches!(network, Some(Ok(()))));
    let methods = &board.description().methods;
    let mut checks = vec![
        rules::auto_login(&autologin::active(board)?),
        rules::backup(&backup),
    ];
    checks.extend(capture::pstore(&facts));
    let line = match (board.serial(), board.serial_problem()) {
        (Some(line), _) => capture::Line::There {
            has_break: line.has_break(),
        },
        (None, Some(problem)) => capture::Line::Unusable(problem),
        (None, None) => capture::Line::None,
    };
    checks.push(capture::serial(&line, serial, &facts));
    checks.push(capture::some_capture(capture, network.as_ref()));
    checks.push(rules::boot_folder(&facts, needed.boot, &protected.boot_mount));
    checks.push(root_at_risk(board.description().root));
    checks.push(rules::root_space(&facts, needed.root));
    checks.push(rules::clock(&facts, host_now));
    checks.push(rules::panic(&facts));
    checks.push(rules::watchdog(&facts));
    checks.push(system::silent_wedge(&facts));
    let ends = Ends::of(board, &facts);
    checks.extend(ends.checks());
    checks.push(rules::tools(&facts));
    checks.push(system::kernel_features(&facts, methods));
    checks.push(system::boot_methods(
        &boot::every_method(board, protected)?,
        methods,
    ));
    checks.push(system::power(&facts));
    checks.push(system::sleep(&facts));
    checks.push(system::out_of_tree(&facts));
    checks.push(system::hooks(&facts));
    checks.extend(system::services(&facts));
    checks.extend(rules::extlinux(protected));
    Ok(Report {
        checks,
        capture,
        ends,
        logged_in,
        pstore_records: records,
    })
}

/// `key=value` lines, some keys more than once.
pub(super) struct Facts<'a> {
    lines: Vec<(&'a str, &'a str)>,
    first: BTreeMap<&'a str, &'a str>,
}

impl<'a> Facts<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let first = lines.iter().rev().copied().collect();
        Facts { lines, first }
    }

    fn get(&self, key: &str) -> &'a str {
        self.first.get(key).copied().unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).trim().parse().ok()
    }

    fn all(&self, key: &str) -> Vec<String> {
        self.lines
            .iter()
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value.to_string())
            .collect()
    }
}

/// Whether a packet of netconsole comes, where the board's file asks for it. Dies half-way: vanilla sends its log here until its next reboot.
fn over_network(board: &dyn Board) -> Option<Result<()>> {
    let wire = board.netconsole().filter(|_| board.description().netconsole)?;
    Some(netconsole::arm(board, &wire).and_then(|_| netconsole::take_away(board)))
}

fn serial_length(board: &dyn Board) -> u64 {
    board
        .serial()
        .and_then(|line| std::fs::metadata(line.log()).ok())
        .map_or(0, |metadata| metadata.len())
}

/// Whether the word that was written to the kernel log came out of the serial line. A whole line at 1,500,000 baud takes
/// less than a millisecond; an emulated board may take a second.
fn serial_sees(board: &dyn Board, from: u64, word: &str) -> bool {
    let Some(line) = board.serial() else { return false };
    for _ in 0..50 {
        if tail(&line.log(), from).is_ok_and(|text| text.contains(word)) {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    false
}

fn tail(log: &std::path::Path, from: u64) -> Result<String> {
    let bytes = Recorder::read(log, from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
