//! Escalation: a step that wedged without a word is done again on the kernel of another checker, as `escalate` of the campaign asks. Rules over
//! values; the engine's `escalating` does it.
//!
//! Each profile has two rows behind the step: the other kernel without the patch, since what it says by itself is not known, then with it. They
//! use the campaign's one label and one slot: whatever brings a board home (resume, abort, rollback) knows that label and no other.

use super::file::Campaign;
use super::journal::past::{Past, PastRow, Way};
use super::record::{End, RowRecord, RunRecord};
use super::search;
use super::verdict::Verdict;
use crate::kernel::profile;

/// What is offered where a campaign names nothing, in this order: use after free first, then races, which cost more.
const ORDER: &[&str] = &["kasan", "kcsan"];

/// The end of the number of a row without the patch.
const WITHOUT: &str = "-without";

/// Row of the other kernel without the patch. No step has a `+` in its number.
pub fn without(step: &str, profile: &str) -> String {
    format!("{step}+{profile}{WITHOUT}")
}

/// Row of the other kernel with the patch.
pub fn with(step: &str, profile: &str) -> String {
    format!("{step}+{profile}")
}

/// Whether a row belongs to an escalation.
pub fn is_one(row: &str) -> bool {
    row.contains('+')
}

/// The step that asks for it: the last one that was judged, where the board was lost and the kernel said nothing new. An earlier one has other
/// patches upon it by now.
pub fn due(rows: &[RowRecord]) -> Option<&RowRecord> {
    let is_step =
        |row: &&RowRecord| row.patch.is_some() && !is_one(&row.id) && search::first_of(&row.id).is_none();
    let last = rows
        .iter()
        .rev()
        .filter(is_step)
        .find(|row| row.verdict.is_some())?;
    let silent = last.verdict == Some(Verdict::LostConnection) && last.findings.is_empty();
    (silent && last.overruled.is_none()).then_some(last)
}

/// The campaign with the kernel of another profile in the place of its own.
pub fn campaign(own: &Campaign, other: &str) -> Campaign {
    let mut campaign = own.clone();
    let kernel = &mut campaign.kernel;
    kernel.fragments = profile::instead_of(&kernel.profile, other, &kernel.fragments);
    kernel.profile = other.to_string();
    campaign
}

/// Whether a row of an earlier process is settled: it is over, or has a verdict that stands.
pub fn is_settled(row: &PastRow) -> bool {
    row.ended.as_ref().is_some_and(|ended| ended.way == Way::Go) || row.standing_failure().is_some()
}

/// Whether a row of an escalation was begun and is not over: it may have left its patch in the tree and its kernel behind our label.
pub fn was_cut_off(past: &Past) -> bool {
    past.rows
        .iter()
        .any(|row| is_one(&row.id) && row.ended.as_ref().is_none_or(|ended| ended.way != Way::Go))
}

/// Whether a run has something left to do of what is asked for: `profiles` gives those of a step.
pub fn is_left<'p>(past: &Past, profiles: impl Fn(&str) -> &'p [String]) -> bool {
    let records = past.records();
    let Some(step) = due(&records) else { return false };
    let settled = |id: String| past.row(&id).filter(|row| is_settled(row));
    profiles(&step.id).iter().any(|profile| {
        let control = settled(without(&step.id, profile));
        let useless = control.is_some_and(|row| row.judged.as_ref().is_none_or(is_no_ground));
        settled(with(&step.id, profile)).is_none() && !useless
    })
}

fn is_no_ground(judged: &super::journal::past::Judged) -> bool {
    judged.verdict != Verdict::Pass
}

/// What the other kernels made of the step, for the report; a sentence each.
pub fn told(run: &RunRecord) -> Vec<String> {
    let of = |row: &RowRecord| {
        let titles: Vec<&str> = row
            .findings
            .iter()
            .map(|finding| finding.title.as_str())
            .collect();
        let verdict = row.verdict.map_or("not finished", Verdict::text);
        let said = match titles.is_empty() {
            true => "it said nothing that the same kernel without the patch does not say".to_string(),
            false => format!("it said: {}", titles.join("; ")),
        };
        format!("Then {}: {verdict}; {said}.", row.title)
    };
    let no_ground = |row: &RowRecord| row.id.ends_with(WITHOUT) && row.verdict != Some(Verdict::Pass);
    let rows = run.rows.iter().filter(|row| is_one(&row.id));
    rows.filter_map(|row| match no_ground(row) {
        true => Some(format!(
            "Then {}: it is no ground to compare on ({}).",
            row.title,
            row.reasons.join("; ")
        )),
        false => (!row.id.ends_with(WITHOUT)).then(|| of(row)),
    })
    .collect()
}

/// What a person may do about a step that wedged without a word, where no kernel has named the fault yet.
pub fn offer(run: &RunRecord) -> Option<String> {
    if !matches!(run.end, Some(End::Failure | End::PartialSuccess)) {
        return None;
    }
    let step = due(&run.rows)?;
    let tried: Vec<&RowRecord> = run.rows.iter().filter(|row| is_one(&row.id)).collect();
    if tried.iter().any(|row| !row.findings.is_empty()) {
        return None;
    }
    let is_new = |profile: &&&str| {
        let of_profile = [without(&step.id, profile), with(&step.id, profile)];
        !run.release.contains(**profile) && !tried.iter().any(|row| of_profile.contains(&row.id))
    };
    let profile = ORDER.iter().find(is_new)?;
    Some(format!(
        "Step {} wedged without a word: `cargo xtask resume --escalate {profile}` does it again on the {profile} kernel, with the soak that broke it.",
        step.id
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::{FindingRecord, PatchRecord};
    use std::path::Path;

    fn wedged(id: &str) -> RowRecord {
        RowRecord {
            id: id.into(),
            verdict: Some(Verdict::LostConnection),
            patch: Some(PatchRecord::default()),
            ..RowRecord::default()
        }
    }

    fn said() -> FindingRecord {
        FindingRecord {
            title: "KASAN: slab-use-after-free Write in x".into(),
            severity: "error".into(),
            source: "serial".into(),
            time: None,
            wall: None,
            excerpt: String::new(),
            decoded: Vec::new(),
            suspect: None,
        }
    }

    fn run(rows: Vec<RowRecord>) -> RunRecord {
        RunRecord {
            release: "7.3.4-lockdep".into(),
            end: Some(End::PartialSuccess),
            ..crate::campaign::report::tests::run(rows)
        }
    }

    #[test]
    fn only_a_wedge_that_said_nothing_and_lies_on_top_is_escalated() {
        let id = |rows: &[RowRecord]| due(rows).map(|row| row.id.clone());
        assert_eq!(id(&[wedged("2.1")]).as_deref(), Some("2.1"));
        let mut talked = wedged("2.1");
        talked.findings.push(said());
        assert_eq!(id(&[talked]), None);
        let mut passed = wedged("2.2");
        passed.verdict = Some(Verdict::Pass);
        assert_eq!(id(&[wedged("2.1"), passed]), None, "2.2 lies on it");
        assert_eq!(id(&[wedged("2.1"), wedged("2.1+kasan")]).as_deref(), Some("2.1"));
        assert_eq!(id(&[wedged("s3")]), None);
        let mut baseline = wedged("1.8");
        baseline.patch = None;
        assert_eq!(
            id(&[baseline]),
            None,
            "the debug kernel alone has no patch to repeat"
        );
    }

    #[test]
    fn what_the_other_kernels_made_of_it_is_told_in_a_sentence_each() {
        let mut named = wedged("2.2+kasan");
        named.title = "step 2.2 again on the kasan kernel: 0008".into();
        named.verdict = Some(Verdict::Regression);
        named.findings.push(said());
        let mut passed = wedged("2.2+kasan-without");
        passed.verdict = Some(Verdict::Pass);
        let mut bad = wedged("2.2+kcsan-without");
        bad.title = "the kcsan kernel without 0008".into();
        bad.reasons.push("nothing answered".into());
        assert_eq!(
            told(&run(vec![wedged("2.2"), passed, named, bad])),
            [
                "Then step 2.2 again on the kasan kernel: 0008: regression; it said: KASAN: slab-use-after-free Write in x.",
                "Then the kcsan kernel without 0008: it is no ground to compare on (nothing answered).",
            ]
        );
    }

    #[test]
    fn the_next_kernel_is_offered_until_one_has_named_the_fault() {
        let offered = |rows: Vec<RowRecord>| offer(&run(rows));
        let first = offered(vec![wedged("2.2")]).unwrap();
        assert!(first.contains("`cargo xtask resume --escalate kasan`"), "{first}");
        let second = offered(vec![wedged("2.2"), wedged("2.2+kasan")]).unwrap();
        assert!(second.contains("--escalate kcsan`"), "{second}");
        let mut named = wedged("2.2+kasan");
        named.findings.push(said());
        assert_eq!(offered(vec![wedged("2.2"), named]), None);
        let mut over = run(vec![wedged("2.2")]);
        over.end = Some(End::PersonNeeded);
        assert_eq!(offer(&over), None);
    }

    #[test]
    fn the_other_kernel_has_what_the_board_needs() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns/rehearsal.toml");
        let own = Campaign::load(&path).unwrap();
        let other = campaign(&own, "kasan");
        let names: Vec<String> = other
            .kernel
            .fragments
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert!(
            names.contains(&"kconfig-fragments/kasan.config".to_string()),
            "{names:?}"
        );
        assert!(
            !names.contains(&"kconfig-fragments/lockdep.config".to_string()),
            "{names:?}"
        );
        assert_eq!(names[0], "kconfig-fragments/virtual-board.config");
        assert!(!other.has_lockdep());
        assert_eq!(other.kernel.label, own.kernel.label, "one label, one slot");
    }
}
