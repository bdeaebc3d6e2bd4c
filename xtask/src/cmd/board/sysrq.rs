//! `cargo xtask board sysrq`: one SysRq key for the kernel that runs on a board.

use super::super::Context;
use super::super::open_board::find;
use crate::board::boot::sysrq::{self, ENDING, Way};
use crate::exit::Outcome;
use crate::host::bounded;
use anyhow::{Result, bail};
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// Arguments of `cargo xtask board sysrq`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask board sysrq w
  cargo xtask board sysrq l --break

The key goes to /proc/sysrq-trigger while the board answers over ssh, and by BREAK on its serial line when it does not. A BREAK is
sent only to a line that showed a running kernel last.")]
pub struct Sysrq {
    /// The key (Documentation/admin-guide/sysrq.rst)
    #[arg(value_name = "KEY")]
    key: char,
    /// Send it by BREAK on the serial line, also when the board answers over ssh
    #[arg(long = "break")]
    by_break: bool,
}

/// Longest wait for an answer over ssh before the serial line is taken.
const ANSWERS: Duration = Duration::from_secs(10);

impl Sysrq {
    /// Runs the verb.
    pub(super) fn run(&self, name: &str, context: &Context) -> Result<Outcome> {
        let board = find(context, name)?;
        if ENDING.contains(&self.key) {
            let question = format!(
                "End the kernel on board `{name}` by SysRq {}, with nothing flushed?",
                self.key
            );
            context.ui.confirm(context.global.consent(), &question)?;
        }
        let way = match self.by_break || !board.answers(ANSWERS) {
            true => Way::Break,
            false => Way::Trigger,
        };
        let asked = sysrq::ask(board.as_ref(), self.key, way)?;
        context.ui.json(&asked)?;
        let Some(bytes) = asked.bytes else {
            context.ui.line(&format!("sent by {}", way.name()));
            context.ui.line(
                "next: `cargo xtask board ssh dmesg` has the answer: there is no serial line to read it from",
            );
            return Ok(Outcome::Success);
        };
        if bytes == 0 {
            bail!(
                "sent by {}, and nothing came over the serial line: kernel.sysrq may forbid the key (`sysctl kernel.sysrq`), the console's \
                 level may hide the answer, or the kernel is dead",
                way.name()
            );
        }
        if let Some(line) = board.serial() {
            let mut log = bounded::open(&line.log())?;
            log.seek(SeekFrom::Start(asked.from))?;
            let mut text = Vec::new();
            log.take(bytes.min(bounded::LOG)).read_to_end(&mut text)?;
            for line in String::from_utf8_lossy(&text).lines() {
                context.ui.line(line.trim_end());
            }
        }
        context
            .ui
            .say(&format!("sent by {}; {bytes} bytes came back", way.name()));
        Ok(Outcome::Success)
    }
}
