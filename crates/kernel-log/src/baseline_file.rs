//! The baseline of a campaign on a board, as it is kept: what the debug kernel says without the patches, boot by boot, and what a person
//! has accepted beside it. `.lockstep/baselines/<campaign>/<board>.json`.
//!
//! It counts only for the conditions under which it was made: another boot method, other tests or a longer soak say other things, and
//! silence under other conditions proves nothing.

use super::baseline::{self, Comparison, RestsOn, Signature};
use super::finding::Finding;
use super::kind::Severity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// The version of the format. Changes: 1 is the first.
pub const SCHEMA_VERSION: u32 = 1;

/// So many lines of a finding are kept in a baseline.
const LINES: usize = 40;

/// Under what a board was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Conditions {
    /// How the kernel was started: `menu`, `default-swap`, `kexec`, …
    pub boot_method: String,
    /// Smoke tests that ran, in the order of their names.
    pub tests: Vec<String>,
    /// Length of the soak, in seconds.
    pub soak: u64,
}

impl Conditions {
    /// Conditions with their tests in order, each once.
    pub fn new(boot_method: &str, tests: &[String], soak: u64) -> Self {
        let mut tests = tests.to_vec();
        tests.sort();
        tests.dedup();
        Conditions {
            boot_method: boot_method.to_string(),
            tests,
            soak,
        }
    }

    /// In what these differ from others, in words; nothing when they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut said = Vec::new();
        if self.boot_method != other.boot_method {
            said.push(format!(
                "boot method {} and not {}",
                self.boot_method, other.boot_method
            ));
        }
        if self.tests != other.tests {
            said.push(format!(
                "tests {} and not {}",
                list(&self.tests),
                list(&other.tests)
            ));
        }
        if self.soak != other.soak {
            said.push(format!("{} s of soak and not {} s", self.soak, other.soak));
        }
        said
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "boot method {}, tests {}, {} s of soak",
            self.boot_method,
            list(&self.tests),
            self.soak
        )
    }
}

fn list(tests: &[String]) -> String {
    if tests.is_empty() {
        "none".into()
    } else {
        tests.join(", ")
    }
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BaselineFile {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Campaign that it belongs to.
    pub campaign: String,
    /// Board on which it was made.
    pub board: String,
    /// One for each set of conditions.
    pub baselines: Vec<Recorded>,
}

/// What was seen and accepted under the same conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recorded {
    /// Under what.
    pub conditions: Conditions,
    /// Boots of the debug kernel without the patches.
    pub boots: Vec<Boot>,
    /// What a person accepted.
    #[serde(default)]
    pub accepted: Vec<Acceptance>,
}

/// One boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Boot {
    /// The kernel's own id of this boot, or what the log was called.
    pub id: String,
    /// Release of the kernel.
    pub release: String,
    /// When, RFC 3339.
    pub when: String,
    /// What it said.
    pub findings: Vec<Finding>,
}

/// A finding that a person took for harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Acceptance {
    /// [`id`] of the signature.
    pub id: String,
    /// Kind and title.
    pub signature: Signature,
    /// Why it may be.
    pub why: String,
    /// Who says so.
    pub by: String,
    /// When, RFC 3339.
    pub when: String,
    /// The report as it was seen, so that it stays visible what was accepted.
    pub excerpt: Vec<String>,
}

/// A short name of a signature, for a person to type: the first 8 hex digits of a SHA-256 of kind and title.
pub fn id(signature: &Signature) -> String {
    let mut hash = Sha256::new();
    hash.update(signature.kind.name());
    hash.update([0]);
    hash.update(&signature.title);
    hex::encode(hash.finalize().iter().take(4).copied().collect::<Vec<u8>>())
}

/// Why a finding cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It switches lockdep off (invariant 15).
    LockdepOff,
    /// Nothing tells it from others of its kind ([`RestsOn::Kind`]).
    NothingToKnowItBy,
    /// No reason was given.
    NoReason,
    /// Nobody gave a name.
    NoName,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Refusal::LockdepOff => {
                "it switches lockdep off, and nothing after it is checked: mend it, or take the patch back; no person can accept it"
            }
            Refusal::NothingToKnowItBy => {
                "it names no function, no lock and no device: the next one of its kind may have any other cause, so no acceptance would know it again"
            }
            Refusal::NoReason => "an acceptance needs a reason that somebody can judge later: `--why TEXT`",
            Refusal::NoName => "an acceptance needs a name: `--by NAME`",
        })
    }
}

/// Who accepts, and why.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Why it may be.
    pub why: &'a str,
    /// Who says so.
    pub by: &'a str,
    /// When, RFC 3339.
    pub when: &'a str,
}

impl BaselineFile {
    /// A file without a baseline.
    pub fn new(campaign: &str, board: &str) -> Self {
        BaselineFile {
            schema_version: SCHEMA_VERSION,
            campaign: campaign.to_string(),
            board: board.to_string(),
            baselines: Vec::new(),
        }
    }

    /// Reads a file's bytes. Errors: no such file by its content, or of a version that this program does not read.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Version {
            schema_version: u32,
        }
        let version: Version = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if version.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "schema-version is {}, and this program reads {SCHEMA_VERSION}",
                version.schema_version
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it holds text and numbers only");
        bytes.push(b'\n');
        bytes
    }

    /// The baseline that counts under these conditions.
    pub fn under(&self, conditions: &Conditions) -> Option<&Recorded> {
        self.baselines
            .iter()
            .find(|recorded| recorded.conditions == *conditions)
    }

    /// Why no baseline counts under these conditions, in words; nothing when one does.
    pub fn why_none(&self, conditions: &Conditions) -> Option<String> {
        if self
            .under(conditions)
            .is_some_and(|recorded| !recorded.boots.is_empty())
        {
            return None;
        }
        let others: Vec<String> = self
            .baselines
            .iter()
            .map(|recorded| {
                format!(
                    "one was made with {}",
                    recorded.conditions.differences(conditions).join("; ")
                )
            })
            .collect();
        Some(if others.is_empty() {
            format!("there is no baseline of {} on {}", self.campaign, self.board)
        } else {
            format!("no baseline counts here: {}", others.join("; "))
        })
    }

    /// Adds a boot of the debug kernel without the patches. The same boot again takes the place of the first.
    pub fn record(&mut self, conditions: &Conditions, mut boot: Boot) {
        for finding in &mut boot.findings {
            finding.excerpt.truncate(LINES);
        }
        let recorded = self.under_mut(conditions);
        recorded.boots.retain(|known| known.id != boot.id);
        recorded.boots.push(boot);
    }

    /// Accepts a finding under these conditions. The same one again: the later word counts.
    pub fn accept(
        &mut self,
        conditions: &Conditions,
        finding: &Finding,
        person: Person,
    ) -> Result<(), Refusal> {
        if baseline::never_accepted(finding) {
            return Err(Refusal::LockdepOff);
        }
        if person.why.trim().is_empty() {
            return Err(Refusal::NoReason);
        }
        if person.by.trim().is_empty() {
            return Err(Refusal::NoName);
        }
        let signature = Signature::of(finding);
        if signature.rests_on == RestsOn::Kind {
            return Err(Refusal::NothingToKnowItBy);
        }
        let acceptance = Acceptance {
            id: id(&signature),
            signature,
            why: person.why.trim().to_string(),
            by: person.by.trim().to_string(),
            when: person.when.to_string(),
            excerpt: finding.excerpt.iter().take(LINES).cloned().collect(),
        };
        let recorded = self.under_mut(conditions);
        recorded
            .accepted
            .retain(|known| known.signature != acceptance.signature);
        recorded.accepted.push(acceptance);
        Ok(())
    }

    fn under_mut(&mut self, conditions: &Conditions) -> &mut Recorded {
        let known = self
            .baselines
            .iter()
            .position(|recorded| recorded.conditions == *conditions);
        let at = known.unwrap_or(self.baselines.len());
        if known.is_none() {
            self.baselines.push(Recorded {
                conditions: conditions.clone(),
                boots: Vec::new(),
                accepted: Vec::new(),
            });
        }
        self.baselines
            .get_mut(at)
            .expect("it was found, or was pushed just now")
    }
}

impl Recorded {
    /// What all boots said; each boot is a source of its own, so that counts are of the loudest one.
    pub fn findings(&self) -> Vec<Finding> {
        let of = |boot: &Boot| -> Vec<Finding> {
            boot.findings
                .iter()
                .map(|finding| Finding {
                    source: format!("{}:{}", boot.id, finding.source),
                    ..finding.clone()
                })
                .collect()
        };
        self.boots.iter().flat_map(of).collect()
    }

    /// Who accepted this one, if anybody did.
    pub fn acceptance(&self, signature: &Signature) -> Option<&Acceptance> {
        self.accepted
            .iter()
            .find(|accepted| accepted.signature.matches(signature))
    }

    /// [`baseline::compare`] with what was seen and accepted. What was accepted is known: visible, and no failure; but not when this one
    /// switches lockdep off.
    pub fn compare(&self, now: &[Finding]) -> Comparison {
        let mut comparison = baseline::compare(&self.findings(), now);
        let (accepted, new) = comparison.new.into_iter().partition(|finding: &Finding| {
            !baseline::never_accepted(finding) && self.acceptance(&Signature::of(finding)).is_some()
        });
        comparison.new = new;
        let known = |finding: &Finding| baseline::Change {
            signature: Signature::of(finding),
            before: 0,
            now: baseline::loudest(now, &Signature::of(finding)),
        };
        comparison.known.extend(accepted.iter().map(known));
        let (accepted, frequent) = comparison
            .more_frequent
            .into_iter()
            .partition(|change| self.acceptance(&change.signature).is_some());
        comparison.more_frequent = frequent;
        comparison.known.extend(accepted);
        comparison
    }

    /// Each signature once, with the boots in which it was seen and how often in the loudest; errors first.
    pub fn table(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for boot in &self.boots {
            let mut here: Vec<Signature> = Vec::new();
            for finding in &boot.findings {
                let signature = Signature::of(finding);
                if here.contains(&signature) {
                    continue;
                }
                let times = baseline::loudest(&boot.findings, &signature);
                here.push(signature.clone());
                match rows.iter_mut().find(|row| row.signature == signature) {
                    Some(row) => {
                        row.boots = row.boots.saturating_add(1);
                        row.loudest = row.loudest.max(times);
                    }
                    None => rows.push(Row {
                        id: id(&signature),
                        signature,
                        severity: finding.severity,
                        boots: 1,
                        loudest: times,
                        lockdep_off: finding.lockdep_off,
                    }),
                }
            }
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.severity));
        rows
    }
}

/// A line of [`Recorded::table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// [`id`].
    pub id: String,
    /// Which.
    pub signature: Signature,
    /// How bad.
    pub severity: Severity,
    /// Boots in which it was seen.
    pub boots: usize,
    /// Times in the loudest boot.
    pub loudest: usize,
    /// It switches lockdep off: it is new whenever it comes.
    pub lockdep_off: bool,
}

#[cfg(test)]
#[path = "baseline_file_tests.rs"]
mod tests;
