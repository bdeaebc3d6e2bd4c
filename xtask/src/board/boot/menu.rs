//! Attending the serial line of a booting board: reads what it shows, answers its menu once with the wanted label and every later
//! one with vanilla (invariant 8).

use super::Progress;
use super::serial::{self, Entry, Event, Phase, Watch};
use super::serial_log::SerialLog;
use crate::board::SerialLine;
use crate::board::extlinux::Config;
use crate::capture::control::MenuEntry;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::time::{Duration, Instant};

/// A label as the menu has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    number: usize,
    shown: String,
}

impl Choice {
    pub(super) fn of(config: &Config, name: &str) -> Result<Self> {
        let label = config
            .label(name)
            .with_context(|| format!("extlinux.conf has no label `{name}`"))?;
        let number = config
            .number(name)
            .with_context(|| format!("label `{name}` has no number"))?;
        Ok(Choice {
            number,
            shown: label.shown().to_string(),
        })
    }

    /// For the recorder.
    pub(super) fn entry(&self) -> MenuEntry {
        MenuEntry {
            number: self.number,
            shown: self.shown.clone(),
        }
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// At the first menu; without it that menu is left to its countdown.
    pub first: Option<Choice>,
    /// At every later one: vanilla.
    pub then: Choice,
}

/// What the line showed during a boot.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// Where in the log this boot begins, in bytes.
    pub log_from: u64,
    /// Where it ends, in bytes.
    pub log_to: u64,
    /// U-Boot was seen.
    pub banner: bool,
    /// The restart that was asked for did not come, and the board was reset by force.
    pub forced: bool,
    /// How often U-Boot was seen: more than once is a reset in the middle.
    pub resets: usize,
    /// Numbers that were typed.
    pub answered: Vec<usize>,
    /// The first menu was left to its countdown, as it should be.
    pub left_alone: bool,
    /// A printed menu did not agree with extlinux.conf.
    pub menu_differs: bool,
    /// Entry that U-Boot said it boots, last.
    pub booting: Option<Entry>,
    /// Files that U-Boot loaded.
    pub retrieved: Vec<String>,
    /// Command lines that U-Boot handed over.
    pub appends: Vec<String>,
    /// Labels that it skipped, in its words.
    pub skipped: Vec<String>,
    /// Releases of the kernels that started.
    pub linux: Vec<String>,
    /// A kernel's last words.
    pub panic: Option<String>,
    /// What the line showed last.
    pub last_phase: Phase,
}

/// Reads the log from where it is now and answers.
pub(super) struct Attendant<'a> {
    line: &'a dyn SerialLine,
    log: SerialLog,
    watch: Watch,
    plan: Plan,
    seen: Seen,
    /// When the menu was answered last and nothing came back yet.
    unconfirmed: Option<Instant>,
    nudged: bool,
}

impl<'a> Attendant<'a> {
    pub(super) fn new(line: &'a dyn SerialLine, plan: Plan) -> Result<Self> {
        let log = SerialLog::from_now(&line.log())?;
        let seen = Seen {
            log_from: log.at(),
            log_to: log.at(),
            ..Seen::default()
        };
        Ok(Attendant {
            line,
            log,
            watch: Watch::default(),
            plan,
            seen,
            unconfirmed: None,
            nudged: false,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.watch.phase()
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn into_seen(self) -> Seen {
        self.seen
    }

    /// Takes what is new in the log, and answers a menu that waits.
    pub(super) fn attend(&mut self, on_progress: &mut dyn FnMut(&Progress)) -> Result<()> {
        let bytes = self.log.more()?;
        self.seen.log_to = self.log.at();
        for event in self.watch.feed(&bytes) {
            self.note(&event);
            on_progress(&Progress::Line(event.clone()));
            if let Event::Prompt(entries) = event {
                self.answer(&entries, on_progress)?;
            }
        }
        self.seen.last_phase = self.watch.phase();
        self.nudge()
    }

    fn note(&mut self, event: &Event) {
        let seen = &mut self.seen;
        match event {
            Event::Banner => {
                seen.banner = true;
                seen.resets = seen.resets.saturating_add(1);
            }
            Event::Booting(entry) => seen.booting = Some(entry.clone()),
            Event::Retrieving(path) => seen.retrieved.push(path.clone()),
            Event::Append(append) => seen.appends.push(append.clone()),
            Event::Skipped(words) => seen.skipped.push(words.clone()),
            Event::Linux(release) => seen.linux.push(release.clone()),
            Event::Panic(words) => seen.panic = Some(words.clone()),
            Event::Prompt(_) | Event::Login => {}
        }
        if !matches!(event, Event::Prompt(_)) {
            self.unconfirmed = None;
        }
    }

    /// The first menu gets the wanted number, once; every later one vanilla's. A number is typed only where the printed
    /// entry agrees with the file; a menu that differs is left to its countdown.
    fn answer(&mut self, entries: &[Entry], on_progress: &mut dyn FnMut(&Progress)) -> Result<()> {
        let first = self.seen.answered.is_empty() && !self.seen.menu_differs && !self.seen.left_alone;
        let wanted = match &self.plan.first {
            None if first => {
                self.seen.left_alone = true;
                return Ok(());
            }
            Some(wanted) if first => wanted,
            _ => &self.plan.then,
        };
        let mut number = serial::number_for(entries, wanted.number, &wanted.shown);
        if number.is_none() {
            self.seen.menu_differs = true;
            let vanilla = &self.plan.then;
            number = serial::number_for(entries, vanilla.number, &vanilla.shown);
        }
        let Some(number) = number else { return Ok(()) };
        self.line.write(format!("{number}\r").as_bytes())?;
        self.seen.answered.push(number);
        self.unconfirmed = Some(Instant::now());
        on_progress(&Progress::Answered(number));
        Ok(())
    }

    /// A typed answer whose end got lost would wait for ever: one more carriage return ends it, and a menu that comes of
    /// it is answered with vanilla's number.
    fn nudge(&mut self) -> Result<()> {
        let lost = self.watch.phase() == Phase::MenuWaits
            && self
                .unconfirmed
                .is_some_and(|since| since.elapsed() > Duration::from_secs(5));
        if lost && !self.nudged {
            self.nudged = true;
            self.line.write(b"\r")?;
        }
        Ok(())
    }
}

/// [`super::answer_waiting_menu`].
pub(super) fn answer_waiting(line: &dyn SerialLine, vanilla: &Choice) -> Result<Option<usize>> {
    let (mut log, mut watch) = SerialLog::with_tail(&line.log())?;
    if watch.half_typed() {
        // Noise would become a part of the number: a carriage return turns it into "not found", and the menu comes again.
        line.write(b"\r")?;
        let since = Instant::now();
        while watch.half_typed() || watch.phase() == Phase::Bootloader {
            if since.elapsed() > Duration::from_secs(10) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            watch.feed(&log.more()?);
        }
    }
    if watch.phase() != Phase::MenuWaits || watch.half_typed() {
        return Ok(None);
    }
    let Some(number) = serial::number_for(watch.entries(), vanilla.number, &vanilla.shown) else {
        bail!(
            "U-Boot's menu waits on the serial line and does not show `{}` as number {}: a person has to answer it",
            vanilla.shown,
            vanilla.number
        );
    };
    line.write(format!("{number}\r").as_bytes())?;
    Ok(Some(number))
}
