//! The host: running programs, locks, atomic files, hashes, folders, what is missing on this machine.

pub mod awake;
pub mod bounded;
pub mod deadline;
pub mod environment;
pub mod file_name;
pub mod files;
pub mod folders;
pub mod identity;
pub mod interrupt;
pub mod json;
pub mod lock;
#[cfg(test)]
pub(crate) mod measured;
pub mod one_line;
pub mod packages;
pub mod process;
pub mod project;
pub mod requirements;
pub mod running;
pub mod scratch;
pub mod socket;
pub mod toml;
