//! Record files of pstore, from `/sys/fs/pstore` or from where systemd-pstore(8) moved them (`/var/lib/systemd/pstore/…`).
//!
//! Names (fs/pstore/inode.c: `pstore_mkfile()`): `<type>-<backend>-<id>`, with `.enc.z` behind when the kernel could not decompress the
//! content. A dmesg record begins with `<reason>#<count> Part<n>` (fs/pstore/platform.c: `pstore_dump()`); part 1 holds the
//! newest lines, so parts are joined from the highest to part 1. ramoops ends each file with a line about its error-correcting
//! code (fs/pstore/ram_core.c: `persistent_ram_ecc_string()`).
//!
//! What the kernel left compressed is unpacked here as far as it goes: raw deflate (fs/pstore/platform.c: `zlib_deflateInit2(…,
//! -MAX_WBITS, …)`; with a zlib header before 6.6, where the crypto library packed it), and the notice stands behind it. systemd-pstore
//! writes a `dmesg.txt` of its own beside the records that it was made from: those are taken, and it is left out.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Longest content of an unpacked record: `pstore.kmsg_bytes` is 10240 by default, and a hostile one must not fill the memory.
const LONGEST: u64 = 8 << 20;

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// The kernel log at an oops or a panic.
    Dmesg,
    /// What went to the console until the reset.
    Console,
    /// What user space wrote to `/dev/pmsg0`.
    Pmsg,
    /// Function trace; binary.
    Ftrace,
    /// Any other (`mce`, `rtas`, …).
    Other(String),
}

/// One dump or one zone, its parts joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dump {
    /// What it holds.
    pub kind: Type,
    /// Folder that its files were in, as given.
    pub folder: String,
    /// Why a dmesg record was written: `Panic`, `Oops`, `Emergency`, `Shutdown`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which dump of its boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Content in the order of time, without headers and notices.
    pub content: Vec<u8>,
    /// Names of the files it was made from, in that order.
    pub files: Vec<String>,
    /// What is to be known about it.
    pub notes: Vec<Note>,
}

/// Something that makes a record less than perfect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Note {
    /// Error correction mended or gave up on something.
    Ecc {
        /// Bytes that were mended.
        corrected: u32,
        /// Blocks that are lost.
        unrecoverable: u32,
    },
    /// The kernel could not unpack the file, and here it was unpacked as far as its bytes are whole.
    Unpacked {
        /// Name of the file.
        file: String,
        /// Whether all of it could be.
        whole: bool,
    },
    /// The file is still compressed and nothing of it can be unpacked. Its bytes are not in the content.
    Compressed {
        /// Name of the file.
        file: String,
        /// Its size in bytes.
        bytes: usize,
    },
    /// Parts are missing between the ones that are there.
    MissingParts {
        /// Numbers of them.
        parts: Vec<u32>,
    },
    /// The file is empty.
    Empty {
        /// Name of the file.
        file: String,
    },
}

/// A file of pstore: its path, relative or absolute, and its bytes.
pub type File<'a> = (&'a str, &'a [u8]);

/// Joins record files to dumps, sorted by kind, folder and count. Files that are no records (by name) are left out; nothing fails.
pub fn join(files: &[File]) -> Vec<Dump> {
    let mut groups: BTreeMap<Key, Vec<Part>> = BTreeMap::new();
    let raw: BTreeSet<&str> = files
        .iter()
        .filter_map(|(path, _)| raw_dmesg_folder(path))
        .collect();
    for (path, bytes) in files {
        if path
            .rsplit_once('/')
            .is_some_and(|(folder, name)| name == "dmesg.txt" && raw.contains(folder))
        {
            continue;
        }
        if let Some((key, part)) = read(path, bytes) {
            groups.entry(key).or_default().push(part);
        }
    }
    groups.into_iter().map(|(key, parts)| dump(key, parts)).collect()
}

/// What files must share to be one dump. Only dmesg records have parts; other zones stand alone, by their name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Type,
    folder: String,
    backend: String,
    count: Option<u32>,
    reason: Option<String>,
    zone: Option<String>,
}

struct Part {
    number: u32,
    name: String,
    content: Vec<u8>,
    notes: Vec<Note>,
}

/// The folder of a dmesg record as the kernel named it.
fn raw_dmesg_folder(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/')?;
    name.starts_with("dmesg-").then_some(folder)
}

/// Unpacks as far as it goes: the content, and whether it was whole. `None`: nothing can be unpacked.
fn unpack(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (mut content, mut whole) = partial(flate2::bufread::DeflateDecoder::new(bytes));
    if !whole {
        let other = partial(flate2::bufread::ZlibDecoder::new(bytes));
        if other.1 || other.0.len() > content.len() {
            (content, whole) = other;
        }
    }
    // Noise unpacks to a few bytes of noise.
    let text = content
        .iter()
        .filter(|&&byte| byte == b'\n' || byte == b'\t' || (0x20..0x7f).contains(&byte));
    let readable = text.count().saturating_mul(10) >= content.len().saturating_mul(9);
    (!content.is_empty() && (whole || readable)).then_some((content, whole))
}

fn partial(decoder: impl Read) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    let mut limited = decoder.take(LONGEST);
    let mut buffer = [0; 512];
    loop {
        // Small pieces: what was unpacked before the first bad byte is kept.
        match limited.read(&mut buffer) {
            Ok(0) => return (content, limited.limit() > 0),
            Ok(read) => content.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(_) => return (content, false),
        }
    }
}

fn read(path: &str, bytes: &[u8]) -> Option<(Key, Part)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, compressed) = match name.strip_suffix(".enc.z") {
        Some(stem) => (stem, true),
        None => (name.strip_suffix(".txt").unwrap_or(name), false),
    };
    let (kind, rest) = stem.split_once('-').unwrap_or((stem, ""));
    let kind = match kind {
        "dmesg" => Type::Dmesg,
        "console" => Type::Console,
        "pmsg" => Type::Pmsg,
        "ftrace" => Type::Ftrace,
        "mce" | "rtas" | "powerpc" => Type::Other(kind.to_string()),
        _ => return None,
    };
    let (backend, id) = rest.rsplit_once('-').unwrap_or((rest, ""));
    let mut notes = Vec::new();
    // Behind a packed record, too, the notice is plain.
    let (content, ecc) = without_ecc(bytes);
    notes.extend(ecc);
    let mut unpacked = Vec::new();
    let content = if !compressed {
        content
    } else if let Some((text, whole)) = unpack(content) {
        unpacked = text;
        notes.push(Note::Unpacked {
            file: name.to_string(),
            whole,
        });
        &unpacked
    } else {
        notes.push(Note::Compressed {
            file: name.to_string(),
            bytes: bytes.len(),
        });
        &unpacked
    };
    if bytes.is_empty() && !compressed {
        notes.push(Note::Empty {
            file: name.to_string(),
        });
    }
    let header = if kind == Type::Dmesg {
        header(content)
    } else {
        None
    };
    let (reason, count, number, length) = header.unwrap_or_default();
    let known = number > 0;
    let key = Key {
        folder: folder.to_string(),
        backend: backend.to_string(),
        count: known.then_some(count),
        reason: known.then_some(reason),
        zone: (!known).then(|| id.to_string()),
        kind,
    };
    let part = Part {
        number,
        name: name.to_string(),
        content: content.get(length..).unwrap_or_default().to_vec(),
        notes,
    };
    Some((key, part))
}

/// `Panic#2 Part1\n`: reason, count, part, length.
fn header(content: &[u8]) -> Option<(String, u32, u32, usize)> {
    let end = content.iter().take(80).position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(content.get(..end)?).ok()?;
    let (reason, rest) = line.split_once('#')?;
    let (count, part) = rest.split_once(" Part")?;
    let part = part.trim().parse().ok().filter(|&part| part > 0)?;
    Some((
        reason.to_string(),
        count.parse().ok()?,
        part,
        end.saturating_add(1),
    ))
}

/// Cuts the notice of error correction off: `\nECC: No errors detected\n`, or `\nECC: N Corrected bytes, M unrecoverable blocks\n` (without
/// `ECC: ` before 5.18).
fn without_ecc(content: &[u8]) -> (&[u8], Option<Note>) {
    let from = content.len().saturating_sub(100);
    let tail = String::from_utf8_lossy(content.get(from..).unwrap_or_default());
    let lines: Vec<&str> = tail.trim_end_matches(['\n', '\0']).rsplitn(2, '\n').collect();
    let Some(line) = lines.first().map(|line| line.trim_start_matches("ECC: ")) else {
        return (content, None);
    };
    let corrected = line.split_once(" Corrected bytes, ");
    let unrecoverable = corrected.and_then(|(_, rest)| rest.strip_suffix(" unrecoverable blocks"));
    let note = match (line, corrected, unrecoverable) {
        ("No errors detected", ..) => None,
        (_, Some((corrected, _)), Some(blocks)) => match (corrected.parse(), blocks.parse()) {
            (Ok(corrected), Ok(unrecoverable)) => Some(Note::Ecc {
                corrected,
                unrecoverable,
            }),
            _ => return (content, None),
        },
        _ => return (content, None),
    };
    // The notice begins with a newline of its own.
    let ends = content
        .iter()
        .rposition(|&byte| byte != b'\n' && byte != 0)
        .unwrap_or(0);
    let start = content
        .get(..ends)
        .unwrap_or_default()
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap_or(0);
    (content.get(..start).unwrap_or_default(), note)
}

fn dump(key: Key, mut parts: Vec<Part>) -> Dump {
    parts.sort_by(|one, other| {
        other
            .number
            .cmp(&one.number)
            .then_with(|| one.name.cmp(&other.name))
    });
    let highest = parts.first().map_or(0, |part| part.number);
    // A hostile header may claim any number.
    let missing: Vec<u32> = (1..highest.min(1000))
        .filter(|number| !parts.iter().any(|part| part.number == *number))
        .collect();
    let mut dump = Dump {
        kind: key.kind,
        folder: key.folder,
        reason: key.reason,
        count: key.count,
        content: Vec::new(),
        files: Vec::new(),
        notes: Vec::new(),
    };
    if !missing.is_empty() {
        dump.notes.push(Note::MissingParts { parts: missing });
    }
    for part in parts {
        if !dump.content.is_empty() && !dump.content.ends_with(b"\n") {
            dump.content.push(b'\n');
        }
        dump.content.extend(part.content);
        dump.files.push(part.name);
        dump.notes.extend(part.notes);
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_from_old_to_new() {
        let dumps = join(&[
            ("a/dmesg-efi_pstore-1", b"Panic#1 Part1\n<4>[    3.000000] new\n"),
            ("a/dmesg-efi_pstore-2", b"Panic#1 Part2\n<4>[    2.000000] old\n"),
            ("a/dmesg-efi_pstore-4", b"Panic#1 Part4\n<4>[    1.000000] oldest"),
            ("a/dmesg-efi_pstore-9", b"Oops#2 Part1\n<4>x\n"),
        ]);
        assert_eq!(dumps.len(), 2);
        let panic = &dumps[0];
        assert_eq!(
            String::from_utf8_lossy(&panic.content),
            "<4>[    1.000000] oldest\n<4>[    2.000000] old\n<4>[    3.000000] new\n"
        );
        assert_eq!((panic.reason.as_deref(), panic.count), (Some("Panic"), Some(1)));
        assert_eq!(panic.notes, [Note::MissingParts { parts: vec![3] }]);
        assert_eq!(dumps[1].reason.as_deref(), Some("Oops"));
    }

    #[test]
    fn ecc_notices_are_cut_off_and_told() {
        let check = |bytes: &[u8], content: &[u8], note: Option<Note>| {
            let dump = join(&[("console-ramoops-0", bytes)]).remove(0);
            assert_eq!(
                String::from_utf8_lossy(&dump.content),
                String::from_utf8_lossy(content)
            );
            assert_eq!(dump.notes.first(), note.as_ref());
        };
        check(b"x\ny\n\nECC: No errors detected\n", b"x\ny\n", None);
        check(
            b"x\n\nECC: 3 Corrected bytes, 1 unrecoverable blocks\n",
            b"x\n",
            Some(Note::Ecc {
                corrected: 3,
                unrecoverable: 1,
            }),
        );
        check(
            b"x\n\n7 Corrected bytes, 0 unrecoverable blocks\n",
            b"x\n",
            Some(Note::Ecc {
                corrected: 7,
                unrecoverable: 0,
            }),
        );
        check(b"no notice\n", b"no notice\n", None);
    }

    #[test]
    fn zones_stand_alone_and_compressed_or_empty_files_are_told() {
        let dumps = join(&[
            ("/sys/fs/pstore/console-ramoops-0", b"c"),
            ("/sys/fs/pstore/pmsg-ramoops-0", b"nonce"),
            ("/sys/fs/pstore/dmesg-ramoops-0.enc.z", b"\x78\x9c.."),
            ("/var/lib/systemd/pstore/123/dmesg.txt", b""),
            ("/sys/fs/pstore/readme", b"x"),
        ]);
        let kinds: Vec<&Type> = dumps.iter().map(|dump| &dump.kind).collect();
        assert_eq!(kinds, [&Type::Dmesg, &Type::Dmesg, &Type::Console, &Type::Pmsg]);
        assert_eq!(
            dumps[0].notes,
            [Note::Compressed {
                file: "dmesg-ramoops-0.enc.z".into(),
                bytes: 4
            }]
        );
        assert_eq!(
            dumps[1].notes,
            [Note::Empty {
                file: "dmesg.txt".into()
            }]
        );
    }

    fn packed(text: &[u8], level: u32) -> Vec<u8> {
        use std::io::Write;
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_the_kernel_left_packed_is_unpacked_as_far_as_it_goes() {
        let lines: String = (0..400)
            .map(|i| format!("<4>[    {i}.000000] line {i} of the log\n"))
            .collect();
        let text = format!("Panic#1 Part1\n{lines}");
        let whole = packed(text.as_bytes(), 6);
        let mut noted = whole.clone();
        noted.extend_from_slice(b"\nECC: 2 Corrected bytes, 0 unrecoverable blocks\n");
        let dump = join(&[("x/dmesg-ramoops-0.enc.z", noted.as_slice())]).remove(0);
        assert_eq!(String::from_utf8_lossy(&dump.content), lines);
        assert_eq!(dump.reason.as_deref(), Some("Panic"));
        let ecc = Note::Ecc {
            corrected: 2,
            unrecoverable: 0,
        };
        assert_eq!(dump.notes.first(), Some(&ecc));
        let cut = &whole[..whole.len() / 2];
        let dump = join(&[("x/dmesg-ramoops-0.enc.z", cut)]).remove(0);
        assert!(
            dump.content.len() > 1000 && lines.as_bytes().starts_with(&dump.content),
            "{:?}",
            dump.notes
        );
        assert_eq!(
            dump.notes,
            [Note::Unpacked {
                file: "dmesg-ramoops-0.enc.z".into(),
                whole: false
            }]
        );
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let dump = join(&[(
            "x/dmesg-ramoops-0.enc.z",
            packed(&vec![b' '; 64 << 20], 9).as_slice(),
        )])
        .remove(0);
        assert!(dump.content.len() as u64 <= LONGEST);
    }

    #[test]
    fn what_systemd_made_of_the_records_is_not_told_twice() {
        let record = &b"Oops#1 Part1\nx\n"[..];
        let dumps = join(&[
            ("a/1/dmesg-efi_pstore-1", record),
            ("a/1/dmesg.txt", record),
            ("a/2/dmesg.txt", record),
        ]);
        let folders: Vec<&str> = dumps.iter().map(|dump| dump.folder.as_str()).collect();
        assert_eq!(folders, ["a/1", "a/2"]);
    }

    #[test]
    fn two_ramoops_zones_of_two_boots_are_two_dumps() {
        let dumps = join(&[
            ("dmesg-ramoops-0", b"Panic#1 Part1\nnew\n"),
            ("dmesg-ramoops-1", b"Oops#1 Part1\nold\n"),
        ]);
        assert_eq!(dumps.len(), 2);
    }
}
