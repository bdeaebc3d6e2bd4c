//! The campaign file, `campaigns/*.toml`: what a person writes, read into a validated [`Campaign`].
//!
//! Unknown keys are refused. What is wrong is told with file, line and column, what was found, what is allowed and what was probably
//! meant ([`problem`]); the rules that a single key cannot know are in [`check`].

pub mod asks;
pub mod called;
mod check;
pub mod people;
pub mod present;
pub mod problem;
pub mod schema;
pub mod smoke_test;

pub use asks::{Asks, SoakAsked, minutes};
pub use people::{InUse, People, QuietHours};
pub use problem::Problem;
pub use smoke_test::{Frames, Output, SmokeTest, Soak, TestLog};

use crate::host::bounded;
use crate::kernel::profile::{self, Below, Profile};
use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// The version of the format that this code reads.
pub const SCHEMA_VERSION: u32 = 1;

/// In the place of names: all that there are.
pub const ALL: &str = "*";

/// A campaign: a patch series onto a board, one patch, one boot and one verdict at a time. Paths are relative to the project folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Campaign {
    /// Version of this format: 1.
    pub schema_version: u32,
    /// Name: folder of its runs and backups. Letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for, one sentence.
    pub goal: String,
    /// Board, as in `boards/<name>.toml`.
    #[serde(default = "virtual_board")]
    pub board: String,
    /// Folder of the series.
    pub series: PathBuf,
    /// A kernel git tree of yours, `~/src/linux`; Debian's newest where it is left out.
    pub tree: Option<PathBuf>,
    /// File name of the closing document in the run's folder.
    #[serde(default = "closing")]
    pub closing: String,
    /// Pre-flight.
    #[serde(default)]
    pub preflight: Preflight,
    /// Who uses the board, and when nobody does.
    #[serde(default)]
    pub people: People,
    /// The debug kernel.
    #[serde(default)]
    pub kernel: Kernel,
    /// What makes a kernel log fail whatever the baseline said.
    #[serde(default)]
    pub log: LogRules,
    /// Programs for the smoke tests: name, and a folder with the C sources of which it is compiled for the board. They are in `$LOCKSTEP`.
    #[serde(default)]
    pub programs: BTreeMap<String, PathBuf>,
    /// Smoke tests that steps name.
    #[serde(rename = "smoke", default)]
    pub smoke_tests: Vec<SmokeTest>,
    /// Smoke tests under load, after the others, in every boot.
    pub soak: Option<Soak>,
    /// The baseline: the debug kernel alone.
    #[serde(default)]
    pub baseline: Baseline,
    /// Patch by patch.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// What could go wrong, and what answers it.
    #[serde(rename = "risk", default)]
    pub risks: Vec<Risk>,
    /// What each end means for this campaign.
    #[serde(default)]
    pub ends: Ends,
    /// Broken variants that a rehearsal can put in the place of a patch, by name.
    #[serde(default)]
    pub broken: BTreeMap<String, Broken>,
    /// Patch files that stand in for patches of the series in this run: `step.patch` and the file.
    #[serde(skip)]
    pub replacements: Vec<(String, PathBuf)>,
    /// Modules that any step loads: the baseline loads all of them, whichever steps a run leaves out, so that it is one baseline for every
    /// run.
    #[serde(skip)]
    pub modules: Vec<String>,
}

/// The one board that is made here, and whose kernels begin from nothing.
const VIRTUAL: &str = "virtual";

fn virtual_board() -> String {
    VIRTUAL.into()
}

fn closing() -> String {
    "close.md".into()
}

/// Pre-flight: the board before anything is written beside vanilla.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Preflight {
    /// Minutes that it is thought to take.
    pub estimate_min: u32,
    /// Folders of vanilla's modules that are backed up (`kernel/drivers/media`); all of them where it is left out.
    pub modules: Vec<PathBuf>,
}

impl Default for Preflight {
    fn default() -> Self {
        Preflight {
            estimate_min: 1,
            modules: Vec::new(),
        }
    }
}

/// The debug kernel of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Kernel {
    /// Name of the profile: `lockdep`, `kasan`, `kcsan`, or one of your own with fragments.
    pub profile: String,
    /// A `.config` to begin with. Where it is left out: the configuration that the board itself runs; for the virtual board everything off that
    /// nobody asks for (`allnoconfig`).
    pub base: Option<PathBuf>,
    /// Fragments, merged in this order onto it; those of the profile where it is left out.
    pub fragments: Vec<PathBuf>,
    /// Its label in extlinux.conf.
    pub label: String,
    /// Profiles on whose kernels a step that wedged without a finding is done again by itself, one at a time, in this order: first without its
    /// patch, for something to compare with, then with it.
    pub escalate: Vec<String>,
    /// The next step is applied and built while the board tests this one. `false` leaves this machine alone meanwhile.
    pub prefetch: bool,
    /// Minutes that building, deploying, booting and testing it are thought to take, without the soak.
    pub estimate_min: u32,
    /// Minutes of these that are for deploying, booting and testing; a fifth where it is left out.
    pub boot_estimate_min: Option<u32>,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            profile: "lockdep".into(),
            base: None,
            fragments: Vec::new(),
            label: crate::board::slot::USUAL_LABEL.into(),
            escalate: Vec::new(),
            prefetch: true,
            estimate_min: 15,
            boot_estimate_min: None,
        }
    }
}

impl Kernel {
    /// The fragments of its profile, for a board; none where there is no such profile.
    pub fn fragments_of_profile(&self, board: &str) -> Vec<PathBuf> {
        // A board of one's own has a configuration already: the one that it runs, where the
        // campaign names no other.
        let below = match self.begins_from_nothing(board) {
            true => Below::Nothing,
            false => Below::Config,
        };
        let profile = Profile::named(Path::new(""), &self.profile, below);
        profile.map(|profile| profile.fragments).unwrap_or_default()
    }

    /// Whether the fragments are built on nothing (allnoconfig): those of the virtual board, which
    /// is made here.
    pub fn begins_from_nothing(&self, board: &str) -> bool {
        self.base.is_none() && board == VIRTUAL
    }
}

/// Rules about kernel-log lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogRules {
    /// Words that no line may contain.
    #[serde(default)]
    pub forbid: Vec<String>,
}

/// The debug kernel before any patch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Baseline {
    /// Exit status of a smoke test on the debug kernel alone, where it differs from the test's own.
    #[serde(default)]
    pub exit: BTreeMap<String, i32>,
}

/// One patch, one boot, one verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// Number in the plan: `2.1`.
    pub id: String,
    /// Patch: number, file name or subject.
    pub patch: String,
    /// Fragments that come with the patch, on top of all that came before.
    #[serde(default)]
    pub fragments: Vec<PathBuf>,
    /// Modules that the plan thinks change, `*` for "kernel and whatever depends on it". What really changed is told beside it.
    #[serde(default = "all")]
    pub rebuild: Vec<String>,
    /// Where the build changed modules and nothing else, and the board's slot is the step's before: boot that once, unload the changed modules
    /// there, load the new ones, and run each smoke test once, before the deploy. What that shows is an early warning. It never gives or
    /// changes a verdict: the reboot follows all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reload: bool,
    /// Modules to load before the smoke tests, and to prove by build id.
    #[serde(default)]
    pub load: Vec<String>,
    /// Files or folders of the patch that this configuration does not build, on purpose: code for
    /// other machines. Without it a build that lacks code of the patch is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_built: Vec<PathBuf>,
    /// Smoke tests; all of them where it is left out, but those of later steps (`from`).
    #[serde(default = "all")]
    pub smoke: Vec<String>,
    /// Exit status of a smoke test in this step, where it differs from the test's own.
    #[serde(default)]
    pub exit: BTreeMap<String, i32>,
    /// Minutes of the soak in this step, where they differ from the soak's own; 0 leaves it out.
    pub soak_min: Option<u32>,
    /// What has to run as the proof that a pass is about this patch: a function (ftrace), `kprobe:symbol+0x10`, `tracepoint:system:event`, or
    /// `counter:/path` (a file whose number has to grow).
    #[serde(default)]
    pub exercise: Vec<String>,
    /// What this step can show at best on this board.
    #[serde(default)]
    pub expect: Expectation,
    /// Somebody has to have approved exactly this content of the patch (`cargo xtask review`).
    #[serde(default)]
    pub review: bool,
    /// Wait until a person has logged in on the desktop, and test then.
    #[serde(default)]
    pub login: bool,
    /// What follows when it fails, after the patch was taken back.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What somebody else does to the board after the deploy: from [`Broken::tamper`].
    #[serde(skip)]
    pub tamper: Option<String>,
    /// Minutes that the step is thought to take, without the soak.
    #[serde(default = "ten")]
    pub estimate_min: u32,
}

fn all() -> Vec<String> {
    vec![ALL.into()]
}

fn ten() -> u32 {
    10
}

/// What a step can show at best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// The patch's code runs: without that the verdict is "not exercised" and the campaign stops.
    #[default]
    Exercised,
    /// The board has no such hardware: built, loaded, booted, and judged "not exercised", which is no pass but lets the
    /// campaign go on.
    NotExercised,
}

/// What follows a step that failed. Its patch is taken back either way, and put before a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The campaign ends.
    #[default]
    Stop,
    /// The campaign goes on with the rest, without this patch; it ends as a partial success at best.
    ContinueWithout,
}

/// What could go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Risk {
    /// What could happen.
    pub risk: String,
    /// What answers it.
    pub answer: String,
}

/// What each end means for this campaign, for the plan and the closing document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Ends {
    /// Every step has the verdict that is asked of it.
    pub success: String,
    /// Some patches passed, a later one did not.
    pub partial_success: String,
    /// The first patch, or the debug kernel itself, did not pass.
    pub failure: String,
}

/// A patch that is known to be bad, in the place of a good one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Broken {
    /// The patch whose place it takes, as in `step.patch`.
    pub replaces: String,
    /// The patch file; the patch itself where it is left out.
    pub patch: Option<PathBuf>,
    /// The step asks for a review that nobody has given.
    #[serde(default)]
    pub review: bool,
    /// The step soaks so many minutes, and the other steps do not.
    pub soak_min: Option<u32>,
    /// POSIX shell that runs on the board as root after the deploy of this step: what somebody else does there behind Lockstep's back.
    pub tamper: Option<String>,
}

impl Campaign {
    /// Reads and checks a campaign file. Errors: all that is wrong, each with file, line and column.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read(path)?;
        let mut campaign = problem::parse(&text)
            .map_err(|problems| problem::error(&path.display().to_string(), &problems))?;
        if let Some(home) = std::env::var_os("HOME") {
            campaign.at_home(Path::new(&home));
        }
        Ok(campaign)
    }

    /// Paths that begin with `~/` are below this folder.
    fn at_home(&mut self, home: &Path) {
        for path in self.tree.iter_mut().chain(&mut self.kernel.base) {
            if let Ok(rest) = path.strip_prefix("~") {
                *path = home.join(rest);
            }
        }
    }

    /// Parses and checks the text of a campaign file.
    pub fn parse(text: &str) -> Result<Self> {
        problem::parse(text).map_err(|problems| problem::error("", &problems))
    }

    /// Puts in what the file leaves out and another key decides: the fragments of the profile, and names for [`ALL`].
    fn fill_in(&mut self) {
        if self.kernel.fragments.is_empty() {
            self.kernel.fragments = self.kernel.fragments_of_profile(&self.board);
        }
        if !self.kernel.fragments.is_empty() {
            profile::ends_by_itself(&mut self.kernel.fragments);
        }
        let mut known: HashSet<String> = self.modules.iter().cloned().collect();
        for module in self.steps.iter().flat_map(|step| &step.load) {
            if known.insert(module.clone()) {
                self.modules.push(module.clone());
            }
        }
        let all = self.steps.len();
        let begins = self.first_steps();
        let begins: Vec<(String, Option<usize>)> = self
            .smoke_tests
            .iter()
            .map(|test| (test.name.clone(), begins.get(test.name.as_str()).copied()))
            .collect();
        let names = |last: usize| -> Vec<String> {
            let tests = begins.iter().filter(|(_, begins)| *begins <= Some(last));
            tests.map(|(name, _)| name.clone()).collect()
        };
        for (index, step) in self.steps.iter_mut().enumerate() {
            if step.smoke == [ALL] {
                step.smoke = names(index);
            }
        }
        if let Some(soak) = self.soak.as_mut().filter(|soak| soak.tests == [ALL]) {
            soak.tests = names(all);
        }
    }

    /// Puts a broken variant in the place of its patch. Errors: there is none of this name.
    pub fn break_with(&mut self, name: &str) -> Result<()> {
        let Some(broken) = self.broken.get(name).cloned() else {
            let names: Vec<&str> = self.broken.keys().map(String::as_str).collect();
            bail!(
                "campaign {} has no broken variant {name:?}; there are: {}",
                self.name,
                names.join(", ")
            );
        };
        for step in &mut self.steps {
            if step.patch == broken.replaces {
                step.review |= broken.review;
                step.tamper.clone_from(&broken.tamper);
                step.soak_min = broken.soak_min.or(step.soak_min);
            } else if broken.soak_min.is_some() {
                step.soak_min = Some(0);
            }
        }
        if let Some(minutes) = broken.soak_min {
            // Not every smoke test can run beside others; those of the step are about its patch.
            let step = self.steps.iter().find(|step| step.patch == broken.replaces);
            let tests = step.map(|step| step.smoke.clone());
            self.soak.get_or_insert(Soak {
                tests: tests.unwrap_or_default(),
                minutes,
                parallel: true,
            });
        }
        if let Some(patch) = broken.patch {
            self.replacements.push((broken.replaces, patch));
        }
        Ok(())
    }

    /// What the fragments are laid upon, in words.
    pub fn base_text(&self) -> String {
        match &self.kernel.base {
            Some(path) => path.display().to_string(),
            None if self.kernel.begins_from_nothing(&self.board) => "nothing (allnoconfig)".into(),
            None => format!("the configuration that vanilla on {} runs with", self.board),
        }
    }
}

/// The text of a campaign file.
pub fn read(path: &Path) -> Result<String> {
    bounded::read_text(path, bounded::WRITTEN).with_context(|| {
        format!(
            "reading the campaign file {} (`cargo xtask campaign new NAME` writes one)",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests;
