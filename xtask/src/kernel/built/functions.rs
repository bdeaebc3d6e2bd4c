//! The functions of a build, as the symbol tables of its kernel and its modules have them: what
//! ftrace and kprobes can be asked for.

use crate::kernel::cmdfiles;
use crate::kernel::module::{ModuleInfo, module_info, unpacked};
use anyhow::{Context, Result};
use object::{File, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A symbol of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is there as long as the kernel or the module is.
    Always,
    /// Its memory is freed once the kernel or the module has begun (`__init`), or it runs only at
    /// the end of a module (`__exit`).
    Not,
}

/// The symbols of one kernel or module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symbols {
    /// Functions, with their sizes where they are known.
    pub functions: BTreeMap<String, (Kept, Option<u64>)>,
    /// Everything else that has a name.
    pub data: BTreeSet<String>,
    /// Modules that it needs, for a module.
    pub depends: Vec<String>,
}

impl Symbols {
    /// A function, or what the compiler made of it: `.isra.0`, `.constprop.0`, `.part.0`. Cold
    /// parts alone are no function.
    pub fn function(&self, name: &str) -> Option<Kept> {
        let own = self.functions.get(name).map(|(kept, _)| *kept);
        let clone = || {
            let after = format!("{name}.");
            let clones = self.functions.range(after.clone()..);
            clones
                .take_while(|(symbol, _)| symbol.starts_with(&after))
                .find(|(symbol, _)| !symbol.contains(".cold"))
                .map(|(_, (kept, _))| *kept)
        };
        own.or_else(clone)
    }

    /// Reads the text of `System.map` (nm(1), sorted by address).
    pub fn of_system_map(text: &str) -> Self {
        let entries: Vec<(u64, char, &str)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let address = u64::from_str_radix(words.next()?, 16).ok()?;
                Some((address, words.next()?.chars().next()?, words.next()?))
            })
            .collect();
        let at = |name: &str| entries.iter().find(|(.., symbol)| *symbol == name);
        // include/asm-generic/sections.h.
        let init = match (at("_sinittext"), at("_einittext")) {
            (Some((start, ..)), Some((end, ..))) => *start..*end,
            _ => 0..0,
        };
        let mut symbols = Symbols::default();
        for (number, (address, kind, name)) in entries.iter().enumerate() {
            if !matches!(kind, 't' | 'T' | 'w' | 'W') {
                symbols.data.insert((*name).to_string());
                continue;
            }
            let kept = if init.contains(address) {
                Kept::Not
            } else {
                Kept::Always
            };
            let mut behind = entries.iter().skip(number).map(|(address, ..)| *address);
            let next = behind.find(|next| next > address);
            let size = next.and_then(|next| next.checked_sub(*address));
            symbols.add(name, kept, size);
        }
        symbols
    }

    /// Reads a module (not compressed).
    pub fn of_module(bytes: &[u8]) -> Result<Self> {
        let elf = File::parse(bytes).context("it is no ELF file")?;
        let mut symbols = Symbols::default();
        for symbol in elf.symbols().filter(|symbol| !symbol.is_undefined()) {
            let name = symbol.name().unwrap_or_default();
            if name.is_empty() || name.starts_with('$') {
                continue;
            }
            if symbol.kind() != SymbolKind::Text {
                symbols.data.insert(name.into());
                continue;
            }
            let section = symbol.section_index();
            let section = section.and_then(|index| elf.section_by_index(index).ok());
            let section = section.as_ref().and_then(|section| section.name().ok());
            let goes = section.is_some_and(|name| name.starts_with(".init") || name.starts_with(".exit"));
            let kept = if goes { Kept::Not } else { Kept::Always };
            symbols.add(name, kept, Some(symbol.size()));
        }
        let ModuleInfo { depends, .. } = module_info(bytes)?;
        symbols.depends = depends.iter().map(|name| name.replace('-', "_")).collect();
        Ok(symbols)
    }

    fn add(&mut self, name: &str, kept: Kept, size: Option<u64>) {
        let known = self.functions.entry(name.into()).or_insert((kept, size));
        // Of several of one name it is enough that one stays.
        if kept == Kept::Always {
            *known = (kept, size);
        }
    }
}

/// The kernel and the modules of a build folder. Each is read when it is asked for.
pub struct Functions {
    out: PathBuf,
    kernel: Rc<Symbols>,
    /// Modules by name, with their paths below the build folder.
    modules: BTreeMap<String, PathBuf>,
    /// Names of what could be a module, and is built in.
    built_in: BTreeSet<String>,
    read: RefCell<BTreeMap<String, Rc<Symbols>>>,
}

impl Functions {
    /// Of a build folder. Errors: there is no kernel in it.
    pub fn of(out: &Path) -> Result<Self> {
        let map = out.join("System.map");
        let text = fs::read_to_string(&map).with_context(|| format!("reading {}", map.display()))?;
        let list = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
        let name = |line: &str| {
            let stem = Path::new(line).file_stem()?.to_str()?;
            Some(stem.replace('-', "_"))
        };
        let order = list("modules.order");
        let modules = order
            .lines()
            .filter_map(|line| Some((name(line)?, Path::new(line).with_extension("ko"))));
        Ok(Functions {
            out: out.to_path_buf(),
            kernel: Rc::new(Symbols::of_system_map(&text)),
            modules: modules.collect(),
            built_in: list("modules.builtin").lines().filter_map(name).collect(),
            read: RefCell::default(),
        })
    }

    /// Names of all modules.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// Whether there is such a module.
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.contains_key(&name.replace('-', "_"))
    }

    /// Whether what could be a module of this name is built into the kernel.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.built_in.contains(&name.replace('-', "_"))
    }

    /// The symbols of the kernel.
    pub fn kernel(&self) -> &Symbols {
        &self.kernel
    }

    /// The symbols of a module. Errors: it cannot be read.
    pub fn of_module(&self, name: &str) -> Result<Rc<Symbols>> {
        let name = name.replace('-', "_");
        if let Some(known) = self.read.borrow().get(&name) {
            return Ok(known.clone());
        }
        let path = self.modules.get(&name);
        let path = self
            .out
            .join(path.with_context(|| format!("the build has no module {name}"))?);
        let doing = || format!("reading the symbols of {}", path.display());
        let bytes = fs::read(&path).with_context(doing)?;
        let symbols = Rc::new(Symbols::of_module(&unpacked(&bytes)?).with_context(doing)?);
        self.read.borrow_mut().insert(name, symbols.clone());
        Ok(symbols)
    }

    /// These modules and all that they need.
    pub fn with_dependencies(&self, modules: &[String]) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut open: Vec<String> = modules.iter().map(|name| name.replace('-', "_")).collect();
        while let Some(name) = open.pop() {
            if self.has_module(&name) && found.insert(name.clone()) {
                open.extend(self.of_module(&name)?.depends.iter().cloned());
            }
        }
        Ok(found)
    }

    /// The modules that have a source file in them, by make's own lists; none where it is built in.
    pub fn modules_of(&self, file: &Path) -> Vec<&str> {
        let object = file.with_extension("o");
        let is_in = |path: &Path| {
            let list = fs::read_to_string(self.out.join(path.with_extension("mod"))).unwrap_or_default();
            cmdfiles::objects_of_module(&list).contains(&object)
        };
        let found = self.modules.iter().filter(|(_, path)| is_in(path));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_after_the_start_is_told_from_what_stays() {
        let map = "ffff800080010000 T vb2_buffer_done\nffff800080010040 t x_count.isra.0\nffff800080010050 t y.cold\n\
                   ffff800080020000 T _sinittext\nffff800080020000 t x_init\nffff800080030000 T _einittext\n\
                   ffff800080040000 D __tracepoint_vb2_buf_done\n";
        let symbols = Symbols::of_system_map(map);
        assert_eq!(symbols.function("vb2_buffer_done"), Some(Kept::Always));
        assert_eq!(symbols.functions["vb2_buffer_done"].1, Some(0x40));
        assert_eq!(symbols.function("x_count"), Some(Kept::Always));
        assert_eq!(symbols.function("x_init"), Some(Kept::Not));
        assert_eq!((symbols.function("x"), symbols.function("y")), (None, None));
        assert!(symbols.data.contains("__tracepoint_vb2_buf_done"));
    }

    #[test]
    fn a_folder_without_a_kernel_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Functions::of(folder.path()).is_err());
    }
}
