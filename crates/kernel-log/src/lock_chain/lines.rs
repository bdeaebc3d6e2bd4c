//! What the lines of a report say (kernel/locking/lockdep.c; the functions are named where their lines are read).

use super::{Move, Place};
use crate::frames::{self, Trust};
use crate::kind::Kind;
use regex::Regex;
use std::sync::LazyLock;

/// Most locks, uses and moves of one report that are kept: a circle of the kernel is searched to a bounded depth
/// (`MAX_CIRCULAR_QUEUE_SIZE` bounds the search, real ones have under twenty), a hostile log is not.
const MOST: usize = 200;
/// Most functions that are kept of one stack.
pub(super) const DEEPEST: usize = 32;

/// `print_lock_name()`, within any line: ` (name){usage}-{wait types}`.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\((?P<name>\S.*?)\)\{(?P<usage>[^}]*)\}").expect("the pattern is a constant")
});

/// `print_circular_bug_entry()`: `-> #1 (name){…}:`.
static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*-> #(?P<number>\d+)\s").expect("the pattern is a constant"));

/// `print_lock_class_header()`: `-> (name){…} ops: 5 {`.
static CLASS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*-> +\(.*\)\{.*\{\s*$").expect("the pattern is a constant"));

/// A usage of that header: `   IN-SOFTIRQ-W at:`; also `{IN-SOFTIRQ-W} state was registered at:` of `print_usage_bug()`.
static STATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*\{?(?P<state>(?:IN-)?(?:HARDIRQ|SOFTIRQ|RECLAIM_FS)(?:-ON)?-[RW])\}?(?: state was registered)? at:")
        .expect("the pattern is a constant")
});

/// `inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage.`
static INCONSISTENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*inconsistent \{[^}]*\} -> \{(?P<state>[^}]*)\} usage")
        .expect("the pattern is a constant")
});

static TASK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?P<task>\S.*?/\d+)(?: \[.*\])?(?: is trying to acquire| takes:| just changed the state)",
    )
    .expect("the pattern is a constant")
});

/// A lock line and the stack below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub name: String,
    pub usage: Option<String>,
    pub stack: Vec<Place>,
}

/// Which lock the next lock line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Nothing,
    Wanted,
    Held,
    Safe,
    Unsafe,
    Other,
}

/// Where frames go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Nowhere,
    Link,
    Registered,
    Safe,
    Unsafe,
    Acquired,
    ClassUse,
    Backtrace,
}

/// What the words in a line say of the lines below it. `INITIAL USE at:` and `... key at:` are of no use here, but their frames belong
/// to nobody else.
const MARKS: [(&str, Expect, Sink); 15] = [
    ("task is already holding", Expect::Held, Sink::Nowhere),
    ("connects a ", Expect::Safe, Sink::Nowhere),
    ("-irq-safe at:", Expect::Nothing, Sink::Safe),
    ("-irq-unsafe at:", Expect::Nothing, Sink::Unsafe),
    ("but this lock ", Expect::Other, Sink::Nowhere),
    ("acquired at:", Expect::Nothing, Sink::Acquired),
    ("the dependencies between", Expect::Nothing, Sink::Nowhere),
    ("the shortest dependencies", Expect::Nothing, Sink::Nowhere),
    ("INITIAL", Expect::Nothing, Sink::Nowhere),
    ("... key ", Expect::Nothing, Sink::Nowhere),
    ("other info that might", Expect::Nothing, Sink::Nowhere),
    ("irq event stamp", Expect::Nothing, Sink::Nowhere),
    (" held by ", Expect::Nothing, Sink::Nowhere),
    ("stack backtrace:", Expect::Nothing, Sink::Backtrace),
    ("unsafe locking scenario", Expect::Nothing, Sink::Nowhere),
];

/// Which list of dependencies is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// From the lock that interrupts take to the one that is held.
    Before,
    /// From the lock that is wanted to the one that is taken with interrupts on; printed backwards.
    After,
}

/// A lock of `print_shortest_lock_dependencies()`.
#[derive(Debug, Clone, Default)]
pub(super) struct Class {
    pub entry: Entry,
    pub uses: Vec<(String, Vec<Place>)>,
}

/// Collects what the lines say.
pub(super) struct Reader {
    pub kind: Kind,
    pub task: Option<String>,
    expect: Expect,
    sink: Sink,
    part: Part,
    pub wanted: Option<(Entry, Option<Place>)>,
    pub held: Option<(Entry, Option<Place>)>,
    pub safe: Option<Entry>,
    pub not_safe: Option<Entry>,
    pub other: Option<Entry>,
    /// `this lock took another` rather than `was taken by another`.
    pub forwards: bool,
    /// Numbered links of a circle, as printed.
    pub links: Vec<(u32, Entry)>,
    pub registered: Option<(String, Vec<Place>)>,
    pub state_now: Option<String>,
    pub before: Vec<Class>,
    pub after: Vec<Class>,
    pub backtrace: Vec<Place>,
    pub scenario: Vec<Move>,
    in_scenario: bool,
    in_interrupt: bool,
    /// Column where the second CPU begins.
    second: usize,
}

impl Reader {
    pub fn new(kind: Kind) -> Self {
        Reader {
            kind,
            task: None,
            expect: Expect::Nothing,
            sink: Sink::Nowhere,
            part: Part::After,
            wanted: None,
            held: None,
            safe: None,
            not_safe: None,
            other: None,
            forwards: true,
            links: Vec::new(),
            registered: None,
            state_now: None,
            before: Vec::new(),
            after: Vec::new(),
            backtrace: Vec::new(),
            scenario: Vec::new(),
            in_scenario: false,
            in_interrupt: false,
            second: usize::MAX,
        }
    }

    /// Takes the next line, without prefix.
    pub fn line(&mut self, text: &str) {
        if self.section(text) || self.act(text) {
            return;
        }
        if let Some(frame) = frames::frame(text) {
            if frame.trust == Trust::Sure {
                self.place(Place::of(text, &frame));
            }
        } else if let Some(found) = NAME.captures(text) {
            let entry = Entry {
                name: found["name"].to_string(),
                usage: Some(found["usage"].to_string()),
                stack: Vec::new(),
            };
            self.lock(text, entry);
        }
    }

    /// A line that says what follows it.
    fn section(&mut self, text: &str) -> bool {
        if let Some(found) = TASK.captures(text) {
            self.task.get_or_insert_with(|| found["task"].to_string());
            self.expect = Expect::Wanted;
            return true;
        }
        if let Some(found) = INCONSISTENT.captures(text) {
            self.state_now = Some(found["state"].to_string());
            return true;
        }
        if let Some(found) = STATE.captures(text) {
            let state = found["state"].to_string();
            if text.contains("registered") {
                self.registered.get_or_insert((state, Vec::new()));
                self.sink = Sink::Registered;
            } else if let Some(class) = self.classes().last_mut() {
                class.uses.push((state, Vec::new()));
                self.sink = Sink::ClassUse;
            }
            return true;
        }
        let to_unsafe = text.trim_start().starts_with("to a ") && text.contains("-unsafe lock");
        let found = MARKS.iter().find(|(mark, ..)| text.contains(mark));
        let Some((mark, expect, sink)) =
            found
                .copied()
                .or(to_unsafe.then_some(("to a ", Expect::Unsafe, Sink::Nowhere)))
        else {
            return false;
        };
        self.expect = expect;
        self.sink = sink;
        match mark {
            "but this lock " => self.forwards = !text.contains("was taken by another"),
            "the dependencies between" => {
                self.part = if text.contains("to be acquired") {
                    Part::After
                } else {
                    Part::Before
                };
            }
            "the shortest dependencies" => self.part = Part::After,
            "unsafe locking scenario" => self.in_scenario = true,
            " held by " => self.in_scenario = false,
            _ => {}
        }
        true
    }

    /// `print_circular_lock_scenario()`, `print_irq_lock_scenario()`: a column for each CPU.
    fn act(&mut self, text: &str) -> bool {
        if !self.in_scenario {
            return false;
        }
        if let Some(at) = text.find("CPU1") {
            self.second = at.saturating_sub(8);
            return true;
        }
        let act = text.trim().trim_end_matches(';');
        if act.starts_with("*** DEADLOCK") {
            self.in_scenario = false;
            return true;
        }
        let is_act = ["lock(", "rlock(", "sync("]
            .iter()
            .any(|start| act.starts_with(start))
            || act.starts_with("local_irq_disable")
            || act == "<Interrupt>";
        if !is_act || self.scenario.len() >= MOST {
            return false;
        }
        let indent = text.len().saturating_sub(text.trim_start().len());
        let cpu = u8::from(indent >= self.second);
        self.scenario.push(Move {
            cpu,
            act: act.to_string(),
            in_interrupt: self.in_interrupt && cpu == 0 && act != "<Interrupt>",
        });
        self.in_interrupt |= act == "<Interrupt>";
        true
    }

    /// A line that names a lock.
    fn lock(&mut self, text: &str, entry: Entry) {
        if let Some(found) = LINK.captures(text) {
            if self.links.len() < MOST {
                self.links
                    .push((found["number"].parse().unwrap_or(u32::MAX), entry));
            }
            self.sink = Sink::Link;
            return;
        }
        if CLASS.is_match(text) {
            if self.classes().len() < MOST {
                self.classes().push(Class {
                    entry,
                    uses: Vec::new(),
                });
            }
            self.sink = Sink::Nowhere;
            return;
        }
        let at = text.split_once("at: ").and_then(|(_, at)| Place::read(at));
        match self.expect {
            Expect::Wanted => self.wanted = self.wanted.take().or(Some((entry, at))),
            Expect::Held => self.held = self.held.take().or(Some((entry, at))),
            Expect::Safe => self.safe = self.safe.take().or(Some(entry)),
            Expect::Unsafe => self.not_safe = self.not_safe.take().or(Some(entry)),
            Expect::Other => self.other = self.other.take().or(Some(entry)),
            Expect::Nothing => {}
        }
        self.expect = Expect::Nothing;
    }

    fn classes(&mut self) -> &mut Vec<Class> {
        match self.part {
            Part::Before => &mut self.before,
            Part::After => &mut self.after,
        }
    }

    fn place(&mut self, place: Place) {
        let part = self.part;
        let classes = match part {
            Part::Before => &mut self.before,
            Part::After => &mut self.after,
        };
        let stack = match self.sink {
            Sink::Nowhere => None,
            Sink::Link => self.links.last_mut().map(|(_, entry)| &mut entry.stack),
            Sink::Registered => self.registered.as_mut().map(|(_, stack)| stack),
            Sink::Safe => self.safe.as_mut().map(|entry| &mut entry.stack),
            Sink::Unsafe => self.not_safe.as_mut().map(|entry| &mut entry.stack),
            Sink::Acquired => classes.last_mut().map(|class| &mut class.entry.stack),
            Sink::ClassUse => classes
                .last_mut()
                .and_then(|class| class.uses.last_mut())
                .map(|(_, stack)| stack),
            Sink::Backtrace => Some(&mut self.backtrace),
        };
        // Of the backtrace the machinery is many frames, and what matters stands behind it.
        if let Some(stack) = stack
            && stack.len() < 3 * DEEPEST
        {
            stack.push(place);
        }
    }
}
