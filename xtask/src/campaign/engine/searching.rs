//! A bisection: boots with the first so many patches, as the rule in `campaign::search` asks, until the first bad one is known.

use super::course::SEARCH;
use super::hands::Hands;
use super::rows::{Next, Place, Walk, Work};
use crate::campaign::journal::Input;
use crate::campaign::journal::past::{JUDGE, PastRow, Way};
use crate::campaign::record::{End, RowRecord};
use crate::campaign::search::{self, Conclusion, Shown};
use crate::campaign::verdict::Verdict;
use crate::ui::count;
use anyhow::{Context, Result};

impl<H: Hands> Walk<'_, H> {
    /// Searches; gives how the run ends, or none when somebody asked to stop.
    pub(super) fn search(&mut self) -> Result<Option<Next>> {
        let steps = self.course.campaign.steps.len();
        let mut shown = std::mem::take(&mut self.state.shown);
        loop {
            let first = match search::next(steps, &shown) {
                search::Next::Boot(first) => first,
                search::Next::Known(known) => return self.conclude(&known, &shown).map(Some),
            };
            if self.stopped()? {
                return Ok(None);
            }
            let mut what = Shown::Nothing;
            let next = self.first_patches(first, &mut what)?;
            if next != Next::Go {
                return Ok(Some(next));
            }
            shown.push((first, what));
        }
    }

    /// A row of its own: the first so many patches, together.
    fn first_patches(&mut self, first: usize, what: &mut Shown) -> Result<Next> {
        let steps = &self.course.campaign.steps;
        let last = steps.get(..first).and_then(<[_]>::last);
        let last = last.context("at least one patch is tried")?;
        let row = RowRecord {
            id: search::row(first),
            title: format!(
                "search: {} of {} patches, up to {}",
                first,
                steps.len(),
                last.patch
            ),
            estimated_s: f64::from(last.estimate_min) * 60.0,
            ..RowRecord::default()
        };
        let inputs = self.inputs_of_first(first);
        self.row(row, inputs, |walk, work| {
            for step in &walk.course.campaign.steps[..first] {
                if let Some(next) = walk.review(step, work)? {
                    return Ok(next);
                }
            }
            let place = walk.boot_first(first, work)?;
            *what = shown_by(work.row.verdict, work.row.as_declared);
            Ok(match place {
                Place::OnVanilla => Next::Go,
                Place::Lost => Next::Lost,
            })
        })
    }

    /// Every input of the first so many steps, each once.
    pub(super) fn inputs_of_first(&self, first: usize) -> Vec<Input> {
        let mut inputs: Vec<Input> = Vec::new();
        for step in &self.course.campaign.steps[..first] {
            for input in self.course.inputs_of(&step.id) {
                if !inputs.contains(&input) {
                    inputs.push(input);
                }
            }
        }
        inputs
    }

    fn boot_first(&mut self, first: usize, work: &mut Work) -> Result<Place> {
        let steps = &self.course.campaign.steps[..first];
        let last = steps.last().context("at least one patch is tried")?;
        self.only_patches_up_to(first, work)?;
        if let Err(why) = self.build(work)? {
            work.row.verdict = Some(Verdict::BuildFailed);
            work.row.reasons.push(why);
            self.judged(JUDGE, Vec::new(), None, work)?;
            return Ok(Place::OnVanilla);
        }
        Ok(self.boots(last, work)?.place)
    }

    /// The tree and the fragments with exactly the first so many patches.
    fn only_patches_up_to(&mut self, first: usize, work: &mut Work) -> Result<()> {
        self.take_all_back(work)?;
        let steps = &self.course.campaign.steps[..first];
        self.state.fragments.clear();
        for step in steps {
            self.apply(step, work)?;
            self.state.fragments.extend(step.fragments.iter().cloned());
        }
        Ok(())
    }

    /// Says what was found, and leaves the patches that are good.
    fn conclude(&mut self, known: &Conclusion, shown: &[(usize, Shown)]) -> Result<Next> {
        let row = RowRecord {
            id: SEARCH.into(),
            title: "what the search found".into(),
            ..RowRecord::default()
        };
        let end = end_of(known, self.end_of_the_whole());
        let names: Vec<String> = self
            .course
            .campaign
            .steps
            .iter()
            .map(|step| step.patch.clone())
            .collect();
        self.row(row, Vec::new(), |walk, work| {
            walk.tell(work, sentences(known, shown, &names));
            if !known.suspects.is_empty() {
                walk.only_patches_up_to(known.good, work)?;
                walk.withdraw(work);
            }
            Ok(Next::Stop(end))
        })
    }
}

/// What an earlier process's row shows, if its verdict was given.
pub(super) fn shown_earlier(row: &PastRow, steps: usize, inputs: &[Input]) -> Option<(usize, Shown)> {
    let first = search::first_of(&row.id)?;
    if !(1..=steps).contains(&first) || row.inputs != inputs {
        return None;
    }
    let judged = row.judged.as_ref()?;
    let shown = shown_by(Some(judged.verdict), judged.as_declared);
    let is_over = row.ended.as_ref().is_some_and(|ended| ended.way == Way::Go);
    // A verdict that is bad stands; a good one counts when its row came to its end.
    (shown == Shown::Bad || is_over).then_some((first, shown))
}

fn shown_by(verdict: Option<Verdict>, as_declared: bool) -> Shown {
    match verdict {
        None | Some(Verdict::BuildFailed | Verdict::ReviewMissing) => Shown::Nothing,
        Some(Verdict::Pass) => Shown::Good,
        Some(_) if as_declared => Shown::Good,
        Some(_) => Shown::Bad,
    }
}

fn end_of(known: &Conclusion, whole: End) -> End {
    match (known.suspects.is_empty(), known.good) {
        (true, _) => whole,
        (false, 0) => End::Failure,
        (false, _) => End::PartialSuccess,
    }
}

fn sentences(known: &Conclusion, shown: &[(usize, Shown)], names: &[String]) -> Vec<String> {
    let name = |n: usize| {
        n.checked_sub(1)
            .and_then(|at| names.get(at))
            .cloned()
            .unwrap_or_default()
    };
    let mut said = vec![match known.suspects.as_slice() {
        [] => "no patch is bad: the whole series is good".to_string(),
        [one] if known.good == 0 => {
            format!("{} is the first bad patch, and no other was applied", name(*one))
        }
        [one] => format!(
            "{} is the first bad patch: with all before it ({}, up to {}) the kernel is good; whether it is bad without them was not \
             tried",
            name(*one),
            count(known.good, "patch"),
            name(known.good)
        ),
        many => format!(
            "the first bad patch is one of {}: between them nothing could be shown",
            many.iter().map(|n| name(*n)).collect::<Vec<_>>().join(", ")
        ),
    }];
    if let Some((bad, good)) = known.not_monotone {
        said.push(format!(
            "the series is not monotone: with {} it is bad, and with {good} it is good again, so a later patch hides or mends the fault",
            count(bad, "patch")
        ));
    }
    let list = |what: Shown, words: &str| -> Option<String> {
        let of = shown.iter().filter(|(_, known)| *known == what);
        let of: Vec<String> = of.map(|(n, _)| n.to_string()).collect();
        (!of.is_empty()).then(|| format!("; {words} with the first {}", of.join(", ")))
    };
    let lists = [
        list(Shown::Good, "good"),
        list(Shown::Bad, "bad"),
        list(Shown::Nothing, "nothing shown"),
    ];
    said.push(format!(
        "{} for {}{}",
        count(shown.len(), "boot"),
        count(names.len(), "patch"),
        lists.into_iter().flatten().collect::<String>()
    ));
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said_with_what_was_not_tried() {
        let names: Vec<String> = ["0004", "0005", "0006"].map(String::from).to_vec();
        let known = Conclusion {
            suspects: vec![3],
            good: 2,
            not_monotone: None,
        };
        let said = sentences(
            &known,
            &[(3, Shown::Bad), (1, Shown::Good), (2, Shown::Good)],
            &names,
        )
        .join("\n");
        assert!(
            said.contains("0006 is the first bad patch: with all before it (2 patches, up to 0005)"),
            "{said}"
        );
        assert!(
            said.contains("3 boots for 3 patches; good with the first 1, 2; bad with the first 3"),
            "{said}"
        );
        assert_eq!(end_of(&known, End::Success), End::PartialSuccess);
        let known = Conclusion {
            suspects: vec![1],
            good: 0,
            not_monotone: Some((1, 3)),
        };
        let said = sentences(&known, &[], &names).join("\n");
        assert!(
            said.contains("not monotone: with 1 patch it is bad, and with 3"),
            "{said}"
        );
        assert_eq!(end_of(&known, End::Success), End::Failure);
    }
}
