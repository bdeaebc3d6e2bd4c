//! The rules of a campaign file that no single key can know: names that refer to one another, values that could prove nothing.

mod escalation;
mod smoke_test;

use super::problem::{At, Found};
use super::{ALL, Campaign, Expectation, SCHEMA_VERSION, Step};
use crate::board::name::{LONGEST, Name};
use crate::campaign::action;
use crate::campaign::exercise::Probe;
use crate::host::one_line::one_line;
use crate::host::toml::nearest;
use crate::kernel::profile::KNOWN;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Everything that is wrong, in no order.
pub fn check(campaign: &Campaign) -> Vec<Found> {
    let mut rules = Rules {
        campaign,
        tests: campaign
            .smoke_tests
            .iter()
            .map(|test| test.name.as_str())
            .collect(),
        ids: campaign.steps.iter().map(|step| step.id.as_str()).collect(),
        begins: campaign.first_steps(),
        found: Vec::new(),
        more: 0,
    };
    rules.top();
    rules.kernel();
    let mut names = HashSet::new();
    for (index, test) in campaign.smoke_tests.iter().enumerate() {
        rules.smoke_test(index, test, names.insert(test.name.as_str()));
    }
    rules.soak();
    rules.test_names(&["baseline".into(), "exit".into()], campaign.baseline.exit.keys());
    let (mut ids, mut patches) = (HashSet::new(), HashSet::new());
    for (index, step) in campaign.steps.iter().enumerate() {
        let new = New {
            id: ids.insert(step.id.as_str()),
            patch: patches.insert(step.patch.as_str()),
        };
        rules.step(index, step, new);
    }
    rules.rest();
    rules.end()
}

/// How many mistakes are told one by one.
const TOLD: usize = 200;
/// How many names a mistake lists, and among how many the one that was meant is looked for.
const LISTED: usize = 20;
const NEAR: usize = 1_000;
/// Most runs of smoke tests that a file may ask for: each boot of a step runs its own.
const MOST_RUNS: usize = 200_000;
/// Most smoke tests.
const MOST_TESTS: usize = 1_000;

/// Whether there is room for the runs of smoke tests that a file asks for, before `*` stands for all of them. Errors: why not.
pub fn too_many(campaign: &Campaign) -> Result<(), Found> {
    let all = campaign.smoke_tests.len();
    if all > MOST_TESTS {
        return Err(Found {
            at: vec!["smoke".into()],
            message: format!("there are {all} smoke tests, and {MOST_TESTS} are allowed"),
            meant: None,
        });
    }
    let of = |step: &Step| {
        if step.smoke == [ALL] {
            all
        } else {
            step.smoke.len()
        }
    };
    let runs = campaign.steps.iter().map(of).fold(0, usize::saturating_add);
    if runs <= MOST_RUNS {
        return Ok(());
    }
    Err(Found {
        at: vec!["step".into()],
        message: format!(
            "the {} steps ask for {runs} runs of smoke tests, and {MOST_RUNS} are allowed: divide the campaign",
            campaign.steps.len()
        ),
        meant: None,
    })
}

/// What of a step no earlier one has.
#[derive(Debug, Clone, Copy)]
struct New {
    id: bool,
    patch: bool,
}

struct Rules<'a> {
    campaign: &'a Campaign,
    /// Names of the smoke tests.
    tests: HashSet<&'a str>,
    /// Ids of the steps.
    ids: HashSet<&'a str>,
    /// Tests that begin with a step, and its place.
    begins: HashMap<&'a str, usize>,
    found: Vec<Found>,
    /// Mistakes that are only counted.
    more: usize,
}

impl Rules<'_> {
    fn end(mut self) -> Vec<Found> {
        if self.more > 0 {
            self.found.push(Found {
                at: Vec::new(),
                message: format!("{} more mistakes, listed once these are corrected", self.more),
                meant: None,
            });
        }
        self.found
    }

    fn wrong(&mut self, at: &[At], message: impl Into<String>) {
        self.tell(at, message.into(), None);
    }

    fn tell(&mut self, at: &[At], message: String, meant: Option<&str>) {
        if self.found.len() == TOLD {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.found.push(Found {
            at: at.to_vec(),
            message,
            meant: meant.map(String::from),
        });
    }

    fn unknown<'k>(&mut self, at: &[At], kind: &str, name: &str, known: impl Iterator<Item = &'k str>) {
        if self.found.len() == TOLD {
            self.more = self.more.saturating_add(1);
            return;
        }
        let known: Vec<&str> = known.take(NEAR).collect();
        let listed = known.get(..known.len().min(LISTED)).unwrap_or_default();
        let more = if listed.len() < known.len() { ", …" } else { "" };
        let there_are = match listed {
            [] => "there is none".to_string(),
            _ => format!("there are: {}{more}", listed.join(", ")),
        };
        let meant = nearest(name, known.iter().copied());
        self.tell(
            at,
            format!("there is no {kind} {}; {there_are}", word(name)),
            meant,
        );
    }

    fn name(&mut self, at: &[At], what: &str, name: &str) {
        if !is_plain(name) {
            self.wrong(
                at,
                format!(
                    "{what} is {}: only letters, digits, `-` and `_` are allowed, from 1 to {LONGEST} of them, not `-` first",
                    word(name)
                ),
            );
        }
    }

    fn top(&mut self) {
        let campaign = self.campaign;
        if campaign.schema_version != SCHEMA_VERSION {
            self.wrong(
                &["schema-version".into()],
                format!(
                    "schema-version is {}, and this program reads {SCHEMA_VERSION}",
                    campaign.schema_version
                ),
            );
        }
        self.name(&["name".into()], "name", &campaign.name);
        self.name(&["board".into()], "board", &campaign.board);
        let closing = &campaign.closing;
        if !is_file_name(closing) || !closing.ends_with(".md") {
            self.wrong(
                &["closing".into()],
                format!("closing is {closing:?}: it is the name of a Markdown file in the run's folder, `close.md`"),
            );
        }
        for (index, module) in campaign.preflight.modules.iter().enumerate() {
            if !is_relative(module) {
                let at = ["preflight".into(), "modules".into(), index.into()];
                self.wrong(
                    &at,
                    "a folder below /lib/modules/<release>: `kernel/drivers/media`",
                );
            }
        }
        for name in campaign.programs.keys() {
            let at = ["programs".into(), name.as_str().into()];
            self.name(&at, "the name of a program", name);
        }
        if campaign.steps.is_empty() {
            self.wrong(&["step".into()], "there is no step: each patch needs a [[step]]");
        }
    }

    fn kernel(&mut self) {
        let kernel = &self.campaign.kernel;
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        self.name(&["kernel".into(), "label".into()], "label", &kernel.label);
        if kernel.fragments.is_empty() {
            let at = ["kernel".into(), "profile".into()];
            self.unknown(
                &at,
                "profile (a profile of your own needs `fragments`)",
                &kernel.profile,
                names.iter().copied(),
            );
        }
        for (index, profile) in kernel.escalate.iter().enumerate() {
            let at = ["kernel".into(), "escalate".into(), index.into()];
            if !names.contains(&profile.as_str()) {
                self.unknown(&at, "profile", profile, names.iter().copied());
            } else if let Some(why) = kernel.cannot_escalate_to(index, profile) {
                self.wrong(&at, why);
            }
        }
        if kernel
            .boot_estimate_min
            .is_some_and(|boot| boot > kernel.estimate_min)
        {
            self.wrong(
                &["kernel".into(), "boot-estimate-min".into()],
                format!(
                    "boot-estimate-min is a part of estimate-min, which is {}",
                    kernel.estimate_min
                ),
            );
        }
    }

    fn step(&mut self, index: usize, step: &Step, new: New) {
        let at = |rest: &[At]| -> Vec<At> { [&["step".into(), index.into()], rest].concat() };
        let id_is_plain = !step.id.is_empty() && step.id.split('.').all(is_plain);
        if !id_is_plain {
            let says = format!("id is {}: a number in the plan, `2.1`", word(&step.id));
            self.wrong(&at(&["id".into()]), says);
        }
        if action::RESERVED.contains(&step.id.as_str()) {
            let says = format!("the plan has a row {} of its own; begin with `2.1`", step.id);
            self.wrong(&at(&["id".into()]), says);
        }
        if !new.id {
            let says = format!("two steps have the id {}", one_line(&step.id));
            self.wrong(&at(&["id".into()]), says);
        }
        if !new.patch {
            let says = format!("two steps apply the patch {}", word(&step.patch));
            self.wrong(&at(&["patch".into()]), says);
        }
        for (number, name) in step.smoke.iter().enumerate() {
            let at = at(&["smoke".into(), number.into()]);
            self.test_name(&at, name);
            self.test_too_early(&at, name, index);
        }
        self.test_names(&at(&["exit".into()]), step.exit.keys());
        for (number, path) in step.not_built.iter().enumerate() {
            if !is_relative(path) {
                let says = format!(
                    "{} is no path below the kernel tree",
                    word(&path.to_string_lossy())
                );
                self.wrong(&at(&["not-built".into(), number.into()]), says);
            }
        }
        for (key, modules) in [("load", &step.load), ("rebuild", &step.rebuild)] {
            for (number, module) in modules.iter().enumerate() {
                let every = key == "rebuild" && module == ALL;
                if !(is_plain(module) || every) {
                    let says = format!("{} is no name of a module", word(module));
                    self.wrong(&at(&[key.into(), number.into()]), says);
                }
            }
        }
        if let Some(says) = cannot_reload(step) {
            self.wrong(&at(&["reload".into()]), says);
        }
        for (number, entry) in step.exercise.iter().enumerate() {
            if let Err(error) = Probe::parse(entry) {
                self.wrong(&at(&["exercise".into(), number.into()]), format!("{error:#}"));
            }
        }
        if step.expect == Expectation::Exercised && step.exercise.is_empty() {
            self.wrong(
                &at(&[]),
                format!(
                    "step {}: `exercise` names no function, so nothing could prove that the patch's code ran; \
                     name one, or say `expect = \"not-exercised\"`",
                    one_line(&step.id)
                ),
            );
        }
        if step.soak_min.is_some() && self.campaign.soak.is_none() {
            let says = "soak-min without [soak]: there is nothing to make longer or shorter";
            self.wrong(&at(&["soak-min".into()]), says);
        }
    }

    fn rest(&mut self) {
        let campaign = self.campaign;
        let patches: HashSet<&str> = campaign.steps.iter().map(|step| step.patch.as_str()).collect();
        for (name, broken) in &campaign.broken {
            let at = |key: &str| -> Vec<At> { vec!["broken".into(), name.as_str().into(), key.into()] };
            self.name(
                &["broken".into(), name.as_str().into()],
                "the name of a broken variant",
                name,
            );
            if !patches.contains(&broken.replaces.as_str()) {
                let known = campaign.steps.iter().map(|step| step.patch.as_str());
                self.unknown(
                    &at("replaces"),
                    "step that applies the patch",
                    &broken.replaces,
                    known,
                );
            }
        }
        for (index, risk) in campaign.risks.iter().enumerate() {
            if risk.answer.trim().is_empty() || risk.risk.trim().is_empty() {
                self.wrong(
                    &["risk".into(), index.into()],
                    "a risk needs words, and an answer",
                );
            }
        }
    }
}

/// Why a step cannot have `reload = true`, where it has.
fn cannot_reload(step: &Step) -> Option<&'static str> {
    if !step.reload {
        None
    } else if step.rebuild.is_empty() || step.rebuild.iter().any(|module| module == ALL) {
        Some(
            "reload is for a step that changes modules and nothing else: `rebuild` has to name them, and `*` (which it is where it is left out) \
             means the kernel, too",
        )
    } else if step.login {
        Some(
            "reload cannot be tried in a step that waits for a person on the desktop: what it would show is another thing",
        )
    } else {
        None
    }
}

/// A word of the file in quotes, on one line and cut.
fn word(text: &str) -> String {
    format!("\"{}\"", one_line(text))
}

/// A [`Name`], which the command line and folders take, without a dot.
fn is_plain(name: &str) -> bool {
    Name::allows(name) && !name.contains('.')
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['/', '\0', '\n'])
        && name != "."
        && name != ".."
        && !name.starts_with('-')
}

fn is_relative(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
        && path.components().next().is_some()
}
