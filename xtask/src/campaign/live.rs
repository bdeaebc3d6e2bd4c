//! What a person sees of a run while it goes on: a block of lines at the bottom of the terminal with the steps, what is done now, the last
//! lines of the serial log, the time gone and the time left. Where there is no terminal nothing is drawn, and the time left
//! goes into the lines that are said anyway.

mod view;

use super::estimates;
use super::plan::Planned;
use super::report::{RowOutcome, Tone};
use super::stopwatch::Stopwatch;
use crate::campaign::phase::Phase;
use crate::host::one_line::one_line;
use crate::ui::{self, Block, Look, PartTeller, Ui};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use view::{RowView, View, clock, lines};

/// How often the clock on the screen moves.
const TICK: Duration = Duration::from_millis(500);
/// Bytes of the serial log that the last lines are looked for in.
const TAIL: u64 = 8 << 10;
/// Lines of the serial log that are shown at most.
const KERNEL_LINES: usize = 6;
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
    started: Option<Instant>,
    phase: Option<(String, Instant)>,
    /// What is done beside it.
    beside: Option<(String, Instant)>,
}

/// Something that is done beside the phases of a row, as long as this lives.
pub struct Beside(Arc<Mutex<State>>);

impl Drop for Beside {
    fn drop(&mut self) {
        hold(&self.0).beside = None;
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
            started: Some(Instant::now()),
            phase: None,
            beside: None,
        }));
        let block = ui.block();
        let painter = block
            .is_shown()
            .then(|| Painter::start(block, state.clone(), log));
        Live {
            state,
            painter,
            part: ui.part_teller(),
        }
    }

    /// A row of the plan begins.
    pub fn row(&self, id: &str) {
        let mut state = hold(&self.state);
        state.phase = None;
        if let Some((_, stage)) = state.rows.iter_mut().find(|(row, _)| row.id == id) {
            *stage = Stage::Running(Instant::now());
        }
        drop(state);
        self.changed();
    }

    /// A row has ended.
    pub fn ended(&self, id: &str, outcome: RowOutcome, took: Duration) {
        let mut state = hold(&self.state);
        state.phase = None;
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
            hold(&state).phase = Some((phase.name.to_string(), Instant::now()));
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
    fn start(mut block: Block, state: Arc<Mutex<State>>, log: Option<PathBuf>) -> Self {
        let (changed, changes) = mpsc::channel();
        let paint = move || {
            loop {
                let kernel = log.as_deref().map(last_lines).unwrap_or_default();
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

/// The last lines of the serial log, made safe; none where it cannot be read.
fn last_lines(log: &Path) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = ui::plain(&String::from_utf8_lossy(&read().unwrap_or_default()));
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(KERNEL_LINES))
        .map(|line| line.replace('\t', "    "))
        .collect()
}

impl State {
    fn view(&self, now: Instant) -> View {
        let lasts = |(name, since): &(String, Instant)| (name.clone(), now.saturating_duration_since(*since));
        let phase = self.phase.as_ref().map(lasts);
        let mut left = Duration::ZERO;
        for (row, stage) in &self.rows {
            let of_row = match stage {
                Stage::Waiting => row.estimate,
                Stage::Ended(..) => Duration::ZERO,
                Stage::Running(since) => {
                    let in_row = now.saturating_duration_since(*since);
                    let (name, in_phase) = phase.clone().unzip();
                    estimates::left_of_row(row, name.as_deref(), in_phase.unwrap_or_default(), in_row)
                }
            };
            left = left.saturating_add(of_row);
        }
        View {
            title: self.title.clone(),
            gone: self
                .started
                .map_or(Duration::ZERO, |started| now.saturating_duration_since(started)),
            left,
            rows: self
                .rows
                .iter()
                .map(|(row, stage)| row_view(row, *stage, now))
                .collect(),
            current: self
                .rows
                .iter()
                .position(|(_, stage)| matches!(stage, Stage::Running(_))),
            phase,
            beside: self.beside.as_ref().map(lasts),
            kernel: Vec::new(),
        }
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
mod tests {
    use super::super::action::Action;
    use super::super::plan::Source;
    use super::view::FREE;
    use super::*;
    use crate::ui::Format;

    fn plan(count: usize) -> Vec<Planned> {
        let row = |number: usize| Planned {
            id: format!("2.{number}"),
            title: format!(
                "000{number} a title that is long enough to be cut on a narrow terminal, at least"
            ),
            verified_by: String::new(),
            parts: Vec::new(),
            gates: Vec::new(),
            needs: Vec::new(),
            on_failure: String::new(),
            action: Action::Patch(number),
            estimate: Duration::from_secs(60),
            estimated_from: Source::Plan,
            note: None,
            phases: Vec::new(),
        };
        (1..=count).map(row).collect()
    }

    fn live(count: usize) -> Live {
        // The tests run without a terminal: nothing is drawn.
        Live::begin(&Ui::new(Format::Text), "small on virtual", &plan(count), None)
    }

    const PASS: RowOutcome = RowOutcome {
        text: "pass",
        tone: Tone::Good,
    };

    fn at(live: &Live, later: u64) -> View {
        hold(&live.state).view(Instant::now() + Duration::from_secs(later))
    }

    #[test]
    fn what_is_left_counts_down_and_never_below_what_is_still_to_come() {
        let live = live(3);
        assert_eq!(live.left().as_deref(), Some("about 3 min left"));
        live.row("2.1");
        assert!((149..=150).contains(&at(&live, 30).left.as_secs()));
        assert_eq!(at(&live, 900).left.as_secs(), 120);
        live.ended("2.1", PASS, Duration::from_secs(70));
        live.row("2.2");
        live.ended("2.2", PASS, Duration::from_secs(70));
        live.row("2.3");
        live.ended("2.3", PASS, Duration::from_secs(70));
        assert_eq!(live.left(), None);
    }

    #[test]
    fn a_phase_is_shown_while_it_lasts() {
        let live = live(2);
        live.row("2.1");
        live.watch().time(crate::campaign::phase::BOOT, || ());
        let shown = lines(&at(&live, 12), 24, 80);
        let text: Vec<&str> = shown.iter().map(|line| line.text.as_str()).collect();
        assert!(
            text.iter()
                .any(|line| line.starts_with("   now: boot the debug kernel, 0:1")),
            "{text:#?}"
        );
        let beside = live.beside("building 2.2");
        live.watch().time(crate::campaign::phase::BACK_TO_VANILLA, || ());
        let shown = lines(&at(&live, 65), 24, 80);
        let line = shown.iter().find(|line| line.text.contains("now:")).unwrap();
        assert!(
            line.text
                .contains("back to vanilla, 1:05; beside it: building 2.2, 1:05"),
            "{}",
            line.text
        );
        drop(beside);
        assert!(at(&live, 0).beside.is_none());
        live.ended("2.1", PASS, Duration::from_secs(70));
        assert!(at(&live, 0).phase.is_none());
    }

    #[test]
    fn it_fits_every_terminal_and_the_current_row_is_always_there() {
        let live = live(40);
        for number in 1..=20 {
            live.row(&format!("2.{number}"));
            if number < 20 {
                live.ended(&format!("2.{number}"), PASS, Duration::from_secs(1));
            }
        }
        let mut view = at(&live, 1);
        view.kernel = vec!["[    1.0] x".repeat(40); 6];
        for height in 1..60 {
            for width in [1, 20, 80, 200] {
                let shown = lines(&view, height, width);
                assert!(shown.len() <= height.saturating_sub(FREE).max(2), "{height}");
                assert!(
                    shown
                        .iter()
                        .any(|line| line.look == Look::Strong && line.text.contains('▸')),
                    "{height} {width}"
                );
            }
        }
    }

    #[test]
    fn the_last_lines_of_the_log_are_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("serial.log");
        let noise = "x".repeat(20_000);
        std::fs::write(
            &log,
            format!("{noise}\n\x1b[2J\x1b[0;31mred\x1b[0m\r\n\0\u{202e}evil\t.\n"),
        )
        .unwrap();
        let lines = last_lines(&log);
        assert_eq!(lines[lines.len() - 2], "red");
        assert_eq!(lines[lines.len() - 1], "\\u{0}\\u{202e}evil    .");
        assert!(last_lines(Path::new("/does/not/exist")).is_empty());
    }
}
