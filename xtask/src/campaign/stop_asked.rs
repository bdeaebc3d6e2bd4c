//! The error that ends a row because the user asked to stop.

/// Something was broken off because the user asked to stop: the run stops there, and goes on from there.
#[derive(Debug)]
pub struct StopAsked;

impl std::fmt::Display for StopAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("broken off, as asked")
    }
}
