//! Where the time of a row went, by phase.

use std::time::Instant;

/// Adds up seconds by phase, in the order in which phases were first seen.
#[derive(Debug, Default)]
pub struct Stopwatch {
    /// Phase and seconds.
    pub phases: Vec<(String, f64)>,
}

impl Stopwatch {
    /// Does `act` and adds its time to `phase`.
    pub fn time<T>(&mut self, phase: &str, act: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let value = act();
        let seconds = started.elapsed().as_secs_f64();
        match self.phases.iter_mut().find(|(name, _)| name == phase) {
            Some((_, sum)) => *sum += seconds,
            None => self.phases.push((phase.to_string(), seconds)),
        }
        value
    }
}
