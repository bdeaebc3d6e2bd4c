//! The lease: a test boot ends by itself unless the host renews it (invariant 4). `xtask/slot-init/lease.c` holds it on the board; this is the
//! host's side.

use super::{Board, Description, InFront};
use crate::host::process::{BreakOff, Finished};
use anyhow::{Result, bail};
use std::time::Duration;

/// What a renewal adds to the limit of the command that it comes with: time for the next command to be thought of.
const MARGIN: Duration = Duration::from_secs(60);
/// Where the board's side looks (`DEADLINE` in lease.c).
const FOLDER: &str = "/run/lockstep";

/// The first end of a lease, in seconds since the kernel's start: as long as a boot may take, and some to connect.
pub fn first(board: &Description) -> u64 {
    (board.boot_limit + MARGIN).as_secs()
}

/// A board whose lease is renewed by each command, for as long as the command may take.
pub struct Leased<'a> {
    board: &'a dyn Board,
}

impl<'a> Leased<'a> {
    /// Renews with every command from now on.
    pub fn new(board: &'a dyn Board) -> Self {
        Leased { board }
    }
}

impl InFront for Leased<'_> {
    fn behind(&self) -> &dyn Board {
        self.board
    }

    fn pass_on(&self, script: &str, input: &[u8], limit: Duration, break_off: &BreakOff) -> Result<Finished> {
        let renewing = renewal(limit + MARGIN);
        let script = format!("{{ {renewing}; }} 2>/dev/null\n{script}");
        self.board.run_unless(&script, input, limit, break_off)
    }
}

/// The shell commands that let the lease end so long from now: the shell's own alone, since they come with each command, and starting a program
/// costs a slow board more than many a command. The board's side reads the file at any instant: a line that is not there or not whole leaves it with
/// the end that it knows (`deadline` in lease.c).
pub(super) fn renewal(left: Duration) -> String {
    format!(
        "[ -d {FOLDER} ] || mkdir -p {FOLDER}; read -r lockstep_up lockstep_rest </proc/uptime && \
         echo $((${{lockstep_up%%.*}} + {})) >{FOLDER}/lease",
        left.as_secs()
    )
}

/// A script that says whether the board's side runs, for one that asks more than this.
pub const LOOKING: &str = r#"for lockstep_comm in /proc/[0-9]*/comm; do
    { read -r lockstep_name <"$lockstep_comm"; } 2>/dev/null || continue
    [ "$lockstep_name" != lockstep-lease ] || echo lockstep_lease=1
done
"#;

/// Whether the answer to [`LOOKING`], wherever it stands, says that a lease is held.
pub fn is_held(answer: &str) -> bool {
    answer.lines().any(|line| line == "lockstep_lease=1")
}

/// Lets the lease of the boot that runs end so long from now. Errors: the board does not answer, or no lease is held there.
pub fn renew(board: &dyn Board, left: Duration) -> Result<()> {
    let script = format!("{}\n{LOOKING}", renewal(left));
    let done = board.run(&script, Duration::from_secs(30))?;
    if !is_held(&done.text()) {
        bail!(
            "no lease is held on board `{}`: what runs there was not booted by Lockstep",
            board.description().name
        );
    }
    Ok(())
}
