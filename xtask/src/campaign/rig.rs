//! What a campaign boots with.

use crate::board::Board;
use crate::board::boot::{Method, Permit};
use crate::board::protected::Protected;
use std::path::Path;

/// The board with everything that has to be known for a reboot.
#[derive(Clone, Copy)]
pub struct Rig<'a> {
    /// The board.
    pub board: &'a dyn Board,
    /// What must survive.
    pub protected: &'a Protected,
    /// What a reboot asks for.
    pub permit: Permit<'a>,
    /// Folder on the board with what smoke tests need.
    pub smoke_folder: &'a str,
    /// The slot's first user space, built for the board, on this host.
    pub slot_init: &'a Path,
    /// How the slot gets its one attempt.
    pub method: Method,
}
