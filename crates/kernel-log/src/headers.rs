//! The first lines of reports: what each kind begins with, and how the rest of it is to be read.

mod tables;

use super::kind::Kind;
use aho_corasick::automaton::Automaton as _;
use aho_corasick::dfa::DFA;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored};
use regex::Regex;
use std::sync::LazyLock;
use tables::{ANSWERS, PREAMBLES};

pub use tables::{Blame, Body, DOWN, Header, LOCKDEP_OFF, all};

/// Every header, in the order in which they are tried.
static HEADERS: LazyLock<Vec<&'static Header>> = LazyLock::new(|| all().collect());

/// One pass over a line says whether it can mean anything at all: a first line, a preamble, a way
/// down, lockdep's end, a question. The marks of [`HEADERS`] come first, [`PREAMBLES`] behind them.
static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(words())
        .expect("the words are constants and few")
});

fn words() -> impl Iterator<Item = &'static str> {
    HEADERS
        .iter()
        .map(|header| header.mark)
        .chain(PREAMBLES.iter().copied())
        .chain(DOWN)
        .chain(LOCKDEP_OFF)
        .chain(ANSWERS)
        .chain(tables::BEGINNINGS)
}

/// Whether a line has any of the words in it on which something depends. Nearly none has.
pub fn interesting(text: &str) -> bool {
    may_be_interesting(text.as_bytes()) && WORDS.is_match(text)
}

/// So many bytes of each word are looked for first.
const START: usize = 12;
/// A line is looked at in so many parts at once: each step depends on the one before it, and those
/// of other parts do not.
const LANES: usize = 4;

/// The starts of all words: short ones, so that the parts of a line overlap by little.
static STARTS: LazyLock<DFA> = LazyLock::new(|| {
    let starts = words().map(|word| word.as_bytes().get(..START).unwrap_or(word.as_bytes()));
    DFA::new(starts).expect("the words are constants and few")
});

/// Whether a word may begin somewhere: false for nearly all lines, at a fraction of what the search
/// for whole words takes.
fn may_be_interesting(line: &[u8]) -> bool {
    let dfa: &DFA = &STARTS;
    let Ok(start) = dfa.start_state(Anchored::No) else {
        return true;
    };
    let step = |state, byte: u8| dfa.next_state(Anchored::No, state, byte);
    let length = line.len().div_ceil(LANES).saturating_add(START);
    let last = line.len().saturating_sub(length);
    let lane = |number: usize| {
        let from = line.len().div_ceil(LANES).saturating_mul(number).min(last);
        line.get(from..from.saturating_add(length).min(line.len()))
            .unwrap_or_default()
    };
    let mut states = [start; LANES];
    let mut found = false;
    let bytes = lane(0).iter().zip(lane(1)).zip(lane(2)).zip(lane(3));
    for (((one, two), three), four) in bytes {
        let [a, b, c, d] = states;
        states = [step(a, *one), step(b, *two), step(c, *three), step(d, *four)];
        let [a, b, c, d] = states;
        found |= dfa.is_match(a) | dfa.is_match(b) | dfa.is_match(c) | dfa.is_match(d);
    }
    found
}

/// Lines that look like a report's beginning and are none: notices of deprecation, of untested
/// hardware, of measured delays. Each is told by its own words, whoever prints it.
static HARMLESS: LazyLock<Regex> = LazyLock::new(|| {
    const WORDS: &[&str] = &[
        "mand mount option",
        "deprecated",
        "uses wireless extensions",
        "missed to adjust virtual screen size",
        "using fixed modulus",
        "experimental mount option",
        "not compiled with CPU_SRSO",
        "hw-vuln",
        "took too long to run",
        "lockdep is turned off",
        "trace_printk",
        "unprivileged eBPF",
        "Stall ended before state dump start",
        r"^(WARNING|BUG): (\S+ )?/(etc|dev|proc|sys|usr|var|run)/",
        r"^WARNING: `",
        "systemd-tmpfiles",
        "online intersect > possible intersect",
    ];
    Regex::new(&format!("(?i){}", WORDS.join("|"))).expect("the words are constants")
});

/// What may stand before a mark that begins a line: tags of subsystems, a frame, a date.
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(\W*|(\[ )|(\w[\w/.()-]*( \w[\w/.-]*){0,2}: ){1,3}|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |CPU \d+ )$",
    )
    .expect("the pattern is a constant")
});

/// What a line means to the finder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It begins a report.
    Header(&'static Header),
    /// A report may follow.
    Preamble,
}

/// Whether a line begins a report, or announces one.
pub fn recognise(text: &str) -> Option<Opening> {
    let mut found = words_in(text);
    // The last line of a report repeats the first.
    if found.is_empty() || text.contains("---[ end ") {
        return None;
    }
    found.sort_unstable();
    let headers = found
        .iter()
        .filter_map(|(word, at)| Some((*HEADERS.get(*word)?, *at)));
    for (header, at) in headers {
        if fits(header, text, at) {
            return Some(Opening::Header(header));
        }
    }
    let preambles = HEADERS.len()..HEADERS.len().saturating_add(PREAMBLES.len());
    found
        .iter()
        .any(|(word, _)| preambles.contains(word))
        .then_some(Opening::Preamble)
}

/// Whether only the kernel writes such a line, so that it counts without a time, too.
pub fn is_kernels_alone(opening: &Opening) -> bool {
    match opening {
        Opening::Header(header) => !matches!(
            header.mark,
            "WARNING: " | "BUG: " | "BUG " | "UBSAN: " | "panicked at "
        ),
        Opening::Preamble => false,
    }
}

/// Whether a line can only be the first one of a kernel's report with a stack.
pub fn begins_report(text: &str) -> bool {
    interesting(text)
        && recognise(text).is_some_and(|opening| {
            let stack = matches!(opening, Opening::Header(header) if header.body == Body::Stack);
            stack && is_kernels_alone(&opening)
        })
}

/// Which of [`WORDS`] a line has, by their numbers, each with where it stands first.
fn words_in(text: &str) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for word in WORDS.find_overlapping_iter(text) {
        let number = word.pattern().as_usize();
        if !found.iter().any(|(known, _)| *known == number) {
            found.push((number, word.start()));
        }
    }
    found
}

/// Whether a line whose mark stands at `at` begins such a report.
fn fits(header: &Header, text: &str, at: usize) -> bool {
    let (lead, marked) = text.split_at_checked(at).unwrap_or((text, ""));
    let rest = marked.get(header.mark.len()..).unwrap_or_default();
    // Only what nothing but the field's three words makes a report can be harmless; a `WARN()` names its function.
    if tables::is_general(header) && HARMLESS.is_match(text) && !text.contains("+0x") {
        return false;
    }
    match header.kind {
        Kind::AllocationFailure | Kind::IommuFault | Kind::HardwareError | Kind::DuplicateName => {
            header.mark != ": Page fault at " || lead.contains("iommu")
        }
        Kind::RuntimePm | Kind::FilesystemError | Kind::DeviceTimeout => true,
        // User space's own: `do_alignment()` tells of those, too (arch/arm/mm/alignment.c).
        Kind::Oops if header.mark.starts_with("Alignment trap") => !is_of_user_space(rest),
        Kind::HungTask => {
            let tells = rest.contains("blocked") || rest.contains("can't die");
            LEAD.is_match(lead) && (tells || is_broken_name(rest))
        }
        Kind::RcuStall => lead.contains("INFO: ") || lead.contains("rcu"),
        Kind::ProbeFailure => probe_failed(text),
        Kind::SlabCorruption if header.mark == "BUG " => {
            // Before 3.4 without the taint.
            let told = rest.contains("): ") || rest.contains(": Objects remaining");
            LEAD.is_match(lead) && told && !rest.contains("kasan: ")
        }
        Kind::MemoryLeak if header.body == Body::Line => lead.starts_with("kmemleak: "),
        Kind::MemoryLeak if header.mark.starts_with("unref") => {
            lead.trim_start() == "" || lead == "kmemleak: "
        }
        Kind::Oops if header.mark == "Oops: " => LEAD.is_match(lead) && rest.contains("[#"),
        Kind::Oops | Kind::GeneralProtection | Kind::DivideError
            if rest.trim().is_empty() && !lead.is_empty() =>
        {
            false
        }
        // Old kernels glue it to the hint of the line before; a program's own fault has an `ip:` and no `[#1]`.
        Kind::GeneralProtection => rest.contains("[#") || (LEAD.is_match(lead) && rest.starts_with(", ")),
        Kind::Oops if header.mark == "int3: " => LEAD.is_match(lead) && rest.contains("[#"),
        Kind::Oops if header.mark.starts_with(": 0000") => true,
        Kind::OtherBug if header.mark.ends_with("(try booting") || header.mark.starts_with("VFS: Close") => {
            true
        }
        Kind::LockingBug if header.mark == "BUG: key " => {
            rest.contains("registered") || rest.contains("not in .data")
        }
        Kind::OtherBug if header.mark == "BUG: " => LEAD.is_match(lead) && rest.len() > 3,
        Kind::Warning => LEAD.is_match(lead) && !rest.trim().is_empty(),
        Kind::InconsistentLockState | Kind::HeldLockFreed | Kind::LockHeldAtReturn
            if !header.mark.starts_with("BUG") =>
        {
            lead.contains("WARNING: ") || lead.contains("BUG: ") || lead.contains("INFO: ")
        }
        Kind::CircularLocking
        | Kind::RecursiveLocking
        | Kind::IrqLockInversion
        | Kind::SuspiciousRcu
        | Kind::BadUnlockBalance
        | Kind::LockingBug => lead.contains("WARNING: ") || lead.contains("BUG: ") || lead.contains("INFO: "),
        Kind::OutOfMemory
        | Kind::SoftLockup
        | Kind::HardLockup
        | Kind::Watchdog
        | Kind::Panic
        | Kind::StackOverflow => true,
        _ => LEAD.is_match(lead),
    }
}

/// Whether a line ends within the name of a task: a program may give itself one of any 15 bytes
/// (prctl(2), `PR_SET_NAME`), a line feed among them.
fn is_broken_name(rest: &str) -> bool {
    rest.chars().count() < 16
        && !rest.contains(':')
        && rest.chars().any(|c| !(c.is_ascii_graphic() || c == ' '))
}

/// `instruction 0xe5901000 at [<00010474>]`: an address below the kernel's own.
fn is_of_user_space(rest: &str) -> bool {
    let address = rest.split_once("[<").and_then(|(_, rest)| rest.split_once(">]"));
    address.is_some_and(|(digits, _)| u64::from_str_radix(digits, 16).is_ok_and(|value| value < 0x4000_0000))
}

/// drivers/base/dd.c: `X: deferred probe pending: reason`, `probe of X failed with error -N`, since
/// 6.10 `probe with driver D failed with error -N`.
fn probe_failed(text: &str) -> bool {
    let failed = (text.contains("probe of ") || text.contains("probe with driver "))
        && text.contains(" failed with error -");
    failed || text.contains(": deferred probe pending")
}

#[cfg(test)]
mod tests;
