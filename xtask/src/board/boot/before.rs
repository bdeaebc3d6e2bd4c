//! What is looked at before a board that answers is rebooted, in one round trip: what an attempt that was cut off prepared (it is taken back), whether
//! what must survive is what it was (invariant 1), and what runs.

use super::{Answer, Method, answered, looking_and_reading, prepared};
use crate::board::extlinux::Config;
use crate::board::protected::Protected;
use crate::board::slot::{self, Record};
use crate::board::{Board, awake, script};
use anyhow::{Result, bail};

/// What a board says of itself before a reboot, with nothing left of earlier attempts, and with all that must survive as it was.
pub(super) struct Before {
    /// extlinux.conf.
    pub config: Config,
    /// The record of the slot, where it was asked for.
    pub slot: Option<Record>,
    /// What runs.
    pub old: Answer,
    /// It is held awake ([`awake`]).
    pub held_awake: bool,
}

/// Whether the slot's record is read, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// It is booted next.
    Read,
    /// Vanilla is.
    LeftOut,
}

/// Looks. Errors: something that must survive differs; what an earlier attempt left cannot be taken back.
pub(super) fn look(board: &dyn Board, protected: &Protected, slot: Slot) -> Result<Before> {
    // What an attempt that was cut off prepared would make the next reset one of ours.
    for _ in 0..2 {
        let (left, before) = ask(board, protected, slot)?;
        if let Some(before) = before {
            return Ok(before);
        }
        for method in left {
            super::take_back(method, board, protected)?;
        }
    }
    bail!("what an earlier attempt prepared was taken back, and is there again")
}

/// The methods that left something; where none did, all the rest.
fn ask(board: &dyn Board, protected: &Protected, slot: Slot) -> Result<(Vec<Method>, Option<Before>)> {
    let record = match slot {
        Slot::Read => script::reading(&slot::record_path(protected))?,
        Slot::LeftOut => String::new(),
    };
    let scripts = [
        prepared::looking(),
        protected.listing()?,
        looking_and_reading(&protected.extlinux)?,
        record,
        awake::looking(),
    ];
    let doing = "looking at what has to survive a reboot";
    let [left, listed, seen, record, awake] =
        script::ask_all(board, doing, scripts.each_ref().map(String::as_str), script::WORK)?;
    let left = prepared::read(&String::from_utf8_lossy(&left));
    if !left.is_empty() {
        return Ok((left, None));
    }
    let seen = answered(&seen)?;
    let extlinux = Some(seen.extlinux.as_slice()).filter(|bytes| !bytes.is_empty());
    protected.check_answers(&listed, extlinux)?;
    let before = Before {
        config: Config::parse(&seen.extlinux),
        slot: slot::parse(protected, script::content(&record))?,
        old: seen.answer,
        held_awake: awake::is_held(&awake),
    };
    Ok((left, Some(before)))
}
