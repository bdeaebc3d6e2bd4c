//! What Ctrl-C is answered while a campaign runs: at once, whatever it waits for.

use super::{Stage, State, hold};
use crate::host::interrupt::{Answers, Successor};
use crate::host::process;
use crate::ui::short;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The hidden verb that takes the place of a campaign behind the second Ctrl-C
/// (`cmd/back_to_vanilla.rs`).
pub const VERB: &str = "back-to-vanilla";

/// What is done at the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtBoard {
    /// Vanilla runs there, or restarts: it comes back by itself.
    Vanilla,
    /// A kernel under test is deployed, boots, runs, or is on its way down.
    UnderTest,
}

/// The answers of a run.
pub(super) struct Stopping {
    /// The view goes away while whoever asked it may still be answered.
    state: Weak<Mutex<State>>,
    run: PathBuf,
}

impl Stopping {
    pub fn new(state: &Arc<Mutex<State>>, run: &Path) -> Self {
        Stopping {
            state: Arc::downgrade(state),
            run: run.to_path_buf(),
        }
    }
}

impl Answers for Stopping {
    fn first(&self) -> String {
        let Some(state) = self.state.upgrade() else {
            return sentence(None, None, Duration::ZERO);
        };
        let state = hold(&state);
        let now = Instant::now();
        let running = state
            .rows
            .iter()
            .find(|(_, stage)| matches!(stage, Stage::Running(_)));
        let left = running.map(|(row, stage)| state.left_of(&state.at_this_rate(row), *stage, now));
        sentence(state.current.as_deref(), state.at_board, left.unwrap_or_default())
    }

    fn last(&self) -> Option<Successor> {
        let at_board = hold(&*self.state.upgrade()?).at_board;
        (at_board == Some(AtBoard::UnderTest)).then(|| Successor {
            start: process::become_again,
            words: vec![VERB.into(), self.run.clone().into()],
            does: "the board is reset to vanilla now; `cargo xtask resume` goes on later".into(),
        })
    }
}

/// What the first Ctrl-C does, and what the second would do.
fn sentence(row: Option<&str>, at_board: Option<AtBoard>, left: Duration) -> String {
    let soon = match left.is_zero() {
        true => "any moment".to_string(),
        false => format!("about {}", short(left)),
    };
    match (row, at_board) {
        (None, _) => "stopping before the next step".into(),
        // make is ended, and whatever follows is not begun.
        (Some(row), None) => format!("stopping {row} now: nothing of it is on the board; again: at once"),
        (Some(row), Some(AtBoard::Vanilla)) => {
            format!("stopping after {row}, {soon}; again: now, the board stays on vanilla")
        }
        (Some(row), Some(AtBoard::UnderTest)) => {
            format!("stopping after {row}, {soon}; again: now, the board is reset to vanilla")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::live;
    use super::*;

    #[test]
    fn the_answer_fits_what_is_done() {
        let live = live(3);
        let answers = live.answers(Path::new("/runs/1"));
        assert_eq!(answers.first(), "stopping before the next step");
        live.row("2.1");
        assert_eq!(
            answers.first(),
            "stopping 2.1 now: nothing of it is on the board; again: at once"
        );
        assert!(answers.last().is_none());
        let at_board = live.at_board(AtBoard::UnderTest);
        let said = answers.first();
        assert!(
            said.starts_with("stopping after 2.1, about ")
                && said.ends_with("; again: now, the board is reset to vanilla"),
            "{said}"
        );
        let successor = answers.last().unwrap();
        assert_eq!(successor.words, ["back-to-vanilla", "/runs/1"]);
        drop(at_board);
        let _at_board = live.at_board(AtBoard::Vanilla);
        assert!(answers.first().ends_with("the board stays on vanilla"));
        assert!(answers.last().is_none());
    }

    #[test]
    fn the_time_is_that_of_the_row_and_never_a_lie() {
        let under_test = Some(AtBoard::UnderTest);
        assert_eq!(
            sentence(Some("2.1"), under_test, Duration::from_secs(40)),
            "stopping after 2.1, about 40 s; again: now, the board is reset to vanilla"
        );
        assert!(sentence(Some("2.1"), under_test, Duration::ZERO).contains("2.1, any moment;"));
    }

    #[test]
    fn who_asks_keeps_no_view_alive() {
        let live = live(1);
        let answers = live.answers(Path::new("/runs/1"));
        live.row("2.1");
        drop(live);
        assert_eq!(answers.first(), "stopping before the next step");
        assert!(answers.last().is_none());
    }
}
