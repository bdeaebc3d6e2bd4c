//! What a new campaign file says of each patch, so that it goes through: modules that are there,
//! functions that a tracer finds, and the configuration that builds the patch's code.

use super::ahead::{Ahead, Below};
use crate::campaign::ours;
use crate::campaign::outline::Outline;
use crate::kernel::kconfig::{Foretold, Fragment, Obstacle, Request, Setting, Tri};
use crate::kernel::patch::Patch;
use crate::kernel::series::makefile::Way;
use crate::kernel::series::scope::{self, Scope};
use crate::kernel::series::{Series, needs};
use std::path::{Path, PathBuf};

/// Functions of a patch that are put in, at most.
const FUNCTIONS: usize = 3;
/// Functions of a patch that are looked at for them.
const LOOKED_AT: usize = 100;

/// Settings that a campaign needs beside its profile's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The fragment that has them, relative to the project.
    pub path: PathBuf,
    /// Its text, where it has to be written.
    pub text: Option<String>,
}

/// What is proposed for the step of one patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// Modules that the patch changes; empty where the kernel changes with it, or where that is not
    /// known.
    pub rebuild: Vec<String>,
    /// Modules to load: those of all patches that are there by then.
    pub load: Vec<String>,
    /// Modules that come with the patch.
    pub new_modules: Vec<String>,
    /// Functions that show that its code ran.
    pub exercise: Vec<String>,
    /// What builds its code.
    pub fragment: Option<Wanted>,
    /// Code of it that this configuration cannot build, and why.
    pub not_built: Vec<(PathBuf, String)>,
    /// Whether what comes behind it in the series goes without it.
    pub stands_alone: bool,
}

/// What is proposed for a whole series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// For the kernel of every step, the baseline's too.
    pub kernel: Option<Wanted>,
    /// For each patch, in the order of the series.
    pub steps: Vec<Brought>,
}

impl Proposal {
    /// The fragments that have to be written: path below the project, and text.
    pub fn to_write(&self) -> Vec<(&Path, &str)> {
        let of_steps = self.steps.iter().filter_map(|brought| brought.fragment.as_ref());
        let all = self.kernel.iter().chain(of_steps);
        all.filter_map(|wanted| Some((wanted.path.as_path(), wanted.text.as_deref()?)))
            .collect()
    }
}

/// A new campaign.
pub struct New<'a> {
    /// Its name: fragments that are written have it in theirs.
    pub name: &'a str,
    /// The series.
    pub series: &'a Series,
    /// The project: its fragments are used where one has all that is needed.
    pub project: &'a Path,
    /// What the kernel's fragments ask for.
    pub requests: Vec<Request>,
    /// What they are laid upon.
    pub below: Below,
}

/// The proposal where there is no tree to look at: functions alone.
pub fn without_a_tree(series: &Series) -> Proposal {
    let brought = |patch: &Patch| Brought {
        exercise: functions(patch, &|_| None),
        ..Brought::default()
    };
    Proposal {
        kernel: None,
        steps: series.patches.iter().map(brought).collect(),
    }
}

/// The proposal for a new campaign on this tree.
pub fn of(new: New, ahead: &Ahead) -> Proposal {
    let mut look = Look {
        requests: new.requests.clone(),
        new: &new,
        ahead,
    };
    // What the tree has without the patches belongs into every kernel, so that the baseline can be
    // compared with.
    let kernel = look.for_every_kernel();
    let patches = || new.series.patches.iter().enumerate();
    let scopes: Vec<Scope> = patches().map(|(index, patch)| look.scope(index, patch)).collect();
    let mut steps = Vec::new();
    for (index, patch) in patches() {
        let stage = index.saturating_add(1);
        let fragment = look.for_step(index, patch);
        let own: &Scope = scopes.get(index).unwrap_or(&NOTHING);
        let foretold = look.foretold(stage);
        let load = look.modules(&scopes, stage, foretold.as_ref());
        let is_new = |module: &&String| look.ahead.module_since(module) == Some(stage);
        let new_modules = own.modules.keys().filter(|module| load.contains(module));
        steps.push(Brought {
            rebuild: if own.kernel {
                Vec::new()
            } else {
                own.modules.keys().cloned().collect()
            },
            new_modules: new_modules.filter(is_new).cloned().collect(),
            load,
            exercise: functions(patch, &|file| ahead.text(stage, file)),
            not_built: foretold.map_or(Vec::new(), |foretold| look.not_built(index, &foretold)),
            fragment,
            stands_alone: look.stands_alone(index),
        });
    }
    Proposal { kernel, steps }
}

static NOTHING: Scope = Scope::nothing();

struct Look<'a> {
    new: &'a New<'a>,
    ahead: &'a Ahead<'a>,
    /// What is asked for so far.
    requests: Vec<Request>,
}

impl Look<'_> {
    fn scope(&self, index: usize, patch: &Patch) -> Scope {
        let stage = index.saturating_add(1);
        scope::of(patch, |path| self.ahead.text(stage, path))
    }

    fn patches(&self) -> std::ops::Range<usize> {
        0..self.new.series.patches.len()
    }

    /// What is asked for so far, at a stage; none where no one knows what it is built on.
    fn foretold(&self, stage: usize) -> Option<Foretold<'_>> {
        let is_known = !matches!(self.new.below, Below::Unknown);
        is_known.then(|| {
            self.ahead
                .foretold(stage, self.new.below.config(), &self.requests)
        })
    }

    /// Symbols that the code of a patch hangs on and that are off.
    fn off(&self, patch: usize) -> Vec<String> {
        let Some(foretold) = self.foretold(patch.saturating_add(1)) else {
            return Vec::new();
        };
        let mut off: Vec<String> = Vec::new();
        for (_, symbols) in self.ahead.left_out(patch, &foretold) {
            off.extend(symbols);
        }
        off
    }

    /// What brings these symbols at a stage, behind what is asked for already: settings that are
    /// taken into the requests.
    fn bring(&mut self, stage: usize, symbols: &[String]) -> Vec<Setting> {
        let mut settings: Vec<Setting> = Vec::new();
        for symbol in symbols {
            let found = {
                let foretold = self
                    .ahead
                    .foretold(stage, self.new.below.config(), &self.requests);
                let wanted = foretold
                    .on(symbol)
                    .filter(|_| foretold.value(symbol) == Some(Tri::No));
                wanted.and_then(|value| foretold.bring(symbol, &value).ok())
            };
            for setting in found.into_iter().flat_map(|remedy| remedy.settings) {
                self.requests.retain(|known| known.symbol != setting.symbol);
                self.requests.push(setting.request());
                settings.retain(|known| known.symbol != setting.symbol);
                settings.push(setting);
            }
        }
        settings
    }

    fn for_every_kernel(&mut self) -> Option<Wanted> {
        let off = self.patches().flat_map(|patch| self.off(patch));
        let mut old: Vec<String> = off
            .filter(|symbol| self.ahead.symbol_since(symbol) == Some(0))
            .collect();
        old.dedup();
        let settings = self.bring(0, &old);
        let text = "# What the tree has already and the patches change: the kernel without them has it, too, so that both can be compared.";
        self.wanted(&settings, &format!("{}.config", self.new.name), text)
    }

    fn for_step(&mut self, index: usize, patch: &Patch) -> Option<Wanted> {
        let stage = index.saturating_add(1);
        let mut symbols = self.off(index);
        let own = needs::new_symbols(patch);
        let askable = {
            let foretold = self
                .ahead
                .foretold(stage, self.new.below.config(), &self.requests);
            own.into_iter()
                .filter(|symbol| foretold.has_prompt(symbol))
                .collect::<Vec<_>>()
        };
        symbols.extend(askable);
        symbols.dedup();
        let settings = self.bring(stage, &symbols);
        let short = patch.short_name();
        let text = format!(
            "# What builds the code of {short}: the symbols are there once it is applied, and not before."
        );
        let name = format!("{}-{}.config", self.new.name, short.trim_end_matches(".patch"));
        self.wanted(&settings, &name, &text)
    }

    /// The fragment with these settings: one of the project's that asks for exactly these, or a new
    /// one.
    fn wanted(&self, settings: &[Setting], name: &str, about: &str) -> Option<Wanted> {
        if settings.is_empty() {
            return None;
        }
        let folder = Path::new("kconfig-fragments");
        if let Some(path) = self.has_all(folder, settings) {
            return Some(Wanted { path, text: None });
        }
        let lines: String = settings.iter().map(|setting| format!("{setting}\n")).collect();
        Some(Wanted {
            path: folder.join(name),
            text: Some(format!(
                "# SPDX-License-Identifier: GPL-2.0-only\n#\n{about}\n\n{lines}"
            )),
        })
    }

    fn has_all(&self, folder: &Path, settings: &[Setting]) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.new.project.join(folder))
            .ok()?
            .filter_map(|entry| Some(folder.join(entry.ok()?.file_name())))
            .filter(|path| path.extension().is_some_and(|ending| ending == "config"))
            .collect();
        files.sort();
        files.into_iter().find(|path| {
            let Ok(fragment) = Fragment::read(&self.new.project.join(path)) else {
                return false;
            };
            let asks = |setting: &Setting| {
                let mut requests = fragment.requests.iter();
                requests.any(|request| request.symbol == setting.symbol && request.value == setting.value)
            };
            fragment.requests.len() == settings.len() && settings.iter().all(asks)
        })
    }

    /// Code that stays out of the build whatever is asked for.
    fn not_built(&self, patch: usize, foretold: &Foretold) -> Vec<(PathBuf, String)> {
        let left_out = self.ahead.left_out(patch, foretold);
        let why = |symbol: &String| {
            let obstacles = foretold
                .on(symbol)
                .and_then(|value| foretold.bring(symbol, &value).err())
                .unwrap_or_default();
            let shown: Vec<String> = obstacles.iter().map(Obstacle::to_string).collect();
            format!("CONFIG_{symbol} cannot be on here: {}", shown.join("; "))
        };
        left_out
            .into_iter()
            .map(|(file, off)| (file, off.first().map(why).unwrap_or_default()))
            .collect()
    }

    /// The modules of all patches that can be loaded at a stage, in the order in which they are
    /// first changed.
    fn modules(&self, scopes: &[Scope], stage: usize, foretold: Option<&Foretold>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for module in scopes.iter().flat_map(|scope| scope.modules.keys()) {
            let is_there = self.ahead.module_since(module).is_none_or(|since| since <= stage);
            let is_loadable = || foretold.is_none_or(|foretold| self.is_loadable(stage, module, foretold));
            if is_there && !found.contains(module) && is_loadable() {
                found.push(module.clone());
            }
        }
        found
    }

    /// Whether a module is one in this configuration, and neither built in nor left out; as far as
    /// it is known.
    fn is_loadable(&self, stage: usize, module: &str, foretold: &Foretold) -> bool {
        let ways = self.ahead.ways_of_module(stage, module);
        let least = |way: &Way| {
            let values = way.symbols.iter().map(|symbol| foretold.value(symbol));
            values
                .map(|value| value.unwrap_or(Tri::Module))
                .min()
                .unwrap_or(Tri::Module)
        };
        ways.is_empty() || ways.iter().map(least).max() == Some(Tri::Module)
    }

    fn stands_alone(&self, patch: usize) -> bool {
        let applied = vec![true; self.new.series.patches.len()];
        let is_used = !self.new.series.users_of(patch, &applied).is_empty();
        let is_last = patch.saturating_add(1) == self.new.series.patches.len();
        !is_used && !is_last && self.ahead.stands_alone(patch)
    }
}

/// Functions that show that a patch's code ran: those that it adds, else those that it changes;
/// where the compiler puts one into its callers, its callers. `read` gives a file as the patch
/// leaves it.
fn functions(patch: &Patch, read: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let outlines: Vec<Outline> = patch
        .touched_files()
        .into_iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "c"))
        .filter_map(|file| Some(Outline::of(&read(file)?)))
        .collect();
    let mut found: Vec<String> = Vec::new();
    for names in [ours::added(&patch.diff), ours::functions(&patch.diff)] {
        for name in names.into_iter().take(LOOKED_AT) {
            let of_file = outlines.iter().find(|outline| outline.get(&name).is_some());
            let traced = match of_file {
                Some(outline) => outline.traceable(&name),
                // Without its file there is the name alone.
                None if outlines.is_empty() => vec![name],
                None => Vec::new(),
            };
            for name in traced {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    found.truncate(FUNCTIONS);
    found
}
