//! What somebody meant who wrote a symbol that is not there.

/// At most this many answers.
const ANSWERS: usize = 3;

/// Symbols that look like `wanted`, the likeliest first: up to two letters more, less, other or swapped (one for names of under six letters), or
/// the one a part of the other's words.
pub fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = if wanted.len() < 6 { 1 } else { 2 };
    let mut found: Vec<(usize, usize, &str)> = known
        .filter_map(|symbol| {
            let difference = symbol.len().abs_diff(wanted.len());
            if difference <= allowed
                && let Some(edits) = edits(wanted.as_bytes(), symbol.as_bytes(), allowed)
            {
                return Some((edits, difference, symbol));
            }
            let contained = wanted.len() >= 5
                && symbol.len() >= 5
                && (has_words(symbol, wanted) || has_words(wanted, symbol));
            contained.then_some((10, difference, symbol))
        })
        .collect();
    found.sort();
    let best = found.first().map_or(0, |(edits, ..)| *edits);
    found
        .into_iter()
        .filter(|(edits, ..)| *edits == best)
        .take(ANSWERS)
        .map(|(.., symbol)| symbol)
        .collect()
}

/// Whether the words of `part` (between `_`) stand one after the other in `whole`.
fn has_words(whole: &str, part: &str) -> bool {
    whole.match_indices(part).any(|(at, _)| {
        let (before, from) = whole.split_at(at);
        let after = from.strip_prefix(part).unwrap_or_default();
        (before.is_empty() || before.ends_with('_')) && (after.is_empty() || after.starts_with('_'))
    })
}

/// Letters to add, drop, change or swap to make `b` of `a`; `None` if more than `limit`.
fn edits(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    // The rows for one letter of `a` less, and for two less.
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut previous = None;
    for (i, &letter) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        let mut left = i.saturating_add(1);
        let mut other = None;
        for (j, &there) in b.iter().enumerate() {
            let diagonal = last.get(j).copied().unwrap_or(limit);
            let above = last.get(j.saturating_add(1)).copied().unwrap_or(limit);
            let change = diagonal.saturating_add(usize::from(letter != there));
            let mut cost = above.min(left).saturating_add(1).min(change);
            if other == Some(letter) && previous == Some(there) {
                let swapped = j.checked_sub(1).and_then(|j| before.get(j));
                cost = swapped.map_or(cost, |swapped| cost.min(swapped.saturating_add(1)));
            }
            row.push(cost);
            left = cost;
            other = Some(there);
        }
        if row.iter().all(|cost| *cost > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(letter);
    }
    last.last().copied().filter(|cost| *cost <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[
        "KASAN",
        "KCSAN",
        "PROVE_LOCKING",
        "PROVE_RCU",
        "DEBUG_WW_MUTEX_SLOWPATH",
        "DEBUG_MUTEXES",
        "PM_GENERIC_DOMAINS",
        "PM_GENERIC_DOMAINS_OF",
    ];

    fn of(wanted: &str) -> Vec<&str> {
        nearest(wanted, KNOWN.iter().copied())
    }

    #[test]
    fn slips_of_the_finger_are_recognised() {
        assert_eq!(of("PROVE_LOKCING"), ["PROVE_LOCKING"]);
        assert_eq!(of("PROVELOCKING"), ["PROVE_LOCKING"]);
        assert_eq!(of("DEBUG_WW_MUTEX_SLOPATH"), ["DEBUG_WW_MUTEX_SLOWPATH"]);
        assert_eq!(of("KXSAN"), ["KASAN", "KCSAN"]);
        assert_eq!(of("UNHEARD_OF"), [""; 0]);
    }

    #[test]
    fn parts_of_names_are_recognised() {
        assert_eq!(
            of("GENERIC_DOMAINS"),
            ["PM_GENERIC_DOMAINS", "PM_GENERIC_DOMAINS_OF"]
        );
        assert_eq!(of("DEBUG_MUTEXES_FULLY"), ["DEBUG_MUTEXES"]);
        assert_eq!(of("MUTEX"), ["DEBUG_WW_MUTEX_SLOWPATH"]);
    }
}
