//! Bisection of a series as a rule: which number of patches to boot next, and what the boots so far say.
//!
//! What is searched is the first bad patch of a series that is applied in its order: with the first `n` patches the kernel is bad, and with
//! the first `n - 1` it is not. A fault that needs two patches together has its first bad patch, too: the later one. The search
//! takes it that a series stays bad once it is; a boot that says otherwise is told, and what was found then is the first bad patch below it.

use serde::Serialize;

/// What a boot with the first `n` patches showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// As good as the kernel without any patch.
    Good,
    /// Bad.
    Bad,
    /// Nothing: it does not build there, or the boot was lost for another reason.
    Nothing,
}

/// Number of the row that boots with the first so many patches.
pub fn row(first: usize) -> String {
    format!("s{first}")
}

/// How many patches a row of a bisection is about, by its number; none for any other row.
pub fn first_of(row: &str) -> Option<usize> {
    row.strip_prefix('s')?.parse().ok()
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// Boot with the first so many patches.
    Boot(usize),
    /// It is known as well as it can be.
    Known(Conclusion),
}

/// What the boots say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Conclusion {
    /// The first bad patch is one of these, by its place in the series from 1; more than one where those between could not be
    /// tried; empty where the whole series is good.
    pub suspects: Vec<usize>,
    /// Largest number of patches that is good below the suspects.
    pub good: usize,
    /// A pair that contradicts "once bad, always bad": so many patches are bad, and so many more are good again.
    pub not_monotone: Option<(usize, usize)>,
}

/// The rule. `patches` is how many there are; `shown` is every boot so far (no patch at all is the baseline, which is good). The whole series is
/// tried first: a series that is good needs no search.
pub fn next(patches: usize, shown: &[(usize, Shown)]) -> Next {
    let of = |wanted: Shown| {
        shown
            .iter()
            .filter(move |(_, what)| *what == wanted)
            .map(|(n, _)| *n)
    };
    let tried = |n: usize| shown.iter().any(|(known, _)| *known == n);
    let first_bad = of(Shown::Bad).min();
    let Some(bad) = first_bad else {
        if !tried(patches) {
            return Next::Boot(patches);
        }
        // The whole series shows nothing (it does not build): the largest part that shows something is asked.
        return match (1..patches).rev().find(|n| !tried(*n)) {
            Some(n) if !of(Shown::Good).any(|good| good > n) => Next::Boot(n),
            _ => Next::Known(conclude(patches, shown, None)),
        };
    };
    let good = of(Shown::Good).filter(|good| *good < bad).max().unwrap_or(0);
    let middle = good.midpoint(bad);
    // Nearest to the middle among those that were not tried.
    let untried = (good.saturating_add(1)..bad).filter(|n| !tried(*n));
    match untried.min_by_key(|n| n.abs_diff(middle)) {
        Some(n) => Next::Boot(n),
        None => Next::Known(conclude(patches, shown, Some(bad))),
    }
}

fn conclude(patches: usize, shown: &[(usize, Shown)], bad: Option<usize>) -> Conclusion {
    let goods = || {
        shown
            .iter()
            .filter(|(_, what)| *what == Shown::Good)
            .map(|(n, _)| *n)
    };
    let below = |n: &usize| bad.is_none_or(|bad| *n < bad);
    let good = goods().filter(below).max().unwrap_or(0);
    let suspects = match bad {
        Some(bad) => (good.saturating_add(1)..=bad).collect(),
        None => (good.saturating_add(1)..=patches).collect(),
    };
    Conclusion {
        suspects,
        good,
        not_monotone: bad.and_then(|bad| goods().filter(|n| *n > bad).min().map(|n| (bad, n))),
    }
}

/// The most boots that a search of so many patches takes where each boot shows something: the whole series once, then halves.
pub fn most_boots(patches: usize) -> u32 {
    // Between nothing (good) and the whole series (bad) lie `patches` places.
    patches.checked_sub(1).map_or(0, |places| {
        let halves = usize::BITS.saturating_sub(places.leading_zeros());
        halves.saturating_add(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches with an oracle; gives the conclusion and the boots.
    fn search(patches: usize, oracle: impl Fn(usize) -> Shown) -> (Conclusion, Vec<usize>) {
        let mut shown = Vec::new();
        loop {
            match next(patches, &shown) {
                Next::Boot(n) => {
                    assert!((1..=patches).contains(&n), "{n} of {patches}");
                    assert!(!shown.iter().any(|(known, _)| *known == n), "{n} is booted twice");
                    shown.push((n, oracle(n)));
                }
                Next::Known(known) => return (known, shown.iter().map(|(n, _)| *n).collect()),
            }
        }
    }

    fn bad_if(bad: bool) -> Shown {
        if bad { Shown::Bad } else { Shown::Good }
    }

    #[test]
    fn the_first_bad_patch_is_found_in_log2_boots_wherever_it_is() {
        for patches in 1..=40 {
            for culprit in 1..=patches {
                let (known, boots) = search(patches, |n| bad_if(n >= culprit));
                assert_eq!((known.suspects, known.good), (vec![culprit], culprit - 1));
                assert_eq!(known.not_monotone, None);
                let most = most_boots(patches) as usize;
                assert!(boots.len() <= most, "{patches} patches, {culprit}: {boots:?}");
            }
            let log2 = (patches as f64).log2().ceil() as u32;
            assert_eq!(most_boots(patches), log2 + 1);
        }
    }

    #[test]
    fn a_fault_that_needs_two_patches_is_found_at_the_later_one() {
        for one in 1..=8 {
            for other in one + 1..=8 {
                let (known, _) = search(8, |n| bad_if(n >= one && n >= other));
                assert_eq!(known.suspects, [other]);
            }
        }
    }

    #[test]
    fn a_series_that_is_good_takes_one_boot() {
        let (known, boots) = search(16, |_| Shown::Good);
        assert!(known.suspects.is_empty() && known.good == 16, "{known:?}");
        assert_eq!(boots, [16]);
    }

    #[test]
    fn a_series_that_is_good_again_is_told_and_the_first_bad_one_below_is_found() {
        // Known from an earlier walk: three patches are bad. The whole series is good.
        let mut shown = vec![(3, Shown::Bad), (8, Shown::Good)];
        let known = loop {
            match next(8, &shown) {
                Next::Boot(n) => shown.push((n, bad_if((2..=4).contains(&n)))),
                Next::Known(known) => break known,
            }
        };
        assert_eq!(known.suspects, [2]);
        assert_eq!(known.not_monotone, Some((2, 8)));
    }

    #[test]
    fn places_that_show_nothing_are_walked_around_and_stay_suspects() {
        let (known, _) = search(8, |n| match n {
            4 | 5 => Shown::Nothing,
            n => bad_if(n >= 5),
        });
        assert_eq!((known.suspects, known.good), (vec![4, 5, 6], 3));
        let (known, _) = search(4, |_| Shown::Nothing);
        assert_eq!((known.suspects, known.good), (vec![1, 2, 3, 4], 0));
        let (known, _) = search(4, |n| if n > 2 { Shown::Nothing } else { Shown::Good });
        assert_eq!((known.suspects, known.good), (vec![3, 4], 2));
    }
}
