//! What outlives a process in the simulated world.

use crate::campaign::engine::hands::Built;
use crate::campaign::journal::Sink;
use crate::host::files::sha256;
use crate::manifest::Manifest;
use anyhow::Result;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::rc::Rc;

/// What unwinds when the process is killed: nothing of it may be caught on the way.
pub(super) struct Killed;

/// What outlives a process.
#[derive(Default)]
pub struct World {
    pub journal: Vec<u8>,
    pub kept: BTreeMap<String, Vec<u8>>,
    /// Patches in the tree, in order.
    pub tree: Vec<String>,
    pub staged: Option<Manifest>,
    /// What a build beside the tests has staged.
    pub staged_ahead: Option<Manifest>,
    /// Steps that were built while the board tested the one before, and taken.
    pub built_ahead: Vec<String>,
    /// Patches that are made for another tree.
    pub unappliable: Vec<&'static str>,
    /// Patches with which there is no kernel.
    pub unbuildable: Vec<&'static str>,
    /// Patches whose steps ask of the build what is not in it.
    pub lacking: Vec<&'static str>,
    /// A build beside the tests comes to no end.
    pub ahead_fails: bool,
    /// The commit that runs, where our label does; none for vanilla.
    pub runs: Option<String>,
    pub silent: bool,
    pub label: bool,
    pub slot_is_whole: bool,
    /// The commit that the slot on the board was made from.
    pub slot: Option<String>,
    /// Row and commit of every boot for a try by reloading.
    pub reloads: Vec<(String, String)>,
    /// What such a try shows, whatever the reboot shows.
    pub reload_warns: bool,
    /// A row whose try the board does not come back from.
    pub lost_at_reload: Option<&'static str>,
    /// Row and commit of every boot of our label that is judged.
    pub boots: Vec<(String, String)>,
    /// Patches with which the kernel is bad.
    pub bad: Vec<&'static str>,
    /// Patches with which the kernel falls silent, and the profile whose kernel says why.
    pub wedges: Vec<&'static str>,
    pub names_it: Option<&'static str>,
    /// A profile whose kernel does not come up whatever is in it.
    pub never_up: Option<&'static str>,
    /// A smoke test fails on the kernel without any patch.
    pub baseline_fails: bool,
    /// What was told on the screen.
    pub said: Vec<String>,
    /// A bad kernel says so in its log, too.
    pub splats: bool,
    /// Every second boot with a bad patch is good.
    pub flaky: bool,
    /// A row behind which the board does not come back.
    pub lost_at: Option<&'static str>,
    pub reviewed: bool,
    /// An earlier run has a baseline that holds.
    pub earlier: bool,
    /// The review is taken back when so many boots were made.
    pub reviewed_until: Option<usize>,
    /// The user asks to stop when so many boots were made.
    pub stop_after: Option<usize>,
    /// The user asks to stop at this instant.
    pub stop_at: Option<usize>,
    /// Boots that were begun until then.
    pub boots_at_stop: usize,
    /// Counts instants of this world.
    pub instant: usize,
    pub kill_at: Option<usize>,
}

impl World {
    pub(super) fn tick(&mut self) {
        self.instant += 1;
        if self.stop_at == Some(self.instant) {
            self.boots_at_stop = self.boots.len();
        }
        if self.kill_at == Some(self.instant) {
            self.kill_at = None;
            resume_unwind(Box::new(Killed));
        }
    }

    pub(super) fn commit(&self) -> String {
        commit_of(&self.tree)
    }

    /// What a build of the tree as it is now gives, with this profile; none where it is no kernel.
    pub(super) fn build(&mut self, profile: &str) -> Option<Manifest> {
        let commit = self.commit();
        let fails = |bad: &&str| self.tree.iter().any(|patch| patch == bad);
        (!self.unbuildable.iter().any(fails)).then(|| Manifest {
            schema_version: 1,
            release: profile.into(),
            build_id: commit.clone(),
            profile: profile.into(),
            commit,
            root: PathBuf::new(),
            append: Vec::new(),
            files: Vec::new(),
        })
    }

    /// The patches that a build has in it.
    pub(super) fn patches_of(&self, manifest: &Manifest) -> Vec<String> {
        let known = (0..=self.tree.len()).map(|n| &self.tree[..n]);
        let found = known
            .into_iter()
            .find(|patches| commit_of(patches) == manifest.commit);
        found.expect("what is booted is in the tree").to_vec()
    }
}

pub(super) fn answer(manifest: Option<Manifest>) -> Built {
    let Some(manifest) = manifest else {
        return Built::Fails("it is no kernel".into());
    };
    Built::Kernel(Box::new(crate::campaign::job::Built {
        manifest,
        facts: Vec::new(),
        warnings: Vec::new(),
    }))
}

pub(super) fn commit_of(patches: &[String]) -> String {
    sha256(patches.join("+").as_bytes())
}

pub(super) type Shared = Rc<RefCell<World>>;

pub(super) struct SimulatedDisk(pub Shared);

impl Sink for SimulatedDisk {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let mut world = self.0.borrow_mut();
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        world.tick();
        world.journal.extend(half);
        world.tick();
        world.journal.extend(rest);
        world.tick();
        Ok(())
    }
}
