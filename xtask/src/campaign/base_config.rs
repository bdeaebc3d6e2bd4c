//! The configuration of the kernel that a board runs, as the board has it.

use crate::board::{Board, script};
use anyhow::{Result, ensure};
use std::time::Duration;

/// `/proc/config.gz` where the kernel has it (CONFIG_IKCONFIG_PROC), else the file that distributions put beside the Image.
const READ: &str =
    "if [ -r /proc/config.gz ]; then zcat /proc/config.gz; else cat \"/boot/config-$(uname -r)\"; fi";

/// Reads it from a board that runs vanilla. Errors: the board keeps none.
pub fn of_board(board: &dyn Board) -> Result<Vec<u8>> {
    let doing = "reading the configuration of the running kernel (/proc/config.gz, /boot/config-…)";
    let bytes = script::ask(board, doing, READ, Duration::from_secs(60))?.stdout;
    let text = String::from_utf8_lossy(&bytes);
    ensure!(
        text.lines().filter(|line| line.starts_with("CONFIG_")).count() > 100,
        "{doing}: what board `{}` gave is no kernel configuration; name one in the campaign (`base` in [kernel])",
        board.description().name
    );
    Ok(bytes)
}
