//! Boot methods: ways in which our label gets one attempt. Each says what it guarantees (invariant 2), when it cannot be used, what it
//! changes before the restart and how that is taken back.

use super::situation::Situation;
use crate::board::Board;
use crate::board::extlinux::CommandLine;
use crate::board::protected::Protected;
use crate::board::slot::{Place, Record};
use anyhow::Result;
use serde::Serialize;

/// What a boot method promises, and what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Guarantee {
    /// What holds whatever happens.
    pub promises: &'static [&'static str],
    /// What it needs or leaves open.
    pub leaves_open: &'static [&'static str],
}

/// How the kernel comes after the restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through U-Boot, whose menu is answered with our label.
    AnswerMenu,
    /// Through U-Boot, whose menu is left to its countdown (or to a person).
    LeaveMenu,
    /// Straight from the kernel that runs: a menu that shows all the same is one behind a reset, and gets vanilla.
    NoBootloader,
}

/// The slot that is to be booted, verified.
pub(super) struct Target<'a> {
    pub board: &'a dyn Board,
    pub protected: &'a Protected,
    pub record: &'a Record,
    pub place: &'a Place,
    /// The command line that U-Boot would hand over for the label.
    pub command_line: &'a CommandLine,
}

/// A way to boot our label once.
pub(super) trait BootMethod: Sync {
    /// What it promises, and what it does not.
    fn guarantee(&self) -> Guarantee;

    /// Why it cannot be used on a board that was found like this.
    fn refusal(&self, situation: &Situation) -> Option<String>;

    /// Whether [`BootMethod::refusal`] looks at more than the serial line and extlinux.conf. Where not, the board is asked nothing for it, and the rest of
    /// its [`Situation`] says that nothing is there.
    fn asks_the_board(&self) -> bool {
        true
    }

    /// How the kernel comes after the restart.
    fn way(&self) -> Way;

    /// Prepares the one attempt. When it dies half-way, or the restart never comes, [`BootMethod::disarm`] takes back what it left.
    fn arm(&self, _target: &Target) -> Result<()> {
        Ok(())
    }

    /// The shell command that restarts the board in an orderly way.
    fn restart_command(&self) -> &'static str {
        ORDERLY_RESTART
    }

    /// What a person has to do when the board restarts, for the method that needs one.
    fn instruction(&self, _target: &Target) -> Option<String> {
        None
    }

    /// Shell that succeeds where the board has something that [`BootMethod::disarm`] would take
    /// back; it changes nothing, and may ask [`THERE`](crate::board::script::THERE). None: this
    /// method never
    /// leaves anything.
    fn is_armed(&self) -> Option<String> {
        None
    }

    /// Takes back what [`BootMethod::arm`] left on the board, and tells whether there was something. Safe at any time, and twice.
    fn disarm(&self, _board: &dyn Board, _protected: &Protected) -> Result<bool> {
        Ok(false)
    }
}

/// systemd's way, or any other init's.
///
/// `systemctl reboot` asks logind, which asks those who hold the board up. Where logind does not run (it makes that folder whatever else it does:
/// systemd's login/logind.c) there is nobody to ask, and starting it first, and the bus for it, costs a slow board seconds; what it would do
/// then is in systemctl(1) under `reboot`.
pub(super) const ORDERLY_RESTART: &str = "if [ -d /run/systemd/system ] && [ ! -d /run/systemd/seats ]; then systemctl start --no-block \
     --job-mode=replace-irreversibly reboot.target; else false; fi || systemctl reboot || reboot";
