//! Where the time of a row went, by phase.

use super::phase::{Kind, Phase};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// One stretch of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The phase, by its name.
    pub phase: String,
    /// What kind of work it is; records of before do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Seconds from the start of the row to its beginning.
    pub from_s: f64,
    /// Seconds from the start of the row to its end.
    pub to_s: f64,
}

/// Who is told which phase begins.
pub type Watcher = Arc<dyn Fn(Phase) + Send + Sync>;

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
    pub fn seconds(&self, phase: Phase) -> f64 {
        let known = self.phases.iter().find(|(name, _)| name == phase.name);
        known.map_or(0.0, |(_, seconds)| *seconds)
    }

    /// Gives the last stretch of `phase` to `before`, but for the `seconds` at its end: where only what was done tells when the phase began.
    pub fn began_late(&mut self, phase: Phase, seconds: f64, before: Phase) {
        let mut spans = self.spans.iter_mut().enumerate().rev();
        let Some((at, span)) = spans.find(|(_, span)| span.phase == phase.name) else {
            return;
        };
        let Span { from_s, to_s, .. } = *span;
        let begin = (to_s - seconds).clamp(from_s, to_s);
        span.from_s = begin;
        let earlier = Span {
            phase: before.name.to_string(),
            kind: Some(before.kind),
            from_s,
            to_s: begin,
        };
        self.spans.insert(at, earlier);
        let known = self.phases.iter().position(|(name, _)| name == phase.name);
        if let Some((_, sum)) = known.and_then(|known| self.phases.get_mut(known)) {
            *sum -= begin - from_s;
        }
        match self.phases.iter_mut().find(|(name, _)| name == before.name) {
            Some((_, sum)) => *sum += begin - from_s,
            None => self
                .phases
                .insert(known.unwrap_or(0), (before.name.to_string(), begin - from_s)),
        }
    }

    /// Does `act` and adds its time to `phase`.
    pub fn time<T>(&mut self, phase: Phase, act: impl FnOnce() -> T) -> T {
        if let Some(watcher) = &self.watcher {
            watcher(phase);
        }
        let from_s = self.origin.elapsed().as_secs_f64();
        let value = act();
        let to_s = self.origin.elapsed().as_secs_f64();
        match self.phases.iter_mut().find(|(name, _)| name == phase.name) {
            Some((_, sum)) => *sum += to_s - from_s,
            None => self.phases.push((phase.name.to_string(), to_s - from_s)),
        }
        self.spans.push(Span {
            phase: phase.name.to_string(),
            kind: Some(phase.kind),
            from_s,
            to_s,
        });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::phase::{BOOT, BUILD, CHECKS, SMOKE};
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_phase_that_began_late_leaves_the_rest_to_the_one_before() {
        let mut watch = Stopwatch {
            phases: vec![(BOOT.name.into(), 9.0)],
            spans: vec![Span {
                phase: BOOT.name.into(),
                kind: Some(BOOT.kind),
                from_s: 1.0,
                to_s: 10.0,
            }],
            ..Stopwatch::default()
        };
        watch.began_late(BOOT, 7.0, CHECKS);
        assert_eq!(
            watch.phases,
            [(CHECKS.name.to_string(), 2.0), (BOOT.name.to_string(), 7.0)]
        );
        let spans: Vec<(&str, f64, f64)> = watch
            .spans
            .iter()
            .map(|span| (span.phase.as_str(), span.from_s, span.to_s))
            .collect();
        assert_eq!(spans, [(CHECKS.name, 1.0, 3.0), (BOOT.name, 3.0, 10.0)]);
        watch.began_late(BOOT, 100.0, CHECKS);
        assert_eq!(watch.seconds(BOOT), 7.0, "never more than there was");
        watch.began_late(SMOKE, 1.0, CHECKS);
        assert_eq!(watch.seconds(CHECKS), 2.0);
    }

    #[test]
    fn stretches_keep_their_place_and_phases_their_sum() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let watcher = {
            let told = told.clone();
            Arc::new(move |phase: Phase| told.lock().unwrap().push(phase))
        };
        let mut watch = Stopwatch::watched(watcher);
        for phase in [BUILD, BOOT, BUILD] {
            watch.time(phase, || ());
        }
        assert_eq!(*told.lock().unwrap(), [BUILD, BOOT, BUILD]);
        let names: Vec<&str> = watch.phases.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [BUILD.name, BOOT.name]);
        assert_eq!(watch.spans.len(), 3);
        assert!(watch.spans.windows(2).all(|pair| pair[0].to_s <= pair[1].from_s));
    }
}
