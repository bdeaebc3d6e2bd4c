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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_differ() {
        assert_ne!(Nonce::fresh().unwrap(), Nonce::fresh().unwrap());
    }
}
