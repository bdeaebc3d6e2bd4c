//! Values that were found somewhere, masked wherever else they stand.

use super::Kind;
use super::found::{Found, Spread};
use super::rules::{is_nameless, is_word, touches};
use super::view::View;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeMap;
use std::ops::Range;

/// Shorter names are part of too many words.
const SHORTEST_NAME: usize = 3;
/// Shorter secrets and numbers too.
const SHORTEST_VALUE: usize = 6;
/// Shorter encodings are part of too many words.
const SHORTEST_ENCODED: usize = 8;
/// So many are looked for; more are masked only where their rule finds them.
const MOST: usize = 20_000;

/// Literals, by their lower-case spelling.
#[derive(Debug, Default)]
pub(super) struct Known {
    values: BTreeMap<Vec<u8>, Entry>,
    built: Option<(AhoCorasick, Vec<Entry>)>,
    /// Values that are too many or too short, or words of the kernel's.
    pub(super) only_in_place: BTreeMap<Kind, usize>,
}

#[derive(Debug, Clone)]
struct Entry {
    kind: Kind,
    /// As it was learned; a person's login name is no other word in capitals.
    written: Vec<u8>,
    /// Whether it may be a part of something longer.
    inside: bool,
}

impl Known {
    /// Notes a value.
    pub(super) fn add(&mut self, kind: Kind, value: &[u8]) {
        for spelling in spellings(kind, value) {
            let wanted = is_wanted(kind, &spelling) && self.values.len() < MOST;
            let lower = spelling.to_ascii_lowercase();
            if !wanted {
                let count = self.only_in_place.entry(kind).or_default();
                *count = count.saturating_add(usize::from(!self.values.contains_key(&lower)));
                continue;
            }
            // Short ones are found as words, long ones inside others too.
            let inside = spelling.len() >= 12;
            self.insert(lower, kind, spelling, inside);
            if kind == Kind::Secret {
                for encoded in encodings(value) {
                    self.insert(encoded.to_ascii_lowercase(), kind, encoded, true);
                }
            }
        }
    }

    fn insert(&mut self, lower: Vec<u8>, kind: Kind, written: Vec<u8>, inside: bool) {
        let entry = Entry {
            kind,
            written,
            inside,
        };
        match self.values.get_mut(&lower) {
            Some(known) if known.kind <= kind => {}
            Some(known) => *known = entry,
            None => drop(self.values.insert(lower, entry)),
        }
        self.built = None;
    }

    /// What a learned name is the first part of: `ampere` of `ampere.example`.
    pub(super) fn full_host(&self, short: &[u8]) -> Option<&[u8]> {
        let start = [short, b"."].concat();
        let (name, entry) = self.values.range(start.clone()..).next()?;
        (name.starts_with(&start) && entry.kind == Kind::Host).then_some(name.as_slice())
    }

    /// Adds every place of the view where a known value stands by itself.
    pub(super) fn find(&mut self, view: &View, into: &mut Vec<Found>) {
        if self.values.is_empty() {
            return;
        }
        if self.built.is_none() {
            let mut builder = AhoCorasickBuilder::new();
            let Ok(automaton) = builder.ascii_case_insensitive(true).build(self.values.keys()) else {
                return;
            };
            self.built = Some((automaton, self.values.values().cloned().collect()));
        }
        let Some((automaton, entries)) = &self.built else {
            return;
        };
        for found in automaton.find_overlapping_iter(&view.text) {
            let Some(entry) = entries.get(found.pattern().as_usize()) else {
                continue;
            };
            if stands_alone(&view.text, found.range(), entry) {
                into.push(Found {
                    range: view.origin(found.range()),
                    kind: entry.kind,
                    spread: Spread::Here,
                    value: None,
                });
            }
        }
    }
}

/// A MAC address in the spellings that no rule knows by their shape, a UUID with and without
/// hyphens, a host without its domain; else the value itself.
fn spellings(kind: Kind, value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![value.to_vec()];
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    match kind {
        Kind::Mac if digits.len() == 12 => {
            let spaced: Vec<Vec<u8>> = digits.chunks(2).map(<[u8]>::to_vec).collect();
            all = vec![spaced.join(&b' '), digits];
        }
        Kind::Mac => all = vec![digits],
        Kind::Id if digits.len() == 32 => {
            let hyphens = [0..8, 8..12, 12..16, 16..20, 20..32];
            let parts: Vec<&[u8]> = hyphens
                .into_iter()
                .filter_map(|range| digits.get(range))
                .collect();
            all = vec![parts.join(&b'-'), digits];
        }
        Kind::Host => all.extend(
            value
                .iter()
                .position(|&byte| byte == b'.')
                .and_then(|dot| Some(value.get(..dot)?.to_vec())),
        ),
        Kind::Person => {
            let words: Vec<&[u8]> = value.split(|&byte| byte == b' ').collect();
            if words.len() < 2 {
                all.clear();
            }
        }
        _ => {}
    }
    all
}

/// A secret in hexadecimal in both cases, and in base64 (RFC 4648) at each of the three places at
/// which it can begin in what was encoded, without the digits that its neighbours change.
fn encodings(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![hex::encode(value), hex::encode_upper(value)];
    for before in 0..3_usize {
        let bytes = [b"\0\0".get(..before).unwrap_or_default(), value].concat();
        let digits = before.saturating_mul(8).div_ceil(6)..bytes.len().saturating_mul(8) / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&bytes);
            all.push(encoded.get(digits.clone()).unwrap_or_default().to_string());
        }
    }
    all.retain(|encoded| encoded.len() >= SHORTEST_ENCODED);
    all.into_iter().map(String::into_bytes).collect()
}

fn is_wanted(kind: Kind, value: &[u8]) -> bool {
    let digit = value.iter().any(u8::is_ascii_digit);
    match kind {
        Kind::Host | Kind::User | Kind::Ssid => {
            value.len() >= SHORTEST_NAME && !is_nameless(value) && !is_word(value)
        }
        Kind::Secret => {
            let odd = digit || value.iter().any(|byte| !byte.is_ascii_alphabetic());
            // Times, versions and counts of every record
            let number = value
                .iter()
                .all(|byte| byte.is_ascii_digit() || b"-:./, ".contains(byte));
            let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
            let telling = if number {
                digits >= 9
            } else {
                odd || value.len() >= 8
            };
            value.len() >= SHORTEST_VALUE && telling && !is_word(value)
        }
        Kind::Serial => value.len() >= SHORTEST_VALUE && digit,
        _ => value.len() >= SHORTEST_VALUE,
    }
}

/// Names and short values are words of their own; `_` ends a word where the name is no common one
/// and no symbol of the kernel's follows.
fn stands_alone(text: &[u8], range: Range<usize>, entry: &Entry) -> bool {
    let Some(value) = text.get(range.clone()) else {
        return false;
    };
    match entry.kind {
        Kind::Host | Kind::User | Kind::Ssid => {
            let same =
                entry.kind == Kind::Host || value == entry.written || is_capitalised(value, &entry.written);
            let rest = text.get(range.end..).unwrap_or_default();
            let symbol = rest
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            let symbol = rest.get(symbol..).is_some_and(|rest| rest.starts_with(b"+0x"));
            let signs: &[u8] = if value.len() < 5 || symbol { b"_" } else { b"" };
            same && !touches(text, &range, signs)
        }
        Kind::Person => !touches(text, &range, b""),
        Kind::Mac | Kind::Id => !touches(text, &range, b""),
        _ => value == entry.written && (entry.inside || !touches(text, &range, b"")),
    }
}

/// `Alice` for `alice`.
fn is_capitalised(value: &[u8], written: &[u8]) -> bool {
    let tail = value.get(1..) == written.get(1..) && value.len() >= 4;
    tail && value.first().map(u8::to_ascii_lowercase) == written.first().copied()
}
