//! By which name this program was called, so that every command that it suggests can be typed as it stands.

use std::borrow::Cow;
use std::sync::OnceLock;

/// The installed program (`cargo install --path xtask`).
pub const PROGRAM: &str = "lockstep";

/// Through cargo's alias, in the checkout. Messages are written with this name.
pub const ALIAS: &str = "cargo xtask";

/// [`ALIAS`] where cargo runs this program (it sets `CARGO_PKG_NAME` for what it runs: the Cargo Book, "Environment Variables"), else [`PROGRAM`].
pub fn name() -> &'static str {
    static NAME: OnceLock<&str> = OnceLock::new();
    NAME.get_or_init(|| match std::env::var_os("CARGO_PKG_NAME") {
        Some(package) if package == env!("CARGO_PKG_NAME") => ALIAS,
        _ => PROGRAM,
    })
}

/// The text with its commands under the name by which this program was called.
pub fn renamed(text: &str) -> Cow<'_, str> {
    match name() {
        ALIAS => Cow::Borrowed(text),
        name => Cow::Owned(text.replace(ALIAS, name)),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn messages_keep_the_alias_where_cargo_runs_the_program() {
        // cargo's test runner sets what `cargo run` sets.
        assert_eq!(
            super::renamed("next: `cargo xtask resume`"),
            "next: `cargo xtask resume`"
        );
    }
}
