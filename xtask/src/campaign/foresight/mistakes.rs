//! The mistakes of a campaign file that the tree shows before anything is built.

use super::ahead::{Ahead, Below, asks_for, is_defined};
use crate::campaign::exercise::Probe;
use crate::campaign::file::problem::{At, Found};
use crate::campaign::file::{ALL, Campaign, Expectation, Step};
use crate::campaign::outline::Outline;
use crate::host::one_line::one_line;
use crate::host::toml::nearest;
use crate::kernel::kconfig::{Foretold, Fragment, Need, Request, Tri};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is wrong with the patches of a campaign themselves: one does not apply, one lacks a file. A
/// run judges such a patch in its turn.
pub fn of_patches(campaign: &Campaign, ahead: &Ahead) -> Vec<Found> {
    let mut found = Vec::new();
    for index in 0..campaign.steps.len() {
        let mut wrong = |message: String| {
            found.push(Found {
                at: vec!["step".into(), index.into(), "patch".into()],
                message,
                meant: None,
            });
        };
        if let Some((refused, why)) = ahead.refused()
            && refused == index
        {
            let why: Vec<String> = why.lines().map(one_line).collect();
            wrong(format!(
                "it does not apply on what stands before it: {}",
                why.join("; ")
            ));
        }
        for lacking in ahead.without_source(index) {
            wrong(lacking.to_string());
        }
    }
    found
}

/// The mistakes of a campaign's file, whose steps are the patches of `ahead`, in their order.
/// `project` is the folder that paths are relative to. Fragments that cannot be read are passed
/// over: others report them.
pub fn of_file(campaign: &Campaign, ahead: &Ahead, below: &Below, project: &Path) -> Vec<Found> {
    let mut look = Look {
        campaign,
        ahead,
        below,
        requests: Vec::new(),
        found: Vec::new(),
    };
    for (index, fragment) in campaign.kernel.fragments.iter().enumerate() {
        let at = vec!["kernel".into(), "fragments".into(), index.into()];
        look.fragment(&at, 0, &project.join(fragment));
    }
    for (index, step) in campaign.steps.iter().enumerate() {
        for (number, fragment) in step.fragments.iter().enumerate() {
            let at = vec!["step".into(), index.into(), "fragments".into(), number.into()];
            look.fragment(&at, index.saturating_add(1), &project.join(fragment));
        }
        look.step(index, step);
    }
    look.found
}

struct Look<'a> {
    campaign: &'a Campaign,
    ahead: &'a Ahead<'a>,
    below: &'a Below,
    /// What the fragments ask for so far.
    requests: Vec<Request>,
    found: Vec<Found>,
}

impl Look<'_> {
    fn wrong(&mut self, at: Vec<At>, message: String, meant: Option<&str>) {
        self.found.push(Found {
            at,
            message,
            meant: meant.map(String::from),
        });
    }

    /// The patch of a stage, for print.
    fn patch_of(&self, stage: usize) -> String {
        let step = stage
            .checked_sub(1)
            .and_then(|index| self.campaign.steps.get(index));
        step.map_or(String::new(), |step| {
            format!("{} (step {})", one_line(&step.patch), one_line(&step.id))
        })
    }

    /// Takes the requests of a fragment in, and tells those of symbols that are not there at its
    /// stage.
    fn fragment(&mut self, at: &[At], stage: usize, path: &Path) {
        let Ok(fragment) = Fragment::read(path) else {
            return;
        };
        for request in &fragment.requests {
            let symbol = &request.symbol;
            let is_asked = asks_for(request) && request.need == Need::Always;
            if is_asked && !is_defined(self.ahead.definitions(stage), symbol) {
                let place = format!(
                    "{}:{}",
                    path.file_name().unwrap_or_default().to_string_lossy(),
                    request.line
                );
                match self.ahead.symbol_since(symbol) {
                    Some(later) => {
                        let says = format!(
                            "CONFIG_{symbol} ({place}) comes with {}, and this is read before that: put it into that step's `fragments`",
                            self.patch_of(later)
                        );
                        self.wrong(at.to_vec(), says, None);
                    }
                    None => {
                        let known = &self.ahead.definitions(stage).symbols;
                        let near = nearest(symbol, known.keys().map(String::as_str));
                        let says = format!("no Kconfig file of the tree defines CONFIG_{symbol} ({place})");
                        self.wrong(at.to_vec(), says, near);
                    }
                }
            }
        }
        for request in fragment.requests {
            self.requests.retain(|known| known.symbol != request.symbol);
            self.requests.push(request);
        }
    }

    fn step(&mut self, index: usize, step: &Step) {
        let at = |rest: &[At]| -> Vec<At> { [&["step".into(), index.into()], rest].concat() };
        let stage = index.saturating_add(1);
        for (key, names) in [("load", &step.load), ("rebuild", &step.rebuild)] {
            for (number, name) in names.iter().enumerate().filter(|(_, name)| *name != ALL) {
                self.module(at(&[key.into(), number.into()]), stage, name);
            }
        }
        if !matches!(self.below, Below::Unknown) {
            let requests = self.requests.clone();
            let foretold = self.ahead.foretold(stage, self.below.config(), &requests);
            self.code(index, step, &foretold);
            for (number, name) in step.load.iter().enumerate() {
                self.loadable(at(&["load".into(), number.into()]), (stage, name), &foretold);
            }
        }
        self.not_built(index, step);
        if step.expect == Expectation::Exercised {
            self.exercise(index, step);
        }
    }

    fn module(&mut self, at: Vec<At>, stage: usize, name: &str) {
        match self.ahead.module_since(name) {
            Some(since) if since > stage => {
                let says = format!(
                    "the module {} comes with {}: it is not there yet",
                    one_line(name),
                    self.patch_of(since)
                );
                self.wrong(at, says, None);
            }
            None if !self.ahead.is_mentioned(name) => {
                let meant = self.ahead.nearest_module(name).map(String::from);
                let says = format!("no Makefile of the tree makes a module {}", one_line(name));
                self.wrong(at, says, meant.as_deref());
            }
            _ => {}
        }
    }

    /// Whether the configuration makes a module of this name.
    fn loadable(&mut self, at: Vec<At>, (stage, name): (usize, &str), foretold: &Foretold) {
        let ways = self.ahead.ways_of_module(stage, name);
        let off = crate::kernel::built::missing_on(&ways, |symbol| foretold.value(symbol) != Some(Tri::No));
        if let Some(symbol) = off.first() {
            let says = format!(
                "{} hangs on CONFIG_{symbol}, which is off in this kernel{}",
                one_line(name),
                brought(symbol, foretold)
            );
            self.wrong(at, says, None);
        }
    }

    /// Code of the patch that the configuration leaves out, and that the file does not declare.
    fn code(&mut self, index: usize, step: &Step, foretold: &Foretold) {
        let left_out: Vec<(PathBuf, Vec<String>)> = self.ahead.left_out(index, foretold);
        for (file, off) in left_out {
            if step.not_built.iter().any(|declared| file.starts_with(declared)) {
                continue;
            }
            let off: Vec<String> = off
                .iter()
                .map(|symbol| format!("CONFIG_{symbol} is off{}", brought(symbol, foretold)))
                .collect();
            let says = format!(
                "{} is not built: {}. Put that into a fragment of the step (`fragments`), or the file into `not-built`",
                file.display(),
                off.join("; ")
            );
            self.wrong(vec!["step".into(), index.into()], says, None);
        }
    }

    /// What the file declares as not built and the patch does not change.
    fn not_built(&mut self, index: usize, step: &Step) {
        for (number, path) in step.not_built.iter().enumerate() {
            let touched = self.ahead.patches().get(index).map(|patch| patch.touched_files());
            let touched = touched.unwrap_or_default();
            if !touched.iter().any(|file| file.starts_with(path)) {
                let at = vec!["step".into(), index.into(), "not-built".into(), number.into()];
                let names: Vec<String> = touched.iter().map(|file| file.display().to_string()).collect();
                let wanted = path.to_string_lossy();
                let near = nearest(&wanted, names.iter().map(String::as_str));
                let says = format!("the patch changes nothing in {}", one_line(&wanted));
                self.wrong(at, says, near);
            }
        }
    }

    /// Functions of `exercise` that are written almost as one of the patches so far, and those that
    /// no test can see any more.
    fn exercise(&mut self, index: usize, step: &Step) {
        let stage = index.saturating_add(1);
        let patches = self.ahead.patches();
        let files: BTreeSet<&Path> = patches
            .iter()
            .take(stage)
            .flat_map(|patch| patch.touched_files())
            .filter(|file| file.extension().is_some_and(|ending| ending == "c"))
            .collect();
        let texts = files.iter().filter_map(|file| self.ahead.text(stage, file));
        let outlines: Vec<Outline> = texts.map(|text| Outline::of(&text)).collect();
        let known = || outlines.iter().flat_map(|outline| outline.functions());
        for (number, entry) in step.exercise.iter().enumerate() {
            let Ok(Probe::Function(name)) = Probe::parse(entry) else {
                continue;
            };
            let at = vec!["step".into(), index.into(), "exercise".into(), number.into()];
            let found = known().find(|function| function.name == name);
            if found.is_some_and(|function| function.is_init) {
                let says = format!(
                    "{} is gone once its module has begun (`__init`), or runs at its end only (`__exit`): name a function that the module keeps",
                    one_line(&name)
                );
                self.wrong(at, says, None);
                continue;
            }
            let near = nearest(&name, known().map(|function| function.name.as_str()));
            // Of other files' functions only a build knows.
            if let Some(near) = near.filter(|near| found.is_none() && strsim::osa_distance(&name, near) <= 2)
            {
                let says = format!("no file of the patches has a function {}", one_line(&name));
                self.wrong(at, says, Some(near));
            }
        }
    }
}

/// The end of a sentence: what would turn a symbol on.
fn brought(symbol: &str, foretold: &Foretold) -> String {
    let remedy = foretold
        .on(symbol)
        .and_then(|value| foretold.bring(symbol, &value).ok());
    remedy.map_or(String::new(), |remedy| format!("; to have it: {remedy}"))
}
