//! What a board says of itself when it answers.

use crate::board::protected::Protected;
use crate::board::{Board, nonce, script};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// Longest time of a look.
const LIMIT: Duration = Duration::from_secs(20);

/// What a board says of itself when it answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// `uname -r`.
    pub release: String,
    /// `/proc/sys/kernel/random/boot_id`: new with each boot.
    pub boot_id: String,
    /// `/proc/cmdline`.
    pub cmdline: String,
    /// Seconds from the request to the answer.
    pub seconds: f64,
}

/// What answered behind a restart.
#[derive(Debug)]
pub(super) struct Answered {
    pub answer: Answer,
    /// extlinux.conf as it was then; empty where it is not there.
    pub extlinux: Vec<u8>,
}

/// The script of [`look`].
const LOOKING: &str = "cat /proc/sys/kernel/osrelease /proc/sys/kernel/random/boot_id /proc/cmdline";

/// What the board says of itself. Errors: it does not answer.
pub fn look(board: &dyn Board) -> Result<Answer> {
    runs(&script::ask(board, "looking at what runs", LOOKING, LIMIT)?.text())
}

/// [`look`], and extlinux.conf as it is then.
pub(super) fn look_and_read(board: &dyn Board, extlinux: &Path) -> Result<Answered> {
    let looking = looking_and_reading(extlinux)?;
    answered(&script::ask(board, "looking at what runs", &looking, LIMIT)?.stdout)
}

/// The script of [`look_and_read`], for one that asks more than this. One program: each costs a slow board more than what it answers.
pub(super) fn looking_and_reading(extlinux: &Path) -> Result<String> {
    Ok(format!("{LOOKING} {} 2>/dev/null || :", script::word(extlinux)?))
}

/// The answer to [`looking_and_reading`].
pub(super) fn answered(said: &[u8]) -> Result<Answered> {
    let ends = said.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let (runs_to, _) = ends.take(3).last().context("the board did not say what runs")?;
    let (said, extlinux) = said
        .split_at_checked(runs_to.saturating_add(1))
        .unwrap_or((said, &[]));
    Ok(Answered {
        answer: runs(&String::from_utf8_lossy(said))?,
        extlinux: extlinux.to_vec(),
    })
}

/// The answer to [`LOOKING`].
fn runs(text: &str) -> Result<Answer> {
    let lines: Vec<&str> = text.lines().collect();
    let [release, boot_id, cmdline] = lines[..] else {
        bail!("the board did not say what runs: `{text}`")
    };
    Ok(Answer {
        release: release.into(),
        boot_id: boot_id.into(),
        cmdline: cmdline.into(),
        seconds: 0.0,
    })
}

/// Whether what answers is vanilla, by its release and without a nonce of ours.
pub fn is_vanilla(answer: &Answer, protected: &Protected) -> bool {
    answer.release == protected.release && !nonce::is_of_ours(&answer.cmdline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::InFront;
    use crate::board::bare_board::{BareBoard, said};
    use crate::host::process::{BreakOff, Finished, Input};

    struct Says(BareBoard, &'static str);

    impl InFront for Says {
        fn behind(&self) -> &dyn Board {
            &self.0
        }

        fn pass_on(&self, _: &str, _: Input, _: Duration, _: &BreakOff) -> Result<Finished> {
            Ok(said(self.1))
        }
    }

    #[test]
    fn extlinux_conf_comes_byte_for_byte_behind_what_runs() {
        let read = |text| look_and_read(&Says(BareBoard::ampere(), text), Path::new("/e"));
        let seen = read("7.3.4\nid-1\nroot=/dev/vda2\n\nlabel a\n\tkernel /a").unwrap();
        assert_eq!(
            (seen.answer.release.as_str(), seen.answer.cmdline.as_str()),
            ("7.3.4", "root=/dev/vda2")
        );
        assert_eq!(seen.extlinux, b"\nlabel a\n\tkernel /a");
        assert!(read("7.3.4\nid-1\nroot=/dev/vda2\n").unwrap().extlinux.is_empty());
        assert!(read("7.3.4\nid-1\n").is_err());
    }
}
