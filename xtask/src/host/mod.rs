//! The host: running programs, locks, atomic files, hashes, folders, what is missing on this machine.

pub mod awake;
pub mod files;
pub mod folders;
pub mod interrupt;
pub mod packages;
pub mod process;
pub mod requirements;
pub mod toml;
