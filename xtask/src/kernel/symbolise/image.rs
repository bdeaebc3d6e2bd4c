//! The symbols of vmlinux or a module, as the kernel sees them, and where each lies.

use super::dwarf::Lines;
use super::frame::Frame;
use anyhow::{Context, Result};
use object::elf::{SHF_ALLOC, SHF_EXECINSTR};
use object::{
    File, Object, ObjectKind, ObjectSection, ObjectSymbol, ReadCache, ReadRef, SectionFlags, SymbolKind,
};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// A symbol of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Its address; in a module one that is made up, see [`bases`].
    pub address: u64,
    /// Its own size.
    pub size: u64,
    /// Bytes to the next symbol that the kernel knows: the size that it prints.
    pub gap: u64,
    /// The last of its section: what the kernel takes for its end depends on what was put behind it.
    last: bool,
    /// Index of its FILE symbol, for a local one.
    file: Option<usize>,
}

impl Symbol {
    /// Whether the kernel would print this size.
    fn prints(&self, size: u64) -> bool {
        size == self.gap
            || size == self.size
            || (self.last && size > self.size && size.abs_diff(self.size) < 4096)
    }
}

/// What a name and a size lead to.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// Symbols of that name and size; more than one where static functions share both.
    Fitting(Vec<&'a Symbol>),
    /// Symbols of that name, of other sizes: this is not the kernel of the log.
    OtherSizes(Vec<u64>),
    /// No symbol of that name.
    None,
}

/// An ELF file of the build.
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Its GNU build id, lower-case hex.
    pub build_id: Option<String>,
    /// Sorted by address.
    symbols: Vec<Symbol>,
    /// Indices, sorted by name.
    by_name: Vec<u32>,
    /// Names of the FILE symbols.
    files: Vec<String>,
    /// Address of each local symbol of code, with the index of its FILE; sorted.
    places: Vec<(u64, usize)>,
    /// Whether each piece of code begins with a mapping symbol (ELF for the Arm architecture: `$x`).
    mapped: bool,
    lines: OnceCell<Result<Option<Lines>, String>>,
}

impl Image {
    /// Reads the symbols; debug information is read when it is first asked for. Errors: no ELF file, no symbol table.
    pub fn open(path: &Path) -> Result<Self> {
        let reading = || format!("reading the symbols of {}", path.display());
        let file = std::fs::File::open(path).with_context(reading)?;
        let cache = ReadCache::new(file);
        let elf = File::parse(&cache).with_context(reading)?;
        let mut image = Image {
            path: path.to_path_buf(),
            build_id: elf.build_id().with_context(reading)?.map(hex::encode),
            symbols: Vec::new(),
            by_name: Vec::new(),
            files: Vec::new(),
            places: Vec::new(),
            mapped: false,
            lines: OnceCell::new(),
        };
        image.read(&elf).with_context(reading)?;
        Ok(image)
    }

    fn read<'a, R: ReadRef<'a>>(&mut self, elf: &File<'a, R>) -> Result<()> {
        let bases = bases(elf);
        let mut ends = Vec::new();
        for section in elf.sections() {
            if is_code(section.flags()) {
                let base = bases.get(section.index().0).copied().unwrap_or(0);
                let start = if base == 0 { section.address() } else { base };
                ends.push((start, start.saturating_add(section.size())));
            }
        }
        let is_code_section: Vec<bool> = (0..=elf.sections().map(|s| s.index().0).max().unwrap_or(0))
            .map(|index| {
                elf.section_by_index(object::SectionIndex(index))
                    .is_ok_and(|section| is_code(section.flags()))
            })
            .collect();
        for symbol in elf.symbols() {
            let name = symbol.name().unwrap_or_default();
            if symbol.kind() == SymbolKind::File {
                self.files.push(name.to_string());
                continue;
            }
            let Some(index) = symbol.section_index() else {
                continue;
            };
            if !is_code_section.get(index.0).copied().unwrap_or(false) {
                continue;
            }
            let base = bases.get(index.0).copied().unwrap_or(0);
            let address = base.saturating_add(symbol.address());
            let file = self.files.len().checked_sub(1).filter(|_| symbol.is_local());
            self.mapped |= name.starts_with("$x");
            // objtool adds padding symbols behind all files of the table: they are of none.
            if !name.starts_with("__pfx_") && !name.starts_with("__cfi_") {
                self.places.extend(file.map(|file| (address, file)));
            }
            if !is_passed_over(name) && symbol.kind() != SymbolKind::Section {
                self.symbols.push(Symbol {
                    name: name.to_string(),
                    address,
                    size: symbol.size(),
                    gap: 0,
                    last: false,
                    file,
                });
            }
        }
        self.order(&ends);
        Ok(())
    }

    fn order(&mut self, ends: &[(u64, u64)]) {
        self.symbols
            .sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
        let mut next = u64::MAX;
        let mut above = u64::MAX;
        for symbol in self.symbols.iter_mut().rev() {
            if symbol.address != above {
                (next, above) = (above, symbol.address);
            }
            let end = ends
                .iter()
                .find(|(start, end)| (*start..*end).contains(&symbol.address))
                .map_or(symbol.address, |(_, end)| *end);
            symbol.last = next > end;
            symbol.gap = next.min(end).saturating_sub(symbol.address);
        }
        self.by_name = (0..self.symbols.len() as u32).collect();
        let symbols = &self.symbols;
        self.by_name
            .sort_by_key(|at| symbols.get(*at as usize).map(|symbol| symbol.name.as_str()));
        self.places.sort_unstable();
    }

    /// All symbols, by address.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Symbols of that name.
    fn named(&self, name: &str) -> impl Iterator<Item = &Symbol> {
        let symbol = |at: &u32| self.symbols.get(*at as usize);
        let from = self
            .by_name
            .partition_point(|at| symbol(at).is_some_and(|symbol| symbol.name.as_str() < name));
        self.by_name
            .iter()
            .skip(from)
            .filter_map(symbol)
            .take_while(move |symbol| symbol.name == name)
    }

    /// The symbol of a frame. Static functions may share a name; their sizes mostly tell them apart.
    pub fn lookup(&self, frame: &Frame) -> Lookup<'_> {
        let all: Vec<&Symbol> = self.named(&frame.symbol).collect();
        let mut fitting: Vec<&Symbol> = all
            .iter()
            .copied()
            .filter(|symbol| symbol.prints(frame.size) && frame.offset <= frame.size)
            .collect();
        // The gap is what the kernel prints; the symbol's own size only says that it may be.
        if fitting.iter().any(|symbol| symbol.gap == frame.size) {
            fitting.retain(|symbol| symbol.gap == frame.size);
        }
        fitting.dedup_by_key(|symbol| symbol.address);
        if all.is_empty() {
            Lookup::None
        } else if fitting.is_empty() {
            Lookup::OtherSizes(all.iter().map(|symbol| symbol.gap).collect())
        } else {
            Lookup::Fitting(fitting)
        }
    }

    /// Name of the source file (without folder) that a function was compiled from, by the FILE symbols: a local one follows its own;
    /// any other lies among the local symbols of its file.
    pub fn file_of(&self, symbol: &Symbol) -> Option<&str> {
        let name = |index: usize| self.files.get(index).map(String::as_str);
        if let Some(file) = symbol.file {
            return name(file);
        }
        let behind = self
            .places
            .partition_point(|(address, _)| *address <= symbol.address);
        let before = self.places.get(behind.checked_sub(1)?)?.1;
        // Where each piece of code begins with a local symbol, the one before is of the same file.
        let sure = self.mapped || self.places.get(behind).is_some_and(|(_, file)| *file == before);
        if sure { name(before) } else { None }
    }

    /// Line tables and types; `None`: the file has none. Errors: damaged, or in a form that is not known.
    pub fn lines(&self) -> Result<Option<&Lines>, &str> {
        match self
            .lines
            .get_or_init(|| Lines::read(&self.path).map_err(|error| format!("{error:#}")))
        {
            Ok(lines) => Ok(lines.as_ref()),
            Err(error) => Err(error),
        }
    }
}

/// Names that the kernel's own table leaves out (scripts/mksysmap; `is_mapping_symbol()`).
fn is_passed_over(name: &str) -> bool {
    let own = name
        .strip_prefix("__pi_")
        .or_else(|| name.strip_prefix("__kvm_nvhe_"))
        .unwrap_or(name);
    own.is_empty()
        || own == "L0"
        || [
            "$",
            ".L",
            "__crc_",
            "__kstrtab_",
            "__kstrtabns_",
            "__kcfi_typeid_",
        ]
        .iter()
        .any(|start| own.starts_with(start))
        || name.starts_with("__efistub_")
        || name.ends_with("_veneer")
}

fn is_code(flags: SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & SHF_EXECINSTR.0 != 0 && sh_flags.0 & SHF_ALLOC.0 != 0)
}

/// An address for each section, by its index. In a linked file they have theirs, and this gives 0 to add. The sections of a relocatable
/// file (a module) all begin at 0: here each gets a place of its own, so that an address names one thing.
pub fn bases<'a, R: ReadRef<'a>>(elf: &File<'a, R>) -> Vec<u64> {
    let highest = elf.sections().map(|section| section.index().0).max().unwrap_or(0);
    let mut bases = vec![0; highest.saturating_add(1)];
    if elf.kind() != ObjectKind::Relocatable {
        return bases;
    }
    let mut next = 0x1_0000;
    for section in elf.sections() {
        if matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & SHF_ALLOC.0 != 0) {
            if let Some(base) = bases.get_mut(section.index().0) {
                *base = next;
            }
            next = next.saturating_add(section.size()).saturating_add(0x1_0000) & !0xfff;
        }
    }
    bases
}
