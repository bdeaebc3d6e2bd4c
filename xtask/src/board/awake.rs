//! Holds a board awake: no sleep, no idle action, no lid switch. It lasts until the board's next boot or [`release`]; nothing is written to a file
//! system of the board (the unit is transient, in `/run`).

use super::{Board, script};
use anyhow::Result;

/// Name of the transient unit, and of who inhibits.
const UNIT: &str = "lockstep-awake";

/// Holds it awake; a second call changes nothing. Errors: no systemd there, or it refuses.
pub fn hold(board: &dyn Board) -> Result<()> {
    let holding = format!(
        "if systemctl is-active --quiet {UNIT}; then exit 0; fi\n\
         systemd-run --quiet --collect --unit={UNIT} systemd-inhibit --what=sleep:idle:handle-lid-switch --who=Lockstep \
         --why='a kernel campaign runs' --mode=block sleep infinity"
    );
    script::ask(board, "holding the board awake", &holding, script::LOOK)?;
    Ok(())
}

/// Lets it sleep again.
pub fn release(board: &dyn Board) -> Result<()> {
    let releasing = format!("systemctl stop {UNIT} 2>/dev/null || :");
    script::ask(board, "letting the board sleep again", &releasing, script::LOOK)?;
    Ok(())
}
