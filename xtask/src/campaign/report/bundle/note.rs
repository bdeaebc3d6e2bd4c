//! What was done, for whoever opens the archive.

use super::super::{md, md_cell};
use super::Packed;
use std::fmt::Write;

const HEAD: &str = "# What is masked here, and what was left out

The same value has the same placeholder in every file. Masked: names of hosts, users, persons and wireless networks, network and e-mail \
addresses, keys and their paths, passwords and tokens, ids of machines, boots and file systems, serial numbers, and words that are \
not understood (`random-`: letters and digits mixed as no symbol, part or release is). Kept: mailing lists, \
hashes, commits and build ids that a place names, addresses of the kernel; in issue.txt whom the mail goes to, because it cannot be sent without. The SHA-256 in the \
reports are those of the files before masking. Masking changes lengths: the size fields of a journal in its export format no longer fit.

A name or password that is a plain word is found only where something says what it is. Look through the list of what looks random below, and through the texts, before you hand this to anyone.

";

/// Placeholders that are listed.
const MOST: usize = 5_000;

/// The note.
pub(super) fn text(packed: &Packed) -> String {
    let mut text = String::from(HEAD);
    text.push_str("| Placeholder | Times |\n|---|---|\n");
    for one in packed.masked.iter().take(MOST) {
        let _ = writeln!(text, "| {} | {} |", one.placeholder, one.count);
    }
    if packed.masked.len() > MOST {
        let _ = writeln!(text, "\nThe first {MOST} of {} are listed.", packed.masked.len());
    }
    text.push_str("\n## Masked only where it is said what they are\n\n");
    let mut none = true;
    for (kind, count) in packed.only_in_place.iter().filter(|(_, count)| *count > 0) {
        none = false;
        let _ = writeln!(
            text,
            "- {}: {count} short values or words that every log has",
            kind.name()
        );
    }
    text.push_str(if none { "Nothing.\n" } else { "" });
    text.push_str("\n## Looks random, and is still there\n\n");
    let left = &packed.left;
    let _ = writeln!(
        text,
        "{} different values, {} times; beside them {} hashes, commits and build ids.\n",
        left.different, left.times, left.hashes
    );
    if !left.listed.is_empty() {
        text.push_str("| Where | What |\n|---|---|\n");
    }
    for one in &left.listed {
        let _ = writeln!(text, "| {} | {} |", md_cell(&one.place), md_cell(&one.shape));
    }
    if left.different > left.listed.len() {
        let _ = writeln!(text, "\nThe first {} are listed.", left.listed.len());
    }
    text.push_str("\n## Left out\n\n");
    if packed.left_out.is_empty() {
        text.push_str("Nothing.\n");
    }
    for (path, why) in &packed.left_out {
        let _ = writeln!(text, "- {}: {}", md(path), md(why));
    }
    text
}
