//! The files of a run, and which of them are texts.

use crate::host::{bounded, files};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Component, Path, PathBuf};

/// A member of an archive that is longer is left out.
const LARGEST_MEMBER: u64 = 256 << 20;
/// Members of one archive, and bytes of all of them.
const MOST_MEMBERS: usize = 10_000;
const LARGEST_ARCHIVE: u64 = 1 << 30;
/// Most bytes of what stands before a member and names it.
const LONGEST_NAME: u64 = 64 << 10;

/// Where a text is.
#[derive(Debug)]
pub(super) enum Body {
    /// In a file: of the run, or unpacked from an archive in it.
    File(PathBuf),
    /// In memory: a report.
    Made(Vec<u8>),
}

impl Body {
    /// From its beginning.
    pub(super) fn open(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Body::File(path) => Box::new(bounded::open(path)?),
            Body::Made(bytes) => Box::new(Cursor::new(bytes)),
        })
    }
}

/// The files of a run by their paths below it.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Texts.
    pub(super) texts: BTreeMap<String, Body>,
    /// All others, and why they are left out.
    pub(super) left_out: Vec<(String, String)>,
}

impl Collected {
    /// Adds a text under a name of its own: an archive may have two members of one name, or one
    /// that a file of the run has.
    fn add(&mut self, name: String, body: Body) {
        let mut own = name.clone();
        let mut number: u64 = 2;
        while self.texts.contains_key(&own) {
            own = format!("{name}.{number}");
            number = number.saturating_add(1);
        }
        self.texts.insert(own, body);
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Rules about text apply.
    Text,
    /// They do not.
    Binary,
}

/// Every file of the folder; symbolic links are not followed. Members of archives are unpacked into
/// `scratch`, under numbers.
pub(super) fn from(folder: &Path, scratch: &Path) -> Result<Collected> {
    let mut collected = Collected::default();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("reading the run's folder {}", folder.display()))?;
        let path = entry.path();
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            let what = if entry.file_type().is_symlink() {
                "a symbolic link"
            } else {
                "not a file"
            };
            collected.left_out.push((name, what.into()));
            continue;
        }
        let doing = || format!("reading {}", path.display());
        let content = content(&mut bounded::open(path)?).with_context(doing)?;
        if is_tar(path)? {
            unpack(&name, path, scratch, &mut collected)?;
        } else if content == Content::Text {
            collected.add(name, Body::File(path.to_path_buf()));
        } else {
            let why = format!("binary, so that nothing in it can be masked: {}", shape(path)?);
            collected.left_out.push((name, why));
        }
    }
    Ok(collected)
}

/// Size and hash of a file that is left out: its owner finds it again.
fn shape(path: &Path) -> Result<String> {
    let size = path
        .metadata()
        .with_context(|| format!("reading {}", path.display()))?
        .len();
    Ok(format!(
        "{}, SHA-256 {}",
        super::bytes(size),
        files::sha256_file(path)?
    ))
}

/// POSIX's sign, at its place in the first header.
fn is_tar(path: &Path) -> Result<bool> {
    let mut head = Vec::new();
    bounded::open(path)?.take(512).read_to_end(&mut head)?;
    let named = path.extension().is_some_and(|extension| extension == "tar");
    Ok(head.get(257..262) == Some(b"ustar") || (named && head.len() == 512))
}

/// Puts the texts of an archive in the place of the archive. One that cannot be read to its end is
/// left out as a whole.
fn unpack(name: &str, path: &Path, scratch: &Path, collected: &mut Collected) -> Result<()> {
    let members = match members(path, scratch, collected.texts.len()) {
        Ok(members) => members,
        Err(error) => {
            let why = format!("an archive that cannot be read ({error:#}): {}", shape(path)?);
            collected.left_out.push((name.to_string(), why));
            return Ok(());
        }
    };
    let why = format!("unpacked, its texts are masked one by one: {}", shape(path)?);
    collected.left_out.push((name.to_string(), why));
    for (member, body) in members {
        let member = format!("{name}.d/{member}");
        match body {
            Ok(path) => collected.add(member, Body::File(path)),
            Err(why) => collected.left_out.push((member, why)),
        }
    }
    Ok(())
}

/// Names of an archive's members, and the file that each was unpacked into, or why none was.
type Members = Vec<(String, std::result::Result<PathBuf, String>)>;

fn members(path: &Path, scratch: &Path, first: usize) -> Result<Members> {
    let mut all = Members::new();
    let mut total: u64 = 0;
    refuse_long_names(path)?;
    let file = bounded::open(path)?;
    for (number, entry) in tar::Archive::new(file).entries()?.enumerate() {
        let mut entry = entry?;
        anyhow::ensure!(number < MOST_MEMBERS, "it has more than {MOST_MEMBERS} members");
        let name = straight(&entry.path()?);
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            all.push((name, Err("not a plain file".into())));
            continue;
        }
        let size = entry.size();
        total = total.saturating_add(size);
        if size > LARGEST_MEMBER || total > LARGEST_ARCHIVE {
            all.push((name, Err(format!("too large: {}", super::bytes(size)))));
            continue;
        }
        let target = scratch.join(format!("{first}-{number}"));
        let mut file = File::create(&target)?;
        std::io::copy(&mut (&mut entry).take(LARGEST_MEMBER), &mut file)?;
        let content = content(&mut File::open(&target)?)?;
        let body = match content {
            Content::Text => Ok(target),
            Content::Binary => Err(format!(
                "binary, so that nothing in it can be masked: {}",
                shape(&target)?
            )),
        };
        all.push((name, body));
    }
    Ok(all)
}

/// Errors: a name, a link or a header of the archive is longer than [`LONGEST_NAME`]: it would be
/// read whole, whatever its length.
fn refuse_long_names(path: &Path) -> Result<()> {
    let file = bounded::open(path)?;
    for (number, entry) in tar::Archive::new(file).entries()?.raw(true).enumerate() {
        let entry = entry?;
        anyhow::ensure!(
            number < 2 * MOST_MEMBERS,
            "it has more than {MOST_MEMBERS} members"
        );
        let kind = entry.header().entry_type();
        let is_name = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        anyhow::ensure!(
            !is_name || entry.size() <= LONGEST_NAME,
            "a name in it has {} bytes, and {LONGEST_NAME} are the most",
            entry.size()
        );
    }
    Ok(())
}

/// A path without `..` and without a root.
fn straight(path: &Path) -> String {
    let normal = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    normal.collect::<PathBuf>().display().to_string()
}

/// Whether masking by rules about text means anything: at most one byte in twenty is not of a text.
/// A serial capture has some garbage.
pub(super) fn content(reader: &mut dyn Read) -> std::io::Result<Content> {
    let odd = |byte: &&u8| matches!(byte, 0..=7 | 11 | 12 | 14..=26 | 28..=31 | 127);
    let (mut wrong, mut all) = (0_u64, 0_u64);
    let mut block = Vec::new();
    loop {
        block.clear();
        if (&mut *reader).take(1 << 16).read_to_end(&mut block)? == 0 {
            break;
        }
        let invalid: usize = block.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
        let odd = block.iter().filter(odd).count().saturating_add(invalid);
        wrong = u64::saturating_add(wrong, odd as u64);
        all = u64::saturating_add(all, block.len() as u64);
    }
    Ok(if wrong.saturating_mul(20) <= all {
        Content::Text
    } else {
        Content::Binary
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_in_a_log_does_not_make_it_binary() {
        let of = |bytes: &[u8]| content(&mut &bytes[..]).unwrap();
        let log = b"U-Boot \xff\xfe\0 and then a lot of text that a person can read, line by line";
        assert_eq!(of(log), Content::Text);
        assert_eq!(of(b""), Content::Text);
        assert_eq!(of(&[0; 10]), Content::Binary);
    }

    fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn two_members_of_one_name_are_both_kept() {
        let (run, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let members: [(&str, &[u8]); 3] = [("a.log", b"first"), ("a.log", b"second"), ("b.log", b"third")];
        std::fs::write(run.path().join("x.tar"), packed(&members)).unwrap();
        // The same name as a member's, and sorted before the archive.
        std::fs::create_dir(run.path().join("x.tar.d")).unwrap();
        std::fs::write(run.path().join("x.tar.d/b.log"), "the run's own").unwrap();
        let collected = from(run.path(), scratch.path()).unwrap();
        let text = |body: &Body| {
            let mut text = String::new();
            body.open().unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let mut texts: Vec<String> = collected.texts.values().map(text).collect();
        texts.sort();
        assert_eq!(texts, ["first", "second", "the run's own", "third"]);
    }

    #[test]
    fn a_name_of_any_length_is_not_read() {
        let (run, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_path("././@LongLink").unwrap();
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(1 << 20, b'x');
        std::fs::write(run.path().join("x.tar"), &bytes).unwrap();
        let collected = from(run.path(), scratch.path()).unwrap();
        let [(name, why)] = collected.left_out.as_slice() else {
            panic!("{:?}", collected.left_out)
        };
        assert!(name == "x.tar" && why.contains("are the most"), "{why}");
    }

    #[test]
    fn a_path_in_a_tar_stays_below_it() {
        assert_eq!(straight(Path::new("../../x")), "x");
        assert_eq!(straight(Path::new("/a/./b")), "a/b");
    }
}
