//! Lines that stand before a report's first line: they wait for it, and what was no part of a report is given back.

use super::open::line;
use crate::prefix::Caller;
use crate::record::Record;
use crate::splat::{Class, Line, classify};
use std::collections::VecDeque;

/// A preamble is part of a report that begins at most so many records later.
const NEAR: usize = 12;

/// A line of level warning that waited, with the number of its record.
pub(super) type Waited = (usize, Record<'static>);

/// The lines that wait.
#[derive(Debug, Default)]
pub(super) struct Preambles {
    waiting: VecDeque<Preamble>,
}

#[derive(Debug)]
struct Preamble {
    seen: usize,
    caller: Option<Caller>,
    line: Line,
    /// Where no report takes it, it is a message of its own.
    message: Option<Record<'static>>,
}

impl Preambles {
    /// Keeps a line for a report that may follow; `alone` says that it is a message where none does.
    pub(super) fn remember(&mut self, record: &Record, seen: usize, alone: bool) {
        let class = classify(&record.text);
        let says = alone && class != Class::Rule && !cuts(&record.text);
        self.waiting.push_back(Preamble {
            seen,
            caller: record.caller,
            line: line(record, class),
            message: says.then(|| record.clone().into_owned()),
        });
    }

    /// Whether this caller has cut here and has not said why yet: the words of a `WARN()` come next (kernel/panic.c:
    /// `__warn_printk()`), then the report's first line.
    pub(super) fn announce(&self, caller: Option<Caller>) -> bool {
        self.waiting
            .iter()
            .any(|preamble| preamble.caller == caller && cuts(&preamble.line.text))
    }

    /// Gives up what has waited for too long; gives what was a message.
    pub(super) fn expire(&mut self, seen: usize) -> Vec<Waited> {
        let mut alone = Vec::new();
        while let Some(first) = self.waiting.front()
            && seen.saturating_sub(first.seen) > NEAR
        {
            let first = self.waiting.pop_front();
            alone.extend(first.and_then(Preamble::alone));
        }
        alone
    }

    /// Gives up everything; gives what was a message.
    pub(super) fn finish(&mut self) -> Vec<Waited> {
        self.waiting.drain(..).filter_map(Preamble::alone).collect()
    }

    /// The lines of a report that begins now, and messages that waited without belonging to it.
    pub(super) fn of(&mut self, caller: Option<Caller>) -> (Vec<Line>, Vec<Waited>) {
        let (mut own, others): (Vec<_>, Vec<_>) = self
            .waiting
            .drain(..)
            .partition(|preamble| preamble.caller == caller);
        self.waiting = others.into();
        // Only the last rule or cut belongs to this report; what stands before it belonged to another.
        let opens = |preamble: &Preamble| preamble.line.class == Class::Rule || cuts(&preamble.line.text);
        let from = own.iter().rposition(opens).map_or(0, |at| {
            let before = at.checked_sub(1).and_then(|before| own.get(before));
            at.saturating_sub(usize::from(before.is_some_and(|before| !opens(before))))
        });
        let before = own.drain(..from).filter_map(Preamble::alone).collect();
        (own.into_iter().map(|preamble| preamble.line).collect(), before)
    }
}

impl Preamble {
    fn alone(self) -> Option<Waited> {
        self.message.map(|record| (self.seen, record))
    }
}

fn cuts(text: &str) -> bool {
    text.contains("cut here")
}
