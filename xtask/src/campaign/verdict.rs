//! Verdicts: what one boot of one step showed, by a rule over values.

use serde::{Deserialize, Serialize};

/// What one step's boot showed. A wrong kernel, a dead checker, a lost connection, an incomplete log and "not
/// exercised" are verdicts of their own, never a pass (invariant 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that invariant 15 asks for is proven.
    Pass,
    /// All is well, but nothing shows that the patch's code ran.
    NotExercised,
    /// The kernel said something that the baseline lacks.
    Regression,
    /// A smoke test ended with a wrong status, a wrong output, or not at all.
    SmokeFailed,
    /// What booted is not this build.
    WrongKernel,
    /// Lockdep (or whatever the profile checks with) is no longer alive.
    DeadChecker,
    /// The board did not come up, or stopped answering.
    LostConnection,
    /// The kernel log has gaps: it proves nothing.
    IncompleteLog,
    /// With this patch the kernel does not build, or its configuration does not come true: nothing was booted.
    BuildFailed,
    /// The patch does not apply on what is there: nothing was changed and nothing was booted.
    DoesNotApply,
    /// The compiler warns about a file of this patch as it did not before it; all else is as it should be.
    BuildWarning,
    /// Of several boots of the same build some were good and some were not.
    Flaky,
    /// The campaign asks for a review that approves this very patch, and there is none: nothing was applied.
    ReviewMissing,
}

impl Verdict {
    /// In print.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::NotExercised => "not exercised",
            Verdict::Regression => "regression",
            Verdict::SmokeFailed => "smoke test failed",
            Verdict::WrongKernel => "wrong kernel",
            Verdict::DeadChecker => "dead checker",
            Verdict::LostConnection => "lost connection",
            Verdict::IncompleteLog => "incomplete log",
            Verdict::BuildFailed => "build failed",
            Verdict::DoesNotApply => "does not apply",
            Verdict::BuildWarning => "build warning",
            Verdict::Flaky => "flaky",
            Verdict::ReviewMissing => "review missing",
        }
    }

    /// Whether it says that the patched kernel was seen to be bad, or could not be shown to be good: another boot does not change
    /// that. "Review missing" says nothing about the kernel.
    pub fn is_a_failure(self) -> bool {
        !matches!(self, Verdict::Pass | Verdict::ReviewMissing)
    }
}

/// The verdict on several boots of one build (`--repeat`), from the verdict of each. `declared` is true of a verdict that is all the
/// campaign asks for. Good and bad boots together are [`Verdict::Flaky`], with how many were bad.
pub fn of_repeats(
    boots: &[(Verdict, Vec<String>)],
    declared: impl Fn(Verdict) -> bool,
) -> (Verdict, Vec<String>) {
    let good = |verdict: Verdict| verdict == Verdict::Pass || declared(verdict);
    let bad: Vec<&(Verdict, Vec<String>)> = boots.iter().filter(|(verdict, _)| !good(*verdict)).collect();
    let Some((first, reasons)) = bad.first() else {
        // One boot that did not run the code is enough for "not exercised".
        let weakest = boots.iter().find(|(verdict, _)| *verdict != Verdict::Pass);
        return weakest.cloned().unwrap_or((Verdict::Pass, Vec::new()));
    };
    if boots.len() == 1 {
        return (*first, reasons.clone());
    }
    let verdict = if bad.len() == boots.len() {
        *first
    } else {
        Verdict::Flaky
    };
    let names: Vec<&str> = bad.iter().map(|(verdict, _)| verdict.text()).collect();
    let mut all = vec![format!(
        "{} of {} boots were bad: {}",
        bad.len(),
        boots.len(),
        names.join(", ")
    )];
    for reason in bad.iter().flat_map(|(_, reasons)| reasons) {
        if !all.contains(reason) {
            all.push(reason.clone());
        }
    }
    (verdict, all)
}

/// What was seen of one boot, reduced to what the verdict needs. Each list holds reasons for a person; empty is good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Why this is not the build that was deployed.
    pub wrong_kernel: Vec<String>,
    /// Why the connection counts as lost: no answer, a reset in the middle.
    pub lost: Vec<String>,
    /// Titles of findings that the baseline lacks.
    pub new_findings: Vec<String>,
    /// Why the checkers are dead.
    pub dead_checkers: Vec<String>,
    /// Smoke tests that failed, with the reason.
    pub failed_tests: Vec<String>,
    /// Why the log is incomplete.
    pub log_gaps: Vec<String>,
    /// What the compiler newly says about files of the patch.
    pub warnings: Vec<String>,
    /// Functions that should have run and did not.
    pub not_run: Vec<String>,
}

/// The rule. The order is the order of what names the fault best: a splat explains why a checker is dead, why a test failed or why
/// the board is gone; a board that is gone explains an incomplete log; a wrong kernel makes all the rest
/// meaningless.
pub fn judge(seen: &Seen) -> (Verdict, Vec<String>) {
    let ranked = [
        (Verdict::WrongKernel, &seen.wrong_kernel),
        (Verdict::Regression, &seen.new_findings),
        (Verdict::LostConnection, &seen.lost),
        (Verdict::DeadChecker, &seen.dead_checkers),
        (Verdict::SmokeFailed, &seen.failed_tests),
        (Verdict::IncompleteLog, &seen.log_gaps),
        (Verdict::BuildWarning, &seen.warnings),
        (Verdict::NotExercised, &seen.not_run),
    ];
    match ranked.iter().find(|(_, reasons)| !reasons.is_empty()) {
        None => (Verdict::Pass, Vec::new()),
        Some((verdict, _)) => {
            let reasons = ranked
                .iter()
                .flat_map(|(_, reasons)| reasons.iter().cloned())
                .collect();
            (*verdict, reasons)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(change: impl Fn(&mut Seen)) -> Verdict {
        let mut seen = Seen::default();
        change(&mut seen);
        judge(&seen).0
    }

    #[test]
    fn nothing_wrong_is_a_pass() {
        assert_eq!(verdict(|_| {}), Verdict::Pass);
    }

    #[test]
    fn each_doubt_alone_is_a_verdict_of_its_own() {
        let why = || vec!["why".to_string()];
        assert_eq!(verdict(|s| s.wrong_kernel = why()), Verdict::WrongKernel);
        assert_eq!(verdict(|s| s.lost = why()), Verdict::LostConnection);
        assert_eq!(verdict(|s| s.new_findings = why()), Verdict::Regression);
        assert_eq!(verdict(|s| s.dead_checkers = why()), Verdict::DeadChecker);
        assert_eq!(verdict(|s| s.failed_tests = why()), Verdict::SmokeFailed);
        assert_eq!(verdict(|s| s.log_gaps = why()), Verdict::IncompleteLog);
        assert_eq!(verdict(|s| s.warnings = why()), Verdict::BuildWarning);
        assert_eq!(verdict(|s| s.not_run = why()), Verdict::NotExercised);
    }

    #[test]
    fn good_and_bad_boots_together_are_flaky_and_never_a_pass() {
        let boot = |verdict: Verdict| (verdict, vec![format!("{verdict:?}")]);
        let never = |_| false;
        let judge = |boots: &[Verdict]| {
            let boots: Vec<_> = boots.iter().copied().map(boot).collect();
            of_repeats(&boots, never)
        };
        use Verdict::{Flaky, LostConnection, NotExercised, Pass, Regression};
        assert_eq!(judge(&[Pass, Pass]).0, Pass);
        assert_eq!(judge(&[Regression, Regression]).0, Regression);
        assert_eq!(judge(&[Regression]), (Regression, vec!["Regression".to_string()]));
        assert_eq!(judge(&[Pass, NotExercised]).0, Flaky);
        let (verdict, reasons) = judge(&[Pass, Regression, Pass, LostConnection, Pass]);
        assert_eq!(verdict, Flaky);
        assert_eq!(
            reasons,
            [
                "2 of 5 boots were bad: regression, lost connection",
                "Regression",
                "LostConnection"
            ]
        );
        let declared = |verdict| verdict == NotExercised;
        assert_eq!(
            of_repeats(&[boot(NotExercised), boot(NotExercised)], declared).0,
            NotExercised
        );
        assert_eq!(
            of_repeats(&[boot(NotExercised), boot(Regression)], declared).0,
            Flaky
        );
    }

    #[test]
    fn a_splat_names_the_fault_and_the_rest_stays_in_the_reasons() {
        let seen = Seen {
            new_findings: vec!["circular locking".into()],
            dead_checkers: vec!["debug_locks is 0".into()],
            failed_tests: vec!["probe: exit 2".into()],
            ..Seen::default()
        };
        let (verdict, reasons) = judge(&seen);
        assert_eq!(verdict, Verdict::Regression);
        assert_eq!(reasons, ["circular locking", "debug_locks is 0", "probe: exit 2"]);
    }
}
