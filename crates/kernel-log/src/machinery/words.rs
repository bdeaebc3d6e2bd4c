//! Lists of names, ready to be asked.

use std::collections::{HashMap, HashSet};

/// Names and patterns, ready to be asked.
pub(super) struct Words {
    exact: HashSet<&'static str>,
    /// Before and after the star, by the first bytes of what stands before it.
    patterns: HashMap<[u8; HEAD], Vec<(&'static str, &'static str)>>,
    /// Those that have fewer.
    others: Vec<(&'static str, &'static str)>,
}

/// So many bytes of a name find the patterns that it may fit.
const HEAD: usize = 3;

impl Words {
    pub(super) fn new(lists: &[&'static str]) -> Self {
        let mut words = Words {
            exact: HashSet::new(),
            patterns: HashMap::new(),
            others: Vec::new(),
        };
        for word in lists.iter().flat_map(|list| list.split_whitespace()) {
            let Some(pattern) = word.split_once('*') else {
                words.exact.insert(word);
                continue;
            };
            match pattern.0.as_bytes().first_chunk() {
                Some(head) => words.patterns.entry(*head).or_default().push(pattern),
                None => words.others.push(pattern),
            }
        }
        words
    }

    /// Whether the name is among them, or the one whose variant it is: with more underscores in
    /// front, with allocation profiling (`x_noprof`).
    pub(super) fn has(&self, function: &str) -> bool {
        let plain = function.strip_suffix("_noprof").unwrap_or(function);
        let bare = plain.trim_start_matches('_');
        self.has_name(function)
            || (plain.len() < function.len() && self.has_name(plain))
            || (bare.len() < plain.len() && self.has_name(bare))
    }

    fn has_name(&self, function: &str) -> bool {
        let fits = |(head, tail): &(&str, &str)| {
            function
                .strip_prefix(head)
                .is_some_and(|rest| rest.contains(tail.trim_end_matches('*')))
        };
        let near = function
            .as_bytes()
            .first_chunk()
            .and_then(|head| self.patterns.get(head));
        self.exact.contains(function)
            || near.is_some_and(|near| near.iter().any(fits))
            || self.others.iter().any(fits)
    }
}
