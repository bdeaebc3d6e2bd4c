//! What a step costs, against what cannot be left out: the make of its patch, one boot to ssh, its smoke tests.

use super::record::RowRecord;

/// From the request of the restart to the answer over ssh.
pub const BOOT: &str = "boot the debug kernel";
/// What is looked at before that.
pub const CHECKS: &str = "check what is booted";
/// The restart into vanilla.
pub const BACK: &str = "back to vanilla";
/// The tests themselves.
pub const SMOKE: &str = "smoke tests";
/// Phases of make; staging is no part of it.
const MAKE: [&str; 2] = ["configure", "build"];

/// The step as a multiple of the three, in words; make counts with its own time also where it was done before the step began. None where the row had
/// not each of them once.
pub fn sentence(row: &RowRecord) -> Option<String> {
    let sum = |phases: &[(String, f64)], names: &[&str]| -> f64 {
        let named = phases.iter().filter(|(phase, _)| names.contains(&phase.as_str()));
        named.map(|(_, seconds)| seconds).sum()
    };
    let make = sum(&row.ahead, &MAKE) + sum(&row.phases, &MAKE);
    let (boot, tests) = (sum(&row.phases, &[BOOT]), sum(&row.phases, &[SMOKE]));
    let boots = row.spans.iter().filter(|span| span.phase == BOOT).count();
    if boots != 1 || make <= 0.0 || tests <= 0.0 {
        return None;
    }
    Some(format!(
        "step {:.1} s = {:.2} x (make {make:.1} + boot {boot:.1} + tests {tests:.1})",
        row.took_s,
        row.took_s / (make + boot + tests)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::stopwatch::Span;

    #[test]
    fn a_step_is_told_as_a_multiple_of_its_parts() {
        let phases = |named: &[(&str, f64)]| named.iter().map(|(name, s)| (name.to_string(), *s)).collect();
        let boot = Span {
            phase: BOOT.into(),
            from_s: 6.0,
            to_s: 15.0,
        };
        let mut row = RowRecord {
            took_s: 33.06,
            phases: phases(&[("deploy", 6.0), (CHECKS, 1.0), (BOOT, 9.0), (SMOKE, 7.0)]),
            ahead: phases(&[("configure", 0.3), ("build", 6.5), ("stage", 0.7)]),
            spans: vec![boot.clone()],
            ..RowRecord::default()
        };
        assert_eq!(
            sentence(&row).unwrap(),
            "step 33.1 s = 1.45 x (make 6.8 + boot 9.0 + tests 7.0)"
        );
        row.spans.push(boot);
        assert_eq!(sentence(&row), None, "two boots");
        assert_eq!(sentence(&RowRecord::default()), None);
    }
}
