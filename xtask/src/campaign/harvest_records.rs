//! pstore's records, copied off the board and hashed before anybody may remove them.

use crate::board::{Board, quote, script};
use crate::host::file_name::FileName;
use crate::host::files;
use crate::host::one_line::one_line;
use anyhow::{Context, Result, bail, ensure};
use kernel_log::pstore::{self, Dump, Note, Type};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);

/// systemd-pstore(8) moves records away at boot, so both places are read. A record is read to its end and not by its size: the kernel
/// prints an ftrace record as text that is longer (fs/pstore/inode.c: `pstore_ftrace_seq_show()`). Hash first, so that what is cut on
/// the way is seen. Every file is named once more beside the records, so that one that could not be read is seen, too.
const TAKE: &str = r#"export LC_ALL=C
find /sys/fs/pstore /var/lib/systemd/pstore -type f -print -exec sh -c 'for file; do
    sum=$(sha256sum <"$file") && printf "record %s %s\n" "${sum%% *}" "$file" && base64 <"$file" && echo end
done' sh {} + 2>/dev/null
echo all
"#;

/// Where the kernel shows records; removing one here frees its place for the next crash.
const LIVE: &str = "/sys/fs/pstore/";

/// A record file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path on the board.
    pub path: String,
    /// SHA-256 of its content, the same on the board and here.
    pub sha256: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Every record that was on the board.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// The files.
    pub files: Vec<File>,
    /// Joined to dumps.
    pub dumps: Vec<Dump>,
}

/// Copies every record into `folder` (`pstore/`, with `pstore.sha256` beside it) and joins their parts. Nothing is removed from the board.
/// Errors: a record did not arrive as the board hashed it.
pub fn take(board: &dyn Board, folder: &Path) -> Result<Records> {
    let finished = script::ask(board, "copying pstore's records", TAKE, LIMIT)?;
    let files = read(&String::from_utf8_lossy(&finished.stdout)).context("copying pstore's records")?;
    let mut sums = String::new();
    for file in &files {
        let name = FileName::of_foreign(&file.path);
        sums.push_str(&format!("{}  pstore/{name}\n", file.sha256));
        files::write_atomic(&folder.join("pstore").join(name), &file.bytes)?;
    }
    files::write_atomic(&folder.join("pstore.sha256"), sums.as_bytes())?;
    let named: Vec<pstore::File> = files
        .iter()
        .map(|file| (file.path.as_str(), file.bytes.as_slice()))
        .collect();
    let dumps = pstore::join(&named);
    Ok(Records { files, dumps })
}

/// Takes the answer of [`TAKE`] apart.
fn read(text: &str) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut count = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "all" {
            ensure!(
                count == files.len(),
                "the board has {count} records, and {} could be read",
                files.len()
            );
            return Ok(files);
        }
        if line.starts_with('/') {
            count = usize::saturating_add(count, 1);
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let (Some("record"), Some(sha256), Some(path)) = (words.next(), words.next(), words.next()) else {
            bail!("`{}` is no record", one_line(line))
        };
        let packed: String = lines.by_ref().take_while(|line| *line != "end").collect();
        let bytes = unbase64(&packed).with_context(|| format!("the record {path} was cut on the way"))?;
        ensure!(
            files::sha256(&bytes) == sha256,
            "the record {path} is not what the board hashed"
        );
        files.push(File {
            path: path.to_string(),
            sha256: sha256.to_string(),
            bytes,
        });
    }
    bail!("the answer was cut on the way")
}

/// RFC 4648, section 4, without blanks. `None`: it is none.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| -> Option<u32> {
        Some(match byte {
            b'A'..=b'Z' => u32::from(byte.abs_diff(b'A')),
            b'a'..=b'z' => u32::from(byte.abs_diff(b'a')).saturating_add(26),
            b'0'..=b'9' => u32::from(byte.abs_diff(b'0')).saturating_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity((text.len() / 4).saturating_mul(3));
    for quad in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut word = 0;
        for at in 0..4 {
            word = word << 6 | quad.get(at).map_or(Some(0), |byte| value(*byte))?;
        }
        // Three bytes behind one that is empty; a quad of fewer letters has fewer of them.
        bytes.extend_from_slice(word.to_be_bytes().get(1..quad.len())?);
    }
    Some(bytes)
}

impl Records {
    /// Each record by its path and content: the next crash takes the same name again, since ramoops counts from 0 at each boot.
    pub fn names(&self) -> BTreeSet<String> {
        self.files.iter().map(name).collect()
    }

    /// Dumps with a file that was not among `known`.
    pub fn new_since(&self, known: &BTreeSet<String>) -> Vec<&Dump> {
        let new: BTreeSet<&str> = self
            .files
            .iter()
            .filter(|file| !known.contains(&name(file)))
            .map(|file| file.path.as_str())
            .collect();
        self.dumps
            .iter()
            .filter(|dump| {
                dump.files
                    .iter()
                    .any(|file| new.contains(format!("{}/{file}", dump.folder).as_str()))
            })
            .collect()
    }

    /// What a report says of the dumps that are new.
    pub fn facts(&self, known: &BTreeSet<String>) -> Vec<String> {
        let new = self.new_since(known);
        let crashes = new.iter().filter(|dump| dump.kind == Type::Dmesg);
        crashes
            .map(|dump| {
                let reason = dump.reason.as_deref().unwrap_or("a crash");
                let notes: String = dump
                    .notes
                    .iter()
                    .map(|note| format!("; {}", words(note)))
                    .collect();
                format!(
                    "pstore keeps a record of {reason}: {}{notes}",
                    dump.files.join(", ")
                )
            })
            .collect()
    }

    /// Whether a pmsg record holds this word.
    pub fn pmsg_has(&self, word: &str) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        self.dumps
            .iter()
            .any(|dump| dump.kind == Type::Pmsg && holds(&dump.content))
    }
}

fn name(file: &File) -> String {
    format!("{} {}", file.path, file.sha256)
}

/// A note in words.
fn words(note: &Note) -> String {
    match note {
        Note::Ecc {
            corrected,
            unrecoverable,
        } => {
            format!("{corrected} bytes were mended, {unrecoverable} blocks are lost")
        }
        Note::Unpacked { file, whole: true } => format!("{file} was unpacked here"),
        Note::Unpacked { file, whole: false } => {
            format!("{file} is damaged: only its beginning could be unpacked")
        }
        Note::Compressed { file, bytes } => {
            format!("{file} ({bytes} bytes) is packed in a way that is not known")
        }
        Note::MissingParts { parts } => format!("parts {parts:?} are missing"),
        Note::Empty { file } => format!("{file} is empty"),
    }
}

/// Removes the records that the kernel still shows, each only if its content is what was copied off, so that their places are free for
/// the next crash; gives how many. What systemd moved away stays: it is on the board's disk, and not ours. Dies half-way: some are gone,
/// and all of them are here.
pub fn clear(board: &dyn Board, records: &Records) -> Result<usize> {
    board.may_change()?;
    let mut removing = String::from("export LC_ALL=C\n");
    let live: Vec<&File> = records
        .files
        .iter()
        .filter(|file| file.path.starts_with(LIVE))
        .collect();
    for file in &live {
        let path = quote(&file.path);
        removing.push_str(&format!(
            "sum=$(sha256sum <{path}) && [ \"${{sum%% *}}\" = {} ] && rm {path} && echo gone\n",
            file.sha256
        ));
    }
    removing.push_str("true\n");
    let said = script::ask(board, "removing pstore's records", &removing, LIMIT)?.text();
    Ok(said.lines().filter(|line| *line == "gone").count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str, content: &str, base64: &str) -> String {
        format!(
            "record {} {path}\n{base64}\nend\n",
            files::sha256(content.as_bytes())
        )
    }

    fn records(text: &str) -> Records {
        let files = read(text).unwrap();
        let named: Vec<pstore::File> = files
            .iter()
            .map(|file| (file.path.as_str(), file.bytes.as_slice()))
            .collect();
        Records {
            dumps: pstore::join(&named),
            files,
        }
    }

    #[test]
    fn records_arrive_as_they_were_hashed() {
        let text = record("/sys/fs/pstore/pmsg-ramoops-0", "nonce\n", "bm9u\nY2UK");
        let found = records(&format!("/a\n{text}all\n"));
        assert_eq!(found.files[0].bytes, b"nonce\n");
        assert!(found.pmsg_has("nonce") && !found.pmsg_has("other"));
        let check = |text: String, words: &str| {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(words), "{error}");
        };
        check(text.clone(), "the answer was cut");
        check(format!("/a\n/b\n{text}all\n"), "has 2 records, and 1");
        check(text.replace("Y2UK", "Y2VK"), "not what the board hashed");
        check(text.replace("Y2UK", "Y2U"), "was cut on the way");
        assert_eq!(read("all\n").unwrap(), []);
    }

    #[test]
    fn base64_of_every_length() {
        for (packed, expect) in [
            ("", &b""[..]),
            ("/w==", b"\xff"),
            ("//8=", b"\xff\xff"),
            ("+//+", b"\xfb\xff\xfe"),
        ] {
            assert_eq!(unbase64(packed).as_deref(), Some(expect), "{packed}");
        }
        for bad in ["x", "a b=", "\u{e4}\u{e4}"] {
            assert_eq!(unbase64(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_next_crash_under_the_same_name_is_new() {
        let path = "/var/lib/systemd/pstore/dmesg-ramoops-0";
        let (old, new) = ("Oops#1 Part1\nx\n", "Oops#1 Part1\ny\n");
        let first = records(&format!("/a\n{}all\n", record(path, old, "T29wcyMxIFBhcnQxCngK")));
        let second = records(&format!("/a\n{}all\n", record(path, new, "T29wcyMxIFBhcnQxCnkK")));
        assert!(first.new_since(&first.names()).is_empty());
        assert_eq!(second.new_since(&first.names()).len(), 1);
        assert_eq!(
            second.facts(&first.names()),
            ["pstore keeps a record of Oops: dmesg-ramoops-0"]
        );
    }
}
