//! What the walk through a plan does to the world, as a trait: the engine's own hands in a run, a simulated world in the tests that kill
//! a run at any instant.

use crate::board::boot::Reset;
use crate::campaign::attempt::{Asked, Booted};
use crate::campaign::decode::Traced;
use crate::campaign::earlier::Found;
use crate::campaign::file::{Kernel, Step};
use crate::campaign::foresight::after_build::Faults;
use crate::campaign::journal::past::{Kept, Past};
use crate::campaign::journal::{Input, Journal};
use crate::campaign::record::{PatchRecord, RowRecord, RunRecord};
use crate::campaign::reload::Tried;
use crate::campaign::resume::Seen;
use crate::campaign::stopwatch::Stopwatch;
use crate::host::json::json;
use crate::manifest::Manifest;
use anyhow::Result;
use kernel_log::baseline_file::Acceptance;
use kernel_log::finding::Finding;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// What a build came to.
pub enum Built {
    /// A kernel, staged.
    Kernel(Box<crate::campaign::job::Built>),
    /// What the tree and the fragments hold is no kernel: the first cause.
    Fails(String),
}

impl Built {
    /// What the journal keeps of it.
    pub fn outcome(&self) -> Value {
        match self {
            Built::Kernel(built) => {
                json!({ "release": built.manifest.release, "build-id": built.manifest.build_id })
            }
            Built::Fails(why) => json!({ "fails": why }),
        }
    }
}

/// The hands. Every method that changes something is called between its intent and its outcome; each may die half-way, and each may be
/// done again then.
pub trait Hands {
    /// Tells a person.
    fn say(&self, text: &str);
    /// A row begins: a watch that a person can see.
    fn begins(&mut self, row: &str) -> Stopwatch;
    /// It has ended; gives what is left of the campaign, in words.
    fn ended(&mut self, row: &RowRecord, took: Duration) -> Option<String>;
    /// Whether somebody asked to stop (Ctrl-C): the walk stops between two rows.
    fn stop_asked(&self) -> bool;

    /// HEAD of the tree, full hex.
    fn head(&self) -> Result<String>;
    /// Moves the tree to a commit of this run, or to its base; gives how many patches that took back.
    fn tree_to(&mut self, commit: Option<&str>) -> Result<usize>;
    /// Checks, in memory, that these patches apply on HEAD, one on the other.
    fn check(&self, patches: &[&str]) -> Result<()>;
    /// Why the patch may not be applied: nobody approved this very content.
    fn review_missing(&self, patch: &str) -> Result<Option<String>>;
    /// What the record says about a patch that became this commit.
    fn patch_record(&self, patch: &str, commit: &str) -> Result<PatchRecord>;
    /// Where the frames of a finding's trace are in the source of this build, which are of the patch that became this commit, and which function
    /// is to be looked at first.
    fn decode(&self, manifest: &Manifest, commit: &str, finding: &Finding) -> Result<Traced>;
    /// Applies a patch; gives the commit.
    fn apply(&mut self, patch: &str) -> Result<String>;
    /// Takes exactly this patch back; gives HEAD.
    fn revert(&mut self, patch: &str) -> Result<String>;
    /// Configures (with the fragments that came with patches), builds and stages. Errors: something with this machine; a kernel that
    /// cannot be built is an answer.
    fn build(&mut self, fragments: &[PathBuf], watch: &mut Stopwatch) -> Result<Built>;
    /// Begins to do the same for a later step, beside whatever is done next, into a staging folder of its own: what is staged stays.
    fn begin_ahead(&mut self, step: &str, fragments: &[PathBuf]) -> Result<()>;
    /// Waits for it: what it staged is what is staged from now on. Gives where its time went, too. Errors as [`Hands::build`].
    fn end_ahead(&mut self) -> Result<(Built, Vec<(String, f64)>)>;
    /// Breaks it off; nothing of it is staged any more.
    fn drop_ahead(&mut self) -> Result<()>;

    /// What a step asks of the build that was made of it and does not get. The build folder holds
    /// that build still: nothing is built ahead yet.
    fn faults(&self, step: &Step) -> Result<Faults>;

    /// Builds of this kernel from now on, in its own folder; the campaign's own before the first call.
    fn use_kernel(&mut self, kernel: &Kernel);
    /// Whether this process has made the board ready.
    fn is_prepared(&self) -> bool;

    /// Makes the board ready: backups, capture, ways back. Gives facts for the report. It runs vanilla.
    fn preflight(&mut self) -> Result<Vec<String>>;
    /// Deploys, boots once, tests, harvests, and brings the board back to vanilla; its intents and outcomes go into the journal.
    fn boot(&mut self, asked: &Asked, journal: &mut Journal, watch: &mut Stopwatch) -> Result<Booted>;
    /// Tries the modules of `now` in the kernel of the step before it, without a deploy: [`Asked::manifest`] is that step's. Its intents and
    /// outcomes go into the journal; the board is on vanilla then, as after [`Hands::boot`].
    fn reload(
        &mut self,
        asked: &Asked,
        now: &Manifest,
        journal: &mut Journal,
        watch: &mut Stopwatch,
    ) -> Result<Tried>;
    /// What a boot depends on beside the inputs of its row: this build, the board as pre-flight found it, how it is booted, what runs there.
    fn conditions(&self, asked: &Asked) -> Result<Vec<Input>>;
    /// The baseline of an earlier run that holds under these inputs, with a copy of its evidence under the row's name; or why there is none.
    fn earlier_baseline(&mut self, asked: &Asked, inputs: &[Input]) -> Result<Found>;
    /// Everything that was captured under this name, by hash.
    fn captured(&self, name: &str) -> Result<Vec<Kept>>;
    /// Adds what a boot of the debug kernel said without the patches to the campaign's baseline file.
    fn remember(&mut self, row: &str, findings: &[Finding]) -> Result<()>;
    /// What a person has accepted.
    fn accepted(&self) -> Result<Vec<Acceptance>>;
    /// Where everything that is captured under this name is kept.
    fn evidence(&self, name: &str) -> PathBuf;
    /// Takes our label out of the board's extlinux.conf.
    fn withdraw(&mut self) -> Result<()>;
    /// Brings a board to vanilla that does not run it; its intent and outcome go into the journal. Errors: it does not come.
    fn to_vanilla(&mut self, reset: Reset, row: &str, journal: &mut Journal) -> Result<()>;
    /// Looks that vanilla runs, is the default, and is what it was. Gives facts for the report.
    fn vanilla_stands(&mut self) -> Result<Vec<String>>;

    /// Looks at board, tree and run folder; changes nothing.
    fn see(&mut self, past: &Past) -> Result<Seen>;
    /// Keeps a file in the run's folder.
    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<()>;
    /// Reads it back.
    fn kept(&self, name: &str) -> Result<Vec<u8>>;
    /// Keeps the record of the run, and its report.
    fn save(&mut self, record: &RunRecord) -> Result<()>;
}
