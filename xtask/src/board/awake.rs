//! Holds a board awake: no sleep, no idle action, no lid switch. The unit is transient, in `/run`, so nothing is written to a file system of the
//! board; it ends with the boot, and `board::boot` starts it again after each boot until [`release`].

use super::{Board, script};
use anyhow::Result;

/// Name of the transient unit, and of who inhibits.
const UNIT: &str = "lockstep-awake";

/// Holds it awake; a second call changes nothing. Errors: no systemd there, or it refuses.
pub fn hold(board: &dyn Board) -> Result<()> {
    board.may_change()?;
    let holding = format!(
        "if systemctl is-active --quiet {UNIT}; then exit 0; fi\n\
         systemd-run --quiet --collect --unit={UNIT} systemd-inhibit --what=sleep:idle:handle-lid-switch --who=Lockstep \
         --why='a kernel campaign runs' --mode=block sleep infinity"
    );
    script::ask(board, "holding the board awake", &holding, script::LOOK)?;
    Ok(())
}

/// The script that prints `active` where it is held awake. Where the manager keeps a transient unit (systemd's unit_file_transient), a look costs
/// nothing, and a program does.
pub(super) fn looking() -> String {
    format!("[ ! -e /run/systemd/transient/{UNIT}.service ] || systemctl is-active {UNIT} 2>/dev/null || :")
}

/// The answer to [`looking`].
pub(super) fn is_held(answer: &[u8]) -> bool {
    answer.trim_ascii() == b"active"
}

/// Lets it sleep again.
pub fn release(board: &dyn Board) -> Result<()> {
    board.may_change()?;
    let releasing = format!("systemctl stop {UNIT} 2>/dev/null || :");
    script::ask(board, "letting the board sleep again", &releasing, script::LOOK)?;
    Ok(())
}
