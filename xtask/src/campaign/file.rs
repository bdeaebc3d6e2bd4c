//! The campaign file, `campaigns/*.toml`: a private raw form that becomes a validated [`Campaign`].
//!
//! Unknown keys are refused; errors name file, line and column (from the TOML parser) or the key that is wrong, what was
//! found and what is allowed.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the format that this code reads.
pub const SCHEMA_VERSION: u32 = 1;

/// A validated campaign. Paths are as written in the file: relative to the project folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Campaign {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name: folder of its runs and backups. Letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for, one sentence.
    pub goal: String,
    /// Board, as in `boards/<name>.toml`.
    pub board: String,
    /// Folder of the series.
    pub series: PathBuf,
    /// The debug kernel.
    pub kernel: Kernel,
    /// What makes a kernel log fail whatever the baseline said.
    #[serde(default)]
    pub log: LogRules,
    /// Smoke tests that steps name.
    #[serde(rename = "smoke")]
    pub smoke_tests: Vec<SmokeTest>,
    /// The baseline: the debug kernel alone.
    pub baseline: Baseline,
    /// Patch by patch.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// Broken variants that a rehearsal can put in the place of a patch: name to patch file.
    #[serde(default)]
    pub broken: BTreeMap<String, Broken>,
    /// Patch files that stand in for patches of the series in this run: `step.patch` and the file.
    #[serde(skip)]
    pub replacements: Vec<(String, PathBuf)>,
}

/// The debug kernel of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kernel {
    /// Name of the profile: `lockdep`.
    pub profile: String,
    /// A `.config` to begin with; none for everything off that nobody asks for (`allnoconfig`).
    pub base: Option<PathBuf>,
    /// Fragments, merged in this order onto it.
    pub fragments: Vec<PathBuf>,
    /// Label in extlinux.conf.
    pub label: String,
    /// Minutes that building, deploying and booting it are thought to take.
    pub estimate_min: u32,
}

/// Rules about kernel-log lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogRules {
    /// Words that no line may contain.
    #[serde(default)]
    pub forbid: Vec<String>,
}

/// A command on the board that has to end in time, with this status and this output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmokeTest {
    /// Name that steps use.
    pub name: String,
    /// POSIX shell, run as root. `$LOCKSTEP` is a folder of its own with the pushed files.
    pub run: String,
    /// Longest time in seconds.
    pub limit_s: u64,
    /// Exit status that passes, unless a step says otherwise.
    #[serde(default)]
    pub exit: i32,
    /// A file that the command has to leave behind in `$LOCKSTEP`.
    pub output: Option<Output>,
}

/// What a smoke test's output file has to look like. An exit status of 0 with a wrong output fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// File name in `$LOCKSTEP`.
    pub file: String,
    /// Size in bytes, exactly.
    pub size: u64,
    /// SHA-256 of the content, where it is the same every time.
    pub sha256: Option<String>,
}

/// The debug kernel before any patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Baseline {
    /// Every smoke test of every step, and the exit status it has on the debug kernel alone where that differs from the test's own.
    #[serde(default)]
    pub exit: BTreeMap<String, i32>,
}

/// One patch, one boot, one verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub rebuild: Vec<String>,
    /// Modules to load before the smoke tests, and to prove by build id.
    #[serde(default)]
    pub load: Vec<String>,
    /// Smoke tests.
    pub smoke: Vec<String>,
    /// Exit status of a smoke test in this step, where it differs from the test's own.
    #[serde(default)]
    pub exit: BTreeMap<String, i32>,
    /// Functions that the patch adds or changes and that have to run (ftrace counts them): the proof that a pass is about this patch.
    #[serde(default)]
    pub exercise: Vec<String>,
    /// What this step can show at best on this board.
    #[serde(default)]
    pub expect: Expectation,
    /// Nothing is applied before a review approves this very patch.
    #[serde(default)]
    pub review: bool,
    /// Minutes that the step is thought to take.
    pub estimate_min: u32,
}

/// What a step can show at best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// The patch's code runs: without that the verdict is "not exercised" and the campaign stops.
    #[default]
    Exercised,
    /// The board has no such hardware: built, loaded, booted, and judged "not exercised", which is no pass but lets the
    /// campaign go on.
    NotExercised,
}

/// A patch that is known to be bad, in the place of a good one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Broken {
    /// The patch whose place it takes, as in `step.patch`.
    pub replaces: String,
    /// The patch file.
    pub patch: PathBuf,
}

impl Campaign {
    /// Reads and checks a campaign file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the campaign file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the campaign file {}", path.display()))
    }

    /// Parses and checks the text of a campaign file.
    pub fn parse(text: &str) -> Result<Self> {
        let campaign: Campaign = toml::from_str(text)?;
        campaign.check()?;
        Ok(campaign)
    }

    fn check(&self) -> Result<()> {
        if self.schema_version != SCHEMA_VERSION {
            bail!(
                "schema-version is {}, and this program reads {SCHEMA_VERSION}",
                self.schema_version
            );
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            bail!(
                "name is {:?}: only letters, digits, `-` and `_` are allowed, and at least one",
                self.name
            );
        }
        let names: Vec<&str> = self.smoke_tests.iter().map(|test| test.name.as_str()).collect();
        let known = |name: &String| -> Result<()> {
            if names.contains(&name.as_str()) {
                return Ok(());
            }
            bail!("there is no smoke test {name:?}; there are: {}", names.join(", "))
        };
        for test in &self.smoke_tests {
            if test
                .output
                .as_ref()
                .is_some_and(|output| output.file.contains('/'))
            {
                bail!(
                    "smoke test {:?}: output.file is a file name in $LOCKSTEP, without `/`",
                    test.name
                );
            }
        }
        self.baseline
            .exit
            .keys()
            .try_for_each(known)
            .context("in [baseline.exit]")?;
        for (index, step) in self.steps.iter().enumerate() {
            let context = || format!("in step {}", step.id);
            step.smoke
                .iter()
                .chain(step.exit.keys())
                .try_for_each(known)
                .with_context(context)?;
            if self.steps[..index].iter().any(|earlier| earlier.id == step.id) {
                bail!("two steps have the id {}", step.id);
            }
            if step.expect == Expectation::Exercised && step.exercise.is_empty() {
                bail!(
                    "step {}: `exercise` names no function, so nothing could prove that the patch's code ran; \
                     name one, or say `expect = \"not-exercised\"`",
                    step.id
                );
            }
        }
        for (name, broken) in &self.broken {
            if !self.steps.iter().any(|step| step.patch == broken.replaces) {
                bail!(
                    "broken.{name}: no step applies the patch {:?} that it replaces",
                    broken.replaces
                );
            }
        }
        Ok(())
    }

    /// Puts a broken variant in the place of its patch. Errors: there is none of this name.
    pub fn break_with(&mut self, name: &str) -> Result<()> {
        let Some(broken) = self.broken.get(name) else {
            let names: Vec<&str> = self.broken.keys().map(String::as_str).collect();
            bail!(
                "campaign {} has no broken variant {name:?}; there are: {}",
                self.name,
                names.join(", ")
            );
        };
        self.replacements
            .push((broken.replaces.clone(), broken.patch.clone()));
        Ok(())
    }

    /// The smoke tests of a step, in its order, with the exit status that passes there.
    pub fn tests_of<'a>(&'a self, step: &'a Step) -> Vec<(&'a SmokeTest, i32)> {
        let find = |name: &String| self.smoke_tests.iter().find(|test| test.name == *name);
        let exit = |test: &SmokeTest| step.exit.get(&test.name).copied().unwrap_or(test.exit);
        step.smoke
            .iter()
            .filter_map(find)
            .map(|test| (test, exit(test)))
            .collect()
    }

    /// Every smoke test, with the exit status that it has on the debug kernel alone.
    pub fn tests_of_baseline(&self) -> Vec<(&SmokeTest, i32)> {
        let exit = |test: &SmokeTest| self.baseline.exit.get(&test.name).copied().unwrap_or(test.exit);
        self.smoke_tests.iter().map(|test| (test, exit(test))).collect()
    }

    /// The whole estimate.
    pub fn estimate(&self) -> Duration {
        let minutes = self.kernel.estimate_min + self.steps.iter().map(|step| step.estimate_min).sum::<u32>();
        Duration::from_secs(u64::from(minutes) * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
schema-version = 1
name = "small"
goal = "nothing"
board = "virtual"
series = "patches/x"
[kernel]
profile = "lockdep"
fragments = []
label = "l"
estimate-min = 1
[[smoke]]
name = "stream"
run = "true"
limit-s = 1
[baseline]
exit = { stream = 1 }
[[step]]
id = "2.1"
patch = "0004"
rebuild = ["*"]
smoke = ["stream"]
exercise = ["f"]
estimate-min = 2
"#;

    fn error(edit: (&str, &str)) -> String {
        assert!(SMALL.contains(edit.0), "the edit changes nothing");
        format!(
            "{:#}",
            Campaign::parse(&SMALL.replace(edit.0, edit.1)).unwrap_err()
        )
    }

    #[test]
    fn every_campaign_of_this_repository_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            Campaign::load(&entry.unwrap().path()).unwrap();
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn exit_statuses_follow_the_step_and_the_baseline() {
        let campaign = Campaign::parse(SMALL).unwrap();
        assert_eq!(campaign.tests_of(&campaign.steps[0])[0].1, 0);
        assert_eq!(campaign.tests_of_baseline()[0].1, 1);
        assert_eq!(campaign.estimate(), Duration::from_secs(180));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = error(("limit-s = 1", "limits = 1"));
        assert!(
            error.contains("line 15") && error.contains("unknown field `limits`"),
            "{error}"
        );
    }

    #[test]
    fn a_step_that_could_not_prove_anything_is_refused() {
        let error = error(("exercise = [\"f\"]", ""));
        assert!(
            error.contains("step 2.1: `exercise` names no function"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_smoke_test_is_refused_with_what_there_is() {
        let error = error(("smoke = [\"stream\"]", "smoke = [\"steam\"]"));
        assert!(
            error.contains("no smoke test \"steam\"; there are: stream"),
            "{error}"
        );
    }

    #[test]
    fn a_newer_format_is_refused() {
        assert!(error(("schema-version = 1", "schema-version = 2")).contains("this program reads 1"));
    }
}
