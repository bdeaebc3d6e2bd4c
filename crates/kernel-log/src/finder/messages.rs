//! Lines of level warning and above that no report explains, and stacks that stand right behind a line.

use super::open::Open;
use super::preambles::Waited;
use super::{FRAGMENT, Finder, RIGHT_BEHIND};
use crate::prefix::Caller;
use crate::record::{Origin, Record};
use crate::splat::{Class, classify};
use crate::summary;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

/// A line of the kernel without a level.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    seen: usize,
    caller: Option<Caller>,
    time: Option<u64>,
    line: usize,
    offset: usize,
    boot: u32,
    text: String,
}

impl Finder {
    /// A line of level warning or above that no report explains is a finding of its own (plan: no new warnings).
    pub(super) fn message(&mut self, record: &Record, begun: bool) {
        let class = classify(&record.text);
        if class == Class::Blank || self.answers.hold(record, class) {
            return;
        }
        if self.preambles.announce(record.caller) {
            return self.preambles.remember(record, self.seen, true);
        }
        if is_fragment(class, &record.text) || (!begun && class == Class::Detail) {
            let mut open = Open::new(&FRAGMENT, record, self.seen, Vec::new());
            open.splat.cut = true;
            open.behind = self.message_before(record);
            return self.open.push(open);
        }
        let seen = self.seen;
        let within =
            |open: &&mut Open| open.splat.caller == record.caller && open.is_right_before(record, seen);
        if let Some(open) = self.open.iter_mut().find(within) {
            return open.hold(record, self.seen);
        }
        self.tell_messages(vec![(self.seen, record.clone().into_owned())]);
    }

    /// A line of a source that tells no levels: only a stack is something that a developer would look at.
    pub(super) fn without_level(&mut self, record: &Record, begun: bool) {
        let class = classify(&record.text);
        let stack = match class {
            Class::StackStart => true,
            Class::Detail => is_fragment(class, &record.text),
            _ => false,
        };
        if !begun || !stack || self.answers.hold(record, class) {
            return self.remember_quiet(record);
        }
        let quiet = std::mem::take(&mut self.quiet);
        let right_before = quiet.seen > 0
            && self.seen.saturating_sub(quiet.seen) <= 1
            && quiet.caller == record.caller
            && quiet.boot == record.boot;
        let explained = right_before && classify(&quiet.text) == Class::Other;
        let mut open = Open::new(&FRAGMENT, record, self.seen, Vec::new());
        if explained {
            let said = Record {
                time: quiet.time,
                line: quiet.line,
                offset: quiet.offset,
                text: std::borrow::Cow::Borrowed(&quiet.text),
                ..record.clone()
            };
            self.tell_messages(vec![(quiet.seen, said.into_owned())]);
            open.behind = self.message_before(record);
        }
        open.splat.cut = true;
        self.open.push(open);
    }

    pub(super) fn remember_quiet(&mut self, record: &Record) {
        if record.level.is_some() || record.origin != Origin::Kernel {
            return;
        }
        let quiet = &mut self.quiet;
        (quiet.seen, quiet.caller, quiet.time) = (self.seen, record.caller, record.time);
        (quiet.line, quiet.offset, quiet.boot) = (record.line, record.offset, record.boot);
        quiet.text.clear();
        quiet.text.push_str(summary::clip(&record.text));
    }

    pub(super) fn tell_messages(&mut self, waited: Vec<Waited>) {
        for (seen, record) in waited {
            let key = rough_hash(&record.text);
            let index = self.count((record.boot, key));
            let index = index.or_else(|| self.tell(seen, summary::message(&record, &self.source), key));
            self.last_message = index.map(|index| (seen, record.caller, index));
        }
    }

    /// Where the message stands right behind which this caller prints a stack.
    fn message_before(&self, record: &Record) -> Option<usize> {
        let (seen, caller, index) = self.last_message?;
        let (_, finding) = self.done.get(index)?;
        let right_behind = self.seen.saturating_sub(seen) <= RIGHT_BEHIND && finding.boot == record.boot;
        (right_behind && caller == record.caller).then_some(index)
    }

    /// `dump_stack()` right behind a message is that message's stack.
    pub(super) fn stack_of_message(&mut self, open: &Open) -> bool {
        let Some((_, finding)) = open.behind.and_then(|index| self.done.get_mut(index)) else {
            return false;
        };
        if finding.excerpt.len() == 1 {
            let stack = summary::summarise(&open.splat, &self.source);
            finding.excerpt.extend(stack.excerpt);
            finding.function = stack.function;
            finding.module = stack.module;
            (finding.process, finding.pid, finding.cpu) = (stack.process, stack.pid, stack.cpu);
        }
        true
    }
}

/// Whether a line of this class can only stand in a report. The first line of a stack says on which CPU and in which task it was
/// (lib/dump_stack.c: `dump_stack_print_info()`).
fn is_fragment(class: Class, text: &str) -> bool {
    match class {
        Class::StackStart | Class::OlderStack | Class::Frame | Class::Counter | Class::End => true,
        Class::Detail => text.starts_with("CPU: ") && text.contains(" Comm: "),
        Class::Rule | Class::Blank | Class::Other => false,
    }
}

/// A hash of a line without its numbers and addresses.
fn rough_hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut within = false;
    for byte in summary::clip(text).bytes() {
        let digit = byte.is_ascii_digit() || within && byte.is_ascii_hexdigit();
        if !digit {
            hasher.write_u8(byte);
        } else if !within {
            hasher.write_u8(b'0');
        }
        within = digit;
    }
    hasher.finish()
}
