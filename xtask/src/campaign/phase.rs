//! Phases of a step: what each is called, in records and in print, and what kind of work it is.

use serde::{Deserialize, Serialize};

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tree, configuration, make.
    Build,
    /// Files on their way to the board.
    Deploy,
    /// The board boots, or is on its way back.
    Boot,
    /// Smoke tests and soaks.
    Test,
    /// Everything else.
    Other,
}

impl Kind {
    /// Every kind, in the order of a legend.
    pub const ALL: [Kind; 5] = [Kind::Build, Kind::Deploy, Kind::Boot, Kind::Test, Kind::Other];

    /// In print, and its CSS class.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Build => "build",
            Kind::Deploy => "deploy",
            Kind::Boot => "boot",
            Kind::Test => "test",
            Kind::Other => "other",
        }
    }

    const fn phase(self, name: &'static str) -> Phase {
        Phase { name, kind: self }
    }
}

/// A phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// In records and in print. Estimates know it again by this name.
    pub name: &'static str,
    /// What kind of work it is.
    pub kind: Kind,
}

/// A patch becomes a commit of the tree.
pub const APPLY: Phase = Kind::Build.phase("apply");
/// A failed step is taken back.
pub const TAKE_BACK: Phase = Kind::Build.phase("take back");
/// Patches that are applied when a run begins are taken back.
pub const TAKE_PATCHES_BACK: Phase = Kind::Build.phase("take patches back");
/// The configuration is made.
pub const CONFIGURE: Phase = Kind::Build.phase("configure");
/// make.
pub const BUILD: Phase = Kind::Build.phase("build");
/// What was built is collected for the board.
pub const STAGE: Phase = Kind::Build.phase("stage");
/// The build that was begun ahead is waited for.
pub const WAIT_FOR_BUILD: Phase = Kind::Build.phase("wait for the build");
/// The slot is filled.
pub const DEPLOY: Phase = Kind::Deploy.phase("deploy");
/// What is looked at before [`BOOT`].
pub const CHECKS: Phase = Kind::Boot.phase("check what is booted");
/// From the request of the restart to the answer over ssh.
pub const BOOT: Phase = Kind::Boot.phase("boot the debug kernel");
/// The restart after the tests.
pub const BACK_TO_VANILLA: Phase = Kind::Boot.phase("back to vanilla");
/// The changed modules are reloaded before the board restarts for them.
pub const RELOAD: Phase = Kind::Test.phase("try by reloading");
/// Probes and counters, before the tests.
pub const SET_UP: Phase = Kind::Test.phase("set up the tests");
/// The tests themselves.
pub const SMOKE: Phase = Kind::Test.phase("smoke tests");
/// Tests that run for long, together.
pub const SOAK: Phase = Kind::Test.phase("soak");
/// Pre-flight of a campaign.
pub const PREFLIGHT: Phase = Kind::Other.phase("preflight");
/// The baseline of an earlier run is looked for.
pub const LOOK_FOR_BASELINE: Phase = Kind::Other.phase("look for a baseline");
/// Nobody may be at work on the board.
pub const WAIT_FOR_BOARD: Phase = Kind::Other.phase("wait for the board");
/// Somebody has to do something.
pub const WAIT_FOR_PERSON: Phase = Kind::Other.phase("wait for a person");
/// A crash on purpose comes back.
pub const CAPTURE_GATE: Phase = Kind::Other.phase("capture gate");
/// What is read behind the tests.
pub const READ: Phase = Kind::Other.phase("read trace, proof and logs");
/// Everything captured is collected.
pub const HARVEST: Phase = Kind::Other.phase("harvest");
/// The last row.
pub const CLOSE: Phase = Kind::Other.phase("close");
/// `cargo xtask setup`: packages of this machine.
pub const INSTALL: Phase = Kind::Other.phase("install packages");
/// `cargo xtask setup`: the kernel source.
pub const IMPORT: Phase = Kind::Build.phase("fetch and import the kernel source");
/// `cargo xtask setup`: the work tree.
pub const PREPARE_TREE: Phase = Kind::Build.phase("prepare the work tree");
/// The virtual board's root file system, beside the source.
pub const MAKE_USER_LAND: Phase = Kind::Other.phase("make the user land");
/// `cargo xtask setup`: the virtual board.
pub const MAKE_BOARD: Phase = Kind::Build.phase("make the virtual board");
