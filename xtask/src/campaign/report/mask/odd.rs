//! Words that are not understood: what is left when everything that kernels, tools and languages
//! write is taken away. They are masked wherever they stand, because no rule can know the secrets of
//! the next log.
//!
//! A word is cut into segments of letters and digits. A segment is understood if it is a number, an
//! address, a word in one case or in CamelCase, a name with a number in it (`rk3588`, `ttyAMA0`,
//! `v4l2`), a quantity, a date, or a hash in a place where hashes are named. Symbols with their
//! offset and mangled names (Itanium C++ ABI, Rust's v0) are understood as they are.

use super::found::{Found, Spread};
use super::view::View;
use super::{Kind, moved, rule};
use regex::bytes::Regex;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

/// Shorter segments are too often a part of something.
const SHORTEST: usize = 6;
/// Longest number of a machine word in hexadecimal digits.
const ADDRESS: usize = 16;
/// A word of one case that is longer is none.
const LONGEST_WORD: usize = 32;
/// Hashes that are kept wherever they stand, because one place names them.
const MOST: usize = 100_000;

/// What stands in front of a hash that is kept: of a file, a commit, a build, a module
/// (`srcversion`), a stack trace's kernel (`#1 <build id>`), a report's list of files.
static HASH: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r#"(?i)(?:\b|_)(?:sha-?(?:1|224|256|384|512)(?:sums?)?|md5|commit|build[ _-]?ids?|hash|digest|checksum|nonce|index|tree|parent|blob|object|merge|head|base|from|fixes|content|detail|srcversion|kernel key|x\.509 cert[^\n]{0,80}|[0-9a-f]{7,40}\.\.)["'\]]*(?:\W{1,6}(?:sha1\W{1,3})?)?$|#\d+ $|<code(?: title=")?>?$"#,
    )
});
/// Names of network interfaces (systemd.net-naming-scheme(7)) and MMC partitions, a time (ISO 8601, basic format), a
/// commit in a release (`git describe`), quantities with a unit.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^(?:(?:en|wl|ww|ib)[A-Za-z]?\d+(?:[a-z]{1,2}\d+)+|mmcblk\d+(?:[a-z]+\d+)*|\d{8}T\d{4,6}Z?|g[0-9a-f]{7,40}|\d+[a-zA-Z]{1,3}|\d+(?:bytes|pages|sectors|[kKMGT]i?[bB])|[0-9a-f]{8}|(?:[0-9a-f]{8}){1,2}[A-Z][a-z]+)$",
    )
});
static MANGLED: LazyLock<Regex> = LazyLock::new(|| rule(r"_R[NIMXYC][A-Za-z0-9]*_|_ZN?[A-Z0-9]"));

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// A word or a number.
    Plain,
    /// Understood, but of letters and digits.
    Mixed,
    /// A hash, if it is named so.
    Digits,
    /// Not understood.
    Odd,
}

/// Hashes that some place names.
#[derive(Debug, Default)]
pub(super) struct Hashes(HashSet<Vec<u8>>);

impl Hashes {
    /// Notes the hashes that a view names.
    pub(super) fn learn(&mut self, view: &View) {
        let text = &view.text;
        for token in tokens(text) {
            for range in segments(text, &token) {
                let Some(value) = text.get(range.clone()) else {
                    continue;
                };
                if value.len() > ADDRESS
                    && self.0.len() < MOST
                    && judge(value) == Segment::Digits
                    && is_named(text, &range)
                {
                    self.0.insert(value.to_vec());
                }
            }
        }
    }

    /// Adds every word of the view that is not understood.
    pub(super) fn find_others(&self, view: &View, into: &mut Vec<Found>) {
        let text = &view.text;
        for token in tokens(text) {
            let parts: Vec<(Range<usize>, Segment)> = segments(text, &token)
                .map(|range| (range.clone(), self.judge(text, range)))
                .collect();
            let odd = |part: &(Range<usize>, Segment)| part.1 == Segment::Odd;
            if !parts.iter().any(odd) || is_symbol(text, &token) {
                continue;
            }
            // What hangs on to it belongs to it, unless it is a plain word.
            let runs = parts.chunk_by(|a, b| a.1 != Segment::Plain && b.1 != Segment::Plain);
            for run in runs.filter(|run| run.iter().any(odd)) {
                let (Some(first), Some(last)) = (run.first(), run.last()) else {
                    continue;
                };
                let rest = text.get(last.0.end..token.end).unwrap_or_default();
                let padding = rest.iter().take(2).take_while(|byte| **byte == b'=').count();
                into.push(Found {
                    range: view.origin(first.0.start..last.0.end.saturating_add(padding)),
                    kind: Kind::Random,
                    spread: Spread::Here,
                    value: None,
                });
            }
        }
    }

    fn judge(&self, text: &[u8], range: Range<usize>) -> Segment {
        let Some(value) = text.get(range.clone()) else {
            return Segment::Plain;
        };
        match judge(value) {
            Segment::Digits if self.0.contains(value) || is_named(text, &range) => Segment::Plain,
            Segment::Digits => Segment::Odd,
            other => other,
        }
    }
}

/// Whether a value is nothing but words and numbers: no one's name, and nothing that was made up.
pub(super) fn is_plain(value: &[u8]) -> bool {
    segments(value, &(0..value.len())).all(|range| {
        let value = value.get(range).unwrap_or_default();
        let letters = value.iter().all(u8::is_ascii_alphabetic);
        let hex = value.iter().all(u8::is_ascii_hexdigit) && matches!(value.len(), 8 | 16);
        let address = hex || value.starts_with(b"0x");
        match judge(value) {
            Segment::Plain => true,
            Segment::Mixed => letters || address,
            Segment::Digits | Segment::Odd => false,
        }
    })
}

/// Whether what stands around it says that it is a hash: a word in front, or a file's name behind, as
/// sha256sum(1) writes it.
fn is_named(text: &[u8], range: &Range<usize>) -> bool {
    let before = text
        .get(range.start.saturating_sub(96)..range.start)
        .unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    let line = before.is_empty() || before.ends_with(b"\n");
    HASH.is_match(before) || (line && (after.starts_with(b"  ") || after.starts_with(b" *")))
}

/// Runs of letters, digits and what joins them in base64 and its relatives.
fn tokens(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/_=-".contains(byte);
    runs(text, part).filter(|token| token.len() >= SHORTEST)
}

fn segments(text: &[u8], token: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let start = token.start;
    let token = text.get(token.clone()).unwrap_or_default();
    runs(token, u8::is_ascii_alphanumeric).map(move |range| moved(start, &range))
}

fn runs(text: &[u8], part: impl Fn(&u8) -> bool + Copy) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at.saturating_add(rest.iter().position(part)?);
        let length = text.get(start..)?.iter().take_while(|byte| part(byte)).count();
        at = start.saturating_add(length);
        Some(start..at)
    })
}

/// `take_b+0x10/0x20`, and names that compilers made.
fn is_symbol(text: &[u8], token: &Range<usize>) -> bool {
    let name = text.get(token.clone()).unwrap_or_default();
    memchr::memmem::find(name, b"+0x").is_some() || MANGLED.is_match(name)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Digit,
    Small,
    Capital,
}

fn judge(value: &[u8]) -> Segment {
    let class = |byte: &u8| match byte {
        b'0'..=b'9' => Class::Digit,
        b'a'..=b'z' => Class::Small,
        _ => Class::Capital,
    };
    let count = |of: Class| value.iter().filter(|byte| class(byte) == of).count();
    let (digits, small, capitals) = (count(Class::Digit), count(Class::Small), count(Class::Capital));
    let length = value.len();
    if digits == length {
        return Segment::Plain;
    }
    let number = value.strip_prefix(b"0x").unwrap_or(value);
    if number.iter().all(u8::is_ascii_hexdigit) && (small == 0 || capitals == 0) && digits > 0 {
        let mixed = if number.len() == length {
            Segment::Mixed
        } else {
            Segment::Plain
        };
        return if number.len() <= ADDRESS {
            mixed
        } else {
            Segment::Digits
        };
    }
    let pairs = || {
        value
            .iter()
            .zip(value.iter().skip(1))
            .map(|(a, b)| (class(a), class(b)))
    };
    let humps = pairs()
        .filter(|pair| *pair == (Class::Small, Class::Capital))
        .count();
    let short = length < SHORTEST;
    if digits == 0 {
        let dense = |of: usize| humps.saturating_mul(of) > length;
        let odd =
            (length > LONGEST_WORD && humps == 0) || (length >= 8 && dense(3)) || (length >= 16 && dense(4));
        return match (odd, humps) {
            (true, _) => Segment::Odd,
            (false, 0) => Segment::Plain,
            (false, _) => Segment::Mixed,
        };
    }
    if short || NAME.is_match(value) {
        return Segment::Mixed;
    }
    let numbers = pairs()
        .filter(|(a, b)| (*a == Class::Digit) != (*b == Class::Digit))
        .count();
    let both = small > 0 && capitals > 0;
    let odd = numbers.saturating_add(humps) > 4
        || humps.saturating_mul(3) > length
        || (numbers > 2 && length > 12)
        || (both && (numbers > 2 || (numbers == 2 && humps > 0)))
        || (capitals > 0 && digits >= 5 && length >= 8)
        || splits_words(value);
    if odd { Segment::Odd } else { Segment::Mixed }
}

/// A number of two digits and more between two words: no one's name of a part.
fn splits_words(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .collect();
    let word = |part: &[u8]| part.len() >= 4;
    parts.windows(3).any(|three| match three {
        [before, number, after] => {
            number.first().is_some_and(u8::is_ascii_digit) && number.len() >= 2 && word(before) && word(after)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(text: &str) -> Vec<&str> {
        let view = View::of(text.as_bytes());
        let mut found = Vec::new();
        Hashes::default().find_others(&view, &mut found);
        found.into_iter().map(|found| &text[found.range]).collect()
    }

    #[test]
    fn what_a_kernel_prints_is_understood() {
        for text in [
            "x29: ffff800080003d60 x28: 0000000000000000 PGD 1d925e067 PUD 5e28067 PMD 0",
            "_RNvNtCs9jEwPDbx20M_4core9panicking9panic_fmt+0x8/0x10 take_b.constprop.76+0x1f/0x280",
            "Not tainted 6.12.0-rc5-syzkaller-00299-g11066801dd4b #1 4.9.65-gea83e4a-dirty",
            "rockchip,rk3588-vepu121 mmcblk0boot0p1 enp0s31f6 ttyAMA0 ip6erspan_tunnel nfs4filelayout_init",
            "IPv6: CIPSOv4 MacBookPro10,2 i6300ESB Video4Linux ECDSA PREEMPT_DYNAMIC 16550A",
            "managed:2939944kB free:524288pages 20261130T114730 2026-01-01T00:00:00Z",
            "commit c7cbfd157255405a133bf3ae08b61eaa8ae30ca4 build id 861b582074b2acc148640ac1caeaf2b2c4ea1459",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  Image",
            "CPU: 0 UID: 0 PID: 7 Comm: a Not tainted 7.3.4 #1 861b582074b2acc148640ac1caeaf2b2c4ea1459",
            "dtbs/rockchip/px30-cobra-ltk500hd1829.dtb rk3566-powkiddy-rgb10max3.dtb",
        ] {
            assert_eq!(odd(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn what_no_one_knows_is_not() {
        for (text, expect) in [
            ("x Zk3vB9qLmT4x y", "Zk3vB9qLmT4x"),
            (
                "a/Zk3vB9q+LmT4xWc7Ry/P2aN8sD1== b",
                "Zk3vB9q+LmT4xWc7Ry/P2aN8sD1==",
            ),
            ("prefix_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
            (
                "gti=46613caa56245d937d125fc7648f143698172f71|",
                "46613caa56245d937d125fc7648f143698172f71",
            ),
            ("disk S64DNF0R104104 up", "S64DNF0R104104"),
            ("whsec_abcdef173ghijkl", "abcdef173ghijkl"),
            ("wJalrXUtnFEMIbPxRfi", "wJalrXUtnFEMIbPxRfi"),
        ] {
            assert_eq!(odd(text), [expect], "{text}");
        }
    }

    #[test]
    fn a_hash_that_one_place_names_is_kept_in_all() {
        let hash = "46613caa56245d937d125fc7648f143698172f71";
        let mut hashes = Hashes::default();
        hashes.learn(&View::of(format!("commit {hash}\n").as_bytes()));
        let mut found = Vec::new();
        hashes.find_others(&View::of(format!("x {hash} y").as_bytes()), &mut found);
        assert_eq!(found, []);
    }
}
