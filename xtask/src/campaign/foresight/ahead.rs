//! A tree as it is after each patch of a campaign, without a build: modules, Kconfig symbols,
//! configurations.

use crate::host::toml::nearest;
use crate::kernel::build::Base;
use crate::kernel::kconfig::{Config, Definitions, Foretold, Request, Tri, Value};
use crate::kernel::patch::Patch;
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::series::lacking::{self, Lacking};
use crate::kernel::series::makefile::{self, Makefile, Makefiles, Way, is_makefile};
use crate::kernel::toolchain::KERNEL_ARCH;
use crate::kernel::tree::{Stack, Stages};
use anyhow::Result;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The tree after each of the patches. A stage is a number of patches: 0 is the base.
pub struct Ahead<'a> {
    stack: Stack,
    stages: Stages,
    patches: Vec<&'a Patch>,
    /// Modules that the Makefiles list, by name, each with the stage that brings it and its object.
    modules: BTreeMap<String, Vec<(usize, PathBuf)>>,
    /// Names that stand as an object in any Makefile, in whatever way.
    mentioned: BTreeSet<String>,
    /// The Kconfig of each stage, read where it is asked for.
    definitions: Vec<OnceCell<Definitions>>,
    /// A configuration of about this tree, for what the compiler answers.
    like: Config,
}

impl<'a> Ahead<'a> {
    /// Of the tree in `place`, and `patches` on its base. Errors: the repository cannot be read.
    pub fn of(place: &Place, profile: &str, vanilla: &Path, patches: Vec<&'a Patch>) -> Result<Self> {
        let stack = Stack::peek(&place.repository, BRANCH)?;
        let stages = stack.stages(&patches)?;
        let likes = [place.builds.join(profile).join(".config"), vanilla.to_path_buf()];
        let like = likes.iter().find_map(|path| std::fs::read_to_string(path).ok());
        let mut ahead = Ahead {
            stack,
            stages,
            definitions: patches
                .iter()
                .map(|_| OnceCell::new())
                .chain([OnceCell::new()])
                .collect(),
            patches,
            modules: BTreeMap::new(),
            mentioned: BTreeSet::new(),
            like: like.map_or_else(Config::default, |text| Config::parse(&text)),
        };
        ahead.read_makefiles()?;
        Ok(ahead)
    }

    fn read_makefiles(&mut self) -> Result<()> {
        for (path, text) in self.stages.files_of_base(|name| is_makefile(Path::new(name)))? {
            self.add_makefile(0, &path, &Makefile::parse(&text));
        }
        for (index, patch) in self.patches.clone().iter().enumerate() {
            let stage = index.saturating_add(1);
            for path in patch.touched_files().into_iter().filter(|path| is_makefile(path)) {
                if let Some(text) = self.stages.text(stage, path) {
                    self.add_makefile(stage, path, &Makefile::parse(&text));
                }
            }
        }
        Ok(())
    }

    fn add_makefile(&mut self, stage: usize, path: &Path, makefile: &Makefile) {
        // Programs of the build are no modules.
        if path.starts_with("scripts") || path.starts_with("tools") {
            return;
        }
        for (object, condition) in &makefile.objects {
            if *condition != makefile::Condition::Always {
                let object = path.with_file_name(object);
                let known = self
                    .modules
                    .entry(makefile::module_name(&object.to_string_lossy()))
                    .or_default();
                if !known.iter().any(|(_, other)| *other == object) {
                    known.push((stage, object));
                }
            }
        }
        let names = makefile.words.iter().map(|word| makefile::module_name(word));
        self.mentioned.extend(names);
    }

    /// Patches, in their order.
    pub fn patches(&self) -> &[&'a Patch] {
        &self.patches
    }

    /// The first patch that does not apply, from 0, and why.
    pub fn refused(&self) -> Option<(usize, &str)> {
        self.stages.refused()
    }

    /// A text file at a stage.
    pub fn text(&self, stage: usize, path: &Path) -> Option<String> {
        self.stages.text(stage, path)
    }

    /// Whether there is a file at a stage.
    pub fn has_file(&self, stage: usize, path: &Path) -> bool {
        self.stages.has_file(stage, path)
    }

    /// The first stage that has a module. `None`: no plain list of any Makefile has it.
    pub fn module_since(&self, name: &str) -> Option<usize> {
        let objects = self.modules.get(&name.replace('-', "_"));
        objects?.iter().map(|(stage, _)| *stage).min()
    }

    /// The ways in which a module comes into a kernel at a stage.
    pub fn ways_of_module(&self, stage: usize, name: &str) -> Vec<Way> {
        let name = name.replace('-', "_");
        let read = |path: &Path| self.text(stage, path);
        let objects = self.modules.get(&name).into_iter().flatten();
        let makefiles = Makefiles::new(&read);
        let ways = objects.flat_map(|(_, object)| makefiles.ways(object));
        ways.filter(|way| way.module().as_deref() == Some(&name))
            .collect()
    }

    /// Whether any Makefile has an object of this name, in whatever way.
    pub fn is_mentioned(&self, name: &str) -> bool {
        self.mentioned.contains(&name.replace('-', "_"))
    }

    /// The module that was probably meant.
    pub fn nearest_module(&self, name: &str) -> Option<&str> {
        nearest(&name.replace('-', "_"), self.modules.keys().map(String::as_str))
    }

    /// The Kconfig of a stage.
    pub fn definitions(&self, stage: usize) -> &Definitions {
        let mut stage = stage.min(self.patches.len());
        // A patch that touches none has that of the stage before it.
        while let Some(before) = stage.checked_sub(1) {
            let touches = |patch: &&Patch| {
                let names = patch.touched_files();
                names.iter().any(|path| is_kconfig(path))
            };
            if self.patches.get(before).is_some_and(touches) {
                break;
            }
            stage = before;
        }
        let cell = self.definitions.get(stage).or(self.definitions.first());
        let read = || Definitions::read_with(KERNEL_ARCH, &|file| self.stages.text(stage, Path::new(file)));
        cell.expect("the base is a stage").get_or_init(read)
    }

    /// The first stage whose Kconfig defines a symbol.
    pub fn symbol_since(&self, symbol: &str) -> Option<usize> {
        (0..=self.patches.len()).find(|stage| is_defined(self.definitions(*stage), symbol))
    }

    /// What requests come to at a stage. `base`: what they are built on.
    pub fn foretold<'r>(
        &'r self,
        stage: usize,
        base: Option<&Config>,
        requests: &'r [Request],
    ) -> Foretold<'r> {
        Foretold::of(self.definitions(stage), &self.like, base, requests)
    }

    /// Code of a patch (from 0) that the configuration leaves out, with the symbols that are off:
    /// those that are certain to be.
    pub fn left_out(&self, patch: usize, foretold: &Foretold) -> Vec<(PathBuf, Vec<String>)> {
        let stage = patch.saturating_add(1);
        let read = |path: &Path| self.text(stage, path);
        let makefiles = Makefiles::new(&read);
        let is_on = |symbol: &str| foretold.value(symbol) != Some(Tri::No);
        self.code(patch)
            .into_iter()
            .map(|file| {
                let off = crate::kernel::built::missing_on(&makefiles.ways(&file), is_on);
                (file, off)
            })
            .filter(|(_, off)| !off.is_empty())
            .collect()
    }

    /// Source files that a patch (from 0) adds or changes, and that a kernel of this architecture
    /// can have in it.
    pub fn code(&self, patch: usize) -> Vec<PathBuf> {
        let stage = patch.saturating_add(1);
        let files = self.patches.get(patch).map(|patch| patch.touched_files());
        files
            .into_iter()
            .flatten()
            .filter(|file| crate::kernel::built::is_code(file, KERNEL_ARCH) && self.has_file(stage, file))
            .map(Path::to_path_buf)
            .collect()
    }

    /// Objects that a patch (from 0) puts into a Makefile and for which there is no source file.
    pub fn without_source(&self, patch: usize) -> Vec<Lacking> {
        let text = |stage: usize, path: &Path| self.text(stage, path);
        let stage = patch.saturating_add(1);
        let Some(of) = self.patches.get(patch) else {
            return Vec::new();
        };
        lacking::of(
            of,
            &|path| text(patch, path),
            &|path| text(stage, path),
            &|path| self.has_file(stage, path),
        )
    }

    /// Whether the patches behind one (from 0) apply without it too.
    pub fn stands_alone(&self, patch: usize) -> bool {
        let from = patch.saturating_add(1);
        self.stages
            .apply_without(&self.stack, from, &self.patches)
            .unwrap_or(false)
    }
}

fn is_kconfig(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("Kconfig"))
}

/// Whether a Kconfig file defines a symbol, and not only names it.
pub fn is_defined(definitions: &Definitions, symbol: &str) -> bool {
    definitions
        .symbols
        .get(symbol)
        .is_some_and(|symbol| !symbol.definitions.is_empty())
}

/// What the fragments of a campaign are built on, as far as it is known without a board.
pub enum Below {
    /// Everything is off that no one asks for.
    Nothing,
    /// A configuration.
    Config(Config),
    /// The configuration that a board runs: it is read when the campaign is run.
    Unknown,
}

impl Below {
    /// Of the base of a build. Errors: it cannot be read.
    pub fn of(base: &Base) -> Result<Self> {
        Ok(match base.config()? {
            None => Below::Nothing,
            Some(config) => Below::Config(config),
        })
    }

    /// The configuration, where there is one.
    pub fn config(&self) -> Option<&Config> {
        match self {
            Below::Config(config) => Some(config),
            Below::Nothing | Below::Unknown => None,
        }
    }
}

/// Whether a request asks for something to be on.
pub fn asks_for(request: &Request) -> bool {
    request.value != Value::No
}
