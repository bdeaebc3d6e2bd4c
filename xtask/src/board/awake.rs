//! Holds a board awake: no sleep, no idle action, no lid switch. The unit is transient, in `/run`, so nothing is written to a file system of the
//! board; it ends with the boot, and `board::boot` starts it again after each boot until [`release`].

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

/// Whether it is held awake. A board that does not say is not.
pub fn is_held(board: &dyn Board) -> bool {
    // Where the manager keeps a transient unit (systemd's unit_file_transient): a look at it costs nothing, and a program does.
    let asking = format!(
        "[ ! -e /run/systemd/transient/{UNIT}.service ] || systemctl is-active {UNIT} 2>/dev/null || :"
    );
    script::ask(
        board,
        "asking whether the board is held awake",
        &asking,
        script::LOOK,
    )
    .is_ok_and(|said| said.text() == "active")
}

/// Lets it sleep again.
pub fn release(board: &dyn Board) -> Result<()> {
    let releasing = format!("systemctl stop {UNIT} 2>/dev/null || :");
    script::ask(board, "letting the board sleep again", &releasing, script::LOOK)?;
    Ok(())
}
