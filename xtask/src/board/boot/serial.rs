//! What a serial line shows of a boot: a pure state machine over its bytes. Fed in pieces of any size, it gives events and
//! keeps the phase; whether the line may be written is read from the phase alone (invariant 8).
//!
//! Source of the texts: U-Boot `common/main.c` (banner), `boot/pxe_utils.c` (`label_print`, `get_relfile`, `label_boot`),
//! `common/menu.c` (prompt); Linux `init/main.c` (banner), `kernel/panic.c`.

use serde::Serialize;

/// What a serial line showed last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing that is known. The line is not written.
    #[default]
    Unknown,
    /// Firmware or U-Boot: a stray byte stops its countdown.
    Bootloader,
    /// `Enter choice:` and nothing behind it.
    MenuWaits,
    /// A choice was made, or the countdown ran out; files are loaded.
    Loading,
    /// A kernel runs.
    Kernel,
    /// A login prompt was shown.
    Login,
    /// The kernel panicked.
    Panicked,
}

impl Phase {
    /// In print.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Unknown => "unknown",
            Phase::Bootloader => "boot loader",
            Phase::MenuWaits => "menu waits",
            Phase::Loading => "loading",
            Phase::Kernel => "kernel",
            Phase::Login => "login",
            Phase::Panicked => "panicked",
        }
    }

    /// A kernel runs, as far as the line showed: what invariant 8 asks for.
    pub fn is_running_kernel(self) -> bool {
        matches!(self, Phase::Kernel | Phase::Login)
    }
}

/// Something that the line showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// U-Boot (or its SPL) started: the board was reset.
    Banner,
    /// The menu waits for an answer; these are its entries.
    Prompt(Vec<Entry>),
    /// U-Boot repeats the entry that it boots.
    Booting(Entry),
    /// U-Boot loads a file.
    Retrieving(String),
    /// The command line that U-Boot hands to the kernel.
    Append(String),
    /// U-Boot skips a label, with its words.
    Skipped(String),
    /// A kernel started; its release, when the banner was seen.
    Linux(String),
    /// The kernel panicked, with its words.
    Panic(String),
    /// A login prompt.
    Login,
}

/// One entry of U-Boot's menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What has to be typed.
    pub number: usize,
    /// What is shown behind it.
    pub shown: String,
}

/// The state machine.
#[derive(Debug, Clone)]
pub struct Watch {
    phase: Phase,
    /// The line that is not finished yet.
    line: Vec<u8>,
    entries: Vec<Entry>,
    /// U-Boot proper was seen since the last reset (its SPL comes first and has a banner, too).
    proper: bool,
}

/// Longest line that is kept: a line without an end must not fill the memory.
const LONGEST_LINE: usize = 16 * 1024;
const PROMPT: &str = "Enter choice:";

impl Default for Watch {
    fn default() -> Self {
        Watch {
            phase: Phase::Unknown,
            line: Vec::new(),
            entries: Vec::new(),
            proper: false,
        }
    }
}

impl Watch {
    /// What the line showed last.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Entries of the menu that was printed last.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether something stands behind a prompt that waits: noise, or a half-typed answer. The countdown is over then.
    pub fn half_typed(&self) -> bool {
        let line = String::from_utf8_lossy(&self.line);
        let behind = line.trim_start_matches('\r').strip_prefix(PROMPT);
        matches!(self.phase, Phase::Bootloader | Phase::MenuWaits | Phase::Loading)
            && !self.entries.is_empty()
            && behind.is_some_and(|behind| !behind.trim().is_empty())
    }

    /// Takes the next bytes and gives what they showed.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                let line = line
                    .rsplit('\r')
                    .find(|part| !part.is_empty())
                    .unwrap_or_default()
                    .to_string();
                self.whole_line(&line, &mut events);
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(*byte);
            }
        }
        self.unfinished_line(&mut events);
        events
    }

    fn whole_line(&mut self, line: &str, events: &mut Vec<Event>) {
        let line = line.trim_end();
        if let Some(proper) = banner(line) {
            // SPL, then U-Boot proper, is one start; anything else is a new one.
            let same_start = self.phase == Phase::Bootloader && proper && !self.proper;
            self.proper = proper;
            self.phase = Phase::Bootloader;
            self.entries.clear();
            if !same_start {
                events.push(Event::Banner);
            }
        } else if let Some(release) = linux_banner(line) {
            self.phase = Phase::Kernel;
            events.push(Event::Linux(release));
        } else if line == "Starting kernel ..." || line.contains("Booting Linux on physical CPU") {
            self.phase = self.phase.max(Phase::Kernel);
        } else {
            match self.phase {
                Phase::Bootloader | Phase::MenuWaits | Phase::Loading => self.bootloader_line(line, events),
                _ => self.kernel_line(line, events),
            }
        }
    }

    fn bootloader_line(&mut self, line: &str, events: &mut Vec<Event>) {
        if self.phase == Phase::MenuWaits {
            // The line with the prompt is finished: an answer, or the end of the countdown.
            self.phase = Phase::Loading;
        }
        if line.starts_with(PROMPT) {
            self.phase = Phase::Loading;
        } else if let Some(entry) = entry(line) {
            let known = self.entries.contains(&entry);
            if self.phase == Phase::Loading && known {
                events.push(Event::Booting(entry));
            } else if !known {
                if entry.number == 1 {
                    self.entries.clear();
                }
                self.entries.push(entry);
            }
        } else if line.ends_with(" not found") {
            // `N not found`: a wrong answer; the menu comes again and waits for ever.
            self.entries.clear();
            self.phase = Phase::Bootloader;
        } else if let Some(path) = line.strip_prefix("Retrieving file: ") {
            self.phase = Phase::Loading;
            events.push(Event::Retrieving(path.to_string()));
        } else if let Some(append) = line.strip_prefix("append: ") {
            events.push(Event::Append(append.to_string()));
        } else if line.starts_with("Skipping ")
            || line.starts_with("No kernel given, skipping ")
            || line.starts_with("bootarg overflow")
        {
            events.push(Event::Skipped(line.to_string()));
        }
    }

    fn kernel_line(&mut self, line: &str, events: &mut Vec<Event>) {
        if self.phase == Phase::Unknown && is_printk(line) {
            self.phase = Phase::Kernel;
        }
        if let Some(at) = line.find("Kernel panic - not syncing") {
            self.phase = Phase::Panicked;
            events.push(Event::Panic(line.get(at..).unwrap_or_default().to_string()));
        }
    }

    /// Prompts have no newline behind them.
    fn unfinished_line(&mut self, events: &mut Vec<Event>) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        let line = line
            .rsplit('\r')
            .find(|part| !part.is_empty())
            .unwrap_or_default();
        match self.phase {
            // Only behind a banner and a printed menu: text of a running system cannot fake it.
            Phase::Bootloader | Phase::Loading if line.trim_end() == PROMPT && !self.entries.is_empty() => {
                self.phase = Phase::MenuWaits;
                events.push(Event::Prompt(self.entries.clone()));
            }
            Phase::Kernel if line.trim_end().ends_with(" login:") => {
                self.phase = Phase::Login;
                events.push(Event::Login);
            }
            _ => {}
        }
    }
}

/// `U-Boot SPL 2023.01 …` gives false, `U-Boot 2023.01 …` true.
fn banner(line: &str) -> Option<bool> {
    let rest = line.strip_prefix("U-Boot ")?;
    let (proper, version) = match rest.strip_prefix("SPL ").or_else(|| rest.strip_prefix("TPL ")) {
        Some(version) => (false, version),
        None => (true, rest),
    };
    let (year, rest) = version.split_at_checked(4)?;
    (year.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('.')).then_some(proper)
}

/// `[    0.000000] Linux version 7.3.4 (…)`; the text may stand in a kernel message only.
fn linux_banner(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("Linux version ")?;
    let before = before.trim();
    (before.is_empty() || before.ends_with(']'))
        .then(|| rest.split(' ').next().unwrap_or_default().to_string())
}

/// A message with the time that the kernel's console puts before it (kernel/printk/printk.c: `print_time`, `[%5lu.%06lu]`): some
/// kernel runs, although its start was not seen.
fn is_printk(line: &str) -> bool {
    let Some((time, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    time.split_once('.')
        .is_some_and(|(seconds, micro)| digits(seconds.trim_start()) && micro.len() == 6 && digits(micro))
}

/// `label_print`: number, colon, tab, text. Serial terminals that drop tabs show blanks.
fn entry(line: &str) -> Option<Entry> {
    let (number, shown) = line.split_once(":\t").or_else(|| line.split_once(": "))?;
    let number: usize = number.trim_start().parse().ok()?;
    (number > 0).then(|| Entry {
        number,
        shown: shown.trim().to_string(),
    })
}

/// The number to type for what a label shows, when the printed menu and the file agree on it: same place, same text.
pub fn number_for(entries: &[Entry], expected_number: usize, shown: &str) -> Option<usize> {
    let entry = entries.iter().find(|entry| entry.number == expected_number)?;
    (entry.shown == shown.trim()).then_some(entry.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UBOOT: &str = "\r\n\r\nU-Boot 2023.01+dfsg-2+deb12u3 (Jun 22 2026 - 08:38:07 +0000)\r\n\r\nDRAM:  1 GiB\r\n\
        Hit any key to stop autoboot:  2 \x08\x08\x08 1 \x08\x08\x08 0 \r\nscanning bus for devices...\r\n\
        Found /extlinux/extlinux.conf\r\nRetrieving file: /extlinux/extlinux.conf\r\nLockstep\r\n1:\tarch_devices\r\n\
        2:\tarch_devices_lockdep\r\nEnter choice: ";
    const LOADING: &str = "2\r\n2:\tarch_devices_lockdep\r\nRetrieving file: /Image-7.3.4-lockdep+\r\n\
        append: root=/dev/vda2 lockstep.nonce=0123\r\nRetrieving file: /virt.dtb\r\nStarting kernel ...\r\n\r\n\
        [    0.000000] Booting Linux on physical CPU 0x0000000000 [0x414fd0b1]\r\n\
        [    0.000000] Linux version 7.3.4-lockdep+ (x@y) (gcc) #1 SMP\r\n";

    fn prompt() -> Event {
        let entry = |number, shown: &str| Entry {
            number,
            shown: shown.into(),
        };
        Event::Prompt(vec![entry(1, "arch_devices"), entry(2, "arch_devices_lockdep")])
    }

    #[test]
    fn a_whole_boot_in_pieces_of_any_size() {
        let text = format!("{UBOOT}{LOADING}\r\nDebian GNU/Linux 12 virtual ttyAMA0\r\n\r\nvirtual login: ");
        for size in [1, 2, 7, 64, 100_000] {
            let mut watch = Watch::default();
            let events: Vec<Event> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|part| watch.feed(part))
                .collect();
            // In larger pieces the prompt may be over already when it arrives, and then it is not answered.
            assert!(size != 1 || events.contains(&prompt()), "{events:?}");
            assert!(size != 100_000 || !events.contains(&prompt()));
            assert_eq!(events[0], Event::Banner);
            assert!(events.contains(&Event::Append("root=/dev/vda2 lockstep.nonce=0123".into())));
            assert!(events.contains(&Event::Linux("7.3.4-lockdep+".into())));
            assert_eq!(events.last(), Some(&Event::Login));
            assert_eq!(watch.phase(), Phase::Login);
        }
    }

    #[test]
    fn noise_behind_the_prompt_is_seen() {
        let mut watch = Watch::default();
        watch.feed(UBOOT.as_bytes());
        assert!(!watch.half_typed());
        watch.feed(b"x");
        assert!(watch.half_typed());
        watch.feed(LOADING.as_bytes());
        assert!(!watch.half_typed());
    }

    #[test]
    fn a_prompt_of_a_running_system_is_none() {
        let mut watch = Watch::default();
        watch.feed(b"Enter choice: ");
        assert_eq!(watch.phase(), Phase::Unknown);
        watch.feed(format!("\n{UBOOT}{LOADING}").as_bytes());
        assert_eq!(watch.feed(b"1:\tx\r\nEnter choice: "), []);
        assert_eq!(watch.phase(), Phase::Kernel);
    }

    #[test]
    fn a_reset_in_the_middle_is_a_second_banner() {
        let mut watch = Watch::default();
        watch.feed(UBOOT.as_bytes());
        watch.feed(LOADING.as_bytes());
        let events = watch.feed(UBOOT.as_bytes());
        assert_eq!(
            events,
            [
                Event::Banner,
                Event::Retrieving("/extlinux/extlinux.conf".into()),
                prompt()
            ]
        );
    }

    #[test]
    fn spl_and_u_boot_are_one_start() {
        let mut watch = Watch::default();
        let events =
            watch.feed(b"U-Boot SPL 2024.10 (x)\r\nTrying to boot from MMC1\r\nU-Boot 2024.10 (x)\r\n");
        assert_eq!(events, [Event::Banner]);
        assert_eq!(watch.feed(b"U-Boot SPL 2024.10 (x)\r\n"), [Event::Banner]);
    }

    #[test]
    fn a_wrong_answer_brings_the_menu_again() {
        let mut watch = Watch::default();
        watch.feed(UBOOT.as_bytes());
        let events =
            watch.feed(b"x\r\nx not found\r\n1:\tarch_devices\r\n2:\tarch_devices_lockdep\r\nEnter choice: ");
        assert_eq!(events, [prompt()]);
    }

    #[test]
    fn a_skipped_label_and_a_panic_are_told() {
        let mut watch = Watch::default();
        watch.feed(UBOOT.as_bytes());
        let events = watch.feed(
            b"2\r\n2:\tarch_devices_lockdep\r\nRetrieving file: /x\r\nSkipping arch_devices_lockdep for failure retrieving kernel\r\n1:\tarch_devices\r\n",
        );
        assert!(matches!(&events[2], Event::Skipped(_)), "{events:?}");
        assert_eq!(
            events[3],
            Event::Booting(Entry {
                number: 1,
                shown: "arch_devices".into()
            })
        );
        watch.feed(LOADING.as_bytes());
        let events = watch.feed(b"[   12.0] Kernel panic - not syncing: Fatal exception\r\n");
        assert_eq!(
            events,
            [Event::Panic("Kernel panic - not syncing: Fatal exception".into())]
        );
    }

    #[test]
    fn the_number_has_to_agree_with_the_file() {
        let entries = [
            Entry {
                number: 1,
                shown: "a".into(),
            },
            Entry {
                number: 2,
                shown: "b".into(),
            },
        ];
        assert_eq!(number_for(&entries, 2, "b"), Some(2));
        assert_eq!(number_for(&entries, 1, "b"), None);
        assert_eq!(number_for(&entries, 3, "b"), None);
    }

    #[test]
    fn bytes_of_any_kind_are_survived() {
        let mut watch = Watch::default();
        for seed in 0_u32..2000 {
            let noise: Vec<u8> = (0..50)
                .map(|i| (seed.wrapping_mul(2_654_435_761).rotate_left(i) & 0xff) as u8)
                .collect();
            watch.feed(&noise);
        }
    }
}
