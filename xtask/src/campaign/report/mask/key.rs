//! Keys in PEM and its relatives: found by their BEGIN and END lines, whatever stands in front of
//! each line and whether they end or not.

use super::found::{Found, Spread};
use super::view::{View, plain};
use super::{Kind, moved, rule};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// RFC 7468, RFC 4716 (four dashes and blanks), OpenPGP's armour, PuTTY's files.
static BEGIN: LazyLock<Regex> =
    LazyLock::new(|| rule(r"-{4,5} ?BEGIN [A-Z0-9 ]{1,60}-{4,5}|\bPrivate-Lines: \d{1,4}"));
static END: LazyLock<Regex> = LazyLock::new(|| rule(r"-{4,5} ?END [A-Z0-9 ]{1,60}-{4,5}"));
static RUN: LazyLock<Regex> = LazyLock::new(|| rule(r"[A-Za-z0-9+/]{12,}={0,3}"));
/// The end of a key in the quotes or tags around every line.
static SHORT: LazyLock<Regex> =
    LazyLock::new(|| rule(r#"([A-Za-z0-9+/]{1,100}={0,3})(?:[\s"'\\,;)}\]]|&\w+;|</\w+>)*$"#));
/// A line of nothing but a part of a key.
static WHOLE: LazyLock<Regex> =
    LazyLock::new(|| rule(r#"^[\s"'\\+>|,]*([A-Za-z0-9+/]{1,100}={0,3})[\s"'\\+,;]*$"#));
/// RFC 1421's headers, and those of RFC 4716.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    rule(r"(?:Proc-Type|DEK-Info|Private-MAC|Comment|Subject|Version|x-[a-z-]+): ?([^\n]*)")
});
/// Another field of the same record of the journal (`_PID=1`); a blank line.
static FIELD: LazyLock<Regex> = LazyLock::new(|| rule(r"^(?:[A-Z0-9_]{2,64}=|\s*$)"));

/// No key is longer; a block is cut in front of one that begins so near its end.
pub(super) const LONGEST: usize = 64 << 10;
/// Lines of others in a row after which a key that has no end is over.
const FOREIGN: usize = 12;

/// Where the last key of this block begins that does not end in it.
pub(super) fn unfinished(block: &[u8]) -> Option<usize> {
    let begin = BEGIN.find_iter(block).last()?.start();
    let rest = block.get(begin..).unwrap_or_default();
    (!END.is_match(rest)).then_some(begin)
}

/// Every key of the view: all pieces of one have its whole as their value.
pub(super) fn find(view: &View, block: &[u8], into: &mut Vec<Found>) {
    let text = &view.text;
    let mut from = 0;
    while let Some(begin) = BEGIN.find_at(text, from) {
        let (mut pieces, end) = body(text, begin.end());
        let value: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| text.get(piece.clone()).unwrap_or_default())
            .copied()
            .filter(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
            .collect();
        pieces.insert(0, begin.range());
        if let Some(end) = &end {
            pieces.push(end.clone());
        }
        from = pieces
            .last()
            .map_or(begin.end(), |last| last.end.max(begin.end()));
        let origins = pieces.into_iter().map(|piece| view.origin(piece));
        for range in joined(block, origins) {
            into.push(Found {
                range,
                kind: Kind::Key,
                spread: Spread::Here,
                value: Some(value.clone()),
            });
        }
    }
}

/// The pieces of a key behind its BEGIN, and its END.
fn body(text: &[u8], start: usize) -> (Vec<Range<usize>>, Option<Range<usize>>) {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let (mut foreign, mut at) = (0, start);
    let mut before = Before::Piece(Vec::new());
    let rest = text
        .get(start..text.len().min(start.saturating_add(LONGEST)))
        .unwrap_or_default();
    for line in rest.split_inclusive(|&byte| byte == b'\n') {
        let end = END.find(line).map(|found| found.range());
        let next = BEGIN.find(line).map(|found| found.start());
        let stop = end.as_ref().map(|end| end.start).or(next);
        let own = line.get(..stop.unwrap_or(line.len())).unwrap_or_default();
        let found = pieces_of_line(own, &before);
        if let Some(first) = found.first() {
            before = Before::Piece(shape(own.get(..first.start).unwrap_or_default()));
            foreign = 0;
        } else if !FIELD.is_match(own) {
            before = Before::Foreign;
            foreign = usize::saturating_add(foreign, 1);
        }
        pieces.extend(found.into_iter().map(|piece| moved(at, &piece)));
        if let Some(end) = end {
            return (pieces, Some(moved(at, &end)));
        }
        if next.is_some() || foreign > FOREIGN {
            break;
        }
        at = at.saturating_add(line.len());
    }
    (pieces, None)
}

/// The line before, as far as a key is read.
enum Before {
    /// It was a piece, with this in front of it.
    Piece(Vec<u8>),
    /// It was something else.
    Foreign,
}

/// What stands in front of a piece: numbers change from line to line, the rest does not.
fn shape(front: &[u8]) -> Vec<u8> {
    let mut shape: Vec<u8> = front
        .iter()
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte })
        .collect();
    shape.dedup_by(|a, b| *a == b'0' && *b == b'0');
    shape
}

fn pieces_of_line(line: &[u8], before: &Before) -> Vec<Range<usize>> {
    if let Some(header) = HEADER.captures(line).and_then(|found| found.get(1)) {
        return vec![header.range()];
    }
    let after_piece = matches!(before, Before::Piece(_));
    if let Some(all) = WHOLE.captures(line).and_then(|found| found.get(1))
        && (after_piece || all.len() >= 12)
    {
        return vec![all.range()];
    }
    let runs: Vec<Range<usize>> = RUN
        .find_iter(line)
        .filter(|run| run.len() >= 40 || is_mixed(run.as_bytes()))
        .map(|run| run.range())
        .collect();
    if let (true, Before::Piece(front)) = (runs.is_empty(), before) {
        // The short end of a key, wrapped as the line before it.
        let same = |run: &Range<usize>| line.get(..run.start).is_some_and(|text| shape(text) == *front);
        let run = SHORT.captures(line).and_then(|found| Some(found.get(1)?.range()));
        return run.filter(same).into_iter().collect();
    }
    runs
}

/// Capitals and small letters: no symbol of the kernel has both for long.
fn is_mixed(run: &[u8]) -> bool {
    let capitals = run.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let small = run.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    capitals >= 3 && small >= 3
}

/// Pieces with nothing but ends of lines between them are one; a record's prefix stays.
fn joined(block: &[u8], pieces: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let gap = all.last().and_then(|last| block.get(last.end..piece.start));
        let close = gap.is_some_and(|gap| gap.len() <= 16 && plain(gap).iter().all(u8::is_ascii_whitespace));
        match all.last_mut() {
            Some(last) if close => last.end = piece.end,
            _ => all.push(piece),
        }
    }
    all
}
