//! Invariant 8 inside the recorder's process: what the line showed last decides what may be written to it, also while no command runs.

use super::serial::{Event, Phase, Watch, number_for};
use crate::capture::control::MenuEntry;
use crate::capture::recorder::Guard;
use anyhow::{Result, bail};
use std::time::Duration;

/// How long a menu waits before it counts as one that nobody of ours asked for and whose countdown is over: we answer within a tenth of a
/// second, and U-Boot's own countdown is some seconds. Where it is longer, vanilla is what it would have booted.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the line shows, and vanilla's number once it is known.
#[derive(Debug)]
pub struct LineGuard {
    watch: Watch,
    vanilla: Option<MenuEntry>,
    /// How long nothing must have come before the next answer.
    patience: Duration,
}

impl Default for LineGuard {
    fn default() -> Self {
        LineGuard {
            watch: Watch::default(),
            vanilla: None,
            patience: PATIENCE,
        }
    }
}

impl Guard for LineGuard {
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        self.patience = PATIENCE;
        let mut events = Vec::new();
        // Line by line: a phase that begins and ends within one read is one, too.
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let before = self.watch.phase();
            events.extend(self.watch.feed(line).iter().filter_map(told));
            if self.watch.phase() != before {
                events.push(format!("phase {}", self.watch.phase().name()));
            }
        }
        events
    }

    fn lost(&mut self) {
        self.watch = Watch::default();
    }

    fn phase(&self) -> String {
        self.watch.phase().name().into()
    }

    fn may_write(&self, bytes: &[u8]) -> Result<()> {
        let answer = bytes
            .strip_suffix(b"\r")
            .is_some_and(|number| number.iter().all(u8::is_ascii_digit));
        match self.watch.phase() {
            Phase::Kernel | Phase::Login => Ok(()),
            Phase::MenuWaits if answer => Ok(()),
            _ if self.watch.half_typed() && bytes == b"\r" => Ok(()),
            phase => bail!(
                "the serial line is not written: it showed `{}` last, and a byte that is no answer to a menu is sent to a running kernel \
                 only (a stray one stops U-Boot's countdown for ever)",
                phase.name()
            ),
        }
    }

    fn vanilla_is(&mut self, entry: MenuEntry) {
        self.vanilla = Some(entry);
    }

    fn answer(&mut self, quiet: Duration) -> Option<Vec<u8>> {
        let vanilla = self.vanilla.as_ref()?;
        if quiet < self.patience {
            return None;
        }
        let answer = if self.watch.half_typed() {
            // Noise would become a part of the number: this makes it "not found", and the menu comes again.
            b"\r".to_vec()
        } else if self.watch.phase() == Phase::MenuWaits {
            let number = number_for(self.watch.entries(), vanilla.number, &vanilla.shown)?;
            format!("{number}\r").into_bytes()
        } else {
            return None;
        };
        // Once, until something comes back or as long again has gone by.
        self.patience = quiet.saturating_add(PATIENCE);
        Some(answer)
    }
}

/// What the index keeps of an event; files and menus are in the log itself.
fn told(event: &Event) -> Option<String> {
    match event {
        Event::Banner => Some("reset: a boot loader began".into()),
        Event::Linux(release) => Some(format!("linux {release}")),
        Event::Panic(words) => Some(format!("panic: {words}")),
        Event::Booting(entry) => Some(format!("boots entry {} {}", entry.number, entry.shown)),
        Event::Prompt(_) | Event::Retrieving(_) | Event::Append(_) | Event::Skipped(_) | Event::Login => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MENU: &[u8] =
        b"U-Boot 2023.01 (x)\r\n1:\tarch_devices\r\n2:\tarch_devices_lockdep\r\nEnter choice: ";
    const LONG: Duration = Duration::from_secs(61);

    fn guard(shown: &str) -> LineGuard {
        let mut guard = LineGuard::default();
        guard.vanilla_is(MenuEntry {
            number: 1,
            shown: shown.into(),
        });
        guard
    }

    #[test]
    fn only_a_running_kernel_is_written_to() {
        let mut guard = LineGuard::default();
        let check = |guard: &LineGuard, bytes: &[u8], allowed: bool| {
            assert_eq!(guard.may_write(bytes).is_ok(), allowed, "{}", guard.phase());
        };
        check(&guard, b"x", false);
        check(&guard, b"", false);
        guard.feed(b"U-Boot 2023.01 (x)\r\nHit any key to stop autoboot: 3");
        check(&guard, b"1\r", false);
        guard.feed(b"\r\n[    0.000000] Linux version 7.3.4 (x)\r\n");
        check(&guard, b"x", true);
        check(&guard, b"", true);
        guard.feed(b"[    9.000000] Kernel panic - not syncing: x\r\n");
        check(&guard, b"c", false);
        check(&guard, b"", false);
    }

    #[test]
    fn a_kernel_that_ran_before_we_looked_is_known_by_its_lines() {
        let mut guard = LineGuard::default();
        assert_eq!(
            guard.feed(b"half a line\r\n[  123.456789] usb 1-1: x\r\n"),
            ["phase kernel"]
        );
        assert!(guard.may_write(b"w").is_ok());
        guard.lost();
        assert!(guard.may_write(b"w").is_err());
    }

    #[test]
    fn a_menu_takes_a_number_and_nothing_else() {
        let mut guard = LineGuard::default();
        guard.feed(MENU);
        assert!(guard.may_write(b"2\r").is_ok());
        for bytes in [&b"x\r"[..], b"2", b"", b"1\r2\r"] {
            assert!(guard.may_write(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_menu_that_nobody_answers_gets_vanilla_once() {
        let mut guard = guard("arch_devices");
        guard.feed(MENU);
        assert_eq!(guard.answer(Duration::from_secs(59)), None);
        assert_eq!(guard.answer(LONG).as_deref(), Some(&b"1\r"[..]));
        assert_eq!(guard.answer(LONG + Duration::from_secs(1)), None);
        assert_eq!(guard.answer(LONG * 2).as_deref(), Some(&b"1\r"[..]));
        guard.feed(b"1\r\n1:\tarch_devices\r\nRetrieving file: /Image\r\n");
        assert_eq!(guard.answer(LONG), None);
    }

    #[test]
    fn noise_behind_the_prompt_is_ended_first() {
        let mut guard = guard("arch_devices");
        guard.feed(MENU);
        guard.feed(b"x");
        assert_eq!(guard.answer(LONG).as_deref(), Some(&b"\r"[..]));
    }

    #[test]
    fn another_menu_or_none_is_left_alone() {
        let mut other = guard("something else");
        other.feed(MENU);
        assert_eq!(other.answer(LONG), None);
        let mut unknown = LineGuard::default();
        unknown.feed(MENU);
        assert_eq!(unknown.answer(LONG), None);
        let mut running = guard("arch_devices");
        running.feed(b"[    0.000000] Linux version 7.3.4 (x)\r\nEnter choice: ");
        assert_eq!(running.answer(LONG), None);
    }
}
