//! The board side: the [`Board`] trait and its kinds, extlinux.conf, the one function that writes, backup,
//! deploy, boot methods, proof of boot. *Architecture invariant:* knows nothing of trees, evidence or campaigns.

pub mod autologin;
pub mod awake;
pub mod backup;
pub mod boot;
pub mod deploy;
pub mod extlinux;
pub mod file;
pub mod filesystem_state;
pub mod heart;
pub mod inventory;
pub mod lease;
pub mod name;
pub mod netconsole;
pub mod nonce;
pub mod offline;
pub mod only_look;
pub mod ours;
pub mod preflight;
pub mod probe;
pub mod proof;
pub mod protected;
pub mod ramoops;
pub mod rescue_card;
pub mod rollback;
pub mod root;
pub mod script;
pub mod second_host;
pub mod slot;
pub mod slot_init;
pub mod ssh;
pub mod ssh_board;
pub mod state;
pub mod virt;
pub mod way_back;
pub mod writer;

use crate::capture::control::MenuEntry;
use crate::host::lock::Proof;
use crate::host::process::{BreakOff, Finished, Input};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// A board, whatever kind it is. Implemented by the board over ssh and the virtual one; the engine knows only this.
///
/// Reading goes through [`Board::run`]. *Architecture invariant:* only `board::writer` calls it with a command of ours that writes to
/// a file system, and only `board::boot` with one that reboots. What is not ours are a campaign's smoke tests: they are its author's
/// shell, run as root, and nothing here holds them back; protected hashes are compared before the next reboot. `campaign::exercise` loads
/// modules and writes to tracefs, `campaign::reload` unloads and loads them and writes to `/dev/kmsg`, pre-flight
/// to `/dev/kmsg` and `/dev/pmsg0`, and `campaign::smoke` sets when the kernel under test tells of a task that hangs (`/proc/sys/kernel`).
///
/// *Architecture invariant:* only the two short forms of [`Board::run_unless`] have a body here. A method with a default is forgotten in silence
/// by whatever stands before a board ([`InFront`]); without one the compiler asks everybody.
pub trait Board {
    /// What is known of it before it is asked.
    fn description(&self) -> &Description;

    /// Runs a POSIX shell script on the board as root, with `input` on its standard input; any exit status is an answer. Errors: no connection; no
    /// end within `limit`; `break_off` was said (a `BrokenOff` then): in the last two cases what was started on the board may still run there. A
    /// board whose commands cannot be given up looks at that word before it begins. Every word that comes from data must have gone through [`quote`].
    fn run_unless(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> Result<Finished>;

    /// [`Board::run_unless`] that nobody breaks off.
    fn run_with_input(&self, script: &str, input: &[u8], limit: Duration) -> Result<Finished> {
        self.run_unless(script, Input::Bytes(input), limit, &BreakOff::default())
    }

    /// [`Board::run_with_input`] without input.
    fn run(&self, script: &str, limit: Duration) -> Result<Finished> {
        self.run_with_input(script, &[], limit)
    }

    /// A way of its own for the heartbeat beside whatever runs ([`heart`]); none where there is no second one.
    fn second_way(&self) -> Option<ssh::Ssh>;

    /// Whether it answers a command within `limit` (the connection is made anew: nothing old is trusted).
    fn answers(&self, limit: Duration) -> bool;

    /// The serial line, if there is one.
    fn serial(&self) -> Option<&dyn SerialLine>;

    /// The way that the packets of its netconsole take to this host, where it is known without asking.
    fn netconsole(&self) -> Option<netconsole::Wire>;

    /// Why the serial line that its file names cannot be used, if it names one.
    fn serial_problem(&self) -> Option<&str>;

    /// Pulls the reset line (hard: nothing is flushed). Errors: [`Board::may_change`]'s; this board
    /// has no such line, or it did not obey.
    fn hard_reset(&self) -> Result<()>;

    /// Whether this process may change the board: write, reboot, reset, type to it. *Architecture
    /// invariant:* what `board::writer` and `board::boot`
    /// do begins with this question. Errors: the board was opened without its lock
    /// ([`crate::host::lock::Proof`]), or that was given back.
    fn may_change(&self) -> Result<()>;
}

/// The answer of a real board to [`Board::may_change`].
fn held(name: &str, lock: Option<&Proof>) -> Result<()> {
    ensure!(
        lock.is_some_and(Proof::holds),
        "changing board `{name}`: refused, this command does not hold the board's lock"
    );
    Ok(())
}

/// What stands before a board and changes how its commands are run, and nothing else: the [`heart`], the [`lease`].
pub trait InFront {
    /// The board behind it.
    fn behind(&self) -> &dyn Board;

    /// [`Board::run_unless`] of the two together.
    fn pass_on(&self, script: &str, input: Input, limit: Duration, break_off: &BreakOff) -> Result<Finished>;
}

/// The one place that hands everything else through.
impl<Front: InFront> Board for Front {
    fn description(&self) -> &Description {
        self.behind().description()
    }

    fn run_unless(
        &self,
        script: &str,
        input: Input,
        limit: Duration,
        break_off: &BreakOff,
    ) -> Result<Finished> {
        self.pass_on(script, input, limit, break_off)
    }

    fn second_way(&self) -> Option<ssh::Ssh> {
        self.behind().second_way()
    }

    fn answers(&self, limit: Duration) -> bool {
        self.behind().answers(limit)
    }

    fn serial(&self) -> Option<&dyn SerialLine> {
        self.behind().serial()
    }

    fn netconsole(&self) -> Option<netconsole::Wire> {
        self.behind().netconsole()
    }

    fn serial_problem(&self) -> Option<&str> {
        self.behind().serial_problem()
    }

    fn hard_reset(&self) -> Result<()> {
        self.behind().hard_reset()
    }

    fn may_change(&self) -> Result<()> {
        self.behind().may_change()
    }
}

/// A serial line that something outside this process captures all the time, so that the tool can die and the log
/// does not.
pub trait SerialLine {
    /// The file on the host that every byte of the line is appended to, from before power-on.
    fn log(&self) -> PathBuf;

    /// Writes bytes to the line. Invariant 8 is the caller's (`board::boot`): only with a running kernel behind it, or as the answer
    /// to a menu that waits.
    fn write(&self, bytes: &[u8]) -> Result<()>;

    /// Sends a BREAK. Errors: this transport cannot.
    fn send_break(&self) -> Result<()>;

    /// Whether this transport has a BREAK: without one only ssh reaches the kernel's SysRq.
    fn has_break(&self) -> bool;

    /// Tells whoever captures the line which entry of U-Boot's menu is vanilla's: a menu that waits while no command runs gets it
    /// (invariant 8).
    fn vanilla_is(&self, entry: &MenuEntry) -> Result<()>;
}

/// What is known of a board before it is asked: paths, labels, limits. Raw form in `boards/*.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the board, as in `boards/<name>.toml`.
    pub name: String,
    /// Mount point that holds kernels: `/boot/firmware`.
    pub boot_folder: PathBuf,
    /// The extlinux.conf that U-Boot reads, as a path on the running board.
    pub extlinux: PathBuf,
    /// Label that must survive.
    pub vanilla_label: String,
    /// Folder on the board for backups, outside every protected path.
    pub backup_folder: PathBuf,
    /// Longest time from reset to an answer over ssh, vanilla or debug kernel.
    pub boot_limit: Duration,
    /// U-Boot was seen to boot vanilla with its built-in environment, as it does when the stored one is damaged.
    pub environment_defaults_boot_vanilla: bool,
    /// [`Board::hard_reset`] can do something.
    pub has_reset: bool,
    /// Architecture as the kernel's `ARCH` names it: `arm64`.
    pub architecture: String,
    /// Boot methods that may be used; empty: whatever the board can do.
    pub methods: Vec<boot::Method>,
    /// `console=` of vanilla's append that the serial line carries: `ttyS2,1500000`.
    pub console: Option<String>,
    /// What a test kernel may do to the board's root file system.
    pub root: file::Root,
    /// The hardware watchdog.
    pub watchdog: Option<file::Watchdog>,
    /// A second host that backups are pushed on to.
    pub second_host: Option<file::SecondHost>,
    /// A campaign captures netconsole in each test boot.
    pub netconsole: bool,
    /// Units whose state pre-flight shows.
    pub services: Vec<String>,
}

/// Quotes a word for the POSIX shell of a board: *the* quoting function; whatever comes from data goes through it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
#[path = "../../tests/bare_board/mod.rs"]
pub(crate) mod bare_board;
#[cfg(test)]
mod in_front_tests;
