//! Whether a set of modules fits together and to its kernel: every symbol that one wants is given by another, in the version that it
//! was compiled against.
//!
//! Without CONFIG_MODVERSIONS nothing at load time notices that two modules disagree about the layout of a structure. The answer to that is
//! not here but in [`super::changes`]: every module whose content changed ships, whoever named it.

use anyhow::{Context, Result};
use object::{File, Object, ObjectSection, ObjectSymbol};
use std::collections::{BTreeMap, BTreeSet};

/// What one module wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wants {
    /// Name, dashes as underscores.
    pub module: String,
    /// Symbols that it needs to load; weak ones are not among them.
    pub symbols: BTreeSet<String>,
    /// Versions of those, with CONFIG_MODVERSIONS.
    pub versions: BTreeMap<String, u32>,
}

/// Who gives a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// `vmlinux`, or the name of a module, dashes as underscores.
    pub module: String,
    /// Its version; 0 without CONFIG_MODVERSIONS.
    pub version: u32,
}

/// Something that would not load, or load wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Nobody gives the symbol.
    Unresolved {
        /// Who wants it.
        module: String,
        /// The symbol.
        symbol: String,
    },
    /// The one that gives it is not among the modules.
    Absent {
        /// Who wants it.
        module: String,
        /// The symbol.
        symbol: String,
        /// Who gives it.
        from: String,
    },
    /// It was compiled against another version.
    Version {
        /// Who wants it.
        module: String,
        /// The symbol.
        symbol: String,
        /// The version that it was compiled against.
        wants: u32,
        /// The version that there is.
        has: u32,
    },
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Misfit::Unresolved { module, symbol } => {
                write!(
                    f,
                    "{module} wants `{symbol}`, which neither the kernel nor a module gives"
                )
            }
            Misfit::Absent { module, symbol, from } => {
                write!(
                    f,
                    "{module} wants `{symbol}` of {from}, which is not among the modules"
                )
            }
            Misfit::Version {
                module,
                symbol,
                wants,
                has,
            } => write!(
                f,
                "{module} was compiled against version {wants:#010x} of `{symbol}`, and there is {has:#010x}"
            ),
        }
    }
}

/// Compares what modules want with what the build exports. `exports` are of the whole build (`Module.symvers`).
pub fn misfits(modules: &[Wants], exports: &BTreeMap<String, Export>) -> Vec<Misfit> {
    let present: BTreeSet<&str> = modules.iter().map(|wants| wants.module.as_str()).collect();
    let mut misfits = Vec::new();
    for wants in modules {
        let module = wants.module.clone();
        for symbol in &wants.symbols {
            let symbol = symbol.clone();
            match exports.get(&symbol) {
                None => misfits.push(Misfit::Unresolved {
                    module: module.clone(),
                    symbol,
                }),
                Some(export) if export.module != "vmlinux" && !present.contains(export.module.as_str()) => {
                    misfits.push(Misfit::Absent {
                        module: module.clone(),
                        symbol,
                        from: export.module.clone(),
                    });
                }
                Some(export) => {
                    let version = wants.versions.get(&symbol);
                    if let Some(&wants) = version.filter(|wants| **wants != export.version) {
                        misfits.push(Misfit::Version {
                            module: module.clone(),
                            symbol,
                            wants,
                            has: export.version,
                        });
                    }
                }
            }
        }
    }
    misfits
}

/// Reads `Module.symvers`: `CRC TAB SYMBOL TAB MODULE TAB TYPE TAB NAMESPACE` (Documentation/kbuild/modules.rst); lines of another form
/// are left out.
pub fn parse_symvers(text: &str) -> BTreeMap<String, Export> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let version = u32::from_str_radix(columns.next()?.strip_prefix("0x")?, 16).ok()?;
            let symbol = columns.next()?.to_string();
            let module = columns.next()?.rsplit('/').next()?.replace('-', "_");
            Some((symbol, Export { module, version }))
        })
        .collect()
}

/// Reads what a module wants from its ELF file (not compressed).
pub fn wants(module: &str, bytes: &[u8]) -> Result<Wants> {
    let elf = File::parse(bytes).context("it is no ELF file")?;
    let mut found = Wants {
        module: module.replace('-', "_"),
        ..Wants::default()
    };
    for symbol in elf.symbols() {
        let name = symbol.name().unwrap_or_default();
        if symbol.is_undefined() && !symbol.is_weak() && !name.is_empty() && !is_given_by_the_loader(name) {
            found.symbols.insert(name.to_string());
        }
    }
    let little = elf.is_little_endian();
    let word = |bytes: &[u8]| -> u32 {
        let bytes: [u8; 4] = bytes.try_into().unwrap_or_default();
        if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        }
    };
    let section = |name: &str| -> Result<&[u8]> {
        Ok(match elf.section_by_name(name) {
            Some(section) => section.data()?,
            None => &[],
        })
    };
    // struct modversion_info of include/linux/module.h: an unsigned long, and the name in what is left of 64 bytes.
    let long = if elf.is_64() { 8 } else { 4 };
    for entry in section("__versions")?.chunks_exact(64) {
        let (version, name) = entry.split_at_checked(long).unwrap_or_default();
        // The 32 bits that a machine of its byte order has at the number's less significant end.
        let version = if little {
            version.first_chunk::<4>()
        } else {
            version.last_chunk::<4>()
        };
        let version = word(version.map_or(&[], |bytes| bytes.as_slice()));
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        found
            .versions
            .insert(String::from_utf8_lossy(name).into_owned(), version);
    }
    // With CONFIG_EXTENDED_MODVERSIONS: versions and names of any length in two sections, in the same order.
    let names = section("__version_ext_names")?.split(|byte| *byte == 0);
    for (version, name) in section("__version_ext_crcs")?.chunks_exact(4).zip(names) {
        found
            .versions
            .insert(String::from_utf8_lossy(name).into_owned(), word(version));
    }
    Ok(found)
}

/// Symbols that no module gives and modpost does not ask for (scripts/mod/modpost.c, `ignore_undef_symbol`).
fn is_given_by_the_loader(name: &str) -> bool {
    matches!(
        name,
        "__this_module" | "_GLOBAL_OFFSET_TABLE_" | ".TOC." | "_SDA_BASE_" | "_SDA2_BASE_"
    ) || [
        "_restgpr",
        "_savegpr",
        "_rest32gpr",
        "_save32gpr",
        "_restvr",
        "_savevr",
        "_restfpr",
        "_savefpr",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, symbols: &[&str], versions: &[(&str, u32)]) -> Wants {
        Wants {
            module: name.into(),
            symbols: symbols.iter().map(|name| name.to_string()).collect(),
            versions: versions
                .iter()
                .map(|(name, version)| (name.to_string(), *version))
                .collect(),
        }
    }

    #[test]
    fn each_kind_of_misfit_is_told() {
        let exports = parse_symvers(
            "0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\tvb2_init\tdrivers/media/videobuf2-common\tEXPORT_SYMBOL_GPL\t\nnoise\n",
        );
        let common = module("videobuf2_common", &["printk"], &[("printk", 1)]);
        let hantro = module("hantro_vpu", &["vb2_init"], &[("vb2_init", 2)]);
        assert_eq!(misfits(&[common.clone(), hantro.clone()], &exports), []);
        let told = |modules: &[Wants]| {
            let misfits = misfits(modules, &exports);
            assert_eq!(misfits.len(), 1, "{misfits:?}");
            misfits[0].to_string()
        };
        assert_eq!(
            told(&[hantro]),
            "hantro_vpu wants `vb2_init` of videobuf2_common, which is not among the modules"
        );
        assert_eq!(
            told(&[common.clone(), module("rga", &["vb2_init"], &[("vb2_init", 7)])]),
            "rga was compiled against version 0x00000007 of `vb2_init`, and there is 0x00000002"
        );
        assert_eq!(
            told(&[common, module("rga", &["vb2_gone"], &[])]),
            "rga wants `vb2_gone`, which neither the kernel nor a module gives"
        );
    }

    #[test]
    fn what_an_object_wants_is_read_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let (source, object) = (folder.path().join("a.c"), folder.path().join("a.o"));
        std::fs::write(
            &source,
            "extern int wanted(void); extern int maybe(void) __attribute__((weak)); int f(void) { return wanted() + (maybe ? maybe() : 0); }\n\
             struct v { unsigned long crc; char name[56]; };\n\
             struct v v[] __attribute__((section(\"__versions\"), used)) = {{ 0x12345678, \"wanted\" }};\n",
        )
        .unwrap();
        let sh = xshell::Shell::new().unwrap();
        let cmd = xshell::cmd!(sh, "gcc -c {source} -o {object}");
        crate::host::process::run(cmd, std::time::Duration::from_secs(60)).unwrap();
        let found = wants("a-b", &std::fs::read(&object).unwrap()).unwrap();
        assert_eq!(found.module, "a_b");
        assert!(
            found.symbols.contains("wanted") && !found.symbols.contains("maybe"),
            "{found:?}"
        );
        assert_eq!(found.versions.get("wanted"), Some(&0x1234_5678));
    }
}
