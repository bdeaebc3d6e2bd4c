//! What a step asks of its build and does not get, looked for right after the build: code of the
//! patch that was not compiled, modules that are not there, functions that no tracer finds.

use super::alternatives::{Alternatives, Source};
use crate::campaign::exercise::Probe;
use crate::campaign::file::{Expectation, Step};
use crate::host::toml::nearest;
use crate::kernel::built::functions::{Functions, Kept, Symbols};
use crate::kernel::built::{Absent, BuiltIn};
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a step asks for and does not get. Each list holds sentences for a person; empty is good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// What the build lacks: the step cannot be booted as it is meant.
    pub build: Vec<String>,
    /// Entries of `exercise` that could never count.
    pub exercise: Vec<String>,
    /// What is worth to be known.
    pub facts: Vec<String>,
}

/// Looks into a build for a step whose patch changes `files`, paths below the tree. Errors: the
/// build folder has no kernel in it, or a module that cannot be read.
pub fn of_step(step: &Step, files: &[PathBuf], build: &BuiltIn) -> Result<Faults> {
    let mut faults = Faults::default();
    code(step, files, build, &mut faults);
    let functions = Functions::of(build.out)?;
    modules(step, &functions, &mut faults);
    if step.expect == Expectation::Exercised && faults.build.is_empty() {
        let loaded = functions.with_dependencies(&step.load)?;
        let look = Look {
            step,
            tree: build.tree,
            sources: sources(files, build.tree),
            functions: &functions,
            loaded,
        };
        for entry in &step.exercise {
            faults.exercise.extend(look.fault(entry)?);
        }
    }
    Ok(faults)
}

/// Code of `files` that the build lacks and that is not declared, and declarations that are not
/// needed.
pub fn undeclared(files: &[PathBuf], declared: &[PathBuf], build: &BuiltIn) -> (Vec<Absent>, Vec<PathBuf>) {
    let absent = build.absent(files);
    let covers = |declared: &Path, absent: &Absent| absent.file.starts_with(declared);
    let needless = declared
        .iter()
        .filter(|declared| !absent.iter().any(|absent| covers(declared, absent)));
    let needless = needless.cloned().collect();
    let undeclared = absent
        .into_iter()
        .filter(|absent| !declared.iter().any(|declared| covers(declared, absent)));
    (undeclared.collect(), needless)
}

fn code(step: &Step, files: &[PathBuf], build: &BuiltIn, faults: &mut Faults) {
    let (absent, needless) = undeclared(files, &step.not_built, build);
    faults.build.extend(absent.iter().map(Absent::to_string));
    if !absent.is_empty() {
        faults.build.push(format!(
            "step {}: put these lines into a fragment that `fragments` names, or the file into `not-built`, if this configuration is not meant \
             to build it",
            step.id
        ));
    }
    let needless: Vec<String> = needless.iter().map(|path| path.display().to_string()).collect();
    if !needless.is_empty() {
        faults.facts.push(format!(
            "named in `not-built`, and nothing of the patch there is left out of the build: {}",
            needless.join(", ")
        ));
    }
}

fn modules(step: &Step, functions: &Functions, faults: &mut Faults) {
    for name in &step.load {
        if functions.has_module(name) {
            continue;
        }
        if functions.is_built_in(name) {
            faults.facts.push(format!(
                "{name} is built into the kernel: there is nothing to load"
            ));
            continue;
        }
        faults.build.push(format!(
            "step {}: `load` names {name}, and this build has no module of that name{}",
            step.id,
            did_you_mean(nearest(name, functions.modules()))
        ));
    }
}

fn did_you_mean(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

fn sources(files: &[PathBuf], tree: &Path) -> Vec<Source> {
    let code = files
        .iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "c"));
    let text = |file: &PathBuf| std::fs::read_to_string(tree.join(file)).ok();
    code.filter_map(|file| Some(Source::of(file, text(file)?)))
        .collect()
}

/// A build, as a step looks at it.
struct Look<'a> {
    step: &'a Step,
    tree: &'a Path,
    sources: Vec<Source>,
    functions: &'a Functions,
    /// Modules that the step loads, and what these need.
    loaded: BTreeSet<String>,
}

/// Where a function is.
enum Found {
    /// It can be watched.
    There,
    /// It is freed before a test runs.
    Gone,
    /// In these modules only, which the step does not load.
    NotLoaded(Vec<String>),
    /// The build has none of this name.
    Nowhere,
}

impl Look<'_> {
    /// Why an entry of `exercise` could never count.
    fn fault(&self, entry: &str) -> Result<Option<String>> {
        let id = &self.step.id;
        let says = |what: String| Some(format!("step {id}: `exercise` names {entry}: {what}"));
        Ok(match Probe::parse(entry)? {
            Probe::Function(name) => self.function(&name)?.and_then(says),
            Probe::Kprobe(place) => self.kprobe(&place)?.and_then(says),
            Probe::Tracepoint { system, event } => self.tracepoint(&system, &event)?.and_then(says),
            Probe::Counter(path) => self.counter(&path)?.and_then(says),
        })
    }

    /// The symbols of the kernel and of the modules that the step loads, each with a name.
    fn loaded(&self) -> Result<Vec<std::rc::Rc<Symbols>>> {
        self.loaded
            .iter()
            .map(|name| self.functions.of_module(name))
            .collect()
    }

    fn find(&self, name: &str) -> Result<Found> {
        let mut gone = false;
        let modules = self.loaded()?;
        let all = std::iter::once(self.functions.kernel()).chain(modules.iter().map(|symbols| &**symbols));
        for symbols in all {
            match symbols.function(name) {
                Some(Kept::Always) => return Ok(Found::There),
                Some(Kept::Not) => gone = true,
                None => {}
            }
        }
        if gone {
            return Ok(Found::Gone);
        }
        let mut elsewhere = Vec::new();
        for module in self
            .functions
            .modules()
            .filter(|module| !self.loaded.contains(*module))
        {
            if self.functions.of_module(module)?.function(name) == Some(Kept::Always) {
                elsewhere.push(module.to_string());
            }
        }
        Ok(match elsewhere.is_empty() {
            true => Found::Nowhere,
            false => Found::NotLoaded(elsewhere),
        })
    }

    fn function(&self, name: &str) -> Result<Option<String>> {
        Ok(match self.find(name)? {
            Found::There => None,
            Found::Gone => Some(
                "it is gone once its module has begun (`__init`), or runs at its end only (`__exit`); name a function that the module keeps".into(),
            ),
            Found::NotLoaded(modules) => Some(format!(
                "it is in the module {}, which the step does not load: add that to `load`",
                modules.join(", ")
            )),
            Found::Nowhere => Some(self.missing(name)?),
        })
    }

    /// A function that the build does not have.
    fn missing(&self, name: &str) -> Result<String> {
        let Some(source) = self
            .sources
            .iter()
            .find(|source| source.outline.get(name).is_some())
        else {
            return Ok(format!(
                "neither the kernel nor a module has a function of this name{}",
                did_you_mean(self.nearest(name)?.as_deref())
            ));
        };
        let modules = self.loaded()?;
        let is_there = |name: &str| {
            let there = |symbols: &Symbols| symbols.function(name) == Some(Kept::Always);
            there(self.functions.kernel()) || modules.iter().any(|symbols| there(symbols))
        };
        let read = |path: &Path| std::fs::read_to_string(self.tree.join(path)).ok();
        let alternatives = Alternatives::of(source, name, &is_there, &read);
        Ok(format!(
            "it is in {}, and the build has no function of its own for it: the compiler put it into its callers, or left it out; {}",
            source.file.display(),
            alternatives.text()
        ))
    }

    /// The function that was probably meant: of the patch's files, else of the modules, else of the
    /// kernel.
    fn nearest(&self, name: &str) -> Result<Option<String>> {
        let own = self.sources.iter().flat_map(|source| source.outline.functions());
        if let Some(found) = nearest(name, own.map(|function| function.name.as_str())) {
            return Ok(Some(found.to_string()));
        }
        for symbols in self.loaded()? {
            if let Some(found) = nearest(name, symbols.functions.keys().map(String::as_str)) {
                return Ok(Some(found.to_string()));
            }
        }
        let kernel = self.functions.kernel().functions.keys();
        Ok(nearest(name, kernel.map(String::as_str)).map(String::from))
    }

    fn kprobe(&self, place: &str) -> Result<Option<String>> {
        let (name, offset) = place.split_once('+').unwrap_or((place, "0"));
        let digits = offset.strip_prefix("0x");
        let offset = match digits {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => offset.parse().ok(),
        };
        if let Some(why) = self.function(name)? {
            return Ok(Some(why));
        }
        let modules = self.loaded()?;
        let all = std::iter::once(self.functions.kernel()).chain(modules.iter().map(|symbols| &**symbols));
        let sizes: Vec<u64> = all.filter_map(|symbols| symbols.functions.get(name)?.1).collect();
        let fits = |offset: u64| sizes.is_empty() || sizes.iter().any(|size| offset < *size);
        Ok(match offset {
            Some(offset) if fits(offset) => None,
            _ => Some(format!(
                "{name} has {} bytes",
                sizes.iter().max().copied().unwrap_or_default()
            )),
        })
    }

    fn tracepoint(&self, system: &str, event: &str) -> Result<Option<String>> {
        // Those of system calls are made of their metadata (include/linux/syscalls.h).
        if system == "syscalls" {
            return Ok(None);
        }
        const SYMBOL: &str = "__tracepoint_";
        let modules = self.loaded()?;
        let all = std::iter::once(self.functions.kernel()).chain(modules.iter().map(|symbols| &**symbols));
        let events: BTreeSet<&str> = all
            .flat_map(|symbols| symbols.data.iter())
            .filter_map(|name| name.strip_prefix(SYMBOL))
            .collect();
        Ok(match events.contains(event) {
            true => None,
            false => Some(format!(
                "neither the kernel nor a module that the step loads has a tracepoint {event}{}",
                did_you_mean(nearest(event, events.iter().copied()))
            )),
        })
    }

    /// A parameter of a module in the build; what other files count is known on the board only.
    fn counter(&self, path: &str) -> Result<Option<String>> {
        let rest = path.strip_prefix("/sys/module/");
        let Some((module, parameter)) = rest.and_then(|rest| rest.split_once("/parameters/")) else {
            return Ok(None);
        };
        if !self.functions.has_module(module) {
            return Ok(None);
        }
        // include/linux/moduleparam.h, __module_param_call().
        const SYMBOL: &str = "__param_";
        let symbols = self.functions.of_module(module)?;
        let mut parameters = symbols.data.iter().filter_map(|name| name.strip_prefix(SYMBOL));
        if parameters.clone().any(|name| name == parameter) {
            return Ok(None);
        }
        let near = nearest(parameter, &mut parameters);
        Ok(Some(format!(
            "{module} has no parameter {parameter}{}",
            did_you_mean(near)
        )))
    }
}

#[cfg(test)]
mod tests;
