//! The host: running programs, locks, atomic files, hashes, folders, what is missing on this machine.

pub mod files;
pub mod folders;
pub mod process;
