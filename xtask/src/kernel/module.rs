//! What a kernel module or vmlinux says of itself: build id, module information, and a hash of what it is.

use crate::host::files::sha256;
use anyhow::{Context, Result, bail};
use object::elf::SHF_ALLOC;
use object::{
    File, Object, ObjectSection, ObjectSymbol, RelocationTarget, Section, SectionFlags, SectionKind,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

/// The section that holds the GNU build id, in modules and in vmlinux.
const BUILD_ID: &str = ".note.gnu.build-id";
/// Appended to a signed module (include/linux/module_signature.h); it ends the file.
const SIGNATURE: &[u8] = b"~Module signature appended~\n";

/// What stands in a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Its name, as `/sys/module` has it (`name` of .modinfo).
    pub name: Option<String>,
    /// GNU build id, lower-case hex.
    pub build_id: Option<String>,
    /// `vermagic` of .modinfo: the release and what the layout of structures depends on.
    pub vermagic: Option<String>,
    /// `srcversion`: of the module's own sources; it does not see a header in `include/`.
    pub srcversion: Option<String>,
    /// `depends`: names of modules.
    pub depends: Vec<String>,
    /// Hash of what the module is: see [`content_sha256`].
    pub content_sha256: String,
    /// Whether a signature is appended.
    pub signed: bool,
}

/// Reads the bytes of a `.ko`, also of a compressed one. Errors: no ELF file, damaged compression.
pub fn module_info(bytes: &[u8]) -> Result<ModuleInfo> {
    let bytes = &*unpacked(bytes)?;
    let elf = parse(bytes)?;
    let modinfo = elf
        .section_by_name(".modinfo")
        .map(|section| section.data())
        .transpose()?
        .unwrap_or_default();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for entry in modinfo.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        if let Some((key, value)) = String::from_utf8_lossy(entry).split_once('=') {
            fields.entry(key.to_string()).or_insert_with(|| value.to_string());
        }
    }
    let depends = fields.get("depends").map(String::as_str).unwrap_or_default();
    Ok(ModuleInfo {
        name: fields.get("name").cloned(),
        build_id: elf.build_id()?.map(hex::encode),
        vermagic: fields.get("vermagic").map(|text| text.trim().to_string()),
        srcversion: fields.get("srcversion").cloned(),
        depends: depends
            .split(',')
            .filter(|name| !name.is_empty())
            .map(String::from)
            .collect(),
        content_sha256: content_of(&elf)?,
        signed: bytes.ends_with(SIGNATURE),
    })
}

/// GNU build id of vmlinux (or of any ELF file), lower-case hex. Errors: it has none.
pub fn build_id(bytes: &[u8]) -> Result<String> {
    parse(bytes)?
        .build_id()?
        .map(hex::encode)
        .with_context(|| format!("there is no {BUILD_ID}; is it linked with --build-id?"))
}

/// Hash of every section that is loaded into the kernel: name, flags, bytes and relocations (by the name of what they
/// point to), apart from the build id. Symbol table order, debug information and an appended signature do not count: equal
/// hashes mean that the kernel would run the same code on the same data.
pub fn content_sha256(bytes: &[u8]) -> Result<String> {
    content_of(&parse(bytes)?)
}

fn parse(bytes: &[u8]) -> Result<File<'_>> {
    File::parse(bytes).context("it is no ELF file")
}

/// Largest module that is unpacked: none of a distribution is near it, and a few bytes can unpack to any size.
const LARGEST: u64 = 1 << 30;
/// Memory that an xz dictionary may take, in KiB: modules are compressed with at most 2 MiB (scripts/Makefile.modinst), anything that a
/// packer writes by default fits into 64.
const XZ_MEMORY_KIB: u32 = 64 * 1024;

/// The ELF file of a module as it may be installed (CONFIG_MODULE_COMPRESS_*): zstd, xz and gzip are known by their first bytes and
/// unpacked; anything else is given as it is. Errors: damaged, or larger than 1 GiB.
pub fn unpacked(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let mut plain = Vec::new();
    let (kind, read) = if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let reader = zstd::Decoder::new(bytes).context("unpacking zstd")?;
        ("zstd", reader.take(LARGEST + 1).read_to_end(&mut plain).map(drop))
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        let reader = flate2::read::MultiGzDecoder::new(bytes);
        ("gzip", reader.take(LARGEST + 1).read_to_end(&mut plain).map(drop))
    } else if bytes.starts_with(b"\xfd7zXZ\0") {
        let reader = lzma_rust2::XzReader::new_mem_limit(bytes, true, XZ_MEMORY_KIB);
        ("xz", reader.take(LARGEST + 1).read_to_end(&mut plain).map(drop))
    } else {
        return Ok(Cow::Borrowed(bytes));
    };
    read.with_context(|| format!("unpacking {kind}: it is damaged"))?;
    if plain.len() as u64 > LARGEST {
        bail!("it unpacks to more than {LARGEST} bytes, which no module has");
    }
    Ok(Cow::Owned(plain))
}

fn content_of(elf: &File<'_>) -> Result<String> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for section in elf.sections() {
        let name = section.name()?;
        if name == BUILD_ID || !is_loaded(&section) {
            continue;
        }
        let mut part = name.as_bytes().to_vec();
        part.push(0);
        part.extend(section.align().to_le_bytes());
        part.extend(section.size().to_le_bytes());
        if !matches!(
            section.kind(),
            SectionKind::UninitializedData | SectionKind::UninitializedTls
        ) {
            part.extend(section.data()?);
        }
        for (offset, relocation) in section.relocations() {
            part.extend(offset.to_le_bytes());
            part.extend(relocation.addend().to_le_bytes());
            part.extend(format!("{:?}", relocation.flags()).into_bytes());
            part.extend(target_name(elf, relocation.target())?.into_bytes());
        }
        parts.push(part);
    }
    parts.sort();
    Ok(sha256(
        &parts
            .into_iter()
            .map(|part| sha256(&part))
            .collect::<String>()
            .into_bytes(),
    ))
}

fn is_loaded(section: &Section<'_, '_>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & SHF_ALLOC.0 != 0)
}

/// What a relocation points to, by name: places in the symbol table change with each link.
fn target_name(elf: &File<'_>, target: RelocationTarget) -> Result<String> {
    match target {
        RelocationTarget::Symbol(index) => {
            let symbol = elf.symbol_by_index(index)?;
            let section = match symbol.section_index() {
                Some(index) => elf.section_by_index(index)?.name()?.to_string(),
                None => String::new(),
            };
            Ok(format!("{}\0{section}\0{}", symbol.name()?, symbol.address()))
        }
        RelocationTarget::Section(index) => Ok(elf.section_by_index(index)?.name()?.to_string()),
        _ => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(
            module_info(b"text")
                .unwrap_err()
                .to_string()
                .contains("no ELF file")
        );
        for start in [&[0x28, 0xb5, 0x2f, 0xfd, 0][..], &[0x1f, 0x8b, 0], b"\xfd7zXZ\0."] {
            let error = format!("{:#}", module_info(start).unwrap_err());
            assert!(error.contains("it is damaged"), "{error}");
        }
    }

    #[test]
    fn a_compressed_module_reads_as_the_plain_one() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let bytes = &bytes[..bytes.len().min(1 << 20)];
        let zstd = zstd::encode_all(bytes, 1).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, bytes).unwrap();
        let mut xz = Vec::new();
        lzma_rs::xz_compress(&mut &*bytes, &mut xz).unwrap();
        for packed in [zstd, gzip.finish().unwrap(), xz, bytes.to_vec()] {
            assert!(*unpacked(&packed).unwrap() == *bytes);
        }
    }

    #[test]
    fn this_very_program_has_a_content() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let hash = content_sha256(&bytes).unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, content_sha256(&bytes).unwrap());
    }
}
