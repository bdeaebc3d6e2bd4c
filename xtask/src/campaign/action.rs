//! What the engine does for each row, and the rows that every plan has.

/// Ids of the rows that every plan has: no step may have one of them.
pub const RESERVED: &[&str] = &[PREFLIGHT, BUILD, BOOT, CLOSE];
/// Id of [`Action::Preflight`].
pub const PREFLIGHT: &str = "0";
/// Id of [`Action::BuildBaseline`].
pub const BUILD: &str = "1.3";
/// Id of [`Action::BootBaseline`].
pub const BOOT: &str = "1.8";
/// Id of [`Action::Close`].
pub const CLOSE: &str = "3";

/// What the engine does for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Backups, protected files, capture: before anything is written beside vanilla.
    Preflight,
    /// The debug kernel without any patch: build and stage.
    BuildBaseline,
    /// The debug kernel without any patch: deploy, boot, smoke-test, record.
    BootBaseline,
    /// The step with this index in [`steps`](super::file::Campaign::steps).
    Patch(usize),
    /// Vanilla runs, is the default, and is what it was.
    Close,
}
