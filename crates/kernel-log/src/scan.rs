//! A log of any length, in blocks of any length: what it says is told at the end, and memory does not grow with it.

use super::completeness::{Completeness, Judge, Lockdep};
use super::finder::Finder;
use super::finding::Finding;
use super::firmware::FirmwareError;
use super::headers;
use super::layout::Layout;
use super::reader::Reader;
use super::record::{Format, HEAD, LONGEST_LINE, Record};
use super::understood::{Content, Signs, Understood};
use memchr::{memchr2, memrchr2};

/// So much of a log in memory is looked at at a time.
const BLOCK: usize = 1 << 20;

/// What a log said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// How it was written.
    pub format: Format,
    /// What is missing, where it begins and how it ends.
    pub completeness: Completeness,
    /// Whether lockdep was seen to be switched off in its last boot.
    pub lockdep: Lockdep,
    /// Findings in the order in which they began; see [`Finder`] for their bounds.
    pub findings: Vec<Finding>,
    /// Findings beyond the bound, which are only counted.
    pub untold: usize,
    /// Errors that firmware reported before a kernel ran.
    pub firmware: Vec<FirmwareError>,
    /// Whether a kernel's log was recognised in it.
    pub understood: Understood,
    /// Length of the log in bytes.
    pub bytes: u64,
}

/// Takes a log block by block. Wherever the blocks are cut, the result is the same.
#[derive(Debug)]
pub struct Scan {
    /// Unknown until enough of the log was seen.
    reader: Option<Reader>,
    finder: Finder,
    judge: Judge,
    /// What was not read yet: a part of a line, and the line before it.
    rest: Vec<u8>,
    /// Inside a line that is too long.
    passing_over: bool,
    /// What its first bytes are.
    binary: Content,
    bytes: u64,
}

impl Scan {
    /// A scan of one log, named `source` in its findings.
    pub fn new(source: &str) -> Self {
        Scan {
            reader: None,
            finder: Finder::new(source),
            judge: Judge::default(),
            rest: Vec::new(),
            passing_over: false,
            binary: Content::Text,
            bytes: 0,
        }
    }

    /// Takes the next block.
    pub fn push(&mut self, block: &[u8]) {
        self.bytes = self.bytes.saturating_add(block.len() as u64);
        self.rest.extend_from_slice(block);
        if self.reader.is_none() {
            if self.rest.len() < HEAD {
                return;
            }
            self.binary = Content::of(&self.rest);
            self.reader = Some(Reader::new(Layout::detect(&self.rest)));
        }
        self.read_lines();
    }

    /// Ends the log.
    pub fn finish(mut self) -> Scanned {
        let mut reader = self.reader.take().unwrap_or_else(|| {
            self.binary = Content::of(&self.rest);
            Reader::new(Layout::detect(&self.rest))
        });
        let mut rest = std::mem::take(&mut self.rest);
        if self.passing_over {
            rest.drain(..pass_over(&mut reader, &rest).0);
        }
        reader.lines(&rest, rest.len(), &mut |record| {
            take(&mut self.finder, &mut self.judge, &record);
        });
        reader.finish(&mut |record| take(&mut self.finder, &mut self.judge, &record));
        let (format, boots) = (reader.format(), reader.boots());
        let (bytes, marked) = (self.bytes, reader.marked());
        let words = self.judge.kernel_words();
        let (completeness, lockdep) = self.judge.finish(reader.into_losses(), boots);
        let found = self.finder.finish();
        let understood = Understood::of(Signs {
            bytes,
            marked,
            words,
            binary: self.binary,
            found: &found,
        });
        let (findings, untold, firmware) = (found.findings, found.untold, found.firmware);
        Scanned {
            format,
            completeness,
            lockdep,
            findings,
            untold,
            firmware,
            understood,
            bytes,
        }
    }

    /// Reads all whole lines but the last, which the one before it may need to see.
    fn read_lines(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let mut from = 0;
        if self.passing_over {
            let (passed, ended) = pass_over(reader, &self.rest);
            from = passed;
            self.passing_over = !ended;
        }
        let rest = self.rest.get(from..).unwrap_or_default();
        let until = whole_lines(reader.format(), rest);
        let (finder, judge) = (&mut self.finder, &mut self.judge);
        reader.lines(rest, until, &mut |record| take(finder, judge, &record));
        from = from.saturating_add(until);
        let rest = self.rest.get(from..).unwrap_or_default();
        if rest.len() > LONGEST_LINE.saturating_mul(2) {
            let whole = line_end(reader.format(), rest).map_or(LONGEST_LINE, |end| end.saturating_add(1));
            let line = rest.get(..whole).unwrap_or(rest);
            reader.lines(line, whole, &mut |record| take(finder, judge, &record));
            self.passing_over = whole == LONGEST_LINE && line_end(reader.format(), line).is_none();
            from = from.saturating_add(whole);
        }
        self.rest.drain(..from);
    }
}

/// [`Scan`] of a log that is in memory.
pub fn scan(log: &[u8], source: &str) -> Scanned {
    let mut scan = Scan::new(source);
    log.chunks(BLOCK).for_each(|block| scan.push(block));
    scan.finish()
}

/// Whether a kernel's log is recognised in these bytes.
pub fn understood(bytes: &[u8]) -> Understood {
    let mut scan = Scan::new("");
    scan.push(bytes);
    scan.finish().understood
}

fn take(finder: &mut Finder, judge: &mut Judge, record: &Record) {
    let interesting = headers::interesting(&record.text);
    if interesting {
        judge.interesting(record);
    }
    judge.any(record);
    finder.take(record, interesting);
}

/// Passes over the rest of a line that is too long: how many bytes, and whether it has ended.
fn pass_over(reader: &mut Reader, rest: &[u8]) -> (usize, bool) {
    let end = line_end(reader.format(), rest);
    let passed = end.unwrap_or(rest.len());
    reader.skip(passed);
    (passed, end.is_some())
}

fn line_end(format: Format, bytes: &[u8]) -> Option<usize> {
    let (one, other) = format.line_ends();
    memchr2(one, other, bytes)
}

/// Where the last whole line begins, 0 if there is none before it.
fn whole_lines(format: Format, bytes: &[u8]) -> usize {
    let (one, other) = format.line_ends();
    let last = |bytes: &[u8]| memrchr2(one, other, bytes);
    last(bytes)
        .and_then(|end| last(bytes.get(..end)?))
        .map_or(0, |end| end.saturating_add(1))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
