//! Everything of a run in one archive that may be given to strangers: texts with names masked, binary files left out, both told.

use super::gather::Material;
use super::mask::{Kind, Mask, Masked};
use super::{bytes, md};
use crate::host::files;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// What was masked and what was left out, in the archive.
pub const NOTE: &str = "MASKED.md";

/// Compression: zstd's own default.
const LEVEL: i32 = 3;

/// What an archive holds and what it does not.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// Files in it.
    pub files: usize,
    /// Bytes of the archive.
    pub size: u64,
    /// Placeholders.
    pub masked: Vec<Masked>,
    /// Files that are not in it, and why.
    pub left_out: Vec<(String, String)>,
}

/// Packs the run in `folder` into the file `out` (tar, zstd). `names` are masked beside what the texts themselves give away. The reports
/// are made anew, so that an old run has them too. Errors: `out` exists; a file cannot be read. Dying half-way it leaves nothing.
pub fn write(folder: &Path, names: &[(Kind, String)], out: &Path) -> Result<Packed> {
    if out.exists() {
        bail!(
            "writing the bundle {}: it is there already; choose another name or remove it",
            out.display()
        );
    }
    let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut packed = Packed::default();
    for (path, bytes) in read(folder)? {
        sort(path, bytes, &mut texts, &mut packed.left_out);
    }
    let material = Material::read(folder)?;
    for (name, text) in super::all(&material) {
        texts.insert(name, text.into_bytes());
    }
    let top = format!("{}-attempt{}", material.record.campaign, material.attempt);
    let archive = archive(&top, &texts, names, &mut packed)?;
    files::write_atomic(out, &archive)?;
    packed.size = archive.len() as u64;
    Ok(packed)
}

/// Every file of the folder with its path below it; symbolic links are not followed.
fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("reading the run's folder {}", folder.display()))?;
        if entry.file_type().is_file() {
            let path = entry.path();
            let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let below = path.strip_prefix(folder).unwrap_or(path).display().to_string();
            files.push((below, bytes));
        }
    }
    Ok(files)
}

/// A text is kept, of a tar the texts in it; the rest cannot be masked and is left out.
fn sort(
    path: String,
    bytes: Vec<u8>,
    texts: &mut BTreeMap<String, Vec<u8>>,
    left_out: &mut Vec<(String, String)>,
) {
    if is_text(&bytes) {
        texts.insert(path, bytes);
        return;
    }
    let told = |bytes: &[u8]| {
        format!(
            "{}, SHA-256 {}",
            super::bytes(bytes.len() as u64),
            files::sha256(bytes)
        )
    };
    let inside = if path.ends_with(".tar") {
        entries(&bytes)
    } else {
        None
    };
    let Some(inside) = inside else {
        left_out.push((
            path,
            format!("binary, so that nothing in it can be masked: {}", told(&bytes)),
        ));
        return;
    };
    left_out.push((
        path.clone(),
        format!("unpacked, its texts are masked one by one: {}", told(&bytes)),
    ));
    for (name, bytes) in inside {
        let name = format!("{path}.d/{name}");
        if is_text(&bytes) {
            texts.insert(name, bytes);
        } else {
            left_out.push((
                name,
                format!("binary, so that nothing in it can be masked: {}", told(&bytes)),
            ));
        }
    }
}

/// Files of a tar whose paths stay below it; none where it is no tar.
fn entries(archive: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive).entries().ok()? {
        let mut entry = entry.ok()?;
        let path: PathBuf = entry.path().ok()?.into_owned();
        let plain: PathBuf = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        if entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            files.push((plain.display().to_string(), bytes));
        }
    }
    Some(files)
}

/// Whether masking by rules about text means anything: at most one byte in twenty is none of a text's. A serial capture has some garbage.
fn is_text(bytes: &[u8]) -> bool {
    let odd = |byte: &&u8| matches!(byte, 0..=7 | 11 | 12 | 14..=26 | 28..=31 | 127);
    let control = bytes.iter().filter(odd).count();
    let invalid: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    (control + invalid) * 20 <= bytes.len()
}

fn archive(
    top: &str,
    texts: &BTreeMap<String, Vec<u8>>,
    names: &[(Kind, String)],
    packed: &mut Packed,
) -> Result<Vec<u8>> {
    let mut mask = Mask::new(names);
    for (path, text) in texts {
        mask.learn(path.as_bytes());
        mask.learn(text);
    }
    let encoder = zstd::Encoder::new(Vec::new(), LEVEL).context("compressing the bundle")?;
    let mut tar = tar::Builder::new(encoder);
    let top = plain_name(&mask.apply(top.as_bytes()));
    let mut add = |name: &str, bytes: &[u8]| -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("{top}/{name}"), bytes)
            .with_context(|| format!("adding {name} to the bundle"))
    };
    for (path, text) in texts {
        let masked = mask.apply(text);
        let path = String::from_utf8_lossy(&mask.apply(path.as_bytes())).into_owned();
        add(&path, &masked)?;
    }
    for (path, _) in &mut packed.left_out {
        *path = String::from_utf8_lossy(&mask.apply(path.as_bytes())).into_owned();
    }
    packed.masked = mask.masked();
    packed.files = texts.len() + 1;
    add(NOTE, note(packed).as_bytes())?;
    let encoder = tar.into_inner().context("finishing the bundle")?;
    encoder.finish().context("finishing the bundle")
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

/// What was done, for whoever opens the archive.
fn note(packed: &Packed) -> String {
    let mut text = String::from(
        "# What is masked here, and what was left out\n\nThe same value has the same placeholder in every file. Masked: names of hosts and \
         users, network and e-mail addresses, ssh keys and their paths, passwords and tokens, machine ids and serial numbers. \
         Kept: addresses in the trailers of patches, boot ids, build ids. The SHA-256 in the reports are those of the files before \
         masking.\n\n| Placeholder | Times |\n|---|---|\n",
    );
    for one in &packed.masked {
        let _ = writeln!(text, "| {} | {} |", one.placeholder, one.count);
    }
    text.push_str("\n## Left out\n\n");
    if packed.left_out.is_empty() {
        text.push_str("Nothing.\n");
    }
    for (path, why) in &packed.left_out {
        let _ = writeln!(text, "- {}: {}", md(path), md(why));
    }
    text
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
            .map(|(path, why)| format!("left out: {path} ({why})")),
    );
    lines.push(format!(
        "What was masked is told in {NOTE} inside; read it before you send the bundle to anybody."
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::tests::{regression, run};
    use super::*;

    /// Paths and contents of a bundle.
    fn unpack(bundle: &Path) -> BTreeMap<String, String> {
        let bytes = zstd::decode_all(std::fs::File::open(bundle).unwrap()).unwrap();
        let files = entries(&bytes).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        files
            .into_iter()
            .map(|(path, bytes)| (path, text(bytes)))
            .collect()
    }

    #[test]
    fn texts_are_masked_and_what_cannot_be_masked_is_left_out_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let run_folder = folder.path().join("20260101T000000");
        let evidence = run_folder.join("evidence/2.2");
        std::fs::create_dir_all(&evidence).unwrap();
        run(vec![regression()]).save(&run_folder).unwrap();
        std::fs::write(
            evidence.join("serial.log"),
            "\0\0garbage ampere login: \nalice@ampere 10.1.2.3\n",
        )
        .unwrap();
        std::fs::write(evidence.join("journal.log"), "{\"_HOSTNAME\":\"ampere\"}\n").unwrap();
        std::fs::write(evidence.join("core.bin"), [0_u8; 300]).unwrap();
        let mut inner = tar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("dmesg-ramoops-0", &b"ampere panics"[..]),
            ("x.enc.z", &[0x80; 64][..]),
        ] {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            inner.append_data(&mut header, name, bytes).unwrap();
        }
        std::fs::write(evidence.join("pstore.tar"), inner.into_inner().unwrap()).unwrap();

        let out = folder.path().join("bundle.tar.zst");
        let packed = write(&run_folder, &[(Kind::User, "alice".into())], &out).unwrap();
        let files = unpack(&out);
        let file = |name: &str| &files[&format!("small-attempt1/{name}")];
        assert_eq!(
            file("evidence/2.2/serial.log"),
            "\0\0garbage HOST1 login: \nUSER1@HOST1 IP1\n"
        );
        assert_eq!(file("evidence/2.2/pstore.tar.d/dmesg-ramoops-0"), "HOST1 panics");
        assert!(file("report.html").contains("<!DOCTYPE html>"));
        assert!(
            files
                .values()
                .all(|text| !text.contains("ampere") && !text.contains("alice"))
        );
        let left: Vec<&str> = packed.left_out.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            left,
            [
                "evidence/2.2/core.bin",
                "evidence/2.2/pstore.tar",
                "evidence/2.2/pstore.tar.d/x.enc.z"
            ]
        );
        for path in left {
            assert!(file(NOTE).contains(path), "{}", file(NOTE));
        }
        assert!(file(NOTE).contains("| HOST1 |"), "{}", file(NOTE));
        let again = write(&run_folder, &[], &out).unwrap_err();
        assert!(format!("{again}").contains("it is there already"), "{again}");
    }

    #[test]
    fn a_path_in_a_tar_stays_below_it() {
        let mut inner = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(1);
        header.as_old_mut().name[..6].copy_from_slice(b"../../");
        header.as_old_mut().name[6] = b'x';
        header.set_cksum();
        inner.append(&header, &b"a"[..]).unwrap();
        let files = entries(&inner.into_inner().unwrap()).unwrap();
        assert_eq!(files[0].0, "x");
    }

    #[test]
    fn garbage_in_a_log_makes_it_no_binary() {
        assert!(is_text(
            b"U-Boot \xff\xfe\0 and then a lot of text that a person can read, line by line"
        ));
        assert!(is_text(b""));
        assert!(!is_text(&[0; 10]));
    }
}
