//! The review gate: who approved or rejected which content of a patch.
//!
//! Reviews stand in `reviews.toml` beside the patch, in the repository, and are only ever added to, so that the
//! history remains. An approval is bound to the whole file (SHA-256) and says the patch id, too: of an edited patch
//! it can be told whether the diff or only the message changed. It has lost its approval either way.

use super::patch::Patch;
use crate::document;
use crate::host::bounded;
use crate::host::files::write_atomic;
use crate::host::toml;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file with the reviews, in the folder of the patch.
pub const FILE: &str = "reviews.toml";

const HEAD: &str = "# SPDX-License-Identifier: GPL-2.0-only\n\
    # Reviews of the patches in this folder, as `cargo xtask review` adds them. Each holds for exactly the content that it names.\n";

/// What a reviewer decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may be applied.
    Approve,
    /// It may not.
    Reject,
}

/// One review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Review {
    /// File name of the patch.
    pub patch: String,
    /// What was decided.
    pub decision: Decision,
    /// The reviewer.
    pub by: String,
    /// When, in UTC: `2026-11-22T10:00:00Z`.
    pub date: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// `git patch-id --stable` of what was reviewed.
    pub patch_id: String,
    /// SHA-256 of the whole file that was reviewed, lower-case hex.
    pub sha256: String,
}

/// Version of the file. Files without one are of the first.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Reviews {
    #[serde(
        default = "first",
        deserialize_with = "document::known::<SCHEMA_VERSION, _>",
        skip_serializing
    )]
    #[expect(dead_code, reason = "it is checked where it is read")]
    schema_version: u32,
    #[serde(default, rename = "review")]
    reviews: Vec<Review>,
}

fn first() -> u32 {
    1
}

/// What has changed since a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// The message or the notes; the diff is the one that was reviewed.
    Message,
    /// The diff.
    Diff,
}

/// Whether a patch may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Somebody approved this very content, and nobody who rejected it has come to think otherwise.
    Approved(Review),
    /// Somebody rejected this very content.
    Rejected(Review),
    /// Another content was reviewed.
    Stale {
        /// The last review of it.
        last: Review,
        /// What is different now.
        changed: Changed,
    },
    /// Nobody has reviewed it.
    None,
}

impl State {
    /// The gate is open for an approved patch only.
    pub fn is_open(&self) -> bool {
        matches!(self, State::Approved(_))
    }

    /// In few words, for a table.
    pub fn short(&self) -> String {
        match self {
            State::Approved(review) => format!("approved by {}", review.by),
            State::Rejected(review) => format!("rejected by {}", review.by),
            State::Stale {
                changed: Changed::Message,
                ..
            } => "stale: message changed".into(),
            State::Stale {
                changed: Changed::Diff,
                ..
            } => "stale: diff changed".into(),
            State::None => "-".into(),
        }
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        let who = |review: &Review| {
            let done = match review.decision {
                Decision::Approve => "approved",
                Decision::Reject => "rejected",
            };
            let note = if review.note.is_empty() {
                String::new()
            } else {
                format!(": {}", review.note)
            };
            format!(
                "{done} by {} on {}{note}",
                review.by,
                review.date.get(..10).unwrap_or(&review.date)
            )
        };
        match self {
            State::Approved(review) | State::Rejected(review) => who(review),
            State::Stale { last, changed } => {
                let what = match changed {
                    Changed::Message => "its message changed since, the diff is the same",
                    Changed::Diff => "its diff changed since",
                };
                format!("no longer {}; {what}, so it needs a new review", who(last))
            }
            State::None => "nobody has reviewed it".into(),
        }
    }
}

/// The rule. For the content that is there, the last word of each reviewer counts, and one rejection outweighs
/// every approval. Names of files do not matter for that, so a patch may be renamed; they tell which older reviews
/// were of this patch.
pub fn state(patch: &Patch, reviews: &[Review]) -> State {
    let mut last_words: Vec<&Review> = Vec::new();
    for review in reviews.iter().filter(|review| review.sha256 == patch.sha256) {
        last_words.retain(|earlier| earlier.by != review.by);
        last_words.push(review);
    }
    let last = |decision| last_words.iter().rfind(|review| review.decision == decision);
    if let Some(review) = last(Decision::Reject) {
        return State::Rejected((*review).clone());
    }
    if let Some(review) = last(Decision::Approve) {
        return State::Approved((*review).clone());
    }
    let patch_id = patch.patch_id();
    let same_diff = reviews.iter().rfind(|review| review.patch_id == patch_id);
    let same_name = || reviews.iter().rfind(|review| review.patch == patch.name);
    match (same_diff, same_diff.or_else(same_name)) {
        (Some(last), _) => State::Stale {
            last: last.clone(),
            changed: Changed::Message,
        },
        (None, Some(last)) => State::Stale {
            last: last.clone(),
            changed: Changed::Diff,
        },
        (None, None) => State::None,
    }
}

/// Parses a `reviews.toml`. Errors name line and column.
pub fn parse(text: &str) -> Result<Vec<Review>> {
    toml::refuse_newer(text, SCHEMA_VERSION)?;
    Ok(::toml::from_str::<Reviews>(text)?.reviews)
}

/// The file with the reviews of the patch file `patch`.
pub fn file_of(patch: &Path) -> PathBuf {
    patch.with_file_name(FILE)
}

/// The reviews that stand beside the patch file `patch`; none where there is no such file.
pub fn read(patch: &Path) -> Result<Vec<Review>> {
    let file = file_of(patch);
    let doing = || format!("reading the reviews in {}", file.display());
    match bounded::read_text_if_there(&file, bounded::WRITTEN).with_context(doing)? {
        Some(text) => parse(&text).with_context(doing),
        None => Ok(Vec::new()),
    }
}

/// Adds a review beside the patch file `patch`; all that stands there already stays as it is. Dies half-way: the
/// old file is there.
pub fn add(patch: &Path, review: &Review) -> Result<()> {
    if review.by.trim().is_empty() {
        bail!("a review needs a name: `--by NAME`");
    }
    // What cannot be read is not added to.
    read(patch)?;
    let file = file_of(patch);
    let before = bounded::read_text_if_there(&file, bounded::WRITTEN)?.unwrap_or_else(|| HEAD.to_string());
    let entry = ::toml::to_string(&Reviews {
        schema_version: SCHEMA_VERSION,
        reviews: vec![review.clone()],
    })?;
    let gap = if before.ends_with('\n') { "\n" } else { "\n\n" };
    write_atomic(&file, format!("{before}{gap}{entry}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(message: &str, line: &str) -> Patch {
        let mail = format!(
            "From: A <a@b.c>\nDate: Tue, 3 Mar 2026 10:11:12 +0000\nSubject: [PATCH] x\n\n{message}\n---\n\
             diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+{line}\n"
        );
        Patch::parse("0007-x.patch", mail.as_bytes()).unwrap()
    }

    fn review(patch: &Patch, by: &str, decision: Decision) -> Review {
        Review {
            patch: patch.name.clone(),
            decision,
            by: by.into(),
            date: "2026-11-22T10:00:00Z".into(),
            note: "seven \"places\"".into(),
            patch_id: patch.patch_id(),
            sha256: patch.sha256.clone(),
        }
    }

    #[test]
    fn an_edited_patch_has_lost_its_approval() {
        let first = patch("Why.", "b");
        let reviews = [review(&first, "Ann", Decision::Approve)];
        assert!(state(&first, &reviews).is_open());
        let reworded = state(&patch("Why not.", "b"), &reviews);
        assert!(
            matches!(
                reworded,
                State::Stale {
                    changed: Changed::Message,
                    ..
                }
            ),
            "{reworded:?}"
        );
        assert!(!reworded.is_open());
        let edited = state(&patch("Why.", "c"), &reviews);
        assert!(
            matches!(
                edited,
                State::Stale {
                    changed: Changed::Diff,
                    ..
                }
            ) && !edited.is_open(),
            "{edited:?}"
        );
        assert_eq!(state(&first, &[]), State::None);
        // Another name for the same content is the same patch.
        let renamed = Patch {
            name: "0009-y.patch".into(),
            ..first
        };
        assert!(state(&renamed, &reviews).is_open());
    }

    #[test]
    fn one_rejection_outweighs_approvals_until_it_is_taken_back() {
        let patch = patch("Why.", "b");
        let mut reviews = vec![
            review(&patch, "Bob", Decision::Reject),
            review(&patch, "Ann", Decision::Approve),
        ];
        assert!(matches!(state(&patch, &reviews), State::Rejected(by) if by.by == "Bob"));
        reviews.push(review(&patch, "Bob", Decision::Approve));
        assert!(state(&patch, &reviews).is_open());
    }

    #[test]
    fn trailers_do_not_open_the_gate() {
        let patch = patch("Why.\n\nReviewed-by: Ann <a@b.c>", "b");
        assert_eq!(patch.trailers("Reviewed-by"), ["Ann <a@b.c>"]);
        assert_eq!(state(&patch, &[]), State::None);
    }

    #[test]
    fn reviews_are_added_and_nothing_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("0007-x.patch");
        let (one, other) = (patch("Why.", "b"), patch("Why.", "c"));
        add(&file, &review(&one, "Ann", Decision::Approve)).unwrap();
        let before = std::fs::read_to_string(file_of(&file)).unwrap();
        add(&file, &review(&other, "Bob", Decision::Reject)).unwrap();
        let after = std::fs::read_to_string(file_of(&file)).unwrap();
        assert!(
            after.starts_with(&before) && before.starts_with("# SPDX-License-Identifier"),
            "{after}"
        );
        let reviews = read(&file).unwrap();
        assert_eq!(
            reviews,
            [
                review(&one, "Ann", Decision::Approve),
                review(&other, "Bob", Decision::Reject)
            ]
        );
        std::fs::write(
            file_of(&file),
            after.replace("decision = \"reject\"", "decision = \"maybe\""),
        )
        .unwrap();
        let broken = std::fs::read_to_string(file_of(&file)).unwrap();
        let error = format!(
            "{:#}",
            add(&file, &review(&one, "Ann", Decision::Approve)).unwrap_err()
        );
        assert!(
            error.contains("reviews.toml") && error.contains("unknown variant `maybe`"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(file_of(&file)).unwrap(), broken);
    }
}
