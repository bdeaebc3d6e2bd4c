//! The gates that watch people: short loops around the rules of [`people`].

use super::people::{self, Free, Session};
use crate::board::Board;
use crate::campaign::file::{People, minutes};
use crate::campaign::said::Said;
use crate::campaign::stop_asked::StopAsked;
use crate::host::interrupt::Watch;
use crate::ui::short;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_secs(30);
/// How often is looked for a person, and how often it is said again.
const EVERY: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 5000 });
const SAY_EVERY: Duration = Duration::from_secs(120);

/// Waits until a test boot is nobody's loss; gives what should be in the report. Errors: somebody was at work for as long as the campaign waits; what
/// to do is in it; or the user asked to stop. Changes nothing on the board.
pub fn until_free(board: &dyn Board, people: &People, say: &mut dyn FnMut(Said)) -> Result<Vec<String>> {
    let limit = minutes(people.in_use_wait_min);
    let stop = Watch::begin();
    let started = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let sessions = sessions(board)?;
        let who = match people::is_free(people, &sessions, minute_of_the_day()) {
            Free::Go(facts) => return Ok(facts),
            Free::InUse(who) => who.join(", "),
        };
        if stop.asked_to_stop() {
            return Err(anyhow::Error::msg(StopAsked));
        }
        if started.elapsed() >= limit {
            bail!(
                "somebody was at work on board `{}` for {}: {who}; run it again when the board is free, with `--quiet-hours 22:00-07:00`, or \
                 with `--yes`, which reboots it all the same",
                board.description().name,
                short(limit)
            );
        }
        if told.is_none_or(|told| told.elapsed() > SAY_EVERY) {
            told = Some(Instant::now());
            let left = short(limit.saturating_sub(started.elapsed()));
            say(Said::PersonNeeded(&format!(
                "somebody is at work on board `{}`, and its test boot waits until it is free, {left} at most: {who}",
                board.description().name
            )));
        }
        std::thread::sleep(EVERY);
    }
}

/// Waits until a person has logged in on the desktop; gives who, or none when nobody has within `limit`. Errors: the board does not
/// answer any more. Changes nothing on the board.
pub fn for_login(board: &dyn Board, limit: Duration, say: &mut dyn FnMut(Said)) -> Result<Option<String>> {
    let started = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        if let Some(who) = people::on_desktop(&sessions(board)?) {
            return Ok(Some(who));
        }
        if started.elapsed() >= limit {
            return Ok(None);
        }
        if told.is_none_or(|told| told.elapsed() > SAY_EVERY) {
            told = Some(Instant::now());
            let left = short(limit.saturating_sub(started.elapsed()));
            say(Said::PersonNeeded(&format!(
                "log in on the desktop of board `{}` within {left}",
                board.description().name
            )));
        }
        std::thread::sleep(EVERY.min(limit));
    }
}

/// Who is logged in.
pub fn sessions(board: &dyn Board) -> Result<Vec<Session>> {
    let answer = board.run(people::ASK, LOOK).context("looking who is logged in")?;
    let text = String::from_utf8_lossy(&answer.stdout);
    people::read(&text).context("looking who is logged in: the board's answer is cut off")
}

/// On this machine's clock: a board's may be wrong.
fn minute_of_the_day() -> u16 {
    let now = jiff::Zoned::now();
    let part = |part: i8| u16::try_from(part).unwrap_or(0);
    part(now.hour())
        .saturating_mul(60)
        .saturating_add(part(now.minute()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::InFront;
    use crate::board::bare_board::{BareBoard, said};
    use crate::host::process::{BreakOff, Finished, Input};
    use std::cell::RefCell;

    /// A board that gives these answers, the last one for ever.
    struct Answers {
        bare: BareBoard,
        answers: RefCell<Vec<String>>,
    }

    impl Answers {
        fn new(answers: &[&str]) -> Self {
            Answers {
                bare: BareBoard::ampere(),
                answers: RefCell::new(answers.iter().rev().map(|answer| answer.to_string()).collect()),
            }
        }
    }

    impl InFront for Answers {
        fn behind(&self) -> &dyn Board {
            &self.bare
        }

        fn pass_on(&self, _: &str, _: Input, _: Duration, _: &BreakOff) -> Result<Finished> {
            let mut answers = self.answers.borrow_mut();
            let answer = match answers.len() {
                1 => answers[0].clone(),
                _ => answers.pop().unwrap(),
            };
            Ok(said(answer))
        }
    }

    const NOBODY: &str = "now=1800000600\nend=\n";
    const ANN: &str = "now=1800000600\nsession=\nName=ann\nType=wayland\nClass=user\nState=active\nRemote=no\nTTY=tty2\n\
        IdleHint=no\nend=\n";

    #[test]
    fn it_goes_on_when_the_board_is_free_and_says_what_it_waits_for() {
        let board = Answers::new(&[ANN, ANN, NOBODY]);
        let mut said = Vec::new();
        let facts = until_free(&board, &People::default(), &mut |line| {
            said.push(line.to_string())
        })
        .unwrap();
        assert!(facts.is_empty());
        assert_eq!(said.len(), 1, "once, and not at each look: {said:?}");
        assert!(said[0].contains("ann on tty2 (wayland, at work)"), "{said:?}");
    }

    #[test]
    fn a_board_that_is_never_free_is_not_rebooted() {
        let people = People {
            in_use_wait_min: 0,
            ..People::default()
        };
        let error = until_free(&Answers::new(&[ANN]), &people, &mut |_| {})
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ann on tty2") && error.contains("--quiet-hours"),
            "{error}"
        );
        let cut = until_free(&Answers::new(&["now=1"]), &people, &mut |_| {}).unwrap_err();
        assert!(format!("{cut:#}").contains("cut off"));
    }

    #[test]
    fn a_person_who_logs_in_is_seen() {
        let hour = Duration::from_secs(3600);
        let mut said = Vec::new();
        let who = for_login(&Answers::new(&[NOBODY, NOBODY, ANN]), hour, &mut |line| {
            said.push(line.to_string())
        });
        assert_eq!(who.unwrap().unwrap(), "ann (wayland)");
        assert!(
            said[0].starts_with("a person is needed: log in on the desktop"),
            "{said:?}"
        );
        let nobody = for_login(&Answers::new(&[NOBODY]), Duration::ZERO, &mut |_| {}).unwrap();
        assert_eq!(nobody, None);
    }
}
