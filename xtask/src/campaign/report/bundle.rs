//! Everything of a run in one archive that may be given to strangers: texts with names masked,
//! binary files left out, both told.

mod collect;
mod note;

use super::gather::Material;
use super::mask::{self, Keep, Kind, Leftovers, Mask, Masked};
use super::{bytes, issue};
use crate::host::files;
use crate::host::scratch;
use anyhow::{Context, Result, bail};
use collect::{Body, Collected};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

/// What was masked and what was left out, in the archive.
pub const NOTE: &str = "MASKED.md";

/// Compression: zstd's own default.
const LEVEL: i32 = 3;
/// So much of a file is masked at once.
const BLOCK: usize = 256 << 10;
/// A line that is longer is masked in pieces.
const LONGEST_LINE: usize = 1 << 20;

/// What an archive holds and what it does not.
#[derive(Debug, Default)]
pub struct Packed {
    /// Files in it.
    pub files: usize,
    /// Bytes of the archive.
    pub size: u64,
    /// Placeholders.
    pub masked: Vec<Masked>,
    /// Values that are masked only where a rule finds them.
    pub only_in_place: Vec<(Kind, usize)>,
    /// What looks random and is still there.
    pub left: Leftovers,
    /// Files that are not in it, and why.
    pub left_out: Vec<(String, String)>,
}

/// Packs the run in `folder` into the file `out` (tar, zstd). `names` are masked beside what the
/// texts themselves give away. The reports are made again, so that an old run has them too. No file
/// is held in memory as a whole. Errors: `out` exists; a file cannot be read. If it dies partway,
/// `out` is not there.
pub fn write(folder: &Path, names: &[(Kind, String)], out: &Path) -> Result<Packed> {
    if files::is_there(out)? {
        bail!(
            "writing the bundle {}: it is there already; choose another name or remove it",
            out.display()
        );
    }
    let scratch = scratch::folder().context("making a folder for the files to mask")?;
    let mut collected = collect::from(folder, scratch.path())?;
    let material = Material::read(folder)?;
    for (name, text) in super::all(&material) {
        collected.texts.insert(name, Body::Made(text.into_bytes()));
    }
    let doing = || format!("writing the bundle {}", out.display());
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).with_context(doing)?;
    let mut file = scratch::file_in(parent).with_context(doing)?;
    let top = format!("{}-attempt{}", material.record.campaign, material.attempt);
    let mut packed = archive(&top, collected, names, file.as_file_mut())?;
    file.as_file().sync_all().with_context(doing)?;
    packed.size = file.as_file().metadata().with_context(doing)?.len();
    file.persist_noclobber(out).with_context(doing)?;
    Ok(packed)
}

fn archive(top: &str, collected: Collected, names: &[(Kind, String)], out: &mut File) -> Result<Packed> {
    let mut mask = Mask::new(names);
    for (name, body) in &collected.texts {
        mask.learn(name.as_bytes());
        let learn = |block: &[u8]| {
            mask.learn(block);
            Ok(())
        };
        blocks(&mut *body.open()?, learn).with_context(|| format!("reading {name}"))?;
    }
    let mut packed = Packed::default();
    let encoder = zstd::Encoder::new(BufWriter::new(out), LEVEL).context("compressing the bundle")?;
    let mut tar = tar::Builder::new(encoder);
    let top = plain_name(&mask.apply(top.as_bytes(), Keep::Nothing));
    let mut taken = BTreeSet::from([NOTE.to_string()]);
    for (name, body) in &collected.texts {
        let member = member_name(&mut mask, name, &mut taken);
        let keep = match name.as_str() {
            issue::FILE => Keep::Recipients,
            _ => Keep::Nothing,
        };
        let doing = || format!("masking {name}");
        let mut masked = scratch::unnamed().with_context(doing)?;
        let mut writer = BufWriter::new(&mut masked);
        let mut line = 1;
        let write = |block: &[u8]| {
            let text = mask.apply(block, keep);
            line = packed.left.look(&member, line, &text);
            Ok(writer.write_all(&text)?)
        };
        blocks(&mut *body.open()?, write).with_context(doing)?;
        writer.flush().with_context(doing)?;
        drop(writer);
        let size = masked.stream_position().with_context(doing)?;
        masked.seek(SeekFrom::Start(0)).with_context(doing)?;
        add(&mut tar, &format!("{top}/{member}"), size, masked)?;
        packed.files = packed.files.saturating_add(1);
    }
    for (name, why) in collected.left_out {
        let name = String::from_utf8_lossy(&mask.apply(name.as_bytes(), Keep::Nothing)).into_owned();
        packed.left_out.push((name, why));
    }
    packed.masked = mask.masked();
    packed.only_in_place = mask
        .only_in_place()
        .iter()
        .map(|(kind, count)| (*kind, *count))
        .collect();
    packed.files = packed.files.saturating_add(1);
    let note = note::text(&packed);
    add(
        &mut tar,
        &format!("{top}/{NOTE}"),
        note.len() as u64,
        note.as_bytes(),
    )?;
    let mut writer = tar
        .into_inner()
        .and_then(zstd::Encoder::finish)
        .context("finishing the bundle")?;
    writer.flush().context("finishing the bundle")?;
    Ok(packed)
}

fn add(tar: &mut tar::Builder<impl Write>, name: &str, size: u64, from: impl Read) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, from)
        .with_context(|| format!("adding {name} to the bundle"))
}

/// Shows a file to `each`, piece by piece, cut where no line and no key is.
fn blocks(reader: &mut dyn Read, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = Vec::with_capacity(BLOCK);
    let mut wanted = BLOCK;
    loop {
        let missing = wanted.saturating_sub(buffer.len()) as u64;
        let read = (&mut *reader).take(missing).read_to_end(&mut buffer)?;
        if (read as u64) < missing {
            break;
        }
        let cut = match mask::whole_lines(&buffer) {
            0 if buffer.len() < LONGEST_LINE => {
                wanted = buffer.len().saturating_add(BLOCK);
                continue;
            }
            0 => memchr::memrchr3(b' ', b',', b';', &buffer).map_or(buffer.len(), |at| at.saturating_add(1)),
            lines => lines,
        };
        each(buffer.get(..cut).unwrap_or_default())?;
        buffer.drain(..cut);
        wanted = buffer.len().max(1).saturating_add(BLOCK);
    }
    if buffer.is_empty() { Ok(()) } else { each(&buffer) }
}

/// Where a file lies in the archive: masked, straight, and under a name of its own.
fn member_name(mask: &mut Mask, name: &str, taken: &mut BTreeSet<String>) -> String {
    let masked = String::from_utf8_lossy(&mask.apply(name.as_bytes(), Keep::Nothing)).into_owned();
    let parts = Path::new(&masked).components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy().replace(|c: char| c.is_control(), "_")),
        _ => None,
    });
    let straight: PathBuf = parts.collect();
    let straight = straight.display().to_string();
    let mut unique = if straight.is_empty() {
        "file".to_string()
    } else {
        straight.clone()
    };
    let mut numbers = 2_u64..;
    while !taken.insert(unique.clone()) {
        unique = format!("{straight}.{}", numbers.next().unwrap_or_default());
    }
    unique
}

fn plain_name(name: &[u8]) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    String::from_utf8_lossy(name).chars().map(plain).collect()
}

/// The end of a command that packed.
pub fn told(packed: &Packed, out: &Path) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} files, {}; {} values masked",
        out.display(),
        packed.files,
        bytes(packed.size),
        packed.masked.len()
    )];
    lines.extend(
        packed
            .left_out
            .iter()
            .map(|(path, why)| format!("left out: {} ({why})", super::one_line(path))),
    );
    if packed.left.different > 0 {
        lines.push(format!(
            "{} values that look random are still in it; {NOTE} lists where they are.",
            packed.left.different
        ));
    }
    lines.push(format!(
        "{NOTE} inside lists what was masked; read it before you send the bundle to anyone."
    ));
    lines
}

#[cfg(test)]
mod tests;
