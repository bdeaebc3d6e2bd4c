//! Which patches of a series are wanted: the list that b4 takes for `--cherry-pick`, `1-3,5,8-`.

use anyhow::{Result, bail};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Numbers of patches, as `[PATCH n/m]` has them. Not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// `8-` ends at the largest number there is.
    ranges: Vec<RangeInclusive<u32>>,
}

impl FromStr for Chosen {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut ranges = Vec::new();
        for word in text.split(',').map(str::trim) {
            let number = |digits: &str| digits.trim().parse().ok().filter(|number| *number > 0);
            let range = match word.split_once('-') {
                None => number(word).map(|number| number..=number),
                Some((first, "")) => number(first).map(|first| first..=u32::MAX),
                Some((first, last)) => number(first).zip(number(last)).map(|(first, last)| first..=last),
            };
            match range.filter(|range| !range.is_empty()) {
                Some(range) => ranges.push(range),
                None => bail!(
                    "found `{word}`; allowed are numbers and ranges with commas between them, like 5 or \
                     1-3,5 or 6-"
                ),
            }
        }
        Ok(Chosen { ranges })
    }
}

impl Chosen {
    /// The list that names exactly these numbers, which are in order. `None`: there are none.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(number) => *last = *last.start()..=number,
                _ => ranges.push(number..=number),
            }
        }
        (!ranges.is_empty()).then_some(Chosen { ranges })
    }

    /// Whether a number is wanted.
    pub fn has(&self, number: u32) -> bool {
        self.ranges.iter().any(|range| range.contains(&number))
    }

    /// The first number up to `most` that is wanted and is not in `there`, which is in order.
    pub fn first_missing(&self, there: &[u32], most: u32) -> Option<u32> {
        let missing = |range: &RangeInclusive<u32>| {
            // A number that was asked for by itself may be above all that there are.
            let end = if *range.end() == u32::MAX {
                most
            } else {
                *range.end()
            };
            (*range.start()..=end.max(*range.start())).find(|number| there.binary_search(number).is_err())
        };
        self.ranges.iter().find_map(missing)
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (at, range) in self.ranges.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match (*range.start(), *range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, u32::MAX) => write!(f, "{comma}{first}-")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_b4_reads_them() {
        for text in ["5", "1-3,5", "6-", "1,3-4,9-"] {
            assert_eq!(text.parse::<Chosen>().unwrap().to_string(), text);
        }
        let chosen: Chosen = "1-3, 5,8-".parse().unwrap();
        let has: Vec<u32> = (0..12).filter(|number| chosen.has(*number)).collect();
        assert_eq!(has, [1, 2, 3, 5, 8, 9, 10, 11]);
        for text in ["", "0", "3-1", "a", "1,,2", "-3", "4294967296"] {
            let error = text.parse::<Chosen>().unwrap_err().to_string();
            assert!(
                error.contains("allowed are numbers and ranges"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_is_wanted_and_not_there_is_found() {
        let missing = |text: &str| text.parse::<Chosen>().unwrap().first_missing(&[2, 3, 5], 5);
        assert_eq!(
            (missing("2-3,5"), missing("2-5"), missing("3-"), missing("9")),
            (None, Some(4), Some(4), Some(9))
        );
        assert_eq!(missing("6-"), Some(6));
        assert_eq!(Chosen::of([1, 3, 4, 5, 9]).unwrap().to_string(), "1,3-5,9");
        assert_eq!(Chosen::of([]), None);
    }
}
