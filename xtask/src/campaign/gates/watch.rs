//! The gates that watch people: short loops around the rules of [`people`].

use super::people::{self, Free, Session};
use crate::board::Board;
use crate::campaign::file::{People, minutes};
use crate::ui::short;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_secs(30);
/// How often is looked for a person, and how often it is said again.
const EVERY: Duration = Duration::from_secs(5);
const SAY_EVERY: Duration = Duration::from_secs(120);

/// Waits until a test boot is nobody's loss; gives what should be in the report. Errors: somebody was at work for as long as the campaign waits; what
/// to do is in it. Changes nothing on the board.
pub fn until_free(board: &dyn Board, people: &People, say: &mut dyn FnMut(&str)) -> Result<Vec<String>> {
    let limit = minutes(people.in_use_wait_min);
    let started = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let sessions = sessions(board)?;
        let who = match people::is_free(people, &sessions, minute_of_the_day()) {
            Free::Go(facts) => return Ok(facts),
            Free::InUse(who) => who.join(", "),
        };
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
            say(&format!("waiting until the board is free, {left} at most: {who}"));
        }
        std::thread::sleep(EVERY);
    }
}

/// Waits until a person has logged in on the desktop; gives who, or none when nobody has within `limit`. Errors: the board does not
/// answer any more. Changes nothing on the board.
pub fn for_login(board: &dyn Board, limit: Duration, say: &mut dyn FnMut(&str)) -> Result<Option<String>> {
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
            say(&format!(
                "a person is needed: log in on the desktop of board `{}` within {left}",
                board.description().name
            ));
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
    60 * u16::try_from(now.hour()).unwrap_or(0) + u16::try_from(now.minute()).unwrap_or(0)
}
