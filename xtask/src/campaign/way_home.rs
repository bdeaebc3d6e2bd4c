//! The way home: what runs on a board that a run has left, and how it comes back to vanilla.

use super::resume::BoardSeen;
use crate::board::backup::{self, Modules};
use crate::board::boot::{self, Boot, Capture, ConsentGiven, Permit, Reset};
use crate::board::lease::Leased;
use crate::board::preflight::{self, Backup, Needed};
use crate::board::protected::Protected;
use crate::board::{Board, deploy, nonce};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// What runs on the board; changes nothing. `known` is what must survive on it, where a pre-flight was made: without one whatever
/// answers counts as vanilla, and the next pre-flight looks closer.
pub fn see(board: &dyn Board, known: Option<&Protected>, limit: Duration) -> BoardSeen {
    let silent = BoardSeen::Silent {
        has_reset: board.description().has_reset,
    };
    if !board.answers(limit) {
        return silent;
    }
    match (boot::look(board), known) {
        (Err(_), _) => silent,
        (Ok(answer), _) if nonce::is_of_ours(&answer.cmdline) => BoardSeen::Ours {
            release: answer.release,
        },
        (Ok(answer), Some(known)) if !boot::is_vanilla(&answer, known) => BoardSeen::Other {
            release: answer.release,
        },
        (Ok(_), _) => BoardSeen::Vanilla,
    }
}

/// What the way home needs.
pub struct Home<'a> {
    /// The board.
    pub board: &'a dyn Board,
    /// The campaign whose backup is read back.
    pub campaign: &'a str,
    /// Folder of its backup on this host.
    pub backups: &'a Path,
}

impl Home<'_> {
    /// Restarts the board into vanilla, whatever runs there; the backups are read back before. Dying half-way it leaves a board whose next
    /// boot is vanilla.
    pub fn come(&self, protected: &Protected, reset: Reset, consent: ConsentGiven) -> Result<Boot> {
        if reset == Reset::Hard {
            let backup = &backup::verify_archive(self.board, self.campaign, self.backups)?;
            let permit = Permit {
                backup,
                capture: Capture::OutOfReach,
                consent,
            };
            return boot::boot_vanilla(self.board, protected, reset, &permit, &mut |_| {});
        }
        // A kernel of ours ends by itself when nobody renews its lease: reading back takes a while.
        let board = &Leased::new(self.board);
        let backup = backup::make(board, protected, self.campaign, &Modules::All, self.backups)?;
        let nothing = Needed { boot: 0, root: 0 };
        let report = preflight::run(board, protected, Backup::Verified(&backup), nothing)?;
        let capture = report
            .capture
            .context("no capture works on this board (`cargo xtask preflight` says why)")?;
        let permit = Permit {
            backup: &backup,
            capture: Capture::Proven(capture),
            consent,
        };
        boot::boot_vanilla(board, protected, reset, &permit, &mut |_| {})
    }

    /// Takes our label out; what lies behind it can no longer be chosen.
    pub fn withdraw(&self, protected: &Protected) -> Result<()> {
        deploy::withdraw(self.board, protected).map(drop)
    }
}
