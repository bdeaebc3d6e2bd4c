//! Boot methods: how our label gets one attempt while vanilla stays the default (invariant 2), and how the board comes back.
//! *Architecture invariant:* only this module reboots a board or writes its serial line.

mod menu;
pub mod serial;

use super::extlinux::Config;
use super::protected::Protected;
use super::{Board, script, slot};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::time::{Duration, Instant};

pub use menu::Seen;

/// How long a board may take to answer before it counts as not answering.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

/// A way to boot our label once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Picks the label's number at U-Boot's menu on the serial line.
    SerialMenu,
}

/// What a boot method promises, and what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Guarantee {
    /// What holds whatever happens.
    pub promises: &'static [&'static str],
    /// What it needs or leaves open.
    pub leaves_open: &'static [&'static str],
}

impl Method {
    /// What the method promises, and what it does not.
    pub fn guarantee(self) -> Guarantee {
        match self {
            Method::SerialMenu => Guarantee {
                promises: &[
                    "nothing on the board is changed for the boot: vanilla is the default before, during and after it",
                    "any reset that nobody answers boots vanilla",
                    "the label's number is taken from the printed menu and has to agree with the file",
                ],
                leaves_open: &[
                    "it needs a serial line that can be written and a menu (`prompt 1` and a timeout above 0)",
                    "noise on the line in U-Boot's countdown stops the countdown; a menu that waits is answered with \
                     vanilla's number while this program watches",
                    "a kernel that wedges with its watchdog fed stays until somebody resets the board",
                ],
            },
        }
    }
}

/// How the board is made to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// `systemctl reboot`; when no U-Boot is seen within [`Limits::down`], the reset line.
    Orderly,
    /// The reset line at once: nothing is flushed.
    Hard,
}

/// Limits of the parts of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the request to U-Boot's first line.
    pub down: Duration,
    /// From U-Boot's first line to the kernel's.
    pub bootloader: Duration,
    /// From the kernel's first line to an answer over ssh.
    pub kernel: Duration,
}

impl Limits {
    /// Limits for a board whose description says how long a boot takes at most.
    pub fn of(board: &dyn Board) -> Self {
        let whole = board.description().boot_limit;
        // systemd's own limit for stopping a unit is 90 s (DefaultTimeoutStopSec).
        Limits {
            down: Duration::from_secs(120),
            bootloader: Duration::from_secs(120).min(whole),
            kernel: whole,
        }
    }
}

/// What has to be there before a board may be rebooted (invariant 9). Each part can only be had by doing its check.
pub struct Permit<'a> {
    /// A backup whose copies were read back.
    pub backup: &'a super::backup::Verified,
    /// A capture that is proven.
    pub capture: super::preflight::ProvenCapture,
    /// Somebody said yes, knowing who is logged in.
    pub consent: ConsentGiven,
}

/// Somebody was asked and said yes, or `--yes` was given.
#[derive(Debug, Clone, Copy)]
pub struct ConsentGiven(());

impl ConsentGiven {
    /// To be called behind the question, and nowhere else.
    pub fn after_asking() -> Self {
        ConsentGiven(())
    }
}

/// How an attempt to boot our label ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The slot's kernel answers, with our nonce on its command line.
    Booted(Answer),
    /// Vanilla answers.
    FellBackToVanilla {
        /// Why, as far as the line showed it.
        why: Why,
        /// What answers.
        answer: Answer,
    },
    /// Something else than our slot and vanilla answers.
    OtherKernel(Answer),
    /// Nothing answered within the limit. A person or a reset is needed.
    Wedged {
        /// What the line showed last.
        phase: serial::Phase,
        /// The kernel's last words, if it panicked.
        panic: Option<String>,
    },
}

/// Why vanilla came up and not our label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// U-Boot showed no menu, so there was nothing to answer.
    NoMenu,
    /// The printed menu did not agree with extlinux.conf, so our number was not typed.
    MenuDiffers,
    /// U-Boot skipped our label, with its words.
    SkippedLabel(String),
    /// Our kernel started and the board was reset before it answered.
    ResetInTheMiddle {
        /// The kernel's last words, if it panicked.
        panic: Option<String>,
    },
    /// U-Boot booted another label although our number was typed.
    ChoiceNotTaken,
}

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

/// A boot and all that was seen of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// How it ended.
    pub outcome: Outcome,
    /// What the line showed.
    pub seen: Seen,
}

/// Something to tell while a boot goes on.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The restart was asked for.
    Asked,
    /// No U-Boot within the limit: the reset line is pulled.
    PullingReset,
    /// The menu was answered with this number.
    Answered(usize),
    /// The line showed something.
    Line(serial::Event),
}

/// Boots our label once. Before the reboot vanilla's hashes are compared (invariant 1) and the whole slot is
/// verified (invariant 6). Dying half-way it leaves a board that boots vanilla at its next reset, or that runs the slot.
pub fn boot_once(
    board: &dyn Board,
    protected: &Protected,
    method: Method,
    reset: Reset,
    permit: &Permit,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Boot> {
    let Method::SerialMenu = method;
    permit_is_for(permit, protected)?;
    protected.check(board)?;
    let record = slot::verify(board, protected)?;
    let config = read_config(board, protected)?;
    let ours = menu::Choice::of(&config, &protected.test_label)?;
    let vanilla = menu::Choice::of(&config, &protected.vanilla_label)?;
    menu::shows_a_menu(&config)?;
    let old = look(board)?;
    let plan = menu::Plan {
        first: ours,
        then: vanilla,
    };
    let (seen, answer) = restart(board, Some(&old), plan, reset, on_progress)?;
    let nonce = format!("lockstep.nonce={}", record.nonce);
    let outcome = judge(&seen, answer, &old, protected, &record.release, &nonce);
    Ok(Boot { outcome, seen })
}

/// Restarts into vanilla and proves it: its release, its command line, a new boot id. Vanilla's hashes are compared before, and where the board
/// does not answer any more (only with [`Reset::Hard`]) as soon as vanilla does.
pub fn boot_vanilla(
    board: &dyn Board,
    protected: &Protected,
    reset: Reset,
    permit: &Permit,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Boot> {
    permit_is_for(permit, protected)?;
    let wedged_before = reset == Reset::Hard && !board.answers(ANSWER_LIMIT);
    let (old, config) = if wedged_before {
        // Our label stands last, so vanilla has the same number without it.
        (None, Config::parse(&protected.foreign()?))
    } else {
        protected.check(board)?;
        let config = read_config(board, protected)?;
        slot::check_default(&config, protected)?;
        (Some(look(board)?), config)
    };
    let vanilla = menu::Choice::of(&config, &protected.vanilla_label)?;
    let plan = menu::Plan {
        first: vanilla.clone(),
        then: vanilla,
    };
    let (seen, answer) = restart(board, old.as_ref(), plan, reset, on_progress)?;
    let outcome = match answer {
        None => wedged(&seen),
        Some(answer) if is_vanilla(&answer, protected) => {
            if wedged_before {
                protected.check(board)?;
            }
            Outcome::FellBackToVanilla {
                why: Why::NoMenu,
                answer,
            }
        }
        Some(answer) => Outcome::OtherKernel(answer),
    };
    Ok(Boot { outcome, seen })
}

/// A menu that waits, and that nobody of ours asked for, is answered with vanilla's number (invariant 8). Looks at
/// the end of the log only; gives the number that was typed.
pub fn answer_waiting_menu(board: &dyn Board, protected: &Protected) -> Result<Option<usize>> {
    let Some(line) = board.serial() else {
        return Ok(None);
    };
    let config = Config::parse(&protected.foreign()?);
    menu::answer_waiting(line, &menu::Choice::of(&config, &protected.vanilla_label)?)
}

/// What the board says of itself. Errors: it does not answer.
pub fn look(board: &dyn Board) -> Result<Answer> {
    let looking = "set -eu\nuname -r\ncat /proc/sys/kernel/random/boot_id\ncat /proc/cmdline\n";
    let text = script::ask(board, "looking at what runs", looking, Duration::from_secs(20))?.text();
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
    answer.release == protected.release && !answer.cmdline.contains("lockstep.nonce=")
}

/// Errors: another label than vanilla's boots unattended (invariant 2).
pub fn default_is_vanilla(board: &dyn Board, protected: &Protected) -> Result<()> {
    slot::check_default(&read_config(board, protected)?, protected)
}

/// Whether extlinux.conf has our label, so that somebody at the menu could choose it.
pub fn offers_our_label(board: &dyn Board, protected: &Protected) -> Result<bool> {
    Ok(read_config(board, protected)?
        .label(&protected.test_label)
        .is_some())
}

fn permit_is_for(permit: &Permit, protected: &Protected) -> Result<()> {
    let backed_up = &permit.backup.manifest().protected;
    if backed_up.board != protected.board || backed_up.release != protected.release {
        bail!(
            "the backup is of vanilla {} on board `{}`, but {} on board `{}` is what has to survive",
            backed_up.release,
            backed_up.board,
            protected.release,
            protected.board
        );
    }
    Ok(())
}

fn read_config(board: &dyn Board, protected: &Protected) -> Result<Config> {
    let bytes = script::read(board, &protected.extlinux)?.context("extlinux.conf is gone")?;
    Ok(Config::parse(&bytes))
}

/// Restarts, answers the menu, waits for a boot id that is not the `old` one: what was seen, and the answer. Without an old one any answer counts that
/// comes after U-Boot was seen.
fn restart(
    board: &dyn Board,
    old: Option<&Answer>,
    plan: menu::Plan,
    reset: Reset,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<(Seen, Option<Answer>)> {
    let limits = Limits::of(board);
    let line = board.serial().with_context(|| {
        format!(
            "board `{}` has no serial line: the method serial-menu cannot be used",
            board.description().name
        )
    })?;
    let mut attendant = menu::Attendant::new(line, plan)?;
    let started = Instant::now();
    ask_for_restart(board, reset)?;
    on_progress(&Progress::Asked);
    let mut pulled = reset == Reset::Hard;
    let mut kernel_since: Option<Instant> = None;
    let mut answer = None;
    loop {
        attendant.attend(on_progress)?;
        let phase = attendant.phase();
        if !attendant.seen().banner && !pulled && started.elapsed() > limits.down {
            on_progress(&Progress::PullingReset);
            board.hard_reset()?;
            pulled = true;
        }
        let in_kernel = attendant.seen().banner && phase >= serial::Phase::Kernel;
        if !in_kernel {
            kernel_since = None;
        } else if kernel_since.get_or_insert_with(Instant::now).elapsed() > Duration::from_secs(1) {
            // Asked only while a kernel runs: a menu must not wait behind a connection that hangs.
            if board.answers(ANSWER_LIMIT)
                && let Ok(mut seen) = look(board)
                && old.is_none_or(|old| seen.boot_id != old.boot_id)
            {
                seen.seconds = started.elapsed().as_secs_f64();
                answer = Some(seen);
                break;
            }
        }
        if started.elapsed() > limits.down + limits.bootloader + limits.kernel {
            break;
        }
        std::thread::sleep(POLL);
    }
    attendant.attend(on_progress)?;
    Ok((attendant.into_seen(), answer))
}

/// How often the log is looked at: U-Boot's shortest countdown is a second.
const POLL: Duration = Duration::from_millis(50);

/// Only this function restarts a board. The connection dies with the board, so its words do not count.
fn ask_for_restart(board: &dyn Board, reset: Reset) -> Result<()> {
    match reset {
        Reset::Hard => board.hard_reset(),
        Reset::Orderly => {
            // In the background, so that the answer comes before the connection goes.
            let asking = "sync\n(sleep 1; systemctl reboot || reboot) >/dev/null 2>&1 &\n";
            drop(board.run(asking, Duration::from_secs(30)));
            Ok(())
        }
    }
}

fn judge(
    seen: &Seen,
    answer: Option<Answer>,
    old: &Answer,
    protected: &Protected,
    release: &str,
    nonce: &str,
) -> Outcome {
    match answer {
        None => wedged(seen),
        Some(answer) if answer.boot_id == old.boot_id => wedged(seen),
        Some(answer)
            if answer.release == release && answer.cmdline.split_whitespace().any(|word| word == nonce) =>
        {
            Outcome::Booted(answer)
        }
        Some(answer) if is_vanilla(&answer, protected) => Outcome::FellBackToVanilla {
            why: why(seen, release),
            answer,
        },
        Some(answer) => Outcome::OtherKernel(answer),
    }
}

fn wedged(seen: &Seen) -> Outcome {
    Outcome::Wedged {
        phase: seen.last_phase,
        panic: seen.panic.clone(),
    }
}

fn why(seen: &Seen, release: &str) -> Why {
    if seen.linux.iter().any(|seen| seen == release) {
        Why::ResetInTheMiddle {
            panic: seen.panic.clone(),
        }
    } else if let Some(words) = seen.skipped.first() {
        Why::SkippedLabel(words.clone())
    } else if seen.menu_differs {
        Why::MenuDiffers
    } else if seen.answered.is_empty() {
        Why::NoMenu
    } else if seen.resets > 1 {
        Why::ResetInTheMiddle {
            panic: seen.panic.clone(),
        }
    } else {
        Why::ChoiceNotTaken
    }
}
