//! The order of locks that a lockdep report proves to be unsafe, as a structure: which locks, in which order, who took what
//! where, and how that ends in a deadlock.
//!
//! A report of kernel/locking/lockdep.c names an order in its own way for each fault. Here all have one form: locks, edges
//! ("this one was taken while that one was held"), uses ("taken in a softirq") and the scenario that the kernel prints.

mod lines;
mod read;

use super::finding::Finding;
use super::frames::{self, Frame};
use serde::{Deserialize, Serialize};

pub use read::read;

/// What is wrong with the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The edges close to a circle (`print_circular_bug()`).
    Circle,
    /// A lock is taken while the task holds one of its class (`print_deadlock_bug()`).
    Recursion,
    /// One lock, taken in an interrupt, and elsewhere with interrupts on (`print_usage_bug()`).
    Usage,
    /// A lock that interrupts take leads to one that is taken with interrupts on (`print_bad_irq_dependency()`,
    /// `print_irq_inversion_bug()`).
    Interrupt,
}

/// The locks of one report and their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockChain {
    /// What is wrong.
    pub shape: Shape,
    /// The task that made the report, `name/pid`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<String>,
    /// Each lock class once. A circle begins with the lock that the task wanted.
    pub locks: Vec<LockClass>,
    /// The order, as far as the report tells it. The last one is what the task was about to do.
    pub edges: Vec<Edge>,
    /// How a lock was used, where that matters.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub uses: Vec<Use>,
    /// The kernel's own example of how it ends in a deadlock.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scenario: Vec<Move>,
    /// Nothing that such a report has is missing from it: a log that lost lines gives an incomplete one.
    pub complete: bool,
}

/// A lock class as lockdep names it (`__print_lock_name()`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockClass {
    /// The name without number and subclass: `&lo->lo_ctl_mutex`.
    pub name: String,
    /// `#2`: the second class of that name. It depends on the order in which the classes came to be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<u32>,
    /// `/1`: the subclass that `mutex_lock_nested(.., 1)` gives.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subclass: Option<u32>,
    /// Usage letters (Documentation/locking/lockdep-design.rst): `+.+.`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<String>,
}

/// One lock was taken while another was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Edge {
    /// Index of the lock that was held.
    pub held: usize,
    /// Index of the lock that was taken.
    pub taken: usize,
    /// Who took it, innermost first, without the machinery of locks.
    pub taken_by: Vec<Place>,
    /// Who had taken the one that was held; told only for what the task did just now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_since: Option<Place>,
    /// What the task was about to do when the kernel complained; the others happened before.
    pub now: bool,
}

/// How a lock was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Use {
    /// Index of the lock.
    pub lock: usize,
    /// In which state: `in softirq`, `with softirqs on`.
    pub state: String,
    /// Who, innermost first.
    pub taken_by: Vec<Place>,
    /// What the task did when the kernel complained.
    pub now: bool,
}

/// A function in a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Place {
    /// Its name.
    pub function: String,
    /// Its module.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
    /// As the kernel printed it, for the symboliser: `take_ab+0x3c/0x60 [mod]`.
    pub frame: String,
    /// Where that is in the source, once a symboliser has told it: `drivers/x.c:12`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
}

/// One act of the kernel's example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Move {
    /// Which CPU, from 0.
    pub cpu: u8,
    /// `lock(a)`, `local_irq_disable()`, `<Interrupt>`.
    pub act: String,
    /// Within the interrupt before it.
    pub in_interrupt: bool,
}

impl LockChain {
    /// The chain of a finding; `None` when it is no report about the order of locks.
    pub fn of(finding: &Finding) -> Option<Self> {
        read(finding.kind, &finding.excerpt)
    }

    /// Name of a lock as it is shown: with its number only where a namesake is in the same chain.
    pub fn name(&self, index: usize) -> String {
        let Some(lock) = self.locks.get(index) else {
            return "?".to_string();
        };
        let namesakes = self
            .locks
            .iter()
            .filter(|other| other.name == lock.name && other.number != lock.number);
        let mut name = lock.name.clone();
        if let (Some(number), 1..) = (lock.number, namesakes.count()) {
            name.push_str(&format!("#{number}"));
        }
        if let Some(subclass) = lock.subclass {
            name.push_str(&format!("/{subclass}"));
        }
        name
    }

    /// One line: `a → b → a`.
    pub fn headline(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        let mut last = None;
        for edge in &self.edges {
            if last != Some(edge.held) {
                names.push(self.name(edge.held));
            }
            names.push(self.name(edge.taken));
            last = Some(edge.taken);
        }
        if names.is_empty() {
            names.extend((0..self.locks.len()).map(|index| self.name(index)));
        }
        names.join(" → ")
    }

    /// The chain in a few lines: the order, then who took what where.
    pub fn text(&self) -> Vec<String> {
        let mut lines = vec![self.headline()];
        for edge in &self.edges {
            let since = edge
                .held_since
                .as_ref()
                .map_or(String::new(), |place| format!(" since {}", place.shown()));
            let tense = if edge.now { "now wanted" } else { "taken" };
            lines.push(format!(
                "{} {tense} by {}, {} held{since}",
                self.name(edge.taken),
                by(&edge.taken_by),
                self.name(edge.held),
            ));
        }
        for used in &self.uses {
            let tense = if used.now { "now taken" } else { "taken" };
            lines.push(format!(
                "{} {tense} {} by {}",
                self.name(used.lock),
                used.state,
                by(&used.taken_by)
            ));
        }
        if !self.complete {
            lines.push("part of the report is missing from the log".to_string());
        }
        lines
    }
}

impl LockChain {
    /// Puts in where each function is in the source; `at` is asked by [`Place::frame`].
    pub fn locate(&mut self, at: &dyn Fn(&str) -> Option<String>) {
        let edges = self
            .edges
            .iter_mut()
            .flat_map(|edge| edge.taken_by.iter_mut().chain(&mut edge.held_since));
        let uses = self.uses.iter_mut().flat_map(|one| &mut one.taken_by);
        for place in edges.chain(uses) {
            place.at = at(&place.frame);
        }
    }
}

impl Place {
    fn of(text: &str, frame: &Frame) -> Self {
        let text = text.trim();
        // Without what stands before it (an address, a question mark) and behind it; a decoded frame has its function only.
        let shown = text.split_once("/0x").map_or(frame.function, |(head, size)| {
            let digits = size.bytes().take_while(u8::is_ascii_hexdigit).count();
            let end = head.len().saturating_add(3).saturating_add(digits);
            let whole = text.get(..end).unwrap_or(text);
            whole.rsplit([' ', ']', '(']).next().unwrap_or(whole)
        });
        let module = frame
            .module
            .map_or(String::new(), |module| format!(" [{module}]"));
        Place {
            function: frame.function.to_string(),
            module: frame.module.map(String::from),
            frame: format!("{shown}{module}"),
            at: None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        frames::frame(text.trim()).map(|frame| Place::of(text, &frame))
    }

    /// `take_ab() [mod]`.
    pub fn shown(&self) -> String {
        match &self.module {
            Some(module) => format!("{}() [{module}]", self.function),
            None => format!("{}()", self.function),
        }
    }
}

/// The innermost and who called it.
fn by(places: &[Place]) -> String {
    match places {
        [] => "someone the log does not name".to_string(),
        [one] => one.shown(),
        [one, caller, ..] => format!("{}, called by {}", one.shown(), caller.shown()),
    }
}

#[cfg(test)]
#[path = "lock_chain_tests.rs"]
mod tests;
