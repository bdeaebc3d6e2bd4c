//! Where reports begin and end.

use super::consequence::{Distance, is_consequence};
use super::open::{Follows, Open, follows, same_context};
use super::{FRAGMENT, Finder, MOST_OPEN, elapsed};
use crate::headers::{Body, Header};
use crate::kind::{Kind, Severity};
use crate::prefix::Caller;
use crate::record::Record;
use crate::splat::{Class, Splat, intrudes};
use crate::summary;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// An error that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// Number of the record that ended it.
    pub seen: usize,
    /// Index in `done`.
    pub index: usize,
    /// When its last line was printed, and by whom.
    time: Option<u64>,
    caller: Option<Caller>,
}

impl Finder {
    pub(super) fn begin(&mut self, header: &'static Header, record: &Record) {
        let kind = header.kind;
        let in_context = |open: &Open| same_context(&open.splat, record.caller);
        if let Some(at) = self.open.iter().position(in_context) {
            let was_asked = self.answers.were_to_crash(record);
            let seen = self.seen;
            let Some(open) = self.open.get_mut(at) else { return };
            match follows(open, header) {
                Follows::NextPart => {
                    open.splat.cut |= record.caller.is_none() && intrudes(&record.text);
                    open.take(record, seen, Class::Detail);
                    open.splat.panicked |= kind == Kind::Panic;
                    return;
                }
                // A lockup that is reported by a `WARN()` is a lockup.
                Follows::SaysWhich => {
                    open.splat.header = header;
                    open.splat.header_at = open.splat.lines.len();
                    return open.take(record, seen, Class::Detail);
                }
                Follows::Anew => {}
            }
            let consequence = kind == Kind::Panic
                && !was_asked
                && severity(&open.splat) == Severity::Error
                && is_consequence(&record.text, open.distance(record, seen));
            if consequence {
                open.splat.panicked = true;
                return open.take(record, seen, Class::Detail);
            }
            if header.body == Body::Line {
                return self.alone(header, record);
            }
            let mut open = self.open.swap_remove(at);
            open.splat.cut |= open.interrupted() || record.caller.is_none() && intrudes(&record.text);
            self.close(open);
        }
        if kind == Kind::Panic && self.explains_panic(record) {
            return;
        }
        if header.body == Body::Line {
            return self.alone(header, record);
        }
        let open = self.opened(header, record);
        if self.open.len() >= MOST_OPEN {
            let oldest = self.open.remove(0);
            self.close(oldest);
        }
        self.open.push(open);
    }

    /// A report of one line ends none that is open: where no one says who prints, it may be another's.
    pub(super) fn alone(&mut self, header: &'static Header, record: &Record) {
        let open = Open::new(header, record, self.seen, Vec::new());
        self.close(open);
    }

    fn opened(&mut self, header: &'static Header, record: &Record) -> Open {
        let (lines, others) = self.preambles.of(record.caller);
        self.tell_messages(others);
        Open::new(header, record, self.seen, lines)
    }

    /// A panic whose cause was reported just before is no finding of its own.
    fn explains_panic(&mut self, record: &Record) -> bool {
        let was_asked = self.answers.were_to_crash(record);
        let Some(last) = self.last_error.filter(|_| !was_asked) else {
            return false;
        };
        let Some((_, finding)) = self.done.get_mut(last.index) else {
            return false;
        };
        let distance = Distance {
            records: self.seen.saturating_sub(last.seen),
            elapsed: elapsed(last.time, record.time),
            callers: (last.caller, record.caller),
        };
        let explained = finding.boot == record.boot && is_consequence(&record.text, distance);
        if explained && !finding.panicked {
            finding.panicked = true;
            finding.excerpt.push(record.text.to_string());
        }
        explained
    }

    /// Shows a record to every open report; true when one of them took it.
    pub(super) fn extend(&mut self, record: &Record, foreign_program: bool) -> bool {
        let (mut at, mut taken) = (0, false);
        while at < self.open.len() {
            let Some(open) = self.open.get_mut(at) else { break };
            let ended = if same_context(&open.splat, record.caller) && !foreign_program {
                open.add(record, self.seen)
            } else {
                open.is_over(record, self.seen)
            };
            taken |= open.last_own.0 == self.seen;
            if ended {
                let open = self.open.swap_remove(at);
                self.close(open);
            } else {
                at = at.saturating_add(1);
            }
        }
        taken
    }

    pub(super) fn close(&mut self, mut open: Open) {
        open.splat.lines.truncate(open.last_own.1);
        self.tell_messages(open.take_held());
        if open.splat.header == &FRAGMENT {
            if self.stack_of_message(&open) {
                return;
            }
            self.unexplained = self.unexplained.saturating_add(1);
        }
        if open.is_nothing() {
            return;
        }
        let finding = summary::summarise(&open.splat, &self.source);
        let error = finding.severity == Severity::Error;
        let key = hash(&(finding.kind, &finding.title));
        let index = self.tell(open.began, finding, key);
        if error && let Some(index) = index {
            self.last_error = Some(Ended {
                seen: open.last_own.0,
                index,
                time: open.last_time,
                caller: open.splat.caller,
            });
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn severity(splat: &Splat) -> Severity {
    splat.header.kind.severity()
}
