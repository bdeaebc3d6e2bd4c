//! What a build will have to make, and how much each piece weighs.
//!
//! The pieces come from the kernel's own Makefiles, evaluated by make for this configuration without building anything
//! ([`LISTER`]): `make -n` would have to build the tools of the build first. Their weights come from an earlier build, or from the sizes of the sources.

use super::timeline::Timeline;
use super::work::Work;
use std::collections::HashMap;

/// A makefile that prints `CC path.o` for every object that the folders below `Kbuild` list for this configuration, and `DTC path.dtb`
/// for device trees, one a line. It reads each folder's Kbuild or Makefile as scripts/Makefile.build does, without its rules. Variables:
/// `srctree`, `objtree`, `SRCARCH`, `dts` (empty: no device trees).
pub const LISTER: &str = include_str!("lister.mk");

/// Parts of an earlier build whose speeds are compared.
const PARTS: usize = 4;
/// Slowest part against the fastest up to which the machine is taken to have worked at one speed. Over whole builds it was 1.05 and 1.06 where
/// the build was alone on its machine, 1.9 and 2.2 where other work came and went beside it.
const STEADY: f64 = 1.4;

/// One thing to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Kind and target.
    pub work: Work,
    /// Size of its source, where that is known.
    pub bytes: Option<u64>,
}

/// What is left to do, in seconds.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Seconds of each target that is not done yet.
    waiting: HashMap<String, f64>,
    left: f64,
    measured: bool,
    /// Seconds of targets of an earlier build that no list names: what links and lists.
    known: HashMap<String, f64>,
}

impl Plan {
    /// From pieces and an earlier build's timeline. What the timeline knows is weighed by it and by size, half and half; what it does not know is weighed by size and
    /// brought to the speed of the machine that the timeline is of.
    pub fn of(pieces: &[Piece], earlier: Option<&Timeline>) -> Self {
        let seconds = earlier.map(Timeline::seconds).unwrap_or_default();
        let usual = |piece: &Piece| piece.work.usual_seconds(piece.bytes);
        let (mut measured, mut modelled) = (0.0, 0.0);
        for piece in pieces {
            if let Some(seconds) = seconds.get(piece.work.target.as_str()) {
                measured += seconds;
                modelled += usual(piece);
            }
        }
        let scale = if modelled > 0.0 { measured / modelled } else { 1.0 };
        let mut plan = Plan {
            measured: modelled > 0.0,
            ..Plan::default()
        };
        for piece in pieces {
            let weight = match seconds.get(piece.work.target.as_str()) {
                // What one build saw of one file has the noise of that moment in it.
                Some(seconds) => (seconds + usual(piece) * scale) / 2.0,
                None => usual(piece) * scale,
            };
            plan.add(&piece.work.target, weight);
        }
        if pieces.is_empty() {
            return Plan::default();
        }
        // The way from objects to a kernel: archives, links, symbols, modules. An earlier build knows it; else as long as in the
        // build that the usual seconds are of: 3 % of compiling.
        if plan.measured {
            let last = earlier.map(tail).unwrap_or_default();
            for target in last {
                let weight = seconds.get(target).copied().unwrap_or_default();
                if !plan.waiting.contains_key(target) {
                    plan.add(target, weight);
                }
            }
            plan.known = seconds
                .iter()
                .map(|(target, seconds)| (target.to_string(), *seconds))
                .collect();
        } else {
            plan.add("", 0.03 * plan.left);
        }
        plan
    }

    fn add(&mut self, target: &str, weight: f64) {
        if let Some(before) = self.waiting.insert(target.to_string(), weight) {
            self.left -= before;
        }
        self.left += weight;
    }

    /// A piece is done: gives its seconds and takes them from what is left. One that was not planned weighs what such a thing
    /// usually does, and where a lump for links was planned, that becomes smaller.
    pub fn take(&mut self, work: &Work) -> f64 {
        if let Some(weight) = self.waiting.remove(&work.target) {
            self.left = (self.left - weight).max(0.0);
            return weight;
        }
        let weight = self
            .known
            .get(&work.target)
            .copied()
            .unwrap_or_else(|| work.usual_seconds(None));
        if let Some(lump) = self.waiting.get_mut("") {
            let part = weight.min(*lump);
            *lump -= part;
            self.left = (self.left - part).max(0.0);
        }
        weight
    }

    /// Seconds that are left.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// Whether nothing was ever planned.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.left == 0.0 && self.known.is_empty()
    }

    /// Whether its seconds were measured on this machine, rather than on another.
    pub fn seconds_are_of_this_machine(&self) -> bool {
        self.measured
    }
}

/// Whether an earlier build's seconds may weigh these pieces: its machine worked at one speed all the time, by the pieces that both know. Where
/// other work came and went, its files weigh what the other work did, and sizes of sources alone predict better.
pub fn is_steady(pieces: &[Piece], earlier: &Timeline) -> bool {
    let usual: HashMap<&str, f64> = pieces
        .iter()
        .map(|piece| {
            let seconds = piece.work.usual_seconds(piece.bytes);
            (piece.work.target.as_str(), seconds)
        })
        .collect();
    let common = || {
        earlier
            .steps()
            .filter_map(|(work, took)| Some((took, *usual.get(work.target.as_str())?)))
    };
    let whole: f64 = common().map(|(_, usual)| usual).sum();
    let mut parts = [(0.0, 0.0); PARTS];
    let mut done = 0.0;
    for (took, usual) in common() {
        if let Some(part) = parts.get_mut(((done / whole * PARTS as f64) as usize).min(PARTS - 1)) {
            *part = (part.0 + took, part.1 + usual);
        }
        done += usual;
    }
    let speeds = parts.map(|(took, usual)| took / usual);
    let slowest = speeds.iter().copied().fold(f64::MIN, f64::max);
    let fastest = speeds.iter().copied().fold(f64::MAX, f64::min);
    // A part with nothing in it has no speed: then too little is known.
    speeds.iter().all(|speed| speed.is_finite()) && slowest <= STEADY * fastest
}

/// Targets of a whole build that come behind the last object of the kernel itself.
fn tail(timeline: &Timeline) -> Vec<&str> {
    let targets = timeline.rows.iter().map(|(_, work)| work.target.as_str());
    targets
        .skip_while(|target| !matches!(*target, "vmlinux.o" | "vmlinux.a"))
        .collect()
}

/// The lines of [`LISTER`], each once.
pub fn parse_list(text: &str) -> Vec<Work> {
    let mut seen = std::collections::HashSet::new();
    text.lines()
        .filter_map(|line| {
            let (kind, target) = line.split_once(' ')?;
            let known = matches!(kind, "CC" | "DTC");
            (known && seen.insert(target)).then(|| Work {
                kind: kind.to_string(),
                target: target.to_string(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(target: &str, bytes: u64) -> Piece {
        Piece {
            work: Work {
                kind: "CC".into(),
                target: target.into(),
            },
            bytes: Some(bytes),
        }
    }

    #[test]
    fn what_an_earlier_build_does_not_know_gets_its_speed() {
        let pieces = [piece("a.o", 10_000), piece("b.o", 10_000)];
        let mut earlier = Timeline::default();
        earlier.rows.push((4340, pieces[0].work.clone()));
        let plan = Plan::of(&pieces, Some(&earlier));
        assert!((plan.left() - 2.0 * 4.34).abs() < 1e-9, "{}", plan.left());
    }

    #[test]
    fn an_empty_list_is_no_plan() {
        assert!(Plan::of(&[], None).is_empty());
        assert!(!Plan::of(&[piece("a.o", 1)], None).is_empty());
    }

    #[test]
    fn a_list_is_read_without_doubles_and_without_noise() {
        let list = parse_list(
            "CC init/main.o\nMakefile:3: warning: x\nCC init/main.o\nDTC arch/arm64/boot/dts/a.dtb\n",
        );
        let targets: Vec<&str> = list.iter().map(|work| work.target.as_str()).collect();
        assert_eq!(targets, ["init/main.o", "arch/arm64/boot/dts/a.dtb"]);
    }
}
