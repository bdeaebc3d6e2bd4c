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
        let end = at + part.len();
        (at == 0 || whole.as_bytes()[at - 1] == b'_') && (end == whole.len() || whole.as_bytes()[end] == b'_')
    })
}

/// Letters to add, drop, change or swap to make `b` of `a`; `None` if more than `limit`.
fn edits(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        if row.iter().all(|cost| *cost > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
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
