//! What a person sees of a run while it goes on: a block of lines at the bottom of the terminal with the steps, what is done now, the last
//! lines of the serial log, the time gone and the time left. Where there is no terminal nothing is drawn, and the time left
//! goes into the lines that are said anyway.

mod stopping;
mod tail;
mod view;

use super::action::Action;
use super::estimates;
use super::plan::Planned;
use super::record::RowRecord;
use super::report::{self, RowOutcome, Tone};
use super::stopwatch::Stopwatch;
use crate::campaign::phase::{self, Phase};
use crate::host::interrupt::Answers;
use crate::host::one_line::one_line;
use crate::ui::{self, Block, Look, PartTeller, Ui};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
pub use stopping::AtBoard;
use stopping::Stopping;
use tail::Tail;
use view::{RowView, View, clock, lines};

/// How often the clock on the screen moves.
const TICK: Duration = Duration::from_millis(500);

/// A run as it goes on. Dropped, it takes its lines off the screen.
#[derive(Default)]
pub struct Live {
    state: Arc<Mutex<State>>,
    painter: Option<Painter>,
    /// The run may be a part of a longer command.
    part: PartTeller,
}

struct Painter {
    changed: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    title: String,
    rows: Vec<(Planned, Stage)>,
    /// When the command began.
    started: Option<Instant>,
    /// Something else shows the time of the whole command.
    is_a_part: bool,
    /// The row that runs, also one that is not in the plan.
    current: Option<String>,
    phase: Option<(String, Instant)>,
    /// What is done in the phase.
    doing: Option<String>,
    /// What is done beside it.
    beside: Option<(String, Instant)>,
    /// What is done at the board.
    at_board: Option<AtBoard>,
    tail: Tail,
}

/// Something that is done beside the phases of a row, as long as this lives.
pub struct Beside(Arc<Mutex<State>>);

impl Drop for Beside {
    fn drop(&mut self) {
        hold(&self.0).beside = None;
    }
}

/// The board is being worked at in this way, as long as this lives.
pub struct AtWork(Arc<Mutex<State>>);

impl Drop for AtWork {
    fn drop(&mut self) {
        hold(&self.0).at_board = None;
    }
}

#[derive(Clone, Copy)]
enum Stage {
    Waiting,
    Running(Instant),
    Ended(RowOutcome, Duration),
}

impl Live {
    /// Begins to show the run of `plan` on a terminal; `log` is the file that the serial line is captured in.
    pub fn begin(ui: &Ui, title: &str, plan: &[Planned], log: Option<PathBuf>) -> Self {
        let rows = plan.iter().map(|row| (row.clone(), Stage::Waiting)).collect();
        let state = Arc::new(Mutex::new(State {
            title: one_line(title),
            rows,
            started: Some(ui.started()),
            is_a_part: ui.draws_the_whole(),
            tail: Tail::of(log),
            ..State::default()
        }));
        let block = ui.block();
        let painter = block.is_shown().then(|| Painter::start(block, state.clone()));
        Live {
            state,
            painter,
            part: ui.part_teller(),
        }
    }

    /// Rows that an earlier process of this run has done look so, with the time that they took.
    pub fn done_before<'r>(&self, rows: impl Iterator<Item = &'r RowRecord>) {
        let mut state = hold(&self.state);
        for record in rows {
            let took = Duration::try_from_secs_f64(record.took_s).unwrap_or_default();
            if let Some((_, stage)) = state.rows.iter_mut().find(|(row, _)| row.id == record.id) {
                *stage = Stage::Ended(report::outcome(record), took);
            }
        }
        drop(state);
        self.changed();
    }

    /// A row begins.
    pub fn row(&self, id: &str) {
        let mut state = hold(&self.state);
        state.no_phase();
        state.current = Some(one_line(id));
        state.tail.begin();
        if let Some((_, stage)) = state.rows.iter_mut().find(|(row, _)| row.id == id) {
            *stage = Stage::Running(Instant::now());
        }
        drop(state);
        self.changed();
    }

    /// A row has ended.
    pub fn ended(&self, id: &str, outcome: RowOutcome, took: Duration) {
        let mut state = hold(&self.state);
        state.no_phase();
        state.current = None;
        if let Some((_, stage)) = state.rows.iter_mut().find(|(row, _)| row.id == id) {
            *stage = Stage::Ended(outcome, took);
        }
        drop(state);
        self.changed();
    }

    /// A stopwatch for a row, whose phases are shown as they begin.
    pub fn watch(&self) -> Stopwatch {
        let state = self.state.clone();
        let changed = self.painter.as_ref().and_then(|painter| painter.changed.clone());
        Stopwatch::watched(Arc::new(move |phase: Phase| {
            hold(&state).begin_phase(phase);
            if let Some(changed) = &changed {
                let _ = changed.send(());
            }
        }))
    }

    /// Shows something that is done beside the phases of the rows.
    pub fn beside(&self, what: &str) -> Beside {
        hold(&self.state).beside = Some((one_line(what), Instant::now()));
        self.changed();
        Beside(self.state.clone())
    }

    /// Shows what is done in the phase that goes on, until the next one begins. Foreign text is
    /// made safe.
    pub fn doing(&self, what: &str) {
        hold(&self.state).doing = Some(one_line(what));
        self.changed();
    }

    /// Whether anybody sees it drawn.
    pub fn is_drawn(&self) -> bool {
        self.painter.is_some()
    }

    /// Takes note of what is done at the board.
    pub fn at_board(&self, work: AtBoard) -> AtWork {
        hold(&self.state).at_board = Some(work);
        AtWork(self.state.clone())
    }

    /// What is answered to Ctrl-C while this is shown; `run` is the run's folder.
    pub fn answers(&self, run: &Path) -> Arc<dyn Answers> {
        Arc::new(Stopping::new(&self.state, run))
    }

    /// How long the rest of the campaign is thought to take; none when nothing is left.
    pub fn left(&self) -> Option<String> {
        let view = hold(&self.state).view(Instant::now());
        (!view.left.is_zero()).then(|| format!("about {} left", ui::short(view.left)))
    }

    fn changed(&self) {
        self.part.left(hold(&self.state).view(Instant::now()).left);
        if let Some(changed) = self.painter.as_ref().and_then(|painter| painter.changed.as_ref()) {
            let _ = changed.send(());
        }
    }
}

/// A lock that a panic elsewhere does not take from us: the values behind it are always whole.
fn hold(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Painter {
    fn start(mut block: Block, state: Arc<Mutex<State>>) -> Self {
        let (changed, changes) = mpsc::channel();
        let paint = move || {
            loop {
                let tail = hold(&state).tail.clone();
                let kernel = tail.last_lines();
                let mut view = hold(&state).view(Instant::now());
                view.kernel = kernel;
                let (rows, columns) = block.size();
                block.show(lines(&view, rows, columns));
                if let Err(mpsc::RecvTimeoutError::Disconnected) = changes.recv_timeout(TICK) {
                    return;
                }
            }
        };
        Painter {
            changed: Some(changed),
            thread: Some(std::thread::spawn(paint)),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let Some(painter) = &mut self.painter else {
            return;
        };
        painter.changed = None;
        // A stopwatch that still lives holds a sender: then the painter is left behind, and ends with the process.
        if Arc::strong_count(&self.state) <= 2
            && let Some(thread) = painter.thread.take()
        {
            drop(thread.join());
        }
    }
}

impl State {
    fn no_phase(&mut self) {
        self.phase = None;
        self.doing = None;
    }

    fn begin_phase(&mut self, phase: Phase) {
        self.phase = Some((phase.name.to_string(), Instant::now()));
        self.doing = None;
        match phase {
            phase::BOOT | phase::BACK_TO_VANILLA => self.tail.begin_boot(),
            _ => self.tail.is_up(),
        }
    }

    /// The row with its times as the rows of this run have them.
    fn at_this_rate(&self, row: &Planned) -> Planned {
        let ended = self.rows.iter().filter_map(|(row, stage)| match stage {
            Stage::Ended(outcome, took) if teaches(row, *outcome) => Some((row, *took)),
            _ => None,
        });
        estimates::at_rate(row, estimates::rate(row, ended))
    }

    /// How long a row still takes, `now`.
    fn left_of(&self, row: &Planned, stage: Stage, now: Instant) -> Duration {
        match stage {
            Stage::Waiting => row.estimate,
            Stage::Ended(..) => Duration::ZERO,
            Stage::Running(since) => {
                let (name, in_phase) = self.phase_at(now).unzip();
                let in_row = now.saturating_duration_since(since);
                estimates::left_of_row(row, name.as_deref(), in_phase.unwrap_or_default(), in_row)
            }
        }
    }

    fn phase_at(&self, now: Instant) -> Option<(String, Duration)> {
        let (name, since) = self.phase.as_ref()?;
        Some((name.clone(), now.saturating_duration_since(*since)))
    }

    fn view(&self, now: Instant) -> View {
        let rows: Vec<(Planned, Stage)> = self
            .rows
            .iter()
            .map(|(row, stage)| (self.at_this_rate(row), *stage))
            .collect();
        let left = rows
            .iter()
            .map(|(row, stage)| self.left_of(row, *stage, now))
            .fold(Duration::ZERO, Duration::saturating_add);
        let beside = self.beside.as_ref();
        View {
            title: self.title.clone(),
            gone: self
                .started
                .filter(|_| !self.is_a_part)
                .map(|started| now.saturating_duration_since(started)),
            left,
            rows: rows
                .iter()
                .map(|(row, stage)| row_view(row, *stage, now))
                .collect(),
            current: rows
                .iter()
                .position(|(_, stage)| matches!(stage, Stage::Running(_))),
            phase: self.phase_at(now),
            doing: self.doing.clone(),
            beside: beside.map(|(what, since)| (what.clone(), now.saturating_duration_since(*since))),
            kernel: Vec::new(),
        }
    }
}

/// Whether the time of a row says how long others of its kind take: one that ended early, or that
/// was only applied, says nothing.
fn teaches(row: &Planned, outcome: RowOutcome) -> bool {
    match outcome.tone {
        Tone::Good | Tone::Doubt => true,
        Tone::Plain => !matches!(row.action, Action::Patch(_)),
        Tone::Bad => false,
    }
}

fn row_view(row: &Planned, stage: Stage, now: Instant) -> RowView {
    let (mark, look, at_right) = match stage {
        Stage::Waiting => ('·', Look::Dim, format!("{:>9}", clock(row.estimate))),
        Stage::Running(since) => (
            '▸',
            Look::Strong,
            format!(
                "{} of about {}",
                clock(now.saturating_duration_since(since)),
                clock(row.estimate)
            ),
        ),
        Stage::Ended(outcome, took) => {
            let (mark, look) = match outcome.tone {
                Tone::Good => ('✔', Look::Good),
                Tone::Bad => ('✘', Look::Bad),
                Tone::Doubt => ('?', Look::Plain),
                Tone::Plain => ('✔', Look::Plain),
            };
            (mark, look, format!("{} {:>9}", outcome.text, clock(took)))
        }
    };
    RowView {
        id: one_line(&row.id),
        title: one_line(&row.title),
        look,
        mark,
        at_right,
    }
}

#[cfg(test)]
mod tests;
