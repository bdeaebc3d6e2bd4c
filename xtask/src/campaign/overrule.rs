//! A person's word on a verdict (invariant 17): when it may be given. The original stays in the record beside it.

use super::journal::past::PastRow;
use super::verdict::Verdict;
use anyhow::{Result, bail};

/// The rule: whether the verdict of this row may be overruled to a pass. Errors say why not.
pub fn may_pass(row: &PastRow) -> Result<()> {
    if super::search::first_of(&row.id).is_some() {
        bail!(
            "step {} is a boot of a search, which gives no verdict on a patch",
            row.id
        );
    }
    let Some(judged) = &row.judged else {
        bail!("step {} has no verdict: there is nothing to overrule", row.id);
    };
    if let Some(word) = &row.overruled {
        bail!(
            "step {} was overruled already by {}: {}",
            row.id,
            word.by,
            word.why
        );
    }
    if row.is_left_out() {
        bail!(
            "step {}: the run went on without its patch, as the campaign asks, so what followed was seen without it",
            row.id
        );
    }
    match judged.verdict {
        Verdict::Pass => bail!("step {} has passed: there is nothing to overrule", row.id),
        Verdict::ReviewMissing => bail!(
            "step {}: a review is given with `cargo xtask review`, and not by overruling",
            row.id
        ),
        Verdict::BuildFailed => bail!(
            "step {}: with its patch there is no kernel, so nobody can let it pass",
            row.id
        ),
        _ if judged.as_declared => bail!(
            "step {}: {} is what the campaign asks for, and did not stop it",
            row.id,
            judged.verdict.text()
        ),
        _ => {}
    }
    if !judged.lockdep_off.is_empty() {
        bail!(
            "step {}: lockdep was off from then on, so nothing later in this boot was checked; that cannot be accepted away: {}",
            row.id,
            judged.lockdep_off.join("; ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::journal::past::Judged;
    use crate::campaign::record::Overruled;

    fn row(id: &str, verdict: Verdict) -> PastRow {
        PastRow {
            id: id.into(),
            judged: Some(Judged {
                verdict,
                reasons: Vec::new(),
                as_declared: false,
                lockdep_off: Vec::new(),
                record: None,
                seen: None,
            }),
            ..PastRow::default()
        }
    }

    fn refused(row: &PastRow) -> String {
        format!("{:#}", may_pass(row).unwrap_err())
    }

    #[test]
    fn a_bad_boot_may_be_overruled_and_what_is_no_judgement_may_not() {
        for verdict in [
            Verdict::Regression,
            Verdict::Flaky,
            Verdict::SmokeFailed,
            Verdict::NotExercised,
        ] {
            may_pass(&row("2.2", verdict)).unwrap();
        }
        assert!(refused(&row("2.2", Verdict::Pass)).contains("has passed"));
        assert!(refused(&row("2.2", Verdict::BuildFailed)).contains("no kernel"));
        assert!(refused(&row("2.2", Verdict::ReviewMissing)).contains("cargo xtask review"));
        assert!(refused(&row("s3", Verdict::Regression)).contains("search"));
        assert!(refused(&PastRow::default()).contains("no verdict"));
        let mut twice = row("2.2", Verdict::Regression);
        twice.overruled = Some(Overruled {
            verdict: Verdict::Pass,
            by: "Ann".into(),
            why: "known".into(),
            time: String::new(),
        });
        assert!(refused(&twice).contains("already by Ann"));
    }

    #[test]
    fn what_switched_lockdep_off_is_never_accepted_away() {
        let mut row = row("2.2", Verdict::Regression);
        if let Some(judged) = &mut row.judged {
            judged.lockdep_off.push("circular locking".into());
        }
        assert!(refused(&row).contains("cannot be accepted away: circular locking"));
    }
}
