//! One attempt of a kernel on the board: what it is asked for, and what it gave.

use super::file::Asks;
use super::smoke::SmokeResult;
use super::smoke::checkers::{self, KnownDead};
use super::verdict::Seen;
use crate::manifest::Manifest;
use kernel_log::finding::Finding;
use std::collections::BTreeSet;

/// What one boot is asked for.
#[derive(Clone)]
pub struct Asked<'a> {
    /// Row of the plan.
    pub row: &'a str,
    /// Folder below the run's `evidence/`.
    pub evidence: &'a str,
    /// The build.
    pub manifest: &'a Manifest,
    /// Modules to load.
    pub load: &'a [String],
    /// Smoke tests, the soak, whom to wait for.
    pub tests: Asks<'a>,
    /// Functions that have to run.
    pub exercise: &'a [String],
    /// What this kernel says without the patch; none where that is what is asked.
    pub known: Option<&'a [Finding]>,
}

/// What one boot gave.
#[derive(Debug, Default)]
pub struct Booted {
    /// Reduced to what the verdict needs; the findings are not compared with a baseline yet.
    pub seen: Seen,
    /// Everything that the kernel complained about.
    pub findings: Vec<Finding>,
    /// Smoke tests.
    pub tests: Vec<SmokeResult>,
    /// Why no other test was run from some point on.
    pub broken: Option<String>,
    /// Functions and how often they ran.
    pub exercised: Vec<(String, u64)>,
    /// Facts for the report.
    pub facts: Vec<String>,
    /// pstore records that are on the board now, by name and content.
    pub dumps: BTreeSet<String>,
    /// Set when the board could not be brought back to vanilla: a person is needed.
    pub not_back: Option<String>,
}

impl Booted {
    /// Adds the result of a smoke test.
    pub(super) fn finished(&mut self, result: SmokeResult) {
        if let Some(failure) = &result.failure {
            self.seen.failed_tests.push(format!("{}: {failure}", result.name));
        }
        self.tests.push(result);
    }

    /// Adds what happened to the checkers and to the taint.
    pub(super) fn changed(&mut self, change: checkers::Change) {
        self.seen.dead_checkers.extend(change.dead);
        self.seen.new_findings.extend(change.fatal);
        self.facts.extend(change.taint);
    }

    pub(super) fn known_dead(&self) -> KnownDead {
        match self.seen.dead_checkers.is_empty() {
            true => KnownDead::No,
            false => KnownDead::Yes,
        }
    }
}
