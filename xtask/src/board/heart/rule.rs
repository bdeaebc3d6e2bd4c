//! The rule behind the heartbeat: from what was heard of a board, and when, to what it is. Values in, values out; times are counted from the
//! heart's own start.
//!
//! Nothing here knows how fast a board is. It learns that from the board: the slowest beat that was answered, over a new connection or under
//! load, makes every limit longer. So an emulated board with a kernel full of checkers is given several times what an idle one is.

use crate::board::boot::serial::Event;
use std::time::Duration;

/// Times of a heart. The campaign has these: [`Pace::default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one beat to the next.
    pub every: Duration,
    /// How long a beat may take over a connection that is there, beside twice the slowest that was answered.
    pub held: Duration,
    /// The same over a new connection, behind the first miss; twice this behind the second, and so on up to [`Pace::first`].
    pub fresh: Duration,
    /// How long a beat may take as long as none was answered: this board's first word tells how slow it is.
    pub first: Duration,
    /// How long a board may be silent on every path, beside four times the slowest beat.
    pub silent: Duration,
    /// How long it may be out of reach over ssh while its kernel still talks, beside the same.
    pub talking: Duration,
    /// A word on the serial line says for so long that the kernel lives.
    pub word: Duration,
    /// A beat that is slower than this counts as so slow and no slower: patience has to end somewhere.
    pub slowest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Pace {
            every: seconds(5),
            held: seconds(4),
            fresh: seconds(6),
            // As long as ssh itself waits for a connection (`ConnectTimeout`).
            first: seconds(30),
            silent: seconds(20),
            talking: seconds(60),
            // The kernel's own check for hung tasks and stalls speaks every ten seconds on a debug kernel that is stuck.
            word: seconds(15),
            slowest: seconds(15),
        }
    }
}

/// Beats that have to be missed in a row: the first may be the connection's fault, the others are each over a new one.
pub const MISSES: u32 = 3;

/// Why a beat was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// Nothing came within the limit, or the connection went.
    Silent,
    /// The machine is there, and refuses: its kernel answers, its ssh server does not.
    Refused,
    /// This machine's own network is down: it says nothing about the board.
    OwnNetwork,
}

impl Miss {
    /// From `ssh`'s own words (OpenSSH: sshconnect.c, misc.c; the C library's strerror).
    pub fn of(said: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if says(&["Network is unreachable", "Could not resolve hostname"]) {
            Miss::OwnNetwork
        } else if says(&["Connection refused"]) {
            Miss::Refused
        } else {
            Miss::Silent
        }
    }
}

/// What the board is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It answers, or nothing has been heard of it yet that could be missed.
    Alive,
    /// So many beats were missed, and that is no proof of anything yet.
    Slow(u32),
    /// Nothing comes over ssh, and the kernel still talks over the serial line or refuses connections.
    KernelOnly,
    /// It has stopped, for so long; `true` where its kernel still talks.
    Wedged {
        /// Since the last sign of life over ssh.
        silence: Duration,
        /// Its kernel was heard all the same.
        talks: bool,
    },
    /// The kernel panicked, with its words.
    Panicked(String),
    /// It has restarted: what said so.
    Restarted(String),
}

impl State {
    /// Whether it is worth while to go on with what runs on the board.
    pub fn goes_on(&self) -> bool {
        matches!(self, State::Alive | State::Slow(_) | State::KernelOnly)
    }
}

/// What was heard of a board.
#[derive(Debug, Clone)]
pub struct Heard {
    pace: Pace,
    boot_id: String,
    /// The last sign of life over ssh; none yet.
    last: Option<Duration>,
    /// When the beat began that gave the last sign.
    last_began: Duration,
    slowest: Duration,
    answered: u32,
    missed: u32,
    /// When the first of these misses began to be one.
    first_missed: Option<Duration>,
    /// The kernel's last word, by whatever way.
    word: Option<Duration>,
    /// Since when the serial line shows that this boot is over, and how.
    over: Option<(Duration, State)>,
    /// The boot id of another boot that answered.
    other_boot: Option<String>,
}

impl Heard {
    /// Nothing yet of the boot with this id.
    pub fn nothing(pace: Pace, boot_id: &str) -> Self {
        Heard {
            pace,
            boot_id: boot_id.into(),
            last: None,
            last_began: Duration::ZERO,
            slowest: Duration::ZERO,
            answered: 0,
            missed: 0,
            first_missed: None,
            word: None,
            over: None,
            other_boot: None,
        }
    }

    /// A beat that began at `began` was answered at `now` by the boot with this id.
    pub fn answered(&mut self, began: Duration, now: Duration, boot_id: &str) {
        if boot_id != self.boot_id {
            self.other_boot.get_or_insert_with(|| boot_id.into());
            return;
        }
        self.answered = self.answered.saturating_add(1);
        self.slowest = self.slowest.max(now.saturating_sub(began));
        self.lives(began, now);
    }

    /// Something else that began at `began` was answered over ssh at `now`: it may have taken long for reasons of its own.
    pub fn lives(&mut self, began: Duration, now: Duration) {
        self.last = Some(now);
        self.last_began = self.last_began.max(began);
        (self.missed, self.first_missed) = (0, None);
        // What looked like the end of this boot was somebody's text: this boot has answered since.
        self.over.take_if(|(since, _)| *since < began);
    }

    /// A beat was not answered.
    pub fn missed(&mut self, now: Duration, miss: Miss) {
        match miss {
            Miss::OwnNetwork => return,
            Miss::Refused => self.word = Some(now),
            Miss::Silent => {}
        }
        self.missed = self.missed.saturating_add(1);
        self.first_missed.get_or_insert(now);
    }

    /// The serial line showed something: bytes, and what they meant. Gives whether a beat should follow at once.
    pub fn line(&mut self, now: Duration, events: &[Event]) -> bool {
        self.word = Some(now);
        let mut over = None;
        for event in events {
            match event {
                Event::Panic(words) => over = Some(State::Panicked(words.clone())),
                Event::Banner => over = Some(State::Restarted("U-Boot started on the serial line".into())),
                Event::Linux(release) => {
                    over = Some(State::Restarted(format!(
                        "another kernel started on the serial line, {release}"
                    )));
                }
                _ => {}
            }
        }
        let Some(over) = over else { return false };
        let since = self.over.take().map_or(now, |(since, _)| since);
        self.over = Some((since, over));
        true
    }

    /// How long the next beat may take. A connection that missed the last one is not used again, and each new one is given longer: with one
    /// limit for all, a board that has become slower than that would never be heard again.
    pub fn limit(&self) -> Duration {
        let base = match self.missed {
            _ if self.answered == 0 => return self.pace.first,
            0 => self.pace.held,
            missed => self.pace.fresh.saturating_mul(missed.min(100)),
        };
        base.saturating_add(self.times_slowest(2)).min(self.pace.first)
    }

    /// What the board is, now.
    pub fn state(&self, now: Duration) -> State {
        if let Some(boot_id) = &self.other_boot {
            return State::Restarted(format!("another boot answers, {boot_id}"));
        }
        // The text alone may be anybody's: it has to be followed by silence over ssh.
        if let Some((since, over)) = &self.over
            && now.saturating_sub(*since) >= self.pace.held.saturating_add(self.times_slowest(2))
        {
            return over.clone();
        }
        // A heart that was never heard is not missed: there may be no second way to this board.
        let Some(last) = self.last.filter(|_| self.missed > 0 && self.answered > 0) else {
            return State::Alive;
        };
        let silence = now.saturating_sub(last);
        let talks = self
            .word
            .is_some_and(|word| word > last && now.saturating_sub(word) < self.pace.word);
        let patience = if talks {
            self.pace.talking
        } else {
            self.pace.silent
        };
        if self.missed >= MISSES && silence >= patience.saturating_add(self.times_slowest(4)) {
            State::Wedged { silence, talks }
        } else if self.missed >= MISSES && talks {
            State::KernelOnly
        } else {
            State::Slow(self.missed)
        }
    }

    /// So many times as long as the slowest beat took.
    fn times_slowest(&self, times: u32) -> Duration {
        self.slowest.min(self.pace.slowest).saturating_mul(times)
    }

    /// The slowest beat that was answered, and how many were.
    pub fn pulse(&self) -> (Duration, u32) {
        (self.slowest, self.answered)
    }

    /// When the first beat was missed since the last sign of life.
    pub fn first_missed(&self) -> Option<Duration> {
        self.first_missed
    }

    /// The last sign of life over ssh.
    pub fn last_sign(&self) -> Option<Duration> {
        self.last
    }
}

#[cfg(test)]
mod tests;
