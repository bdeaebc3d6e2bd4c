//! Words by which something is known again: this very deploy in `/proc/cmdline` (invariant 15), this very message in a log.

use super::script;
use anyhow::Result;
use serde::Serialize;

/// A word that nobody has had before: 16 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nonce(String);

impl Nonce {
    /// A new one from the system's random numbers.
    pub fn fresh() -> Result<Self> {
        script::random_hex::<8>().map(Nonce)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands before the nonce on a kernel's command line. Only our label has it
/// (`deploy::append`).
pub const WORD: &str = "lockstep.nonce=";

/// The nonce as a word of the command line.
pub fn word(nonce: &str) -> String {
    format!("{WORD}{nonce}")
}

/// Whether a kernel with this command line was booted by a label of ours, of whichever deploy.
pub fn is_of_ours(cmdline: &str) -> bool {
    cmdline
        .split_ascii_whitespace()
        .any(|word| word.starts_with(WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_of_ours_has_a_word_of_its_own_on_the_command_line() {
        assert!(is_of_ours(&format!("root=/dev/vda2 {}\n", word("01"))));
        assert!(!is_of_ours("root=/dev/vda2 title=xlockstep.nonce=01 quiet"));
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(Nonce::fresh().unwrap(), Nonce::fresh().unwrap());
    }
}
