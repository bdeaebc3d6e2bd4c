//! Phases of a serial capture, for reports. (What may be written to a line is decided elsewhere, on the bytes as they come.)

use serde::{Deserialize, Serialize};

/// What a board was doing when it wrote to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// A boot loader began: a reset, if anything came before.
    BootLoader,
    /// Its menu waits for an answer (boot/pxe_utils.c, common/menu.c of U-Boot).
    Menu,
    /// A kernel runs.
    Kernel,
    /// A login prompt stands there (agetty(8): `host login:`).
    Login,
    /// The kernel panicked.
    Panic,
    /// The kernel said that it goes down, or hands over to another one.
    Down,
}

/// A phase and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mark {
    /// Offset of the line that begins it, in bytes.
    pub offset: usize,
    /// The phase.
    pub phase: Phase,
}

/// How often things happened in a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// Kernels that began.
    pub boots: usize,
    /// Boot loaders that began without the kernel before having said that it goes down: power, watchdog or reset line.
    pub silent_resets: usize,
    /// Panics.
    pub panics: usize,
}

/// Words that begin a phase, wherever in a line they stand.
const WORDS: &[(&str, Phase)] = &[
    ("U-Boot SPL ", Phase::BootLoader),
    ("U-Boot TPL ", Phase::BootLoader),
    ("U-Boot 20", Phase::BootLoader),
    ("NOTICE:  BL31:", Phase::BootLoader),
    ("Enter choice:", Phase::Menu),
    ("Booting Linux on physical CPU", Phase::Kernel),
    ("Linux version ", Phase::Kernel),
    (" login: ", Phase::Login),
    ("Kernel panic - not syncing", Phase::Panic),
    ("reboot: Restarting system", Phase::Down),
    ("reboot: Power down", Phase::Down),
    ("kexec_core: Starting new kernel", Phase::Down),
];

/// The phases of a capture in order. Neighbours differ, but for [`Phase::Kernel`], which is marked once for each kernel that
/// starts.
pub fn phases(capture: &[u8]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut offset = 0_usize;
    let mut kernel_lines = 0_usize;
    for line in capture.split(|&byte| byte == b'\n') {
        if let Some(phase) = phase(line) {
            let last = marks.last().map(|mark| mark.phase);
            // Both of the kernel's first lines are one start, unless many lines lie between.
            let again = phase == Phase::Kernel && last == Some(Phase::Kernel) && kernel_lines > 4;
            if last != Some(phase) || again {
                marks.push(Mark { offset, phase });
            }
            if phase == Phase::Kernel {
                kernel_lines = 0;
            }
        }
        kernel_lines = kernel_lines.saturating_add(1);
        offset = offset.saturating_add(line.len()).saturating_add(1);
    }
    marks
}

fn phase(line: &[u8]) -> Option<Phase> {
    // Only few lines hold any of these; the cheap look comes first.
    let text =
        std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), std::borrow::Cow::Borrowed);
    let found = WORDS.iter().find(|(words, _)| text.contains(words))?;
    // `Last login:` is said after it, and a log line may talk of a login.
    (found.1 != Phase::Login || !text.contains("Last login: ")).then_some(found.1)
}

/// Counts boots, panics and resets that nobody announced.
pub fn count(marks: &[Mark]) -> Counts {
    let mut counts = Counts::default();
    let mut running = false;
    for mark in marks {
        match mark.phase {
            Phase::Kernel => {
                counts.boots = counts.boots.saturating_add(1);
                running = true;
            }
            Phase::Panic => {
                counts.panics = counts.panics.saturating_add(1);
                running = false;
            }
            Phase::Down => running = false,
            Phase::BootLoader => {
                counts.silent_resets = counts.silent_resets.saturating_add(usize::from(running));
                running = false;
            }
            Phase::Menu | Phase::Login => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(capture: &str, expect: &[Phase], counts: Counts) {
        let marks = phases(capture.as_bytes());
        assert_eq!(marks.iter().map(|mark| mark.phase).collect::<Vec<_>>(), expect);
        assert_eq!(count(&marks), counts);
    }

    const UP: &str = "U-Boot 2024.01 (Jan)\r\n\r\nEnter choice: 2\r\n[    0.000000] Booting Linux on physical CPU 0x0\r\n[    0.000000] Linux version 7\r\n";

    #[test]
    fn an_orderly_reboot() {
        use Phase::*;
        check(
            &format!(
                "{UP}\r\nDebian ampere ttyS2\r\n\r\nampere login: \r\n[    9.000000] reboot: Restarting system\r\n{UP}"
            ),
            &[BootLoader, Menu, Kernel, Login, Down, BootLoader, Menu, Kernel],
            Counts {
                boots: 2,
                silent_resets: 0,
                panics: 0,
            },
        );
    }

    #[test]
    fn a_silent_reset_and_a_panic() {
        use Phase::*;
        check(
            &format!(
                "{UP}[    5.000000] x\r\n{UP}[    5.000000] Kernel panic - not syncing: x\r\nU-Boot SPL 2024\r\n"
            ),
            &[
                BootLoader, Menu, Kernel, BootLoader, Menu, Kernel, Panic, BootLoader,
            ],
            Counts {
                boots: 2,
                silent_resets: 1,
                panics: 1,
            },
        );
    }

    #[test]
    fn kexec_starts_a_kernel_without_a_boot_loader() {
        let capture = format!("{UP}a\nb\nc\nd\ne\n[    0.000000] Booting Linux on physical CPU 0x0\n");
        assert_eq!(count(&phases(capture.as_bytes())).boots, 2);
    }

    #[test]
    fn offsets_point_at_lines() {
        let marks = phases(b"x\nU-Boot SPL 2024\n");
        assert_eq!(
            marks,
            [Mark {
                offset: 2,
                phase: Phase::BootLoader
            }]
        );
    }
}
