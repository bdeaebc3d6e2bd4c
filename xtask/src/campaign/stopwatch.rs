//! Where the time of a row went, by phase.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// One stretch of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The phase.
    pub phase: String,
    /// Seconds from the start of the row to its beginning.
    pub from_s: f64,
    /// Seconds from the start of the row to its end.
    pub to_s: f64,
}

/// Who is told which phase begins.
pub type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

/// Adds up seconds by phase, in the order in which phases were first seen.
pub struct Stopwatch {
    origin: Instant,
    watcher: Option<Watcher>,
    /// Phase and seconds.
    pub phases: Vec<(String, f64)>,
    /// Every stretch, in the order in which they ended.
    pub spans: Vec<Span>,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Stopwatch {
            origin: Instant::now(),
            watcher: None,
            phases: Vec::new(),
            spans: Vec::new(),
        }
    }
}

impl Stopwatch {
    /// A stopwatch that starts now and tells `watcher` of each phase that begins.
    pub fn watched(watcher: Watcher) -> Self {
        Stopwatch {
            watcher: Some(watcher),
            ..Stopwatch::default()
        }
    }

    /// Seconds of a phase so far.
    pub fn seconds(&self, phase: &str) -> f64 {
        let known = self.phases.iter().find(|(name, _)| name == phase);
        known.map_or(0.0, |(_, seconds)| *seconds)
    }

    /// Gives the last stretch of `phase` to `before`, but for the `seconds` at its end: where only what was done tells when the phase began.
    pub fn began_late(&mut self, phase: &str, seconds: f64, before: &str) {
        let mut spans = self.spans.iter_mut().enumerate().rev();
        let Some((at, span)) = spans.find(|(_, span)| span.phase == phase) else {
            return;
        };
        let Span { from_s, to_s, .. } = *span;
        let begin = (to_s - seconds).clamp(from_s, to_s);
        span.from_s = begin;
        let earlier = Span {
            phase: before.to_string(),
            from_s,
            to_s: begin,
        };
        self.spans.insert(at, earlier);
        let known = self.phases.iter().position(|(name, _)| name == phase);
        if let Some((_, sum)) = known.and_then(|known| self.phases.get_mut(known)) {
            *sum -= begin - from_s;
        }
        match self.phases.iter_mut().find(|(name, _)| name == before) {
            Some((_, sum)) => *sum += begin - from_s,
            None => self
                .phases
                .insert(known.unwrap_or(0), (before.to_string(), begin - from_s)),
        }
    }

    /// Does `act` and adds its time to `phase`.
    pub fn time<T>(&mut self, phase: &str, act: impl FnOnce() -> T) -> T {
        if let Some(watcher) = &self.watcher {
            watcher(phase);
        }
        let from_s = self.origin.elapsed().as_secs_f64();
        let value = act();
        let to_s = self.origin.elapsed().as_secs_f64();
        match self.phases.iter_mut().find(|(name, _)| name == phase) {
            Some((_, sum)) => *sum += to_s - from_s,
            None => self.phases.push((phase.to_string(), to_s - from_s)),
        }
        self.spans.push(Span {
            phase: phase.to_string(),
            from_s,
            to_s,
        });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_phase_that_began_late_leaves_the_rest_to_the_one_before() {
        let mut watch = Stopwatch {
            phases: vec![("boot".into(), 9.0)],
            spans: vec![Span {
                phase: "boot".into(),
                from_s: 1.0,
                to_s: 10.0,
            }],
            ..Stopwatch::default()
        };
        watch.began_late("boot", 7.0, "check");
        assert_eq!(
            watch.phases,
            [("check".to_string(), 2.0), ("boot".to_string(), 7.0)]
        );
        let spans: Vec<(&str, f64, f64)> = watch
            .spans
            .iter()
            .map(|span| (span.phase.as_str(), span.from_s, span.to_s))
            .collect();
        assert_eq!(spans, [("check", 1.0, 3.0), ("boot", 3.0, 10.0)]);
        watch.began_late("boot", 100.0, "check");
        assert_eq!(watch.seconds("boot"), 7.0, "never more than there was");
        watch.began_late("tests", 1.0, "check");
        assert_eq!(watch.seconds("check"), 2.0);
    }

    #[test]
    fn stretches_keep_their_place_and_phases_their_sum() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let watcher = {
            let told = told.clone();
            Arc::new(move |phase: &str| told.lock().unwrap().push(phase.to_string()))
        };
        let mut watch = Stopwatch::watched(watcher);
        for phase in ["build", "boot", "build"] {
            watch.time(phase, || ());
        }
        assert_eq!(*told.lock().unwrap(), ["build", "boot", "build"]);
        let names: Vec<&str> = watch.phases.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["build", "boot"]);
        assert_eq!(watch.spans.len(), 3);
        assert!(watch.spans.windows(2).all(|pair| pair[0].to_s <= pair[1].from_s));
    }
}
