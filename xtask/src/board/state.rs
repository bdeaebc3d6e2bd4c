//! What runs on a board now, and how it came there.

use super::boot::Answer;
use super::proof::Seen;
use super::protected::Protected;
use super::{Board, boot, nonce, proof, script, slot};
use anyhow::Result;
use serde::Serialize;

/// The state of a board that answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BoardState {
    /// The label that booted, as far as it can be told.
    pub label: Option<String>,
    /// What the board says of its kernel and modules.
    pub seen: Seen,
    /// The taint flags by name.
    pub taint: Vec<&'static str>,
    /// Whether lockdep still checks; not known where the kernel has none.
    pub lockdep_alive: Option<bool>,
    /// Seconds until the lease ends this boot; `None` where none is held, or its end is not known.
    pub lease_left: Option<i64>,
    /// What the hardware says of the last reset, where it does (watchdog `bootstatus`, `reset_reason`).
    pub last_reset: Vec<String>,
}

const LOOK: &str = r#"export LC_ALL=C
for dog in /sys/class/watchdog/watchdog*; do
    status=$(cat "$dog/bootstatus" 2>/dev/null) && [ "$status" != 0 ] && echo "reset=${dog##*/} bootstatus $status"
done
for file in /sys/kernel/reboot/reset_reason /sys/devices/platform/*/reset_reason /sys/bus/platform/devices/*/power_up_reason; do
    [ -r "$file" ] && echo "reset=${file##*/}: $(cat "$file")"
done
true
"#;

/// Looks. Errors: the board does not answer.
pub fn look(board: &dyn Board, protected: &Protected) -> Result<BoardState> {
    let answer = boot::look(board)?;
    let seen = proof::gather(board)?;
    let text = script::ask(board, "looking at the board's state", LOOK, script::LOOK)?.text();
    let record = slot::read(board, protected).ok().flatten();
    Ok(state(&answer, seen, &text, protected, record.as_ref()))
}

fn state(
    answer: &Answer,
    seen: Seen,
    text: &str,
    protected: &Protected,
    slot: Option<&slot::Record>,
) -> BoardState {
    let nonce = |record: &slot::Record| {
        let wanted = nonce::word(&record.nonce);
        answer.cmdline.split_whitespace().any(|word| word == wanted)
    };
    let label = match slot {
        Some(record) if nonce(record) => Some(record.label.clone()),
        _ if boot::is_vanilla(answer, protected) => Some(protected.vanilla_label.clone()),
        _ => None,
    };
    let until = seen.lease.as_ref().and_then(|lease| lease.until);
    let lease_left = until
        .zip(seen.uptime)
        .and_then(|(until, uptime)| i64::try_from(until).ok()?.checked_sub_unsigned(uptime));
    BoardState {
        label,
        taint: taint(seen.taint.unwrap_or(0)),
        lockdep_alive: seen.debug_locks.as_deref().map(|locks| locks == "1"),
        seen,
        lease_left,
        last_reset: text
            .lines()
            .filter_map(|line| line.strip_prefix("reset="))
            .map(String::from)
            .collect(),
    }
}

/// Names of the taint flags, by bit (Documentation/admin-guide/tainted-kernels.rst).
const TAINT: [&str; 20] = [
    "proprietary module",
    "module was force loaded",
    "CPU out of specification",
    "module was force unloaded",
    "machine check",
    "bad page",
    "asked for by user space",
    "died: oops or BUG",
    "ACPI table overridden",
    "warning",
    "staging driver",
    "firmware workaround",
    "out-of-tree module",
    "unsigned module",
    "soft lockup",
    "live patched",
    "auxiliary",
    "randomized structures",
    "in-kernel test",
    "fwctl debug write",
];

/// The flags that are set. A bit without a name is told by its number.
pub fn taint(bits: u64) -> Vec<&'static str> {
    (0..64)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit: usize| TAINT.get(bit).copied().unwrap_or("a flag that is not known here"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taint_bits_have_names() {
        assert_eq!(taint(0), [""; 0]);
        assert_eq!(
            taint(0x1280),
            ["died: oops or BUG", "warning", "out-of-tree module"]
        );
        assert_eq!(taint(1 << 40), ["a flag that is not known here"]);
    }
}
