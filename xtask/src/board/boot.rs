//! Boot methods: how our label gets one attempt while vanilla stays the default (invariant 2), and how the board comes back.
//! *Architecture invariant:* only this module reboots a board or writes its serial line.

mod answer;
mod before;
mod choice;
mod default_swap;
mod guard;
mod kexec;
mod limits;
mod manual;
mod menu;
mod method;
mod named;
mod prepared;
mod reset;
mod restart;
pub mod serial;
pub mod serial_log;
mod serial_menu;
mod situation;
pub mod sysrq;
pub mod uboot_env;

use super::extlinux::Config;
use super::protected::Protected;
use super::slot::{Place, Record};
use super::{Board, inventory, nonce, script, slot};
use answer::{Answered, answered, look_and_read, looking_and_reading};
use anyhow::{Context, Result, bail};
use method::{Target, Way};
use restart::Restart;
use serde::Serialize;
use std::time::Duration;

pub use super::file::Method;
pub use answer::{Answer, is_vanilla, look};
pub use choice::choose;
pub use guard::LineGuard;
pub use limits::Limits;
pub use menu::Seen;
pub use method::Guarantee;
pub use named::{Named, named};
pub use reset::Reset;
pub use restart::await_own_restart;
pub use situation::Situation;

/// How long a board may take to answer before it counts as not answering.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

/// What has to be there before a board may be rebooted (invariant 9). Each part can only be had by doing its check.
#[derive(Clone, Copy)]
pub struct Permit<'a> {
    /// A backup whose copies were read back.
    pub backup: &'a super::backup::Verified,
    /// A capture that is proven.
    pub capture: Capture,
    /// Somebody said yes, knowing who is logged in.
    pub consent: ConsentGiven,
}

/// The capture of a reboot.
#[derive(Debug, Clone, Copy)]
pub enum Capture {
    /// Seen to work.
    Proven(super::preflight::ProvenCapture),
    /// The board does not answer, so nothing can be proven any more: good for a way back to vanilla, and for nothing else.
    OutOfReach,
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

/// How an attempt to boot a label ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What was asked for answers: the slot's kernel with our nonce on its command line, or vanilla.
    Booted(Answer),
    /// Our label was asked for, and vanilla answers.
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

impl Outcome {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Outcome::Booted(answer) => format!("{} answers", answer.release),
            Outcome::FellBackToVanilla { why, .. } => {
                format!("vanilla came up instead: {}", why.text())
            }
            Outcome::OtherKernel(answer) => {
                format!("{} answers, which is neither vanilla nor ours", answer.release)
            }
            Outcome::Wedged { phase, panic } => format!(
                "nothing answered; the serial line showed last: {}; {}",
                phase.name(),
                panic.as_deref().unwrap_or("no panic was seen")
            ),
        }
    }
}

/// Why vanilla came up and not our label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// U-Boot showed no menu, so there was nothing to answer.
    NoMenu,
    /// Nothing was seen that tells why: there is no serial line, or it showed nothing.
    NotSeen,
    /// The printed menu did not agree with extlinux.conf, so our number was not typed.
    MenuDiffers,
    /// U-Boot skipped our label, with its words.
    SkippedLabel(String),
    /// Our kernel started and the board was reset before it answered.
    ResetInTheMiddle {
        /// The kernel's last words, if it panicked.
        panic: Option<String>,
    },
    /// U-Boot booted another label although ours was asked for.
    ChoiceNotTaken,
}

impl Why {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Why::NoMenu => "U-Boot showed no menu".into(),
            Why::NotSeen => "nothing was seen that tells why".into(),
            Why::MenuDiffers => "the printed menu did not agree with extlinux.conf".into(),
            Why::SkippedLabel(words) => format!("U-Boot skipped our label: {words}"),
            Why::ResetInTheMiddle { panic } => format!(
                "our kernel started, and the board was reset before it answered ({})",
                panic.as_deref().unwrap_or("no panic was seen")
            ),
            Why::ChoiceNotTaken => "U-Boot booted another label although ours was asked for".into(),
        }
    }
}

/// A boot and all that was seen of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// How it ended.
    pub outcome: Outcome,
    /// What the line showed.
    pub seen: Seen,
    /// The boot id of what ran before, where it answered.
    #[serde(skip)]
    pub before: Option<String>,
}

/// Something to tell while a boot goes on.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The restart was asked for.
    Asked,
    /// No restart was seen within the limit: the board is reset by force.
    PullingReset,
    /// A person has to do this.
    Person(String),
    /// The menu was answered with this number.
    Answered(usize),
    /// The line showed something.
    Line(serial::Event),
}

/// Boots our label once. Before the reboot vanilla's hashes are compared (invariant 1) and the whole slot is verified (invariant 6). Errors:
/// either fails, or the method cannot be used on this board as it is. Dying half-way it leaves a board that boots vanilla at its next
/// reset, or that runs the slot; what a method leaves open is in its [`Guarantee`].
pub fn boot_once(
    board: &dyn Board,
    protected: &Protected,
    method: Method,
    reset: Reset,
    permit: &Permit,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Boot> {
    board.may_change()?;
    permit_is_for(permit, protected)?;
    let Capture::Proven(_) = permit.capture else {
        bail!("no capture is proven: a test boot without one would teach nothing")
    };
    let before = before::look(board, protected, before::Slot::Read)?;
    let (record, config, old) = (slot::whole(protected, before.slot)?, before.config, before.old);
    let place = Place::of(protected, &record.release)?;
    choose_verified(board, protected, method, &record, &config)?;
    let label = config.label(&protected.test_label).context("our label is gone")?;
    let target = Target {
        board,
        protected,
        record: &record,
        place: &place,
        command_line: &label.command_line(),
    };
    let how = method.implementation();
    let restart = Restart {
        board,
        extlinux: &protected.extlinux,
        old: Some(&old),
        held_awake: before.held_awake,
        plan: plan(&config, protected, how.way())?,
        way: how.way(),
        reset,
        command: how.restart_command(),
    };
    if let Some(instruction) = how.instruction(&target) {
        on_progress(&Progress::Person(instruction));
    }
    if let Err(error) = how.arm(&target) {
        let taken_back = how
            .disarm(board, protected)
            .map(|_| "; what was prepared is taken back");
        return Err(error).with_context(|| format!("preparing the boot{}", taken_back.unwrap_or_default()));
    }
    let (seen, answered) = restart.run(on_progress)?;
    let nonce = nonce::word(&record.nonce);
    let (answer, extlinux) = match answered {
        Some(Answered { answer, extlinux }) => (Some(answer), extlinux),
        None => (None, Vec::new()),
    };
    let outcome = judge(&seen, answer, &old, protected, &record.release, &nonce);
    if !matches!(outcome, Outcome::Wedged { .. }) {
        // Nothing to do after an attempt that went as it should.
        let wrote = how
            .disarm(board, protected)
            .context("taking back what the boot method prepared")?;
        match wrote {
            true => default_is_vanilla(board, protected)?,
            false => slot::check_default(&Config::parse(&extlinux), protected)?,
        }
    }
    Ok(Boot {
        outcome,
        seen,
        before: Some(old.boot_id),
    })
}

/// Verifies the slot (invariant 6) and that the method can be used, in one round trip.
fn choose_verified(
    board: &dyn Board,
    protected: &Protected,
    method: Method,
    record: &Record,
    config: &Config,
) -> Result<()> {
    let listing = inventory::listing_of(&Place::of(protected, &record.release)?.roots())?;
    let situation = match method.implementation().asks_the_board() {
        true => Situation::looking(protected)?,
        false => String::new(),
    };
    let scripts = [listing.as_str(), situation.as_str()];
    let [listed, situation] = script::ask_all(board, "verifying the slot", scripts, script::WORK)?;
    slot::verify_answers(protected, record, &listed, config)?;
    let situation = Situation::from(board, protected, &String::from_utf8_lossy(&situation), config);
    choose(Some(method), allowed(board), &situation).map(|_| ())
}

/// The boot method for this board as it is: `wanted`, or the best one. See [`choose`].
pub fn choose_for(board: &dyn Board, protected: &Protected, wanted: Option<Method>) -> Result<Method> {
    let config = read_config(board, protected)?;
    choose(wanted, allowed(board), &Situation::of(board, protected, &config)?)
}

/// Every boot method, best first, with the reason why it cannot be used on this board as it is, if there is one. A slot need not be there.
pub fn every_method(board: &dyn Board, protected: &Protected) -> Result<Vec<(Method, Option<String>)>> {
    let config = Config::parse(&protected.foreign()?);
    let situation = Situation::of(board, protected, &config)?;
    let allowed = allowed(board);
    Ok(Method::ALL
        .map(|method| (method, method.refusal(allowed, &situation)))
        .into())
}

fn allowed(board: &dyn Board) -> &[Method] {
    match board.description().methods.as_slice() {
        [] => &Method::ALL,
        named => named,
    }
}

/// What is typed at U-Boot's menu.
fn plan(config: &Config, protected: &Protected, way: Way) -> Result<menu::Plan> {
    let vanilla = menu::Choice::of(config, &protected.vanilla_label)?;
    Ok(menu::Plan {
        first: match way {
            Way::AnswerMenu => Some(menu::Choice::of(config, &protected.test_label)?),
            Way::LeaveMenu => None,
            Way::NoBootloader => Some(vanilla.clone()),
        },
        then: vanilla,
    })
}

/// Restarts into vanilla and proves it: its release, its command line, a new boot id. Whatever a boot method prepared and never used is taken
/// back first. Vanilla's hashes are compared before, and where the board does not answer any more (only with a [`Reset`] that does not
/// ask it) as soon as vanilla does.
pub fn boot_vanilla(
    board: &dyn Board,
    protected: &Protected,
    reset: Reset,
    permit: &Permit,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Boot> {
    board.may_change()?;
    permit_is_for(permit, protected)?;
    let unasked = matches!(reset, Reset::Hard | Reset::BreakCrash);
    let wedged_before = unasked && !board.answers(ANSWER_LIMIT);
    let (old, held_awake, config) = if wedged_before {
        // Our label stands last, so vanilla has the same number without it.
        (None, false, Config::parse(&protected.foreign()?))
    } else if let Capture::OutOfReach = permit.capture {
        bail!("the board answers: prove its capture first (`cargo xtask preflight`)")
    } else {
        let before = before::look(board, protected, before::Slot::LeftOut)?;
        slot::check_default(&before.config, protected)?;
        (Some(before.old), before.held_awake, before.config)
    };
    let vanilla = menu::Choice::of(&config, &protected.vanilla_label)?;
    let restart = Restart {
        board,
        extlinux: &protected.extlinux,
        old: old.as_ref(),
        held_awake,
        plan: menu::Plan {
            first: Some(vanilla.clone()),
            then: vanilla,
        },
        way: Way::AnswerMenu,
        reset,
        command: method::ORDERLY_RESTART,
    };
    let (seen, answered) = restart.run(on_progress)?;
    let outcome = match answered.map(|answered| answered.answer) {
        None => wedged(&seen),
        Some(answer) if is_vanilla(&answer, protected) => {
            if wedged_before {
                disarm(board, protected)?;
                protected.check(board)?;
                default_is_vanilla(board, protected)?;
            }
            Outcome::Booted(answer)
        }
        Some(answer) => Outcome::OtherKernel(answer),
    };
    Ok(Boot {
        outcome,
        seen,
        before: old.map(|old| old.boot_id),
    })
}

/// Boot methods whose attempt was prepared and never used up. Changes nothing.
pub fn armed(board: &dyn Board) -> Result<Vec<Method>> {
    let doing = "looking for a boot that was prepared and never used";
    let said = script::ask(board, doing, &prepared::looking(), script::LOOK)?;
    Ok(prepared::read(&said.text()))
}

/// Takes back what any boot method prepared and did not use; gives the methods that had left something.
pub fn disarm(board: &dyn Board, protected: &Protected) -> Result<Vec<Method>> {
    let mut left = Vec::new();
    for method in armed(board)? {
        if take_back(method, board, protected)? {
            left.push(method);
        }
    }
    Ok(left)
}

/// Takes back what one method prepared; gives whether there was something.
fn take_back(method: Method, board: &dyn Board, protected: &Protected) -> Result<bool> {
    method
        .implementation()
        .disarm(board, protected)
        .with_context(|| format!("taking back what the boot method {} prepared", method.name()))
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
    } else if !seen.banner {
        Why::NotSeen
    } else if seen.answered.is_empty() && !seen.left_alone {
        Why::NoMenu
    } else if seen.resets > 1 {
        Why::ResetInTheMiddle {
            panic: seen.panic.clone(),
        }
    } else {
        Why::ChoiceNotTaken
    }
}
