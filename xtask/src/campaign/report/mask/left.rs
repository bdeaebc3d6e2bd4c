//! What looks random and was not masked: counted and listed, for the eyes of whoever hands the
//! bundle on.

use super::rule;
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// So many are listed one by one.
const MOST: usize = 200;
/// So many are told apart.
const KEPT: usize = 50_000;
/// Share of the most entropy that a token of its length can have (Shannon's, over its bytes), from
/// which it is taken for random: words and symbols repeat their letters.
const RANDOM: f64 = 0.85;

static TOKEN: LazyLock<Regex> = LazyLock::new(|| rule(r"[A-Za-z0-9+/_-]{12,}"));

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// File in the bundle and line in it, from 1.
    pub place: String,
    /// Its first characters and its length.
    pub shape: String,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// The first ones, each once.
    pub listed: Vec<Left>,
    /// How many different ones there are.
    pub different: usize,
    /// How often they stand in the bundle.
    pub times: usize,
    /// Hashes, commits and ids of builds, which are kept on purpose.
    pub hashes: usize,
    seen: BTreeSet<u64>,
}

impl Leftovers {
    /// Looks through a masked piece of a file whose first line has this number; returns the number
    /// of the line behind it.
    pub(in crate::campaign::report) fn look(&mut self, file: &str, first_line: usize, text: &[u8]) -> usize {
        let mut line = first_line;
        let mut at = 0;
        let mut newlines = |until: usize| {
            let between = text.get(at..until).unwrap_or_default();
            line = line.saturating_add(memchr::memchr_iter(b'\n', between).count());
            at = until;
            line
        };
        for found in TOKEN.find_iter(text) {
            let symbol = text
                .get(found.end()..)
                .is_some_and(|rest| rest.starts_with(b"+0x"));
            match judge(found.as_bytes()) {
                _ if symbol => continue,
                Token::Ordinary => continue,
                Token::Hash => {
                    self.hashes = self.hashes.saturating_add(1);
                    continue;
                }
                Token::Random => {}
            }
            self.times = self.times.saturating_add(1);
            let new = self.seen.len() < KEPT && self.seen.insert(key(found.as_bytes()));
            self.different = self.different.saturating_add(usize::from(new));
            if new && self.listed.len() < MOST {
                let start: String = found
                    .as_bytes()
                    .iter()
                    .take(4)
                    .map(|&byte| char::from(byte))
                    .collect();
                self.listed.push(Left {
                    place: format!("{file}:{}", newlines(found.start())),
                    shape: format!("{start}..., {} characters", found.len()),
                });
            }
        }
        newlines(text.len())
    }
}

enum Token {
    Ordinary,
    Hash,
    Random,
}

fn judge(token: &[u8]) -> Token {
    let bare: Vec<u8> = token.iter().copied().filter(|byte| *byte != b'-').collect();
    // `ffff800080003d60-ffff800080003d68`
    if token.len() == 33 && token.get(16) == Some(&b'-') && bare.iter().all(u8::is_ascii_hexdigit) {
        return Token::Ordinary;
    }
    let digits = bare.iter().filter(|byte| byte.is_ascii_digit()).count();
    // Those that no place names were masked.
    if bare.len() >= 24 && bare.iter().all(u8::is_ascii_hexdigit) && digits > 0 && digits < bare.len() {
        return Token::Hash;
    }
    let class = |of: fn(&u8) -> bool| token.iter().filter(|byte| of(byte)).count();
    let capitals = class(u8::is_ascii_uppercase);
    let small = class(u8::is_ascii_lowercase);
    let path = class(|byte| *byte == b'/') > 3 || class(|byte| *byte == b'_') > 2;
    let mixed = capitals >= 2 && small >= 2 && digits >= 2;
    let most = (token.len().min(64) as f64).log2();
    if mixed && !path && entropy(token) >= RANDOM * most {
        return Token::Random;
    }
    Token::Ordinary
}

/// Shannon's, in bits for each byte.
fn entropy(token: &[u8]) -> f64 {
    let mut counts = BTreeMap::<u8, f64>::new();
    token
        .iter()
        .for_each(|byte| *counts.entry(*byte).or_default() += 1.0);
    let total = token.len() as f64;
    counts
        .values()
        .map(|count| -(count / total) * (count / total).log2())
        .sum()
}

fn key(token: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}
