//! Line tables and types of an ELF file: DWARF by way of `gimli` and `addr2line`.

use super::image::bases;
use anyhow::{Context, Result, bail};
use gimli::{EndianReader, RunTimeEndian, SectionId};
use object::{
    CompressionFormat, File, Object, ObjectKind, ObjectSection, ObjectSymbol, ReadCache, ReadRef,
    RelocationKind, RelocationTarget,
};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// The bytes of a section.
pub type Bytes = EndianReader<RunTimeEndian, Arc<[u8]>>;

/// Largest section that is read: debug information of a distribution's kernel is below a tenth of it, and the header of a compressed
/// section can claim any size.
const LARGEST: u64 = 8 << 30;

/// Debug information, ready to be asked.
pub struct Lines {
    context: addr2line::Context<Bytes>,
}

/// A place in the source, as the debug information names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Function, the inlined one first.
    pub function: Option<String>,
    /// Path as the compiler was given it.
    pub file: String,
    /// Line, from 1; `None`: code that belongs to no line.
    pub line: Option<u32>,
}

impl Lines {
    /// Reads the sections that are needed. `None`: the file has no debug information. Memory: the size of these sections.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let reading = || format!("reading the debug information of {}", path.display());
        let mut file = std::fs::File::open(path).with_context(reading)?;
        let cache = ReadCache::new(file.try_clone().with_context(reading)?);
        let elf = File::parse(&cache).with_context(reading)?;
        let there = |name: &str| elf.section_by_name(name).is_some();
        if !there(".debug_info") || !there(".debug_line") {
            return Ok(None);
        }
        let endian = if elf.is_little_endian() {
            RunTimeEndian::Little
        } else {
            RunTimeEndian::Big
        };
        let bases = bases(&elf);
        let dwarf = gimli::Dwarf::load(|id| -> Result<Bytes> {
            let bytes = if is_needed(id) {
                section(&mut file, &elf, id.name(), &bases)
                    .with_context(|| format!("section {}", id.name()))?
            } else {
                Arc::from([])
            };
            Ok(EndianReader::new(bytes, endian))
        })
        .with_context(reading)?;
        let context = addr2line::Context::from_dwarf(dwarf).with_context(reading)?;
        Ok(Some(Lines { context }))
    }

    /// The places of an instruction: the innermost inlined function first, the function that the symbol names last.
    pub fn at(&self, address: u64) -> Result<Vec<Line>> {
        let mut frames = self.context.find_frames(address).skip_all_loads()?;
        let mut found = Vec::new();
        while let Some(frame) = frames.next()? {
            let Some(location) = frame.location else { continue };
            let Some(file) = location.file else { continue };
            found.push(Line {
                function: frame
                    .function
                    .and_then(|function| Some(function.raw_name().ok()?.into_owned())),
                file: file.to_string(),
                line: location.line.filter(|line| *line > 0),
            });
        }
        Ok(found)
    }

    /// The unit of an instruction, and the offset of its function within it.
    pub fn function(
        &self,
        address: u64,
    ) -> Result<Option<(gimli::UnitRef<'_, Bytes>, gimli::UnitOffset<usize>)>> {
        let mut frames = self.context.find_frames(address).skip_all_loads()?;
        let mut offset = None;
        while let Some(frame) = frames.next()? {
            offset = frame.dw_die_offset.or(offset);
        }
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads();
        Ok(unit.zip(offset))
    }
}

/// What lines, inlined functions and types need; locations of variables (the largest after these) do not.
fn is_needed(id: SectionId) -> bool {
    use SectionId::*;
    matches!(
        id,
        DebugAbbrev
            | DebugAddr
            | DebugAranges
            | DebugInfo
            | DebugLine
            | DebugLineStr
            | DebugRanges
            | DebugRngLists
            | DebugStr
            | DebugStrOffsets
            | DebugTypes
    )
}

/// The bytes of a section, unpacked and relocated; none where there is no such section.
fn section<'a, R: ReadRef<'a>>(
    file: &mut std::fs::File,
    elf: &File<'a, R>,
    name: &str,
    bases: &[u64],
) -> Result<Arc<[u8]>> {
    let Some(section) = elf.section_by_name(name) else {
        return Ok(Arc::from([]));
    };
    let range = section.compressed_file_range()?;
    if range.uncompressed_size > LARGEST || range.compressed_size > LARGEST {
        bail!("it claims to have {} bytes", range.uncompressed_size);
    }
    file.seek(SeekFrom::Start(range.offset))?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, usize::try_from(range.uncompressed_size)?).collect();
    let plain = Arc::get_mut(&mut bytes).expect("nobody else has it yet");
    let mut packed = file.take(range.compressed_size);
    // CONFIG_DEBUG_INFO_COMPRESSED_ZLIB, _ZSTD.
    match range.format {
        CompressionFormat::None => packed.read_exact(plain)?,
        CompressionFormat::Zlib => flate2::read::ZlibDecoder::new(packed).read_exact(plain)?,
        CompressionFormat::Zstandard => zstd::Decoder::new(packed)?.read_exact(plain)?,
        _ => bail!("it is compressed in a way that is not known"),
    }
    if elf.kind() == ObjectKind::Relocatable {
        relocate(elf, &section, plain, bases)?;
    }
    Ok(bytes)
}

/// Puts in what a linker would: the debug information of a module names addresses and strings by relocations only.
fn relocate<'a, R: ReadRef<'a>>(
    elf: &File<'a, R>,
    section: &object::Section<'a, '_, R>,
    bytes: &mut [u8],
    bases: &[u64],
) -> Result<()> {
    let base = |index: object::SectionIndex| bases.get(index.0).copied().unwrap_or(0);
    for (offset, relocation) in section.relocations() {
        let width = match (relocation.kind(), relocation.size()) {
            (RelocationKind::Absolute, 32) => 4,
            (RelocationKind::Absolute, 64) => 8,
            (RelocationKind::None, _) => continue,
            _ => bail!(
                "a relocation of a kind that is not known in debug information: {:?}",
                relocation.flags()
            ),
        };
        let target = match relocation.target() {
            RelocationTarget::Symbol(index) => {
                let symbol = elf.symbol_by_index(index)?;
                symbol
                    .section_index()
                    .map_or(0, base)
                    .wrapping_add(symbol.address())
            }
            RelocationTarget::Section(index) => base(index),
            _ => 0,
        };
        let place = usize::try_from(offset)
            .ok()
            .and_then(|at| bytes.get_mut(at..at.checked_add(width)?))
            .context("a relocation lies outside of its section")?;
        let little = elf.is_little_endian();
        let mut value = target.wrapping_add_signed(relocation.addend());
        if relocation.has_implicit_addend() {
            value = value.wrapping_add(number(place, little));
        }
        // The least significant bytes first, as many as the place has.
        let bytes = value.to_le_bytes().into_iter();
        if little {
            place.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        } else {
            place
                .iter_mut()
                .rev()
                .zip(bytes)
                .for_each(|(to, byte)| *to = byte);
        }
    }
    Ok(())
}

fn number(bytes: &[u8], little: bool) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if little {
        bytes.iter().rev().fold(0, fold)
    } else {
        bytes.iter().fold(0, fold)
    }
}
