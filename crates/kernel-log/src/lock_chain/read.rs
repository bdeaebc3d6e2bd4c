//! Makes a [`LockChain`] of what the lines of a report say.

use super::lines::{DEEPEST, Entry, Reader};
use super::{Edge, LockChain, LockClass, Place, Shape, Use};
use crate::kind::Kind;
use crate::machinery;

/// Reads the lines of a report of this kind, without their prefixes. `None`: it is not about the order of locks, or names none.
pub fn read<S: AsRef<str>>(kind: Kind, lines: &[S]) -> Option<LockChain> {
    let shape = match kind {
        Kind::CircularLocking => Shape::Circle,
        Kind::RecursiveLocking => Shape::Recursion,
        Kind::InconsistentLockState => Shape::Usage,
        Kind::IrqLockInversion => Shape::Interrupt,
        _ => return None,
    };
    let mut reader = Reader::new(kind);
    for line in lines {
        reader.line(line.as_ref());
    }
    let chain = reader.chain(shape);
    (!chain.locks.is_empty()).then_some(chain)
}

impl Reader {
    fn chain(mut self, shape: Shape) -> LockChain {
        let mut chain = LockChain {
            shape,
            task: self.task.take(),
            locks: Vec::new(),
            edges: Vec::new(),
            uses: Vec::new(),
            scenario: std::mem::take(&mut self.scenario),
            complete: false,
        };
        let told = match shape {
            Shape::Circle => self.circle(&mut chain),
            Shape::Recursion => self.recursion(&mut chain),
            Shape::Usage => self.usage(&mut chain),
            Shape::Interrupt if self.other.is_some() => self.inversion(&mut chain),
            Shape::Interrupt => self.interrupt(&mut chain),
        };
        let named = chain.edges.iter().all(|edge| !edge.taken_by.is_empty())
            && chain.uses.iter().all(|used| !used.taken_by.is_empty());
        chain.complete = told && named && !chain.scenario.is_empty();
        chain
    }

    /// `print_circular_bug()`: links are printed in reverse order; each was taken with the one of the next lower number held,
    /// and `#0` with the highest.
    fn circle(&mut self, chain: &mut LockChain) -> bool {
        let mut links = std::mem::take(&mut self.links);
        links.sort_by_key(|(number, _)| *number);
        links.dedup_by_key(|(number, _)| *number);
        let unbroken = links
            .iter()
            .enumerate()
            .all(|(at, (number, _))| *number as usize == at);
        let indices: Vec<usize> = links.iter().map(|(_, entry)| index(chain, entry)).collect();
        for (pair, (_, taken)) in indices.windows(2).zip(links.iter().skip(1)) {
            let [held, index] = *pair else { continue };
            chain.edges.push(Edge {
                held,
                taken: index,
                taken_by: self.culprits(&taken.stack),
                held_since: None,
                now: false,
            });
        }
        let wanted = self.wanted.as_ref().map(|(entry, _)| index(chain, entry));
        let held = self.held.as_ref().map(|(entry, _)| index(chain, entry));
        if let (Some(taken), Some(held)) = (wanted, held) {
            chain.edges.push(self.last(taken, held));
        }
        unbroken
            && links.len() > 1
            && wanted.is_some()
            && wanted == indices.first().copied()
            && held == indices.last().copied()
    }

    /// `print_deadlock_bug()`.
    fn recursion(&self, chain: &mut LockChain) -> bool {
        let (Some((wanted, _)), Some((held, _))) = (&self.wanted, &self.held) else {
            chain
                .locks
                .extend(self.wanted.as_ref().map(|(entry, _)| class(entry)));
            return false;
        };
        let held = index(chain, held);
        let taken = index(chain, wanted);
        chain.edges.push(self.last(taken, held));
        true
    }

    /// `print_usage_bug()`.
    fn usage(&self, chain: &mut LockChain) -> bool {
        let Some((entry, _)) = &self.wanted else {
            return false;
        };
        let lock = index(chain, entry);
        if let Some((state, stack)) = &self.registered {
            chain.uses.push(Use {
                lock,
                state: state_in_words(state),
                taken_by: self.culprits(stack),
                now: false,
            });
        }
        if let Some(state) = &self.state_now {
            chain.uses.push(Use {
                lock,
                state: state_in_words(state),
                taken_by: self.now(),
                now: true,
            });
        }
        chain.uses.len() == 2
    }

    /// `print_bad_irq_dependency()`: safe → … → held → wanted → … → unsafe. Each stack of the first part shows how that lock was
    /// taken; before 5.8 how the next one was, and then the first lock has one, too.
    fn interrupt(&self, chain: &mut LockChain) -> bool {
        let mut order: Vec<(Entry, bool)> = self.before.iter().map(|c| (c.entry.clone(), false)).collect();
        if self
            .before
            .first()
            .is_some_and(|first| !first.entry.stack.is_empty())
        {
            let stacks: Vec<_> = order.iter().map(|(entry, _)| entry.stack.clone()).collect();
            for ((entry, _), before) in order.iter_mut().skip(1).zip(stacks) {
                entry.stack = before;
            }
        }
        if let Some((held, _)) = &self.held
            && order.last().is_none_or(|(last, _)| last.name != held.name)
        {
            order.push((held.clone(), false));
        }
        let mut after: Vec<Entry> = self.after.iter().rev().map(|c| c.entry.clone()).collect();
        if let Some((wanted, _)) = &self.wanted {
            if after.first().is_none_or(|first| first.name != wanted.name) {
                after.insert(0, wanted.clone());
            }
            order.extend(after.into_iter().enumerate().map(|(at, entry)| (entry, at == 0)));
        }
        for pair in order.windows(2) {
            let [(one, _), (other, is_now)] = pair else {
                continue;
            };
            let (held, taken) = (index(chain, one), index(chain, other));
            let edge = if *is_now {
                self.last(taken, held)
            } else {
                Edge {
                    held,
                    taken,
                    taken_by: self.culprits(&other.stack),
                    held_since: None,
                    now: false,
                }
            };
            chain.edges.push(edge);
        }
        for (entry, state) in [
            (&self.safe, "in an interrupt"),
            (&self.not_safe, "with interrupts on"),
        ] {
            if let Some(entry) = entry {
                let lock = index(chain, entry);
                chain.uses.push(Use {
                    lock,
                    state: state.to_string(),
                    taken_by: self.culprits(&entry.stack),
                    now: false,
                });
            }
        }
        chain.uses.len() == 2 && !chain.edges.is_empty()
    }

    /// `print_irq_inversion_bug()`: the path leads from this lock to the other, or the other way round.
    fn inversion(&self, chain: &mut LockChain) -> bool {
        let (Some((this, _)), Some(other)) = (&self.wanted, &self.other) else {
            return false;
        };
        let mut path: Vec<Entry> = self.after.iter().map(|class| class.entry.clone()).collect();
        if path.first().is_none_or(|first| first.name != other.name) {
            path.insert(0, other.clone());
        }
        if path.last().is_none_or(|last| last.name != this.name) {
            path.push(this.clone());
        }
        for pair in path.windows(2) {
            let [one, other] = pair else { continue };
            let (upper, lower) = (index(chain, one), index(chain, other));
            let (held, taken) = if self.forwards {
                (lower, upper)
            } else {
                (upper, lower)
            };
            chain.edges.push(Edge {
                held,
                taken,
                taken_by: self.culprits(&one.stack),
                held_since: None,
                now: false,
            });
        }
        if self.forwards {
            chain.edges.reverse();
        }
        let lock = index(chain, this);
        let state = if self.forwards {
            "in an interrupt"
        } else {
            "with interrupts on"
        };
        chain.uses.push(Use {
            lock,
            state: state.to_string(),
            taken_by: self.now(),
            now: true,
        });
        let wanted = if self.forwards { "-ON-" } else { "IN-" };
        let earlier = self
            .after
            .iter()
            .find(|class| class.entry.name == other.name)
            .and_then(|class| class.uses.iter().find(|(state, _)| state.contains(wanted)));
        if let Some((state, stack)) = earlier {
            let lock = index(chain, other);
            chain.uses.push(Use {
                lock,
                state: state_in_words(state),
                taken_by: self.culprits(stack),
                now: false,
            });
        }
        chain.uses.len() == 2
    }

    /// The edge that the task was about to make.
    fn last(&self, taken: usize, held: usize) -> Edge {
        Edge {
            held,
            taken,
            taken_by: self.now(),
            held_since: self.held.as_ref().and_then(|(_, at)| at.clone()),
            now: true,
        }
    }

    /// Who takes the lock now: where the kernel says so, and its callers from the stack at the end.
    fn now(&self) -> Vec<Place> {
        let Some(at) = self.wanted.as_ref().and_then(|(_, at)| at.as_ref()) else {
            return self.culprits(&self.backtrace);
        };
        let from = self
            .backtrace
            .iter()
            .position(|place| place.frame == at.frame || place.function == at.function);
        let mut stack = vec![at.clone()];
        stack.extend(
            from.into_iter()
                .flat_map(|from| self.backtrace.iter().skip(from).skip(1).cloned()),
        );
        self.culprits(&stack)
    }

    /// Without the machinery of locks; where there is nothing else, all of it.
    fn culprits(&self, stack: &[Place]) -> Vec<Place> {
        let first = stack
            .iter()
            .position(|place| !machinery::machinery(&place.function, self.kind));
        stack
            .iter()
            .skip(first.unwrap_or(0))
            .take(DEEPEST)
            .cloned()
            .collect()
    }
}

/// Index of a lock class in the chain; it is added where it is new. `#2` and `/1` make another class.
fn index(chain: &mut LockChain, entry: &Entry) -> usize {
    let new = class(entry);
    let same =
        |lock: &LockClass| (&lock.name, lock.number, lock.subclass) == (&new.name, new.number, new.subclass);
    if let Some(at) = chain.locks.iter().position(same) {
        return at;
    }
    chain.locks.push(new);
    chain.locks.len().saturating_sub(1)
}

/// `__print_lock_name()`: `name#number/subclass`.
fn class(entry: &Entry) -> LockClass {
    let (rest, subclass) = numbered(&entry.name, '/');
    let (name, number) = numbered(rest, '#');
    LockClass {
        name: name.to_string(),
        number,
        subclass,
        usage: entry.usage.clone(),
    }
}

fn numbered(text: &str, mark: char) -> (&str, Option<u32>) {
    match text.rsplit_once(mark) {
        Some((head, tail)) if !head.is_empty() => match tail.parse() {
            Ok(number) => (head, Some(number)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

/// `IN-SOFTIRQ-W` → `in softirq`, `SOFTIRQ-ON-W` → `with softirqs on` (lockdep_states.h; W and R: for writing, for reading).
fn state_in_words(state: &str) -> String {
    let reading = if state.ends_with("-R") { " for reading" } else { "" };
    let bare = state.trim_end_matches("-W").trim_end_matches("-R");
    let words = match (bare.strip_prefix("IN-"), bare.strip_suffix("-ON")) {
        (Some(context), _) => format!("in {}", context.to_lowercase()),
        (_, Some(context)) => format!("with {}s on", context.to_lowercase()),
        _ => state.to_string(),
    };
    format!("{words}{reading}")
}
