//! How far a long command is as a whole: its parts, which of them runs, the time gone and the time left. One bar on a terminal, a line
//! for each part elsewhere, JSON lines where [`super::Ui::tell_as_json`] says so.

use super::block::terminal_can_show;
use super::{Ui, short};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A part of a long command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What is done, in a few words.
    pub name: &'static str,
    /// How long it is thought to take on two quiet cores: the weights of the parts, until this
    /// machine has shown its speed.
    pub usual: Duration,
    /// Whether its time says how fast this machine is; a download's does not.
    pub is_work: bool,
}

/// Work that has to be done before this machine's speed is believed, in usual time.
const BELIEVED: Duration = Duration::from_secs(20);
/// The part of the time gone in a part that is thought to be left once it has taken longer than it should.
const OVERDUE: f64 = 0.1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// Since when, and the time left that the part itself has told, at which time.
    Running(Duration, Option<(Duration, Duration)>),
    Done(Duration),
}

/// The parts and where they are. Times are counted from the start of the command.
#[derive(Debug, Clone)]
pub(super) struct Overall {
    parts: Vec<(Part, Stage)>,
}

/// Where a command is, as it is shown and told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Standing {
    /// The part that runs.
    pub part: &'static str,
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Part of the whole time that is gone, percent.
    pub percent: u64,
    /// Seconds since the start.
    pub gone_s: u64,
    /// Seconds that are thought to be left.
    pub left_s: u64,
}

impl Standing {
    /// `about 9 min left: vanilla kernel (3 of 6)`
    pub fn text(&self) -> String {
        format!(
            "about {} left: {} ({} of {})",
            short(Duration::from_secs(self.left_s)),
            self.part,
            self.number,
            self.of
        )
    }
}

impl Overall {
    pub fn new(parts: &[Part]) -> Self {
        Overall {
            parts: parts.iter().map(|part| (*part, Stage::Waiting)).collect(),
        }
    }

    /// A part begins; those before it that still wait were not needed, and one that is not among
    /// them is not shown.
    pub fn begin(&mut self, part: Part, now: Duration) {
        self.end(now);
        let Some(at) = self.parts.iter().position(|(known, _)| *known == part) else {
            return;
        };
        for (number, (_, stage)) in self.parts.iter_mut().enumerate() {
            if number < at && *stage == Stage::Waiting {
                *stage = Stage::Done(Duration::ZERO);
            } else if number == at {
                *stage = Stage::Running(now, None);
            }
        }
    }

    /// The part that runs has ended.
    pub fn end(&mut self, now: Duration) {
        for (_, stage) in &mut self.parts {
            if let Stage::Running(since, _) = *stage {
                *stage = Stage::Done(now.saturating_sub(since));
            }
        }
    }

    /// The part that runs knows how long it still takes.
    pub fn left_of_part(&mut self, left: Duration, now: Duration) {
        for (_, stage) in &mut self.parts {
            if let Stage::Running(since, _) = *stage {
                *stage = Stage::Running(since, Some((left, now)));
            }
        }
    }

    /// How many times slower than usual this machine has been.
    fn rate(&self) -> f64 {
        let (mut took, mut usual) = (0.0, 0.0);
        for (part, stage) in &self.parts {
            if let (true, Stage::Done(time)) = (part.is_work, stage)
                && !time.is_zero()
            {
                took += time.as_secs_f64();
                usual += part.usual.as_secs_f64();
            }
        }
        if usual < BELIEVED.as_secs_f64() {
            return 1.0;
        }
        took / usual
    }

    /// Where the command is; none while no part runs.
    pub fn standing(&self, now: Duration) -> Option<Standing> {
        let rate = self.rate();
        let mut left = 0.0;
        let mut running = None;
        for (number, (part, stage)) in (1..).zip(&self.parts) {
            let usual = part.usual.as_secs_f64() * rate;
            left += match *stage {
                Stage::Waiting => usual,
                Stage::Done(_) => 0.0,
                Stage::Running(since, told) => {
                    running = Some((part.name, number));
                    let gone = now.saturating_sub(since).as_secs_f64();
                    match told {
                        Some((left, at)) => left.saturating_sub(now.saturating_sub(at)).as_secs_f64(),
                        None => (usual - gone).max(gone * OVERDUE),
                    }
                }
            };
        }
        let (part, number) = running?;
        let gone = now.as_secs_f64();
        Some(Standing {
            part,
            number,
            of: self.parts.len(),
            percent: (100.0 * gone / (gone + left).max(f64::MIN_POSITIVE)) as u64,
            gone_s: now.as_secs(),
            left_s: left as u64,
        })
    }
}

/// How often progress is printed as JSON at most, but for the begin of a part.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Characters of the bar.
const WIDTH: u64 = 8;

#[derive(Debug)]
struct Shown {
    overall: Overall,
    started: Instant,
    told: Instant,
    /// Where there is a terminal.
    bar: Option<ProgressBar>,
}

/// The parts of the command, for every thread that knows of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Option<Shown>>>);

impl Shared {
    /// A lock that a panic elsewhere does not take from us: the value behind it is always whole.
    fn hold(&self) -> MutexGuard<'_, Option<Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_drawn(&self) -> bool {
        self.hold().as_ref().is_some_and(|shown| shown.bar.is_some())
    }

    fn standing(&self) -> Option<Standing> {
        let shown = self.hold();
        shown
            .as_ref()
            .and_then(|shown| shown.overall.standing(shown.started.elapsed()))
    }

    fn left_of_part(&self, left: Duration) {
        if let Some(shown) = self.hold().as_mut() {
            shown.overall.left_of_part(left, shown.started.elapsed());
        }
    }
}

/// Tells how long the part that runs still takes, from any thread.
#[derive(Debug, Clone, Default)]
pub struct PartTeller(Shared);

impl PartTeller {
    /// The part that runs has so much left.
    pub fn left(&self, left: Duration) {
        self.0.left_of_part(left);
    }
}

/// The parts of a command, as long as it is at work. Dropped, also by an error, they are shown no
/// more.
#[derive(Debug)]
pub struct Parts<'u>(&'u Ui);

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        let shown = self.0.overall.hold().take();
        if let Some(bar) = shown.and_then(|shown| shown.bar) {
            bar.finish_and_clear();
        }
    }
}

/// ` 34 % ██░░░░░░  5:12 gone, about 9 min left: vanilla kernel (3 of 6)`
fn drawn(standing: &Standing) -> String {
    let full = (standing.percent.min(100).saturating_mul(WIDTH) / 100) as usize;
    let bar = "█".repeat(full) + &"░".repeat((WIDTH as usize).saturating_sub(full));
    let (minutes, seconds) = (standing.gone_s / 60, standing.gone_s % 60);
    format!(
        "{:>3} % {bar} {minutes:>2}:{seconds:02} gone, {}",
        standing.percent,
        standing.text()
    )
}

impl Ui {
    /// The command that begins now has these parts, in this order. They are shown as one bar below everything else until
    /// what this returns is dropped, and told as a line each where there is no terminal.
    #[must_use]
    pub fn begin_parts(&self, parts: &[Part]) -> Parts<'_> {
        let drawn_bar = terminal_can_show().then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            let shared = self.overall.clone();
            let style = ProgressStyle::with_template("{overall}")
                .expect("the template is a constant")
                .with_key("overall", move |_: &_, to: &mut dyn std::fmt::Write| {
                    if let Some(standing) = shared.standing() {
                        let _ = write!(to, "{}", drawn(&standing));
                    }
                });
            bar.set_style(style);
            bar
        });
        let now = Instant::now();
        *self.overall.hold() = Some(Shown {
            overall: Overall::new(parts),
            started: now,
            told: now,
            bar: drawn_bar.clone(),
        });
        if let Some(bar) = drawn_bar {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Parts(self)
    }

    /// A part of the command begins; the one before it has ended. Nothing without [`Ui::begin_parts`].
    pub fn begin_part(&self, part: Part) {
        if let Some(shown) = self.overall.hold().as_mut() {
            shown.overall.begin(part, shown.started.elapsed());
        }
        let Some(standing) = self.overall.standing() else {
            return;
        };
        if self.json_lines.get().is_some() {
            self.tell_standing(&standing);
        } else if !self.overall.is_drawn() {
            self.say(&format!(
                "part {} of {}: {} ({} % of the time gone, about {} left)",
                standing.number,
                standing.of,
                standing.part,
                standing.percent,
                short(Duration::from_secs(standing.left_s))
            ));
        }
    }

    /// The part that runs has so much left, by whoever knows better than the usual times.
    pub(super) fn left_of_part(&self, left: Duration) {
        self.overall.left_of_part(left);
        self.tell_progress();
    }

    /// [`Ui::left_of_part`] for another thread.
    pub fn part_teller(&self) -> PartTeller {
        PartTeller(self.overall.clone())
    }

    /// Tells where the command is, as a JSON line, if that was some time ago.
    pub(super) fn tell_progress(&self) {
        if self.json_lines.get().is_none() {
            return;
        }
        let is_due = |shown: &mut Shown| {
            let is_due = shown.told.elapsed() >= TELL_EVERY;
            if is_due {
                shown.told = Instant::now();
            }
            is_due
        };
        if self.overall.hold().as_mut().is_some_and(is_due)
            && let Some(standing) = self.overall.standing()
        {
            self.tell_standing(&standing);
        }
    }

    fn tell_standing(&self, standing: &Standing) {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Progress<'a> {
            event: &'a str,
            at_s: u64,
            #[serde(flatten)]
            standing: &'a Standing,
        }
        let at_s = self.started.elapsed().as_secs();
        let event = "progress";
        self.print(&self.event(&Progress {
            event,
            at_s,
            standing,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn part(name: &'static str, usual: u64, is_work: bool) -> Part {
        Part {
            name,
            usual: Duration::from_secs(usual),
            is_work,
        }
    }

    const PARTS: [Part; 4] = [
        part("packages", 60, false),
        part("source", 60, true),
        part("kernel", 480, true),
        part("campaign", 240, true),
    ];

    fn at(overall: &Overall, seconds: u64) -> (u64, u64) {
        let standing = overall.standing(Duration::from_secs(seconds)).unwrap();
        (standing.percent, standing.left_s)
    }

    #[test]
    fn what_is_left_follows_the_speed_that_this_machine_has_shown() {
        let s = Duration::from_secs;
        let mut overall = Overall::new(&PARTS);
        assert_eq!(overall.standing(s(0)), None);
        overall.begin(PARTS[0], s(0));
        assert_eq!(at(&overall, 0), (0, 840));
        // A slow mirror says nothing about compiling.
        overall.begin(PARTS[1], s(240));
        assert_eq!(at(&overall, 240), (23, 780));
        overall.begin(PARTS[2], s(360));
        assert_eq!(at(&overall, 360), (20, 1440), "twice as slow as usual");
        overall.left_of_part(s(100), s(900));
        assert_eq!(at(&overall, 950), (64, 50 + 480));
        overall.begin(PARTS[3], s(1320));
        let standing = overall.standing(s(1320)).unwrap();
        assert_eq!(
            drawn(&standing),
            " 73 % █████░░░ 22:00 gone, about 8 min left: campaign (4 of 4)"
        );
        assert_eq!(at(&overall, 1320 + 1000), (95, 100), "overdue is not done");
        overall.end(s(2400));
        assert_eq!(overall.standing(s(2400)), None);
    }

    #[test]
    fn parts_that_were_not_needed_are_passed_over() {
        let mut overall = Overall::new(&PARTS);
        overall.begin(PARTS[3], Duration::from_secs(1));
        assert_eq!(at(&overall, 1), (0, 240));
        overall.begin(part("another", 5, true), Duration::from_secs(2));
        assert_eq!(overall.standing(Duration::from_secs(2)), None);
    }
}
